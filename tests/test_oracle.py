"""A linear-Gaussian model, for which everything is known in closed form, through the product's own classes."""

import math

import pytest
import torch
from torch import nn

from gargalo.bottlenecks import Gaussian as Bottleneck
from gargalo.distributions import DiagonalGaussian
from gargalo.evaluation.measure import bounds_of
from gargalo.likelihoods import Gaussian
from gargalo.model import Batch, LatentModel
from gargalo.objectives import ELBO
from gargalo.priors import StandardNormal

D, K = 8, 2


class Linear(nn.Module):
    """Encoder with a variance that does not depend on x, as the exact posterior's does not."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Linear(D, K)
        self.log_var = nn.Parameter(torch.zeros(K))

    def forward(self, x):
        return torch.cat([self.mean(x), self.log_var.expand(len(x), -1)], 1)


class InDouble(Bottleneck):
    """The product's bottleneck without its cast to float32."""

    def forward(self, h):
        mean, log_var = h.chunk(2, 1)
        return DiagonalGaussian(mean, log_var)


class DoubleGaussian(Gaussian):
    """The product's likelihood in float64: its own casts to float32 would hide the tenth digit."""

    def forward(self, h):
        parent = super().forward(h)
        return _Double(parent.mean, parent.log_std)


class _Double:
    def __init__(self, mean, log_std):
        self.mean, self.log_std = mean, log_std

    def log_prob(self, x):
        normal = torch.distributions.Normal(self.mean, self.log_std.exp())
        return normal.log_prob(x).sum(1)


def linear_model():
    torch.set_default_dtype(torch.float64)
    try:
        return LatentModel(Linear(), InDouble(K), nn.Linear(K, D), StandardNormal(K), DoubleGaussian("learned"))
    finally:
        torch.set_default_dtype(torch.float32)


def data(n=400):
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(n, K, generator=generator, dtype=torch.float64)
    mix = torch.tensor(
        [[2.0, 0.3, -1, 0.5, 0, 1, -0.7, 0.2], [0.1, 1.2, 0.4, -0.9, 0.8, 0, 0.3, -1]], dtype=torch.float64
    )
    return z @ mix + 0.4 * torch.randn(n, D, generator=generator, dtype=torch.float64) + 1.0


def probabilistic_pca(x):
    """Maximum likelihood (Tipping and Bishop 1999): W with orthogonal columns, noise variance, mean, log-likelihood."""
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    values, vectors = values.flip(0), vectors.flip(1)
    noise = values[K:].mean()
    weights = vectors[:, :K] * (values[:K] - noise).sqrt()
    covariance = weights @ weights.T + noise * torch.eye(D, dtype=torch.float64)
    log_likelihood = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
    return weights, noise, mean, log_likelihood


def set_exact(model, weights, noise, mean):
    """Probabilistic PCA's decoder and exact posterior, diagonal because the columns of W are orthogonal."""
    precision = weights.T @ weights / noise + torch.eye(K, dtype=torch.float64)
    gain = torch.linalg.solve(precision, weights.T) / noise
    with torch.no_grad():
        model.decoder.weight.copy_(weights)
        model.decoder.bias.copy_(mean)
        model.likelihood.log_std.copy_(0.5 * noise.log())
        model.encoder.mean.weight.copy_(gain)
        model.encoder.mean.bias.copy_(-gain @ mean)
        model.encoder.log_var.copy_(-precision.diagonal().log())


def test_importance_weighted_likelihood_is_the_closed_form():
    x, model = data(), linear_model()
    weights, noise, mean, exact = probabilistic_pca(x)
    set_exact(model, weights, noise, mean)
    with torch.no_grad():
        _, nll, _ = bounds_of(model, Batch(x, x), samples=13)
    assert float((nll + exact).abs().max()) < 1e-10


def test_a_trained_linear_vae_reaches_probabilistic_pca():
    x, model = data(), linear_model()
    exact = probabilistic_pca(x)[-1].mean()
    objective = ELBO()
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        lr=1,
        max_iter=2000,
        history_size=50,
        tolerance_grad=1e-10,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )
    # Antithetic noise with unit variance makes the sampled bound of a linear decoder exact.
    base = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    noise = base.repeat_interleave(len(x), 0)

    def with_noise(batch, samples=1):
        return model(batch, samples=4, noise=noise)

    def closure():
        optimizer.zero_grad()
        total = objective(with_noise, Batch(x, x)).total
        total.backward()
        return total

    optimizer.step(closure)
    assert closure().item() == pytest.approx(float(-exact), abs=1e-6)
    assert math.isfinite(float(exact))
