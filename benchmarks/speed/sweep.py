"""Are the defaults what learns soonest? ``python -m benchmarks.speed.sweep [DATA [LATENT_DIM]]`` writes sweep.json.

A VAE with defaults, and the same with one thing changed, get equal seconds; what counts is the loss on validation
data. A ratio below 1 says that the default is ahead; the default with another seed says what is chance.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import gargalo
from benchmarks.results import Row, write

FOLDER = Path("runs/benchmarks/sweep")
SECONDS = {"digits": 6.0, "mnist": 10.0, "fashion-mnist": 10.0, "flowers": 20.0}
LATENT_DIMS = 2, 16, 64
EVERYWHERE: dict[str, dict[str, Any]] = {
    "another seed": {"seed": 1},
    "batch / 2": {"batch_size": 0.5},
    "batch x 2": {"batch_size": 2},
    "rate / 2": {"lr": 0.5},
    "rate x 2": {"lr": 2},
    "cosine": {"schedule": "cosine"},
    "no average": {"ema": 0.0},
    "no decay": {"weight_decay": 0.0},
}
DENSE = {
    "width 128": {"network": "mlp:width=128"},
    "width 512": {"network": "mlp:width=512"},
    "depth 1": {"network": "mlp:depth=1"},
    "depth 3": {"network": "mlp:depth=3"},
}
CONVOLUTIONS = {
    "width 32": {"network": "convnet:width=32"},
    "width 128": {"network": "convnet:width=128"},
    "dense": {"network": "mlp"},
}


def place(data: str) -> str:
    """What `gargalo.train` is given; flowers are a folder of photos of any size."""
    if data != "flowers":
        return data
    return f"{os.environ.get('GARGALO_DATA', '.')}/flowers:size=64"


def run(data: str, latent_dim: int, options: dict[str, Any]) -> Any:
    shutil.rmtree(FOLDER, ignore_errors=True)
    return gargalo.train(
        "vae", place(data), FOLDER, latent_dim=latent_dim, time=SECONDS[data], save_every=1e9, **options
    )


def loss(model: Any) -> float:
    return float(model.config["progress"]["best_loss"])


def sweep(data: str, latent_dim: int) -> None:
    default = run(data, latent_dim, {})
    from gargalo.training import rate_for

    batch, total = default.config["settings"]["batch_size"], default.config["progress"]["total_steps"]
    given = {"batch_size": batch, "lr": rate_for(batch, total)}
    variants = EVERYWHERE | (DENSE if default.spec.network == "mlp" else CONVOLUTIONS)
    rows: list[Row] = []
    for name, changes in variants.items():
        factors = {key: changes[key] * given[key] for key in changes.keys() & given.keys()}
        options = changes | {key: int(value) if key == "batch_size" else value for key, value in factors.items()}
        what = f"{data}, latent {latent_dim}, {SECONDS[data]:g} s: the defaults against {name}"
        key = f"{data}-{latent_dim:02d}-{name.replace(' ', '')}"
        rows.append(Row(key, what, loss(default), loss(run(data, latent_dim, options)), "nats"))
        print(f"{rows[-1].what:70} {rows[-1].ours:10.2f} {rows[-1].other:10.2f}", flush=True)
    write("sweep", rows)


def main(data: str | None = None, latent_dim: str | None = None) -> None:
    for name in SECONDS if data is None else (data,):
        for number in LATENT_DIMS if latent_dim is None else (int(latent_dim),):
            with contextlib.suppress(gargalo.DataError):
                sweep(name, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
