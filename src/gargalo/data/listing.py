"""What lies in a folder or a .zip file: any nesting, every file once, nothing read before its size is known."""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gargalo.errors import DataError

MAX_FILE = 1 << 28  # bytes of one file, compressed as such files are
_JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
BAD_ZIP = (  # what reading a damaged archive may raise, whatever packed it
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip


class Item(NamedTuple):
    """A file by its `readable` name below the folder. ``stamp`` changes with its content; ``read`` raises DataError."""

    name: str
    stamp: tuple[int, ...]
    read: Callable[[], Any]  # a path, or bytes out of an archive


def listing(root: Path, suffixes: frozenset[str], stack: ExitStack) -> list[Item]:
    """All files whose name ends in one of ``suffixes``, by name, so that their order on the disk does not matter.

    A zip stays open as long as ``stack``. DataError where ``root`` is neither, or is damaged.
    """
    if root.is_dir():
        items = list(_folder_items(root, suffixes))
    elif zipfile.is_zipfile(root):
        try:
            archive = stack.enter_context(zipfile.ZipFile(root))
        except BAD_ZIP as error:
            raise DataError(f"{root} is damaged: {error}") from error
        items = list(_zip_items(archive, suffixes))
    else:
        reason = "is neither a folder nor a .zip file" if root.exists() else "does not exist"
        raise DataError(f"{root} {reason}.")
    return sorted(items, key=lambda item: item.name)


def readable(name: str) -> str:
    """A file's name as UTF-8 holds it: other bytes, which a disk may have, are written out, such as \\xe9."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_wanted(name: str, suffixes: frozenset[str]) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part.lower() in _JUNK for part in parts)
    return not hidden and PurePosixPath(name).suffix.lower() in suffixes


def _folder_items(root: Path, suffixes: frozenset[str]) -> Iterator[Item]:
    for file in _walk(root):
        name = readable(file.relative_to(root).as_posix())
        if not _is_wanted(name, suffixes):
            continue
        try:
            info = file.stat()
        except OSError as error:
            yield Item(name, (), partial(_refuse, f"cannot be opened: {error.strerror}"))
            continue
        stamp = (info.st_size, info.st_mtime_ns)
        if not stat.S_ISREG(info.st_mode):
            yield Item(name, stamp, partial(_refuse, "not a regular file"))
        elif not 0 < info.st_size <= MAX_FILE:
            yield Item(name, stamp, partial(_refuse, _size_reason(info.st_size)))
        else:
            yield Item(name, stamp, partial(Path, file))


def _walk(root: Path) -> Iterator[Path]:
    """Every file below ``root``, each folder once, whatever the links."""
    pending, seen = [root], set[tuple[int, int]]()
    while pending:  # what lies in real folders first: a link to one of them then adds nothing
        for place, folders, files in os.walk(pending.pop(0), onerror=_unlisted):
            info = os.stat(place)
            if (info.st_dev, info.st_ino) in seen:
                folders.clear()
                continue
            seen.add((info.st_dev, info.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() not in _JUNK)
            pending += [link for name in folders if (link := Path(place, name)).is_symlink()]
            yield from (Path(place, name) for name in files)


def _unlisted(error: OSError) -> None:
    raise DataError(f"The folder {error.filename} cannot be listed: {error.strerror}.") from error


def _zip_items(archive: zipfile.ZipFile, suffixes: frozenset[str]) -> Iterator[Item]:
    for info in archive.infolist():
        if info.is_dir() or not _is_wanted(info.filename, suffixes) or _leads_away(info.filename):
            continue
        stamp = (info.file_size, info.CRC)
        if 0 < info.file_size <= MAX_FILE:
            yield Item(info.filename, stamp, partial(_read_member, archive, info))
        else:
            yield Item(info.filename, stamp, partial(_refuse, _size_reason(info.file_size)))


def _leads_away(name: str) -> bool:
    """Whether a name could, on some system, be that of a file anywhere, and not below a folder; ".." is hidden."""
    return name.startswith("/") or "\\" in name or ":" in name


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as stream:
            return stream.read(MAX_FILE)  # never more than was checked, whatever is packed there
    except BAD_ZIP as error:
        raise DataError(f"cannot be unpacked: {error}") from error


def _size_reason(size: int) -> str:
    return f"{size:,} bytes, more than {MAX_FILE:,}" if size else "empty file"


def _refuse(reason: str) -> Path:
    raise DataError(reason)
