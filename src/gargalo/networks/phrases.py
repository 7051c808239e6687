"""Long sequences on two levels: windows coded one by one, and their codes all together."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gargalo.errors import check_range
from gargalo.networks import mixer
from gargalo.networks.codes import CodeLinear
from gargalo.networks.mixer import MAX_DEPTH, WIDTHS, Block
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import steps_of
from gargalo.registry import network
from gargalo.spec import DataSpec


class Encoder(nn.Module):
    """``[N, *input_shape]`` to ``[N, outputs]``."""

    def __init__(self, window: DataSpec, count: int, between: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.count = count
        self.inner = mixer.Encoder(window, between, width, depth)
        self.enter, self.place = nn.Linear(between, 2 * width), _places(count, 2 * width)
        self.blocks = nn.Sequential(*(Block(count, 2 * width) for _ in range(depth)), nn.LayerNorm(2 * width))
        self.head = CodeLinear(count * 2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        codes = self.inner(x.unflatten(1, (self.count, -1)).flatten(0, 1)).unflatten(0, (-1, self.count))
        h = self.blocks(self.enter(codes).transpose(0, 1) + self.place)  # [count, N, 2 width]
        return self.head(h.transpose(0, 1).flatten(1))


class Decoder(nn.Module):
    """``[N, latent_dim]`` to ``[N, *shape]``."""

    def __init__(
        self, latent_dim: int, window: tuple[int, ...], steps: int, count: int, between: int, width: int, depth: int
    ) -> None:
        super().__init__()
        self.count = count
        self.stem, self.place = CodeLinear(latent_dim, count * 2 * width), _places(count, 2 * width)
        self.blocks = nn.Sequential(*(Block(count, 2 * width) for _ in range(depth)), nn.LayerNorm(2 * width))
        self.leave = nn.Linear(2 * width, between)
        self.inner = mixer.Decoder(between, steps, window, width, depth)

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, (self.count, -1)).transpose(0, 1) + self.place
        codes = self.leave(self.blocks(h)).transpose(0, 1).flatten(0, 1)  # [N * count, between]
        return self.inner(codes).unflatten(0, (-1, self.count)).flatten(1, 2)


def _places(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(0.1 * torch.randn(count, 1, width))


@network
def phrases(
    spec: DataSpec,
    latent_dim: int,
    outputs: int,
    channels: int,
    *,
    window: int = 32,
    between: int = 128,
    size: Size = "base",
    width: int | None = None,
    depth: int = 3,
) -> tuple[nn.Module, nn.Module]:
    """Long sequences: a `mixer` codes windows of some steps as ``between`` numbers each, another their codes together,
    so that what is learned of one window holds for all (after the hierarchy of Roberts et al. 2018)."""
    steps = steps_of("phrases", spec)
    width = check_width(WIDTHS[size] if width is None else width)
    check_range("phrases: depth", depth, 0, MAX_DEPTH)
    check_range("phrases: between", between, 1, 1 << 14)
    if steps % check_range("phrases: window", window, 1, steps):
        raise ValueError(f"phrases: {steps} steps are no whole number of windows of {window}. Give another window.")
    if spec.input_shape[0] != steps:
        raise ValueError(f"phrases: the input has {spec.input_shape[0]} steps, the target {steps}; take mixer.")
    count, part = steps // window, (window, *spec.shape[1:])
    of_window = replace(spec, shape=part, input_shape=(window, *spec.input_shape[1:]))
    shape = (window * channels, *spec.shape[1:])
    encoder = Encoder(of_window, count, between, outputs, width, depth)
    return encoder, Decoder(latent_dim, shape, window, count, between, width, depth)
