"""Source: a whole data set as one tensor, and its split into train, validation and test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gargalo.errors import DataError
from gargalo.spec import DataSpec

MAX_VALIDATION = 2000  # enough to compare two moments of one training; the others serve better as examples

Part = Literal["train", "validation", "test", "all"]


class Example(NamedTuple):
    """Rows of a source: raw values ``[N, *shape]`` and, where the source has labels, class numbers ``[N]``."""

    target: Tensor
    condition: Tensor | None = None


class Skipped(NamedTuple):
    """A file that was not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Source:
    """Decoded data: a batch is a gather.

    ``values`` holds raw values ``[N, *spec.shape]``, uint8 for pixels, float32 for tables; it may be a view of a
    memory-mapped file. ``test`` marks the rows of an official test set.
    """

    name: str
    spec: DataSpec
    values: Tensor
    labels: Tensor | None = None  # [N], int64
    test: Tensor | None = None  # [N], bool
    names: tuple[str, ...] = field(default=(), repr=False)  # of the files, where there are files
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def gather(self, index: Tensor) -> Example:
        return Example(self.values[index], None if self.labels is None else self.labels[index])

    def indices(self, part: Part = "all") -> Tensor:
        """Row numbers of a part, ascending.

        An official test set is the test part. Otherwise a row belongs where the digest of its content falls: a
        tenth for the test, a tenth but not more than 2,000 for validation. Copies always land together and the
        order of rows does not matter.

        Raises DataError where the part would be empty.
        """
        if part == "all":
            return torch.arange(len(self))
        index = torch.nonzero(self._groups == ("train", "validation", "test").index(part)).flatten()
        if not len(index):
            raise DataError(f"{self.name} has {len(self):,} examples, too few for a {part} part. Give more data.")
        return index

    @cached_property
    def _groups(self) -> Tensor:
        return _assign(content_digests(self.values), self.test)


def content_digests(values: Tensor) -> list[bytes]:
    """Eight bytes for each row that depend on nothing but its content."""
    digests: list[bytes] = []
    for part in values.split(1024):  # values may be a view of a file larger than the memory
        rows = part.reshape(len(part), -1).contiguous().numpy()
        digests += [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
    return digests


def _assign(digests: list[bytes], official: Tensor | None) -> Tensor:
    """0, 1 or 2 for each row: train, validation, test; -1 for a copy of an official test row found outside it."""
    tested = torch.zeros(len(digests), dtype=torch.bool) if official is None else official
    kept_out = {digest for digest, is_test in zip(digests, tested.tolist(), strict=True) if is_test}
    unique = sorted(set(digests) - kept_out)
    tenth = -(-len(unique) // 10) if len(unique) >= 3 else 0
    validation = min(tenth, MAX_VALIDATION)
    held_out = validation + (0 if official is not None else tenth)
    group = {digest: 1 if rank < validation else 2 if rank < held_out else 0 for rank, digest in enumerate(unique)}
    return torch.tensor([2 if t else group.get(d, -1) for d, t in zip(digests, tested.tolist(), strict=True)])
