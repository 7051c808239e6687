"""Commands that repair photographs: denoise, upscale, inpaint. One file, several, or folders; with a run's model, or
with weights that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gargalo.cli.app import app
from gargalo.cli.console import say, share_bar

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="[RUN] PICTURES...", help="A run, unless weights that ship do; then files and folders."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write, or for several pictures the folder.")]
Ensemble = Annotated[
    bool,
    typer.Option("--self-ensemble", help="Better by little, in eight times the time: the mean of eight views."),
]
Tile = Annotated[int, typer.Option(help="Pixels of a piece's sides, at least 16: smaller takes less memory.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist; never the input.")]


@dataclass(frozen=True)
class _Job:
    """A picture to read, and where to write it."""

    name: str
    read: Callable[[], Path | bytes]
    target: Path
    source: Path  # the file or the folder it is from


@app.command()
def denoise(
    paths: Paths,
    out: Out,
    sigma: Annotated[float | None, typer.Option(help="The noise, of 255; measured unless given.")] = None,
    self_ensemble: Ensemble = False,
    tile: Tile = 512,
    overwrite: Overwrite = False,
) -> None:
    """Clean noisy photographs: gargalo denoise photo.jpg -o clean.png."""
    import gargalo

    def clean(model: Any, photo: Any, name: str, **options: Any) -> Any:
        return gargalo.denoise(model, photo.pixels, sigma=sigma, **options)

    _restore("denoise", paths, out, clean, 1, overwrite, {"self_ensemble": self_ensemble, "tile": tile})


@app.command()
def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int | None, typer.Option(help="Times as large; 2, or what a run has learned.")] = None,
    self_ensemble: Ensemble = False,
    tile: Tile = 512,
    overwrite: Overwrite = False,
) -> None:
    """Enlarge photographs: gargalo upscale photo.jpg --scale 2 -o big.png."""
    import gargalo

    if scale is not None and scale < 2:
        raise ValueError(f"--scale {scale} enlarges nothing; it must be at least 2.")

    def enlarge(model: Any, photo: Any, name: str, **options: Any) -> Any:
        times = _times(model)
        if scale is not None and times not in (scale, 1):  # what enlarges nothing says so itself
            raise ValueError(f"{paths[0]} enlarges {times} times, not {scale}.")
        return gargalo.upscale(model, photo.pixels, **options)

    _restore("upscale", paths, out, enlarge, scale or 2, overwrite, {"self_ensemble": self_ensemble, "tile": tile})


@app.command()
def inpaint(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN PICTURES...", help="A run, as no weights ship; then files and folders.")
    ],
    out: Out,
    mask: Annotated[
        Path,
        typer.Option(help="White where something is missing; for a folder, one of the same names."),
    ],
    self_ensemble: Ensemble = False,
    tile: Tile = 512,
    overwrite: Overwrite = False,
) -> None:
    """Fill in what a mask marks: gargalo inpaint RUN photo.png --mask mask.png -o whole.png."""
    import gargalo
    from gargalo.data.photos import read_photo

    def fill(model: Any, photo: Any, name: str, **options: Any) -> Any:
        file = mask
        if mask.is_dir():
            file = mask / name if (mask / name).exists() else mask / Path(name).with_suffix(".png")
        hidden = read_photo(file)
        return gargalo.inpaint(model, photo.pixels, hidden.pixels, **options)

    masks = [file for file in mask.rglob("*") if file.is_file()] if mask.is_dir() else [mask]
    _restore("inpaint", paths, out, fill, 1, overwrite, {"self_ensemble": self_ensemble, "tile": tile}, masks)


def _restore(
    verb: str,
    paths: list[Path],
    out: Path,
    use: Callable[..., Any],
    scale: int,
    overwrite: bool,
    options: dict[str, Any],
    masks: list[Path] | None = None,
) -> None:
    """Each picture with what its file says of it; those that cannot be used are named, and the status is 1."""
    import gargalo
    from gargalo.errors import DataError

    run = paths[0] if _is_run(paths[0]) else None  # or the name of weights that ship
    model = None if run is None else gargalo.load(run)
    with ExitStack() as stack:
        jobs = _jobs(paths[run is not None :], out, stack)
        _check(jobs, masks or [], overwrite)
        skipped = 0
        with share_bar(len(jobs)) as bar:
            for number, job in enumerate(jobs):
                try:
                    said = _one(verb, job, model, use, scale, options | {"progress": partial(bar.within, number)})
                    bar.say(said)
                except DataError as error:
                    if len(jobs) == 1:
                        raise
                    skipped += 1
                    bar.say(f"Skipped {job.name}: {error}")
                bar(number + 1)
    if len(jobs) > 1:
        say(f"{len(jobs) - skipped} of {len(jobs)} pictures: {out}")
    if skipped:
        raise typer.Exit(1)


def _one(verb: str, job: _Job, model: Any, use: Callable[..., Any], scale: int, options: dict[str, Any]) -> str:
    """Restores one picture, and says what there is to say of it."""
    import warnings

    from gargalo import weights
    from gargalo.data.images import check_target, is_gray
    from gargalo.data.photos import read_photo, write_photo

    photo = read_photo(job.read())
    height, width, channels = photo.pixels.shape
    # Noise of a gray picture that is stored in colors is the same in all three, unlike that of any color picture.
    gray = channels < 3 or (verb == "denoise" and is_gray(photo.pixels))
    model = model or _shipped(weights.name_for(verb, 1 if gray else 3, scale))
    times = _times(model)
    check_target(job.target, (times * height, times * width, channels), 8 * photo.pixels.dtype.itemsize)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        restored = use(model, photo, job.name, **options)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    lost = write_photo(replace(photo, pixels=restored), job.target)
    lines = [f"{job.name}: {restored.shape[1]}x{restored.shape[0]}: {job.target}"]
    lines += [f"Warning: {job.name}: {warning.message}" for warning in caught]
    if lost:
        lines.append(f"{job.target.name} cannot hold what {job.name} says in: {', '.join(lost)}.")
    return "\n".join(lines)


@cache
def _shipped(name: str) -> Any:
    from gargalo import weights

    return weights.shipped(name)


def _times(model: Any) -> int:
    """How many times as large as its inputs are a model's outputs."""
    return model.spec.shape[-1] // model.spec.input_shape[-1]


