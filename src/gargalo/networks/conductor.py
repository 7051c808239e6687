"""A decoder in two levels: a conductor gives each segment a plan, a player follows it step by step, hearing what was
played before (Roberts et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from gargalo.networks.codes import CodeLinear
from gargalo.networks.recurrent import GRU, WIDTHS, Encoder
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import Steps, steps_of
from gargalo.spec import DataSpec


class Decoder(nn.Module):
    """Of tokens or bits. All plans are made before the first step; the player begins each segment from its plan."""

    autoregressive = True

    def __init__(self, spec: DataSpec, latent_dim: int, width: int, segments: int) -> None:
        super().__init__()
        self.shape, self.vocabulary = spec.shape, spec.vocabulary
        self.segments, self.length = segments, spec.shape[0] // segments
        self.start, self.again = CodeLinear(latent_dim, width), nn.Linear(width, width)
        self.conductor, self.player = GRU(width, width), GRU(2 * width, width)
        self.begin, self.heard = nn.Linear(width, width), Steps(spec, width)
        self.silence = nn.Parameter(0.1 * torch.randn(1, 1, width))  # what is heard before the first step
        self.leave = nn.Linear(width, spec.vocabulary or prod(spec.shape[1:]))

    def forward(self, z: Tensor, teacher: Tensor | None = None) -> Tensor:
        """``[N, latent_dim]`` to logits ``[N, T * V]`` of tokens, ``[N, T, C]`` of bits.

        What was played before is the ``teacher``, or, without one, the likeliest at each step.
        """
        if teacher is None:
            return self._played(z, self._likeliest)[0]
        n, k = len(z), self.segments
        heard = torch.cat([self.silence.expand(1, n, -1), self.heard(teacher)[:-1].float()])  # [T, N, W]
        heard = heard.unflatten(0, (k, -1)).transpose(0, 1).flatten(1, 2)  # [T / K, K N, W]: segments are side by side
        plans = self._plans(z).flatten(0, 1)
        h = self.player(torch.cat([heard, plans.expand(self.length, -1, -1)], 2), torch.tanh(self.begin(plans).float()))
        h = h.unflatten(1, (k, n)).transpose(0, 1).flatten(0, 1)  # [T, N, W]
        return self._laid_out(self.leave(h))

    def generate(self, z: Tensor) -> Tensor:
        """Examples ``[N, *shape]``, each step drawn with those before it in view."""
        return self._played(z, self._drawn)[1]

    def _plans(self, z: Tensor) -> Tensor:
        """``[K, N, W]``."""
        state = torch.tanh(self.start(z))
        return self.conductor(self.again(state).expand(self.segments, -1, -1), state)

    def _played(self, z: Tensor, choose: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Logits, as `forward` gives them, and what was chosen by them, ``[N, *shape]``."""
        heard = self.silence[0].expand(len(z), -1)
        told: list[Tensor] = []
        chosen: list[Tensor] = []
        for plan in self._plans(z):
            state = torch.tanh(self.begin(plan).float())
            for _ in range(self.length):
                state = self.player.step(self.player.enter(torch.cat([heard, plan], 1)), state)
                told.append(self.leave(state))
                chosen.append(choose(told[-1].float()))
                heard = self.heard(chosen[-1][:, None])[0].float()
        return self._laid_out(torch.stack(told)), torch.stack(chosen, 1)

    def _laid_out(self, told: Tensor) -> Tensor:
        return told.transpose(0, 1).reshape(told.shape[1], -1, *self.shape[1:])

    def _likeliest(self, logits: Tensor) -> Tensor:
        return logits.argmax(1) if self.vocabulary else (logits > 0).float()

    def _drawn(self, logits: Tensor) -> Tensor:
        if self.vocabulary:
            return torch.multinomial(logits.softmax(1), 1)[:, 0]
        return torch.bernoulli(logits.sigmoid())


def conductor(
    spec: DataSpec, latent_dim: int, outputs: int, channels: int, *, size: Size = "base", segments: int = 2
) -> tuple[nn.Module, nn.Module]:
    """A recurrent encoder, and a decoder of ``segments`` parts of equal length."""
    steps, width = steps_of("conductor", spec), check_width(WIDTHS[size])
    if not (spec.is_tokens or spec.is_bits):
        raise ValueError("conductor plays tokens or bits; this series holds other numbers. Take mixer or recurrent.")
    if segments < 1 or steps % segments:
        raise ValueError(f"segments={segments} must divide the {steps} steps of a sequence.")
    return Encoder(spec, outputs, width), Decoder(spec, latent_dim, width, segments)
