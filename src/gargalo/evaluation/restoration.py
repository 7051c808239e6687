"""How papers on denoising and super-resolution measure: PSNR and SSIM of brightness, borders left out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo import functional as f

LUMA = 65.481 / 255, 128.553 / 255, 24.966 / 255  # of BT.601, from 16 to 235 of 255
BLACK = 16 / 255


def luma(pictures: Tensor) -> Tensor:
    """Y of BT.601 as televisions and MATLAB's rgb2ycbcr have it: ``[N, 3, H, W]`` in [0, 1] to ``[N, 1, H, W]``.

    Gray pictures are their own.
    """
    if pictures.shape[1] == 1:
        return pictures
    return BLACK + (pictures * pictures.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def eight_bit(pictures: Tensor) -> Tensor:
    """Values in [0, 1] as a file of 8 bits would keep them."""
    return (pictures.clamp(0, 1) * 255).round() / 255


def resized(pictures: Tensor, size: tuple[int, int], method: str = "bicubic") -> Tensor:
    """Pictures ``[N, C, H, W]`` of another size, rounded to 8 bits.

    Bicubic as MATLAB's imresize has it: a = -1/2, anti-aliased where a picture gets smaller.
    """
    return eight_bit(F.interpolate(pictures, size, mode=method, antialias=True))


def figures(outputs: Tensor, targets: Tensor, *, border: int = 0, brightness: bool = False) -> dict[str, float]:
    """PSNR in decibels and SSIM (Wang et al. 2004), means over pictures ``[N, C, H, W]`` in [0, 1], rounded to 8 bits.

    For super-resolution ``brightness`` and a ``border`` as wide as the scale are usual, for noise all channels and
    no border.
    """
    x, y = eight_bit(outputs), eight_bit(targets)
    if brightness:
        x, y = luma(x), luma(y)
    if border:
        x, y = x[..., border:-border, border:-border], y[..., border:-border, border:-border]
    psnr, ssim = f.psnr(f.mean_squared_error(x, y)), f.ssim(x, y)
    return {"psnr": float(psnr.mean()), "ssim": float(ssim.mean())}


def noisy(target: Tensor, sigma: float, seed: int) -> Tensor:
    """One picture with Gaussian noise of ``sigma`` of 255, not clipped: the same for the same seed."""
    drawn = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    return target + sigma / 255 * drawn


def shrunk(target: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Pictures with sides that a scale divides, cut where needed, and the same reduced to one in ``scale``."""
    height, width = (side // scale * scale for side in target.shape[-2:])
    whole = target[..., :height, :width]
    return whole, resized(whole, (height // scale, width // scale))
