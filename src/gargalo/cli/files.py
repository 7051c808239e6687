"""Files to arrays and back."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gargalo.cli.console import say

ARRAYS, DRAWINGS = (".npy", ".npz"), (".png", ".svg", ".pdf")


def read_examples(run: Path, paths: list[Path]) -> tuple[list[str], Any]:
    """What a run's model takes: pictures brought to its size and color, or the rows of arrays and tables.

    Their names and ``[N, *input_shape]``.
    """
    import numpy as np

    import gargalo
    from gargalo.data.images import fit_image, read_image
    from gargalo.data.listing import readable

    model = gargalo.load(run)
    spec = model.spec
    if spec.kind == "image" and spec.input_shape[0] != spec.shape[0]:
        raise ValueError(
            f"{run} was trained with corruption={model.corruption!r}: it wants to know more than the picture. "
            "Use gargalo denoise or gargalo inpaint, which tell it."
        )
    if spec.kind != "image":
        parts = [_rows(path, model) for path in paths]
        return [name for names, _ in parts for name in names], np.concatenate([values for _, values in parts])
    files = [f for p in paths for f in (_pictures_in(p) if p.is_dir() else [p])]
    if not files:
        raise ValueError(f"There are no pictures in {', '.join(map(str, paths))}.")
    arrays = [fit_image(read_image(file), spec.input_shape, spec.fit) for file in files]  # type: ignore[arg-type]
    return [readable(file.name) for file in files], np.stack(arrays)


def read_example(run: Path, path: Path) -> Any:
    """The one example in a file, ``[*input_shape]``; ValueError where there are more."""
    _, values = read_examples(run, [path])
    if len(values) != 1:
        raise ValueError(f"{path} holds {len(values):,} examples; give a file with one.")
    return values[0]


def _rows(path: Path, model: Any) -> tuple[list[str], Any]:
    from gargalo.verbs._arrays import open_for

    source = open_for(model, str(path), inputs=True)
    names = list(source.names) or [f"{path.stem}-{row}" for row in range(len(source))]
    return names, source.gather(source.indices("all")).target.numpy()


def _pictures_in(folder: Path) -> list[Path]:
    from gargalo.data.folder import SUFFIXES

    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)


def each(model: Any, labels: list[int] | None, n: int) -> list[int] | None:
    """The labels that the user gave, one for all or one each. ValueError for a model that is told none."""
    from gargalo.verbs._arrays import check_label

    check_label(model, labels[0] if labels else None)
    return labels * n if labels and len(labels) == 1 else labels


def write_examples(values: Any, names: list[str], out: Path, *inputs: Path | str) -> None:
    """Pictures as a file each in a folder, or one as a file; all else as `write_together` does. ValueError where one of
    the inputs would be overwritten."""
    from gargalo.data.images import write_image

    keep(out, *inputs)
    if values.ndim != 4 or out.suffix in ARRAYS:
        write_together(values, out, 1)
        return
    if len(values) == 1 and out.suffix:
        write_image(values[0], out)
        return
    targets = [out / f"{number:05d}-{Path(name).stem}.png" for number, name in enumerate(names)]
    keep_all(targets, *inputs)
    out.mkdir(parents=True, exist_ok=True)
    for target, picture in zip(targets, values, strict=True):
        write_image(picture, target)


def write_together(values: Any, out: Path, columns: int) -> None:
    """Examples in one file: an array (.npy, or x in .npz), a grid of pictures, or sequences drawn as lines."""
    import numpy as np

    from gargalo import plots
    from gargalo.data.images import write_image

    if out.suffix in ARRAYS:
        with replacing(out) as temporary, temporary.open("wb") as file:
            np.save(file, values) if out.suffix == ".npy" else np.savez_compressed(file, x=values)
    elif values.ndim == 4:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_image(plots.grid(values, columns), out)
    elif values.ndim == 2 and values.dtype.kind == "f":
        raise ValueError(f"{out}: rows of a table are written to {' or '.join(ARRAYS)}.")
    elif out.suffix.lower() not in DRAWINGS:
        raise ValueError(f"{out}: sequences are written to {' or '.join(ARRAYS)}, or drawn: {', '.join(DRAWINGS)}.")
    else:
        with replacing(out) as temporary:
            plots.sequences(values, columns).savefig(temporary, format=out.suffix[1:].lower(), dpi=110)
    say(f"{len(values)} examples: {out}")


def keep(out: Path, *inputs: Path | str | None) -> None:
    """ValueError where ``out`` is one of the inputs; of these, what is no file or folder counts for nothing."""
    keep_all([out], *inputs)


def keep_all(targets: list[Path], *inputs: Path | str | None) -> None:
    """ValueError where one of the targets is one of the inputs, or of the pictures in them where they are folders."""
    there = {_identity(target): target for target in targets if target.exists()}
    for path in inputs if there else ():
        place = Path(path or "").expanduser()
        if not path or not place.exists():
            continue
        for file in (place, *(_pictures_in(place) if place.is_dir() else ())):
            if (lost := there.get(_identity(file))) is not None:
                raise ValueError(f"{lost} is the input itself, which is never overwritten. Give another -o.")


def _identity(path: Path) -> tuple[int, int]:
    """Of a file, by whatever name or link."""
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def replacing(out: Path) -> Any:
    """As `gargalo.disk.replacing`, in a folder that is made where there is none."""
    from gargalo import disk

    out.parent.mkdir(parents=True, exist_ok=True)
    with disk.replacing(out) as temporary:
        yield temporary
