"""Clean, enlarge, fill in: pictures of any size and kind, in Python."""

import numpy as np
import pytest
import torch

import gargalo
from gargalo import checkpoint, functional
from gargalo.checkpoint import TrainedModel
from gargalo.errors import DataError, OutOfDomainWarning
from gargalo.evaluation import restoration
from gargalo.fitting import configured
from gargalo.spec import DataSpec
from gargalo.training import Settings, seeded
from gargalo.verbs import restore
from gargalo.verbs._tiling import reach

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (61, 47, 3), dtype=np.uint8)
HIDDEN = np.add.outer(np.arange(61), np.arange(47)) % 40 < 12
TASKS = [
    ("denoiser", "auto", 1),
    ("denoiser", "auto", 3),
    ("denoiser", "noise:std=0.1", 3),
    ("denoiser", "none", 3),  # of pairs that were shot, or of noisy pictures alone
    ("upscaler", "downscale:factor=2", 3),
    ("upscaler", "downscale:factor=3", 1),
    ("inpainter", "mask", 3),
]


def model(method, corruption="auto", channels=3, *, size=48, fresh=False, levels=2):
    """Weights as they start; unless ``fresh``, the last layer's too, which otherwise are 0 and change nothing."""
    spec = DataSpec("image", (channels, size, size), network="convnet", fit="cut", likelihood="gaussian")
    arguments = {"size": "tiny"} | ({"levels": levels} if method == "inpainter" else {})
    config = configured(method, spec, 100, arguments, Settings(), corruption=corruption, augment="none", parts={})
    with seeded(0):
        net, objective = checkpoint.build(config)
        if not fresh:
            torch.nn.init.normal_(net.decoder.last.weight, std=0.05)
    return TrainedModel(net.eval().requires_grad_(False), objective.eval(), config)


def test_black_of_noisy_pictures_comes_out_black(monkeypatch):
    spec = DataSpec("image", (3, 48, 48), network="convnet", fit="cut", likelihood="gaussian")
    arguments = {"size": "tiny", "self_supervised": True}
    config = configured("denoiser", spec, 100, arguments, Settings(), corruption="auto", augment="none", parts={})
    net, objective = checkpoint.build(config)  # which gives back what it is given
    monkeypatch.setattr(restore, "_noise_levels", lambda pixels: np.full(3, 25.0))
    given = np.full((60, 50, 3), 10, np.uint8)  # the mean of black with noise of 25 that was cut
    learner = TrainedModel(net.eval().requires_grad_(False), objective.eval(), config)
    assert gargalo.denoise(learner, given).max() <= 1
    assert np.array_equal(gargalo.denoise(learner, given + 118), given + 118)
    uncut = np.full((60, 50, 3), 10 / 255)
    uncut[0, 0] = -0.1
    assert np.allclose(gargalo.denoise(learner, uncut)[1:], uncut[1:], atol=1e-4)
    assert np.array_equal(gargalo.denoise(model("denoiser", "none", fresh=True), given), given)  # nor learned


def plain(corruption, size=(8, 8)):
    """A model that is no restorer."""
    spec = DataSpec("image", (1, *size))
    config = configured("autoencoder", spec, 9, {}, Settings(), corruption=corruption, augment="none", parts={})
    net, objective = checkpoint.build(config)
    return TrainedModel(net.eval().requires_grad_(False), objective.eval(), config)


def restored(trained, image, **options):
    verb = {"denoiser": gargalo.denoise, "upscaler": gargalo.upscale, "inpainter": gargalo.inpaint}[trained.method]
    given = [np.resize(HIDDEN, np.asarray(image).shape[:2])] if trained.method == "inpainter" else []
    return verb(trained, image, *given, **options)


@pytest.mark.parametrize(("method", "corruption", "channels"), TASKS)
@pytest.mark.filterwarnings("ignore::gargalo.errors.OutOfDomainWarning")
def test_piece_by_piece_is_as_the_whole(method, corruption, channels):
    trained = model(method, corruption, channels)
    picture = RNG.integers(0, 65536, (151, 118, 3), dtype=np.uint16)
    whole, tiled = restored(trained, picture, tile=4096), restored(trained, picture, tile=32)
    assert np.abs(whole.astype(int) - tiled).max() <= 2  # of 65535, where 257 is a step of 8 bits
    if method != "upscaler":
        assert np.abs(whole.astype(int) - picture).max() > 257


