"""How a user's examples lie in memory, and the way to the model's own axes and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

Array = np.ndarray


@dataclass(frozen=True)
class Layout:
    """The axes of pictures, or ``d`` for what has the model's own; ``rows`` says that each example is a row of a table.

    The model's own are ``[N, D]``, ``[N, T, C]`` and ``[N, C, H, W]``.
    """

    axes: Literal["d", "hw", "chw", "hwc"]
    rows: bool
    dtype: npt.DTypeLike

    @classmethod
    def of(cls, shape: tuple[int, ...], own: tuple[int, ...], rows: bool, dtype: npt.DTypeLike) -> Self:
        """From the shape of a user's example and the one it got in the model."""
        if len(own) < 3:
            return cls("d", rows, dtype)
        return cls("hw" if len(shape) == 2 else "chw" if shape == own else "hwc", rows, dtype)

    def shape(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """Of an example, from its shape in the model."""
        return {"hw": own[1:], "hwc": (*own[1:], *own[:1])}.get(self.axes, own)

    def enter(self, values: Array, own: tuple[int, ...]) -> Array:
        """Examples, or rows of their numbers, to the model's axes. ValueError for another shape."""
        shape = self.shape(own)
        if values.ndim == 2 and values.shape[1] == prod(shape):
            values = values.reshape(len(values), *shape)
        if values.shape[1:] != shape:
            raise ValueError(
                f"X has shape {values.shape}; this model takes (n, {', '.join(map(str, shape))}), "
                f"or rows of {prod(shape)} numbers."
            )
        if self.axes == "hw":
            return values[:, None]
        return np.moveaxis(values, -1, 1) if self.axes == "hwc" else values

    def leave(self, values: Array) -> Array:
        """The model's raw values to the user's axes and type; pixels end in [0, 1] where that is a float."""
        if self.axes == "hw":
            values = values[:, 0]
        elif self.axes == "hwc":
            values = np.moveaxis(values, 1, -1)
        values = values.reshape(len(values), -1) if self.rows else values
        scaled = values.dtype == np.uint8 and np.dtype(self.dtype).kind == "f"
        return (values / 255 if scaled else values).astype(self.dtype, copy=False)
