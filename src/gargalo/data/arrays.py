"""Arrays in .npy and .npz files, and tables in .csv files."""

from __future__ import annotations

import csv as csv_reader
import io
import sys
import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch

from gargalo.data import cache
from gargalo.data.listing import BAD_ZIP
from gargalo.data.source import Source
from gargalo.errors import DataError
from gargalo.registry import source
from gargalo.spec import MAX_VOCABULARY, DataSpec

Array = npt.NDArray[Any]
ArrayKind = Literal["auto", "series", "bits", "tokens"]  # no array tells by itself that its axes are time and channels
MAX_BYTES = 1 << 34  # of one array, as its header promises it: 16 GiB
BOMB_BYTES, BOMB_RATIO = 1 << 26, 300  # what is worth learning from does not shrink this much
MAX_CLASSES = 10_000
LABEL_NAMES = ("y", "labels", "label")


class Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@source
def npy(*, path: str, key: str | None = None, kind: ArrayKind = "auto") -> Source:
    """An array in a .npy or .npz file: pictures, rows of a table or, where ``kind`` says so, sequences.

    uint8, or floats in [0, 1], of shape ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]`` are pictures;
    numbers ``[N, D]`` are vectors, standardized by column. Numbers ``[N, T, C]`` or ``[N, T]`` are a ``series``,
    standardized by channel; of 0 and 1 alone they may be ``bits``; whole numbers ``[N, T]`` may be ``tokens``.
    Of several arrays in a .npz, ``key`` names the one to use; an array called ``y`` or ``labels`` of length N gives
    class numbers or names.
    A .npy of uint8 that is larger than ``cache.memory_limit()`` stays on disk and is read as it is needed.

    Raises DataError where the file is damaged or holds nothing of these.
    """
    file = Path(path).expanduser()
    arrays, release = _load(file, key)
    labels = next((arrays.pop(name) for name in LABEL_NAMES if name in arrays and name != key), None)
    chosen = _choose(arrays, key, path)
    values = arrays[chosen]
    if not len(values):
        raise DataError(f"{path}: the array is empty.")
    _check_finite(values, path)
    classes, numbers = _classes(labels, len(values), path) if labels is not None else ((), None)
    if kind != "auto":
        return sequence_source(path, values, kind, classes, numbers)
    if values.ndim == 2:
        return table_source(path, values, classes, numbers)
    return picture_source(path, values, classes, numbers, release)


@source
def csv(*, path: str, label: str | None = None) -> Source:
    """A table of numbers in a .csv or .tsv file, one example a row, standardized by column.

    A first row with text above a number is the header. The delimiter is found out. ``label`` names the column
    (or gives its number, from 1) that holds the class.

    Raises DataError where a value is missing or no number, naming its row and column.
    """
    rows = _read_rows(path)
    header = [cell.strip() for cell in rows[0]] if _has_header(rows) else []
    body = rows[1:] if header else rows
    if not body:
        raise DataError(f"{path}: there is a header and nothing below it.")
    columns = header or [str(number + 1) for number in range(len(rows[0]))]
    for number, row in enumerate(body, start=len(rows) - len(body) + 1):
        if len(row) != len(columns):
            raise DataError(f"{path}: row {number} has {len(row)} cells, the first row has {len(columns)}.")
    classes: tuple[str, ...] = ()
    numbers: torch.Tensor | None = None
    if label is not None:
        position = _column(label, columns, path)
        cells = np.array([row.pop(position).strip() for row in body])
        columns = columns[:position] + columns[position + 1 :]
        classes, numbers = _classes(cells, len(body), path)
    if not columns:
        raise DataError(f"{path}: there is no column besides {label!r}.")
    first = len(rows) - len(body) + 1
    values = np.array([_numbers(row, first + index, columns, path) for index, row in enumerate(body)], np.float32)
    return table_source(path, values, classes, numbers)


