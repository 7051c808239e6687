"""What does not belong, measured: ``python -m benchmarks.anomaly [PART ...]``, parts `PARTS`.

Writes anomaly.json. Everything is judged by `gargalo.score` and `gargalo.heat_map` as a user calls them; where there
is an official test set, on that.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import gargalo
from benchmarks.results import Row, write
from gargalo.data import open_source
from gargalo.evaluation.normality import domain

FOLDER = Path("runs/benchmarks/anomaly")
DATA = Path(os.environ.get("GARGALO_DATA", "."))
SECONDS = 30.0  # of training, for each class
TILE, STEP, BLUR = 32, 8, 4.0  # pixels
UNSEEN = 30  # boards before these are trained on


def auroc(normal: np.ndarray, strange: np.ndarray) -> float:
    return float(roc_auc_score(np.r_[np.zeros(len(normal)), np.ones(len(strange))], np.r_[normal, strange]))


def trained(name: str, method: str, data: str, **options: object) -> gargalo.TrainedModel:
    run = FOLDER / name
    shutil.rmtree(run, ignore_errors=True)
    return gargalo.train(method, data, run, **options)


def one_class() -> Iterator[Row]:
    """Each class in turn is the normal one; the whole official test set is scored."""
    for data in ("mnist", "fashion-mnist"):
        source = open_source(data)
        test = source.gather(source.indices("test"))
        assert test.condition is not None
        flat = source.spec.scaled(test.target).flatten(1).numpy()
        table = []
        for number, name in enumerate(source.spec.class_names):
            model = trained("one-class", "autoencoder", f"{data}:only={name}", time=SECONDS)
            normal = (test.condition == number).numpy()
            train = open_source(f"{data}:only={name}")
            known = source.spec.scaled(train.gather(train.indices("train")).target).flatten(1).numpy()
            pca = PCA(32, random_state=0).fit(known)
            residual = ((flat - pca.inverse_transform(pca.transform(flat))) ** 2).sum(1)
            nearest = NearestNeighbors(n_neighbors=1).fit(known).kneighbors(flat)[0][:, 0]
            scores = gargalo.score(model, test.target).strangeness, residual, nearest
            table.append([auroc(s[normal], s[~normal]) for s in scores])
            print(data, name, *(f"{x:.4f}" for x in table[-1]), flush=True)
        ours, pca_32, pixels = np.mean(table, 0)
        what = f"{data}, one class against the rest, mean AUROC of ten"
        yield Row(f"one-class-{data}-pca", f"{what}, against PCA-32", ours, pca_32, "AUROC")
        yield Row(f"one-class-{data}-pixels", f"{what}, against the nearest in pixels", ours, pixels, "AUROC")


def false_alarms() -> Iterator[Row]:
    """Ten splits of all of MNIST, each with a model of its own; the share of 10,000 fresh rows flagged at 1 %."""
    source = open_source("mnist")
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for split in range(10):
            order = torch.from_numpy(np.random.default_rng(split).permutation(len(source)))
            file = f"{folder}/{split}.npy"
            np.save(file, source.gather(order[:30_000]).target[:, 0].numpy())
            model = trained("split", "autoencoder", file, time=10.0)
            fresh = source.gather(order[30_000:40_000]).target
            shares.append(float((gargalo.score(model, fresh).p_value <= 0.01).mean()))
            print("false alarms", f"{shares[-1]:.4f}", flush=True)
    for name, value in {"lowest": min(shares), "mean": float(np.mean(shares)), "highest": max(shares)}.items():
        yield Row(
            f"false-alarms-{name}", f"normal rows flagged at 1 %, ten splits of MNIST, {name}", value, 0.01, "share"
        )


def domains() -> Iterator[Row]:
    """A model fed what it was not made for."""
    pairs = [("mnist", "mnist", "fashion-mnist"), ("fashion", "fashion-mnist", "mnist")]
    pairs.append(("flowers", str(DATA / "flowers"), str(DATA / "portraits")))
    for name, own, other in pairs:
        model = trained(name, "autoencoder", own, time=60.0)
        spec = model.spec
        sources = {"own": gargalo.data.open_like(own, spec), "foreign": gargalo.data.open_like(other, spec)}
        found = {key: domain(model, source, "test", 10_000) for key, source in sources.items()}
        what = f"{Path(own).name} model fed {Path(other).name}, against its own test rows"
        for key, unit in {"auroc": "AUROC", "outside": "share"}.items():
            yield Row(f"domain-{name}-{key}", f"{what}: {key}", found["foreign"][key], found["own"][key], unit)


def boards() -> Iterator[Row]:
    """DeepPCB: trained on tiles of flawless boards, asked where other boards have faults."""
    files = sorted((DATA / "deeppcb").rglob("*_temp.jpg"))
    flawless = [_gray(file) for file in files]
    known = np.concatenate([_tiles(board, TILE // 2)[0] for board in flawless[:UNSEEN]])
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/tiles.npy", known)
        model = trained("boards", "autoencoder", f"{folder}/tiles.npy", time=60.0)
    heat, difference, faults = [], [], []
    for file, template in zip(files[UNSEEN:], flawless[UNSEEN:], strict=True):
        board = _gray(file.with_name(file.name.replace("_temp", "_test")))
        tiles, places = _tiles(board, STEP)
        total, count = np.zeros(board.shape), np.zeros(board.shape)
        for tile, (y, x) in zip(gargalo.heat_map(model, tiles), places, strict=True):
            total[y : y + TILE, x : x + TILE] += tile
            count[y : y + TILE, x : x + TILE] += 1
        heat.append(gaussian_filter(total / count, BLUR).ravel())
        difference.append(gaussian_filter(np.abs(board.astype(float) - template), BLUR).ravel())
        faults.append(_faults(file.with_name(file.name.replace("_temp.jpg", ".txt")), board.shape).ravel())
    truth = np.concatenate(faults)
    ours, theirs = (float(roc_auc_score(truth, np.concatenate(maps))) for maps in (heat, difference))
    what = "DeepPCB, 15 boards not trained on: faulty pixels, against the difference from each board's own template"
    yield Row("boards", what, ours, theirs, "AUROC")


def _gray(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.asarray(opened.convert("L"))


def _tiles(board: np.ndarray, step: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    places = [
        (y, x) for y in range(0, board.shape[0] - TILE + 1, step) for x in range(0, board.shape[1] - TILE + 1, step)
    ]
    return np.stack([board[y : y + TILE, x : x + TILE] for y, x in places]), places


def _faults(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """True inside the boxes of a DeepPCB list: left, top, right, bottom, kind."""
    mask = np.zeros(shape, bool)
    for line in file.read_text().splitlines():
        left, top, right, bottom, _ = (int(number) for number in line.split())
        mask[top:bottom, left:right] = True
    return mask


PARTS = {"one-class": one_class, "false-alarms": false_alarms, "domains": domains, "boards": boards}


def main(*parts: str) -> None:
    for part in parts or PARTS:
        rows = list(PARTS[part]())
        write("anomaly", rows)
        for row in rows:
            print(f"{row.id:32} {row.ours:8.4f} {row.other:8.4f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