def test_how_far_a_network_looks_is_what_its_layers_add_up_to():
    denoiser, upscaler = model("denoiser", "noise:std=0.1"), model("upscaler", "downscale:factor=2")
    assert (
        reach(restore._through(denoiser), 3, 2, 1) == 6 * 2
    )  # first and last layers and two blocks of two, on the folded picture
    assert reach(restore._through(upscaler), 3, 1, 2) == 2 + 2 * 2  # first and last layers, two blocks of two


@pytest.mark.parametrize("tile", [15, -1, float("nan")])
def test_a_tile_that_is_none_is_refused(tile):
    with pytest.raises(ValueError, match=f"tile={tile} must lie between 16 and"):
        gargalo.denoise(model("denoiser", "noise:std=0.1"), COLOR, tile=tile)


def test_a_network_that_looks_everywhere_gets_the_whole_picture_once(monkeypatch):
    seen, padded = [], restore.padded
    monkeypatch.setattr(restore, "padded", lambda x, step: seen.append(padded(x, step)) or seen[-1])
    restored(model("inpainter", "mask", size=64, levels=6), np.tile(COLOR, (2, 2, 1)), tile=16)
    assert [x.shape[-2:] for x in seen] == [(128, 128)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(61, 47), (61, 47, 1), (61, 47, 2), (61, 47, 3), (61, 47, 4), (3, 61, 47)])
@pytest.mark.filterwarnings("ignore::gargalo.errors.OutOfDomainWarning")
def test_every_kind_of_picture_comes_back_as_it_was(dtype, shape):
    tops = {np.uint8: 255, np.uint16: 65535, np.float32: 1}
    picture = (RNG.random(shape) * tops[dtype]).astype(dtype)
    same = restored(model("denoiser", fresh=True), picture)  # a fresh one changes nothing
    assert same.dtype == dtype
    assert np.allclose(same, picture, rtol=0, atol=0 if dtype != np.float32 else 1e-6)
    changed = restored(model("denoiser"), picture)
    assert changed.shape == picture.shape
    if shape[-1] in (2, 4):
        assert np.array_equal(changed[..., -1], picture[..., -1])
        assert not np.array_equal(changed[..., 0], picture[..., 0])


@pytest.mark.parametrize("width", [3, 47])
def test_several_narrow_pictures_have_their_channels_first_too(width):
    trained, several = model("denoiser"), np.stack([COLOR[:, :width], 255 - COLOR[:, :width]])
    expected = np.stack([gargalo.denoise(trained, picture) for picture in several])
    assert np.array_equal(gargalo.denoise(trained, several.transpose(0, 3, 1, 2)), expected.transpose(0, 3, 1, 2))
    assert np.array_equal(gargalo.denoise(trained, several), expected)


def test_a_fresh_upscaler_is_bicubic_interpolation_and_enlarges_alpha():
    picture = np.concatenate([COLOR, COLOR[..., :1]], 2)
    large = gargalo.upscale(model("upscaler", "downscale:factor=3", fresh=True), picture)
    target = restoration.resized(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, (183, 141))
    assert np.abs(large - (target[0] * 255).permute(1, 2, 0).numpy()).max() <= 1


def test_a_gray_upscaler_enlarges_brightness_and_leaves_colors_to_interpolation():
    gray, fresh = (model("upscaler", "downscale:factor=3", 1, fresh=fresh) for fresh in (False, True))
    gray.net.decoder.last.weight.mul_(0.2)
    picture = COLOR / 1020 + 0.4  # in the middle of the range, so that nothing is cut
    large, bicubic = gargalo.upscale(gray, picture), gargalo.upscale(fresh, picture)
    weights = np.array([0.299, 0.587, 0.114])
    brightness = picture @ weights
    added = gargalo.upscale(gray, brightness) - gargalo.upscale(fresh, brightness)
    assert np.abs(added).max() > 0.01
    np.testing.assert_allclose(large - bicubic, np.repeat(added[..., None], 3, 2), atol=1e-5)
    np.testing.assert_allclose(large @ weights, gargalo.upscale(gray, brightness), atol=1e-5)
    expected = restoration.resized(torch.from_numpy(picture).permute(2, 0, 1)[None], (183, 141))[0].permute(1, 2, 0)
    np.testing.assert_allclose(bicubic, expected, atol=0.003)


