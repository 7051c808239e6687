"""Files of music to windows of tokens: against tunes written out by hand, and files as strangers make them."""

from __future__ import annotations

import wave
import zipfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import music_fuzz

from gargalo.data import open_like, open_source
from gargalo.data.batches import Feed
from gargalo.data.music import bands, files, grid, notation, pieces, sound, sources, windows
from gargalo.data.music.harmony import chord_name, chord_number, chord_of, song_chords, told_chords
from gargalo.data.music.song import Key, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.vocabulary import (
    FIRST,
    HOLD,
    LOWEST,
    OFF,
    drum_hits,
    drum_part,
    melody_notes,
    melody_tokens,
    part_of,
)
from gargalo.errors import DataError
from gargalo.registry import augmentation

SCALE = "X:1\nT:Scale\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c2 z2 C4|\n"


def song(notes, division=480, **other):
    track = Track("lead", 5, False, sorted_notes(notes))
    return Song("made", division, (track,), **other)


def midi(track, division=b"\x01\xe0", kind=1):
    head = b"MThd\0\0\0\6" + bytes([0, kind, 0, 1]) + division
    return head + b"MTrk" + len(track).to_bytes(4, "big") + track


NOTE = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"


def token(pitch):
    return pitch - 21 + 2


def test_tokens_say_what_begins_ends_and_goes_on():
    notes = np.array([[2, 4, 60, 80], [4, 8, 60, 80], [10, 12, 62, 80]])
    tokens = melody_tokens(notes, 12)
    c, d = token(60), token(62)
    assert tokens.tolist() == [OFF, HOLD, c, HOLD, c, HOLD, HOLD, HOLD, OFF, HOLD, d, HOLD]
    assert melody_notes(tokens).tolist() == notes[:, :3].tolist()


def test_a_tune_cut_and_joined_is_the_same_tune():
    rng = np.random.default_rng(0)
    starts = np.flatnonzero(rng.random(200) < 0.4)
    ends = np.minimum(starts + rng.integers(1, 9, len(starts)), np.append(starts[1:], 200))
    notes = np.stack([starts, ends, rng.integers(21, 109, len(starts)), np.full(len(starts), 80)], 1)
    tokens = melody_tokens(notes, 208)
    apart = windows.cut(tokens, np.arange(0, 208, 16), 16)
    assert melody_notes(apart.reshape(-1)).tolist() == notes[:, :3].tolist()


@pytest.fixture
def band():
    """Three minutes in 6/8 at 96 and then 120 quarters a minute, played with all kinds of force and a little late."""
    rng = np.random.default_rng(1)
    starts = np.arange(0, 480 * 288, 240)
    pitches, loud = rng.integers(60, 80, len(starts)), rng.integers(1, 128, len(starts))
    late = rng.integers(-9, 30, len(starts)).clip(min=-starts)
    lead = np.stack([starts + late, np.full(len(starts), 200), pitches, loud], 1)
    kit = np.stack([(starts + late)[::2], np.full(len(starts[::2]), 60), np.full(len(starts[::2]), 36), loud[::2]], 1)
    return Song(
        "six", 480, (Track("Fiddle", 40, False, lead), Track("Kit", 0, True, kit)),
        (Tempo(0, 625_000), Tempo(480 * 100, 500_000)), (Metre(0, 6, 8), Metre(480 * 144, 3, 4)), (Key(0, -1, True),),
    )  # fmt: skip


def test_a_written_song_comes_back_equal(band, tmp_path):
    files.write_midi(band, tmp_path / "six.mid")
    (back,) = files.read_music(tmp_path / "six.mid")
    assert (tmp_path / "six.mid").read_bytes()[8:10] == b"\0\1"
    assert (back.tempos, back.metres, back.keys, back.division) == (band.tempos, band.metres, band.keys, 480)
    for given, found in zip(band.tracks, back.tracks, strict=True):
        assert (found.name, found.program, found.drums) == (given.name, given.program, given.drums)
        assert found.notes.tolist() == given.notes.tolist()


