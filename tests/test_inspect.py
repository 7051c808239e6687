"""Inspect and convert, as a user runs them."""

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gargalo
from gargalo import plots
from gargalo.data.music import files
from gargalo.data.music.song import Metre, Song, Tempo, Track

TUNES = Path(gargalo.__file__).parent / "assets" / "tunes.abc"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "music"


def run_gargalo(*arguments):
    return subprocess.run([sys.executable, "-m", "gargalo", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def band(tmp_path):
    """Two bars of 6/8 at 96 quarters a minute: a scale in G, a chord, and a kick."""
    scale = np.array([[240 * n, 240, p, 90] for n, p in enumerate((67, 69, 71, 72, 74, 76, 78, 79, 78, 76, 74, 72))])
    chord = np.array([[0, 1440, 43, 50], [0, 1440, 47, 50], [1440, 1440, 50, 50]])
    kick = np.array([[0, 60, 36, 100], [1440, 60, 36, 100]])
    tracks = Track("Fiddle", 40, False, scale), Track("", 32, False, chord), Track("Kit", 0, True, kick)
    files.write_midi(Song("band", 480, tracks, (Tempo(0, 625_000),), (Metre(0, 6, 8),)), tmp_path / "band.mid")
    return tmp_path / "band.mid"


def test_inspect_says_what_is_in_a_file(band):
    (song,) = gargalo.inspect(band, bars=1, steps=12)["songs"]
    assert (song["metres"], song["tempos"], song["bars"], song["key"]) == (["6/8"], [96.0], 2, "G major")
    assert song["seconds"] == pytest.approx(6 * 60 / 96)
    assert [track["instrument"] for track in song["tracks"]] == ["strings", "bass", "drums"]
    assert [track["grid_error"] for track in song["tracks"]] == [0, 0, 0]
    assert song["tracks"][1]["at_once"] == 1.5
    assert song["windows"] == {name: {"usable": 2, "reason": None} for name in ("melodies", "drums", "bands")}
    wide = gargalo.inspect(band, bars=2, steps=16, metres="fitting")["songs"][0]["windows"]["melodies"]
    assert wide["usable"] == 0
    assert "24 steps" in wide["reason"]


def test_inspect_and_convert_as_commands(band, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"no music")
    found = run_gargalo("inspect", tmp_path)
    assert found.returncode == 0, found.stderr
    assert "band.mid: 0:04, 2 bars of 6/8 at 96 quarters a minute, key G major" in found.stdout
    assert "bad.mid: is not a MIDI file" in found.stdout
    assert len(json.loads(run_gargalo("inspect", TUNES, "--json").stdout)["songs"]) == 20
    assert run_gargalo("convert", band, "-o", tmp_path / "band.wav").returncode == 0
    with wave.open(str(tmp_path / "band.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(6 * 60 / 96 + 1.5, abs=0.01)
    refused = run_gargalo("convert", tmp_path / "bad.mid", "-o", tmp_path / "bad.wav")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "bad.wav").exists()


def test_convert_writes_pictures_and_midi(band, tmp_path):
    gargalo.convert(band, tmp_path / "roll.png")
    with Image.open(tmp_path / "roll.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 5
    assert "<svg" in gargalo.convert(TUNES, tmp_path / "roll.svg", tune=2).read_text()
    page = gargalo.convert(TUNES, tmp_path / "page.html", tune=2).read_text()
    assert page.count("<svg") == page.count("<audio controls") == 1
    assert "<?xml" not in page
    again = files.read_music(gargalo.convert(TUNES, tmp_path / "g.mid", tune=2))[0]
    assert (again.name, again.metres, again.tracks[0].name) == ("g", (Metre(0, 6, 8),), "Greensleeves")
    with pytest.raises(ValueError, match="must lie between 1 and 20"):
        gargalo.convert(TUNES, tmp_path / "x.mid", tune=21)
    with pytest.raises(ValueError, match="must end with one of"):
        gargalo.convert(TUNES, tmp_path / "x.mp3")


def test_every_hand_is_drawn_and_a_bar_of_seven_thirty_seconds():
    hands = [Track("Piano", 0, False, np.array([[0, 60, pitch, 90]])) for pitch in (60, 40)]
    figure = gargalo.verbs.music.piano_roll(Song("two", 480, tuple(hands), metres=(Metre(0, 7, 32),)))
    labels = [label.get_text() for label in figure.axes[0].get_legend().get_texts()]
    assert labels == ["Piano", "Piano, track 2"]


def test_commands_on_songs_keep_their_input(band):
    before = band.read_bytes()
    for command in ("convert", "humanize", "tap2drum"):
        found = run_gargalo(command, band, "-o", band)
        assert (found.returncode, "never overwritten" in found.stderr) == (2, True), found.stderr
    assert band.read_bytes() == before


def test_a_piano_roll_has_a_bar_for_every_note():
    notes = np.array([[0, 4, 60, 127], [4, 8, 72, 0]])
    axes = plots.piano_roll({"lead": notes}, np.array([0, 16])).axes[0]
    first, second = axes.collections[0].get_paths()
    assert first.get_extents().bounds == pytest.approx((0, 59.55, 4, 0.9))
    assert second.get_extents().bounds == pytest.approx((4, 71.55, 4, 0.9))
    assert axes.collections[0].get_facecolors()[:, 3].tolist() == [1, 0.35]
    drums = plots.piano_roll({"drums": np.array([[0, 1, 2, 100]])}, np.array([0]), ("kick", "snare", "hat")).axes[0]
    assert [label.get_text() for label in drums.get_yticklabels()] == ["kick", "snare", "hat"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the collections of music beside the repository")
def test_real_collections_are_read(tmp_path):
    found = gargalo.inspect(SHARED / "pop909_first60")
    assert len(found["songs"]) == 60
    assert sum(song["windows"]["melodies"]["usable"] > 40 for song in found["songs"]) >= 55
