"""Long sequences on two levels: windows coded one by one, and their codes all together."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.errors import check_range
from gargalo.networks import mixer
from gargalo.networks.codes import CodeLinear
from gargalo.networks.mixer import MAX_DEPTH, WIDTHS, Block
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import steps_of
from gargalo.registry import network
from gargalo.spec import DataSpec


class Encoder(nn.Module):
    """``[N, *input_shape]`` to ``[N, outputs]``: of each window its share, changed by what all the others hold."""

    def __init__(self, window: DataSpec, count: int, between: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.count, self.outputs, share = count, outputs, -(-outputs // count)
        self.inner = mixer.Encoder(window, between, width, depth)
        self.enter, self.place = nn.Linear(between, 2 * width), _places(count, 2 * width)
        self.blocks = nn.Sequential(*(Block(count, 2 * width) for _ in range(depth)), nn.LayerNorm(2 * width))
        self.own, self.change = CodeLinear(between, share), _silent(2 * width, share)

    def forward(self, x: Tensor) -> Tensor:
        codes = self.inner(x.unflatten(1, (self.count, -1)).flatten(0, 1)).unflatten(0, (-1, self.count))
        h = self.blocks(self.enter(codes).transpose(0, 1) + self.place)  # [count, N, 2 width]
        shares = self.own(codes) + self.change(h).transpose(0, 1)
        # Numbers of one meaning side by side: halves of the outputs, means and variances say, are of all windows.
        return shares.transpose(1, 2).flatten(1)[:, : self.outputs]


class Decoder(nn.Module):
    """``[N, latent_dim]`` to ``[N, *shape]``, the same way back."""

    def __init__(
        self, latent_dim: int, window: tuple[int, ...], steps: int, count: int, between: int, width: int, depth: int
    ) -> None:
        super().__init__()
        self.count, share = count, -(-latent_dim // count)
        self.rest = share * count - latent_dim
        self.enter, self.place = CodeLinear(share, 2 * width), _places(count, 2 * width)
        self.blocks = nn.Sequential(*(Block(count, 2 * width) for _ in range(depth)), nn.LayerNorm(2 * width))
        self.own, self.change = CodeLinear(share, between), _silent(2 * width, between)
        self.inner = mixer.Decoder(between, steps, window, width, depth)

    def forward(self, z: Tensor) -> Tensor:
        shares = F.pad(z, (0, self.rest)).unflatten(1, (-1, self.count)).transpose(1, 2)
        h = self.blocks(self.enter(shares).transpose(0, 1) + self.place)
        codes = (self.own(shares) + self.change(h).transpose(0, 1)).flatten(0, 1)  # [N * count, between]
        return self.inner(codes).unflatten(0, (-1, self.count)).flatten(1, 2)


def _silent(inputs: int, outputs: int) -> nn.Linear:
    """Adds nothing at first: windows are learned one by one before they are learned together, which is far easier."""
    layer = CodeLinear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


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
    """Long sequences: windows coded one by one, whose shares of the code then change by one another.

    A `mixer` codes each window of some steps as ``between`` numbers, so that what is learned of one holds for all; a
    second mixes windows as the first mixes steps (after the hierarchy of Roberts et al. 2018)."""
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
