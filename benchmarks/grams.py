"""How usual a melody is beside others: n-grams of its tokens, and histograms of what is in it."""

from __future__ import annotations

import numpy as np

from gargalo.data.music.vocabulary import VOCABULARY

BASE = VOCABULARY + 1  # and a token before the first


class NGrams:
    """Chances of a token given the four before it, in windows ``[N, T]``: counts mixed with those of one token less by
    how many different ones followed (Witten and Bell 1991)."""

    def __init__(self, windows: np.ndarray, order: int = 5) -> None:
        self.order = order
        self.tables = []
        for before in range(order):
            pairs, counts = np.unique(_keys(windows, before), return_counts=True)
            contexts, first = np.unique(pairs // BASE, return_index=True)
            total, kinds = np.add.reduceat(counts, first), np.diff(np.append(first, len(pairs)))
            self.tables.append((pairs, counts, contexts, total, kinds))

    def cost(self, windows: np.ndarray) -> np.ndarray:
        """Nats of each step, ``[N, T]``."""
        chance = np.full(windows.shape, 1 / VOCABULARY)
        for before, (pairs, counts, contexts, total, kinds) in enumerate(self.tables):
            keys = _keys(windows, before)
            seen, known = _looked_up(keys, pairs, counts), _looked_up(keys // BASE, contexts, total)
            different = _looked_up(keys // BASE, contexts, kinds)
            chance = np.where(known > 0, (seen + different * chance) / np.maximum(known + different, 1), chance)
        return -np.log(chance)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """What two histograms share: 1 where they have one shape, 0 where nothing is in both."""
    return float(np.minimum(a / max(a.sum(), 1), b / max(b.sum(), 1)).sum())


def _keys(windows: np.ndarray, before: int) -> np.ndarray:
    """A number ``[N, T]`` for each token with so many before it."""
    padded = np.pad(windows.astype(np.int64), ((0, 0), (before, 0)), constant_values=VOCABULARY)
    runs = np.lib.stride_tricks.sliding_window_view(padded, before + 1, axis=1)
    return runs @ BASE ** np.arange(before, -1, -1, dtype=np.int64)


def _looked_up(keys: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)
