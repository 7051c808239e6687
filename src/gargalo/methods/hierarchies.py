"""Latents on a ladder."""

from __future__ import annotations

from gargalo import objectives
from gargalo.assembly import check_latent, counts_of, dense_hierarchy, picture_hierarchy
from gargalo.errors import check_range
from gargalo.methods.made import Made
from gargalo.registry import method
from gargalo.spec import DataSpec


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
    model = picture_hierarchy(spec, width, channels, counts_of("levels", levels))
    model.suggested = {"batch_size": 64}  # a step takes so long that more, smaller ones are sooner there
    return model, objectives.ELBO(warmup=kl_warmup)
