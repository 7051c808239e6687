"""Ours, by the product's own loop and rules: ``python -m benchmarks.speed.ours NAME BATCH IMAGES.npy``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.speed import shapes
from benchmarks.speed.stopwatch import Stopwatch


def model_of(parts: Any, bottleneck: Any, likelihood: Any, latent_dim: int = 16) -> Any:
    from gargalo.model import LatentModel
    from gargalo.priors import StandardNormal

    encoder, decoder = parts
    return LatentModel(encoder, bottleneck, decoder, StandardNormal(latent_dim), likelihood)


def lesson() -> tuple[Any, Any]:
    from gargalo import bottlenecks, likelihoods, objectives

    return model_of(shapes.lesson(), bottlenecks.Point(1), likelihoods.Bernoulli()), objectives.Reconstruction()


def dense() -> tuple[Any, Any]:
    return variational(shapes.dense(), squared_error())


def wide_convolutions() -> tuple[Any, Any]:
    return variational(shapes.wide_convolutions(), squared_error())


def keras_example() -> tuple[Any, Any]:
    from gargalo import likelihoods

    return variational(shapes.keras_example(), likelihoods.Bernoulli(), latent_dim=2)


def denoiser() -> tuple[Any, Any]:
    return restorer(shapes.denoiser())


def quick_denoiser() -> tuple[Any, Any]:
    return restorer(shapes.quick_denoiser())


def squared_error() -> Any:
    """pythae's reconstruction term: half the squared error of a sigmoid."""
    from gargalo import likelihoods

    return likelihoods.Gaussian(1.0, squash=True)


def variational(parts: Any, likelihood: Any, latent_dim: int = 16) -> tuple[Any, Any]:
    from gargalo import bottlenecks, objectives

    return model_of(parts, bottlenecks.Gaussian(latent_dim), likelihood, latent_dim), objectives.ELBO()


def restorer(net: Any) -> tuple[Any, Any]:
    from torch import nn

    from gargalo import bottlenecks, likelihoods, objectives

    model = model_of((nn.Identity(), net), bottlenecks.Point(1), likelihoods.Gaussian(1.0))
    return model, objectives.Reconstruction()


Parts = Callable[[], tuple[Any, Any]]
CONTENDERS: dict[str, tuple[Parts, str]] = {
    "lesson": (lesson, "none"),
    "dense": (dense, "none"),
    "wide_convolutions": (wide_convolutions, "none"),
    "keras_example": (keras_example, "none"),
    "denoiser": (denoiser, "noise:std=0.1"),
    "quick_denoiser": (quick_denoiser, "noise:std=0.1"),
}


def race(name: str, batch: int, file: str, watch: Stopwatch) -> None:
    """Trains as a user would, with the net registered as a plugin would register it."""
    import tempfile

    import gargalo
    from gargalo.registry import method

    build, corruption = CONTENDERS[name]

    def contender(spec: Any, *, latent_dim: int = 16) -> tuple[Any, Any]:
        """The shape that is raced."""
        return build()

    method(contender)
    budget = {"epochs": 1_000_000, "batch_size": batch, "save_every": 1e9}
    with tempfile.TemporaryDirectory() as folder:
        gargalo.train("contender", file, folder, corruption=corruption, progress=lambda _: watch.tick(batch), **budget)


if __name__ == "__main__":
    name, size, file = sys.argv[1:]
    race(name, int(size), file, Stopwatch(float(os.environ["GARGALO_STARTED"])))
