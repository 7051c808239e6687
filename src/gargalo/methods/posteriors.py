"""Posteriors and priors beyond the diagonal Gaussian."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

from torch import nn

from gargalo import bottlenecks, objectives, priors
from gargalo.assembly import build, check_amounts, check_latent, gaussian_model
from gargalo.hamiltonian import Hamiltonian, Riemannian
from gargalo.methods.made import Made
from gargalo.networks.steps import Row
from gargalo.registry import method
from gargalo.spec import DataSpec


@method
def vae_linear_flow(
    spec: DataSpec, *, latent_dim: int = 16, flow: Literal["planar", "radial"] = "planar", length: int = 8
) -> Made:
    """VAE whose posterior goes through planar or radial flows (Rezende and Mohamed 2015)."""
    bottleneck = partial(bottlenecks.LinearFlow, kind=flow, length=length)
    return build(spec, latent_dim, bottleneck), objectives.ELBO()


@method
def vae_iaf(spec: DataSpec, *, latent_dim: int = 16, length: int = 2, width: int = 128) -> Made:
    """VAE whose posterior goes through inverse autoregressive flows (Kingma et al. 2016)."""
    bottleneck = partial(bottlenecks.AutoregressiveFlow, length=length, width=width)
    return build(spec, latent_dim, bottleneck), objectives.ELBO()


@method
def hvae(
    spec: DataSpec, *, latent_dim: int = 16, steps: int = 3, step_size: float = 0.05, temperature: float = 0.5
) -> Made:
    """Hamiltonian VAE: the posterior takes a few steps along the gradient of the target (Caterini et al. 2018)."""
    options: dict[str, Any] = {"steps": steps, "step_size": step_size, "temperature": temperature}
    return gaussian_model(spec, latent_dim, kind=Hamiltonian, **options), objectives.ELBO()


@method
def rhvae(
    spec: DataSpec,
    *,
    latent_dim: int = 8,
    steps: int = 1,
    step_size: float = 0.01,
    temperature: float = 0.5,
    anchors: int = 256,
    width: float = 1.0,
    floor: float = 0.1,
) -> Made:
    """Riemannian Hamiltonian VAE: the same in a learned geometry (Chadebec et al. 2020)."""
    check_latent(latent_dim)
    row = Row(spec)
    metric = nn.Sequential(row, nn.Linear(row.numbers, 128), nn.SiLU(), nn.Linear(128, latent_dim**2))
    options: dict[str, Any] = {"steps": steps, "step_size": step_size, "temperature": temperature, "metric": metric}
    options |= {"anchors": anchors, "width": width, "floor": floor}
    return gaussian_model(spec, latent_dim, kind=Riemannian, **options), objectives.ELBO()


@method
def vamp_vae(spec: DataSpec, *, latent_dim: int = 16, components: int = 500, kl_warmup: int = 0) -> Made:
    """VAE whose prior is the mean of the posteriors of learned inputs (Tomczak and Welling 2018)."""
    check_amounts("vamp_vae", spec)
    model = gaussian_model(spec, latent_dim)
    model.prior = priors.Vamp(latent_dim, model.encode, spec.input_shape, components)
    return model, objectives.ELBO(warmup=kl_warmup)


@method
def mixture_vae(spec: DataSpec, *, latent_dim: int = 16, components: int = 20) -> Made:
    """VAE whose prior is a mixture of Gaussians that is learned with it (Jiang et al. 2017)."""
    return gaussian_model(spec, latent_dim, priors.Mixture(latent_dim, components)), objectives.ELBO()


@method
def hyperspherical_vae(spec: DataSpec, *, latent_dim: int = 16) -> Made:
    """VAE on a sphere: von Mises-Fisher posteriors and a uniform prior (Davidson et al. 2018)."""
    if latent_dim < 2:
        raise ValueError(f"latent_dim={latent_dim} must be at least 2: a circle is the smallest sphere.")
    return build(spec, latent_dim, bottlenecks.Sphere, priors.UniformSphere(latent_dim)), objectives.ELBO()


@method
def poincare_vae(spec: DataSpec, *, latent_dim: int = 8, curvature: float = 1.0) -> Made:
    """VAE on a hyperbolic ball: wrapped normals (Mathieu et al. 2019)."""
    if not curvature > 0:
        raise ValueError(f"curvature={curvature} must be greater than 0.")
    ball, prior = partial(bottlenecks.Ball, c=curvature), priors.HyperbolicNormal(latent_dim, curvature)
    model = build(spec, latent_dim, ball, prior)
    model.decoder = bottlenecks.OffBall(model.decoder, curvature)
    return model, objectives.ELBO()


@method
def two_stage_vae(spec: DataSpec, *, latent_dim: int = 32) -> Made:
    """VAE with a variance of its own, and a second VAE of its codes to sample from (Dai and Wipf 2019)."""
    model = gaussian_model(replace(spec, likelihood="gaussian:std=optimal"), latent_dim)
    model.suggested_prior = "two_stage"
    return model, objectives.ELBO()
