"""The application that the commands join, and what they share in their signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=("Autoencoders in one command: raw pictures in, a trained, saved and honestly measured model out."),
)
Run = Annotated[Path, typer.Argument(help="A run folder, made by `gargalo train -o`, or a name of weights that ship.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Labels = Annotated[
    list[int] | None, typer.Option("--label", help="Class number, for conditional models: one for all, or one each.")
]
Files = Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")]
Data = Annotated[str, typer.Argument(help="Data as for `train`.")]
