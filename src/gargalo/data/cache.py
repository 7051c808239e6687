"""Where downloaded and decoded data is kept, and how decoded pictures come back from there."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gargalo import disk
from gargalo.errors import DataError

MEMORY_LIMIT = 1 << 29  # bytes; what is larger stays on disk and is mapped
VERSION = 1  # of the rules by which files become pixels: a new number makes every entry stale


class Entry(NamedTuple):
    """Decoded pictures uint8 ``[N, C, H, W]`` and what else is known of them, as JSON keeps it.

    ``release`` is there where they are mapped, see `mapped`.
    """

    values: Tensor
    facts: dict[str, Any]
    release: Callable[[], None] | None = None


def cache_folder() -> Path:
    """``$GARGALO_CACHE``, or the platform's own place for caches. The folder need not exist yet."""
    if chosen := os.environ.get("GARGALO_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("gargalo"))


def memory_limit() -> int:
    """``$GARGALO_MEMORY_LIMIT`` in bytes, 512 MiB where it is not set; DataError where it is no number."""
    text = os.environ.get("GARGALO_MEMORY_LIMIT", str(MEMORY_LIMIT))
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"GARGALO_MEMORY_LIMIT={text!r} must be a whole number of bytes.") from error


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """A stream whose content is ``path`` once the block ends well, and is nowhere where it does not."""
    with disk.replacing(path) as temporary, temporary.open("xb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def key_of(*parts: Any) -> str:
    """A name for an entry that changes with anything the content depends on."""
    return hashlib.blake2b(json.dumps([VERSION, *parts]).encode(), digest_size=16).hexdigest()


def store(key: str, shape: tuple[int, ...], rows: Iterable[npt.NDArray[np.uint8]], facts: dict[str, Any]) -> Entry:
    """Keep ``rows``, each uint8 of ``shape``, and the ``facts`` as they are once the rows have ended.

    Raises DataError where the cache cannot be written; what the iteration raises passes through.
    """
    folder = cache_folder() / "decoded"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, key, shape, rows, facts)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{folder} cannot be written ({reason}). Set GARGALO_CACHE to another.") from error
    if (entry := load(key)) is None:
        raise DataError(f"{folder} does not keep what is written to it. Set GARGALO_CACHE to another.")
    return entry


def _write(
    folder: Path,
    key: str,
    shape: tuple[int, ...],
    rows: Iterable[npt.NDArray[np.uint8]],
    facts: dict[str, Any],
) -> None:
    count = 0
    with tempfile.TemporaryFile(dir=folder) as raw:
        for row in rows:
            raw.write(np.ascontiguousarray(row).data)
            count += 1
        raw.seek(0)
        # The header holds the number of rows, which is known only now: some files may have been left out.
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
        # The facts come last: a pair that an interruption cut short does not count as an entry.
        (folder / f"{key}.json").unlink(missing_ok=True)
        with replacing(folder / f"{key}.npy") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            shutil.copyfileobj(raw, stream, 1 << 20)
    path = folder / f"{key}.npy"
    note = {"facts": facts, "digest": _digest(path), "bytes": path.stat().st_size}
    with replacing(folder / f"{key}.json") as stream:
        stream.write(json.dumps(note).encode())


def load(key: str) -> Entry | None:
    """An entry, or None where it is not there or is damaged.

    Above ``memory_limit()`` it is mapped, and what is written to it stays private to this process.
    """
    folder, limit = cache_folder() / "decoded", memory_limit()
    path = folder / f"{key}.npy"
    try:
        note = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        size, facts = path.stat().st_size, dict(note["facts"])
        if size != note["bytes"]:
            return None
        if size > limit:  # reading all of it to check it would undo the point of mapping it
            values, release = mapped(path)
            return Entry(torch.from_numpy(values), facts, release)
        if _digest(path) != note["digest"]:
            return None
        return Entry(torch.from_numpy(np.load(path, allow_pickle=False)), facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped(path: Path) -> tuple[npt.NDArray[Any], Callable[[], None]]:
    """The array of a .npy file as a view of the file, and a function that gives back the memory of what was read.

    A page that was read counts as this process's memory until then, so that one pass would fill it with the file.
    Nothing may be written to the array. Raises ValueError or OSError where the file is damaged.
    """
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        # torch asks for memory that may be written; copied on writing, it never reaches the file
        file = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        array = np.frombuffer(file, dtype, math.prod(shape), stream.tell())

    def release() -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            file.madvise(mmap.MADV_DONTNEED)

    return array.reshape(shape, order="F" if fortran else "C"), release


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
