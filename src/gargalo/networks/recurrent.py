"""Sequences read and told step by step (Sutskever et al. 2014), after the sequence autoencoder of the Keras guide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gargalo.networks.codes import CodeLinear
from gargalo.networks.sizes import Size, check_width
from gargalo.networks.steps import Steps, Told, steps_of
from gargalo.registry import network
from gargalo.spec import DataSpec

WIDTHS: dict[Size, int] = {"tiny": 64, "small": 128, "base": 256, "large": 512}


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014): the same numbers as torch's, whose own no compiler takes as one graph.

    The state stays in float32 under autocast: rounded at every step, it would drift.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter, self.carry = nn.Linear(inputs, 3 * width), nn.Linear(width, 3 * width)

    def step(self, entered: Tensor, state: Tensor) -> Tensor:
        """The next state ``[N, width]``; ``entered`` is what `enter` makes of the input."""
        reset, update, new = entered.float().chunk(3, 1)
        told_reset, told_update, told_new = self.carry(state).float().chunk(3, 1)
        new = torch.tanh(new + torch.sigmoid(reset + told_reset) * told_new)
        return torch.lerp(new, state, torch.sigmoid(update + told_update))

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """Inputs ``[T, N, inputs]`` and a first state ``[N, width]`` to the states after them, ``[T, N, width]``."""
        states: list[Tensor] = []
        for entered in self.enter(x).unbind(0):
            state = self.step(entered, state)
            states.append(state)
        return torch.stack(states)


class Encoder(nn.Module):
    """Reads from both ends; the two last states tell the code."""

    def __init__(self, spec: DataSpec, outputs: int, width: int) -> None:
        super().__init__()
        self.steps, self.width = Steps(spec, width), width
        self.onward, self.reverse = GRU(width, width), GRU(width, width)
        self.head = CodeLinear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, *input_shape]`` to ``[N, outputs]``."""
        h = self.steps(x)
        start = h.new_zeros(h.shape[1], self.width, dtype=torch.float32)
        ends = [read(way, start)[-1] for read, way in ((self.onward, h), (self.reverse, h.flip(0)))]
        return self.head(torch.cat(ends, 1))


class Decoder(nn.Module):
    """Begins with the code and sees it again at every step, never what it said before."""

    def __init__(self, latent_dim: int, steps: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.steps = steps
        self.start, self.again, self.gru = (
            CodeLinear(latent_dim, width),
            CodeLinear(latent_dim, width),
            GRU(width, width),
        )
        self.told = Told(steps, width, shape)

    def forward(self, z: Tensor) -> Tensor:
        """``[N, latent_dim]`` to ``[N, *shape]``."""
        state, entered = torch.tanh(self.start(z)), self.gru.enter(self.again(z))
        states: list[Tensor] = []
        for _ in range(self.steps):
            state = self.gru.step(entered, state)
            states.append(state)
        return self.told(torch.stack(states))


@network
def recurrent(
    spec: DataSpec, latent_dim: int, outputs: int, channels: int, *, size: Size = "base", width: int | None = None
) -> tuple[nn.Module, nn.Module]:
    """Sequences by gated recurrent units: one reads from both ends, one tells all steps from the code alone."""
    steps = steps_of("recurrent", spec)
    width = check_width(WIDTHS[size] if width is None else width)
    return Encoder(spec, outputs, width), Decoder(latent_dim, steps, (steps * channels, *spec.shape[1:]), width)
