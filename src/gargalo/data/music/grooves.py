"""Drum parts of whole songs with how they are played: cut into windows, and put back with another feel, or a new kit.

A window is what `vocabulary.played` writes: ``[L, 27]`` bytes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gargalo.data.music import windows
from gargalo.data.music.grid import to_steps, to_ticks
from gargalo.data.music.pieces import Pieces, following, joined
from gargalo.data.music.song import PITCH, START, VELOCITY, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.vocabulary import (
    DRUMS,
    TIMING_STEP,
    TIMING_ZERO,
    Drums,
    drum_class,
    drum_hits,
    part_of,
    played,
)
from gargalo.errors import DataError

DIVISION = 480  # ticks a quarter of songs that are made here: a step of 1/16 has 120
DEFAULT_VELOCITY = 100  # of hits without one


def groove_pieces(song: Song, length: int, unit: int = 16) -> Pieces:
    """The drum part in windows ``[N, length, 27]``. DataError where there is none."""
    part, lines = windows.song_drums(song, unit)
    return _cut(song, windows.drum_track(song), played(part), lines, length, unit)


def tap_pieces(song: Song, length: int, unit: int = 16) -> Pieces:
    """When anything is struck, in windows ``[N, length, 2]``: a bit, and the timing of the loudest as `played` has it.

    The taps are the drum track, of a song without one the track with the most notes. DataError where there are no
    notes.
    """
    number = _tapped(song)
    notes = song.tracks[number].notes
    struck = replace(song, tracks=(replace(song.tracks[number], drums=True, notes=_on_one(notes)),))
    part, lines = windows.song_drums(struck, unit)
    kind = int(part.bits.any(0).argmax())
    columns = played(part)[:, [kind, 2 * len(DRUMS) + kind]]
    return _cut(song, number, columns, lines, length, unit)


def with_feel(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with all its hits, each as loud and as early or late as windows ``[N, L, 27]`` say at its place.

    A hit that doubles another keeps its distance to it. What is none of the nine drums stays as it is.
    """
    own = pieces.song.tracks[pieces.track].notes
    steps = np.rint(to_steps(pieces.song, own[:, START], pieces.unit)).astype(np.int64)
    kinds = drum_class(own[:, PITCH])
    rows = np.flatnonzero(kinds >= 0)
    where, whole = (steps[rows], kinds[rows]), joined(pieces, found)
    _, velocity, timing = np.split(whole, 3, axis=1)
    late = (timing[where].astype(float) - TIMING_ZERO) / TIMING_STEP
    leader = np.zeros((len(whole), len(DRUMS)), np.int64)
    by_loudness = np.argsort(own[rows, VELOCITY], kind="stable")
    leader[steps[rows][by_loudness], kinds[rows][by_loudness]] = own[rows, START][by_loudness]
    notes = own.copy()
    starts = to_ticks(pieces.song, steps[rows] + late, pieces.unit) + own[rows, START] - leader[where]
    notes[rows, START] = starts.clip(min=0)
    notes[rows, VELOCITY] = velocity[where].clip(1, 127)
    return _with_track(pieces, replace(pieces.song.tracks[pieces.track], notes=sorted_notes(notes)))


def with_kit(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with the drum part of windows ``[N, L, 27]`` in the place of the track that was cut.

    What is none of the nine drums stays where it was.
    """
    track = pieces.song.tracks[pieces.track]
    notes = _notes(pieces.song, part_of(joined(pieces, found)), pieces.unit)
    other = track.notes[drum_class(track.notes[:, PITCH]) < 0] if track.drums else track.notes[:0]
    name = track.name if track.drums else "drums"
    return _with_track(pieces, Track(name, track.program, True, sorted_notes(np.concatenate([notes, other]))))


def drum_song(part: Drums, tempo: float = 120.0, metre: Metre | None = None, name: str = "drums") -> Song:
    """A song of one drum part alone, in steps of 1/16, ``tempo`` quarters a minute."""
    song = Song(name, DIVISION, (), (Tempo(0, round(60e6 / tempo)),), (metre or Metre(0, 4, 4),))
    return replace(song, tracks=(Track("drums", 0, True, _notes(song, part, 16)),))


def part_of_rows(rows: npt.NDArray[np.number]) -> Drums:
    """One part of windows that follow one another, ``[N, L, 9]`` bits or ``[N, L, 27]`` raw values of grooves."""
    whole = np.concatenate(list(rows))
    if whole.shape[1] == 3 * len(DRUMS):
        return part_of(in_bytes(whole))
    bits = (whole > 0).astype(np.uint8)
    return Drums(bits, bits * np.uint8(DEFAULT_VELOCITY), np.zeros(bits.shape, np.float32))


def in_bytes(values: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
    """Raw numbers ``[..., 27]`` that a model gives, as `played` writes them: velocities 1 to 127, timings 1 to 255."""
    bits, velocity, timing = np.split(np.asarray(values, float), 3, axis=-1)
    struck = bits > 0.5
    velocity = np.where(struck, np.rint(velocity).clip(1, 127), 0)
    timing = np.where(struck, np.rint(timing).clip(TIMING_ZERO - 127, TIMING_ZERO + 127), TIMING_ZERO)
    return np.concatenate([struck, velocity, timing], -1).astype(np.uint8)


def _tapped(song: Song) -> int:
    if any(track.drums and len(track.notes) for track in song.tracks):
        return windows.drum_track(song)
    if not any(len(track.notes) for track in song.tracks):
        raise DataError(f"{song.name}: it has no notes to take for taps.")
    return max(range(len(song.tracks)), key=lambda number: len(song.tracks[number].notes))


def _on_one(notes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All notes on one drum."""
    moved = notes.copy()
    moved[:, PITCH] = 38
    return moved


def _cut(
    song: Song, track: int, columns: npt.NDArray[np.uint8], lines: windows.Starts, length: int, unit: int
) -> Pieces:
    starts = following(lines, len(columns), length)
    padded = np.concatenate([columns, np.zeros((length, columns.shape[1]), np.uint8)])
    return Pieces(song, track, 0, unit, starts, len(columns), padded[starts[:, None] + np.arange(length)])


def _notes(song: Song, part: Drums, unit: int) -> npt.NDArray[np.int64]:
    """Ticks of hits; each is half a step long: a drum rings as it likes."""
    hits = drum_hits(part)
    starts = to_ticks(song, hits[:, 0], unit).clip(min=0)
    lengths = np.full(len(hits), song.division * 2 // unit)
    return sorted_notes(np.stack([starts, lengths, hits[:, 1], hits[:, 2]], 1).astype(np.int64))


def _with_track(pieces: Pieces, track: Track) -> Song:
    tracks = list(pieces.song.tracks)
    tracks[pieces.track] = track
    return replace(pieces.song, tracks=tuple(tracks))
