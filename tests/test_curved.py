"""Densities on the sphere and the Poincare ball integrate to 1, and draws follow them."""

import math

import pytest
import torch
from scipy import special

from gargalo import curved
from gargalo.priors import HyperbolicNormal, UniformSphere
from gargalo.training import seeded


def on_sphere(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, d, generator=generator), dim=1)


@pytest.mark.parametrize("d", [2, 3, 5, 16])
@pytest.mark.parametrize("k", [0.5, 3.0, 40.0, 500.0])
def test_von_mises_fisher_is_normalized_as_by_bessel_functions(d, k):
    q = curved.VonMisesFisher(on_sphere(1, d), torch.tensor([k]))
    order = d / 2 - 1
    log_c = order * math.log(k) - d / 2 * math.log(2 * math.pi) - (math.log(special.ive(order, k)) + k)
    assert float(q.log_prob(q.mode)) == pytest.approx(log_c + k, rel=1e-4, abs=1e-4)


def test_von_mises_fisher_integrates_to_one_over_the_sphere():
    z = on_sphere(400_000, 3)
    q = curved.VonMisesFisher(on_sphere(1, 3, seed=1), torch.tensor([5.0])).repeat(len(z))
    assert float(q.log_prob(z).exp().mean() * 4 * math.pi) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("d", "k"), [(2, 2.0), (3, 10.0), (8, 30.0), (16, 400.0)])
def test_von_mises_fisher_draws_point_where_they_should(d, k):
    """The mean of draws is the direction, shortened by a known ratio of Bessel functions."""
    direction = on_sphere(1, d, seed=2)
    with seeded(0):
        z, log_q = curved.VonMisesFisher(direction, torch.tensor([k])).repeat(100_000).draw()
    torch.testing.assert_close(z.norm(dim=1), torch.ones(len(z)))
    ratio = special.ive(d / 2, k) / special.ive(d / 2 - 1, k)
    torch.testing.assert_close(z.mean(0), direction[0] * float(ratio), atol=0.01, rtol=0)
    entropy = curved.VonMisesFisher(direction, torch.tensor([k])).entropy()
    assert float(-log_q.mean()) == pytest.approx(float(entropy), abs=0.03)


def test_gradients_pass_through_the_draw_to_the_concentration():
    """d E[z . direction] / dk is the variance of the cosine, by an identity of exponential families."""
    k, direction = torch.tensor([6.0], requires_grad=True), on_sphere(1, 4)
    with seeded(0):
        q = curved.VonMisesFisher(direction.repeat(200_000, 1), k.expand(200_000))
        cosine = (q.draw()[0] * direction).sum(1)
    (slope,) = torch.autograd.grad(cosine.mean(), k)
    assert float(slope) == pytest.approx(float(cosine.detach().var()), rel=0.02)


def test_the_uniform_sphere_is_uniform_and_its_kl_exact():
    prior = UniformSphere(3)
    z = on_sphere(2, 3)
    assert float(prior.log_prob(z)[0]) == pytest.approx(-math.log(4 * math.pi))
    with seeded(0):
        q = curved.VonMisesFisher(z, torch.tensor([4.0, 40.0])).repeat(100_000)
        drawn, log_q = q.draw()
    estimate = (log_q - prior.log_prob(drawn)).view(-1, 2).mean(0)
    torch.testing.assert_close(prior.kl(q, drawn, log_q)[:2], estimate, rtol=0.02, atol=0.02)
    torch.testing.assert_close(prior.sample(50_000).mean(0), torch.zeros(3), atol=0.02, rtol=0)


@pytest.mark.parametrize("c", [0.5, 1.0, 2.0])
def test_wrapped_normal_integrates_to_one_over_hyperbolic_area(c):
    steps, radius = 1500, 1 / math.sqrt(c)
    line = torch.linspace(-radius, radius, steps)
    z = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    z = z[z.norm(dim=1) < 0.9999 * radius]
    mean, log_var = torch.tensor([[0.3, -0.2]]) * radius, torch.tensor([[-2.0, -1.0]])
    density = curved.WrappedNormal(mean, log_var, c).repeat(len(z)).log_prob(z).exp()
    area = (2 / (1 - c * z.square().sum(1))).square() * float(line[1] - line[0]) ** 2
    assert float((density * area).sum()) == pytest.approx(1, abs=0.01)


def test_wrapped_normal_knows_the_density_of_its_draws():
    with seeded(0):
        mean = curved.wrap(torch.randn(500, 4), 1.0)
        q = curved.WrappedNormal(mean, torch.randn(500, 4) - 1, 1.0)
        z, log_q = q.draw()
    assert bool((z.norm(dim=1) < 1).all())
    torch.testing.assert_close(q.log_prob(z), log_q, atol=0.02, rtol=1e-3)
    torch.testing.assert_close(curved.wrap(curved.unwrap(z, 1.0), 1.0), z, atol=1e-4, rtol=1e-3)


def test_the_hyperbolic_prior_is_the_wrapped_normal_at_the_center():
    prior = HyperbolicNormal(3, 1.0)
    with seeded(0):
        z = prior.sample(2_000)
    distance = curved.unwrap(z, 1.0).norm(dim=1)
    assert float(distance.square().mean()) == pytest.approx(3, rel=0.1)  # of a normal in three dimensions
    assert bool(prior.log_prob(z).isfinite().all())
