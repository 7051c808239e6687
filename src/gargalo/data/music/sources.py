"""Music as data: windows of melodies and of drum parts out of files, folders, .zip files and books of tunes."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from gargalo.data import cache
from gargalo.data.listing import Item, listing
from gargalo.data.music import windows
from gargalo.data.music.bands import LIKELIHOOD, players, song_band
from gargalo.data.music.bands import cut as cut_band
from gargalo.data.music.files import SUFFIXES, read_music
from gargalo.data.music.grid import WARN_ABOVE, check_grid, lateness, moved, steps_a_bar
from gargalo.data.music.harmony import chord_name, chord_places, window_chords
from gargalo.data.music.parts import merged
from gargalo.data.music.pieces import pieces_of
from gargalo.data.music.song import Song
from gargalo.data.music.vocabulary import BAND_BITS, CHORDS, DRUMS, FIRST, TIMING_STEP, TIMING_ZERO, VOCABULARY, played
from gargalo.data.source import Skipped, Source
from gargalo.errors import DataError, check_range
from gargalo.registry import source
from gargalo.spec import DataSpec

Metres = Literal["fitting", "all"]
NAMES = "melodies", "tunes", "drums", "grooves", "bands"  # of the sources here
VERSION = 4  # of the rules by which files become windows: a new number makes what is kept stale
MAX_LENGTH, MAX_UNIT = 1024, 128  # steps of a window, and of a whole note


class Form(NamedTuple):
    """What a window is: so many bars of so many steps of 1/``unit``."""

    bars: int
    steps: int
    unit: int
    metres: Metres
    force: bool
    chords: bool = False

    @property
    def length(self) -> int:
        return self.bars * self.steps


class Cut(NamedTuple):
    """A tune's windows ``[N, ...]``, chords behind their tokens where these are wanted, the bars (from 1) at which they
    begin, its grams, and its distance to the grid where that is lost."""

    windows: npt.NDArray[np.uint8]
    bars: npt.NDArray[np.int64]
    grams: npt.NDArray[np.uint64]
    error: float = 0.0


@source
def melodies(
    *,
    path: str,
    bars: int = 2,
    steps: int = 16,
    unit: int = 16,
    metres: Metres = "all",
    force: bool = False,
    chords: bool = False,
) -> Source:
    """Melodies in .mid, .rmi and .abc files, folders or .zip files of them (``a+b``), in windows of some bars.

    A window is ``bars`` times ``steps`` steps of 1/``unit`` notes from a bar line on, as tokens (see `vocabulary`).
    With ``metres=fitting`` tunes in which these are not whole bars are left out, with the reason. ``force`` takes
    performances that are off the grid. Every window is there once; variants of a tune are on one side of the split.
    With ``chords`` a model is told the chord of each 1/8, one of 49, by the symbols or what sounds beside the melody.

    Raises DataError where there are no files of music, or none that can be used.
    """
    form = form_of(bars, steps, unit, metres, force)._replace(chords=chords)
    spec = DataSpec("sequence", (form.length,), likelihood="categorical", vocabulary=VOCABULARY)
    if chords:
        names = tuple(map(chord_name, range(CHORDS)))
        spec = replace(spec, num_classes=CHORDS, class_names=names, places=chord_places(form.length, unit))
    return _source("melodies", path, form, spec, melody_cut)


@source
def tunes(*, bars: int = 2, steps: int = 16, metres: Metres = "fitting", chords: bool = False) -> Source:
    """Melodies of twenty old tunes in the public domain, which come with this package; no download."""
    with _own_tunes() as path:
        found = melodies(path=str(path), bars=bars, steps=steps, metres=metres, chords=chords)
    return replace(found, name="tunes")


def _own_tunes() -> AbstractContextManager[Path]:
    return as_file(files("gargalo") / "assets" / "tunes.abc")


@source
def drums(*, path: str, bars: int = 2, steps: int = 16, unit: int = 16, metres: Metres = "all") -> Source:
    """Drum parts in such files, as for `melodies`: a step is nine bits, kick to ride (see `vocabulary.DRUMS`).

    Performances are taken however far off the grid: how far is kept apart, as their timing.
    """
    form = form_of(bars, steps, unit, metres, force=True)
    return _source("drums", path, form, DataSpec("sequence", (form.length, len(DRUMS)), scale=(1.0,)), drum_cut)


@source
def grooves(*, path: str, bars: int = 2, steps: int = 16, unit: int = 16, metres: Metres = "all") -> Source:
    """Drum parts with how they were played, as for `drums`: nine bits, nine velocities, nine timings a step.

    See `vocabulary.played` for how these are written in bytes.
    """
    form, width = form_of(bars, steps, unit, metres, force=True), len(DRUMS)
    spec = DataSpec(
        "sequence", (form.length, 3 * width), likelihood="groove",
        offset=(0.0,) * 2 * width + (TIMING_ZERO,) * width,
        scale=(1.0,) * width + (127.0,) * width + (TIMING_STEP,) * width,
    )  # fmt: skip
    return _source("grooves", path, form, spec, groove_cut)


@source
def bands(
    *, path: str, bars: int = 2, steps: int = 16, unit: int = 16, metres: Metres = "all", force: bool = False
) -> Source:
    """Melody, chords, bass and drums of songs that have two of melody, bass and drums at least, as for `melodies`.

    A step is 238 bits, see `gargalo.data.music.bands`; what a song lacks is silent.
    """
    form = form_of(bars, steps, unit, metres, force)
    spec = DataSpec("sequence", (form.length, BAND_BITS), likelihood=LIKELIHOOD, scale=(1.0,))
    return _source("bands", path, form, spec, band_cut)


def like(path: str, spec: DataSpec, unit: int = 16, force: bool = False) -> Source:
    """Windows as long as those that a model was trained on, of the same parts. DataError where it takes no music."""
    given: dict[str, Any] = {"path": path, "bars": 1, "steps": spec.shape[0], "unit": unit}
    if spec.vocabulary == VOCABULARY and len(spec.shape) == 1:
        return melodies(**given, force=force, chords=spec.places > 0)
    if spec.shape[1:] == (BAND_BITS,):
        return bands(**given, force=force)
    if spec.shape[1:] in ((len(DRUMS),), (3 * len(DRUMS),)):
        return (drums if spec.shape[1] == len(DRUMS) else grooves)(**given)
    raise DataError(f"{path} is music; this model was trained on sequences of shape {spec.shape}.")


def drum_cut(song: Song, form: Form) -> Cut:
    """DataError where a song has no window of this form, saying why."""
    return (cut := groove_cut(song, form))._replace(windows=cut.windows[..., : len(DRUMS)])


def groove_cut(song: Song, form: Form) -> Cut:
    """As `drum_cut`, with velocities and timings."""
    part, lines = windows.song_drums(merged(song), form.unit)
    starts = _starts(song, lines, len(part.bits), form)
    found = played(part)[starts[:, None] + np.arange(form.length)]
    kept = np.flatnonzero(found[..., : len(DRUMS)].any((1, 2)))
    return Cut(found[kept], 1 + np.searchsorted(lines, starts[kept]), windows.beats(part.bits))


def band_cut(song: Song, form: Form) -> Cut:
    """DataError where a song has no window of this form, or one part alone."""
    song = merged(song)
    lead = next(number for number in players(song) if number is not None)
    song = moved(song, lateness(song, song.tracks[lead], form.unit))
    error = check_grid(song, song.tracks[lead], form.unit, form.force)
    band, lines = song_band(song, form.unit)
    starts = _starts(song, lines, len(band.melody), form)
    found = cut_band(band, starts, form.length)
    kept = windows.sounding(found)
    alike = windows.grams(band.melody) if (band.melody >= FIRST).any() else windows.beats(band.drums)
    return Cut(found[kept], 1 + np.searchsorted(lines, starts[kept]), alike, error)


def melody_cut(song: Song, form: Form) -> Cut:
    """DataError where a tune has no window of this form, saying why."""
    song = merged(song)
    number = windows.melody_track(song)
    song = moved(song, lateness(song, song.tracks[number], form.unit))
    error = check_grid(song, song.tracks[number], form.unit, form.force)
    tokens, lines = windows.song_melody(song, form.unit)
    starts = _starts(song, lines, len(tokens), form)
    found = windows.cut(tokens, starts, form.length)
    kept = windows.sounding(found)
    if form.chords:
        found = np.concatenate([found, window_chords(song, starts, form.length, form.unit)], 1)
    return Cut(found[kept], 1 + np.searchsorted(lines, starts[kept]), windows.grams(tokens), error)


def songs_in_windows(
    path: str | None, wanted: Container[str], shape: tuple[int, ...], form: Form
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]]:
    """Windows ``[N, *shape]`` that follow one another, in parts of songs in which something begins in each, and their
    chords where the form has such.

    Songs are those at ``path`` (the package's tunes where it is None) whose names are ``wanted``.
    """
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was said when the songs became data is not said again
        place = str(stack.enter_context(_own_tunes())) if path is None else path
        for item in music_items(place, stack):
            for name, song in songs_of(item, []):
                if name not in wanted:
                    continue
                apart = pieces_of(song, shape, form.unit, True, form.chords)
                whole = apart.starts + shape[0] <= apart.length
                found = apart.windows[whole]
                chords = None if apart.chords is None else apart.chords[whole]
                silent = [-1, *np.flatnonzero(~windows.sounding(found)).tolist(), len(found)]
                for before, after in pairwise(silent):
                    if after - before > 1:
                        run = slice(before + 1, after)
                        yield found[run], None if chords is None else chords[run]


def _starts(song: Song, lines: windows.Starts, length: int, form: Form) -> windows.Starts:
    """Where windows begin. DataError where none does."""
    if form.metres == "all":
        starts = lines[lines + form.length <= length]
    else:
        starts = windows.fitting(lines, length, form.steps, form.bars)
    if not len(starts):
        raise DataError(_misfit(song, length, form))
    return starts


def _misfit(song: Song, length: int, form: Form) -> str:
    if length < form.length:
        return f"{song.name}: it has {length} steps, a window {form.length}. Use fewer bars."
    metre = song.metres[0]
    width = int(steps_a_bar(metre, form.unit))
    return f"{song.name}: it is in {metre}, {width} steps a bar, not {form.steps}. Use steps={width}, or metres=all."


def form_of(bars: int = 2, steps: int = 16, unit: int = 16, metres: Metres = "all", force: bool = False) -> Form:
    """ValueError for what cannot be."""
    check_range("bars", bars, 1, 256)
    check_range("steps", steps, 1, MAX_LENGTH)
    check_range("bars times steps", bars * steps, 2, MAX_LENGTH)
    check_range("unit", unit, 1, MAX_UNIT)
    if metres == "all":  # then only the product matters, and what is kept serves all that have the same
        bars, steps = 1, bars * steps
    return Form(bars, steps, unit, metres, force)


def _source(kind: str, path: str, form: Form, spec: DataSpec, cutter: Callable[[Song, Form], Cut]) -> Source:
    with ExitStack() as stack:
        items = music_items(path, stack)
        lists = _found(path, frozenset((".csv",)), stack)
        stamps = [[item.name, *item.stamp] for item in items + lists]
        places = [str(place.resolve()) for place in _places(path)]
        key = cache.key_of(kind, VERSION, version("symusic"), form, places, stamps)
        shape = (spec.shape[0] + spec.places, *spec.shape[1:])  # chords lie behind tokens
        entry = cache.load(key) or _collect(key, shape, form, items, cutter, held_out(lists))
    facts = entry.facts
    if not len(entry.values):
        first = "; ".join(f"{name}: {reason}" for name, reason in facts["skipped"][:3])
        raise DataError(f"No music in {path} can be used: {first}")
    names = tuple(f"{facts['tunes'][tune]}, bar {bar}" for tune, bar in facts["rows"])
    if facts["loose"]:
        warnings.warn(
            f"{facts['loose']:,} of {len(facts['tunes']):,} tunes are more than {WARN_ABOVE} steps off the grid.",
            stacklevel=4,
        )
    tunes = torch.tensor([tune for tune, _ in facts["rows"]])
    related, test = torch.tensor(facts["clusters"])[tunes], torch.isin(tunes, torch.tensor(facts["held_out"]))
    skipped = tuple(Skipped(name, reason) for name, reason in facts["skipped"])
    values, told = entry.values.split([spec.shape[0], spec.places], 1) if spec.places else (entry.values, None)
    return Source(
        path, spec, values, test=test if bool(test.any()) else None, clusters=related,
        names=names, skipped=skipped, release=entry.release, conditions=told,
    )  # fmt: skip


def held_out(lists: list[Item]) -> set[str]:
    """The files that the columns ``midi_filename`` and ``split`` of an info.csv beside them keep from training."""
    names: set[str] = set()
    for item in lists:
        folder = PurePosixPath(item.name).parent
        if PurePosixPath(item.name).name != "info.csv":
            continue
        found = item.read()
        text = (found if isinstance(found, bytes) else found.read_bytes()).decode("utf-8", "replace")
        for row in csv.DictReader(text.splitlines()):
            if row.get("midi_filename") and row.get("split") not in (None, "train"):
                names.add(str(folder / row["midi_filename"]))
    return names


def files_of_music(path: str) -> int:
    """How many there are at ``path``, those in .zip files counted; 0 for a file of something else."""
    if not (place := Path(path).expanduser()).is_dir() and place.suffix.lower() not in SUFFIXES | {".zip"}:
        return 0
    with ExitStack() as stack:
        return len(_items(place, SUFFIXES, stack))


def music_items(path: str, stack: ExitStack) -> list[Item]:
    """The files of music at ``path``, a file, folder, .zip file or several joined by ``+``. DataError without any."""
    items = _found(path, SUFFIXES, stack)
    if not items:
        raise DataError(f"{path} holds no music ({', '.join(sorted(SUFFIXES))}).")
    return items


def _found(path: str, suffixes: frozenset[str], stack: ExitStack) -> list[Item]:
    places = _places(path)
    before = [f"{place.name}/" if len(places) > 1 else "" for place in places]
    return [
        item._replace(name=prefix + item.name)
        for place, prefix in zip(places, before, strict=True)
        for item in _items(place, suffixes, stack)
    ]


def _places(path: str) -> list[Path]:
    """The folders of ``a+b``; a path that exists as it stands is itself."""
    whole = Path(path).expanduser()
    return [whole] if whole.exists() else [Path(part).expanduser() for part in path.split("+")]


def _items(place: Path, suffixes: frozenset[str], stack: ExitStack) -> list[Item]:
    """Files at ``place``, and in the .zip files there."""
    if place.is_file() and place.suffix.lower() in SUFFIXES:
        info = place.stat()
        return [Item(place.name, (info.st_size, info.st_mtime_ns), lambda: place)] * (suffixes == SUFFIXES)
    if place.is_file() and place.suffix.lower() != ".zip":
        raise DataError(f"{place} is no music: none of {', '.join(sorted(SUFFIXES))}, .zip.")
    found = listing(place, suffixes, stack)
    archives = listing(place, frozenset((".zip",)), stack) if place.is_dir() else []
    return found + [
        item._replace(name=f"{archive.name}/{item.name}")
        for archive in archives
        for item in listing(Path(archive.read()), suffixes, stack)
    ]


def _collect(
    key: str,
    shape: tuple[int, ...],
    form: Form,
    items: list[Item],
    cutter: Callable[[Song, Form], Cut],
    kept_back: set[str],
) -> cache.Entry:
    """Read, cut and store all tunes; those that cannot be used are left out and named in the facts."""
    facts: dict[str, Any] = {"loose": 0, "copies": 0}
    facts |= {name: [] for name in ("tunes", "rows", "skipped", "clusters", "held_out")}
    # What is held out comes first: of two equal windows the one in training goes.
    items = sorted(items, key=lambda item: item.name not in kept_back)
    return cache.store(key, shape, _rows(form, items, cutter, kept_back, facts), facts)


def _rows(
    form: Form, items: list[Item], cutter: Callable[[Song, Form], Cut], kept_back: set[str], facts: dict[str, Any]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Windows in order, each once; fills ``facts``."""
    seen: set[bytes] = set()
    grams: list[npt.NDArray[np.uint64]] = []
    for item in items:
        for name, song in songs_of(item, facts["skipped"]):
            try:
                cut = cutter(song, form)
            except DataError as error:
                facts["skipped"].append((name, str(error).removeprefix(f"{song.name}: ")))
                continue
            facts["loose"] += cut.error > WARN_ABOVE
            facts["held_out"] += [len(grams)] * (item.name in kept_back)
            facts["tunes"].append(name)
            grams.append(cut.grams)
            for window, bar in zip(cut.windows, cut.bars.tolist(), strict=True):
                content = window.tobytes()
                facts["copies"] += content in seen
                if content not in seen:
                    seen.add(content)
                    facts["rows"].append((len(grams) - 1, bar))
                    yield window
    facts["clusters"] = windows.clusters(grams).tolist()


def songs_of(item: Item, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, Song]]:
    """The songs of a file, named after it, and after their number and title where a book has several."""
    try:
        found = read_music(item.read(), item.name)
    except DataError as error:
        skipped.append((item.name, str(error).removeprefix(item.name).lstrip(": ")))  # the name stands beside it
        return
    for number, song in enumerate(found, 1):
        yield (f"{item.name}#{number} {song.name}" if len(found) > 1 else item.name), song