def array_source(values: Array, shape: tuple[int, ...], kind: ArrayKind) -> Source:
    """Rows of examples of a shape, in memory; ValueError where they are not of that kind, or numbers too large."""
    if kind not in get_args(ArrayKind):
        raise ValueError(f"kind={kind!r} must be one of: {', '.join(get_args(ArrayKind))}.")
    values = values.reshape(len(values), *shape)
    try:
        if kind != "auto":
            return sequence_source("X", values, kind)
        return (table_source if len(shape) == 1 else picture_source)("X", values)
    except DataError as error:
        raise ValueError(str(error)) from error


def kind_of(spec: DataSpec) -> ArrayKind:
    """What `array_source` made an array of, or would have."""
    if spec.kind != "sequence":
        return "auto"
    return "tokens" if spec.is_tokens else "bits" if spec.is_bits else "series"


def picture_source(
    name: str,
    values: Array,
    classes: tuple[str, ...] = (),
    labels: torch.Tensor | None = None,
    release: Callable[[], None] | None = None,
) -> Source:
    """Pictures in any of the layouts of `npy`. DataError where they are none."""
    pixels = _pictures(values, name)
    if release is None:
        pixels = np.require(pixels, requirements=["C", "W"])
    spec = DataSpec(
        "image",
        pixels.shape[1:],
        likelihood="bernoulli" if pixels.shape[1] == 1 else "gaussian:std=optimal",
        num_classes=len(classes),
        class_names=classes,
    )
    return Source(name, spec, torch.from_numpy(pixels), labels, release=release)


def table_source(name: str, values: Array, classes: tuple[str, ...] = (), labels: torch.Tensor | None = None) -> Source:
    """Vectors ``[N, D]``; each column is centered and divided by its standard deviation.

    DataError where a number is beyond the range of 32-bit floats.
    """
    return _standardized("vector", name, values, classes, labels)


def sequence_source(
    name: str,
    values: Array,
    kind: Literal["series", "bits", "tokens"],
    classes: tuple[str, ...] = (),
    labels: torch.Tensor | None = None,
) -> Source:
    """Sequences in the layouts of `npy`. DataError where they are none of that kind."""
    wanted = {2} if kind == "tokens" else {2, 3}
    if values.ndim not in wanted:
        shapes = "[N, T]" if kind == "tokens" else "[N, T] or [N, T, C]"
        raise DataError(f"{name}: {kind} have shape {shapes}; this is {values.shape}.")
    if kind == "series":
        return _standardized("sequence", name, values if values.ndim == 3 else values[..., None], classes, labels)
    low, high = int(values.min()), int(values.max())
    if not np.array_equal(values, np.rint(values)) or low < 0 or high >= (MAX_VOCABULARY if kind == "tokens" else 2):
        wanted = "0 and 1" if kind == "bits" else f"whole numbers from 0 to {MAX_VOCABULARY - 1:,}"
        raise DataError(f"{name}: {kind} are {wanted}; there are numbers from {values.min():g} to {values.max():g}.")
    known: dict[str, Any] = {"num_classes": len(classes), "class_names": classes}
    if kind == "bits":
        values = values.astype(np.uint8) if values.ndim == 3 else values[..., None].astype(np.uint8)
        spec = DataSpec("sequence", values.shape[1:], **known)
    else:
        values, spec = (
            values.astype(np.int64),
            DataSpec("sequence", values.shape[1:], vocabulary=max(2, high + 1), **known),
        )
    return Source(name, spec, torch.from_numpy(np.ascontiguousarray(values)), labels)


