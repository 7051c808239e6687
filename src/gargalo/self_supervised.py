"""Objectives that make a task of the examples alone: what is hidden, which views are of one, what a neighbor says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from gargalo import functional
from gargalo.distributions import tile
from gargalo.model import Batch, Output
from gargalo.objectives import Loss, Objective, loss

BINS, NEWEST = 16, 0.02  # of brightness; share of a new measurement of noise in what is known
RATIO = 0.5  # of the noise that is added to one picture: the other gets twice as much, with its sign turned


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
    that both have none in common (Pang et al. 2021). How much there is of it in ``channels`` is measured by brightness,
    in pictures of `functional.LEAST_SIDE` pixels at the least; smaller ones go without.

    The batch's target is not looked at, nor what is beyond a multiple of four rows and columns: halves must have even
    sides, for networks that fold them.
    """

    noise: Tensor

    independent_noise = True  # is taken for granted: see `gargalo.evaluation.noise`

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
        if not self.training:  # To choose weights by nothing else will do: the next term's scale is the noise that was
            return loss(out.nll, **terms)  # measured, which drifts, and the last is the smaller the more noise is left.
        with torch.no_grad():
            whole = cast(Any, model).decode(cast(Any, model).encode(noisy).mode).mode
        if self.recorruption and min(high, wide) >= functional.LEAST_SIDE:
            terms["whole"] = self.recorruption * self._whole(model, noisy, whole)
        whole_one, whole_other = functional.neighbors(whole, choice)
        answer = out.likelihood.mode
        variance = (answer - other).square().mean().detach()  # of what cannot be foretold: weighs both terms alike
        apart = 0.5 * (answer - other - whole_one + whole_other).square().flatten(1).sum(1) / variance
        terms["apart"] = self.consistency * apart
        return loss(sum(terms.values(), torch.zeros(())), **terms)

    def _whole(self, model: nn.Module, noisy: Tensor, clean: Tensor) -> Tensor:
        """Half the squared error in foretelling less noise from more, by the variance of the target, ``[N]``; what is
        known of the ``clean`` picture says how much there is."""
        std = self._measured(noisy, clean)
        more = std * torch.randn_like(noisy)
        out: Output = model(Batch(noisy + RATIO * more, noisy))
        error = (out.likelihood.mode - noisy + more / RATIO).square() / (std.square().mean() * (1 + RATIO**-2))
        known = (clean > 2 * std) & (clean < 1 - 2 * std) & (std > 0)  # elsewhere noise was cut, or is none
        return 0.5 * torch.where(known, error, 0.0).flatten(1).sum(1)

    def _measured(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """Standard deviation of the noise of every pixel, by what was measured at this and all steps before."""
        found = functional.noise_by_brightness(noisy, clean, BINS)
        known = torch.where(self.noise.isnan(), found, torch.lerp(self.noise, found, NEWEST))
        self.noise.copy_(torch.where(found.isnan(), self.noise, known))
        table = torch.where(self.noise.isnan(), self.noise.nanmean(1, keepdim=True), self.noise).nan_to_num(0.0)
        place = (clean * BINS).long().clamp(0, BINS - 1).transpose(0, 1).flatten(1)
        return table.gather(1, place).unflatten(1, (len(noisy), *noisy.shape[2:])).transpose(0, 1)


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
