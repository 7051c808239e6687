"""Whole songs through models of music: what is joined, what is kept, and what verbs and commands say."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.grams import NGrams, overlap

import gargalo
from gargalo import cli
from gargalo.data import music_form, open_like, open_source
from gargalo.data.music import attributes, files, pieces
from gargalo.data.music.analysis import in_key, key_number, key_of
from gargalo.data.music.grid import bar_starts
from gargalo.data.music.harmony import chord_name
from gargalo.data.music.song import Key, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.vocabulary import FIRST, HOLD, OFF, melody_notes
from gargalo.errors import DataError
from gargalo.spec import DataSpec
from gargalo.verbs import following, sliders, songs

TUNES = Path(gargalo.__file__).parent / "assets" / "tunes.abc"
KEPT = "tempos", "metres", "keys", "division"


@pytest.fixture
def gargalo_command(monkeypatch, capsys):
    """The command in this process: its status, and what it says."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gargalo", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, capsys.readouterr().err

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tunes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gargalo.verbs.prior.EPOCHS", 1)
        gargalo.train("music", "tunes", path, network="mixer:size=tiny,depth=1", epochs=12, latent_dim=8, device="cpu")
    return path


@pytest.fixture(scope="module")
def model(run):
    return gargalo.load(run)


@pytest.fixture
def perfect(model, monkeypatch):
    """The model as one that makes no mistake."""
    monkeypatch.setattr(songs, "reconstruct", lambda _, windows, labels: windows.astype(np.int64))
    return model


@pytest.fixture
def jig():
    """Three minutes in 6/8 at 96 quarters a minute with velocities, a bass and drums."""
    rng = np.random.default_rng(1)
    starts = np.arange(0, 480 * 288, 240)
    lead = np.stack(
        [starts, np.full(len(starts), 200), rng.integers(60, 80, len(starts)), rng.integers(1, 128, len(starts))], 1
    )
    bass = np.array([[n, 1440, 40, 70] for n in range(0, 480 * 288, 1440)])
    tracks = (
        Track("Fiddle", 40, False, lead),
        Track("Bass", 32, False, bass),
        Track("Kit", 0, True, bass - [0, 0, 4, 0]),
    )
    return Song("six", 480, tracks, (Tempo(0, 625_000),), (Metre(0, 6, 8),), (Key(0, -1, True),))


def same(a, b):
    tracks = zip(a.tracks, b.tracks, strict=True)
    assert all(getattr(a, key) == getattr(b, key) for key in KEPT)
    assert all((x.name, x.program, x.drums) == (y.name, y.program, y.drums) for x, y in tracks)
    return [x.notes.tolist() == y.notes.tolist() for x, y in zip(a.tracks, b.tracks, strict=True)]


def test_a_song_in_six_eight_comes_back_equal_from_a_perfect_model(perfect, jig, tmp_path):
    gargalo.write_song(jig, tmp_path / "six.mid")
    back = gargalo.reconstruct_song(perfect, gargalo.read_song(tmp_path / "six.mid"))
    assert same(jig, back) == [True, True, True]


def test_what_a_model_gets_wrong_is_wrong_in_the_melody_alone(model, jig):
    back = gargalo.reconstruct_song(model, jig)
    assert same(jig, back) == [False, True, True]
    apart = songs.taken(model, jig)
    said = gargalo.reconstruct(model, apart.windows)
    assert len(back.tracks[0].notes) == sum((window[:24] >= FIRST).sum() for window in said)


def test_a_song_shorter_than_a_window_is_padded(perfect):
    short = Song("short", 480, (Track("", 0, False, sorted_notes([[0, 480, 60, 99]])),))
    assert songs.taken(perfect, short).windows.shape == (1, 32)
    assert gargalo.reconstruct_song(perfect, short).tracks[0].notes.tolist() == [[0, 480, 60, 99]]
    assert len(gargalo.continue_song(perfect, short, 3).tracks[0].notes) >= 1


