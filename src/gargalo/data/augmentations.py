"""Augmentations: what else an example could have been. In training only, fresh at every draw.

They work on the model's values, pixels in [0, 1], a whole batch at a time: ``[N, C, H, W]`` in, the same out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.registry import augmentation


@augmentation
def none(target: Tensor, generator: torch.Generator) -> Tensor:
    """Examples as they are."""
    return target


@augmentation
def photo(target: Tensor, generator: torch.Generator, *, mirror: bool = True, crop: float = 0.6) -> Tensor:
    """Mirrors left and right, and looks at a part of the picture, at least ``crop`` of each side, enlarged."""
    if target.dim() != 4:
        raise ValueError(f"photo works on pictures; this data has shape {tuple(target.shape[1:])}.")
    if not 0 < crop <= 1:
        raise ValueError(f"photo: crop={crop} must lie in (0, 1].")
    n = len(target)
    drawn = torch.rand(4, n, generator=generator, device=target.device)
    share = crop + (1 - crop) * drawn[0]
    turn = torch.where(drawn[1] < 0.5, -1.0, 1.0) if mirror else torch.ones_like(share)
    place = torch.zeros(n, 2, 3, device=target.device)
    place[:, 0, 0], place[:, 1, 1] = share * turn, share
    place[:, :, 2] = ((2 * drawn[2:] - 1) * (1 - share)).T
    grid = F.affine_grid(place, list(target.shape), align_corners=False)
    return F.grid_sample(target, grid, padding_mode="border", align_corners=False)


def default_for(kind: str, shape: tuple[int, ...]) -> str:
    """Color pictures are mostly photographs, which mean the same mirrored; letters and digits do not."""
    return "photo" if kind == "image" and shape[0] == 3 else "none"
