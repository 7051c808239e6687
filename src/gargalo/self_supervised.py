"""Objectives that make a task of the examples alone: what is hidden, which views are of one, what a neighbor says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from gargalo import functional
from gargalo.distributions import tile
from gargalo.model import Batch, Output
from gargalo.objectives import Loss, Objective, loss

BINS, NEWEST = 16, 0.02  # of brightness; share of a new measurement of noise in what is known
RATIO = 0.25  # of the Gaussian noise that is added to one picture: the other gets four times as much, sign turned


class Masked(Objective):
    """-log p(x|z) of whole examples whose code saw a part of them, in training; later it sees all (He et al. 2022).

    ``hide`` is a corruption of inputs, drawn afresh at each step.
    """

    def __init__(self, hide: Callable[..., Tensor]) -> None:
        super().__init__()
        self.hide = hide

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        seen = self.hide(batch.input, None) if self.training else batch.input
        out: Output = model(Batch(seen, batch.target, batch.condition, batch.dataset_size))
        return loss(out.nll, nll=out.nll)


class Neighbors(Objective):
    """Pictures known only with their noise: each is seen through one pixel of every four, and the one beside it is
    foretold (Huang et al. 2021). Only what is the same in both can be, and noise that is independent is not.

    ``consistency`` weighs that the two halves of what is made of the whole picture differ as the answers do. Halves are
    rougher than pictures, so that what learned from them alone leaves noise where a picture is smooth:
    ``recorruption`` weighs that from the whole picture with more noise the picture with less is foretold, of noise such
    that both have none in common (Pang et al. 2021). Where it was cut at black and white, and is not Gaussian, as much
    is added as there is, by the same law: of two like that no sum says which is which. What is added is added with
    either sign, to every other picture, which costs no more than once to all: in the mean of both little is left of the
    noise that the target was given, so that the input needs little more than it had, and answers are learned for noise
    as it is. How much there is of it in ``channels`` is measured by brightness, in pictures of `functional.LEAST_SIDE`
    pixels at the least; smaller ones go without.

    The batch's target is not looked at, nor what is beyond a multiple of four rows and columns: halves must have even
    sides, for networks that fold them.
    """

    noise: Tensor

    independent_noise = True  # is taken for granted: see `gargalo.evaluation.noise`
    keeps_last = True  # how well halves are foretold tells weights apart no more, long before whole pictures are best

    def __init__(self, consistency: float, recorruption: float, channels: int) -> None:
        super().__init__()
        self.consistency, self.recorruption = consistency, recorruption
        self.register_buffer("noise", torch.full((channels, BINS), torch.nan))  # standard deviations

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        if batch.input.shape[1] != batch.target.shape[1]:
            raise ValueError("Neighbors learns from pictures alone; the corruption tells more of them. Leave out told.")
        high, wide = (side // 4 * 4 for side in batch.input.shape[-2:])
        noisy = batch.input[..., :high, :wide]
        grid = (len(noisy), high // 2, wide // 2)
        choice = torch.randint(8, grid, device=noisy.device)
        one, other = functional.neighbors(noisy, choice)
        out: Output = model(Batch(one, other))
        terms = {"nll": out.nll}
        if not self.training:  # The next term's scale is the noise that was measured, which drifts, and the last is
            return loss(out.nll, **terms)  # the smaller the more noise is left.
        with torch.no_grad():
            whole = cast(Any, model).decode(cast(Any, model).encode(noisy).mode).mode
        if self.recorruption and min(high, wide) >= functional.LEAST_SIDE:
            pairs = self._whole(model, noisy[::2], whole[::2])
            terms["whole"] = self.recorruption * pairs.mean().expand(len(noisy))
        whole_one, whole_other = functional.neighbors(whole, choice)
        answer = out.likelihood.mode
        variance = (answer - other).square().mean().detach()  # of what cannot be foretold: weighs both terms alike
        apart = 0.5 * (answer - other - whole_one + whole_other).square().flatten(1).sum(1) / variance
        terms["apart"] = self.consistency * apart
        return loss(sum(terms.values(), torch.zeros(())), **terms)

    def _whole(self, model: nn.Module, noisy: Tensor, clean: Tensor) -> Tensor:
        """Half the squared error in foretelling a picture less noise from one with more, by twice the variance of the
        noise it came with, ``[2 N]``: as drawn, then with all signs turned. What is known of the ``clean`` picture says
        how much there is."""
        std, drawn, cut = self._measured(noisy, clean), torch.randn_like(noisy), ((noisy >= 0) & (noisy <= 1)).all()
        noisy, clean, std, drawn = tile(noisy, 2), tile(clean, 2), tile(std, 2), torch.cat([drawn, -drawn])
        more = torch.where(cut, cut_noise(clean, std, drawn), std * drawn)
        near = cut & (torch.minimum(clean, 1 - clean) < functional.CUT * std)
        share = torch.where(near, 1.0, RATIO)
        out: Output = model(Batch(noisy + share * more, noisy))
        error = (out.likelihood.mode - noisy + more / share).square()
        variance = std.square().mean().clamp(min=1e-12)
        return 0.25 * torch.where(std > 0, error / variance, 0.0).flatten(1).sum(1)

    def _measured(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """Standard deviation of the noise of every pixel before it was cut, by what was measured at this and all steps
        before; near black and white, where cutting leaves less, as at the nearest brightness that is far enough."""
        found = functional.noise_by_brightness(noisy, clean, BINS)
        known = torch.where(self.noise.isnan(), found, torch.lerp(self.noise, found, NEWEST))
        self.noise.copy_(torch.where(found.isnan(), self.noise, known))
        middles = (torch.arange(BINS, device=noisy.device) + 0.5) / BINS
        whole = (self.noise < torch.minimum(middles, 1 - middles) / functional.CUT) & self.noise.isfinite()
        whole = torch.where(whole.any(1, keepdim=True), whole, self.noise.isfinite())
        apart = (middles[:, None] - middles).abs()  # from each bin to all
        nearest = torch.where(whole[:, None], apart, torch.inf).argmin(2)
        table = self.noise.gather(1, nearest).nan_to_num(0.0)
        place = (clean * BINS).long().clamp(0, BINS - 1).transpose(0, 1).flatten(1)
        return table.gather(1, place).unflatten(1, (len(noisy), *noisy.shape[2:])).transpose(0, 1)


def cut_noise(mean: Tensor, std: Tensor, drawn: Tensor) -> Tensor:
    """Noise of pixels that are cut to [0, 1] and have this ``mean`` then, less that mean: of ``std`` before that, from
    standard normal numbers ``drawn``, all of one shape. The end that is farther away is too far to matter."""
    places = torch.linspace(-4, 4, 1025, device=mean.device)  # of pixels before they are cut, in deviations from an end
    means = places * torch.special.ndtr(places) + torch.exp(-places.square() / 2) / math.sqrt(2 * math.pi)
    table = places[torch.searchsorted(means, torch.arange(1024, device=mean.device) / 256)]
    away = torch.minimum(mean, 1 - mean).clamp(min=0) / std.clamp(min=1e-6)
    meant = torch.where(away < 3.99, table[(256 * away).long().clamp(max=1023)], away)
    return torch.where(mean < 0.5, std, -std) * ((meant + drawn).clamp(min=0) - away)


class Contrastive(Objective):
    """Codes by which two views of one example find each other, and which tell its edges as well as its values.

    After Chen et al. 2020, who compare projections of the codes: what these throw away, the codes keep; and Wei et al.
    2022, who predict edges of pictures, as these say more of what things are than brightness does. ``change`` is an
    augmentation that makes views of inputs; what is predicted and decoded is the example itself, of ``shape``.
    ``contrast`` and ``edges`` are weights, beside 1 for the decoded.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        change: Callable[..., Tensor],
        *,
        contrast: float,
        edges: float,
        temperature: float,
    ) -> None:
        super().__init__()
        if contrast < 0 or edges < 0 or temperature <= 0:
            raise ValueError(
                f"contrast={contrast} and edges={edges} must be at least 0, temperature={temperature} greater than 0."
            )
        self.change, self.contrast, self.edges, self.temperature = change, contrast, edges, temperature
        self.projector = _head(latent_dim, 256, 128)
        self.sketcher = _head(latent_dim, 512, functional.outline(torch.zeros(1, *shape)).shape[1])

    def parameters_of(self, player: str, model: nn.Module) -> Iterable[nn.Parameter]:
        return [*model.parameters(), *self.parameters()]

    def forward(self, model: nn.Module, batch: Batch, player: str = "model") -> Loss:
        views = torch.cat([self.change(batch.input, None), self.change(batch.input, None)])
        condition = None if batch.condition is None else tile(batch.condition, 2)
        out: Output = model(Batch(views, tile(batch.target, 2), condition, batch.dataset_size))
        one, other = self.projector(out.z).float().chunk(2)
        contrast = functional.nt_xent(one, other, self.temperature)
        sketch, outline = self.sketcher(out.z).float(), tile(functional.outline(batch.target), 2)
        edges = (sketch - outline).square().sum(1)
        return loss(
            out.nll + self.contrast * contrast + self.edges * edges, nll=out.nll, contrast=contrast, edges=edges
        )


def _head(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))
