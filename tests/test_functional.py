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
