"""Nets that repair, trained as papers train theirs: ``python -m benchmarks.repairs [PART ...] [--minutes 60]``.

Parts are gray, gray-large, color, x2, x3 and x4, learned from BSDS and measured as `benchmarks.restoration` measures;
blind, one net for all noise beside one for a known level; neighbors, a denoiser that sees noisy flowers alone beside
one that sees clean ones too; and large, what a picture of 24 megapixels takes. Weights learned from BSDS are for such
tables alone: its pictures may not be used otherwise. Writes restoration.json; pictures lie in $GARGALO_DATA.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import gargalo
from benchmarks.restoration import DATA, WORK, cleaned, held_out, measure, others, trained
from benchmarks.results import Row, write
from gargalo.data import read_image
from gargalo.evaluation import restoration

SIGMA = 25
LARGE = 6_000, 4_000


def denoiser(minutes: float, name: str, channels: int, size: str = "base") -> None:
    """One net for noise of 0 to 55, told how much there is in half of all steps: measured told, and untold."""
    data = f"patches:path={DATA / 'bsds-train'},channels={channels}"
    trained(f"bsds-{name}", "denoiser", data, minutes, "auto", size=size)
    measure(str(WORK / f"bsds-{name}"))


def blind(minutes: float) -> None:
    """A net for noise of 0 to 55 that is not told how much there is, beside one that has learned nothing but 25."""
    data = f"patches:path={DATA / 'bsds-train'},channels=1"
    found = {}
    for name, rule in (("bsds-blind", "auto"), ("bsds-known", f"noise:std={SIGMA / 255:.4f}")):
        model = trained(name, "denoiser", data, minutes, rule)
        found[name] = cleaned(held_out("set12"), SIGMA, lambda x, m=model: gargalo.denoise(m, x))["psnr"]
    what = f"Set12, sigma {SIGMA}, {minutes:g} minutes: one net for 0 to 55, not told, against one for {SIGMA} alone"
    write("restoration", [Row("blind", what, found["bsds-blind"], found["bsds-known"], "dB")])
    print(what, found, flush=True)


def enlarge(minutes: float, scale: int) -> None:
    """One net for brightness, which is all that papers' tables look at; it sees 48 pixels of the small picture."""
    data = f"patches:path={DATA / 'bsds-train'},channels=1,size={48 * scale}"
    trained(f"bsds-x{scale}", "upscaler", data, minutes, f"downscale:factor={scale}")
    measure(str(WORK / f"bsds-x{scale}"))


def neighbors(minutes: float) -> None:
    """Noise is drawn once and kept in files of 8 bits, as a camera would; the other net draws it anew at every look."""
    clean = others("flowers")
    seen = {
        "supervised": trained("flowers-clean", "denoiser", clean, minutes, f"noise:std={SIGMA / 255:.4f},clip=true"),
        "noisy alone": trained_alone(noisy_files(Path(clean)), minutes),
    }
    found: dict[str, list[float]] = {who: [] for who in seen}
    for number, file in enumerate(held_out("flowers")):
        target = torch.from_numpy(read_image(file)).permute(2, 0, 1)[None] / 255
        given = as_file(restoration.noisy(target, SIGMA, seed=number))
        for who, model in seen.items():
            output = torch.from_numpy(gargalo.denoise(model, given)).permute(2, 0, 1)[None] / 255
            found[who].append(restoration.figures(output, target)["psnr"])
    ours, other = (float(np.mean(found[who])) for who in ("noisy alone", "supervised"))
    what = f"flowers, sigma {SIGMA} in 8 bits, {minutes:g} minutes: from noisy pictures alone, against from clean ones"
    write("restoration", [Row("neighbors", what, ours, other, "dB")])
    print(f"{what}: {ours:.2f} {other:.2f}", flush=True)


def trained_alone(data: str, minutes: float) -> gargalo.TrainedModel:
    run = WORK / "flowers-noisy"
    shutil.rmtree(run, ignore_errors=True)
    return gargalo.train("denoiser", data, run, self_supervised=True, corruption="none", time=60 * minutes)


def noisy_files(clean: Path) -> str:
    folder = WORK / "flowers-noisy-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, file in enumerate(sorted(clean.iterdir())):
        target = torch.from_numpy(read_image(file)).permute(2, 0, 1)[None] / 255
        given = as_file(restoration.noisy(target, SIGMA, seed=1_000 + number))
        Image.fromarray(given).save(folder / f"{file.stem}.png")
    return str(folder)


def as_file(noisy: torch.Tensor) -> np.ndarray:
    """uint8 ``[H, W, C]`` of ``[1, C, H, W]`` around [0, 1]."""
    return (noisy[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()


def large(minutes: float) -> None:
    """Commands as a user gives them, from JPEG to JPEG, in processes of their own."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize(LARGE, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 15, (LARGE[1], LARGE[0], 3))
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(f"{folder}/in.jpg", quality=95)
        for verb, options, megapixels in (("denoise", (), 24), ("upscale", ("--scale", "2"), 96)):
            command = [
                sys.executable,
                "-m",
                "gargalo",
                verb,
                f"{folder}/in.jpg",
                *options,
                "-o",
                f"{folder}/{verb}.jpg",
            ]
            kilobytes, seconds = spent(command)
            what = f"gargalo {verb} of a color JPEG of 24 megapixels"
            memory = Row(f"large-{verb}-memory", f"{what}: peak, against 1.5 GiB", kilobytes / 1024, 1536, "MiB")
            rate = Row(
                f"large-{verb}-seconds", f"{what}: each of those that come out", seconds / megapixels, None, "s/MP"
            )
            write("restoration", [memory, rate])
            print(f"{what}: {kilobytes / 1024:.0f} MiB, {seconds / megapixels:.2f} s/MP", flush=True)


# A child inherits the peak of who starts it, so that one that has used little stands between.
LAUNCHER = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""


def spent(command: list[str]) -> tuple[int, float]:
    """Peak memory in KiB and seconds of a processor, as the system counts them for a child."""
    found = subprocess.run([sys.executable, "-c", LAUNCHER, *command], check=True, stdout=subprocess.PIPE)
    return tuple(json.loads(found.stdout))


PARTS = {
    "gray": partial(denoiser, name="gray", channels=1),
    "gray-large": partial(denoiser, name="gray-large", channels=1, size="large"),
    "color": partial(denoiser, name="color", channels=3),
    "blind": blind,
    **{f"x{scale}": partial(enlarge, scale=scale) for scale in (2, 3, 4)},
    "neighbors": neighbors,
    "large": large,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    for part in given.parts or PARTS:
        PARTS[part](given.minutes)


if __name__ == "__main__":
    main()
