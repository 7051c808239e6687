"""Time to the same held-out loss: ``python -m benchmarks.speed.quality`` writes the rows e of speed.json.

pythae's VAE with a code of 16, ten epochs of its own pipeline, sets a loss on MNIST's test set for each of five seeds.
Then `gargalo train` runs with the same seeds and nothing but a number of epochs, which was chosen on validation data
with other seeds. Evaluations on pythae's side are left out; ours are in.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.results import Row, write
from benchmarks.speed.__main__ import FOLDER, rivals

SEEDS = range(101, 106)
EPOCHS = 2  # ours: the fewest that reached pythae's loss on validation data with room to spare
STOCK = (100, 1e-3, 10)  # pythae's batch, rate, epochs
OURS = (256, 4e-3, 10)  # our batch and rate in the loop of pythae, as long as its own ten


def theirs(python: Path, seed: int, batch: int, rate: float, epochs: int) -> tuple[float, float]:
    """Seconds of pythae's training, and its loss on the test set: half the squared error plus the KL."""
    files = [str(FOLDER / name) for name in ("mnist.npy", "mnist-test.npy")]
    command = [str(python), "-m", "benchmarks.speed.pythae_quality", *files, *map(str, (seed, batch, rate, epochs))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answer = json.loads(output.strip().splitlines()[-1])
    return answer["seconds"], answer["loss"]


def ours(seed: int, **options: object) -> tuple[float, float]:
    """The same two of a run by `gargalo.train`, with its evaluations and checkpoints."""
    import gargalo

    run = FOLDER / "quality"
    shutil.rmtree(run, ignore_errors=True)
    times: list[float] = []
    settings = {"latent_dim": 16, "epochs": EPOCHS, "seed": seed, "likelihood": "gaussian:variance=1"} | options
    model = gargalo.train("vae", "mnist", run, progress=lambda _: times.append(time.perf_counter()), **settings)  # type: ignore[arg-type]
    found = gargalo.evaluate(model, samples=1)
    seconds = (times[-1] - times[0]) * len(times) / (len(times) - 1)  # the first step is not seen from its start
    return seconds, -found["elbo"] - model.spec.numbers / 2 * math.log(2 * math.pi)


def main() -> None:
    from gargalo.data import open_source

    FOLDER.mkdir(parents=True, exist_ok=True)
    source = open_source("mnist")
    for file, part in (("mnist.npy", "train"), ("mnist-test.npy", "test")):
        np.save(FOLDER / file, source.values[source.indices(part)].numpy())
    python = rivals()
    if python is None:
        raise SystemExit("This comparison needs pythae.")
    rows: dict[str, list[tuple[float, float]]] = {"ours": [], "stock": [], "recipe": [], "float32": []}
    for seed in SEEDS:
        rows["ours"].append(ours(seed))
        rows["stock"].append(theirs(python, seed, *STOCK))
        rows["recipe"].append(theirs(python, seed, *OURS))
        rows["float32"].append(ours(seed, precision="float32"))
        print(seed, {key: tuple(round(x, 3) for x in values[-1]) for key, values in rows.items()}, flush=True)
    time_of, loss_of = ({k: median(v[i] for v in values) for k, values in rows.items()} for i in (0, 1))
    # A seed means nothing from one library to another, so that all are held against the median of theirs.
    reached = sum(mine[1] <= loss_of["stock"] for mine in rows["ours"])
    spread = {k: f"{min(x[1] for x in v):.2f} to {max(x[1] for x in v):.2f}" for k, v in rows.items()}
    what = f"dense VAE of 16 to pythae's median loss after ten epochs, reached by {reached} of {len(SEEDS)} seeds"
    near = sum(other[1] <= loss_of["stock"] for other in rows["recipe"])
    again = (
        f"the same against pythae with our batch and rate for {OURS[2]} epochs, then there with {near} of {len(SEEDS)}"
    )
    losses = "the same: half the squared error plus KL on the test set"
    numbers = "the same net of ours in bfloat16 and in float32"
    write(
        "speed",
        [
            Row("e", what, time_of["ours"], time_of["stock"], "s"),
            Row("e-loss", f"{losses}: {spread['ours']}; {spread['stock']}", loss_of["ours"], loss_of["stock"], "nats"),
            Row("e-recipe", again, time_of["ours"], time_of["recipe"], "s"),
            Row("e-recipe-loss", f"{losses}: {spread['recipe']}", loss_of["ours"], loss_of["recipe"], "nats"),
            Row("e-float32", f"{numbers}: {spread['float32']}", loss_of["ours"], loss_of["float32"], "nats"),
        ],
    )


if __name__ == "__main__":
    main()
