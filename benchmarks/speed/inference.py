"""Decoding beside plain torch: ``python -m benchmarks.speed.inference`` writes the rows g of speed.json.

Everything runs in one process, in turns, as nobody else's code is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.results import Row, write
from benchmarks.speed import ours
from gargalo import acceleration
from gargalo.checkpoint import TrainedModel
from gargalo.spec import DataSpec
from gargalo.verbs.latent import decode, embed

SPEC = DataSpec("image", (1, 28, 28), (1, 28, 28), "bernoulli", "convnet")


def race(works: list[Callable[[], Any]], rounds: int = 9, seconds: float = 0.5) -> list[float]:
    """Median seconds of a call of each, in turns."""
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(rounds):
        for work, list_ in zip(works, taken, strict=True):
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                work()
                count += 1
            list_.append((time.perf_counter() - start) / count)
    return [median(list_) for list_ in taken]


def main() -> None:
    plain, objective = ours.keras_example()
    plain.eval().requires_grad_(False)
    net, _ = ours.keras_example()
    net.load_state_dict(plain.state_dict())
    net.eval().requires_grad_(False)
    acceleration.arrange(net, acceleration.plan_for(net, torch.device("cpu"), "float32"))
    config = {"spec": SPEC.to_json(), "method": "keras_example", "arguments": {"latent_dim": 2}}
    model = TrainedModel(net, objective, config)
    rows: list[Row] = []
    for n in (1, 256):
        z, x = torch.randn(n, 2), torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8)
        scaled = x.float() / 255
        with torch.inference_mode():
            bare, verb, eager = race(
                [lambda: net.decode(z).mode, lambda: decode(model, z), lambda: plain.decode(z).mode]  # noqa: B023
            )
            eager_in, verb_in = race([lambda: plain.encode(scaled).mode, lambda: embed(model, x)])  # noqa: B023
        what = f"Keras' convolutional VAE, batch {n}"
        rows += [
            Row(f"g-decode-{n}", f"{what}: decode against plain float32", n / verb, n / eager, "images/s"),
            Row(f"g-encode-{n}", f"{what}: embed against plain float32", n / verb_in, n / eager_in, "images/s"),
        ]
        if n == 1:
            rows.append(Row("g-verb", f"{what}: the verb against the bare call", verb * 1e3, bare * 1e3, "ms"))
    write("speed", rows)
    for row in rows:
        print(f"{row.id:16} {row.ours:12.3f} {row.other:12.3f} {row.ratio:8.2f} {row.unit}")


if __name__ == "__main__":
    acceleration.keep_freed_memory()
    main()