def test_a_note_with_another_end_keeps_its_exact_time_and_none_begins_before_the_song(perfect, jig, tmp_path):
    notes = jig.tracks[0].notes.copy()
    notes[0, 0] += 20
    apart = pieces.melody_pieces(replace(jig, tracks=(replace(jig.tracks[0], notes=notes), *jig.tracks[1:])), 32)
    changed = apart.windows.copy()
    changed[0, 1] = OFF  # the first note is cut short
    first = pieces.with_windows(apart, changed).tracks[0].notes[0]
    assert first.tolist() == [20, 100, *jig.tracks[0].notes[0, 2:]]
    notes = jig.tracks[0].notes + np.array([100, 0, 0, 0])  # nothing at 0, and all of it early
    early = replace(jig, tracks=(replace(jig.tracks[0], notes=notes),))
    apart = pieces.melody_pieces(early, 32)
    assert apart.late < 0
    changed = apart.windows.copy()
    changed[0, 0] = FIRST + 30
    made = pieces.with_windows(apart, changed)
    assert made.tracks[0].notes[0, 0] < 0
    files.write_midi(made, tmp_path / "early.mid")
    (back,) = files.read_music(tmp_path / "early.mid")
    assert len(back.tracks[0].notes) == len(made.tracks[0].notes)
    assert back.tracks[0].notes[0, 0] == 0


def test_a_metre_long_after_the_last_note_has_no_bars(jig):
    far = replace(jig, metres=(*jig.metres, Metre(1 << 30, 4, 4)))
    assert len(bar_starts(far)) == len(bar_starts(jig))


def test_what_is_off_the_grid_is_refused_unless_forced(model):
    rng = np.random.default_rng(0)
    starts = np.arange(0, 12_000, 120)
    free = np.stack([starts + rng.integers(0, 120, 100), starts * 0 + 60, starts * 0 + 60, starts * 0 + 9], 1)
    song = Song("free", 480, (Track("", 0, False, sorted_notes(free)),))
    with pytest.raises(DataError, match="off the grid"):
        gargalo.reconstruct_song(model, song)
    with pytest.warns(UserWarning, match="off the grid on average"):
        gargalo.reconstruct_song(model, song, force=True)
    with pytest.raises(ValueError, match="knows none"):
        gargalo.sample_songs(model, 1, chords="C")
    with pytest.raises(DataError, match="drums only"):
        gargalo.vary_song(model, replace(song, tracks=(replace(song.tracks[0], drums=True),)))


