"""Source: a whole data set as one tensor, and its split into train, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gargalo.errors import DataError
from gargalo.spec import DataSpec

AT_ONCE = 1024  # rows that are read together where the data may be a file larger than the memory
MAX_VALIDATION = 2000  # enough to compare two moments of one training; the others serve better as examples

Part = Literal["train", "validation", "test", "all"]
PARTS = "train", "validation", "test"


class Example(NamedTuple):
    """Rows of a source: raw values ``[N, *shape]`` and, where the source has them, class numbers ``[N]``, or
    ``[N, places]``, and inputs."""

    target: Tensor
    condition: Tensor | None = None
    input: Tensor | None = None


class Skipped(NamedTuple):
    """A file that was not used, and why."""

    name: str
    reason: str


def some(index: Tensor, most: int) -> Tensor:
    """At most so many of some row numbers, ascending; of more, a fixed draw: the first of a folder are of one class."""
    if len(index) <= most:
        return index
    drawn = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))[:most]
    return index[drawn.sort().values]


@dataclass(frozen=True, eq=False)
class Source:
    """Decoded data: a batch is a gather.

    ``values`` holds raw values ``[N, *spec.shape]``, uint8 for pixels and bits, float32 for tables and series, whole
    numbers for tokens; it may be a view of a memory-mapped file. ``test`` marks the rows of an official test set. Rows
    of one number in ``clusters`` are variants or parts of one thing: the split keeps them together.
    """

    name: str
    spec: DataSpec
    values: Tensor
    labels: Tensor | None = None  # [N], int64
    test: Tensor | None = None  # [N], bool
    clusters: Tensor | None = field(default=None, repr=False)  # [N], int64
    names: tuple[str, ...] = field(default=(), repr=False)  # of the files, where there are files
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)
    inputs: Tensor | None = field(default=None, repr=False)  # [N, *spec.input_shape], where they are not the values
    conditions: Tensor | None = field(default=None, repr=False)  # [N, spec.places], class numbers, in place of labels
    release: Callable[[], None] | None = field(default=None, repr=False)  # of what was read from a mapped file

    def __len__(self) -> int:
        return len(self.values)

    def gather(self, index: Tensor) -> Example:
        labels = None if self.labels is None else self.labels[index]
        if self.conditions is not None:
            labels = self._rows(self.conditions, index).long()
        inputs = None if self.inputs is None else self._rows(self.inputs, index)
        return Example(self._rows(self.values, index), labels, inputs)

    def _rows(self, stored: Tensor, index: Tensor) -> Tensor:
        values = torch.empty(len(index), *stored.shape[1:], dtype=stored.dtype)
        for start in range(0, len(index), AT_ONCE):
            rows = index[start : start + AT_ONCE]
            torch.index_select(stored, 0, rows, out=values[start : start + AT_ONCE])
            if self.release is not None:
                self.release()
        return values

    def indices(self, part: Part = "all") -> Tensor:
        """Row numbers of a part, ascending.

        An official test set is the test part. Otherwise a row belongs where the digest of its content falls: a
        tenth for the test, a tenth but not more than 2,000 for validation. Copies, and clusters, always land
        together, and the order of rows does not matter.

        Raises DataError where the part would be empty, ValueError for what is no part.
        """
        if part == "all":
            return torch.arange(len(self))
        if part not in PARTS:
            raise ValueError(f"split={part!r} must be one of {', '.join(PARTS)}, all.")
        index = torch.nonzero(self._groups == PARTS.index(part)).flatten()
        if not len(index):
            groups = "" if self.clusters is None else f" of {len(torch.unique(self.clusters)):,} unrelated things"
            count = len(np.unique(self.digests))
            different = f"{count:,} different example" + ("s" if count != 1 else "")
            raise DataError(f"{self.name} has {different}{groups}, too few for a {part} part. Give more data.")
        return index

    @cached_property
    def digests(self) -> npt.NDArray[np.uint64]:
        """A number ``[N]`` for each row that depends on nothing but its content."""
        found = np.empty(len(self), np.uint64)
        for rows in torch.arange(len(self)).split(AT_ONCE):
            values = self.gather(rows).target.flatten(1).numpy()
            found[rows] = [int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "big") for row in values]
        return found

    @cached_property
    def _groups(self) -> Tensor:
        if self.clusters is not None:
            return _assign_clusters(self.digests, self.clusters, self.test)
        return _assign(self.digests, self.test)


def _assign(digests: npt.NDArray[np.uint64], official: Tensor | None) -> Tensor:
    """0, 1 or 2 for each row: train, validation, test; -1 for a copy of an official test row found outside it."""
    tested = np.zeros(len(digests), np.bool_) if official is None else official.numpy()
    unique = np.setdiff1d(digests, digests[tested])
    tenth = -(-len(unique) // 10) if len(unique) >= 3 else 0
    validation = min(tenth, MAX_VALIDATION)
    held_out = validation + (0 if official is not None else tenth)
    rank = np.searchsorted(unique, digests)
    group = np.where(rank < validation, 1, np.where(rank < held_out, 2, 0))
    copies = np.isin(digests, digests[tested])
    return torch.from_numpy(np.where(tested, 2, np.where(copies, -1, group)))


def _assign_clusters(digests: npt.NDArray[np.uint64], clusters: Tensor, official: Tensor | None) -> Tensor:
    """As `_assign`, whole clusters at a time; one too large for what a part still lacks is left for training.

    A part that none was small enough for takes the smallest, where there are three.
    """
    tested = np.zeros(len(digests), np.bool_) if official is None else official.numpy()
    _, member = np.unique(clusters.numpy()[~tested], return_inverse=True)
    sizes = np.bincount(member)
    content = np.zeros(len(sizes), np.uint64)
    np.add.at(content, member, digests[~tested])  # wraps around: any order of the same rows gives the same number
    tenth = -(-len(member) // 10)
    left = {1: min(tenth, MAX_VALIDATION)} | ({2: tenth} if official is None else {})
    group = np.zeros(len(sizes), np.int64)
    for cluster in np.argsort(content, kind="stable").tolist():
        part = next((part for part in left if sizes[cluster] <= left[part]), 0)
        group[cluster] = part
        if part:
            left[part] -= int(sizes[cluster])
    for part in left:
        if len(sizes) >= 3 and part not in group:
            group[np.lexsort((content, sizes, group > 0))[0]] = part
    found = np.full(len(digests), 2)
    found[~tested] = np.where(np.isin(digests[~tested], digests[tested]), -1, group[member])
    return torch.from_numpy(found)
