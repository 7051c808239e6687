"""Priors: densities against closed forms and against numbers that sum to 1, draws against densities."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from gargalo import bottlenecks, learned_priors, priors
from gargalo.distributions import DiagonalGaussian
from gargalo.training import seeded
from gargalo.verbs.prior import fit


def moons(n=3_000):
    """Two crescents: not a Gaussian, and not two."""
    angle = torch.rand(n) * math.pi
    side = torch.randint(0, 2, (n,)) * 2.0 - 1
    points = torch.stack([side * angle.cos() + 0.5 * side, side * angle.sin()], 1)
    return points + 0.1 * torch.randn(n, 2)


def test_a_fitted_mixture_is_as_likely_as_scikit_learns():
    with seeded(0), torch.no_grad():
        z = moons()
        prior = priors.Mixture(2, 8)
        fit(prior, z)
        ours = float(prior.log_prob(z).mean())
    theirs = GaussianMixture(8, random_state=0, n_init=3).fit(z.numpy()).score(z.numpy())
    assert ours > theirs - 0.05


def test_one_component_is_the_normal_distribution():
    with seeded(0):
        z = torch.randn(5_000, 3) @ torch.tensor([[1.0, 0.5, 0], [0, 2, 0], [0, 0, 0.1]]) + 3
        prior = priors.Mixture(3, 1)
        fit(prior, z)
        drawn = prior.sample(20_000)
    exact = torch.distributions.MultivariateNormal(z.mean(0), torch.cov(z.T))
    torch.testing.assert_close(prior.log_prob(z[:50]), exact.log_prob(z[:50]), atol=0.02, rtol=0.01)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(z.T), atol=0.08, rtol=0.05)
    assert bool((prior.sample(100, temperature=0.0) == prior.means[0]).all())


def test_a_mixture_is_exact_whatever_a_model_is_in():
    with seeded(0):
        prior, z = priors.Mixture(6, 4), torch.randn(50, 6)
        prior.roots.data.normal_(0, 0.5)
    exact = prior.log_prob(z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(prior.log_prob(z), exact)


@pytest.mark.parametrize("prior", [priors.UniformSphere(40), priors.HyperbolicNormal(3, 4.0)])
def test_codes_of_curved_spaces_have_units_in_which_they_vary(prior):
    with seeded(0):
        spread = prior.in_units(prior.sample(4_000)).var(0)
    torch.testing.assert_close(spread, torch.ones_like(spread), atol=0.12, rtol=0)


@pytest.mark.parametrize("kind", ["maf", "iaf", "two_stage", "mixture"])
def test_fitted_priors_beat_one_gaussian_on_crescents_and_draw_what_they_fit(kind, monkeypatch):
    made = {
        "maf": lambda: learned_priors.Flow(2, 4, 32),
        "iaf": lambda: learned_priors.InverseFlow(2, 4, 32),
        "two_stage": lambda: learned_priors.TwoStage(2, 64),
        "mixture": lambda: priors.Mixture(2, 10),
    }
    monkeypatch.setattr(priors.Prior, "steps", 600)
    monkeypatch.setattr(priors.Prior, "lr", 3e-3)
    with seeded(0):
        z, fresh = moons(), moons()
        prior, plain = made[kind](), priors.Mixture(2, 1)
        fit(prior, z)
        fit(plain, z)
        drawn = prior.sample(2_000).detach()
        with torch.no_grad():
            gain = float(prior.log_prob(fresh).mean() - plain.log_prob(fresh).mean())
    assert gain > (0.05 if kind == "two_stage" else 0.4)
    assert float(torch.cdist(drawn, fresh).min(1).values.mean()) < (0.15 if kind == "two_stage" else 0.12)


@pytest.mark.parametrize("kind", [learned_priors.Flow, learned_priors.InverseFlow])
def test_flow_densities_integrate_to_one(kind):
    with seeded(0):
        prior = kind(2, 2, 16)
        for parameter in prior.parameters():
            parameter.data.normal_(0, 0.3)
        prior.prepare(torch.randn(100, 2) * torch.tensor([1.0, 3.0]) + 1)
    line = torch.linspace(-40, 40, 1200)
    z = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    with torch.no_grad():
        total = float(prior.log_prob(z).exp().sum() * (line[1] - line[0]) ** 2)
    assert total == pytest.approx(1, abs=0.02)


def test_the_vampprior_is_the_mean_of_its_posteriors():
    class Halves(torch.nn.Module):
        def forward(self, x):
            return DiagonalGaussian(x[:, :2], x[:, 2:])

    prior = priors.Vamp(2, Halves(), (4,), 7)
    z = torch.randn(5, 2)
    parts = [
        torch.distributions.Normal(row[:2], (0.5 * row[2:]).exp()).log_prob(z).sum(1).exp()
        for row in prior.inputs.detach()
    ]
    torch.testing.assert_close(prior.log_prob(z).exp(), torch.stack(parts).mean(0))


def test_chances_of_all_code_words_sum_to_one():
    quantizer = bottlenecks.VectorQuantizer(3, 2, 4)
    with seeded(0):
        prior = learned_priors.Autoregressive(quantizer, 16, 2).eval()
    words = torch.tensor(list(itertools.product(range(3), repeat=4)))
    with torch.no_grad():
        total = prior.log_prob(quantizer.look_up(words)).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-4)


def test_the_code_prior_learns_which_words_there_are():
    quantizer = bottlenecks.VectorQuantizer(4, 2, 3)
    with seeded(0):
        words = torch.tensor([[0, 1, 2], [3, 3, 0], [2, 0, 1]])[torch.randint(0, 3, (600,))]
        prior = learned_priors.Autoregressive(quantizer, 32, 1)
        prior.steps = 300
        fit(prior, words)
        drawn = quantizer.find(prior.eval().sample(200))
    known = {tuple(word) for word in words.tolist()}
    assert np.mean([tuple(word) in known for word in drawn.tolist()]) > 0.95
