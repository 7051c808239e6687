"""kill -9 at 50 random moments of one run, resumed each time: ``python -m benchmarks.kills [N]``.

Half of the kills fall anywhere in a process's life, its start included; the others soon after it saved, so that
the run goes on. Asks for the same weights, bit for bit, as a run that nobody disturbed. Five minutes.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import gargalo
from benchmarks.results import Row, write
from gargalo import checkpoint

RUNS = Path("runs/benchmarks")
OPTIONS = {"latent_dim": 4, "epochs": 150, "batch_size": 16}
SAVE_EVERY = "0.1"


def weights(run: Path) -> bytes:
    _, folder = checkpoint.read(run)
    return b"".join((folder / name).read_bytes() for name in ("model.safetensors", "state.safetensors"))


def newest(run: Path) -> str:
    return max((p.name for p in (run / "checkpoints").glob("step-*")), default="")


def killed(command: list[str], run: Path, wait: float, saved_first: bool) -> bool:
    """Runs a command until its moment has come. Whether it still ran then."""
    process = subprocess.Popen([sys.executable, "-m", "gargalo", *command], stderr=subprocess.DEVNULL)
    before = newest(run)
    while saved_first and process.poll() is None and newest(run) == before:
        time.sleep(0.005)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    calm, run = RUNS / "calm", RUNS / "killed"
    for folder in (calm, run):
        shutil.rmtree(folder, ignore_errors=True)
    gargalo.train("vae", "digits", calm, **OPTIONS)
    flags = [part for key, value in OPTIONS.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    start = ["train", "vae", "digits", "-o", str(run), *flags, "--save-every", SAVE_EVERY]
    again = ["resume", str(run), "--save-every", SAVE_EVERY]
    chance, kills, unreadable = random.Random(0), 0, 0
    while kills < wanted:
        begun = bool(newest(run))
        soon = kills % 2 == 0
        wait = chance.uniform(0, 0.5) if soon else chance.uniform(0, 4)
        if not killed(again if begun else start, run, wait, soon):
            raise SystemExit(f"The run ended after {kills} kills; give it more epochs.")
        kills += 1
        try:
            if newest(run):
                checkpoint.read(run)
        except gargalo.CheckpointError as error:
            unreadable += 1
            print(error)
        print(f"kill {kills}: {newest(run)}", flush=True)
    subprocess.run([sys.executable, "-m", "gargalo", *again], check=True)
    same = weights(run) == weights(calm)
    print(f"{kills} kills, {unreadable} unreadable checkpoints, same weights: {same}")
    write(
        "kills",
        [
            Row("kills", "kill -9 at random moments of one run", kills, None, "kills"),
            Row("kills-same", "final weights and optimizer bit-identical to an undisturbed run", same, None, "1 = yes"),
            Row("kills-unreadable", "unreadable checkpoints", unreadable, None, "checkpoints"),
        ],
    )


if __name__ == "__main__":
    main()
