"""Bounds of the likelihood from several samples."""

from __future__ import annotations

from gargalo import objectives
from gargalo.assembly import gaussian_model
from gargalo.methods.made import Made
from gargalo.registry import method
from gargalo.spec import DataSpec


@method
def iwae(spec: DataSpec, *, latent_dim: int = 16, samples: int = 10) -> Made:
    """VAE with a tighter bound from several samples (Burda et al. 2016)."""
    return gaussian_model(spec, latent_dim), objectives.ImportanceWeighted(samples)


@method
def miwae(spec: DataSpec, *, latent_dim: int = 16, samples: int = 8, groups: int = 8) -> Made:
    """The mean of several importance-weighted bounds (Rainforth et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.ImportanceWeighted(samples, groups)


@method
def piwae(spec: DataSpec, *, latent_dim: int = 16, samples: int = 8, groups: int = 8) -> Made:
    """An importance-weighted bound for the decoder, the mean of several for the encoder (Rainforth et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.PartiallyImportanceWeighted(samples, groups)


@method
def ciwae(spec: DataSpec, *, latent_dim: int = 16, samples: int = 10, elbo: float = 0.05) -> Made:
    """Between the importance-weighted bound and the plain one (Rainforth et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.ImportanceWeighted(samples, elbo=elbo)
