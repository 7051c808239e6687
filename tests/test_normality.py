"""What does not belong: likeness by edges, p-values that hold, a heat map, and the warning."""

import csv
import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

import gargalo
from gargalo import checkpoint
from gargalo import functional as f
from gargalo.data import open_like, open_source
from gargalo.evaluation import normality
from gargalo.evaluation.normality import Normality, domain
from gargalo.likelihoods import AutoregressiveBernoulli
from gargalo.model import Batch
from gargalo.verbs import _arrays
from test_cli import run_gargalo

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def zeros_run(tmp_path_factory):
    """An autoencoder that has seen nothing but noughts."""
    run = tmp_path_factory.mktemp("runs") / "zeros"
    gargalo.train("autoencoder", "digits:only=0", run, latent_dim=4, epochs=60)
    return run


@pytest.fixture(scope="module")
def zeros(zeros_run):
    return gargalo.load(zeros_run)


def pictures(selector, part="test"):
    source = open_source(selector)
    return source.gather(source.indices(part)).target


def test_edges_tell_directions():
    step = torch.zeros(1, 1, 20, 20)
    step[..., 10:] = 1  # brighter to the right: direction 0
    found = f.oriented_edges(step).mean((0, 2, 3))
    assert found.argmax() == 0
    assert found[2:7].max() < 1e-6  # a quarter turn away and more
    turned = f.oriented_edges(step.transpose(2, 3)).mean((0, 2, 3))
    np.testing.assert_allclose(turned, found.roll(2), atol=1e-6)
    np.testing.assert_allclose(f.oriented_edges(1 - step).mean((0, 2, 3)), found.roll(4), atol=1e-6)
    assert not f.oriented_edges(torch.full((1, 3, 9, 9), 0.7)).any()


def test_smoothing_is_a_weighted_mean_that_continues_the_border():
    x = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0)).double()
    np.testing.assert_allclose(f.smooth(torch.full((1, 1, 4, 4), 0.3), 1.0), 0.3, rtol=1e-6)
    window = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    window = np.outer(window, window) / window.sum() ** 2
    padded = np.pad(x[1, 2].numpy(), 3, mode="edge")
    expected = [[(padded[i : i + 7, j : j + 7] * window).sum() for j in range(7)] for i in range(9)]
    np.testing.assert_allclose(f.smooth(x, 1.0)[1, 2], expected, rtol=1e-6)


def known(held_out):
    one, zero = torch.ones(1), torch.zeros(4)
    return Normality(one, one[None], one[None], one[None], one, zero, zero, held_out, one, one)


def test_p_values_count_the_held_out_examples_that_are_as_strange():
    held_out = torch.from_numpy(RNG.normal(size=(99, 4)).astype(np.float32))
    answers = torch.from_numpy(RNG.normal(size=(50, 4)).astype(np.float32))
    answers[0] = held_out[3]  # as strange as one of them: a tie counts against it
    expected = [(1 + sum(h.max() >= a.max() for h in held_out)) / 100 for a in answers]
    np.testing.assert_allclose(known(held_out).p_values(answers), expected)
    two = [(1 + sum(h[:2].max() >= a[:2].max() for h in held_out)) / 100 for a in answers]
    np.testing.assert_allclose(known(held_out).p_values(answers[:, :2]), two)


def test_the_spread_of_parts_is_that_of_all_rows():
    rows = torch.randn(50, 3, 4) * 5 + 300
    mean, deviation = normality._spread(rows.split(7))
    torch.testing.assert_close(mean, rows.mean(0))
    torch.testing.assert_close(deviation, rows.std(0, correction=0))


def test_tensors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="held_out has shape"):
        known(torch.zeros(5, 3))


@pytest.mark.parametrize("numbers", [6, normality.MAX_FEATURES + 1])
def test_of_fresh_normal_vectors_few_are_flagged_and_of_strange_ones_most(tmp_path, numbers):
    mixing = RNG.normal(size=(3, numbers))
    np.save(tmp_path / "t.npy", RNG.normal(size=(1500, 3)) @ mixing + 0.1 * RNG.normal(size=(1500, numbers)))
    model = gargalo.train("autoencoder", str(tmp_path / "t.npy"), tmp_path / "run", latent_dim=3, epochs=5)
    fresh = RNG.normal(size=(1000, 3)) @ mixing + 0.1 * RNG.normal(size=(1000, numbers))
    flagged = (gargalo.score(model, fresh).p_value <= 0.1).mean()
    assert 0.03 < flagged < 0.2  # 150 held-out rows: a standard deviation of 2.6 %
    strange = gargalo.score(model, RNG.normal(size=(200, numbers)) * mixing.std(0) * 1.7)
    assert (strange.p_value <= 0.1).mean() > 0.9
    assert strange.strangeness.mean() > 3


