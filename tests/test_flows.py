"""Log-determinants against autograd, inverses against the way there."""

import pytest
import torch

from gargalo import flows
from gargalo.training import seeded


def log_det(function, z):
    """Of each row, from the whole Jacobian."""
    rows = [torch.autograd.functional.jacobian(lambda row: function(row[None])[0], row) for row in z]
    return torch.stack([torch.linalg.slogdet(row).logabsdet for row in rows])


@pytest.mark.parametrize(("step", "told"), [(flows.planar, 9), (flows.radial, 6)])
def test_linear_steps_stretch_as_autograd_says(step, told):
    with seeded(0):
        z, parameters = torch.randn(20, 4, dtype=torch.float64), 2 * torch.randn(20, told, dtype=torch.float64)
    for row, own in zip(z, parameters, strict=True):
        expected = log_det(lambda at, own=own: step(at, own[None])[0], row[None])
        torch.testing.assert_close(step(row[None], own[None])[1], expected)


def shaken(module):
    """Weights that are not those of the start, where most flows do nothing."""
    with seeded(1):
        for parameter in module.parameters():
            parameter.data.normal_(0, 0.5)
    return module.double()


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_inverse_autoregressive_steps(dim):
    flow = shaken(flows.InverseAutoregressive(dim, 2, 16, 3))
    z, context = torch.randn(6, dim, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    found = flow(z, context)[1]
    each = [log_det(lambda at, c=c: flow(at, c[None])[0], row[None]) for row, c in zip(z, context, strict=True)]
    torch.testing.assert_close(found, torch.cat(each))


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_masked_autoregressive_steps(dim):
    flow = shaken(flows.MaskedAutoregressive(dim, 2, 16))
    z = torch.randn(6, dim, dtype=torch.float64)
    noise, found = flow(z)
    torch.testing.assert_close(found, log_det(lambda at: flow(at)[0], z))
    torch.testing.assert_close(flow.inverse(noise), z)


def test_a_number_sees_only_those_before_it():
    made = shaken(flows.Made(5, 32))
    z = torch.randn(5, dtype=torch.float64)
    for part in (0, 1):
        slopes = torch.autograd.functional.jacobian(lambda at, part=part: made(at[None])[part][0], z)
        assert bool((slopes.triu() == 0).all())
        assert bool((slopes.tril(-1) != 0).any(1)[1:].all())
