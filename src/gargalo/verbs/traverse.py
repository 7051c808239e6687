"""traverse, direction: what the numbers of a code mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gargalo.checkpoint import TrainedModel
from gargalo.verbs._arrays import check_label
from gargalo.verbs.latent import decode, embed

SHOWN = 8  # numbers of a code, unless asked for others


def traverse(
    model: TrainedModel,
    image: Any,
    *,
    dims: Sequence[int] | None = None,
    direction: np.ndarray | None = None,
    span: float = 2.0,
    steps: int = 7,
    label: int | None = None,
) -> np.ndarray:
    """One picture ``[*input_shape]`` while its code is changed: ``[rows, steps, *shape]`` of raw values.

    Each row moves one of the numbers ``dims`` (the eight that vary most in the training data, unless given) from
    ``-span`` to ``span`` standard deviations of it; or there is one row, along ``direction`` ``[latent_dim]``, from
    ``-span`` to ``span`` times it. Of an odd number of steps the middle one is the picture itself. Of a model that does
    not know its training data, as one in memory, it is the first eight numbers, by units.
    """
    if steps < 2 or not 0 < span < math.inf:
        raise ValueError(f"steps={steps} must be at least 2 and span={span} greater than 0 and finite.")
    check_label(model, label)
    if not model.net.generative:
        raise ValueError(
            f"The code of a {model.method} is its input seen in detail: there are no single traits to move."
        )
    if dims is not None and direction is not None:
        raise ValueError("dims are numbers of the code, direction a way of its own: give one of them.")
    code = embed(model, np.asarray(image)[None], labels=None if label is None else [label])[0]
    spread = np.ones_like(code) if model.normality is None else model.normality["spread"].numpy()
    if direction is not None:
        if direction.shape != code.shape:
            raise ValueError(f"direction has shape {direction.shape}; this model's codes have {code.shape}.")
        ways = direction[None]
    else:
        chosen = np.argsort(-spread, kind="stable")[:SHOWN] if dims is None else np.asarray(dims)
        if not all(0 <= dim < len(code) for dim in chosen):
            raise ValueError(f"dims={list(chosen)} must lie between 0 and {len(code) - 1}.")
        ways = np.diag(spread)[chosen]
    moves = np.linspace(-span, span, steps, dtype=np.float32)
    codes = code + moves[:, None] * ways[:, None]  # [rows, steps, D]
    count = len(ways) * steps
    shown = decode(
        model, codes.reshape(count, -1).astype(np.float32), labels=None if label is None else [label] * count
    )
    return shown.reshape(len(ways), steps, *shown.shape[1:])


def direction(
    model: TrainedModel, having: Any, lacking: Any, *, having_labels: Any = None, lacking_labels: Any = None
) -> np.ndarray:
    """What makes the difference, ``[latent_dim]``: the mean code of examples that have something minus the mean of
    those that lack it (Larsen et al. 2016)."""
    ends = embed(model, having, labels=having_labels), embed(model, lacking, labels=lacking_labels)
    return ends[0].mean(0) - ends[1].mean(0)