def _is_run(path: Path) -> bool:
    from gargalo import weights

    kept = (path / "config.json").is_file() and any(path.glob("*.safetensors"))  # a folder of pictures may hold one too
    return kept or (path / "checkpoints").is_dir() or (not path.exists() and str(path) in weights.names())


def _jobs(paths: list[Path], out: Path, stack: ExitStack) -> list[_Job]:
    """One file to a file, anything else to a folder, where pictures keep their names and places."""
    from gargalo.data.images import SUFFIXES, UNREAD, WRITERS
    from gargalo.data.listing import listing

    for path in paths:
        if not path.exists():
            raise ValueError(f"There is no picture, folder or run at {path}.")
    if len(paths) == 1 and not paths[0].is_dir() and out.suffix.lower() in WRITERS:
        return [_Job(paths[0].name, lambda: paths[0], out, paths[0])]
    if out.suffix.lower() in WRITERS:
        raise ValueError(f"{out} is the name of one picture; give a folder for several.")
    if out.suffix.lower() in SUFFIXES | UNREAD and not out.is_dir():
        raise ValueError(f"{out} cannot be written; pictures are written to {', '.join(sorted(WRITERS))}, or a folder.")
    jobs: list[_Job] = []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".zip":
            found = listing(path, SUFFIXES | UNREAD, stack)
            if path.resolve() in out.resolve().parents:  # what was written there is no input of the next time
                found = [item for item in found if not (path / item.name).resolve().is_relative_to(out.resolve())]
            jobs += [_Job(item.name, item.read, out / item.name, path) for item in found]
        else:
            jobs.append(_Job(path.name, lambda path=path: path, out / path.name, path))
    if not jobs:
        raise ValueError(f"There are no pictures in {', '.join(map(str, paths)) or 'nothing'}. Name some.")
    return [
        job if job.target.suffix.lower() in WRITERS else replace(job, target=job.target.with_suffix(".png"))
        for job in jobs
    ]


def _check(jobs: list[_Job], masks: list[Path], overwrite: bool) -> None:
    """ValueError before anything is read, where a file would be lost."""
    origins = [job.source / job.name if job.source.is_dir() else job.source for job in jobs]
    given = {_identity(path) for path in (*origins, *masks) if path.exists()}
    seen: dict[Path, str] = {}
    for job in jobs:
        if job.target in seen:
            raise ValueError(f"{seen[job.target]} and {job.name} would both become {job.target}. Do them one by one.")
        seen[job.target] = job.name
        if job.target.exists() and _identity(job.target) in given:
            raise ValueError(f"{job.target} is an input itself, which is never overwritten. Give another -o.")
    existing = [job.target for job in jobs if job.target.exists()]
    if existing and not overwrite:
        raise ValueError(f"{existing[0]} exists ({len(existing)} in all). Give another -o, or add --overwrite.")


def _identity(path: Path) -> tuple[int, int]:
    """Of a file, by whatever name or link."""
    known = path.stat()
    return known.st_dev, known.st_ino
