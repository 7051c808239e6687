"""Densities against torch.distributions, sums against 1."""

import math

import pytest
import torch
from torch import distributions as reference

from gargalo import distributions as ours

SHAPE = (3, 1, 4, 5)


def test_diagonal_gaussian_density_and_moments():
    torch.manual_seed(0)
    mean, log_var = torch.randn(4, 6), torch.randn(4, 6)
    q = ours.DiagonalGaussian(mean, log_var)
    z, log_q = q.draw(torch.zeros(4, 6))
    assert torch.equal(z, mean)
    expected = reference.Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(1)
    torch.testing.assert_close(log_q, expected)
    many, _ = q.repeat(20000).draw()
    std = many.view(20000, 4, 6).std(0)
    torch.testing.assert_close(std, (0.5 * log_var).exp(), rtol=0.05, atol=0.02)  # log_var is of the variance


@pytest.mark.parametrize("std", [0.1, 1 / math.sqrt(2), 2.0])
def test_gaussian(std):
    x, mean = torch.rand(SHAPE), torch.rand(SHAPE)
    found = ours.Gaussian(mean, torch.tensor(math.log(std))).log_prob(x)
    torch.testing.assert_close(found, reference.Normal(mean, std).log_prob(x).flatten(1).sum(1))


def test_bernoulli_and_laplace():
    x, h = torch.rand(SHAPE), torch.randn(SHAPE)
    bits = x.round()
    expected = reference.Bernoulli(logits=h).log_prob(bits).flatten(1).sum(1)
    torch.testing.assert_close(ours.Bernoulli(h).log_prob(bits), expected)
    expected = reference.Laplace(h, 0.5).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(ours.Laplace(h, torch.tensor(0.5).log()).log_prob(x), expected)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.5, -3.0), (0.0, -1.0), (1.3, -5.0), (-0.4, -6.5)])
def test_discretized_logistic_sums_to_one(mean, log_scale):
    values = (torch.arange(256) / 255).view(256, 1)
    likelihood = ours.DiscretizedLogistic(torch.full((256, 1), mean), torch.tensor(log_scale))
    assert float(likelihood.log_prob(values).exp().sum()) == pytest.approx(1, abs=2e-4)


def test_categorical():
    logits, x = torch.randn(3, 7, 5), torch.randint(0, 7, (3, 5))
    expected = reference.Categorical(logits=logits.movedim(1, -1)).log_prob(x).sum(1)
    torch.testing.assert_close(ours.Categorical(logits).log_prob(x), expected)


def test_optimal_variance_explains_a_batch_better_than_any_other():
    torch.manual_seed(0)
    x, mean = torch.rand(SHAPE), torch.rand(SHAPE)
    best = ours.ProfiledGaussian(mean, torch.tensor(1.0)).log_prob(x).sum()
    for std in torch.linspace(0.05, 1.5, 60):
        assert ours.Gaussian(mean, std.log()).log_prob(x).sum() <= best + 1e-3


@pytest.mark.parametrize(
    "likelihood",
    [
        ours.Gaussian(torch.full((20000, 1), 0.5), torch.tensor(0.1).log()),
        ours.Laplace(torch.full((20000, 1), 0.5), torch.tensor(0.1).log()),
        ours.Bernoulli(torch.zeros(20000, 1)),
        ours.DiscretizedLogistic(torch.full((20000, 1), 0.5), torch.tensor(0.02).log()),
    ],
)
def test_samples_have_the_mean_of_the_density(likelihood):
    torch.manual_seed(0)
    assert float(likelihood.sample().mean()) == pytest.approx(0.5, abs=0.02)
