"""What a user would do instead: principal components, the mean picture, a linear map, no change at all."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.data.source import some

MAX_FIT, MAX_FIT_NUMBERS = 60_000, 60_000 * 784  # examples, and numbers in them, that a baseline is fitted to


def enough(index: Tensor, numbers: int) -> Tensor:
    """As many of the rows as a baseline is fitted to, where each holds so many numbers."""
    return some(index, min(MAX_FIT, MAX_FIT_NUMBERS // numbers))


def pca(train: Tensor, test: Tensor, components: int) -> Tensor | None:
    """``test`` through as many principal components as a code has numbers; None where there are not that many."""
    from sklearn.decomposition import PCA

    flat, held_out = train.flatten(1).numpy(), test.flatten(1).numpy()
    if components > min(flat.shape):
        return None
    fitted = PCA(components, svd_solver="auto", random_state=0).fit(flat)
    return torch.from_numpy(fitted.inverse_transform(fitted.transform(held_out))).float().view_as(test)


def mean(train: Tensor, test: Tensor) -> Tensor:
    """The mean of the training examples, for every row."""
    return train.mean(0, keepdim=True).expand_as(test)


def unchanged(inputs: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """The picture that a model was given, enlarged by bicubic interpolation where it is smaller; without channels that
    only say something of it. None where the input is no such picture."""
    if len(shape) < 3:
        return inputs if tuple(inputs.shape[1:]) == shape else None
    if inputs.shape[1] < shape[0]:
        return None
    return F.interpolate(inputs[:, : shape[0]], list(shape[1:]), mode="bicubic", antialias=True)


def ridge(inputs: Tensor, targets: Tensor, test: Tensor, shape: tuple[int, ...], penalty: float = 1.0) -> Tensor:
    """The best linear map from corrupted input to target, with a small penalty: ``[N, *shape]``."""
    x, y = inputs.flatten(1).double(), targets.flatten(1).double()
    center_x, center_y = x.mean(0), y.mean(0)
    x, y = x - center_x, y - center_y
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, x.T @ y)
    return ((test.flatten(1).double() - center_x) @ weights + center_y).float().unflatten(1, shape)
