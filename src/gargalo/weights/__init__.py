"""Weights that come with the package: a folder each, a checkpoint as `gargalo train` writes it.

Their names say what for: denoise-gray, denoise-color, upscale-x2 ...
"""

from __future__ import annotations

from pathlib import Path

from gargalo import checkpoint
from gargalo.checkpoint import TrainedModel
from gargalo.errors import CheckpointError

FOLDER = Path(__file__).parent
TRAINS = {"denoise": "denoiser", "upscale": "upscaler", "inpaint": "inpainter"}


def names() -> list[str]:
    """Of all that are there."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_"))


def name_for(verb: str, channels: int = 3, scale: int = 1) -> str:
    """Of the weights that a verb takes for pictures of 1 or 3 ``channels``, enlarged by ``scale``."""
    return f"{verb}-x{scale}" if scale > 1 else f"{verb}-{'gray' if channels == 1 else 'color'}"


def shipped(name: str) -> TrainedModel:
    """The model with weights that came with the package. CheckpointError where there are none of that name."""
    if name not in names():
        there = f"There are: {', '.join(names())}." if names() else "There are none in this installation."
        trains = TRAINS.get(name.partition("-")[0], "METHOD")
        raise CheckpointError(
            f"No weights called {name!r} come with gargalo. {there} Train your own, "
            f"`gargalo train {trains} photos/ -o RUN`, and name RUN."
        )
    return checkpoint.load(FOLDER / name)
