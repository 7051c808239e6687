"""train and resume: from a data set's name to a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gargalo import checkpoint
from gargalo._version import __version__
from gargalo.acceleration import Plan, flushed_denormals, may_gain_from_compiling, pick_device
from gargalo.checkpoint import TrainedModel
from gargalo.data import open_source
from gargalo.data.augmentations import default_for
from gargalo.data.batches import Feed, derive
from gargalo.data.corruptions import corrupted_shape
from gargalo.data.source import Source
from gargalo.errors import CheckpointError, DataError
from gargalo.registry import augmentation as augmentations
from gargalo.registry import method as methods
from gargalo.training import Settings, TrainState, seeded, validate
from gargalo.training import train as steps
from gargalo.verbs.card import card

Progress = Callable[[dict[str, Any]], None]
VALIDATED_AT_ONCE = 1 << 23  # numbers, so that large pictures do not fill the memory
EVALUATIONS = 25  # in a run, at the most: more would cost more than they tell
COMPILE_FROM = 120.0  # seconds of a run: compiling takes about ten of them
COMPILE_GAIN = 1.02  # times as fast, before compiled steps are taken: once tried, the compiling is paid for
TRIAL, TURNS = 1.2, 3  # seconds for each contender, in so many turns, as a machine's speed drifts
STEPS, EPOCHS = 12_000, (10, 300)  # of a run whose budget nobody named
SETTINGS = {field.name for field in dataclasses.fields(Settings)}


def train(
    method: str,
    data: str,
    out: str | Path,
    *,
    corruption: str = "none",
    augment: str = "auto",
    network: str | None = None,
    likelihood: str | None = None,
    save_every: float = 30.0,
    tensorboard: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> TrainedModel:
    """Trains a method on a data set and keeps it in the run folder ``out``.

    ``options`` are the method's arguments (``latent_dim=2``) and fields of `Settings` (``epochs``, ``time`` ...).
    ``save_every`` is in seconds; ``tensorboard`` writes event files into ``out`` too. ``progress`` is called with
    a dictionary a step. Raises ValueError for what is no such name or value, DataError for data that cannot be
    used, CheckpointError where ``out`` holds a run already. Ctrl-C and SIGTERM finish the step and save before
    they end the process.
    """
    run, source = Path(out), open_source(data)
    parts = {key: value for key, value in {"network": network, "likelihood": likelihood}.items() if value is not None}
    config: dict[str, Any] = {"method": method.replace("-", "_"), "data": data}
    config |= _configured(source, method, options, corruption, augment, parts)
    settings = Settings(**config["settings"])
    writer = _writer() if tensorboard else None
    checkpoint.build(config)  # what cannot be built is said before a folder is made
    with checkpoint.locked(run):
        if checkpoint.started(run):
            raise CheckpointError(f"{run} holds a run already. Go on with `gargalo resume {run}`, or give another -o.")
        _write_skipped(run, source)
        (run / "metrics.jsonl").unlink(missing_ok=True)
        job = _Job(run, config, source, settings, save_every, progress, writer and writer(str(run)))
        plan, total_steps = job.prepare()
        config["plan"] = dataclasses.asdict(plan)
        state = job.new_state(total_steps, plan)
        job.go(state)
    return checkpoint.load(run)


def resume(
    run: str | Path, *, save_every: float = 30.0, tensorboard: bool = False, progress: Progress | None = None
) -> TrainedModel:
    """Goes on with a run from its last checkpoint, to the same end bit for bit as if it had never stopped."""
    run = Path(run)
    checkpoint.read(run)
    with checkpoint.locked(run):
        config, folder = checkpoint.read(run)
        source = open_source(config["data"])
        if _fingerprint(source) != config["data_digest"]:
            raise DataError(f"{config['data']} has changed since {run} was started; it cannot go on. Train anew.")
        settings = Settings(**config["settings"])
        writer = _writer() if tensorboard else None
        job = _Job(run, config, source, settings, save_every, progress, writer and writer(str(run)))
        state = job.new_state(1, Plan(**config["plan"]))
        try:
            state.restore(checkpoint.load_state(folder), config["progress"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{folder} cannot be resumed: {error}") from error
        _drop_metrics_after(run, state.step)
        job.go(state)
    return checkpoint.load(run)


@dataclasses.dataclass
class _Job:
    """One run in one process."""

    run: Path
    config: dict[str, Any]
    source: Source
    settings: Settings
    save_every: float
    progress: Progress | None
    board: Any = None  # a TensorBoard writer

    def __post_init__(self) -> None:
        device = str(pick_device(self.settings.device))
        common: dict[str, Any] = {"corrupt": self.config["corruption"], "seed": self.settings.seed, "device": device}
        batch_size = self.settings.batch_size or 1
        train = self.source.indices("train")
        self.feed = Feed(self.source, train, batch_size, augment=self.config["augment"], **common)
        held_out = self.source.indices("validation")
        rows = min(500, len(held_out), max(1, VALIDATED_AT_ONCE // self.source.spec.numbers))
        self.validation = Feed(self.source, held_out, rows, **common)

    def new_state(self, total_steps: int, plan: Plan | None = None) -> TrainState:
        with seeded(derive(self.settings.seed, "weights")):
            model, objective = checkpoint.build(self.config)
        return TrainState(model, objective, self.settings, total_steps, plan)

    @flushed_denormals()
    def prepare(self) -> tuple[Plan, int]:
        """How to take steps and how many of them the budget holds, found by timing some that are thrown away."""
        settings, begin = self.settings, time.perf_counter()
        steps_asked = math.ceil((settings.epochs or 1) * self.feed.steps_per_epoch)
        fresh = self.new_state(1)
        plan = fresh.plan
        undecided = settings.compile == "auto" and may_gain_from_compiling(fresh.learner.model)
        if settings.time is None:
            expected = steps_asked * self._step_times([plan], 0.0)[0] if undecided else 0.0
            return self._try_compiled(plan, expected)[0], steps_asked
        plan, step_time = self._try_compiled(plan, settings.time if undecided else 0.0)
        step_time = step_time or self._step_times([plan], min(4.0, 0.05 * settings.time))[0]
        overhead = EVALUATIONS * self._evaluation_time(plan) + (time.perf_counter() - begin)
        return plan, max(10, int((settings.time - overhead) / step_time))

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

    def _step_times(self, plans: list[Plan], seconds: float) -> list[float]:
        """Seconds a step under each plan, the median of turns, measured for so many seconds each."""
        streams = [steps(self.new_state(1 << 40, plan), self.feed.batches(), self.settings) for plan in plans]
        for stream in streams:
            for _ in range(5):
                next(stream)
        turns: list[list[float]] = [[] for _ in plans]
        for _ in range(TURNS):
            for stream, taken in zip(streams, turns, strict=True):
                start, count = time.perf_counter(), 0
                while time.perf_counter() - start < seconds / TURNS or not count:
                    next(stream)
                    count += 1
                taken.append((time.perf_counter() - start) / count)
        return [statistics.median(taken) for taken in turns]

    def _evaluation_time(self, plan: Plan) -> float:
        state = self.new_state(1, plan)
        validate(state, self.validation.in_order(), self.settings)  # warms up
        start = time.perf_counter()
        validate(state, self.validation.in_order(), self.settings)
        return time.perf_counter() - start

    @flushed_denormals()
    def go(self, state: TrainState) -> None:
        """Steps to the end: evaluates, saves, reports; saves and leaves on a signal."""
        every = max(self.feed.steps_per_epoch, math.ceil(state.total_steps / EVALUATIONS))
        saved_at, started = time.monotonic(), time.monotonic()
        latest: dict[str, float] = {}
        with _signals() as received:
            for step in steps(state, self.feed.batches(state.step), self.settings):
                if step.number % every == 0 or step.number == state.total_steps:
                    latest = validate(state, self.validation.in_order(), self.settings)
                    state.observe(latest["loss"])
                    self._note(step, latest)
                    if self.settings.patience is not None and state.stale >= self.settings.patience:
                        state.total_steps = state.step
                if self.progress is not None:
                    seconds = time.monotonic() - started
                    self.progress(
                        {
                            **step._asdict(),
                            "total": state.total_steps,
                            "validation": latest,
                            "seconds": seconds,
                        }
                    )
                if received or time.monotonic() - saved_at > self.save_every:
                    self._save(state)
                    saved_at = time.monotonic()
                if received:
                    break
            else:
                self._save(state)
        if received:
            raise KeyboardInterrupt if received[0] == signal.SIGINT else SystemExit(128 + received[0])

    def _save(self, state: TrainState) -> None:
        chosen = state.average if math.isinf(state.best_loss) else state.best
        config = {k: v for k, v in self.config.items() if k not in ("sha256", "format")}
        config |= {"progress": state.counters()}
        checkpoint.save(self.run, config, chosen.state_dict(), state.tensors(), state.step)
        (self.run / "README.md").write_text(card(self.run.name, config))

    def _note(self, step: Any, validation: dict[str, float]) -> None:
        line = {"step": step.number, "loss": step.loss, "lr": step.lr, "validation": validation}
        with (self.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            figures = {"training/loss": step.loss, "training/lr": step.lr}
            figures |= {f"validation/{name}": value for name, value in validation.items()}
            for name, value in figures.items():
                self.board.add_scalar(name, value, step.number)
            self.board.flush()


def _writer() -> Any:
    """TensorBoard's writer; ValueError where this optional part is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("tensorboard is not installed here: pip install 'gargalo[tensorboard]'") from error
    return SummaryWriter


