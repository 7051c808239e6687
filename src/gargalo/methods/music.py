"""Melodies and drum parts."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Literal

from gargalo import objectives
from gargalo.assembly import check_sequence, gaussian_model
from gargalo.methods.made import Made
from gargalo.networks.conductor import conductor
from gargalo.networks.sizes import Size
from gargalo.registry import method
from gargalo.spec import DataSpec


@method
def music(
    spec: DataSpec,
    *,
    latent_dim: int = 128,
    preset: Literal["reconstruct", "generate"] = "reconstruct",
    beta: float = 0.02,
    bits: float = 44.0,
) -> Made:
    """VAE of melodies or drum parts, all steps at once, whose prior is fitted afterwards: after Roberts et al. 2018.

    To ``reconstruct``, the KL weighs ``beta``; to ``generate``, its weight is steered so that codes tell ``bits``: with
    more of them more comes back, and less of what lies between codes is music. Of data with chords the model is told
    these, and the code holds the rest.
    """
    check_sequence("music", spec)
    model = gaussian_model(spec, latent_dim, conditional=spec.places > 0)
    model.suggested_prior = "maf"
    steered = preset == "generate"
    return model, objectives.SteeredELBO(bits * math.log(2)) if steered else objectives.ELBO(beta)


@method
def music_classic(
    spec: DataSpec,
    *,
    latent_dim: int = 128,
    beta: float = 0.2,
    free_bits: float = 48.0,
    kl_warmup: int = 1000,
    segments: int = 2,
    size: Size = "base",
) -> Made:
    """MusicVAE: a recurrent encoder, a conductor of segments, a decoder that hears its notes (Roberts et al. 2018)."""
    check_sequence("music_classic", spec)
    told = replace(spec, network=partial(conductor, segments=segments, size=size))
    return gaussian_model(told, latent_dim), objectives.ELBO(beta, free_bits * math.log(2), kl_warmup)
