"""Convolutional encoder and decoder for pictures of any size from 8 up, with 1 to 4 channels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.errors import check_share
from gargalo.networks.codes import CodeLinear
from gargalo.networks.sizes import Size, check_width
from gargalo.registry import network
from gargalo.spec import DataSpec

WIDTHS: dict[Size, int] = {"tiny": 16, "small": 32, "base": 64, "large": 128}


class Residual(nn.Module):
    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.dropout = dropout
        self.layers = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.dropout(self.layers(x), self.dropout, self.training)


class Encoder(nn.Module):
    def __init__(self, shape: tuple[int, ...], outputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.grid = _grid(shape)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * shape[0], width, 3, padding=1),
            Residual(width, dropout),
            Residual(width, dropout),
        )
        self.head = CodeLinear(width * self.grid[0] * self.grid[1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, outputs]``."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, 4 * self.grid[1] - width, 0, 4 * self.grid[0] - height), mode="replicate")
        return self.head(F.silu(self.layers(x).flatten(1)))


class Decoder(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.shape, self.grid = shape, _grid(shape)
        self.stem = CodeLinear(latent_dim, width * self.grid[0] * self.grid[1])
        self.layers = nn.Sequential(
            Residual(width, dropout),
            Residual(width, dropout),
            nn.SiLU(),
            nn.Conv2d(width, 16 * shape[0], 3, padding=1),
            nn.PixelShuffle(4),
        )

    def forward(self, z: Tensor) -> Tensor:
        """``[N, latent_dim]`` to ``[N, C, H, W]``."""
        x = self.layers(self.stem(z).unflatten(1, (-1, *self.grid)))
        return x[..., : self.shape[1], : self.shape[2]]


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    return -(-shape[1] // 4), -(-shape[2] // 4)


@network
def convnet(
    spec: DataSpec,
    latent_dim: int,
    outputs: int,
    channels: int,
    *,
    size: Size = "base",
    width: int | None = None,
    dropout: float = 0.0,
) -> tuple[nn.Module, nn.Module]:
    """Residual convolutions on a quarter of the picture's sides, and one dense layer to the code."""
    if spec.kind != "image":
        suits = "mixer" if spec.kind == "sequence" else "mlp"
        raise ValueError(f"convnet takes pictures; this data is a {spec.kind} of shape {spec.shape}. Take {suits}.")
    width = check_width(WIDTHS[size] if width is None else width)
    check_share("convnet: dropout", dropout)
    c, h, w = spec.shape
    encoder = Encoder(spec.input_shape, outputs, width, dropout)
    return encoder, Decoder(latent_dim, (c * channels, h, w), width, dropout)
