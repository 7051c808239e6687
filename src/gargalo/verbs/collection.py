"""neighbors, duplicates: search a collection by its codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo import functional
from gargalo.checkpoint import TrainedModel
from gargalo.verbs._arrays import model_values
from gargalo.verbs.latent import embed

CANDIDATES = 8  # nearest to a picture, among which its copies are looked for
AT_ONCE, MAX_DISTANCES = 1024, 1 << 27  # rows, and distances between them and all
BLUR = 1.0  # pixels: what re-encoding changes is finer
THUMBNAIL = 8  # pixels, of each side


@dataclass(frozen=True)
class Copies:
    """Rows that show the same picture; ``likeness`` is the correlation of the least alike pair that joins them."""

    rows: tuple[int, ...]
    likeness: float


def neighbors(
    model: TrainedModel, images: Any, collection: Any, *, count: int = 5, labels: Any = None, seen_labels: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a collection whose codes are nearest to those of ``images``, nearest first, and their distances.

    ``[N, count]`` each; distances in standard deviations of the collection's codes, averaged over the code's numbers.
    Conditional models take the ``labels`` of the images and ``seen_labels`` of the collection.
    """
    known = embed(model, collection, labels=seen_labels)
    if not 1 <= count <= len(known):
        raise ValueError(f"count={count} must lie between 1 and the size of the collection, {len(known)}.")
    frame = _frame(known)
    found = _nearest(_flat(embed(model, images, labels=labels), frame), _flat(known, frame), count)
    return found[1].numpy(), found[0].numpy()


def duplicates(model: TrainedModel, images: Any, *, labels: Any = None, threshold: float = 0.92) -> list[Copies]:
    """Groups of near copies: one picture encoded again, resized, lighter or darker.

    Codes and thumbnails propose, pictures decide: two are copies if, blurred, they correlate by ``threshold`` or more.
    Raise it for drawings so simple that different ones look alike.
    """
    if model.spec.kind != "image":
        raise ValueError("duplicates compares pictures; this model was trained on other data.")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must lie in (0, 1].")
    values = model_values(model, images)
    codes = embed(model, images, labels=labels)
    proposals = [_pairs(_flat(codes, _frame(codes))), _pairs(_standard(F.adaptive_avg_pool2d(values, THUMBNAIL)))]
    pairs = torch.cat(proposals).unique(dim=0)
    compared = [_correlation(values[part[:, 0]], values[part[:, 1]]) for part in pairs.split(AT_ONCE)]
    alike = torch.cat([torch.zeros(0), *compared])
    chosen = alike >= threshold
    return _groups(len(codes), pairs[chosen].tolist(), alike[chosen].tolist())


def _frame(codes: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each number; one that hardly changes counts for nothing."""
    flat = torch.from_numpy(codes).flatten(1)
    deviation = flat.std(0, correction=0)
    return flat.mean(0), torch.where(deviation > 1e-6 * (1 + flat.abs().amax(0)), deviation, torch.inf)


def _flat(codes: np.ndarray, frame: tuple[Tensor, Tensor]) -> Tensor:
    mean, deviation = frame  # without the mean, distances would be small differences of large numbers
    return (torch.from_numpy(codes).flatten(1) - mean) / deviation / len(mean) ** 0.5


def _nearest(rows: Tensor, known: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and row numbers ``[N, count]``, a part of the rows at a time: there is never a table of all pairs."""
    at_once = max(1, min(AT_ONCE, MAX_DISTANCES // len(known)))
    found = [torch.cdist(part, known).topk(count, largest=False) for part in rows.split(at_once)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _pairs(rows: Tensor) -> Tensor:
    """Each row with those nearest to it, ``[P, 2]``, the smaller number first."""
    _, near = _nearest(rows, rows, min(CANDIDATES + 1, len(rows)))
    here = torch.arange(len(rows))[:, None].expand_as(near)
    pairs = torch.stack([torch.minimum(here, near), torch.maximum(here, near)], -1).flatten(0, 1)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of two pictures each, blurred: ``[N]`` in [-1, 1]."""
    return (_standard(functional.smooth(a, BLUR)) * _standard(functional.smooth(b, BLUR))).sum(1)


def _standard(pictures: Tensor) -> Tensor:
    """``[N, *]`` without their mean, of length 1, ``[N, D]``; one plain color keeps its mean, so that two are alike."""
    flat = pictures.flatten(1)
    centered = flat - flat.mean(1, keepdim=True)
    plain = centered.norm(dim=1, keepdim=True) < 1e-4
    return F.normalize(torch.where(plain, flat + 1, centered), dim=1)


def _groups(rows: int, pairs: list[list[int]], alike: list[float]) -> list[Copies]:
    """Whatever is joined by pairs, the largest groups first."""
    leader = list(range(rows))

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for a, b in pairs:
        leader[max(find(a), find(b))] = min(find(a), find(b))
    members: dict[int, list[int]] = {}
    for row in sorted({row for pair in pairs for row in pair}):
        members.setdefault(find(row), []).append(row)
    least = dict.fromkeys(members, 1.0)
    for (a, _), value in zip(pairs, alike, strict=True):
        least[find(a)] = min(least[find(a)], value)
    groups = [Copies(tuple(group), least[first]) for first, group in members.items()]
    return sorted(groups, key=lambda group: (-len(group.rows), group.rows))
