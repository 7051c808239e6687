"""A whole song taken apart into windows that follow one another, and put together again from others in their place.

What a window does not say is carried beside it and put back: tempo, metre, key, names, programs, other tracks, and
for every note that is still there its velocity and its exact time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gargalo.data.music import windows
from gargalo.data.music.grid import check_grid, lateness, moved, quantized, to_steps, to_ticks
from gargalo.data.music.song import PITCH, START, VELOCITY, Song, sorted_notes
from gargalo.data.music.vocabulary import (
    DRUM_PITCHES,
    HOLD,
    OFF,
    Notes,
    Tokens,
    drum_class,
    melody_notes,
    skyline,
    skyline_rows,
)

DEFAULT_VELOCITY = 80


@dataclass(frozen=True, eq=False)
class Pieces:
    """Windows ``[N, L]`` of a melody, or ``[N, L, 9]`` of drums, and all that is needed to put the song together."""

    song: Song  # with its lateness taken away
    track: int
    late: int
    unit: int
    starts: npt.NDArray[np.int64]  # steps; a window ends where the next begins, and what it says beyond is left out
    length: int  # steps of the whole
    windows: npt.NDArray[np.uint8]


def melody_pieces(song: Song, length: int, unit: int = 16, force: bool = False) -> Pieces:
    """The melody in windows of ``length`` steps. DataError where it is off the grid or beyond a piano's keys."""
    number = windows.melody_track(song)
    late = lateness(song, song.tracks[number], unit)
    song = moved(song, late)
    check_grid(song, song.tracks[number], unit, force)
    tokens, lines = windows.song_melody(song, unit)
    starts = _following(lines, len(tokens), length)
    silence = np.array([OFF] + [HOLD] * (length - 1), np.uint8)  # behind the end
    found = windows.cut(np.append(tokens, silence), starts, length)
    return Pieces(song, number, late, unit, starts, len(tokens), found)


def drum_pieces(song: Song, length: int, unit: int = 16) -> Pieces:
    """The drum part in windows of ``length`` steps. DataError where there is none."""
    number = windows.drum_track(song)
    part, lines = windows.song_drums(song, unit)
    starts = _following(lines, len(part.bits), length)
    padded = np.concatenate([part.bits, np.zeros((length, part.bits.shape[1]), np.uint8)])
    return Pieces(song, number, 0, unit, starts, len(part.bits), padded[starts[:, None] + np.arange(length)])


def with_melody(pieces: Pieces, found: Tokens) -> Song:
    """The song with the melody that windows ``[N, L]`` say in the place of its own."""
    own = pieces.song.tracks[pieces.track].notes
    places = quantized(pieces.song, pieces.song.tracks[pieces.track], pieces.unit)
    rows = skyline_rows(places)
    now = melody_notes(_joined(pieces, found))
    starts, ends = (to_ticks(pieces.song, now[:, column], pieces.unit) for column in (0, 1))
    made = np.stack([starts, ends - starts, now[:, 2], _velocities_at(own[rows], starts)], 1)
    before = {
        (start, pitch): (end, row) for (start, end, pitch, _), row in zip(skyline(places).tolist(), rows, strict=True)
    }
    for note, (start, end, pitch) in zip(made, now.tolist(), strict=True):
        if (start, pitch) in before:
            end_before, row = before[start, pitch]
            note[VELOCITY] = own[row, VELOCITY]
            if end == end_before:
                note[:] = own[row]
    return _with_notes(pieces, np.concatenate([np.delete(own, rows, 0), made]))


def with_drums(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with the drum hits that windows ``[N, L, 9]`` say in the place of its own."""
    own = pieces.song.tracks[pieces.track].notes
    steps = np.rint(to_steps(pieces.song, own[:, START], pieces.unit)).astype(np.int64)
    kinds = drum_class(own[:, PITCH])
    bits = _joined(pieces, found)
    kept = (kinds < 0) | (bits[steps, kinds] > 0)
    missing = bits.copy()
    missing[steps[kinds >= 0], kinds[kinds >= 0]] = 0
    place, kind = np.nonzero(missing)
    starts = to_ticks(pieces.song, place, pieces.unit)
    short = np.full(len(starts), pieces.song.division * 2 // pieces.unit)  # half a step: a drum rings as it likes
    made = np.stack([starts, short, np.array(DRUM_PITCHES)[kind], _velocities_at(own, starts)], 1)
    return _with_notes(pieces, np.concatenate([own[kept], made]))


def _following(lines: npt.NDArray[np.int64], total: int, length: int) -> npt.NDArray[np.int64]:
    """Starts of windows that leave nothing out: each at the last bar line that the one before still reaches."""
    starts = [0]
    while starts[-1] + length < total:
        reached = lines[np.searchsorted(lines, starts[-1] + length, side="right") - 1]
        starts.append(int(reached) if reached > starts[-1] else starts[-1] + length)
    return np.array(starts)


def _joined(pieces: Pieces, found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Windows, each up to the start of the next, as one. ValueError for another number or shape of them."""
    if found.shape != pieces.windows.shape:
        raise ValueError(f"Got windows of shape {found.shape}; {pieces.windows.shape} were taken from the song.")
    ends = np.append(pieces.starts[1:], pieces.length)
    return np.concatenate(
        [window[: end - start] for window, start, end in zip(found, pieces.starts, ends, strict=True)]
    )


def _with_notes(pieces: Pieces, notes: npt.NDArray[np.int64]) -> Song:
    tracks = list(pieces.song.tracks)
    tracks[pieces.track] = replace(tracks[pieces.track], notes=sorted_notes(notes))
    return moved(replace(pieces.song, tracks=tuple(tracks)), -pieces.late)


def _velocities_at(own: Notes, starts: Notes) -> Notes:
    """How loud the notes nearest to ``starts`` are; `DEFAULT_VELOCITY` where there are none."""
    if not len(own):
        return np.full(len(starts), DEFAULT_VELOCITY)
    after = np.searchsorted(own[:, START], starts).clip(max=len(own) - 1)
    before = (after - 1).clip(min=0)
    earlier = np.abs(own[before, START] - starts) < np.abs(own[after, START] - starts)
    return own[np.where(earlier, before, after), VELOCITY]
