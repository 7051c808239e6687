"""Instruments of a SoundFont: the right notes at the right times, and what is said where they cannot be played."""

from __future__ import annotations

import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import gargalo
from gargalo.cli import app
from gargalo.data.music import files, soundfont
from gargalo.data.music.song import Song, Tempo, Track
from gargalo.data.music.sound import RATE
from gargalo.errors import DataError

try:
    import fluidsynth  # noqa: F401
except ImportError:
    installed = False
else:
    installed = True
needs_library = pytest.mark.skipif(not installed, reason="the FluidSynth library is not installed")
PERIOD = 100  # samples of the instrument's wave: 441 Hz at its own pitch
A4 = 69


def chunk(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def header(program: int, bag: int) -> bytes:
    return struct.pack("<HHHIII", program, 0, bag, 0, 0, 0)


def font(file: Path, program: int = 0) -> Path:
    """One instrument of one looped sine that lies at A4."""
    wave = np.sin(2 * np.pi * np.arange(40 * PERIOD) / PERIOD) * 20_000
    samples = np.concatenate([wave, np.zeros(46)]).astype("<i2").tobytes()
    name = b"sine".ljust(20, b"\0")
    generators = struct.pack("<HhHhHh", 58, A4, 54, 1, 53, 0)  # its pitch, that it loops, and which sample
    info = chunk(b"LIST", b"INFO", chunk(b"ifil", struct.pack("<HH", 2, 1)), chunk(b"isng", b"EMU8000\0"))
    data = chunk(b"LIST", b"sdta", chunk(b"smpl", samples))
    ends = b"EOS".ljust(20, b"\0")
    hydra = chunk(
        b"LIST", b"pdta",
        chunk(b"phdr", name + header(program, 0), ends + header(0, 1)),
        chunk(b"pbag", struct.pack("<HHHH", 0, 0, 1, 0)),
        chunk(b"pmod", b"\0" * 10),
        chunk(b"pgen", struct.pack("<Hh", 41, 0), b"\0" * 4),
        chunk(b"inst", name + struct.pack("<H", 0), ends + struct.pack("<H", 1)),
        chunk(b"ibag", struct.pack("<HHHH", 0, 0, 3, 0)),
        chunk(b"imod", b"\0" * 10),
        chunk(b"igen", generators, b"\0" * 4),
        chunk(b"shdr", name + struct.pack("<IIIIIBbHH", 0, 40 * PERIOD, PERIOD, 39 * PERIOD, RATE, A4, 0, 0, 1),
              ends + b"\0" * 26),
    )  # fmt: skip
    file.write_bytes(chunk(b"RIFF", b"sfbk", info, data, hydra))
    return file


def song(*tracks: Track) -> Song:
    return Song("a", 480, tracks, (Tempo(0, 500_000),), (), ())


def one(*rows: tuple[int, int, int, int], program: int = 0, drums: bool = False) -> Track:
    return Track("", program, drums, np.array(rows, np.int64))


def pitch(sound: np.ndarray) -> float:
    """Hz of the strongest frequency."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 18))
    return float(power.argmax() * RATE / (1 << 18))


@needs_library
def test_notes_sound_at_their_pitches_and_times(tmp_path):
    written = song(one((480, 480, A4, 100), (960, 480, A4 + 12, 100)))  # after half a second, each half a second
    found = soundfont.render(written, font(tmp_path / "sine.sf2")) / 32_768
    assert np.abs(found[: RATE // 2]).max() < 0.01
    assert pitch(found[int(0.55 * RATE) : int(0.95 * RATE)]) == pytest.approx(441, abs=2)
    assert pitch(found[int(1.05 * RATE) : int(1.45 * RATE)]) == pytest.approx(882, abs=4)
    assert np.abs(found[2 * RATE :]).max() < 0.1
    assert np.abs(found).max() == pytest.approx(0.89, abs=0.01)


@needs_library
def test_an_instrument_that_is_missing_is_said(tmp_path):
    file = font(tmp_path / "sine.sf2")
    with pytest.raises(DataError, match="program 40"):
        soundfont.render(song(one((0, 480, 60, 100), program=40)), file)
    with pytest.raises(DataError, match="no drums"):
        soundfont.render(song(one((0, 480, 36, 100), drums=True)), file)


@needs_library
def test_the_command_writes_its_sound(tmp_path):
    files.write_midi(song(one((0, 480, A4, 100))), tmp_path / "a.mid")
    font(tmp_path / "sine.sf2")
    given = [str(tmp_path / "a.mid"), "--soundfont", str(tmp_path / "sine.sf2"), "-o"]
    result = CliRunner().invoke(app, ["convert", *given, str(tmp_path / "a.wav")])
    assert result.exit_code == 0, result.output
    with wave.open(str(tmp_path / "a.wav")) as sound:
        found = np.frombuffer(sound.readframes(RATE // 2), "<i2")
    assert pitch(found[2_000:]) == pytest.approx(441, abs=2)


@needs_library
@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF\x04\0\0\0sfbk", b"RIFF\xff\xff\xff\xffsfbk" + b"LIST" * 9])
def test_what_is_no_soundfont_is_said(tmp_path, content):
    (tmp_path / "bad.sf2").write_bytes(content)
    with pytest.raises(DataError, match="no SoundFont"):
        soundfont.render(song(one((0, 480, 60, 100))), tmp_path / "bad.sf2")
    with pytest.raises(DataError, match="no file"):
        soundfont.render(song(one((0, 480, 60, 100))), tmp_path / "none.sf2")


def test_without_fluidsynth_it_is_said_how_to_have_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(ValueError, match=r"pip install 'gargalo\[soundfont\]'"):
        soundfont.render(song(one((0, 480, 60, 100))), font(tmp_path / "sine.sf2"))


def test_a_soundfont_is_for_sound(tmp_path):
    files.write_midi(song(one((0, 480, A4, 100))), tmp_path / "a.mid")
    with pytest.raises(ValueError, match="must end with"):
        gargalo.convert(tmp_path / "a.mid", tmp_path / "a.png", soundfont=font(tmp_path / "sine.sf2"))
    assert not (tmp_path / "a.png").exists()


def test_a_note_that_is_struck_again_ends_before_it_begins():
    found = soundfont._events(song(one((480, 480, 60, 90), (960, 240, 60, 80)), one((960, 480, 62, 0))))
    half = RATE // 2
    assert found == [
        (half, 0, 60, 90), (2 * half, 0, 60, 0), (2 * half, 0, 60, 80), (2 * half, 1, 62, 1),
        (int(1.25 * RATE), 0, 60, 0), (3 * half, 1, 62, 0),
    ]  # fmt: skip
