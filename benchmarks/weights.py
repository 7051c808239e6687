"""Trains the weights that ship with the package, and writes what they are made of: ``make weights FLOWERS=folder``.

Only pictures whose licence allows it: 250 of TensorFlow's flower photos, CC BY 2.0, whose file names begin with the
number of the photo at Flickr. Seven runs, each the same as the `gargalo train` command in the card that is written
beside them, which is of all that are there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from safetensors.torch import save_file

import gargalo
from gargalo.checkpoint import TrainedModel

LARGEST = 2_000_000  # bytes of a file
KEPT = "method", "arguments", "spec", "corruption", "augment", "data", "settings", "progress", "gargalo"
CREDIT = """Trained on photographs by members of Flickr, published under CC BY 2.0
(https://creativecommons.org/licenses/by/2.0/) and collected as `flower_photos` by TensorFlow. The photos, each at
`https://www.flickr.com/photo.gne?id=` and its number:

"""


class Recipe(NamedTuple):
    method: str
    patches: str
    corruption: str
    seconds: int
    size: str = "base"
    batch_size: int = 8
    lr: float = 1e-3


NOISE = "noise:std=0-0.2157,told=0.5,clip=0.5"  # up to 55 of 255; half of the pictures cut, as every file is
RECIPES = {
    "denoiser-gray": Recipe("denoiser", "channels=1", NOISE, 1380),
    "denoiser-gray-large": Recipe("denoiser", "channels=1", NOISE, 490, "large", 64, 1.5e-3),
    "denoiser-color": Recipe("denoiser", "channels=3", NOISE, 1380),
    "denoiser-color-large": Recipe("denoiser", "channels=3", NOISE, 490, "large", 64, 1.5e-3),
    "upscaler-2": Recipe("upscaler", "channels=3,size=96", "downscale:factor=2", 355, "base", 64, 2e-3),
    "upscaler-3": Recipe("upscaler", "channels=3,size=144", "downscale:factor=3", 355, "base", 64, 2e-3),
    "upscaler-4": Recipe("upscaler", "channels=3,size=192", "downscale:factor=4", 355, "base", 64, 2e-3),
}


def command(name: str, recipe: Recipe, seconds: float) -> str:
    return (
        f"gargalo train {recipe.method} flowers:{recipe.patches} --size {recipe.size} --corruption {recipe.corruption} "
        f"--batch-size {recipe.batch_size} --lr {recipe.lr:g} --time {seconds:g}s --seed 0 -o {name}"
    )


def ship(model: TrainedModel, file: Path) -> None:
    """One file: the weights, and the config that `gargalo.checkpoint.assemble` takes as its metadata."""
    config: dict[str, Any] = {key: model.config[key] for key in KEPT} | {"data": "flower_photos"}
    tensors = {key: tensor.contiguous() for key, tensor in model.net.state_dict().items()}
    if sum(4 * tensor.numel() for tensor in tensors.values()) > LARGEST:  # the halves move a picture by far less than
        tensors = {key: tensor.half() for key, tensor in tensors.items()}  # rounding it to 8 bits does
    save_file(tensors, file, metadata={"config": json.dumps(config)})
    if file.stat().st_size > LARGEST:
        raise SystemExit(f"{file} has {file.stat().st_size:,} bytes, more than {LARGEST:,}.")
    file.chmod(0o644)


def card(flowers: Path, out: Path) -> str:
    text = (
        "# Weights of pictures\n\nMade by `make weights`; those of 64 examples a step on a GPU, an H200, beside 3 to 6 "
        "others at\nonce. A faster machine takes more steps in the same time:\n\n"
    )
    for name, recipe in RECIPES.items():
        if (file := out / f"{name}.safetensors").exists():
            with safe_open(file, "pt") as opened:
                config = json.loads(opened.metadata()["config"])
            text += f"    {command(name, recipe, config['settings']['time'])}  # {config['progress']['step']:,} steps\n"
    numbers = sorted(int(file.name.split("_")[0]) for file in flowers.rglob("*.jpg"))
    return text + f"\n{CREDIT}{', '.join(map(str, numbers))}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flowers", type=Path, help="the folder of photographs")
    parser.add_argument("-o", "--out", type=Path, default=Path("src/gargalo/assets/weights"))
    parser.add_argument("--runs", type=Path, default=Path("runs/weights"), help="where the runs are kept")
    parser.add_argument("--time", type=int, help="seconds for each, in place of its own")
    parser.add_argument("--only", choices=list(RECIPES), nargs="*", default=list(RECIPES), help="none: the card alone")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        recipe = RECIPES[name]
        model = gargalo.train(
            recipe.method,
            f"{given.flowers}:{recipe.patches}",
            given.runs / name,
            size=recipe.size,
            corruption=recipe.corruption,
            batch_size=recipe.batch_size,
            lr=recipe.lr,
            time=recipe.seconds if given.time is None else given.time,
            seed=0,
        )
        ship(model, given.out / f"{name}.safetensors")
        print(name, model.config["progress"]["step"], "steps, validation loss", model.config["progress"]["best_loss"])
    (given.out / "README.md").write_text(card(given.flowers, given.out))


if __name__ == "__main__":
    main()
