"""Are codes good features? Simple classifiers answer, with raw values and principal components beside the codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gargalo.checkpoint import TrainedModel
from gargalo.data.batches import Feed
from gargalo.data.source import Part, Source, some
from gargalo.errors import DataError
from gargalo.evaluation import planes

Features = npt.NDArray[np.float32]
NEIGHBORS, FEW, DRAWS = 5, (1, 10, 100), 5
STRENGTHS = 0.01, 0.1, 1.0, 10.0  # of the linear probe: inverse penalties, chosen on validation rows
STEPS, TOLERANCE = 5_000, 1e-3  # pixels at the weakest penalty take some 200 steps; codes, some dozens
MAX_FITTED, MAX_LINEAR = 60_000, 20_000  # rows: neighbors, linear probe
MIN_MAPPED, MAX_MAPPED, PERPLEXITY = 8, 5_000, 30.0


def probe(model: TrainedModel, source: Source, part: Part, *, limit: int, seed: int = 0) -> dict[str, Any]:
    """``{"code": row, "pca": row, "pixels": row}``, see `_row`; "pca" has as many numbers as the code.

    Labels serve to fit and to ask the classifiers, and not the model, unless it is a conditional one: its probe asks
    whether a code still tells what the model was told. DataError where there are none.
    """
    if source.labels is None:
        raise DataError(f"{source.name} has no labels, which a probe asks for.")
    train, held_out, test = (source.indices(name) for name in ("train", "validation", part))
    parts = some(train, MAX_FITTED), held_out, some(test, limit)
    labels = [source.labels[index].numpy() for index in parts]
    raw = [source.spec.numeric(source.spec.scaled(source.gather(index).target)).flatten(1).numpy() for index in parts]
    codes = [_codes(model, source, index) for index in parts]
    table = {"code": _row(codes, labels, seed)}
    components = min(codes[0].shape[1], *raw[0].shape)
    table["pca"] = _row(_components(raw, components), labels, seed)
    table["pixels"] = _row(raw, labels, seed)
    return table


def mapped(model: TrainedModel, source: Source, part: Part, *, limit: int, seed: int = 0) -> dict[str, float] | None:
    """What the codes' map is worth, see `gargalo.evaluation.planes.judge`; on `MAX_MAPPED` rows at the most.

    None where there are too few for a map.
    """
    index = some(source.indices(part), min(limit, MAX_MAPPED))
    if len(index) < MIN_MAPPED:
        return None
    codes, raw = _codes(model, source, index), source.spec.numeric(source.spec.scaled(source.gather(index).target))
    labels = None if source.labels is None else source.labels[index].numpy()
    positions = planes.plane(codes, "auto", perplexity=min(PERPLEXITY, len(codes) / 4), seed=seed)
    return planes.judge(positions, codes, raw.flatten(1).numpy(), labels)


@torch.no_grad()
def _codes(model: TrainedModel, source: Source, index: Tensor) -> Features:
    """Of clean inputs, where the model takes any of their size."""
    rule = "none" if model.spec.input_shape == model.spec.shape else model.corruption
    parts = [model.net.encode(b.input, b.condition).mode for b in Feed(source, index, 250, rule).in_order()]
    return torch.cat(parts).flatten(1).float().numpy()


def _components(raw: list[Features], count: int) -> list[Features]:
    from sklearn.decomposition import PCA

    fitted = PCA(count, random_state=0).fit(raw[0])
    return [fitted.transform(values).astype(np.float32) for values in raw]


def _row(features: list[Features], labels: list[npt.NDArray[Any]], seed: int) -> dict[str, Any]:
    """Shares of right answers on the last part: ``knn``, ``linear`` with labels of 20,000 rows at the most, ``few`` by
    labels a class. The last are means of some draws."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    (train, held_out, test), (known, asked, truth) = features, labels
    count = min(NEIGHBORS, len(train))
    row: dict[str, Any] = {"numbers": train.shape[1]}
    row["knn"] = float(KNeighborsClassifier(count).fit(train, known).score(test, truth))
    scaler = StandardScaler().fit(train)
    train, held_out, test = (np.asarray(scaler.transform(values), np.float32) for values in features)
    chosen = some(torch.arange(len(train)), MAX_LINEAR).numpy()
    fits = [_linear(train[chosen], known[chosen], strength) for strength in STRENGTHS]
    best = max(fits, key=lambda fit: fit.score(held_out, asked)) if len(asked) else fits[-2]
    row["linear"] = float(best.score(test, truth))
    row["few"] = {n: found for n in FEW if (found := _few(train, known, test, truth, n, seed)) is not None}
    return row


def _linear(values: Features, labels: npt.NDArray[Any], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=STEPS, tol=TOLERANCE).fit(values, labels)


def _few(
    train: Features, known: npt.NDArray[Any], test: Features, truth: npt.NDArray[Any], n: int, seed: int
) -> float | None:
    """With so many labels a class; None where some class has not as many."""
    classes, counts = np.unique(known, return_counts=True)
    if counts.min() < n:
        return None
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    for _ in range(DRAWS):
        chosen = np.concatenate([rng.choice(np.flatnonzero(known == c), n, replace=False) for c in classes])
        scores.append(float(_linear(train[chosen], known[chosen], 1.0).score(test, truth)))
    return float(np.mean(scores))
