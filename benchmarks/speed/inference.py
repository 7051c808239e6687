"""Encoding and decoding beside plain torch: ``python -m benchmarks.speed.inference`` writes the rows g of speed.json.

Each contender is a process of its own, ``python -m benchmarks.speed.inference NAME ROWS``, and works in turns.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.results import Row, write
from benchmarks.speed import ours
from benchmarks.speed.__main__ import FOLDER
from benchmarks.speed.referee import Contender, compete
from benchmarks.speed.stopwatch import Stopwatch

Work = Callable[[], Any]


def plain(rows: int) -> tuple[Work, Work]:
    """Decoding and encoding as torch does it when it is left alone: float32, one call."""
    net, _ = ours.keras_example()
    net.eval().requires_grad_(False)
    z, x = torch.randn(rows, 2), torch.rand(rows, 1, 28, 28)
    return lambda: net.decode(z).mode, lambda: net.encode(x).mode


def loaded() -> Any:
    """The model as `gargalo.load` gives it."""
    import tempfile

    import gargalo
    from gargalo.registry import method

    def contender(spec: Any, *, latent_dim: int = 2) -> tuple[Any, Any]:
        """The shape that is raced."""
        return ours.keras_example()

    method(contender)
    with tempfile.TemporaryDirectory() as folder:
        gargalo.train("contender", str(FOLDER / "mnist.npy"), folder, time=2.0)
        return gargalo.load(folder)


def verbs(rows: int) -> tuple[Work, Work]:
    """Decoding and encoding by the verbs, from numbers to bytes and back."""
    import gargalo

    model = loaded()
    z, x = torch.randn(rows, 2).numpy(), torch.randint(0, 256, (rows, 1, 28, 28), dtype=torch.uint8).numpy()
    return lambda: gargalo.decode(model, z), lambda: gargalo.embed(model, x)


def bare(rows: int) -> tuple[Work, Work]:
    """The network calls inside the verbs, without the verbs."""
    net = loaded().net
    z, x = torch.randn(rows, 2), torch.rand(rows, 1, 28, 28)
    return lambda: net.decode(z).mode, lambda: net.encode(x).mode


CONTENDERS: dict[str, Callable[[int], tuple[Work, Work]]] = {f.__name__: f for f in (plain, verbs, bare)}


def take_turns(name: str, rows: int) -> None:
    """The child's side."""
    side, _, kind = name.partition("-")
    watch = Stopwatch(float(os.environ["GARGALO_STARTED"]))
    work = CONTENDERS[side](rows)[kind == "encode"]
    with torch.inference_mode():
        while True:
            work()
            watch.tick(rows)


def race(rows: int, *names: str) -> dict[str, float]:
    """Median calls' rows a second of each."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(
                Contender(
                    name,
                    [sys.executable, "-m", "benchmarks.speed.inference", name, str(rows)],
                    FOLDER / f"inference-{name}.log",
                )
            )
            for name in names
        }
        compete(list(found.values()), 7, 2.0)
    return {name: contender.rate for name, contender in found.items()}


def main() -> None:
    results: list[Row] = []
    for n in (1, 256):
        decode, encode = race(n, "plain-decode", "verbs-decode", "bare-decode"), race(n, "plain-encode", "verbs-encode")
        what = f"Keras' convolutional VAE, batch {n}"
        results += [
            Row(
                f"g-decode-{n}",
                f"{what}: decode against plain float32",
                decode["verbs-decode"],
                decode["plain-decode"],
                "images/s",
            ),
            Row(
                f"g-encode-{n}",
                f"{what}: embed against plain float32",
                encode["verbs-encode"],
                encode["plain-encode"],
                "images/s",
            ),
        ]
        if n == 1:
            verb, network = 1e3 / decode["verbs-decode"], 1e3 / decode["bare-decode"]
            results.append(Row("g-verb", f"{what}: the verb against the bare call", verb, network, "ms"))
    write("speed", results)
    for row in results:
        print(f"{row.id:16} {row.ours:12.3f} {row.other:12.3f} {row.ratio:8.2f} {row.unit}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        take_turns(sys.argv[1], int(sys.argv[2]))
    else:
        main()
