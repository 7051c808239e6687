"""How examples enter networks that do not see pictures: step by step, or laid out in one row."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.errors import check_range
from gargalo.spec import DataSpec

MAX_STEPS = 4096  # one network mixes them by matrices of so many rows and columns


class Steps(nn.Module):
    """Tokens ``[N, T]`` or numbers ``[N, T, C]`` to ``[T, N, width]``.

    Time comes first inside networks of sequences: then one matrix mixes the steps of a whole batch in one product, and
    a step of all rows lies in one piece of memory.
    """

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        self.enter = nn.Embedding(spec.vocabulary, width) if spec.is_tokens else nn.Linear(spec.input_shape[1], width)

    def forward(self, x: Tensor) -> Tensor:
        return self.enter(x.transpose(0, 1))


class Row(nn.Module):
    """Anything to one row of numbers, ``[N, D]``; tokens become one-hot."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.vocabulary = spec.vocabulary if spec.is_tokens else 0
        self.numbers = prod(spec.input_shape) * max(1, self.vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        if not self.vocabulary:
            return x.flatten(1)
        return F.one_hot(x, self.vocabulary).flatten(1).float()


class Told(nn.Module):
    """``[T, N, width]`` to a decoder's output ``[N, *shape]``; the first axis of shape is a multiple of T."""

    def __init__(self, steps: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.leave = nn.Linear(width, prod(shape) // steps)

    def forward(self, h: Tensor) -> Tensor:
        return self.leave(h).transpose(0, 1).reshape(-1, *self.shape)


def steps_of(name: str, spec: DataSpec) -> int:
    """How many steps a sequence has; ValueError for what is no sequence, or too long a one for a network."""
    if spec.kind != "sequence":
        raise ValueError(
            f"{name} takes sequences, (T,) tokens or (T, C) numbers; this data is a {spec.kind} of shape {spec.shape}. "
            f"Take {'convnet or mlp' if spec.kind == 'image' else 'mlp'}."
        )
    return check_range(f"{name}: the number of steps", spec.shape[0], 1, MAX_STEPS)
