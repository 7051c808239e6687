"""Denoising and super-resolution beside classical ways: ``python -m benchmarks.restoration [RUN ...]``.

Without a run the classical filters and interpolations are measured, which takes half an hour, most of it BM3D, and then
all weights that ship. A run, or the name of weights, is measured on what it was trained for, and stands beside what is
on file. ``--files`` measures filters and the weights that ship on noisy pictures of 8 bits, as files hold them, in one
go. ``--claim`` trains on one kind of picture and tests on another (see `claim`), ``--minutes`` each.

Writes restoration.json. All on one thread, in seconds of a processor. Pictures lie in $GARGALO_DATA: set12, set5,
flowers and portraits, of which a fifth is kept for tests (`held_out`). Noise is Gaussian, not clipped but in files,
and the same for all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gargalo
from benchmarks.results import FOLDER, Row, write
from gargalo import functional, weights
from gargalo.data import read_image
from gargalo.evaluation import restoration

DATA = Path(os.environ.get("GARGALO_DATA", "."))
WORK = Path("runs/benchmarks/restoration")
SIGMAS, SCALES = (15, 25, 50), (2, 3, 4)
SETS = {"set12": "Set12", "set5": "Set5", "flowers": "flowers", "portraits": "portraits"}
FEW = 4  # color pictures for filters: BM3D takes minutes for a million pixels
BEST = {"noise": "BM3D", "scale": "bicubic"}  # what a model stands beside
Restorer = Callable[[np.ndarray], np.ndarray]


def files(name: str) -> list[Path]:
    found = sorted(file for file in (DATA / name).rglob("*") if file.suffix in (".png", ".jpg"))
    if not found:
        raise SystemExit(f"{DATA / name} holds no pictures; set GARGALO_DATA.")
    return found


def held_out(name: str) -> list[Path]:
    """Pictures that nothing is trained on: all of a test set, every fifth flower, the last fifth of the portraits,
    where those of one person follow one another."""
    found = files(name)
    return found if name.startswith("set") else found[::5] if name == "flowers" else found[-len(found) // 5 :]


def noises() -> Iterator[tuple[str, list[Path], int]]:
    yield from (("set12", held_out("set12"), sigma) for sigma in SIGMAS)
    yield from ((name, held_out(name)[:FEW], 25) for name in ("flowers", "portraits"))


def reductions() -> Iterator[tuple[str, list[Path], int]]:
    yield from ((name, held_out(name), scale) for name in ("set5", "flowers", "portraits") for scale in SCALES)


def cleaned(pictures: list[Path], sigma: int, restore: Restorer, *, file: bool = False) -> dict[str, float]:
    """PSNR and SSIM, and seconds a million pixels, of ``[H, W, C]`` around [0, 1] restored; of uint8 as a ``file``."""
    table, seconds, pixels = [], 0.0, 0
    for number, picture in enumerate(pictures):
        target = torch.from_numpy(read_image(picture)).permute(2, 0, 1)[None] / 255
        noisy = restoration.noisy(target, sigma, seed=number)[0].permute(1, 2, 0).numpy()
        if file:
            noisy = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
        start = time.process_time()
        output = restore(noisy)
        seconds, pixels = seconds + time.process_time() - start, pixels + noisy[..., 0].size
        table.append(restoration.figures(_tensor(output), target))
    return _means(table) | {"seconds": seconds / pixels * 1e6}


def enlarged(pictures: list[Path], scale: int, restore: Restorer) -> dict[str, float]:
    """The same of reduced pictures uint8 ``[h, w, C]`` brought back to size, on Y; pixels are those that come out."""
    table, seconds, pixels = [], 0.0, 0
    for file in pictures:
        whole = torch.from_numpy(read_image(file)).permute(2, 0, 1)[None] / 255
        target, small = restoration.shrunk(whole, scale)
        given = (small[0] * 255).round().byte().permute(1, 2, 0).numpy()
        start = time.process_time()
        output = restore(given)
        seconds, pixels = seconds + time.process_time() - start, pixels + target[0, 0].numel()
        table.append(restoration.figures(_tensor(output / 255), target, border=scale, brightness=True))
    return _means(table) | {"seconds": seconds / pixels * 1e6}


def _tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]


def _means(table: list[dict[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in table) / len(table) for key in table[0]}


def rows(case: str, what: str, who: str, found: dict[str, float], beside: str | None = None) -> list[Row]:
    """One row a figure: in "other" where it is of others, in "ours", beside another's on file, where it is ours."""
    made = []
    for key, unit in {"psnr": "dB", "ssim": "", "seconds": "s/MP"}.items():
        name = f"{case}-{key}-{who.lower().replace(' ', '-')}"
        if beside is None:
            made.append(Row(name, f"{what}: {who}, {key}", None, found[key], unit))
        else:
            other = _on_file(f"{case}-{key}-{beside.lower()}")
            made.append(Row(name, f"{what}: {who}, {key}, against {beside}", found[key], other, unit))
    print(f"{what:24} {who:18} " + "  ".join(f"{key} {x:.4f}" for key, x in found.items()), flush=True)
    return made


