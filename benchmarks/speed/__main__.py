"""The table of races: who runs against whom, and what is written down."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write
from benchmarks.speed.referee import Contender, compete

FOLDER = Path("runs/benchmarks/speed")
RIVALS = Path(".venv-rivals")
PACKAGES = ("pythae==0.1.2", "pyod==3.6.7", "keras==3.15.1")
GIGA = 1e9


@dataclass(frozen=True)
class Race:
    """Ours and theirs on the same data and batch. ``work``: operations an image in training, forward and backward."""

    what: str
    ours: str
    theirs: str | None
    batch: int
    data: str = "mnist"
    seconds: float = 4.0
    work: float | None = None


DENSE = 6 * (784 * 512 * 2 + 512 * 48)
DEEP = 6 * 40 * 40 * 9 * (64 * 64 * 15 + 2 * 64)
QUICK = 6 * 20 * 20 * 9 * (48 * 48 * 10 + 2 * 4 * 48)
RACES = {
    "a": Race(
        "convolutional autoencoder of 4,385 weights, batch 256, against a notebook's loop", "lesson", "lesson", 256
    ),
    "b-100": Race("dense VAE, batch 100, against pythae", "dense", "pythae", 100, work=DENSE),
    "b-500": Race("dense VAE, batch 500, against pythae", "dense", "pythae", 500, work=DENSE),
    "b-1000": Race("dense VAE, batch 1000, against pythae", "dense", "pythae", 1000, work=DENSE),
    "c": Race(
        "pythae's convolutional nets, batch 100, against pythae",
        "wide_convolutions",
        "pythae_convolutions",
        100,
        seconds=6,
    ),
    "d": Race("Keras' convolutional VAE, batch 128, against Keras on torch", "keras_example", "keras", 128),
    "f": Race(
        "17 layers of 64 on 40x40 patches, batch 128, against float32 with batch normalization",
        *("denoiser", "denoiser", 128, "patches", 15.0, DEEP),
    ),
    "f-quick": Race(
        "12 layers of 48 after pixel-unshuffle, batch 128", "quick_denoiser", None, 128, "patches", 6.0, QUICK
    ),
    "pyod": Race("dense VAE, batch 1000, against PyOD's AutoEncoder", "dense", "pyod", 1000),
}


def rivals() -> Path | None:
    """The interpreter of the rivals' own environment, made on the first call; None where it cannot be had."""
    python = RIVALS / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", RIVALS], check=True)
        install = [python, "-m", "pip", "install", "-q", "-c", "constraints.txt", *PACKAGES]
        subprocess.run(install, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"No rivals here, so ours runs alone: {error}", file=sys.stderr)
        return None
    return python


def data() -> dict[str, Path]:
    """Files of pictures for all contenders alike; a set that is not there is left out, and said so."""
    from gargalo import DataError
    from gargalo.data import open_source

    FOLDER.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    try:
        source = open_source("mnist")
        found["mnist"] = FOLDER / "mnist.npy"
        np.save(found["mnist"], source.values[source.indices("train")].numpy())
    except DataError as error:
        print(f"No races on mnist: {error}", file=sys.stderr)
    found["patches"] = FOLDER / "patches.npy"
    noise = np.random.default_rng(0).integers(0, 256, (4096, 1, 40, 40), np.uint8)  # what they show costs no time
    np.save(found["patches"], noise)
    return found


def run(name: str, race: Race, files: dict[str, Path], python: Path | None, rounds: int) -> list[Row]:
    """One race: a row of speed, one of cold starts, one of peak memory, and ours as a share of the ceiling."""
    arguments = [str(race.batch), str(files[race.data])]
    commands = {"ours": [sys.executable, "-m", "benchmarks.speed.ours", race.ours, *arguments]}
    if python is not None and race.theirs is not None:
        commands["other"] = [str(python), "-m", "benchmarks.speed.theirs", race.theirs, *arguments]
    with ExitStack() as stack:
        contenders = {
            side: stack.enter_context(Contender(side, command, FOLDER / f"{name}-{side}.log"))
            for side, command in commands.items()
        }
        compete(list(contenders.values()), rounds, race.seconds)
    ours, other = contenders["ours"], contenders.get("other")
    spread = f"; ours {min(ours.rates):,.0f} to {max(ours.rates):,.0f}"
    spread += f", theirs {min(other.rates):,.0f} to {max(other.rates):,.0f}" if other else ""
    return [
        Row(name, f"{race.what} (median{spread})", ours.rate, other and other.rate, "images/s"),
        Row(
            f"{name}-cold",
            "the same: to the first step",
            ours.facts["cold_start"],
            other and other.facts["cold_start"],
            "s",
        ),
        Row(
            f"{name}-memory", "the same: peak memory", ours.facts["peak_mib"], other and other.facts["peak_mib"], "MiB"
        ),
    ]


def ceilings() -> dict[str, float]:
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.ceilings"], capture_output=True, text=True, check=True
    )
    return json.loads(output.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("races", nargs="*", metavar="RACE", help=f"any of {', '.join(RACES)}; all unless given")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    names = options.races or list(RACES)
    if unknown := set(names) - set(RACES):
        parser.error(f"unknown: {', '.join(unknown)}")
    os.environ["PYTHONPATH"] = os.getcwd()
    files, python, best = data(), rivals(), ceilings()
    write("speed", [Row(f"h-{name}", f"ceiling: {name}", value / GIGA, None, "Gop/s") for name, value in best.items()])
    for name in names:
        race = RACES[name]
        if race.data not in files:
            continue
        rows = run(name, race, files, python, options.rounds)
        if race.work is not None:
            kind = "convolution" if race.data == "patches" else "product"
            share = "the same: operations, ours against the bfloat16 ceiling"
            rows.append(
                Row(f"{name}-share", share, rows[0].ours * race.work / GIGA, best[f"{kind}-bfloat16"] / GIGA, "Gop/s")
            )
        write("speed", rows)
        for row in rows:
            other, ratio = row.other or float("nan"), row.ratio or float("nan")
            print(f"{row.id:16} {row.ours:12.2f} {other:12.2f} {ratio:8.2f} {row.unit}", flush=True)


if __name__ == "__main__":
    main()
