"""The doctor finds what was broken on purpose, and nothing else."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import gargalo
from gargalo import adversarial, checkpoint
from gargalo.verbs import diagnose, prior


def run_gargalo(*arguments):
    return subprocess.run([sys.executable, "-m", "gargalo", *map(str, arguments)], capture_output=True, text=True)


def worst(findings):
    return [finding.what for finding in findings if finding.severity == "error"]


def test_a_critic_that_never_trains_is_found_out(tmp_path, monkeypatch):
    """As in a lesson whose discriminator had no optimizer: its loss stays at chance."""
    gargalo.train("aae", "digits", tmp_path / "well", epochs=8)
    findings = gargalo.diagnose(gargalo.load(tmp_path / "well"))
    assert any("The critic learned" in finding.what for finding in findings)
    assert not any("critic" in what for what in worst(findings))

    told = adversarial.told_apart
    monkeypatch.setattr(adversarial, "told_apart", lambda *args: told(*args)._replace(total=0 * told(*args).total))
    gargalo.train("aae", "digits", tmp_path / "ill", epochs=8)
    found = worst(gargalo.diagnose(gargalo.load(tmp_path / "ill")))
    assert any("at chance from the first step" in what for what in found)


def test_a_critic_of_numbers_that_are_independent_may_be_at_chance():
    assert diagnose._critic(adversarial.FactorTC(3, 1.0, 8), 0.5, 0.5).severity == "warning"
    with pytest.raises(ValueError, match="must be at least 2"):
        gargalo.train("factor-vae", "digits", "unused", latent_dim=1)


def test_collapse_and_overfitting_and_unused_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(prior, "EPOCHS", 1)  # of the prior of codes, which is not looked at
    gargalo.train("beta-vae", "digits", tmp_path / "collapsed", beta=1e4, epochs=5)
    assert any("BROKEN" in what for what in worst(gargalo.diagnose(gargalo.load(tmp_path / "collapsed"))))
    gargalo.train("vq-vae", "digits", tmp_path / "codes", epochs=2, num_codes=4)
    model = gargalo.load(tmp_path / "codes")
    assert any("100% of the codes" in finding.what for finding in gargalo.diagnose(model))
    figures = gargalo.evaluate(model)
    assert (figures["num_codes"], figures["used"]) == (4, 1.0)
    assert 2 < figures["perplexity"] <= 4


def test_pixels_divided_twice(tmp_path, digits_run):
    rows = np.random.default_rng(0).integers(0, 2, (60, 1, 8, 8))
    np.save(tmp_path / "dim.npy", (rows / 255).astype(np.float32))
    findings = gargalo.diagnose(gargalo.load(digits_run), str(tmp_path / "dim.npy"))
    assert any("divided by 255 twice" in finding.advice for finding in findings)


def test_a_line_that_a_crash_cut_short_is_left_out(digits_run, tmp_path):
    run = shutil.copytree(digits_run, tmp_path / "run")
    whole = checkpoint.metrics(run)
    with (run / checkpoint.METRICS).open("a") as file:
        file.write('{"step": 99, "lo')
    assert checkpoint.metrics(run) == whole
    gargalo.diagnose(gargalo.load(run))
    gargalo.report(run)


def test_the_command(digits_run):
    found = json.loads(run_gargalo("doctor", digits_run, "--json").stdout)
    assert found[0].keys() == {"severity", "what", "advice"}
    assert "PCA" in run_gargalo("doctor", digits_run).stdout
    missing = run_gargalo("doctor", "nowhere")
    assert missing.returncode == 2
    assert "There is no run" in missing.stderr
