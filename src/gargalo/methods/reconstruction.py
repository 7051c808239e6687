"""Autoencoders without a density: a code, and what comes back from it."""

from __future__ import annotations

from gargalo import data as _  # noqa: F401  (registers the augmentations and corruptions that are selected here)
from gargalo import objectives, self_supervised
from gargalo.assembly import check_amounts, point_model
from gargalo.methods.made import Made
from gargalo.registry import augmentation, corruption, method
from gargalo.spec import DataSpec


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
    return point_model(spec, latent_dim), self_supervised.Masked(corruption.select(mask))


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
    objective = self_supervised.Contrastive(
        latent_dim, spec.shape, augmentation.select(views), contrast=contrast, edges=edges, temperature=temperature
    )
    return model, objective
