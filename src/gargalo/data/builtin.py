"""Known data sets: scikit-learn's digits, which need no download, MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gargalo.data.cache import cache_folder, replacing
from gargalo.data.source import Source
from gargalo.errors import DataError
from gargalo.registry import source
from gargalo.spec import DataSpec


class IdxFile(NamedTuple):
    """A file of a data set, its SHA-256 as it is unpacked, and the shape that it must have."""

    name: str
    sha256: str
    shape: tuple[int, ...]


class IdxSet(NamedTuple):
    """A data set in the format of MNIST: where to get it and what must come."""

    name: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]  # train images and labels, test images and labels
    mirrors: tuple[str, ...]
    class_names: tuple[str, ...]


def _files(digests: tuple[str, str, str, str]) -> tuple[IdxFile, IdxFile, IdxFile, IdxFile]:
    return (
        IdxFile("train-images-idx3-ubyte", digests[0], (60_000, 28, 28)),
        IdxFile("train-labels-idx1-ubyte", digests[1], (60_000,)),
        IdxFile("t10k-images-idx3-ubyte", digests[2], (10_000, 28, 28)),
        IdxFile("t10k-labels-idx1-ubyte", digests[3], (10_000,)),
    )


MNIST = IdxSet(
    "mnist",
    _files((
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
    ),
    tuple("0123456789"),
)  # fmt: skip
FASHION_MNIST = IdxSet(
    "fashion-mnist",
    _files((
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )),
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)  # fmt: skip
Binarize = Literal["no", "dynamic", "static"]
TIMEOUT = (10, 60)  # seconds: to connect, and between two pieces


@source
def digits(*, only: str = "", binarize: Binarize = "no") -> Source:
    """Handwritten digits, 1,797 of 8 by 8, from scikit-learn; no download.

    ``only`` takes the rows of some classes, ``"3"`` or ``"3+5"``; for ``binarize`` see `binarized`.
    """
    from sklearn.datasets import load_digits

    loaded: Any = load_digits()
    pixels = np.rint(loaded.images * (255 / 16)).astype(np.uint8)[:, None]  # [N, 1, 8, 8]
    labels = torch.from_numpy(loaded.target.astype(np.int64))
    spec = _spec((1, 8, 8), MNIST.class_names)
    return binarized(_only(Source("digits", spec, torch.from_numpy(pixels), labels=labels), only), binarize)


@source
def mnist(*, only: str = "", binarize: Binarize = "no") -> Source:
    """Handwritten digits, 60,000 and 10,000 for the test, 28 by 28 (LeCun et al. 1998).

    ``only`` takes the rows of some classes, ``"3"`` or ``"3+5"``; for ``binarize`` see `binarized`.
    """
    return binarized(_only(idx_source(MNIST), only), binarize)


@source
def fashion_mnist(*, only: str = "", binarize: Binarize = "no") -> Source:
    """Photographs of clothes in gray, 60,000 and 10,000 for the test, 28 by 28 (Xiao et al. 2017).

    ``only`` takes the rows of some classes, ``"coat"`` or ``"coat+dress"``; for ``binarize`` see `binarized`.
    """
    return binarized(_only(idx_source(FASHION_MNIST), only), binarize)


def _only(source: Source, classes: str) -> Source:
    """The rows of the classes named, joined by ``+``; all without any. ValueError for what is no class."""
    if not classes:
        return source
    names = source.spec.class_names
    wanted = classes.split("+")
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(f"only={classes!r}: {unknown[0]!r} is no class. There are: {', '.join(names)}.")
    assert source.labels is not None
    rows = torch.isin(source.labels, torch.tensor([names.index(name) for name in wanted]))
    test = None if source.test is None else source.test[rows]
    return replace(
        source, name=f"{source.name}:only={classes}", values=source.values[rows], labels=source.labels[rows], test=test
    )


def binarized(source: Source, how: Binarize) -> Source:
    """Pixels that are on or off, as likelihoods of binary pictures are published for (Salakhutdinov and Murray 2008).

    With ``"dynamic"`` they are drawn at every look, with brightness as the chance; with ``"static"`` once and for all.
    """
    if how == "no":
        return source
    name = f"{source.name}:binarize={how}"
    if how == "dynamic":
        return replace(source, name=name, spec=replace(source.spec, binarize=True))
    chance = torch.rand(source.values.shape, generator=torch.Generator().manual_seed(0))
    return replace(source, name=name, values=(chance * 255 < source.values).byte() * 255)


def _spec(shape: tuple[int, ...], class_names: tuple[str, ...]) -> DataSpec:
    return DataSpec(
        kind="image", shape=shape, likelihood="bernoulli",
        num_classes=len(class_names), class_names=class_names,
    )  # fmt: skip


def idx_source(data: IdxSet) -> Source:
    """A data set from ``$GARGALO_DATA/<name>``, from the cache, or downloaded, in this order.

    Raises DataError where a file is not the one that is known, or is nowhere and cannot be downloaded.
    """
    arrays = [parse_idx(_raw(data, file), file) for file in data.files]
    images, labels = np.concatenate(arrays[0::2])[:, None], np.concatenate(arrays[1::2])
    if labels.max() >= len(data.class_names):
        raise DataError(f"{data.name} has the label {labels.max()}, but only {len(data.class_names)} classes.")
    test = torch.arange(len(images)) >= len(arrays[0])
    spec = _spec(images.shape[1:], data.class_names)
    labels = torch.from_numpy(labels.astype(np.int64))
    return Source(data.name, spec, torch.from_numpy(images), labels=labels, test=test)


def parse_idx(raw: bytes, file: IdxFile) -> NDArray[np.uint8]:
    """The numbers of an idx file; DataError where its header is not of unsigned bytes of ``file.shape``."""
    start = 4 + 4 * len(file.shape)
    header = bytes((0, 0, 8, len(file.shape))) + np.array(file.shape, ">u4").tobytes()
    if raw[:start] != header or len(raw) != start + prod(file.shape):
        raise DataError(f"{file.name} is not an idx file of unsigned bytes of shape {list(file.shape)}.")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(file.shape)


def _raw(data: IdxSet, file: IdxFile) -> bytes:
    """The unpacked file, verified."""
    cached = cache_folder() / "downloads" / data.name
    places = [Path(given).expanduser() / data.name] if (given := os.environ.get("GARGALO_DATA")) else []
    for place in [*places, cached]:
        for path in (place / f"{file.name}.gz", place / file.name):
            if not path.is_file():
                continue
            try:
                return _verified(path.read_bytes(), file)
            except (OSError, DataError) as error:
                if place != cached:
                    raise DataError(f"{path} cannot be used: {error} Replace or remove it.") from error
                # A damaged download is what a download mends.
    return _download(data, file, cached)


def _verified(content: bytes, file: IdxFile) -> bytes:
    """``content``, unpacked if it is packed. Raises DataError where its digest is not the known one."""
    if content[:2] == b"\x1f\x8b":
        size = 4 + 4 * len(file.shape) + prod(file.shape)
        try:
            with gzip.open(BytesIO(content)) as stream:
                content = stream.read(size + 1)  # one more would be another file, however much more there is
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"it cannot be unpacked ({error}).") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DataError(f"its checksum is not that of {file.name}.")
    return content


def _download(data: IdxSet, file: IdxFile, folder: Path) -> bytes:
    """Fetch a file from the first mirror that has it right, and keep it in the cache."""
    import pooch  # type: ignore[import-untyped]

    failures: list[str] = []
    for mirror in data.mirrors:
        url = f"{mirror}{file.name}.gz"
        try:
            with tempfile.TemporaryDirectory() as temporary, _progress(f"{data.name} {file.name}") as bar:
                target = Path(temporary, file.name)
                pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT)(url, str(target), None)
                content = target.read_bytes()
            raw = _verified(content, file)
        except (OSError, DataError) as error:  # what requests raises are OSErrors
            failures.append(f"{url}: {_reason(error)}")
            continue
        _keep(folder / f"{file.name}.gz", content)
        return raw
    first = data.files[0].name
    raise DataError(
        f"{data.name} is not on this machine and cannot be downloaded. Set GARGALO_DATA to a folder that has "
        f"{data.name}/{first}.gz and the other three files, or try `digits`, which needs no download.\n"
        + "\n".join(failures)
    )


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(content)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}). Set GARGALO_CACHE to another folder.") from error


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the server answers {status}"
    return str(error) if isinstance(error, DataError) else f"no answer ({type(error).__name__})"


class _Bar:
    """What pooch wants of a progress bar, drawn by rich."""

    def __init__(self, progress: Any, title: str) -> None:
        self.total = 0
        self._progress = progress
        self._task = progress.add_task(title, total=None)

    def update(self, count: int) -> None:
        self._progress.update(self._task, advance=count, total=self.total or None)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.refresh()


@contextmanager
def _progress(title: str) -> Generator[Any]:  # pooch takes any bar, but its annotation says bool
    """A bar on standard error, or False where that is no terminal."""
    if not sys.stderr.isatty():
        yield False
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, title)
