"""Verbs on whole songs: reconstruct, sample, interpolate, vary. Songs in, songs out, in any metre.

A song is cut into windows that begin at bar lines, these are coded and decoded, and what comes out takes the place of
the melody or drum part; all else that the song says is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gargalo.checkpoint import TrainedModel
from gargalo.data import music_form
from gargalo.data.music import pieces
from gargalo.data.music.analysis import in_key, key_signature, scale_of
from gargalo.data.music.attributes import in_key as inside
from gargalo.data.music.grooves import WIDTH, in_bytes
from gargalo.data.music.harmony import told_chords
from gargalo.data.music.pieces import Pieces
from gargalo.data.music.song import Metre, Song
from gargalo.data.music.sources import Form
from gargalo.data.music.vocabulary import FIRST, melody_notes
from gargalo.data.music.windows import sounding
from gargalo.errors import check_range, check_temperature
from gargalo.evaluation.music import is_music
from gargalo.training import seeded
from gargalo.verbs.following import Following, following
from gargalo.verbs.latent import decode, embed, reconstruct

Windows = npt.NDArray[np.uint8]
Chords = npt.NDArray[np.uint8] | None  # [N, places], of a model that is told them
MAX_BARS, MAX_SONGS = 4096, 1024
TRIES = 8  # draws of a next window, of which the one most in the key is taken
CHORDS = "C G Am F"  # where a model wants some and nobody gave any
MIDDLE = 256  # draws from the prior whose mean is the middle of all codes
TEMPOS = 10.0, 1000.0  # quarters a minute
MAX_SEED = 2**63 - 1


def form_of(model: TrainedModel) -> Form:
    """Bars, steps and unit of a model's windows. ValueError for a model of something else than music."""
    if not is_music(model.spec):
        raise ValueError(
            f"{model.path or 'This model'} was trained on {model.config['data']}, which is no music. Train one on "
            "melodies or drums: gargalo train music FOLDER -o RUN."
        )
    return music_form(model.config["data"], model.spec)


def taken(model: TrainedModel, song: Song, force: bool = False) -> Pieces:
    """A song in the windows that a model takes; see `gargalo.data.music.pieces.pieces_of`.

    ValueError for a model that takes what a corruption leaves of them.
    """
    form = form_of(model)
    if model.spec.input_shape != model.spec.shape:
        raise ValueError(
            f"{model.path or 'This model'} was trained with corruption={model.corruption!r}: it takes what that leaves "
            "of a song. That is what humanize and tap2drum are for."
        )
    return pieces.pieces_of(song, model.spec.shape, form.unit, force or form.force, model.spec.places > 0)


def played(model: TrainedModel, codes: npt.NDArray[np.floating], chords: Chords = None) -> Windows:
    """Windows ``[N, *shape]`` of codes ``[N, latent_dim]``."""
    return in_windows(decode(model, codes, labels=chords))


def in_windows(values: npt.NDArray[np.number]) -> Windows:
    """What a model gives, as windows have it."""
    return in_bytes(values) if values.shape[2:] == (3 * WIDTH,) else values.astype(np.uint8)


def reconstruct_song(model: TrainedModel, song: Song, *, force: bool = False) -> Song:
    """A whole song through the model: its melody, or drum part, as it comes out; everything else as it was.

    A note that is still there keeps its velocity and exact time, unless these are what the model says. ``force`` takes
    what is far off the grid. DataError where the song has no such part, or was not played to its beat.
    """
    apart = taken(model, song, force)
    return pieces.with_windows(apart, in_windows(reconstruct(model, apart.windows, labels=apart.chords)))


