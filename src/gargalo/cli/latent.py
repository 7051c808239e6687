"""Commands on codes and pictures: reconstruct, embed, sample, interpolate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gargalo.cli.app import Data, Files, Labels, Out, Run, app
from gargalo.cli.console import say
from gargalo.cli.files import each, read_pictures, replacing, write_grid, write_pictures

EMBEDDED_AT_ONCE = 4096  # rows that are in memory together: the data may be a file larger than it


@app.command()
def reconstruct(run: Run, images: Files, out: Out, labels: Labels = None) -> None:
    """Pass pictures through a model: a folder of pictures, or one picture for one."""
    import gargalo

    model, (names, arrays) = gargalo.load(run), read_pictures(run, images)
    write_pictures(gargalo.reconstruct(model, arrays, labels=each(labels, len(arrays))), names, out)


@app.command()
def embed(run: Run, data: Data, out: Out) -> None:
    """Codes of a whole data set, to an .npz with z, names and labels."""
    import numpy as np

    import gargalo
    from gargalo.data import open_source

    model, source = gargalo.load(run), open_source(data)
    parts = map(source.gather, source.indices("all").split(EMBEDDED_AT_ONCE))
    codes = np.concatenate([gargalo.embed(model, part.target, labels=part.condition) for part in parts])
    extra = {} if source.labels is None else {"labels": source.labels.numpy()}
    with replacing(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, z=codes, names=np.array(source.names), **extra)  # type: ignore[arg-type]
    say(f"{len(codes):,} codes of {codes.shape[1]} numbers: {out}")


@app.command()
def sample(
    run: Run,
    out: Out,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 64,
    temperature: float = 1.0,
    label: Annotated[int | None, typer.Option(help="Class number, for conditional models.")] = None,
    seed: int = 0,
) -> None:
    """New examples from the prior, in one picture (.png) or as an array (.npy)."""
    import gargalo

    drawn = gargalo.sample(gargalo.load(run), n, temperature=temperature, label=label, seed=seed)
    write_grid(drawn, out, 8)


@app.command()
def interpolate(run: Run, a: Path, b: Path, out: Out, steps: int = 8, labels: Labels = None) -> None:
    """The way from one picture to another through the latent space."""
    import gargalo

    _, arrays = read_pictures(run, [a, b])
    way = gargalo.interpolate(gargalo.load(run), arrays[0], arrays[1], steps=steps, labels=each(labels, 2))
    write_grid(way, out, steps)
