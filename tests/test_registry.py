"""Selectors and registries."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gargalo.registry import Registry, convert


def made():
    registry = Registry("thing")

    @registry
    def some_thing(
        x,
        *,
        size: int = 2,
        rate: float = 0.5,
        flag: bool = False,
        kind: Literal["a", "b"] = "a",
        need: int | None = None,
    ):
        """First line.

        More.
        """

    return registry


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_selectors_round_trip(size, rate, flag):
    name, arguments = made().parse(f"some-thing:size={size},rate={rate!r},flag={flag}")
    assert (name, arguments) == ("some_thing", {"size": size, "rate": rate, "flag": flag})


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ("some_thin", "Did you mean 'some_thing'"),
        ("qqq", "There are: some_thing"),
        ("some_thing:color=3", "has no 'color'. It takes: size, rate, flag, kind, need"),
        ("some_thing:size=2.5", "size='2.5' must be a whole number"),
        ("some_thing:rate=-inf", "rate='-inf' must be a number"),
        ("some_thing:kind=c", "must be one of a, b"),
        ("some_thing:size", "not key=value"),
    ],
)
def test_mistakes_are_named(selector, says):
    with pytest.raises(ValueError, match=says):
        made().parse(selector)


def test_names_are_unique_and_summarized():
    registry = made()
    assert registry.summary("some_thing") == "First line."
    with pytest.raises(ValueError, match="exists already"):
        registry(registry["some_thing"])
    assert convert("none", int | None, "x") is None
    assert convert("learned", float | Literal["learned"], "x") == "learned"
    assert convert("0.5", float | Literal["learned"], "x") == 0.5
