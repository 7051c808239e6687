"""Bottlenecks: the encoder's numbers become a posterior. ``factor`` says how many a latent number needs."""

from __future__ import annotations

from torch import Tensor, nn

from gargalo import distributions


class Point(nn.Module):
    """The code itself."""

    factor = 1

    def forward(self, h: Tensor) -> distributions.Point:
        return distributions.Point(h.float())


class Gaussian(nn.Module):
    """Mean and log-variance, side by side. The log-variance is kept within +-12 so that its exponential is finite."""

    factor = 2

    def forward(self, h: Tensor) -> distributions.DiagonalGaussian:
        mean, log_var = h.float().chunk(2, dim=1)
        return distributions.DiagonalGaussian(mean, log_var.clamp(-12, 12))
