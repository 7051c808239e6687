"""What lenses, smaller sensors and all of a camera together lose."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.data.corruptions.compression import jpeg
from gargalo.data.corruptions.noise import noise
from gargalo.data.corruptions.ranges import drawn
from gargalo.registry import corruption

REACH, MAX_SIGMA = 4.0, 50.0  # how many sigma of a Gaussian are looked at; pixels


@corruption
def blur(target: Tensor, generator: torch.Generator, *, sigma: float | str = 1.5) -> Tensor:
    """Blurs pictures by a Gaussian of sigma pixels, a number or a range such as 0.5-2; means need no clipping.

    Beyond the border the last pixels go on.
    """
    widths = drawn("blur: sigma", sigma, target, generator)
    if target.dim() != 4 or bool((widths > MAX_SIGMA).any()):
        shape = tuple(target.shape[1:])
        raise ValueError(f"blur: sigma={sigma!r} must be at most {MAX_SIGMA:g}, and data pictures; these are {shape}.")
    radius = math.ceil(REACH * float(widths.max())) if len(widths) else 0
    away = torch.arange(-radius, radius + 1, device=target.device)
    weight = (-0.5 * (away / widths.view(-1, 1).clamp(min=1e-3)).square()).exp()
    weight = (weight / weight.sum(1, keepdim=True)).repeat_interleave(target.shape[1], 0)  # [N * C, K]
    x = F.pad(target, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
    x = F.conv2d(x, weight[:, None, :, None], groups=len(weight))
    x = F.conv2d(x, weight[:, None, None, :], groups=len(weight))
    return x[0].unflatten(0, target.shape[:2])


@corruption
def downscale(
    target: Tensor,
    generator: torch.Generator,
    *,
    factor: int = 2,
    method: Literal["bicubic", "bilinear", "area"] = "bicubic",
) -> Tensor:
    """Shrinks pictures by a whole factor, anti-aliased, cut to [0, 1] and rounded to 8 bits as a file would be."""
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


@corruption
def real_world(
    target: Tensor,
    generator: torch.Generator,
    *,
    factor: int = 1,
    sigma: float | str = "0-1.5",
    std: float | str = "0-0.06",
    quality: float | str = "40-95",
) -> Tensor:
    """What happens to a picture on its way, in this order: blur, a smaller size, noise, JPEG (Wang et al. 2021).

    Each of a strength of its own, from these ranges. The result is cut to [0, 1], in steps of 1/255.
    """
    x = blur(target, generator, sigma=sigma)
    x = x if factor == 1 else downscale(x, generator, factor=factor)
    return jpeg(noise(x, generator, std=std, clip=True), generator, quality=quality)
