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


@pytest.mark.parametrize("name", sorted(augmentation))
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
