"""score, heat_map: what does not belong, and where; and the warning that what comes in is unlike the training data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gargalo.checkpoint import TrainedModel
from gargalo.errors import OutOfDomainWarning
from gargalo.evaluation import normality
from gargalo.evaluation.normality import QUESTIONS, QUICK, Normality
from gargalo.model import Batch
from gargalo.verbs._arrays import as_array, corrupted, in_batches, labels_for, model_values

LOOKED_AT = 64  # rows, before a warning
SHARE, CHANCE = 0.2, 1e-3  # of rows outside, and the p-value of all together


@dataclass(frozen=True, eq=False)
class Scores:
    """How strange examples are, one entry each.

    ``p_value``: of normal examples, no more than this share would look as strange. Whoever flags all up to 0.01
    gives a false alarm for one normal example in a hundred. ``strangeness`` is what examples are ordered by, in
    standard deviations of held-out examples; ``reason`` says which question made it: "shape" (edges), "likeness"
    (no similar example), "code" or "reconstruction". Of ``held_out`` examples no p-value is below
    1 / (``held_out`` + 1).
    """

    p_value: np.ndarray
    strangeness: np.ndarray
    reason: tuple[str, ...]
    held_out: int


def score(model: TrainedModel, images: Any, *, labels: Any = None, seed: int = 0) -> Scores:
    """How strange examples ``[N, *shape]`` are beside those the model was trained on, calibrated on held-out ones.

    ``seed`` is of the noise that a model trained with a corruption sees.
    """
    model = model.on_cpu
    known = normality.of(model)

    def ask(a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
        return known.answers(model, Batch(a, b, c))

    answers = in_batches(ask, *_pairs(model, images, labels, seed))
    reasons = tuple(QUESTIONS[number] for number in answers.argmax(1).tolist())
    return Scores(as_array(known.p_values(answers)), as_array(answers.amax(1)), reasons, len(known.held_out))


def heat_map(model: TrainedModel, images: Any, *, labels: Any = None, seed: int = 0) -> np.ndarray:
    """Where examples are strange: ``[N, H, W]`` of pictures, else ``[N, *shape]``.

    What the model cannot explain at each place, in standard deviations of what held-out examples leave there.
    """
    model = model.on_cpu
    known = normality.of(model)

    def places(a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
        return normality.heat(model.net, known, Batch(a, b, c))

    return as_array(in_batches(places, *_pairs(model, images, labels, seed)))


def _pairs(model: TrainedModel, images: Any, labels: Any, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
    x = model_values(model, images)
    return corrupted(model, x, seed), x, labels_for(model, labels, len(x))


def warn_if_unlike(model: TrainedModel, inputs: Tensor, condition: Tensor | None, whole: str = "") -> None:
    """An OutOfDomainWarning where inputs, as the encoder sees them, are unlike those of the training.

    Some rows are looked at. A fifth of them must be such as one in a hundred normal ones is, and all together
    unlikelier than one set of normal rows in a thousand (by Fisher's sum of logarithms). A few rows cannot be that
    unlikely where few examples were held out: for them a fifth must be stranger, by a deviation, than the strangest of
    those, and than three. ``whole`` names what all rows are parts of, where they are.
    """
    if model.normality is None:
        return
    rows = torch.linspace(0, len(inputs) - 1, min(LOOKED_AT, len(inputs))).long()
    batch = Batch(inputs[rows], inputs[rows], None if condition is None else condition[rows])
    known = Normality(**model.normality)
    answers = known.answers(model.on_cpu, batch, QUICK)
    p = known.p_values(answers)
    share = float(known.outside(p).float().mean())
    by_chance = torch.special.gammaincc(torch.tensor(float(len(p)), dtype=p.dtype), -p.log().sum())
    if share >= SHARE and (by_chance < CHANCE or float(known.beyond(answers).float().mean()) >= SHARE):
        what = "This picture is" if len(p) == 1 else f"{share:.0%} of these examples are"
        what = f"{share:.0%} of {whole} is" if whole else what
        warnings.warn(
            f"{what} outside what this model has seen ({model.config['data']}); do not trust what comes out.",
            OutOfDomainWarning,
            stacklevel=3,
        )
