"""Commands that show and search a collection: map, neighbors, duplicates."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import AsJson, Data, Files, Labels, Out, Run, app
from gargalo.cli.console import say, show_text
from gargalo.cli.files import each, keep, read_examples, replacing, write_together

SUFFIXES = ".html", ".png", ".svg", ".pdf", ".csv"


@app.command(name="map")
def project(
    run: Run,
    data: Data,
    out: Out,
    by: Annotated[str, typer.Option(help="code, pca or tsne; auto takes a code of two numbers, else tsne.")] = "auto",
    split: Annotated[str, typer.Option(help="all, train, validation or test.")] = "all",
    limit: Annotated[int, typer.Option(help="At most so many examples.")] = 10_000,
    perplexity: Annotated[float, typer.Option(help="How many neighbors t-SNE looks at.")] = 30.0,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """A map of a collection and what it is worth beside the plane of PCA: .html to explore, .png, .svg, .pdf, .csv."""
    import gargalo
    from gargalo.data.source import some
    from gargalo.evaluation.planes import judge
    from gargalo.verbs._arrays import open_for

    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{out} must end with one of {', '.join(SUFFIXES)}.")
    if limit < 1:
        raise ValueError(f"limit={limit} must be at least 1.")
    model = gargalo.load(run)
    source = open_for(model, data, inputs=True)
    keep(out, data, source.name)
    whole = source.indices(split)  # type: ignore[arg-type]
    index = some(whole, limit)
    part = source.gather(index)
    options: dict[str, Any] = {"by": by, "labels": part.condition, "perplexity": perplexity, "seed": seed}
    positions = gargalo.project(model, part.target, **options)
    labels = None if source.labels is None else source.labels[index].numpy()
    names = [_name(source, row) for row in index.tolist()]
    pictures = part.target.numpy() if source.spec.kind == "image" else None
    _write_map(positions, names, labels, source.spec.class_names, pictures, f"{source.name}, {model.method}", out)
    codes = gargalo.embed(model, part.target, labels=part.condition)
    raw = source.spec.numeric(source.spec.scaled(part.target)).flatten(1).numpy()
    figures = judge(positions, codes.reshape(len(codes), -1), raw, labels)
    show_text(json.dumps(figures) if as_json else "\n".join(f"{name:16} {x:.4f}" for name, x in figures.items()))
    drawn = "" if len(index) == len(whole) else f" of {len(whole):,}, drawn by chance (--limit)"
    say(f"{len(positions):,} examples{drawn}: {out}")


def _write_map(
    positions: Any, names: list[str], labels: Any, classes: tuple[str, ...], pictures: Any, title: str, out: Path
) -> None:
    from gargalo import atlas, plots

    with replacing(out) as temporary:
        if out.suffix.lower() == ".html":
            temporary.write_text(atlas.map_page(title, positions, names, labels, classes, pictures))
        elif out.suffix.lower() == ".csv":
            called = [""] * len(names) if labels is None else [classes[i] for i in labels]
            with temporary.open("w", newline="") as file:
                rows = zip(names, *positions.T.tolist(), called, strict=True)
                csv.writer(file).writerows([("name", "x", "y", "label"), *rows])
        else:
            plots.latent_map(positions, labels, classes).savefig(temporary, format=out.suffix[1:].lower(), dpi=150)


@app.command()
def neighbors(
    run: Run,
    data: Data,
    images: Files,
    count: Annotated[int, typer.Option(help="How many for each picture.")] = 5,
    labels: Labels = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A picture: each example, then what was found.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search by example: what in a collection looks most like these pictures."""
    import numpy as np

    import gargalo
    from gargalo.verbs._arrays import open_for

    model, (names, wanted) = gargalo.load(run), read_examples(run, images)
    source = open_for(model, data)
    collection = source.gather(source.indices("all"))
    known = {"labels": each(model, labels, len(wanted)), "seen_labels": collection.condition}
    rows, distances = gargalo.neighbors(model, wanted, collection.target, count=count, **known)
    pairs = [
        (name, _name(source, row), distance)
        for name, some, near in zip(names, rows.tolist(), distances.tolist(), strict=True)
        for row, distance in zip(some, near, strict=True)
    ]
    if as_json:
        show_text(json.dumps([{"name": name, "neighbor": other, "distance": d} for name, other, d in pairs]))
    else:
        show_text("\n".join(f"{distance:.3f}  {name}  {other}" for name, other, distance in pairs))
    if out is not None:
        keep(out, *images, data, source.name)
        shown = collection.target.numpy()[rows]  # [N, count, C, H, W]
        write_together(np.concatenate([wanted[:, None], shown], 1).reshape(-1, *shown.shape[2:]), out, count + 1)


@app.command()
def duplicates(
    run: Run,
    data: Data,
    threshold: Annotated[float, typer.Option(help="How alike copies are; 1 is the same.")] = 0.92,
    as_json: AsJson = False,
) -> None:
    """Near copies in a collection: one picture encoded again, resized, a little lighter. Nothing is removed."""
    import gargalo
    from gargalo.verbs._arrays import open_for

    model = gargalo.load(run)
    source = open_for(model, data)
    part = source.gather(source.indices("all"))
    groups = gargalo.duplicates(model, part.target, labels=part.condition, threshold=threshold)
    if as_json:
        names = [[_name(source, row) for row in group.rows] for group in groups]
        show_text(json.dumps([{"likeness": g.likeness, "names": n} for g, n in zip(groups, names, strict=True)]))
    else:
        for group in groups:
            show_text("  ".join([f"{group.likeness:.3f}", *(_name(source, row) for row in group.rows)]))
    say(f"{len(groups):,} groups of copies among {len(source):,} pictures.")


def _name(source: Any, row: int) -> str:
    return source.names[row] if source.names else str(row)
