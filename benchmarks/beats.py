"""Drums on the Groove MIDI Dataset: trains the weights of music that ship, ``--ship``, or measures.

`make bench-music` measures, `make weights-music` ships. Figures are of rows, and songs, that the data set's own list
keeps from training.
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import gargalo
from benchmarks.results import Row, write
from gargalo import checkpoint
from gargalo.data import open_source
from gargalo.data.music import sources, windows
from gargalo.data.music.grooves import in_bytes
from gargalo.data.music.pieces import drum_pieces, joined
from gargalo.data.music.vocabulary import part_of
from gargalo.verbs import beats
from gargalo.verbs.following import FOLLOWING, following

LARGEST = 2_000_000  # bytes of a run that ships
OUT = Path("src/gargalo/assets/weights")
CREDIT = """
Learned from the Groove MIDI Dataset by Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and David Bamman
("Learning to Groove with Inverse Sequence Transformations", ICML 2019), which Google LLC published under CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/): https://magenta.tensorflow.org/datasets/groove. Its recordings were cut
into windows of two bars; nothing else was changed. What its list keeps for validation and test was not learned.
"""


TUNES = """
Learned from the twenty old tunes in the public domain that come with gargalo as the source `tunes`.
"""


class Recipe(NamedTuple):
    method: str
    options: dict[str, Any]
    data: str = "grooves:path=groove"
    credit: str = CREDIT

    def command(self, name: str) -> str:
        options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in self.options.items())
        return f"    gargalo train {self.method} {self.data} {options} -o {name}\n"


COMMON: dict[str, Any] = {"latent_dim": 64, "batch_size": 128, "compile": "off", "seed": 0}
TINY = {"network": "mixer:size=tiny"} | COMMON
RECIPES = {
    "drums": Recipe("music", {"preset": "generate", "bits": 100, "network": "mixer:size=small", "epochs": 13} | COMMON),
    "humanize": Recipe("autoencoder", {"corruption": "straighten", "epochs": 20} | TINY),
    "tap2drum": Recipe("autoencoder", {"corruption": "taps", "epochs": 20} | TINY),
    "tunes": Recipe("music", {"preset": "generate", "bits": 60, "epochs": 1500} | TINY, "tunes", TUNES),
}


def ship(name: str, runs: Path) -> None:
    """A run folder with the weights in half precision, the prior, and what is known of how bars follow one another."""
    recipe, model, out = RECIPES[name], gargalo.load(runs / name), OUT / name
    steps = following(model) if recipe.method == "music" else None  # which alone is sampled from
    if steps is None:
        model = checkpoint.assemble(*_plain(model))
    model.config["data"] = recipe.data
    model.net.half()
    shutil.rmtree(out, ignore_errors=True)
    checkpoint.save_model(out, model)
    if steps is not None:
        tensors = {key: torch.from_numpy(getattr(steps, key)) for key in ("mean", "weight", "spread")}
        checkpoint.keep(out, FOLLOWING, tensors, checkpoint.read(out)[0])
    made = "Made by `make weights-music`, and kept in half precision:"
    (out / "README.md").write_text(f"# {name}\n\n{made}\n\n{recipe.command(name)}{recipe.credit}")
    files = [file for file in out.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(name, f"{size:,} bytes, {model.config['progress']}")
    if size > LARGEST:
        raise SystemExit(f"{out} has {size:,} bytes, more than {LARGEST:,}.")


def _plain(model: checkpoint.TrainedModel) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Config and weights without the prior that was fitted afterwards."""
    return {key: value for key, value in model.config.items() if key != "prior"}, checkpoint.own_weights(model)


def timing(groove: Path) -> dict[str, float]:
    """Of all hits in the songs that are not learned from, the mean distance to the drummer's: milliseconds, and of 127.

    Of what `humanize` makes of the straightened song, and of the straightened song itself, as loud as its mean.
    """
    model = gargalo.shipped("humanize")
    found: list[np.ndarray] = []
    with ExitStack() as stack:
        source = open_source(f"grooves:path={groove}")
        wanted = {source.names[row].rpartition(", bar ")[0] for row in source.indices("test")}
        for item in sources.music_items(str(groove), stack):
            for _, song in sources.songs_of(item, []) if item.name in wanted else ():
                drummer = windows.song_drums(song)[0]
                pieces = drum_pieces(song, model.spec.shape[0])
                made = part_of(joined(pieces, in_bytes(beats.played(model, pieces.windows))))
                hits = drummer.bits > 0
                step = 15_000 / song.tempos[0].quarters_a_minute
                loud = drummer.velocity[hits].astype(float)
                found.append(np.stack([
                    step * np.abs(made.timing - drummer.timing)[hits], step * np.abs(drummer.timing[hits]),
                    np.abs(made.velocity[hits] - loud), np.abs(loud.mean() - loud),
                ], 1))  # fmt: skip
    means = np.concatenate(found).mean(0)
    names = "timing", "straight timing", "velocity", "straight velocity"
    return dict(zip(names, map(float, means), strict=True)) | {"songs": len(found)}


def measure(groove: Path, runs: Path) -> None:
    run = runs / "drums-bits"
    if not checkpoint.saved(run):
        gargalo.train(
            "music", f"drums:path={groove}", run, time=360, network="mixer:size=small", batch_size=128, seed=0
        )
    rows: list[Row] = []
    for split in ("validation", "test"):
        found = gargalo.evaluate(gargalo.load(run), split=split, samples=1)["music"]
        for key, figure in (("greedy", "steps"), ("sampled", "steps"), ("greedy", "notes"), ("greedy", "windows")):
            what = f"drums, {split}, {key}: {'hit F1' if figure == 'notes' else figure} against the nearest copy"
            rows.append(Row(f"{split}-{key}-{figure}", what, found[key][figure], found["copied"][figure], "share"))
        what = f"drums, {split}: steps right, against silence"
        rows.append(Row(f"{split}-silence", what, found["greedy"]["steps"], found["still"]["steps"], "share"))
    found = timing(groove)
    what = f"humanize, {found['songs']} test songs: distance to the drummer against straight"
    rows.append(Row("humanize", what, found["timing"], found["straight timing"], "ms"))
    rows.append(Row("velocity", f"{what}, loudness", found["velocity"], found["straight velocity"], "of 127"))
    print(write("beats", rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groove", type=Path, help="the folder or .zip of the data set")
    parser.add_argument("--runs", type=Path, default=Path("runs/beats"), help="where the runs are kept")
    parser.add_argument("--ship", choices=list(RECIPES), nargs="*", help="make these weights, all unless named")
    given = parser.parse_args()
    if given.ship is None:
        measure(given.groove, given.runs)
        return
    for name in given.ship or RECIPES:
        if not checkpoint.saved(given.runs / name):
            recipe = RECIPES[name]
            data = recipe.data.replace("path=groove", f"path={given.groove}")
            gargalo.train(recipe.method, data, given.runs / name, **recipe.options)
        ship(name, given.runs)


if __name__ == "__main__":
    main()
