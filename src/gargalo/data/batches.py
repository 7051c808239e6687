"""Batches of a source as a function of (seed, step): the same step gives the same bits, whoever asks and when."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gargalo.data.source import Source
from gargalo.model import Batch
from gargalo.registry import augmentation, corruption

Rule = Callable[[Tensor, torch.Generator], Tensor]  # values to values


def derive(seed: int, *path: int | str) -> int:
    """A seed of its own for every purpose: (seed, "order", epoch), (seed, "noise", step) ..."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True)
class Feed:
    """Endless batches of some rows of a source, in an order of its own each epoch.

    All batches have the same size; the rows that do not fill one at the end of an epoch wait for another.
    """

    source: Source
    index: Tensor
    batch_size: int
    corrupt: str = "none"
    augment: str = "none"
    seed: int = 0
    device: str = "cpu"

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.index) // self.batch_size)

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """The batches of steps ``after + 1``, ``after + 2`` ..."""
        step = after
        while True:
            epoch, position = divmod(step, self.steps_per_epoch)
            order = self._order(epoch)
            for start in range(position * self.batch_size, self.steps_per_epoch * self.batch_size, self.batch_size):
                step += 1
                rows = order[start : start + self.batch_size]
                yield self._batch(rows, self._augment, derive(self.seed, "input", step))

    def in_order(self) -> Iterator[Batch]:
        """Every row once, in order, as it is, corrupted the same way at every call: for measuring."""
        for number, rows in enumerate(self.index.split(self.batch_size)):
            yield self._batch(rows, None, derive(self.seed, "measure", number))

    @cached_property
    def _corrupt(self) -> Rule:
        return corruption.select(self.corrupt)

    @cached_property
    def _augment(self) -> Rule:
        return augmentation.select(self.augment)

    def _order(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        return self.index[torch.randperm(len(self.index), generator=generator)]

    def _batch(self, rows: Tensor, augment: Rule | None, seed: int) -> Batch:
        example = self.source.gather(rows)
        generator = torch.Generator(self.device)
        generator.manual_seed(seed)
        condition = None if example.condition is None else example.condition.to(self.device)
        if condition is None or condition.dim() == 1:
            target = self._values(example.target, augment, generator)
        else:  # tokens above those of the target, so that an augmentation changes both alike
            (length,), lowest = self.source.spec.shape, self.source.spec.vocabulary
            both = torch.cat([example.target.to(self.device).long(), lowest + condition], 1)
            both = self._values(both, augment, generator)
            target, condition = both[:, :length], both[:, length:] - lowest
        target = torch.bernoulli(target, generator=generator) if self.source.spec.binarize else target
        given = target
        if example.input is not None:  # the same chances again, so that it is turned and moved as its target is
            given = self._values(example.input, augment, generator.manual_seed(seed))
        return Batch(self._corrupt(given, generator), target, condition, len(self.index))

    def _values(self, raw: Tensor, augment: Rule | None, generator: torch.Generator) -> Tensor:
        values = self.source.spec.scaled(raw.to(self.device))
        return values if augment is None else augment(values, generator)
