"""The table of contents: one short function a method, which says its parts and its objective.

The keyword-only parameters are the method's arguments everywhere: in Python, on the command line, in a
checkpoint. The first line of the docstring is its description.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from gargalo import bottlenecks, likelihoods, networks, objectives, priors
from gargalo.model import LatentModel
from gargalo.networks.conditioned import ConditionedDecoder, ConditionedEncoder
from gargalo.objectives import Objective
from gargalo.registry import augmentation, corruption, likelihood, method, network
from gargalo.spec import DataSpec

__all__ = ["likelihoods", "networks"]  # imported so that their names are registered

MAX_LATENT = 1 << 16


@method
def autoencoder(spec: DataSpec, *, latent_dim: int = 32) -> tuple[LatentModel, Objective]:
    """Plain autoencoder (Hinton and Salakhutdinov 2006)."""
    return point_model(spec, latent_dim), objectives.Reconstruction()


@method
def sparse_autoencoder(spec: DataSpec, *, latent_dim: int = 32, sparsity: float = 0.1) -> tuple[LatentModel, Objective]:
    """Autoencoder with an L1 penalty on the code (Ng 2011)."""
    return point_model(spec, latent_dim), objectives.Reconstruction(sparsity)


@method
def masked_autoencoder(spec: DataSpec, *, latent_dim: int = 32, mask: str = "patches") -> tuple[LatentModel, Objective]:
    """Autoencoder that sees a part of each example in training and decodes all of it (He et al. 2022)."""
    return point_model(spec, latent_dim), objectives.Masked(corruption.select(mask))


@method
def contrastive_autoencoder(
    spec: DataSpec,
    *,
    latent_dim: int = 32,
    contrast: float = 300.0,
    edges: float = 3000.0,
    temperature: float = 0.1,
    views: str = "views",
) -> tuple[LatentModel, Objective]:
    """Autoencoder whose codes find two views of one example among others and tell its edges: for features.

    After Chen et al. 2020 and Wei et al. 2022.
    """
    change = augmentation.select(views)
    objective = objectives.Contrastive(
        latent_dim, spec.shape, change, contrast=contrast, edges=edges, temperature=temperature
    )
    return point_model(spec, latent_dim), objective


@method
def vae(
    spec: DataSpec, *, latent_dim: int = 16, free_nats: float = 0.0, kl_warmup: int = 0
) -> tuple[LatentModel, Objective]:
    """Variational autoencoder (Kingma and Welling 2014)."""
    return gaussian_model(spec, latent_dim), objectives.ELBO(1.0, free_nats, kl_warmup)


@method
def beta_vae(
    spec: DataSpec, *, latent_dim: int = 16, beta: float = 4.0, kl_warmup: int = 0
) -> tuple[LatentModel, Objective]:
    """VAE whose KL weighs beta times as much (Higgins et al. 2017)."""
    return gaussian_model(spec, latent_dim), objectives.ELBO(beta, warmup=kl_warmup)


@method
def cvae(spec: DataSpec, *, latent_dim: int = 16) -> tuple[LatentModel, Objective]:
    """Conditional VAE: the label is given, the code holds the rest (Sohn et al. 2015)."""
    if not spec.num_classes:
        raise ValueError(
            "cvae needs labels; this data has none. Put the pictures of each class in a folder of its own."
        )
    return gaussian_model(spec, latent_dim, conditional=True), objectives.ELBO()


def point_model(spec: DataSpec, latent_dim: int) -> LatentModel:
    """A deterministic code. The prior is there to be replaced: codes of a plain autoencoder do not follow it."""
    return _model(spec, latent_dim, bottlenecks.Point())


def gaussian_model(spec: DataSpec, latent_dim: int, conditional: bool = False) -> LatentModel:
    """A diagonal Gaussian posterior and a standard normal prior."""
    return _model(spec, latent_dim, bottlenecks.Gaussian(), conditional)


def _model(spec: DataSpec, latent_dim: int, bottleneck: Any, conditional: bool = False) -> LatentModel:
    if not 1 <= latent_dim <= MAX_LATENT:
        raise ValueError(f"latent_dim={latent_dim} must lie between 1 and {MAX_LATENT}.")
    head = likelihood.select(spec.likelihood)(spec)
    build = network.select(spec.network)
    outputs = bottleneck.factor * latent_dim
    if conditional:
        encoder, decoder = _conditioned(spec, build, latent_dim, outputs, head.channels)
    else:
        encoder, decoder = build(spec, latent_dim, outputs, head.channels)
    return LatentModel(encoder, bottleneck, decoder, priors.StandardNormal(latent_dim), head)


def _conditioned(
    spec: DataSpec, build: Any, latent_dim: int, outputs: int, channels: int
) -> tuple[nn.Module, nn.Module]:
    """A network built with room for one more channel of input and the label beside the code."""
    extra = (1, *spec.input_shape[1:]) if spec.kind == "image" else (spec.num_classes,)
    wider = replace(spec, input_shape=(spec.input_shape[0] + extra[0], *spec.input_shape[1:]))
    encoder, decoder = build(wider, latent_dim + spec.num_classes, outputs, channels)
    return ConditionedEncoder(encoder, spec.num_classes, extra), ConditionedDecoder(decoder, spec.num_classes)
