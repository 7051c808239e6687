"""From ticks to steps of any note value in any metre, and how far a performance is from them."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import numpy as np
import numpy.typing as npt

from gargalo.data.music.song import LENGTH, PITCH, START, VELOCITY, Metre, Song, Track
from gargalo.errors import DataError

WARN_ABOVE, REFUSE_ABOVE = 0.12, 0.2  # steps on average; chance alone gives .25
MAX_STEPS = 1 << 20  # of one song


def to_steps(song: Song, ticks: npt.NDArray[np.int64], unit: int = 16) -> npt.NDArray[np.float64]:
    """Ticks in steps of 1/``unit`` notes, not rounded."""
    return ticks.astype(np.float64) * (unit / (4 * song.division))


def to_ticks(song: Song, steps: npt.NDArray[np.floating | np.integer], unit: int = 16) -> npt.NDArray[np.int64]:
    """The ticks nearest to ``steps``."""
    return np.rint(steps * (4 * song.division / unit)).astype(np.int64)


def grid_error(song: Song, track: Track, unit: int = 16) -> float:
    """The mean distance of the track's onsets from the grid, in steps: 0 for a score, .25 for no relation at all."""
    return _error(to_steps(song, track.notes[:, START], unit))


def _error(steps: npt.NDArray[np.float64]) -> float:
    return float(np.abs(steps - np.rint(steps)).mean()) if len(steps) else 0.0


def lateness(song: Song, track: Track, unit: int = 16) -> int:
    """By how many ticks a performance is late as a whole, up to half a step either way; 0 where it is on the grid.

    Who plays to a click that began before the file did is late everywhere by the same: not off the grid.
    """
    steps = to_steps(song, track.notes[:, START], unit)
    phase = float(np.angle(np.exp(2j * np.pi * steps).mean()) / (2 * np.pi)) if len(steps) else 0.0
    if _error(steps) <= WARN_ABOVE or _error(steps - phase) > _error(steps) / 2:
        return 0
    return int(to_ticks(song, np.array([phase]), unit)[0])


def moved(song: Song, ticks: int) -> Song:
    """All notes earlier by so many ticks; later where negative. Bar lines and tempo stay."""
    shift = np.array([ticks, 0, 0, 0])
    return replace(song, tracks=tuple(replace(track, notes=track.notes - shift) for track in song.tracks))


def check_grid(song: Song, track: Track, unit: int = 16, force: bool = False) -> float:
    """The `grid_error`. DataError where the track was not played to its file's beat, unless ``force``.

    Take away the `lateness` first.
    """
    error = grid_error(song, track, unit)
    if error > REFUSE_ABOVE and not force:
        raise DataError(
            f"{song.name}: its notes are {error:.2f} steps of 1/{unit} off the grid on average; .25 is chance. It was "
            "played freely, or in shorter notes. Set its tempo in a sequencer, train on windows of unit=24 or 48, "
            "or take it all the same: --force, or force=true in the data."
        )
    return error


def quantized(song: Song, track: Track, unit: int = 16) -> npt.NDArray[np.int64]:
    """Notes ``[N, 4]``: first step, step after the last, pitch, velocity; every note lasts a step at least."""
    starts = np.rint(to_steps(song, track.notes[:, START], unit)).astype(np.int64)
    ends = np.rint(to_steps(song, track.notes[:, START] + track.notes[:, LENGTH], unit)).astype(np.int64)
    return np.stack([starts, np.maximum(ends, starts + 1), track.notes[:, PITCH], track.notes[:, VELOCITY]], 1)


def steps_a_bar(metre: Metre, unit: int = 16) -> float:
    """How many steps of 1/``unit`` a bar has; no whole number where the grid is too coarse for the metre."""
    return metre.beats * unit / metre.unit


def bar_starts(song: Song, unit: int = 16) -> npt.NDArray[np.int64]:
    """The steps at which bars begin, through all changes of metre, up to the end of the song.

    DataError where a bar is no whole number of steps, saying which unit would do, and for songs without end.
    """
    end = int(np.ceil(to_steps(song, np.array([song.end]), unit)[0]))
    if end > MAX_STEPS:
        raise DataError(f"{song.name}: it has {end:,} steps of 1/{unit}, more than {MAX_STEPS:,}.")
    starts: list[npt.NDArray[np.int64]] = []
    for metre, following in zip(song.metres, (*song.metres[1:], None), strict=True):
        width = steps_a_bar(metre, unit)
        if width != int(width):
            finer = unit * metre.unit // gcd(unit, metre.unit)
            raise DataError(f"{song.name}: a bar of {metre} is no whole number of 1/{unit} notes. Use unit={finer}.")
        first = int(np.rint(to_steps(song, np.array([metre.tick]), unit)[0]))
        last = end  # of the notes: a change of metre may stand long after them
        if following is not None:
            last = min(end, int(np.rint(to_steps(song, np.array([following.tick]), unit)[0])))
        starts.append(np.arange(first, max(last, first), int(width)))
    return np.concatenate(starts)
