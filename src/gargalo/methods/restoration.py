"""Pictures of any size, repaired."""

from __future__ import annotations

from functools import partial

from gargalo import objectives
from gargalo.assembly import restorer_model
from gargalo.errors import check_range
from gargalo.methods.made import Made
from gargalo.networks import restorer
from gargalo.networks.sizes import Size
from gargalo.registry import method
from gargalo.self_supervised import Neighbors
from gargalo.spec import DataSpec


@method
def denoiser(
    spec: DataSpec,
    *,
    size: Size = "base",
    width: int | None = None,
    depth: int | None = None,
    bias: bool = True,
    self_supervised: bool = False,
    consistency: float = 2.0,
    recorruption: float = 1.0,
) -> Made:
    """Residual blocks on the folded picture, which predict its noise (Zhang et al. 2017, 2018; Lim et al. 2017).

    ``self_supervised`` learns from noisy pictures alone, if their noise is independent from pixel to pixel (Huang et
    al. 2021, ``consistency`` is a weight of theirs; Pang et al. 2021, which has the weight ``recorruption``).
    """
    usual = {"tiny": (16, 2), "small": (32, 4), "base": (48, 6), "large": (64, 10)}[size]
    depth = check_range("depth", usual[1] if depth is None else depth, 1, restorer.MAX_DEPTH)
    trunk = partial(restorer.Residual, depth=depth, bias=bias)
    model = restorer_model(
        spec,
        trunk,
        usual[0] if width is None else width,
        fold=2,
        bias=bias,
        corruption="none" if self_supervised else "noise:std=0-0.2157,told=0.5,clip=0.5",
        likelihood="gaussian:squash=false",
        batch_size=8,
        lr=1e-3,
    )
    return model, Neighbors(
        consistency, recorruption, spec.shape[0]
    ) if self_supervised else objectives.Reconstruction()


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
