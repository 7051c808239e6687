"""Objectives with a critic: two or three players that take turns at one batch, or one that moves all at once.

Where players take turns, each reports in ``critic`` the share of cases its critic gets right: near 1/2 from the first
step on, it never learned, which `gargalo doctor` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import functional
from gargalo.distributions import DiagonalGaussian
from gargalo.errors import check_range
from gargalo.model import Batch, Output
from gargalo.objectives import GENERATIVE, Loss, Objective, expect_posterior, loss, parts_of

MAX_WIDTH = 8192


class Adversarial(Objective):
    """Of a model and the ``critic`` that an objective owns."""

    players = ("model", "critic")
    critic: nn.Module
    at_chance = (
        "error",
        "It never learned, so that nothing drew codes to the prior. Look whether its optimizer moves it.",
    )

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return self.critic.parameters() if player == "critic" else model.parameters()


class FactorTC(Adversarial):
    """The total correlation of codes, as told by a critic that knows them from codes whose numbers were shuffled
    among the rows (Kim and Mnih 2018)."""

    at_chance = (
        "warning",
        "Either the numbers of a code are independent, which is the aim, or the critic never learned.",
    )

    def __init__(self, latent_dim: int, gamma: float, width: int) -> None:
        super().__init__()
        self.gamma, self.critic = gamma, dense_critic(latent_dim, width, depth=4)

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        if player == "model":
            logits = self.critic(out.z)[:, 0]  # log of how much likelier the code is than its numbers apart
            return loss(out.nll + out.kl + self.gamma * logits, nll=out.nll, kl=out.kl, correlation=logits)
        z = out.z.detach()
        order = torch.rand_like(z).argsort(0)
        return told_apart(self.critic, z, z.gather(0, order))


class AdversarialLatent(Adversarial):
    """Codes that a critic cannot tell from the prior's (Makhzani et al. 2016).

    A critic that lags behind is led around in circles, so it has ``critic_turns`` a step; ``smoothness`` is the weight
    of its squared slope where the prior is, without which the game need not settle (Mescheder et al. 2018).
    """

    def __init__(self, latent_dim: int, weight: float, width: int, critic_turns: int, smoothness: float) -> None:
        super().__init__()
        self.weight, self.critic = weight, dense_critic(latent_dim, width, depth=2)
        self.critic_turns, self.smoothness = check_range("critic_turns", critic_turns, 1, 64), smoothness
        self.zero = nn.Parameter(torch.zeros(()))  # added to what is drawn, it lets slopes be seen; no player moves it

    @property
    def turns(self) -> tuple[str, ...]:
        return "model", *("critic",) * self.critic_turns

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        if player == "model":
            caught = F.softplus(self.critic(out.z)[:, 0])  # of a logit that says: a code, not the prior
            return loss(out.nll + self.weight * caught, nll=out.nll, caught=caught)
        drawn = cast(Any, out.prior).sample(len(out.z)) + self.zero
        total, terms = told_apart(self.critic, out.z.detach(), drawn)
        slope = functional.jacobian_norm(self.critic(drawn), drawn).mean()
        return Loss(total + 0.5 * self.smoothness * slope, terms | {"slope": slope.detach()})


class InvariantELBO(Objective):
    """A bound, of codes from which a critic cannot read the class (Ganin and Lempitsky 2015; Creswell et al. 2017).

    The critic asks the means of the codes, each number brought to variance 1, as a probe would. It moves together with
    the model: the gradient of its cross-entropy, ``label``, is turned round where it leaves the critic, and is
    ``weight`` times as large there after the first `RAMP` steps. The loss is the bound alone.
    """

    RAMP = 1_000

    def __init__(self, latent_dim: int, num_classes: int, places: int, weight: float, width: int) -> None:
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"invariance={weight} must be at least 0, and finite.")
        self.weight, self.num_classes = weight, num_classes
        self.critic = dense_critic(latent_dim, width, depth=2, outputs=num_classes * max(1, places))

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return [*model.parameters(), *self.critic.parameters()]

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        out: Output = model(batch)
        codes = expect_posterior(self, out.posterior, DiagonalGaussian).mean.float()
        codes = (codes - codes.mean(0)) / (codes.var(0, correction=0) + 1e-6).sqrt()
        seen = functional.reversed_gradient(codes, self.weight * (self.step / self.RAMP).clamp(max=1.0))
        with torch.autocast(codes.device.type, enabled=False):  # what is left to read is small
            logits = self.critic(seen).view(-1, self.num_classes)
        label = F.cross_entropy(logits, cast(Tensor, batch.condition).flatten(), reduction="none")
        label = label.view(len(codes), -1).sum(1)
        return loss(out.nll + out.kl + label - label.detach(), nll=out.nll, kl=out.kl, label=label)


class PictureCritic(Adversarial):
    """VAE/GAN (Larsen et al. 2016): what a critic of pictures sees in them takes the place of their pixels.

    The encoder climbs a bound in which the critic's features have a Gaussian likelihood; the decoder also wants its
    reconstructions and samples taken for real, ``realism`` nats for each; ``pixels`` is the weight of the plain
    likelihood.
    """

    players = ("encoder", "decoder", "critic")
    at_chance = "error", "It never told pictures that were made from real ones. Look whether its optimizer moves it."

    def __init__(self, shape: tuple[int, ...], features: float, realism: float, pixels: float, width: int) -> None:
        super().__init__()
        self.features, self.realism, self.pixels = features, realism, pixels
        self.critic = Critic(shape, width)

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        parts = {"encoder": ("encoder", "bottleneck"), "decoder": GENERATIVE}
        return self.critic.parameters() if player == "critic" else parts_of(model, *parts[player])

    def forward(self, model: nn.Module, batch: Batch, player: str = "encoder") -> Loss:
        out: Output = model(batch)
        z = cast(Any, out.prior).sample(len(out.z))
        invented = cast(Any, model).decode(z, batch.condition).mode
        rebuilt = out.likelihood.mode
        if player == "critic":
            fake = torch.cat([rebuilt, invented]).detach()
            return told_apart(self.critic, fake, batch.target)
        critic = cast(Critic, self.critic)
        caught, seen = critic.looked(torch.cat([rebuilt, invented]))
        _, wanted = critic.looked(batch.target)
        unlike = 0.5 * (seen[: len(wanted)] - wanted.detach()).square().flatten(1).sum(1)
        told = self.features * unlike + self.pixels * out.nll
        if player == "encoder":
            return loss(told + out.kl, nll=out.nll, kl=out.kl, unlike=unlike)
        caught = F.softplus(caught[:, 0]).view(2, -1).sum(0)
        return loss(told + self.realism * caught, caught=caught)


class Critic(nn.Module):
    """Real or made? Dense layers; ``looked`` gives what it saw on the way too."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        check_range("critic_width", width, 4, MAX_WIDTH)
        self.eye: nn.Module
        if len(shape) == 3 and min(shape[1:]) >= 8:
            kernels = [nn.Conv2d(shape[0], width // 4, 4, 2, 1), nn.Conv2d(width // 4, width // 2, 4, 2, 1)]
            self.eye = nn.Sequential(kernels[0], nn.LeakyReLU(0.2), kernels[1])
        else:
            self.eye = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), width))
        seen = self.eye(torch.zeros(1, *shape)).numel()
        self.verdict = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(seen, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
        )

    def looked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.eye(x)
        return self.verdict(seen).float(), seen.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.looked(x)[0]


def told_apart(critic: nn.Module, ones: Tensor, zeros: Tensor) -> Loss:
    """The cross-entropy of a critic that should be positive for ``ones``, averaged over the two kinds."""
    up, down = critic(ones).float()[:, 0], critic(zeros).float()[:, 0]
    right = torch.stack([(up > 0).float().mean(), (down < 0).float().mean()]).mean()
    return loss(0.5 * (F.softplus(-up).mean() + F.softplus(down).mean()).expand(1), critic=right)


def dense_critic(dim: int, width: int, depth: int, outputs: int = 1) -> nn.Module:
    check_range("critic_width", width, 1, MAX_WIDTH)
    layers: list[nn.Module] = [nn.Linear(dim, width), nn.LeakyReLU(0.2)]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, outputs))
