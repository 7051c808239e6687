"""Every method on binarized MNIST with the same nets and the same time: ``python -m benchmarks.methods [METHOD ...]``.

``--seconds`` is the budget of one training, 60 unless given. Writes methods.json, and docs/methods.png with eight
reconstructions and eight samples of each. Features for distances between samples and real digits are those before the
last layer of a small classifier of real digits, which is trained first.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

import gargalo
from benchmarks import classifier
from benchmarks.classifier import features
from benchmarks.published import METHODS
from benchmarks.results import Row, write
from gargalo import registry
from gargalo.data import open_source
from gargalo.data.source import Source
from gargalo.evaluation.samples import frechet_distance, precision_recall
from gargalo.likelihoods import Bernoulli

DATA = "mnist:binarize=dynamic"
FOLDER = Path("runs/benchmarks/methods")
PICTURE = Path("docs/methods.png")
SAMPLES, NEIGHBORS, TESTED, K = 2_000, 20_000, 2_000, 50


def makes_pictures(method: str) -> bool:
    """Whether there are codes to draw that become pictures of digits: not so of what repairs, nor of music."""
    try:
        return registry.method[method](open_source(DATA).spec)[0].generative
    except ValueError:
        return False


def measure(method: str, seconds: float, judge: torch.nn.Sequential, real: Tensor, grey: Source) -> list[Row]:
    """``real`` are the judge's features of the test digits."""
    run = FOLDER / method
    shutil.rmtree(run, ignore_errors=True)
    start = time.perf_counter()
    model = gargalo.train(method, DATA, run, time=seconds)
    taken = time.perf_counter() - start
    found = gargalo.evaluate(model, samples=K, limit=TESTED)
    figures: dict[str, tuple[float | None, float | None, str]] = {
        "mse": (found["mse"], None if found["baselines"]["pca"] is None else found["baselines"]["pca"]["mse"], "MSE"),
        "active": (found["active_units"], None, "numbers"),
        "seconds": (taken, None, "s"),
    }
    if isinstance(model.net.likelihood, Bernoulli):
        figures |= {
            "nll": (found["nll"], METHODS[method].nats if method in METHODS else None, "nats"),
            "elbo": (found["elbo"], None, "nats"),
        }
    figures |= sampled(real, features(judge, gargalo.sample(model, SAMPLES)))
    figures["knn"] = (neighbors(model, grey), None, "right")
    what = f"{method}, {seconds:g} seconds"
    return [
        Row(f"{method}/{name}", what, ours, other, unit)
        for name, (ours, other, unit) in figures.items()
        if ours is not None
    ]


def sampled(real: Tensor, made: Tensor) -> dict[str, Any]:
    precision, recall = precision_recall(real[:SAMPLES], made)
    distance = frechet_distance(real, made)
    return {"frechet": (distance, None, ""), "precision": (precision, None, ""), "recall": (recall, None, "")}


def neighbors(model: gargalo.TrainedModel, grey: Any) -> float:
    parts = [grey.gather(grey.indices(part)[:n]) for part, n in (("train", NEIGHBORS), ("test", TESTED))]
    codes = [gargalo.embed(model, part.target, labels=part.condition) for part in parts]
    known = KNeighborsClassifier(5).fit(codes[0], parts[0].condition.numpy())
    return float(known.score(codes[1], parts[1].condition.numpy()))


def picture(methods: list[str], grey: Any) -> None:
    """A row a method: eight digits as they come back, eight that were made up."""
    import matplotlib.pyplot as plt

    shown = grey.gather(grey.indices("test")[:8])
    rows = [np.concatenate([shown.target[:, 0].numpy(), np.zeros((8, 28, 28), np.uint8)])]
    for method in methods:
        model = gargalo.load(FOLDER / method)
        back = gargalo.reconstruct(model, shown.target, labels=shown.condition)[:, 0]
        rows.append(np.concatenate([back, gargalo.sample(model, 8, seed=1)[:, 0]]))
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 0.42 * len(rows)))
    for axis, row, name in zip(axes, rows, ["test digits", *methods], strict=True):
        gap = np.full((8, 28, 4), 255, np.uint8)
        strip = [np.concatenate([np.concatenate([part, gap], 2).transpose(1, 0, 2).reshape(28, -1)])
                 for part in (255 - row[:8], 255 - row[8:])]  # fmt: skip
        axis.imshow(np.concatenate([strip[0], np.full((28, 16), 255, np.uint8), strip[1]], 1), cmap="gray")
        axis.set_ylabel(name.replace("_", "-"), rotation=0, ha="right", va="center", fontsize=7)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.2, right=0.99, top=0.995, bottom=0.005, hspace=0.05)
    figure.savefig(PICTURE, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    grey = open_source("mnist")
    every = [method for method in gargalo.available("methods") if makes_pictures(method)]
    judge = classifier.train(grey)
    test = grey.gather(grey.indices("test"))
    real = features(judge, test.target)
    right = classifier.predict(judge, grey.spec.scaled(test.target)) == test.condition
    write("methods", [Row("classifier/right", "the classifier whose features are used", float(right.double().mean()), None, "right")])  # fmt: skip  # noqa: E501
    for method in options.methods or every:
        rows = measure(method, options.seconds, judge, real, grey)
        write("methods", rows)
        print(method, {row.id.partition("/")[2]: round(row.ours, 4) for row in rows}, flush=True)
    picture([method for method in every if (FOLDER / method).exists()], grey)


if __name__ == "__main__":
    main()
