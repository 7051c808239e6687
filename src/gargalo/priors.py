"""Priors p(z)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gargalo.distributions import DiagonalGaussian, Posterior
from gargalo.functional import standard_normal_kl, standard_normal_log_prob
from gargalo.registry import prior


class Prior(nn.Module):
    """A density over codes that can be sampled. ``kl`` is a one-sample estimate unless a subclass knows better."""

    def log_prob(self, z: Tensor) -> Tensor:
        """``[N, D]`` to nats ``[N]``."""
        raise TypeError(f"{type(self).__name__} has no density.")

    def sample(self, n: int) -> Tensor:
        """``[n, D]``."""
        raise TypeError(f"{type(self).__name__} cannot be sampled.")

    def kl(self, q: Posterior, z: Tensor, log_q: Tensor) -> Tensor:
        """KL(q || p) of each row, ``[N]``."""
        return log_q - self.log_prob(z)


class StandardNormal(Prior):
    """N(0, I), with the exact KL for a diagonal Gaussian."""

    device_anchor: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.register_buffer("device_anchor", torch.empty(0), persistent=False)  # says where to draw

    def log_prob(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def sample(self, n: int) -> Tensor:
        return torch.randn(n, self.latent_dim, device=self.device_anchor.device)

    def kl(self, q: Posterior, z: Tensor, log_q: Tensor) -> Tensor:
        if isinstance(q, DiagonalGaussian):
            return standard_normal_kl(q).sum(1)
        return super().kl(q, z, log_q)


@prior
def standard_normal(latent_dim: int) -> Prior:
    """N(0, I): what a VAE is trained towards."""
    return StandardNormal(latent_dim)
