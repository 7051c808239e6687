"""The likelihood of binarized pictures after an hour of training.

``python -m benchmarks.likelihood [DATA] [--minutes 60] [--rows 1000] [--kept]``; data are mnist and fashion-mnist,
dynamically binarized, test rows drawn once with a fixed seed. Writes likelihood.json, beside what a published model
reaches: NVAE on MNIST, Exemplar VAE on Fashion-MNIST. ``--kept`` measures the run of an earlier call.

The bound is importance-weighted with 1,000 samples. Every test row gets `FEW` of them; what all 1,000 gain over so few
varies little from row to row, so it is measured on ``--rows`` and added: the same expectation for a tenth of the time.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import gargalo
from benchmarks.results import Row, write
from gargalo.acceleration import plan_for
from gargalo.data import open_source
from gargalo.data.batches import Feed
from gargalo.evaluation.measure import bounds_of
from gargalo.training import seeded

FOLDER = Path("runs/benchmarks/likelihood")
PUBLISHED = {"mnist": 78.01, "fashion-mnist": 226.75}
NETWORKS = {"mnist": "convnet:width=64", "fashion-mnist": "convnet:width=64,dropout=0.1"}
SAMPLES, FEW, AT_ONCE = 1_000, 50, 20
OPTIONS: dict[str, Any] = {
    "likelihood": "pixel_cnn:width=32,layers=6",
    "augment": "none",
    "latent_dim": 32,
    "components": 100,
    "batch_size": 64,
}


def bounds(model: gargalo.TrainedModel, name: str, samples: int, rows: int | None = None) -> tuple[Tensor, Tensor]:
    """The evidence lower bound and the importance-weighted NLL of test rows, in nats, ``[N]``. Networks run as in
    training, in bfloat16 where the hardware has it; densities and their sums are float32."""
    source = open_source(name)
    feed = Feed(source, source.indices("test")[:rows], AT_ONCE, seed=0)
    plan = plan_for(model.net, torch.device("cpu"), "auto")
    found: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad(), seeded(0), torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
        for batch in feed.in_order():
            elbo, nll, _ = bounds_of(model.net, batch, samples, chunk=25)
            found.append((elbo, nll))
    elbos, nlls = zip(*found, strict=True)
    return torch.cat(elbos), torch.cat(nlls)


class Weighted(NamedTuple):
    """Means over the test rows, in nats; ``error`` is the standard error of what the rest of the samples gain."""

    elbo: float
    few: float
    nll: float
    error: float


def weighted(model: gargalo.TrainedModel, name: str, samples: int, rows: int) -> Weighted:
    """`FEW` samples of every test row, and what ``samples`` gain over them on the first ``rows``."""
    elbo, few = bounds(model, name, FEW)
    gain = bounds(model, name, samples, rows)[1] - few[:rows]
    error = float(gain.std()) / len(gain) ** 0.5
    return Weighted(float(elbo.mean()), float(few.mean()), float(few.mean() + gain.mean()), error)


def measure(model: gargalo.TrainedModel, name: str, rows: int, what: str) -> list[Row]:
    data = name.partition(":")[0]
    elbo, few, nll, error = weighted(model, name, SAMPLES, rows)
    return [
        Row(f"{data}-nll", f"{what}: -log p(x), K = {SAMPLES} (error {error:.2f})", nll, PUBLISHED[data], "nats"),
        Row(f"{data}-nll-{FEW}", f"{what}: -log p(x), K = {FEW}", few, None, "nats"),
        Row(f"{data}-elbo", f"{what}: -ELBO", -elbo, None, "nats"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", help=", ".join(PUBLISHED))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--kept", action="store_true")
    options = parser.parse_args()
    for data in options.data or PUBLISHED:
        run, name = FOLDER / data, f"{data}:binarize=dynamic"
        if options.kept:
            model = gargalo.load(run)
        else:
            shutil.rmtree(run, ignore_errors=True)
            model = gargalo.train(
                "mixture_vae", name, run, time=60 * options.minutes, network=NETWORKS[data], **OPTIONS
            )
        minutes, steps = model.config["settings"]["time"] / 60, model.config["progress"]["step"]
        what = f"{name}, mixture VAE with a pixel CNN, {minutes:g} minutes, {steps:,} steps"
        rows = measure(model, name, options.rows, what)
        write("likelihood", rows)
        for row in rows:
            print(f"{row.id:24} {row.ours:8.3f}", flush=True)


if __name__ == "__main__":
    main()
