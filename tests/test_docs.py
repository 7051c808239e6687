"""Pages made from the code are those that the code makes now."""

import importlib.util
from pathlib import Path

import pytest

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
