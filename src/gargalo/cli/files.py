"""Files to arrays and back."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gargalo.cli.console import say


def read_pictures(run: Path, paths: list[Path]) -> tuple[list[str], Any]:
    """Pictures brought to the size and color that a run's model takes: their names and ``[N, C, H, W]``."""
    import numpy as np

    import gargalo
    from gargalo.data.images import fit_image, read_image

    spec = gargalo.load(run).spec
    files = [f for p in paths for f in (_pictures_in(p) if p.is_dir() else [p])]
    if not files:
        raise ValueError(f"There are no pictures in {', '.join(map(str, paths))}.")
    arrays = [fit_image(read_image(file), spec.input_shape, spec.fit) for file in files]  # type: ignore[arg-type]
    return [file.name for file in files], np.stack(arrays)


def _pictures_in(folder: Path) -> list[Path]:
    from gargalo.data.folder import SUFFIXES

    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)


def each(labels: list[int] | None, n: int) -> list[int] | None:
    return labels * n if labels and len(labels) == 1 else labels


def write_pictures(pictures: Any, names: list[str], out: Path) -> None:
    from gargalo.data.images import write_image

    if len(pictures) == 1 and out.suffix:
        write_image(pictures[0], out)
        return
    out.mkdir(parents=True, exist_ok=True)
    for number, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        write_image(picture, out / f"{number:05d}-{Path(name).stem}.png")


def write_grid(pictures: Any, out: Path, columns: int) -> None:
    import numpy as np

    from gargalo.data.images import write_image
    from gargalo.plots import grid

    if out.suffix == ".npy":
        with replacing(out) as temporary, temporary.open("wb") as file:
            np.save(file, pictures)
    else:
        write_image(grid(pictures, columns), out)
    say(f"{len(pictures)} examples: {out}")


@contextmanager
def replacing(out: Path) -> Any:
    """A temporary name beside ``out`` that takes its place only when all is written."""
    temporary = out.with_name(out.name + ".tmp")
    yield temporary
    temporary.replace(out)
