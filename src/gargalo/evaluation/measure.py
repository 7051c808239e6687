"""Figures of a trained model on held-out data, with the baselines beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from gargalo import functional as f
from gargalo.checkpoint import TrainedModel
from gargalo.data.batches import Feed, derive
from gargalo.data.source import Part, Source, some
from gargalo.distributions import Codes, DiagonalGaussian, Point, Posterior
from gargalo.evaluation import baselines, music
from gargalo.model import Batch, LatentModel
from gargalo.priors import Prior
from gargalo.spec import DataSpec
from gargalo.training import seeded

FIGURES = "mse", "accuracy", "bce", "psnr", "ssim", "edges"  # of reconstructions; None where one means nothing
MAX_RIDGE_INPUT = 4096
BANDS = 8  # of spatial frequency; small pictures have fewer
MAX_ROWS = 10_000  # more would not move a figure, and all of them are kept in memory


def measure(
    model: TrainedModel, source: Source, part: Part, *, samples: int, limit: int | None, seed: int
) -> dict[str, Any]:
    """The dictionary that `gargalo.evaluate` returns."""
    index = some(source.indices(part), limit or MAX_ROWS)
    feed = Feed(source, index, 250, model.corruption, seed=seed)
    with torch.no_grad(), seeded(derive(seed, "evaluate")):
        outputs, targets, inputs, figures = _pass(model.net, feed.in_order(), samples)
    row = compare(outputs, targets, model.spec) | figures
    held_in = replace(feed, index=source.indices("train"), seed=seed + 1)
    table = _baselines(model, held_in, inputs, targets)
    found = {"data": source.name, "split": part, "n": len(index), **row, "baselines": table}
    if not music.is_music(model.spec):
        return found
    known = source.gather(held_in.index).target
    return found | {"music": music.figures(model, feed, outputs, targets, known, seed)}


def _pass(net: LatentModel, batches: Iterable[Batch], samples: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
    """Reconstructions through the mode, targets, inputs, and what a variational model is judged by."""
    outputs: list[Tensor] = []
    targets: list[Tensor] = []
    inputs: list[Tensor] = []
    bounds: list[Tensor] = []
    nlls: list[Tensor] = []
    kls: list[Tensor] = []
    means: list[Tensor] = []
    per_dim: list[Tensor] = []
    codes: list[Codes] = []
    for batch in batches:
        posterior = net.encode(batch.input, batch.condition)
        outputs.append(net.decode(posterior.mode, batch.condition).mode)
        targets.append(batch.target)
        inputs.append(batch.input)
        if has_density(posterior):
            elbo, nll, kl = bounds_of(net, batch, samples)
            bounds.append(elbo)
            nlls.append(nll)
            kls.append(kl)
            means.append(cast(Prior, net.prior).in_units(posterior.mode))
        if isinstance(posterior, DiagonalGaussian):
            per_dim.append(f.standard_normal_kl(posterior))
        if isinstance(posterior, Codes):
            codes.append(posterior)
    figures: dict[str, Any] = {"elbo": None, "nll": None, "kl": None, "active_units": None}
    if means:
        figures = {
            "elbo": float(torch.cat(bounds).mean()),
            "nll": float(torch.cat(nlls).mean()),
            "kl": float(torch.cat(kls).mean()),
            "active_units": int((torch.cat(means).var(0) > 0.01).sum()),  # Burda et al. 2016
        }
    if per_dim:
        figures["kl_per_dim"] = torch.cat(per_dim).mean(0).tolist()
    if codes:
        figures |= _codes(torch.cat([part.indices for part in codes]), codes[0].num_codes)
    return torch.cat(outputs), torch.cat(targets), torch.cat(inputs), figures | {"samples": samples}


def _codes(indices: Tensor, num_codes: int) -> dict[str, Any]:
    """How much of a code book is in use; of several books, the mean."""
    shares = f.code_shares(indices, num_codes)
    used = float((shares > 0).float().mean())
    return {"num_codes": num_codes, "perplexity": float(f.perplexity(shares)), "used": used}


def has_density(posterior: Posterior) -> bool:
    """Whether codes are drawn, so that there is a bound."""
    return not isinstance(posterior, Point | Codes)


def bounds_of(
    net: LatentModel, batch: Batch, samples: int, chunk: int = 10, noise: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The evidence lower bound, the importance-weighted NLL of K samples (Burda et al. 2016) and the KL, ``[N]`` each.

    ``noise`` ``[K, ...]``, each like one code, is for every row the same; without it, each row draws its own.
    """
    weights: list[Tensor] = []
    elbos: list[Tensor] = []
    kls: list[Tensor] = []
    remaining = samples
    while remaining:
        k = min(chunk, remaining)
        part = None if noise is None else noise[samples - remaining :][:k].repeat_interleave(len(batch.target), 0)
        out = net(batch, samples=k, noise=part)
        weights.append((-out.nll + out.log_p - out.log_q).view(k, -1))
        elbos.append((-out.nll - out.kl).view(k, -1))
        kls.append(out.kl.view(k, -1))
        remaining -= k
    return torch.cat(elbos).mean(0), -f.log_mean_exp(torch.cat(weights)), torch.cat(kls).mean(0)


