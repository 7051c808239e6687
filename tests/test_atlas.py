"""The interactive map: one page, everything inside, names that cannot break out."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from gargalo.atlas import map_page
from test_cli import run_gargalo

RNG = np.random.default_rng(0)
HOSTILE = "</script><script>document.title='broken'</script>", "<img src=x onerror=document.title='broken'>", "$title"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def page(pictures, n=40):
    names = [*HOSTILE, *(f"{i}.png" for i in range(n - len(HOSTILE)))]
    positions = RNG.normal(size=(n, 2)).astype(np.float32)
    labels = np.arange(n) % 3
    return map_page("a <b> & 'c'", positions, names, labels, ("x", "<i>y", "z"), pictures), names, positions


def held(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 30), (4, 150, 90)])
def test_everything_is_inside_and_nothing_breaks_out(shape):
    text, names, positions = page(RNG.integers(0, 255, (40, *shape), np.uint8))
    data = held(text)
    assert data["names"] == names
    assert data["classes"] == ["x", "<i>y", "z"]
    x = np.array(data["x"])
    assert np.abs(np.corrcoef(x, positions[:, 0])[0, 1]) > 0.9999
    assert max(np.abs(x).max(), np.abs(data["y"]).max()) == pytest.approx(1, abs=1e-3)
    assert text.count("</script>") == 2  # the data and the code, and none that a name brought
    assert "<b>" not in text
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", text)
    assert max(data["size"]) <= 75
    assert len(data["sheets"]) == 1


def test_many_pictures_take_several_sheets():
    pictures = RNG.integers(0, 255, (1030, 1, 8, 8), np.uint8)
    text = map_page("t", RNG.normal(size=(1030, 2)), list(map(str, range(1030))), None, (), pictures)
    assert len(held(text)["sheets"]) == 2
    assert set(held(text)["labels"]) == {-1}


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine to open the page in")
def test_a_browser_draws_it(tmp_path):
    text, _, _ = page(RNG.integers(0, 255, (40, 1, 8, 8), np.uint8))
    (tmp_path / "m.html").write_text(text)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [BROWSER, *flags, "--dump-dom", f"file://{tmp_path / 'm.html'}"]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "40 of 40 shown" in drawn
    assert drawn.count('aria-pressed="true"') == 3
    assert "<title>a &lt;b&gt; &amp; 'c'</title>" in drawn  # no name has changed it


def test_the_command_writes_the_page(digits_run, tmp_path):
    done = run_gargalo("map", digits_run, "digits", "--split", "test", "--by", "code", "-o", tmp_path / "m.html")
    assert done.returncode == 0, done.stderr
    data = held((tmp_path / "m.html").read_text())
    assert len(data["x"]) == 180
    assert data["size"] == [8, 8]
