"""Commands that show a collection: map."""

from __future__ import annotations

import csv
import json
from typing import Annotated, Any

import typer

from gargalo.cli.app import AsJson, Data, Out, Run, app
from gargalo.cli.console import say, show_text
from gargalo.cli.files import replacing

SUFFIXES = ".png", ".svg", ".pdf", ".csv"


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
    """A map of a collection (.png, .svg, .pdf, or .csv), and what it is worth beside the plane of PCA."""
    import gargalo
    from gargalo.data import open_source
    from gargalo.evaluation.planes import judge

    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{out} must end with one of {', '.join(SUFFIXES)}.")
    if split not in ("train", "validation", "test", "all"):
        raise ValueError(f"split={split!r} must be one of all, train, validation, test.")
    model, source = gargalo.load(run), open_source(data)
    index = source.indices(split)[:limit]  # type: ignore[arg-type]
    part = source.gather(index)
    options: dict[str, Any] = {"by": by, "labels": part.condition, "perplexity": perplexity, "seed": seed}
    positions = gargalo.project(model, part.target, **options)
    labels = None if part.condition is None else part.condition.numpy()
    names = [source.names[i] if source.names else str(i) for i in index.tolist()]
    _write_map(positions, names, labels, source.spec.class_names, out)
    codes = gargalo.embed(model, part.target, labels=part.condition)
    raw = source.spec.scaled(part.target).flatten(1).numpy()
    figures = judge(positions, codes.reshape(len(codes), -1), raw, labels)
    show_text(json.dumps(figures) if as_json else "\n".join(f"{name:16} {x:.4f}" for name, x in figures.items()))
    say(f"{len(positions):,} examples: {out}")


def _write_map(positions: Any, names: list[str], labels: Any, classes: tuple[str, ...], out: Any) -> None:
    from gargalo import plots

    with replacing(out) as temporary:
        if out.suffix.lower() == ".csv":
            called = [""] * len(names) if labels is None else [classes[i] for i in labels]
            with temporary.open("w", newline="") as file:
                rows = zip(names, *positions.T.tolist(), called, strict=True)
                csv.writer(file).writerows([("name", "x", "y", "label"), *rows])
        else:
            plots.latent_map(positions, labels, classes).savefig(temporary, format=out.suffix[1:].lower(), dpi=150)
