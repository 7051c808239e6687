"""The subclass of LatentModel whose z is many: it is drawn level by level, each level's prior looking at those above.

    x -> encoder -> features at every scale
                       |
    start -> level -> level -> ... -> decoder -> likelihood p(x|z)

A level answers three questions about the state that comes down to it: what is expected (``prior``), what this input
says (``posterior``), and what the state is once z is known (``merge``). All z of an example, in one row, are its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from gargalo.distributions import DiagonalGaussian, Likelihood, tile
from gargalo.functional import gaussian_kl
from gargalo.model import Batch, LatentModel, Output
from gargalo.priors import Prior


class Level(Protocol):
    """Of a hierarchy; a module. ``shape`` is that of its z."""

    shape: tuple[int, ...]

    def prior(self, state: Tensor) -> DiagonalGaussian: ...
    def posterior(self, state: Tensor, features: Any, prior: DiagonalGaussian) -> DiagonalGaussian: ...
    def merge(self, state: Tensor, z: Tensor) -> Tensor: ...


class Path(NamedTuple):
    """One way down: all z ``[N, D]``, the last state, and what was met on it in nats ``[N]``."""

    z: Tensor
    state: Tensor
    kl: Tensor
    log_q: Tensor
    log_p: Tensor


class Ancestral(Prior):
    """p(z) = p(z1) p(z2 | z1) ..., from the top down."""

    indispensable = "the prior of a hierarchy is the upper part of its decoder"
    start: Tensor

    def __init__(self, levels: list[nn.Module], start: Tensor) -> None:
        super().__init__((sum(prod(cast(Level, level).shape) for level in levels),))
        self.levels = nn.ModuleList(levels)
        if start.numel():
            self.start = nn.Parameter(start)
        else:
            self.register_buffer("start", start)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.descend(len(z), given=z).log_p

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.descend(n, noise=self.noise(n) * temperature).z

    def descend(
        self, n: int, features: Any = None, *, given: Tensor | None = None, noise: Tensor | None = None
    ) -> Path:
        """From the start to the last state for n rows.

        Each z is ``given``, or drawn by standard normal ``noise`` from the posterior, or from the prior where there are
        no ``features``.
        """
        state = self.start.expand(n, *self.start.shape)
        sizes = [prod(cast(Level, level).shape) for level in self.levels]
        known = [None] * len(sizes) if given is None else given.split(sizes, 1)
        noises = [None] * len(sizes) if noise is None else noise.split(sizes, 1)
        drawn: list[Tensor] = []
        kls, log_qs, log_ps = [state.new_zeros(n)], [state.new_zeros(n)], [state.new_zeros(n)]
        for level, value, chance in zip(cast(list[Level], list(self.levels)), known, noises, strict=True):
            p = level.prior(state)
            q = p if features is None else level.posterior(state, features, p)
            if value is None:
                z, log_q = q.draw(None if chance is None else chance.view(n, *level.shape))
                log_qs.append(log_q)
            else:
                z = value.view(n, *level.shape)
            log_ps.append(p.log_prob(z))
            if features is not None:
                kls.append(gaussian_kl(q, p).flatten(1).sum(1))
            drawn.append(z.flatten(1))
            state = level.merge(state, z)
        return Path(torch.cat(drawn, 1), state, sum_of(kls), sum_of(log_qs), sum_of(log_ps))


def sum_of(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows).sum(0)


@dataclass(frozen=True)
class Descent:
    """q(z|x) of a hierarchy: each level's is known once those above it are drawn."""

    ancestral: Ancestral
    features: tuple[Tensor, ...]

    @property
    def mode(self) -> Tensor:
        """Every level's mean, given those above: close to the mode, and what one wants to look at."""
        noise = self.features[0].new_zeros(len(self.features[0]), *self.ancestral.shape, dtype=torch.float32)
        return self.draw(noise)[0]

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        path = self.descend(noise)
        return path.z, path.log_q

    def descend(self, noise: Tensor | None = None) -> Path:
        return self.ancestral.descend(len(self.features[0]), self.features, noise=noise)

    def repeat(self, k: int) -> Descent:
        return Descent(self.ancestral, tuple(tile(f, k) for f in self.features))


class Hierarchy(LatentModel):
    """The encoder gives a tuple of features; the decoder takes the last state."""

    prior: Ancestral

    def __init__(self, encoder: nn.Module, prior: Ancestral, decoder: nn.Module, likelihood: nn.Module) -> None:
        super().__init__(encoder, nn.Identity(), decoder, prior, likelihood)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Descent:
        return Descent(self.prior, self.encoder(x))

    def decode(self, z: Tensor, condition: Tensor | None = None, teacher: Tensor | None = None) -> Likelihood:
        return self.likelihood(self.decoder(self.prior.descend(len(z), given=z).state))

    def forward(self, batch: Batch, samples: int = 1, noise: Tensor | None = None) -> Output:
        """As of any model, in one way down instead of three."""
        posterior = self.encode(batch.input).repeat(samples)
        path = posterior.descend(noise)
        likelihood = self.likelihood(self.decoder(path.state))
        nll = -likelihood.log_prob(tile(batch.target, samples))
        return Output(posterior, likelihood, self.prior, path.z, nll, path.kl, path.log_q, path.log_p)
