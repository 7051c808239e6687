"""Corruptions make the task: a rule for the input from the target, fresh at every draw.

They work on the model's values, a whole batch at a time: pixels in [0, 1] ``[N, C, H, W]``, vectors ``[N, D]``, series
``[N, T, C]``, tokens ``[N, T]`` in, input out.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.registry import corruption
from gargalo.spec import DataSpec


@corruption
def none(target: Tensor, generator: torch.Generator) -> Tensor:
    """The input is the target."""
    return target


@corruption
def noise(
    target: Tensor, generator: torch.Generator, *, std: float = 0.2, mean: float = 0.0, clip: bool = True
) -> Tensor:
    """Adds Gaussian noise; clip cuts pixels to [0, 1], the same in training and in use."""
    if not target.is_floating_point():
        raise ValueError("noise adds to amounts; these data are tokens. Take patches, which hides some of them.")
    if std < 0:
        raise ValueError(f"noise: std={std} must be at least 0.")
    drawn = torch.randn(target.shape, generator=generator, device=target.device)
    noisy = target + mean + std * drawn
    return noisy.clamp(0, 1) if clip and target.dim() == 4 else noisy


@corruption
def patches(target: Tensor, generator: torch.Generator | None, *, share: float = 0.6, size: int = 4) -> Tensor:
    """Hides about a ``share`` of each picture's squares of ``size`` pixels, of a series' runs of as many steps, or of a
    vector's entries or single tokens: they are 0."""
    if not 0 <= share < 1 or size < 1:
        raise ValueError(f"patches: share={share} must lie in [0, 1) and size={size} be at least 1.")
    shape = target.shape[1:]
    block = {3: (shape[0], size, size), 2: (size, shape[-1])}.get(len(shape), (1,))
    grid = [-(-side // length) for side, length in zip(shape, block, strict=True)]
    hidden = torch.rand(len(target), *grid, generator=generator, device=target.device) < share
    for axis, length in enumerate(block, start=1):
        hidden = hidden.repeat_interleave(length, axis).narrow(axis, 0, shape[axis - 1])
    return target.masked_fill(hidden, 0)


@corruption
def downscale(
    target: Tensor,
    generator: torch.Generator,
    *,
    factor: int = 2,
    method: Literal["bicubic", "bilinear", "area"] = "bicubic",
) -> Tensor:
    """Shrinks pictures by a whole factor, anti-aliased, rounded to 8 bits as a file would be."""
    if target.dim() != 4:
        raise ValueError(f"downscale works on pictures; this data has shape {tuple(target.shape[1:])}.")
    size = [side // factor for side in target.shape[-2:]] if factor >= 1 else [0]
    if min(size) < 1:
        raise ValueError(f"downscale: factor={factor} must lie between 1 and {min(target.shape[-2:])}.")
    if method == "area":
        small = F.interpolate(target, size, mode="area")
    else:
        small = F.interpolate(target, size, mode=method, antialias=True)
    return (small.clamp(0, 1) * 255).round() / 255


@torch.no_grad()
def corrupted_shape(rule: str, spec: DataSpec) -> tuple[int, ...]:
    """The shape of an input. ValueError for a rule that does not suit such data."""
    nothing = spec.scaled(torch.zeros(1, *spec.shape))
    return tuple(corruption.select(rule)(nothing, torch.Generator()).shape[1:])
