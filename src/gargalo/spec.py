"""DataSpec: everything a model must know about its data, and nothing about the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.errors import CheckpointError

Kind = Literal["vector", "image", "sequence"]
MAX_DENSE = 4096  # up to here dense layers were faster and better than convolutions on a CPU
MAX_VOCABULARY = 1 << 16
MAX_NUMBERS = 1 << 24  # of one example; a hostile config must not make us allocate the machine


@dataclass(frozen=True)
class DataSpec:
    """What one example is, how raw numbers become the model's, and which parts suit it.

    ``shape`` is ``(C, H, W)`` of a picture and ``(D,)`` of a vector; a sequence is ``(T,)`` tokens below ``vocabulary``
    or ``(T, C)`` numbers or bits. ``input_shape`` differs from it only where a corruption changes the size. Raw values
    become model values as ``(raw - offset) / scale``; each holds one number for all, or one for each entry of a
    vector, or for each channel of a series. Tokens stay what they are.
    """

    kind: Kind
    shape: tuple[int, ...]
    input_shape: tuple[int, ...] = ()
    likelihood: str = "auto"
    network: str | Callable[..., Any] = "auto"  # a function, which no file can hold, only in memory
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    places: int = 0  # class numbers that go with each example, one after another, as chords do; 0: one for all of it
    vocabulary: int = 0
    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = ()  # 255 unless given, for a sequence 1
    binarize: bool = False  # a pixel is on or off, drawn anew at every look with its brightness as the chance
    fit: str = "crop"  # how pictures of other sizes are brought to `shape`: crop, pad, stretch or cut

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind={self.kind!r} must be one of {', '.join(get_args(Kind))}.")
        if not self.input_shape:
            object.__setattr__(self, "input_shape", self.shape)
        for name in ("shape", "input_shape"):
            value = getattr(self, name)
            if not value or min(value) < 1 or prod(value) > MAX_NUMBERS:
                raise ValueError(f"{name}={value} must hold between 1 and {MAX_NUMBERS:,} numbers.")

        if not self.scale:
            object.__setattr__(self, "scale", (1.0 if self.kind == "sequence" else 255.0,))
        if self.kind == "sequence":
            self._check_sequence()
        if self.likelihood == "auto":
            object.__setattr__(self, "likelihood", "categorical" if self.is_tokens else "bernoulli")
        if self.network == "auto":
            convolve = self.kind == "image" and prod(self.shape) > MAX_DENSE
            suits = "mixer" if self.kind == "sequence" else "convnet" if convolve else "mlp"
            object.__setattr__(self, "network", suits)

    def _check_sequence(self) -> None:
        tokens, series = len(self.shape) == 1 and self.vocabulary >= 2, len(self.shape) == 2 and not self.vocabulary
        if not (tokens or series) or self.vocabulary > MAX_VOCABULARY:
            raise ValueError(
                f"A sequence is (T,) tokens with a vocabulary from 2 to {MAX_VOCABULARY:,}, or (T, C) numbers with "
                f"vocabulary 0; got shape={self.shape}, vocabulary={self.vocabulary}."
            )

    @property
    def numbers(self) -> int:
        """How many numbers one example has, as `numeric` lays it out."""
        return prod(self.shape) * (self.vocabulary if self.is_tokens else 1)

    @property
    def is_pixels(self) -> bool:
        """Whether model values are pixels in [0, 1], so that cross-entropy, PSNR and SSIM mean something."""
        return self.kind == "image"

    @property
    def is_tokens(self) -> bool:
        """Whether values are names of things rather than amounts."""
        return self.kind == "sequence" and self.vocabulary > 0

    @property
    def is_bits(self) -> bool:
        """Whether each number of a series is on or off."""
        return self.kind == "sequence" and self.likelihood == "bernoulli"

    def numeric(self, values: Tensor) -> Tensor:
        """Model values as amounts, which can be added and compared: tokens become one-hot, ``[N, T, V]``."""
        return F.one_hot(values, self.vocabulary).float() if self.is_tokens else values

    def scaled(self, raw: Tensor) -> Tensor:
        """Raw values ``[N, *shape]`` to the model's, float32; tokens of a sequence stay what they are."""
        if self.is_tokens:
            return raw.long()
        scale = raw.new_tensor(self.scale, dtype=torch.float32)
        if not any(self.offset):
            return raw.to(torch.float32, copy=True).div_(scale)  # in place: half the memory to pass over
        return (raw.float() - raw.new_tensor(self.offset, dtype=torch.float32)) / scale

    def unscaled(self, values: Tensor) -> Tensor:
        """The model's values back to raw ones; pixels are rounded and cut to uint8, bits are 0 or 1."""
        if self.is_tokens:
            return values
        raw = values.float() * values.new_tensor(self.scale, dtype=torch.float32)
        if any(self.offset):
            raw += values.new_tensor(self.offset, dtype=torch.float32)
        return raw.round_().clamp_(0, 255).to(torch.uint8) if self.is_pixels or self.is_bits else raw

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> DataSpec:
        """Raises CheckpointError where the dictionary is not one that ``to_json`` made."""
        if not isinstance(values, dict):
            raise CheckpointError(f"The data spec is no dictionary: {values!r:.80}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise CheckpointError(f"Unknown entries in the data spec: {', '.join(unknown)}.")
        try:
            tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**tuples)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"The data spec cannot be used: {error}") from error
