"""Formulas against closed forms and brute force."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from gargalo import functional as f
from gargalo.distributions import DiagonalGaussian


def test_standard_normal_kl_and_density():
    mean, log_var = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(f.standard_normal_kl(DiagonalGaussian(mean, log_var)), expected)
    torch.testing.assert_close(f.standard_normal_log_prob(mean), Normal(0.0, 1.0).log_prob(mean).sum(1))


def test_log_mean_exp():
    x = torch.randn(7, 3)
    torch.testing.assert_close(f.log_mean_exp(x), x.exp().mean(0).log())


def test_psnr_bce_and_mse():
    x = torch.zeros(2, 1, 4, 4)
    assert f.psnr(f.mean_squared_error(x, x + 0.1)).tolist() == pytest.approx([20, 20], abs=1e-4)
    assert float(f.binary_cross_entropy(torch.full((1, 4), 0.5), torch.rand(1, 4))) == pytest.approx(0.693147, abs=1e-5)


def test_ssim_by_brute_force():
    torch.manual_seed(0)
    x, y = torch.rand(1, 1, 13, 14, dtype=torch.float64), torch.rand(1, 1, 13, 14, dtype=torch.float64)
    t = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.exp(-(t[:, None] ** 2 + t[None] ** 2) / 4.5)
    window /= window.sum()
    values = []
    for i in range(3):
        for j in range(4):
            a, b = x[0, 0, i : i + 11, j : j + 11], y[0, 0, i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            values.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    assert float(f.ssim(x, y)) == pytest.approx(float(torch.stack(values).mean()), abs=1e-10)
    assert float(f.ssim(x, x)) == pytest.approx(1)


def test_slerp_keeps_ends_and_norms_and_bears_equal_ends():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    way = f.slerp(a, b, torch.linspace(0, 1, 5))
    torch.testing.assert_close(way[[0, -1]], torch.stack([a, b]))
    torch.testing.assert_close(way.norm(dim=1), torch.ones(5))
    for other in (a, -a, torch.zeros(2)):
        assert f.slerp(a, other, torch.linspace(0, 1, 5)).isfinite().all()


def test_nt_xent_is_the_log_share_of_the_partner_among_all_others():
    a, b = (torch.randn(4, 3, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    rows = np.concatenate([a, b])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    expected = []
    for i in range(8):
        others = {j: np.exp(rows[i] @ rows[j] / 0.3) for j in range(8) if j != i}
        expected.append(-np.log(others[(i + 4) % 8] / sum(others.values())))
    np.testing.assert_allclose(f.nt_xent(a, b, 0.3).numpy(), expected, rtol=1e-5)
    assert f.nt_xent(a[:1], b[:1], 0.3).tolist() == [0, 0]  # who has no others cannot be mistaken


def test_energy_lies_at_its_frequency_and_none_is_lost():
    x = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0)).double()
    centered = x - x.mean((2, 3), keepdim=True)
    np.testing.assert_allclose(f.spectrum(x, 5).sum(1), centered.square().flatten(1).sum(1))
    wave = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).double()  # 3 / 16 of a cycle a pixel
    for picture in (wave.expand(16, 16), wave[:, None].expand(16, 16)):
        found = f.spectrum(picture[None, None] + 7, 8)[0]
        assert found.argmax() == 2  # bands are a sixteenth wide and hold their upper end
        assert found[2] == pytest.approx(16 * 16 / 2)
    corner = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)[None, None]
    assert f.spectrum(corner, 4)[0, -1] == pytest.approx(256)


def test_a_blur_loses_what_its_transfer_function_says():
    noise = torch.randn(50, 1, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    kept = f.spectrum(f.smooth(noise, 1.0), 16).sum(0) / f.spectrum(noise, 16).sum(0)
    middle = (torch.arange(6) + 0.5) / 32
    np.testing.assert_allclose(kept[:6], torch.exp(-((2 * math.pi * middle) ** 2)), atol=0.03)


def test_edge_energy_counts_steps():
    step = torch.zeros(1, 2, 4, 6)
    step[..., 3:] = 0.5
    assert f.edge_energy(step).tolist() == [2 * 4 * 0.25]
    assert f.edge_energy(step.transpose(2, 3)).tolist() == [2 * 4 * 0.25]
    assert f.edge_energy(torch.ones(1, 1, 3, 3)).tolist() == [0]


def test_an_outline_is_edges_at_some_nine_places_along_the_longer_side():
    x = torch.rand(2, 3, 28, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(f.outline(x), f.oriented_edges(x, sigma=1.5, stride=3).flatten(1))
    assert f.outline(x).shape == (2, 8 * 9 * 6)
    for size in (8, 28, 64, 150):
        assert 6 * 6 <= f.outline(torch.rand(1, 1, size, size)).shape[1] / 8 <= 11 * 11
    bright = f.outline(0.25 * x)  # a quarter of the light is half of the roots
    torch.testing.assert_close(bright, 0.5 * f.outline(x), atol=2e-3, rtol=0.02)


@pytest.mark.parametrize("shape", [(7,), (1, 2, 9)])
def test_what_has_no_edges_has_no_outline(shape):
    assert f.outline(torch.rand(3, *shape)).tolist() == [[0], [0], [0]]


def aggregate(n=2_000, d=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(n, d, generator=generator)
    mean = base + 0.5 * base.roll(1, 1)  # numbers that hang together, so that there is a total correlation
    q = DiagonalGaussian(mean, torch.full((n, d), -2.0))
    return q, mean + (-1.0 * torch.ones(())).exp() * torch.randn(n, d, generator=generator)


def exact_aggregate(q, z):
    each = torch.distributions.Normal(q.mean, (0.5 * q.log_var).exp()).log_prob(z[:, None])
    return f.log_mean_exp(each.sum(2), 1), f.log_mean_exp(each, 1).sum(1)


def test_the_total_correlation_of_batches_is_near_that_of_the_whole_sum():
    """The matrix as published, with the own row's weight in the first column, is off by more than a nat here."""
    q, z = aggregate()
    whole, product = exact_aggregate(q, z)
    exact = float((whole - product).mean())
    rows = [slice(i, i + 64) for i in range(0, 1984, 64)]
    parts = [f.aggregate_log_density(DiagonalGaussian(q.mean[r], q.log_var[r]), z[r], 2_000) for r in rows]
    estimate = float(torch.cat([a - b for a, b in parts]).mean())
    assert exact > 0.3
    assert abs(estimate - exact) < 0.9
    whole_batch = f.aggregate_log_density(q, z, 2_000)
    torch.testing.assert_close(whole_batch[0], whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole_batch[1], product, atol=1e-4, rtol=1e-4)


