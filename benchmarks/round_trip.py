"""A whole song there and back: a part of `benchmarks.music`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import gargalo
from benchmarks.results import Row
from gargalo.data.music.files import read_music, write_midi
from gargalo.data.music.song import LENGTH, PITCH, START, VELOCITY, Key, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.sources import music_items
from gargalo.data.music.windows import melody_track


def round_trip(model: gargalo.TrainedModel, folder: Path) -> list[Row]:
    """Three minutes in 6/8 at 96 quarters a minute, of jigs that were not learned: through a file, a model, a file."""
    song = jigs(folder)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "six.mid")
        write_midi(song, file)
        write_midi(gargalo.reconstruct_song(model, gargalo.read_song(file)), file)
        back = gargalo.read_song(file)
    kept = [
        (song.tempos, song.metres, song.keys) == (back.tempos, back.metres, back.keys),
        *(
            (a.name, a.program, a.drums) == (b.name, b.program, b.drums)
            for a, b in zip(song.tracks, back.tracks, strict=True)
        ),
        np.array_equal(song.tracks[1].notes, back.tracks[1].notes),
    ]
    mine, theirs = (
        {(row[START], row[PITCH]): row[VELOCITY] for row in s.tracks[0].notes.tolist()} for s in (back, song)
    )
    right = mine.keys() & theirs.keys()
    what = f"a song of {song.seconds(np.array([song.end]))[0]:.0f} s in 6/8, there and back"
    return [
        Row("6-8/kept", f"{what}: tempo, metre, key, names, programs and other tracks",
            float(np.mean(kept)), None, "share"),
        Row("6-8/notes", f"{what}: melody notes right", 2 * len(right) / (len(mine) + len(theirs)), None, "F1"),
        Row("6-8/velocities", f"{what}: velocities of these that are the same",
            float(np.mean([mine[note] == theirs[note] for note in right])), None, "share"),
    ]  # fmt: skip


def jigs(folder: Path) -> Song:
    """Tunes in 6/8 that no model here was trained on, one after another, with velocities and a bass."""
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    end, bar = 0, 3 * 480
    with ExitStack() as stack:
        for item in music_items(str(folder / "nottingham"), stack):
            (song,) = read_music(item.read(), item.name)
            if [str(metre) for metre in song.metres] != ["6/8"] or end > 96 * 3 * 480:
                continue
            notes = song.tracks[melody_track(song)].notes.copy()
            notes[:, [START, LENGTH]] = notes[:, [START, LENGTH]] * 480 // song.division
            notes[:, START] += end
            parts.append(notes)
            end = -(-int((notes[:, START] + notes[:, LENGTH]).max()) // bar) * bar
    melody = np.concatenate(parts)
    melody[:, VELOCITY] = rng.integers(30, 120, len(melody))
    starts = np.arange(0, end, bar)
    bass = np.stack([starts, np.full(len(starts), bar), rng.integers(36, 48, len(starts)), np.full(len(starts), 70)], 1)
    tracks = Track("Fiddle melody", 40, False, sorted_notes(melody)), Track("Bass", 32, False, sorted_notes(bass))
    return Song("six", 480, tracks, (Tempo(0, 625_000),), (Metre(0, 6, 8),), (Key(0, 1, False),))
