"""Commands that find what does not belong: score, compare."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import AsJson, Data, Run, app
from gargalo.cli.console import say, show_text
from gargalo.cli.files import keep, replacing

SCORED_AT_ONCE = 4096


@app.command()
def score(
    run: Run,
    data: Data,
    split: Annotated[str, typer.Option(help="all, train, validation or test.")] = "all",
    false_alarms: Annotated[str, typer.Option(help="The share of normal examples that may be flagged.")] = "1%",
    worst: Annotated[int, typer.Option(help="Print so many, the strangest first.")] = 20,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A .csv file for all.")] = None,
    heat: Annotated[
        Path | None, typer.Option(help="A folder for pictures of where the printed ones are strange.")
    ] = None,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """What does not belong: each example's p-value among normal ones, strangest first."""
    import numpy as np

    import gargalo
    from gargalo.verbs._arrays import open_for

    allowed = share(false_alarms)
    if worst < 0:
        raise ValueError(f"worst={worst} must be at least 0.")
    model = gargalo.load(run)
    source = open_for(model, data)
    if out is not None:
        keep(out, data, source.name)
    index = source.indices(split)  # type: ignore[arg-type]
    names = [source.names[i] if source.names else str(i) for i in index.tolist()]
    parts = map(source.gather, index.split(SCORED_AT_ONCE))  # one after another: all may not fit the memory
    found = [gargalo.score(model, part.target, labels=part.condition, seed=seed) for part in parts]
    p, strangeness = (np.concatenate([getattr(f, key) for f in found]) for key in ("p_value", "strangeness"))
    rows = list(zip(p.tolist(), strangeness.tolist(), [r for f in found for r in f.reason], names, strict=True))
    order = np.argsort(-strangeness, kind="stable").tolist()
    if out is not None:
        with replacing(out) as temporary, temporary.open("w", newline="") as file:
            table = [(name, p, s, reason, p <= allowed) for p, s, reason, name in (rows[i] for i in order)]
            csv.writer(file).writerows([("name", "p_value", "strangeness", "reason", "flagged"), *table])
    if heat is not None:
        shown = index[order[:worst]]
        _write_heat(model, source.gather(shown), [names[i] for i in order[:worst]], heat, seed, data, source.name)
    held_out = found[0].held_out
    if allowed * (1 + held_out) < 1:
        say(
            f"Only {held_out} examples were held out, so no p-value is below {1 / (1 + held_out):.1%} and none can be "
            f"flagged at {allowed:.1%}. Train on more data, or allow more."
        )
    _print_scores([rows[i] for i in order[:worst]], int((p <= allowed).sum()), len(p), allowed, as_json)


def _print_scores(rows: list[Any], flagged: int, n: int, allowed: float, as_json: bool) -> None:
    if as_json:
        listed = [
            {"name": name, "p_value": p, "strangeness": s, "reason": r, "flagged": p <= allowed}
            for p, s, r, name in rows
        ]
        show_text(json.dumps({"n": n, "flagged": flagged, "false_alarms": allowed, "strangest": listed}))
        return
    show_text(
        "\n".join(f"{'*' if p <= allowed else ' '} p {p:.4f}  {s:7.1f} sd  {r:14}  {name}" for p, s, r, name in rows)
    )
    say(f"{flagged:,} of {n:,} ({flagged / n:.1%}) are flagged (*); of normal examples about {allowed:.1%} would be.")


def _write_heat(model: Any, part: Any, names: list[str], folder: Path, seed: int, *inputs: str) -> None:
    import gargalo
    from gargalo import plots
    from gargalo.cli.files import write_examples

    if model.spec.kind != "image":
        raise ValueError(f"--heat draws on pictures; this model was trained on a {model.spec.kind}.")
    folder.mkdir(parents=True, exist_ok=True)
    found = gargalo.heat_map(model, part.target, labels=part.condition, seed=seed)
    write_examples(plots.heated(part.target.numpy(), found), names, folder, *inputs)
    say(f"{len(names)} pictures: {folder}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    on: Annotated[list[str], typer.Option(help="Data as for `train`; give it once for each.")],
    split: Annotated[str, typer.Option(help="test, validation, train or all.")] = "test",
    as_json: AsJson = False,
) -> None:
    """Models against data sets: how well each reconstructs each, and whether it knows such data."""
    import gargalo

    table = gargalo.compare([gargalo.load(run) for run in runs], on, split=split)  # type: ignore[arg-type]
    if as_json:
        show_text(json.dumps(table))
        return
    wide = max(len(row[key]) for row in table for key in ("run", "data")) + 2
    figure = "accuracy" if "accuracy" in table[0] else "mse"
    lines = [f"{'model':{wide}}{'on':{wide}}{'n':>7}{figure:>11}{'pca':>11}{'outside':>9}{'auroc':>8}"]
    for row in table:
        pca = "" if row[f"pca_{figure}"] is None else format(row[f"pca_{figure}"], ".5f")
        lines.append(
            f"{row['run']:{wide}}{row['data']:{wide}}{row['n']:>7,}{row[figure]:>11.5f}{pca:>11}"
            f"{_or_none(row['outside'], '9.1%')}{_or_none(row['auroc'], '8.4f')}"
        )
    show_text("\n".join(lines))


def _or_none(value: float | None, form: str) -> str:
    """As wide where there is none."""
    return format("", f">{form.partition('.')[0]}") if value is None else format(value, f">{form}")


def share(text: str) -> float:
    """ "1%" or "0.01" as a number. ValueError where it is none between 0 and 1."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise ValueError(f"--false-alarms {text!r} must be a share such as 1% or 0.01, between 0 and 1.")
    return value
