"""Verbs on files of music that need no model: inspect and convert."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from gargalo import plots
from gargalo.data.cache import replacing
from gargalo.data.music import soundfont as soundfonts
from gargalo.data.music.analysis import look_into
from gargalo.data.music.files import read_music, write_midi
from gargalo.data.music.grid import bar_starts, to_steps
from gargalo.data.music.song import LENGTH, PITCH, START, VELOCITY, Song, Track
from gargalo.data.music.sound import render, wav, write_wav
from gargalo.data.music.sources import form_of
from gargalo.data.music.vocabulary import DRUMS, drum_class
from gargalo.errors import DataError

UNIT = 16


def inspect(
    path: str | Path, *, bars: int = 2, steps: int = 16, unit: int = 16, metres: str = "all", force: bool = False
) -> dict[str, Any]:
    """What is in files of music: every song's tracks, metre, tempo, key, distance to the grid and usable windows.

    ``songs`` are dictionaries, see `gargalo.data.music.analysis.facts`; ``skipped`` are the files that are none, with
    the reason. The other arguments are those of the source ``melodies``. DataError where there are no songs.
    """
    if metres not in ("all", "fitting"):
        raise ValueError(f"metres={metres!r} must be all or fitting.")
    songs, skipped = look_into(str(path), form_of(bars, steps, unit, metres, force))
    if not songs:
        raise DataError("; ".join(f"{name}: {reason}" for name, reason in skipped[:3]))
    return {"songs": songs, "skipped": [found._asdict() for found in skipped]}


def convert(path: str | Path, out: str | Path, *, tune: int = 1, soundfont: str | Path | None = None) -> Path:
    """A song as sound (.wav), as a picture of its notes (.png, .svg), as a page with both (.html) or as .mid; returns
    ``out``.

    ``tune`` is its number, from 1, in a book of several. Its sound, to .wav, is of the instruments in a ``soundfont``,
    which FluidSynth plays, or of a small synthesizer's. DataError where a file cannot be read.
    """
    song = read_song(path, tune=tune)
    if soundfont is None:
        return write_song(song, out)
    if Path(out).suffix.lower() != ".wav":
        raise ValueError(f"A SoundFont is for sound; {out} must end with .wav.")
    write_wav(soundfonts.render(song, Path(soundfont)), Path(out))
    return Path(out)


def read_song(path: str | Path, *, tune: int = 1) -> Song:
    """The song in a .mid, .midi, .rmi or .abc file; ``tune`` is its number, from 1, in a book of several.

    DataError where the file cannot be read.
    """
    songs = read_music(Path(path))
    if not 1 <= tune <= len(songs):
        raise ValueError(f"tune={tune} must lie between 1 and {len(songs)}, the tunes in {path}.")
    return songs[tune - 1]


def write_song(song: Song, out: str | Path) -> Path:
    """Writes .mid, .wav, a picture of the notes (.png, .svg) or a page with picture and player (.html), and returns
    ``out``. ValueError for other suffixes."""
    place = Path(out)
    if place.suffix.lower() not in WRITERS:
        raise ValueError(f"{out} must end with one of {', '.join(WRITERS)}.")
    WRITERS[place.suffix.lower()](song, place)
    return place


def piano_roll(song: Song) -> Any:
    """A matplotlib figure of the pitched tracks, or of the drums where there is nothing else."""
    unit = max(UNIT, *(metre.unit for metre in song.metres))  # one of which every bar has a whole number
    bars = bar_starts(song, unit)
    pitched: dict[str, np.ndarray] = {}
    for number, track in enumerate(song.tracks, 1):
        if not track.drums:
            name = track.name or f"track {number}"
            pitched[f"{name}, track {number}" if name in pitched else name] = _roll(song, track, unit)
    if pitched:
        return plots.piano_roll(pitched, bars)
    notes = np.concatenate([_roll(song, track, unit) for track in song.tracks])
    notes[:, 2] = drum_class(notes[:, 2].astype(np.int64))
    return plots.piano_roll({"drums": notes[notes[:, 2] >= 0]}, bars, DRUMS)


def _roll(song: Song, track: Track, unit: int) -> np.ndarray:
    start = to_steps(song, track.notes[:, START], unit)
    end = to_steps(song, track.notes[:, START] + track.notes[:, LENGTH], unit)
    return np.stack([start, end, track.notes[:, PITCH], track.notes[:, VELOCITY]], 1)


def _write_roll(song: Song, out: Path) -> None:
    figure = piano_roll(song)
    with replacing(out) as stream:
        figure.savefig(stream, format=out.suffix[1:].lower())


def _write_sound(song: Song, out: Path) -> None:
    write_wav(render(song), out)


def _write_page(song: Song, out: Path) -> None:
    """Its notes to look at and a player to listen to, with nothing outside the file."""
    drawn, title = io.StringIO(), html.escape(song.name or out.stem)
    piano_roll(song).savefig(drawn, format="svg")
    sound = base64.b64encode(wav(render(song), halved=True)).decode()
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>body{{max-width:60em;margin:2em auto;font-family:sans-serif}}svg,audio{{width:100%}}</style>"
        f"<h1>{title}</h1>{drawn.getvalue()[drawn.getvalue().index('<svg') :]}"
        f'<audio controls src="data:audio/wav;base64,{sound}"></audio></html>\n'
    )
    with replacing(out) as stream:
        stream.write(page.encode())


WRITERS = {
    ".wav": _write_sound, ".png": _write_roll, ".svg": _write_roll, ".html": _write_page, ".mid": write_midi,
}  # fmt: skip
