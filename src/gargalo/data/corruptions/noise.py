"""Noise that a camera or a line adds."""

from __future__ import annotations

import torch
from torch import Tensor

from gargalo.data.corruptions.ranges import drawn
from gargalo.registry import corruption


@corruption
def noise(
    target: Tensor,
    generator: torch.Generator,
    *,
    std: float | str = 0.2,
    mean: float = 0.0,
    per_channel: bool = False,
    told: float = 0.0,
    clip: bool = True,
) -> Tensor:
    """Adds Gaussian noise; clip cuts the result to [0, 1], the same in training and in use.

    ``std`` is a number or a range such as ``0-0.2``, from which every picture, or every channel of it, draws its own.
    With ``told``, a channel is added to the picture (``per_channel``, one for each) that says the std, to such a share
    of the pictures; to the others it says 0, which means that they have to see for themselves.
    """
    levels = target.shape[1] if per_channel else 1
    level = drawn("noise: std", std, target, generator, levels)
    noisy = target + mean + level * torch.randn(target.shape, generator=generator, device=target.device)
    noisy = noisy.clamp(0, 1) if clip else noisy
    if not told:
        return noisy
    if not 0 < told <= 1 or target.dim() != 4:
        raise ValueError(f"noise: told={told} must lie in [0, 1], and 0 where the data are no pictures.")
    said = torch.rand(len(target), 1, 1, 1, generator=generator, device=target.device) < told
    return torch.cat([noisy, (level * said).expand(-1, -1, *target.shape[2:])], 1)