def _configured(
    source: Source, method: str, options: dict[str, Any], corruption: str, augment: str, parts: dict[str, str]
) -> dict[str, Any]:
    """What a checkpoint says of a run, everything left open filled in. ValueError for what cannot be."""
    given = {key: value for key, value in options.items() if key not in SETTINGS}
    settings = Settings(**{key: value for key, value in options.items() if key in SETTINGS})
    defaults = {name: argument.default for name, argument in methods.arguments(method).items()}
    shape = source.spec.shape
    if augment == "auto":
        augment = default_for(source.spec.kind, shape)
    augmentations.select(augment)(torch.zeros(1, *shape), torch.Generator())
    spec = dataclasses.replace(source.spec, input_shape=corrupted_shape(corruption, shape), **parts)
    return {
        "gargalo": __version__,
        "arguments": defaults | methods.check(method, given),
        "spec": spec.to_json(),
        "data_digest": _fingerprint(source),
        "corruption": corruption,
        "augment": augment,
        "settings": dataclasses.asdict(_resolve(settings, len(source.indices("train")))),
        "environment": _environment(settings),
    }


def _resolve(settings: Settings, examples: int) -> Settings:
    """Fills in what the user left to us: a batch that makes at least some steps an epoch, a budget that trains."""
    batch = settings.batch_size or max(16, min(256, 2 ** int(math.log2(max(2, examples / 16)))))
    batch = min(batch, examples)
    epochs = settings.epochs
    if epochs is None and settings.time is None:
        epochs = max(EPOCHS[0], min(EPOCHS[1], math.ceil(STEPS / max(1, examples // batch))))
    return dataclasses.replace(settings, batch_size=batch, epochs=epochs)


def _fingerprint(source: Source) -> str:
    digest = hashlib.blake2b(source.digests.astype(">u8").tobytes(), digest_size=16)
    if source.labels is not None:
        digest.update(source.labels.numpy().tobytes())
    return digest.hexdigest()


def _environment(settings: Settings) -> dict[str, Any]:
    """What has to be the same for a run to be the same to the last bit."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": str(pick_device(settings.device)),
    }


def _write_skipped(run: Path, source: Source) -> None:
    if source.skipped:
        import csv

        with (run / "skipped.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "reason"), *source.skipped])


def _drop_metrics_after(run: Path, step: int) -> None:
    """What was written after the checkpoint will be written again."""
    file = run / "metrics.jsonl"
    if not file.exists():
        return
    kept: list[str] = []
    for line in file.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # the line that a crash cut short
            break
    temporary = file.with_suffix(".tmp")
    temporary.write_text("".join(kept))
    os.replace(temporary, file)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that receives SIGINT and SIGTERM instead of the process; outside the main thread it stays empty."""
    received: list[int] = []
    before: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, lambda signum, _frame: received.append(signum))
        except ValueError:
            break
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