@pytest.mark.parametrize(("method", "corruption", "channels"), TASKS)
@pytest.mark.filterwarnings("ignore::gargalo.errors.OutOfDomainWarning")
def test_8_bits_may_be_quick_and_hardly_differ(method, corruption, channels):
    trained = model(method, corruption, channels)
    with torch.no_grad():
        trained.net.decoder.last.weight.mul_(0.2)  # so that it moves pixels as a trained one would
    exact = restored(trained, COLOR.astype(np.uint16) * 257, tile=32) / 257
    whole, tiled = restored(trained, COLOR, tile=4096), restored(trained, COLOR, tile=32)
    assert np.square(whole - exact).mean() ** 0.5 < 1
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_turned_picture_gives_a_turned_result_with_self_ensemble():
    trained, picture = model("denoiser", "noise:std=0.1"), COLOR[:60, :46]
    once = gargalo.denoise(trained, picture, self_ensemble=True)
    turned = gargalo.denoise(trained, np.rot90(picture), self_ensemble=True)
    assert np.abs(np.rot90(once).astype(int) - turned).max() <= 1
    plain = gargalo.denoise(trained, np.rot90(picture))
    assert np.abs(np.rot90(gargalo.denoise(trained, picture)).astype(int) - plain).max() > 1


def test_what_is_not_hidden_stays_to_the_last_bit():
    filled = gargalo.inpaint(model("inpainter", "mask"), COLOR, HIDDEN)
    assert np.array_equal(filled[~HIDDEN], COLOR[~HIDDEN])
    other = np.where(HIDDEN[..., None], 255 - COLOR, COLOR)
    assert np.array_equal(gargalo.inpaint(model("inpainter", "mask"), other, HIDDEN), filled)  # it does not peek
    with pytest.raises(DataError, match="5x4, the picture 47x61"):
        gargalo.inpaint(model("inpainter", "mask"), COLOR, np.zeros((4, 5), np.uint8))


def test_a_picture_of_about_the_size_of_training_does_not_see_its_other_side():
    """An inpainter trained on 70 pixels, which it continues to 72."""
    trained = model("inpainter", "mask", size=70)
    picture, hidden = RNG.random((72, 72, 3), np.float32), np.zeros((72, 72), bool)
    hidden[:, -6:] = True
    other = picture.copy()
    other[:, :6] = 1 - other[:, :6]
    found, same = (gargalo.inpaint(trained, given, hidden)[:, -6:] for given in (picture, other))
    assert np.array_equal(found, same)


@pytest.mark.parametrize("name", ["denoiser-gray", "denoiser-color", "denoiser-color-large"])
def test_where_there_is_no_noise_nothing_changes(name):
    picture = COLOR if "color" in name else COLOR[..., 0]
    assert np.array_equal(gargalo.denoise(gargalo.shipped(name), picture, sigma=0), picture)


def test_a_mask_of_zeros_and_ones_or_with_alpha_is_what_it_says():
    trained, ones = model("inpainter", "mask"), HIDDEN.astype(np.uint8)
    filled = gargalo.inpaint(trained, COLOR, HIDDEN)
    for mask in (ones, np.stack([np.full_like(ones, 255), 255 * ones], 2)):
        assert np.array_equal(gargalo.inpaint(trained, COLOR, mask), filled)


def test_a_model_of_another_task_says_so():
    spec = DataSpec("image", (1, 7, 7))
    config = configured(
        "autoencoder", spec, 9, {}, Settings(), corruption="downscale:factor=3", augment="none", parts={}
    )
    uneven = TrainedModel(*checkpoint.build(config), config)
    with pytest.raises(ValueError, match="whole factors"):
        gargalo.upscale(uneven, COLOR[:2, :2, 0])
    with pytest.raises(ValueError, match=r"upscale needs 'downscale'. Train with --corruption downscale:factor=2"):
        gargalo.upscale(model("denoiser"), COLOR)
    with pytest.raises(ValueError, match=r"trained with corruption='none'; denoise needs 'noise'. Train with --corr"):
        gargalo.denoise(plain("none"), COLOR[:8, :8, 0])
    with pytest.raises(ValueError, match="cannot be told the noise"):
        gargalo.denoise(model("denoiser", "noise:std=0.1"), COLOR, sigma=20)
    with pytest.raises(ValueError, match="about \\[0, 1\\]"):
        gargalo.denoise(model("denoiser"), COLOR.astype(float))


def test_a_plain_autoencoder_cleans_pictures_of_its_size():
    trained = plain("noise")
    digits = RNG.integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    cleaned = gargalo.denoise(trained, digits)
    assert np.abs(cleaned.astype(int) - gargalo.reconstruct(trained, digits)).max() <= 1
    assert gargalo.denoise(trained, COLOR[:8, :8]).shape == (8, 8, 3)
    with pytest.raises(DataError, match="8x8 alone; this one is 47x61"):
        gargalo.denoise(trained, COLOR)