def test_samples_have_the_tempo_the_bars_and_the_key_that_are_asked_for(model):
    made = gargalo.sample_songs(model, 3, bars=7, tempo=90, key="Em", seed=4)
    assert [song.tempos[0].quarters_a_minute for song in made] == [pytest.approx(90, abs=1e-3)] * 3
    assert all(song.end <= 7 * 4 * 480 for song in made)
    plain = gargalo.sample_songs(model, 3, bars=7, seed=4)
    for a, b in zip(made, plain, strict=True):
        moved = set((a.tracks[0].notes[:, 2] - b.tracks[0].notes[:, 2]).tolist())
        assert len(moved) <= 1
    together = gargalo.sample_songs(model, 3, seed=5, together=True)
    assert len(together) == 1
    alone = gargalo.sample_songs(model, 3, seed=5)
    assert len(together[0].tracks[0].notes) == sum(len(song.tracks[0].notes) for song in alone)
    for wrong in ({"tempo": 0}, {"key": "H"}, {"n": 0}, {"bars": 0}, {"temperature": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            gargalo.sample_songs(model, **wrong)


def test_a_melody_is_moved_into_a_key():
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 60, 64, 67, 72]
    tokens = np.array([pitch - 21 + FIRST for pitch in scale] + [HOLD] * 4, np.uint8)
    for key in ("D", "Bb major", "F#", "E"):
        notes = melody_notes(in_key(tokens, key))
        as_ticks = np.stack([notes[:, 0], notes[:, 1] - notes[:, 0], notes[:, 2], notes[:, 2] * 0], 1)
        assert key_number(key_of(as_ticks)) == key_number(key)
        assert abs(notes[0, 2] - 60) <= 6
    silent = np.array([OFF, HOLD], np.uint8)
    assert in_key(silent, "G").tolist() == silent.tolist()


def test_ways_begin_and_end_with_the_reconstructions(model):
    a, b, c, d = (gargalo.read_song(TUNES, tune=tune) for tune in (1, 3, 5, 19))

    def tones(song):
        return song.tracks[0].notes[:, [0, 1, 2]].tolist()

    def first(song):
        apart = songs.taken(model, song)
        found = gargalo.reconstruct(model, apart.windows[:1]).astype(np.uint8)
        return tones(pieces.new_song(pieces.apart(found), Metre(0, 4, 4)))

    way = gargalo.interpolate_songs(model, [a, b], steps=5)
    assert (tones(way[0]), tones(way[-1])) == (first(a), first(b))
    corners = gargalo.interpolate_songs(model, [a, b, c, d], steps=3)
    assert [tones(corners[n]) for n in (0, 2, 6, 8)] == [first(song) for song in (a, b, c, d)]
    same_ends = gargalo.interpolate_songs(model, [a, a], steps=3, bars=4)
    assert tones(same_ends[0]) == tones(same_ends[1]) == tones(same_ends[2])
    assert way[0].tempos[0].microseconds == a.tempos[0].microseconds
    with pytest.raises(ValueError, match="two make a line"):
        gargalo.interpolate_songs(model, [a])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_ways_between_metres_leave_nothing_out_and_say_nothing_twice(model, monkeypatch, order):
    monkeypatch.setattr(songs, "embed", lambda _, windows, labels: windows.astype(np.float32))
    monkeypatch.setattr(songs, "played", lambda _, codes, chords: codes.astype(np.uint8))
    rng, both = np.random.default_rng(0), []
    for beats in (4, 3):
        notes = np.array([[480 * n, 480, int(rng.integers(60, 80)), 90] for n in range(8 * beats)])
        both.append(Song("a", 480, (Track("tune", 0, False, notes),), metres=(Metre(0, beats, 4),)))
    ends = [both[place] for place in order]
    way = gargalo.interpolate_songs(model, ends, steps=2, bars=6)
    for song, end in zip(ends, way, strict=True):
        count = 6 * ends[0].metres[0].beats
        assert end.tracks[0].notes[:, :3].tolist() == song.tracks[0].notes[:count, :3].tolist()
    with pytest.raises(ValueError, match=r"bars=9: a has [68] such bars"):
        gargalo.interpolate_songs(model, ends, steps=2, bars=9)


def test_variations_range_from_the_reconstruction_to_new_music(model):
    song = gargalo.read_song(TUNES, tune=2)
    back = gargalo.reconstruct_song(model, song)
    assert same(back, gargalo.vary_song(model, song, similarity=1)) == [True]
    apart = songs.taken(model, song)
    shares = []
    for similarity in (0.99, 0.7, 0.0):
        varied = songs.taken(model, gargalo.vary_song(model, song, similarity=similarity, seed=1))
        shares.append((varied.windows[: len(apart.windows)] == gargalo.reconstruct(model, apart.windows)).mean())
    assert shares[0] > shares[1] > shares[2]
    with pytest.raises(ValueError, match="similarity=2"):
        gargalo.vary_song(model, song, similarity=2)


def test_rests_stay_rests_in_variations(model, jig):
    notes = jig.tracks[0].notes
    rest = (notes[:, 0] > 480 * 60) & (notes[:, 0] < 480 * 96)
    gap = replace(jig, tracks=(replace(jig.tracks[0], notes=notes[~rest]),))
    made = gargalo.vary_song(model, gap, similarity=0.0).tracks[0].notes[:, 0]
    assert not ((made > 480 * 66) & (made < 480 * 90)).any()
    assert ((made > 480 * 100) & (made < 480 * 130)).any()


def test_what_is_made_of_a_song_is_in_its_key_and_as_loud(model, jig):
    way = gargalo.interpolate_songs(model, [jig, jig], steps=3, bars=3)
    for song in way:
        assert song.keys == jig.keys
        (track,) = song.tracks
        assert track.name == "Fiddle"
        assert (track.notes[:, 0] < 3 * 6 * 240).all()
        assert set(track.notes[:, 3].tolist()) <= set(jig.tracks[0].notes[:, 3].tolist())
        assert len(np.unique(track.notes[:, 3])) > 1
    (made,) = gargalo.sample_songs(model, 1, key="E minor")
    assert made.keys == (Key(0, 1, True),)


def test_of_waltzes_no_syncopation_is_known(model, jig):
    with pytest.raises(ValueError, match="known of 2/4, 4/4 and 4/2"):
        gargalo.traverse_song(model, jig, "syncopation")


def test_a_song_goes_on_where_it_ends(model, run, jig):
    tune = gargalo.read_song(TUNES, tune=2)
    more = gargalo.continue_song(model, tune, 8, seed=3)
    own = tune.tracks[0].notes
    assert more.tracks[0].notes[: len(own)].tolist() == own.tolist()
    end = songs.taken(model, tune).length * 120 * tune.division // 480
    assert (more.tracks[0].notes[len(own) :, 0] >= end).all()
    assert more.end <= end + 8 * 3 * tune.division
    assert same(more, gargalo.continue_song(gargalo.load(run), tune, 8, seed=3)) == [True]
    assert (run / following.FOLLOWING).exists()
    assert same(jig, gargalo.continue_song(model, jig, 1))[1:] == [True, True]


def test_what_follows_is_found_where_it_is_known():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    x = rng.normal(size=(5_000, 4))
    y = 0.9 * x @ turn + 0.1 * rng.normal(size=x.shape)
    found = following.fit_pairs(x, y)
    np.testing.assert_allclose(found["weight"].numpy(), 0.9 * turn, atol=0.05)

    step = following.Following(*(found[key].numpy() for key in ("mean", "weight", "spread")))
    drawn = step.draw(x, rng)
    assert (drawn - 0.9 * x @ turn).std() == pytest.approx(0.1, rel=0.2)
    assert (step.draw(x, rng, 0.0) - 0.9 * x @ turn).std() < 0.03


def test_attributes_by_hand():
    c, d, fis = (pitch - 21 + FIRST for pitch in (60, 62, 66))
    rows = np.full((3, 16), HOLD, np.uint8)
    rows[:, 0] = OFF
    rows[0, [0, 4, 8, 12]] = c, d, fis, c
    rows[1, [2, 6, 10]] = c  # eighths that sound through the quarters after them
    assert attributes.density(rows).tolist() == [0.25, 3 / 16, 0]
    assert attributes.pitch_range(rows).tolist() == [6, 0, 0]
    assert attributes.mean_interval(rows).tolist() == [4, 0, 0]
    assert attributes.in_key(rows).tolist() == [0.75, 1, 1]
    assert attributes.in_key(rows, 2).tolist() == [0.5, 0, 1]
    # levels: step 0 of 16 is 4, 8 is 3, 4 and 12 are 2, other even steps 1
    assert attributes.syncopation(rows)[0] == 0
    assert attributes.syncopation(rows)[1] == pytest.approx(((2 - 1) + (3 - 1) + (2 - 1)) / 3)
    assert attributes.table(rows, 2)[:, 4].tolist() == attributes.in_key(rows, 2).tolist()


def test_sliders_move_what_they_are_for(model, run, monkeypatch):
    monkeypatch.setattr(sliders, "STEPS", 300)
    song = gargalo.read_song(TUNES, tune=19)
    made = gargalo.traverse_song(model, song, "density", span=1.5, steps=5)
    counts = [len(song.tracks[0].notes) for song in made]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
    assert same(made[2], gargalo.reconstruct_song(model, song)) == [True]
    assert (run / sliders.SLIDERS).exists()
    (far,) = gargalo.traverse_song(gargalo.load(run), song, "density", span=1.5, steps=1)
    assert same(far, made[-1]) == [True]
    for wrong, said in (({"attribute": "mood"}, "one of density"), ({"attribute": "range", "span": 0}, "span=0")):
        with pytest.raises(ValueError, match=said):
            gargalo.traverse_song(model, song, **wrong)


def test_a_model_that_is_told_chords_is_told_those_that_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("gargalo.verbs.prior.EPOCHS", 1)
    options = {"network": "mixer:size=tiny,depth=1", "latent_dim": 8}
    model = gargalo.train("music", "tunes:chords=true", tmp_path / "run", epochs=2, **options)
    song = gargalo.read_song(TUNES)
    apart = songs.taken(model, song)
    assert apart.chords.shape == (len(apart.windows), model.spec.places) == (len(apart.windows), 16)
    told = []
    decode = songs.decode
    monkeypatch.setattr(
        songs, "decode", lambda model, codes, labels: (told.append(labels), decode(model, codes, labels=labels))[1]
    )
    (found,) = gargalo.sample_songs(model, 1, bars=4, chords="Am | Dm, G7")
    assert found.end <= 4 * 4 * 480
    names = [[chord_name(number) for number in part[0][::8]] for part in told]
    assert names == [["Am", "Dm"], ["G7", "Am"]]
    told.clear()
    gargalo.continue_song(model, song, 2)
    assert [part[0].tolist() for part in told] == [pieces.ending(apart)[1][0].tolist()]
    gargalo.vary_song(model, song, similarity=1)
    ways = gargalo.interpolate_songs(model, [song, song], steps=3)
    assert [len(way.tracks[0].notes) for way in ways] == [len(ways[0].tracks[0].notes)] * 3
    with pytest.raises(ValueError, match="'H' is no chord"):
        gargalo.sample_songs(model, 1, chords="C H")
    with pytest.raises(ValueError, match="the chords say it"):
        gargalo.sample_songs(model, 1, chords="C", key="G")
    with pytest.raises(ValueError, match="sliders"):
        gargalo.traverse_song(model, song, "density")


def test_a_band_goes_through_every_verb(jig, tmp_path, monkeypatch):
    monkeypatch.setattr("gargalo.verbs.prior.EPOCHS", 1)
    (tmp_path / "songs").mkdir()
    for number in range(3):  # three songs, of which one is for the test
        tracks = tuple(replace(track, notes=track.notes[number::4]) for track in jig.tracks)
        gargalo.write_song(replace(jig, tracks=tracks), tmp_path / "songs" / f"{number}.mid")
    data = f"bands:path={tmp_path / 'songs'},steps=12"
    model = gargalo.train("music", data, tmp_path / "run", network="mixer:size=tiny,depth=1", epochs=1, latent_dim=8)
    assert model.spec.shape == (24, 238)
    found = gargalo.evaluate(model, samples=1)["music"]
    assert 0 <= found["greedy"]["steps"] <= found["copied"]["steps"] <= 1
    assert found["still"]["notes"] == 0
    back = gargalo.reconstruct_song(model, jig)
    assert [len(a.notes) == len(b.notes) for a, b in zip(back.tracks, jig.tracks, strict=True)] == [False] * 3
    (new,) = gargalo.sample_songs(model, 1, bars=4)
    assert [track.name for track in new.tracks] == ["melody", "chords", "bass", "drums"]
    assert [track.drums for track in new.tracks] == [False, False, False, True]
    assert gargalo.continue_song(model, jig, 2).end >= 0
    assert len(gargalo.interpolate_songs(model, [jig, back], steps=2)) == 2
    gargalo.vary_song(model, jig)
    assert gargalo.report(model.path).read_text().count("<audio controls") == 3
    with pytest.raises(ValueError, match="for melodies"):
        gargalo.sample_songs(model, 1, key="G")


def test_bars_and_units_are_those_of_the_data_that_a_model_was_trained_on():
    spec = DataSpec("sequence", (24,), vocabulary=90)
    for text, wanted in (
        ("melodies:path=gone,bars=2,steps=12", (2, 12, 16)),
        ("gone/:bars=1,steps=24,unit=24,metres=fitting", (1, 24, 24)),
        ("tokens.npy", (1, 24, 16)),
    ):
        assert music_form(text, spec)[:3] == wanted
    form = music_form("melodies:path=gone,bars=2,steps=12", spec)
    assert songs.metre_of(form) == Metre(0, 3, 4)
    assert songs.metre_of(form._replace(steps=6)) == Metre(0, 3, 8)
    with pytest.raises(ValueError, match="have no metre"):
        songs.metre_of(form._replace(steps=5, unit=12))


def test_models_of_pictures_say_that_they_play_nothing(model):
    config = model.config | {"spec": DataSpec("image", (1, 8, 8)).to_json(), "data": "digits"}
    with pytest.raises(ValueError, match="trained on digits, which is no music"):
        gargalo.sample_songs(replace(model, config=config))


def test_grams_know_what_they_have_seen():
    rng = np.random.default_rng(0)
    known = np.tile(rng.integers(2, 80, (20, 8)), 4).astype(np.uint8)
    grams = NGrams(known)
    assert grams.cost(known).mean() < 0.5 * grams.cost(rng.integers(2, 80, known.shape).astype(np.uint8)).mean()
    chance = np.exp(-grams.cost(np.arange(90, dtype=np.uint8)[:, None]))
    assert chance.sum() == pytest.approx(1)
    assert overlap(np.array([1, 3]), np.array([2, 6])) == 1
    assert overlap(np.array([1, 0]), np.array([0, 5])) == 0


def test_a_session_with_songs(run, tmp_path, gargalo_command):
    (tmp_path / "in").mkdir()
    for tune in (1, 2):
        gargalo.convert(TUNES, tmp_path / "in" / f"{tune}.mid", tune=tune)
    (tmp_path / "in" / "bad.mid").write_bytes(b"no music")
    one, two = (tmp_path / "in" / f"{tune}.mid" for tune in (1, 2))
    status, said = gargalo_command("reconstruct", run, tmp_path / "in", "-o", tmp_path / "out")
    assert status == 1, said
    assert "Skipped bad.mid: is not a MIDI file" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.mid", "2.mid"]
    assert files.read_music(tmp_path / "out" / "2.mid")[0].metres == files.read_music(two)[0].metres
    for arguments in (
        ("reconstruct", run, TUNES, "--tune", 3, "-o", "r.wav"),
        ("sample", run, "-n", 3, "-o", "samples"),
        ("interpolate", run, one, two, one, two, "--steps", 2, "-o", "grid.mid"),
        ("vary", run, one, "--similarity", 0.5, "-o", "v.svg"),
        ("continue", run, two, "--bars", 4, "-o", "c.mid"),
        ("embed", run, tmp_path / "out", "-o", "z.csv"),
    ):
        status, said = gargalo_command(*arguments[:-1], tmp_path / arguments[-1])
        assert status == 0, said
        assert (tmp_path / arguments[-1]).exists()
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [f"sample-{n}.mid" for n in (1, 2, 3)]
    names = [line.partition(",z")[0] for line in (tmp_path / "z.csv").read_text().splitlines()]
    assert any(name.startswith('"2.mid, bar ') for name in names)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("traverse", "RUN", "TUNES", "-o", "t.mid"), "--attribute"),
        (("vary", "RUN", "TUNES", "-o", "TUNES"), "never overwritten"),
        (("reconstruct", "RUN", "TUNES", "--label", 1, "-o", "x.mid"), "--label"),
        (("sample", "RUN", "--bars", 4, "-o", "x.npz"), "--bars"),
        (("reconstruct", "RUN", "TUNES", "TUNES", "-o", "x.mid"), "one song"),
        (("continue", "RUN", "TUNES", "-o", "x.mp3"), "must end with"),
        (("vary", "RUN", "TUNES", "--tune", 21, "-o", "x.mid"), "between 1 and 20"),
        (("reconstruct", "RUN", "TUNES", "--tune", 21, "-o", "out"), "between 1 and 20"),
        (("continue", "RUN", "TUNES", "--temperature", "nan", "-o", "x.mid"), "temperature=nan"),
        (("continue", "RUN", "TUNES", "--temperature", -1, "-o", "x.mid"), "temperature=-1.0"),
        (("sample", "RUN", "--bars", 4, "--seed", -1, "-o", "x.mid"), "seed=-1 must lie"),
        (("interpolate", "RUN", "TUNES", "TUNES", "--bars", 64, "-o", "x.mid"), "bars=64: "),
        (("humanize", "TUNES", "--unit", -16, "-o", "x.mid"), "unit=-16 must lie"),
    ],
)
def test_mistakes_with_songs_are_one_message(run, tmp_path, gargalo_command, arguments, says):
    names = {"RUN": run, "TUNES": TUNES}
    out = names.get(arguments[-1], tmp_path / arguments[-1])
    status, said = gargalo_command(*(names.get(a, a) for a in arguments[:-1]), out)
    assert (status, said.count("\n")) == (2, 1), said
    assert says in said
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_the_input_keeps_it(run, tmp_path, gargalo_command):
    kept = gargalo.convert(TUNES, tmp_path / "step-2.mid", tune=1).read_bytes()
    given = [tmp_path / "step-2.mid", tmp_path / "step-2.mid", "--steps", 3, "-o", tmp_path]
    status, said = gargalo_command("interpolate", run, *given)
    assert (status, "never overwritten" in said) == (2, True)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("step-2.mid", kept)]
    status, said = gargalo_command("vary", run, tmp_path / "step-2.mid", "-o", tmp_path / "new" / "v.mid")
    assert status == 0, said


