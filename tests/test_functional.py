"""Formulas against closed forms and brute force."""

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
