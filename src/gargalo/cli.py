"""The command line: reads files into arrays, calls a verb, writes what comes back. torch is imported inside commands.

Data go to stdout, talk to stderr. A user's mistake ends with one message and status 2.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import contextmanager
from enum import Enum
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=("Autoencoders in one command: raw pictures in, a trained, saved and honestly measured model out."),
)
Run = Annotated[Path, typer.Argument(help="A run folder, made by `gargalo train -o`.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Labels = Annotated[
    list[int] | None, typer.Option("--label", help="Class number, for conditional models: one for all, or one each.")
]
Files = Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")]
EMBEDDED_AT_ONCE = 4096  # rows that are in memory together: the data may be a file larger than it


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
        with _bar() as progress:
            gargalo.train(name, data, out, progress=progress, **options)
        _say(f"Saved {out}. Now: gargalo evaluate {out}, gargalo report {out}")

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
        option("corruption", str, "none", "The rule for the input from the target, such as noise:std=0.3."),
        option("augment", str, "auto", "What else an example could have been: photo for color pictures, else none."),
        option("network", str | None, None, "By the size of the data, unless given: such as mlp:width=512."),
        option("likelihood", str | None, None, "By the data, unless given: such as gaussian:variance=0.5."),
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

    with _bar() as progress:
        gargalo.resume(run, save_every=save_every, tensorboard=tensorboard, progress=progress)
    _say(f"Saved {run}.")


@app.command()
def evaluate(
    run: Run,
    data: Annotated[str | None, typer.Argument(help="Other data than it was trained on.")] = None,
    split: Annotated[str, typer.Option(help="test, validation, train or all.")] = "test",
    samples: Annotated[int, typer.Option(help="The K of the importance-weighted NLL.")] = 50,
    limit: Annotated[int | None, typer.Option(help="Use at most so many examples.")] = None,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Held-out figures with honest baselines beside them."""
    import gargalo

    if split not in ("train", "validation", "test", "all"):
        raise ValueError(f"split={split!r} must be one of train, validation, test, all.")
    result = gargalo.evaluate(gargalo.load(run), data, split=split, samples=samples, limit=limit, seed=seed)  # type: ignore[arg-type]
    if as_json:
        _print(json.dumps(result))
        return
    names = ("mse", "bce", "psnr", "ssim")
    lines = [f"{'':12}" + "".join(f"{n:>10}" for n in names)]
    for name, row in {"this model": result, **{k: v for k, v in result["baselines"].items() if v}}.items():
        lines.append(f"{name:12}" + "".join(f"{'' if row[n] is None else format(row[n], '.5g'):>10}" for n in names))
    lines += [f"{key}: {result[key]:.5g}" for key in ("elbo", "nll", "kl", "active_units") if result[key] is not None]
    _print("\n".join([f"{result['data']}, {result['split']}, {result['n']:,} examples", *lines, result["verdict"]]))


@app.command()
def reconstruct(run: Run, images: Files, out: Out, labels: Labels = None) -> None:
    """Pass pictures through a model: a folder of pictures, or one picture for one."""
    import gargalo

    model, (names, arrays) = gargalo.load(run), _read(run, images)
    _write_pictures(gargalo.reconstruct(model, arrays, labels=_each(labels, len(arrays))), names, out)


@app.command()
def embed(run: Run, data: Annotated[str, typer.Argument(help="Data as for `train`.")], out: Out) -> None:
    """Codes of a whole data set, to an .npz with z, names and labels."""
    import numpy as np

    import gargalo
    from gargalo.data import open_source

    model, source = gargalo.load(run), open_source(data)
    parts = map(source.gather, source.indices("all").split(EMBEDDED_AT_ONCE))
    codes = np.concatenate([gargalo.embed(model, part.target, labels=part.condition) for part in parts])
    extra = {} if source.labels is None else {"labels": source.labels.numpy()}
    with _replacing(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, z=codes, names=np.array(source.names), **extra)  # type: ignore[arg-type]
    _say(f"{len(codes):,} codes of {codes.shape[1]} numbers: {out}")


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
    _write_grid(drawn, out, 8)


