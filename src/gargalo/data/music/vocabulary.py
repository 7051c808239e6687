"""Notes on a grid to what models learn, and back: melody tokens, drum bits, chord classes.

A melody is one token a step: ``HOLD`` goes on with what sounds, or with silence; ``OFF`` ends it; 2 to 89 begin
the pitches 21 to 108 (Roberts et al. 2018). A piece that begins in silence begins with ``OFF``; one that is cut
out of a tune begins with ``HOLD`` where a note goes on, so pieces join without loss.
Notes on a grid are int64 ``[N, 4]``: first step, step after the last, pitch, velocity.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOLD, OFF, FIRST = 0, 1, 2
LOWEST, HIGHEST = 21, 108  # the piano's
VOCABULARY = FIRST + HIGHEST - LOWEST + 1

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

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "dim": (0, 3, 6)}
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
CHORDS = 1 + len(ROOTS) * len(QUALITIES)  # 0 is none
_SYMBOL = re.compile(r"([A-G])([#b]?):?((?:min|maj|dim|hdim|aug|sus|add|[mMo]|[0-9#b+(),-])*)(?:/[A-G0-9][#b]?)?")
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


TIMING_ZERO, TIMING_STEP = 128.0, 254.0  # the byte of a hit on the grid; how many make a step


class Drums(NamedTuple):
    """A drum part on a grid: bits uint8 ``[T, 9]``; where they are set, velocity uint8 1 to 127, and timing float32
    in steps, from -.5 early to .5 late."""

    bits: npt.NDArray[np.uint8]
    velocity: npt.NDArray[np.uint8]
    timing: npt.NDArray[np.float32]


def skyline(notes: Notes) -> Notes:
    """One note at a time: the highest of those that begin together, each cut off by the next."""
    kept = notes[skyline_rows(notes)]
    kept[:-1, 1] = np.minimum(kept[:-1, 1], kept[1:, 0])
    return kept


def skyline_rows(notes: Notes) -> npt.NDArray[np.int64]:
    """The rows of ``notes`` that are its `skyline`, by their start."""
    order = np.lexsort((-notes[:, 2], notes[:, 0]))
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


def chord_number(symbol: str) -> int:
    """The class of a symbol such as ``Am``, ``F#7``, ``Bbmaj7`` or ``G/B``; 0 for what is none."""
    match = _SYMBOL.fullmatch(symbol.strip())
    if match is None:
        return 0
    root = (_NATURAL[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12
    kind = match[3].lower()
    if kind.startswith(("dim", "o", "hdim")) or "b5" in kind:
        quality = 3
    elif (kind.startswith(("m", "-")) and not kind.startswith("maj")) and match[3][:1] != "M":
        quality = 1
    else:
        quality = 2 if kind.startswith(("7", "9", "11", "13")) else 0
    return 1 + root * len(QUALITIES) + quality


def chord_name(number: int) -> str:
    """``"N"`` for none, else a symbol that `chord_number` reads."""
    root, quality = divmod(number - 1, len(QUALITIES))
    return "N" if number == 0 else ROOTS[root] + list(QUALITIES)[quality]


def chord_of(pitches: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> int:
    """The class that explains the most of what sounds: weight on its tones less weight beside them.

    The lowest pitch counts twice: it is the root more often than not. 0 where fewer than two pitch classes sound.
    """
    if len(np.unique(pitches % 12)) < 2:
        return 0
    heard: npt.NDArray[np.float64] = np.bincount(pitches % 12, weights, 12).astype(np.float64)
    heard[pitches[pitches.argmin()] % 12] += weights.max()
    score = np.array([[_explained(heard, root, tones) for tones in QUALITIES.values()] for root in range(12)])
    return 1 + int(score.argmax())


def _explained(heard: npt.NDArray[np.float64], root: int, tones: tuple[int, ...]) -> float:
    inside = heard[[(root + tone) % 12 for tone in tones]]
    return 2 * inside.sum() - heard.sum() + 0.5 * heard[root] - (inside == 0).sum() * heard.mean()