def test_a_model_of_one_size_works_on_the_whole_and_is_turned_as_far_as_it_fits():
    trained, picture = plain("noise", (12, 40)), RNG.random((12, 40), np.float32)
    once = gargalo.denoise(trained, picture)
    np.testing.assert_allclose(gargalo.denoise(trained, picture, tile=16), once)
    views = [np.flip(picture, axes) for axes in ((), (0,), (1,), (0, 1))]
    back = [np.flip(gargalo.denoise(trained, view), axes) for view, axes in zip(views, ((), 0, 1, (0, 1)), strict=True)]
    np.testing.assert_allclose(gargalo.denoise(trained, picture, self_ensemble=True), np.mean(back, 0), atol=1e-6)


def test_noise_is_measured_through_edges_and_shades():
    y, x = np.mgrid[:256, :320] / 256
    scene = 0.5 + 0.25 * np.sin(9 * x) * np.cos(7 * y) + 0.15 * (x > y)
    for sigma in (2, 10, 25, 50):
        noisy = scene + RNG.normal(0, sigma / 255, scene.shape)
        assert gargalo.noise_level(noisy) == pytest.approx(sigma, rel=0.06)
    assert gargalo.noise_level(scene) < 0.5
    large = np.tile(scene, (5, 5))[..., None] + RNG.normal(0, 20 / 255, (1280, 1600, 3))
    assert gargalo.noise_level(large) == pytest.approx(20, rel=0.05)
    dark = (scene.clip(0.4, 1) - 0.4) / 2  # more than half of it black
    for sigma in (10, 25):
        noisy = (255 * dark + RNG.normal(0, sigma, scene.shape)).round().clip(0, 255).astype(np.uint8)
        assert gargalo.noise_level(noisy) == pytest.approx(sigma, rel=0.1)
    assert functional.noise_std(torch.zeros(2, 3, 1, 1)).tolist() == [[0, 0, 0]] * 2


@pytest.mark.filterwarnings("error::gargalo.errors.OutOfDomainWarning")
def test_more_noise_than_was_seen_is_said():
    noisy = (0.5 + RNG.normal(0, 0.15, (64, 64, 3))).clip(-1, 2)
    gargalo.denoise(model("denoiser"), noisy)
    for trained in (model("denoiser"), model("denoiser", "noise:std=0-5e-2,told=1"), model("denoiser", "noise:told=1")):
        with pytest.raises(OutOfDomainWarning, match="more than this model has seen"):
            gargalo.denoise(trained, noisy, sigma=90)


@pytest.mark.parametrize(
    ("channels", "corruption", "told"),
    [
        (1, "noise:std=0-0.2,told=0.5", [[4.0], [10.0], [40.0]]),  # one by one
        (3, "noise:std=0-0.2,told=0.5", [[23.9165]]),  # all together
        (3, "noise:std=0-0.2,told=0.5,per_channel=true", [[4.0, 10.0, 40.0]]),
    ],
)
def test_noise_that_differs_from_channel_to_channel_is_told_as_the_model_wants_it(
    channels, corruption, told, monkeypatch
):
    monkeypatch.setattr(restore, "_noise_levels", lambda pixels: np.array([4.0, 10.0, 40.0]))
    seen, padded = [], restore.padded
    monkeypatch.setattr(restore, "padded", lambda x, step: seen.append(padded(x, step)) or seen[-1])
    gargalo.denoise(model("denoiser", corruption, channels), COLOR)
    np.testing.assert_allclose(255 * seen[-1][:, channels:, 0, 0].numpy(), told, atol=1e-3)


def test_a_color_denoiser_says_that_noise_of_gray_pictures_is_strange_to_it():
    with pytest.warns(OutOfDomainWarning, match="not noise that is the same in all channels"):
        gargalo.denoise(model("denoiser"), COLOR[..., 0])


def test_alpha_is_enlarged_piece_by_piece_as_the_whole():
    picture = np.concatenate([COLOR, COLOR[..., :1]], 2)
    trained = model("upscaler", "downscale:factor=2")
    whole, tiled = (gargalo.upscale(trained, picture, tile=tile) for tile in (4096, 16))
    assert np.array_equal(whole[..., 3], tiled[..., 3])
