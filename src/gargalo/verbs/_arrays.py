"""What the verbs share: arrays checked on the way in, batches of one size, arrays on the way out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gargalo.checkpoint import TrainedModel
from gargalo.data import open_like
from gargalo.data.batches import derive
from gargalo.data.source import Source
from gargalo.errors import DataError
from gargalo.registry import corruption

SIZES = 1, 16, 256  # of a batch
NAMED = 5  # of what is left out, or not known


def model_values(model: TrainedModel, data: Any, *, corrupted: bool = False) -> Tensor:
    """Raw uint8 (or the own numbers of a table or sequence), or floats in [0, 1] for pictures, to what the model was
    trained on.

    A missing channel axis is added for grey pictures and series of one channel. ValueError where the shape is another,
    a number is not finite, or a token unknown. With ``corrupted``, ``[N, *input_shape]`` is expected, otherwise
    ``[N, *shape]``.
    """
    spec = model.spec
    shape = spec.input_shape if corrupted else spec.shape
    values = data.cpu() if isinstance(data, Tensor) else torch.from_numpy(np.require(data, requirements=["C", "W"]))
    if spec.kind == "image" and values.dim() == 3 and shape[0] == 1:
        values = values[:, None]
    if spec.kind == "sequence" and values.dim() == 2 and shape[1:] == (1,):
        values = values[..., None]
    if tuple(values.shape[1:]) != shape or not len(values):
        raise ValueError(
            f"Got an array of shape {tuple(values.shape)}; this model takes (N, {', '.join(map(str, shape))})."
        )
    if spec.kind == "image" and values.is_floating_point():
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError("Pictures given as floats must lie in [0, 1]; give uint8 for 0 to 255.")
        return values.float()
    if spec.is_tokens or (spec.is_bits and not values.is_floating_point()):
        _check_symbols(values, spec.vocabulary or 2)
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise ValueError("The data holds values that are not finite.")
    if spec.kind == "sequence" and shape[1:] != spec.shape[1:]:
        return values.float()  # of other channels than the scales are for: as the corruption leaves them
    return spec.scaled(values)


def _check_symbols(values: Tensor, count: int) -> None:
    whole = not values.is_floating_point() or bool((values == values.round()).all())
    if not (whole and bool(((values >= 0) & (values < count)).all())):
        low, high = values.min().item(), values.max().item()
        raise ValueError(
            f"Got {values.dtype} from {low} to {high}; this model takes whole numbers from 0 to {count - 1}."
        )


def open_for(model: TrainedModel, data: str, *, inputs: bool = False) -> Source:
    """The data that ``data`` names as a model takes them (`gargalo.data.open_like`), or, with ``inputs``, its encoder.

    Classes have the numbers by which a conditional model knows them: DataError where it does not know one, or there are
    no labels. Of other data than the model's own it is said, in a warning, which files cannot be read.
    """
    spec, own = model.spec, model.config["data"]
    source = open_like(data, replace(spec, shape=spec.input_shape) if inputs else spec, own)
    if source.skipped and data != own:
        named = [f"{skipped.name} ({skipped.reason})" for skipped in source.skipped[:NAMED]]
        more = ["..."] if len(source.skipped) > NAMED else []
        text = f"{len(source.skipped):,} files of {source.name} are left out: {', '.join(named + more)}"
        warnings.warn(text, UserWarning, stacklevel=3)
    if not model.net.conditional or spec.places:
        return source
    if source.labels is None:
        raise DataError(f"{source.name} has no labels, which {model.method} is told. Give labelled data.")
    names, known = source.spec.class_names, spec.class_names
    if names == known:
        return source
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            f"{source.name} has classes that this model does not know: {', '.join(unknown[:NAMED])}. "
            f"It knows {', '.join(known[:NAMED])}{', ...' if len(known) > NAMED else ''}."
        )
    labels = torch.tensor([known.index(name) for name in names])[source.labels]
    return replace(source, labels=labels, spec=replace(source.spec, num_classes=len(known), class_names=known))


def check_label(model: TrainedModel, label: int | None) -> None:
    """ValueError where one is asked for of a model that is told none."""
    if label is not None and not model.net.conditional:
        raise ValueError(f"label={label} cannot be ordered: {model.method} is not conditional.")


def labels_for(model: TrainedModel, labels: Any, n: int) -> Tensor | None:
    """Class numbers ``[N]``, or ``[N, places]``, for a conditional model, None for another. ValueError where they are
    missing or wrong."""
    if not model.net.conditional:
        return None
    classes, places = model.spec.num_classes, model.spec.places
    each = f", {places} for each example" if places else ""
    if labels is None:
        raise ValueError(f"{model.method} needs labels: class numbers from 0 to {classes - 1}{each}.")
    tensor = torch.as_tensor(labels).long().reshape((-1, places) if places else -1)
    if len(tensor) != n or not bool(((tensor >= 0) & (tensor < classes)).all()):
        raise ValueError(f"Expected {n} labels from 0 to {classes - 1}{each}; got {tensor.tolist()[:10]} ...")
    return tensor


@torch.no_grad()
def in_batches(
    function: Callable[..., Tensor],
    *arrays: Tensor | None,
    sizes: tuple[int, ...] = SIZES,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Applies a function of rows, on a ``device``, in batches of one fixed size, so that a row's result does not depend
    on its neighbors; the last batch is padded with its own last row. A single row or a few go in a smaller batch."""
    first = next(a for a in arrays if a is not None)
    size = next(size for size in sizes if size >= min(len(first), sizes[-1]))
    results: list[Tensor] = []
    for start in range(0, len(first), size):
        rows = min(size, len(first) - start)
        part = [None if a is None else _pad(a[start : start + size], size).to(device) for a in arrays]
        results.append(function(*part)[:rows].cpu())
    return results[0] if len(results) == 1 else torch.cat(results)


def _pad(rows: Tensor, size: int) -> Tensor:
    missing = size - len(rows)
    return rows if not missing else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])


def corrupted(model: TrainedModel, x: Tensor, seed: int) -> Tensor:
    """Inputs ``[N, *input_shape]`` of targets ``[N, *shape]``: each row meets its own noise, whoever is beside it."""
    if model.corruption == "none":
        return x
    rule = corruption.select(model.corruption)

    def own(row: Tensor) -> torch.Generator:
        content = hashlib.blake2b(row.contiguous().numpy().tobytes(), digest_size=8).hexdigest()
        return torch.Generator().manual_seed(derive(seed, "corrupt", content))

    return torch.cat([rule(row, own(row)) for row in x.split(1)])


def as_array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
