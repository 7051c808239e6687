"""Scores of disentanglement on codes whose right answer is known."""

import math

import numpy as np
import pytest

from gargalo.evaluation.disentanglement import dci, factor_vae_score, mutual_information, mutual_information_gap


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).integers(0, [3, 6, 8, 5], (4_000, 4))


def _turned(factors):
    """As much of each factor in each number."""
    scaled = (factors - factors.mean(0)) / factors.std(0)
    half = np.array([[1, 1], [1, -1]])
    return scaled @ np.kron(half, half)


def test_information_of_independent_equal_and_coarser_numbers():
    a = np.tile(np.arange(4), 250)
    b = np.repeat(np.arange(2), 500)
    assert mutual_information(a, a) == pytest.approx(math.log(4))
    assert mutual_information(a, a // 2) == pytest.approx(math.log(2))
    assert mutual_information(a, b) == pytest.approx(0, abs=1e-12)


def test_the_gap_is_one_for_a_number_a_factor_and_none_where_two_know_the_same(factors):
    codes = factors + 0.001 * np.random.default_rng(2).normal(size=factors.shape)
    assert mutual_information_gap(codes, factors) > 0.98
    assert mutual_information_gap(np.concatenate([codes, codes], 1), factors) == pytest.approx(0, abs=1e-3)
    assert mutual_information_gap(_turned(factors), factors) < 0.1


def test_dci_of_pure_doubled_and_mixed_codes(factors):
    pure = dci(factors.astype(float), factors)
    assert min(pure.values()) > 0.97
    doubled = dci(np.concatenate([factors, factors + 0.0], 1), factors)
    assert doubled["disentanglement"] > 0.97
    assert doubled["completeness"] < 0.8  # two numbers for each factor
    mixed = dci(_turned(factors), factors)
    assert mixed["disentanglement"] < 0.6
    blind = dci(np.random.default_rng(3).normal(size=(4_000, 4)), factors)
    assert blind["informativeness"] < 0.3


def test_factor_vae_score_of_pure_mixed_and_blind_codes(factors):
    noise = np.random.default_rng(4).normal(size=factors.shape)
    assert factor_vae_score(factors + 0.01 * noise, factors) > 0.97
    assert factor_vae_score(noise, factors) < 0.45
    assert factor_vae_score(0 * noise, factors) == 1 / factors.shape[1]
    dead = np.concatenate([factors + 0.01 * noise, 1e-4 * noise], 1)  # numbers that do not move must not vote
    assert factor_vae_score(dead, factors) > 0.97
    assert factor_vae_score(_turned(factors), factors) < factor_vae_score(factors + 0.01 * noise, factors)
