"""Distributions as frozen records of tensors: what a decoder says about x, what an encoder says about z.

A posterior has ``mode``, ``draw`` and ``repeat``; a likelihood has ``mode``, ``log_prob`` and ``sample``.
``draw`` returns the sample together with its log density, so that posteriors whose density is known only
where they were sampled (flows, code books) look the same from outside. Log densities are summed over the
event, in nats, shape ``[N]``, and computed in float32 whatever the networks run in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_2PI = math.log(2 * math.pi)


class Likelihood(Protocol):
    """p(x|z): one row per example."""

    @property
    def mode(self) -> Tensor: ...
    def log_prob(self, x: Tensor) -> Tensor: ...
    def sample(self) -> Tensor: ...


class Posterior(Protocol):
    """q(z|x): one row per example."""

    @property
    def mode(self) -> Tensor: ...
    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
    def repeat(self, k: int) -> Self: ...


def sum_event(x: Tensor) -> Tensor:
    """Sum everything but the leading axis: ``[N, ...]`` to ``[N]``."""
    return x.flatten(1).sum(1)


def tile(x: Tensor, k: int) -> Tensor:
    """``k`` copies along the leading axis: ``[N, ...]`` to ``[k * N, ...]``, whole batches one after another."""
    return x if k == 1 else x.repeat(k, *(1,) * (x.dim() - 1))


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent normals, with ``log_var`` the logarithm of the variance (not of the standard deviation)."""

    mean: Tensor  # [N, D]
    log_var: Tensor  # [N, D]

    @classmethod
    def of(cls, h: Tensor) -> DiagonalGaussian:
        """From mean and log-variance, side by side ``[N, 2 D, ...]``. The log-variance is kept within +-12 so that its
        exponential is finite."""
        mean, log_var = h.float().chunk(2, dim=1)
        return cls(mean, log_var.clamp(-12, 12))

    @property
    def mode(self) -> Tensor:
        return self.mean

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        noise = torch.randn_like(self.mean) if noise is None else noise
        z = self.mean + (0.5 * self.log_var).exp() * noise
        return z, self.log_prob(z)

    def log_prob(self, z: Tensor) -> Tensor:
        squared = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * sum_event(squared + self.log_var + LOG_2PI)

    def repeat(self, k: int) -> DiagonalGaussian:
        return DiagonalGaussian(tile(self.mean, k), tile(self.log_var, k))


@dataclass(frozen=True)
class Point:
    """All mass on one code: the posterior of a plain autoencoder."""

    value: Tensor  # [N, D]

    @property
    def mode(self) -> Tensor:
        return self.value

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The code itself; a point has no density, and 0 stands for it."""
        return self.value, self.value.new_zeros(len(self.value))

    def repeat(self, k: int) -> Point:
        return Point(tile(self.value, k))


@dataclass(frozen=True)
class Flowed:
    """A Gaussian carried through ``flow``: ``(z, context)`` to the new z and the step's log-determinant ``[N]``."""

    base: DiagonalGaussian
    flow: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    context: Tensor  # [N, ...]

    @property
    def mode(self) -> Tensor:
        """Where the Gaussian's mean lands. The true mode may lie elsewhere; nobody knows where."""
        return self.flow(self.base.mean, self.context)[0]

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_q = self.base.draw(noise)
        z, log_det = self.flow(z, self.context)
        return z, log_q - log_det

    def repeat(self, k: int) -> Flowed:
        return Flowed(self.base.repeat(k), self.flow, tile(self.context, k))


