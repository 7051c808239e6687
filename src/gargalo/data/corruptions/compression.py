"""What JPEG loses (ITU-T T.81, 1992), as tensors: how the files pack their numbers loses nothing and is left out."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.data.corruptions.ranges import drawn
from gargalo.registry import corruption

SIDE = 8
# How coarsely each frequency is rounded at quality 50: annex K of the standard.
LUMA = """
16 11 10 16  24  40  51  61    12 12 14 19  26  58  60  55    14 13 16 24  40  57  69  56    14 17 22 29  51  87  80  62
18 22 37 56  68 109 103  77    24 35 55 64  81 104 113  92    49 64 78 87 103 121 120 101    72 92 95 98 112 100 103  99
"""
CHROMA = """
17 18 24 47 99 99 99 99    18 21 26 66 99 99 99 99    24 26 56 99 99 99 99 99    47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99    99 99 99 99 99 99 99 99    99 99 99 99 99 99 99 99    99 99 99 99 99 99 99 99
"""
# Red, green and blue to brightness, blue and red difference: BT.601 over the full range, as JFIF says.
TO_YCC = (0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)
TO_RGB = (1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0)


@corruption
def jpeg(
    target: Tensor, generator: torch.Generator, *, quality: float | str = "20-90", subsample: bool = True
) -> Tensor:
    """What JPEG files of a quality from 1 to 100, a number or a range, leave of pictures.

    ``subsample`` keeps color at half the resolution, as most programs do. The result is cut to [0, 1], in steps of
    1/255.
    """
    if target.dim() != 4 or target.shape[1] not in (1, 3):
        raise ValueError(f"jpeg works on pictures of 1 or 3 channels; this data has shape {tuple(target.shape[1:])}.")
    chosen = drawn("jpeg: quality", quality, target, generator).flatten().round()
    if not bool(((chosen >= 1) & (chosen <= 100)).all()):
        raise ValueError(f"jpeg: quality={quality!r} must lie in [1, 100].")
    pixels = (target.clamp(0, 1) * 255).round()
    if target.shape[1] == 1:
        return _coded(pixels, _table(LUMA, chosen)) / 255
    ycc = (mixed(pixels, TO_YCC) + pixels.new_tensor([0, 128, 128]).view(3, 1, 1)).round().clamp(0, 255)
    luma, color = ycc[:, :1], ycc[:, 1:]
    luma, color = _coded(luma, _table(LUMA, chosen)), _colors(color, _table(CHROMA, chosen), subsample)
    ycc = torch.cat([luma, color - 128], 1)
    return mixed(ycc, TO_RGB).round().clamp(0, 255) / 255


def mixed(x: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Channels ``[N, C, H, W]`` mixed by rows of a matrix: ``[N, D, H, W]``."""
    return torch.einsum("nchw,dc->ndhw", x, x.new_tensor(matrix))


def _colors(color: Tensor, table: Tensor, subsample: bool) -> Tensor:
    if not subsample:
        return _coded(color, table)
    height, width = color.shape[-2:]
    even = F.pad(color, (0, width % 2, 0, height % 2), mode="replicate")
    small = _coded(F.avg_pool2d(even, 2).round(), table)
    return F.interpolate(small, even.shape[-2:], mode="bilinear")[..., :height, :width].round()


def _table(numbers: str, quality: Tensor) -> Tensor:
    """Steps for each row's quality, ``[N, 1, 1, 1, 8, 8]``, by the rule of the Independent JPEG Group."""
    base = quality.new_tensor([float(number) for number in numbers.split()])
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    steps = ((base * percent[:, None] + 50) / 100).floor().clamp(1, 255)
    return steps.view(-1, 1, 1, 1, SIDE, SIDE)


def _coded(plane: Tensor, table: Tensor) -> Tensor:
    """Planes ``[N, C, H, W]`` of 0 to 255 with their frequencies rounded to multiples of ``table``."""
    height, width = plane.shape[-2:]
    padded = F.pad(plane, (0, -width % SIDE, 0, -height % SIDE), mode="replicate") - 128
    blocks = padded.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE)).transpose(3, 4)  # [N, C, h, w, 8, 8]
    wave = _cosines(plane)
    frequencies = ((wave @ blocks @ wave.T) / table).round() * table
    back = (wave.T @ frequencies @ wave).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return (back + 128).round().clamp(0, 255)[..., :height, :width]


def _cosines(like: Tensor) -> Tensor:
    """The orthogonal matrix of the discrete cosine transform, one frequency a row."""
    k = torch.arange(SIDE, device=like.device, dtype=like.dtype)
    wave = (math.pi / SIDE * k[:, None] * (k + 0.5)).cos() * (2 / SIDE) ** 0.5
    wave[0] /= 2**0.5
    return wave
