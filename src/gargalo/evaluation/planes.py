"""Codes laid out on a plane, and what such a map is worth."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
By = Literal["auto", "code", "pca", "tsne"]
NEIGHBORS, MAX_TRUSTED = 5, 3_000


def plane(codes: Points, by: By, *, perplexity: float, seed: int) -> Points:
    """``[N, D]`` to ``[N, 2]``: codes of two numbers as they are ("code"), their principal plane ("pca"), or t-SNE
    (van der Maaten and Hinton 2008). "auto" takes the first where it can, else the last."""
    if by == "auto":
        by = "code" if codes.shape[1] == 2 else "tsne"
    if by == "code":
        if codes.shape[1] != 2:
            raise ValueError(f"by='code' wants codes of two numbers; these have {codes.shape[1]}. Take pca or tsne.")
        return codes
    if by == "pca":
        return _principal(codes)
    if by != "tsne":
        raise ValueError(f"by={by!r} must be one of auto, code, pca, tsne.")
    if not 0 < perplexity < len(codes):
        raise ValueError(f"perplexity={perplexity:g} must lie between 0 and the number of examples, {len(codes)}.")
    from sklearn.manifold import TSNE

    init = "pca" if codes.shape[1] > 1 else "random"
    return TSNE(perplexity=perplexity, init=init, random_state=seed).fit_transform(codes)


def judge(positions: Points, codes: Points, raw: Points, labels: npt.NDArray[Any] | None) -> dict[str, float]:
    """What a map keeps, in [0, 1]; higher is better.

    ``trustworthiness``: that neighbors on the map are neighbors by code (Venna and Kaski 2001), on the first 3,000.
    With labels, the shares whose class their five nearest others tell: ``knn`` on the map, ``knn_code`` by the whole
    code, ``knn_pca`` on the principal plane of the raw values, which is the map that costs nothing.
    """
    from sklearn.manifold import trustworthiness

    some = slice(MAX_TRUSTED)
    count = min(NEIGHBORS, (len(positions[some]) - 1) // 2)
    found = {"trustworthiness": float(trustworthiness(codes[some], positions[some], n_neighbors=max(1, count)))}
    if labels is not None:
        places = {"knn": positions, "knn_code": codes, "knn_pca": _principal(raw)}
        found |= {name: _left_out(points, labels) for name, points in places.items()}
    return found


def _principal(values: Points) -> Points:
    from sklearn.decomposition import PCA

    found = PCA(min(2, *values.shape), random_state=0).fit_transform(values)
    return np.pad(found, [(0, 0), (0, 2 - found.shape[1])])


def _left_out(points: Points, labels: npt.NDArray[Any]) -> float:
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBORS, len(points) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
    votes = [np.bincount(row).argmax() for row in labels[nearest]]
    return float(np.mean(np.array(votes) == labels))
