"""Verbs on codes and pictures: reconstruct, embed, project, sample, interpolate. Arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gargalo.acceleration import QuickDecoder
from gargalo.checkpoint import TrainedModel
from gargalo.errors import check_temperature
from gargalo.evaluation.planes import By, plane
from gargalo.functional import slerp
from gargalo.model import LatentModel
from gargalo.training import seeded
from gargalo.verbs._arrays import as_array, check_label, in_batches, labels_for, model_values
from gargalo.verbs.score import warn_if_unlike


def reconstruct(model: TrainedModel, images: Any, *, labels: Any = None) -> np.ndarray:
    """What comes out for what goes in, through the posterior's mode: ``[N, *shape]`` of raw values.

    A model trained with a corruption takes inputs as the corruption leaves them.
    """
    x = model_values(model, images, corrupted=True)
    condition = labels_for(model, labels, len(x))
    warn_if_unlike(model, x, condition)
    decoder = _decoder(model, len(x))

    def there_and_back(a: Tensor, c: Tensor | None) -> Tensor:
        return decoder.decode(model.net.encode(a, c).mode, c).mode

    out = in_batches(there_and_back, x, condition, device=model.device)
    return as_array(model.spec.unscaled(out))


def embed(model: TrainedModel, images: Any, *, labels: Any = None) -> np.ndarray:
    """Codes, the posterior's mode: ``[N, latent_dim]``."""
    x = model_values(model, images, corrupted=True)
    condition = labels_for(model, labels, len(x))
    warn_if_unlike(model, x, condition)

    def code(a: Tensor, c: Tensor | None) -> Tensor:
        return model.net.encode(a, c).mode.flatten(1)

    return as_array(in_batches(code, x, condition, device=model.device))


def project(
    model: TrainedModel, images: Any, *, by: By = "auto", labels: Any = None, perplexity: float = 30.0, seed: int = 0
) -> np.ndarray:
    """Places on a map, ``[N, 2]``, by the codes: see `gargalo.evaluation.planes.plane` for ``by``.

    ``perplexity`` says how many neighbors t-SNE looks at; a second run with the same ``seed`` gives the same map.
    """
    codes = embed(model, images, labels=labels)
    return plane(codes.reshape(len(codes), -1), by, perplexity=perplexity, seed=seed)


def sample(
    model: TrainedModel, n: int = 64, *, temperature: float = 1.0, label: int | None = None, seed: int = 0
) -> np.ndarray:
    """New examples from the prior, ``[n, *shape]`` of raw values; ``temperature`` scales the codes.

    Conditional models take a ``label``; without one they go through all classes in turn. Of models that are told
    several for each example all are the same.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1.")
    check_temperature(temperature)
    classes = model.spec.num_classes
    check_label(model, label)
    chosen: Any = None if label is None else [label] * n
    if chosen is None and model.net.conditional:
        chosen = [i % classes for i in range(n)]
    with seeded(seed), torch.no_grad():
        z = model.net.prior.sample(n, temperature)  # type: ignore[operator]
    if chosen is not None and model.spec.places:
        chosen = np.repeat(np.array(chosen)[:, None], model.spec.places, 1)
    return decode(model, z, labels=chosen)


def decode(model: TrainedModel, codes: Any, *, labels: Any = None) -> np.ndarray:
    """Pictures of codes ``[N, latent_dim]``: ``[N, *shape]`` of raw values."""
    z = torch.as_tensor(codes).float()
    if z.dim() != 2 or z.shape[1] != model.latent_dim:
        raise ValueError(f"Got codes of shape {tuple(z.shape)}; this model's are (N, {model.latent_dim}).")

    decoder = _decoder(model, len(z))

    def picture(a: Tensor, c: Tensor | None) -> Tensor:
        return decoder.decode(a.unflatten(1, model.net.prior.shape), c).mode  # type: ignore[arg-type]

    out = in_batches(picture, z, labels_for(model, labels, len(z)), device=model.device)
    return as_array(model.spec.unscaled(out))


def _decoder(model: TrainedModel, rows: int) -> LatentModel | QuickDecoder:
    """For one picture float32 is the faster."""
    return model.quick if rows > 1 else model.net


def interpolate(model: TrainedModel, a: Any, b: Any, *, steps: int = 8, labels: Any = None) -> np.ndarray:
    """The way from one example to another through the latent space, ``[steps, *shape]``; ends included.

    Of a conditional model's two ``labels`` each end is encoded with its own; all is decoded with the first.
    """
    if steps < 2:
        raise ValueError(f"steps={steps} must be at least 2.")
    ends = torch.from_numpy(embed(model, np.stack([np.asarray(a), np.asarray(b)]), labels=labels))
    codes = slerp(ends[0], ends[1], torch.linspace(0, 1, steps))
    return decode(model, codes, labels=None if labels is None else [labels[0]] * steps)
