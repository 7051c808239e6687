"""Levels for a hierarchy of latents, with the encoder that feeds them and the decoder that ends it."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.distributions import DiagonalGaussian
from gargalo.networks.codes import CodeLinear
from gargalo.networks.convnet import Residual
from gargalo.networks.steps import Row
from gargalo.spec import DataSpec


class Scale(nn.Module):
    """Residual blocks on one grid, behind a step down to it from the one before."""

    def __init__(self, before: tuple[int, int], grid: tuple[int, int], width: int, blocks: int) -> None:
        super().__init__()
        self.grid = grid
        whole = grid == (1, 1)
        self.down = nn.Conv2d(width, width, before if whole else 3, padding=0 if whole else 1)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        x = x if x.shape[-2:] == self.grid else F.adaptive_avg_pool2d(x, self.grid)
        return self.blocks(x)


class BottomUp(nn.Module):
    """Features of pictures on every grid, ``(coarsest, ..., finest)``; all else is a picture of one place."""

    def __init__(self, spec: DataSpec, grids: list[tuple[int, int]], factor: int, width: int) -> None:
        super().__init__()
        self.grid, self.factor, self.row = grids[-1], factor, Row(spec)
        channels = spec.input_shape[0] if spec.kind == "image" else self.row.numbers
        self.stem = nn.Conv2d(channels * factor**2, width, 3, padding=1)
        steps = list(reversed(grids))
        self.scales = nn.ModuleList(
            Scale(before, grid, width, 2) for before, grid in zip([steps[0], *steps], steps, strict=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x if x.dim() == 4 else self.row(x)[..., None, None]
        height, width = x.shape[-2:]
        x = F.pad(x, (0, self.factor * self.grid[1] - width, 0, self.factor * self.grid[0] - height), mode="replicate")
        x = self.stem(F.pixel_unshuffle(x, self.factor))
        found: list[Tensor] = []
        for scale in self.scales:
            x = scale(x)
            found.append(x)
        return tuple(reversed(found))


class Convolved(nn.Module):
    """A level on one grid of a picture (after Child 2021): the posterior is told as a change of the prior."""

    def __init__(self, index: int, grid: tuple[int, int], channels: int, width: int) -> None:
        super().__init__()
        self.index, self.grid, self.shape = index, grid, (channels, *grid)
        k = 1 if grid == (1, 1) else 3
        self.expect = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width, width, k, padding=k // 2),
            nn.SiLU(),
            nn.Conv2d(width, 2 * channels, k, padding=k // 2),
        )
        self.look = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(2 * width, width, k, padding=k // 2),
            nn.SiLU(),
            nn.Conv2d(width, 2 * channels, k, padding=k // 2),
        )
        self.enter = nn.Conv2d(channels, width, 1)
        self.block = Residual(width) if k == 3 else nn.Identity()
        for last in (self.expect[-1], self.look[-1]):
            nn.init.zeros_(cast(nn.Conv2d, last).weight)

    def prior(self, state: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian.of(self.expect(fitted(state, self.grid)))

    def posterior(self, state: Tensor, features: tuple[Tensor, ...], prior: DiagonalGaussian) -> DiagonalGaussian:
        seen = torch.cat([fitted(state, self.grid), features[self.index]], 1)
        change = self.look(seen).float()
        mean, log_var = change.chunk(2, dim=1)
        return DiagonalGaussian(prior.mean + mean, (prior.log_var + log_var).clamp(-12, 12))

    def merge(self, state: Tensor, z: Tensor) -> Tensor:
        state = fitted(state, self.grid)
        return self.block(state + self.enter(z))


def fitted(state: Tensor, grid: tuple[int, int]) -> Tensor:
    """Each place of a coarser grid becomes several of a finer one."""
    return state if state.shape[-2:] == grid else F.interpolate(state, size=grid, mode="nearest")


class Unfold(nn.Module):
    """From the finest grid to pixels."""

    def __init__(self, shape: tuple[int, ...], grid: tuple[int, int], factor: int, width: int) -> None:
        super().__init__()
        self.shape, self.grid = shape, grid
        self.layers = nn.Sequential(
            Residual(width),
            Residual(width),
            nn.SiLU(),
            nn.Conv2d(width, (shape[0] if len(shape) == 3 else prod(shape)) * factor**2, 3, padding=1),
            nn.PixelShuffle(factor),
        )

    def forward(self, state: Tensor) -> Tensor:
        x = self.layers(fitted(state, self.grid))
        return (
            x.flatten(1).unflatten(1, self.shape) if len(self.shape) < 3 else x[..., : self.shape[1], : self.shape[2]]
        )


def grids_of(shape: tuple[int, ...], factor: int) -> list[tuple[int, int]]:
    """From a single place to the finest, each side about half of the next."""
    grid = -(-shape[1] // factor), -(-shape[2] // factor)
    found = [grid]
    while prod(grid) > 16:
        grid = -(-grid[0] // 2), -(-grid[1] // 2)
        found.append(grid)
    return [(1, 1), *reversed(found)] if prod(grid) > 1 else list(reversed(found))


class DenseBottomUp(nn.Module):
    """For every level what this input says of its z, mean and log-variance, ``(top, ..., bottom)``."""

    def __init__(self, spec: DataSpec, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.row = Row(spec)
        widths = [self.row.numbers, *(width for _ in sizes)]
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.SiLU(), nn.Linear(b, b), nn.SiLU()) for a, b in pairwise(widths)
        )
        self.heads = nn.ModuleList(CodeLinear(width, 2 * size) for size in sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h = self.row(x)
        found: list[Tensor] = []
        for step, head in zip(self.steps, self.heads, strict=True):
            h = step(h)
            found.append(head(h))
        return tuple(reversed(found))


class Dense(nn.Module):
    """A level of vectors: what is expected and what is seen are averaged by their precisions (Sonderby et al. 2016)."""

    def __init__(self, index: int, above: int, size: int, width: int) -> None:
        super().__init__()
        self.index, self.shape = index, (size,)
        self.expect = None
        if above:
            self.expect = nn.Sequential(
                CodeLinear(above, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), CodeLinear(width, 2 * size)
            )

    def prior(self, state: Tensor) -> DiagonalGaussian:
        told = state.new_zeros(len(state), 2 * self.shape[0]) if self.expect is None else self.expect(state)
        return DiagonalGaussian.of(told)

    def posterior(self, state: Tensor, features: tuple[Tensor, ...], prior: DiagonalGaussian) -> DiagonalGaussian:
        seen = DiagonalGaussian.of(features[self.index])
        if self.expect is None:
            return seen
        log_var = -torch.logaddexp(-seen.log_var, -prior.log_var)
        mean = log_var.exp() * (seen.mean * (-seen.log_var).exp() + prior.mean * (-prior.log_var).exp())
        return DiagonalGaussian(mean, log_var)

    def merge(self, state: Tensor, z: Tensor) -> Tensor:
        return z


class DenseDecoder(nn.Module):
    """From the lowest z to the data."""

    def __init__(self, size: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            CodeLinear(size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, prod(shape))
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).unflatten(1, self.shape)
