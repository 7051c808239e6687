"""What can be heard of a melody, in numbers: pure functions of windows of tokens ``[N, T]``, float64 ``[N]``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gargalo.data.music.vocabulary import FIRST, LOWEST, Tokens

MAJOR = (0, 2, 4, 5, 7, 9, 11)
LEVELS = 4  # of the metre: sixteenths, eighths, quarters, halves, and the bar above them

Numbers = npt.NDArray[np.float64]


def density(windows: Tokens) -> Numbers:
    """The share of steps at which a note begins."""
    return (windows >= FIRST).mean(1)


def pitch_range(windows: Tokens) -> Numbers:
    """Semitones from the lowest to the highest note; 0 without notes."""
    notes = windows >= FIRST
    low = np.where(notes, windows, 255).min(1).astype(np.float64)
    return np.where(notes.any(1), np.where(notes, windows, 0).max(1) - low, 0.0)


def mean_interval(windows: Tokens) -> Numbers:
    """Semitones from each note to the next, up or down, on average; 0 with fewer than two."""
    total, count, last = (np.zeros(len(windows)) for _ in range(3))
    for column in windows.T.astype(np.float64):
        begins = column >= FIRST
        both = begins & (last > 0)
        total += np.where(both, np.abs(column - last), 0)
        count += both
        last = np.where(begins, column, last)
    return total / np.maximum(count, 1)


def syncopation(windows: Tokens) -> Numbers:
    """By how many levels of the metre the strongest step that a note leaves empty behind itself, before the next one
    begins, is stronger than its own; the mean over notes (after Longuet-Higgins and Lee 1984).

    Steps are sixteenths from the beginning of a bar of 4/4, or of what else has as many.
    """
    steps = windows.shape[1]
    strength = [next((n for n in range(LEVELS) if step >> n & 1), LEVELS) for step in range(steps)]
    total, count, later = (np.zeros(len(windows)) for _ in range(3))
    for step in reversed(range(steps)):
        begins = windows[:, step] >= FIRST
        total += np.where(begins, np.maximum(later - strength[step], 0), 0)
        count += begins
        later = np.where(begins, 0, np.maximum(later, strength[step]))
    return total / np.maximum(count, 1)


def in_key(windows: Tokens, root: int = 0) -> Numbers:
    """The share of notes on the seven tones of the major scale on pitch class ``root``; 1 without notes."""
    notes = windows >= FIRST
    inside = np.isin((windows.astype(np.int64) - FIRST + LOWEST - root) % 12, MAJOR)
    return np.where(notes.any(1), (notes & inside).sum(1) / np.maximum(notes.sum(1), 1), 1.0)


ATTRIBUTES: dict[str, Callable[[Tokens], Numbers]] = {
    "density": density,
    "range": pitch_range,
    "interval": mean_interval,
    "syncopation": syncopation,
    "in_key": in_key,
}


def table(windows: Tokens, root: int = 0) -> Numbers:
    """All `ATTRIBUTES` of each window, ``[N, 5]``; ``root`` is of the scale that `in_key` asks for."""
    return np.stack(
        [in_key(windows, root) if name == "in_key" else measure(windows) for name, measure in ATTRIBUTES.items()], 1
    )
