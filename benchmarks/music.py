"""Melodies: ``python -m benchmarks.music [PART ...] --folder MUSIC [--minutes 25] [--epochs N] [--kept]``.

Parts are those of `PARTS`. MUSIC holds the folders nottingham, folk_abc and pop909_first60, of files of music or .zip
files of them. Models are trained on tunes of the first two that are in two or four quarters, one thread each, and asked
about tunes of which they have seen no variant. ``--kept`` asks the runs of an earlier call. Writes music.json.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import gargalo
from benchmarks.grams import NGrams, overlap
from benchmarks.results import Row, write
from benchmarks.round_trip import round_trip
from gargalo.data import music_form, open_source, selected
from gargalo.data.music.analysis import scale_of
from gargalo.data.music.attributes import ATTRIBUTES
from gargalo.data.music.sources import songs_in_windows
from gargalo.data.music.vocabulary import CHORDS, FIRST, LOWEST, QUALITIES, melody_notes
from gargalo.data.source import some
from gargalo.evaluation.music import nearest, score
from gargalo.training import seeded
from gargalo.verbs import following
from gargalo.verbs.sliders import sliders
from gargalo.verbs.songs import line, next_windows, played

FOLDER = Path("runs/benchmarks/music")
SAMPLES, PAIRS, STEPS, SLID = 1_000, 200, 9, 100
SPAN = 2.0  # deviations, each way
LONG = 16  # bars
Windows = np.ndarray


class Bench:
    """The data, the runs and their budget."""

    def __init__(self, folder: Path, minutes: float, epochs: float | None, kept: bool) -> None:
        self.folder, self.minutes, self.epochs, self.kept = folder, minutes, epochs, kept
        self.data = f"melodies:path={folder / 'nottingham'}+{folder / 'folk_abc'},metres=fitting"

    @cached_property
    def source(self) -> Any:
        return open_source(self.data)

    def windows(self, part: Any, count: int | None = None) -> Windows:
        rows = self.source.indices(part)
        rows = rows if count is None else rows[:: max(1, len(rows) // count)][:count]
        return self.source.gather(rows).target.numpy().astype(np.uint8)

    def in_keys(self, count: int) -> tuple[Windows, np.ndarray]:
        """Some test windows, and for each the root of the major scale that its tune is in."""
        rows, every = self.source.indices("test"), self.windows("test")
        tunes = np.array([self.source.names[row].rpartition(", bar ")[0] for row in rows.tolist()])
        chosen = np.arange(len(rows))[:: max(1, len(rows) // count)][:count]
        roots = {tune: root_of(every[tunes == tune]) for tune in set(tunes[chosen])}
        return every[chosen], np.array([roots[tune] for tune in tunes[chosen]])

    @cached_property
    def grams(self) -> NGrams:
        return NGrams(self.windows("train"))

    def cost(self, windows: Windows) -> float:
        """Nats a step."""
        return float(self.grams.cost(windows).mean())

    def run(self, preset: str) -> gargalo.TrainedModel:
        """Trained, or kept from this or an earlier call."""
        return self.trained(preset, self.data, preset=preset)

    def trained(self, name: str, data: str, method: str = "music", **options: Any) -> gargalo.TrainedModel:
        run, done = FOLDER / name, self.__dict__.setdefault("done", set())
        if not self.kept and name not in done:
            shutil.rmtree(run, ignore_errors=True)
        if not (run / "checkpoints").is_dir():
            budget = {"time": 60 * self.minutes} if self.epochs is None else {"epochs": self.epochs}
            gargalo.train(method, data, run, **options, **budget)
        done.add(name)
        return gargalo.load(run)


def preset(name: str) -> Callable[[Bench], list[Row]]:
    """What comes out for tunes that were held out, beside always holding and the nearest copy."""

    def part(bench: Bench) -> list[Row]:
        model = bench.run(name)
        found = gargalo.evaluate(model, samples=1)["music"]
        greedy, drawn, still, copied = (found[key] for key in ("greedy", "sampled", "still", "copied"))
        what = f"2 bars of melody, preset {name}"
        return [
            Row(f"{name}/steps", f"{what}: steps right, against always holding",
                greedy["steps"], still["steps"], "share"),
            Row(f"{name}/steps copied", f"{what}: the same, against the nearest training window",
                greedy["steps"], copied["steps"], "share"),
            Row(f"{name}/drawn", f"{what}: steps right, drawn at temperature 1", drawn["steps"], None, "share"),
            Row(f"{name}/notes", f"{what}: notes right, against the nearest training window",
                greedy["notes"], copied["notes"], "F1"),
            Row(f"{name}/windows", f"{what}: windows without a fault", greedy["windows"], copied["windows"], "share"),
            Row(f"{name}/bits", f"{what}: KL to N(0, I)", found["kl_bits"], None, "bits"),
        ]  # fmt: skip

    return part


def pop909(bench: Bench) -> list[Row]:
    """Popular songs, of which nothing was seen in training."""
    data = f"melodies:path={bench.folder / 'pop909_first60'},metres=fitting"
    found = gargalo.evaluate(bench.run("reconstruct"), data, split="all", samples=1)["music"]
    source = open_source(data)
    given = source.gather(some(source.indices("all"), SAMPLES)).target
    copied = score(nearest(given, torch.from_numpy(bench.windows("train"))), given)
    what = "POP909 melodies, trained on Nottingham and folk tunes"
    return [
        Row("pop909/steps", f"{what}: steps right, against always holding",
            found["greedy"]["steps"], found["still"]["steps"], "share"),
        Row("pop909/steps copied", f"{what}: the same, against the nearest window of these tunes",
            found["greedy"]["steps"], copied["steps"], "share"),
        Row("pop909/notes", f"{what}: notes right, against the nearest window of these tunes",
            found["greedy"]["notes"], copied["notes"], "F1"),
    ]  # fmt: skip


def classic(bench: Bench) -> list[Row]:
    """The recurrent model with its published recipe, beside the presets of the other in the same time."""
    found = gargalo.evaluate(bench.trained("classic", bench.data, "music_classic"), samples=1)["music"]
    theirs = gargalo.evaluate(bench.run("reconstruct"), samples=1)["music"]
    what = f"2 bars of melody, {bench.minutes:g} minutes: preset reconstruct, against music_classic"
    return [
        Row("classic/steps", f"{what}: steps right", theirs["greedy"]["steps"], found["greedy"]["steps"], "share"),
        Row("classic/drawn", f"{what}: steps right, drawn at temperature 1",
            theirs["sampled"]["steps"], found["sampled"]["steps"], "share"),
        Row("classic/notes", f"{what}: notes right", theirs["greedy"]["notes"], found["greedy"]["notes"], "F1"),
        Row("classic/windows", f"{what}: windows without a fault",
            theirs["greedy"]["windows"], found["greedy"]["windows"], "share"),
        Row("classic/bits", f"{what}: KL to N(0, I)", theirs["kl_bits"], found["kl_bits"], "bits"),
    ]  # fmt: skip


def long(bench: Bench) -> list[Row]:
    """16 bars at once: windows coded one by one, then changed by one another, beside one mixer of all steps."""
    found, data = {}, f"{bench.data},bars={LONG}"
    options = {"latent_dim": 512, "batch_size": 64}  # rows are eight times as long as others
    for network in ("phrases", "mixer"):
        model = bench.trained(f"long-{network}", data, network=network, **options)
        found[network] = gargalo.evaluate(model, samples=1)["music"]
    ours, flat = (found[network]["greedy"] for network in found)
    what = f"{LONG} bars of melody on two levels"
    return [
        Row("long/steps", f"{what}: steps right, against one level", ours["steps"], flat["steps"], "share"),
        Row("long/steps still", f"{what}: steps right, against always holding",
            ours["steps"], found["phrases"]["still"]["steps"], "share"),
        Row("long/steps copied", f"{what}: steps right, against the nearest training window",
            ours["steps"], found["phrases"]["copied"]["steps"], "share"),
        Row("long/notes", f"{what}: notes right, against one level", ours["notes"], flat["notes"], "F1"),
        Row("long/drawn", f"{what}: steps right, drawn at temperature 1, against one level",
            found["phrases"]["sampled"]["steps"], found["mixer"]["sampled"]["steps"], "share"),
        Row("long/bits", f"{what}: KL to N(0, I), against one level",
            found["phrases"]["kl_bits"], found["mixer"]["kl_bits"], "bits"),
    ]  # fmt: skip


def samples(bench: Bench) -> list[Row]:
    """New windows beside held-out ones, by what both share with the training windows."""
    model = bench.run("generate")
    made = gargalo.sample(model, SAMPLES).astype(np.uint8)
    real, known = bench.windows("test"), bench.windows("train")
    copies = {row.tobytes() for row in known}
    rows = [
        Row("samples/copied", f"{SAMPLES:,} samples: copies of training windows",
            float(np.mean([row.tobytes() in copies for row in made])), None, "share"),
        Row("samples/empty", "samples: empty ones", float((~np.any(made >= FIRST, axis=1)).mean()), None, "share"),
        Row("samples/cost", "samples: cost under a 5-gram model of the training windows, against held-out ones",
            bench.cost(made), bench.cost(real), "nats a step"),
    ]  # fmt: skip
    for name, count in (("pitch class", pitch_classes), ("interval", intervals), ("duration", durations)):
        what = f"samples: {name}s as in held-out windows, against those of training windows"
        wanted = count(real)
        rows.append(
            Row(f"samples/{name}", what, overlap(count(made), wanted), overlap(count(known), wanted), "overlap")
        )
    return rows


def root_of(windows: Windows) -> int:
    notes = np.concatenate([melody_notes(window) for window in windows])
    return scale_of(np.stack([notes[:, 0], notes[:, 1] - notes[:, 0], notes[:, 2], notes[:, 2]], 1))


def pitch_classes(windows: Windows) -> np.ndarray:
    return np.bincount((windows[windows >= FIRST].astype(int) - FIRST) % 12, minlength=12)


def intervals(windows: Windows) -> np.ndarray:
    steps = [np.diff(melody_notes(row)[:, 2]) for row in windows]
    return np.bincount(np.concatenate(steps).clip(-24, 24) + 24, minlength=49)


def durations(windows: Windows) -> np.ndarray:
    lengths = [melody_notes(row)[:, 1] - melody_notes(row)[:, 0] for row in windows]
    return np.bincount(np.concatenate(lengths), minlength=windows.shape[1] + 1)


def chords(bench: Bench) -> list[Row]:
    """Whether melodies that are drawn under chords keep to them, as real ones do."""
    data = f"melodies:path={bench.folder / 'nottingham'},metres=fitting,chords=true"
    model, source = bench.trained("chords", data, preset="generate"), open_source(data)
    example = source.gather(source.indices("test")[:SAMPLES])
    assert example.condition is not None
    told, real = example.condition.numpy(), example.target.numpy()
    with torch.no_grad(), seeded(0):
        codes = model.net.prior.sample(len(told))  # type: ignore[operator]
    made = gargalo.decode(model, codes, labels=told)
    what = f"{len(told):,} melodies drawn under the chords of held-out tunes: notes that are tones of their chord"
    return [
        Row("chords/inside", f"{what}, against those of these tunes", inside(made, told), inside(real, told), "share"),
        Row("chords/other", f"{what}, against the same under the chords of another tune",
            inside(made, told), inside(made, np.roll(told, len(told) // 2, 0)), "share"),
    ]  # fmt: skip


def inside(windows: np.ndarray, told: np.ndarray) -> float:
    """Of the notes that begin while a chord is known, the share that belong to it."""
    tones = np.zeros((CHORDS, 12), bool)
    for number in range(1, CHORDS):
        root, quality = divmod(number - 1, len(QUALITIES))
        tones[number, (np.array(list(QUALITIES.values())[quality]) + root) % 12] = True
    chord = np.repeat(told, windows.shape[1] // told.shape[1], 1)
    begins = (windows >= FIRST) & (chord > 0)
    return float(tones[chord[begins], (windows[begins].astype(int) - FIRST + LOWEST) % 12].mean())


def bands(bench: Bench) -> list[Row]:
    """Melody, chords and bass at once."""
    model = bench.trained("bands", f"bands:path={bench.folder / 'nottingham'},metres=fitting")
    found = gargalo.evaluate(model, samples=1)["music"]
    greedy, still, copied = (found[key] for key in ("greedy", "still", "copied"))
    what = "2 bars of melody, chords and bass"
    return [
        Row("bands/steps", f"{what}: steps at which all are right, against always holding",
            greedy["steps"], still["steps"], "share"),
        Row("bands/steps copied", f"{what}: the same, against the nearest training window",
            greedy["steps"], copied["steps"], "share"),
        Row("bands/notes", f"{what}: notes right, against the nearest training window",
            greedy["notes"], copied["notes"], "F1"),
    ]  # fmt: skip


def interpolation(bench: Bench) -> list[Row]:
    """Ways between pairs of held-out windows."""
    model, rng = bench.run("generate"), np.random.default_rng(0)
    ends = bench.windows("test")
    ends = ends[rng.choice(len(ends), 2 * PAIRS, replace=False)]
    codes = torch.from_numpy(gargalo.embed(model, ends))
    ways = line(codes[:PAIRS], codes[PAIRS:], STEPS)  # [steps, pairs, D]
    found = played(model, ways.flatten(0, 1).numpy()).reshape(STEPS, PAIRS, -1)
    back = gargalo.reconstruct(model, ends).astype(np.uint8).reshape(2, PAIRS, -1)
    away = np.stack([(found != found[0]).mean(2), -(found != found[-1]).mean(2)])  # [2, steps, pairs]
    at = np.arange(STEPS, dtype=float)
    orders = [spearmanr(at, side[:, pair])[0] for side in away for pair in range(PAIRS) if side[:, pair].std()]
    middle = found[STEPS // 2]
    faded = np.where(rng.random(middle.shape) < 0.5, back[0], back[1])
    return [
        Row("interpolation/ends", f"{PAIRS} ways between held-out windows: ends that are the reconstructions",
            float((found[[0, -1]] == back).all(2).mean()), None, "share"),
        Row("interpolation/order", "ways: distance from either end grows from step to step",
            float(np.mean(orders)), None, "Spearman"),
        Row("interpolation/cost", "ways: 5-gram cost of the middle, against steps of either end mixed by chance",
            bench.cost(middle), bench.cost(faded), "nats a step"),
        Row("interpolation/cost of ends", "ways: 5-gram cost of the middle, against that of the ends",
            bench.cost(middle), bench.cost(back.reshape(2 * PAIRS, -1)), "nats a step"),
    ]  # fmt: skip


def attributes(bench: Bench) -> list[Row]:
    """Sliders on held-out windows: whether they move what they are for, and leave the rest."""
    model, rows = bench.run("generate"), []
    windows, roots = bench.in_keys(SLID)
    codes, amounts = gargalo.embed(model, windows), np.linspace(-SPAN, SPAN, STEPS).round(9)
    for number, name in enumerate(ATTRIBUTES):
        heard = np.zeros((STEPS, len(windows), len(ATTRIBUTES)))
        for root in np.unique(roots):
            found, some = sliders(model, int(root)), roots == root
            ways = found.moved(codes[some], number, amounts.tolist())
            heard[:, some] = [found.heard(moved) for moved in ways]
        own, moved = heard[:, :, number], amounts != 0
        change = np.delete(np.abs(heard - heard[STEPS // 2])[moved].mean((0, 1)), number)
        orders = [spearmanr(amounts, own[:, n])[0] if own[:, n].std() else 0.0 for n in range(len(windows))]
        rows += [
            Row(f"attributes/{name}", f"slider {name}, {SPAN:g} deviations each way: the mean over windows rises",
                float(spearmanr(amounts, own.mean(1))[0]), None, "Spearman"),
            Row(f"attributes/{name} of each", f"slider {name}: the mean of single windows'",
                float(np.mean(orders)), None, "Spearman"),
            Row(f"attributes/{name} others", f"slider {name}: change of another attribute, on average",
                float(change.mean()), None, "deviations"),
            Row(f"attributes/{name} worst", f"slider {name}: of the one that changes most",
                float(change.max()), None, "deviations"),
        ]  # fmt: skip
    return rows


def going_on(bench: Bench) -> list[Row]:
    """Windows drawn to follow held-out ones, beside draws from the prior that know nothing of them."""
    model, text = bench.run("generate"), bench.data
    names = {bench.source.names[row].rpartition(", bar ")[0] for row in bench.source.indices("test").tolist()}
    form = music_form(text, model.spec)
    songs = songs_in_windows(selected(text)[1]["path"], names, model.spec.shape, form)
    runs = [run for run, _ in songs if len(run) > 1]
    first, then = (np.concatenate([run[side] for run in runs])[:SAMPLES] for side in (slice(0, -1), slice(1, None)))
    step, rng = following.following(model), np.random.default_rng(0)
    scales = [root_of(window[None]) for window in first]
    _, made = next_windows(model, step, gargalo.embed(model, first), scales, rng)
    chance = gargalo.sample(model, len(first)).astype(np.uint8)

    def alike(windows: Windows) -> float:
        pairs = zip(first, windows, strict=True)
        return float(np.mean([overlap(pitch_classes(a[None]), pitch_classes(b[None])) for a, b in pairs]))

    def cost(windows: Windows) -> float:
        return float(bench.grams.cost(np.concatenate([first, windows], 1))[:, first.shape[1] :].mean())

    whats = (
        "windows drawn to follow held-out ones: pitch classes shared with these",
        "the same: 5-gram cost after these",
    )
    units = "overlap", "nats a step"
    table = [(name, alike(w), cost(w)) for name, w in (("real ones", then), ("draws from the prior", chance))]
    return [
        Row(f"continue/{unit} {name}", f"{what}, against {name}", ours, other, unit)
        for name, *others in table
        for what, ours, other, unit in zip(whats, (alike(made), cost(made)), others, units, strict=True)
    ]  # fmt: skip


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "reconstruct": preset("reconstruct"),
    "generate": preset("generate"),
    "pop909": pop909,
    "classic": classic,
    "long": long,
    "samples": samples,
    "chords": chords,
    "bands": bands,
    "interpolation": interpolation,
    "attributes": attributes,
    "continue": going_on,
    "round-trip": lambda bench: round_trip(bench.run("reconstruct"), bench.folder),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--folder", type=Path, required=True, help="of nottingham, folk_abc and pop909_first60")
    parser.add_argument("--minutes", type=float, default=25.0, help="of each training")
    parser.add_argument("--epochs", type=float, help="in their place")
    parser.add_argument("--kept", action="store_true", help="take the runs of an earlier call")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(options.folder, options.minutes, options.epochs, options.kept)
    for part in options.parts or PARTS:
        rows = PARTS[part](bench)
        write("music", rows)
        for row in rows:
            print(f"{row.id:32} {row.ours:9.4f} {math.nan if row.other is None else row.other:9.4f}", flush=True)


if __name__ == "__main__":
    main()
