"""Commands that train: train, resume."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from gargalo.cli.app import Run, app
from gargalo.cli.console import progress_bar, say


class Methods(TyperGroup):
    """One command a registered method, made from its signature when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        from gargalo import available

        return [name.replace("_", "-") for name in available("methods")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from gargalo import available
        from gargalo.registry import method

        available("methods")
        method[cmd_name]  # an unknown name says what there is
        single = typer.Typer(add_completion=False)
        single.command(cmd_name, help=method.summary(cmd_name))(_train_command(cmd_name))
        return typer.main.get_command(single)


train_app = typer.Typer(cls=Methods, help="Train a method on a data set: gargalo train METHOD DATA -o RUN.")
app.add_typer(train_app, name="train")


@train_app.callback()
def _train() -> None:  # pyright: ignore[reportUnusedFunction]
    """Train a method on a data set: gargalo train METHOD DATA -o RUN."""


@contextmanager
def _stopped(run: Path) -> Iterator[None]:
    """Says after Ctrl-C what is there."""
    try:
        yield
    except KeyboardInterrupt:
        from gargalo import checkpoint

        saved = f"What was done is saved; go on with `gargalo resume {run}`." if checkpoint.saved(run) else ""
        say(f"Stopped. {saved or 'Nothing was saved yet.'}")
        raise typer.Exit(130) from None


def _train_command(name: str) -> Callable[..., None]:
    """A function whose signature Typer reads: what every run takes, then the method's own arguments."""
    from dataclasses import fields

    from gargalo.registry import method
    from gargalo.training import Settings

    def command(data: str, out: Path, **options: Any) -> None:
        import gargalo

        if options["time"] is not None:
            options["time"] = seconds(options["time"])
        options = {k: v.value if isinstance(v, Enum) else v for k, v in options.items()}
        with _stopped(out), progress_bar() as progress:
            gargalo.train(name, data, out, progress=progress, **options)
        say(f"Saved {out}. Now: gargalo evaluate {out}, gargalo report {out}")

    def option(key: str, kind: Any, default: Any, text: str = "") -> Parameter:
        return Parameter(
            key, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, typer.Option(help=text)]
        )

    data_help = "A name from `gargalo list data`, a folder or zip of pictures, a .npy, .npz, .csv or .tsv file."
    parameters = [
        Parameter("data", Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[str, typer.Argument(help=data_help)]),
        Parameter(
            "out",
            Parameter.KEYWORD_ONLY,
            annotation=Annotated[Path, typer.Option("--out", "-o", help="The run folder to make.")],
        ),
        option(
            "corruption", str, "auto", "The rule for the input from the target, such as noise:std=0.3; auto: by method."
        ),
        option("augment", str, "auto", "What else an example could have been: by the method, or photo for color."),
        option("network", str | None, None, "By the size of the data, unless given: such as mlp:width=512."),
        option("likelihood", str | None, None, "By the data, unless given: such as gaussian:variance=0.5."),
        option("init", str | None, None, "A run, or weights that ship, to begin from, as far as they fit."),
        option("save_every", float, 30.0, "Seconds between checkpoints."),
        option("tensorboard", bool, False, "Write TensorBoard event files into the run too."),
    ]
    for key, argument in method.arguments(name).items():
        parameters.append(option(key, argument.type, argument.default, "Of the method."))
    hints = get_type_hints(Settings)
    for field in fields(Settings):
        kind: Any = str | None if field.name == "time" else hints[field.name]
        parameters.append(option(field.name, kind, field.default, field.metadata["help"]))
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def seconds(text: str) -> float:
    """ "90", "90s", "10m", "1.5h" to seconds; ValueError otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found:
        raise ValueError(f"time={text!r} must look like 90s, 10m or 2h.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


@app.command()
def resume(
    run: Run,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.")] = 30.0,
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard event files into the run too.")] = False,
) -> None:
    """Go on with a run that was stopped, to the same end as if it had not been."""
    import gargalo

    with _stopped(run), progress_bar() as progress:
        gargalo.resume(run, save_every=save_every, tensorboard=tensorboard, progress=progress)
    say(f"Saved {run}.")
