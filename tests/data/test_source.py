from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import gargalo.data.source
from gargalo.data import Source, open_source
from gargalo.errors import DataError
from gargalo.spec import DataSpec


def test_digits_come_without_a_download() -> None:
    data = open_source("digits")
    assert data.values.shape == (1797, 1, 8, 8)
    assert data.values.dtype == torch.uint8
    assert (int(data.values.min()), int(data.values.max())) == (0, 255)
    assert data.spec.num_classes == 10


@pytest.mark.parametrize("text", ["nothing-like-it", "", "no/such/place"])
def test_unknown_names_say_what_there_is(text: str) -> None:
    with pytest.raises(DataError, match=r"no file.*digits"):
        open_source(text)


def test_wrong_arguments_and_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size"):
        open_source("digits:size=3")
    (tmp_path / "a.doc").write_text("text")
    with pytest.raises(DataError, match=r"\.npy"):
        open_source(str(tmp_path / "a.doc"))


def test_the_registry_does_not_hide_the_module() -> None:
    assert gargalo.data.source is sys.modules["gargalo.data.source"]


def test_a_copy_of_a_test_row_is_in_no_other_part() -> None:
    values = torch.arange(40, dtype=torch.uint8).reshape(40, 1).repeat(1, 4).reshape(40, 1, 2, 2)
    values[0] = values[39]
    data = Source("made", DataSpec("image", (1, 2, 2)), values, test=torch.arange(40) >= 30)
    assert data.indices("test").tolist() == list(range(30, 40))
    assert 0 not in [*data.indices("train").tolist(), *data.indices("validation").tolist()]


def test_validation_is_a_tenth_but_not_more_than_is_of_use():
    values = torch.arange(25_000).view(-1, 1).float()
    source = Source("x", DataSpec("vector", (1,)), values)
    assert {part: len(source.indices(part)) for part in ("train", "validation", "test")} == {
        "train": 20_500,
        "validation": 2_000,
        "test": 2_500,
    }


def test_of_equal_examples_it_is_said_that_they_are_one() -> None:
    spec = DataSpec("vector", (2,))
    with pytest.raises(DataError, match="same has 1 different example, too few for a validation part"):
        Source("same", spec, torch.ones(40, 2)).indices("validation")