def _standardized(
    kind: Literal["vector", "sequence"], name: str, values: Array, classes: tuple[str, ...], labels: torch.Tensor | None
) -> Source:
    """The last axis holds columns or channels."""
    axes = tuple(range(values.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite, and is refused
        values = values.astype(np.float32)
        mean, std = values.mean(axis=axes, dtype=np.float64), values.std(axis=axes, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(std).all()):
        raise DataError(f"{name}: there are numbers beyond the range of 32-bit floats. Rescale the columns.")
    # A column that is constant up to rounding carries nothing; dividing by its std would blow that up.
    std = np.where(std > 1e-6 * np.abs(mean), std, 1.0)
    spec = DataSpec(
        kind,
        values.shape[1:],
        likelihood="gaussian:std=learned",
        num_classes=len(classes),
        class_names=classes,
        offset=tuple(mean.tolist()),
        scale=tuple(std.tolist()),
    )
    return Source(name, spec, torch.from_numpy(np.ascontiguousarray(values)), labels)


def _load(file: Path, key: str | None) -> tuple[dict[str, Array], Callable[[], None] | None]:
    """The arrays of a file that may be wanted, by name; the headers are checked before anything is read.

    The function is there where the array is mapped, see `gargalo.data.cache.mapped`.
    """
    if not file.is_file():
        raise DataError(f"No file is called {file}.")
    try:
        if not zipfile.is_zipfile(file):
            if key is not None:
                raise DataError(f"{file} holds one array; key={key!r} is for a .npz file.")
            name, size = "" if file.stem in LABEL_NAMES else file.stem, file.stat().st_size
            with file.open("rb") as stream:
                header = _header(stream)
            large = header.dtype == np.uint8 and size > cache.memory_limit()
            _check_header(header, file.name, size, sys.maxsize if large else MAX_BYTES)
            array, release = cache.mapped(file) if large else (np.load(file, allow_pickle=False), None)
            return {name: array}, release
        with zipfile.ZipFile(file) as archive:
            return {name: _read_member(archive, info) for name, info in _wanted(archive, key).items()}, None
    except BAD_ZIP as error:
        raise DataError(f"{file} is not a readable .npy or .npz file: {error}") from error


def _wanted(archive: zipfile.ZipFile, key: str | None) -> dict[str, zipfile.ZipInfo]:
    members = {i.filename.removesuffix(".npy"): i for i in archive.infolist() if i.filename.endswith(".npy")}
    if key is None:
        return members
    return {name: info for name, info in members.items() if name == key or name in LABEL_NAMES}


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as stream:
        header = _header(stream)
    _check_header(header, info.filename, info.file_size)
    if info.file_size > BOMB_BYTES and info.file_size > BOMB_RATIO * info.compress_size:
        raise DataError(f"{info.filename} would unpack to {info.file_size:,} bytes from {info.compress_size:,}.")
    with archive.open(info) as stream:
        # No more is unpacked than the header promises, whatever the archive's own directory says.
        data = stream.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise DataError(f"{info.filename} in {archive.filename} is not as long as it says.")
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _header(stream: Any) -> Header:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return Header(tuple(shape), dtype)


def _check_header(header: Header, name: str, size: int, limit: int = MAX_BYTES) -> None:
    """DataError where the array holds objects, or its header promises more than there is or than we read."""
    if header.dtype.hasobject:
        raise DataError(f"{name} holds Python objects, which are not loaded. Save plain numbers.")
    promised = prod(header.shape) * header.dtype.itemsize
    if promised > limit:
        raise DataError(f"{name} has {promised:,} bytes; at most {limit:,} are read.")
    if not promised <= size <= promised + 65536:
        raise DataError(f"{name} is damaged: its header promises {promised:,} bytes, {size:,} are there.")


def _choose(arrays: dict[str, Array], key: str | None, path: str) -> str:
    shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
    if key is not None:
        if key not in arrays:
            raise DataError(f"{path} holds no array called {key!r}. There are: {shown}.")
        return key
    usable = [n for n, a in arrays.items() if 2 <= a.ndim <= 4 and a.dtype.kind in "uifb"]
    if len(usable) == 1:
        return usable[0]
    if not usable:
        raise DataError(f"{path} holds no array of numbers with 2 to 4 dimensions. There are: {shown}.")
    raise DataError(f"{path} holds several arrays: {shown}. Name one: npy:path={path},key={usable[0]}.")


def _check_finite(values: Array, path: str) -> None:
    if values.dtype.kind not in "uifb" or not 2 <= values.ndim <= 4:
        raise DataError(f"{path}: {values.dtype} of shape {values.shape} is neither pictures nor a table.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise DataError(
            f"{path}: {values[place]} at index {list(place)} (row {place[0]}). Remove or fill in such values."
        )


def _pictures(values: Array, path: str) -> npt.NDArray[np.uint8]:
    """uint8 ``[N, C, H, W]`` from any of the accepted layouts."""
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    elif values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 1:
            raise DataError(f"{path}: pixels from {low:g} to {high:g}; floats must lie in [0, 1], or be uint8.")
        values = np.rint(values * 255).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise DataError(f"{path}: pictures of {values.dtype}. Save them as uint8, or as floats in [0, 1].")
    if values.ndim == 3:
        values = values[:, None]
    elif values.shape[3] in (1, 3, 4) and values.shape[1] not in (1, 3, 4):
        values = values.transpose(0, 3, 1, 2)
    elif values.shape[1] not in (1, 3, 4) or values.shape[3] in (1, 3, 4):
        raise DataError(f"{path}: cannot tell which of {values.shape} are the 1, 3 or 4 channels.")
    return values


def _classes(labels: Array, count: int, path: str) -> tuple[tuple[str, ...], torch.Tensor]:
    """Class names in order, and the number ``[N]`` of each row's class."""
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "uibUS":
        whole = labels.dtype.kind == "f" and labels.shape in ((count,), (count, 1))
        if not whole or not np.array_equal(labels, np.rint(labels)):
            raise DataError(f"{path}: labels {labels.dtype} {labels.shape} are not one class for {count} rows.")
        labels = labels.astype(np.int64)
    found, numbers = np.unique(labels.reshape(count), return_inverse=True)
    if found.dtype.kind == "U" and all(text.lstrip("-").isdigit() for text in found.tolist()):
        found, numbers = np.unique(labels.reshape(count).astype(np.int64), return_inverse=True)
    if len(found) > MAX_CLASSES:
        raise DataError(f"{path}: {len(found):,} different labels; at most {MAX_CLASSES:,} are classes.")
    names = (name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in found.tolist())
    return tuple(names), torch.from_numpy(numbers.reshape(count).astype(np.int64))


def _read_rows(path: str) -> list[list[str]]:
    """The rows of cells of a table, blank lines left out; DataError where it is no text or is empty."""
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = [row for row in csv_reader.reader(io.StringIO(text, newline=""), _dialect(text)) if row]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except csv_reader.Error as error:
        raise DataError(f"{path} is not a table: {error}.") from error
    if not rows:
        raise DataError(f"{path} is empty.")
    return rows


def _dialect(text: str) -> type[csv_reader.Dialect]:
    """The delimiter that the first line has most of; the sniffer of Python's csv takes digits for one."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {mark: first.count(mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    blank = not counts[best] and len(first.split()) > 1

    class Found(csv_reader.excel):
        delimiter = " " if blank else best
        skipinitialspace = best != "\t"

    return Found


def _has_header(rows: list[list[str]]) -> bool:
    """Whether text stands above a number; text above text may be a column of classes."""
    below = rows[1] if len(rows) > 1 else ["0"] * len(rows[0])
    return any(not _is_number(a) and _is_number(b) for a, b in zip(rows[0], below, strict=False))


def _is_number(cell: str) -> bool:
    """Whether a cell is a number or missing, rather than a name."""
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True


def _column(label: str, columns: list[str], path: str) -> int:
    if label in columns:
        return columns.index(label)
    if label.isdigit() and 1 <= int(label) <= len(columns):
        return int(label) - 1
    raise DataError(f"{path}: no column is called {label!r}. There are: {', '.join(columns)}.")


def _numbers(row: list[str], number: int, columns: list[str], path: str) -> list[float]:
    """The cells of one row as numbers."""
    values: list[float] = []
    for name, cell in zip(columns, row, strict=True):
        where = f"{path}: row {number}, column {name!r}"
        try:
            value = float(cell.replace("_", "x"))  # Python's own 1_000 is none here
        except ValueError:
            if not cell.strip():
                raise DataError(f"{where}: the value is missing. Fill it in or remove the row.") from None
            remedy = f"Remove the column, or give csv:path={path},label={name} if it is the class."
            raise DataError(f"{where}: {cell!r} is not a number. {remedy}") from None
        if not np.isfinite(value):
            raise DataError(f"{where}: {cell!r}. Fill it in or remove the row.")
        values.append(value)
    return values
