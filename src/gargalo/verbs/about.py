"""Verbs that tell: evaluate, compare, show, available, doctor."""

from __future__ import annotations

import importlib.util
import os
import platform
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from gargalo import methods, registry
from gargalo._version import __version__
from gargalo.acceleration import pick_device, uses_bfloat16
from gargalo.checkpoint import TrainedModel
from gargalo.data.source import Part, Source
from gargalo.errors import DataError
from gargalo.evaluation import noise
from gargalo.evaluation import probe as features
from gargalo.evaluation.measure import MAX_ROWS, measure
from gargalo.evaluation.normality import domain
from gargalo.verbs._arrays import open_for

COMPARED = 1_000  # rows of each data set
OPTIONAL = ("tensorboard", "pyarrow")
LISTS = {
    "methods": registry.method,
    "data": registry.source,
    "networks": registry.network,
    "likelihoods": registry.likelihood,
    "corruptions": registry.corruption,
    "augmentations": registry.augmentation,
    "priors": registry.prior,
}
__all__ = ["methods"]  # imported so that the names are registered


def evaluate(
    model: TrainedModel,
    data: str | None = None,
    *,
    split: Part = "test",
    samples: int = 50,
    limit: int | None = None,
    probe: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Held-out figures with PCA at the same code size, the mean and the floor beside them.

    ``data`` is the training data's name unless given; ``samples`` is the K of the importance-weighted NLL;
    ``limit`` is the most rows that are looked at, 10,000 unless given.
    Keys: data, split, n, mse, accuracy, bce, psnr, ssim, edges, lost (see `gargalo.evaluation.measure.compare`), elbo,
    nll, kl, active_units, baselines; None where one does not apply; of models with a code book also num_codes,
    perplexity and used, the share of the codes in use. ``verdict`` says in words how the model does beside PCA, and
    ``note`` that the figures mean something else than usual, or None.
    Of melodies and drum parts ``music`` has what is right of them, see `gargalo.evaluation.music.figures`.
    Of other data than the model was trained on, ``domain`` says whether it knows such, see
    `gargalo.evaluation.normality.domain`. With ``probe``, labels ask how good features the codes are: ``probe`` has
    for code, pca and pixels the shares that neighbors and a linear probe get right, ``map`` what codes on a plane are
    worth, see `gargalo.evaluation.planes.judge`, or None for a handful.
    """
    if samples < 1 or (limit is not None and limit < 1):
        raise ValueError(f"samples={samples} and limit={limit} must be at least 1.")
    model = model.on_cpu
    source = open_for(model, data or model.config["data"])
    result = measure(model, source, split, samples=samples, limit=limit, seed=seed)
    if probe:
        result["probe"] = features.probe(model, source, split, limit=limit or MAX_ROWS, seed=seed)
        result["map"] = features.mapped(model, source, split, limit=limit or MAX_ROWS, seed=seed)
    if data is not None and data != model.config["data"]:
        found = _domain(model, source, split, limit or MAX_ROWS)
        result |= {} if found is None else {"domain": found}
    return result | {"verdict": verdict(result), "note": noise.note(model.objective, source, model.corruption)}


def compare(models: Sequence[TrainedModel], data: Sequence[str], *, split: Part = "test") -> list[dict[str, Any]]:
    """Every model on every data set, each pair a dictionary: how well it reconstructs, and whether it knows such data.

    Keys: run, data, n, mse, pca_mse (of as many components, fitted to these data), of tokens accuracy and pca_accuracy,
    auroc and outside (see `gargalo.evaluation.normality.domain`; None where the training data are gone).
    """
    return [_pair(model, name, split) for model in models for name in data]


def _pair(model: TrainedModel, name: str, split: Part) -> dict[str, Any]:
    model = model.on_cpu
    source = open_for(model, name)
    found = measure(model, source, split, samples=1, limit=COMPARED, seed=0)
    pca = found["baselines"]["pca"]
    row = {"run": str(model.path), "data": name, "n": found["n"]}
    for key in ("accuracy",) if model.spec.is_tokens else ("mse",):
        row |= {key: found[key], f"pca_{key}": None if pca is None else pca[key]}
    return row | (_domain(model, source, split, COMPARED) or {"auroc": None, "outside": None})


def _domain(model: TrainedModel, source: Source, split: Part, limit: int) -> dict[str, float] | None:
    try:
        return domain(model, source, split, limit)
    except DataError as error:  # weights that ship come without the data
        warnings.warn(f"Whether {model.path or 'the model'} knows {source.name} is not said: {error}", stacklevel=3)
        return None


def verdict(result: dict[str, Any]) -> str:
    """Plain words: does the model earn its keep?"""
    if result["active_units"] == 0:
        return (
            "This model is BROKEN: no number of its code tells one input from another (posterior collapse). "
            "Train again with the KL warmed up, a lower rate or a smaller network."
        )
    table = result["baselines"]
    rival = next((name for name in ("linear", "input") if table.get(name)), "pca")
    other = table.get(rival)
    if other is None:
        return "There is no baseline to compare with: the code has more numbers than PCA could have components."
    name = {"pca": "PCA at the same code size", "linear": "a linear map fitted in seconds", "input": "its own input"}[
        rival
    ]
    what, mine, theirs = "squared error", result["mse"], other["mse"]
    played = result.get("music", {}).get("played")
    if played and rival == "linear":  # it is given the hits, and only asked how they are played
        name, what = "straight playing", "error in timing"
        mine, theirs = (played[who]["timing"] for who in ("model", "straight"))
    elif mine is None:
        what, mine, theirs = "share of wrong tokens", 1 - result["accuracy"], 1 - other["accuracy"]
    ratio = mine / max(theirs, 1e-12)
    if ratio >= 1:
        return (
            f"This model LOSES to {name}: its {what} is {ratio:.2f} times as large. Train longer, or look for a fault."
        )
    return f"Better than {name}: {ratio:.2f} of its {what}."


def show(model: TrainedModel) -> dict[str, Any]:
    """What a model is: method, arguments, data, settings, size, how far it was trained."""
    parameters = sum(p.numel() for p in model.net.parameters())
    keys = (
        "method",
        "arguments",
        "data",
        "corruption",
        "augment",
        "spec",
        "settings",
        "plan",
        "environment",
        "progress",
    )
    return {key: model.config[key] for key in keys} | {"prior": model.config.get("prior"), "parameters": parameters}


def available(kind: str) -> dict[str, str]:
    """Names of a kind with one line each; kinds are methods, data, networks, likelihoods, corruptions,
    augmentations, priors.
    """
    if kind not in LISTS:
        raise ValueError(f"There is no list of {kind!r}. There are: {', '.join(LISTS)}.")
    return {name: LISTS[kind].summary(name) for name in LISTS[kind]}


def doctor() -> dict[str, Any]:
    """What this machine offers."""
    return {
        "gargalo": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(pick_device("auto")),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": uses_bfloat16(pick_device("auto"), "auto"),
        "GARGALO_DATA": os.environ.get("GARGALO_DATA"),
        "optional": {name: importlib.util.find_spec(name) is not None for name in OPTIONAL},
    }
