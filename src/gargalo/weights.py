"""Weights that come with the package, made by ``make weights``: a safetensors file each, with its config inside.

Their names say what for: denoiser-gray, denoiser-color, upscaler-2 ...
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file

from gargalo import checkpoint
from gargalo.checkpoint import TrainedModel
from gargalo.errors import CheckpointError

FOLDER = Path(__file__).parent / "assets" / "weights"
METHODS = {"denoise": "denoiser", "upscale": "upscaler", "inpaint": "inpainter"}


def names() -> list[str]:
    """Of all that are there."""
    return sorted(file.stem for file in FOLDER.glob("*.safetensors"))


def name_for(verb: str, channels: int = 3, scale: int = 1) -> str:
    """Of the weights that a verb takes for pictures of 1 or 3 ``channels``, enlarged by ``scale``."""
    kind = str(scale) if verb == "upscale" else "gray" if channels == 1 else "color"
    return f"{METHODS[verb]}-{kind}"


def shipped(name: str) -> TrainedModel:
    """The model with weights that came with the package. CheckpointError where there are none of that name."""
    if name not in names():
        there = f"There are: {', '.join(names())}." if names() else "There are none in this installation."
        method = name.partition("-")[0]
        raise CheckpointError(
            f"No weights called {name!r} come with gargalo. {there} Train your own, `gargalo train "
            f"{method if method in METHODS.values() else 'METHOD'} photos/ -o RUN`, and name RUN."
        )
    file = FOLDER / f"{name}.safetensors"
    with safe_open(file, "pt") as opened:
        config = json.loads(opened.metadata()["config"])
    return checkpoint.assemble(config, load_file(file))
