"""Augmentations: what they promise, for every one that has a name."""

from dataclasses import replace

import pytest
import torch

from gargalo.data.augmentations import default_for
from gargalo.data.batches import Feed
from gargalo.data.source import Source
from gargalo.registry import augmentation
from gargalo.spec import DataSpec


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


PICTURES = torch.rand(64, 3, 12, 9, generator=rng())
OF_MELODIES = {"transpose"}  # tests/data/test_music.py


@pytest.mark.parametrize("name", sorted(set(augmentation) - OF_MELODIES))
def test_the_shape_the_range_and_the_seed_decide(name):
    rule = augmentation.select(name)
    once, again = rule(PICTURES, rng(1)), rule(PICTURES, rng(1))
    assert once.shape == PICTURES.shape
    assert torch.equal(once, again)
    assert once.min() >= 0
    assert once.max() <= 1
    assert name == "none" or not torch.equal(once, rule(PICTURES, rng(2)))


def test_without_a_crop_a_photo_is_itself_or_its_mirror_image():
    drawn = augmentation.select("photo:crop=1")(PICTURES, rng(1))
    same = (drawn - PICTURES).abs().amax((1, 2, 3)) < 1e-4
    mirrored = (drawn - PICTURES.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert bool((same ^ mirrored).all())
    assert 16 < int(same.sum()) < 48
    still = augmentation.select("photo:crop=1,mirror=false")(PICTURES, rng(1))
    torch.testing.assert_close(still, PICTURES)


def test_a_crop_shows_a_part_of_the_picture():
    ramp = torch.linspace(0, 1, 40).expand(32, 1, 40, 40)
    drawn = augmentation.select("photo:crop=0.5,mirror=false")(ramp, rng(1))
    share = drawn.amax((1, 2, 3)) - drawn.amin((1, 2, 3))
    assert share.min() >= 0.45
    assert share.max() <= 1
    assert share.std() > 0.05


@pytest.mark.parametrize("rule", ["photo:crop=0", "photo:crop=1.5"])
def test_nonsense_is_refused(rule):
    with pytest.raises(ValueError, match="crop"):
        augmentation.select(rule)(PICTURES, rng())


def test_only_pictures_can_be_photos():
    with pytest.raises(ValueError, match="works on pictures"):
        augmentation.select("photo")(torch.rand(4, 7), rng())


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [("image", (3, 64, 64), "photo"), ("image", (1, 28, 28), "none"), ("vector", (3,), "none")],
)
def test_only_color_pictures_are_augmented_unless_asked(kind, shape, expected):
    assert default_for(kind, shape) == expected


def test_training_is_augmented_and_measuring_is_not():
    values = (PICTURES * 255).byte()
    source = Source("x", DataSpec("image", (3, 12, 9)), values)
    plain = Feed(source, torch.arange(64), 64)
    feed = replace(plain, augment="photo", corrupt="noise:std=0.1")
    batch = next(feed.batches())
    assert not torch.equal(batch.target.sum((1, 2, 3)).sort()[0], next(plain.batches()).target.sum((1, 2, 3)).sort()[0])
    assert not torch.equal(batch.input, batch.target)
    assert torch.equal(next(feed.in_order()).target, next(plain.in_order()).target)


def test_views_that_change_nothing_are_the_pictures_themselves():
    still = augmentation.select("views:turn=0,scale=0,shear=0,shift=0,hide=0")
    torch.testing.assert_close(still(PICTURES, rng(1)), PICTURES)
    mirrored = augmentation.select("views:turn=0,scale=0,shear=0,shift=0,hide=0,mirror=true")(PICTURES, rng(1))
    flipped = (mirrored - PICTURES.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert 16 < int(flipped.sum()) < 48


def test_views_hide_a_block_of_half_of_the_pictures_and_entries_of_vectors():
    white = torch.ones(400, 1, 20, 20)
    hidden = augmentation.select("views:turn=0,scale=0,shear=0,shift=0,hide=0.5")(white, rng(1)) == 0
    share = hidden.float().mean((1, 2, 3))
    assert 0.4 < (share > 0).float().mean() < 0.55
    assert share.max() <= 0.31  # eleven places of twenty each way at most
    rows, columns = hidden.any(3).sum(2), hidden.any(2).sum(2)
    assert torch.equal(hidden.sum((2, 3)), rows * columns)  # one block
    vectors = augmentation.select("views:hide=0.25")(torch.ones(200, 50), rng(1))
    assert abs(float((vectors == 0).float().mean()) - 0.25) < 0.02


def test_views_turn_as_far_as_they_are_asked_to():
    cross = torch.zeros(1, 1, 21, 21)
    cross[..., 10, :] = 1
    turned = augmentation.select("views:turn=40,scale=0,shear=0,shift=0,hide=0")(cross.expand(200, -1, -1, -1), rng(1))
    ys, xs = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(21.0) - 10, indexing="ij")
    moments = [(turned * m).sum((1, 2, 3)) for m in (xs * xs, ys * ys, xs * ys)]
    angles = 0.5 * torch.atan2(2 * moments[2], moments[0] - moments[1]).rad2deg()
    assert angles.abs().max() < 42
    assert angles.min() < -30 < 30 < angles.max()


def test_relit_changes_how_bright_things_are_but_neither_black_nor_their_order():
    ramp = torch.linspace(0, 1, 24).repeat(300, 1, 24, 1).contiguous()
    still = augmentation.select("relit:light=0,move=0,mirror=false")(ramp, rng())
    torch.testing.assert_close(still, ramp, atol=2e-4, rtol=0)
    relit = augmentation.select("relit:light=0.5,move=0,mirror=false")(ramp, rng())
    assert relit[..., 0].max() < 0.02
    middle = relit[..., 11:13].mean((1, 2, 3))
    assert middle.min() < 0.3 < 0.7 < middle.max()
    rising = (relit.mean(2).diff() >= 0).float().mean()
    assert rising > 0.9  # shades alone turn a slope
    assert relit.min() >= 0
    assert relit.max() <= 1


def test_relit_mirrors_half_of_the_pictures_and_wants_pictures():
    flipped = augmentation.select("relit:light=0,move=0")(PICTURES, rng(1)).sub(PICTURES.flip(3)).abs().amax((1, 2, 3))
    assert 16 < int((flipped < 1e-3).sum()) < 48
    with pytest.raises(ValueError, match="works on pictures"):
        augmentation.select("relit")(torch.rand(4, 7), rng())


def test_dihedral_gives_the_eight_turns_of_a_square_and_the_four_of_an_oblong():
    square = torch.arange(9.0).view(1, 1, 3, 3).expand(200, -1, -1, -1)
    found = turned("dihedral", square)
    expected = {tuple(p.flatten().tolist()) for t in (square[0], square[0].mT) for p in turns(t)}
    assert {tuple(row.flatten().tolist()) for row in found} == expected
    assert len(expected) == 8
    oblong = torch.arange(6.0).view(1, 1, 2, 3).expand(100, -1, -1, -1)
    assert len(turned("dihedral", oblong).flatten(1).unique(dim=0)) == 4


def turns(x):
    return x, x.flip(1), x.flip(2), x.flip(1, 2)


def turned(rule, target):
    return augmentation.select(rule)(target, torch.Generator().manual_seed(0))
