"""Bottlenecks: the encoder's numbers become a posterior. ``outputs`` says how many numbers that takes."""

from __future__ import annotations

from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import curved, distributions, flows
from gargalo.distributions import DiagonalGaussian
from gargalo.errors import check_range

MAX_STEPS, MAX_CODES = 64, 1 << 16  # a hostile config must not keep us building


class Point(nn.Module):
    """The code itself."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.outputs = latent_dim

    def forward(self, h: Tensor) -> distributions.Point:
        return distributions.Point(h.float())


class Gaussian(nn.Module):
    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.outputs = 2 * latent_dim

    def forward(self, h: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian.of(h)


class LinearFlow(nn.Module):
    """A Gaussian through planar or radial steps, each told by the encoder (Rezende and Mohamed 2015)."""

    def __init__(self, latent_dim: int, kind: Literal["planar", "radial"], length: int) -> None:
        super().__init__()
        check_range("length", length, 1, MAX_STEPS)
        self.step = flows.planar if kind == "planar" else flows.radial
        self.length, self.told = length, 2 * latent_dim + 1 if kind == "planar" else latent_dim + 2
        self.gaussian, self.outputs = 2 * latent_dim, 2 * latent_dim + length * self.told

    def forward(self, h: Tensor) -> distributions.Flowed:
        base, context = h.float().split([self.gaussian, self.outputs - self.gaussian], 1)
        return distributions.Flowed(DiagonalGaussian.of(base), self.flow, context)

    def flow(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(len(z))
        for told in context.split(self.told, 1):
            z, change = self.step(z, told)
            log_det = log_det + change
        return z, log_det


class AutoregressiveFlow(nn.Module):
    """A Gaussian through inverse autoregressive steps (Kingma et al. 2016)."""

    def __init__(self, latent_dim: int, length: int, width: int) -> None:
        super().__init__()
        check_range("length", length, 1, MAX_STEPS)
        check_range("width", width, 1, MAX_CODES)
        self.latent_dim, self.outputs = latent_dim, 3 * latent_dim
        self.flow = flows.InverseAutoregressive(latent_dim, length, width, latent_dim)

    def forward(self, h: Tensor) -> distributions.Flowed:
        base, context = h.float().split([2 * self.latent_dim, self.latent_dim], 1)
        return distributions.Flowed(DiagonalGaussian.of(base), self.flow, context)


class Sphere(nn.Module):
    """A direction and how surely it is meant (Davidson et al. 2018)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.outputs = latent_dim + 1

    def forward(self, h: Tensor) -> curved.VonMisesFisher:
        direction = F.normalize(h[:, :-1].float(), dim=1)
        return curved.VonMisesFisher(direction, F.softplus(h[:, -1].float()).clamp(max=1e4) + 1)


class Ball(nn.Module):
    """A wrapped normal on the Poincare ball of curvature -c (Mathieu et al. 2019)."""

    def __init__(self, latent_dim: int, c: float) -> None:
        super().__init__()
        self.outputs, self.c = 2 * latent_dim, c

    def forward(self, h: Tensor) -> curved.WrappedNormal:
        base = DiagonalGaussian.of(h)
        return curved.WrappedNormal(curved.wrap(base.mean, self.c), base.log_var, self.c)


class OffBall(nn.Module):
    """A decoder that takes points of the Poincare ball: they are laid out flat around 0 first."""

    def __init__(self, decoder: nn.Module, c: float) -> None:
        super().__init__()
        self.decoder, self.c = decoder, c

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(curved.unwrap(z, self.c))