def _on_file(name: str) -> float | None:
    file = FOLDER / "restoration.json"
    known = json.loads(file.read_text())["rows"] if file.exists() else []
    return next((row["other"] for row in known if row["id"] == name), None)


def classical() -> None:
    from benchmarks import rivals

    rivals.alone()
    for name, pictures, scale in reductions():
        for who in rivals.INTERPOLATIONS:
            found = enlarged(pictures, scale, lambda x, s=scale, w=who: rivals.interpolated(x, s, w))
            write("restoration", rows(f"{name}-x{scale}", f"{SETS[name]} x{scale}", who, found))
    for name, pictures, sigma in noises():
        for who, restore in rivals.FILTERS.items():
            found = cleaned(pictures, sigma, lambda x, f=restore, s=sigma: f(x, s / 255))
            write("restoration", rows(f"{name}-s{sigma}", f"{SETS[name]}, sigma {sigma}", who, found))


def as_files() -> None:
    """Noise of 25 in pictures of 8 bits, which a denoiser is quicker with; the filters are told how much it is."""
    from benchmarks import rivals

    rivals.alone()
    for name, weight in (("set12", "denoiser-gray"), ("portraits", "denoiser-color")):
        pictures, case, what = held_out(name), f"{name}-file", f"{SETS[name]}, sigma 25 in 8 bits"
        pictures = pictures if name == "set12" else pictures[:FEW]
        for who, restore in rivals.FILTERS.items():
            found = cleaned(pictures, 25, lambda x, f=restore: f(x / 255, 25 / 255), file=True)
            write("restoration", rows(case, what, who, found))
        model = gargalo.shipped(weight)
        for who, eight in ((weight, False), (f"{weight}, self-ensemble", True)):
            found = cleaned(pictures, 25, lambda x, m=model, e=eight: denoised(m, x, e), file=True)
            write("restoration", rows(case, what, who, found, "bm3d" if eight else "opencv-nlm"))


def denoised(model: gargalo.TrainedModel, pixels: np.ndarray, self_ensemble: bool) -> np.ndarray:
    return gargalo.denoise(model, pixels, self_ensemble=self_ensemble) / 255


def of_pictures() -> list[str]:
    """Weights that ship for pictures."""
    return [name for name in weights.names() if name.partition("-")[0] in weights.METHODS.values()]


def measure(name: str) -> None:
    """A model at all that it was trained for; a denoiser that can be told the noise, told and untold."""
    model = gargalo.shipped(name) if name in of_pictures() else gargalo.load(name)
    who, (channels, _, side) = Path(name).name, model.spec.shape
    scale = side // model.spec.input_shape[2]
    known = {"flowers": ", seen in training"} if name in of_pictures() else {}  # those were trained on all of them
    for data, pictures, times in reductions():
        if times == scale:
            found, what = enlarged(pictures, scale, lambda x: gargalo.upscale(model, x)), f"{SETS[data]} x{scale}"
            write("restoration", rows(f"{data}-x{scale}", what + known.get(data, ""), who, found, BEST["scale"]))
    for data, pictures, sigma in noises() if scale == 1 else ():
        if (data == "set12") != (channels == 1):
            continue
        told = [("", None)] if model.spec.input_shape[0] == channels else [("", None), (", told", float(sigma))]
        for how, level in told:
            found = cleaned(pictures, sigma, lambda x, level=level: gargalo.denoise(model, x, sigma=level))
            case, what = f"{data}-s{sigma}", f"{SETS[data]}, sigma {sigma}{known.get(data, '')}"
            write("restoration", rows(case, what, who + how, found, BEST["noise"]))


