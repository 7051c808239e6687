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
    """Codes by which two views of one example find each other, and which tell its edges as well as its values.

    After Chen et al. 2020, who compare projections of the codes: what these throw away, the codes keep; and Wei et al.
    2022, who predict edges of pictures, as these say more of what things are than brightness does. ``change`` is an
    augmentation that makes views of inputs; what is predicted and decoded is the example itself, of ``shape``.
    ``contrast`` and ``edges`` are weights, beside 1 for the decoded.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        change: Callable[..., Tensor],
        *,
        contrast: float,
        edges: float,
        temperature: float,
    ) -> None:
        super().__init__()
        if contrast < 0 or edges < 0 or temperature <= 0:
            raise ValueError(
                f"contrast={contrast} and edges={edges} must be at least 0, temperature={temperature} greater than 0."
            )
        self.change, self.contrast, self.edges, self.temperature = change, contrast, edges, temperature
        self.projector = _head(latent_dim, 256, 128)
        self.sketcher = _head(latent_dim, 512, functional.outline(torch.zeros(1, *shape)).shape[1])

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return [*model.parameters(), *self.parameters()]

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        views = torch.cat([self.change(batch.input, None), self.change(batch.input, None)])
        condition = None if batch.condition is None else tile(batch.condition, 2)
        out: Output = model(Batch(views, tile(batch.target, 2), condition, batch.dataset_size))
        one, other = self.projector(out.z).float().chunk(2)
        contrast = functional.nt_xent(one, other, self.temperature)
        sketch, outline = self.sketcher(out.z).float(), tile(functional.outline(batch.target), 2)
        edges = (sketch - outline).square().sum(1)
        return loss(
            out.nll + self.contrast * contrast + self.edges * edges, nll=out.nll, contrast=contrast, edges=edges
        )


def _head(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


def expect_posterior(objective: Objective, posterior: Posterior, kind: type) -> None:
    """TypeError where a model's bottleneck makes another kind of posterior than an objective needs."""
    if not isinstance(posterior, kind):
        given = type(cast(object, posterior)).__name__
        raise TypeError(f"{type(objective).__name__} needs a {kind.__name__} posterior; this model's is a {given}.")
