"""Held-out figures of the first methods beside PCA, ridge and nearest: ``python -m benchmarks.spine [ID ...]``.

Wants mnist, and for `photos` a folder of pictures named flowers, in ``$GARGALO_DATA``. An hour on two cores.
Models stay in runs/benchmarks/.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import gargalo
from benchmarks import classifier
from benchmarks.results import Row, write
from gargalo.data import open_source

RUNS = Path("runs/benchmarks")
Figures = list[Row]


def trained(name: str, method: str, data: str, **options: Any) -> tuple[gargalo.TrainedModel, dict[str, Any]]:
    """A freshly trained model and its figures on the test set."""
    shutil.rmtree(RUNS / name, ignore_errors=True)
    gargalo.train(method, data, RUNS / name, **options)
    gargalo.report(RUNS / name)
    model = gargalo.load(RUNS / name)
    return model, gargalo.evaluate(model)


def autoencoder(k: int) -> Figures:
    _, found = trained(f"autoencoder-{k:03d}", "autoencoder", "mnist", latent_dim=k, time=300)
    pca = found["baselines"]["pca"]
    what = f"MNIST, autoencoder with a code of {k}, 5 minutes, against PCA-{k}"
    return [
        Row(f"autoencoder-{k:03d}-bce", what, found["bce"], pca["bce"], "BCE"),
        Row(f"autoencoder-{k:03d}-mse", what, found["mse"], pca["mse"], "MSE"),
    ]


def vae_2d() -> Figures:
    options = {"latent_dim": 2, "likelihood": "gaussian:variance=0.5", "time": 600}
    model, found = trained("vae-2", "vae", "mnist", **options)
    # -log p = squared error + 392 log(pi) at variance 1/2
    constant = model.spec.numbers / 2 * math.log(math.pi)
    pca = found["baselines"]["pca"]["mse"] * model.spec.numbers
    what = "MNIST, VAE with a code of 2, 10 minutes: squared error + KL a picture, against PCA-2's squared error alone"
    return [Row("vae-2", what, -found["elbo"] - constant, pca, "nats")]


def denoiser() -> Figures:
    options = {"corruption": "noise:mean=0.5,std=0.3", "time": 300}
    _, found = trained("denoiser", "autoencoder", "mnist", **options)
    what = "MNIST, noise of mean 0.5 and deviation 0.3 removed, 5 minutes, against ridge regression"
    return [Row("denoiser", what, found["bce"], found["baselines"]["linear"]["bce"], "BCE")]


def upscaler() -> Figures:
    _, found = trained("upscaler", "autoencoder", "mnist", corruption="downscale:factor=2", time=300)
    what = "MNIST, 14x14 to 28x28, 5 minutes, against ridge regression"
    return [Row("upscaler", what, found["bce"], found["baselines"]["linear"]["bce"], "BCE")]


def to_order() -> Figures:
    model, _ = trained("cvae", "cvae", "mnist", time=300)
    source = open_source("mnist")
    net = classifier.train(source)
    test = source.indices("test")
    assert source.labels is not None
    real = classifier.predict(net, source.spec.scaled(source.values[test])) == source.labels[test]
    agree = [
        classifier.predict(net, source.spec.scaled(torch.from_numpy(gargalo.sample(model, 100, label=label)))) == label
        for label in range(10)
    ]
    what = "MNIST, 100 samples of each label named so by a classifier, against real test digits"
    return [Row("cvae", what, float(torch.cat(agree).float().mean()), float(real.float().mean()), "agreement")]


def photos() -> Figures:
    folder = Path(os.environ["GARGALO_DATA"]) / "flowers"
    _, found = trained("photos", "autoencoder", str(folder), time=300)
    what = "Flowers, autoencoder on a folder of 250 photos, 5 minutes, against PCA at the same code size"
    return [Row("photos", what, found["psnr"], found["baselines"]["pca"]["psnr"], "PSNR dB")]


ROWS: dict[str, Callable[[], Figures]] = {
    **{f"autoencoder-{k}": partial(autoencoder, k) for k in (2, 8, 32, 64, 128)},
    "vae-2": vae_2d,
    "denoiser": denoiser,
    "upscaler": upscaler,
    "cvae": to_order,
    "photos": photos,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"any of {', '.join(ROWS)}; all unless given")
    ids = parser.parse_args().ids or list(ROWS)
    if unknown := set(ids) - set(ROWS):
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in ids:
        rows = ROWS[name]()
        write("spine", rows)
        for row in rows:
            print(f"{row.id:24} {row.ours:10.5f} {row.other or float('nan'):10.5f} {row.unit}", flush=True)


if __name__ == "__main__":
    main()
