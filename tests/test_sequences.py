"""Series, bits and tokens through every verb and command."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import gargalo
from gargalo import checkpoint
from gargalo.cli.app import app
from gargalo.data import open_source
from gargalo.evaluation.measure import compare
from gargalo.registry import corruption
from gargalo.spec import DataSpec
from gargalo.verbs.likelihood import log_likelihood

WAVES = "waves:n=300,length=16,channels=2,noise=0"


def command(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on tokens that come in pairs, and on bits that each channel has or lacks throughout."""
    place, rng = tmp_path_factory.mktemp("sequences"), np.random.default_rng(0)
    np.save(place / "tokens.npy", np.repeat(rng.integers(0, 5, (400, 4)), 2, 1))
    np.save(place / "bits.npy", np.repeat(rng.integers(0, 2, (400, 1, 6)), 8, 1).astype(np.uint8))
    for kind in ("tokens", "bits"):
        gargalo.train(
            "autoencoder",
            f"{place}/{kind}.npy:kind={kind}",
            place / kind,
            latent_dim=8,
            network="mixer:size=tiny,depth=1",
            epochs=40,
            lr=5e-3,
        )
    for number in (0, 1):
        np.save(place / f"tokens{number}.npy", np.load(place / "tokens.npy")[number : number + 1])
    return place


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    run = tmp_path_factory.mktemp("sequences") / "run"
    return gargalo.train("vae", WAVES, run, network="mixer:size=tiny,depth=1", epochs=2, latent_dim=4)


def test_a_series_goes_through_every_verb(series, tmp_path):
    values = open_source(WAVES).values.numpy()
    assert gargalo.reconstruct(series, values[:3]).shape == (3, 16, 2)
    assert gargalo.embed(series, values[:3]).shape == (3, 4)
    assert gargalo.sample(series, 5).shape == (5, 16, 2)
    assert gargalo.interpolate(series, values[0], values[1], steps=4).shape == (4, 16, 2)
    assert gargalo.traverse(series, values[0], steps=3).shape == (4, 3, 16, 2)
    assert gargalo.score(series, values[:9]).p_value.shape == (9,)
    assert gargalo.heat_map(series, values[:9]).shape == (9, 16, 2)
    found = gargalo.evaluate(series, samples=2)
    assert found["accuracy"] is None
    assert found["baselines"]["pca"]["mse"] < found["baselines"]["mean"]["mse"] == pytest.approx(1, abs=0.2)
    assert gargalo.report(series.path).stat().st_size > 10_000
    command("sample", series.path, "-n", 4, "-o", tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays["x"].shape == (4, 16, 2)
    command("sample", series.path, "-n", 4, "-o", tmp_path / "s.svg")
    assert "<svg" in (tmp_path / "s.svg").read_text()
    with pytest.raises(ValueError, match=r"\.npy or \.npz, or drawn"):
        command("sample", series.path, "-o", tmp_path / "s.txt")


def test_what_a_series_is_likely_is_a_density_in_its_own_units(series):
    values = open_source(WAVES).values
    config = series.config | {"spec": series.spec.to_json() | {"scale": (2.0, 3.0), "offset": (0.0, 0.0)}}
    wider = checkpoint.TrainedModel(series.net, series.objective, config)
    plain = checkpoint.TrainedModel(
        series.net, series.objective, config | {"spec": config["spec"] | {"scale": (1.0, 1.0)}}
    )
    gap = log_likelihood(plain, values[:4]) - log_likelihood(wider, values[:4] * torch.tensor([2.0, 3.0]))
    np.testing.assert_allclose(gap, 16 * np.log(6), rtol=1e-4)


def test_tokens_are_learned_and_measured_by_what_is_right(folder):
    found = gargalo.evaluate(gargalo.load(folder / "tokens"), samples=2)
    assert found["mse"] is None
    assert found["accuracy"] > 0.9 > found["baselines"]["mean"]["accuracy"]
    assert found["baselines"]["floor"]["accuracy"] == 1
    assert "share of wrong tokens" in found["verdict"]
    bits = gargalo.evaluate(gargalo.load(folder / "bits"), samples=2)
    assert bits["accuracy"] > 0.9
    assert set(np.unique(gargalo.sample(gargalo.load(folder / "bits"), 5))) <= {0, 1}


def test_the_mean_of_tokens_is_the_most_frequent_of_each_step(folder):
    model = gargalo.load(folder / "tokens")
    source = open_source(model.config["data"])
    rows = [source.gather(source.indices(part)).target.numpy() for part in ("train", "test")]
    frequent = np.array([np.bincount(step).argmax() for step in rows[0].T])
    expected = (rows[1] == frequent).mean()
    assert gargalo.evaluate(model, samples=1)["baselines"]["mean"]["accuracy"] == pytest.approx(expected)


def test_commands_on_tokens(folder, tmp_path):
    run, whole = folder / "tokens", folder / "tokens.npy"
    ends = [folder / f"tokens{number}.npy" for number in (0, 1)]
    command("reconstruct", run, whole, "-o", tmp_path / "r.npy")
    right = np.load(tmp_path / "r.npy") == np.load(whole)
    assert right.mean() > 0.9
    command("interpolate", run, *ends, "--steps", 5, "-o", tmp_path / "i.npy")
    assert len(np.load(tmp_path / "i.npy")) == 5
    command("interpolate", run, *ends, "-o", tmp_path / "i.png")
    command("embed", run, whole, "-o", tmp_path / "z.npz")
    with np.load(tmp_path / "z.npz") as codes:
        assert codes["z"].shape == (400, 8)
    assert json.loads(command("score", run, whole, "--json"))["n"] == 400
    assert gargalo.report(run).stat().st_size > 10_000
    with pytest.raises(ValueError, match="holds 400 examples"):
        command("interpolate", run, whole, ends[1], "-o", tmp_path / "i.npy")


def test_symbols_beyond_those_known_are_refused(folder):
    for kind, wrong in (("tokens", np.full((1, 8), 99)), ("bits", np.full((1, 8, 6), 255, np.uint8))):
        with pytest.raises(ValueError, match="this model takes whole numbers from 0 to"):
            gargalo.embed(gargalo.load(folder / kind), wrong)


def test_corruptions_suit_sequences():
    target = torch.ones(50, 12, 3)
    hidden = corruption.select("patches:share=0.5,size=4")(target, torch.Generator()) == 0
    runs = hidden.view(50, 3, 4, 3).flatten(2)
    assert torch.equal(runs.all(2), runs.any(2))
    assert 0.3 < float(hidden.float().mean()) < 0.7
    noisy = corruption.select("noise:std=1")(target, torch.Generator().manual_seed(0))
    assert float(noisy.max()) > 1.5  # not cut to what pixels are
    with pytest.raises(ValueError, match="these data are tokens"):
        corruption.select("noise")(torch.zeros(2, 5, dtype=torch.long), torch.Generator())


def test_bernoulli_is_for_bits():
    with pytest.raises(ValueError, match="bernoulli explains bits"):
        gargalo.train("vae", WAVES, "x", likelihood="bernoulli")


def test_accuracy_counts_what_is_right():
    spec = DataSpec("sequence", (4,), vocabulary=5)
    row = compare(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 4]]), spec)
    assert row["accuracy"] == 0.75
    bits = compare(torch.tensor([[[0.9], [0.2]]]), torch.tensor([[[1.0], [1.0]]]), DataSpec("sequence", (2, 1)))
    assert bits["accuracy"] == 0.5
