"""How samples compare with real examples, by features of both that the caller chooses and names."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Between the Gaussians fitted to two sets of features ``[N, D]``, squared as usual (Heusel et al. 2017).

    Only with Inception's features is it what papers call FID.
    """
    a, b = a.double(), b.double()
    first, second = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    return float(gap + first.trace() + second.trace() - 2 * shared)


def precision_recall(real: Tensor, made: Tensor, k: int = 3) -> tuple[float, float]:
    """Shares of ``made`` rows among the real ones, and of ``real`` rows among those made (Kynkaanniemi et al. 2019).

    Among a set is what lies nearer to one of its rows than that row's k-th neighbor. Features are ``[N, D]``.
    """

    def within(rows: Tensor, others: Tensor) -> float:
        reach = torch.cdist(others, others).kthvalue(k + 1, dim=1).values  # the first neighbor is the row itself
        return float((torch.cdist(rows, others) <= reach).any(1).double().mean())

    return within(made, real), within(real, made)