def test_log_densities_are_those_of_each_pair():
    q, z = aggregate(7, 3)
    each = torch.distributions.Normal(q.mean, (0.5 * q.log_var).exp()).log_prob(z[:, None]).sum(2)
    torch.testing.assert_close(f.log_densities(z, q), each, atol=1e-4, rtol=1e-4)


def test_mmd_by_its_definition_and_without_bias():
    a, b = torch.randn(30, 4), torch.randn(20, 4) + 0.5
    kernel = lambda x, y: sum(  # noqa: E731
        c / (c + float((x - y).square().sum())) for c in (8 * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))
    )
    within = lambda x: np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])  # noqa: E731
    expected = within(a) + within(b) - 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert float(f.mmd(a, b)) == pytest.approx(expected, rel=1e-3)
    same = [float(f.mmd(torch.randn(50, 2), torch.randn(50, 2))) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 200**0.5


def test_densities_and_distances_are_exact_whatever_a_model_is_in():
    q, z = aggregate(7, 3)
    sharp = DiagonalGaussian(q.mean, q.log_var - 6)
    exact = f.log_densities(z, sharp), f.mmd(z, q.mean)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = f.log_densities(z, sharp), f.mmd(z, q.mean)
        torch.manual_seed(0)
        sliced = f.sliced_wasserstein(z, q.mean, 20)
    torch.testing.assert_close(reduced, exact)
    torch.manual_seed(0)
    torch.testing.assert_close(sliced, f.sliced_wasserstein(z, q.mean, 20))
    assert bool(f.mmd(torch.randn(1, 4), torch.randn(1, 4)).isfinite())


def test_sliced_wasserstein_of_a_shift_is_its_square_over_the_dimension():
    a = torch.randn(500, 8)
    shift = torch.zeros(8)
    shift[0] = 2
    assert float(f.sliced_wasserstein(a, a + shift, 20_000)) == pytest.approx(4 / 8, rel=0.03)


def test_jacobian_norm_is_unbiased():
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
    x = torch.randn(2, 5, requires_grad=True)
    exact = [torch.autograd.functional.jacobian(net, row).square().sum() for row in x]
    mean = torch.stack([f.jacobian_norm(net(x), x).detach() for _ in range(4_000)]).mean(0)
    torch.testing.assert_close(mean, torch.stack(exact), rtol=0.05, atol=0)


def test_gaussian_kl_is_torchs():
    q, p = (DiagonalGaussian(torch.randn(4, 3), torch.randn(4, 3)) for _ in range(2))
    normals = [torch.distributions.Normal(g.mean, (0.5 * g.log_var).exp()) for g in (q, p)]
    torch.testing.assert_close(f.gaussian_kl(q, p), torch.distributions.kl_divergence(*normals))


def test_structural_similarity_on_one_scale_is_the_plain_one():
    x, y = torch.rand(3, 1, 28, 28), torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(f.ms_ssim(x, y, 1), f.ssim(x, y))
    torch.testing.assert_close(f.ms_ssim(x, x, 5), torch.ones(3))
    assert bool((f.ms_ssim(x, y, 3) < 0.5).all())
