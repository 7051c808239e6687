"""Likelihoods beside published ones: ``python -m benchmarks.published [METHOD ...] [--minutes 20]``.

The figures are pythae's, of its table of reproductions: binary MNIST, nats, its own nets. Its protocol in ours:
pixels drawn anew at every look (``binarize=dynamic``) with test pixels drawn once; dense nets of about 300 units a
layer; NLL importance-weighted with `SAMPLES` on all test rows. What differs: its nets are not alike from method to
method (convolutions for hvae, two layers of tanh units for the bounds of several samples), it trains for hours, and we
fall to a small rate at the end of a short budget. Writes published.json.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import gargalo
from benchmarks.results import Row, write

DATA = "mnist:binarize=dynamic"
FOLDER = Path("runs/benchmarks/published")
SAMPLES = 200
COMMON: dict[str, Any] = {"network": "mlp:width=300,depth=1"}


class Published(NamedTuple):
    nats: float
    options: dict[str, Any]


METHODS = {
    "vae": Published(89.78, {"latent_dim": 40}),
    "vamp_vae": Published(85.79, {"latent_dim": 40, "components": 500}),
    "iwae": Published(86.82, {"latent_dim": 50, "samples": 50}),
    "miwae": Published(85.09, {"latent_dim": 50}),
    "piwae": Published(84.58, {"latent_dim": 50}),
    "ciwae": Published(84.74, {"latent_dim": 50, "samples": 64}),
    "hvae": Published(86.21, {"latent_dim": 64, "steps": 4}),
}


def measure(method: str, minutes: float) -> Row:
    run, (nats, options) = FOLDER / method, METHODS[method]
    shutil.rmtree(run, ignore_errors=True)
    model = gargalo.train(method, DATA, run, time=60 * minutes, **COMMON, **options)
    found = gargalo.evaluate(model, samples=SAMPLES)
    what = f"{method}, {minutes:g} minutes, {model.config['progress']['step']:,} steps: -log p(x), K = {SAMPLES}"
    return Row(method, what, found["nll"], nats, "nats")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help=", ".join(METHODS))
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    for method in options.methods or METHODS:
        row = measure(method, options.minutes)
        write("published", [row])
        print(f"{method:10} {row.ours:8.2f} {row.other:8.2f}", flush=True)


if __name__ == "__main__":
    main()
