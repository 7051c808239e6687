"""Fully connected encoder and decoder, for anything that can be laid out in one row."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import functional
from gargalo.errors import check_range
from gargalo.networks.codes import CodeLinear
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import Row
from gargalo.registry import network
from gargalo.spec import DataSpec

WIDTHS: dict[Size, int] = {"tiny": 64, "small": 128, "base": 256, "large": 512}
MAX_DEPTH = 64
EDGE_SCALE = 3.0  # brings edges to about the spread of pixels


class Residual(nn.Module):
    """x + f(x), with f zero at the start, so that a fresh network is a shallow one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(F.silu(self.inner(x)))


class Edged(nn.Module):
    """A picture's `functional.outline` beside its values in one row. No slopes pass there: a root has none at 0."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.row = Row(spec)
        self.numbers = self.row.numbers + functional.outline(torch.zeros(1, *spec.input_shape)).shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.row(x), EDGE_SCALE * functional.outline(x.detach().float())], 1)


class Encoder(nn.Module):
    def __init__(self, row: Row | Edged, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.row = row
        self.layers = nn.Sequential(nn.Linear(row.numbers, width), *_trunk(width, depth), CodeLinear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``[N, *input_shape]`` to ``[N, outputs]``."""
        return self.layers(self.row(x))


class Decoder(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int, depth: int) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(CodeLinear(latent_dim, width), *_trunk(width, depth), nn.Linear(width, prod(shape)))

    def forward(self, z: Tensor) -> Tensor:
        """``[N, latent_dim]`` to ``[N, *shape]``."""
        return self.layers(z).unflatten(1, self.shape)


def _trunk(width: int, depth: int) -> list[nn.Module]:
    return [*(Residual(width) for _ in range(depth)), nn.SiLU()]


@network
def mlp(
    spec: DataSpec,
    latent_dim: int,
    outputs: int,
    channels: int,
    *,
    size: Size = "base",
    width: int | None = None,
    depth: int = 2,
    edges: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Dense layers with ``depth`` residual blocks each way; size or width says how many units.

    With ``edges`` the encoder is shown a picture's oriented edges too, which tell shapes in any light.
    """
    width = check_width(WIDTHS[size] if width is None else width)
    shape = (spec.shape[0] * channels, *spec.shape[1:])
    check_range("mlp: depth", depth, 0, MAX_DEPTH)
    encoder = Encoder(Edged(spec) if edges else Row(spec), outputs, width, depth)
    return encoder, Decoder(latent_dim, shape, width, depth)
