"""Hierarchies: one way down says the same as three, and bounds hold."""

import pytest
import torch

from gargalo.functional import log_mean_exp
from gargalo.methods import hierarchies
from gargalo.model import Batch
from gargalo.spec import DataSpec
from gargalo.training import seeded

SPEC = DataSpec("image", (1, 12, 9))
KINDS = {
    "ladder": lambda: hierarchies.ladder_vae(SPEC, latent_dim=8, width=32)[0],
    "deep": lambda: hierarchies.deep_vae(SPEC, width=16, channels=2, levels="1+1+2")[0],
}


@pytest.fixture(params=KINDS)
def model(request):
    with seeded(0):
        made = KINDS[request.param]().eval()
        for parameter in made.parameters():  # away from the start, where posterior and prior agree
            parameter.data.add_(0.03 * torch.randn_like(parameter))
        return made


def test_densities_of_one_pass_are_those_of_the_prior_and_the_way_down(model):
    with seeded(1):
        x = torch.rand(4, 1, 12, 9)
        out = model(Batch(x, x), samples=2)
    torch.testing.assert_close(model.prior.log_prob(out.z), out.log_p)
    torch.testing.assert_close(model.decode(out.z).mode, out.likelihood.mode)
    z, log_q = model.encode(x).draw(torch.zeros(4, *model.prior.shape))
    torch.testing.assert_close(z, model.encode(x).mode)
    assert log_q.shape == (4,)


def test_the_exact_kl_is_the_mean_of_what_draws_say(model):
    with seeded(2), torch.no_grad():
        x = torch.rand(2, 1, 12, 9)
        out = model(Batch(x, x), samples=20_000)
    drawn = (out.log_q - out.log_p).view(-1, 2)
    exact = out.kl.view(-1, 2).mean(0)
    error = drawn.std(0) / len(drawn) ** 0.5
    assert bool(((drawn.mean(0) - exact).abs() < 5 * error + 0.01).all())


def test_more_samples_give_a_tighter_bound(model):
    with seeded(3), torch.no_grad():
        x = (torch.rand(8, 1, 12, 9) > 0.5).float()
        out = model(Batch(x, x), samples=256)
    log_w = (out.log_p - out.log_q - out.nll).view(256, 8)
    bounds = [float(log_mean_exp(log_w.view(-1, k, 8), 1).mean()) for k in (1, 16, 256)]
    assert bounds[0] < bounds[1] < bounds[2]


def test_samples_come_from_above(model):
    with seeded(4):
        assert model.prior.sample(3).shape == (3, *model.prior.shape)
        cold = model.prior.sample(3, temperature=0.0)
    torch.testing.assert_close(cold[0], cold[1])
