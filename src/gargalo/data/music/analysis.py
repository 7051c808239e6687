"""What is in a song, and how many windows models could be given of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gargalo.data.music.grid import bar_starts, grid_error, lateness, moved
from gargalo.data.music.harmony import ROOTS
from gargalo.data.music.song import LENGTH, PITCH, START, Key, Song, Track
from gargalo.data.music.sources import Cut, Form, band_cut, drum_cut, melody_cut, music_items, songs_of
from gargalo.data.music.vocabulary import FIRST, HIGHEST, LOWEST, Tokens, melody_notes
from gargalo.data.source import Skipped
from gargalo.errors import DataError

FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe",
    "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "sound effects",
)  # fmt: skip
# How much a tone belongs to a key, from its root up (Krumhansl and Kessler 1982).
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_KEY = re.compile(r"([A-Ga-g])([#b]?) *(m|min|minor|maj|major|)")
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def look_into(path: str, form: Form) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """The facts of every song at ``path``, see `facts`, and the files that are none."""
    skipped: list[tuple[str, str]] = []
    with ExitStack() as stack:
        found = [
            {"file": name, **facts(song, form)}
            for item in music_items(path, stack)
            for name, song in songs_of(item, skipped)
        ]
    return found, [Skipped(name, reason) for name, reason in skipped]


def facts(song: Song, form: Form) -> dict[str, Any]:
    """As JSON has it: title, seconds, bars, metres, tempos, key, tracks, grid error, and windows for each source.

    ``windows`` has, for melodies, drums and bands, ``usable`` and the ``reason`` where there are none.
    """
    pitched = [track.notes for track in song.tracks if not track.drums]
    return {
        "title": song.name,
        "seconds": round(float(song.seconds(np.array([song.end]))[0]), 3),
        "bars": _bars(song, form.unit),
        "metres": list(dict.fromkeys(map(str, song.metres))),
        "tempos": [round(tempo.quarters_a_minute, 2) for tempo in song.tempos],
        "key": key_of(np.concatenate(pitched)) if pitched else None,
        "signature": [key_name(key) for key in song.keys],
        "chords": len(song.chords),
        "tracks": [_track(song, track, form.unit) for track in song.tracks],
        "windows": {
            "melodies": _usable(song, form, melody_cut),
            "drums": _usable(song, form, drum_cut),
            "bands": _usable(song, form, band_cut),
        },
    }


def key_of(notes: npt.NDArray[np.int64]) -> str:
    """``"G major"`` or ``"A minor"``: the key whose tones sound the longest, by correlation."""
    heard = np.bincount(notes[:, PITCH] % 12, notes[:, LENGTH], 12)
    fits = {
        f"{ROOTS[root]} {mode}": float(np.corrcoef(heard, np.roll(profile, root))[0, 1]) if heard.std() else 0.0
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
        for root in range(12)
    }
    return max(fits, key=lambda name: fits[name])


def scale_of(notes: npt.NDArray[np.int64]) -> int:
    """The pitch class on which the major scale with the tones of the notes' key begins."""
    root, minor = key_number(key_of(notes))
    return (root + 3 * minor) % 12


def in_key(tokens: Tokens, key: str) -> Tokens:
    """A melody ``[T]`` transposed, up or down by as little as makes it suit ``key`` best; octaves stay on the piano.

    ``key`` is such as ``"G"``, ``"Em"``, ``"Bb major"`` or ``"F# minor"``. ValueError for what is no key.
    """
    root, minor = key_number(key)
    notes = melody_notes(tokens)
    if not len(notes):
        return tokens
    heard = np.bincount(notes[:, 2] % 12, notes[:, 1] - notes[:, 0], 12)
    profile = np.roll(_MINOR if minor else _MAJOR, root)
    shifts = [
        shift for shift in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6)
        if notes[:, 2].min() + shift >= LOWEST and notes[:, 2].max() + shift <= HIGHEST
    ]  # fmt: skip
    best = max(shifts, key=lambda shift: float(np.dot(np.roll(heard, shift), profile)))
    return np.where(tokens >= FIRST, tokens.astype(np.int64) + best, tokens).astype(np.uint8)


def key_number(key: str) -> tuple[int, bool]:
    """The pitch class of a key's root, and whether it is minor. ValueError for what is no key."""
    match = _KEY.fullmatch(key.strip())
    if match is None:
        raise ValueError(f"key={key!r} must be such as C, Em, Bb major or F# minor.")
    root = (_NATURAL[match[1].upper()] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12
    return root, match[3] in ("m", "min", "minor")


def key_signature(key: str) -> Key:
    """``"G"`` as it is written: one sharp. ValueError for what is no key."""
    root, minor = key_number(key)
    fifths = 7 * (root + 3 * minor) % 12
    return Key(0, fifths - 12 if fifths > 6 else fifths, minor)


def key_name(key: Key) -> str:
    root = (7 * key.sharps + (9 if key.minor else 0)) % 12
    return f"{ROOTS[root]} {'minor' if key.minor else 'major'}"


def _track(song: Song, track: Track, unit: int) -> dict[str, Any]:
    late = lateness(song, track, unit)
    straight = moved(replace(song, tracks=(track,)), late).tracks[0]
    return {
        "name": track.name,
        "instrument": "drums" if track.drums else FAMILIES[track.program // 8],
        "program": track.program,
        "drums": track.drums,
        "notes": len(track.notes),
        "lowest": int(track.notes[:, PITCH].min()),
        "highest": int(track.notes[:, PITCH].max()),
        "at_once": round(len(track.notes) / len(np.unique(track.notes[:, START])), 2),
        "late_steps": round(late * unit / (4 * song.division), 3),
        "grid_error": round(grid_error(song, straight, unit), 4),
    }


def _bars(song: Song, unit: int) -> int | None:
    try:
        return len(bar_starts(song, unit))
    except DataError:
        return None  # the reason stands beside the windows


def _usable(song: Song, form: Form, cutter: Callable[[Song, Form], Cut]) -> dict[str, Any]:
    try:
        usable = len(cutter(song, form).windows)
        return {"usable": usable, "reason": None if usable else "nothing begins in it that a model could learn."}
    except DataError as error:
        return {"usable": 0, "reason": str(error).removeprefix(f"{song.name}: ")}
