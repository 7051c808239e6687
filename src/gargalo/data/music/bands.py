"""Melody, chords, bass and drums together: a step is a row of bits, as drums have it, with groups of which one is set.

The melody's 90 tokens, 49 chords, the bass's 90 tokens, nine drums. A part that a song lacks is silent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gargalo.data.music import windows
from gargalo.data.music.grid import quantized
from gargalo.data.music.harmony import song_chords
from gargalo.data.music.song import PITCH, Song
from gargalo.data.music.vocabulary import (
    BAND,
    DRUMS,
    HIGHEST,
    HOLD,
    LOWEST,
    OFF,
    Notes,
    Tokens,
    melody_tokens,
    skyline,
)
from gargalo.errors import DataError

Bits = npt.NDArray[np.uint8]
LIKELIHOOD = f"parts:sizes={'+'.join(map(str, BAND[:-1]))}"  # of each part one, of drums any
_BASSES = range(32, 40)  # General MIDI's programs


class Players(NamedTuple):
    """The numbers of the tracks that play melody, bass and drums; None where a song has no such."""

    melody: int | None
    bass: int | None
    drums: int | None


class Band(NamedTuple):
    """All parts on one grid: tokens ``[T]``, chord classes ``[T]``, tokens ``[T]``, bits ``[T, 9]``; or windows of
    them, ``[N, T]`` and so on."""

    melody: Tokens
    chords: npt.NDArray[np.uint8]
    bass: Tokens
    drums: Bits

    @property
    def columns(self) -> Bits:
        """``[..., T, 238]``."""
        groups = zip((self.melody, self.chords, self.bass), BAND, strict=False)
        return np.concatenate([*(np.eye(size, dtype=np.uint8)[part] for part, size in groups), self.drums], -1)


def band_of(columns: Bits) -> Band:
    """The inverse of `Band.columns`."""
    melody, chords, bass, drums = np.split(columns, np.cumsum(BAND)[:-1], axis=-1)
    one = [part.argmax(-1).astype(np.uint8) for part in (melody, chords, bass)]
    return Band(one[0], one[1], one[2], drums)


def players(song: Song) -> Players:
    """Who plays what. The bass is the track so called or of such an instrument, else the lowest beside the melody.

    DataError where there are fewer than two parts.
    """
    pitched = [number for number, track in enumerate(song.tracks) if len(track.notes) and not track.drums]
    lead = windows.melody_track(song) if pitched else None
    others = [number for number in pitched if number != lead]
    low = max(others, key=lambda number: _depth(song, number)) if others else None
    kit = windows.drum_track(song) if any(track.drums and len(track.notes) for track in song.tracks) else None
    if sum(number is not None for number in (lead, low, kit)) < 2:
        other = "melodies" if kit is None else "drums"
        raise DataError(f"{song.name}: it has one part alone. Use the data source {other}.")
    return Players(lead, low, kit)


def _depth(song: Song, number: int) -> tuple[bool, float]:
    track = song.tracks[number]
    return "bass" in track.name.lower() or track.program in _BASSES, -float(track.notes[:, PITCH].mean())


def song_band(song: Song, unit: int = 16) -> tuple[Band, npt.NDArray[np.int64]]:
    """All parts of a whole song, to the end of its last bar, and the steps at which its bars begin."""
    who = players(song)
    lines = [
        np.zeros((0, 4), np.int64) if number is None else _on_piano(quantized(song, song.tracks[number], unit))
        for number in who[:2]
    ]
    drums = None if who.drums is None else windows.song_drums(song, unit)[0].bits
    end = max(*(int(notes[:, 1].max(initial=0)) for notes in lines), 0 if drums is None else _last(drums))
    if not end:
        raise DataError(f"{song.name}: no note of it is one of a piano's keys.")
    bars, length = windows.bars_until(song, end, unit)
    melody, bass = (melody_tokens(skyline(notes, low), length) for notes, low in zip(lines, (False, True), strict=True))
    bits, chords = np.zeros((length, len(DRUMS)), np.uint8), np.zeros(length, np.uint8)
    if drums is not None:
        bits[: min(length, len(drums))] = drums[:length]
    known = song_chords(song, unit)[:length]
    chords[: len(known)] = known
    return Band(melody, chords, bass, bits), bars


def _on_piano(notes: Notes) -> Notes:
    return notes[(notes[:, 2] >= LOWEST) & (notes[:, 2] <= HIGHEST)]


def _last(bits: Bits) -> int:
    """The step after the last hit, 0 without any: not every pitch of a kit is one of the nine drums."""
    return int(np.flatnonzero(bits.any(1)).max(initial=-1)) + 1


def cut(band: Band, starts: npt.NDArray[np.int64], length: int) -> Bits:
    """Windows ``[N, length, 238]`` from ``starts``; behind the end is silence."""
    quiet = silence(length)
    padded = Band(*(np.concatenate([part, end]) for part, end in zip(band, quiet, strict=True)))
    steps = starts[:, None] + np.arange(length)
    melody, bass = (windows.cut(part, starts, length) for part in (padded.melody, padded.bass))
    return Band(melody, padded.chords[steps], bass, padded.drums[steps]).columns


def silence(length: int) -> Band:
    """So many steps in which nothing sounds."""
    rest = np.full(length, HOLD, np.uint8)
    rest[:1] = OFF
    return Band(rest, np.zeros(length, np.uint8), rest, np.zeros((length, len(DRUMS)), np.uint8))


def apart(columns: Bits) -> Bits:
    """Windows ``[N, L, 238]`` in which no note goes on from the one before."""
    band = band_of(columns)
    for part in (band.melody, band.bass):
        part[part[:, 0] == HOLD, 0] = OFF
    return band.columns