def test_other_digits_are_stranger_than_those_it_was_trained_on(zeros):
    own, other = pictures("digits:only=0"), pictures("digits:only=1+4+7")
    strange, normal = gargalo.score(zeros, other), gargalo.score(zeros, own)
    assert np.median(strange.p_value) < 0.1 < np.median(normal.p_value)
    assert (strange.strangeness[:, None] > normal.strangeness).mean() > 0.97
    assert set(strange.reason) <= set(normality.QUESTIONS)
    alone = gargalo.score(zeros, other[5:6])
    np.testing.assert_allclose(alone.strangeness, strange.strangeness[5:6], rtol=1e-4)


def test_a_heat_map_shows_where(zeros):
    good = pictures("digits:only=0")[:8]
    spoilt = good.clone()
    spoilt[..., 2:5, 2:5] = 255 - spoilt[..., 2:5, 2:5]
    more = gargalo.heat_map(zeros, spoilt) - gargalo.heat_map(zeros, good)
    assert more.shape == (8, 8, 8)
    assert more[:, 2:5, 2:5].mean() > 3 * max(1.0, more[:, :, 6:].mean())


def test_a_conditional_model_and_one_with_a_corruption_can_be_asked(tmp_path):
    model = gargalo.train("cvae", "digits", tmp_path / "c", epochs=2)
    source = open_source("digits")
    part = source.gather(source.indices("test"))
    assert gargalo.score(model, part.target, labels=part.condition).p_value.mean() > 0.2
    with pytest.raises(ValueError, match="needs labels"):
        gargalo.score(model, part.target)
    small = gargalo.train("autoencoder", "digits", tmp_path / "d", corruption="downscale:factor=2", epochs=2)
    assert gargalo.score(small, part.target).p_value.mean() > 0.2
    assert gargalo.heat_map(small, part.target[:2]).shape == (2, 8, 8)


def test_what_is_normal_is_kept_with_the_weights_it_belongs_to(zeros_run):
    file = zeros_run / checkpoint.NORMALITY
    config, _ = checkpoint.read(zeros_run)
    kept = checkpoint.kept(zeros_run, file.name, config)
    assert kept is not None
    content = file.read_bytes()
    other = config | {"sha256": config["sha256"] | {"model.safetensors": "another"}}
    assert checkpoint.kept(zeros_run, file.name, other) is None
    try:
        for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:1000], b""):
            file.write_bytes(damaged)
            assert checkpoint.kept(zeros_run, file.name, config) is None
        file.unlink()
        model = gargalo.load(zeros_run)
        gargalo.embed(model, pictures("digits:only=1"))  # nothing is known, so nothing is said
        gargalo.score(model, pictures("digits:only=0"))  # it is found out again
        assert {k: v.shape for k, v in kept.tensors.items()} == {k: v.shape for k, v in model.normality.items()}
        assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in model.normality.items())
        assert file.exists()
    finally:
        file.write_bytes(content)


def test_a_model_in_memory_does_not_know(zeros):
    with pytest.raises(ValueError, match="not made by `gargalo train`"):
        gargalo.score(dataclasses.replace(zeros, path=None), pictures("digits:only=0"))


@pytest.mark.filterwarnings("error::gargalo.errors.OutOfDomainWarning")
def test_foreign_inputs_are_warned_of_and_held_out_ones_are_not(digits_model):
    own = pictures("digits")
    gargalo.reconstruct(digits_model, own)
    for rows in (slice(1), slice(7), slice(None)):
        gargalo.embed(digits_model, own[rows])
    with pytest.warns(gargalo.OutOfDomainWarning, match=r"^\d+% of these examples are outside .*digits"):
        gargalo.embed(digits_model, np.zeros((9, 8, 8), np.uint8))
    with pytest.warns(gargalo.OutOfDomainWarning):
        gargalo.reconstruct(digits_model, RNG.integers(0, 255, (9, 8, 8), np.uint8))


