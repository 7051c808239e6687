"""The training loop: a generator of steps. Progress, checkpoints and early stopping are loops around it.

A step is a function of (state, seed, step number) alone, so that a resumed run is the same run, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from gargalo import acceleration
from gargalo.acceleration import Plan, Precision, pick_device
from gargalo.data.batches import derive
from gargalo.errors import GargaloError
from gargalo.model import Batch, LatentModel
from gargalo.objectives import Loss, Objective

BAD_STEPS, ROLL_BACKS, SNAPSHOT_EVERY, AVERAGE_EVERY = 10, 3, 100, 8
DECAY = 0.25  # of a run, in which the linear schedule brings the rate to zero


class DivergenceError(GargaloError):
    """Loss or gradients stayed infinite or undefined through every attempt to go on."""


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """How to train. None means: by a rule that looks at the data and the machine."""

    epochs: int | None = _setting(None, "Passes over the data; by its size unless given.")
    time: float | None = _setting(None, "A budget such as 90s, 10m or 2h, in place of epochs.")  # in Python, seconds
    batch_size: int | None = _setting(None, "Examples a step; by the size of the data unless given.")
    lr: float | None = _setting(None, "The highest learning rate; by batch size and length of the run unless given.")
    schedule: Literal["linear", "cosine", "constant"] = _setting(
        "linear", "How the rate falls to zero: linear, in the last quarter; cosine, all the way; or constant, never."
    )
    warmup: int = _setting(200, "Steps in which the rate rises; a twentieth of the run at the most.")
    weight_decay: float = _setting(0.1, "Of AdamW (Loshchilov and Hutter 2019), on matrices and kernels.")
    clip: float | None = _setting(4.0, "Gradients are cut at so many times their usual norm.")
    ema: float | None = _setting(0.998, "Decay of the weight average that is evaluated and saved.")
    patience: int | None = _setting(None, "Stop after so many evaluations without a better validation loss.")
    precision: Precision = _setting("auto", "Of the networks; auto takes bfloat16 where the hardware multiplies it.")
    compile: Literal["auto", "on", "off"] = _setting("auto", "Compile the step; auto tries it on runs of some minutes.")
    device: str = _setting("auto", "Such as cpu or cuda; auto takes a GPU where there is one.")
    seed: int = _setting(0, "Of all randomness.")

    def __post_init__(self) -> None:
        for name in ("epochs", "time", "batch_size", "lr", "clip", "patience"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name}={value} must be greater than 0.")
        decays = 0 <= self.weight_decay < math.inf and (self.ema is None or 0 <= self.ema < 1)
        if self.warmup < 0 or not decays:
            raise ValueError(
                f"warmup={self.warmup} and weight_decay={self.weight_decay} must be at least 0 and finite, "
                f"ema={self.ema} in [0, 1)."
            )


class Learner(nn.Module):
    """Model and objective in one module, so that a wrapper around it sees all parameters and one forward."""

    def __init__(self, model: LatentModel, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch, player: str = "model") -> Loss:
        return self.objective(self.model, batch, player)


class Step(NamedTuple):
    """What a training step reports. ``skipped`` says that its loss or gradient was not finite."""

    number: int
    loss: float
    terms: dict[str, float]
    lr: float
    skipped: bool


class TrainState:
    """Everything that a step changes: weights, their average, optimizers, counters."""

    def __init__(
        self,
        model: LatentModel,
        objective: Objective,
        settings: Settings,
        total_steps: int,
        plan: Plan | None = None,
    ) -> None:
        self.device = pick_device(settings.device)
        self.plan = plan or acceleration.plan_for(model, self.device, settings.precision, settings.batch_size)
        self.learner = Learner(model, objective).to(self.device)
        acceleration.arrange(model, self.plan)
        acceleration.keep_freed_memory()
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self._pairs = [*self.average.parameters()], [p.detach() for p in model.parameters()]
        self.groups = {p: list(objective.parameters_of(p, model)) for p in objective.players}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            player: torch.optim.AdamW(_decayed(group, settings.weight_decay), lr=1e-3, fused=True)
            for player, group in self.groups.items()
        }
        self.step = 0
        self.total_steps = total_steps
        self.usual_norm = dict.fromkeys(self.groups, 0.0)
        self.lr_factor = 1.0
        self.roll_backs = 0
        self.best_loss = math.inf
        self.stale = 0  # evaluations since the best one
        self.critic = [0.5, 0.5]  # share of cases that a critic gets right: running mean, the highest it has been

    COUNTERS = ("step", "total_steps", "usual_norm", "lr_factor", "roll_backs", "best_loss", "stale", "critic")

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"learner": self.learner, "average": self.average, "best": self.best}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a file."""
        found = {f"{k}.{name}": t for k, m in self.modules.items() for name, t in m.state_dict().items()}
        for player, optimizer in self.optimizers.items():
            for index, entry in optimizer.state_dict()["state"].items():
                found |= {f"optimizer.{player}.{index}.{key}": value for key, value in entry.items()}
        return found

    def counters(self) -> dict[str, Any]:
        """All numbers by name, for JSON; an infinite loss becomes None."""
        values = {name: getattr(self, name) for name in self.COUNTERS}
        return values | {"best_loss": None if math.isinf(self.best_loss) else self.best_loss}

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """The inverse of ``tensors`` and ``counters``. KeyError or RuntimeError where they are of another model."""
        for prefix, module in self.modules.items():
            own = {name: tensors[f"{prefix}.{name}"] for name in module.state_dict()}
            module.load_state_dict(own)
        self._restore_optimizers(tensors)
        for name in self.COUNTERS:
            if name in counters:  # earlier releases had fewer
                setattr(self, name, copy.copy(counters[name]))
        if counters["best_loss"] is None:
            self.best_loss = math.inf

    def _restore_optimizers(self, tensors: dict[str, Tensor]) -> None:
        entries: dict[str, dict[int, dict[str, Tensor]]] = {player: {} for player in self.optimizers}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, player, index, key = name.split(".")
                entries[player].setdefault(int(index), {})[key] = tensor.clone()
        for player, optimizer in self.optimizers.items():
            for index, group in enumerate(p for g in optimizer.param_groups for p in g["params"]):
                for key, tensor in entries[player].get(index, {}).items():
                    if tensor.dim():  # a fused optimizer reads parameter and moments in one sweep of memory
                        entries[player][index][key] = torch.empty_like(group).copy_(tensor)
            optimizer.load_state_dict(optimizer.state_dict() | {"state": entries[player]})

    def adopt(self, weights: dict[str, Tensor]) -> None:
        """Begins with tensors of the model that were learned elsewhere; moments and counters stay."""
        for model in (self.learner.model, self.average, self.best):
            model.load_state_dict(model.state_dict() | weights)

    def update_average(self, decay: float | None) -> None:
        """Moves the average towards the weights; young averages move faster, so that no start is dragged along.

        Once they are older they move every few steps only, by as much: passing over all weights costs time.
        """
        steps = 1 if self.step <= AVERAGE_EVERY**2 else AVERAGE_EVERY
        if self.step % steps:
            return
        model = self.learner.model
        rate = 1.0 if decay is None else 1 - min(decay, (1 + self.step) / (10 + self.step)) ** steps
        with torch.no_grad():
            cast(Any, torch)._foreach_lerp_(*self._pairs, rate)
            for mine, other in zip(self.average.buffers(), model.buffers(), strict=True):
                mine.copy_(other)

    def observe(self, validation_loss: float) -> bool:
        """Notes the loss of the averaged weights; keeps them, and says so, if it is the lowest so far, or the objective
        wants the last ones."""
        lower = validation_loss < self.best_loss
        self.stale = 0 if lower else self.stale + 1
        kept = lower or self.learner.objective.keeps_last
        if kept:
            self.best_loss = validation_loss
            self.best.load_state_dict(self.average.state_dict())
        return kept


