"""Weights that ship: found by name, whole, small, and used where a run is."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import gargalo
from gargalo import weights
from gargalo.cli.app import app
from gargalo.data.music.files import read_music
from gargalo.data.music.song import PITCH, START

LARGEST = 2_000_000  # bytes


def command(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize("name", ["drums", "humanize", "tap2drum"])
def test_each_is_small_and_says_whose_data_it_has_learned_from(name):
    assert name in weights.names()
    folder = weights.FOLDER / name
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < LARGEST
    card = (folder / "README.md").read_text()
    assert "CC BY 4.0" in card
    assert "Gillick" in card
    assert f"-o {name}" in card


@pytest.mark.parametrize("name", [name for name in weights.names() if name.startswith(("denoiser", "upscaler"))])
def test_those_of_pictures_are_small_whole_and_on_the_card(name):
    file = weights.FOLDER / f"{name}.safetensors"
    assert file.stat().st_size < LARGEST
    assert f"-o {name} " in (weights.FOLDER / "README.md").read_text()
    model = gargalo.shipped(name)
    assert {parameter.dtype for parameter in model.net.parameters()} == {torch.float32}
    assert model.config["arguments"]["size"] == ("large" if name.endswith("large") else "base")


def test_a_beat_is_drawn_and_played_without_a_run(tmp_path):
    beat, played = tmp_path / "beat.mid", tmp_path / "played.mid"
    command("sample", "drums", "-n", 1, "--seed", 3, "-o", beat)
    (song,) = read_music(beat)
    assert song.tracks[0].drums
    assert len(song.tracks[0].notes) > 8
    command("humanize", beat, "-o", played)
    (found,) = read_music(played)
    assert len(found.tracks[0].notes) == len(song.tracks[0].notes)
    assert len(np.unique(found.tracks[0].notes[:, START] % 120)) > 3


def test_taps_become_a_kit_and_a_tune_is_drawn_without_a_run(tmp_path):
    beat, kit, tune = (tmp_path / name for name in ("beat.mid", "kit.mid", "tune.html"))
    command("sample", "drums", "-n", 1, "--seed", 3, "-o", beat)
    command("tap2drum", beat, "-o", kit)
    (found,) = read_music(kit)
    assert found.tracks[0].drums
    assert len(set(found.tracks[0].notes[:, PITCH].tolist())) > 1
    command("sample", "tunes", "--bars", 4, "--key", "G", "-o", tune)
    assert tune.read_text().count("<audio controls") == 1
    card = (weights.FOLDER / "tunes" / "README.md").read_text()
    assert "public domain" in card
    assert gargalo.evaluate(gargalo.shipped("tunes"))["music"]["greedy"]["notes"] > 0.9


def test_a_path_that_exists_comes_before_a_name_that_ships(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gargalo.load("drums").path == weights.FOLDER / "drums"
    (tmp_path / "drums").symlink_to(weights.FOLDER / "humanize")
    assert gargalo.load("drums").method == "autoencoder"
    with pytest.raises(gargalo.CheckpointError, match="no run at drum"):
        gargalo.load("drum")


def test_what_ships_is_not_written_to():
    with pytest.raises(ValueError, match="Train your own"):
        gargalo.fit_prior(gargalo.shipped("drums"))
    with pytest.raises(ValueError, match="nothing is written into it"):
        gargalo.report("drums")
    with pytest.raises(gargalo.DataError, match="flower_photos"):
        gargalo.report("denoiser-gray")


def test_drums_go_on_from_window_to_window():
    """What follows a window ships with them: the data that they learned from does not."""
    (song,) = gargalo.sample_songs(gargalo.load("drums"), 1, bars=4)
    assert len(song.tracks[0].notes) > 4
