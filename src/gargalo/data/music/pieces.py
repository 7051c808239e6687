"""A whole song taken apart into windows that follow one another, and put together again from others in their place.

What a window does not say is carried beside it and put back: tempo, metre, key, names, programs, other tracks, and
for every note that is still there its velocity and its exact time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gargalo.data.music import bands, windows
from gargalo.data.music.grid import WARN_ABOVE, check_grid, lateness, moved, quantized, steps_a_bar, to_steps, to_ticks
from gargalo.data.music.harmony import chord_pitches, window_chords
from gargalo.data.music.parts import merged, parted
from gargalo.data.music.song import (
    LENGTH,
    MICROSECONDS,
    PITCH,
    START,
    VELOCITY,
    Metre,
    Song,
    Tempo,
    Track,
    sorted_notes,
)
from gargalo.data.music.vocabulary import (
    BAND_BITS,
    DRUM_PITCHES,
    DRUMS,
    HOLD,
    OFF,
    TIMING_ZERO,
    Drums,
    Notes,
    Tokens,
    drum_class,
    drum_hits,
    melody_notes,
    part_of,
    played,
    skyline,
    skyline_rows,
)

DEFAULT_VELOCITY = 80
CHORDAL, BASS = 0, 33  # the programs of chords and of a bass, piano and fingered bass
DIVISION = 480  # ticks a quarter of songs that are made here


@dataclass(frozen=True, eq=False)
class Pieces:
    """Windows ``[N, L]`` of a melody, ``[N, L, 9]`` of drums, ``[N, L, 27]`` of a groove or ``[N, L, 238]`` of a band,
    and all that is needed to put the song together."""

    song: Song  # with each part as one track, and its lateness taken away
    track: int
    late: int
    unit: int
    starts: npt.NDArray[np.int64]  # steps; a window ends where the next begins, and what it says beyond is left out
    length: int  # steps of the whole
    windows: npt.NDArray[np.uint8]
    chords: npt.NDArray[np.uint8] | None = None  # [N, places], of a melody, where they were asked for
    low: bool = False  # the track is a bass, whose lowest notes count
    tracks: tuple[Track, ...] = ()  # of the file, where the song has each part as one


def pieces_of(song: Song, shape: tuple[int, ...], unit: int = 16, force: bool = False, chords: bool = False) -> Pieces:
    """The melody of a whole song in windows of ``shape`` ``[L]``, or its drum part: hits for ``[L, 9]``, with how they
    are played for ``[L, 27]``; or all its parts, ``[L, 238]``. In any metre.

    Each window begins at a bar line; a last one, or a song, that is shorter ends in silence. A warning where the melody
    is loosely on the grid; DataError where it is not, unless ``force``, and where the song has no such part.
    """
    if shape[1:] == (BAND_BITS,):
        return band_pieces(song, shape[0], unit, force)
    if len(shape) == 2:
        return drum_pieces(song, shape[0], unit, shape[1])
    pieces = melody_pieces(song, shape[0], unit, force)
    error = check_grid(pieces.song, pieces.song.tracks[pieces.track], unit, force)
    if error > WARN_ABOVE:
        warnings.warn(f"{song.name}: {error:.2f} steps of 1/{unit} off the grid on average.", stacklevel=3)
    return replace(pieces, chords=window_chords(pieces.song, pieces.starts, shape[0], unit)) if chords else pieces


def with_windows(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with what windows like ``pieces.windows`` say in the place of its own melody or drum part, or of all its
    parts."""
    if found.ndim == 2:
        made = with_melody(pieces, found)
    elif found.shape[2] == BAND_BITS:
        made = with_band(pieces, found)
    else:
        made = with_drums(pieces, found) if found.shape[2] == len(DRUMS) else with_groove(pieces, found)
    return parted(made, pieces.tracks)


def melody_pieces(song: Song, length: int, unit: int = 16, force: bool = False) -> Pieces:
    """The melody in windows of ``length`` steps. DataError where it is off the grid or beyond a piano's keys."""
    tracks, song = song.tracks, merged(song)
    number = windows.melody_track(song)
    late = lateness(song, song.tracks[number], unit)
    song = moved(song, late)
    check_grid(song, song.tracks[number], unit, force)
    tokens, lines = windows.song_melody(song, unit)
    starts = following(lines, len(tokens), length)
    behind = _silence(np.zeros((1, length), np.uint8))
    found = windows.cut(np.append(tokens, behind), starts, length)
    return Pieces(song, number, late, unit, starts, len(tokens), found, tracks=tracks)


def drum_pieces(song: Song, length: int, unit: int = 16, width: int = len(DRUMS)) -> Pieces:
    """The drum part in windows of ``length`` steps, ``width`` columns of `played`. DataError where there is none."""
    whole = merged(song)
    part, lines = windows.song_drums(whole, unit)
    pieces = cut_columns(whole, windows.drum_track(whole), played(part)[:, :width], lines, length, unit)
    return replace(pieces, tracks=song.tracks)


