"""Notes on a grid to what models learn, and back: melody tokens and drum bits.

A melody is one token a step: ``HOLD`` goes on with what sounds, or with silence; ``OFF`` ends it; 2 to 89 begin
the pitches 21 to 108 (Roberts et al. 2018). A piece that begins in silence begins with ``OFF``; one that is cut
out of a tune begins with ``HOLD`` where a note goes on, so pieces join without loss.
Notes on a grid are int64 ``[N, 4]``: first step, step after the last, pitch, velocity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOLD, OFF, FIRST = 0, 1, 2
LOWEST, HIGHEST = 21, 108  # the piano's
VOCABULARY = FIRST + HIGHEST - LOWEST + 1

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "dim": (0, 3, 6)}  # of chords, above the root
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
CHORDS = 1 + len(ROOTS) * len(QUALITIES)  # 0 is none, then each root's in the order of these

Notes = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.uint8]

DRUMS = (
    "kick", "snare", "closed hi-hat", "open hi-hat", "low tom", "mid tom", "high tom", "crash", "ride",
)  # fmt: skip
DRUM_PITCHES = (36, 38, 42, 46, 45, 48, 50, 49, 51)  # what each is written as
_DRUM_SETS = (
    (35, 36), (37, 38, 39, 40), (22, 42, 44, 54, 69, 70), (26, 46), (41, 43, 45, 58, 61, 64),
    (47, 48, 60, 63), (50, 62, 65), (49, 52, 55, 57), (51, 53, 56, 59),
)  # fmt: skip

BAND = VOCABULARY, CHORDS, VOCABULARY, len(DRUMS)  # bits of a step of melody, chords, bass and drums
BAND_BITS = sum(BAND)
BEGINS = np.concatenate(  # those of them that say that something begins
    [np.arange(FIRST, VOCABULARY), np.arange(sum(BAND[:2]) + FIRST, sum(BAND[:3])), np.arange(sum(BAND[:3]), BAND_BITS)]
)

TIMING_ZERO, TIMING_STEP = 128.0, 254.0  # the byte of a hit on the grid; how many make a step


class Drums(NamedTuple):
    """A drum part on a grid: bits uint8 ``[T, 9]``; where they are set, velocity uint8 1 to 127, and timing float32
    in steps, from -.5 early to .5 late."""

    bits: npt.NDArray[np.uint8]
    velocity: npt.NDArray[np.uint8]
    timing: npt.NDArray[np.float32]


def skyline(notes: Notes, low: bool = False) -> Notes:
    """One note at a time: the highest, or lowest, of those that begin together, each cut off by the next."""
    kept = notes[skyline_rows(notes, low)]
    kept[:-1, 1] = np.minimum(kept[:-1, 1], kept[1:, 0])
    return kept


def skyline_rows(notes: Notes, low: bool = False) -> npt.NDArray[np.int64]:
    """The rows of ``notes`` that are its `skyline`, by their start."""
    order = np.lexsort((notes[:, 2] if low else -notes[:, 2], notes[:, 0]))
    return order[np.diff(notes[order, 0], prepend=-1) > 0]


def melody_tokens(notes: Notes, length: int) -> Tokens:
    """Tokens uint8 ``[length]`` of a `skyline`. ValueError for pitches outside the piano's."""
    if len(notes) and not (notes[:, 2].min() >= LOWEST and notes[:, 2].max() <= HIGHEST):
        raise ValueError(f"pitches {notes[:, 2].min()} to {notes[:, 2].max()} do not all lie in {LOWEST} to {HIGHEST}")
    tokens = np.full(length, HOLD, np.uint8)
    tokens[:1] = OFF
    tokens[notes[notes[:, 1] < length, 1]] = OFF
    inside = notes[notes[:, 0] < length]
    tokens[inside[:, 0]] = inside[:, 2] - LOWEST + FIRST
    return tokens


def melody_notes(tokens: Tokens) -> npt.NDArray[np.int64]:
    """``[N, 3]``: first step, step after the last, pitch. A ``HOLD`` with nothing before it is silence."""
    events = np.flatnonzero(tokens != HOLD)
    said = tokens[events].astype(np.int64)
    ends = np.append(events[1:], len(tokens))[: len(events)]
    return np.stack([events, ends, said - FIRST + LOWEST], 1, dtype=np.int64)[said >= FIRST]


def window_notes(window: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """As `melody_notes` of tokens ``[T]``; of ``[T, 9 or 27]`` the hits, a step long, with the number of the drum; of
    ``[T, 238]`` melody and bass."""
    if window.ndim == 1:
        return melody_notes(window)
    if window.shape[1] == BAND_BITS:
        pitched = window[:, :VOCABULARY], window[:, sum(BAND[:2]) : sum(BAND[:3])]
        return np.concatenate([melody_notes(part.argmax(1).astype(np.uint8)) for part in pitched])
    steps, drums = np.nonzero(window[:, : len(DRUMS)])
    return np.stack([steps, steps + 1, drums], 1)


def drum_class(pitches: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """General MIDI's percussion as one of nine `DRUMS`; -1 for what none of them sounds like."""
    table = np.full(128, -1)
    for number, same in enumerate(_DRUM_SETS):
        table[list(same)] = number
    return table[pitches]


def drum_part(steps: npt.NDArray[np.float64], pitches: Notes, velocities: Notes, length: int) -> Drums:
    """Hits at ``steps``, not yet rounded, to bits; of two on one place the louder counts."""
    place, drum = np.rint(steps).astype(np.int64), drum_class(pitches)
    inside = (drum >= 0) & (place >= 0) & (place < length)
    order = np.flatnonzero(inside)[np.argsort(velocities[inside], kind="stable")]
    shape = length, len(DRUMS)
    part = Drums(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.float32))
    where = place[order], drum[order]
    part.bits[where], part.velocity[where] = 1, np.maximum(velocities[order], 1)
    part.timing[where] = (steps - place)[order]
    return part


def drum_hits(part: Drums) -> npt.NDArray[np.float64]:
    """``[N, 3]``: step with its timing, pitch, velocity, in order."""
    place, drum = np.nonzero(part.bits)
    where = place, drum
    return np.stack([place + part.timing[where], np.array(DRUM_PITCHES)[drum], part.velocity[where]], 1, dtype=float)


def played(part: Drums) -> npt.NDArray[np.uint8]:
    """A part in bytes, uint8 ``[T, 27]``: bits, velocities, and timings, of which ``TIMING_ZERO`` is on the grid."""
    timing = np.rint(part.timing * TIMING_STEP + TIMING_ZERO).astype(np.uint8)
    return np.concatenate([part.bits, part.velocity, timing], 1)


def part_of(content: npt.NDArray[np.uint8]) -> Drums:
    """The part that `played` has written, timings to 1/254 of a step."""
    bits, velocity, timing = np.split(content, 3, axis=1)
    return Drums(bits, velocity, ((timing - TIMING_ZERO) / TIMING_STEP * (bits > 0)).astype(np.float32))
