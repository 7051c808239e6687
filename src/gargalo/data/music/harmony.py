"""Chords in 49 classes: none, and major, minor, seventh and diminished on twelve roots. From symbols or from sound."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from gargalo.data.music.grid import bar_starts, quantized, steps_a_bar
from gargalo.data.music.song import Metre, Song
from gargalo.data.music.vocabulary import QUALITIES, ROOTS
from gargalo.data.music.windows import melody_track

LONGEST = 64  # pulses that one note counts for
SHORTEST = 8  # a model is told a chord for every 1/8
_SYMBOL = re.compile(r"([A-G])([#b]?):?((?:min|maj|dim|hdim|aug|sus|add|[mMo]|[0-9#b+(),-])*)(?:/[A-G0-9][#b]?)?")
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def chord_number(symbol: str) -> int:
    """The class of a symbol such as ``Am``, ``F#7``, ``Bbmaj7`` or ``G/B``; 0 for what is none."""
    match = _SYMBOL.fullmatch(symbol.strip())
    if match is None:
        return 0
    root = (_NATURAL[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12
    kind = match[3].lower()
    if kind.startswith(("dim", "o", "hdim")) or "b5" in kind:
        quality = 3
    elif kind.startswith(("m", "-")) and not kind.startswith("maj") and match[3][:1] != "M":
        quality = 1
    else:
        quality = 2 if kind.startswith(("7", "9", "11", "13")) else 0
    return 1 + root * len(QUALITIES) + quality


def chord_name(number: int) -> str:
    """``"N"`` for none, else a symbol that `chord_number` reads."""
    root, quality = divmod(int(number) - 1, len(QUALITIES))
    return "N" if number == 0 else ROOTS[root] + list(QUALITIES)[quality]


def chord_pitches(number: int) -> list[int]:
    """The pitches of a class from its root upwards, that below middle C; none for 0."""
    root, quality = divmod(number - 1, len(QUALITIES))
    return [] if number == 0 else [48 + root + tone for tone in list(QUALITIES.values())[quality]]


def song_chords(song: Song, unit: int = 16) -> npt.NDArray[np.uint8]:
    """The class at every step, up to the end of the song: by its symbols, else by what sounds in each pulse.

    A pulse is a beat, three of them in 6/8 and the like. The tune itself counts only where nothing else sounds.
    DataError where bars are no whole number of steps.
    """
    lines = bar_starts(song, unit)
    length = int(np.ceil(song.end * unit / (4 * song.division)))
    if song.chords:
        found = np.zeros(length, np.uint8)
        for tick, symbol in song.chords:
            found[round(tick * unit / (4 * song.division)) :] = chord_number(symbol)
        return found
    pulses = _pulses(song, lines, length, unit)
    return np.repeat(_sounding(song, pulses, unit), np.diff(np.append(pulses, length))).astype(np.uint8)


def window_chords(song: Song, starts: npt.NDArray[np.int64], length: int, unit: int = 16) -> npt.NDArray[np.uint8]:
    """The classes ``[N, places]`` that a model is told of windows of so many steps; none behind the song's end."""
    found = np.append(song_chords(song, unit), np.uint8(0))
    return found[np.minimum(starts[:, None] + _places(length, unit), len(found) - 1)]


def chord_places(length: int, unit: int = 16) -> int:
    """How many classes a model is told of a window of so many steps."""
    return len(_places(length, unit))


def _places(length: int, unit: int) -> npt.NDArray[np.int64]:
    return np.arange(0, length, max(1, unit // SHORTEST))


def told_chords(
    text: str, starts: npt.NDArray[np.int64], length: int, bar: int = 16, unit: int = 16
) -> npt.NDArray[np.uint8]:
    """The classes ``[N, places]`` in windows of ``length`` steps that begin at ``starts``, of chords written as
    ``"C G Am F"``: a ``bar`` of steps each, over and over. ``N`` is none; ValueError for what is no chord."""
    symbols = text.replace("|", " ").replace(",", " ").split()
    unknown = [symbol for symbol in symbols if symbol not in ("N", "NC") and not chord_number(symbol)]
    if unknown or not symbols:
        given = repr(unknown[0]) if unknown else repr(text)
        raise ValueError(f"{given} is no chord. Write chords such as C, Am, G7, Bdim or F#m, and N for none.")
    numbers = np.array([chord_number(symbol) for symbol in symbols], np.uint8)
    return numbers[(starts[:, None] + _places(length, unit)) // bar % len(numbers)]


def _pulses(song: Song, lines: npt.NDArray[np.int64], length: int, unit: int) -> npt.NDArray[np.int64]:
    """The steps at which pulses of a song of so many begin: those of the first metre, anew in every bar."""
    width = _pulse(song.metres[0], unit)
    ends = np.append(lines[1:], max(length, lines[-1] + 1))
    inside = [np.arange(a, b, width) for a, b in zip(lines, ends, strict=True)]
    return np.concatenate(inside)


def _pulse(metre: Metre, unit: int) -> int:
    beats = 3 if metre.beats % 3 == 0 and metre.unit >= 8 else 1
    return max(1, int(steps_a_bar(metre, unit)) * beats // metre.beats)


def _sounding(song: Song, pulses: npt.NDArray[np.int64], unit: int) -> npt.NDArray[np.int64]:
    pitched = [number for number, track in enumerate(song.tracks) if not track.drums]
    accompaniment = [number for number in pitched if number != melody_track(song)] if pitched else []
    heard, lowest = np.zeros((len(pulses), 12)), np.full(len(pulses), 128)
    for number in accompaniment or pitched:
        notes = quantized(song, song.tracks[number], unit)
        first = np.searchsorted(pulses, notes[:, 0], side="right") - 1
        count = np.minimum(np.searchsorted(pulses, notes[:, 1]) - first, LONGEST)
        rows = np.repeat(np.arange(len(notes)), count)
        pulse = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        ends = np.append(pulses[1:], np.iinfo(np.int64).max)[pulse]
        overlap = np.minimum(notes[rows, 1], ends) - np.maximum(notes[rows, 0], pulses[pulse])
        np.add.at(heard, (pulse, notes[rows, 2] % 12), overlap)
        np.minimum.at(lowest, pulse, notes[rows, 2])
    return chord_of(heard, lowest)


def chord_of(heard: npt.NDArray[np.float64], lowest: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Classes ``[P]`` that explain the most of what sounds: weights ``[P, 12]`` of pitch classes, lowest pitch ``[P]``.

    Weight on a chord's tones counts for it, weight beside them and tones that are missing against it; the lowest
    pitch, mostly the root, counts once more. 0 where fewer than two pitch classes sound.
    """
    templates = np.zeros((12, len(QUALITIES), 12))
    for root in range(12):
        for quality, tones in enumerate(QUALITIES.values()):
            templates[root, quality, [(root + tone) % 12 for tone in tones]] = 1
    share = heard / np.maximum(heard.sum(1, keepdims=True), 1e-9)
    inside = np.einsum("pt,rqt->prq", share, templates)
    missing = np.einsum("pt,rqt->prq", share == 0, templates)
    bass = np.zeros((len(heard), 12))
    bass[np.arange(len(heard)), lowest % 12] = 0.3
    score = 2 * inside - 0.25 * missing + bass[:, :, None]
    best = score.reshape(len(heard), -1).argmax(1) + 1
    return np.where((heard > 0).sum(1) >= 2, best, 0)
