"""Commands on songs: vary, continue; and what reconstruct, sample, interpolate and traverse do with files of music."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import Out, Run, app
from gargalo.cli.console import say
from gargalo.cli.files import ARRAYS, keep, keep_all

SongFile = Annotated[Path, typer.Argument(help="A .mid, .rmi or .abc file.")]
Tune = Annotated[
    int | None,
    typer.Option(help="Of music: its number in a book of several; the first, or of reconstruct -o FOLDER all."),
]
Force = Annotated[bool, typer.Option("--force", help="Of music: take what is far off the grid.")]
Bars = Annotated[int | None, typer.Option(help="Of music: how many bars; one window unless given.")]


@app.command()
def vary(
    run: Run,
    song: SongFile,
    out: Out,
    similarity: Annotated[float, typer.Option(help="From 0, new music, to 1, the reconstruction.")] = 0.8,
    seed: int = 0,
    tune: Tune = None,
    force: Force = False,
) -> None:
    """A song like this: melody or drums changed, all else that is read kept. Writes .mid, .wav, .png, .svg, .html."""
    import gargalo

    model = gargalo.load(run)
    found = gargalo.vary_song(model, read(song, tune), similarity=similarity, seed=seed, force=force)
    write_one(found, out, song)


@app.command(name="continue")
def continue_(
    run: Run,
    song: SongFile,
    out: Out,
    bars: Annotated[int, typer.Option(help="How many to add.")] = 8,
    temperature: float = 1.0,
    chords: Annotated[
        str | None, typer.Option(help='For a model of data with chords: such as "C G Am F", a bar each.')
    ] = None,
    seed: int = 0,
    tune: Tune = None,
    force: Force = False,
) -> None:
    """A song, and how its melody or drums might go on. Writes .mid, .wav, .png, .svg or .html."""
    import gargalo

    options: dict[str, Any] = {"temperature": temperature, "chords": chords, "seed": seed, "force": force}
    found = gargalo.continue_song(gargalo.load(run), read(song, tune), bars, **options)
    write_one(found, out, song)


def is_music(*paths: Path) -> bool:
    """Whether these are files of music, or folders and .zip files of them."""
    from gargalo.data.music.sources import files_of_music

    return all(path.suffix.lower() not in ARRAYS and files_of_music(str(path)) > 0 for path in paths)


def plays(model: Any, out: Path) -> bool:
    """Whether what a model makes becomes songs: it was trained on music, and ``out`` is no array."""
    from gargalo.evaluation.music import is_music

    return is_music(model.spec) and out.suffix.lower() not in ARRAYS


def only_songs(**options: Any) -> None:
    """ValueError where options that mean nothing for what is no song were given."""
    _refuse("only songs have these: files of music, for a model of music, and written as music", options)


def only_others(what: str, **options: Any) -> None:
    """The same of options that mean nothing for songs."""
    _refuse(f"{what} have none of these", options)


def _refuse(reason: str, options: dict[str, Any]) -> None:
    given = ", ".join(f"--{name}" for name, value in options.items() if value not in (None, False))
    if given:
        raise ValueError(f"{given}: {reason}.")


def read(path: Path, tune: int | None) -> Any:
    import gargalo

    return gargalo.read_song(path, tune=1 if tune is None else tune)


def reconstruct(model: Any, paths: list[Path], out: Path, tune: int | None, force: bool) -> None:
    """One song to a file; several, of a folder, a .zip file or a book, to a folder, where they keep their names."""
    import gargalo

    if out.suffix:
        if len(paths) > 1 or not paths[0].is_file() or paths[0].suffix.lower() == ".zip":
            raise ValueError(f"{out} is the name of one song; give a folder for several.")
        write_one(gargalo.reconstruct_song(model, read(paths[0], tune), force=force), out, paths[0])
        return
    _several(paths, tune, out, lambda song: gargalo.reconstruct_song(model, song, force=force))


def sample(model: Any, out: Path, n: int | None, **options: Any) -> None:
    """A folder of songs, or one of all of them."""
    import gargalo

    count = n if n is not None else 8 if options["bars"] is None else 1
    write_all(gargalo.sample_songs(model, count, **options, together=bool(out.suffix)), out, "sample")


def interpolate(model: Any, paths: list[Path], out: Path, tune: int | None, **options: Any) -> None:
    """A folder of songs, or one of all of them."""
    import gargalo

    songs = [read(path, tune) for path in paths]
    write_all(gargalo.interpolate_songs(model, songs, **options, together=bool(out.suffix)), out, "step", *paths)


def traverse(model: Any, path: Path, out: Path, tune: int | None, attribute: str | None, **options: Any) -> None:
    """A folder of songs from less to more, or the far end alone as one."""
    import gargalo

    if attribute is None:
        raise ValueError(f"{path} is a song: say what to change with --attribute density, range, interval ...")
    song = read(path, tune)
    steps = 1 if out.suffix else options.pop("steps")
    options.pop("steps", None)
    write_all(gargalo.traverse_song(model, song, attribute, steps=steps, **options), out, attribute, path)


def write_one(song: Any, out: Path, *inputs: Path) -> None:
    """Raises as `keep` does."""
    import gargalo

    keep(out, *inputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    say(f"{sum(len(track.notes) for track in song.tracks):,} notes: {gargalo.write_song(song, out)}")


def write_all(songs: list[Any], out: Path, name: str, *inputs: Path) -> None:
    """One song to a file; to a folder each as NAME-01.mid and so on."""
    import gargalo

    if out.suffix:
        write_one(songs[0], out, *inputs)
        return
    targets = [out / f"{name}-{number:0{len(str(len(songs)))}}.mid" for number in range(1, len(songs) + 1)]
    keep_all(targets, *inputs)
    out.mkdir(parents=True, exist_ok=True)
    for song, target in zip(songs, targets, strict=True):
        gargalo.write_song(song, target)
    say(f"{len(songs)} songs: {out}")


def _several(paths: list[Path], tune: int | None, out: Path, use: Callable[[Any], Any]) -> None:
    """Songs that cannot be used are named, and the status is 1; where none can, it is 2."""
    from contextlib import ExitStack

    import gargalo
    from gargalo.data.music.sources import music_items, songs_of
    from gargalo.errors import DataError

    skipped: list[tuple[str, str]] = []
    done: set[Path] = set()
    most = 0
    with ExitStack() as stack:
        for path in paths:
            for item in music_items(str(path), stack):
                for number, (name, song) in enumerate(songs_of(item, skipped), 1):
                    most = max(most, number)
                    if tune not in (None, number):
                        continue
                    target = (out / Path(item.name).with_suffix("")).with_name(_stem(item.name, name) + ".mid")
                    if target in done:
                        raise ValueError(f"Two songs would become {target}. Do them one by one.")
                    keep(target, path / item.name if path.is_dir() else path)
                    try:
                        made = use(song)
                    except DataError as error:
                        skipped.append((name, str(error).removeprefix(f"{song.name}: ")))
                        continue
                    target.parent.mkdir(parents=True, exist_ok=True)
                    done.add(gargalo.write_song(made, target))
    if tune is not None and most and not done and not skipped:
        raise ValueError(f"tune={tune} must lie between 1 and {most}, the tunes of the largest book.")
    for name, reason in skipped:
        say(f"Skipped {name}: {reason}")
    say(f"{len(done)} songs: {out}")
    if skipped:
        raise typer.Exit(1 if done else 2)


def _stem(file: str, name: str) -> str:
    """Of a file, and of a book's tunes with their numbers."""
    number = name.removeprefix(f"{file}#").partition(" ")[0] if name != file else ""
    return Path(file).stem + (f"-{number}" if number else "")
