"""Priors p(z): learned with a model, or fitted to the codes of one that is trained.

Those with a name in the registry can be fitted afterwards, ``name(net, spec, *, ...)``; a prior that is handed
parts of a model calls them and does not own them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import functional
from gargalo.curved import VonMisesFisher, WrappedNormal, unwrap
from gargalo.distributions import DiagonalGaussian, Posterior
from gargalo.errors import check_range
from gargalo.model import LatentModel
from gargalo.registry import prior
from gargalo.spec import DataSpec

MAX_COMPONENTS = 10_000
MAX_FITTED = 20_000  # codes, for a mixture: more would take minutes and tell little
AT_ONCE = 250  # codes, so that what lies between stays in the cache


class Prior(nn.Module):
    """A density over codes of ``shape`` that can be sampled. ``kl`` is an estimate from one sample unless a subclass
    knows better."""

    steps, batch, lr = 2000, 256, 1e-3  # of gradient descent, where it is fitted to codes
    reduced = False  # whether that may be in bfloat16
    generative = True  # whether there can be codes without an input
    indispensable = ""  # why no other can take its place, where none can
    anchor: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("anchor", torch.empty(0), persistent=False)  # says where to draw

    @property
    def numbers(self) -> int:
        """How many numbers say which code it is."""
        return math.prod(self.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """``[N, D]`` to nats ``[N]``."""
        raise TypeError(f"{type(self).__name__} has no density.")

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``[n, *shape]``; a lower ``temperature`` keeps to what is likely."""
        raise TypeError(f"{type(self).__name__} cannot be sampled.")

    def kl(self, q: Posterior, z: Tensor, log_q: Tensor) -> Tensor:
        """KL(q || p) of each row, ``[N]``."""
        return log_q - self.log_prob(z)

    def codes(self, posterior: Posterior) -> Tensor:
        """What it is fitted to, of a batch: one draw each, ``[N, D]``."""
        return posterior.draw()[0]

    def prepare(self, z: Tensor) -> None:
        """Begins to fit: everything that can be read off the codes ``[N, D]`` at once."""

    def in_units(self, z: Tensor) -> Tensor:
        """Codes ``[N, D]`` as numbers that, if they follow it, vary by about 1."""
        return z

    def loss(self, z: Tensor) -> Tensor:
        """What fitting lowers, ``[N]``."""
        return -self.log_prob(z)

    def noise(self, n: int) -> Tensor:
        return torch.randn(n, *self.shape, device=self.anchor.device)


class Unfitted(Prior):
    """The place of a prior in a model whose codes follow none that is known before: ``suggestion`` is fitted later."""

    def __init__(self, latent_dim: int, suggestion: str) -> None:
        super().__init__((latent_dim,))
        self.suggestion = suggestion

    def log_prob(self, z: Tensor) -> Tensor:
        """No density; 0 stands for it."""
        return z.new_zeros(len(z))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        raise ValueError(f"This model has no prior to sample from. Fit one: gargalo fit-prior RUN {self.suggestion}")


class Pictured(Prior):
    """The place of a prior where the code is the input seen in detail: there is none without an input."""

    generative = False

    def log_prob(self, z: Tensor) -> Tensor:
        """No density; 0 stands for it."""
        return z.new_zeros(len(z))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        raise ValueError(
            "Sampling has no meaning for this model: it repairs pictures, and its code is the picture it was given."
        )


