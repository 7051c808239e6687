"""Posteriors that follow the target itself: a few Hamiltonian steps from where the encoder points.

A subclass of LatentModel, as the way leads through the decoder: the draw needs all parts of the model at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from gargalo.distributions import LOG_2PI, DiagonalGaussian, tile
from gargalo.errors import check_range
from gargalo.functional import standard_normal_log_prob
from gargalo.model import Batch, LatentModel, Output

Potential = Callable[[Tensor], Tensor]  # -log p(x, z) of rows of z, [N]


class Hamiltonian(LatentModel):
    """Leapfrog steps along the gradient of log p(x, z), momentum cooled on the way (Caterini et al. 2018)."""

    def __init__(self, *parts: nn.Module, steps: int, step_size: float, temperature: float) -> None:
        super().__init__(*parts)
        check_range("steps", steps, 1, 100)
        if not step_size > 0 or not 0 < temperature <= 1:
            raise ValueError(f"step_size={step_size} must be greater than 0, temperature={temperature} in (0, 1].")
        self.steps, self.temperature = steps, temperature
        self.log_step = nn.Parameter(torch.tensor(step_size).log())

    def noise_shape(self, z: Tensor) -> tuple[int, ...]:
        """Numbers for the code and for its momentum."""
        return (2 * z.shape[1],)

    def codes(self, batch: Batch, prior: nn.Module) -> Tensor:
        """Those at the end of the way, which the bound is of."""
        return self(batch).z

    def forward(self, batch: Batch, samples: int = 1, noise: Tensor | None = None) -> Output:
        posterior = self.encode(batch.input, batch.condition).repeat(samples)
        target = tile(batch.target, samples)
        condition = None if batch.condition is None else tile(batch.condition, samples)
        start, push = (None, None) if noise is None else noise.chunk(2, dim=1)
        z, log_q = posterior.draw(start)
        push = torch.randn_like(z) if push is None else push

        def potential(z: Tensor) -> Tensor:
            nll = -self.decode(z, condition, teacher=target).log_prob(target)
            return nll - self.prior.log_prob(z)  # type: ignore[operator]

        z, gained = self.moved(z, push, potential)
        likelihood = self.decode(z, condition, teacher=target)
        nll, log_p = -likelihood.log_prob(target), self.prior.log_prob(z)  # type: ignore[operator]
        log_q = log_q + gained
        return Output(posterior, likelihood, self.prior, z, nll, log_q - log_p, log_q, log_p)

    def moved(self, z: Tensor, push: Tensor, potential: Potential) -> tuple[Tensor, Tensor]:
        """z after all steps, and what the log density of its draw gained, momentum accounted for, ``[N]``."""
        step, momentum = self.log_step.exp(), push / self.temperature**0.5
        here = slope(potential, z)  # a step ends where the next begins
        for cooled in self.cooling():
            momentum = momentum - 0.5 * step * here
            z = z + step * momentum
            here = slope(potential, z)
            momentum = (momentum - 0.5 * step * here) * cooled
        return z, standard_normal_log_prob(push) - standard_normal_log_prob(momentum)

    def cooling(self) -> list[float]:
        """What momentum is multiplied by after each step: it begins as hot as 1 / ``temperature``, and the inverse of
        that goes up to 1, quadratically."""
        roots = [
            1 / ((1 - self.temperature**-0.5) * (k / self.steps) ** 2 + self.temperature**-0.5)
            for k in range(self.steps + 1)
        ]
        return [roots[k] / roots[k + 1] for k in range(self.steps)]


class Riemannian(Hamiltonian):
    """Steps in a geometry that is learned: near codes of examples it costs little to move (Chadebec et al. 2020).

    The inverse metric is a sum of matrices around ``centroids``, the codes of recent examples, and a little of the
    identity. ``metric`` gives the matrix of an input; ``anchors`` many of them are remembered.
    """

    centroids: Tensor
    factors: Tensor
    _near: tuple[Tensor, Tensor]

    def __init__(
        self,
        *parts: nn.Module,
        metric: nn.Module,
        anchors: int,
        width: float,
        floor: float,
        steps: int,
        step_size: float,
        temperature: float,
    ) -> None:
        super().__init__(*parts, steps=steps, step_size=step_size, temperature=temperature)
        self.metric, self.width, self.floor = metric, width, floor
        check_range("anchors", anchors, 1, 1 << 16)
        (latent_dim,) = cast(tuple[int], self.prior.shape)
        self.register_buffer("centroids", torch.zeros(anchors, latent_dim))
        self.register_buffer("factors", torch.zeros(anchors, latent_dim, latent_dim))

    def forward(self, batch: Batch, samples: int = 1, noise: Tensor | None = None) -> Output:
        self._near = self._remembered(batch) if self.training else (self.centroids, self.factors)
        try:
            return super().forward(batch, samples, noise)
        finally:
            del self._near  # holds a graph

    def inverse_metric(self, z: Tensor) -> Tensor:
        """``[N, D, D]``, float32: densities hang on it."""
        squared = (z[:, None] - self._near[0]).square().sum(2)
        weight = (-squared / self.width**2).exp()
        with torch.autocast(z.device.type, enabled=False):
            around = torch.einsum("nk,kij->nij", weight, self._near[1] @ self._near[1].mT)
        return around + self.floor * torch.eye(z.shape[1], device=z.device)

    def moved(self, z: Tensor, push: Tensor, potential: Potential) -> tuple[Tensor, Tensor]:
        """By the generalized leapfrog, whose implicit steps are taken thrice (Girolami and Calderhead 2011)."""
        step = self.log_step.exp()
        root = torch.linalg.cholesky(torch.linalg.inv(self.inverse_metric(z)))
        momentum = _times(root, push) / self.temperature**0.5
        gained = standard_normal_log_prob(push) - root.diagonal(dim1=1, dim2=2).log().sum(1)

        def energy(momentum: Tensor, z: Tensor) -> Tensor:
            return potential(z) + self._kinetic(z, momentum)

        for cooled in self.cooling():
            middle = momentum
            for _ in range(3):
                middle = momentum - 0.5 * step * slope(partial(energy, middle), z)
            velocity, onward = self._velocity(z, middle), z
            for _ in range(3):
                onward = z + 0.5 * step * (velocity + self._velocity(onward, middle))
            z = onward
            momentum = (middle - 0.5 * step * slope(partial(energy, middle), z)) * cooled
        return z, gained + self._kinetic(z, momentum) + 0.5 * z.shape[1] * LOG_2PI

    def _velocity(self, z: Tensor, momentum: Tensor) -> Tensor:
        return _times(self.inverse_metric(z), momentum)

    def _kinetic(self, z: Tensor, momentum: Tensor) -> Tensor:
        """-log N(momentum; 0, metric at z) but for the constant."""
        inverse = self.inverse_metric(z)
        squared = (momentum * _times(inverse, momentum)).sum(1)
        return 0.5 * (squared - torch.logdet(inverse))

    def _remembered(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's own codes and matrices, which take the places of the oldest."""
        posterior = self.encode(batch.input, batch.condition)
        assert isinstance(posterior, DiagonalGaussian)
        n, d = posterior.mean.shape
        raw = self.metric(batch.input).float().view(n, d, d)
        factor = raw.tril(-1) + torch.diag_embed(raw.diagonal(dim1=1, dim2=2).clamp(-6, 3).exp())
        with torch.no_grad():
            self.centroids.copy_(torch.cat([posterior.mean, self.centroids])[: len(self.centroids)])
            self.factors.copy_(torch.cat([factor, self.factors])[: len(self.factors)])
        return posterior.mean, factor


def _times(matrices: Tensor, rows: Tensor) -> Tensor:
    """``[N, D, D]`` by ``[N, D]``, not in bfloat16 as a product of matrices may be."""
    return (matrices * rows[:, None]).sum(2)


def slope(potential: Potential, z: Tensor) -> Tensor:
    """The gradient at z, itself differentiable where training goes on."""
    training = torch.is_grad_enabled()
    with torch.enable_grad():
        at = z if z.requires_grad else z.detach().requires_grad_()
        (found,) = torch.autograd.grad(potential(at).sum(), at, create_graph=training)
    return found
