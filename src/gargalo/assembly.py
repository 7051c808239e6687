"""From a data spec and a bottleneck to a model: what the methods share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gargalo import bottlenecks, learned_priors, likelihoods, networks, priors
from gargalo.errors import check_range
from gargalo.hierarchy import Ancestral, Hierarchy
from gargalo.model import LatentModel
from gargalo.networks import ladder, restorer
from gargalo.networks.conditioned import ConditionedDecoder, ConditionedEncoder, ToldEncoder
from gargalo.networks.sizes import check_width
from gargalo.registry import likelihood, network
from gargalo.spec import DataSpec

__all__ = ["learned_priors", "likelihoods", "networks"]  # imported so that their names are registered

MAX_LATENT, MAX_LEVELS = 1 << 16, 64


def point_model(spec: DataSpec, latent_dim: int, prior: nn.Module | None = None) -> LatentModel:
    """A deterministic code. Unless training draws the codes to a ``prior``, one is fitted to them afterwards."""
    return build(spec, latent_dim, bottlenecks.Point, prior or priors.Unfitted(latent_dim, "mixture"))


def gaussian_model(spec: DataSpec, latent_dim: int, prior: nn.Module | None = None, **options: Any) -> LatentModel:
    """A diagonal Gaussian posterior, and a standard normal prior unless one is given."""
    return build(spec, latent_dim, bottlenecks.Gaussian, prior, **options)


def build(
    spec: DataSpec,
    latent_dim: int,
    bottleneck: Any,
    prior: nn.Module | None = None,
    *,
    conditional: bool = False,
    kind: type[LatentModel] = LatentModel,
    **options: Any,
) -> LatentModel:
    """A model of a ``kind``, which takes ``options``; ``bottleneck`` is made from the number of latent numbers."""
    check_latent(latent_dim)
    head = likelihood.select(spec.likelihood)(spec)
    middle = bottleneck(latent_dim)
    make = _conditioned if conditional else network.select(spec.network)
    encoder, decoder = make(spec, latent_dim, middle.outputs, head.channels)
    return kind(encoder, middle, decoder, prior or priors.StandardNormal(latent_dim), head, **options)


def code_model(spec: DataSpec, quantizer: Any) -> LatentModel:
    """A code of numbers from code books, and a place for the prior that is fitted to them."""
    prior = priors.Unfitted(check_latent(quantizer.outputs), "autoregressive")

    def ready(latent_dim: int) -> nn.Module:
        return quantizer

    return build(spec, quantizer.outputs, ready, prior)


def check_sequence(name: str, spec: DataSpec) -> None:
    """ValueError for what has no steps."""
    if spec.kind != "sequence":
        raise ValueError(
            f"{name} takes sequences, such as melodies:path=FOLDER or drums:path=FOLDER; this data is a {spec.kind} of "
            f"shape {spec.shape}."
        )


def check_amounts(name: str, spec: DataSpec) -> None:
    """ValueError for tokens, of methods that follow slopes from what is decoded or to what is encoded."""
    if spec.is_tokens:
        raise ValueError(f"{name} follows slopes in the data, which tokens do not have. Take another method.")


def check_latent(latent_dim: int) -> int:
    return check_range("latent_dim", latent_dim, 1, MAX_LATENT)


def counts_of(name: str, text: str) -> list[int]:
    """``"1+2+4"`` to its numbers; ValueError that says how to write them."""
    parts = text.split("+")
    if not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"{name}={text!r} must be whole numbers joined by +, such as 1+2+4.")
    return [int(part) for part in parts]


def _conditioned(spec: DataSpec, latent_dim: int, outputs: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """A network built with room for one more channel or step of input and the label beside the code."""
    count = max(1, spec.places)
    extra = (spec.num_classes,) if spec.kind == "vector" else (count, *spec.input_shape[1:])
    wider = replace(spec, input_shape=(spec.input_shape[0] + extra[0], *spec.input_shape[1:]))
    if spec.is_tokens:
        wider = replace(wider, vocabulary=spec.vocabulary + spec.num_classes)
    encoder, decoder = network.select(spec.network)(wider, latent_dim + count * spec.num_classes, outputs, channels)
    told = ToldEncoder(encoder, spec.vocabulary) if spec.is_tokens else None
    encoder = told or ConditionedEncoder(encoder, spec.num_classes, extra)
    return encoder, ConditionedDecoder(decoder, spec.num_classes)


def dense_hierarchy(spec: DataSpec, sizes: tuple[int, ...], width: int) -> Hierarchy:
    """Levels of vectors, the largest nearest to the data; encoder and decoder are dense."""
    for size in sizes:
        check_latent(size)
    check_width(width)
    head = likelihood.select(spec.likelihood)(spec)
    top_down = list(reversed(sizes))
    levels: list[nn.Module] = [
        ladder.Dense(index, above, size, width)
        for index, (above, size) in enumerate(zip([0, *top_down], top_down, strict=False))
    ]
    shape = (spec.shape[0] * head.channels, *spec.shape[1:])
    encoder = ladder.DenseBottomUp(spec, sizes, width)
    return Hierarchy(encoder, Ancestral(levels, torch.zeros(0)), ladder.DenseDecoder(sizes[0], shape, width), head)


def picture_hierarchy(spec: DataSpec, width: int, channels: int, counts: list[int]) -> Hierarchy:
    """Levels on every scale of a picture, ``counts`` of them from a single place to the finest grid; all else is a
    picture of one place."""
    flat = spec.kind != "image"
    factor = 1 if flat else 2 if max(spec.shape[1:]) <= 32 else 4
    grids = [(1, 1)] if flat else ladder.grids_of(spec.shape, factor)[-len(counts) :]
    counts = counts[: len(grids)]  # smaller pictures have fewer scales
    check_range("the sum of levels", sum(counts), 1, MAX_LEVELS)
    check_range("channels", channels, 1, check_width(width))
    head = likelihood.select(spec.likelihood)(spec)
    levels: list[nn.Module] = [
        ladder.Convolved(index, grid, 4 * channels if grid == (1, 1) else channels, width)
        for index, (grid, count) in enumerate(zip(grids, counts, strict=True))
        for _ in range(count)
    ]
    shape = (spec.shape[0] * head.channels, *spec.shape[1:])
    encoder = ladder.BottomUp(spec, grids, factor, width)
    prior = Ancestral(levels, torch.zeros(width, *grids[0]))
    return Hierarchy(encoder, prior, ladder.Unfold(shape, grids[-1], factor, width), head)


def restorer_model(
    spec: DataSpec, trunk: Any, width: int, *, fold: int = 1, reach: int = 1, bias: bool = True, **suggested: Any
) -> LatentModel:
    """A model that repairs pictures of any size; ``trunk`` is made from its number of channels and ``width``.

    The first channels of the input are the picture, others say something of it, such as how noisy it is. ``suggested``
    is how such a model is trained where nobody says otherwise. ValueError for what is no picture, or sides of the
    target that are no multiple of the input's.
    """
    if spec.kind != "image":
        raise ValueError(f"Only pictures can be repaired; this data has shape {spec.shape}.")
    channels, (_, height, length) = spec.shape[0], spec.input_shape
    scale = spec.shape[1] // height
    if spec.shape[1:] != (scale * height, scale * length) or not 1 <= scale <= restorer.MAX_SCALE:
        raise ValueError(
            f"Pictures of {spec.shape[1]}x{spec.shape[2]} cannot be made from {height}x{length} by a whole factor up "
            f"to {restorer.MAX_SCALE}. Give data of another size, or another factor."
        )
    if spec.input_shape[0] < channels:
        raise ValueError(f"An input of {spec.input_shape[0]} channels does not hold the picture's {channels}.")
    check_width(width)
    head = likelihood.select(spec.likelihood)(spec)
    if head.channels != 1:
        raise ValueError(
            f"likelihood={spec.likelihood!r} wants {head.channels} numbers a pixel. Take gaussian, laplace."
        )
    encoder = restorer.Encoder(trunk(fold**2 * spec.input_shape[0], width), channels, fold, reach)
    decoder = restorer.Decoder(width, spec.shape, fold, reach, scale, bias)
    step = fold * reach
    grid = [reach * -(-side // step) for side in spec.input_shape[1:]]
    prior = priors.Pictured((width + fold**2 * channels, *grid))
    model = LatentModel(encoder, bottlenecks.Point(width), decoder, prior, head)
    model.suggested = {"folders": "patches", "augment": "dihedral"} | suggested
    return model