class StandardNormal(Prior):
    """N(0, I), with the exact KL for a diagonal Gaussian."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__((latent_dim,))

    def log_prob(self, z: Tensor) -> Tensor:
        return functional.standard_normal_log_prob(z)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.noise(n) * temperature

    def kl(self, q: Posterior, z: Tensor, log_q: Tensor) -> Tensor:
        if isinstance(q, DiagonalGaussian):
            return functional.standard_normal_kl(q).sum(1)
        return super().kl(q, z, log_q)


class UniformSphere(Prior):
    """All directions alike, with the exact KL for a von Mises-Fisher posterior (Davidson et al. 2018)."""

    indispensable = "codes lie on a sphere, where the densities of other priors are none"

    def __init__(self, latent_dim: int) -> None:
        super().__init__((latent_dim,))

    def in_units(self, z: Tensor) -> Tensor:
        return z * self.shape[0] ** 0.5

    @property
    def log_area(self) -> float:
        half = self.shape[0] / 2
        return math.log(2) + half * math.log(math.pi) - math.lgamma(half)

    def log_prob(self, z: Tensor) -> Tensor:
        return z.new_full((len(z),), -self.log_area)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return F.normalize(self.noise(n), dim=1)

    def kl(self, q: Posterior, z: Tensor, log_q: Tensor) -> Tensor:
        if isinstance(q, VonMisesFisher):
            return self.log_area - q.entropy()
        return super().kl(q, z, log_q)


class HyperbolicNormal(Prior):
    """A wrapped normal about the center of the Poincare ball (Nagano et al. 2019)."""

    indispensable = "codes lie in a curved space, where the densities of other priors are none"

    def __init__(self, latent_dim: int, c: float) -> None:
        super().__init__((latent_dim,))
        self.c = c

    def in_units(self, z: Tensor) -> Tensor:
        return unwrap(z, self.c)

    def log_prob(self, z: Tensor) -> Tensor:
        return WrappedNormal(torch.zeros_like(z), torch.zeros_like(z), self.c).log_prob(z)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        zero = torch.zeros_like(self.noise(n))
        return WrappedNormal(zero, zero, self.c).draw(self.noise(n) * temperature)[0]


class Mixture(Prior):
    """Gaussians with covariances of their own. ``roots`` are Cholesky factors of the precisions, ``[K, D, D]``, whose
    diagonal is kept as logarithms; what is above it is not looked at."""

    steps = 0  # `prepare` does it all

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__((latent_dim,))
        check_range("components", components, 1, MAX_COMPONENTS)
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, latent_dim))
        self.roots = nn.Parameter(torch.zeros(components, latent_dim, latent_dim))

    def log_prob(self, z: Tensor) -> Tensor:
        return self._joint(z).logsumexp(1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        chosen = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        noise = self.noise(n).unsqueeze(2) * temperature
        away = torch.linalg.solve_triangular(self._factors().mT[chosen], noise, upper=True)
        return self.means[chosen] + away[..., 0]

    def _factors(self) -> Tensor:
        diagonal = self.roots.diagonal(dim1=1, dim2=2)
        return self.roots.tril(-1) + torch.diag_embed(diagonal.exp())

    def _joint(self, z: Tensor) -> Tensor:
        """log p(z, component), ``[N, K]``; in float32, whatever the rest of the model is in."""
        with torch.autocast(z.device.type, enabled=False):
            factors = self._factors()
            rows = z.float().expand(len(factors), -1, -1)
            shifted = torch.baddbmm(-self.means[:, None] @ factors, rows, factors)  # [K, N, D]
        log_det = self.roots.diagonal(dim1=1, dim2=2).sum(1)
        constant = -0.5 * self.shape[0] * math.log(2 * math.pi)
        return self.logits.log_softmax(0) + log_det + constant - 0.5 * shifted.square().sum(2).T

    @torch.no_grad()
    def prepare(self, z: Tensor, rounds: int = 200) -> None:
        """Expectation and maximization, from components spread as k-means++ spreads them (Arthur and Vassilvitskii
        2007). A small share of the codes' own variance keeps every covariance away from zero."""
        components, z = len(self.logits), z[:MAX_FITTED]
        self.means.copy_(_spread(z, components))
        whole = torch.cov(z.T).view(self.shape[0], -1) if len(z) > 1 else torch.eye(self.shape[0]).to(z)
        floor = 1e-3 * torch.diag(whole.diagonal().clamp(min=1e-6))
        owners = torch.cdist(z, self.means).argmin(1)
        shares, before = F.one_hot(owners, components).to(z.dtype), -math.inf
        for _ in range(rounds):
            mass = shares.sum(0) + 1e-6
            self.logits.copy_(mass.log())
            self.means.copy_(shares.T @ z / mass[:, None])
            for k in range(components):
                away = z - self.means[k]
                covariance = (away * shares[:, k : k + 1]).T @ away / mass[k] + floor
                root = torch.linalg.cholesky(torch.linalg.inv(covariance.double())).to(z.dtype)
                self.roots[k].copy_(root.tril(-1) + torch.diag(root.diagonal().log()))
            joint = torch.cat([self._joint(part) for part in z.split(AT_ONCE)])
            shares, found = joint.softmax(1), float(joint.logsumexp(1).mean())
            if found < before + 3e-4:
                break
            before = found