class VectorQuantizer(nn.Module):
    """The nearest of ``num_codes`` vectors for each of ``positions`` (van den Oord et al. 2017).

    With ``decay`` the vectors follow the features that chose them, on average; otherwise gradients move them. A vector
    that hardly anything chooses is put where some feature of the batch lies (Dhariwal et al. 2020).
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, num_codes: int, dim: int, positions: int, decay: float | None = 0.99) -> None:
        super().__init__()
        check_range("num_codes", num_codes, 2, MAX_CODES)
        check_range("dim", dim, 1, MAX_STEPS * MAX_STEPS)
        check_range("positions", positions, 1, MAX_STEPS * MAX_STEPS)
        self.outputs, self.dim, self.positions, self.decay = positions * dim, dim, positions, decay
        self.sizes = (num_codes,) * positions
        vectors = torch.randn(num_codes, dim) * dim**-0.5
        if decay is None:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
            self.register_buffer("sums", vectors.clone())
            self.register_buffer("counts", torch.ones(num_codes))

    def forward(self, h: Tensor) -> distributions.Codes:
        features = h.float().unflatten(1, (self.positions, self.dim))
        indices = self.nearest(features)
        found = distributions.Codes(features, F.embedding(indices, self.vectors), indices, self.sizes[0])
        if self.training and self.decay is not None:
            self._follow(features.detach().flatten(0, 1), indices.flatten(), self.decay)
        return found

    def nearest(self, features: Tensor) -> Tensor:
        """``[..., D]`` to ``[...]``."""
        vectors = self.vectors.detach()
        return (vectors.square().sum(1) - 2 * features.detach() @ vectors.T).argmin(-1)

    def find(self, z: Tensor) -> Tensor:
        """The numbers of codes ``[N, positions]``."""
        return self.nearest(z.unflatten(1, (self.positions, self.dim)))

    def look_up(self, indices: Tensor) -> Tensor:
        """The inverse of `find`."""
        return F.embedding(indices, self.vectors).flatten(1)

    @torch.no_grad()
    def prime(self, features: Tensor) -> None:
        """Starts from features of some examples."""
        rows = features.float().view(-1, self.dim)
        vectors = rows[torch.randint(len(rows), (len(self.vectors),), device=rows.device)]
        self.vectors.data.copy_(vectors + 1e-3 * torch.randn_like(vectors))
        if self.decay is not None:
            self.sums.copy_(self.vectors)

    @torch.no_grad()
    def _follow(self, rows: Tensor, indices: Tensor, decay: float) -> None:
        counts = torch.zeros_like(self.counts).index_add(0, indices, torch.ones_like(rows[:, 0]))
        sums = torch.zeros_like(self.sums).index_add(0, indices, rows)
        scale = len(self.counts) / len(rows)  # so that a vector of average use has a count of 1
        self.counts.lerp_(counts * scale, 1 - decay)
        self.sums.lerp_(sums * scale, 1 - decay)
        dead = self.counts < 0.03
        fresh = rows[torch.randint(len(rows), (len(self.counts),), device=rows.device)]
        self.sums.copy_(torch.where(dead[:, None], fresh, self.sums))
        self.counts.copy_(torch.where(dead, 1.0, self.counts))
        self.vectors.copy_(self.sums / self.counts[:, None])


class ResidualQuantizer(nn.Module):
    """Several code books, each for what those before it left over (Zeghidour et al. 2021; Lee et al. 2022)."""

    def __init__(self, num_codes: int, dim: int, positions: int, books: int, decay: float) -> None:
        super().__init__()
        check_range("books", books, 1, MAX_STEPS)
        self.books = nn.ModuleList(VectorQuantizer(num_codes, dim, positions, decay) for _ in range(books))
        self.outputs, self.dim, self.positions = positions * dim, dim, positions
        self.sizes = (num_codes,) * (positions * books)

    def forward(self, h: Tensor) -> distributions.Codes:
        left, vectors = h.float(), torch.zeros((), device=h.device)
        indices: list[Tensor] = []
        for book in self.books:
            found: distributions.Codes = book(left)
            left = left - found.vectors.flatten(1).detach()
            vectors = vectors + found.vectors
            indices.append(found.indices)
        features = h.float().unflatten(1, (self.positions, self.dim))
        return distributions.Codes(features, vectors, torch.stack(indices, 2), self.sizes[0])

    def find(self, z: Tensor) -> Tensor:
        return self(z).indices.flatten(1)

    def look_up(self, indices: Tensor) -> Tensor:
        parts = indices.unflatten(1, (self.positions, len(self.books))).unbind(2)
        return torch.stack([book.look_up(part) for book, part in zip(self.books, parts, strict=True)]).sum(0)  # type: ignore[operator]

    @torch.no_grad()
    def prime(self, features: Tensor) -> None:
        left = features.float()
        for book in self.books:
            book.prime(left)  # type: ignore[operator]
            left = left - book.look_up(book.find(left))  # type: ignore[operator]


class ScalarQuantizer(nn.Module):
    """Each number rounded to one of a few levels: a code book that needs no learning (Mentzer et al. 2024)."""

    sides: Tensor

    def __init__(self, levels: tuple[int, ...], positions: int) -> None:
        super().__init__()
        check_range("positions", positions, 1, MAX_STEPS * MAX_STEPS)
        for side in levels:
            check_range("levels", side, 2, MAX_CODES)
        check_range("the product of levels", prod(levels), 2, MAX_CODES)
        self.dim, self.positions, self.outputs = len(levels), positions, len(levels) * positions
        self.sizes = (prod(levels),) * positions
        self.register_buffer("sides", torch.tensor(levels), persistent=False)

    def forward(self, h: Tensor) -> distributions.Codes:
        # At unit mean square a row is on its levels from the first step on. Without that the first thing an encoder of
        # MNIST learned was what all digits share, every tanh saturated, and no gradient came back.
        features = F.rms_norm(h.float(), h.shape[1:]).unflatten(1, (self.positions, self.dim))
        half = (self.sides - 1) / 2
        bounded = half * torch.tanh(features)
        shift = torch.where(self.sides % 2 == 0, 0.5, 0.0)  # an even number of levels lies beside the whole numbers
        rounded = (bounded - shift).round() + shift
        vectors = torch.maximum(torch.minimum(rounded, half), -half) / half
        return distributions.Codes(bounded / half, vectors.detach(), self._number(vectors), self.sizes[0])

    def find(self, z: Tensor) -> Tensor:
        return self._number(z.unflatten(1, (self.positions, self.dim)))

    def look_up(self, indices: Tensor) -> Tensor:
        rest = indices
        found: list[Tensor] = []
        for side in self.sides:
            found.append(2 * (rest % side) / (side - 1) - 1)
            rest = rest // side
        return torch.stack(found, 2).flatten(1)

    def _number(self, vectors: Tensor) -> Tensor:
        digits = ((vectors + 1) * (self.sides - 1) / 2).round().long()
        place = torch.cat([self.sides.new_ones(1), self.sides.cumprod(0)[:-1]])
        return (digits * place).sum(-1)