def test_a_song_of_three_minutes_taken_apart_and_put_together_is_the_same(band):
    for take, put in ((pieces.melody_pieces, pieces.with_melody), (pieces.drum_pieces, pieces.with_drums)):
        apart = take(band, 32)
        assert (np.diff(apart.starts) == 24).all()  # two bars of 6/8; what a window says of the third is left out
        back = put(apart, apart.windows)
        assert (back.tempos, back.metres, back.keys) == (band.tempos, band.metres, band.keys)
        for given, found in zip(band.tracks, back.tracks, strict=True):
            assert (found.name, found.program, found.drums) == (given.name, given.program, given.drums)
            assert found.notes.tolist() == given.notes.tolist()


@pytest.fixture
def trio(band):
    """The same with a bass and chords."""
    bars = np.arange(0, 480 * 288, 1440)
    low = np.stack([bars, np.full(len(bars), 1440), 36 + bars // 1440 % 12, np.full(len(bars), 70)], 1)
    upper = np.concatenate([low + np.array([0, 0, 12 + tone, 0]) for tone in (0, 4, 7)])
    low[:, 1] = 700
    parts = Track("Bass", 32, False, low), Track("Strings", 48, False, sorted_notes(upper))
    return replace(band, tracks=(*band.tracks, *parts))


def test_a_band_taken_apart_and_put_together_is_the_same(trio):
    apart = pieces.pieces_of(trio, (32, 238))
    assert (apart.windows.shape[1:], set(np.unique(apart.windows))) == ((32, 238), {0, 1})
    found = bands.band_of(apart.windows)
    assert (found.columns == apart.windows).all()
    assert [chord_name(number) for number in found.chords[:3, 0]] == ["C", "D", "E"]  # two bars of 6/8 each
    back = pieces.with_windows(apart, apart.windows)
    assert all(a.notes.tolist() == b.notes.tolist() for a, b in zip(trio.tracks, back.tracks, strict=True))
    quiet = np.broadcast_to(bands.silence(32).columns, apart.windows.shape)
    silenced = pieces.with_windows(apart, quiet)
    assert [len(track.notes) for track in silenced.tracks] == [0, 0, 0, len(trio.tracks[3].notes)]
    assert not windows.sounding(quiet).any()
    longer = pieces.continued(apart, apart.windows[0])
    assert [len(a.notes) - len(b.notes) for a, b in zip(longer.tracks, trio.tracks, strict=True)] == [
        (found.melody[0] >= FIRST).sum(), found.drums[0].sum(), (found.bass[0] >= FIRST).sum(), 0,
    ]  # fmt: skip
    new = pieces.new_song(apart.windows[:1], Metre(0, 6, 8))
    assert [track.name for track in new.tracks] == ["melody", "chords", "bass", "drums"]
    assert new.tracks[1].notes[:3, 2].tolist() == [48, 52, 55]
    alone = replace(trio, tracks=trio.tracks[:1])
    with pytest.raises(DataError, match="one part alone"):
        pieces.pieces_of(alone, (32, 238))


def test_hits_that_are_none_of_the_nine_drums_stay_and_are_no_end(trio):
    """A triangle alone, and one long after everything else."""
    late = np.array([[trio.end + 4800, 60, 81, 90]])
    kit = trio.tracks[1]
    longer = replace(trio, tracks=(trio.tracks[0], replace(kit, notes=np.concatenate([kit.notes, late]))))
    apart = pieces.pieces_of(longer, (32, 238))
    assert pieces.with_windows(apart, apart.windows).tracks[1].notes.tolist() == longer.tracks[1].notes.tolist()
    alone = pieces.pieces_of(
        replace(trio, tracks=(*trio.tracks[:1], replace(kit, notes=late), trio.tracks[2])), (32, 238)
    )
    assert not bands.band_of(alone.windows).drums.any()


def test_a_note_that_lasts_no_time_is_a_step_long():
    tokens, bars = windows.song_melody(song([[0, 0, 60, 90]]))
    assert (len(tokens), bars.tolist(), melody_notes(tokens).tolist()) == (16, [0], [[0, 1, 60]])


def test_windows_that_follow_one_another_have_no_silence_between(tmp_path):
    notes = [[7680 * n + 480 * beat, 400, 60 + n, 90] for n in (0, 2, 3) for beat in range(8)]
    files.write_midi(song(notes), tmp_path / "gap.mid")
    form = sources.Form(2, 16, 16, "all", False)
    runs = [found for found, _ in sources.songs_in_windows(str(tmp_path), {"gap.mid"}, (32,), form)]
    starts = [[int(melody_notes(window)[0, 2]) for window in run] for run in runs]
    assert all(windows.sounding(run).all() for run in runs)
    assert {pitch for run in starts for pitch in run} == {60, 62, 63}


def test_a_source_of_bands_moves_all_parts_but_drums_into_another_key(trio, tmp_path):
    files.write_midi(trio, tmp_path / "band.mid")
    source = open_source(f"bands:path={tmp_path},steps=12")
    assert source.spec.shape == (24, 238)
    bits = source.spec.scaled(source.values)
    moved = augmentation["transpose"](bits, torch.Generator().manual_seed(0), most=6)
    old, new = (bands.band_of(part.numpy().astype(np.uint8)) for part in (bits, moved))
    assert (new.drums == old.drums).all()
    lines = ((new.melody, old.melody), (new.bass, old.bass))
    shifts = [
        [set((a[b >= FIRST].astype(int) - b[b >= FIRST]).tolist()) for a, b in zip(*line, strict=True)]
        for line in lines
    ]
    assert all(len(shift) == 1 for shift in shifts[0])
    assert shifts[0] == shifts[1]
    roots = (new.chords[:, 0].astype(int) - old.chords[:, 0]) // 4 % 12
    assert roots.tolist() == [min(shift) % 12 for shift in shifts[0]]
    assert len(set(roots.tolist())) > 5
    assert all(((a < FIRST) == (b < FIRST)).all() for a, b in lines)


def test_notes_put_in_another_place_keep_the_rest_of_the_song(band):
    apart = pieces.melody_pieces(band, 32)
    changed = apart.windows.copy()
    row, step = np.argwhere(changed >= 2)[5]
    changed[row, step] += 1
    back = pieces.with_melody(apart, changed)
    ours, theirs = back.tracks[0].notes, band.tracks[0].notes
    different = np.flatnonzero((ours != theirs).any(1))
    assert len(different) == 1
    assert ours[different[0], 2] == theirs[different[0], 2] + 1
    assert ours[different[0], 3] == theirs[different[0], 3]
    beat = pieces.drum_pieces(band, 32)
    silent = pieces.with_drums(beat, beat.windows * 0)
    assert len(silent.tracks[1].notes) == 0
    fuller = beat.windows.copy()
    fuller[0, 1, 1] = 1
    hit = np.array([[120, 60, 38, band.tracks[1].notes[0, 3]]])
    more = pieces.with_drums(beat, fuller).tracks[1].notes
    assert [row for row in more.tolist() if row not in band.tracks[1].notes.tolist()] == hit.tolist()
    with pytest.raises(ValueError, match="were taken"):
        pieces.with_melody(apart, changed[:2])


def test_bars_through_changes_of_metre():
    made = song([[0, 480 * 13, 60, 80]], metres=(Metre(0, 3, 4), Metre(480 * 6, 7, 8)))
    assert grid.bar_starts(made).tolist() == [0, 12, 24, 38]
    assert grid.bar_starts(made, unit=24).tolist()[:3] == [0, 18, 36]
    with pytest.raises(DataError, match="unit=8"):
        grid.bar_starts(made, unit=4)


def test_the_distance_to_the_grid_is_measured_and_a_late_start_is_no_distance():
    starts = np.arange(0, 12_000, 120)
    rng = np.random.default_rng(2)
    loose = song(np.stack([starts + rng.integers(0, 120, 100), starts * 0 + 60, starts * 0 + 60, starts * 0 + 9], 1))
    late = song(np.stack([starts + 40, starts * 0 + 60, starts * 0 + 60, starts * 0 + 9], 1))
    assert grid.grid_error(loose, loose.tracks[0]) == pytest.approx(0.25, abs=0.03)
    with pytest.raises(DataError, match="off the grid"):
        grid.check_grid(loose, loose.tracks[0])
    assert grid.check_grid(loose, loose.tracks[0], force=True) > 0.2
    assert grid.lateness(loose, loose.tracks[0]) == 0
    assert grid.lateness(late, late.tracks[0]) == 40
    assert grid.grid_error(grid.moved(late, 40), grid.moved(late, 40).tracks[0]) == 0


BAD = {
    "a.mid": (b"", "empty"),
    "b.mid": (b"GIF89a" * 9, "not a MIDI file"),
    "c.mid": (midi(NOTE)[:-5], "cut short"),
    "d.mid": (midi(NOTE)[:12], "cut short"),
    "e.mid": (midi(NOTE, b"\0\0"), "0 ticks"),
    "f.mid": (midi(NOTE, b"\xe7\x28"), "SMPTE"),
    "g.mid": (midi(b"\0\xff\x2f\0"), "no notes"),
    "h.mid": (midi(b"\xff\xff\xff\x7f\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"), "longer"),
    "i.mid": (midi(b"\0\xff\x58\x04\0\2\x18\x08" + NOTE), "metre of 0/4"),
    "j.mid": (midi(b"\0\x3c\x40" + NOTE), "damaged"),
    "k.rmi": (b"RIFF\0\0\0\0WAVEfmt ", "no MIDI"),
    "l.rmi": (b"RIFF\0\0\0\0RMID", "missing"),
    "m.abc": (b"no tune at all", "no tune"),
    "n.abc": (b"X:1\nK:C\nz4|\n", "no notes"),
    "o.abc": (b"X:1\nK:C\n" + b'{["(!:^+' * 40_000, "characters"),
    "q.mid": (midi(b"\x3c\xff\x58\x04\x04\x02\x18\x08" * 20_001 + NOTE), "changes tempo, metre or key"),
    "p.mid": (midi(b"\0\x99\x24\x40\x60\x89\x24\0\0\xff\x2f\0"), "drums only"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name_and_reason(name, tmp_path):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        open_source(str(tmp_path / name))
    assert Path(name).stem in str(caught.value)


def test_in_a_folder_bad_files_are_skipped_and_listed(tmp_path):
    for name, (content, _) in BAD.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "scale.abc").write_text(SCALE)
    found = open_source(str(tmp_path))
    assert found.names == ("scale.abc, bar 1",)
    assert [skipped.name for skipped in found.skipped] == sorted(BAD)
    assert all(skipped.reason.count(BAD[skipped.name][1]) for skipped in found.skipped)


def test_windows_of_a_tune():
    c = [token(p) for p in (60, 62, 64, 65, 67, 69, 71, 72)]
    first = [t for pitch in c for t in (pitch, HOLD)]
    second = [c[-1], HOLD, HOLD, HOLD, OFF, HOLD, HOLD, HOLD, c[0], *[HOLD] * 7]
    tune = notation.read_book(SCALE.encode(), "scale.abc")[0]
    tokens, bars = windows.song_melody(tune)
    assert tokens.tolist() == first + second
    assert bars.tolist() == [0, 16]
    middle = windows.cut(tokens, np.array([18, 20, 22]), 4)
    assert middle[:, 0].tolist() == [HOLD, OFF, OFF]  # a note goes on; it ends; silence goes on


def test_a_riff_file_and_a_zip_of_files_are_unwrapped(tmp_path):
    body = midi(b"".join(b"\0\x90\x3c\x40\x81\x70\x80\x3c\0" for _ in range(40)) + b"\0\xff\x2f\0")
    wrapped = b"RIFF" + (12 + len(body)).to_bytes(4, "little") + b"RMIDdata" + len(body).to_bytes(4, "little") + body
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a/wrapped.rmi", wrapped)
        archive.writestr("a/tune.abc", SCALE)
        archive.writestr("readme.txt", "x")
    one, many = open_source(str(tmp_path / "all.zip")), open_source(f"melodies:path={tmp_path}")
    assert [name.split(",")[0] for name in one.names] == ["a/tune.abc"] + ["a/wrapped.rmi"] * (len(one) - 1)
    assert torch.equal(one.values, many.values)
    both = open_source(f"melodies:path={tmp_path}+{tmp_path / 'all.zip'}")
    assert torch.equal(both.values, one.values)  # every window once


def test_metres_that_do_not_fit_are_left_out_only_when_asked(tmp_path):
    (tmp_path / "jig.abc").write_text("X:1\nM:6/8\nK:G\n" + "GAB cde|" * 3 + "dcB AGF|" * 3 + "\n")
    (tmp_path / "reel.abc").write_text("X:1\nM:2/4\nL:1/8\nK:G\n" + "GABc|dcBA|" * 3 + "\n")
    everything, some = open_source(str(tmp_path)), open_source(f"{tmp_path}:metres=fitting")
    assert {name.split(".")[0] for name in everything.names} == {"jig", "reel"}
    assert {name.split(".")[0] for name in some.names} == {"reel"}
    assert "steps=12" in some.skipped[0].reason
    jigs = open_source(f"{tmp_path}:metres=fitting,steps=12")
    assert jigs.spec.shape == (24,)
    assert open_like(str(tmp_path), everything.spec).spec == everything.spec


def test_variants_of_a_tune_lie_on_one_side_of_the_split(tmp_path):
    rng = np.random.default_rng(3)
    for number in range(30):
        tune = rng.integers(60, 80, 64)
        for variant in range(3):
            pitches = tune + 2 * variant  # another key ...
            pitches[rng.integers(0, 64, 2)] += 1  # ... and two other notes
            notes = [[240 * place, 240, pitch, 80] for place, pitch in enumerate(pitches)]
            files.write_midi(song(notes), tmp_path / f"{number}-{variant}.mid")
    found = open_source(str(tmp_path))
    sides = {part: {found.names[row].split("-")[0] for row in found.indices(part)} for part in ("train", "test")}
    assert not sides["train"] & sides["test"]
    shares = [len(found.indices(part)) / len(found) for part in ("train", "validation", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.04)
    assert len(torch.unique(found.clusters)) == 30
    again = replace(found, values=found.values.flip(0), clusters=found.clusters.flip(0))
    assert torch.equal(again.indices("test"), (len(found) - 1 - found.indices("test")).flip(0))


def test_the_tunes_that_come_along_fill_whole_bars():
    book = Path(files.__file__).parents[2] / "assets" / "tunes.abc"
    for tune in files.read_music(book):
        notes, metre = tune.tracks[0].notes, tune.metres[0]
        bar = 4 * tune.division * metre.beats // metre.unit
        assert (notes[-1, 0] + notes[-1, 1] - notes[0, 0]) % bar == 0, tune.name
    assert open_source("tunes").spec.shape == (32,)
    assert len(open_source("tunes")) > 150
    assert len(open_source("tunes:metres=all")) > 200


def test_transposition_moves_a_melody_and_nothing_else():
    tokens = open_source("tunes").values[:50].long()
    moved = augmentation["transpose"](tokens, torch.Generator().manual_seed(0), most=6)
    pitched = tokens >= 2
    shift = torch.where(pitched, moved - tokens, 99)
    assert torch.equal(moved[~pitched], tokens[~pitched])
    assert all(len(set(row[row < 99].tolist())) == 1 for row in shift)
    assert set(shift[shift < 99].tolist()) == set(range(-6, 7))
    edge = torch.tensor([[2, 0, 89]])
    assert torch.equal(augmentation["transpose"](edge, torch.Generator(), most=6), edge)
    with pytest.raises(ValueError, match="melodies"):
        augmentation["transpose"](torch.zeros(2, 3, 4), torch.Generator())


def test_drums_keep_velocity_and_timing_beside_the_bits():
    steps, pitches, loud = np.array([0.2, 3.9, 4.1, 7.0]), np.array([36, 38, 40, 70]), np.array([100, 20, 30, 5])
    part = drum_part(steps, pitches, loud, 8)
    assert np.argwhere(part.bits).tolist() == [[0, 0], [4, 1], [7, 2]]
    assert part.velocity[4, 1] == 30  # the louder of the two
    np.testing.assert_allclose(drum_hits(part), [[0.2, 36, 100], [4.1, 38, 30], [7, 42, 5]], atol=1e-6)


def test_a_drum_source_has_bits(tmp_path):
    hits = [[960 * beat, 10, 36 + 2 * (beat % 2), 80] for beat in range(16)]
    made = song(hits)
    files.write_midi(replace(made, tracks=(replace(made.tracks[0], drums=True),)), tmp_path / "beat.mid")
    found = open_source(f"drums:path={tmp_path}")
    assert found.spec.shape == (32, 9)
    assert found.values[0].sum(0).tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("Am", "Am"), ("F#7", "Gb7"), ("Bbmaj7", "Bb"), ("G/B", "G"), ("Bdim", "Bdim"), ("Em7b5", "Edim"),
     ("C#:min", "Dbm"),     ("Fine", "N"), ("N", "N"), ("Dm7", "Dm"), ("A9", "A7"), ("CM7", "C")],
)  # fmt: skip
def test_chord_symbols(symbol, name):
    assert chord_name(chord_number(symbol)) == name


@pytest.mark.parametrize("number", range(1, 49))
def test_chords_that_sound_are_recognized(number):
    name = chord_name(number)
    root, quality = divmod(number - 1, 4)
    tones = np.array([48 + root + t for t in ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 6))[quality]])
    heard = np.bincount(tones % 12, minlength=12)[None]
    assert chord_name(int(chord_of(heard.astype(float), tones[:1])[0])) == name


