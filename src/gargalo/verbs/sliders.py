"""Sliders: what can be heard of a melody, moved one by one through the latent space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gargalo.checkpoint import TrainedModel
from gargalo.data import open_source
from gargalo.data.music import pieces
from gargalo.data.music.analysis import key_number, key_of
from gargalo.data.music.attributes import ATTRIBUTES, table
from gargalo.data.music.song import Song
from gargalo.data.music.vocabulary import FIRST
from gargalo.errors import check_range
from gargalo.verbs.latent import embed
from gargalo.verbs.songs import Windows, played, taken

FITTED = 10_000  # windows
RIDGE = 0.02  # of the mean variance of codes
ROUNDS, STEP = 6, 0.6  # looks at what was decoded, and the share of what is amiss that each puts right
SMALLEST = 1e-6
MAX_STEPS = 1000

Codes = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sliders:
    """For each of `ATTRIBUTES` a ``direction`` ``[5, D]`` that changes it by its ``deviation`` ``[5]`` in the training
    data, and the others, as far as they follow from codes in a straight line, by nothing. ``root`` is of the key."""

    model: TrainedModel
    directions: Codes
    deviations: npt.NDArray[np.float64]
    root: int

    def measured(self, windows: Windows) -> npt.NDArray[np.float64]:
        """``[N, 5]``, in deviations."""
        return table(windows, self.root) / self.deviations

    def moved(self, codes: Codes, attribute: int, amount: float) -> Windows:
        """Windows of codes ``[N, D]`` with one attribute changed by so many deviations.

        Codes follow the direction, then what is decoded is measured, and what is amiss of any attribute is put right
        along its own; of all that was tried the best is kept.
        """
        best = played(self.model, codes)
        if not amount:
            return best
        goal = self.measured(best)
        goal[:, attribute] += amount
        codes = codes + np.float32(amount) * self.directions[attribute]
        lowest = np.full(len(codes), np.inf)
        for _ in range(ROUNDS):
            found = played(self.model, codes)
            amiss = goal - self.measured(found)
            better = (distance := np.square(amiss).sum(1)) < lowest
            best, lowest = np.where(better[:, None], found, best), np.where(better, distance, lowest)
            codes = codes + np.float32(STEP) * amiss.astype(np.float32) @ self.directions
        return best


def sliders(model: TrainedModel, root: int = 0) -> Sliders:
    """Fitted by least squares to codes and attributes of training windows, for keys with the tones of a major one."""
    source = open_source(model.config["data"])
    rows = source.indices("train")
    windows = source.gather(rows[:: -(-len(rows) // FITTED)]).target.numpy().astype(np.uint8)
    known, codes = table(windows, root), embed(model, windows).astype(np.float64)
    deviations = known.std(0).clip(min=SMALLEST)
    known, codes = (known - known.mean(0)) / deviations, codes - codes.mean(0)
    own = codes.T @ codes / len(codes)
    both = codes.T @ known / len(codes)  # [D, 5]
    weight = np.linalg.solve(own + RIDGE * np.trace(own) / len(own) * np.eye(len(own)), both)
    # Of the moves that change one attribute by 1 and no other, in a straight line, the one that codes make most easily.
    directions = np.linalg.solve(both.T @ weight, both.T)
    return Sliders(model, directions.astype(np.float32), deviations, root)


def traverse_song(
    model: TrainedModel, song: Song, attribute: str, *, span: float = 2.0, steps: int = 7, force: bool = False
) -> list[Song]:
    """A whole song ``steps`` times, with one attribute of its melody from ``-span`` to ``span`` deviations away from
    what it was: density, range, interval, syncopation or in_key. The others stay nearly what they were.

    ``steps=1`` is the far end alone: so much more, or less where ``span`` is negative. A deviation is that of windows
    in the training data. The key is the song's own.
    """
    name = attribute.replace("-", "_")
    if name not in ATTRIBUTES:
        raise ValueError(f"attribute={attribute!r} must be one of {', '.join(ATTRIBUTES)}.")
    check_range("steps", steps, 1, MAX_STEPS)
    if span == 0 or not np.isfinite(span):
        raise ValueError(f"span={span} must be a number other than 0.")
    apart = taken(model, song, force)
    if apart.windows.ndim != 2:
        raise ValueError(f"{attribute} is of melodies; this model plays drums.")
    root, minor = key_number(key_of(song.tracks[apart.track].notes))
    found = sliders(model, (root + 3 * minor) % 12)
    codes = embed(model, apart.windows)
    plays = (apart.windows >= FIRST).any(1)[:, None]  # silence stays silent
    made: list[Song] = []
    for amount in [span] if steps == 1 else np.linspace(-span, span, steps).round(9):
        moved = found.moved(codes, list(ATTRIBUTES).index(name), float(amount))
        made.append(pieces.with_windows(apart, np.where(plays, moved, apart.windows)))
    return made
