"""Commands that tell: evaluate, show, report, list, doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import AsJson, Run, app
from gargalo.cli.console import show_text


@app.command()
def evaluate(
    run: Run,
    data: Annotated[str | None, typer.Argument(help="Other data than it was trained on.")] = None,
    split: Annotated[str, typer.Option(help="test, validation, train or all.")] = "test",
    samples: Annotated[int, typer.Option(help="The K of the importance-weighted NLL.")] = 50,
    limit: Annotated[int | None, typer.Option(help="Use at most so many examples.")] = None,
    probe: Annotated[bool, typer.Option("--probe", help="How good features the codes are, by the labels.")] = False,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Held-out figures with honest baselines beside them."""
    import gargalo
    from gargalo.evaluation.measure import FIGURES

    if split not in ("train", "validation", "test", "all"):
        raise ValueError(f"split={split!r} must be one of train, validation, test, all.")
    result = gargalo.evaluate(
        gargalo.load(run), data, split=split, samples=samples, limit=limit, probe=probe, seed=seed
    )  # type: ignore[arg-type]
    if as_json:
        show_text(json.dumps(result))
        return
    names = [name for name in FIGURES if result[name] is not None]
    lines = [f"{'':12}" + "".join(f"{n:>10}" for n in names)]
    for name, row in {"this model": result, **{k: v for k, v in result["baselines"].items() if v}}.items():
        lines.append(f"{name:12}" + "".join(f"{'' if row[n] is None else format(row[n], '.5g'):>10}" for n in names))
    if "music" in result:
        lines += _played(result["music"])
    if probe:
        lines += _probed(result["probe"])
        if result["map"] is not None:
            lines.append("map: " + ", ".join(f"{key} {value:.3f}" for key, value in result["map"].items()))
    lines += [f"{key}: {result[key]:.5g}" for key in ("elbo", "nll", "kl", "active_units") if result[key] is not None]
    if "used" in result:
        lines.append(
            f"codes in use: {result['used']:.0%} of {result['num_codes']}, perplexity {result['perplexity']:.5g}"
        )
    if "domain" in result:
        outside, auroc = result["domain"]["outside"], result["domain"]["auroc"]
        lines.append(f"outside what it was trained on: {outside:.1%} (normal: 1%), AUROC {auroc:.4f}")
    lines += [result["verdict"], *filter(None, [result["note"]])]
    show_text("\n".join([f"{result['data']}, {result['split']}, {result['n']:,} examples", *lines]))


def _played(table: dict[str, Any]) -> list[str]:
    """Lines of shares that are right."""
    from gargalo.evaluation.music import FIGURES

    names = {"greedy": "likeliest", "sampled": "drawn", "still": "always hold", "copied": "nearest copy"}
    lines = [f"{'right':12}" + "".join(f"{name:>10}" for name in FIGURES)]
    for key, name in names.items():
        lines.append(f"{name:12}" + "".join(f"{table[key][figure]:>10.4f}" for figure in FIGURES))
    if "played" in table:
        lines += [f"{'off by':12}{'velocity':>10}{'steps':>10}"]
        for key, name in {"model": "this model", "straight": "straight"}.items():
            row = table["played"][key]
            lines.append(f"{name:12}{row['velocity']:>10.2f}{row['timing']:>10.4f}")
    return lines if table["kl_bits"] is None else [*lines, f"KL to N(0, I): {table['kl_bits']:.4g} bits"]


def _probed(table: dict[str, Any]) -> list[str]:
    """Lines of shares of right answers, in percent."""
    few = next(iter(table.values()))["few"]
    lines = [
        f"{'right, %':12}{'numbers':>10}{'kNN-5':>10}{'linear':>10}" + "".join(f"{f'{n} a class':>13}" for n in few)
    ]
    for name, row in table.items():
        shares = "".join(f"{100 * row['few'][n]:>13.1f}" for n in few)
        lines.append(f"{name:12}{row['numbers']:>10}{100 * row['knn']:>10.1f}{100 * row['linear']:>10.1f}{shares}")
    return lines


@app.command()
def show(run: Run) -> None:
    """What a model is, as JSON."""
    import gargalo

    show_text(json.dumps(gargalo.show(gargalo.load(run)), indent=2))


@app.command()
def report(run: Run, split: str = "test") -> None:
    """Write one HTML page about a run, and print its path."""
    import gargalo

    show_text(str(gargalo.report(run, split=split)))


@app.command(name="list")
def list_(
    kind: Annotated[
        str, typer.Argument(help="methods, data, networks, likelihoods, corruptions, augmentations or priors.")
    ],
    as_json: AsJson = False,
) -> None:
    """Names that can be used, with one line each."""
    import gargalo

    found = gargalo.available(kind)
    shown = (f"{name.replace('_', '-'):22} {line}" for name, line in found.items())
    show_text(json.dumps(found) if as_json else "\n".join(shown))


@app.command()
def doctor(
    run: Annotated[Path | None, typer.Argument(help="A run folder; without one, the machine is looked at.")] = None,
    data: Annotated[str | None, typer.Option(help="The run's own training data unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """What is wrong with a model and what to do about it; or what this machine offers."""
    import gargalo

    if run is not None:
        findings = gargalo.diagnose(gargalo.load(run), data)
        lines = [f"{found.severity:8} {found.what} {found.advice}".rstrip() for found in findings]
        show_text(json.dumps([found._asdict() for found in findings]) if as_json else "\n".join(lines))
        return
    found = gargalo.doctor()
    show_text(json.dumps(found) if as_json else "\n".join(f"{key:14} {value}" for key, value in found.items()))
