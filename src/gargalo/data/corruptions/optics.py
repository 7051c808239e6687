"""What lenses and smaller sensors lose."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.registry import corruption


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
