"""Weights that come with the package, made by ``make weights``.

Those of pictures are a safetensors file each with its config inside: denoiser-gray, denoiser-color, upscaler-2 ...
Those of drums are small run folders: drums, humanize.
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
    return sorted([file.stem for file in FOLDER.glob("*.safetensors")] + [run.parent.name for run in _runs()])


def name_for(verb: str, channels: int = 3, scale: int = 1) -> str:
    """Of the weights that a verb takes for pictures of 1 or 3 ``channels``, enlarged by ``scale``."""
    kind = str(scale) if verb == "upscale" else "gray" if channels == 1 else "color"
    return f"{METHODS[verb]}-{kind}"


def load(path: str | Path, *, device: str = "cpu") -> TrainedModel:
    """The trained model of a run folder; where there is nothing at ``path``, of the weights that ship by this name.

    Raises CheckpointError where nothing whole is found, or weights and config do not belong together.
    """
    if str(path) in names() and not Path(path).exists():
        return shipped(str(path)).to(device)
    return checkpoint.load(path, device=device)


def shipped(name: str) -> TrainedModel:
    """The model with weights that came with the package. CheckpointError where there are none of that name."""
    if name not in names():
        there = f"There are: {', '.join(names())}." if names() else "There are none in this installation."
        method = name.partition("-")[0]
        command = f"{method} photos/" if method in METHODS.values() else "METHOD DATA"
        raise CheckpointError(
            f"No weights called {name!r} come with gargalo. {there} Train your own, `gargalo train {command} -o RUN`, "
            "and name RUN."
        )
    if (FOLDER / name).is_dir():
        return checkpoint.load(FOLDER / name)
    file = FOLDER / f"{name}.safetensors"
    with safe_open(file, "pt") as opened:
        config = json.loads(opened.metadata()["config"])
    return checkpoint.assemble(config, load_file(file))


def own_folder(model: TrainedModel) -> Path | None:
    """That of a model which lies in one of the user's: nothing is written into one that came with the package."""
    return None if model.path is None or model.path.parent == FOLDER else model.path


def check_own(model: TrainedModel) -> None:
    """ValueError for a model whose folder came with the package: nothing is written there."""
    if model.path is not None and model.path.parent == FOLDER:
        raise ValueError(
            f"{model.path.name} came with gargalo, and nothing is written into it. Train your own, and name its run."
        )


def _runs() -> list[Path]:
    return list(FOLDER.glob("*/checkpoints"))
