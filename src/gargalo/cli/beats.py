"""Commands on drum parts: humanize and tap2drum, with a run's model or with weights that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import Out, app
from gargalo.cli.console import say
from gargalo.cli.files import keep

Song = Annotated[
    list[Path], typer.Argument(metavar="[RUN] SONG", help="A run, unless weights that ship do; then a file of music.")
]
Unit = Annotated[int | None, typer.Option(help="A step is a note of 1/unit; as the model learned unless given.")]


@app.command()
def humanize(paths: Song, out: Out, unit: Unit = None) -> None:
    """Play a song's drums as a drummer would: gargalo humanize beat.mid -o played.mid (or .wav, .png)."""
    import gargalo

    _through("humanize", gargalo.humanize, paths, out, unit)


@app.command()
def tap2drum(paths: Song, out: Out, unit: Unit = None) -> None:
    """Make drums of taps: gargalo tap2drum taps.mid -o beat.mid (or .wav, .png)."""
    import gargalo

    _through("tap2drum", gargalo.tap2drum, paths, out, unit)


def _through(name: str, verb: Callable[..., Any], paths: list[Path], out: Path, unit: int | None) -> None:
    import gargalo
    from gargalo.verbs.music import read_song, write_song

    if len(paths) > 2:
        raise ValueError(f"Got {len(paths)} paths; give a song, or a run and a song.")
    song = read_song(paths[-1])
    keep(out, paths[-1])
    model = gargalo.load(paths[0]) if len(paths) == 2 else gargalo.shipped(name)
    say(f"{paths[-1]}: {write_song(verb(model, song, unit=unit), out)}")
