"""ABC notation to songs: every tune of a book, with repeats, keys, tuplets, ties and chord symbols (standard 2.1).

Read here and not by a library, because tunes must begin where their bars do and because nothing of a stranger's
text may reach a program that was not written for strangers. Voices other than the first, lyrics, ornaments and the
order of parts are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from gargalo.data.music.harmony import chord_number
from gargalo.data.music.repeats import Event, unfolded
from gargalo.data.music.song import Key, Metre, Song, Tempo, Track, sorted_notes
from gargalo.errors import DataError

DIVISION = 5040  # ticks a quarter: whole for all but the oddest tuplets
MAX_TUNES, MAX_TEXT, MAX_EVENTS = 100_000, 1 << 18, 50_000  # of a book; characters and signs of a tune
VELOCITY = 80
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "m": -3, "aeo": -3, "phr": -4, "loc": -5, "lyd": 1}
_NOTES = frozenset("ABCDEFGabcdefgzxZ")
_TUPLETS = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}  # so many in the time of; 5, 7, 9 as in simple metres
_TUNE = re.compile(r"^X:", re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z+]):(.*)")
_TOKEN = re.compile(
    r"""\[(?P<inline>[A-Za-z]):(?P<value>[^\]]{0,80})\]
    |(?P<bar>\[\||:{0,4}\|[|\]:]*|::+)(?:\s*\[?(?P<ending>[1-9][0-9,\-]*))?
    |\[(?P<lone>[1-9][0-9,\-]*)
    |"(?P<symbol>[^"]{0,80})"
    |(?P<skip>![^!\s]{0,40}!|\+[a-z]{1,40}\+|\{[^}]{0,200}\})
    |\((?P<tuplet>[2-9])(?::(?P<time>[0-9]*))?(?::(?P<many>[0-9]*))?
    |(?P<chord>\[[^\]:|"]{1,80}\])(?P<chord_length>[0-9/]*)
    |(?P<note>[\^_=]{0,2}[A-Ga-g][,']*|[zxZ])(?P<length>[0-9/]*)
    |(?P<tie>-)|(?P<broken>>+|<+)|(?P<overlay>&)""",
    re.VERBOSE,
)  # every repetition that may fail in the end has a bound, or a line of nothing but `{` would take hours
_ACCIDENTALS = re.compile(r"(?:^|\s)((?:[\^_=]{1,2}[A-Ga-g])+)(?=\s|$)")  # of a key; `middle=d` has none
_DEFAULTS = re.compile(r"[LMQ]:.*")  # of a book's own header, for all of its tunes
_PITCH = re.compile(r"([\^_=]{0,2})([A-Ga-g])([,']*)([0-9/]*)")


def read_book(content: bytes, name: str) -> list[Song]:
    """Every tune of a book; those without notes are left out. DataError where none is left."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # of which every byte is a letter; only titles can suffer
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    starts = [match.start() for match in _TUNE.finditer(text)]
    if not starts:
        raise DataError(f"{name} is not in ABC notation: no tune begins with X:.")
    if len(starts) > MAX_TUNES:
        raise DataError(f"{name} has {len(starts):,} tunes, more than {MAX_TUNES:,}. Split the book.")
    head = "".join(f"{line}\n" for line in _DEFAULTS.findall(text[: starts[0]].partition("\n\n")[0]))
    tunes = [head + text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    songs = [song for number, tune in enumerate(tunes, 1) if (song := _Reader(f"{name}, tune {number}").read(tune))]
    if not songs:
        raise DataError(f"{name} has no notes.")
    return songs


class _Reader:
    """Reads one tune: the header and its defaults, then the body, event by event."""

    def __init__(self, name: str) -> None:
        self.name, self.title = name, ""
        self.metre, self.default, self.sharps, self.minor = Metre(0, 4, 4), Fraction(0), 0, False
        self.tempo: tuple[Fraction, float] | None = None
        self.bar: dict[str, int] = {}  # accidentals that hold until the bar line
        self.last: dict[str, int] = {}  # those of the last note or chord
        self.tied: dict[str, int] = {}  # those that a tie takes to the next, a bar line between or not
        self.altered: dict[str, int] = {}  # by the key signature
        self.events: list[Event] = []
        self.broken = Fraction(1)  # what the next note's length is multiplied by
        self.tuplet: tuple[int, Fraction] = (0, Fraction(1))
        self.voice: str | None = None  # the one that is read; others are skipped
        self.skipping = self.overlaid = False  # what sounds beside the first voice, in a voice or a bar of it

    def read(self, tune: str) -> Song | None:
        if len(tune) > MAX_TEXT:
            raise DataError(f"{self.name} has {len(tune):,} characters, more than {MAX_TEXT:,}.")
        body = False
        for line in tune.split("\n"):
            if body and not line.strip():
                break  # an empty line ends a tune; what follows is text
            line = re.sub(r"(?<!\\)%.*", "", line).rstrip()
            field = _FIELD.match(line)
            if field and not (body and field[1] in _NOTES):  # `d:|` is music
                self._field(field[1], field[2].strip(), body)
                if field[1] == "K" and not body:
                    body, self.default = True, self.default or _default_length(self.metre)
            elif body:
                self._music(line)
        return self._song()

    def _field(self, key: str, value: str, body: bool) -> None:
        if key == "V" and body:
            label = value.partition(" ")[0]
            self.voice = self.voice or label
            self.skipping = label != self.voice
        elif self.skipping:
            return  # of a voice that is not read: its metre, unit and key are its own
        elif key == "T" and not self.title:
            self.title = value
        elif key == "M":
            self._set_metre(value)
        elif key == "L":
            self.default = _fraction(value) or self.default
        elif key == "Q" and body:
            self.events.append(Event("tempo", text=value))
        elif key == "Q":
            self.tempo = _tempo(value) or self.tempo
        elif key == "K":
            self._set_key(value)

    def _set_metre(self, value: str) -> None:
        value = {"C": "4/4", "C|": "2/2"}.get(value.strip(), value)
        if match := re.match(r"\(?([0-9+]{1,12})\)?/([0-9]{1,2})", value):
            beats, unit = sum(int(part or 0) for part in match[1].split("+")), int(match[2])
            if 1 <= beats <= 64 and unit in (1, 2, 4, 8, 16, 32, 64):
                self.metre = Metre(0, beats, unit)
                self.events.append(Event("metre", text=f"{beats}/{unit}"))

    def _set_key(self, value: str) -> None:
        value = {"Hp": "D =g", "HP": "C"}.get(value, value)  # bagpipes, with and without their sharps
        match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", value)
        if match is None:
            return  # none, or a clef alone: no accidentals, or those of before
        mode = match[3].lower()
        shift = _MODES.get(mode[:3], _MODES["m"] if mode == "m" else 0)
        self.sharps = max(-7, min(7, _FIFTHS[match[1]] + {"#": 7, "b": -7, "": 0}[match[2]] + shift))
        self.minor = shift == _MODES["min"]
        order = "FCGDAEB" if self.sharps > 0 else "BEADGCF"
        self.altered = dict.fromkeys(order[: abs(self.sharps)], 1 if self.sharps > 0 else -1) if mode != "exp" else {}
        for found in _ACCIDENTALS.findall(value):
            self.altered |= {letter.upper(): _alteration(sign) for sign, letter, *_ in _PITCH.findall(found)}
        self.events.append(Event("key", text=f"{self.sharps} {self.minor:d}"))

    def _music(self, line: str) -> None:
        for match in _TOKEN.finditer(line):
            found = match.groupdict()
            if len(self.events) > MAX_EVENTS:
                raise DataError(f"{self.name} has more than {MAX_EVENTS:,} notes and signs.")
            if found["inline"] is not None:
                self._field(found["inline"], found["value"].strip(), True)
            elif self.skipping:
                continue
            elif found["bar"] is not None or found["lone"] is not None:
                self._bar(found["bar"] or "", found["ending"] or found["lone"])
            elif self.overlaid or found["overlay"] is not None:
                self.overlaid = True
            elif found["symbol"]:
                self.events.append(Event("symbol", text=found["symbol"]))
            elif found["tuplet"] is not None:
                self._tuplet(int(found["tuplet"]), found["time"], found["many"])
            elif found["broken"] is not None:
                self._dot(found["broken"])
            elif found["tie"] is not None:
                self._tie()
            elif found["note"] is not None or found["chord"] is not None:
                self._note(found["note"] or found["chord"], found["length"] or found["chord_length"] or "")

    def _bar(self, sign: str, ending: str | None) -> None:
        self.bar, self.overlaid = {}, False
        if sign:
            self.events.append(Event("bar", text=sign))
        if ending:
            self.events.append(Event("ending", text=ending))

    def _tuplet(self, count: int, time: str | None, many: str | None) -> None:
        compound = self.metre.beats % 3 == 0 and self.metre.unit >= 8
        usual = 3 if compound and count in (5, 7, 9) else _TUPLETS[count]
        within = int(time[:2]) if time else 0
        self.tuplet = (int(many[:2]) if many else 0) or count, Fraction(within or usual, count)

    def _dot(self, sign: str) -> None:
        """``A>B``: the first is dotted and the second halved; ``<`` the other way, more signs more so."""
        small = Fraction(1, 2 ** min(len(sign), 4))
        first, self.broken = (2 - small, small) if sign[0] == ">" else (small, 2 - small)
        self._change_last(lambda event: event._replace(length=round(event.length * first)))

    def _tie(self) -> None:
        self.tied = self.last
        self._change_last(lambda event: event._replace(tied=True))

    def _change_last(self, change: Callable[[Event], Event]) -> None:
        for place in range(len(self.events) - 1, max(len(self.events) - 6, -1), -1):
            if self.events[place].kind == "note":
                self.events[place] = change(self.events[place])
                return

    def _note(self, text: str, length: str) -> None:
        rest = text[0] in "zxZ"
        self.last = {}
        pitches = () if rest else tuple(self._pitch(match) for match in _PITCH.finditer(text))
        if not rest and not pitches:
            return
        if text[0] == "[" and (inner := _PITCH.search(text)) and inner[4] and not length:
            length = inner[4]
        unit = self.default
        if text[0] == "Z":  # whole bars
            unit = Fraction(self.metre.beats, self.metre.unit)
        left, ratio = self.tuplet
        self.tuplet = (left - 1, ratio) if left > 1 else (0, Fraction(1))
        self.events.append(Event("note", _ticks(length, unit, ratio * self.broken), pitches))
        self.broken, self.tied = Fraction(1), {}

    def _pitch(self, match: re.Match[str]) -> int:
        sign, letter, octaves = match[1], match[2], match[3]
        place = letter + octaves
        if sign:
            self.bar[place] = _alteration(sign)
        alteration = self.bar.get(place, self.tied.get(place, self.altered.get(letter.upper(), 0)))
        self.last[place] = alteration
        octave = 12 * (letter.islower() + octaves.count("'") - octaves.count(","))
        return max(0, min(127, 60 + _SEMITONES[letter.upper()] + alteration + octave))

    def _song(self) -> Song | None:
        """Repeats played, a first bar that is not full put at the end of one that is."""
        played = list(islice(unfolded(self.events), MAX_EVENTS + 1))
        if not any(event.pitches for event in played):
            return None
        if len(played) > MAX_EVENTS:
            raise DataError(f"{self.name} has more than {MAX_EVENTS:,} notes with its repeats.")
        return _performed(played, self)


def _performed(events: list[Event], reader: _Reader) -> Song:
    now = _pickup(events)
    metre, width = Metre(0, 4, 4), 4 * DIVISION
    origin = last = 0  # where the metre began, and the last bar line
    notes: list[list[int]] = []
    metres: dict[int, Metre] = {}
    keys: dict[int, Key] = {}
    tempos = {0: Tempo(0, _microseconds(reader.tempo or (Fraction(1, 4), 120.0)))}
    chords: list[tuple[int, str]] = []
    tied: dict[int, list[int]] = {}
    for event in events:
        if event.kind == "metre":
            beats, unit = map(int, event.text.split("/"))
            if not metres or (beats, unit) != metre[1:]:  # a repeat says it again, perhaps before an upbeat
                origin = now if notes else 0
                metres[origin] = metre = Metre(origin, beats, unit)
                width = 4 * DIVISION * beats // unit
        elif event.kind == "key":
            tick = now if notes else 0
            sharps, minor = map(int, event.text.split())
            keys[tick] = Key(tick, sharps, bool(minor))
        elif event.kind == "tempo" and (counted := _tempo(event.text)):
            tick = now if notes else 0
            tempos[tick] = Tempo(tick, _microseconds(counted))
        elif event.kind == "bar" and now > last:
            # A beat too many or too few where parts meet: a whole bar that is off the lines begins them anew.
            if now - last == width and (last - origin) % width:
                metres[last], origin = metre._replace(tick=last), last
            last = now
        elif event.kind == "symbol" and chord_number(event.text):  # others are words, such as Fine
            chords.append((now, event.text))
        if event.kind != "note":
            continue
        held, tied = tied, {}
        for pitch in event.pitches:
            note = held.get(pitch)
            if note is None:
                note = [now, event.length, pitch, VELOCITY]
                notes.append(note)
            else:
                note[1] += event.length
            if event.tied:
                tied[pitch] = note
        now += event.length
    name = f"{reader.title or Path(reader.name).name}"
    track = Track(name, 0, False, sorted_notes([note for note in notes if note[1] > 0]))
    return Song(
        name, DIVISION, (track,), _changes(tempos),
        tuple(metres[tick] for tick in sorted(metres)) or (Metre(0, 4, 4),), _changes(keys), tuple(chords),
    )  # fmt: skip


def _changes(found: dict[int, Any]) -> tuple[Any, ...]:
    """What is new, by tick: a repeat says again what holds already."""
    rows = [found[tick] for tick in sorted(found)]
    return tuple(
        row for before, row in zip([None, *rows], rows, strict=False) if before is None or row[1:] != before[1:]
    )


def _pickup(events: list[Event]) -> int:
    """The ticks missing in a first bar that is not full, so that the second begins on a bar line."""
    width, length = 4 * DIVISION, 0
    for event in events:
        if event.kind == "metre" and not length:
            beats, unit = map(int, event.text.split("/"))
            width = 4 * DIVISION * beats // unit
        if event.kind == "bar" and length:
            return max(width - length, 0)
        length += event.length
    return 0


def _alteration(sign: str) -> int:
    """Semitones up."""
    return max(-2, min(2, sign.count("^") - sign.count("_")))


def _default_length(metre: Metre) -> Fraction:
    return Fraction(1, 16) if metre.beats * 4 < metre.unit * 3 else Fraction(1, 8)


@lru_cache(4096)
def _ticks(text: str, unit: Fraction, ratio: Fraction) -> int:
    """Of a note of so many units (``3``, ``3/2``, ``/``, ``//``, ``/4``: between 1/64 and 64), times ``ratio``."""
    above, slashes, below = re.fullmatch(r"([0-9]*)(/*)([0-9]*).*", text).groups()  # type: ignore[union-attr]
    top = int(above[:3] or 1)
    bottom = int(below[:3]) if below else 2 ** min(len(slashes), 6)
    multiple = min(max(Fraction(top, bottom or 1), Fraction(1, 64)), Fraction(64))
    return round(4 * DIVISION * unit * multiple * ratio)


def _fraction(text: str) -> Fraction:
    match = re.match(r"([0-9]{1,3})/([0-9]{1,3})", text)
    return Fraction(int(match[1]), int(match[2])) if match and int(match[2]) and int(match[1]) else Fraction(0)


def _tempo(text: str) -> tuple[Fraction, float] | None:
    """``1/4=120``, ``120``: the note that is counted, and how many a minute."""
    text = re.sub(r'"[^"]*"', "", text).strip()
    pulse = _fraction(text) or Fraction(1, 4)
    match = re.search(r"(?:=|^)\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)$", text)
    return (pulse, float(match[1])) if match and float(match[1]) else None


def _microseconds(tempo: tuple[Fraction, float]) -> int:
    """Of a quarter."""
    pulse, rate = tempo
    return max(1, min(round(60e6 / (rate * float(4 * pulse))), 0xFFFFFF))
