"""Every example runs, and stays short enough to be read."""

import subprocess
import sys
from pathlib import Path

import pytest

from gargalo import weights

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example, tmp_path):
    text = example.read_text()
    assert len(text.splitlines()) < 60
    if "gargalo.shipped" in text and "denoiser-color" not in weights.names():
        pytest.skip("`make weights` has not been run")
    done = subprocess.run([sys.executable, example, tmp_path / "run", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
