"""Corruptions do what their names say."""

import pytest
import torch

from gargalo.data import corruptions  # noqa: F401  (registers them)
from gargalo.registry import corruption


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_patches_hide_whole_squares_in_all_channels():
    hidden = corruption.select("patches:share=0.3,size=5")(torch.ones(300, 3, 12, 9), rng()) == 0
    for top, left, rows, columns in ((0, 0, 5, 5), (5, 5, 5, 4), (10, 0, 2, 5)):  # those at the far sides are cut
        square = hidden[:, :, top : top + rows, left : left + columns].flatten(1)
        assert torch.equal(square.all(1), square.any(1))
        assert abs(float(square.all(1).float().mean()) - 0.3) < 0.1
    assert abs(float(hidden.float().mean()) - 0.3) < 0.02
    both = hidden[:, 0, 0, 0] & hidden[:, 0, 0, 5]
    assert abs(float(both.float().mean()) - 0.09) < 0.06  # each on its own


def test_patches_of_vectors_are_single_entries():
    hidden = corruption.select("patches:share=0.6")(torch.ones(200, 50), rng()) == 0
    assert abs(float(hidden.float().mean()) - 0.6) < 0.02
    assert not torch.equal(hidden[0], hidden[1])


@pytest.mark.parametrize("rule", ["patches:share=1", "patches:share=-0.1", "patches:size=0"])
def test_patches_refuse_what_cannot_be(rule):
    with pytest.raises(ValueError, match="must lie in"):
        corruption.select(rule)(torch.ones(1, 1, 8, 8), rng())