@dataclass(frozen=True)
class Codes:
    """Vectors of a code book in the place of ``features``: a posterior without doubt (van den Oord et al. 2017)."""

    features: Tensor  # [N, P, D]
    vectors: Tensor  # [N, P, D]
    indices: Tensor  # [N, P] or, of several code books, [N, P, L]
    num_codes: int  # in a book

    @property
    def mode(self) -> Tensor:
        return self.vectors.flatten(1)

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The vectors, behind which gradients go on to the features (Bengio et al. 2013); their chance is 1."""
        z = self.features + (self.vectors - self.features).detach()
        return z.flatten(1), z.new_zeros(len(z))

    def repeat(self, k: int) -> Codes:
        return Codes(tile(self.features, k), tile(self.vectors, k), tile(self.indices, k), self.num_codes)


@dataclass(frozen=True)
class Bernoulli:
    """Probabilities of pixels that are on. Grey targets in [0, 1] give the usual binary cross-entropy."""

    logits: Tensor

    @property
    def mode(self) -> Tensor:
        """The mean, which is what one wants to look at; the strict mode would be black and white."""
        return self.logits.float().sigmoid()

    def log_prob(self, x: Tensor) -> Tensor:
        logits = self.logits.float()
        return sum_event(x.float() * logits - F.softplus(logits))  # torch's own cross-entropy takes thrice the passes

    def sample(self) -> Tensor:
        return torch.bernoulli(self.mode)


@dataclass(frozen=True)
class Gaussian:
    """Normal pixels around ``mean`` with one standard deviation ``exp(log_std)`` for all of them."""

    mean: Tensor
    log_std: Tensor  # []

    @property
    def mode(self) -> Tensor:
        return self.mean.float()

    def log_prob(self, x: Tensor) -> Tensor:
        log_std = self.log_std.float()
        squared = sum_event(F.mse_loss(self.mean.float(), x.float(), reduction="none"))
        return -0.5 * squared * (-2 * log_std).exp() - x[0].numel() * (log_std + 0.5 * LOG_2PI)

    def sample(self) -> Tensor:
        return self.mode + self.log_std.exp() * torch.randn_like(self.mode)


@dataclass(frozen=True)
class ProfiledGaussian:
    """A Gaussian whose variance is, for each batch, the one that explains the batch best (Rybkin et al. 2021).

    ``mean_square`` is a running average kept by the owner; it is what a trained model uses.
    """

    mean: Tensor
    mean_square: Tensor  # [], updated in place by `log_prob`

    @property
    def mode(self) -> Tensor:
        return self.mean.float()

    def log_prob(self, x: Tensor) -> Tensor:
        mean_square = (x.float() - self.mean.float()).square().mean().clamp(min=1e-8)
        with torch.no_grad():
            self.mean_square.lerp_(mean_square, 0.02)
        return Gaussian(self.mean, 0.5 * mean_square.log()).log_prob(x)

    def sample(self) -> Tensor:
        return Gaussian(self.mean, 0.5 * self.mean_square.log()).sample()


@dataclass(frozen=True)
class Laplace:
    """Double-exponential pixels: maximum likelihood is least absolute error (L1)."""

    mean: Tensor
    log_scale: Tensor  # []

    @property
    def mode(self) -> Tensor:
        return self.mean.float()

    def log_prob(self, x: Tensor) -> Tensor:
        log_scale = self.log_scale.float()
        absolute = sum_event(F.l1_loss(self.mean.float(), x.float(), reduction="none"))
        return -absolute * (-log_scale).exp() - x[0].numel() * (log_scale + math.log(2))

    def sample(self) -> Tensor:
        uniform = torch.rand_like(self.mode) - 0.5
        return self.mode - self.log_scale.exp() * uniform.sign() * torch.log1p(-2 * uniform.abs() + 1e-7)


@dataclass(frozen=True)
class DiscretizedLogistic:
    """A logistic cut into ``levels`` bins on [0, 1], the outer two reaching to infinity (Salimans et al. 2017)."""

    mean: Tensor
    log_scale: Tensor  # []
    levels: int = 256

    @property
    def mode(self) -> Tensor:
        return self.mean.float().clamp(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        mean, inverse_scale = self.mean.float(), (-self.log_scale.float()).exp()
        index = (x.float() * (self.levels - 1)).round()
        upper = (index + 0.5) / (self.levels - 1) - mean
        lower = (index - 0.5) / (self.levels - 1) - mean
        # A difference of sigmoids loses all its digits far from the mean; this form of it does not.
        log_upper = F.logsigmoid(upper * inverse_scale)
        log_lower = F.logsigmoid(lower * inverse_scale)
        gap = (log_lower - log_upper).clamp(max=-1e-7)
        middle = log_upper + torch.log(-torch.expm1(gap))
        first, last = log_upper, F.logsigmoid(-lower * inverse_scale)
        log_mass = torch.where(index <= 0, first, torch.where(index >= self.levels - 1, last, middle))
        return sum_event(log_mass)

    def sample(self) -> Tensor:
        uniform = torch.rand_like(self.mode).clamp(1e-6, 1 - 1e-6)
        x = self.mean.float() + self.log_scale.float().exp() * torch.logit(uniform)
        return (x.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


@dataclass(frozen=True)
class Categorical:
    """One of V values at every place, from logits ``[N, V, ...]``; x holds their numbers, ``[N, ...]``."""

    logits: Tensor

    @property
    def mode(self) -> Tensor:
        return self.logits.argmax(1)

    def log_prob(self, x: Tensor) -> Tensor:
        return -sum_event(self.surprise(x))

    def surprise(self, x: Tensor) -> Tensor:
        """Nats at each place, ``[N, ...]``."""
        return F.cross_entropy(self.logits.float(), x.long(), reduction="none")

    def sample(self) -> Tensor:
        logits = self.logits.float().movedim(1, -1)
        drawn = torch.multinomial(logits.flatten(0, -2).softmax(-1), 1)
        return drawn.view(logits.shape[:-1])
