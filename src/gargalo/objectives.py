"""Objectives: a number of nats an example to minimize. They touch the model only by calling it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from gargalo import functional
from gargalo.distributions import Codes, DiagonalGaussian, Point, Posterior
from gargalo.model import Batch, Output

GENERATIVE = "decoder", "prior", "likelihood"  # the parts that say how x comes from z
Kind = TypeVar("Kind")


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
    keeps_last = False  # weights, where the validation loss cannot say which are the best
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros(()), persistent=False)

    @property
    def turns(self) -> tuple[str, ...]:
        """Who moves in a step, in order; one may more than once. The first player begins."""
        return self.players

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


class Sloped(Objective):
    """Of objectives that ask for the slope of a model, in training and when they are only measured."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))  # added to inputs, it lets gradients reach them; no player moves it

    def reachable(self, batch: Batch) -> Batch:
        return Batch(batch.input + self.zero, batch.target, batch.condition, batch.dataset_size)


class Contractive(Sloped):
    """Codes that move little when inputs do (Rifai et al. 2011)."""

    def __init__(self, contraction: float) -> None:
        super().__init__()
        self.contraction = contraction

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        with torch.enable_grad():
            moved = self.reachable(batch)
            out: Output = model(moved)
            slope = functional.jacobian_norm(out.z, moved.input)
        return loss(out.nll + self.contraction * slope, nll=out.nll, slope=slope)


class Regularized(Sloped):
    """Codes kept small, and a decoder kept smooth: by its weights' decay or by its gradient (Ghosh et al. 2020)."""

    def __init__(self, embedding: float, decay: float = 0.0, gradient: float = 0.0) -> None:
        super().__init__()
        self.embedding, self.decay, self.gradient = embedding, decay, gradient

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        if not self.gradient:
            out: Output = model(batch)
            weights = [p for p in cast(Any, model).decoder.parameters() if p.dim() > 1]
            rough = self.decay * torch.stack([p.square().sum() for p in weights]).sum()
        else:
            with torch.enable_grad():
                out = model(self.reachable(batch))
                rough = self.gradient * functional.jacobian_norm(out.likelihood.mode, out.z)
        size = 0.5 * out.z.square().flatten(1).sum(1)
        return loss(out.nll + self.embedding * size + rough, nll=out.nll, size=size, rough=rough)


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
        expect_density(self, out.posterior)
        ramp = (self.step / self.warmup).clamp(max=1.0) if self.warmup and self.training else 1.0
        return loss(out.nll + self.beta * ramp * out.kl.clamp(min=self.free_nats), nll=out.nll, kl=out.kl)


class SteeredELBO(Objective):
    """A bound whose KL is steered to ``target`` nats, on average over the rows (after Shao et al. 2020).

    In training the weight of the KL grows at every step by up to a hundredth while it is above, and falls while it is
    below; the weight is a buffer, so that a resumed run goes on steering where it was. Outside training, where runs are
    compared whose weights differ, what is above the target counts in full and the rest not at all.
    """

    log_weight: Tensor
    RATE = 0.01

    def __init__(self, target: float, weight: float = 0.1) -> None:
        super().__init__()
        if not (target > 0 and weight > 0 and math.isfinite(target + weight)):
            raise ValueError(f"The target of the KL, {target} nats, and its first weight {weight} must be above 0.")
        self.target = target
        self.register_buffer("log_weight", torch.tensor(math.log(weight)))

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        expect_density(self, out.posterior)
        if not self.training:
            return loss(out.nll + (out.kl.mean() - self.target).clamp(min=0), nll=out.nll, kl=out.kl)
        weight = self.log_weight.exp()
        with torch.no_grad():
            excess = out.kl.mean() / self.target - 1
            self.log_weight.add_(self.RATE * excess.clamp(-1, 1)).clamp_(-12, 12)  # whatever the target, a finite loss
        return loss(out.nll + weight * out.kl, nll=out.nll, kl=out.kl, weight=weight.expand(1))


class Capacity(Objective):
    """A KL that is drawn to a number of nats which grows in training (Burgess et al. 2018)."""

    def __init__(self, gamma: float, capacity: float, steps: int) -> None:
        super().__init__()
        if gamma < 0 or capacity < 0 or steps < 1:
            raise ValueError(f"gamma={gamma} and capacity={capacity} must be at least 0, steps={steps} at least 1.")
        self.gamma, self.capacity, self.steps = gamma, capacity, steps

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        grown = (self.step / self.steps).clamp(max=1.0) if self.training else 1.0
        return loss(out.nll + self.gamma * (out.kl - self.capacity * grown).abs(), nll=out.nll, kl=out.kl)


