"""Figures of music against counting by hand."""

import itertools

import numpy as np
import pytest
import torch

import gargalo
from gargalo.data.music.vocabulary import FIRST, HOLD, OFF, melody_notes
from gargalo.evaluation.music import is_music, nearest, score
from gargalo.spec import DataSpec


def test_melodies_are_scored_by_step_note_and_window():
    wanted = torch.tensor([[40, HOLD, HOLD, 42], [OFF, 44, HOLD, OFF]])
    found = torch.tensor([[40, HOLD, 41, 43], [OFF, 44, HOLD, OFF]])
    row = score(found, wanted)
    assert row["steps"] == 6 / 8
    assert row["windows"] == 1 / 2
    notes = [{(n, a, p) for n, line in enumerate(x.numpy()) for a, _, p in melody_notes(line)} for x in (found, wanted)]
    right = len(notes[0] & notes[1])
    assert row["precision"] == right / len(notes[0]) == 2 / 4
    assert row["recall"] == right / len(notes[1]) == 2 / 3
    assert row["notes"] == pytest.approx(2 / (1 / row["precision"] + 1 / row["recall"]))
    silent = score(torch.full_like(wanted, HOLD), wanted)
    assert (silent["notes"], silent["steps"]) == (0, 3 / 8)


def test_a_step_of_drums_is_right_if_all_nine_are():
    wanted = torch.zeros(1, 4, 9)
    wanted[0, 0, :2] = 1
    found = wanted.clone()
    found[0, 0, 1], found[0, 2, 5] = 0, 1
    row = score(found, wanted)
    assert (row["steps"], row["precision"], row["recall"], row["windows"]) == (0.5, 0.5, 0.5, 0)


def test_the_nearest_copy_is_the_row_with_the_most_equal_steps():
    rows, known = torch.randint(0, 3, (7, 6)), torch.randint(0, 3, (30, 6))
    found = nearest(rows, known)
    for row, copy in zip(rows, found, strict=True):
        assert (row == copy).sum() == max((row == other).sum() for other in known)


def test_music_is_known_by_its_shape():
    kinds = [((32,), 90), ((32,), 91), ((32, 9), 0), ((32, 8), 0)]
    assert [is_music(DataSpec("sequence", shape, vocabulary=v)) for shape, v in kinds] == [True, False, True, False]
    assert not is_music(DataSpec("sequence", (32, 9), likelihood="laplace"))


def test_evaluate_has_them_of_tunes(tmp_path):
    model = gargalo.train("music", "tunes", tmp_path / "run", network="mixer:size=tiny,depth=0", epochs=1, latent_dim=4)
    found = gargalo.evaluate(model, samples=1)["music"]
    for row, figure in itertools.product(("greedy", "sampled", "still", "copied"), ("steps", "notes", "windows")):
        assert 0 <= found[row][figure] <= 1
    source = gargalo.data.open_source("tunes")
    test = source.gather(source.indices("test")).target
    assert found["still"]["steps"] == pytest.approx(float((test == HOLD).double().mean()))
    assert found["copied"]["steps"] > found["still"]["steps"]
    assert found["kl_bits"] > 0
    assert np.all(gargalo.sample(model, 3) < FIRST + 88)