def band_pieces(song: Song, length: int, unit: int = 16, force: bool = False) -> Pieces:
    """All parts in windows of ``length`` steps. DataError where it is off the grid, or has one part alone."""
    tracks, song = song.tracks, merged(song)
    lead = next(number for number in bands.players(song) if number is not None)
    late = lateness(song, song.tracks[lead], unit)
    song = moved(song, late)
    check_grid(song, song.tracks[lead], unit, force)
    band, lines = bands.song_band(song, unit)
    starts = following(lines, len(band.melody), length)
    found = bands.cut(band, starts, length)
    return Pieces(song, lead, late, unit, starts, len(band.melody), found, tracks=tracks)


def with_band(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with the melody, bass and drums that windows ``[N, L, 238]`` say in the place of its own.

    Chords are what else sounds, which stays; a part that the song lacks is not added.
    """
    band, song = bands.band_of(found), pieces.song
    for number, part in zip(bands.players(song), (band.melody, band.bass, band.drums), strict=True):
        if number is not None:
            own = replace(pieces, song=song, track=number, late=0, low=part is band.bass, tracks=())
            song = with_windows(own, part)
    return moved(song, -pieces.late)


def cut_columns(
    song: Song, track: int, columns: npt.NDArray[np.uint8], lines: windows.Starts, length: int, unit: int
) -> Pieces:
    """A track of a song, which is said in ``columns`` ``[T, C]``, in windows of ``length`` steps."""
    starts = following(lines, len(columns), length)
    padded = np.concatenate([columns, _silence(np.zeros((1, length, columns.shape[1]), np.uint8))])
    return Pieces(song, track, 0, unit, starts, len(columns), padded[starts[:, None] + np.arange(length)])


def with_melody(pieces: Pieces, found: Tokens) -> Song:
    """The song with the melody that windows ``[N, L]`` say in the place of its own."""
    own = pieces.song.tracks[pieces.track].notes
    places = quantized(pieces.song, pieces.song.tracks[pieces.track], pieces.unit)
    rows = skyline_rows(places, pieces.low)
    now = melody_notes(joined(pieces, found))
    starts, ends = (to_ticks(pieces.song, now[:, column], pieces.unit) for column in (0, 1))
    made = np.stack([starts, ends - starts, now[:, 2], _velocities_at(own[rows], starts)], 1)
    line = skyline(places, pieces.low).tolist()
    before = {(start, pitch): (end, row) for (start, end, pitch, _), row in zip(line, rows, strict=True)}
    for note, (start, end, pitch) in zip(made, now.tolist(), strict=True):
        if (start, pitch) in before:
            end_before, row = before[start, pitch]
            stop = note[START] + note[LENGTH]
            note[[START, VELOCITY]] = own[row, [START, VELOCITY]]
            note[LENGTH] = own[row, LENGTH] if end == end_before else max(1, stop - note[START])
    return _with_notes(pieces, np.concatenate([np.delete(own, rows, 0), made]))


def with_drums(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with the drum hits that windows ``[N, L, 9]`` say in the place of its own."""
    own = pieces.song.tracks[pieces.track].notes
    steps = np.rint(to_steps(pieces.song, own[:, START], pieces.unit)).astype(np.int64)
    kinds = drum_class(own[:, PITCH])
    bits = joined(pieces, found)
    kept = (kinds < 0) | (bits[np.minimum(steps, len(bits) - 1), kinds] > 0)  # what is no drum may come later
    missing = bits.copy()
    missing[steps[kinds >= 0], kinds[kinds >= 0]] = 0
    place, kind = np.nonzero(missing)
    starts = to_ticks(pieces.song, place, pieces.unit)
    short = np.full(len(starts), pieces.song.division * 2 // pieces.unit)  # half a step: a drum rings as it likes
    made = np.stack([starts, short, np.array(DRUM_PITCHES)[kind], _velocities_at(own, starts)], 1)
    return _with_notes(pieces, np.concatenate([own[kept], made]))


def with_groove(pieces: Pieces, found: npt.NDArray[np.uint8]) -> Song:
    """The song with the drum part of windows ``[N, L, 27]`` in the place of the track that was cut.

    What is none of the nine drums stays where it was.
    """
    track = pieces.song.tracks[pieces.track]
    notes = _hits(pieces.song, joined(pieces, found), pieces.unit)
    other = track.notes[drum_class(track.notes[:, PITCH]) < 0] if track.drums else track.notes[:0]
    tracks = list(pieces.song.tracks)
    name, notes = track.name if track.drums else "drums", sorted_notes(np.concatenate([notes, other]))
    tracks[pieces.track] = Track(name, track.program, True, notes)
    return replace(pieces.song, tracks=tuple(tracks))


def apart(found: Tokens) -> Tokens:
    """Windows ``[N, L]`` of melodies, or of other parts, that do not go on with the last note of the one before."""
    if found.ndim > 2:
        return bands.apart(found) if found.shape[2] == BAND_BITS else found
    found = found.copy()
    found[found[:, 0] == HOLD, 0] = OFF
    return found


def new_song(
    found: npt.NDArray[np.uint8],
    metre: Metre,
    unit: int = 16,
    *,
    name: str = "",
    program: int = 0,
    microseconds: int = MICROSECONDS,
) -> Song:
    """A song that plays windows ``[N, L]`` of a melody, ``[N, L, 9 or 27]`` of drums, or ``[N, L, 238]`` of a band, one
    by one."""
    whole = found.reshape(-1, *found.shape[2:])
    song = Song(name, DIVISION, (), (Tempo(0, microseconds),), (metre,))
    if whole.shape[1:] == (BAND_BITS,):
        return replace(song, tracks=_band_tracks(song, bands.band_of(whole), program, unit))
    notes = _tones(song, melody_notes(whole), unit) if found.ndim == 2 else _hits(song, whole, unit)
    track = Track("melody" if found.ndim == 2 else "drums", program, found.ndim == 3, notes)
    return replace(song, tracks=(track,))


def continued(pieces: Pieces, more: npt.NDArray[np.uint8]) -> Song:
    """The song, and after its last bar what steps ``[T]`` of a melody, ``[T, 9 or 27]`` of drums, or ``[T, 238]`` of a
    band, say."""
    new = new_song(more[None], Metre(0, 4, 4), pieces.unit).tracks
    song, scale = pieces.song, np.array([pieces.song.division / DIVISION] * 2 + [1, 1])
    places = (pieces.track,)
    if more.shape[1:] == (BAND_BITS,):
        who = bands.players(song)
        places = who.melody, None, who.bass, who.drums
    for number, track in zip(places, new, strict=True):
        if number is None:
            continue
        own, extra = song.tracks[number].notes, np.rint(track.notes * scale).astype(np.int64)
        extra[:, START] += to_ticks(song, np.array([pieces.length]), pieces.unit)
        if more.shape[1:] != (3 * len(DRUMS),):  # which say for themselves how loud they are
            extra[:, VELOCITY] = _velocities_at(own, extra[:, START])
        song = _with_notes(replace(pieces, song=song, track=number, late=0), np.concatenate([own, extra]))
    return parted(moved(song, -pieces.late), pieces.tracks)


def dressed(pieces: Pieces, number: int, length: int, new: Song) -> Song:
    """A new song in the key, with the track's name and as loud as a song is from a window on, over and over after so
    many steps. Drums and bands get the key alone."""
    tick, track = tick_of(pieces, number), pieces.song.tracks[pieces.track]
    keys = tuple(key._replace(tick=0) for key in pieces.song.keys if key.tick <= tick)[-1:]
    if len(new.tracks) != 1 or new.tracks[0].drums:
        return replace(new, keys=keys)
    own, notes = track.notes[track.notes[:, START] >= tick] - [tick, 0, 0, 0], new.tracks[0].notes.copy()
    over = to_ticks(pieces.song, np.array([length]), pieces.unit)
    starts = np.rint(notes[:, START] * pieces.song.division / new.division).astype(np.int64) % over
    notes[:, VELOCITY] = _velocities_at(own, starts)
    return replace(new, keys=keys, tracks=(replace(new.tracks[0], name=track.name, notes=notes),))


def bar_at(pieces: Pieces, number: int) -> tuple[Metre, int]:
    """The metre at a window, as that of a song of its own, and how many steps a bar has there."""
    metre = [m for m in pieces.song.metres if m.tick <= tick_of(pieces, number)][-1]
    return metre._replace(tick=0), int(steps_a_bar(metre, pieces.unit))


def tick_of(pieces: Pieces, number: int) -> int:
    """When a window begins."""
    return int(to_ticks(pieces.song, pieces.starts[number : number + 1], pieces.unit)[0])


def advance(pieces: Pieces, number: int) -> int:
    """How far the next window begins after one, in the metre of that: whole bars where one fits in a window."""
    width, length = bar_at(pieces, number)[1], pieces.windows.shape[1]
    return length // width * width if width <= length else length


def ending(pieces: Pieces) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """The window ``[1, ...]`` after which the next would begin where the song ends, of a short song all of it; and its
    chords."""
    return beginning_at(pieces, np.array([max(0, pieces.length - advance(pieces, len(pieces.starts) - 1))]))


def beginning_at(
    pieces: Pieces, starts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Windows ``[N, ...]`` of the song that begin at steps before its end, and their chords; then comes silence."""
    length = pieces.windows.shape[1]
    whole = np.concatenate([joined(pieces, pieces.windows), _silence(pieces.windows)])
    if whole.ndim > 1:
        return whole[starts[:, None] + np.arange(length)], None
    chords = None if pieces.chords is None else window_chords(pieces.song, starts, length, pieces.unit)
    return windows.cut(whole, starts, length), chords


def _silence(found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A window like these in which nothing sounds."""
    silent = np.zeros_like(found[0])
    if silent.ndim == 1:
        silent[0] = OFF
    elif silent.shape[1] == BAND_BITS:
        silent = bands.silence(len(silent)).columns
    elif silent.shape[1] != len(DRUMS):  # a groove's timings, or that of taps
        silent[:, -(len(DRUMS) if silent.shape[1] > len(DRUMS) else 1) :] = TIMING_ZERO
    return silent


def _band_tracks(song: Song, band: bands.Band, program: int, unit: int) -> tuple[Track, ...]:
    """Melody, chords, bass and drums; chords are played anew wherever another begins."""
    lead, low = (_tones(song, melody_notes(part), unit) for part in (band.melody, band.bass))
    begins = np.flatnonzero(np.diff(band.chords, prepend=0))
    ends = np.append(begins[1:], len(band.chords))[: len(begins)]
    tones = [
        (start, end, pitch)
        for start, end in zip(begins.tolist(), ends.tolist(), strict=True)
        for pitch in chord_pitches(int(band.chords[start]))
    ]
    chords = _tones(song, np.array(tones, np.int64).reshape(-1, 3), unit)
    return (
        Track("melody", program, False, lead),
        Track("chords", CHORDAL, False, chords),
        Track("bass", BASS, False, low),
        Track("drums", 0, True, _hits(song, band.drums, unit)),
    )


def _tones(song: Song, notes: npt.NDArray[np.int64], unit: int) -> Notes:
    """Of ``[N, 3]``: first step, step after the last, pitch."""
    begin, end = (to_ticks(song, notes[:, column], unit) for column in (0, 1))
    loud = np.full(len(notes), DEFAULT_VELOCITY)
    return sorted_notes(np.stack([begin, end - begin, notes[:, 2], loud], 1))


def _hits(song: Song, columns: npt.NDArray[np.uint8], unit: int) -> Notes:
    """Notes of drums ``[T, 9 or 27]``, half a step long: a drum rings as it likes."""
    bits = columns[:, : len(DRUMS)]
    loud = Drums(bits, bits * np.uint8(DEFAULT_VELOCITY), np.zeros(bits.shape, np.float32))
    hits = drum_hits(loud if bits.shape == columns.shape else part_of(columns))
    begin = to_ticks(song, hits[:, 0], unit).clip(min=0)
    short = np.full(len(hits), song.division * 2 // unit)
    return sorted_notes(np.stack([begin, short, hits[:, 1], hits[:, 2]], 1).astype(np.int64))


def following(lines: npt.NDArray[np.int64], total: int, length: int) -> npt.NDArray[np.int64]:
    """Starts of windows that leave nothing out: each at the last bar line that the one before still reaches."""
    starts = [0]
    while starts[-1] + length < total:
        reached = lines[np.searchsorted(lines, starts[-1] + length, side="right") - 1]
        starts.append(int(reached) if reached > starts[-1] else starts[-1] + length)
    return np.array(starts)


def joined(pieces: Pieces, found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Windows, each up to the start of the next, as one. ValueError for another number or length of them."""
    if found.shape[:2] != pieces.windows.shape[:2]:
        raise ValueError(f"Got windows of shape {found.shape}; {pieces.windows.shape[:2]} were taken from the song.")
    ends = np.append(pieces.starts[1:], pieces.length)
    return np.concatenate(
        [window[: end - start] for window, start, end in zip(found, pieces.starts, ends, strict=True)]
    )


def _with_notes(pieces: Pieces, notes: npt.NDArray[np.int64]) -> Song:
    tracks = list(pieces.song.tracks)
    tracks[pieces.track] = replace(tracks[pieces.track], notes=sorted_notes(notes))
    return moved(replace(pieces.song, tracks=tuple(tracks)), -pieces.late)


def _velocities_at(own: Notes, starts: Notes) -> Notes:
    """How loud the notes nearest to ``starts`` are; `DEFAULT_VELOCITY` where there are none."""
    if not len(own):
        return np.full(len(starts), DEFAULT_VELOCITY)
    after = np.searchsorted(own[:, START], starts).clip(max=len(own) - 1)
    before = (after - 1).clip(min=0)
    earlier = np.abs(own[before, START] - starts) < np.abs(own[after, START] - starts)
    return own[np.where(earlier, before, after), VELOCITY]
