"""Folders and .zip files of pictures: any sizes, any modes, any nesting."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import PIL
import torch
from torch import Tensor

from gargalo.data import cache
from gargalo.data.images import SUFFIXES, UNREAD, Fit, Pixels, fit_image, is_gray, read_image, read_size
from gargalo.data.listing import Item, listing
from gargalo.data.source import Skipped, Source
from gargalo.errors import DataError
from gargalo.registry import source
from gargalo.spec import MAX_NUMBERS, DataSpec

AUTO_SIZE = 64  # for pictures of many sizes, and the largest common size that is kept
_WORKERS = 2
_AT_ONCE = 32  # pictures that are decoded ahead

# From what an item reads and a number of channels to rows ``[C, H, W]`` and whether all is gray, or a DataError.
Reader = Callable[[Any, int], tuple[list[Pixels], bool]]


class _Color(Exception):  # noqa: N818
    """Found a picture with color where all were gray so far."""


@source
def folder(
    *,
    path: str,
    size: int | Literal["auto"] = "auto",
    channels: Literal["auto", 1, 3, 4] = "auto",
    fit: Fit = "crop",
    labels: bool | Literal["auto"] = "auto",
) -> Source:
    """A folder or .zip file of pictures.

    ``size=auto`` keeps the size where all pictures have the same and it is small, else 64 by 64;
    ``channels=auto`` is one where all are gray, else three. ``labels`` are the names of the first folders
    that tell pictures apart, where every picture lies in one.

    Raises DataError where there are no pictures, where more than half are bad, or where labels are asked
    for and there are none.
    """
    if size != "auto" and size < 1:
        raise ValueError(f"size={size} must be at least 1.")
    if fit not in get_args(Fit):
        raise ValueError(f"fit={fit!r} must be one of {', '.join(get_args(Fit))}.")
    root = Path(path).expanduser()
    with ExitStack() as stack:
        items = listing(root, SUFFIXES | UNREAD, stack)
        if not items:
            raise DataError(f"{path} holds no pictures ({', '.join(sorted(SUFFIXES)[:8])}, ...).")
        # Pillow's version too: another may decode to other numbers.
        stamps = [[item.name, *item.stamp] for item in items]
        key = cache.key_of(str(root.resolve()), PIL.__version__, size, channels, fit, stamps)
        entry = cache.load(key) or _decode(key, path, items, size, channels, fit)
    names = tuple(str(name) for name in entry.facts["names"])
    skipped = tuple(Skipped(name, reason) for name, reason in entry.facts["skipped"])
    classes = None if labels is False else folder_labels(names)
    if classes is None and labels is True:
        raise DataError(f"{path} has no labels: not every picture lies in one of several folders. Use labels=false.")
    numbers, class_names = classes or (None, ())
    shape = tuple(entry.values.shape[1:])
    spec = DataSpec(
        kind="image", shape=shape, likelihood=likelihood_for(shape[0]),
        num_classes=len(class_names), class_names=class_names, fit=fit,
    )  # fmt: skip
    return Source(path, spec, entry.values, numbers, names=names, skipped=skipped, release=entry.release)


def pictures_in(root: Path) -> int:
    """How many files in a folder or .zip say that they are pictures."""
    with ExitStack() as stack:
        return len(listing(root, SUFFIXES | UNREAD, stack))


def likelihood_for(channels: int) -> str:
    """The default for pictures: gray ones are mostly drawings and digits, color ones photographs."""
    return "bernoulli" if channels == 1 else "gaussian:std=optimal"


def folder_labels(names: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]] | None:
    """Class numbers ``[N]`` and names: the first folder where names differ; None where not all have one."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    shared = len(os.path.commonprefix(folders))  # noqa: RUF071  (of whole parts: these are tuples)
    if any(len(parts) <= shared for parts in folders):
        return None
    chosen = [parts[shared] for parts in folders]
    classes = sorted(set(chosen))
    number = {name: index for index, name in enumerate(classes)}
    return torch.tensor([number[name] for name in chosen]), tuple(classes)


def _decode(
    key: str,
    path: str,
    items: list[Item],
    size: int | Literal["auto"],
    channels: Literal["auto", 1, 3, 4],
    fit: str,
) -> cache.Entry:
    height, width = _common_size(items) if size == "auto" else (size, size)

    def read(file: Path | bytes, channels: int) -> tuple[list[Pixels], bool]:
        # Twice the size leaves the antialiasing to our own resampling.
        pixels = read_image(file, enough=(2 * height, 2 * width))
        return [fit_image(pixels, (channels, height, width), fit)], is_gray(pixels)

    return decode(key, path, items, (height, width), channels, read)


def decode(
    key: str,
    path: str,
    items: list[Item],
    size: tuple[int, int],
    channels: Literal["auto", 1, 3, 4],
    read: Reader,
    pictures: int = 1,
) -> cache.Entry:
    """Reads and stores what ``read`` makes of all items, each row the channels of so many ``pictures``; those that
    cannot be read are left out and named in the facts, which have a name for every row."""
    for tried in (1, 3) if channels == "auto" else (channels,):
        shape = (tried * pictures, *size)
        if math.prod(shape) > MAX_NUMBERS:
            raise ValueError(f"size={max(size)}: {shape} has more than {MAX_NUMBERS:,} numbers. Take a smaller size.")
        facts: dict[str, Any] = {"names": [], "skipped": []}
        look = partial(_try, read, tried)
        rows = _rows(path, items, look, facts, stop_at_color=channels == "auto" and tried == 1)
        try:
            return cache.store(key, shape, rows, facts)
        except _Color:
            continue
    raise AssertionError("three channels hold every picture")


def _common_size(items: list[Item]) -> tuple[int, int]:
    """The size that all readable pictures have, if it is small, else the default square."""
    common = None
    for item in items:
        try:
            found = read_size(item.read())
        except DataError:
            continue  # decoding will say so, and count it
        if max(found) > AUTO_SIZE or found != (common or found):
            return AUTO_SIZE, AUTO_SIZE
        common = found
    return common or (AUTO_SIZE, AUTO_SIZE)


def _rows(
    path: str,
    items: list[Item],
    read: Callable[[Item], tuple[list[Pixels], bool, str]],
    facts: dict[str, Any],
    *,
    stop_at_color: bool,
) -> Iterator[Pixels]:
    """Rows ``[C, H, W]`` in the order of the pictures; fills ``facts``. Raises DataError at the end if most are bad."""
    names: list[str] = facts["names"]
    skipped: list[tuple[str, str]] = facts["skipped"]
    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(items), _AT_ONCE):
            part = items[start : start + _AT_ONCE]
            for item, (pixels, gray, reason) in zip(part, pool.map(read, part), strict=True):
                if reason:
                    skipped.append((item.name, reason))
                    continue
                if stop_at_color and not gray:
                    raise _Color
                names += [item.name] * len(pixels)
                yield from pixels
    if len(skipped) > len(set(names)):
        first = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise DataError(f"{len(skipped):,} of the {len(items):,} pictures in {path} cannot be read. {first}.")


def _try(read: Reader, channels: int, item: Item) -> tuple[list[Pixels], bool, str]:
    """What is made of a picture and whether it is gray, or the reason why it is not used."""
    try:
        file = item.read()
    except DataError as error:
        return [], False, str(error)
    try:
        return *read(file, channels), ""
    except DataError as error:
        return [], False, str(error).removeprefix(f"{file}: ")  # the name stands beside the reason
