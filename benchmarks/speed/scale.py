"""What size costs: ``python -m benchmarks.speed.scale`` writes the rows ``size`` and ``overhead`` of speed.json.

Seconds and memory against the number of pictures (a file that is mapped, not read) and against their size, and the
share of a run that is not steps. Each run is a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Row, write
from benchmarks.speed.__main__ import FOLDER

COUNTS = 1_000, 10_000, 100_000, 1_000_000
SIDES = 28, 64, 128, 256, 512
LEAST = 10_000  # pictures that an epoch is measured with
CHUNK = 10_000  # pictures that are drawn at once
MIB = 1 << 20


def pictures(file: Path, count: int, side: int) -> Path:
    """Color noise, written a chunk at a time."""
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(file, "w+", np.uint8, (count, 3, side, side))
    for start in range(0, count, CHUNK):
        part = array[start : start + CHUNK]
        part[:] = rng.integers(0, 256, part.shape, np.uint8)
    array.flush()
    return file


def epoch(file: str, count: int, batch: int) -> dict[str, float]:
    """An epoch, from some thousand pictures at least; and the peak of memory, from the first look at the data on."""
    import gargalo

    times: list[float] = []
    epochs = max(1, LEAST // count)
    budget: dict[str, Any] = {"epochs": epochs, "batch_size": batch, "compile": "off", "save_every": 1e9}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        gargalo.train(
            "autoencoder", file, folder, progress=lambda _: times.append(time.perf_counter()), augment="none", **budget
        )
    step = (times[-1] - times[1]) / (len(times) - 2)
    # not getrusage: its peak is that of the parent process where that was larger
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return {"seconds": step * len(times) / epochs, "step": step, "before": times[0] - begin, "peak_mib": peak}


def overhead(data: str, seconds: float) -> dict[str, float]:
    """The share of a run with defaults that went into anything but steps: evaluations, logs, checkpoints."""
    import gargalo
    from gargalo import fitting
    from gargalo.verbs import train as orchestration

    inside, plain = [0.0], fitting.steps

    def timed(*arguments: Any) -> Iterator[Any]:
        stream = plain(*arguments)
        while True:
            begin = time.perf_counter()
            step = next(stream, None)
            inside[0] += time.perf_counter() - begin
            if step is None:
                return
            yield step

    whole = [0.0]
    go = orchestration._Job.go  # pyright: ignore[reportPrivateUsage]

    def timed_go(*arguments: Any) -> None:
        inside[0], begin = 0.0, time.perf_counter()
        go(*arguments)
        whole[0] = time.perf_counter() - begin

    fitting.steps = timed  # type: ignore[assignment]
    orchestration._Job.go = timed_go  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]
    with tempfile.TemporaryDirectory() as folder:
        gargalo.train("vae", data, folder, time=seconds)
    return {"percent": 100 * (1 - inside[0] / whole[0]), "seconds": whole[0]}


def in_a_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed.scale", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def by_count() -> Iterator[Row]:
    first: float | None = None
    for count in COUNTS:
        file = pictures(FOLDER / "scale.npy", count, 32)
        found = in_a_process("epoch", file, count, 256)
        file.unlink()
        each = found["seconds"] / count * 1e6
        first = each if count <= LEAST else first
        what = f"{count:,} color pictures of 32x32"
        yield Row(f"size-count-{count:07d}", f"{what}: an epoch", found["seconds"], None, "s")
        yield Row(f"size-count-{count:07d}-each", f"{what}: a picture, against one of 10,000", each, first, "us")
        yield Row(f"size-count-{count:07d}-before", f"{what}: before the first step", found["before"], None, "s")
        yield Row(f"size-count-{count:07d}-memory", f"{what}: peak memory", found["peak_mib"], 1536, "MiB")


def by_side() -> Iterator[Row]:
    for side in SIDES:
        batch = max(4, min(128, 128 * 64**2 // side**2))
        file = pictures(FOLDER / "scale.npy", max(320, 10 * batch), side)
        found = in_a_process("epoch", file, LEAST, batch)
        file.unlink()
        what = f"color pictures of {side}x{side}, batches of {batch}"
        yield Row(f"size-side-{side:03d}", f"{what}: speed", batch / found["step"], None, "images/s")
        pixels = batch * side**2 / found["step"] / 1e6
        yield Row(f"size-side-{side:03d}-pixels", f"{what}: speed", pixels, None, "megapixels/s")
        yield Row(f"size-side-{side:03d}-memory", f"{what}: peak memory", found["peak_mib"], None, "MiB")


def all_overheads() -> Iterator[Row]:
    for data, seconds in (("digits", 20), ("mnist", 60)):
        found = in_a_process("overhead", data, seconds)
        what = f"vae on {data} with defaults for {seconds} s: what is not steps, against the limit"
        yield Row(f"overhead-{data}", what, found["percent"], 3.0, "%")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in (all_overheads, by_side, by_count):
        for row in part():
            write("speed", [row])
            print(f"{row.id:28} {row.ours:12.3f} {row.unit}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["epoch"]:
        print(json.dumps(epoch(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    elif sys.argv[1:2] == ["overhead"]:
        print(json.dumps(overhead(sys.argv[2], float(sys.argv[3]))))
    else:
        main()