class BetaTC(Objective):
    """The KL in three parts, with the total correlation weighed alone (Chen et al. 2018)."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        posterior = expect_posterior(self, out.posterior, DiagonalGaussian)
        log_qz, log_qz_product = functional.aggregate_log_density(posterior, out.z, batch.dataset_size)
        information, correlation = out.log_q - log_qz, log_qz - log_qz_product
        dimension_kl = log_qz_product - out.log_p
        return loss(
            out.nll + information + self.beta * correlation + dimension_kl,
            nll=out.nll,
            information=information,
            correlation=correlation,
            dimension_kl=dimension_kl,
        )


class DIP(Objective):
    """An aggregate posterior whose covariance is drawn to the identity (Kumar et al. 2018): that of the means alone,
    ``variant`` 1, or with the mean variance, 2."""

    def __init__(self, off_diagonal: float, diagonal: float, variant: int) -> None:
        super().__init__()
        self.off_diagonal, self.diagonal, self.variant = off_diagonal, diagonal, variant

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        posterior = expect_posterior(self, out.posterior, DiagonalGaussian)
        covariance = functional.covariance(posterior.mean)
        if self.variant == 2:
            covariance = covariance + torch.diag(posterior.log_var.exp().mean(0))
        spread = covariance.diagonal()
        off = (covariance - torch.diag(spread)).square().sum()
        penalty = self.off_diagonal * off + self.diagonal * (spread - 1).square().sum()
        return loss(out.nll + out.kl + penalty, nll=out.nll, kl=out.kl, penalty=penalty)


class Matched(Objective):
    """Codes that are as the prior's in the mass, by ``distance`` of the two sets, and each by its KL.

    With ``kl`` 0 and a deterministic code, Wasserstein autoencoders (Tolstikhin et al. 2018; Kolouri et al. 2019);
    with a Gaussian posterior, the InfoVAE (Zhao et al. 2019).
    """

    def __init__(self, weight: float, distance: Callable[[Tensor, Tensor], Tensor], kl: float = 0.0) -> None:
        super().__init__()
        self.weight, self.distance, self.kl = weight, distance, kl

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        apart = self.distance(out.z, cast(Any, out.prior).sample(len(out.z)))
        terms = {"nll": out.nll, "apart": apart} | ({"kl": out.kl} if self.kl else {})  # of a point there is none
        return loss(out.nll + self.weight * apart + self.kl * out.kl, **terms)


class ImportanceWeighted(Objective):
    """Bounds from several samples: ``groups`` of ``samples`` each, averaged outside the logarithm.

    One group is the IWAE (Burda et al. 2016), several the MIWAE; ``elbo`` is the share of the plain bound in the CIWAE
    (Rainforth et al. 2018).
    """

    def __init__(self, samples: int, groups: int = 1, elbo: float = 0.0) -> None:
        super().__init__()
        if samples < 1 or groups < 1 or not 0 <= elbo <= 1:
            raise ValueError(f"samples={samples} and groups={groups} must be at least 1, elbo={elbo} in [0, 1].")
        self.samples, self.groups, self.elbo = samples, groups, elbo

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        return self.bound(model, batch, self.groups)

    def bound(self, model: nn.Module, batch: Batch, groups: int) -> Loss:
        out: Output = model(batch, samples=self.samples * self.groups)
        expect_density(self, out.posterior)
        log_w = (out.log_p - out.log_q - out.nll).view(groups, -1, len(batch.target))
        bound = functional.log_mean_exp(log_w, dim=1).mean(0)
        return loss(-self.elbo * log_w.mean((0, 1)) - (1 - self.elbo) * bound, nll=out.nll, kl=out.kl)


class PartiallyImportanceWeighted(ImportanceWeighted):
    """The encoder climbs the bound of several groups, the decoder that of all samples in one: each the bound whose
    gradient serves it best (Rainforth et al. 2018)."""

    players = ("decoder", "encoder")

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return parts_of(model, "encoder", "bottleneck") if player == "encoder" else parts_of(model, *GENERATIVE)

    def forward(self, model: nn.Module, batch: Batch, player: str = "decoder") -> Loss:
        return self.bound(model, batch, self.groups if player == "encoder" else 1)


class Quantized(Objective):
    """Features drawn to the vectors that stand for them, and, unless these follow by themselves, the other way round
    (van den Oord et al. 2017)."""

    def __init__(self, commitment: float) -> None:
        super().__init__()
        self.commitment = commitment

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        q = expect_posterior(self, out.posterior, Codes)
        commitment = (q.features - q.vectors.detach()).square().flatten(1).sum(1)
        total = out.nll + self.commitment * commitment
        if q.vectors.requires_grad:
            total = total + (q.vectors - q.features.detach()).square().flatten(1).sum(1)
        shares = functional.code_shares(q.indices, q.num_codes)
        return loss(total, nll=out.nll, commitment=commitment, perplexity=functional.perplexity(shares))


def parts_of(model: nn.Module, *names: str) -> list[nn.Parameter]:
    return [parameter for name in names for parameter in cast(nn.Module, getattr(model, name)).parameters()]


def expect_posterior(objective: Objective, posterior: Posterior, kind: type[Kind]) -> Kind:
    """TypeError where a model's bottleneck makes another kind of posterior than an objective needs."""
    if not isinstance(posterior, kind):
        given = type(cast(object, posterior)).__name__
        raise TypeError(f"{type(objective).__name__} needs a {kind.__name__} posterior; this model's is a {given}.")
    return posterior


def expect_density(objective: Objective, posterior: Posterior) -> None:
    """TypeError where a posterior is a single code: bounds want one that is spread out."""
    if isinstance(posterior, Point | Codes):
        given = type(posterior).__name__
        raise TypeError(f"{type(objective).__name__} needs a posterior with a density; this model's is a {given}.")
