"""Shapes: every factor does what its name says, and nothing else."""

import pytest
import torch

from gargalo.data import open_source
from gargalo.data.shapes import ANGLES, Factors, draw, factors


def one(**changes):
    values = {"kind": 0, "scale": 3, "angle": 5, "x": 10, "y": 20} | changes
    return draw(Factors(**{name: torch.tensor([value]) for name, value in values.items()}), 32)[0, 0].float() / 255


def middle(picture):
    places = torch.arange(32.0)
    mass = picture.sum()
    return float((picture.sum(0) * places).sum() / mass), float((picture.sum(1) * places).sum() / mass)


def test_places_move_the_middle_and_keep_the_area():
    here, right, below = one(), one(x=20), one(y=30)
    assert middle(right)[0] - middle(here)[0] == pytest.approx(10 * 16 / 31, abs=0.1)
    assert middle(right)[1] == pytest.approx(middle(here)[1], abs=0.1)
    assert middle(below)[1] - middle(here)[1] == pytest.approx(10 * 16 / 31, abs=0.1)
    assert float(right.sum()) == pytest.approx(float(here.sum()), rel=0.02)


def test_scale_grows_and_angle_turns():
    areas = [float(one(scale=scale).sum()) for scale in range(6)]
    assert areas == sorted(areas)
    assert areas[5] == pytest.approx(4 * areas[0], rel=0.1)
    assert not torch.equal(one(kind=1), one(kind=1, angle=15))
    torch.testing.assert_close(one(kind=0), one(kind=0, angle=5 + ANGLES // 4), atol=0.26, rtol=0)
    assert float(one(kind=2).sum()) != float(one(kind=1).sum())


def test_the_source_is_a_function_of_its_seed_and_knows_its_kinds():
    made, again, other = (open_source(f"shapes:n=300,size=16,seed={seed}") for seed in (1, 1, 2))
    assert torch.equal(made.values, again.values)
    assert not torch.equal(made.values, other.values)
    assert torch.equal(made.labels, factors(300, 1).kind)
    assert made.spec.class_names == ("square", "ellipse", "heart")
    with pytest.raises(ValueError, match="size=4"):
        open_source("shapes:size=4")
