"""Pixel by pixel: chances of all pictures sum to 1, and drawing row by row is what the whole picture says."""

import itertools

import numpy as np
import pytest
import torch

import gargalo
from gargalo.likelihoods import AutoregressiveBernoulli, PixelCNN
from gargalo.registry import likelihood
from gargalo.spec import DataSpec
from gargalo.training import seeded


@pytest.fixture
def net():
    with seeded(0):
        made = PixelCNN(1, 8, 2, 0.5)
        for parameter in made.parameters():
            parameter.data.normal_(0, 0.4)
        return made.eval()


def test_chances_of_all_pictures_sum_to_one(net):
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=12))).view(-1, 1, 3, 4)
    h = torch.randn(1, 8, 3, 4, generator=torch.Generator().manual_seed(1)).expand(len(pictures), -1, -1, -1)
    with torch.no_grad():
        total = AutoregressiveBernoulli(h, net).log_prob(pictures).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_surprise_is_the_density_place_by_place(net):
    h, x = torch.randn(2, 8, 6, 5), torch.rand(2, 1, 6, 5).round()
    with torch.no_grad():
        found = AutoregressiveBernoulli(h, net)
        surprise, total = found.surprise(x), found.log_prob(x)
    assert surprise.shape == (2, 6, 5)
    torch.testing.assert_close(surprise.sum((1, 2)), -total)


def test_a_pixel_sees_only_those_before_it(net):
    h, x = torch.randn(1, 8, 6, 5), torch.rand(1, 1, 6, 5, requires_grad=True)
    for i, j in itertools.product(range(6), range(5)):
        (slope,) = torch.autograd.grad(net.logits(h, x)[0, 0, i, j], x)
        seen = slope.flatten() != 0
        assert not bool(seen[5 * i + j :].any())
        assert i + j == 0 or bool(seen.any())


def test_pictures_are_drawn_with_the_chances_of_the_whole(net):
    h = torch.randn(3, 8, 11, 5)
    with torch.no_grad():
        found = AutoregressiveBernoulli(h, net)
        greedy = found.mode
        torch.testing.assert_close(greedy, (net.logits(h, greedy) > 0).float())
        with seeded(3):
            many = AutoregressiveBernoulli(h[:1].expand(3_000, -1, -1, -1), net).sample()
        expected = net.logits(h[:1].expand(3_000, -1, -1, -1), many).sigmoid().mean(0)
    torch.testing.assert_close(many.mean(0), expected, atol=0.04, rtol=0)


def test_chances_of_all_that_parts_can_do_sum_to_one_and_draws_follow_them():
    spec = DataSpec("sequence", (1, 6))
    head = likelihood.select("parts:sizes=2+3")(spec)
    logits = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(0))
    rows = [[*np.eye(2)[a], *np.eye(3)[b], float(bit)] for a, b, bit in itertools.product(range(2), range(3), range(2))]
    steps = torch.tensor(np.array(rows), dtype=torch.float32)[:, None]
    chances = head(logits.expand(12, -1, -1)).log_prob(steps).exp()
    assert float(chances.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.equal(head(logits).mode[0, 0], steps[chances.argmax(), 0])
    with seeded(0):
        drawn = head(logits.expand(20_000, -1, -1)).sample()
    torch.testing.assert_close(drawn.mean(0), (chances[:, None, None] * steps).sum(0), atol=0.02, rtol=0)
    for wrong in ("2+x", "0+3", "4+3"):
        with pytest.raises(ValueError, match="sizes"):
            likelihood.select(f"parts:sizes={wrong}")(spec)


@pytest.mark.parametrize("name", ["ssim", "ssim:scales=2"])
def test_structural_similarity_learns_at_a_high_rate(name, tmp_path):
    """Squashed means were stuck at the same picture for every input after ten steps."""
    model = gargalo.train(
        "autoencoder", "digits", tmp_path / "run", likelihood=name, epochs=4, lr=0.0033, latent_dim=32
    )
    found = gargalo.evaluate(model)
    assert found["mse"] < found["baselines"]["mean"]["mse"]
