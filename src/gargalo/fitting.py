"""From data in memory to a state that trains: what was left open is filled in, a budget becomes a number of steps.

Nothing is written here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gargalo import checkpoint
from gargalo._version import __version__
from gargalo.acceleration import Plan, computing, may_gain_from_compiling, pick_device
from gargalo.data.augmentations import default_for
from gargalo.data.batches import Feed, derive
from gargalo.data.corruptions import corrupted_shape
from gargalo.data.source import Source
from gargalo.model import LatentModel
from gargalo.registry import augmentation as augmentations
from gargalo.registry import method as methods
from gargalo.spec import DataSpec
from gargalo.training import Settings, Step, TrainState, seeded, validate
from gargalo.training import train as steps

VALIDATED_AT_ONCE = 1 << 23  # numbers, so that large pictures do not fill the memory
EVALUATIONS = 25  # in a run, at the most: more would cost more than they tell
COMPILE_FROM = 120.0  # seconds of a run: compiling takes about ten of them
THREADS_GAIN = 1.05  # times as fast, or else one thread takes the steps: it suffers least from other programs
COMPILE_GAIN = 1.02  # times as fast, before compiled steps are taken: once tried, the compiling is paid for
FEWEST = 10  # steps of a run, however short its budget
LOOKS = 16  # at the clock in a run on a budget of time
DRIFT = 0.05  # of all steps: from there on they are counted anew
TRIAL, TURNS = 1.2, 3  # seconds for each contender, in so many turns, as a machine's speed drifts
ON_GPU = 64, 2.0  # examples a step, which take as long as 8 there, and times the rate that 8 are learned from with
PRIMED = 1024  # examples that a fresh model sees, where parts of it start from data
STEPS, EPOCHS = 12_000, (10, 300)  # of a run whose budget nobody named
PROBED = {  # the least of each kind, to see what a method makes of it
    "vector": DataSpec("vector", (2,), num_classes=2),
    "image": DataSpec("image", (1, 8, 8), num_classes=2),
    "sequence": DataSpec("sequence", (8, 1), num_classes=2),
}


def configured(
    method: str,
    spec: DataSpec,
    examples: int,
    arguments: dict[str, Any],
    settings: Settings,
    *,
    corruption: str,
    augment: str,
    parts: dict[str, Any],
) -> dict[str, Any]:
    """What a checkpoint says of a training, everything left open filled in. ValueError for what cannot be.

    ``arguments`` are the method's; ``parts`` are entries of the spec.
    """
    method = method.replace("-", "_")
    if settings.epochs is not None and settings.time is not None:
        raise ValueError(f"epochs={settings.epochs} and time={settings.time:g} are two budgets: give one of them.")
    suggested = suggestions(method, arguments)
    if augment == "auto":
        augment = suggested.get("augment") or default_for(spec.kind, spec.shape, spec.vocabulary)
    augmentations.select(augment)(spec.scaled(torch.zeros(1, *spec.shape)), torch.Generator())
    if corruption == "auto":
        corruption = suggested.get("corruption", "none")
    if "likelihood" in suggested:
        parts = {"likelihood": suggested["likelihood"]} | parts
    open_settings = {
        key: suggested[key] for key in ("batch_size", "lr") if getattr(settings, key) is None and key in suggested
    }
    if {"batch_size", "lr"} <= open_settings.keys() and pick_device(settings.device).type == "cuda":
        open_settings = {"batch_size": ON_GPU[0], "lr": ON_GPU[1] * open_settings["lr"]}
    settings = dataclasses.replace(settings, **open_settings)
    spec = dataclasses.replace(spec, input_shape=corrupted_shape(corruption, spec), **parts)
    return {
        "gargalo": __version__,
        "method": method,
        "arguments": methods.defaults(method) | methods.check(method, arguments),
        "spec": spec.to_json(),
        "corruption": corruption,
        "augment": augment,
        "settings": dataclasses.asdict(_resolved(settings, examples)),
        "environment": _environment(settings),
    }


def _resolved(settings: Settings, examples: int) -> Settings:
    """Fills in what the user left to us: a batch that makes at least some steps an epoch, a budget that trains."""
    batch = settings.batch_size or max(32, min(256, 2 ** int(math.log2(max(2, examples / 8)))))
    batch = min(batch, examples)
    epochs = settings.epochs
    if epochs is None and settings.time is None:
        epochs = max(EPOCHS[0], min(EPOCHS[1], math.ceil(STEPS / max(1, examples // batch))))
    return dataclasses.replace(settings, batch_size=batch, epochs=epochs)


def _environment(settings: Settings) -> dict[str, Any]:
    """What has to be the same for a run to be the same to the last bit."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": str(pick_device(settings.device)),
    }


