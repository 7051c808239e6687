"""Pages made from the code are those that the code makes now."""

import importlib.util
from pathlib import Path

import pytest
from benchmarks import results

ROOT = Path(__file__).resolve().parents[1]


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")


@pytest.mark.parametrize("page", sorted(generate.PAGES))
def test_generated_pages_are_fresh(page):
    assert (ROOT / "docs" / page).read_text() == generate.PAGES[page](), "run `make docs`"


def test_rows_measured_elsewhere_say_so():
    here = {"commit": "b", "machine": "two"}
    rows = [{"id": 1}, {"id": 2, "commit": "z", "machine": "one"}, {"id": 3, "commit": "b", "machine": "two"}]
    found = results.elsewhere({"commit": "a", "machine": "two", "rows": rows}, here)
    assert found == [{"id": 1, "commit": "a", "machine": "two"}, rows[1], {"id": 3}]