def trained(name: str, method: str, data: str, minutes: float, corruption: str, **options: Any) -> gargalo.TrainedModel:
    run = WORK / name
    shutil.rmtree(run, ignore_errors=True)
    return gargalo.train(method, data, run, corruption=corruption, time=60 * minutes, **options)


def others(name: str) -> str:
    """A folder of links to the pictures that are not held out."""
    folder, tested = WORK / f"{name}-pictures", set(held_out(name))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files(name):
        if file not in tested:
            (folder / f"{file.parent.name}-{file.name}").symlink_to(file.resolve())
    return str(folder)


def claim(minutes: float) -> None:
    """Whether a model serves only such data as it was trained on: x4 of flowers and of portraits, each on both, in
    decibels above bicubic; a denoiser of digits on clothes; and what an x4 model makes of nothing but noise."""
    kinds = ("flowers", "portraits")
    models = {kind: trained(f"x4-{kind}", "upscaler", others(kind), minutes, "downscale:factor=4") for kind in kinds}
    gains = {(a, b): gain(models[a], held_out(b)) for a in kinds for b in kinds}
    made = []
    for (learned, tested), decibels in gains.items():
        what = f"x4, {minutes:g} minutes on {learned}, tested on {tested}, against on {tested}: above bicubic"
        made.append(Row(f"claim-x4-{learned}-{tested}", what, decibels, gains[tested, tested], "dB"))
    write("restoration", made + digits_and_clothes(minutes) + [noise_enlarged(models["flowers"])])


def gain(model: gargalo.TrainedModel, pictures: list[Path]) -> float:
    """Decibels above bicubic interpolation, x4."""
    ours = enlarged(pictures, 4, lambda x: gargalo.upscale(model, x))
    bicubic = enlarged(pictures, 4, lambda x: _bicubic(x, 4))
    return ours["psnr"] - bicubic["psnr"]


def _bicubic(small: np.ndarray, scale: int) -> np.ndarray:
    size = scale * small.shape[0], scale * small.shape[1]
    return (restoration.resized(_tensor(small / 255), size)[0] * 255).round().byte().permute(1, 2, 0).numpy()


def digits_and_clothes(minutes: float) -> list[Row]:
    """The lesson's noise, N(.5, .3), cut to [0, 1]."""
    made, sets = [], ("mnist", "fashion-mnist")
    rule = "noise:mean=0.5,std=0.3"
    models = {name: trained(f"denoise-{name}", "autoencoder", name, minutes, rule) for name in sets}
    found = {(a, b): gargalo.evaluate(models[a], b, limit=2000) for a in sets for b in sets}
    for (learned, tested), figures in found.items():
        what = f"Noise N(.5, .3), {minutes:g} minutes on {learned}, tested on {tested}, against on {tested}: PSNR"
        made.append(Row(f"claim-noise-{learned}-{tested}", what, figures["psnr"], found[tested, tested]["psnr"], "dB"))
    return made


def noise_enlarged(model: gargalo.TrainedModel) -> Row:
    """Pictures that the noise holds would show as edges; bicubic interpolation makes none."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    ours, other = (
        float(functional.edge_energy(_tensor(large / 255)).sum() / 1e3)
        for large in (gargalo.upscale(model, noise), _bicubic(noise, 4))
    )
    return Row("claim-x4-noise", "x4 of flowers given noise, against bicubic: energy of edges", ours, other, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--claim", action="store_true")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    if given.claim:
        claim(given.minutes)
        return
    torch.set_num_threads(1)
    if given.files:
        as_files()
        return
    if not given.runs:
        classical()
    for run in given.runs or of_pictures():
        measure(run)


if __name__ == "__main__":
    main()
