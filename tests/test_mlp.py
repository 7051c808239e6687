"""Dense networks, and what their encoder may see beside values."""

import pytest
import torch

from gargalo import functional
from gargalo.networks import mlp
from gargalo.spec import DataSpec


@pytest.mark.parametrize("spec", [DataSpec("image", (3, 10, 12)), DataSpec("vector", (5,))])
def test_an_encoder_with_edges_takes_what_one_without_takes(spec):
    torch.manual_seed(0)
    x = torch.rand(4, *spec.shape)
    for edges in (False, True):
        encoder, decoder = mlp.mlp(spec, 3, 6, 2, width=8, edges=edges)
        assert encoder(x).shape == (4, 6)
        assert decoder(torch.zeros(4, 3)).shape == (4, 2 * spec.shape[0], *spec.shape[1:])


def test_edges_are_seen_and_leave_slopes_finite():
    spec = DataSpec("image", (1, 10, 10))
    torch.manual_seed(0)
    encoder, _ = mlp.mlp(spec, 3, 6, 1, width=8, edges=True)
    weight = encoder.layers[0].weight
    assert weight.shape[1] == 100 + functional.outline(torch.zeros(1, 1, 10, 10)).shape[1]
    flat = torch.full((1, 1, 10, 10), 0.5, requires_grad=True)  # without any edge, where a root has no slope
    encoder(flat).sum().backward()
    assert flat.grad.isfinite().all()
    with torch.no_grad():
        weight[:, :100] = 0  # blind to values
        step = torch.cat([torch.zeros(1, 1, 10, 5), torch.ones(1, 1, 10, 5)], 3)
        assert not torch.equal(encoder(step), encoder(flat))
