"""The table of contents: one short function a method, which says its parts and its objective.

The keyword-only parameters are the method's arguments everywhere: in Python, on the command line, in a
checkpoint. The first line of the docstring is its description.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from torch import nn

from gargalo import adversarial, bottlenecks, functional, objectives, priors
from gargalo.assembly import (
    build,
    check_amounts,
    check_latent,
    check_sequence,
    code_model,
    counts_of,
    dense_hierarchy,
    gaussian_model,
    picture_hierarchy,
    point_model,
    restorer_model,
)
from gargalo.errors import check_range
from gargalo.hamiltonian import Hamiltonian, Riemannian
from gargalo.model import LatentModel
from gargalo.networks import restorer
from gargalo.networks.conductor import conductor
from gargalo.networks.sizes import Size
from gargalo.networks.steps import Row
from gargalo.objectives import Objective
from gargalo.registry import augmentation, corruption, method
from gargalo.spec import DataSpec

Made = tuple[LatentModel, Objective]

# ---- Reconstruction ------------------------------------------------------------------------------------------------


@method
def autoencoder(spec: DataSpec, *, latent_dim: int = 32) -> Made:
    """Plain autoencoder (Hinton and Salakhutdinov 2006)."""
    return point_model(spec, latent_dim), objectives.Reconstruction()


@method
def sparse_autoencoder(spec: DataSpec, *, latent_dim: int = 32, sparsity: float = 0.1) -> Made:
    """Autoencoder with an L1 penalty on the code (Ng 2011)."""
    return point_model(spec, latent_dim), objectives.Reconstruction(sparsity)


@method
def contractive_autoencoder(spec: DataSpec, *, latent_dim: int = 32, contraction: float = 0.1) -> Made:
    """Autoencoder whose codes move little when inputs do (Rifai et al. 2011)."""
    check_amounts("contractive_autoencoder", spec)
    return point_model(spec, latent_dim), objectives.Contractive(contraction)


@method
def rae_l2(spec: DataSpec, *, latent_dim: int = 16, embedding: float = 0.1, decay: float = 1e-3) -> Made:
    """Regularized autoencoder: small codes, a decoder with small weights, a prior fitted after (Ghosh et al. 2020)."""
    return point_model(spec, latent_dim), objectives.Regularized(embedding, decay=decay)


@method
def rae_gp(spec: DataSpec, *, latent_dim: int = 16, embedding: float = 0.1, gradient: float = 0.1) -> Made:
    """Regularized autoencoder: small codes, a decoder with small slopes, a prior fitted after (Ghosh et al. 2020)."""
    check_amounts("rae_gp", spec)
    return point_model(spec, latent_dim), objectives.Regularized(embedding, gradient=gradient)


@method
def masked_autoencoder(spec: DataSpec, *, latent_dim: int = 32, mask: str = "patches") -> Made:
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
) -> Made:
    """Autoencoder whose codes find two views of one example among others and tell its edges: for features.

    After Chen et al. 2020 and Wei et al. 2022.
    """
    model = point_model(spec, latent_dim)
    objective = objectives.Contrastive(
        latent_dim, spec.shape, augmentation.select(views), contrast=contrast, edges=edges, temperature=temperature
    )
    return model, objective


# ---- Variational ---------------------------------------------------------------------------------------------------


@method
def vae(spec: DataSpec, *, latent_dim: int = 16, free_nats: float = 0.0, kl_warmup: int = 0) -> Made:
    """Variational autoencoder (Kingma and Welling 2014)."""
    return gaussian_model(spec, latent_dim), objectives.ELBO(1.0, free_nats, kl_warmup)


@method
def cvae(spec: DataSpec, *, latent_dim: int = 16) -> Made:
    """Conditional VAE: the label is given, the code holds the rest (Sohn et al. 2015)."""
    if not spec.num_classes:
        raise ValueError(
            "cvae needs labels; this data has none. Put the pictures of each class in a folder of its own."
        )
    return gaussian_model(spec, latent_dim, conditional=True), objectives.ELBO()


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


# ---- Tighter bounds ------------------------------------------------------------------------------------------------


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


# ---- Richer posteriors and priors ----------------------------------------------------------------------------------


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


# ---- Hierarchies ---------------------------------------------------------------------------------------------------


@method
def ladder_vae(spec: DataSpec, *, latent_dim: int = 32, levels: int = 3, width: int = 256, kl_warmup: int = 0) -> Made:
    """Ladder of dense latents, each half as large as the one below, means weighed by precision (Sonderby et al. 2016).

    ``latent_dim`` is that of the level nearest to the data.
    """
    check_latent(latent_dim)
    sizes = tuple(max(1, latent_dim >> level) for level in range(check_range("levels", levels, 1, 16)))
    return dense_hierarchy(spec, sizes, width), objectives.ELBO(warmup=kl_warmup)


@method
def deep_vae(
    spec: DataSpec, *, width: int = 64, channels: int = 8, levels: str = "1+2+3+0", kl_warmup: int = 1000
) -> Made:
    """Deep hierarchy of latents on every scale of a picture, top-down (Child 2021).

    ``levels`` says how many there are on each grid, from a single place to the finest; ``channels`` each has.
    """
    return picture_hierarchy(spec, width, channels, counts_of("levels", levels)), objectives.ELBO(warmup=kl_warmup)


# ---- Music ---------------------------------------------------------------------------------------------------------


@method
def music(
    spec: DataSpec,
    *,
    latent_dim: int = 128,
    preset: Literal["reconstruct", "generate"] = "reconstruct",
    beta: float = 0.02,
    bits: float = 80.0,
) -> Made:
    """VAE of melodies or drum parts, all steps at once, whose prior is fitted afterwards: after Roberts et al. 2018.

    To ``reconstruct``, the KL weighs ``beta``; to ``generate``, its weight is steered so that codes tell ``bits``.
    """
    check_sequence("music", spec)
    model = gaussian_model(spec, latent_dim)
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


# ---- Discrete codes ------------------------------------------------------------------------------------------------


@method
def vq_vae(
    spec: DataSpec,
    *,
    num_codes: int = 128,
    dim: int = 8,
    positions: int = 32,
    commitment: float = 1.0,
    decay: float | None = 0.99,
) -> Made:
    """Codes from a code book, by moving averages or, without ``decay``, by gradients (van den Oord et al. 2017)."""
    quantizer = bottlenecks.VectorQuantizer(num_codes, dim, positions, decay)
    return code_model(spec, quantizer), objectives.Quantized(commitment)


@method
def residual_vq_vae(
    spec: DataSpec, *, num_codes: int = 64, dim: int = 16, positions: int = 8, books: int = 4, commitment: float = 1.0
) -> Made:
    """Several code books, each for what those before it left over (Lee et al. 2022)."""
    quantizer = bottlenecks.ResidualQuantizer(num_codes, dim, positions, books, 0.99)
    return code_model(spec, quantizer), objectives.Quantized(commitment)


@method
def fsq(spec: DataSpec, *, levels: str = "8+5+5", positions: int = 32) -> Made:
    """Finite scalar quantization: each number rounded to one of a few ``levels`` (Mentzer et al. 2024)."""
    quantizer = bottlenecks.ScalarQuantizer(tuple(counts_of("levels", levels)), positions)
    return code_model(spec, quantizer), objectives.Quantized(0.0)


# ---- Matching and adversarial --------------------------------------------------------------------------------------


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
    weight: float = 50.0,
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


# ---- Restoration ---------------------------------------------------------------------------------------------------


@method
def denoiser(
    spec: DataSpec,
    *,
    size: Size = "base",
    width: int | None = None,
    depth: int | None = None,
    bias: bool = True,
    self_supervised: bool = False,
    consistency: float = 1.0,
) -> Made:
    """Plain convolutions on the folded picture, which predict its noise (Zhang et al. 2017, 2018).

    ``self_supervised`` learns from noisy pictures alone, if their noise is independent from pixel to pixel (Huang et
    al. 2021; ``consistency`` is a weight of theirs).
    """
    usual = {"tiny": (16, 4), "small": (32, 8), "base": (48, 12), "large": (96, 16)}[size]
    if size == "base" and spec.shape[0] > 1:
        usual = 64, 14
    depth = check_range("depth", usual[1] if depth is None else depth, 2, restorer.MAX_DEPTH)
    trunk = partial(restorer.Plain, depth=depth - 1, bias=bias)
    model = restorer_model(
        spec,
        trunk,
        usual[0] if width is None else width,
        fold=2,
        bias=bias,
        corruption="none" if self_supervised else "noise:std=0-0.2157,told=0.5",
        likelihood="gaussian:squash=false",
        batch_size=8,
        lr=1e-3,
    )
    return model, objectives.Neighbors(consistency) if self_supervised else objectives.Reconstruction()


@method
def upscaler(spec: DataSpec, *, size: Size = "base", width: int | None = None, depth: int | None = None) -> Made:
    """Residual blocks on the small picture, and what they add to its enlargement (Shi et al. 2016; Lim et al. 2017).

    By as much as the corruption shrinks: ``downscale:factor=3``.
    """
    usual = {"tiny": (16, 2), "small": (24, 4), "base": (32, 6), "large": (64, 10)}[size]
    depth = check_range("depth", usual[1] if depth is None else depth, 1, restorer.MAX_DEPTH)
    model = restorer_model(
        spec,
        partial(restorer.Residual, depth=depth),
        usual[0] if width is None else width,
        corruption="downscale:factor=2",
        likelihood="laplace",
        batch_size=8,
        lr=1e-3,
    )
    return model, objectives.Reconstruction()


@method
def inpainter(spec: DataSpec, *, size: Size = "base", width: int | None = None, levels: int = 4) -> Made:
    """A U-Net, which looks far from a hole for what belongs there (Ronneberger et al. 2015; Pathak et al. 2016)."""
    usual = {"tiny": 8, "small": 16, "base": 32, "large": 64}[size]
    check_range("levels", levels, 1, 6)
    model = restorer_model(
        spec,
        partial(restorer.UNet, levels=levels),
        usual if width is None else width,
        fold=2,
        reach=2 ** (levels - 1),
        corruption="mask",
        likelihood="laplace",
        batch_size=8,
        lr=1e-3,
    )
    return model, objectives.Reconstruction()