def sample_songs(
    model: TrainedModel,
    n: int = 8,
    *,
    bars: int | None = None,
    temperature: float = 1.0,
    tempo: float = 120.0,
    key: str | None = None,
    chords: str | None = None,
    seed: int = 0,
    together: bool = False,
) -> list[Song]:
    """``n`` new songs of so many ``bars``, one window unless given; ``together``, one song of all of them.

    Where a song has several windows, each goes on from the one before, see `gargalo.continue_song`. ``key`` such as
    "G" or "E minor" transposes each song, up or down by as little as makes its notes suit that key best. ``chords``
    such as "C G Am F", a bar each and over and over, are for a model of data with chords.
    """
    form = form_of(model)
    check_range("n", n, 1, MAX_SONGS)
    whole = form.bars * form.steps
    length = whole if bars is None else form.steps * check_range("bars", bars, 1, MAX_BARS)
    check_temperature(temperature)
    check_range("seed", seed, 0, MAX_SEED)
    if not TEMPOS[0] <= tempo <= TEMPOS[1]:
        raise ValueError(f"tempo={tempo} must lie between {TEMPOS[0]:g} and {TEMPOS[1]:g}.")
    if key is not None and chords is not None:
        raise ValueError(f"key={key!r}: the chords say it already. Leave it out.")
    told = _told(model, chords, whole * np.arange(-(-length // whole)), form.steps)
    with seeded(seed), torch.no_grad():
        code = model.net.prior.sample(n, temperature).flatten(1).cpu().numpy()  # type: ignore[operator]
    parts = [played(model, code, _each(told, 0, n))]
    if length > whole:
        step, rng, scales = following(model), np.random.default_rng(seed), [_scale(window) for window in parts[0]]
        while len(parts) * whole < length:
            now = _each(told, len(parts), n)
            code, window = next_windows(model, step, code, scales, rng, temperature, now)
            parts.append(window)
    found = np.concatenate(parts, 1)[:, :length]
    if key is not None and found.ndim > 2:
        raise ValueError(f"key={key!r} is for melodies; this model plays drums or several parts. Leave it out.")
    if key is not None:
        found = np.stack([in_key(row, key) for row in found])
    made = pieces.apart(found)
    microseconds = round(60_000_000 / tempo)
    rows = [made] if together else list(made[:, None])
    songs = [
        pieces.new_song(part, metre_of(form), form.unit, name=f"sample {number}", microseconds=microseconds)
        for number, part in enumerate(rows, 1)
    ]
    return songs if key is None else [replace(song, keys=(key_signature(key),)) for song in songs]


def interpolate_songs(
    model: TrainedModel,
    songs: Sequence[Song],
    *,
    steps: int = 8,
    bars: int | None = None,
    force: bool = False,
    together: bool = False,
) -> list[Song]:
    """The way from one song to another through the latent space, ``steps`` songs, ends included; of four songs, the
    corners, a grid of ``steps`` rows from the first two to the last two.

    Of each song ``bars`` are taken, as the first song has them, from the first window with notes on; unless given, this
    one alone. The ends are what `gargalo.reconstruct_song` makes of them where their bars are as long, but for a model
    that is told chords. Tempo, metre, instrument and, for such a model, chords are those of the first song.
    ``together``: one song, all of these one after another. ValueError where a song has fewer bars.
    """
    check_range("steps", steps, 2, MAX_SONGS)
    if len(songs) not in (2, 4):
        raise ValueError(f"Got {len(songs)} songs; two make a line, four a grid.")
    parts = [taken(model, song, force) for song in songs]
    firsts = [_first(part) for part in parts]
    advance, width = pieces.advance(parts[0], firsts[0]), pieces.bar_at(parts[0], firsts[0])[1]
    wanted = 1 if bars is None else check_range("bars", bars, 1, MAX_BARS) * width
    for part, first in zip(parts, firsts, strict=True):
        if bars is not None and (there := part.length - int(part.starts[first])) < wanted:
            raise ValueError(f"bars={bars}: {part.song.name} has {there // width} such bars from its first note on.")
    cuts = [
        pieces.beginning_at(part, part.starts[first] + np.arange(0, wanted, advance))
        for part, first in zip(parts, firsts, strict=True)
    ]
    ends = [torch.from_numpy(embed(model, found, labels=told)) for found, told in cuts]
    codes = line(ends[0], ends[1], steps) if len(songs) == 2 else grid(ends, steps)  # [S, W, D]
    told = None if cuts[0][1] is None else np.tile(cuts[0][1], (len(codes), 1))
    found = played(model, codes.flatten(0, 1).numpy(), told)[:, :advance]
    found = found.reshape(len(codes), -1, *found.shape[2:])
    return like_first(parts[0], firsts[0], found if bars is None else found[:, :wanted], together)


def line(a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """From codes ``[W, D]`` straight to others: ``[steps, W, D]``; the ends are exactly these.

    Straight, for what lies between is then closer to what the decoder knows than on a great circle: see benchmarks.
    """
    ways = torch.lerp(a, b, torch.linspace(0, 1, steps)[:, None, None])
    ways[0], ways[-1] = a, b
    return ways


def grid(corners: Sequence[torch.Tensor], steps: int) -> torch.Tensor:
    """Rows of lines between lines: ``[steps * steps, W, D]``."""
    left, right = line(corners[0], corners[2], steps), line(corners[1], corners[3], steps)
    return torch.cat([line(a, b, steps) for a, b in zip(left, right, strict=True)])


def vary_song(model: TrainedModel, song: Song, *, similarity: float = 0.8, seed: int = 0, force: bool = False) -> Song:
    """A song like this one: every code moved, so that it is correlated by ``similarity`` with what it was.

    1 is the reconstruction, 0 new music in its place. What repeats in the song repeats in what comes out.
    """
    if not 0 <= similarity <= 1:
        raise ValueError(f"similarity={similarity} must lie between 0 and 1.")
    check_range("seed", seed, 0, MAX_SEED)
    apart = taken(model, song, force)
    known = apart.windows if apart.chords is None else np.concatenate([apart.windows, apart.chords], 1)
    _, first, place = np.unique(known, axis=0, return_index=True, return_inverse=True)
    chords = None if apart.chords is None else apart.chords[first]
    codes = embed(model, apart.windows[first], labels=chords)
    with seeded(seed), torch.no_grad():
        drawn = model.net.prior.sample(MIDDLE + len(codes)).flatten(1).cpu().numpy()  # type: ignore[operator]
    middle, new = drawn[:MIDDLE].mean(0), drawn[MIDDLE:]
    moved = codes if similarity == 1 else middle + similarity * (codes - middle)
    moved = moved + np.sqrt(1 - similarity**2, dtype=np.float32) * (new - middle)
    found = played(model, moved, chords)[place.reshape(-1)]
    silent = ~sounding(apart.windows)
    found[silent] = apart.windows[silent]  # rests stay rests
    return pieces.with_windows(apart, found)


def continue_song(
    model: TrainedModel,
    song: Song,
    bars: int = 8,
    *,
    temperature: float = 1.0,
    chords: str | None = None,
    seed: int = 0,
    force: bool = False,
) -> Song:
    """A song and ``bars`` more bars of its melody, or drum part, after its last.

    Each new window is drawn given the code of the one before, as windows follow one another in the training data, see
    `gargalo.verbs.following`; of some draws the one most in the song's key is taken. Other parts end where they ended.
    ``chords`` as for `sample_songs`; unless given, those of the last window go on.
    """
    check_range("bars", bars, 1, MAX_BARS)
    check_temperature(temperature)
    check_range("seed", seed, 0, MAX_SEED)
    apart = taken(model, song, force)
    last = len(apart.windows) - 1
    advance, (_, width) = pieces.advance(apart, last), pieces.bar_at(apart, last)
    step, rng = following(model), np.random.default_rng(seed)
    own = apart.song.tracks[apart.track]
    scales = [0 if own.drums else scale_of(own.notes)]
    window, sounds = pieces.ending(apart)
    code, count = embed(model, window, labels=sounds), -(-bars * width // advance)
    if sounds is None or chords is not None:
        told = _told(model, chords, advance * np.arange(count), width)
    else:
        told = np.repeat(sounds, count, 0)
    made: list[Windows] = []
    for number in range(count):
        code, window = next_windows(model, step, code, scales, rng, temperature, _each(told, number, 1))
        made.append(window[0, :advance])
    return pieces.continued(apart, np.concatenate(made)[: bars * width])


def next_windows(
    model: TrainedModel,
    step: Following,
    codes: npt.NDArray[np.floating],
    scales: Sequence[int],
    rng: np.random.Generator,
    temperature: float = 1.0,
    chords: Chords = None,
) -> tuple[npt.NDArray[np.floating], Windows]:
    """Codes that follow ``[N, D]``, and their windows: of `TRIES` draws each that with most notes in a scale, one of N.

    Of drum parts the first draw.
    """
    n, shape = len(codes), model.spec.shape
    if len(shape) > 1:
        drawn = step.draw(codes, rng, temperature)
        return drawn, played(model, drawn)
    drawn = step.draw(np.repeat(codes, TRIES, 0), rng, temperature)
    found = played(model, drawn, None if chords is None else np.repeat(chords, TRIES, 0))
    share = np.concatenate([inside(part, scale) for part, scale in zip(np.split(found, n), scales, strict=True)])
    share[~np.any(found >= FIRST, axis=1)] = 0  # silence is in every key
    best = share.reshape(n, TRIES).argmax(1) + TRIES * np.arange(n)
    return drawn[best], found[best]


def _told(model: TrainedModel, chords: str | None, starts: npt.NDArray[np.int64], bar: int) -> Chords:
    """What a model is told of windows that begin at ``starts``; None for one that is told nothing."""
    if model.spec.places:
        return told_chords(chords or CHORDS, starts, model.spec.shape[0], bar, form_of(model).unit)
    if chords is not None:
        raise ValueError(
            f"chords={chords!r}: {model.path or 'this model'} knows none. Train on melodies:path=FOLDER,chords=true."
        )
    return None


def _each(told: Chords, number: int, n: int) -> Chords:
    """What is told of a window, for ``n`` songs."""
    return None if told is None else np.repeat(told[number : number + 1], n, 0)


def _scale(window: Windows) -> int:
    """That of a melody; 0 of drums, and where nothing sounds."""
    notes = melody_notes(window) if window.ndim == 1 else np.zeros((0, 3), np.int64)
    return (
        scale_of(np.stack([notes[:, 0], notes[:, 1] - notes[:, 0], notes[:, 2], notes[:, 2]], 1)) if len(notes) else 0
    )


def like_first(apart: Pieces, first: int, found: Windows, together: bool) -> list[Song]:
    """Songs that play rows ``[S, T, ...]`` as a song is played from its window ``first`` on: its tempo, metre, key,
    instrument and, note by note, loudness."""
    song, metre = apart.song, pieces.bar_at(apart, first)[0]
    tick = pieces.tick_of(apart, first)
    tempo = [t for t in song.tempos if t.tick <= tick][-1]
    rows = pieces.apart(found)
    options: dict[str, Any] = {
        "name": song.name,
        "program": song.tracks[apart.track].program,
        "microseconds": tempo.microseconds,
    }
    made = [pieces.new_song(part, metre, apart.unit, **options) for part in ([rows] if together else rows[:, None])]
    return [pieces.dressed(apart, first, found.shape[1], new) for new in made]


def metre_of(form: Form) -> Metre:
    """4/4 of 16 steps of 1/16, 3/4 of 12. ValueError where bars of so many steps are none that can be written."""
    length = Fraction(form.steps, form.unit)
    unit = max(4, length.denominator)
    if unit not in (4, 8, 16, 32, 64) or (beats := int(length * unit)) > 64:
        raise ValueError(f"Bars of {form.steps} steps of 1/{form.unit} have no metre that can be written.")
    return Metre(0, beats, unit)


def _first(apart: Pieces) -> int:
    """The first window in which something begins."""
    return int(sounding(apart.windows).argmax())
