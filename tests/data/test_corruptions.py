"""Corruptions do what their names say."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gargalo.data import corruptions  # noqa: F401  (registers them)
from gargalo.data.corruptions.holes import marked
from gargalo.registry import corruption

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "images"


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


def apply(rule, target, seed=0):
    return corruption.select(rule)(target, rng(seed))


def gray(level, n=4, side=64, channels=1):
    return torch.full((n, channels, side, side), level)


PICTURE_RULES = [name for name in corruption if name not in ("none", "patches", "straighten", "taps")]


@pytest.mark.parametrize("rule", PICTURE_RULES)
def test_the_same_seed_gives_the_same_input_and_another_another(rule):
    target = torch.rand(3, 3, 24, 32, generator=rng(9))
    once = apply(rule, target)
    assert torch.equal(once, apply(rule, target))
    assert once.isfinite().all()
    assert rule in ("downscale", "blur") or not torch.equal(once, apply(rule, target, seed=1))
    assert torch.equal(target, torch.rand(3, 3, 24, 32, generator=rng(9)))  # it is not changed in place


def test_noise_has_the_std_it_says_and_each_picture_its_own():
    noisy = apply("noise:std=0-0.2,clip=false,told=0.5", gray(0.5, n=300, side=32))
    assert noisy.shape == (300, 2, 32, 32)
    found = (noisy[:, 0] - 0.5).flatten(1).std(1)
    said = noisy[:, 1].flatten(1)
    assert torch.equal(said.amin(1), said.amax(1))
    told = said[:, 0] > 0
    assert abs(float(told.float().mean()) - 0.5) < 0.1
    torch.testing.assert_close(found[told], said[told, 0], rtol=0.1, atol=0)
    assert abs(float(found.mean()) - 0.1) < 0.01
    assert abs(float(found.std()) - 0.2 / 12**0.5) < 0.01
    each = apply("noise:std=0.1-0.3,per_channel=true,told=1,clip=false", gray(0.5, channels=3))
    assert each.shape[1] == 6
    torch.testing.assert_close((each[:, :3] - 0.5).std((2, 3)), each[:, 3:, 0, 0], rtol=0.05, atol=0)
    assert float(apply("noise:std=1", gray(0.5)).max()) == 1.0
    beyond = apply("noise:std=1,clip=0.25", gray(0.5, n=300)).amax((1, 2, 3)) > 1
    assert abs(float(beyond.float().mean()) - 0.75) < 0.1
    with pytest.raises(ValueError, match="clip"):
        apply("noise:clip=2", gray(0.5))


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_noise_that_depends_on_brightness_has_the_variance_of_its_law(level):
    target = gray(level, n=40)
    for rule, variance in {
        "poisson:peak=50,clip=false": level / 50,
        "poisson_gaussian:peak=50,std=0.1,clip=false": level / 50 + 0.01,
        "speckle:std=0.3,clip=false": (0.3 * level) ** 2,
    }.items():
        noisy = apply(rule, target)
        assert abs(float(noisy.mean()) - level) < 0.003, rule
        assert abs(float(noisy.var()) / variance - 1) < 0.03, rule


def test_salt_and_pepper_take_whole_pixels_in_equal_shares():
    noisy = apply("salt_pepper:share=0.2", gray(0.5, n=40, channels=3))
    white, black = (noisy == 1).all(1), (noisy == 0).all(1)
    assert torch.equal((noisy == 0.5).all(1), ~(white | black))
    assert abs(float(white.float().mean()) - 0.1) < 0.005
    assert abs(float(black.float().mean()) - 0.1) < 0.005


def test_a_blur_spreads_a_point_by_its_sigma_and_keeps_gray():
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1
    spread = apply("blur:sigma=2", point)
    away = torch.arange(41.0) - 20
    assert abs(float((spread[0, 0].sum(0) * away**2).sum()) - 4) < 0.01
    torch.testing.assert_close(apply("blur:sigma=0-3", gray(0.3)), gray(0.3))
    torch.testing.assert_close(apply("blur:sigma=0", point), point)


def pillow(target):
    pixels = (target * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def from_pillow(image):
    pixels = torch.from_numpy(np.array(image)).float() / 255
    return pixels.permute(2, 0, 1) if pixels.dim() == 3 else pixels[None]


def scene(channels, height, width):
    """Smooth color with edges and fine detail, in steps of 1/255."""
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, channels, 5, 6, generator=rng(3)), (height, width), mode="bicubic"
    )
    smooth[..., : height // 2, : width // 3] *= 0.3
    detail = 0.05 * torch.randn(1, 1, height, width, generator=rng(4))
    return ((smooth + detail).clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [8, 40, 75, 95])
def test_jpeg_is_what_pillow_writes(channels, quality):
    target = scene(channels, 90, 77)
    stream = io.BytesIO()
    pillow(target[0]).save(stream, "JPEG", quality=quality)
    expected = from_pillow(Image.open(stream))
    found = apply(f"jpeg:quality={quality}", target)[0]
    assert float((found - expected).abs().mean()) < 1 / 255
    assert float((found - expected).abs().mean()) < 0.4 * float((target[0] - expected).abs().mean())


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downscale_is_pillows_bicubic(factor):
    target = scene(3, 72, 96)
    expected = from_pillow(pillow(target[0]).resize((96 // factor, 72 // factor), Image.Resampling.BICUBIC))
    found = apply(f"downscale:factor={factor}", target)[0]
    assert float((found - expected).abs().max()) <= 1.01 / 255
    assert torch.equal((found * 255).round() / 255, found)


SET5 = SHARED / "set5"


@pytest.mark.skipif(not SET5.exists(), reason="needs the pictures of Set5")
@pytest.mark.parametrize(("factor", "published"), [(2, 33.68), (3, 30.40), (4, 28.43)])
def test_downscale_makes_the_published_task(factor, published):
    """PSNR of bicubic enlargement on brightness, with a border as wide as the factor cut off."""
    luma = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1) / 255
    found = []
    for file in sorted(SET5.glob("*.png")):
        target = from_pillow(Image.open(file).convert("RGB"))[None]
        height, width = (side // factor * factor for side in target.shape[-2:])
        target = target[..., :height, :width]
        small = apply(f"downscale:factor={factor}", target)
        large = torch.nn.functional.interpolate(small, (height, width), mode="bicubic", antialias=True)
        error = ((target - (large.clamp(0, 1) * 255).round() / 255) * luma).sum(1)[:, factor:-factor, factor:-factor]
        found.append(-10 * float(error.square().mean().log10()))
    assert abs(sum(found) / len(found) - published) < 0.05


def test_the_real_world_ends_as_a_file():
    rough = apply("real_world:factor=2", scene(3, 64, 48).expand(6, -1, -1, -1))
    assert rough.shape == (6, 3, 32, 24)
    assert torch.equal((rough * 255).round() / 255, rough)
    assert len(rough.flatten(1).unique(dim=0)) == 6  # each by strengths of its own


@pytest.mark.parametrize("kind", ["blocks", "strokes", "mixed"])
def test_a_mask_hides_what_its_channel_says(kind):
    masked = apply(f"mask:kind={kind},share=0.3", gray(0.5, n=60, channels=3))
    assert masked.shape[1] == 4
    hidden = masked[:, 3:]
    assert set(hidden.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masked[:, :3], 0.5 * (1 - hidden).expand(-1, 3, -1, -1))
    low, high = {"blocks": (0.2, 0.3), "strokes": (0.12, 0.2), "mixed": (0.15, 0.27)}[kind]  # overlaps and what leaves
    assert low < float(hidden.mean()) < high
    assert len(hidden.flatten(1).unique(dim=0)) == 60


def test_a_mask_from_a_file_is_that_file(tmp_path):
    pixels = np.zeros((10, 12), np.uint8)
    pixels[2:4, 3:9] = 255
    Image.fromarray(pixels).save(tmp_path / "hole.png")
    masked = apply(f"mask:file={tmp_path / 'hole.png'}", gray(0.5, side=8))
    assert torch.equal(masked[0, 1], torch.from_numpy(pixels[1:9, 2:10] / 255).float())
    with pytest.raises(ValueError, match="12x10 pixels"):
        apply(f"mask:file={tmp_path / 'hole.png'}", gray(0.5, side=16))


def test_what_is_transparent_in_a_mask_marks_nothing_anywhere(tmp_path):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:4, :, :3], pixels[:, :4, 3] = 0, 0  # a quarter is white and can be seen
    Image.fromarray(pixels).save(tmp_path / "hole.png")
    expected = np.zeros((8, 8), bool)
    expected[4:, 4:] = True
    masked = apply(f"mask:file={tmp_path / 'hole.png'}", gray(0.5, side=8))
    assert np.array_equal(masked[0, 1].numpy(), expected)
    for mask in (pixels, pixels.astype(np.uint16) * 257, pixels / 255, pixels // 255, pixels[..., ::3]):
        assert np.array_equal(marked(mask), expected)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("noise:std=-1", "at least 0"),
        ("noise:std=0.3-0.1", "at least 0"),
        ("noise:std=much", "0-0.2"),
        ("noise:std=1e39", r"at most 1e\+30"),
        ("noise:mean=nan", "must be a number"),
        ("noise:told=2", r"\[0, 1\]"),
        ("poisson:peak=0", "greater than 0"),
        ("salt_pepper:share=1.5", r"\[0, 1\]"),
        ("jpeg:quality=0", r"\[1, 100\]"),
        ("blur:sigma=99", "at most 50"),
        ("downscale:factor=40", "between 1 and"),
        ("mask:share=2", r"\[0, 1\]"),
        ("mask:kind=dots", "must be one of"),
    ],
)
def test_strengths_out_of_range_are_refused(rule, says):
    with pytest.raises(ValueError, match=says):
        apply(rule, gray(0.5, side=32))
