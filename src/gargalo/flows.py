"""Invertible maps of codes with the logarithm of how much they stretch volume."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def planar(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """One planar step of each row (Rezende and Mohamed 2015): ``[N, D]`` and ``[N, 2 D + 1]`` to z, log-det ``[N]``."""
    u, w, b = parameters.split([z.shape[1], z.shape[1], 1], 1)
    wu = (w * u).sum(1, keepdim=True)
    u = u + (F.softplus(wu) - 1 - wu) * w / w.square().sum(1, keepdim=True).clamp(min=1e-8)  # or it has no inverse
    h = torch.tanh((w * z).sum(1, keepdim=True) + b)
    stretch = 1 + (1 - h.square()) * (w * u).sum(1, keepdim=True)
    return z + u * h, stretch.clamp(min=1e-8).log()[:, 0]


def radial(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """One radial step of each row (Rezende and Mohamed 2015): ``[N, D]`` and ``[N, D + 2]`` to z, log-det ``[N]``."""
    center, size, pull = parameters.split([z.shape[1], 1, 1], 1)
    alpha = F.softplus(size)
    beta = F.softplus(pull) - alpha  # above -alpha, or it has no inverse
    away = z - center
    r = away.norm(dim=1, keepdim=True).clamp(min=1e-8)
    h = 1 / (alpha + r)
    log_det = (z.shape[1] - 1) * torch.log1p(beta * h) + torch.log1p(beta * h - beta * r * h.square())
    return z + beta * h * away, log_det[:, 0]


class MaskedLinear(nn.Linear):
    seen: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor) -> None:
        """``inputs`` and ``outputs`` are the degrees of each number: an output sees what is not of a higher one."""
        super().__init__(len(inputs), len(outputs))
        self.register_buffer("seen", (outputs[:, None] >= inputs).float(), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.seen, self.bias)


class Made(nn.Module):
    """Two numbers for each number of z that depend on those before it, and on a context (Germain et al. 2015)."""

    def __init__(self, dim: int, width: int, context: int = 0) -> None:
        super().__init__()
        order = torch.arange(1, dim + 1)
        hidden = [torch.arange(width) % max(1, dim - 1) + 1] * 2
        degrees = [torch.cat([order, torch.zeros(context, dtype=torch.long)]), *hidden]
        self.layers = nn.ModuleList(MaskedLinear(a, b) for a, b in pairwise(degrees))
        self.last = MaskedLinear(hidden[-1], (order - 1).repeat(2))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.context = nn.Linear(context, 2 * dim) if context else None  # the first number has nothing else to go by

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``[N, D]`` twice."""
        h = z if context is None else torch.cat([z, context], 1)
        for layer in self.layers:
            h = F.silu(layer(h))
        h = self.last(h)
        if self.context is not None and context is not None:
            h = h + self.context(context)
        shift, scale = h.to(z.dtype).chunk(2, dim=1)  # not bfloat16: densities hang on them
        return shift, scale


class InverseAutoregressive(nn.Module):
    """Steps in which a number moves by what those before it were (Kingma et al. 2016): quick where z is drawn."""

    def __init__(self, dim: int, length: int, width: int, context: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Made(dim, width, context) for _ in range(length))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(len(z))
        for step in self.steps:
            shift, gate = step(z, context)
            log_keep = F.logsigmoid(gate + 2)  # near to keeping z at the start
            keep = log_keep.exp()
            z = (keep * z + (1 - keep) * shift).flip(1)  # the last shall be first in the next step
            log_det = log_det + log_keep.sum(1)
        return z, log_det


class MaskedAutoregressive(nn.Module):
    """Steps that are quick where a density is asked for; drawing goes number by number (Papamakarios et al. 2017)."""

    def __init__(self, dim: int, length: int, width: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Made(dim, width) for _ in range(length))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Towards noise: ``[N, D]`` and the log-determinant ``[N]``."""
        log_det = z.new_zeros(len(z))
        for step in self.steps:
            shift, log_scale = self._of(step, z)
            z = ((z - shift) * (-log_scale).exp()).flip(1)
            log_det = log_det - log_scale.sum(1)
        return z, log_det

    def inverse(self, noise: Tensor) -> Tensor:
        for step in reversed(self.steps):
            noise, z = noise.flip(1), torch.zeros_like(noise)
            for _ in range(noise.shape[1]):  # each pass settles one number more
                shift, log_scale = self._of(step, z)
                z = noise * log_scale.exp() + shift
            noise = z
        return noise

    @staticmethod
    def _of(step: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
        shift, scale = step(z)
        return shift, 3 * torch.tanh(scale / 3)  # or a number that is far off would be thrown to infinity
