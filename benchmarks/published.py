"""Likelihoods beside published ones: ``python -m benchmarks.published [METHOD ...] [--minutes 20] [--kept]``.

The figures are pythae's, of its table of reproductions, in nats, each with as many samples as there. Ours: pixels drawn
anew at every look (``binarize=dynamic``), test pixels drawn once; dense nets with a residual block each way, of 300
units, or 512 where each example is decoded many times and a wider net costs little. What differs: its dense nets are
not alike from method to method, one or two layers of 200 or 300 units; it draws pixels anew for miwae, piwae and ciwae
alone, for the others they are binarized once and for all, from which a model learns less; it trains for 2,000 to 3,280
epochs, we for minutes. Methods that decode each example many times spend half of their time as a plain VAE, and begin
with its weights. Writes published.json.
"""

from __future__ import annotations

import argparse
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import gargalo
from benchmarks.likelihood import weighted
from benchmarks.results import Row, write

DATA = "mnist:binarize=dynamic"
FOLDER = Path("runs/benchmarks/published")
ROWS = 500  # on which all samples are drawn
ONCE: dict[str, Any] = {"latent_dim": 40, "network": "mlp:width=300,depth=1"}
OFTEN: dict[str, Any] = {"latent_dim": 50, "network": "mlp:width=512,depth=1"}
# Small batches, as each example is decoded so often, and small steps, as the weights are good already.
SEVERAL = OFTEN | {"batch_size": 64, "lr": 5e-4, "schedule": "cosine"}
BEGUN = "iwae", "miwae", "piwae", "ciwae", "hvae"


class Published(NamedTuple):
    nats: float
    samples: int
    options: dict[str, Any]


METHODS = {
    "vae": Published(89.78, 200, ONCE),
    "vamp_vae": Published(85.79, 5_000, ONCE | {"components": 500}),
    "iwae": Published(86.82, 5_000, SEVERAL | {"samples": 50}),
    "miwae": Published(85.09, 5_000, SEVERAL),
    "piwae": Published(84.58, 5_000, SEVERAL),
    "ciwae": Published(84.74, 5_000, SEVERAL | {"samples": 64}),
    "hvae": Published(86.21, 1_000, SEVERAL | {"steps": 4}),
}


def trained(name: str, method: str, minutes: float, options: dict[str, Any]) -> gargalo.TrainedModel:
    run = FOLDER / name
    shutil.rmtree(run, ignore_errors=True)
    return gargalo.train(method, DATA, run, time=60 * minutes, **options)


@cache
def begun(minutes: float, kept: bool) -> gargalo.TrainedModel:
    """What the `BEGUN` begin with, the same for all that are measured in one go, or kept from an earlier call."""
    run = FOLDER / "begun"
    return gargalo.load(run) if kept and run.exists() else trained("begun", "vae", minutes, OFTEN)


def measure(method: str, minutes: float, kept: bool) -> Row:
    nats, samples, options = METHODS[method]
    if method in BEGUN:
        first = begun(minutes / 2, kept)
        model = trained(method, method, minutes / 2, options | {"init": str(first.path)})
    else:
        model = trained(method, method, minutes, options)
    found = weighted(model, DATA, samples, ROWS)
    what = f"{method}, {minutes:g} minutes, {model.config['progress']['step']:,} steps: -log p(x), K = {samples:,}"
    return Row(method, f"{what} (error {found.error:.2f})", found.nll, nats, "nats")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help=", ".join(METHODS))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--kept", action="store_true", help="begin with the VAE of an earlier call")
    options = parser.parse_args()
    for method in options.methods or METHODS:
        row = measure(method, options.minutes, options.kept)
        write("published", [row])
        print(f"{method:10} {row.ours:8.2f} {row.other:8.2f}", flush=True)


if __name__ == "__main__":
    main()
