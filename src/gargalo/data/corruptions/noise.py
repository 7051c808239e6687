"""Noise that a camera or a line adds."""

from __future__ import annotations

import torch
from torch import Tensor

from gargalo.data.corruptions.ranges import drawn
from gargalo.errors import check_share
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
    clip: bool | float = True,
) -> Tensor:
    """Adds Gaussian noise; clip cuts pixels to [0, 1], the same in training and in use, or of such a share of pictures.

    ``std`` is a number or a range such as ``0-0.2``, from which every picture, or every channel of it, draws its own.
    With ``told``, a channel is added to the picture (``per_channel``, one for each) that says the std, to such a share
    of the pictures; to the others it says 0, which means that they have to see for themselves.
    """
    if not target.is_floating_point():
        raise ValueError("noise adds to amounts; these data are tokens. Take patches, which hides some of them.")
    levels = target.shape[1] if per_channel else 1
    level = drawn("noise: std", std, target, generator, levels)
    noisy = target + mean + level * torch.randn(target.shape, generator=generator, device=target.device)
    if clip and target.dim() == 4:
        noisy = _cut(noisy, float(clip), generator)
    if not told:
        return noisy
    if not 0 < told <= 1 or target.dim() != 4:
        raise ValueError(f"noise: told={told} must lie in [0, 1], and 0 where the data are no pictures.")
    said = torch.rand(len(target), 1, 1, 1, generator=generator, device=target.device) < told
    return torch.cat([noisy, (level * said).expand(-1, -1, *target.shape[2:])], 1)


def _cut(noisy: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """With pixels in [0, 1]: all pictures, or such a share of them."""
    if share == 1:
        return noisy.clamp(0, 1)
    check_share("noise: clip", share)
    chosen = torch.rand(len(noisy), 1, 1, 1, generator=generator, device=noisy.device) < share
    return torch.where(chosen, noisy.clamp(0, 1), noisy)


@corruption
def poisson(target: Tensor, generator: torch.Generator, *, peak: float | str = 30.0, clip: bool = True) -> Tensor:
    """Counts of photons, so many at the peak, brightness 1: noise that grows with brightness; clip cuts to [0, 1].

    ``peak`` is a number or a range such as ``10-100``.
    """
    counts = _positive("poisson: peak", peak, target, generator)
    noisy = torch.poisson(target.clamp(min=0) * counts, generator) / counts
    return noisy.clamp(0, 1) if clip else noisy


@corruption
def poisson_gaussian(
    target: Tensor,
    generator: torch.Generator,
    *,
    peak: float | str = 100.0,
    std: float | str = 0.02,
    clip: bool = True,
) -> Tensor:
    """A sensor: counts of photons, and Gaussian noise when they are read (Foi et al. 2008); clip cuts to [0, 1]."""
    return noise(poisson(target, generator, peak=peak, clip=False), generator, std=std, clip=clip)


@corruption
def salt_pepper(target: Tensor, generator: torch.Generator, *, share: float | str = 0.1) -> Tensor:
    """A share of the pixels is lost, and white or black in all channels instead. It does not clip."""
    lost = drawn("salt_pepper: share", share, target, generator)
    if bool((lost > 1).any()):
        raise ValueError(f"salt_pepper: share={share!r} must lie in [0, 1].")
    pixels = (len(target), 1, *target.shape[2:]) if target.dim() == 4 else target.shape
    chance = torch.rand(pixels, generator=generator, device=target.device)
    return torch.where(chance < lost / 2, 0.0, torch.where(chance < lost, 1.0, target))


@corruption
def speckle(target: Tensor, generator: torch.Generator, *, std: float | str = 0.2, clip: bool = True) -> Tensor:
    """Noise in proportion to brightness, as of radar and ultrasound: x + x n, n of that std; clip cuts to [0, 1]."""
    level = drawn("speckle: std", std, target, generator)
    noisy = target * (1 + level * torch.randn(target.shape, generator=generator, device=target.device))
    return noisy.clamp(0, 1) if clip else noisy


def _positive(name: str, given: float | str, target: Tensor, generator: torch.Generator) -> Tensor:
    found = drawn(name, given, target, generator)
    if not bool((found > 0).all()):
        raise ValueError(f"{name}={given!r} must be greater than 0.")
    return found
