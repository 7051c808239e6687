"""Priors that are networks of their own, fitted to the codes of a trained model by gradient descent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gargalo import functional
from gargalo.distributions import Codes, DiagonalGaussian, Posterior, tile
from gargalo.errors import check_range
from gargalo.flows import MaskedAutoregressive
from gargalo.model import LatentModel
from gargalo.priors import Prior, code_dim
from gargalo.registry import prior
from gargalo.spec import DataSpec

MAX_DEPTH, MAX_WIDTH, HEADS = 32, 8192, 4


class Standardized(Prior):
    """Looks at codes with their mean taken off and each number at unit variance."""

    shift: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__((latent_dim,))
        self.register_buffer("shift", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    def prepare(self, z: Tensor) -> None:
        self.shift.copy_(z.mean(0))
        self.scale.copy_(z.std(0, correction=0).clamp(min=1e-6))


class Flow(Standardized):
    """A masked autoregressive flow of the codes (Papamakarios et al. 2017)."""

    def __init__(self, latent_dim: int, length: int, width: int) -> None:
        super().__init__(latent_dim)
        check_range("length", length, 1, MAX_DEPTH)
        self.flow = MaskedAutoregressive(latent_dim, length, check_range("width", width, 1, MAX_WIDTH))

    def log_prob(self, z: Tensor) -> Tensor:
        noise, log_det = self.towards_noise((z - self.shift) / self.scale)
        return functional.standard_normal_log_prob(noise) + log_det - self.scale.log().sum()

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.from_noise(self.noise(n) * temperature) * self.scale + self.shift

    def towards_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.flow(z)

    def from_noise(self, noise: Tensor) -> Tensor:
        return self.flow.inverse(noise)


class InverseFlow(Flow):
    """The same the other way round: drawn in one pass, while a density goes number by number (Kingma et al. 2016)."""

    steps = 600

    def towards_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        noise = self.flow.inverse(z)
        return noise, -self.flow(noise)[1]

    def from_noise(self, noise: Tensor) -> Tensor:
        return self.flow(noise)[0]


class TwoStage(Standardized):
    """A small VAE of the standardized codes, whose own codes do follow N(0, I) (Dai and Wipf 2019)."""

    draws = 16

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__(latent_dim)
        check_range("width", width, 1, MAX_WIDTH)

        def net(outputs: int) -> nn.Sequential:
            inner = nn.Linear(width, width)
            return nn.Sequential(nn.Linear(latent_dim, width), nn.SiLU(), inner, nn.SiLU(), nn.Linear(width, outputs))

        self.encoder, self.decoder = net(2 * latent_dim), net(latent_dim)
        self.log_std = nn.Parameter(torch.zeros(()))

    def log_prob(self, z: Tensor) -> Tensor:
        """An importance-weighted lower bound; every row meets the same noise."""
        generator = torch.Generator(z.device).manual_seed(0)
        noise = torch.randn(self.draws, 1, *self.shape, generator=generator, device=z.device)
        bounds = self._bounds(tile(z, self.draws), noise.expand(-1, len(z), -1).flatten(0, 1))
        return functional.log_mean_exp(bounds.view(self.draws, -1))

    def loss(self, z: Tensor) -> Tensor:
        return -self._bounds(z, self.noise(len(z)))

    def _bounds(self, z: Tensor, noise: Tensor) -> Tensor:
        z = (z - self.shift) / self.scale
        mean, log_var = self.encoder(z).chunk(2, dim=1)
        u, log_q = DiagonalGaussian(mean, log_var.clamp(-12, 12)).draw(noise)
        bound = self._decoded(u).log_prob(z) + functional.standard_normal_log_prob(u) - log_q
        return bound - self.scale.log().sum()

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        drawn = self._decoded(self.noise(n) * temperature).draw(self.noise(n) * temperature)[0]
        return drawn * self.scale + self.shift

    def _decoded(self, u: Tensor) -> DiagonalGaussian:
        mean = self.decoder(u)
        return DiagonalGaussian(mean, (2 * self.log_std).clamp(min=-12).expand_as(mean))


class Autoregressive(Prior):
    """A transformer that guesses each code number from those before it (van den Oord et al. 2017; Vaswani et al. 2017).

    ``find`` and ``look_up`` lead from codes to the numbers of their vectors and back.
    """

    steps, batch, reduced = 1500, 64, True
    hidden: Tensor

    def __init__(self, bottleneck: Any, width: int, depth: int) -> None:
        super().__init__((bottleneck.outputs,))
        check_range("depth", depth, 1, MAX_DEPTH)
        if check_range("width", width, HEADS, MAX_WIDTH) % HEADS:
            raise ValueError(f"width={width} must be a multiple of {HEADS}.")
        self.find, self.look_up = bottleneck.find, bottleneck.look_up
        self.num_codes, self.length = bottleneck.sizes[0], len(bottleneck.sizes)
        self.embedding = nn.Embedding(self.num_codes + 1, width)  # the last says: nothing yet
        self.place = nn.Parameter(torch.randn(self.length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, HEADS, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.num_codes))
        seen = nn.Transformer.generate_square_subsequent_mask(self.length)
        self.register_buffer("hidden", seen, persistent=False)

    @property
    def numbers(self) -> int:
        return self.length

    def codes(self, posterior: Posterior) -> Tensor:
        assert isinstance(posterior, Codes)
        return posterior.indices.flatten(1)

    def log_prob(self, z: Tensor) -> Tensor:
        return -self.loss(self.find(z))

    def loss(self, z: Tensor) -> Tensor:
        """Of code numbers ``[N, T]``."""
        return F.cross_entropy(self._logits(z).mT.float(), z, reduction="none").sum(1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        indices = torch.zeros(n, self.length, dtype=torch.long, device=self.anchor.device)
        for i in range(self.length):
            logits = self._logits(indices[:, : i + 1])[:, i] / max(temperature, 1e-6)
            indices[:, i] = torch.multinomial(logits.softmax(1), 1)[:, 0]
        return self.look_up(indices)

    def _logits(self, indices: Tensor) -> Tensor:
        """``[N, T]`` to ``[N, T, K]``; what is said of a place does not look at its own number."""
        length = indices.shape[1]
        before = F.pad(indices[:, :-1], (1, 0), value=self.num_codes)
        h = self.embedding(before) + self.place[:length]
        with sdpa_kernel(SDPBackend.MATH):  # on a CPU the fused one takes ten times as long to go back
            return self.last(self.layers(h, mask=self.hidden[:length, :length], is_causal=True))


@prior
def maf(net: LatentModel, spec: DataSpec, *, length: int = 4, width: int = 256) -> Prior:
    """A masked autoregressive flow (Papamakarios et al. 2017)."""
    return Flow(code_dim(net), length, width)


@prior
def iaf(net: LatentModel, spec: DataSpec, *, length: int = 2, width: int = 128) -> Prior:
    """An inverse autoregressive flow (Kingma et al. 2016): drawn in one pass, slow to fit."""
    return InverseFlow(code_dim(net), length, width)


@prior
def two_stage(net: LatentModel, spec: DataSpec, *, width: int = 256) -> Prior:
    """A second VAE, of the codes (Dai and Wipf 2019)."""
    return TwoStage(code_dim(net), width)


@prior
def autoregressive(net: LatentModel, spec: DataSpec, *, width: int = 128, depth: int = 3) -> Prior:
    """A transformer over the numbers of a code book, one after another, for models that have one."""
    bottleneck: Any = net.bottleneck
    if not hasattr(bottleneck, "sizes"):
        raise ValueError("autoregressive needs a model whose codes are numbers of a code book, such as vq_vae.")
    return Autoregressive(bottleneck, width, depth)
