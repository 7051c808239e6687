"""Files of music to songs and back: .mid, .midi, .rmi, and books of tunes in .abc.

What a stranger's file promises is checked before a library sees it, and what comes back is bounded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gargalo.data.cache import replacing
from gargalo.data.music import notation
from gargalo.data.music.song import MICROSECONDS, START, Key, Metre, Song, Tempo, Track, sorted_notes
from gargalo.errors import DataError

MIDI_SUFFIXES = frozenset((".mid", ".midi", ".rmi"))
SUFFIXES = MIDI_SUFFIXES | {".abc"}
CHANNELS = 15  # of pitches
MAX_BYTES = 1 << 24  # of a file; an hour of dense music has one MiB
MAX_NOTES, MAX_TRACKS = 500_000, 1_000
MAX_QUARTERS = 100_000  # fourteen hours at 120 a minute
MAX_CHANGES = 20_000  # of tempo, of metre, of key


def read_music(file: Path | bytes, name: str = "") -> list[Song]:
    """All songs of a file, or of its content: one of MIDI, any number of ABC.

    Raises DataError that names the file and says what is wrong with it.
    """
    name = name or (str(file) if isinstance(file, Path) else "this file")
    content = _content(file, name)
    if not content.strip():
        raise DataError(f"{name} is empty.")
    if Path(name).suffix.lower() == ".abc" or content.lstrip(b"\xef\xbb\xbf").lstrip()[:2] in (b"X:", b"%a"):
        return notation.read_book(content, name)
    return [_read_midi(content, name)]


def write_midi(song: Song, file: Path) -> None:
    """Format 1, with the events of tempo, metre and key; drums on the tenth channel."""
    import symusic

    score: Any = symusic.Score(song.division)
    score.tempos.extend([symusic.Tempo(t.tick, mspq=t.microseconds) for t in song.tempos])
    score.time_signatures.extend([symusic.TimeSignature(m.tick, m.beats, m.unit) for m in song.metres])
    score.key_signatures.extend([symusic.KeySignature(k.tick, k.sharps, int(k.minor)) for k in song.keys])
    if (pitched := sum(not track.drums for track in song.tracks)) > CHANNELS:
        warnings.warn(
            f"{song.name}: {pitched} tracks share {CHANNELS} channels of MIDI; other programs may play one with the "
            "instrument of another.",
            stacklevel=2,
        )
    for track in song.tracks:
        part: Any = symusic.Track(track.name, track.program, track.drums)
        rows = track.notes.copy()
        rows[:, START] = rows[:, START].clip(min=0)  # nothing begins before a file does
        part.notes.extend([symusic.Note(*row) for row in rows.tolist()])
        score.tracks.append(part)
    with replacing(file) as stream:
        stream.write(score.dumps_midi())


def _content(file: Path | bytes, name: str) -> bytes:
    if isinstance(file, bytes):
        content = file
    else:
        if not file.is_file():
            raise DataError(f"{name} is not a file." if file.exists() else f"There is no file {name}.")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(f"{name} has more than {MAX_BYTES >> 20} MiB, which no song needs.")
    return content


def _read_midi(content: bytes, name: str) -> Song:
    import symusic

    content = _unwrapped(content, name)
    _check_chunks(content, name)
    try:
        score: Any = symusic.Score.from_midi(content)
    except (RuntimeError, ValueError) as error:
        reason = str(error).removeprefix("MiniMidi: ").partition(":")[0].rstrip("!")
        if reason.startswith("Get "):
            reason = f"MIDI has no {reason.removeprefix('Get ')}"
        raise DataError(f"{name} is damaged: {reason}. Export it again.") from error
    if max(len(score.tempos), len(score.time_signatures), len(score.key_signatures)) > MAX_CHANGES:
        raise DataError(f"{name} changes tempo, metre or key more than {MAX_CHANGES:,} times.")
    tracks = tuple(_track(track) for track in score.tracks)
    song = Song(
        Path(name).stem,
        score.tpq,
        tuple(track for track in tracks if len(track.notes)),
        _tempos(score),
        _metres(score, name),
        tuple(Key(k.time, k.key, bool(k.tonality)) for k in _by_tick(score.key_signatures) if -7 <= k.key <= 7),
    )
    _check_song(song, name)
    return song


def _unwrapped(content: bytes, name: str) -> bytes:
    """The MIDI file inside a RIFF file; another is itself."""
    if content[:4] != b"RIFF":
        return content
    if content[8:12] != b"RMID":
        raise DataError(f"{name} is a RIFF file, but holds no MIDI: perhaps sound. Give MIDI or ABC.")
    place = 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            return content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    raise DataError(f"{name} is a RIFF file whose MIDI part is missing: it was cut short.")


def _check_chunks(content: bytes, name: str) -> None:
    """DataError unless there is a header that can be meant and whole tracks behind it."""
    if content[:4] != b"MThd":
        raise DataError(f"{name} is not a MIDI file: it does not begin with MThd. Give .mid, .midi, .rmi or .abc.")
    size = int.from_bytes(content[4:8], "big")
    if len(content) < 14 or size < 6 or 8 + size > len(content):
        raise DataError(f"{name} was cut short: its header is not whole. Copy or export it again.")
    division = int.from_bytes(content[12:14], "big")
    if division & 0x8000:
        raise DataError(f"{name} counts in video frames (SMPTE), not in beats. Export it with ticks a quarter.")
    if division == 0:
        raise DataError(f"{name} says that a quarter has 0 ticks. Export it again.")
    place, tracks = 8 + size, 0
    while place + 8 <= len(content):
        tracks += content[place : place + 4] == b"MTrk"
        place += 8 + int.from_bytes(content[place + 4 : place + 8], "big")
    if place > len(content):
        raise DataError(f"{name} was cut short: a track ends after the file. Copy or export it again.")
    if not 1 <= tracks <= MAX_TRACKS:
        raise DataError(f"{name} has {tracks:,} tracks; 1 to {MAX_TRACKS:,} can be read.")


def _check_song(song: Song, name: str) -> None:
    count = sum(len(track.notes) for track in song.tracks)
    if count == 0:
        raise DataError(f"{name} has no notes.")
    if count > MAX_NOTES:
        raise DataError(f"{name} has {count:,} notes, more than {MAX_NOTES:,}.")
    if song.end > MAX_QUARTERS * song.division or any(track.notes[0, START] < 0 for track in song.tracks):
        raise DataError(f"{name} lasts longer than {MAX_QUARTERS:,} quarters. A time in it must be wrong.")


def _track(track: Any) -> Track:
    columns = track.notes.numpy()
    notes = np.stack([columns[key].astype(np.int64) for key in ("time", "duration", "pitch", "velocity")], 1)
    return Track(track.name, track.program, track.is_drum, sorted_notes(notes[notes[:, 1] >= 0]))


def _tempos(score: Any) -> tuple[Tempo, ...]:
    found = tuple(Tempo(t.time, t.mspq) for t in _by_tick(score.tempos) if t.mspq > 0)
    return found if found and found[0].tick == 0 else (Tempo(0, MICROSECONDS), *found)


def _metres(score: Any, name: str) -> tuple[Metre, ...]:
    found = tuple(Metre(m.time, m.numerator, m.denominator) for m in _by_tick(score.time_signatures))
    for metre in found:
        if not (1 <= metre.beats <= 64 and metre.unit in (1, 2, 4, 8, 16, 32, 64)):
            raise DataError(f"{name} has a metre of {metre}, which cannot be.")
    return found if found and found[0].tick == 0 else (Metre(0, 4, 4), *found)


def _by_tick(events: Any) -> Iterator[Any]:
    """Events in order; of several at one tick the last, as a player would."""
    last = {event.time: event for event in events}
    return iter([last[tick] for tick in sorted(last)])
