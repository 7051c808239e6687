"""A prior that is fitted afterwards lies beside the weights, belongs to them, and is never believed when damaged."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import gargalo
from gargalo import CheckpointError, checkpoint, priors
from gargalo.data import open_source
from gargalo.data.batches import Feed
from gargalo.training import seeded
from gargalo.verbs import prior


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A plain autoencoder of the digits, trained long enough that its codes mean something."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    gargalo.train("autoencoder", "digits", folder, latent_dim=8, epochs=20)
    return folder


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_training_fits_one_where_a_method_has_none(run):
    model = gargalo.load(run)
    assert model.config["prior"].startswith("mixture:components=")
    assert (gargalo.sample(model, 5, seed=1) == gargalo.sample(gargalo.load(run), 5, seed=1)).all()


def test_samples_of_a_fitted_prior_lie_nearer_to_digits_than_random_codes(run):
    model = gargalo.load(run)
    digits = torch.from_numpy(np.asarray(gargalo.data.open_source("digits").values)).flatten(1).float()

    def distance(pictures):
        return float(torch.cdist(torch.from_numpy(pictures).flatten(1).float(), digits).min(1).values.mean())

    random = gargalo.decode(model, torch.randn(300, 8, generator=torch.Generator().manual_seed(0)))
    assert distance(gargalo.sample(model, 300)) < 0.8 * distance(random)


@pytest.mark.parametrize("name", ["normal", "mixture:components=3", "maf", "iaf:length=1", "two_stage:width=32"])
def test_another_takes_its_place_and_is_kept(copied, name, monkeypatch):
    monkeypatch.setattr(prior, "EPOCHS", 2)
    model = gargalo.fit_prior(gargalo.load(copied), name, seed=3)
    again = gargalo.load(copied)
    assert again.config["prior"] == name
    assert (gargalo.sample(model, 4) == gargalo.sample(again, 4)).all()
    z = torch.from_numpy(gargalo.embed(again, gargalo.data.open_source("digits").values[:5]))
    torch.testing.assert_close(again.net.prior.log_prob(z), model.net.prior.log_prob(z))


def test_a_vae_gets_a_better_bound_by_it(digits_run, tmp_path):
    run = shutil.copytree(digits_run, tmp_path / "vae")
    before = gargalo.evaluate(gargalo.load(run), samples=20)
    after = gargalo.evaluate(gargalo.fit_prior(gargalo.load(run), "mixture:components=10"), samples=20)
    assert after["nll"] < before["nll"]
    vamp = gargalo.fit_prior(gargalo.load(run), "vampprior:components=20")
    assert np.isfinite(gargalo.evaluate(vamp, samples=20)["nll"])


def test_a_prior_knows_all_classes_of_a_sorted_folder(tmp_path, monkeypatch):
    """Expectation and maximization take the first codes alone where there are many."""
    monkeypatch.setattr(priors, "MAX_FITTED", 100)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(place, 0.1, (200, 4)) for place in (-1, 1)]).astype(np.float32)
    np.save(tmp_path / "sorted.npy", rows)
    model = gargalo.train("autoencoder", str(tmp_path / "sorted.npy"), tmp_path / "run", latent_dim=2, epochs=30)
    assert 0.3 < (gargalo.sample(model, 200).mean(1) > 0).mean() < 0.7


def test_a_prior_is_fitted_to_what_hamiltonian_steps_come_to(tmp_path):
    model = gargalo.train("hvae", "digits", tmp_path / "run", latent_dim=2, epochs=1)
    batch = next(Feed(open_source("digits"), torch.arange(8), 8).in_order())
    with seeded(0), torch.no_grad():
        codes = model.net.codes(batch, model.net.prior)
    with seeded(0), torch.no_grad():
        assert torch.equal(codes, model.net(batch).z)
    with seeded(0):  # slopes that can be differentiated again come from other formulas, which may round otherwise
        torch.testing.assert_close(codes, model.net(batch).z.detach(), rtol=0, atol=1e-6)
    with seeded(0):
        assert not torch.allclose(codes, model.net.encode(batch.input).draw()[0])


def test_a_prior_in_the_place_of_one_that_was_learned_does_not_lose_it(tmp_path):
    gargalo.train("vamp-vae", "digits", tmp_path / "run", epochs=1, components=9)
    own = gargalo.load(tmp_path / "run").net.prior.state_dict()
    gargalo.fit_prior(gargalo.load(tmp_path / "run"), "normal")
    estimator = gargalo.Autoencoder.from_run(tmp_path / "run")
    estimator.save(tmp_path / "copy")
    assert gargalo.load(tmp_path / "copy").config["prior"] == "normal"
    (tmp_path / "copy" / checkpoint.PRIOR).unlink()
    assert torch.equal(gargalo.load(tmp_path / "copy").net.prior.inputs, own["inputs"])


def test_a_damaged_prior_is_not_believed(copied):
    file = copied / checkpoint.PRIOR
    content = file.read_bytes()
    for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:100], b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="Fit one: gargalo fit-prior"):
            gargalo.sample(gargalo.load(copied), 2)
    gargalo.fit_prior(gargalo.load(copied), "normal")
    gargalo.sample(gargalo.load(copied), 2)


def test_a_prior_that_does_not_fit_is_refused(copied):
    config, _ = checkpoint.read(copied)
    for note, reason in {
        "mixture:components=100": "does not hold",
        "mixture:components=1000000000": "must lie between 1 and 10000",
        "no_such": "No prior is called",
    }.items():
        checkpoint.keep(copied, checkpoint.PRIOR, {"means": torch.zeros(3)}, config, note=note)
        with pytest.raises(CheckpointError, match=reason):
            gargalo.load(copied)
    save_file({"means": torch.zeros(3)}, copied / checkpoint.PRIOR)  # not written by us: as if it were not there
    assert "prior" not in gargalo.load(copied).config


def test_names_that_do_not_suit_a_model(run):
    with pytest.raises(ValueError, match="numbers of a code book"):
        gargalo.fit_prior(gargalo.load(run), "autoregressive")
    with pytest.raises(ValueError, match="No prior is called"):
        gargalo.fit_prior(gargalo.load(run), "no_such")
    with pytest.raises(TypeError, match="posteriors are Gaussian"):
        gargalo.fit_prior(gargalo.load(run), "vampprior:components=4")


@pytest.mark.parametrize(
    ("method", "prior", "reason"),
    [
        ("hyperspherical_vae", "normal", "codes lie on a sphere"),
        ("poincare_vae", "maf", "codes lie in a curved space"),
        ("ladder_vae", "mixture:components=2", "upper part of its decoder"),
        ("cvae", "vampprior:components=4", "has no labels"),
    ],
)
def test_what_no_other_can_take_the_place_of_is_left(method, prior, reason, tmp_path):
    model = gargalo.train(method, "digits", tmp_path / "run", epochs=0.1)
    with pytest.raises(ValueError, match=reason):
        gargalo.fit_prior(model, prior)
    label = 3 if method == "cvae" else None
    assert gargalo.sample(gargalo.load(tmp_path / "run"), 3, label=label).shape == (3, 1, 8, 8)


def test_the_command(copied, tmp_path):
    def command(*arguments):
        return subprocess.run([sys.executable, "-m", "gargalo", *map(str, arguments)], capture_output=True, text=True)

    done = command("fit-prior", copied, "mixture:components=2")
    assert done.returncode == 0, done.stderr
    assert command("sample", copied, "-n", 4, "-o", tmp_path / "made.png").returncode == 0
    assert (tmp_path / "made.png").stat().st_size > 100
    refused = command("fit-prior", copied, "mixture:components=0")
    assert refused.returncode == 2
    assert "components=0 must lie between 1 and 10000" in refused.stderr