def compare(outputs: Tensor, targets: Tensor, spec: DataSpec) -> dict[str, Any]:
    """MSE of amounts; of tokens and bits ``accuracy``, the share that is right; where values are pixels BCE, PSNR and
    SSIM, averages over the rows, and what is kept.

    ``edges`` is the share of the targets' edge energy that outputs have; ``lost`` the energy of what is missing as a
    share of the targets', by spatial frequency, lowest first: 0 where all is kept, above 1 where it is made worse.
    """
    row: dict[str, Any] = dict.fromkeys((*FIGURES, "lost"))
    if spec.is_tokens or spec.is_bits:
        row["accuracy"] = float((outputs.round() == targets).double().mean())
    if not spec.is_tokens:
        row["mse"] = float(f.mean_squared_error(outputs, targets).mean())
    if spec.is_pixels:
        clipped = outputs.clamp(0, 1)
        row["bce"] = float(f.binary_cross_entropy(clipped, targets).mean())
        row["psnr"] = float(f.psnr(f.mean_squared_error(clipped, targets)).mean())
        row["ssim"] = float(
            torch.cat([f.ssim(a, b) for a, b in zip(clipped.split(500), targets.split(500), strict=True)]).mean()
        )
        row["edges"] = float(f.edge_energy(clipped).sum() / f.edge_energy(targets).sum().clamp(min=1e-12))
        bands = max(1, min(BANDS, min(targets.shape[-2:]) // 2))
        missing = f.spectrum(targets - clipped, bands).sum(0) / f.spectrum(targets, bands).sum(0).clamp(min=1e-12)
        row["lost"] = missing.tolist()
    return row


def _baselines(model: TrainedModel, feed: Feed, inputs: Tensor, targets: Tensor) -> dict[str, Any]:
    """PCA at the same code size, the mean, the floor; for a corrupted input also the best linear map and none.

    All of them work on amounts. Of tokens these are one-hot, the largest stands for its token, and the mean is the most
    frequent token of each step.
    """
    spec = model.spec
    feed = replace(feed, index=baselines.enough(feed.index, spec.numbers))
    pairs = list(feed.in_order())
    train, wanted = spec.numeric(torch.cat([pair.target for pair in pairs])), spec.numeric(targets)

    def row(found: Tensor) -> dict[str, Any]:
        return compare(found.argmax(-1) if spec.is_tokens else found, targets, spec)

    projected = baselines.pca(train, wanted, model.code_numbers)
    table: dict[str, Any] = {
        "pca": None if projected is None else row(projected),
        "mean": row(baselines.mean(train, wanted)),
        "floor": row(wanted),
    }
    if inputs.shape == targets.shape and torch.equal(inputs, targets):
        return table
    given = spec.numeric(inputs)
    if given[0].numel() <= MAX_RIDGE_INPUT:
        seen = spec.numeric(torch.cat([pair.input for pair in pairs]))
        table["linear"] = row(baselines.ridge(seen, train, given, tuple(wanted.shape[1:])))
    unchanged = given if spec.is_tokens else baselines.unchanged(inputs, spec.shape)
    table["input"] = None if unchanged is None else row(unchanged)
    return table