def asks_for_labels(method: str, arguments: dict[str, Any] | None) -> bool:
    """Whether a method's model is conditional; False for what is no method, which `configured` will say."""
    found = _any_model(method, arguments)
    return found is not None and found.conditional


def suggestions(method: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
    """How a method is trained where nobody says otherwise, as its model suggests: the ``corruption``, ``augment``,
    ``likelihood``, ``batch_size`` and ``lr``, and ``folders``, the source that reads folders of pictures."""
    found = _any_model(method, arguments)
    return {} if found is None else found.suggested


def takes(kind: str, method: str, arguments: dict[str, Any] | None) -> bool:
    """Whether a method has a model of a ``kind`` of data, of `PROBED`."""
    return _probe(str(method), arguments, kind) is not None


def _any_model(method: str, arguments: dict[str, Any] | None) -> LatentModel | None:
    found = (_probe(str(method), arguments, kind) for kind in PROBED)
    return next((model for model in found if model is not None), None)


def _probe(method: str, arguments: dict[str, Any] | None, kind: str) -> LatentModel | None:
    """A method's model of some data, without memory for its weights; None where it has none."""
    try:
        checked = methods.check(method, arguments or {})  # which makes Python's numbers of numpy's: these have no JSON
    except ValueError:
        return None
    return _probed(method, json.dumps(checked, default=repr, sort_keys=True), kind)


@cache
def _probed(method: str, arguments: str, kind: str) -> LatentModel | None:
    try:
        with torch.device("meta"), seeded(0):
            return methods[method](PROBED[kind], **methods.check(method, json.loads(arguments)))[0]
    except (ValueError, TypeError, RuntimeError):
        return None


class Clock:
    """Counts anew, a few times in a run, the steps that a budget of time holds: other programs come and go."""

    def __init__(self, end: float) -> None:
        self.end, self.budget = end, end - time.perf_counter()
        self.first: tuple[int, float] | None = None
        self.look = 0.0

    def total(self, step: int, planned: int) -> int:
        """Steps in all, after ``step`` of ``planned`` ones; what a step takes is the mean of those so far."""
        now = time.perf_counter()
        left = self.end - now
        if self.first is None:  # what the first one takes says nothing: it may be compiled in it
            self.first, self.look = (step, now), now + self.budget / LOOKS
        early = step == planned and left > self.budget / LOOKS
        if (now < self.look and not early) or step == self.first[0]:
            return planned
        self.look = now + self.budget / LOOKS
        more = max(0, round(left * (step - self.first[0]) / (now - self.first[1])))
        found = max(FEWEST, step + more)
        return found if abs(found - planned) > DRIFT * planned else planned


@dataclasses.dataclass
class Fitting:
    """One training of one config on some rows of a source, perhaps with others held out to evaluate it on.

    ``start`` steps were taken before, on other rows: these begin a first epoch of their own.
    """

    config: dict[str, Any]
    source: Source
    settings: Settings
    rows: Tensor
    held_out: Tensor | None = None
    start: int = 0

    def __post_init__(self) -> None:
        self.clock: Clock | None = None
        device = str(pick_device(self.settings.device))
        seed = derive(self.settings.seed, "rows", self.start) if self.start else self.settings.seed
        common: dict[str, Any] = {"corrupt": self.config["corruption"], "seed": seed, "device": device}
        batch_size = self.settings.batch_size or 1
        self.feed = Feed(self.source, self.rows, batch_size, augment=self.config["augment"], **common)
        self.validation = None
        if self.held_out is not None:
            at_once = min(500, len(self.held_out), max(1, VALIDATED_AT_ONCE // self.source.spec.numbers))
            self.validation = Feed(self.source, self.held_out, at_once, **common)

    def new_state(self, total_steps: int, plan: Plan | None = None) -> TrainState:
        with seeded(derive(self.settings.seed, "weights")):
            model, objective = checkpoint.build(self.config)
            model.to(pick_device(self.settings.device))  # where the batches are that it is primed with
            at_once = min(PRIMED, len(self.rows), max(1, VALIDATED_AT_ONCE // self.source.spec.numbers))
            model.prime(dataclasses.replace(self.feed, batch_size=at_once).batches())
        return TrainState(model, objective, self.settings, total_steps, plan)

    def begin(self) -> TrainState:
        """A state at step 0. How it takes steps, and how many a budget of time holds, is found by timing some that are
        thrown away."""
        settings, started = self.settings, time.perf_counter()
        state = self.new_state(math.ceil((settings.epochs or 1) * self.feed.steps_per_epoch))
        plan = state.plan
        undecided = settings.compile == "auto" and may_gain_from_compiling(state.learner.model)
        if settings.time is None:
            expected = state.total_steps * self._step_times([plan], 0.0)[0] if undecided else 0.0
            state.plan, _ = self._try_compiled(plan, expected)
            return state
        state.plan, step_time = self._try_compiled(plan, settings.time if undecided else 0.0)
        if step_time is None or not state.plan.compiled:
            state.plan, step_time = self._try_one_thread(state.plan, min(4.0, 0.05 * settings.time))
        overhead = EVALUATIONS * self._evaluation_time(state.plan) + (time.perf_counter() - started)
        state.total_steps = max(FEWEST, int((settings.time - overhead) / step_time))
        self.clock = Clock(started + settings.time)
        return state

    def evaluated(self, state: TrainState) -> Iterator[tuple[Step, dict[str, float] | None]]:
        """Steps to the end, or as far as patience goes; after some, the figures of the rows held out."""
        for step in steps(state, self.feed.batches(state.step - self.start), self.settings):
            if self.clock is not None:
                state.total_steps = self.clock.total(step.number, state.total_steps)
            every = max(self.feed.steps_per_epoch, math.ceil(state.total_steps / EVALUATIONS))
            figures = None
            if self.validation is not None and (step.number % every == 0 or step.number == state.total_steps):
                figures = validate(state, self.validation.in_order(), self.settings)
                state.observe(figures["loss"])
                if self.settings.patience is not None and state.stale >= self.settings.patience:
                    state.total_steps = state.step
            yield step, figures

    def _try_compiled(self, plan: Plan, expected: float) -> tuple[Plan, float | None]:
        """The plan with compiled steps, where they are wanted or a run of so many seconds is long enough for them
        to pay, and the seconds a step takes, where that was measured."""
        wanted = self.settings.compile
        if wanted == "off" or (wanted == "auto" and expected < COMPILE_FROM):
            return plan, None
        compiled = dataclasses.replace(plan, compiled=True)
        try:
            step_time, faster = self._step_times([plan, compiled], TRIAL)
        except Exception as error:
            if wanted == "on":
                raise ValueError(f"compile='on': this model cannot be compiled here: {error}") from error
            # A compiler may fail in any way; plain steps work all the same, and `show` tells.
            reason = str(error).strip().partition("\n")[0]
            return dataclasses.replace(plan, note=f"not compiled: {reason}"), None
        gain = step_time / faster
        chosen = compiled if wanted == "on" or gain >= COMPILE_GAIN else plan
        note = f"compiled steps were {gain:.2f} times as fast in a trial"
        return dataclasses.replace(chosen, note=note), faster if chosen.compiled else step_time

    def _try_one_thread(self, plan: Plan, seconds: float) -> tuple[Plan, float]:
        """The plan with one thread, where it is as fast as all, and the seconds a step takes."""
        alone = dataclasses.replace(plan, threads=1)
        plans = [plan] if plan == alone or torch.get_num_threads() == 1 else [plan, alone]
        times = self._step_times(plans, seconds / len(plans))
        chosen = 0 if times[0] * THREADS_GAIN <= times[-1] else -1
        return plans[chosen], times[chosen]

    def _step_times(self, plans: list[Plan], seconds: float) -> list[float]:
        """Seconds a step under each plan, the median of turns, measured for so many seconds each."""
        streams = [steps(self.new_state(1 << 40, plan), self.feed.batches(), self.settings) for plan in plans]
        for plan, stream in zip(plans, streams, strict=True):
            with computing(plan):
                for _ in range(5):
                    next(stream)
        turns: list[list[float]] = [[] for _ in plans]
        for _ in range(TURNS):
            for plan, stream, taken in zip(plans, streams, turns, strict=True):
                with computing(plan):
                    start, count = time.perf_counter(), 0
                    while time.perf_counter() - start < seconds / TURNS or not count:
                        next(stream)
                        count += 1
                taken.append((time.perf_counter() - start) / count)
        return [statistics.median(taken) for taken in turns]

    def _evaluation_time(self, plan: Plan) -> float:
        if self.validation is None:
            return 0.0
        state = self.new_state(1, plan)
        with computing(plan):
            validate(state, self.validation.in_order(), self.settings)  # warms up
            start = time.perf_counter()
            validate(state, self.validation.in_order(), self.settings)
            return time.perf_counter() - start
