"""Search and near copies on photographs: ``python -m benchmarks.collection``.

Writes collection.json. Twenty of the 250 flowers are planted again, encoded in other ways, in a copy of the folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import gargalo
from benchmarks.results import Row, write
from gargalo.data import open_like

FLOWERS = Path(os.environ.get("GARGALO_DATA", ".")) / "flowers"
RUN = Path("runs/benchmarks/collection")
PLANTED = 20
CLOTHES: list[Callable[[Image.Image, Path], None]] = [
    lambda picture, file: picture.save(file.with_suffix(".jpg"), quality=30),
    lambda picture, file: picture.save(file.with_suffix(".png")),
    lambda picture, file: picture.save(file.with_suffix(".webp"), quality=50),
    lambda picture, file: _half(picture).save(file.with_suffix(".jpg"), quality=60),
]


def _half(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2))


def plant(folder: Path) -> dict[str, str]:
    """Copies the flowers and adds the twenty: names of originals by names of copies."""
    shutil.copytree(FLOWERS, folder, dirs_exist_ok=True)
    files = sorted(folder.rglob("*.jpg"))
    chosen = np.random.default_rng(0).choice(len(files), PLANTED, replace=False)
    planted: dict[str, str] = {}
    for number, index in enumerate(chosen.tolist()):
        target = files[index].with_name(f"planted-{number:02d}")
        with Image.open(files[index]) as picture:
            CLOTHES[number % len(CLOTHES)](picture.convert("RGB"), target)
        name = next(files[index].parent.glob(f"{target.name}.*")).relative_to(folder)
        planted[str(name)] = str(files[index].relative_to(folder))
    return planted


def main() -> None:
    shutil.rmtree(RUN, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "flowers"
        planted = plant(folder)
        model = gargalo.train("autoencoder", str(folder), RUN, time=60.0)
        source = open_like(str(folder), model.spec)
        pictures = source.gather(source.indices("all")).target
        groups = gargalo.duplicates(model, pictures)
        pairs = {frozenset(source.names[row] for row in group.rows) for group in groups}
        truth = {frozenset(pair) for pair in planted.items()}
        queries = [source.names.index(name) for name in planted]
        nearest = gargalo.neighbors(model, pictures[queries], pictures, count=2)[0]
        first = [
            planted[source.names[query]] in {source.names[row] for row in rows.tolist()}
            for query, rows in zip(queries, nearest, strict=True)
        ]
    what = "flowers, 250 and 20 copies encoded anew"
    rows = [
        Row("duplicates-found", f"{what}: copies found", float(len(pairs & truth)), float(PLANTED), "copies"),
        Row("duplicates-false", f"{what}: groups that are none", float(len(pairs - truth)), None, "groups"),
        Row(
            "neighbors", f"{what}: copies whose nearest is their original", float(sum(first)), float(PLANTED), "copies"
        ),
    ]
    write("collection", rows)
    for row in rows:
        print(f"{row.id:20} {row.ours:g}", flush=True)


if __name__ == "__main__":
    main()
