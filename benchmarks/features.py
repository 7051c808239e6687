"""Codes of 32 numbers, learned without labels, as features: ``python -m benchmarks.features [DATA [MINUTES]]``.

Writes features.json. Every figure stands beside that of as many principal components, by `gargalo.evaluate` on the
official test set.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import gargalo
from benchmarks.results import Row, write
from gargalo.data import open_source
from gargalo.evaluation.planes import judge

FOLDER = Path("runs/benchmarks/features")
MINUTES = 20.0
OPTIONS: dict[str, dict[str, Any]] = {
    "mnist": {"network": "convnet"},
    "fashion-mnist": {"network": "mlp:width=512,edges=true", "views": "relit"},
}


def measure(data: str, minutes: float) -> list[Row]:
    run = FOLDER / data
    shutil.rmtree(run, ignore_errors=True)
    model = gargalo.train("contrastive-autoencoder", data, run, latent_dim=32, time=60 * minutes, **OPTIONS[data])
    found = gargalo.evaluate(model, probe=True)["probe"]
    code, pca, pixels = (found[name] for name in ("code", "pca", "pixels"))
    what = f"{data}, contrastive autoencoder, 32 numbers, {minutes:g} minutes, against PCA-32"
    rows = [
        Row(f"{data}-knn", f"{what}: 5 neighbors", code["knn"], pca["knn"], "right"),
        Row(f"{data}-linear", f"{what}: linear probe", code["linear"], pca["linear"], "right"),
    ]
    rows += mapped(model, data, what)
    for n in code["few"]:
        rows.append(Row(f"{data}-{n}", f"{what}: linear, labels a class: {n}", code["few"][n], pca["few"][n], "right"))
        raw = f"{what.removesuffix('PCA-32')}pixels: linear, labels a class: {n}"
        rows.append(Row(f"{data}-{n}-pixels", raw, code["few"][n], pixels["few"][n], "right"))
    return rows


def mapped(model: gargalo.TrainedModel, data: str, what: str) -> list[Row]:
    """Five neighbors on a map of the test set, each left out in turn, against those on the principal plane."""
    source = open_source(data)
    part = source.gather(source.indices("test"))
    assert part.condition is not None
    codes, raw = gargalo.embed(model, part.target), source.spec.scaled(part.target).flatten(1).numpy()
    found = judge(gargalo.project(model, part.target), codes, raw, part.condition.numpy())
    of = f"{what.removesuffix('PCA-32')}the plane of PCA"
    return [
        Row(f"{data}-map", f"{of}: 5 neighbors on the map of the test set", found["knn"], found["knn_pca"], "right")
    ]


def main(data: str | None = None, minutes: str | None = None) -> None:
    for name in OPTIONS if data is None else (data,):
        rows = measure(name, MINUTES if minutes is None else float(minutes))
        write("features", rows)
        for row in rows:
            print(f"{row.id:28} {row.ours:8.4f} {row.other:8.4f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