def test_the_chords_of_a_song_are_its_symbols_or_what_sounds():
    jig = notation.read_book(b'X:1\nM:6/8\nL:1/8\nK:G\nD|"G"GBd "D7"dcA|"Em"EGB z3|\n', "t")[0]
    spelled = [chord_name(number) for number in song_chords(jig)[::6]]
    assert spelled == ["N", "N", "G", "D7", "Em"]
    sounding = [[960 * bar + 480 * beat, 480, pitch, 80] for bar, low in enumerate((48, 53, 55))
                for beat in (0, 1) for pitch in (low, low + 4, low + 7)]  # fmt: skip
    tune = song([[480 * beat, 480, 72 + beat % 3, 80] for beat in range(6)])
    both = replace(tune, tracks=(*tune.tracks, Track("chords", 0, False, sorted_notes(sounding))))
    assert [chord_name(number) for number in song_chords(both)[::8]] == ["C", "F", "G"]


def test_windows_come_with_the_chords_behind_them_in_every_key(tmp_path):
    bars = " | ".join(f'"{name}"{note}4' for name, note in zip(("C", "F", "G7", "Am"), "CFGA", strict=True))
    (tmp_path / "book.abc").write_text(f"X:1\nT:T\nM:4/4\nL:1/4\nK:C\n{bars}|\n")
    source = open_source(f"melodies:path={tmp_path},chords=true,bars=1")
    spec = source.spec
    assert (spec.shape, spec.num_classes, spec.places, len(spec.class_names)) == ((16,), 49, 8, 49)
    root = torch.tensor([0, *(number // 4 for number in range(48))])
    for rule in ("none", "transpose"):
        batch = next(Feed(source, source.indices(), 4, augment=rule).batches())
        assert (batch.target.shape, batch.condition.shape) == ((4, 16), (4, 8))
        assert torch.equal((batch.target[:, 0] - FIRST + LOWEST) % 12, root[batch.condition[:, 0]])
    plain = next(Feed(source, source.indices(), 4).in_order())
    assert plain.condition[:4, 0].tolist() == [chord_number(name) for name in ("C", "F", "G7", "Am")]
    moved = islice(Feed(source, source.indices(), 4, augment="transpose").batches(), 4)
    assert len(torch.unique(torch.cat([batch.condition[:, 0] for batch in moved]))) > 4
    starts = np.array([0, 16])
    assert [chord_name(n) for n in told_chords("C N|G7, Dm", starts, 32)[:, ::8].ravel()] == ["C", "N", "N", "G7"]
    with pytest.raises(ValueError, match="no chord"):
        told_chords("", starts, 32)


def test_a_song_sounds_at_its_pitches_and_times(tmp_path):
    made = song([[0, 480, 69, 100], [960, 480, 81, 100]], tempos=(Tempo(0, 500_000), Tempo(960, 250_000)))
    samples = sound.render(made)
    sound.write_wav(samples, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as back:
        assert (back.getnchannels(), back.getsampwidth(), back.getframerate()) == (1, 2, sound.RATE)
        again = np.frombuffer(back.readframes(back.getnframes()), "<i2")
    assert (again == samples).all()
    for start, hertz in ((0.1, 440), (1.02, 880)):
        part = samples[int(start * sound.RATE) :][: int(0.2 * sound.RATE)] * np.hanning(int(0.2 * sound.RATE))
        assert np.abs(np.fft.rfft(part)).argmax() / 0.2 == pytest.approx(hertz, abs=5)
    between = samples[int(0.6 * sound.RATE) : int(0.99 * sound.RATE)]  # after the first, with its release
    assert np.abs(between).max() == 0
    with pytest.raises(DataError, match="minutes"):
        sound.render(song([[0, 480 * 4_000, 69, 100]]))


def test_the_nine_drums_are_nine_sounds_that_end_in_silence():
    kit = [sound.drum(number) for number in range(9)]
    centers = []
    for hit in kit:
        power = np.abs(np.fft.rfft(hit, sound.RATE * 2)) ** 2
        centers.append(float((power * np.arange(len(power))).sum() / power.sum() / 2))
        assert abs(hit[-1]) < 0.01
    kick, snare, closed, opened, low, mid, high, crash, ride = centers
    assert kick < low < mid < high < snare < min(closed, opened, crash, ride)
    assert len(kit[2]) < len(kit[3]) < len(kit[7])


def test_broken_midi_files_crash_nothing():
    outcomes, _ = music_fuzz.run(150)
    assert outcomes.total() == 150
    assert not outcomes["crash"]
    assert not outcomes["hang"]
    assert outcomes["mid read"]  # some are hardly broken
    assert outcomes["abc read"]


def test_grooves_keep_how_drums_were_played_and_an_info_file_says_what_is_held_out(tmp_path):
    rng = np.random.default_rng(4)
    for name in "abcdefgh":
        starts = np.arange(0, 960 * 16, 120)
        late = rng.integers(-50, 50, len(starts)).clip(min=-starts)
        hits = np.stack([starts + late, late * 0 + 9, rng.choice([36, 38, 42], 128), rng.integers(1, 128, 128)], 1)
        made = song(hits)
        files.write_midi(replace(made, tracks=(replace(made.tracks[0], drums=True),)), tmp_path / f"{name}.mid")
    (tmp_path / "info.csv").write_text("drummer,midi_filename,split\n1,a.mid,train\n1,c.mid,validation\n2,d.mid,test\n")
    found, bits = open_source(f"grooves:path={tmp_path}"), open_source(f"drums:path={tmp_path}")
    assert found.spec.shape == (32, 27)
    assert {found.names[row][0] for row in found.indices("test")} == {"c", "d"}
    assert not {"c", "d"} & {found.names[row][0] for row in found.indices("train")}
    first = {name: row for row, name in reversed(list(enumerate(found.names)))}["a.mid, bar 1"]
    part = part_of(found.values[first].numpy())
    (made,) = files.read_music(tmp_path / "a.mid")
    notes = made.tracks[0].notes
    hits = drum_hits(part)
    for step, pitch, velocity in hits:
        assert any(abs(n[0] - step * 120) < 0.5 and n[2] == pitch and n[3] == velocity for n in notes)
    assert len(bits) == len(found)


def test_few_tunes_are_enough_for_three_parts(tmp_path):
    rng = np.random.default_rng(5)
    for number in range(3):
        notes = [[240 * place, 240, pitch, 80] for place, pitch in enumerate(rng.integers(60, 80, 100 + 30 * number))]
        files.write_midi(song(notes), tmp_path / f"{number}.mid")
    found = open_source(str(tmp_path))
    parts = {part: {found.names[row][0] for row in found.indices(part)} for part in ("train", "validation", "test")}
    assert sorted(map(sorted, parts.values())) == [["0"], ["1"], ["2"]]
    assert parts["train"] == {"2"}
    (tmp_path / "0.mid").unlink()
    with pytest.raises(DataError, match="2 unrelated things"):
        open_source(str(tmp_path)).indices("test")
