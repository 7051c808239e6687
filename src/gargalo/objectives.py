"""Objectives: a number of nats an example to minimize. They touch the model only by calling it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gargalo import functional
from gargalo.distributions import DiagonalGaussian, Posterior, tile
from gargalo.model import Batch, Output


class Loss(NamedTuple):
    """``total`` is the scalar to differentiate, ``terms`` scalars to log, detached, in nats."""

    total: Tensor
    terms: dict[str, Tensor]


def loss(total: Tensor, **terms: Tensor) -> Loss:
    """The only mean over rows."""
    return Loss(total.mean(), {name: term.detach().mean() for name, term in terms.items()})


class Objective(nn.Module):
    """What to minimize, and who takes turns: each of ``players`` owns an optimizer.

    ``step`` is the number of the training step, filled in by the loop; a buffer, because a Python number would
    make a compiled step compile again each time.
    """

    players: tuple[str, ...] = ("model",)
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros(()), persistent=False)

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        """The parameters that a player's optimizer moves."""
        return model.parameters()

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        raise TypeError(f"{type(self).__name__} does not say what to minimize.")


class Reconstruction(Objective):
    """-log p(x|z) alone, or with an L1 penalty that makes codes sparse (Ng 2011)."""

    def __init__(self, sparsity: float = 0.0) -> None:
        super().__init__()
        self.sparsity = sparsity

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        if not self.sparsity:
            return loss(out.nll, nll=out.nll)
        activity = out.z.abs().flatten(1).sum(1)
        return loss(out.nll + self.sparsity * activity, nll=out.nll, activity=activity)


class ELBO(Objective):
    """The negative evidence lower bound (Kingma and Welling 2014); with beta > 1, Higgins et al. 2017.

    ``free_nats`` a row are not paid for (Kingma et al. 2016); ``warmup`` steps bring the weight of the KL from 0
    to ``beta`` in training (Bowman et al. 2016). Outside training the full weight counts.
    """

    def __init__(self, beta: float = 1.0, free_nats: float = 0.0, warmup: int = 0) -> None:
        super().__init__()
        if beta < 0 or free_nats < 0 or warmup < 0:
            raise ValueError(f"beta={beta}, free_nats={free_nats} and warmup={warmup} must be at least 0.")
        self.beta, self.free_nats, self.warmup = beta, free_nats, warmup

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        expect_posterior(self, out.posterior, DiagonalGaussian)
        ramp = (self.step / self.warmup).clamp(max=1.0) if self.warmup and self.training else 1.0
        return loss(out.nll + self.beta * ramp * out.kl.clamp(min=self.free_nats), nll=out.nll, kl=out.kl)


class Masked(Objective):
    """-log p(x|z) of whole examples whose code saw a part of them, in training; later it sees all (He et al. 2022).

    ``hide`` is a corruption of inputs, drawn afresh at each step.
    """

    def __init__(self, hide: Callable[..., Tensor]) -> None:
        super().__init__()
        self.hide = hide

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        seen = self.hide(batch.input, None) if self.training else batch.input
        out: Output = model(Batch(seen, batch.target, batch.condition, batch.dataset_size))
        return loss(out.nll, nll=out.nll)


class Contrastive(Objective):
    """Reconstruction from a changed view, and codes by which two views of one example find each other.

    After Chen et al. 2020, who compare projections of the codes: what these throw away, the codes keep. ``change`` is
    an augmentation that makes views of inputs; ``weight`` is that of the comparison. What is decoded is the example
    itself, not the view.
    """

    def __init__(
        self, latent_dim: int, change: Callable[..., Tensor], weight: float, temperature: float, width: int = 128
    ) -> None:
        super().__init__()
        if weight < 0 or temperature <= 0:
            raise ValueError(f"weight={weight} must be at least 0 and temperature={temperature} greater than 0.")
        self.change, self.weight, self.temperature = change, weight, temperature
        self.projector = nn.Sequential(nn.Linear(latent_dim, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return [*model.parameters(), *self.projector.parameters()]

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        views = torch.cat([self.change(batch.input, None), self.change(batch.input, None)])
        condition = None if batch.condition is None else tile(batch.condition, 2)
        out: Output = model(Batch(views, tile(batch.target, 2), condition, batch.dataset_size))
        one, other = self.projector(out.z).float().chunk(2)
        contrast = functional.nt_xent(one, other, self.temperature)
        return loss(out.nll + self.weight * contrast, nll=out.nll, contrast=contrast)


def expect_posterior(objective: Objective, posterior: Posterior, kind: type) -> None:
    """TypeError where a model's bottleneck makes another kind of posterior than an objective needs."""
    if not isinstance(posterior, kind):
        given = type(cast(object, posterior)).__name__
        raise TypeError(f"{type(objective).__name__} needs a {kind.__name__} posterior; this model's is a {given}.")
