"""Posteriors on curved spaces: the sphere and the Poincare ball."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.distributions import DiagonalGaussian, sum_event, tile


@dataclass(frozen=True)
class VonMisesFisher:
    """On the unit sphere of D dimensions, about ``direction``; a density over its surface (Davidson et al. 2018).

    Everything is read off the density of the angle to the direction, tabulated where its mass lies: samples by the
    inverse of its sums, which gradients pass through, in place of rejection; its normalizer in place of Bessel
    functions.
    """

    direction: Tensor  # [N, D], of length 1
    concentration: Tensor  # [N]

    @property
    def mode(self) -> Tensor:
        return self.direction

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The first of D standard normal numbers says how far from the direction, the others which way."""
        noise = torch.randn_like(self.direction) if noise is None else noise
        angles, density, _ = self._angles()
        below = F.pad(torch.cumulative_trapezoid(density, dim=1), (1, 0))
        chance = torch.special.ndtr(noise[:, :1]) * below[:, -1:]
        place = torch.searchsorted(below.detach(), chance.detach()).clamp(1, angles.shape[1] - 1)
        low, high = below.gather(1, place - 1), below.gather(1, place)
        start, step = angles.gather(1, place - 1), angles[:, 1:2] - angles[:, :1]
        angle = start + step * ((chance - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        side = F.normalize(noise[:, 1:], dim=1)
        z = self._turned(torch.cat([angle.cos(), angle.sin() * side], 1))
        return z, self.log_prob(z)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.concentration * (sum_event(self.direction * z) - 1) - self._angles()[2]

    def entropy(self) -> Tensor:
        """``[N]``, in nats."""
        angles, density, log_total = self._angles()
        expected = torch.trapezoid(density * (angles.cos() - 1), dim=1) / torch.trapezoid(density, dim=1)
        return log_total - self.concentration * expected

    def repeat(self, k: int) -> VonMisesFisher:
        return VonMisesFisher(tile(self.direction, k), tile(self.concentration, k))

    def _angles(self, places: int = 257) -> tuple[Tensor, Tensor, Tensor]:
        """Angles and how much mass is there, up to a factor, ``[N, places]``; and the log of the integral of
        exp(k (cos - 1)) over the sphere, ``[N]``."""
        k, d = self.concentration[:, None], self.direction.shape[1] - 2
        with torch.no_grad():  # where to look
            cosine = (torch.sqrt(d * d + 4 * k * k) - d) / (2 * k)
            likeliest = torch.acos(cosine.clamp(-1, 1))
            spread = torch.rsqrt(k * cosine + d / torch.sin(likeliest).square().clamp(min=1e-12) if d else k)
            low, high = (likeliest - 9 * spread).clamp(min=0), (likeliest + 9 * spread).clamp(max=math.pi)
        angles = low + (high - low) * torch.linspace(0, 1, places, device=k.device)
        log_density = k * (angles.cos() - 1) + d * angles.sin().clamp(min=1e-12).log()
        top = log_density.max(1, keepdim=True).values.detach()
        density = (log_density - top).exp()
        around = math.log(2) + (d + 1) / 2 * math.log(math.pi) - math.lgamma((d + 1) / 2)  # of the circles at an angle
        log_total = torch.trapezoid(density, dim=1).log() + (top + ((high - low) / (places - 1)).log())[:, 0] + around
        return angles, density, log_total

    def _turned(self, z: Tensor) -> Tensor:
        """Reflects the sphere so that the first axis comes to lie on the direction."""
        first = torch.zeros_like(self.direction)
        first[:, 0] = 1
        axis = F.normalize(first - self.direction, dim=1, eps=1e-6)
        return z - 2 * (axis * z).sum(1, keepdim=True) * axis


@dataclass(frozen=True)
class WrappedNormal:
    """On the Poincare ball of curvature -c: a normal on the tangent space at ``mean``, wrapped onto the ball.

    A density over hyperbolic volume (Nagano et al. 2019; Mathieu et al. 2019).
    """

    mean: Tensor  # [N, D], shorter than 1 / sqrt(c)
    log_var: Tensor  # [N, D]
    c: float = 1.0

    @property
    def mode(self) -> Tensor:
        return self.mean

    def draw(self, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        tangent, log_q = self._tangent.draw(noise)
        z = mobius_add(self.mean, wrap(tangent, self.c), self.c)
        return z, log_q - self._stretch(tangent)

    def log_prob(self, z: Tensor) -> Tensor:
        tangent = unwrap(mobius_add(-self.mean, z, self.c), self.c)
        return self._tangent.log_prob(tangent) - self._stretch(tangent)

    def repeat(self, k: int) -> WrappedNormal:
        return WrappedNormal(tile(self.mean, k), tile(self.log_var, k), self.c)

    @property
    def _tangent(self) -> DiagonalGaussian:
        return DiagonalGaussian(torch.zeros_like(self.mean), self.log_var)

    def _stretch(self, tangent: Tensor) -> Tensor:
        """How much volume grows on the way from the tangent space to the ball, a logarithm."""
        r = (math.sqrt(self.c) * tangent.norm(dim=1)).clamp(min=1e-6)
        log_sinh = r + torch.log1p(-torch.exp(-2 * r)) - math.log(2)
        return (tangent.shape[1] - 1) * (log_sinh - r.log())


def wrap(tangent: Tensor, c: float) -> Tensor:
    """From the tangent space at 0 to the Poincare ball, lengths as distances: ``[N, D]``."""
    length = tangent.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return (torch.tanh(math.sqrt(c) * length / 2) / math.sqrt(c)).clamp(max=_rim(c)) * tangent / length


def unwrap(z: Tensor, c: float) -> Tensor:
    """The inverse of `wrap`."""
    length = z.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return 2 / math.sqrt(c) * torch.atanh((math.sqrt(c) * length).clamp(max=1 - 1e-5)) * z / length


def mobius_add(x: Tensor, y: Tensor, c: float) -> Tensor:
    """x + y on the Poincare ball, ``[N, D]`` (Ungar 2008)."""
    xy, xx, yy = ((a * b).sum(1, keepdim=True) for a, b in ((x, y), (x, x), (y, y)))
    total = ((1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * xy + c * c * xx * yy).clamp(min=1e-9)
    length = total.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return total * (_rim(c) / length).clamp(max=1)


def _rim(c: float) -> float:
    """As far out as single precision can tell points apart."""
    return (1 - 1e-5) / math.sqrt(c)
