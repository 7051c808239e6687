"""Does a number of the code stand for one thing? ``python -m benchmarks.disentanglement [METHOD ...]``.

On shapes of known kind, scale, angle and place; each method with ten numbers, `SEEDS` trainings of ``--seconds``. Rows
give mean, lowest and highest, as one training says little (Locatello et al. 2019). Writes disentanglement.json.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gargalo
from benchmarks.results import Row, write
from gargalo.data.shapes import draw, factors
from gargalo.evaluation.disentanglement import dci, factor_vae_score, mutual_information_gap

FOLDER = Path("runs/benchmarks/disentanglement")
DATA = "shapes:n=20000"
SEEDS, LATENT, ASKED = 5, 10, 10_000
METHODS: dict[str, dict[str, Any]] = {
    "vae": {},
    "beta_vae": {"beta": 4.0},
    "annealed_vae": {"steps": 2_000},
    "beta_tc_vae": {},
    "factor_vae": {},
    "dip_vae": {},
}


def scores(method: str, seconds: float, seed: int) -> dict[str, float]:
    """Of one training, on shapes that it did not see."""
    run = FOLDER / f"{method}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    model = gargalo.train(method, DATA, run, time=seconds, seed=seed, latent_dim=LATENT, **METHODS[method])
    made = factors(ASKED, seed=1_000)
    codes = gargalo.embed(model, draw(made, model.spec.shape[1]))
    known = torch.stack(list(made), 1).numpy()
    coarse = known // np.array([1, 1, 4, 4, 4])  # 10 angles and 8 places each way: rows enough for each value
    found = {f"dci-{name}": value for name, value in dci(codes, coarse).items()}
    return found | {"mig": mutual_information_gap(codes, known), "factor-vae": factor_vae_score(codes, coarse)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    for method in options.methods or METHODS:
        found = [scores(method, options.seconds, seed) for seed in range(SEEDS)]
        rows: list[Row] = []
        for name in found[0]:
            values = [one[name] for one in found]
            spread = f"{min(values):.3f} to {max(values):.3f}"
            what = f"{method}, {name}, {SEEDS} trainings of {options.seconds:g} seconds ({spread})"
            rows.append(Row(f"{method}/{name}", what, float(np.mean(values)), None, "1 is best"))
        write("disentanglement", rows)
        print(method, {row.id.partition("/")[2]: round(row.ours, 3) for row in rows}, flush=True)


if __name__ == "__main__":
    main()
