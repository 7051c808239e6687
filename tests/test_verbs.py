"""Verbs as functions; evaluation against what it says it measures."""

import inspect
import math

import numpy as np
import pytest
import torch

import gargalo
from gargalo import acceleration, cli
from gargalo.data import open_source
from gargalo.evaluation import baselines
from gargalo.training import Settings
from gargalo.verbs.latent import decode


def test_a_row_does_not_depend_on_its_neighbors(digits_model):
    values = open_source("digits").values[:300].numpy()
    together = gargalo.embed(digits_model, values)
    assert np.array_equal(together[:100], gargalo.embed(digits_model, values[:100]))
    alone = gargalo.embed(digits_model, values[7:8])  # in a batch of its own size: the same to rounding
    np.testing.assert_allclose(together[7:8], alone, rtol=1e-5, atol=1e-5)
    assert np.array_equal(together[290:], gargalo.embed(digits_model, values[290:]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_the_same_comes_out(digits_run, digits_model):
    values, there = open_source("digits").values[:300].numpy(), gargalo.load(digits_run, device="cuda")
    assert there.device.type == "cuda"
    np.testing.assert_allclose(gargalo.embed(there, values), gargalo.embed(digits_model, values), atol=0.05)
    far = gargalo.reconstruct(there, values).astype(int) - gargalo.reconstruct(digits_model, values)
    assert np.abs(far).max() <= 3
    assert gargalo.sample(there, 5).shape == (5, 1, 8, 8)
    assert np.array_equal(gargalo.score(there, values).p_value, gargalo.score(digits_model, values).p_value)
    assert gargalo.evaluate(there) == gargalo.evaluate(digits_model)


def test_what_lies_elsewhere_is_measured_on_the_processor(digits_model):
    assert digits_model.on_cpu is digits_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(digits_model), "device", torch.device("meta"))
        twin = digits_model.on_cpu
    assert twin is not digits_model
    assert gargalo.evaluate(twin, limit=50) == gargalo.evaluate(digits_model, limit=50)


def test_bytes_and_floats_mean_the_same(digits_model):
    values = open_source("digits").values[:5].numpy()
    assert np.array_equal(
        gargalo.embed(digits_model, values), gargalo.embed(digits_model, values.astype(np.float32) / 255)
    )
    assert np.array_equal(gargalo.embed(digits_model, values), gargalo.embed(digits_model, values[:, 0]))


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 1, 9, 8), np.uint8), np.full((2, 1, 8, 8), 3.0), np.full((2, 1, 8, 8), np.nan)]
)
def test_wrong_arrays_are_refused(digits_model, bad):
    with pytest.raises(ValueError, match=r"shape|lie in"):
        gargalo.reconstruct(digits_model, bad)


def test_samples_are_a_function_of_the_seed(digits_model):
    assert np.array_equal(gargalo.sample(digits_model, 4, seed=1), gargalo.sample(digits_model, 4, seed=1))
    assert not np.array_equal(gargalo.sample(digits_model, 4, seed=1), gargalo.sample(digits_model, 4, seed=2))
    still = gargalo.sample(digits_model, 3, temperature=0)
    assert np.array_equal(still[0], still[2])


def test_evaluation_measures_what_it_says(digits_model):
    result = gargalo.evaluate(digits_model, samples=20)
    source = open_source("digits")
    held_out = source.values[source.indices("test")]
    mean = source.values[source.indices("train")].float().mean(0) / 255
    expected = float(((held_out / 255 - mean) ** 2).mean())
    assert result["baselines"]["mean"]["mse"] == pytest.approx(expected, rel=1e-5)
    assert result["baselines"]["floor"]["mse"] == 0
    assert result["n"] == len(held_out)
    assert result["nll"] <= -result["elbo"]
    assert result["kl"] == pytest.approx(sum(result["kl_per_dim"]), rel=1e-5)
    assert 0 <= result["active_units"] <= 2
    decoded = gargalo.reconstruct(digits_model, held_out.numpy()).astype(np.float64) / 255
    assert result["mse"] == pytest.approx(((decoded - held_out.numpy() / 255) ** 2).mean(), rel=0.01)


def test_pca_baseline_is_scikit_learns():
    train, test = torch.rand(50, 1, 4, 4), torch.rand(7, 1, 4, 4)
    complete = baselines.pca(train, test, 16)
    torch.testing.assert_close(complete, test, atol=1e-5, rtol=0)
    assert baselines.pca(train, test, 17) is None


def test_linear_baseline_finds_a_linear_map():
    x = torch.rand(500, 1, 3, 3)
    y = 2 * x[..., :2, :2] - 0.5
    found = baselines.ridge(x, y, x[:4], (1, 2, 2), penalty=1e-6)
    torch.testing.assert_close(found, y[:4], atol=1e-4, rtol=0)


def test_a_losing_model_is_told_so(tmp_path):
    model = gargalo.train("autoencoder", "digits", tmp_path / "run", epochs=1, lr=1e-6)
    result = gargalo.evaluate(model)
    assert "LOSES to PCA" in result["verdict"]


def test_conditional_models_want_labels(tmp_path):
    model = gargalo.train("cvae", "digits", tmp_path / "run", epochs=2)
    source = open_source("digits")
    assert gargalo.reconstruct(model, source.values[:3], labels=source.labels[:3]).shape == (3, 1, 8, 8)
    assert gargalo.sample(model, 12).shape == (12, 1, 8, 8)
    for labels in (None, [1, 2], [10, 0, 0]):
        with pytest.raises(ValueError, match="labels"):
            gargalo.reconstruct(model, source.values[:3], labels=labels)


