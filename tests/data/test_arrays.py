from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gargalo.data import open_source
from gargalo.errors import DataError

DRAWN = np.random.default_rng(0)


def saved(tmp_path: Path, array: np.ndarray) -> str:
    np.save(tmp_path / "a.npy", array)
    return str(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 9, 8), (1, 9, 8)), ((5, 9, 8, 3), (3, 9, 8)), ((5, 3, 9, 8), (3, 9, 8)), ((5, 1, 9, 8), (1, 9, 8))],
)
def test_layouts_of_pictures(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    array = DRAWN.integers(0, 256, shape, np.uint8)
    data = open_source(saved(tmp_path, array))
    assert data.spec.shape == expected
    pixels = array.transpose(0, 3, 1, 2) if shape[-1] == 3 else array
    assert np.array_equal(data.values.numpy().ravel(), pixels.ravel())
    floats = open_source(saved(tmp_path, array / np.float32(255)))
    assert np.array_equal(floats.values.numpy(), data.values.numpy())


def test_vectors_are_standardized(tmp_path: Path) -> None:
    array = np.column_stack([DRAWN.normal(5, 3, 400), np.full(400, 7.1), DRAWN.normal(0, 1e-3, 400)])
    data = open_source(saved(tmp_path, array))
    assert (data.spec.kind, data.spec.network) == ("vector", "mlp")
    scaled = data.spec.scaled(data.values).double().numpy()
    assert np.allclose(scaled.mean(0), 0, atol=1e-4)
    assert np.allclose(scaled.std(0)[[0, 2]], 1, atol=1e-4)
    assert data.spec.scale[1] == 1


def test_npz_labels_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=DRAWN.normal(size=(4, 3)), y=np.array([7, 3, 7, 10]), other=np.zeros((4, 2)))
    with pytest.raises(DataError, match="several"):
        open_source(str(path))
    data = open_source(f"npy:path={path},key=x")
    assert data.spec.class_names == ("3", "7", "10")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1, 2]
    with pytest.raises(DataError, match="no array called 'q'"):
        open_source(f"npy:path={path},key=q")


def test_bad_numbers_are_placed(tmp_path: Path) -> None:
    array = DRAWN.normal(size=(9, 4))
    array[6, 2] = np.nan
    with pytest.raises(DataError, match=r"\[6, 2\]"):
        open_source(saved(tmp_path, array))


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, []], object),
        np.zeros((3, 8, 8), np.int32),
        np.full((3, 8, 8), 2.0),
        np.zeros(5),
        np.zeros((0, 4)),
        np.zeros((2, 3, 8, 3), np.uint8),
        np.full((3, 2), 1e300),
    ],
)
def test_unusable_arrays_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(DataError):
        open_source(saved(tmp_path, array))


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as stream:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**3)}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(DataError, match="at most"):
        open_source(str(path))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.write(path, "x.npy")
    with pytest.raises(DataError, match="at most"):
        open_source(str(tmp_path / "b.npz"))
    with zipfile.ZipFile(tmp_path / "c.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", path.read_bytes() * 50)
    damaged = bytearray((tmp_path / "c.npz").read_bytes())
    damaged[45:60] = b"\xff" * 15
    (tmp_path / "c.npz").write_bytes(damaged)
    with pytest.raises(DataError, match="not a readable"):
        open_source(str(tmp_path / "c.npz"))
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a readable"):
        open_source(str(path))


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_tables(tmp_path: Path, mark: str, header: bool) -> None:
    rows = [*([["a", "b"]] if header else []), ["1", "2.5"], ["3", "-4e1"], ["5", "6"]]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(mark.join(row) for row in rows) + "\n")
    assert open_source(str(path)).values.tolist() == [[1, 2.5], [3, -40], [5, 6]]


def test_labels_of_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,kind\n1,b\n2,a\n3,b\n")
    data = open_source(f"csv:path={path},label=kind")
    assert data.spec.class_names == ("a", "b")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"row 2, column 'kind'.*label=kind"):
        open_source(str(path))
    with pytest.raises(DataError, match="no column"):
        open_source(f"csv:path={path},label=z")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n3,\n", "row 3, column 'b'.*missing"),
        ("a,b\n1,2\n3\n", "row 3"),
        ("a,b\n1,nan\n", "row 2, column 'b'"),
        ("", "empty"),
        ("a,b\n", "nothing below"),
    ],
)
def test_bad_tables_are_explained(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        open_source(str(path))


@pytest.mark.parametrize("shape", [(60, 9, 8), (60, 9, 8, 3), (60, 3, 9, 8)])
def test_large_arrays_are_mapped_and_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    path = saved(tmp_path, DRAWN.integers(0, 256, shape, np.uint8))
    whole = open_source(path)
    monkeypatch.setenv("GARGALO_MEMORY_LIMIT", "100")
    mapped = open_source(path)
    assert whole.release is None
    assert mapped.release is not None
    index = torch.tensor([3, 59, 3, 0])
    assert torch.equal(mapped.gather(index).target, whole.gather(index).target)
    assert torch.equal(mapped.indices("train"), whole.indices("train"))
    mapped.gather(index).target.zero_()  # a batch may be changed, the file not
    assert torch.equal(open_source(path).gather(index).target, whole.gather(index).target)


def test_memory_is_given_back_after_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, np.zeros((2000, 100, 100), np.uint8))
    monkeypatch.setenv("GARGALO_MEMORY_LIMIT", "100")
    mapped, released = open_source(path), []
    give_back = mapped.release
    assert give_back is not None
    noted = dataclasses.replace(mapped, release=lambda: (released.append(1), give_back())[1])
    noted.gather(torch.arange(2000))
    assert len(released) == 2  # of 1,024 rows at the most
