"""MNIST as found and as downloaded, the latter from a server of our own."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gargalo.data import builtin, open_source
from gargalo.data.batches import Feed
from gargalo.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "images"
NAMES = [file.name for file in builtin.MNIST.files]
SHAPES = ((6, 5, 5), (6,), (4, 5, 5), (4,))


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Four small files in the format of MNIST, in folders of a good and a bad mirror."""
    drawn = np.random.default_rng(0)
    for name, shape in zip(NAMES, SHAPES, strict=True):
        head = bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()
        raw = head + drawn.integers(0, 10, shape, np.uint8).tobytes()
        for mirror, content in (("good", raw), ("wrong", raw[:-1] + b"\xff")):
            (tmp_path / mirror).mkdir(exist_ok=True)
            (tmp_path / mirror / f"{name}.gz").write_bytes(gzip.compress(content))
    return tmp_path


@pytest.fixture
def server(made: Path) -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(made)))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def use(monkeypatch: pytest.MonkeyPatch, made: Path, *mirrors: str) -> None:
    files: Any = tuple(
        builtin.IdxFile(name, hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest(), shape)
        for name, shape in zip(NAMES, SHAPES, strict=True)
        for packed in [made / "good" / f"{name}.gz"]
    )
    monkeypatch.setattr(builtin, "MNIST", builtin.MNIST._replace(files=files, mirrors=mirrors))


@pytest.mark.parametrize("before", [[], ["missing/"], ["wrong/", "missing/"]])
def test_the_first_mirror_that_has_it_right_is_used(
    monkeypatch: pytest.MonkeyPatch, made: Path, server: str, before: list[str]
) -> None:
    use(monkeypatch, made, *(server + place for place in [*before, "good/"]))
    data = open_source("mnist")
    assert data.values.shape == (10, 1, 5, 5)
    assert data.indices("test").tolist() == [6, 7, 8, 9]
    shutil.rmtree(made / "good")
    assert open_source("mnist").values.equal(data.values)  # from the cache: the mirror is gone


def test_a_damaged_download_is_fetched_again(monkeypatch: pytest.MonkeyPatch, made: Path, server: str) -> None:
    use(monkeypatch, made, server + "good/")
    data = open_source("mnist")
    for kept in (made / "cache").rglob("*.gz"):
        kept.write_bytes(kept.read_bytes()[:30])
    assert open_source("mnist").values.equal(data.values)


@pytest.mark.parametrize(("place", "reason"), [("wrong/", "checksum"), ("missing/", "404")])
def test_no_good_mirror_is_explained(
    monkeypatch: pytest.MonkeyPatch, made: Path, server: str, place: str, reason: str
) -> None:
    use(monkeypatch, made, server + place)
    with pytest.raises(DataError, match="GARGALO_DATA") as caught:
        open_source("mnist")
    assert reason in str(caught.value)
    assert not list((made / "cache").rglob("*.gz"))


def test_no_server_is_explained(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    use(monkeypatch, made, "http://127.0.0.1:9/")
    with pytest.raises(DataError, match="`digits`, which needs no download"):
        open_source("mnist")


@pytest.mark.parametrize("packed", [True, False])
def test_own_files_are_found_and_verified(monkeypatch: pytest.MonkeyPatch, made: Path, packed: bool) -> None:
    use(monkeypatch, made)
    monkeypatch.setenv("GARGALO_DATA", str(made))
    (made / "good").rename(made / "mnist")
    for file in [] if packed else list((made / "mnist").iterdir()):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert len(open_source("mnist")) == 10
    first = min((made / "mnist").iterdir())
    first.write_bytes(b"something else")
    with pytest.raises(DataError, match=first.name):
        open_source("mnist")


@pytest.mark.parametrize("raw", [b"", b"\0\0\x08", b"\0\0\x08\x01\0\0\0\x02a", b"\0\0\x0d\x01\0\0\0\x01a"])
def test_idx_headers_that_lie_are_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match="not an idx file"):
        builtin.parse_idx(raw, builtin.IdxFile("x", "", (1,)))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not on this machine")
    monkeypatch.setenv("GARGALO_DATA", str(SHARED))
    data = open_source(name)
    assert data.values.shape == (70_000, 1, 28, 28)
    assert data.test is not None
    assert int(data.test.sum()) == 10_000


def test_pixels_are_drawn_once_or_at_every_look():
    grey, static, dynamic = (open_source(f"digits{how}") for how in ("", ":binarize=static", ":binarize=dynamic"))
    assert set(static.values.unique().tolist()) == {0, 255}
    assert torch.equal(static.values, open_source("digits:binarize=static").values)
    rows = grey.indices("all")[:500]
    assert float(static.values[rows].float().mean()) == pytest.approx(float(grey.values[rows].float().mean()), rel=0.02)
    feed = Feed(dynamic, rows, 250, seed=1)
    looks = [torch.cat([batch.target for batch in feed.in_order()]) for _ in range(2)]
    assert torch.equal(*looks)  # for measuring
    assert set(looks[0].unique().tolist()) == {0.0, 1.0}
    stream = Feed(dynamic, rows[:250], 250).batches()
    first, second = (next(stream).target.sort(0).values for _ in range(2))
    assert not torch.equal(first, second)
    assert bool((looks[0][grey.values[rows] == 255] == 1).all())
