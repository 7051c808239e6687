"""Is an example like those a model was trained on? Calibrated on examples that were held out.

    input ─ edges ──┬─ far from the cloud of the training examples' edges?      "shape"
                    └─ far from each of theirs?                                 "likeness"
    input ─ encoder ── far from every code of a training example?               "code"
    target and what is decoded ── how much is not explained?                    "reconstruction"

Each question gives a number, each number is measured in standard deviations of the held-out examples (of its
logarithm), and the largest is the example's strangeness. Vectors and sequences stand for their own edges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo import functional
from gargalo.checkpoint import NORMALITY, TrainedModel, keep
from gargalo.data import folder_reader, open_source
from gargalo.data.batches import Feed, derive
from gargalo.data.source import Part, Source, some
from gargalo.distributions import Categorical
from gargalo.likelihoods import AutoregressiveBernoulli
from gargalo.model import Batch, LatentModel

QUESTIONS = "shape", "code", "likeness", "reconstruction"
QUICK = 2  # of them need no target and little time
MAX_TRAINED, MAX_TRAINED_NUMBERS = 5_000, 1 << 26  # rows to compare with, and numbers in them
AT_ONCE = 1 << 22  # numbers
SIDE = 28  # pixels, of the longer side where edges are looked for
MAX_FEATURES = 1024
SMALLEST_VARIANCE = 2.0  # times the mean variance, added to each: directions seen too seldom must not decide
BLUR = 1.0  # pixels: half a pixel's shift is no anomaly
UNLIKE = 0.01  # a p-value that is called outside
STRANGE = 3.0  # deviations, that the strangest of many normal examples comes to
TINY = 1e-9


@dataclass(frozen=True)
class Normality:
    """What is known of the training examples of a model.

    ``center`` ``[F]`` and ``whiten`` ``[F, F]`` describe the cloud of their features, ``features`` ``[R, F]`` and
    ``codes`` ``[R, D]`` are those of some of them, codes divided by ``spread`` ``[D]``. ``mean`` and ``deviation``
    ``[4]`` are of the held-out examples' logarithms, and ``held_out`` ``[V, 4]`` their standardized answers.
    ``heat_mean`` and ``heat_deviation``, of an example's shape (a picture's without channels), are of their residuals.
    """

    center: Tensor
    whiten: Tensor
    features: Tensor
    codes: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor
    held_out: Tensor
    heat_mean: Tensor
    heat_deviation: Tensor

    def __post_init__(self) -> None:
        f, d = self.center.shape[0], self.spread.shape[0]
        wanted = {"whiten": (f, f), "features": (len(self.codes), f), "codes": (len(self.features), d)}
        wanted |= {"mean": (4,), "deviation": (4,), "held_out": (len(self.held_out), 4)}
        for name, shape in wanted.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} has shape {tuple(getattr(self, name).shape)} in place of {shape}.")

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @torch.no_grad()
    def answers(self, model: TrainedModel, batch: Batch, count: int = len(QUESTIONS)) -> Tensor:
        """To the first ``count`` questions, in standard deviations: ``[N, count]``."""
        features, code = _features(model, batch), _code(model.net, batch) / self.spread
        questions: list[Callable[[], Tensor]] = [
            lambda: ((features - self.center) @ self.whiten).square().sum(1),
            lambda: _nearest(code, self.codes),
            lambda: _nearest(features, self.features.float()),
            lambda: _unexplained(model.net, batch).flatten(1).sum(1),
        ]
        raw = torch.stack([question() for question in questions[:count]], 1)
        return (raw.clamp(min=0).add(TINY).log() - self.mean[:count]) / self.deviation[:count]

    def p_values(self, answers: Tensor) -> Tensor:
        """The share of normal examples at least as strange, counting the example itself (Vovk et al. 2005): ``[N]``.

        Of normal examples no more than a share p has a p-value of p or less, whatever the model.
        """
        known = self._known(answers).sort().values
        above = len(known) - torch.searchsorted(known, answers.amax(1).contiguous())
        return (1 + above).double() / (1 + len(known))  # so that a share such as .05 is met where it should be

    def outside(self, p_values: Tensor) -> Tensor:
        """Which are as strange as one in a hundred, or, where fewer were held out, as the strangest: ``[N]``."""
        return p_values <= max(UNLIKE, 1 / (1 + len(self.held_out)))

    def beyond(self, answers: Tensor) -> Tensor:
        """Which are so much stranger than all held-out examples that few of these are no excuse: ``[N]``."""
        return answers.amax(1) > self._known(answers).amax().clamp(min=STRANGE) + 1

    def _known(self, answers: Tensor) -> Tensor:
        return self.held_out[:, : answers.shape[1]].amax(1)


def of(model: TrainedModel) -> Normality:
    """What is known of a model's training data; found out and kept if it was not.

    ValueError for a model in memory, which has no data; DataError where the data cannot be read any more.
    """
    if model.normality is None:
        if model.path is None or "data" not in model.config:
            raise ValueError("What is normal for this model is not known: it was not made by `gargalo train`.")
        remember(model, open_source(model.config["data"], folder_reader(model.spec)))
    return Normality(**model.normality)  # type: ignore[arg-type]


def remember(model: TrainedModel, source: Source) -> None:
    """Finds out what is normal and keeps it in the run folder."""
    assert model.path is not None
    model.__dict__["normality"] = fit(model, source).tensors()
    keep(model.path, NORMALITY, model.__dict__["normality"], model.config)


@torch.no_grad()
def fit(model: TrainedModel, source: Source, *, seed: int = 0) -> Normality:
    """From training rows and those held out for validation, corrupted as the model's inputs are."""
    rows = some(source.indices("train"), max(1, min(MAX_TRAINED, MAX_TRAINED_NUMBERS // source.spec.numbers)))
    at_once = max(1, min(250, AT_ONCE // source.spec.numbers))
    train = Feed(source, rows, at_once, model.corruption, seed=derive(seed, "normality"))
    parts = [(_features(model, batch), _code(model.net, batch)) for batch in train.in_order()]
    features, codes = (torch.cat(part) for part in zip(*parts, strict=True))
    center, spread = features.mean(0), codes.std(0, correction=0).clamp(min=1e-3)
    held_out = dataclasses.replace(train, index=source.indices("validation"))
    heat_mean, heat_deviation = _spread(_unexplained(model.net, batch) for batch in held_out.in_order())
    unknown = torch.zeros(4)
    found = Normality(
        center, _whitening(features - center), features.half(), codes / spread, spread, unknown, unknown + 1,
        torch.zeros(0, 4), heat_mean, heat_deviation,
    )  # fmt: skip
    raw = torch.cat([found.answers(model, batch) for batch in held_out.in_order()])
    mean, deviation = raw.mean(0), raw.std(0, correction=0).clamp(min=1e-6)
    return dataclasses.replace(found, mean=mean, deviation=deviation, held_out=(raw - mean) / deviation)


def domain(model: TrainedModel, source: Source, part: Part, limit: int) -> dict[str, float]:
    """Whether data are such as the model was trained on.

    ``auroc``: the chance that one of these examples is stranger than one held out from the training, .5 where they
    are alike. ``outside``: the share that is as strange as one in a hundred of those (see `Normality.outside`).
    """
    from sklearn.metrics import roc_auc_score

    known = of(model)
    index = some(source.indices(part), limit)
    feed = Feed(source, index, max(1, min(250, AT_ONCE // source.spec.numbers)), model.corruption)
    answers = torch.cat([known.answers(model, batch) for batch in feed.in_order()])
    strangeness = torch.cat([known.held_out, answers]).amax(1)
    foreign = torch.arange(len(strangeness)) >= len(known.held_out)
    outside = float(known.outside(known.p_values(answers)).float().mean())
    return {"auroc": float(roc_auc_score(foreign.numpy(), strangeness.numpy())), "outside": outside}


@torch.no_grad()
def heat(net: LatentModel, known: Normality, batch: Batch) -> Tensor:
    """Where the target is not explained, ``[N, H, W]`` (of what is no picture ``[N, *shape]``), in standard deviations
    at each place."""
    deviation = known.heat_deviation
    return (_unexplained(net, batch) - known.heat_mean) / (deviation + deviation.mean() + TINY)


def _spread(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the rows of all ``parts``, ``[*shape]`` each; no part is kept."""
    count, total, squares = 0, 0.0, 0.0
    for part in parts:
        count, total, squares = count + len(part), total + part.double().sum(0), squares + part.double().square().sum(0)
    mean = torch.as_tensor(total) / count
    return mean.float(), (torch.as_tensor(squares) / count - mean.square()).clamp(min=0).sqrt().float()


def _whitening(centered: Tensor) -> Tensor:
    """``[F, F]``, so that squares of rows times it sum to their Mahalanobis distance. By a triangle: eigenvectors are
    not always found where many features never change."""
    covariance = centered.T @ centered / len(centered)
    covariance.diagonal().add_(SMALLEST_VARIANCE * covariance.diagonal().mean() + TINY)
    triangle = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(
        triangle, torch.eye(len(triangle), device=triangle.device), upper=False
    ).T.contiguous()


def _features(model: TrainedModel, batch: Batch) -> Tensor:
    """``[N, F]``: oriented edges of pictures at one size; all else as it is, or, of many numbers, fixed mixtures."""
    x = model.spec.numeric(batch.input)
    if x.dim() == 4:
        scale = SIDE / max(x.shape[-2:])
        size = [max(3, round(side * scale)) for side in x.shape[-2:]]
        if list(x.shape[-2:]) != size:
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return functional.oriented_edges(x).flatten(1)
    x = x.float().flatten(1)
    if x.shape[1] <= MAX_FEATURES:
        return x
    mixture = torch.randn(x.shape[1], MAX_FEATURES, generator=torch.Generator().manual_seed(0))
    return x @ mixture / MAX_FEATURES**0.5


def _code(net: LatentModel, batch: Batch) -> Tensor:
    code = net.encode(batch.input, batch.condition).mode.float()
    return code.mean((2, 3)) if code.dim() == 4 else code  # of a map, what it is like, not where


def _unexplained(net: LatentModel, batch: Batch) -> Tensor:
    """The squared error at each place, ``[N, H, W]`` or ``[N, *shape]``: of pictures that of the blurred difference, of
    tokens, and of pixels that are drawn one by one, the nats it takes to say which they are."""
    z = net.encode(batch.input, batch.condition).mode
    likelihood = net.decode(z, batch.condition, teacher=batch.target)
    if isinstance(likelihood, Categorical | AutoregressiveBernoulli):
        return likelihood.surprise(batch.target)
    difference = batch.target - likelihood.mode
    if difference.dim() == 4:
        return functional.smooth(difference, BLUR).square().sum(1)
    return difference.square()


def _nearest(rows: Tensor, known: Tensor) -> Tensor:
    """The squared distance to the nearest, ``[N]``."""
    return torch.cdist(rows, known).amin(1).square()
