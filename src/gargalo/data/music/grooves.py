"""How drums are played: another feel for the hits of a whole song, and taps in the place of a drum part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gargalo.data.music import windows
from gargalo.data.music.grid import to_steps, to_ticks
from gargalo.data.music.parts import merged, parted
from gargalo.data.music.pieces import Pieces, cut_columns, joined
from gargalo.data.music.song import PITCH, START, VELOCITY, Song, sorted_notes
from gargalo.data.music.vocabulary import DRUM_PITCHES, DRUMS, TIMING_STEP, TIMING_ZERO, drum_class, played
from gargalo.errors import DataError

WIDTH = len(DRUMS)


def tap_pieces(song: Song, length: int, unit: int = 16) -> Pieces:
    """When anything is struck, in windows ``[N, length, 2]``: a bit, and the timing of the loudest as `played` has it.

    The taps are the drum track, of a song without one the track with the most notes. DataError where there are no
    notes.
    """
    whole = merged(song)
    number = _tapped(whole)
    notes = whole.tracks[number].notes.copy()
    notes[:, PITCH] = DRUM_PITCHES[0]
    taps = replace(whole.tracks[number], drums=True, notes=notes)
    part, lines = windows.song_drums(replace(whole, tracks=(taps,)), unit)
    pieces = cut_columns(whole, number, played(part)[:, [0, 2 * WIDTH]], lines, length, unit)
    return replace(pieces, tracks=song.tracks)


def _tapped(song: Song) -> int:
    if any(track.drums and len(track.notes) for track in song.tracks):
        return windows.drum_track(song)
    if not any(len(track.notes) for track in song.tracks):
        raise DataError(f"{song.name}: it has no notes to take for taps.")
    return max(range(len(song.tracks)), key=lambda number: len(song.tracks[number].notes))


def with_feel(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with all its hits, each as loud and as early or late as windows ``[N, L, 27]`` say at its place.

    A hit that doubles another keeps its distance to it. What is none of the nine drums stays as it is.
    """
    track = pieces.song.tracks[pieces.track]
    kinds = drum_class(track.notes[:, PITCH])
    own = track.notes[kinds >= 0]
    steps = np.rint(to_steps(pieces.song, own[:, START], pieces.unit)).astype(np.int64)
    where, whole = (steps, kinds[kinds >= 0]), joined(pieces, found)
    leader = np.zeros((len(whole), WIDTH), np.int64)
    by_loudness = np.argsort(own[:, VELOCITY], kind="stable")
    leader[where[0][by_loudness], where[1][by_loudness]] = own[by_loudness, START]
    _, velocity, timing = np.split(whole, 3, axis=1)
    late = (timing[where] - TIMING_ZERO) / TIMING_STEP
    notes = own.copy()
    notes[:, START] = (to_ticks(pieces.song, steps + late, pieces.unit) + own[:, START] - leader[where]).clip(min=0)
    notes[:, VELOCITY] = velocity[where].clip(1, 127)
    tracks = list(pieces.song.tracks)
    tracks[pieces.track] = replace(track, notes=sorted_notes(np.concatenate([notes, track.notes[kinds < 0]])))
    return parted(replace(pieces.song, tracks=tuple(tracks)), pieces.tracks)


def in_bytes(values: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
    """Raw numbers ``[..., 27]`` that a model gives, as `played` writes them: velocities 1 to 127, timings 1 to 255."""
    bits, velocity, timing = np.split(np.asarray(values, float), 3, axis=-1)
    struck = bits > 0.5
    velocity = np.where(struck, np.rint(velocity).clip(1, 127), 0)
    timing = np.where(struck, np.rint(timing).clip(TIMING_ZERO - 127, TIMING_ZERO + 127), TIMING_ZERO)
    return np.concatenate([struck, velocity, timing], -1).astype(np.uint8)
