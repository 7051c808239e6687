"""Does each number of a code stand for one thing? Asked of data whose factors are known: codes ``[N, D]``, factors
``[N, F]``, whole numbers from 0.

All three are 1 for a code with one number a factor and nothing else, and near 0 for codes that know nothing; they do
not ask the same and seldom agree, so no one of them is the answer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.floating]
Factors = npt.NDArray[np.integer]
BINS = 20  # that each number of a code is cut into, where information is counted
VOTES, ROWS = 800, 64  # of the FactorVAE score: half of the votes to learn from, half to ask; rows behind each
TREES, FITTED = 50, 5_000  # of the forests that say which numbers tell a factor; rows they are fitted to
DEAD = 0.05  # a number that moves less than this share of the liveliest says nothing


def mutual_information_gap(codes: Codes, factors: Factors) -> float:
    """How much more the best number of a code knows about a factor than the second best, as a share of all there is to
    know, the mean over factors (Chen et al. 2018)."""
    numbers = [_binned(column) for column in codes.T]
    gaps: list[float] = []
    for factor in factors.T:
        known = sorted((mutual_information(column, factor) for column in numbers), reverse=True)
        entropy = mutual_information(factor, factor)
        if entropy > 0:
            gaps.append((known[0] - (known[1] if len(known) > 1 else 0.0)) / entropy)
    return float(np.mean(gaps))


def mutual_information(a: Factors, b: Factors) -> float:
    """Of two rows of whole numbers from 0, in nats, by counting."""
    counts = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(counts, (a, b), 1)
    joint = counts / counts.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / apart[seen])).sum())


def dci(codes: Codes, factors: Factors, seed: int = 0) -> dict[str, float]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018).

    A forest tells each factor from the code; a matrix says how much each number matters for each factor. Numbers that
    matter for one factor alone are disentangled, factors that one number tells are complete; informativeness is the
    share of right answers on the rows that the forests did not see, half of all.
    """
    from sklearn.ensemble import RandomForestClassifier

    half = min(len(codes) // 2, FITTED)
    importance, right = np.zeros((codes.shape[1], factors.shape[1])), np.zeros(factors.shape[1])
    for k, factor in enumerate(factors.T):
        forest = RandomForestClassifier(TREES, min_samples_leaf=5, max_features=None, random_state=seed)  # pyright: ignore[reportArgumentType]
        forest.fit(codes[:half], factor[:half])
        importance[:, k] = forest.feature_importances_
        right[k] = forest.score(codes[half : 2 * half], factor[half : 2 * half])
    return {
        "disentanglement": _purity(importance),
        "completeness": _purity(importance.T),
        "informativeness": float(right.mean()),
    }


def factor_vae_score(codes: Codes, factors: Factors, seed: int = 0) -> float:
    """How often the number that moves least tells which factor was held still (Kim and Mnih 2018).

    Each vote takes rows that share one factor's value, divides the variance of each number by that over all rows and
    names the least; a table of votes says which factor each number stands for. Codes that never move tell nothing.
    """
    rng = np.random.default_rng(seed)
    spread = codes.var(0)
    if not spread.max() > 0:
        return 1 / factors.shape[1]
    alive = np.flatnonzero(spread > (DEAD**2) * spread.max())
    votes = np.zeros((2, len(alive), factors.shape[1]))
    for vote in range(VOTES):
        k = rng.integers(factors.shape[1])
        shared = np.flatnonzero(factors[:, k] == factors[rng.integers(len(factors)), k])
        rows = codes[rng.choice(shared, ROWS)][:, alive]
        votes[vote % 2, (rows.var(0) / spread[alive]).argmin(), k] += 1
    stands_for = votes[0].argmax(1)
    return float(votes[1, np.arange(len(alive)), stands_for].sum() / votes[1].sum())


def _binned(column: Codes) -> Factors:
    """Cut at equal steps between the extremes."""
    low, high = column.min(), column.max()
    return ((column - low) / max(high - low, 1e-12) * BINS).astype(np.int64).clip(0, BINS - 1)


def _purity(importance: npt.NDArray[np.floating]) -> float:
    """1 where each row has a single entry, 0 where all are equal; rows count by their sums."""
    if importance.shape[1] < 2:
        return 1.0
    total = importance.sum(1)
    shares = importance / np.maximum(total, 1e-12)[:, None]
    logs = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -(shares * logs).sum(1) / np.log(importance.shape[1])
    return float((total * (1 - entropy)).sum() / max(total.sum(), 1e-12))
