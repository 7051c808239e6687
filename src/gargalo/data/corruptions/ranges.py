"""Strengths: one number for all, or one for each picture, drawn from a range."""

from __future__ import annotations

import re

import torch
from torch import Tensor

_MOST = 1e30
_NUMBER = r"\d*\.?\d+(?:e[+-]?\d+)?"
_RANGE = re.compile(f"({_NUMBER})(?:-({_NUMBER}))?", re.IGNORECASE)


def limits(name: str, given: float | str) -> tuple[float, float]:
    """A number twice, or the ends of a range. ValueError for what is neither, negative, or too large for float32."""
    found = _RANGE.fullmatch(str(given))
    low, high = (float(found[1]), float(found[2] or found[1])) if found else (-1.0, -1.0)
    if not 0 <= low <= high <= _MOST:
        raise ValueError(f"{name}={given!r} must be at least 0 and at most {_MOST:g}, or a range such as 0-0.2.")
    return low, high


def drawn(name: str, given: float | str, target: Tensor, generator: torch.Generator, channels: int = 1) -> Tensor:
    """A number, or for each row one from a range such as ``"0-0.2"``: ``[N, channels, 1, ...]``.

    ValueError as `limits`.
    """
    low, high = limits(name, given)
    shape = (len(target), channels, *(1,) * (target.dim() - 2))
    if low == high:
        return target.new_full(shape, low)
    return low + (high - low) * torch.rand(shape, generator=generator, device=target.device)
