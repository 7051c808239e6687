"""Where downloaded and decoded data is kept, and how decoded pictures come back from there."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gargalo.errors import DataError

Array = npt.NDArray[Any]
Build = Callable[[Path], tuple[Path, dict[str, Any]]]
MEMORY_LIMIT = 1 << 30  # bytes; what is larger stays on disk and is mapped


def cache_directory() -> Path:
    """``$GARGALO_CACHE``, or the platform's own place for caches. The folder need not exist yet."""
    if chosen := os.environ.get("GARGALO_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("gargalo"))


def memory_limit() -> int:
    """``$GARGALO_MEMORY_LIMIT`` in bytes, 1 GiB where it is not set; DataError where it is no number."""
    text = os.environ.get("GARGALO_MEMORY_LIMIT", str(MEMORY_LIMIT))
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"GARGALO_MEMORY_LIMIT={text!r} must be a whole number of bytes.") from error


def cache_key(*parts: Any) -> str:
    """A name for an entry that changes with anything the content depends on."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def cached_array(key: str, build: Build) -> tuple[Array, dict[str, Any]]:
    """The array and the notes kept under ``key``, built first where there are none or they are damaged.

    ``build`` is given an empty folder; it returns a .npy file in it and the notes. An array above
    ``memory_limit()`` is mapped, writes to it stay private.

    Raises DataError where the cache cannot be written; what ``build`` raises passes through.
    """
    folder = cache_directory() / "decoded"
    if (found := _load(folder, key)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder, prefix="building-", ignore_cleanup_errors=True
        ) as scratch:
            array, notes = build(Path(scratch))
            entry = Path(scratch) / "entry.json"
            notes_and_check = {"notes": notes, "digest": _digest(array), "bytes": array.stat().st_size}
            entry.write_text(json.dumps(notes_and_check), encoding="utf-8")
            # The notes come last: a pair that an interruption cut short does not count as an entry.
            (folder / f"{key}.json").unlink(missing_ok=True)
            os.replace(array, folder / f"{key}.npy")
            os.replace(entry, folder / f"{key}.json")
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{folder} cannot be written ({reason}). Set GARGALO_CACHE to another folder."
        ) from error
    if (built := _load(folder, key)) is None:
        raise DataError(f"{folder} does not keep what is written to it. Set GARGALO_CACHE to another folder.")
    return built


def _load(folder: Path, key: str) -> tuple[Array, dict[str, Any]] | None:
    """An entry, or None where it is not there or not what was written."""
    path = folder / f"{key}.npy"
    limit = memory_limit()
    try:
        entry = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        size = path.stat().st_size
        if size != entry["bytes"]:
            return None
        if size > limit:  # reading all of it to check it would undo the point of mapping it
            return np.load(path, mmap_mode="c", allow_pickle=False), entry["notes"]
        if _digest(path) != entry["digest"]:
            return None
        return np.load(path, allow_pickle=False), entry["notes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
