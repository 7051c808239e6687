"""Song: what a file of music says, in its own ticks, and nothing of grids or tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

START, LENGTH, PITCH, VELOCITY = range(4)  # the columns of notes
MICROSECONDS = 500_000  # a quarter where a file says nothing: 120 a minute


class Tempo(NamedTuple):
    """From ``tick`` on a quarter lasts so many microseconds."""

    tick: int
    microseconds: int

    @property
    def quarters_a_minute(self) -> float:
        return 60_000_000 / self.microseconds


class Metre(NamedTuple):
    """From ``tick``, where a bar begins, bars have ``beats`` notes of 1/``unit``."""

    tick: int
    beats: int
    unit: int

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Key(NamedTuple):
    """From ``tick`` on: sharps, or flats where negative."""

    tick: int
    sharps: int
    minor: bool


@dataclass(frozen=True, eq=False)
class Track:
    """One instrument. ``notes`` are int64 ``[N, 4]``: start, length in ticks, pitch, velocity, sorted by the first."""

    name: str
    program: int
    drums: bool
    notes: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Song:
    """Tracks on one clock of ``division`` ticks a quarter, with everything that notes alone do not tell."""

    name: str
    division: int
    tracks: tuple[Track, ...]
    tempos: tuple[Tempo, ...] = (Tempo(0, MICROSECONDS),)
    metres: tuple[Metre, ...] = (Metre(0, 4, 4),)
    keys: tuple[Key, ...] = ()
    chords: tuple[tuple[int, str], ...] = ()  # ticks and symbols, where a file has symbols

    @property
    def end(self) -> int:
        """The tick at which the last note ends; none is shorter than a tick here, or a song could end as it begins."""
        ends = (t.notes[:, START] + np.maximum(t.notes[:, LENGTH], 1) for t in self.tracks if len(t.notes))
        return max((int(ticks.max()) for ticks in ends), default=0)

    def seconds(self, ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When ``ticks`` sound, through all changes of tempo."""
        begins = np.array([tempo.tick for tempo in self.tempos])
        rates = np.array([tempo.microseconds for tempo in self.tempos]) / (1e6 * self.division)
        at_change = np.concatenate([[0.0], np.cumsum(np.diff(begins) * rates[:-1])])
        row = np.clip(np.searchsorted(begins, ticks, side="right") - 1, 0, None)
        return at_change[row] + (ticks - begins[row]) * rates[row]


def sorted_notes(notes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """``[N, 4]`` by start, then pitch, then the rest; an empty list is ``[0, 4]``."""
    array = np.asarray(notes, np.int64).reshape(-1, 4)
    return array[np.lexsort((array[:, VELOCITY], array[:, LENGTH], array[:, PITCH], array[:, START]))]