def _decayed(group: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Only matrices and kernels decay; a bias or a scale has no reason to be near 0."""
    matrices, others = [p for p in group if p.dim() > 1], [p for p in group if p.dim() <= 1]
    parts = (matrices, weight_decay), (others, 0.0)
    return [{"params": params, "weight_decay": decay} for params, decay in parts if params]


def train(state: TrainState, batches: Iterable[Batch], settings: Settings) -> Iterator[Step]:
    """Takes one optimizer step a player and batch, until ``state.total_steps`` are done.

    A step whose loss or gradient is not finite changes nothing; ten in a row take the weights back to the last
    good ones at half the rate. Raises DivergenceError after three such retreats in vain.
    """
    learner = state.learner.train()
    forward = acceleration.compiled(learner) if state.plan.compiled else learner
    good, bad = _snapshot(state), 0
    for batch in batches:
        if state.step >= state.total_steps:
            return
        number = state.step + 1
        lr = rate_at(number, state.total_steps, settings) * state.lr_factor
        learner.objective.step.fill_(number)
        with seeded(derive(settings.seed, "step", number)):
            results = [_turn(state, forward, player, batch, lr, settings) for player in learner.objective.turns]
        state.step = number
        skipped = any(result is None for result in results)
        bad = bad + 1 if skipped else 0
        if bad >= BAD_STEPS:
            _roll_back(state, good)
            bad = 0
        elif not skipped:
            state.update_average(settings.ema)
            if number % SNAPSHOT_EVERY == 0:
                good = _snapshot(state)
        finished = [result for result in results if result is not None]
        terms = {name: term.item() for result in finished for name, term in result.terms.items()}
        if "critic" in terms:
            mean = 0.95 * state.critic[0] + 0.05 * terms["critic"]
            state.critic = [mean, max(mean, state.critic[1])]
        yield Step(number, finished[0].total.item() if finished else math.nan, terms, lr, skipped)


def _turn(state: TrainState, forward: Any, player: str, batch: Batch, lr: float, settings: Settings) -> Loss | None:
    """One player's step; None where it was not finite and was left out."""
    optimizer = state.optimizers[player]
    for parameter in state.groups[player]:
        parameter.grad = None
    with acceleration.autocast(state.plan, state.device):
        result: Loss = forward(batch, player)
    result.total.backward()
    norm = _norm([p.grad for p in state.groups[player] if p.grad is not None])
    if not (math.isfinite(norm) and math.isfinite(result.total.item())):
        return None
    usual = state.usual_norm[player] or norm
    state.usual_norm[player] = 0.98 * usual + 0.02 * min(norm, 4 * usual)
    if settings.clip is not None and norm > settings.clip * usual:
        nn.utils.clip_grads_with_norm_(state.groups[player], settings.clip * usual, torch.tensor(norm))
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return result


def _norm(gradients: list[Tensor]) -> float:
    """Of all of them together. A dot product is twice as fast as torch's norms, but wants its numbers in a row."""
    rows = [g.view(-1) if g.is_contiguous() else torch.linalg.vector_norm(g).view(1) for g in gradients]
    return math.sqrt(float(torch.stack([torch.dot(row, row) for row in rows]).sum()))


def _snapshot(state: TrainState) -> dict[str, Tensor]:
    """All that goes back; the best weights stay, as what they lost does."""
    return {name: tensor.clone() for name, tensor in state.tensors().items() if not name.startswith("best.")}


def _roll_back(state: TrainState, good: dict[str, Tensor]) -> None:
    state.roll_backs += 1
    if state.roll_backs > ROLL_BACKS:
        raise DivergenceError(
            f"Training diverged {state.roll_backs} times, last at step {state.step:,}: the loss is not finite. "
            "Try a lower --lr, or look at the data for extreme values."
        )
    state.lr_factor *= 0.5
    best = {f"best.{name}": tensor for name, tensor in state.best.state_dict().items()}
    state.restore(good | best, state.counters())


def rate_at(step: int, total: int, settings: Settings) -> float:
    """The learning rate of a step, counted from 1: linear warm-up, then the schedule."""
    peak = settings.lr or rate_for(settings.batch_size or 1, total)
    warmup = min(settings.warmup, total // 20)
    if step <= warmup:
        return peak * step / warmup
    left = 1 - (step - warmup) / max(1, total - warmup)
    factors = {"constant": 1.0, "cosine": 0.5 * (1 - math.cos(math.pi * left)), "linear": min(1.0, left / DECAY)}
    return peak * max(0.005, factors[settings.schedule])


def rate_for(batch_size: int, total: int) -> float:
    """The highest rate, from the sweep in benchmarks: a larger batch has a gradient that can be trusted further, and a
    short run has no time for small steps."""
    return 2e-3 * math.sqrt(min(1.0, batch_size / 256)) * min(2.0, max(1.0, math.sqrt(4000 / total)))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's own random numbers from ``seed`` inside, untouched outside."""
    # Not torch.manual_seed in fork_rng: it formats a stack trace for each kind of device, a third of a small step.
    generators = [torch.default_generator]
    if torch.cuda.is_available():
        torch.cuda.init()
        generators.append(torch.cuda.default_generators[torch.cuda.current_device()])
    before = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


@torch.no_grad()
def validate(state: TrainState, batches: Iterable[Batch], settings: Settings) -> dict[str, float]:
    """The objective under the averaged weights, over whole batches: ``{"loss": ..., and its terms}``.

    The same noise every time, so that two evaluations differ by the weights alone.
    """
    objective = state.learner.objective.eval()
    sums: dict[str, float] = {}
    rows = 0
    with seeded(derive(settings.seed, "validation")), acceleration.autocast(state.plan, state.device):
        for batch in batches:
            result = objective(state.average, batch, objective.players[0])
            n = len(batch.target)
            for name, value in {"loss": result.total, **result.terms}.items():
                sums[name] = sums.get(name, 0.0) + value.item() * n
            rows += n
    objective.train()
    return {name: value / rows for name, value in sums.items()}
