"""Likelihood heads: the last layer's numbers become p(x|z). The name in a DataSpec selects one.

A head says in ``channels`` how many numbers it wants for each number of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gargalo import distributions, functional
from gargalo.distributions import Likelihood
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

    @property
    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # variances are differences: bfloat16 makes them negative
            unlike = 1 - functional.ssim(self.mean, x.float())
        error = (self.mean - x).abs().flatten(1).mean(1)
        return -self.weight * torch.lerp(unlike, error, self.absolute)

    def sample(self) -> Tensor:
        return self.mean


class Structural(nn.Module):
    channels = 1

    def __init__(self, weight: float, absolute: float) -> None:
        super().__init__()
        self.weight, self.absolute = weight, absolute

    def forward(self, h: Tensor) -> Likelihood:
        return StructuralSimilarity(h.float().sigmoid(), self.weight, self.absolute)


@likelihood
def bernoulli(spec: DataSpec) -> nn.Module:
    """On or off; on grey pixels in [0, 1], the usual binary cross-entropy."""
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
    std = math.sqrt(variance) if variance is not None and variance > 0 else std
    if (variance is not None and variance <= 0) or (isinstance(std, float) and std <= 0):
        raise ValueError(f"gaussian: std={std} and variance={variance} must be positive.")
    return Gaussian(std, spec.is_pixels if squash is None else squash)


@likelihood
def laplace(spec: DataSpec) -> nn.Module:
    """Double exponential with a learned scale: least absolute error."""
    return Scaled(distributions.Laplace)


@likelihood
def discretized_logistic(spec: DataSpec) -> nn.Module:
    """A logistic cut into the 256 values of a pixel (Salimans et al. 2017): true bits for 8-bit pictures."""
    return Scaled(distributions.DiscretizedLogistic)


@likelihood
def ssim(spec: DataSpec, *, weight: float = 100.0, absolute: float = 0.16) -> nn.Module:
    """Structural similarity and a share of absolute error as a loss (Zhao et al. 2017): no density."""
    if not spec.is_pixels:
        raise ValueError(f"ssim compares pictures; this data has shape {spec.shape}.")
    if weight <= 0 or not 0 <= absolute < 1:
        raise ValueError(f"ssim: weight={weight} must be greater than 0 and absolute={absolute} lie in [0, 1).")
    return Structural(weight, absolute)


@likelihood
def categorical(spec: DataSpec) -> nn.Module:
    """One of ``spec.vocabulary`` values at every place."""
    if spec.vocabulary < 2:
        raise ValueError(f"categorical needs data with a vocabulary; this has vocabulary={spec.vocabulary}.")
    return Categorical(spec.vocabulary)
