"""Pictures made from known factors, to ask whether a code finds them: after dSprites (Matthey et al. 2017)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.data.source import Source
from gargalo.registry import source
from gargalo.spec import DataSpec

KINDS = ("square", "ellipse", "heart")
SCALES, ANGLES, PLACES = 6, 40, 32  # how many values the others have
FINER, AT_ONCE = 4, 500  # places that each side of a pixel is looked at; pictures drawn together


class Factors(NamedTuple):
    """What each picture is made of, whole numbers ``[N]`` from 0."""

    kind: Tensor
    scale: Tensor
    angle: Tensor
    x: Tensor
    y: Tensor


def factors(n: int, seed: int = 0) -> Factors:
    """Drawn independently of one another."""
    generator = torch.Generator().manual_seed(seed)
    ranges = (len(KINDS), SCALES, ANGLES, PLACES, PLACES)
    return Factors(*(torch.randint(0, high, (n,), generator=generator) for high in ranges))


def draw(made: Factors, size: int) -> Tensor:
    """White shapes on black, uint8 ``[N, 1, size, size]``: their middles on the inner half, sides from a tenth of the
    picture up."""
    line = (torch.arange(size * FINER) + 0.5) / (size * FINER)
    pictures: list[Tensor] = []
    for rows in torch.arange(len(made.kind)).split(AT_ONCE):
        kind, scale, angle, x, y = (factor[rows, None, None] for factor in made)
        turn = 2 * math.pi * angle / ANGLES
        radius = 0.12 + 0.12 * scale / (SCALES - 1)
        across = line - (0.25 + 0.5 * x / (PLACES - 1))
        down = line[:, None] - (0.25 + 0.5 * y / (PLACES - 1))
        u = (turn.cos() * across + turn.sin() * down) / radius
        v = (turn.cos() * down - turn.sin() * across) / radius
        square = torch.maximum(u.abs(), v.abs()) < 0.8
        ellipse = u.square() + (v / 0.6).square() < 1
        heart = (u.square() + v.square() - 0.7) ** 3 + u.square() * v**3 < 0
        inside = torch.where(kind == 0, square, torch.where(kind == 1, ellipse, heart))
        pictures.append((F.avg_pool2d(inside[:, None].float(), FINER) * 255).round().byte())
    return torch.cat(pictures)


@source
def shapes(*, n: int = 20_000, size: int = 32, seed: int = 0) -> Source:
    """Squares, ellipses and hearts of any scale, angle and place, made as they are asked for; labels are the kinds."""
    if not 10 <= n <= 1_000_000 or not 8 <= size <= 256:
        raise ValueError(f"shapes: n={n} must lie between 10 and 1,000,000, size={size} between 8 and 256.")
    made = factors(n, seed)
    spec = DataSpec("image", (1, size, size), num_classes=len(KINDS), class_names=KINDS)
    return Source("shapes", spec, draw(made, size), labels=made.kind)
