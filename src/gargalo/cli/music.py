"""Commands on files of music: inspect, convert."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import AsJson, Out, app
from gargalo.cli.console import say, show_text
from gargalo.cli.files import keep

SHOWN = 20  # songs; of more only the sums


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="A .mid, .rmi or .abc file, or a folder or .zip of them.")],
    bars: Annotated[int, typer.Option(help="Of a window.")] = 2,
    steps: Annotated[int, typer.Option(help="Of a bar.")] = 16,
    unit: Annotated[int, typer.Option(help="A step is a note of 1/unit.")] = 16,
    metres: Annotated[str, typer.Option(help="all, or fitting: only those with so many steps a bar.")] = "all",
    force: Annotated[bool, typer.Option("--force", help="Take what is far off the grid.")] = False,
    as_json: AsJson = False,
) -> None:
    """What is in files of music, and how many windows models could be given of it."""
    import gargalo

    found = gargalo.inspect(path, bars=bars, steps=steps, unit=unit, metres=metres, force=force)
    if as_json:
        show_text(json.dumps(found))
        return
    songs, skipped = found["songs"], found["skipped"]
    lines = [line for song in songs for line in _song(song)] if len(songs) <= SHOWN else _sums(songs)
    lines += [f"{len(skipped):,} files cannot be read:"] * bool(skipped)
    show_text("\n".join([*lines, *(f"  {file['name']}: {file['reason']}" for file in skipped)]))


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A .mid, .rmi or .abc file.")],
    out: Out,
    tune: Annotated[int, typer.Option(help="Its number in a book of several.")] = 1,
    soundfont: Annotated[Path | None, typer.Option(help="For .wav: an .sf2 or .sf3 file of instruments.")] = None,
) -> None:
    """A song as sound (.wav), as a picture of its notes (.png, .svg), as a page with both (.html) or as .mid."""
    import gargalo

    keep(out, file)
    say(f"{file}: {gargalo.convert(file, out, tune=tune, soundfont=soundfont)}")


def _song(song: dict[str, Any]) -> list[str]:
    tempos = list(dict.fromkeys(f"{tempo:g}" for tempo in song["tempos"]))
    minutes, seconds = divmod(round(song["seconds"]), 60)
    lines = [
        f"{song['file']}: {minutes}:{seconds:02}, {song['bars'] or '?'} bars of {', '.join(song['metres'])} at "
        f"{', '.join(tempos[:4])}{' ...' * (len(tempos) > 4)} quarters a minute, key {song['key'] or 'none'}"
    ]
    for track in song["tracks"]:
        late = f", all {track['late_steps']:+.2f} steps late" if track["late_steps"] else ""
        lines.append(
            f"  {track['name'] or 'a track'} ({track['instrument']}): {track['notes']:,} notes, pitches "
            f"{track['lowest']} to {track['highest']}, {track['at_once']:g} at once, "
            f"{track['grid_error']:.3f} steps off the grid{late}"
        )
    return lines + [f"  {name}: {_windows(row)}" for name, row in song["windows"].items()]


def _windows(row: dict[str, Any]) -> str:
    return row["reason"] or f"{row['usable']:,} windows"


def _sums(songs: list[dict[str, Any]]) -> list[str]:
    metres = dict.fromkeys(metre for song in songs for metre in song["metres"])
    counts = (f"{metre} {sum(metre in song['metres'] for song in songs):,}" for metre in metres)
    hours = sum(song["seconds"] for song in songs) / 3600
    lines = [f"{len(songs):,} songs, {hours:.1f} hours, in {', '.join(counts)}"]
    for name in ("melodies", "drums", "bands"):
        rows = [song["windows"][name] for song in songs]
        refused = Counter(row["reason"] for row in rows if row["reason"])
        used = len(songs) - refused.total()
        lines.append(f"{name}: {sum(row['usable'] for row in rows):,} windows of {used:,} songs")
        lines += [f"  {count:,} not: {reason}" for reason, count in refused.most_common(SHOWN)]
    return [*lines, "--json names every song."]
