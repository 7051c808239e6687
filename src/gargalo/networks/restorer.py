"""Networks that repair pictures of any size: their code is a map of features with the picture itself beside it.

    input -> fold -> trunk -> z = [features | picture] -> last layer -> unfold + the picture, enlarged where it is small

Everything is convolutional, so that one trained on patches works on a photograph. The trunk sees a folded picture, of
half the sides and four times the channels, which costs a quarter (Shi et al. 2016; Zhang et al. 2018), and no layer
normalizes: a picture's brightness is part of the answer. The last layer starts at zero, the whole as the identity.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_DEPTH, MAX_SCALE = 64, 8


def convolution(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """3x3, with weights that keep the variance through a rectifier (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + f(x), with an f that is small at the start, so that deep trunks begin shallow."""

    def __init__(self, width: int, bias: bool = True) -> None:
        super().__init__()
        last = convolution(width, width, bias=bias)
        with torch.no_grad():
            last.weight.mul_(0.1)
        self.layers = nn.Sequential(convolution(width, width, bias=bias), nn.ReLU(inplace=True), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Residual(nn.Sequential):
    """A convolution and ``depth`` blocks of two (Lim et al. 2017)."""

    def __init__(self, inputs: int, width: int, depth: int, bias: bool = True) -> None:
        super().__init__(convolution(inputs, width, bias=bias), *(Block(width, bias) for _ in range(depth)))


class UNet(nn.Module):
    """Looks at the picture on several scales, each half of the one before, and back (Ronneberger et al. 2015): what
    lies far from a hole says what belongs there."""

    def __init__(self, inputs: int, width: int, levels: int) -> None:
        super().__init__()
        widths = [width * min(4, 2**level) for level in range(levels)]
        self.enter = convolution(inputs, width)
        self.down = nn.ModuleList(Block(w) for w in widths)
        self.shrink = nn.ModuleList(convolution(4 * a, b) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(convolution(b, 4 * a) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(w) for w in widths[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, width, H, W]``, the sides multiples of 2 to the power of levels - 1."""
        x = self.enter(x)
        kept: list[Tensor] = []
        for block, shrink in zip(self.down, self.shrink, strict=False):
            kept.append(block(x))
            x = shrink(F.pixel_unshuffle(kept[-1], 2))
        x = self.down[-1](x)
        for block, grow, before in reversed(list(zip(self.up, self.grow, kept, strict=True))):
            x = block(before + F.pixel_shuffle(grow(x), 2))
        return x


def side_by_side(features: Tensor, picture: Tensor) -> Tensor:
    """Channels one after another, last in memory as convolutions want them: so are the slopes that come back, which
    else would be laid out anew in every block, a quarter of a step's time."""
    return torch.cat([features.permute(0, 2, 3, 1), picture.permute(0, 2, 3, 1)], 3).permute(0, 3, 1, 2)


def apart(z: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The first ``width`` channels, and the others."""
    features, picture = z.permute(0, 2, 3, 1).split([width, z.shape[1] - width], 3)
    return features.permute(0, 3, 1, 2), picture.permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Pictures ``[N, C, H, W]`` to ``[N, D, h, w]``: the trunk's features, and the first ``pictures`` channels of the
    input. Sides that are no multiple of ``multiple`` are continued by their last pixels."""

    def __init__(self, trunk: nn.Module, pictures: int, fold: int = 1, reach: int = 1) -> None:
        super().__init__()
        self.trunk, self.pictures, self.fold, self.multiple = trunk, pictures, fold, fold * reach

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height % self.multiple or width % self.multiple:
            x = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        features = self.trunk(F.pixel_unshuffle(x, self.fold))
        return side_by_side(features.float(), F.pixel_unshuffle(x[:, : self.pictures], self.fold).float())


class Decoder(nn.Module):
    """``[N, D, h, w]`` to ``[N, C, fold * scale * h, ...]``: the picture, enlarged, plus what the last layer makes of
    the features. What an encoder added to the sides of a picture of ``shape`` is cut off again."""

    def __init__(
        self, width: int, shape: tuple[int, ...], fold: int = 1, reach: int = 1, scale: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.width, self.shape, self.fold, self.scale = width, shape[1:], fold, scale
        step = fold * scale * reach
        self.padded = tuple(side + -side % step for side in self.shape)
        self.last = nn.Conv2d(width, shape[0] * (fold * scale) ** 2, 3, padding=1, bias=bias)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor) -> Tensor:
        features, folded = apart(z, self.width)
        x = F.pixel_shuffle(folded.detach() if self.training else folded, self.fold)  # nothing is learned from there
        if self.scale > 1:  # with `antialias` it is the cubic that other programs enlarge by
            x = F.interpolate(x, [self.scale * side for side in x.shape[-2:]], mode="bicubic", antialias=True)
        x = x + F.pixel_shuffle(self.last(features), self.fold * self.scale).float()
        return x[..., : self.shape[0], : self.shape[1]] if x.shape[-2:] == self.padded else x