def test_more_tracks_than_channels_are_said(tmp_path):
    tracks = tuple(Track(str(n), n, False, np.array([[0, 480, 60, 90]])) for n in range(16))
    with pytest.warns(UserWarning, match="16 tracks share 15 channels"):
        gargalo.write_song(Song("many", 480, tracks), tmp_path / "many.mid")


def test_data_that_were_taken_by_force_are_opened_by_force(tmp_path):
    rng = np.random.default_rng(0)
    notes = sorted_notes([[480 * n + int(rng.integers(0, 120)), 100, 60, 90] for n in range(32)])
    gargalo.write_song(Song("free", 480, (Track("", 0, False, notes),)), tmp_path / "free.mid")
    spec = DataSpec("sequence", (32,), likelihood="categorical", vocabulary=90)
    with pytest.raises(DataError, match="--force, or force=true in the data"):
        open_like(str(tmp_path), spec, "melodies:path=.")
    with pytest.warns(UserWarning, match="off the grid"):
        assert len(open_like(str(tmp_path), spec, "melodies:path=.,force=true"))


def test_files_are_cut_in_the_steps_that_a_model_has_learned(model, tmp_path):
    gargalo.convert(TUNES, tmp_path / "2.mid", tune=2)
    for unit in (16, 8):
        found = open_like(str(tmp_path / "2.mid"), model.spec, f"melodies:path=gone,unit={unit}")
        wanted = open_source(f"melodies:path={tmp_path / '2.mid'},unit={unit}")
        assert torch.equal(found.values, wanted.values)
