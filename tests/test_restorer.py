"""Networks that repair pictures: of any size, the identity until they have learned, and trained by one command."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import gargalo
from gargalo import functional, methods  # noqa: F401  (registers the methods)
from gargalo.data import open_source
from gargalo.data.batches import Feed
from gargalo.evaluation import noise
from gargalo.model import Batch
from gargalo.registry import corruption, method
from gargalo.self_supervised import Neighbors, cut_noise
from gargalo.spec import DataSpec
from gargalo.training import Settings, TrainState, seeded, train
from test_cli import run_gargalo


def make(name, shape, rule="none", **arguments):
    likelihood = "gaussian:squash=false"
    shaped = tuple(corruption.select(rule)(torch.zeros(1, *shape), torch.Generator()).shape[1:])
    with seeded(0):
        return method[name](DataSpec("image", shape, input_shape=shaped, likelihood=likelihood), **arguments)


def repaired(net, x):
    with torch.no_grad():
        return net.decode(net.encode(x).mode).mode


@pytest.mark.parametrize(
    ("name", "rule"),
    [("denoiser", "noise:told=0.5"), ("denoiser", "noise"), ("upscaler", "downscale:factor=3"), ("inpainter", "mask")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_fresh_one_gives_back_a_picture_of_any_size(name, rule, channels):
    net, _ = make(name, (channels, 48, 48), rule, size="tiny")
    for height, width in ((48, 48), (96, 144), (144, 48)):
        x = corruption.select(rule)(torch.rand(2, channels, height, width), torch.Generator().manual_seed(0))
        expected = x[:, :channels]
        if name == "upscaler":
            expected = torch.nn.functional.interpolate(expected, (height, width), mode="bicubic", antialias=True)
        torch.testing.assert_close(repaired(net, x), expected)


@pytest.mark.parametrize("name", ["denoiser", "inpainter"])
def test_odd_sides_of_the_training_pictures_are_cut_back(name):
    net, _ = make(name, (1, 13, 9), size="tiny")
    x = torch.rand(2, 1, 13, 9)
    torch.testing.assert_close(repaired(net, x), x)


def test_what_is_far_away_does_not_matter_so_that_tiles_join():
    """A pixel's answer comes from a neighborhood: of the base denoiser, 2 * (12 + 1) pixels each side."""
    net, _ = make("denoiser", (1, 72, 72))
    torch.nn.init.normal_(net.decoder.last.weight, std=0.1)
    x = torch.rand(1, 1, 96, 96)
    part = repaired(net, x[..., :72, :72])
    torch.testing.assert_close(part[..., :46, :46], repaired(net, x)[..., :46, :46])
    assert not torch.allclose(part[..., -1, :], repaired(net, x)[..., 71, :72], atol=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_sizes_are_those_that_pay_on_a_processor(factor):
    count = lambda model: sum(p.numel() for p in model.parameters())  # noqa: E731
    assert count(make("upscaler", (3, 72, 72), f"downscale:factor={factor}")[0]) <= 120_000 + 15_000 * (factor > 2)
    assert count(make("upscaler", (1, 72, 72), f"downscale:factor={factor}")[0]) <= 120_000
    for channels in (1, 3):
        assert 240_000 < count(make("denoiser", (channels, 72, 72), "noise:told=1")[0]) < 270_000
    sizes = [count(make("denoiser", (1, 72, 72), size=size)[0]) for size in ("tiny", "small", "base", "large")]
    assert sizes == sorted(sizes)


def test_without_biases_an_answer_scales_with_its_input():
    net, _ = make("denoiser", (1, 24, 24), "noise:told=1", bias=False, size="tiny")
    torch.nn.init.normal_(net.decoder.last.weight, std=0.1)
    x = torch.rand(1, 2, 24, 24)
    torch.testing.assert_close(repaired(net, 3 * x), 3 * repaired(net, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "rule", "says"),
    [
        ("denoiser", (1, 24, 25), "downscale:factor=2", "by a whole factor"),
        ("upscaler", (1, 36, 36), "downscale:factor=9", "up to 8"),
        ("inpainter", (20,), "patches", "Only pictures"),
    ],
)
def test_what_cannot_be_repaired_is_refused(name, shape, rule, says):
    kind = "image" if len(shape) == 3 else "vector"
    shaped = tuple(corruption.select(rule)(torch.zeros(1, *shape), torch.Generator()).shape[1:])
    with pytest.raises(ValueError, match=says):
        method[name](DataSpec(kind, shape, input_shape=shaped))


def test_neighbors_are_two_pixels_of_each_square_side_by_side():
    x = torch.arange(2 * 3 * 6 * 4.0).view(2, 3, 6, 4)
    choice = torch.randint(8, (2, 3, 2), generator=torch.Generator().manual_seed(0))
    one, other = functional.neighbors(x, choice)
    seen = set()
    for n, i, j in np.ndindex(2, 3, 2):
        square = x[n, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a = [(p, q) for p, q in np.ndindex(2, 2) if torch.equal(square[:, p, q], one[n, :, i, j])]
        b = [(p, q) for p, q in np.ndindex(2, 2) if torch.equal(square[:, p, q], other[n, :, i, j])]
        assert abs(a[0][0] - b[0][0]) + abs(a[0][1] - b[0][1]) == 1
        seen.add((int(choice[n, i, j]), a[0], b[0]))
    assert len({number for number, *_ in seen}) == len(seen)  # a number means one pair


def test_means_of_what_was_cut_say_what_was_meant():
    meant = torch.tensor([0.0, 0.02, 0.05, 0.1, 0.5, 0.9, 0.97, 1.0])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 8, 200_000, generator=generator) * torch.tensor([0.1, 0.02])[:, None, None]
    mean = (meant[:, None] + noise).clamp(0, 1).mean(2)
    found = functional.uncut(mean.view(1, 2, 2, 4), torch.tensor([0.1, 0.02]))
    assert float((mean - meant).abs().max()) > 0.03
    assert torch.allclose(found.view(2, 8), meant.expand(2, 8), atol=2e-3)
    values = torch.rand(1, 1, 9, 9)
    assert torch.allclose(functional.uncut(values, torch.zeros(1)), values, atol=1e-5)


@pytest.mark.parametrize("meant", [-0.05, 0.0, 0.05, 0.2, 0.5, 0.93, 1.0])
def test_noise_is_drawn_as_cutting_leaves_it(meant):
    brute = (meant + 0.1 * torch.randn(400_000)).clamp(0, 1)
    mean = torch.full((400_000,), float(brute.mean()))
    drawn = mean + cut_noise(mean, torch.full_like(mean, 0.1), torch.randn_like(mean))
    assert float(drawn.min()) >= -1e-6
    assert float(drawn.max()) <= 1 + 1e-6
    places = torch.tensor([0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
    torch.testing.assert_close(drawn.quantile(places), brute.quantile(places), atol=2e-3, rtol=0)


def test_noise_is_measured_by_brightness():
    generator = torch.Generator().manual_seed(2)
    clean = torch.nn.functional.interpolate(torch.rand(64, 2, 4, 4, generator=generator), 80, mode="bicubic")
    law = 0.002 * torch.tensor([1.0, 3.0])[:, None, None] * clean.clamp(0, 1) + 0.0004
    noisy = clean + law.sqrt() * torch.randn(clean.shape, generator=generator)
    found = functional.noise_by_brightness(noisy, clean, 8)
    middles = (torch.arange(8) + 0.5) / 8
    wanted = (0.002 * torch.tensor([[1.0], [3.0]]) * middles + 0.0004).sqrt()
    assert torch.allclose(found, wanted, rtol=0.1)
    flat = torch.full((4, 1, 64, 64), 0.3)
    assert functional.noise_by_brightness(flat, flat, 8).isnan().sum() == 7


def test_noise_that_is_measured_does_not_lean_on_how_many_squares_there_are():
    std, clean = 0.1, torch.full((2, 1, 64, 64), 0.5)
    found = [functional.noise_by_brightness(clean + std * torch.randn(clean.shape), clean, 8)[0, 4] for _ in range(200)]
    assert float(torch.stack(found).mean()) == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize(("level", "share"), [(0.5, 0.25), (0.0, 1.0)])
def test_of_whole_pictures_the_clean_one_is_best(level, share):
    """Of answers that keep a share of the noise, all that they are given, none is liked better than the clean one; of
    black ones, whose noise is cut, than what this leaves."""
    generator, std = torch.Generator().manual_seed(0), 0.1
    noisy = (level + std * torch.randn(4, 1, 128, 128, generator=generator)).clamp(0, 1)
    flat = float(noisy.mean())
    clean = torch.full_like(noisy, flat)
    gray = (0.5 + std * torch.randn(4, 1, 128, 128, generator=generator)).clamp(0, 1)
    objective = Neighbors(0.0, 1.0, 1)

    def whole(kept):
        def answer(batch):
            return SimpleNamespace(likelihood=SimpleNamespace(mode=flat + kept * (batch.input - flat)))

        with seeded(1):
            return float(objective._whole(answer, noisy, clean).mean()) / clean[0].numel()

    objective._measured(gray, torch.full_like(gray, 0.5))  # by which it is known how much was cut
    assert objective.noise.nanmean() == pytest.approx(std, rel=0.05)
    found = [whole(kept) for kept in (0.0, 0.3, 1.0)]
    left, target = float(noisy.var()) / std**2, 1 + share**-2
    wanted = [0.25 * left * (target + kept**2 * (1 + share**2)) for kept in (0.0, 0.3, 1.0)]
    assert found == pytest.approx(wanted, rel=0.03)


def test_what_is_added_to_whole_pictures_leaves_answers_alone():
    """With either sign it cancels: an answer that looks at nothing is drawn to the picture as it was given."""
    generator = torch.Generator().manual_seed(0)
    noisy = 0.5 + 0.1 * torch.randn(2, 1, 64, 64, generator=generator)
    answer = torch.full((2, 1, 64, 64), 0.4, requires_grad=True)
    objective = Neighbors(0.0, 1.0, 1)

    def model(batch):
        return SimpleNamespace(likelihood=SimpleNamespace(mode=answer.repeat(2, 1, 1, 1)))

    objective._whole(model, noisy, torch.full_like(noisy, 0.5)).mean().backward()
    away = answer.detach() - noisy
    assert torch.allclose(answer.grad / answer.grad.std(), away / away.std(), atol=1e-3)


def test_halves_say_how_well_it_does_whatever_noise_was_measured():
    model, objective = make("denoiser", (1, 64, 64), size="tiny", self_supervised=True)
    noisy = [0.5 + level * torch.randn(8, 1, 64, 64) for level in (0.1, 0.2)]
    found = objective.eval()(model, Batch(noisy[0], noisy[0]))
    assert set(found.terms) == {"nll"}
    assert torch.equal(found.total, found.terms["nll"])
    assert objective.noise.isnan().all()  # nor is it measured of what is not learned from
    totals = []
    for level in (0, 1):
        assert set(objective.train()(model, Batch(noisy[level], noisy[level])).terms) == {"nll", "whole", "apart"}
        with seeded(2):
            totals.append(objective.eval()(model, Batch(noisy[0], noisy[0])).total)
    assert torch.equal(*totals)
    first = objective.noise.nanmean()
    objective.train()(model, Batch(noisy[1], noisy[1]))
    assert objective.noise.nanmean() > first


def scenes(n=40, side=32):
    """Smooth pictures, which are easily told from noise."""
    with seeded(3):
        return torch.nn.functional.interpolate(torch.rand(n, 1, 5, 5), side, mode="bicubic").clamp(0, 1)


def test_noise_is_learned_without_clean_pictures():
    clean = scenes()
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    model, objective = make("denoiser", (1, 32, 32), size="tiny", self_supervised=True)
    settings = Settings(epochs=1, batch_size=8, lr=3e-3, warmup=20, device="cpu")
    state = TrainState(model, objective, settings, 250)
    for _ in train(
        state, (Batch(part, torch.full_like(part, torch.nan)) for _ in range(50) for part in noisy.split(8)), settings
    ):
        pass  # the targets are not numbers: nothing may look at them
    error = (repaired(state.average, noisy) - clean).square().mean()
    assert float(error) < 0.35 * 0.01
    found = objective.eval()(model, Batch(noisy, noisy))
    assert torch.equal(found.total.detach(), found.terms["nll"])  # `apart` likes noise
    assert [state.observe(number) for number in (1.0, 2.0, 3.0)] == [True] * 3  # the last weights are kept
    assert (state.best_loss, state.stale) == (3.0, 2)


@pytest.mark.parametrize("side", [13, 48, 50])
def test_pictures_of_any_sides_teach_without_clean_ones(side):
    model, objective = make("denoiser", (1, side, side), size="tiny", self_supervised=True)
    noisy = torch.rand(2, 1, side, side)
    assert objective(model, Batch(noisy, noisy)).total.isfinite()


def test_two_noisy_shots_teach_as_clean_ones_do():
    clean = scenes()
    g = torch.Generator().manual_seed(1)
    model, objective = make("denoiser", (1, 32, 32), size="tiny")
    settings = Settings(epochs=1, batch_size=8, lr=3e-3, warmup=20, device="cpu")
    state = TrainState(model, objective, settings, 250)
    shots = [clean + 0.1 * torch.randn(clean.shape, generator=g) for _ in range(2)]
    parts = zip(shots[0].split(8), shots[1].split(8), strict=True)
    batches = [Batch(one, other) for one, other in parts] * 50
    for _ in train(state, batches, settings):
        pass
    assert float((repaired(state.average, shots[0]) - clean).square().mean()) < 0.35 * 0.01


def test_correlated_noise_is_found_whatever_the_pictures():
    clean, found = scenes(60, 64), []
    for sigma in (0.0, 0.7, 1.5):
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        noise = noise if not sigma else functional.smooth(noise, sigma)
        pictures = 0.3 + 0.4 * clean + 0.05 * noise / noise.std()
        found.append(functional.noise_correlation(pictures.clamp(0, 1))[0])
    assert abs(found[0]) < 0.025
    assert 0.4 < found[1] < found[2]
    assert functional.noise_correlation(torch.ones(2, 1, 16, 16))[0] == 0  # everything cut: nothing is known


def test_independent_noise_has_no_correlation_but_by_chance():
    for seed in range(4):
        noise = torch.randn(128, 1, 64, 64, generator=torch.Generator().manual_seed(seed))
        found, error = functional.noise_correlation(0.5 + 0.1 * noise)
        assert abs(found) < 3 * error < 0.015


def test_chance_in_a_few_small_pictures_is_no_complaint(tmp_path):
    for seed in range(8):
        np.save(tmp_path / f"{seed}.npy", np.random.default_rng(seed).normal(128, 25, (4, 16, 16, 1)).astype(np.uint8))
        source = open_source(str(tmp_path / f"{seed}.npy"))
        assert noise.complaint(Neighbors(1.0, 1.0, 1), source, "none") is None


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, picture in enumerate(scenes(12, 60)):
        pixels = (picture[0] * 255).byte().numpy()
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def test_one_command_trains_on_a_folder_and_all_else_follows(photos, tmp_path):
    options = ["--size", "tiny", "--epochs", "15", "-o", str(tmp_path / "run")]
    command = [sys.executable, "-m", "gargalo", "train", "denoiser", f"{photos}:size=24", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    config = gargalo.show(gargalo.load(tmp_path / "run"))
    assert config["corruption"] == "noise:std=0-0.2157,told=0.5,clip=0.5"
    assert config["augment"] == "dihedral"
    assert tuple(config["spec"]["shape"]) == (1, 24, 24)
    assert tuple(config["spec"]["input_shape"]) == (2, 24, 24)
    assert config["spec"]["likelihood"] == "gaussian:squash=false"
    found = gargalo.evaluate(gargalo.load(tmp_path / "run"))
    assert found["mse"] < found["baselines"]["input"]["mse"]


def test_what_is_said_counts_more_than_what_is_suggested(photos, tmp_path):
    model = gargalo.train(
        "denoiser", f"folder:path={photos},size=24", tmp_path / "run", size="tiny", epochs=1,
        corruption="poisson:peak=20", augment="none", likelihood="laplace", batch_size=4, lr=1e-4,
    )  # fmt: skip
    assert model.corruption == "poisson:peak=20"
    assert model.config["augment"] == "none"
    assert model.spec.likelihood == "laplace"
    assert (model.config["settings"]["batch_size"], model.config["settings"]["lr"]) == (4, 1e-4)
    assert model.spec.fit == "crop"


def test_a_resumed_denoiser_is_the_same_run(photos, tmp_path):
    class StopError(Exception):
        pass

    def stop(step):
        if step["number"] == 9:
            raise StopError

    options = {"size": "tiny", "epochs": 4, "save_every": 0.0, "batch_size": 16}
    whole = gargalo.train("denoiser", f"{photos}:size=24", tmp_path / "whole", **options)
    with pytest.raises(StopError):
        gargalo.train("denoiser", f"{photos}:size=24", tmp_path / "part", progress=stop, **options)
    rest = gargalo.resume(tmp_path / "part")
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, rest.net.state_dict()[name]), name


def test_pairs_train_on_what_was_shot(photos, tmp_path):
    (tmp_path / "dark").mkdir()
    for file in photos.iterdir():
        Image.fromarray(np.array(Image.open(file)) // 2).save(tmp_path / "dark" / file.name)
    data = f"pairs:dirty={tmp_path / 'dark'},clean={photos},size=24"
    model = gargalo.train("denoiser", data, tmp_path / "run", size="tiny", epochs=10, lr=3e-3)
    assert model.corruption == "none"
    found = gargalo.evaluate(model)
    assert found["mse"] < 0.1 * found["baselines"]["input"]["mse"]
    batch = next(Feed(open_source(data), torch.arange(8), 8).in_order())
    assert torch.equal(batch.input, (batch.target * 255 // 2) / 255)


def test_training_without_clean_pictures_warns_of_noise_it_cannot_tell(photos, tmp_path):
    options = {"size": "tiny", "epochs": 1, "self_supervised": True}
    model = gargalo.train("denoiser", f"{photos}:size=24", tmp_path / "a", corruption="noise:std=0.1", **options)
    assert model.spec.input_shape == (1, 24, 24)
    assert not [finding for finding in gargalo.diagnose(model) if "neighboring" in finding.what]
    assert gargalo.evaluate(model)["note"] is None  # the pictures before this noise are at hand
    for file in photos.iterdir():
        noisy = np.array(Image.open(file)) / 255 * 0.5 + 0.2
        noise = functional.smooth(torch.randn(1, 1, *noisy.shape, generator=torch.Generator().manual_seed(5)), 1.0)
        Image.fromarray(((noisy + 0.2 * noise[0, 0].numpy()).clip(0, 1) * 255).astype(np.uint8)).save(file)
    with pytest.warns(UserWarning, match="neighboring pixels is correlated"):
        model = gargalo.train("denoiser", f"{photos}:size=24", tmp_path / "b", **options)
    assert model.corruption == "none"
    assert [finding for finding in gargalo.diagnose(model) if "neighboring" in finding.what]
    note = "pictures as they were given, noise included"
    assert note in gargalo.evaluate(model)["note"]
    assert note in gargalo.report(tmp_path / "b").read_text()
    assert note in run_gargalo("evaluate", tmp_path / "b").stdout
    assert gargalo.evaluate(model, f"pairs:dirty={photos},clean={photos},size=24")["note"] is None


def test_a_denoiser_learns_color_from_the_first_steps_on():
    """Plain convolutions stood still there."""
    spec = DataSpec("image", (3, 24, 24), (4, 24, 24), network="convnet", likelihood="gaussian:squash=false")
    with seeded(0):
        net, objective = method["denoiser"](spec)
        x = torch.rand(8, 3, 6, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
        batch = Batch(torch.cat([x + 0.15 * torch.randn_like(x), torch.full((8, 1, 24, 24), 0.15)], 1), x)
        settings = Settings(epochs=1, batch_size=8, lr=1e-3, warmup=0, device="cpu")
        state = TrainState(net, objective, settings, 40)
        list(train(state, [batch] * 40, settings))
    with torch.no_grad():
        error = (net.eval()(batch).likelihood.mode - x).square().mean()
    assert error < 0.5 * 0.15**2
