"""Codes from a book."""

from __future__ import annotations

from gargalo import bottlenecks, objectives
from gargalo.assembly import code_model, counts_of
from gargalo.methods.made import Made
from gargalo.registry import method
from gargalo.spec import DataSpec


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
