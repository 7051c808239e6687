"""Pictures of any size as the patches that restoration learns from, at their own scale."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import PIL
import torch

from gargalo.data import cache
from gargalo.data.folder import decode
from gargalo.data.images import SUFFIXES, UNREAD, Pixels, fit_image, is_gray, read_image
from gargalo.data.listing import Item, listing
from gargalo.data.source import Skipped, Source
from gargalo.errors import DataError, check_range
from gargalo.registry import source
from gargalo.spec import DataSpec

SIZE, MAX_SIZE = 72, 1024  # the usual one can be halved, cut in three, and halved again
Channels = Literal["auto", 1, 3]


@source
def patches(
    *, path: str, size: int = SIZE, stride: int | None = None, channels: Channels = "auto", most: int = 256
) -> Source:
    """Squares cut from the pictures of a folder or .zip file, none of them scaled.

    One of ``size`` pixels begins every ``stride`` pixels, five sixths of the size unless given, and the last ends with
    the picture; of a picture that has more than ``most``, so many are taken, spread evenly. Gray is the luma of BT.601.
    All patches of a picture belong to one part of the data.

    Raises DataError where there are no pictures, or more than half are bad or smaller than a patch.
    """
    with ExitStack() as stack:
        items = _pictures(path, stack)
        entry = _entry(items, path, size, stride, channels, most, _one, 1)
    return _source(path, entry, entry.values)


@source
def pairs(
    *,
    dirty: str,
    clean: str,
    size: int = SIZE,
    stride: int | None = None,
    channels: Channels = "auto",
    most: int = 256,
) -> Source:
    """Inputs and targets that were shot: patches of the pictures of two folders that have the same name and size.

    The names are those inside the folders, without suffix. With two noisy shots of each scene, what differs between
    them averages out, and a denoiser learns as from clean ones (Lehtinen et al. 2018). For ``size`` and the others,
    see `patches`. Raises DataError as that does, and where no two names are the same.
    """
    with ExitStack() as stack:
        found = [_by_stem(path, _pictures(path, stack)) for path in (dirty, clean)]
        both = [_together(found[0][name], found[1][name]) for name in sorted(found[0].keys() & found[1].keys())]
        if not both:
            raise DataError(f"No picture in {dirty} has the name of one in {clean}.")
        entry = _entry(both, dirty, size, stride, channels, most, _two, 2)
    alone = sorted(found[0].keys() ^ found[1].keys())
    entry.facts["skipped"] += [(name, f"not in {clean if name in found[0] else dirty}") for name in alone]
    half = entry.values.shape[1] // 2
    return _source(f"{dirty} and {clean}", entry, entry.values[:, half:], entry.values[:, :half])


def _pictures(path: str, stack: ExitStack) -> list[Item]:
    items = listing(Path(path).expanduser(), SUFFIXES | UNREAD, stack)
    if not items:
        raise DataError(f"{path} holds no pictures ({', '.join(sorted(SUFFIXES)[:8])}, ...).")
    return items


def _by_stem(path: str, items: list[Item]) -> dict[str, Item]:
    """By the names without suffix. DataError where one would be another's pair by chance."""
    found: dict[str, Item] = {}
    for item in items:
        other = found.setdefault(str(PurePosixPath(item.name).with_suffix("")), item)
        if other is not item:
            raise DataError(f"{other.name} and {item.name} in {path} have one name. Leave the one that is meant.")
    return found


def _together(dirty: Item, clean: Item) -> Item:
    return Item(dirty.name, (*dirty.stamp, *clean.stamp), lambda: (dirty.read(), clean.read()))


def _entry(
    items: list[Item],
    path: str,
    size: int,
    stride: int | None,
    channels: Channels,
    most: int,
    read: Callable[[Any], list[Pixels]],
    pictures: int,
) -> cache.Entry:
    """All patches, decoded and cut or from the cache; each holds the channels of so many ``pictures``."""
    check_range("size", size, 8, MAX_SIZE)
    stride = check_range("stride", max(1, size * 5 // 6) if stride is None else stride, 1, MAX_SIZE)
    check_range("most", most, 1, 1 << 20)
    stamps = [[item.name, *item.stamp] for item in items]
    key = cache.key_of(
        "patches", str(Path(path).resolve()), PIL.__version__, size, stride, channels, most, pictures, stamps
    )
    cut = partial(_cut, read=read, size=size, stride=stride, most=most)
    return cache.load(key) or decode(key, path, items, (size, size), channels, cut, pictures)


def _source(name: str, entry: cache.Entry, values: torch.Tensor, inputs: torch.Tensor | None = None) -> Source:
    names = tuple(str(name) for name in entry.facts["names"])
    skipped = tuple(Skipped(name, reason) for name, reason in entry.facts["skipped"])
    spec = DataSpec("image", tuple(values.shape[1:]), likelihood="gaussian:std=optimal", network="convnet", fit="cut")
    whole = torch.tensor([0, *(a != b for a, b in pairwise(names))]).cumsum(0)  # rows of one follow one another
    kept: dict[str, Any] = {"names": names, "skipped": skipped, "release": entry.release, "inputs": inputs}
    return Source(name, spec, values, clusters=whole, **kept)


def _one(file: Any) -> list[Pixels]:
    return [read_image(file)]


def _two(files: Any) -> list[Pixels]:
    dirty, clean = (read_image(file) for file in files)
    if dirty.shape[:2] != clean.shape[:2]:
        sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (dirty, clean)]
        raise DataError(f"{sizes[0]} pixels, and the clean one {sizes[1]}")
    return [dirty, clean]


def _cut(
    file: Any, channels: int, read: Callable[[Any], list[Pixels]], size: int, stride: int, most: int
) -> tuple[list[Pixels], bool]:
    """Patches of the pictures read, one's channels after another's, and whether all are gray."""
    found = read(file)
    height, width = found[0].shape[:2]
    if min(height, width) < size:
        raise DataError(f"{width}x{height} pixels, smaller than a patch of {size}")
    whole = np.concatenate([fit_image(pixels, (channels, height, width)) for pixels in found])
    corners = [(y, x) for y in _places(height, size, stride) for x in _places(width, size, stride)]
    if len(corners) > most:
        corners = [corners[i] for i in np.linspace(0, len(corners) - 1, most).round().astype(int)]
    return [whole[:, y : y + size, x : x + size] for y, x in corners], all(map(is_gray, found))


def _places(length: int, size: int, stride: int) -> list[int]:
    """Where patches begin along a side: at equal distances of at most ``stride``, to the very end."""
    count = ceil((length - size) / stride) + 1
    return np.linspace(0, length - size, count).round().astype(int).tolist()
