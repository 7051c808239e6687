"""Codes that are drawn: the variational autoencoder and what others weigh in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gargalo import adversarial, functional, objectives
from gargalo.assembly import gaussian_model
from gargalo.methods.made import Made
from gargalo.registry import method
from gargalo.spec import DataSpec


@method
def vae(spec: DataSpec, *, latent_dim: int = 16, free_nats: float = 0.0, kl_warmup: int = 0) -> Made:
    """Variational autoencoder (Kingma and Welling 2014)."""
    return gaussian_model(spec, latent_dim), objectives.ELBO(1.0, free_nats, kl_warmup)


@method
def cvae(spec: DataSpec, *, latent_dim: int = 4, invariance: float = 30.0, critic_width: int = 256) -> Made:
    """Conditional VAE: the label is given, the code holds the rest, in few numbers (Sohn et al. 2015).

    ``invariance`` weighs a critic that must not read the label from the code (Creswell et al. 2017).
    """
    if not spec.num_classes:
        raise ValueError(
            "cvae needs labels; this data has none. Put the pictures of each class in a folder of its own."
        )
    model = gaussian_model(spec, latent_dim, conditional=True)
    return model, adversarial.InvariantELBO(latent_dim, spec.num_classes, spec.places, invariance, critic_width)


@method
def sigma_vae(spec: DataSpec, *, latent_dim: int = 16) -> Made:
    """VAE of Gaussian values whose variance is the best there is for each batch (Rybkin et al. 2021)."""
    return gaussian_model(replace(spec, likelihood="gaussian:std=optimal"), latent_dim), objectives.ELBO()


@method
def msssim_vae(spec: DataSpec, *, latent_dim: int = 16, weight: float = 200.0, scales: int = 3) -> Made:
    """VAE that compares pictures by structural similarity on several scales (Snell et al. 2017)."""
    return gaussian_model(
        replace(spec, likelihood=f"ssim:weight={weight},scales={scales}"), latent_dim
    ), objectives.ELBO()


@method
def beta_vae(spec: DataSpec, *, latent_dim: int = 16, beta: float = 4.0, kl_warmup: int = 0) -> Made:
    """VAE whose KL weighs beta times as much (Higgins et al. 2017)."""
    return gaussian_model(spec, latent_dim), objectives.ELBO(beta, warmup=kl_warmup)


@method
def annealed_vae(
    spec: DataSpec, *, latent_dim: int = 16, gamma: float = 30.0, capacity: float = 25.0, steps: int = 10_000
) -> Made:
    """VAE whose KL is drawn to a capacity that grows in training (Burgess et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.Capacity(gamma, capacity, steps)


@method
def beta_tc_vae(spec: DataSpec, *, latent_dim: int = 16, beta: float = 6.0) -> Made:
    """VAE whose total correlation weighs beta times as much (Chen et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.BetaTC(beta)


@method
def factor_vae(spec: DataSpec, *, latent_dim: int = 16, gamma: float = 10.0, critic_width: int = 256) -> Made:
    """VAE whose total correlation, as told by a critic, is a penalty (Kim and Mnih 2018)."""
    if latent_dim < 2:
        raise ValueError(f"latent_dim={latent_dim} must be at least 2: one number is independent of no other.")
    return gaussian_model(spec, latent_dim), adversarial.FactorTC(latent_dim, gamma, critic_width)


@method
def dip_vae(
    spec: DataSpec,
    *,
    latent_dim: int = 16,
    off_diagonal: float = 10.0,
    diagonal: float = 100.0,
    variant: Literal[1, 2] = 1,
) -> Made:
    """VAE whose codes are drawn to unit covariance (Kumar et al. 2018)."""
    return gaussian_model(spec, latent_dim), objectives.DIP(off_diagonal, diagonal, variant)


@method
def info_vae(spec: DataSpec, *, latent_dim: int = 16, alpha: float = 0.5, weight: float = 500.0) -> Made:
    """VAE whose codes as a set are drawn to the prior, while each has less of a KL (Zhao et al. 2019)."""
    matched = objectives.Matched(alpha + weight - 1, functional.mmd, kl=1 - alpha)
    return gaussian_model(spec, latent_dim), matched
