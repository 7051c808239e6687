"""The likelihood of binarized pictures after an hour of training.

``python -m benchmarks.likelihood [DATA [MINUTES [ROWS]]]``; data are mnist and fashion-mnist, dynamically binarized,
test rows drawn once with a fixed seed. The bound is importance-weighted with 1,000 samples. Writes likelihood.json,
beside what a published model reaches: NVAE on MNIST, Exemplar VAE on Fashion-MNIST.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import torch

import gargalo
from benchmarks.results import Row, write
from gargalo.acceleration import plan_for
from gargalo.data import open_source
from gargalo.data.batches import Feed
from gargalo.evaluation.measure import bounds_of
from gargalo.training import seeded

FOLDER = Path("runs/benchmarks/likelihood")
PUBLISHED = {"mnist": 78.01, "fashion-mnist": 226.75}
SAMPLES, AT_ONCE = 1_000, 20
OPTIONS: dict[str, Any] = {
    "likelihood": "pixel_cnn:width=32,layers=6",
    "network": "convnet:width=64",
    "augment": "none",
    "latent_dim": 32,
    "components": 100,
    "batch_size": 64,
}


def bound(model: gargalo.TrainedModel, name: str, rows: int) -> tuple[float, float]:
    """The evidence lower bound and the importance-weighted NLL of test rows, in nats. Networks run as in training, in
    bfloat16 where the hardware has it; densities and their sums are float32."""
    source = open_source(name)
    feed = Feed(source, source.indices("test")[:rows], AT_ONCE, seed=0)
    plan = plan_for(model.net, torch.device("cpu"), "auto")
    elbos: list[torch.Tensor] = []
    nlls: list[torch.Tensor] = []
    with torch.no_grad(), seeded(0), torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
        for batch in feed.in_order():
            elbo, nll, _ = bounds_of(model.net, batch, SAMPLES, chunk=25)
            elbos.append(elbo)
            nlls.append(nll)
    return float(-torch.cat(elbos).mean()), float(torch.cat(nlls).mean())


def main(data: str | None = None, minutes: str = "60", rows: str = "10000") -> None:
    for name in PUBLISHED if data is None else (data,):
        run = FOLDER / name
        shutil.rmtree(run, ignore_errors=True)
        binary = f"{name}:binarize=dynamic"
        model = gargalo.train("mixture_vae", binary, run, time=60 * float(minutes), **OPTIONS)
        elbo, nll = bound(model, binary, int(rows))
        what = f"{binary}, mixture VAE with a pixel CNN, {minutes} minutes, {rows} test rows"
        found = [
            Row(f"{name}-nll", f"{what}: -log p(x), K = {SAMPLES}", nll, PUBLISHED[name], "nats"),
            Row(f"{name}-elbo", f"{what}: -ELBO", elbo, None, "nats"),
        ]
        write("likelihood", found)
        for row in found:
            print(f"{row.id:24} {row.ours:8.3f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
