"""Tunes cut into windows of some bars, and tunes that are variants of one another found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gargalo.data.music.grid import bar_starts, quantized, steps_a_bar, to_steps
from gargalo.data.music.song import PITCH, START, VELOCITY, Song, Track
from gargalo.data.music.vocabulary import (
    BAND_BITS,
    BEGINS,
    DRUMS,
    FIRST,
    HOLD,
    OFF,
    Drums,
    Tokens,
    drum_part,
    melody_notes,
    melody_tokens,
    skyline,
)
from gargalo.errors import DataError

GRAM = 8  # notes; of 6 the tunes of two folk collections make one cluster of a thousand
SHARED = 0.15  # of the grams of the shorter tune: from there on two are variants
COMMON = 60  # tunes that share a gram; one that more share is a figure of the style
_NAMES = ("melody", "lead", "vocal", "voice")

Starts = npt.NDArray[np.int64]


def drum_track(song: Song) -> int:
    """The number of the drum track with the most notes. DataError where there is none."""
    drums = [number for number, track in enumerate(song.tracks) if len(track.notes) and track.drums]
    if not drums:
        raise DataError(f"{song.name}: it has no drums (channel 10). Models of melodies take it, and tap2drum.")
    return max(drums, key=lambda number: len(song.tracks[number].notes))


def song_drums(song: Song, unit: int = 16) -> tuple[Drums, Starts]:
    """The drum part of the whole song, to the end of its last bar, and the steps at which its bars begin."""
    track = song.tracks[drum_track(song)]
    places = to_steps(song, track.notes[:, START], unit)
    end = int(np.rint(places).max()) + 1
    bars, length = bars_until(song, end, unit)
    return drum_part(places, track.notes[:, PITCH], track.notes[:, VELOCITY], length), bars


def melody_track(song: Song) -> int:
    """The number of the track with the tune: so called, else the highest of those with mostly one note at a time.

    DataError where there are only drums.
    """
    pitched = [number for number, track in enumerate(song.tracks) if len(track.notes) and not track.drums]
    if not pitched:
        raise DataError(f"{song.name}: it has drums only, no pitches. Models of the data source drums take it.")
    return max(pitched, key=lambda number: _likeness(song.tracks[number]))


def _likeness(track: Track) -> tuple[bool, bool, float]:
    named = any(name in track.name.lower() for name in _NAMES)
    alone = len(np.unique(track.notes[:, START])) / len(track.notes)
    return named, alone > 0.8, float(track.notes[:, PITCH].mean())


def song_melody(song: Song, unit: int = 16) -> tuple[Tokens, Starts]:
    """Tokens ``[T]`` of the whole tune, to the end of its last bar, and the steps at which its bars begin.

    Whether it is on the grid is for `check_grid` to say. DataError where it is outside the piano's range.
    """
    track = song.tracks[melody_track(song)]
    notes = skyline(quantized(song, track, unit))
    bars, length = bars_until(song, int(notes[:, 1].max()), unit)
    try:
        return melody_tokens(notes, length), bars
    except ValueError as error:
        raise DataError(f"{song.name}: {error}, the keys of a piano. Transpose it.") from error


def bars_until(song: Song, end: int, unit: int) -> tuple[Starts, int]:
    """The steps at which bars begin before ``end``, and that at which the last of them ends."""
    bars = bar_starts(song, unit)
    bars = bars[bars < end]  # other tracks may go on
    metre = [m for m in song.metres if to_steps(song, np.array([m.tick]), unit)[0] < end][-1]
    width = int(steps_a_bar(metre, unit))
    return bars, int(bars[-1]) + -(-(end - int(bars[-1])) // width) * width


def fitting(bars: Starts, length: int, steps: int, count: int) -> Starts:
    """The bars at which ``count`` bars of ``steps`` steps begin that end within ``length``.

    Two bars of 2/4 are one of 4/4.
    """
    lines = np.append(bars, length)
    ends = bars[:, None] + steps * np.arange(1, count + 1)
    return bars[np.isin(ends, lines).all(1)]


def cut(tokens: Tokens, starts: Starts, length: int) -> Tokens:
    """Windows ``[N, length]`` from ``starts``; one that begins in silence begins with ``OFF``."""
    place = np.where(tokens != HOLD, np.arange(len(tokens)), 0)
    state = tokens[np.maximum.accumulate(place)]
    found = tokens[starts[:, None] + np.arange(length)].reshape(-1, length)
    silent = (found[:, 0] == HOLD) & (state[starts] == OFF)
    found[silent, 0] = OFF
    return found


def sounding(windows: Tokens) -> npt.NDArray[np.bool_]:
    """Whether a note begins in each of ``[N, L]`` tokens, or a hit in each of ``[N, L, 9 or 27]`` drum windows, or
    either in ``[N, L, 238]``."""
    if windows.ndim == 2:
        begins = windows >= FIRST
    else:
        begins = windows[..., BEGINS if windows.shape[2] == BAND_BITS else slice(len(DRUMS))] > 0
    return np.any(begins.reshape(len(begins), -1), axis=1)


def grams(tokens: Tokens, size: int = GRAM) -> npt.NDArray[np.uint64]:
    """Numbers for the runs of ``size`` notes in a tune, the same in every key and at every speed."""
    notes = melody_notes(tokens)
    if len(notes) < size + 1:
        size = max(len(notes) - 1, 1)
    gaps = np.diff(notes[:, 0])
    if len(gaps) < size:
        return np.zeros(0, np.uint64)
    faster = np.rint(4 * np.log2(gaps[1:] / gaps[:-1])).astype(np.int64) if len(gaps) > 1 else gaps[:0]
    steps = np.diff(notes[:, 2])
    pairs = (steps + 128) * 256 + np.append(0, faster) + 128
    runs = np.lib.stride_tricks.sliding_window_view(pairs, size).copy()
    runs[:, 0] = runs[:, 0] // 256 * 256  # what came before the first note is not part of it
    return _numbers(runs.astype(np.uint64))


def beats(bits: npt.NDArray[np.uint8], size: int = 16) -> npt.NDArray[np.uint64]:
    """Numbers for the runs of ``size`` steps in a drum part that begin with a hit."""
    words = bits.astype(np.uint64) @ (np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64))
    if len(words) < size:
        return np.zeros(0, np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(words, size)
    return _numbers(runs[runs[:, 0] > 0])


def _numbers(runs: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One for each of the different rows."""
    powers = np.uint64(1099511628211) ** np.arange(runs.shape[1], dtype=np.uint64)
    return np.unique((runs * powers).sum(1, dtype=np.uint64))


