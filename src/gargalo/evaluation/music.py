"""Figures of melodies and drum parts: what is right by step, note and window, beside what copies and silence score;
and how near to the drummer hits are played.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gargalo.checkpoint import TrainedModel
from gargalo.data.batches import Feed, derive
from gargalo.data.music.vocabulary import BAND, BAND_BITS, BEGINS, DRUMS, FIRST, HOLD, VOCABULARY
from gargalo.data.source import some
from gargalo.distributions import DiagonalGaussian
from gargalo.functional import standard_normal_kl
from gargalo.likelihoods import Strokes
from gargalo.spec import DataSpec
from gargalo.training import seeded

FIGURES = "steps", "precision", "recall", "notes", "windows"
COMPARED, AT_ONCE = 1_000, 1 << 22  # rows for which copies are looked for, and distances found together


def is_music(spec: DataSpec) -> bool:
    """Whether examples are melodies, drum parts or bands, as those of the sources of music."""
    melody = spec.is_tokens and spec.vocabulary == VOCABULARY
    return melody or is_groove(spec) or is_band(spec) or (spec.is_bits and spec.shape[1:] == (len(DRUMS),))


def is_band(spec: DataSpec) -> bool:
    """Whether examples are all parts of a song together."""
    return spec.likelihood.startswith("parts") and spec.shape[1:] == (BAND_BITS,)


def is_groove(spec: DataSpec) -> bool:
    """Whether examples are drum parts with velocities and timings."""
    return spec.likelihood == "groove" and spec.shape[1:] == (3 * len(DRUMS),)


@torch.no_grad()
def figures(
    model: TrainedModel, feed: Feed, outputs: Tensor, targets: Tensor, train: Tensor, seed: int
) -> dict[str, Any]:
    """Rows of `score`: ``greedy`` of the likeliest ``outputs``, ``sampled`` of draws from posterior and likelihood,
    ``still`` of the answer that nothing new begins, ``copied`` of the most similar row of ``train``; and ``kl_bits``,
    what a code tells beyond N(0, I), None where a code is a point."""
    symbols = len(DRUMS) if is_groove(model.spec) else None  # a groove is right where its hits are
    drawn: list[Tensor] = []
    kls: list[Tensor] = []
    with seeded(derive(seed, "music")):
        for batch in feed.in_order():
            posterior = model.net.encode(batch.input, batch.condition)
            drawn.append(model.net.draw(posterior.draw()[0], batch.condition))
            if isinstance(posterior, DiagonalGaussian):
                kls.append(standard_normal_kl(posterior).sum(1))
    few = some(torch.arange(len(targets)), COMPARED)
    given, found, seen = (x if symbols is None else x[..., :symbols] for x in (targets, outputs, train))
    rows = {
        "greedy": score(found.round().long(), given),
        "sampled": score(torch.cat(drawn)[..., :symbols].long(), given),
        "still": score(_held(given).long(), given),
        "copied": score(nearest(given[few], seen), given[few]),
    }
    played = {"played": feel(model, feed, model.spec.scaled(train))} if symbols else {}
    return rows | {"kl_bits": float(torch.cat(kls).mean()) / math.log(2) if kls else None} | played


def feel(model: TrainedModel, feed: Feed, train: Tensor) -> dict[str, dict[str, float]]:
    """How far, on average over the hits of a ``feed`` of grooves, velocities and ``timing``, in steps, are from the
    drummer's: those that the model gives to hits that are known, and ``straight`` ones: on the grid, and as loud as the
    same drum in ``train``, model values ``[N, T, 27]``, on average."""
    width = len(DRUMS)
    bits, loud = train[..., :width].flatten(0, 1), train[..., width : 2 * width].flatten(0, 1)
    steady = (loud * bits).sum(0) / bits.sum(0).clamp(min=1)
    errors: list[Tensor] = []
    for batch in feed.in_order():
        hits = batch.target[..., :width]
        likelihood = model.net.decode(model.net.encode(batch.input, batch.condition).mode, batch.condition)
        assert isinstance(likelihood, Strokes)
        straight = torch.cat([hits, hits * steady, torch.zeros_like(hits)], 2)
        both = torch.stack([likelihood.played(hits), straight])
        errors.append((both - batch.target).abs().unflatten(3, (3, width)).sum((1, 2, 4)).double())
        errors[-1][:, 0] = hits.sum()
    total = torch.stack(errors).sum(0)
    names = "model", "straight"
    return {
        name: {"velocity": 127 * float(row[1] / row[0]), "timing": float(row[2] / row[0])}
        for name, row in zip(names, total, strict=True)
    }


def score(found: Tensor, wanted: Tensor) -> dict[str, float]:
    """Of tokens ``[N, T]`` or bits ``[N, T, 9 or 238]``: the share of ``steps`` and of whole ``windows`` that are
    right; ``precision`` and ``recall`` of notes, which are right where step and pitch are, and ``notes``, their F1."""
    found, wanted = found.long(), wanted.long()
    same = (found == wanted).flatten(2).all(2) if wanted.dim() == 3 else found == wanted
    least = 1 if wanted.dim() == 3 else FIRST
    if wanted.shape[2:] == (BAND_BITS,):
        found, wanted = found[..., BEGINS], wanted[..., BEGINS]
    said, known = found >= least, wanted >= least
    hits = int((said & known & (found == wanted)).sum())
    precision, recall = hits / max(1, int(said.sum())), hits / max(1, int(known.sum()))
    return {
        "steps": float(same.double().mean()),
        "precision": precision,
        "recall": recall,
        "notes": 2 * precision * recall / max(1e-12, precision + recall),
        "windows": float(same.all(1).double().mean()),
    }


def _held(given: Tensor) -> Tensor:
    """Rows like these in which nothing new begins."""
    held = torch.full_like(given, HOLD)
    if given.shape[2:] == (BAND_BITS,):
        held[..., [0, BAND[0], sum(BAND[:2])]] = 1  # on goes the melody, no chord, on goes the bass
    return held


def nearest(rows: Tensor, known: Tensor) -> Tensor:
    """For each row the known one with the most equal entries: ``[N, *shape]``."""
    rows, small = (_short(x).flatten(1).float() for x in (rows, known))
    best = torch.empty(len(rows), dtype=torch.long)  # one piece: small ones between large ones are in the way
    for part in torch.arange(len(rows)).split(max(1, AT_ONCE // len(small))):
        best[part] = torch.cdist(rows[part], small, p=0).argmin(1)  # how many entries differ
    return known[best]


def _short(rows: Tensor) -> Tensor:
    """Of a band the numbers of what is set, ``[N, T, 12]``: fewer to compare."""
    if rows.shape[2:] != (BAND_BITS,):
        return rows
    *groups, drums = rows.split(BAND, 2)
    return torch.cat([*(group.argmax(2, keepdim=True).float() for group in groups), drums.float()], 2)
