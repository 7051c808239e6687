"""How likely a model finds each example."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gargalo.checkpoint import TrainedModel
from gargalo.data.batches import derive
from gargalo.evaluation.measure import bounds_of, has_density
from gargalo.model import Batch
from gargalo.training import seeded
from gargalo.verbs._arrays import as_array, corrupted, in_batches, labels_for, model_values

ROWS = (64,)  # of a batch, always: a row's sum must be rounded the same way whoever is beside it


def log_likelihood(
    model: TrainedModel, images: Any, *, labels: Any = None, samples: int = 16, seed: int = 0
) -> np.ndarray:
    """A lower bound of log p(x) of each row in nats, ``[N]``: the importance-weighted one (Burda et al. 2016).

    Of vectors and series it is a density in their own units. Where the code is a point there is no bound, and
    log p(x|z) stands for it. Every row meets the same noise, and the same corruption where the model was trained with
    one, so that it does not depend on its neighbors.
    """
    model = model.on_cpu
    x = model_values(model, images)
    condition = labels_for(model, labels, len(x))
    inputs = corrupted(model, x, seed)
    with torch.no_grad(), seeded(derive(seed, "likelihood")):
        posterior = model.net.encode(inputs[:1], None if condition is None else condition[:1])
        noise = torch.randn(samples, *model.net.noise_shape(posterior.mode))
    point = not has_density(posterior)

    def bound(a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
        batch = Batch(a, b, c)
        return -model.net(batch).nll if point else -bounds_of(model.net, batch, samples, noise=noise)[1]

    scale = np.broadcast_to(model.spec.scale, model.spec.shape) if model.spec.kind != "image" else 1.0
    volume = float(np.log(scale).sum())
    return as_array(in_batches(bound, inputs, x, condition, sizes=ROWS).double() - volume)
