"""Writes the pages made from the code and from measurements: ``make docs``. A test asks that they are fresh."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import typer

from gargalo import available, cli
from gargalo.registry import Registry, augmentation, corruption, likelihood, method, network, prior, source

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
NOTE = "<!-- Made by `make docs`; edit docs/generate.py instead. -->\n\n"
KINDS: dict[str, Registry] = {
    "Methods": method,
    "Data": source,
    "Networks": network,
    "Likelihoods": likelihood,
    "Corruptions": corruption,
    "Augmentations": augmentation,
    "Priors": prior,
}


def names_page() -> str:
    """Every name that can be used, with its arguments."""
    available("methods")
    text = "# Methods and their parts\n\n"
    text += "A selector is a name with arguments, `noise:std=0.3,mean=0.1`, the same everywhere.\n"
    for title, registry in KINDS.items():
        text += f"\n## {title}\n\n| name | arguments | |\n|---|---|---|\n"
        for name in registry:
            arguments = ", ".join(f"`{key}={_default(a.default)}`" for key, a in registry.arguments(name).items())
            text += f"| `{name.replace('_', '-')}` | {arguments} | {registry.summary(name)} |\n"
    return NOTE + text


def cli_page() -> str:
    """Every command with its options; for `train`, those that all methods share."""
    text = "# The command line\n\nMistakes end with one message and status 2, Ctrl-C with 130, SIGTERM with 143.\n"
    group: Any = typer.main.get_command(cli.app)
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if name == "train":
            command = command.get_command(context, "vae")
            text += (
                "\n## gargalo train METHOD DATA\n\nTrain a method on a data set; here with the arguments of `vae`.\n\n"
            )
        else:
            places = " ".join(p.name.upper() for p in command.params if p.param_type_name == "argument")
            text += f"\n## gargalo {name} {places}\n\n{command.help}\n\n"
        text += _parameters(command)
    return NOTE + text


def benchmarks_page() -> str:
    """The tables of all measurements."""
    text = "# Measurements\n\nEach table says the commit and the machine; the command is `python -m benchmarks.NAME`.\n"
    for file in sorted(RESULTS.glob("*.json")):
        found = json.loads(file.read_text())
        text += f"\n## {file.stem}\n\nCommit {found['commit']}. {found['machine']}.\n\n"
        if file.stem == "methods":
            text += _methods_table(found["rows"])
            continue
        text += "| what | ours | other | ratio | unit |\n|---|---|---|---|---|\n"
        notes: dict[str, str] = {}  # of rows that an earlier run left
        for row in found["rows"]:
            figures = " | ".join("" if row[key] is None else f"{row[key]:.5g}" for key in ("ours", "other", "ratio"))
            mark = ""
            if "commit" in row:
                where = f"Commit {row['commit']}. {row['machine']}."
                mark = f" ({notes.setdefault(where, chr(ord('a') + len(notes)))})"
            text += f"| {row['what']}{mark} | {figures} | {row['unit']} |\n"
        text += "".join(f"\n({letter}) {where}\n" for where, letter in notes.items())
    return NOTE + text


def _methods_table(rows: list[dict[str, Any]]) -> str:
    """A line a method, a column a figure: rows of the file are METHOD/FIGURE."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        method, _, figure = row["id"].partition("/")
        table.setdefault(method, {})[figure] = row
    judge = table.pop("classifier", {}).get("right", {}).get("ours", 0.0)
    columns = list(dict.fromkeys(figure for found in table.values() for figure in found))
    text = f"Samples are judged by a classifier of digits that is right {100 * judge:.1f} % of the time.\n\n"
    text += f"| method | {' | '.join(columns)} | published nll |\n|---|{'---|' * (len(columns) + 1)}\n"
    for method in sorted(table):
        cells = [f"{table[method][figure]['ours']:.4g}" if figure in table[method] else "" for figure in columns]
        published = table[method].get("nll", {}).get("other")
        text += f"| `{method.replace('_', '-')}` | {' | '.join(cells)} | {published or ''} |\n"
    return text + "\n![Eight reconstructions and eight samples of every method](methods.png)\n"


def _parameters(command: Any) -> str:
    rows = [p for p in command.params if p.name != "help"]
    text = "| | default | |\n|---|---|---|\n"
    for p in rows:
        flags = ", ".join(p.opts) if p.param_type_name == "option" else p.name.upper()
        default = "" if p.default is None or p.required else f"`{_default(p.default)}`"
        text += f"| `{flags}` | {default} | {inspect.cleandoc(getattr(p, 'help', None) or '')} |\n"
    return text if rows else ""


def _default(value: Any) -> str:
    return "..." if value is inspect.Parameter.empty else str(getattr(value, "value", value))


PAGES = {"names.md": names_page, "cli.md": cli_page, "benchmarks.md": benchmarks_page}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (DOCS / page).write_text(make())
