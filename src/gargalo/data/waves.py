"""Series made from known factors, to ask whether a code finds them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gargalo.data.arrays import sequence_source
from gargalo.data.source import Source
from gargalo.errors import check_range
from gargalo.registry import source

KINDS = ("sine", "square", "both")
SLOWEST, FASTEST = 1.0, 6.0  # cycles in a series
MAX_NUMBERS = 1 << 28


class Factors(NamedTuple):
    """What each series is made of, ``[N]``: two waves, of which ``kind`` leaves out one or none."""

    kind: Tensor  # 0 the sine alone, 1 the square alone, 2 both
    cycles: Tensor  # of the sine
    phase: Tensor  # of the sine, in radians
    square_cycles: Tensor
    square_phase: Tensor


def factors(n: int, seed: int = 0) -> Factors:
    """Drawn independently of one another."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, len(KINDS), (n,), generator=generator)
    cycles, phases = torch.rand(2, n, generator=generator), torch.rand(2, n, generator=generator)
    cycles, phases = SLOWEST + (FASTEST - SLOWEST) * cycles, 2 * math.pi * phases
    return Factors(kind, cycles[0], phases[0], cycles[1], phases[1])


def draw(made: Factors, length: int, channels: int = 1) -> Tensor:
    """Waves between -1 and 1, those of both kinds added: ``[N, length, channels]``, each channel a step later."""
    kind, cycles, phase, square_cycles, square_phase = (factor[:, None, None] for factor in made)
    time = 2 * math.pi * (torch.arange(length)[:, None] - torch.arange(channels)) / length
    sine, square = torch.sin(cycles * time + phase), torch.sin(square_cycles * time + square_phase).sign()
    return sine * (kind != 1) + square * (kind != 0)


@source
def waves(*, n: int = 20_000, length: int = 64, channels: int = 1, noise: float = 0.05, seed: int = 0) -> Source:
    """Sines, squares and sums of both, of any frequency and phase, made as they are asked for; labels are the kinds.

    Each of the ``channels`` lags a step behind the one before; ``noise`` is the standard deviation of what is added.
    """
    check_range("waves: n", n, 10, 1_000_000)
    check_range("waves: length", length, 8, 4096)
    check_range("waves: channels", channels, 1, 64)
    check_range("waves: n * length * channels", n * length * channels, 1, MAX_NUMBERS)
    if not 0 <= noise <= 10:
        raise ValueError(f"waves: noise={noise} must lie between 0 and 10.")
    made = factors(n, seed)
    values = draw(made, length, channels)
    values += noise * torch.randn(values.shape, generator=torch.Generator().manual_seed(seed + 1))
    return sequence_source("waves", values.numpy(), "series", KINDS, made.kind)