def test_a_label_cannot_be_ordered_from_a_model_without(digits_model):
    with pytest.raises(ValueError, match="not conditional"):
        gargalo.sample(digits_model, 3, label=1)
    with pytest.raises(ValueError, match="not conditional"):
        gargalo.traverse(digits_model, open_source("digits").values[0], label=1)


@pytest.mark.parametrize("temperature", [-1, math.nan, math.inf])
def test_a_temperature_is_a_number(digits_model, temperature):
    with pytest.raises(ValueError, match="temperature"):
        gargalo.sample(digits_model, 3, temperature=temperature)


def test_a_code_that_carries_nothing_is_called_broken(tmp_path):
    model = gargalo.train("beta_vae", "digits", tmp_path / "run", epochs=20, beta=100)
    assert "BROKEN" in gargalo.evaluate(model)["verdict"]


def test_a_denoiser_is_measured_beside_a_linear_map(tmp_path):
    model = gargalo.train("autoencoder", "digits", tmp_path / "run", corruption="noise:std=0.3", epochs=3)
    result = gargalo.evaluate(model)
    assert {"linear", "input"} <= set(result["baselines"])
    small = gargalo.train("autoencoder", "digits", tmp_path / "small", corruption="downscale:factor=2", epochs=3)
    assert small.spec.input_shape == (1, 4, 4)
    assert gargalo.reconstruct(small, np.zeros((2, 4, 4), np.uint8)).shape == (2, 1, 8, 8)


def test_training_options_do_not_clash_with_the_methods():
    from gargalo.registry import method

    gargalo.available("methods")
    fields = set(Settings.__annotations__)
    for name in method:
        assert not fields & set(method.arguments(name)), name


@pytest.mark.parametrize(
    ("verb", "functions"),
    [
        ("resume", ("resume",)),
        ("evaluate", ("evaluate",)),
        ("reconstruct", ("reconstruct", "reconstruct_song")),
        ("project", ("project",)),
        ("sample", ("sample", "sample_songs")),
        ("interpolate", ("interpolate", "interpolate_songs")),
        ("vary", ("vary_song",)),
        ("continue_", ("continue_song",)),
    ],
)
def test_commands_take_the_parameters_of_their_functions(verb, functions):
    function = {name for each in functions for name in inspect.signature(getattr(gargalo, each)).parameters}
    commands = {command.callback.__name__: command.callback for command in cli.app.registered_commands}
    command = set(inspect.signature(commands[verb]).parameters)
    own = {"run", "out", "as_json"}  # files in and out stand for the model and the arrays
    if "data" in command - function:  # where a data set stands for pictures and their labels
        own, function = own | {"data", "split", "limit"}, function - {"images", "labels"}
    if len(functions) > 1 or functions[0].endswith("_song"):  # and files, or a tune of a book, for songs
        own, function = own | {"tune", "c", "d", "song"}, function - {"song", "songs", "together"}
    assert command - own == function - {"model", "run", "progress"}


def test_public_names_are_complete_and_sorted():
    assert gargalo.__all__ == sorted(gargalo.__all__)
    assert all(getattr(gargalo, name) is not None for name in gargalo.__all__)


def test_many_pictures_are_decoded_in_bfloat16_only_where_it_cannot_be_seen(digits_model):
    codes = np.random.default_rng(0).normal(size=(40, digits_model.latent_dim)).astype(np.float32)
    many = decode(digits_model, codes).astype(int)
    one_by_one = np.concatenate([decode(digits_model, code[None]) for code in codes])
    assert np.abs(many - one_by_one).max() <= 1


def test_a_decoder_that_bfloat16_would_change_stays_in_float32(digits_model):
    net = digits_model.net
    assert acceleration.quick_decoder(net, 0.0, 0) is net
    assert isinstance(acceleration.QuickDecoder(net).decode(torch.zeros(2, *net.prior.shape)).mode, torch.Tensor)


def test_what_is_lost_is_told_beside_pca(digits_model):
    result = gargalo.evaluate(digits_model, samples=1)
    rows = {"model": result} | result["baselines"]
    assert rows["floor"]["edges"] == pytest.approx(1)
    assert max(rows["floor"]["lost"]) == 0
    assert rows["mean"]["edges"] < rows["pca"]["edges"] < 1
    assert all(len(row["lost"]) == 4 for row in rows.values())
    assert min(rows["mean"]["lost"]) > 0.05
    assert all(m > p for m, p in zip(rows["mean"]["lost"], rows["pca"]["lost"], strict=True))


def test_structural_similarity_is_a_loss_of_pictures(tmp_path):
    model = gargalo.train("autoencoder", "digits", tmp_path / "run", likelihood="ssim", epochs=50, precision="bfloat16")
    assert gargalo.evaluate(model)["ssim"] > 0.9
    with pytest.raises(ValueError, match="weight=-1"):
        gargalo.train("autoencoder", "digits", tmp_path / "other", likelihood="ssim:weight=-1")
    np.save(tmp_path / "t.npy", np.zeros((9, 3)))
    with pytest.raises(ValueError, match="ssim compares pictures"):
        gargalo.train("autoencoder", str(tmp_path / "t.npy"), tmp_path / "other", likelihood="ssim")
