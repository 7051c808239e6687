"""Parts that are spread over several tracks: seen as one, and given back to where they came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gargalo.data.music import files, grooves, pieces, windows
from gargalo.data.music.parts import merged, parted
from gargalo.data.music.song import PITCH, START, VELOCITY, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.sources import band_cut, drum_cut, form_of, melody_cut
from gargalo.data.music.vocabulary import DRUMS, TIMING_ZERO

RNG = np.random.default_rng(0)
LOUDER = np.array([0, 0, 0, 1])
KICK, SNARE, HAT, CLAVES = 36, 38, 42, 75


def track(name, program, starts, pitch=None, drums=False):
    pitches = RNG.integers(60, 72, len(starts)) if pitch is None else np.full(len(starts), pitch)
    return Track(name, program, drums, sorted_notes(np.stack([starts, starts * 0 + 100, pitches, starts % 120 + 5], 1)))


def song(*tracks):
    return Song("a", 480, tracks, (Tempo(0, 500_000),), (Metre(0, 4, 4),))


def same(a, b):
    return [
        (x.name, x.program, x.drums) == (y.name, y.program, y.drums) and np.array_equal(x.notes, y.notes)
        for x, y in zip(a.tracks, b.tracks, strict=True)
    ]


BEATS = 480 * np.arange(32)
FLUTE, CLARINET = track("tune", 73, BEATS[(BEATS // 1920) % 4 < 2]), track("tune", 71, BEATS[(BEATS // 1920) % 4 >= 2])
BASS = track("bass", 33, BEATS, 40)
KIT = [track("kick", 0, BEATS[::4], KICK, True), track("snare", 0, BEATS[2::4], SNARE, True)]
KIT += [track("hat", 0, BEATS, HAT, True), track("claves", 0, BEATS[1::8], CLAVES, True)]


@pytest.fixture
def spread():
    return song(FLUTE, KIT[0], BASS, CLARINET, *KIT[1:])


def test_every_part_is_one_track_and_goes_back(spread):
    whole = merged(spread)
    assert [(one.name, one.drums, len(one.notes)) for one in whole.tracks] == [
        ("tune", False, 32), ("kick", True, 8 + 8 + 32 + 4), ("bass", False, 32),
    ]  # fmt: skip
    assert same(parted(whole, spread.tracks), spread) == [True] * 7
    moved = replace(whole, tracks=tuple(replace(one, notes=one.notes + LOUDER) for one in whole.tracks))
    for now, before in zip(parted(moved, spread.tracks).tracks, spread.tracks, strict=True):
        assert np.array_equal(now.notes, before.notes + LOUDER)


@pytest.mark.parametrize(
    "other",
    [
        track("tune", 73, BEATS[2:] + 240),  # the same instrument: a second voice
        track("air", 71, CLARINET.notes[:, START]),  # another name
        track("tune", 71, BEATS[20:]),  # both at once
        track("", 71, CLARINET.notes[:, START]),
    ],
)
def test_other_tracks_are_parts_of_their_own(other):
    apart = song(FLUTE if other.name else replace(FLUTE, name=""), other)
    assert merged(apart) is apart
    assert parted(apart, apart.tracks) is apart


def test_a_tune_that_changes_its_instrument_is_one_tune(spread, tmp_path):
    alone = song(replace(FLUTE, notes=sorted_notes(np.concatenate([FLUTE.notes, CLARINET.notes]))), BASS)
    assert np.array_equal(melody_cut(spread, form_of()).windows, melody_cut(alone, form_of()).windows)
    files.write_midi(spread, tmp_path / "a.mid")
    back = files.read_music(tmp_path / "a.mid")[0]
    taken = pieces.pieces_of(back, (32,))
    again = pieces.with_windows(taken, taken.windows)
    assert all(same(again, back))
    more = pieces.continued(taken, taken.windows[0])
    assert more.end > back.end
    assert more.tracks[0].notes[:, START].max() < back.end  # it was the clarinet that ended it


def test_drums_on_tracks_of_their_own_are_one_kit(spread):
    one = sorted_notes(np.concatenate([part.notes for part in KIT]))
    alone = song(Track("kit", 0, True, one), BASS)
    assert np.array_equal(drum_cut(spread, form_of()).windows, drum_cut(alone, form_of()).windows)
    assert np.array_equal(
        band_cut(song(BASS, *KIT), form_of()).windows, band_cut(song(BASS, alone.tracks[0]), form_of()).windows
    )
    taken = pieces.drum_pieces(spread, 32, width=27)
    loud = taken.windows.copy()
    loud[..., 9:18] = np.where(loud[..., :9] > 0, 99, 0)
    found = grooves.with_feel(taken, loud)
    assert [len(part.notes) for part in found.tracks] == [len(part.notes) for part in spread.tracks]
    for now, before in zip(found.tracks, spread.tracks, strict=True):
        assert now.name == before.name
        assert (now.notes[:, VELOCITY] == 99).all() == (now.drums and now.name != "claves")


def test_taps_take_the_place_of_the_whole_kit(spread):
    taken = grooves.tap_pieces(spread, 32)
    made = np.zeros((len(taken.windows), 32, 27), np.uint8)
    made[..., 18:] = TIMING_ZERO
    made[:, ::8, DRUMS.index("kick")] = 1
    made[:, ::8, 9 + DRUMS.index("kick")] = 80
    made[:, 4::8, DRUMS.index("ride")] = 1  # which no track of the song has
    made[:, 4::8, 9 + DRUMS.index("ride")] = 70
    found = pieces.with_windows(taken, made)
    counts = {part.name: len(part.notes) for part in found.tracks if part.drums}
    assert counts == {"kick": 16, "snare": 0, "hat": 16, "claves": 4}
    assert set(found.tracks[5].notes[:, PITCH]) == {51}
    assert np.array_equal(windows.song_drums(merged(found))[0].bits[:32], made[0, :, :9])