def clusters(tunes: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.int64]:
    """A number for each tune, the same for those that are linked by shared `grams`, near or far."""
    owner = np.repeat(np.arange(len(tunes)), [len(tune) for tune in tunes])
    values = np.concatenate([*tunes, np.zeros(0, np.uint64)])
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    groups = np.split(owner, np.flatnonzero(np.diff(values)) + 1)
    pairs = [_pairs(group, len(tunes)) for group in groups if 2 <= len(group) <= COMMON]
    found, counts = np.unique(np.concatenate([*pairs, np.zeros(0, np.int64)]), return_counts=True)
    sizes = np.array([len(tune) for tune in tunes])
    a, b = found // max(len(tunes), 1), found % max(len(tunes), 1)
    linked = counts >= SHARED * np.minimum(sizes[a], sizes[b])
    root = np.arange(len(tunes))
    for first, second in zip(a[linked].tolist(), b[linked].tolist(), strict=True):
        root[_top(root, first)] = _top(root, second)
    return np.array([_top(root, number) for number in range(len(tunes))], np.int64)


def _pairs(group: Starts, count: int) -> Starts:
    first, second = np.triu_indices(len(group), 1)
    return group[first] * count + group[second]


def _top(root: Starts, number: int) -> int:
    while root[number] != number:
        root[number] = root[root[number]]
        number = int(root[number])
    return number
