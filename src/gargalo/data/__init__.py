"""Data: sources by name or path, corruptions, pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gargalo import registry  # not its `source` by name: that is a module of this package
from gargalo.data import (  # so that their names register
    arrays,
    augmentations,
    builtin,
    corruptions,
    folder,
    patches,
    shapes,
    waves,
)
from gargalo.data.images import fit_image, read_image, write_image
from gargalo.data.listing import readable
from gargalo.data.music import sources as music
from gargalo.data.source import Example, Part, Skipped, Source
from gargalo.errors import DataError
from gargalo.spec import DataSpec

__all__ = [
    "Example",
    "Part",
    "Skipped",
    "Source",
    "arrays",
    "augmentations",
    "builtin",
    "corruptions",
    "fit_image",
    "folder",
    "folder_reader",
    "music",
    "music_form",
    "open_like",
    "open_source",
    "patches",
    "read_image",
    "selected",
    "shapes",
    "waves",
    "write_image",
]

_BY_SUFFIX = {
    "": "folder",
    ".zip": "folder",
    ".npy": "npy",
    ".npz": "npy",
    ".csv": "csv",
    ".tsv": "csv",
    **dict.fromkeys(sorted(music.SUFFIXES), "melodies"),
}
_OPTIONS = re.compile(r"(?P<path>.+?):(?P<options>[A-Za-z_][\w-]*=.*)")


def open_source(text: str, folders: str = "folder") -> Source:
    """The data that ``text`` names: a source with its arguments, or a path, perhaps with arguments.

    ``"digits"``, ``"folder:path=photos,size=64"``, ``"photos/"``, ``"photos/:size=32"``,
    ``"table.csv:label=kind"``, ``"tunes/:bars=4"``. A folder or .zip is of melodies where it has more files of music
    than pictures; ``folders`` is the source that reads folders of pictures. Where a source and a folder have the same
    name, the source is meant; write ``./digits`` for the folder.

    Raises DataError where there is no such thing, and ValueError for arguments that do not fit.
    """
    name, arguments = selected(text, folders)
    return registry.source[name](**arguments)


def selected(text: str, folders: str = "folder") -> tuple[str, dict[str, Any]]:
    """The source that `open_source` takes for ``text``, and its arguments. Raises as that does."""
    name = text.partition(":")[0]
    plain = not re.search(r"[/\\.~]", name)
    if plain and name in registry.source:
        return registry.source.parse(text)
    if text and Path(text).expanduser().exists():  # an empty path would mean the current folder
        return _by_path(text, "", folders)
    if (match := _OPTIONS.fullmatch(text)) and Path(match["path"]).expanduser().exists():
        return _by_path(match["path"], match["options"], folders)
    names = [registered.replace("_", "-") for registered in registry.source]  # this loads the plugins
    if plain and name in registry.source:
        return registry.source.parse(text)
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Sources: {', '.join(names)}."
    raise DataError(f"There is no file, folder or source {text!r}. {hint}")


def music_form(text: str, spec: DataSpec) -> music.Form:
    """Bars, steps and unit of the windows that ``text`` names, for a model of ``spec``.

    Those of data that say nothing of them are 16ths in bars of 4/4 where these fit.
    """
    length = spec.shape[0]
    try:
        name, known = selected(text)
    except DataError:  # the data may lie elsewhere now: what the text says of them still holds
        match = _OPTIONS.fullmatch(text)
        name, known = registry.source.parse(f"melodies:path=.,{match['options'] if match else ''}")
    if name in music.NAMES:
        told = {key: value for key, value in known.items() if key in music.Form._fields}
        form = music.Form(2, 16, 16, "all", False)._replace(**told)
        if form.length == length:
            return form
    bars = length // 16 if length % 16 == 0 else 1
    return music.Form(bars, length // bars, 16, "all", False)


def folder_reader(spec: DataSpec) -> str:
    """The source that reads folders of pictures as it did for a model's training."""
    return "patches" if spec.fit == "cut" else "folder"


def open_like(text: str, spec: DataSpec, trained_on: str = "") -> Source:
    """The data that ``text`` names, or one picture file, with pictures brought to the shape that a model was trained
    on, and arrays read as what it was trained on. Files of music are cut in steps as those of ``trained_on``, the
    model's data, were. DataError where the data are of another kind, or of another length.
    """
    place = Path(text).expanduser()
    if spec.kind == "image" and place.is_file() and place.suffix.lower() in folder.SUFFIXES:
        pictures = fit_image(read_image(place), spec.shape, spec.fit)[None]
        return replace(arrays.picture_source(text, pictures), names=(readable(place.name),))
    if spec.kind == "sequence" and music.files_of_music(text):
        form = music_form(trained_on, spec)
        return music.like(text, spec, form.unit, form.force)
    folders = place.is_dir() or place.suffix.lower() == ".zip"
    if spec.kind == "image" and place.exists() and folders and spec.shape[1] == spec.shape[2]:
        channels, size, _ = spec.shape
        fit = {} if spec.fit == "cut" else {"fit": spec.fit}
        source = registry.source[folder_reader(spec)](path=text, size=size, channels=channels, **fit)
    elif spec.kind == "sequence" and place.is_file() and _BY_SUFFIX.get(place.suffix.lower()) == "npy":
        source = registry.source["npy"](path=text, kind=_sequence_kind(spec))
    else:
        source = open_source(text, folder_reader(spec))
    if source.spec.kind == spec.kind != "image" and source.spec.shape == spec.shape:
        return _as_learned(source, spec)
    if source.spec.shape == spec.shape:
        return source
    if not source.spec.kind == spec.kind == "image":
        raise DataError(f"{source.name} has shape {source.spec.shape}; this model was trained on {spec.shape}.")
    fitted = [
        fit_image(source.gather(row).target[0].permute(1, 2, 0).numpy(), spec.shape, spec.fit)
        for row in source.indices("all").split(1)
    ]
    values = torch.from_numpy(np.stack(fitted))
    return replace(source, spec=replace(source.spec, shape=spec.shape, input_shape=()), values=values, release=None)


def _sequence_kind(spec: DataSpec) -> str:
    return "tokens" if spec.is_tokens else "bits" if spec.is_bits else "series"


def _as_learned(source: Source, spec: DataSpec) -> Source:
    """The same values, seen as a model learned to see its own: it knows no other mean, deviation or token."""
    if source.spec.is_tokens != spec.is_tokens or source.spec.vocabulary > spec.vocabulary:
        raise DataError(
            f"{source.name} has a vocabulary of {source.spec.vocabulary}; this model's is {spec.vocabulary}."
        )
    seen = {"offset": spec.offset, "scale": spec.scale, "vocabulary": spec.vocabulary, "likelihood": spec.likelihood}
    return replace(source, spec=replace(source.spec, **seen))


def _by_path(path: str, options: str, folders: str) -> tuple[str, dict[str, Any]]:
    place = Path(path).expanduser()
    name = _BY_SUFFIX.get("" if place.is_dir() else place.suffix.lower())
    if name is None:
        raise DataError(f"{path} is neither a folder nor one of {', '.join(_BY_SUFFIX)[2:]}.")
    if name == "folder":
        name = "melodies" if folder.pictures_in(place) < music.files_of_music(path) else folders
    # The path itself may hold commas and colons, so it stays out of the selector.
    _, arguments = registry.source.parse(f"{name}:path=.,{options}")
    return name, {**arguments, "path": path}