def test_one_picture_is_enough_for_a_warning_where_it_is_stranger_than_all_that_are_known(digits_model):
    own, heard = pictures("digits"), []
    for row in own.split(1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gargalo.embed(digits_model, row)
        heard += [str(warning.message) for warning in caught]
    assert len(heard) <= 0.01 * len(own), heard
    with pytest.warns(gargalo.OutOfDomainWarning, match="^This picture is outside"):
        gargalo.embed(digits_model, RNG.integers(0, 255, (1, 8, 8), np.uint8))


def test_what_is_normal_is_learned_from_all_classes_of_data_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(normality, "MAX_TRAINED", 100)
    source = open_source("digits")
    order = np.argsort(source.labels.numpy(), kind="stable")
    np.save(tmp_path / "sorted.npy", source.values.numpy()[order])
    model = gargalo.train("autoencoder", str(tmp_path / "sorted.npy"), tmp_path / "run", latent_dim=8, epochs=20)
    known = normality.of(model).features.float()
    x = source.spec.scaled(source.values)
    rows = torch.cdist(known, normality._features(model, Batch(x, x)).half().float()).argmin(1)
    assert len(known) == 100
    assert len(source.labels[rows].unique()) == 10


def test_of_a_model_with_a_corruption_each_row_meets_its_own_noise_whoever_is_beside_it(tmp_path):
    model = gargalo.train("autoencoder", "digits", tmp_path / "run", corruption="noise:std=0-0.5", epochs=1)
    x = torch.rand(6, 1, 8, 8) * 0.01 + 0.5
    noisy = _arrays.corrupted(model, x, 0)
    assert torch.equal(_arrays.corrupted(model, x[[4, 1]], 0), noisy[[4, 1]])
    levels = (noisy - x).flatten(1).std(1)
    assert levels.max() > 1.5 * levels.min()
    assert not torch.equal(_arrays.corrupted(model, x, 1), noisy)


def test_what_is_normal_is_asked_of_pixels_as_they_are_and_none_is_drawn(tmp_path, monkeypatch):
    def drawn(*_):
        raise AssertionError("Thousands of pictures, pixel by pixel, take longer than many a training.")

    monkeypatch.setattr(AutoregressiveBernoulli, "_drawn", drawn)
    options = {"likelihood": "pixel_cnn:width=8,layers=1", "latent_dim": 4, "epochs": 2}
    model = gargalo.train("vae", "digits:binarize=dynamic", tmp_path / "run", **options)
    heat = normality.of(model).heat_mean
    assert heat.shape == (8, 8)
    assert bool((heat > 0).all())


def test_domains_are_told_apart(zeros):
    known_data = domain(zeros, open_source("digits:only=0"), "test", 1000)
    foreign = domain(zeros, open_source("digits:only=7"), "test", 1000)
    assert known_data["auroc"] < 0.8
    assert foreign["auroc"] > 0.98
    table = gargalo.compare([zeros], ["digits:only=0", "digits:only=7"])
    assert [row["data"] for row in table] == ["digits:only=0", "digits:only=7"]
    assert table[0]["mse"] < table[1]["mse"]
    assert table[1]["auroc"] == foreign["auroc"]
    assert "domain" in gargalo.evaluate(zeros, "digits:only=7", samples=1)
    assert "domain" not in gargalo.evaluate(zeros, samples=1)


def test_pictures_are_brought_to_what_a_model_takes(tmp_path, zeros):
    from PIL import Image

    colored = RNG.integers(0, 255, (5, 30, 40, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(colored):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    np.save(tmp_path / "a.npy", colored)
    for text in ("photos", "photos/1.png", "a.npy"):
        source = open_like(str(tmp_path / text), zeros.spec)
        assert source.spec.shape == (1, 8, 8)
        assert source.values.shape == (1 if text.endswith("1.png") else 5, 1, 8, 8)
    np.save(tmp_path / "t.npy", RNG.normal(size=(9, 3)))
    with pytest.raises(gargalo.DataError, match=r"has shape \(3,\)"):
        open_like(str(tmp_path / "t.npy"), zeros.spec)


def test_the_commands(tmp_path, zeros_run):
    done = run_gargalo(
        "score", zeros_run, "digits", "--split", "test", "--false-alarms", "6%", "--worst", "3",
        "-o", tmp_path / "s.csv", "--heat", tmp_path / "heat", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n"] == 180
    assert found["flagged"] > 100
    assert len(found["strangest"]) == len(list((tmp_path / "heat").glob("*.png"))) == 3
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 180
    assert sum(row["flagged"] == "True" for row in rows) == found["flagged"]
    assert [float(row["strangeness"]) for row in rows] == sorted((float(r["strangeness"]) for r in rows), reverse=True)
    done = run_gargalo("compare", zeros_run, "--on", "digits:only=0", "--on", "digits:only=7")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    done = run_gargalo("embed", zeros_run, "digits:only=7", "-o", tmp_path / "z.npz")
    assert done.stderr.startswith("Warning: ")
    assert "warnings.warn" not in done.stderr
    done = run_gargalo("score", zeros_run, "digits", "--false-alarms", "7")
    assert done.returncode == 2
    assert "must be a share" in done.stderr
    assert run_gargalo("score", zeros_run, "digits:only=eleven").returncode == 2
    done = run_gargalo("score", zeros_run, "digits:only=1", "--false-alarms", "0.05")
    assert "no p-value is below 5.3%" in done.stderr
