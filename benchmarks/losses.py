"""What each loss throws away: ``python -m benchmarks.losses [SECONDS]``.

Writes losses.json and the pictures of docs/losses.md: the plain autoencoder on MNIST with 32 numbers, equal seconds,
one likelihood each.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

import gargalo
from benchmarks.results import Row, write
from gargalo import plots
from gargalo.data import open_source, write_image

LIKELIHOODS = {"mse": "gaussian", "bce": "bernoulli", "l1": "laplace", "ssim": "ssim"}
FOLDER = Path("runs/benchmarks/losses")
PICTURES = Path(__file__).parents[1] / "docs" / "losses.png"
SHOWN = 16


def main(seconds: str = "60") -> None:
    source = open_source("mnist")
    some = source.gather(source.indices("test")[:SHOWN]).target
    shown = [some.numpy()]
    rows: list[Row] = []
    for loss, likelihood in LIKELIHOODS.items():
        run = FOLDER / loss
        shutil.rmtree(run, ignore_errors=True)
        model = gargalo.train("autoencoder", "mnist", run, likelihood=likelihood, time=float(seconds))
        shown.append(gargalo.reconstruct(model, some))
        found = gargalo.evaluate(model)
        pca = found["baselines"]["pca"]
        found |= {"coarse": found["lost"][0], "fine": found["lost"][-1]}
        pca |= {"coarse": pca["lost"][0], "fine": pca["lost"][-1]}
        for key, unit in {"mse": "", "bce": "", "ssim": "", "edges": "kept", "coarse": "lost", "fine": "lost"}.items():
            what = f"MNIST test, trained with {loss.upper()} ({likelihood}), against PCA-32: {key}"
            rows.append(Row(f"{loss}-{key}", what, found[key], pca[key], unit))
            print(f"{loss:5} {key:7} {found[key]:.5f} {pca[key]:.5f}", flush=True)
    write("losses", rows)
    write_image(plots.grid(np.concatenate(shown), SHOWN), PICTURES)


if __name__ == "__main__":
    main(*sys.argv[1:])
