"""What is left of a drum part: its hits without how they were played, or its rhythm alone."""

from __future__ import annotations

import torch
from torch import Tensor

from gargalo.data.music.vocabulary import DRUMS
from gargalo.registry import corruption

_WIDTH = len(DRUMS)


@corruption
def straighten(target: Tensor, generator: torch.Generator) -> Tensor:
    """Leaves the hits of ``grooves``, ``[N, T, 9]``: how loud and how early or late they were is lost."""
    if target.dim() != 3 or target.shape[2] != 3 * _WIDTH:
        raise ValueError(f"straighten takes grooves, (T, {3 * _WIDTH}); this data has shape {tuple(target.shape[1:])}.")
    return target[..., :_WIDTH]


@corruption
def taps(target: Tensor, generator: torch.Generator) -> Tensor:
    """Leaves when anything was struck, as if tapped on a table: ``[N, T, 1]`` of ``drums``; of ``grooves``
    ``[N, T, 2]``, with the timing of the loudest hit (after Gillick et al. 2019)."""
    if target.dim() != 3 or target.shape[2] not in (_WIDTH, 3 * _WIDTH):
        raise ValueError(
            f"taps takes drums or grooves, (T, {_WIDTH}) or (T, {3 * _WIDTH}); this data has shape "
            f"{tuple(target.shape[1:])}."
        )
    struck = target[..., :_WIDTH].amax(2, keepdim=True)
    if target.shape[2] == _WIDTH:
        return struck
    loudest = target[..., _WIDTH : 2 * _WIDTH].argmax(2, keepdim=True)
    return torch.cat([struck, struck * target[..., 2 * _WIDTH :].gather(2, loudest)], 2)
