"""Series from arrays and made on the fly."""

import math

import numpy as np
import pytest
import torch

from gargalo.data import open_like, open_source
from gargalo.data.waves import Factors, draw, factors
from gargalo.errors import DataError


def one(kind, cycles=2.0, phase=0.0, square_cycles=3.0, square_phase=0.5):
    made = (kind, cycles, phase, square_cycles, square_phase)
    return draw(Factors(*(torch.tensor([value]) for value in made)), 64, 2)[0]


def test_waves_are_what_their_factors_say():
    time = 2 * math.pi * torch.arange(64) / 64
    torch.testing.assert_close(one(0)[:, 0], torch.sin(2 * time))
    torch.testing.assert_close(one(0)[1:, 1], one(0)[:-1, 0])  # a step later
    assert set(one(1).flatten().tolist()) == {-1.0, 1.0}
    assert int((one(1)[1:, 0] != one(1)[:-1, 0]).sum()) in (5, 6)  # three cycles
    torch.testing.assert_close(one(2), one(0) + one(1))


def test_the_source_is_a_function_of_its_seed_and_is_standardized_by_channel():
    made, again, other = (open_source(f"waves:n=300,length=32,channels=2,seed={seed}") for seed in (1, 1, 2))
    assert torch.equal(made.values, again.values)
    assert not torch.equal(made.values, other.values)
    assert torch.equal(made.labels, factors(300, 1).kind)
    assert (made.spec.kind, made.spec.shape, made.spec.network) == ("sequence", (32, 2), "mixer")
    scaled = made.spec.scaled(made.values)
    torch.testing.assert_close(scaled.mean((0, 1)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std((0, 1)), torch.ones(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(made.spec.unscaled(scaled), made.values)
    with pytest.raises(ValueError, match="length=4"):
        open_source("waves:length=4")


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "series": rng.normal(size=(20, 12, 3)),
        "line": rng.random((20, 12)),
        "bits": rng.random((20, 12, 9)) < 0.3,
    }
    arrays["tokens"] = rng.integers(0, 7, (20, 12))
    arrays["tokens"][0, 0] = 6
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "kind", "shape", "vocabulary", "likelihood"),
    [
        ("series", "series", (12, 3), 0, "gaussian:std=learned"),
        ("line", "series", (12, 1), 0, "gaussian:std=learned"),
        ("bits", "bits", (12, 9), 0, "bernoulli"),
        ("tokens", "tokens", (12,), 7, "categorical"),
    ],
)
def test_arrays_are_sequences_where_that_is_said(files, file, kind, shape, vocabulary, likelihood):
    spec = open_source(f"{files / file}.npy:kind={kind}").spec
    assert (spec.kind, spec.shape, spec.vocabulary, spec.likelihood) == ("sequence", shape, vocabulary, likelihood)
    assert open_like(f"{files / file}.npy", spec).spec == spec  # a model's own kind need not be said again


def test_other_data_are_seen_as_the_model_learned_to_see_its_own(files):
    spec = open_source(f"{files}/series.npy:kind=series").spec
    np.save(files / "more.npy", 100 + np.load(files / "series.npy"))
    assert open_like(f"{files}/more.npy", spec).spec == spec
    few = open_source(f"{files}/tokens.npy:kind=tokens").spec
    np.save(files / "odd.npy", np.load(files / "tokens.npy") + 1)
    with pytest.raises(DataError, match="vocabulary of 8; this model's is 7"):
        open_like(f"{files}/odd.npy", few)


@pytest.mark.parametrize(
    ("file", "kind", "says"),
    [("series", "tokens", "have shape"), ("series", "bits", "0 and 1"), ("line", "tokens", "whole numbers")],
)
def test_arrays_that_are_no_such_sequences_are_refused(files, file, kind, says):
    with pytest.raises(DataError, match=says):
        open_source(f"{files / file}.npy:kind={kind}")
