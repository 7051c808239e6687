"""Parts of a picture that are not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gargalo.data.corruptions.ranges import drawn
from gargalo.data.images import fit_image, read_image
from gargalo.registry import corruption

BLOCKS, STROKES, JOINTS = 4, 3, 4  # in a picture; straight pieces of a stroke


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
def mask(
    target: Tensor,
    generator: torch.Generator,
    *,
    kind: Literal["mixed", "blocks", "strokes"] = "mixed",
    share: float | str = "0.05-0.4",
    file: str = "",
) -> Tensor:
    """Hides parts, which are 0, and adds a channel that is 1 where something is hidden. It does not clip.

    A ``share`` of each picture is hidden by rectangles, less where they overlap; by strokes of a broad pen about half
    as much, as these cross and leave the picture; or by one or the other. Or always what is white, and not transparent,
    in the picture ``file``, which is cut to the middle if it is larger.
    """
    if target.dim() != 4:
        raise ValueError(f"mask works on pictures; this data has shape {tuple(target.shape[1:])}.")
    size = target.shape[2], target.shape[3]
    if file:
        hidden = _given(file, size).to(target.device).expand(len(target), -1, -1, -1)
    else:
        area = drawn("mask: share", share, target, generator).flatten(1)
        if bool((area > 1).any()):
            raise ValueError(f"mask: share={share!r} must lie in [0, 1].")
        hidden = _blocks(size, area, generator) if kind != "strokes" else _strokes(size, area, generator)
        if kind == "mixed":
            pen = torch.rand(len(target), 1, 1, 1, generator=generator, device=target.device) < 0.5
            hidden = torch.where(pen, _strokes(size, area, generator), hidden)
    return torch.cat([target.masked_fill(hidden, 0), hidden.to(target.dtype)], 1)


def _axes(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """The middles of pixels down and across, in units of the geometric mean of the sides: ``[H, 1]`` and ``[W]``."""
    unit = (size[0] * size[1]) ** 0.5
    down, across = ((torch.arange(side, device=like.device) + 0.5) / unit for side in size)
    return down[:, None], across


def _blocks(size: tuple[int, int], area: Tensor, generator: torch.Generator) -> Tensor:
    """Rectangles, up to four times as long as wide, ``[N, 1, H, W]``."""
    down, across = _axes(size, area)
    hidden = torch.zeros(len(area), *size, dtype=torch.bool, device=area.device)
    for _ in range(BLOCKS):
        y, x, shape = torch.rand(3, len(area), 1, 1, generator=generator, device=area.device)
        side, ratio = (area[..., None] / BLOCKS).sqrt(), 2 ** (2 * shape - 1)
        high, wide = side * ratio, side / ratio
        top, left = y * (down[-1] - high).clamp(min=0), x * (across[-1] - wide).clamp(min=0)
        hidden |= (down >= top) & (down < top + high) & (across >= left) & (across < left + wide)
    return hidden[:, None]


def _strokes(size: tuple[int, int], area: Tensor, generator: torch.Generator) -> Tensor:
    """Bent lines with round ends, ``[N, 1, H, W]``."""
    down, across = _axes(size, area)
    hidden = torch.zeros(len(area), *size, dtype=torch.bool, device=area.device)
    length = 0.25  # of each piece
    width = (area / (STROKES * JOINTS * length))[..., None]
    for _ in range(STROKES):
        start = torch.rand(2, len(area), 1, 1, generator=generator, device=area.device)
        y, x = start[0] * down[-1], start[1] * across[-1]
        turn = 2 * torch.pi * torch.rand(len(area), 1, 1, generator=generator, device=area.device)
        for _ in range(JOINTS):
            turn = turn + torch.randn(len(area), 1, 1, generator=generator, device=area.device)
            dy, dx = turn.sin(), turn.cos()
            along = ((down - y) * dy + (across - x) * dx).clamp(min=torch.zeros_like(y), max=torch.full_like(y, length))
            hidden |= (down - y - along * dy).square() + (across - x - along * dx).square() < (width / 2).square()
            y, x = y + length * dy, x + length * dx
    return hidden[:, None]


@cache
def _given(file: str, size: tuple[int, int]) -> Tensor:
    pixels = read_image(Path(file).expanduser())
    if pixels.shape[0] < size[0] or pixels.shape[1] < size[1]:
        raise ValueError(
            f"mask: {file} has {pixels.shape[1]}x{pixels.shape[0]} pixels; {size[1]}x{size[0]} are needed."
        )
    hidden = marked(pixels)[..., None].astype(np.uint8)
    return torch.from_numpy(fit_image(hidden, (1, *size), "cut") > 0)[None]


def marked(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """What a mask ``[H, W, C]`` of uint8, uint16 or floats hides, ``[H, W]``: where it is brighter than half of its
    range and, if it has alpha, opaque by more than half. Of nothing but 0 and 1, 1 is the whole range."""
    hidden = np.ones(mask.shape[:2], bool)
    for part in np.split(mask, [1 if mask.shape[2] < 3 else 3], axis=2):
        if part.size:
            top = 1 if part.dtype.kind == "f" or part.max() == 1 else np.iinfo(part.dtype).max
            hidden &= part.mean(2) > top / 2
    return hidden
