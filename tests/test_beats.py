"""Drum parts with a feel: what is lost, what models give back, and songs on their way through."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import gargalo
from gargalo.data import open_source
from gargalo.data.music import files, grooves, pieces
from gargalo.data.music.song import PITCH, START, VELOCITY, Metre, Song, Tempo, Track, sorted_notes
from gargalo.data.music.vocabulary import DRUM_PITCHES, DRUMS, drum_part, part_of, played
from gargalo.likelihoods import Strokes
from gargalo.registry import corruption
from gargalo.verbs import beats

WIDTH = len(DRUMS)
LATE, LOUD = 20, 60  # ticks of every snare; of 127, of every hat


def drummer(rng, bars=8):
    """A beat whose kicks vary, whose snares are late, whose hats are soft: 480 ticks a quarter."""
    notes = []
    for step in range(16 * bars):
        place = 120 * step
        if step % 16 == 0 or rng.random() < 0.2:
            notes.append([place, 30, 36, 110])
        if step % 8 == 4:
            notes.append([place + LATE, 30, 38, 100])
        if step % 2 == 0:
            notes.append([place, 30, 42, LOUD])
    drums = Track("kit", 3, True, sorted_notes(notes))
    bass = Track("bass", 33, False, sorted_notes([[480 * n, 400, 40, 77] for n in range(4 * bars)]))
    return Song("beat", 480, (bass, drums), (Tempo(0, 600_000),), (Metre(0, 4, 4),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("beats"), np.random.default_rng(0)
    for number in range(12):
        files.write_midi(drummer(rng), place / f"{number}.mid")
    return place


def trained(folder, run, rule):
    return gargalo.train(
        "autoencoder", f"grooves:path={folder}", run, corruption=rule, latent_dim=16,
        network="mixer:size=tiny,depth=1", epochs=25, lr=1e-2, batch_size=16,
    )  # fmt: skip


@pytest.fixture(scope="module")
def humanizer(folder, tmp_path_factory):
    return trained(folder, tmp_path_factory.mktemp("runs") / "humanize", "straighten")


@pytest.fixture(scope="module")
def tapper(folder, tmp_path_factory):
    return trained(folder, tmp_path_factory.mktemp("runs") / "tap2drum", "taps")


def test_densities_of_strokes_sum_to_one_over_hits_and_what_comes_with_them():
    generator = torch.Generator().manual_seed(0)
    logits, amounts = torch.randn(1, 1, 2, generator=generator), torch.rand(1, 1, 4, generator=generator)
    scale = torch.tensor([-2.0, -1.5, -1.8, -2.2])
    line = torch.linspace(-4, 5, 3001, dtype=torch.float64)
    total = 0.0
    for bits in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
        x = torch.cat([torch.tensor(bits), torch.zeros(4)])[None, None]
        mass = math.exp(float(Strokes(logits, torch.zeros_like(amounts), scale).log_prob(x)))
        for drum in (0, 1):
            for column in (drum, 2 + drum):
                if bits[drum]:  # the integral over one amount, in the place of its density at the mode
                    rows = x.expand(len(line), -1, -1).clone()
                    rows[:, 0, 2 + column] = line.float()
                    many = Strokes(logits.expand(len(line), -1, -1), amounts.expand(len(line), -1, -1), scale)
                    at = x.clone()
                    at[0, 0, 2 + column] = amounts[0, 0, column]
                    ratio = (many.log_prob(rows) - Strokes(logits, amounts, scale).log_prob(at)).double().exp()
                    mass *= float(torch.trapezoid(ratio, line))
        total += mass
    assert total == pytest.approx(1, abs=1e-3)


def test_strokes_say_nothing_where_there_is_no_hit():
    strokes = Strokes(torch.tensor([[[3.0, -3.0]]]), torch.tensor([[[0.5, 0.7, 0.1, -0.2]]]), torch.zeros(4))
    assert strokes.mode.tolist() == [[[1.0, 0.0, 0.5, 0.0, pytest.approx(0.1), -0.0]]]
    known = strokes.played(torch.tensor([[[0.0, 1.0]]]))
    assert known[0, 0].tolist() == pytest.approx([0, 1, 0, 0.7, 0, -0.2])
    drawn = Strokes(*(t.expand(500, -1, -1) for t in (strokes.logits, strokes.amounts)), strokes.log_scale).sample()
    assert bool((drawn[..., 2:].unflatten(2, (2, 2))[drawn[..., None, :2].expand(-1, -1, 2, -1) == 0] == 0).all())
    assert float(drawn[..., 0].mean()) == pytest.approx(torch.sigmoid(torch.tensor(3.0)).item(), abs=0.05)


def test_straighten_and_taps_leave_what_they_say(folder):
    source = open_source(f"grooves:path={folder}")
    target = source.spec.scaled(source.gather(torch.arange(8)).target)
    hits = target[..., :WIDTH]
    assert torch.equal(corruption.select("straighten")(target, None), hits)
    tapped = corruption.select("taps")(target, None)
    assert torch.equal(tapped[..., 0], hits.amax(2))
    assert torch.equal(corruption.select("taps")(hits, None)[..., 0], hits.amax(2))
    snares = hits[..., 1] > 0
    kicks = hits[..., 0] > 0  # louder, and on the grid
    torch.testing.assert_close(tapped[..., 1][snares & ~kicks], torch.full((int((snares & ~kicks).sum()),), LATE / 120),
                               atol=1 / 254, rtol=0)  # fmt: skip
    assert not tapped[..., 1][kicks].any()
    for rule, data in (("straighten", hits), ("taps", torch.zeros(1, 4, 5)), ("straighten", torch.zeros(2, 3, 8, 8))):
        with pytest.raises(ValueError, match="takes"):
            corruption.select(rule)(data, None)


def test_humanize_gives_hits_the_feel_of_the_drummers(humanizer):
    song = drummer(np.random.default_rng(99), bars=5)
    drums = song.tracks[1]
    straight = drums.notes.copy()
    straight[:, START] = np.rint(straight[:, START] / 120) * 120
    straight[:, VELOCITY] = 90
    extra = np.array([[120, 30, 80, 55]])  # a triangle, which is none of the nine
    given = replace(
        song, tracks=(song.tracks[0], replace(drums, notes=sorted_notes(np.concatenate([straight, extra]))))
    )
    out = gargalo.humanize(humanizer, given)
    assert (out.tempos, out.metres, out.division) == (song.tempos, song.metres, song.division)
    assert np.array_equal(out.tracks[0].notes, song.tracks[0].notes)
    made = out.tracks[1].notes
    assert [80, 55] in made[:, [PITCH, VELOCITY]].tolist()
    made = made[made[:, PITCH] != 80]
    assert sorted(made[:, PITCH]) == sorted(drums.notes[:, PITCH])
    snares, hats = made[made[:, PITCH] == 38], made[made[:, PITCH] == 42]
    assert np.abs(snares[:, START] % 120 - LATE).mean() < LATE / 2
    assert np.abs(hats[:, VELOCITY] - LOUD).mean() < 10


def test_evaluate_says_how_near_to_the_drummer_hits_are_played(humanizer):
    row = gargalo.evaluate(humanizer, samples=1)["music"]["played"]
    assert row["model"]["timing"] < row["straight"]["timing"] < 0.1
    assert row["model"]["velocity"] < 20
    page = gargalo.report(humanizer.path).read_text()
    assert "off by" in page
    assert "<audio" in page


def test_hits_that_double_another_keep_their_distance(folder):
    song = drummer(np.random.default_rng(1), bars=2)
    flam = np.array([[480 - 15, 30, 38, 40]])
    drums = replace(song.tracks[1], notes=sorted_notes(np.concatenate([song.tracks[1].notes, flam])))
    cut = pieces.drum_pieces(replace(song, tracks=(drums,)), 32, width=3 * WIDTH)
    out = grooves.with_feel(cut, cut.windows).tracks[0].notes
    assert np.abs(out[:, START] - drums.notes[:, START]).max() <= 1  # of 120: timings are kept in 254ths of a step
    assert out[:, [1, 2]].tolist() == drums.notes[:, [1, 2]].tolist()


def test_taps_become_a_kit_and_the_rest_of_the_song_stays(tapper):
    song = drummer(np.random.default_rng(5), bars=4)
    starts = np.unique(song.tracks[1].notes[:, START])
    taps = Track("table", 0, False, sorted_notes([[start, 20, 60, 64] for start in starts]))
    quiet = replace(song.tracks[0], notes=song.tracks[0].notes[:3])
    out = gargalo.tap2drum(tapper, replace(song, tracks=(quiet, taps)))
    assert np.array_equal(out.tracks[0].notes, quiet.notes)
    assert (out.tempos, out.metres) == (song.tempos, song.metres)
    assert out.tracks[1].drums
    wanted = {(round(start / 120), pitch) for start, _, pitch, _ in song.tracks[1].notes.tolist()}
    found = {(round(start / 120), pitch) for start, _, pitch, _ in out.tracks[1].notes.tolist()}
    assert 2 * len(wanted & found) / (len(wanted) + len(found)) > 0.8


def test_a_model_of_another_task_is_refused(humanizer, tapper):
    song = drummer(np.random.default_rng(5), bars=2)
    with pytest.raises(ValueError, match="--corruption taps"):
        gargalo.tap2drum(humanizer, song)
    with pytest.raises(ValueError, match="--corruption straighten"):
        gargalo.humanize(tapper, song)
    with pytest.raises(ValueError, match="humanize and tap2drum"):
        gargalo.reconstruct_song(humanizer, song)
    with pytest.raises(gargalo.DataError, match="no drums"):
        gargalo.humanize(humanizer, replace(song, tracks=song.tracks[:1]))


def test_a_part_becomes_a_song_and_is_read_back():
    rng = np.random.default_rng(3)
    steps, pitches = np.sort(rng.uniform(0, 32, 40)), np.array(DRUM_PITCHES)[rng.integers(0, 9, 40)]
    part = drum_part(steps, pitches, rng.integers(1, 128, 40), 32)
    song = pieces.new_song(played(part)[None], Metre(0, 4, 4), microseconds=625_000)
    assert round(song.tempos[0].quarters_a_minute) == 96
    back = part_of(np.concatenate(list(pieces.drum_pieces(song, 16, width=3 * WIDTH).windows))[:32])
    assert np.array_equal(back.bits, part.bits)
    assert np.array_equal(back.velocity, part.velocity)
    first = part.timing[0].clip(min=0)  # nothing is before the song
    assert np.abs(back.timing[1:] - part.timing[1:]).max() < 0.02
    assert np.abs(back.timing[0] - first).max() < 0.02


def test_the_model_is_asked_for_no_more_than_the_hits(humanizer):
    bits = np.zeros((1, 32, WIDTH), np.uint8)
    bits[0, 4, 1] = 1
    out = beats.played(humanizer, bits)
    assert np.array_equal(out[..., :WIDTH], bits)
    assert (out[0, 4, WIDTH + 1] > 0) & (out[0, 5, WIDTH + 1] == 0)


def test_songs_go_through_a_model_of_grooves(folder, tmp_path):
    model = gargalo.train(
        "music", f"grooves:path={folder}", tmp_path / "run", latent_dim=8, beta=0.01,
        network="mixer:size=tiny,depth=1", epochs=20, lr=1e-2, batch_size=16,
    )  # fmt: skip
    song = drummer(np.random.default_rng(7), bars=5)
    out = gargalo.reconstruct_song(model, song)
    assert np.array_equal(out.tracks[0].notes, song.tracks[0].notes)
    assert (out.tempos, out.metres) == (song.tempos, song.metres)
    hats = out.tracks[1].notes[out.tracks[1].notes[:, PITCH] == 42]
    assert np.abs(hats[:, VELOCITY] - LOUD).mean() < 15
    assert np.diff(hats[:, START]).min() > 120
    for made in gargalo.sample_songs(model, 2, bars=4, tempo=90):
        assert made.tracks[0].drums
        assert made.tracks[0].notes[:, START].max() >= 3 * 1920
        assert len(np.unique(made.tracks[0].notes[:, VELOCITY])) > 2
    way = gargalo.interpolate_songs(model, [song, out], steps=3)
    assert len(way) == 3
    longer = gargalo.continue_song(model, song, bars=2)
    assert longer.end > song.end + 1920
    row = gargalo.evaluate(model, samples=1)["music"]
    assert row["greedy"]["notes"] > row["still"]["notes"]


def test_who_is_given_the_hits_is_judged_by_how_they_are_played(humanizer):
    found = gargalo.evaluate(humanizer, samples=1)
    played = found["music"]["played"]
    assert played["model"]["timing"] < played["straight"]["timing"]
    assert found["verdict"].startswith("Better than straight playing")


def test_weights_are_evaluated_on_data_of_ones_own(folder):
    with pytest.warns(UserWarning, match="Whether .*humanize knows .* is not said"):
        found = gargalo.evaluate(gargalo.load("humanize"), f"grooves:path={folder}", samples=1)
    assert "domain" not in found
