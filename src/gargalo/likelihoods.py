"""Likelihood heads: the last layer's numbers become p(x|z). The name in a DataSpec selects one.

A head says in ``channels`` how many numbers it wants for each number of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import distributions, functional
from gargalo.distributions import Likelihood
from gargalo.errors import check_range, check_share
from gargalo.registry import likelihood
from gargalo.spec import DataSpec


class Bernoulli(nn.Module):
    channels = 1

    def forward(self, h: Tensor) -> Likelihood:
        return distributions.Bernoulli(h)


class Gaussian(nn.Module):
    """``std`` a number: fixed; "learned": a parameter; "optimal": fitted to each batch in closed form.

    ``squash`` keeps means in [0, 1] by a logistic function: ink and paper need no exact cancellation.
    """

    channels = 1
    mean_square: Tensor
    log_std: Tensor

    def __init__(self, std: float | Literal["learned", "optimal"], squash: bool = False) -> None:
        super().__init__()
        self.squash = squash
        self.optimal = std == "optimal"
        start = torch.tensor(math.log(std) if isinstance(std, float) else 0.0)
        if self.optimal:
            self.register_buffer("mean_square", torch.tensor(1.0))
        elif std == "learned":
            self.log_std = nn.Parameter(start)
        else:
            self.register_buffer("log_std", start)

    def forward(self, h: Tensor) -> Likelihood:
        mean = h.float().sigmoid() if self.squash else h
        if self.optimal and self.training:
            return distributions.ProfiledGaussian(mean, self.mean_square)
        return distributions.Gaussian(mean, 0.5 * self.mean_square.log() if self.optimal else self.log_std)


class Scaled(nn.Module):
    """A likelihood around a mean with one learned log scale for all entries."""

    channels = 1

    def __init__(self, kind: type[distributions.Laplace] | type[distributions.DiscretizedLogistic]) -> None:
        super().__init__()
        self.kind = kind
        self.log_scale = nn.Parameter(torch.tensor(-2.0))

    def forward(self, h: Tensor) -> Likelihood:
        return self.kind(h, self.log_scale.clamp(min=-7.0))


class Categorical(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, h: Tensor) -> Likelihood:
        return distributions.Categorical(h.unflatten(1, (-1, self.channels)).movedim(2, 1))


@dataclass(frozen=True)
class StructuralSimilarity:
    """``weight`` nats for a picture that is wholly unlike another: a share ``absolute`` of them by the mean absolute
    error, as structural similarity, by which the others go, weighs uniform brightness little (Zhao et al. 2017).

    It is no density: it does not integrate to 1, so that its numbers compare with those of no other likelihood.
    """

    mean: Tensor
    weight: float
    absolute: float
    scales: int = 1

    @property
    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # variances are differences: bfloat16 makes them negative
            unlike = 1 - functional.ms_ssim(self.mean, x.float(), self.scales)
        error = (self.mean - x).abs().flatten(1).mean(1)
        return -self.weight * torch.lerp(unlike, error, self.absolute)

    def sample(self) -> Tensor:
        return self.mean


class Structural(nn.Module):
    channels = 1

    def __init__(self, weight: float, absolute: float, scales: int) -> None:
        super().__init__()
        self.weight, self.absolute, self.scales = weight, absolute, scales

    def forward(self, h: Tensor) -> Likelihood:
        # No logistic function: it saturates in the first steps, and this loss has no slope to bring it back.
        return StructuralSimilarity(h.float(), self.weight, self.absolute, self.scales)


class MaskedConv2d(nn.Conv2d):
    """Sees the rows above a pixel and what is left of it, with ``itself`` the pixel too (van den Oord et al. 2016)."""

    seen: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, itself: bool) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        seen = torch.ones(size, size)
        seen[size // 2, size // 2 + itself :] = 0
        seen[size // 2 + 1 :] = 0
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight * self.seen, self.bias)


class PixelCNN(nn.Module):
    """Each pixel's chance from ``width`` numbers of the decoder and from the pixels above and left of it.

    Channels of one pixel do not see one another.
    """

    sequential = True

    def __init__(self, channels: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.channels, self.pixels, self.reach = width // channels, channels, 3 + layers
        self.dropout = dropout
        self.enter = MaskedConv2d(channels, width, 7, itself=False)
        self.layers = nn.ModuleList(MaskedConv2d(width, width, 3, itself=True) for _ in range(layers))
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, channels, 1))

    def forward(self, h: Tensor) -> Likelihood:
        return AutoregressiveBernoulli(h, self)

    def logits(self, h: Tensor, x: Tensor) -> Tensor:
        """Of every pixel of ``x`` given those before it, ``[N, C, H, W]``."""
        y = h + self.enter(x - 0.5)
        for layer in self.layers:
            y = y + F.dropout(layer(torch.relu(y)), self.dropout, self.training)
        return self.leave(y)


@dataclass(frozen=True)
class AutoregressiveBernoulli:
    """Pixels that are on or off, each with those before it in view."""

    h: Tensor
    net: PixelCNN

    @property
    def mode(self) -> Tensor:
        return self._drawn(lambda chance: (chance > 0.5).float())

    def log_prob(self, x: Tensor) -> Tensor:
        return -distributions.sum_event(self.surprise(x))

    def surprise(self, x: Tensor) -> Tensor:
        """Nats at each place, ``[N, H, W]``."""
        logits = self.net.logits(self.h, x).float()
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    def sample(self) -> Tensor:
        return self._drawn(torch.bernoulli)

    def _drawn(self, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """Pixel by pixel; of the picture, only as many rows are computed as the pixel depends on."""
        n, _, height, width = self.h.shape
        x = self.h.new_zeros(n, self.net.pixels, height, width)
        for i in range(height):
            rows = slice(max(0, i - self.net.reach), i + 1)
            for j in range(width):
                logits = self.net.logits(self.h[:, :, rows], x[:, :, rows])
                x[:, :, i, j] = choose(logits[:, :, -1, j].float().sigmoid())
        return x


@dataclass(frozen=True)
class Strokes:
    """Hits, and of each how loud and how early or late it is, from ``x`` ``[N, T, 3 D]``: bits, velocities, timings.

    Where there is no hit nothing else is asked, so that the density is one of hits and of what comes with them.
    """

    logits: Tensor  # [N, T, D]
    amounts: Tensor  # [N, T, 2 D], velocities and timings if there were a hit
    log_scale: Tensor  # [2 D]

    @property
    def mode(self) -> Tensor:
        return self.played((self.logits > 0).float())

    def played(self, bits: Tensor) -> Tensor:
        """Hits ``[N, T, D]`` that are known, with the likeliest velocities and timings: ``[N, T, 3 D]``."""
        return torch.cat([bits, bits.repeat(1, 1, 2) * self.amounts.float()], 2)

    def log_prob(self, x: Tensor) -> Tensor:
        bits, amounts = x.float().split([self.logits.shape[2], self.amounts.shape[2]], 2)
        error = (amounts - self.amounts.float()).abs() * (-self.log_scale).exp()
        played = distributions.sum_event(bits.repeat(1, 1, 2) * (error + self.log_scale + math.log(2)))
        return distributions.Bernoulli(self.logits).log_prob(bits) - played

    def sample(self) -> Tensor:
        bits = distributions.Bernoulli(self.logits).sample()
        drawn = distributions.Laplace(self.amounts, self.log_scale).sample()
        return torch.cat([bits, bits.repeat(1, 1, 2) * drawn], 2)


@dataclass(frozen=True)
class Parts:
    """Groups of bits ``[N, T, D]`` of which one each is set, of ``sizes``, and behind them bits that are free."""

    logits: Tensor
    sizes: tuple[int, ...]

    @property
    def mode(self) -> Tensor:
        return self._drawn(lambda group: group.argmax(2), lambda free: (free > 0).float())

    def log_prob(self, x: Tensor) -> Tensor:
        *groups, free = self._split(self.logits)
        *known, bits = self._split(x.float())
        told = sum((part * one.log_softmax(2)).sum((1, 2)) for one, part in zip(groups, known, strict=True))
        return told + distributions.Bernoulli(free).log_prob(bits)

    def sample(self) -> Tensor:
        return self._drawn(
            lambda group: torch.distributions.Categorical(logits=group).sample(),
            lambda free: distributions.Bernoulli(free).sample(),
        )

    def _drawn(self, one: Callable[[Tensor], Tensor], bits: Callable[[Tensor], Tensor]) -> Tensor:
        *groups, free = self._split(self.logits)
        chosen = [F.one_hot(one(group), group.shape[2]).float() for group in groups]
        return torch.cat([*chosen, bits(free)], 2)

    def _split(self, values: Tensor) -> tuple[Tensor, ...]:
        return values.float().split([*self.sizes, values.shape[2] - sum(self.sizes)], 2)


class Grouped(nn.Module):
    channels = 1

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, h: Tensor) -> Likelihood:
        return Parts(h, self.sizes)


class Groove(nn.Module):
    channels = 1

    def __init__(self, drums: int) -> None:
        super().__init__()
        self.drums = drums
        self.log_scale = nn.Parameter(torch.full((2 * drums,), -2.0))

    def forward(self, h: Tensor) -> Likelihood:
        logits, amounts = h.split([self.drums, 2 * self.drums], 2)
        return Strokes(logits, amounts, self.log_scale.clamp(min=-5.0))  # no finer than the bytes they are kept in


def _expect_amounts(name: str, spec: DataSpec) -> None:
    if spec.is_tokens:
        raise ValueError(f"{name} explains amounts; these data are tokens, which categorical explains.")


@likelihood
def pixel_cnn(spec: DataSpec, *, width: int = 32, layers: int = 3, dropout: float = 0.0) -> nn.Module:
    """On or off, each pixel with those before it in view (van den Oord et al. 2016; Gulrajani et al. 2017)."""
    if not spec.is_pixels:
        raise ValueError(f"pixel_cnn is for pictures; this data has shape {spec.shape}.")
    check_range("pixel_cnn: width", width, spec.shape[0], 1024)
    check_range("pixel_cnn: layers", layers, 0, 64)
    check_share("pixel_cnn: dropout", dropout)
    return PixelCNN(spec.shape[0], width - width % spec.shape[0], layers, dropout)


@likelihood
def bernoulli(spec: DataSpec) -> nn.Module:
    """On or off; on grey pixels in [0, 1], the usual binary cross-entropy."""
    _expect_amounts("bernoulli", spec)
    if spec.kind == "sequence" and (any(spec.offset) or spec.scale != (1.0,)):
        raise ValueError("bernoulli explains bits; this series holds other numbers. Take gaussian or laplace.")
    return Bernoulli()


@likelihood
def gaussian(
    spec: DataSpec,
    *,
    std: float | Literal["learned", "optimal"] = "optimal",
    variance: float | None = None,
    squash: bool | None = None,
) -> nn.Module:
    """Normal around the mean; std is a number, "learned", or "optimal" (Rybkin et al. 2021). Or give a variance.

    ``squash`` keeps the mean in [0, 1]; unless given, it does where the data are pixels.
    """
    _expect_amounts("gaussian", spec)
    std = math.sqrt(variance) if variance is not None and variance > 0 else std
    if (variance is not None and variance <= 0) or (isinstance(std, float) and std <= 0):
        raise ValueError(f"gaussian: std={std} and variance={variance} must be positive.")
    return Gaussian(std, spec.is_pixels if squash is None else squash)


@likelihood
def laplace(spec: DataSpec) -> nn.Module:
    """Double exponential with a learned scale: least absolute error."""
    _expect_amounts("laplace", spec)
    return Scaled(distributions.Laplace)


@likelihood
def discretized_logistic(spec: DataSpec) -> nn.Module:
    """A logistic cut into the 256 values of a pixel (Salimans et al. 2017): true bits for 8-bit pictures."""
    _expect_amounts("discretized_logistic", spec)
    return Scaled(distributions.DiscretizedLogistic)


@likelihood
def ssim(spec: DataSpec, *, weight: float = 100.0, absolute: float = 0.16, scales: int = 1) -> nn.Module:
    """Structural similarity and a share of absolute error as a loss (Zhao et al. 2017): no density.

    With several ``scales``, up to five, on halved pictures too (Wang et al. 2003).
    """
    if not spec.is_pixels:
        raise ValueError(f"ssim compares pictures; this data has shape {spec.shape}.")
    if weight <= 0 or not 0 <= absolute < 1 or not 1 <= scales <= 5:
        raise ValueError(
            f"ssim: weight={weight} must be above 0, absolute={absolute} lie in [0, 1), scales={scales} in [1, 5]."
        )
    return Structural(weight, absolute, scales)


@likelihood
def groove(spec: DataSpec) -> nn.Module:
    """Drum hits as bits, and where there is one, its velocity and timing as double exponentials: of ``grooves``."""
    if spec.kind != "sequence" or spec.is_tokens or spec.shape[1] % 3:
        raise ValueError(f"groove explains bits, velocities and timings, (T, 3 D); this data has shape {spec.shape}.")
    return Groove(spec.shape[1] // 3)


@likelihood
def parts(spec: DataSpec, *, sizes: str = "2") -> nn.Module:
    """Groups of bits, of so many as ``sizes`` such as 90+49+90 says, of which one each is set at every step, and behind
    them bits that are free: of ``bands``."""
    counts = tuple(int(part) for part in sizes.split("+") if part.strip().isdecimal())
    width = spec.shape[-1] if spec.kind == "sequence" and not spec.is_tokens else 0
    if len(counts) != len(sizes.split("+")) or min(counts) < 1 or sum(counts) > width:
        raise ValueError(f"parts: sizes={sizes!r} must be whole numbers such as 90+49+90, within shape {spec.shape}.")
    return Grouped(counts)


@likelihood
def categorical(spec: DataSpec) -> nn.Module:
    """One of ``spec.vocabulary`` values at every place."""
    if spec.vocabulary < 2:
        raise ValueError(f"categorical needs data with a vocabulary; this has vocabulary={spec.vocabulary}.")
    return Categorical(spec.vocabulary)
