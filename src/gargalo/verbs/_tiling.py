"""Pictures of any size, piece by piece: what comes out is what the whole at once would give, in little memory.

A piece is read with a margin as wide as the network looks, restored, and its own part kept. So there is nothing to
blend: neighbors agree where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_REACH = 512  # pixels
PROBED = 64

Restorer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Piece:
    """Where to read, what of the result to keep, and where that belongs; rows and columns each."""

    read: tuple[slice, slice]
    keep: tuple[slice, slice]
    write: tuple[slice, slice]


def pieces(height: int, width: int, side: int, margin: int, scale: int) -> Iterator[Piece]:
    """Pieces of ``side`` pixels that cover a picture, with ``margin`` around each, for results ``scale`` times as
    large."""
    for rows in _spans(height, side, margin, scale):
        for columns in _spans(width, side, margin, scale):
            yield Piece(*zip(rows, columns, strict=True))


def _spans(length: int, side: int, margin: int, scale: int) -> Iterator[tuple[slice, slice, slice]]:
    for start in range(0, length, side):
        stop = min(start + side, length)
        low, high = max(0, start - margin), min(length, stop + margin)
        keep = slice(scale * (start - low), scale * (stop - low))
        yield slice(low, high), keep, slice(scale * start, scale * stop)


def padded(x: Tensor, step: int) -> Tensor:
    """``[N, C, H, W]`` with sides that ``step`` divides, continued by the last pixels."""
    down, across = -x.shape[-2] % step, -x.shape[-1] % step
    return torch.nn.functional.pad(x, (0, across, 0, down), mode="replicate") if down or across else x


def turned(restore: Restorer, quarters: Sequence[int]) -> Restorer:
    """The mean over ways to lay a picture down, turned by such ``quarters`` of a circle, mirrored or not: with all four
    there are eight (Timofte et al. 2016)."""

    def mean(x: Tensor) -> Tensor:
        total = 0.0
        for mirrored in (False, True):
            for turns in quarters:
                seen = (x.flip(-1) if mirrored else x).rot90(turns, (2, 3))
                back = restore(seen.contiguous()).rot90(-turns, (2, 3))
                total = total + (back.flip(-1) if mirrored else back)
        return total / (2 * len(quarters))  # type: ignore[operator]

    return mean


def reach(restore: Restorer, channels: int, step: int, scale: int) -> int | None:
    """How far a network looks: the pixels beside a block of ``step`` on which what becomes of it depends.

    Found by the gradient of a block in the middle of a strip of noise, as networks look as far down as across; None
    where that is farther than `MAX_REACH`.
    """
    side = -(-PROBED // step) * step
    while side <= 2 * MAX_REACH + step:
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(1, channels, 2 * step, side, generator=generator).requires_grad_()
        start = side // 2 // step * step
        with torch.enable_grad():
            y = restore(x)[..., scale * start : scale * (start + step)]
            (y * torch.randn(y.shape, generator=generator)).sum().backward()
        assert x.grad is not None
        felt = torch.nonzero(x.grad.abs().sum((0, 1, 2))).flatten().tolist()
        if felt[0] > 0 and felt[-1] < side - 1:
            return max(start - felt[0], felt[-1] - (start + step - 1), 0)
        side *= 2
    return None
