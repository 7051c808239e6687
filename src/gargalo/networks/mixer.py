"""Steps of a sequence mixed in parallel: no loop over time, neither in the encoder nor in the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.errors import check_range
from gargalo.networks.codes import CodeLinear
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import Steps, Told, steps_of
from gargalo.registry import network
from gargalo.spec import DataSpec

WIDTHS: dict[Size, int] = {"tiny": 48, "small": 96, "base": 192, "large": 384}
NEAR = 5  # steps that the filter of each channel sees
MAX_DEPTH = 64
# Numbers of a step that are mixed together. The slope of a product so wide that 32 steps make 3 MiB of bfloat16, which
# is what 256 rows at the usual width do, ends the process: oneDNN 3.12 divides by zero, on some processors.
AT_ONCE = 1 << 14


class Block(nn.Module):
    """Each channel filtered along near steps, all mixed along whole sequences, then two layers at each step.

    After Tolstikhin et al. 2021 and Liu et al. 2022. All arrays are ``[T, N, width]``.
    """

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.near = nn.Parameter(torch.empty(NEAR, width).uniform_(-(NEAR**-0.5), NEAR**-0.5))
        self.far = nn.Parameter(torch.empty(steps, steps).uniform_(-(steps**-0.5), steps**-0.5))
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        far = torch.cat([self.far @ part for part in h.flatten(1).split(AT_ONCE, 1)], 1).view(h.shape)
        return x + self.outer(F.silu(self.inner(self._filtered(h.to(far.dtype), far))))

    def _filtered(self, h: Tensor, onto: Tensor) -> Tensor:
        """A convolution a channel, added to what is there: as sums of shifted copies, twice as fast on a processor."""
        padded = F.pad(h, (0, 0, 0, 0, NEAR // 2, NEAR // 2))
        for shift, weight in enumerate(self.near.to(h.dtype)):
            onto = torch.addcmul(onto, padded[shift : shift + len(h)], weight)
        return onto


class Encoder(nn.Module):
    def __init__(self, spec: DataSpec, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        steps, narrow = spec.input_shape[0], max(1, width // 8)
        self.steps, self.place = Steps(spec, width), _places(steps, width)
        self.blocks = nn.Sequential(*(Block(steps, width) for _ in range(depth)), nn.LayerNorm(width))
        self.squeeze, self.head = nn.Linear(width, narrow), CodeLinear(steps * narrow, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, *input_shape]`` to ``[N, outputs]``."""
        h = self.squeeze(self.blocks(self.steps(x) + self.place))
        return self.head(h.transpose(0, 1).flatten(1))


class Decoder(nn.Module):
    def __init__(self, latent_dim: int, steps: int, shape: tuple[int, ...], width: int, depth: int) -> None:
        super().__init__()
        self.narrow = max(1, width // 8)
        self.stem, self.spread = CodeLinear(latent_dim, steps * self.narrow), nn.Linear(self.narrow, width)
        self.place = _places(steps, width)
        self.blocks = nn.Sequential(*(Block(steps, width) for _ in range(depth)), nn.LayerNorm(width))
        self.told = Told(steps, width, shape)

    def forward(self, z: Tensor) -> Tensor:
        """``[N, latent_dim]`` to ``[N, *shape]``."""
        h = self.stem(z).unflatten(1, (-1, self.narrow)).transpose(0, 1)
        return self.told(self.blocks(self.spread(h) + self.place))


def _places(steps: int, width: int) -> nn.Parameter:
    """A vector of its own for each step."""
    return nn.Parameter(0.1 * torch.randn(steps, 1, width))


@network
def mixer(
    spec: DataSpec,
    latent_dim: int,
    outputs: int,
    channels: int,
    *,
    size: Size = "base",
    width: int | None = None,
    depth: int = 3,
) -> tuple[nn.Module, nn.Module]:
    """Sequences whose steps are mixed in parallel, by ``depth`` blocks in the encoder and one more in the decoder."""
    steps = steps_of("mixer", spec)
    width = check_width(WIDTHS[size] if width is None else width)
    check_range("mixer: depth", depth, 0, MAX_DEPTH)
    shape = (steps * channels, *spec.shape[1:])
    return Encoder(spec, outputs, width, depth), Decoder(latent_dim, steps, shape, width, depth + 1)
