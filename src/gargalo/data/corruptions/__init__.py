"""Corruptions make the task: a rule for the input from the target, fresh at every draw.

They work on the model's values, a whole batch at a time: pixels in [0, 1] ``[N, C, H, W]``, vectors ``[N, D]``, series
``[N, T, C]``, tokens ``[N, T]`` in, input out. All chance comes from the generator that is given. Each says whether it
cuts its result to [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from gargalo.data.corruptions import beats, compression, holes, noise, optics
from gargalo.registry import corruption
from gargalo.spec import DataSpec

__all__ = [
    "beats",
    "compression",
    "corrupted_shape",
    "holes",
    "noise",
    "optics",
]  # imported so that their names register


@corruption
def none(target: Tensor, generator: torch.Generator) -> Tensor:
    """The input is the target."""
    return target


@torch.no_grad()
def corrupted_shape(rule: str, spec: DataSpec) -> tuple[int, ...]:
    """The shape of an input. ValueError for a rule that does not suit such data."""
    nothing = spec.scaled(torch.zeros(1, *spec.input_shape))
    return tuple(corruption.select(rule)(nothing, torch.Generator()).shape[1:])
