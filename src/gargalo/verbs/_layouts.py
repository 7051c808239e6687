"""How pictures lie in arrays, and what their numbers mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TOPS = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def laid_out(array: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """``[H, W, C]``, and the way back to how it lay. ValueError for what is no picture."""
    if array.dtype == np.bool_ or array.dtype.kind not in "uf" or (array.dtype.kind == "u" and array.dtype not in TOPS):
        raise ValueError(f"A picture is of uint8, uint16, or floats in [0, 1], not {array.dtype}.")
    if array.dtype.kind == "f" and not bool(((array >= -1) & (array <= 2)).all()):
        raise ValueError("Floats of a picture lie about [0, 1]; give uint8 for 0 to 255.")
    if array.ndim == 2 and array.size:
        return array[..., None], lambda out: out[..., 0]
    if array.ndim == 3 and array.size and array.shape[2] <= 4:
        return array, lambda out: out
    if array.ndim == 3 and array.size and array.shape[0] <= 4:
        return array.transpose(1, 2, 0), lambda out: out.transpose(2, 0, 1)
    raise ValueError(f"A picture is [H, W], [H, W, C] or [C, H, W] with up to 4 channels, not {array.shape}.")


def size_text(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def split(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colors, 1 or 3 channels, and alpha, 1 or none."""
    colors = 1 if pixels.shape[2] < 3 else 3
    return pixels[..., :colors], pixels[..., colors:]


def floats(pixels: np.ndarray) -> Tensor:
    """``[H, W, C]`` as floats ``[1, C, H, W]`` in [0, 1]."""
    top = TOPS.get(pixels.dtype, 1.0)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(top))[None]


def raw(values: Tensor, dtype: np.dtype[Any]) -> np.ndarray:
    """``[C, H, W]`` back to ``[H, W, C]`` of a type, cut to its range."""
    array = values.clamp(0, 1).permute(1, 2, 0).numpy()
    return np.rint(array * np.float32(TOPS[dtype])).astype(dtype) if dtype in TOPS else array.astype(dtype)


def enlarged(alpha: np.ndarray, scale: int) -> np.ndarray:
    size = [scale * side for side in alpha.shape[:2]]
    return raw(F.interpolate(floats(alpha), size, mode="bicubic", antialias=True)[0], alpha.dtype)
