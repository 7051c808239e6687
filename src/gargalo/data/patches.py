"""Pictures of any size as the patches that restoration learns from, at their own scale."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
import torch

from gargalo.data import cache
from gargalo.data.folder import SUFFIXES, decode, listing
from gargalo.data.images import Pixels, fit_image, is_gray, read_image
from gargalo.data.source import Skipped, Source
from gargalo.errors import DataError, check_range
from gargalo.registry import source
from gargalo.spec import DataSpec

MAX_SIZE = 1024


@source
def patches(
    *,
    path: str,
    size: int = 72,
    stride: int | None = None,
    channels: Literal["auto", 1, 3] = "auto",
    most: int = 256,
) -> Source:
    """Squares of ``size`` pixels cut from the pictures of a folder or .zip file, none of them scaled.

    One begins every ``stride`` pixels, five sixths of the size unless given, and the last ends with the picture; of a
    picture that has more than ``most``, so many are taken, spread evenly. Gray is the luma of BT.601. All patches of a
    picture belong to one part of the data.

    Raises DataError where there are no pictures, or more than half are bad or smaller than a patch.
    """
    check_range("size", size, 8, MAX_SIZE)
    stride = check_range("stride", max(1, size * 5 // 6) if stride is None else stride, 1, MAX_SIZE)
    check_range("most", most, 1, 1 << 20)
    root = Path(path).expanduser()
    with ExitStack() as stack:
        items = listing(root, stack)
        if not items:
            raise DataError(f"{path} holds no pictures ({', '.join(sorted(SUFFIXES)[:8])}, ...).")
        stamps = [[item.name, *item.stamp] for item in items]
        key = cache.key_of("patches", str(root.resolve()), PIL.__version__, size, stride, channels, most, stamps)
        cut = partial(_cut, size=size, stride=stride, most=most)
        entry = cache.load(key) or decode(key, path, items, (size, size), channels, cut)
    names = tuple(str(name) for name in entry.facts["names"])
    skipped = tuple(Skipped(name, reason) for name, reason in entry.facts["skipped"])
    shape = tuple(entry.values.shape[1:])
    spec = DataSpec("image", shape, likelihood="gaussian:std=optimal", network="convnet", fit="cut")
    return Source(path, spec, entry.values, names=names, skipped=skipped, release=entry.release, origin=origins(names))


def origins(names: tuple[str, ...]) -> torch.Tensor:
    """The number of the picture that each row is from, ``[N]``: rows of one follow one another under its name."""
    changes = [a != b for a, b in pairwise(names)]
    return torch.tensor([0, *changes]).cumsum(0)


def places(length: int, size: int, stride: int) -> list[int]:
    """Where patches begin along a side: at equal distances of at most ``stride``, to the very end."""
    count = ceil((length - size) / stride) + 1
    return np.linspace(0, length - size, count).round().astype(int).tolist()


def _cut(file: Path | bytes, channels: int, size: int, stride: int, most: int) -> tuple[list[Pixels], bool]:
    pixels = read_image(file)
    height, width = pixels.shape[:2]
    if min(height, width) < size:
        raise DataError(f"{width}x{height} pixels, smaller than a patch of {size}")
    whole = fit_image(pixels, (channels, height, width))
    corners = [(y, x) for y in places(height, size, stride) for x in places(width, size, stride)]
    if len(corners) > most:
        corners = [corners[i] for i in np.linspace(0, len(corners) - 1, most).round().astype(int)]
    return [whole[:, y : y + size, x : x + size] for y, x in corners], is_gray(pixels)
