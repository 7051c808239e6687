"""What reaches the disk: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gargalo.errors import CheckpointError

UNFINISHED = "writing-*"  # what a kill leaves


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place once the block ends well, and is gone where it does not."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path, otherwise: str) -> Iterator[Path]:
    """A new folder in ``folder``, gone in the end with all that was not moved out of it.

    CheckpointError where the disk does not take what is written; ``otherwise`` says what the user has all the same.
    """
    temporary = folder / f"writing-{secrets.token_hex(4)}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{folder} cannot be written ({reason}). {otherwise}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_tensors(tensors: dict[str, Tensor], file: Path, notes: dict[str, str] | None = None) -> None:
    """A safetensors file in a folder that `writing` made."""
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, file, metadata=notes)
    file.chmod(file.parent.stat().st_mode & 0o666)  # as the umask has it: safetensors writes for the owner alone
    sync(file)


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, would outlive a power loss."""
    if os.name != "posix":  # a folder cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
