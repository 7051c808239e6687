"""The one model class. Every method is a choice of its five parts.

input -> encoder -> bottleneck -> posterior q(z|x) -> z -> decoder -> likelihood p(x|z)
                                                      |
                                                    prior p(z)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gargalo.distributions import Likelihood, Posterior, tile


@dataclass(frozen=True)
class Batch:
    """What a step sees. ``input`` and ``target`` differ where a corruption stands between them."""

    input: Tensor
    target: Tensor
    condition: Tensor | None = None  # class numbers [N]
    dataset_size: int = 1  # for estimators over the aggregate posterior


@dataclass(frozen=True)
class Output:
    """One pass. N rows each (N = samples x batch); densities in nats, one number a row."""

    posterior: Posterior
    likelihood: Likelihood
    prior: nn.Module
    z: Tensor
    nll: Tensor  # -log p(x|z)
    kl: Tensor  # KL(q(z|x) || p(z)); exact where it is known
    log_q: Tensor  # log q(z|x) at z
    log_p: Tensor  # log p(z) at z


class LatentModel(nn.Module):
    """Encoder, bottleneck, decoder, prior and likelihood: any modules that fit together."""

    def __init__(
        self,
        encoder: nn.Module,
        bottleneck: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        likelihood: nn.Module,
    ) -> None:
        super().__init__()
        self.encoder, self.bottleneck, self.decoder = encoder, bottleneck, decoder
        self.prior, self.likelihood = prior, likelihood
        self.replaced: dict[str, Tensor] | None = None  # the tensors of the prior that a fitted one took the place of
        self.suggested_prior: str | None = getattr(prior, "suggestion", None)  # to fit to the codes after training
        self.suggested: dict[str, Any] = {}  # how to train it where nobody said: see `gargalo.fitting.suggestions`

    @property
    def generative(self) -> bool:
        """Whether codes can be drawn that no input was encoded to, now or once a prior is fitted."""
        return bool(getattr(self.prior, "generative", True))

    @property
    def conditional(self) -> bool:
        """Whether the parts want a class number; data may have labels that a model does not look at."""
        return bool(getattr(self.encoder, "conditional", False))

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Posterior:
        """``[N, *input_shape]`` to a posterior of N rows."""
        return self.bottleneck(self.encoder(x, *self._given(condition)))

    def decode(self, z: Tensor, condition: Tensor | None = None, teacher: Tensor | None = None) -> Likelihood:
        """``[N, D]`` to a likelihood of N rows. ``teacher`` reaches only decoders that are autoregressive."""
        teacher = teacher if getattr(self.decoder, "autoregressive", False) else None
        return self.likelihood(self.decoder(z, *self._given(condition, teacher)))

    def draw(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """An example of each code from the likelihood, ``[N, *shape]``, where `decode` has the likeliest."""
        generate = getattr(self.decoder, "generate", None)
        return self.decode(z, condition).sample() if generate is None else generate(z)

    def forward(self, batch: Batch, samples: int = 1, noise: Tensor | None = None) -> Output:
        """Everything an objective needs. ``samples`` draws of each example follow one another as whole batches."""
        posterior = self.encode(batch.input, batch.condition).repeat(samples)
        target = tile(batch.target, samples)
        condition = None if batch.condition is None else tile(batch.condition, samples)
        z, log_q = posterior.draw(noise)
        likelihood = self.decode(z, condition, teacher=target)
        return Output(
            posterior,
            likelihood,
            self.prior,
            z,
            nll=-likelihood.log_prob(target),
            kl=self.prior.kl(posterior, z, log_q),  # type: ignore[operator]
            log_q=log_q,
            log_p=self.prior.log_prob(z),  # type: ignore[operator]
        )

    def codes(self, batch: Batch, prior: nn.Module) -> Tensor:
        """What such a prior is fitted to, one code of each example, ``[N, D]``."""
        return prior.codes(self.encode(batch.input, batch.condition))  # type: ignore[operator]

    def noise_shape(self, z: Tensor) -> tuple[int, ...]:
        """Of the standard normal numbers that a draw of one code like ``z`` uses up."""
        return tuple(z.shape[1:])

    @torch.no_grad()
    def prime(self, batches: Iterator[Batch]) -> None:
        """Lets parts that start from data see some: code books, pseudo-inputs. Others cost nothing."""
        parts = [part for part in (self.bottleneck, self.prior) if hasattr(part, "prime")]
        if not parts:
            return
        batch = next(batches)
        for part in parts:
            seen = batch.input if part is self.prior else self.encoder(batch.input, *self._given(batch.condition))
            part.prime(seen)  # type: ignore[operator]

    def replace_prior(self, prior: nn.Module) -> None:
        """Takes one that was fitted to the codes; the tensors of the first are remembered."""
        if self.replaced is None:
            self.replaced = self.prior.state_dict()
        self.prior = prior

    def _given(self, condition: Tensor | None, teacher: Tensor | None = None) -> tuple[Tensor, ...]:
        wanted = condition if self.conditional else None
        return tuple(value for value in (wanted, teacher) if value is not None)
