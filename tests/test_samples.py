"""Sample metrics against closed forms."""

import math

import pytest
import torch

from gargalo.evaluation.samples import frechet_distance, precision_recall
from gargalo.training import seeded


def test_frechet_distance_of_two_gaussians_is_the_formula():
    with seeded(0):
        a = torch.randn(60_000, 3)
        b = 2 * torch.randn(60_000, 3) + torch.tensor([1.0, 0, 0])
    assert frechet_distance(a, b) == pytest.approx(1 + 3 * (1 - 2) ** 2, rel=0.03)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_minds_correlation():
    with seeded(0):
        a = torch.randn(60_000, 2)
        b = a @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    shared = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real.sqrt().sum()
    expected = float(torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * shared)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-3)


def test_precision_and_recall_tell_quality_from_breadth():
    with seeded(0):
        real = torch.cat([torch.randn(500, 2), torch.randn(500, 2) + 20])
        half, noise = torch.randn(1_000, 2), 100 * torch.randn(1_000, 2)
    precision, recall = precision_recall(real, half)
    assert precision > 0.9
    assert math.isclose(recall, 0.5, abs_tol=0.05)
    assert precision_recall(real, noise)[0] < 0.1
    assert precision_recall(real, real) == (1.0, 1.0)