def _spread(z: Tensor, n: int) -> Tensor:
    """n of the rows, each drawn far from those before it."""
    chosen = [z[torch.randint(len(z), ())]]
    nearest = (z - chosen[0]).square().sum(1)
    for _ in range(n - 1):
        chosen.append(z[torch.multinomial(nearest + 1e-12, 1)[0]])
        nearest = torch.minimum(nearest, (z - chosen[-1]).square().sum(1))
    return torch.stack(chosen)


class Vamp(Prior):
    """The mean of the posteriors of some inputs that are learned (Tomczak and Welling 2018)."""

    steps = 300

    def __init__(
        self, latent_dim: int, encode: Callable[[Tensor], Posterior], input_shape: tuple[int, ...], components: int
    ) -> None:
        super().__init__((latent_dim,))
        check_range("components", components, 1, MAX_COMPONENTS)
        self.encode = encode  # a bound method: the encoder stays the model's own
        self.inputs = nn.Parameter(0.5 + 0.05 * torch.randn(components, *input_shape))

    def prime(self, inputs: Tensor) -> None:
        """Starts from some examples."""
        rows = torch.arange(len(self.inputs), device=inputs.device) % len(inputs)
        self.inputs.data.copy_(inputs[rows])

    def log_prob(self, z: Tensor) -> Tensor:
        parts = self._posteriors()
        return functional.log_mean_exp(functional.log_densities(z, parts), dim=1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        parts = self._posteriors()
        chosen = torch.randint(len(parts.mean), (n,), device=parts.mean.device)
        return DiagonalGaussian(parts.mean[chosen], parts.log_var[chosen]).draw(self.noise(n) * temperature)[0]

    def _posteriors(self) -> DiagonalGaussian:
        found = self.encode(self.inputs)
        if not isinstance(found, DiagonalGaussian):
            raise TypeError(f"vampprior needs a model whose posteriors are Gaussian; these are {type(found).__name__}.")
        return found


@prior
def standard_normal(net: LatentModel, spec: DataSpec) -> Prior:
    """N(0, I): what a VAE is trained towards."""
    return StandardNormal(code_dim(net))


@prior
def normal(net: LatentModel, spec: DataSpec) -> Prior:
    """One Gaussian with the codes' own mean and covariance."""
    return Mixture(code_dim(net), 1)


@prior
def mixture(net: LatentModel, spec: DataSpec, *, components: int = 50) -> Prior:
    """Gaussians with covariances of their own (Ghosh et al. 2020 fit ten)."""
    return Mixture(code_dim(net), components)


@prior
def vampprior(net: LatentModel, spec: DataSpec, *, components: int = 200) -> Prior:
    """The mean of the posteriors of learned inputs (Tomczak and Welling 2018), for models with Gaussian posteriors."""
    if spec.is_tokens:
        raise ValueError("vampprior learns inputs by their slopes, which tokens do not have. Take mixture or maf.")
    if net.conditional:
        raise ValueError("vampprior learns inputs, and has no labels for them. Take mixture or maf.")
    return Vamp(code_dim(net), net.encode, spec.input_shape, components)


def code_dim(net: LatentModel) -> int:
    """Numbers in a code of a model."""
    return math.prod(cast(Prior, net.prior).shape)
