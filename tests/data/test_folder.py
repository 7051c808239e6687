from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gargalo.data import cache, open_source
from gargalo.data.listing import listing
from gargalo.errors import DataError

DRAWN = np.random.default_rng(0)


def picture(path: Path, *shape: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DRAWN.integers(0, 256, shape, np.uint8)).save(path)
    return path


def test_bad_files_are_counted_and_named(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / "in" / f"{number:02d}.png", 12, 12, 3)
    (tmp_path / "in" / "bad.png").write_bytes(b"text")
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "00.png").read_bytes()[:200])
    (tmp_path / "in" / "notes.txt").write_text("ignored")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"ignored")
    data = open_source(str(tmp_path / "in"))
    assert len(data) == len(data.names) == 20
    assert [skipped.name for skipped in data.skipped] == ["bad.png", "cut.png"]
    assert data.skipped[0].reason == "not a picture in a known format"
    assert data.spec.shape == (3, 12, 12)
    assert data.spec.likelihood == "gaussian:std=optimal"
    assert data.labels is None


def test_more_than_half_bad_is_an_error(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 9, 9)
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(b"text")
    with pytest.raises(DataError, match=r"2 of .*b\.png"):
        open_source(f"folder:path={tmp_path}")


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        open_source(str(tmp_path))


def test_auto_rules_and_labels(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "deep" / "a.png", 90, 70)
    picture(tmp_path / "dog" / "b.png", 30, 30)
    data = open_source(str(tmp_path))
    assert data.spec.shape == (1, 64, 64)
    assert data.spec.likelihood == "bernoulli"
    assert data.spec.class_names == ("cat", "dog")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]
    sized = open_source(f"folder:path={tmp_path},size=16,channels=3,fit=pad")
    assert sized.spec.shape == (3, 16, 16)
    assert sized.spec.fit == "pad"


def test_a_zip_gives_what_its_folder_gives(tmp_path: Path) -> None:
    for name in ("x/1.png", "y/2.png", "y/3.png"):
        picture(tmp_path / "in" / name, 10, 10, 3)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for file in (tmp_path / "in").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))  # with the name of the folder in front
    loose, packed = open_source(str(tmp_path / "in")), open_source(str(tmp_path / "in.zip"))
    assert torch.equal(loose.values, packed.values)
    assert loose.spec == packed.spec


def test_names_in_a_zip_that_lead_away_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 10, 10, 3)
    names = ["fine/a.png", "/etc/a.png", "../a.png", "fine/../../a.png", "C:/a.png", "C:\\a.png", "..\\a.png"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), (tmp_path / "a.png").read_bytes())
    with ExitStack() as stack:
        assert [item.name for item in listing(tmp_path / "in.zip", frozenset({".png"}), stack)] == ["fine/a.png"]


def test_names_that_are_not_utf8_are_written_out(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"caf\xe8"):
        picture(tmp_path / os.fsdecode(name) / "a.png", 8, 8)
    (tmp_path / os.fsdecode(b"na\xefve.png")).write_bytes(b"no picture")
    found = open_source(str(tmp_path))
    assert found.names == ("caf\\xe8/a.png", "caf\\xe9/a.png")
    assert [name for name, _ in found.skipped] == ["na\\xefve.png"]


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(DataError):
        open_source(str(tmp_path / "a.zip"))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", 8, 8)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    assert len(open_source(str(tmp_path / "a"))) == 1


def test_copies_never_straddle_and_order_does_not_matter(tmp_path: Path) -> None:
    for number in range(30):
        original = picture(tmp_path / "in" / f"{number:02d}.png", 8, 8)
        shutil.copy(original, original.with_name(f"z{29 - number:02d}.png"))
    for file in (tmp_path / "in").iterdir():  # the same pictures listed in another order
        target = tmp_path / "other" / f"{hash(file.name) & 0xFFFFFF:06d}{file.name}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(file, target)
    parts = {}
    for name in ("in", "other"):
        data = open_source(str(tmp_path / name))
        parts[name] = {
            part: {data.values[row].numpy().tobytes() for row in data.indices(part)}
            for part in ("train", "validation", "test")
        }
        assert sum(map(len, parts[name].values())) == 30
        assert len(set.union(*parts[name].values())) == 30
    assert parts["in"] == parts["other"]


def test_damaged_cache_entries_are_rebuilt_and_changes_seen(tmp_path: Path) -> None:
    file = picture(tmp_path / "in" / "a.png", 8, 8)
    first = open_source(str(tmp_path / "in"))
    (kept,) = (cache.cache_folder() / "decoded").glob("*.npy")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert torch.equal(open_source(str(tmp_path / "in")).values, first.values)
    kept.write_bytes(content[:40])
    assert torch.equal(open_source(str(tmp_path / "in")).values, first.values)
    picture(file, 9, 9)
    assert open_source(str(tmp_path / "in")).spec.shape == (1, 9, 9)


def test_large_entries_are_mapped_and_stay_unwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "in" / "a.png", 8, 8)
    whole = open_source(str(tmp_path / "in")).values.clone()
    monkeypatch.setenv("GARGALO_MEMORY_LIMIT", "10")
    open_source(str(tmp_path / "in")).values.zero_()
    assert torch.equal(open_source(str(tmp_path / "in")).values, whole)
    monkeypatch.setenv("GARGALO_MEMORY_LIMIT", "much")
    with pytest.raises(DataError, match="GARGALO_MEMORY_LIMIT"):
        open_source(str(tmp_path / "in"))


def test_a_size_beyond_what_one_example_may_hold_is_refused_at_once(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 8, 8)
    with pytest.raises(ValueError, match=r"size=100000: .* more than 16,777,216 numbers"):
        open_source(f"{tmp_path}:size=100000")
