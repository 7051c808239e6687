"""Commands on codes, pictures and songs: reconstruct, embed, sample, interpolate, traverse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli import songs
from gargalo.cli.app import Data, Files, Labels, Out, Run, app
from gargalo.cli.console import progress_bar, say
from gargalo.cli.files import (
    each,
    keep,
    read_example,
    read_examples,
    replacing,
    write_examples,
    write_together,
)

EMBEDDED_AT_ONCE = 4096  # rows that are in memory together: the data may be a file larger than it


@app.command()
def reconstruct(
    run: Run, images: Files, out: Out, labels: Labels = None, tune: songs.Tune = None, force: songs.Force = False
) -> None:
    """Pass examples through a model: a folder of pictures, one picture for one, an array for an array, a song for one.

    Of a song (.mid, .rmi, .abc to .mid, .wav, .png, .svg, .html) all is kept but what the model plays; songs in folders
    go to a folder.
    """
    import gargalo

    model = gargalo.load(run)
    if songs.plays(model, out) and songs.is_music(*images):
        songs.only_others("songs", label=labels)
        songs.reconstruct(model, images, out, tune, force)
        return
    songs.only_songs(tune=tune, force=force)
    names, arrays = read_examples(run, images)
    write_examples(gargalo.reconstruct(model, arrays, labels=each(model, labels, len(arrays))), names, out, *images)


@app.command()
def embed(run: Run, data: Data, out: Out) -> None:
    """Codes of a whole data set: .npz with z, names and labels; .csv; .parquet with thumbnails."""
    import gargalo
    from gargalo.cli.tables import WRITERS, Table
    from gargalo.verbs._arrays import open_for

    if out.suffix.lower() not in WRITERS:
        raise ValueError(f"{out} must end with one of {', '.join(WRITERS)}.")
    model = gargalo.load(run)
    source = open_for(model, data, inputs=True)
    keep(out, data, source.name)

    def codes() -> Iterator[tuple[Any, Any]]:
        for rows in source.indices("all").split(EMBEDDED_AT_ONCE):
            part = source.gather(rows)
            yield gargalo.embed(model, part.target, labels=part.condition), part.target.numpy()

    names = source.names or tuple(map(str, range(len(source))))
    classes = source.spec.class_names
    labels = None if source.labels is None else source.labels.numpy()
    with replacing(out) as temporary:
        numbers = WRITERS[out.suffix.lower()](Table(names, labels, classes, source.spec.kind, codes()), temporary)
    say(f"{len(source):,} codes of {numbers} numbers: {out}")


@app.command()
def sample(
    run: Run,
    out: Out,
    n: Annotated[
        int | None,
        typer.Option("-n", help="How many; unless given 64, 8 songs of one window, or one of several --bars."),
    ] = None,
    temperature: float = 1.0,
    label: Annotated[int | None, typer.Option(help="Class number, for conditional models.")] = None,
    bars: songs.Bars = None,
    tempo: Annotated[float | None, typer.Option(help="Of music: quarters a minute; 120 unless given.")] = None,
    key: Annotated[str | None, typer.Option(help="Of melodies: such as G or Em, into which each is moved.")] = None,
    chords: Annotated[
        str | None, typer.Option(help='Of melodies, for a model of data with chords: such as "C G Am F", a bar each.')
    ] = None,
    seed: int = 0,
) -> None:
    """New examples from the prior, in one picture (.png) or as an array (.npy, .npz).

    Of music, a folder of songs (.mid), or one song of all of them (.mid, .wav, .png, .svg, .html). With --bars each
    song is so long, and goes on window by window.
    """
    import gargalo

    model = gargalo.load(run)
    if songs.plays(model, out):
        songs.only_others("songs", label=label)
        tempo = 120.0 if tempo is None else tempo
        songs.sample(model, out, n, bars=bars, temperature=temperature, tempo=tempo, key=key, chords=chords, seed=seed)
        return
    songs.only_songs(bars=bars, tempo=tempo, key=key, chords=chords)
    count = 64 if n is None else n
    write_together(gargalo.sample(model, count, temperature=temperature, label=label, seed=seed), out, 8)


@app.command()
def fit_prior(
    run: Run,
    prior: Annotated[str, typer.Argument(help="A name from `gargalo list priors`, such as mixture:components=10.")],
    data: Annotated[str | None, typer.Option(help="The run's own training data unless given.")] = None,
    seed: int = 0,
) -> None:
    """Fit a density to the codes of a trained model, for `sample` to draw from."""
    import gargalo

    with progress_bar() as progress:
        gargalo.fit_prior(gargalo.load(run), prior, data=data, seed=seed, progress=progress)
    say(f"Saved the prior in {run}. Now: gargalo sample {run} -o samples.png")


@app.command()
def interpolate(
    run: Run,
    a: Path,
    b: Path,
    out: Out,
    c: Annotated[Path | None, typer.Argument(help="Of music: with D, the lower corners of a grid.")] = None,
    d: Annotated[Path | None, typer.Argument(help="See C.")] = None,
    steps: int = 8,
    labels: Labels = None,
    bars: songs.Bars = None,
    tune: songs.Tune = None,
    force: songs.Force = False,
) -> None:
    """The way from one example to another through the latent space: pictures, arrays of one row, or songs.

    Of songs, a folder of them (.mid), or one of all after one another (.mid, .wav, .png, .svg, .html); four make a
    grid.
    """
    import gargalo

    model, paths = gargalo.load(run), [path for path in (a, b, c, d) if path is not None]
    if songs.plays(model, out) and songs.is_music(*paths):
        songs.only_others("songs", label=labels)
        songs.interpolate(model, paths, out, tune, steps=steps, bars=bars, force=force)
        return
    songs.only_songs(bars=bars, tune=tune, force=force)
    if len(paths) > 2:
        raise ValueError(f"Between {len(paths)} examples there is no way; give two. Four make a grid of songs alone.")
    way = gargalo.interpolate(model, *(read_example(run, p) for p in paths), steps=steps, labels=each(model, labels, 2))
    keep(out, *paths)
    write_together(way, out, steps)


@app.command()
def traverse(
    run: Run,
    image: Path,
    out: Out,
    dims: Annotated[list[int] | None, typer.Option(help="Numbers of the code; the most varied unless given.")] = None,
    having: Annotated[str | None, typer.Option(help="Data whose pictures have something ...")] = None,
    lacking: Annotated[str | None, typer.Option(help="... that these lack: moves along the difference.")] = None,
    of: Annotated[str | None, typer.Option(help="Labelled data; --having and --lacking are classes of it.")] = None,
    span: Annotated[float, typer.Option(help="How far, in standard deviations, or times the difference.")] = 2.0,
    steps: int = 7,
    label: Annotated[int | None, typer.Option(help="Class number, for conditional models.")] = None,
    attribute: Annotated[
        str | None, typer.Option(help="Of melodies: density, range, interval, syncopation or in-key.")
    ] = None,
    tune: songs.Tune = None,
    force: songs.Force = False,
) -> None:
    """One picture while its code is changed: number by number, or towards what other pictures have.

    Of a song one --attribute is changed and the others are left: by --span deviations, less where that is negative,
    in one song (.mid, .wav, .png, .svg, .html); or in --steps from -span to span, in a folder.
    """
    import gargalo

    if (having is None) != (lacking is None) or (of is not None and having is None):
        raise ValueError("--having and --lacking belong together, and --of to them: give both or none.")
    if having is not None and dims:
        raise ValueError("--dims are numbers of the code, --having a way of its own: give one of them.")
    model = gargalo.load(run)
    if songs.plays(model, out) and songs.is_music(image):
        songs.only_others("songs", label=label, dims=dims, having=having, lacking=lacking, of=of)
        songs.traverse(model, image, out, tune, attribute, span=span, steps=steps, force=force)
        return
    songs.only_songs(attribute=attribute, tune=tune, force=force)
    keep(out, image, having, lacking, of)
    example = read_example(run, image)
    way = None
    if having is not None and lacking is not None:
        ends = _ends(model, having, lacking, of)
        known = {"having_labels": ends[0].condition, "lacking_labels": ends[1].condition}
        way = gargalo.direction(model, ends[0].target, ends[1].target, **known)
    shown = gargalo.traverse(model, example, dims=dims, direction=way, span=span, steps=steps, label=label)
    write_together(shown.reshape(-1, *shown.shape[2:]), out, steps)


def _ends(model: Any, having: str, lacking: str, of: str | None) -> list[Any]:
    """The examples of two data sets, or of two classes of one."""
    import torch

    from gargalo.verbs._arrays import open_for

    if of is None:
        return [source.gather(source.indices("all")) for source in (open_for(model, d) for d in (having, lacking))]
    source = open_for(model, of)
    classes = source.spec.class_names
    if source.labels is None:
        raise ValueError(f"{of} has no labels, by which --having and --lacking could choose.")
    for name in (having, lacking):
        if name not in classes:
            raise ValueError(f"{of} has no class {name!r}. It has {', '.join(classes)}.")
    return [source.gather(torch.nonzero(source.labels == classes.index(name)).flatten()) for name in (having, lacking)]
