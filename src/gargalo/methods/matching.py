"""Codes that are drawn to a prior as a set, and critics."""

from __future__ import annotations

from functools import partial

from gargalo import adversarial, functional, objectives, priors
from gargalo.assembly import check_amounts, gaussian_model, point_model
from gargalo.errors import check_range
from gargalo.methods.made import Made
from gargalo.registry import method
from gargalo.spec import DataSpec


@method
def wae_mmd(spec: DataSpec, *, latent_dim: int = 16, weight: float = 500.0) -> Made:
    """Wasserstein autoencoder: codes as a set are drawn to the prior by their MMD (Tolstikhin et al. 2018)."""
    model = point_model(spec, latent_dim, priors.StandardNormal(latent_dim))
    return model, objectives.Matched(weight, functional.mmd)


@method
def swae(spec: DataSpec, *, latent_dim: int = 16, weight: float = 500.0, directions: int = 50) -> Made:
    """Sliced Wasserstein autoencoder: the same, by distances along random lines (Kolouri et al. 2019)."""
    check_range("directions", directions, 1, 1 << 16)
    model = point_model(spec, latent_dim, priors.StandardNormal(latent_dim))
    return model, objectives.Matched(weight, partial(functional.sliced_wasserstein, directions=directions))


@method
def aae(
    spec: DataSpec,
    *,
    latent_dim: int = 8,
    weight: float = 25.0,
    critic_width: int = 256,
    critic_turns: int = 4,
    smoothness: float = 0.1,
) -> Made:
    """Adversarial autoencoder: codes that a critic cannot tell from the prior's (Makhzani et al. 2016)."""
    model = point_model(spec, latent_dim, priors.StandardNormal(latent_dim))
    return model, adversarial.AdversarialLatent(latent_dim, weight, critic_width, critic_turns, smoothness)


@method
def vae_gan(
    spec: DataSpec,
    *,
    latent_dim: int = 16,
    features: float = 1.0,
    realism: float = 1.0,
    pixels: float = 1.0,
    critic_width: int = 128,
) -> Made:
    """VAE that compares pictures by what a critic sees in them, which also asks for real ones (Larsen et al. 2016)."""
    check_amounts("vae_gan", spec)
    objective = adversarial.PictureCritic(spec.shape, features, realism, pixels, critic_width)
    return gaussian_model(spec, latent_dim), objective