@app.command()
def interpolate(run: Run, a: Path, b: Path, out: Out, steps: int = 8, labels: Labels = None) -> None:
    """The way from one picture to another through the latent space."""
    import gargalo

    _, arrays = _read(run, [a, b])
    way = gargalo.interpolate(gargalo.load(run), arrays[0], arrays[1], steps=steps, labels=_each(labels, 2))
    _write_grid(way, out, steps)


@app.command()
def show(run: Run) -> None:
    """What a model is, as JSON."""
    import gargalo

    _print(json.dumps(gargalo.show(gargalo.load(run)), indent=2))


@app.command()
def report(run: Run, split: str = "test") -> None:
    """Write one HTML page about a run, and print its path."""
    import gargalo

    _print(str(gargalo.report(run, split=split)))


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
    _print(json.dumps(found) if as_json else "\n".join(shown))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What this machine offers: torch, device, threads, bfloat16, optional parts."""
    import gargalo

    found = gargalo.doctor()
    _print(json.dumps(found) if as_json else "\n".join(f"{key:14} {value}" for key, value in found.items()))


def main() -> None:
    """The console command: a user's mistake is one line and status 2; a traceback is ours to mend."""
    try:
        app()
    except KeyboardInterrupt:
        _say("Stopped. What was done is saved; go on with `gargalo resume RUN`.")
        sys.exit(130)
    except (ValueError, TypeError, OSError) as error:
        if isinstance(error, TypeError) and "posterior" not in str(error):
            raise
        _say(f"Error: {error}")
        sys.exit(2)
    except Exception as error:
        if type(error).__module__ != "gargalo.errors" and type(error).__name__ != "DivergenceError":
            raise
        _say(f"Error: {error}")
        sys.exit(2)


def _read(run: Path, paths: list[Path]) -> tuple[list[str], Any]:
    """Pictures brought to the size and color that a run's model takes: their names and ``[N, C, H, W]``."""
    import numpy as np

    import gargalo
    from gargalo.data.images import fit_image, read_image

    spec = gargalo.load(run).spec
    files = [f for p in paths for f in (sorted(q for q in p.rglob("*") if q.is_file()) if p.is_dir() else [p])]
    if not files:
        raise ValueError(f"There are no files in {', '.join(map(str, paths))}.")
    arrays = [fit_image(read_image(file), spec.input_shape, spec.fit) for file in files]  # type: ignore[arg-type]
    return [file.name for file in files], np.stack(arrays)


def _each(labels: list[int] | None, n: int) -> list[int] | None:
    return labels * n if labels and len(labels) == 1 else labels


def _write_pictures(pictures: Any, names: list[str], out: Path) -> None:
    from gargalo.data.images import write_image

    if len(pictures) == 1 and out.suffix:
        write_image(pictures[0], out)
        return
    out.mkdir(parents=True, exist_ok=True)
    for number, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        write_image(picture, out / f"{number:05d}-{Path(name).stem}.png")


def _write_grid(pictures: Any, out: Path, columns: int) -> None:
    import numpy as np

    from gargalo.data.images import write_image
    from gargalo.plots import grid

    if out.suffix == ".npy":
        with _replacing(out) as temporary, temporary.open("wb") as file:
            np.save(file, pictures)
    else:
        write_image(grid(pictures, columns), out)
    _say(f"{len(pictures)} examples: {out}")


@contextmanager
def _replacing(out: Path) -> Any:
    """A temporary name beside ``out`` that takes its place only when all is written."""
    temporary = out.with_name(out.name + ".tmp")
    yield temporary
    temporary.replace(out)


@contextmanager
def _bar() -> Any:
    """A progress bar on stderr with the time left and the live figures."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("measuring the machine", total=1)

        def update(step: dict[str, Any]) -> None:
            if step["number"] % 10 and step["number"] != step["total"]:
                return
            held_out = step["validation"].get("loss")
            text = f"loss {step['loss']:.2f}" + ("" if held_out is None else f", validation {held_out:.2f}")
            bar.update(task, completed=step["number"], total=step["total"], description=text)

        yield update


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
