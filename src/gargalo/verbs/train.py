"""train and resume: from a data set's name to a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gargalo import checkpoint, disk, weights
from gargalo.acceleration import Plan, computing
from gargalo.checkpoint import TrainedModel
from gargalo.data import folder_reader, open_source
from gargalo.data.source import AT_ONCE, Source
from gargalo.errors import CheckpointError, DataError
from gargalo.evaluation import noise, normality
from gargalo.fitting import Fitting, configured, suggestions
from gargalo.model import LatentModel
from gargalo.spec import DataSpec
from gargalo.training import Settings, TrainState
from gargalo.verbs.card import card
from gargalo.verbs.prior import fit_suggested

Progress = Callable[[dict[str, Any]], None]
VALIDATED_PATCHES = 256
SETTINGS = {field.name for field in dataclasses.fields(Settings)}


def train(
    method: str,
    data: str,
    out: str | Path,
    *,
    corruption: str = "auto",
    augment: str = "auto",
    network: str | None = None,
    likelihood: str | None = None,
    init: str | None = None,
    save_every: float = 30.0,
    tensorboard: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> TrainedModel:
    """Trains a method on a data set and keeps it in the run folder ``out``.

    ``init`` names a run, or weights that ship, to begin from: all that has the same name and shape there is taken over,
    and a UserWarning says how much begins anew; ValueError where nothing fits.
    ``options`` are the method's arguments (``latent_dim=2``) and fields of `Settings` (``epochs``, ``time`` ...).
    ``save_every`` is in seconds; ``tensorboard`` writes event files into ``out`` too. ``progress`` is called with
    a dictionary a step, also of the prior that some methods fit to their codes afterwards, for which a budget of time
    is given once more. Raises ValueError for what is no such name or value, DataError for data that cannot be used,
    CheckpointError where ``out`` holds a run already, or anything else. Ctrl-C and SIGTERM finish the step and save
    before they end the process.
    """
    _check_interval(save_every)
    arguments = {key: value for key, value in options.items() if key not in SETTINGS}
    folders = suggestions(method.replace("-", "_"), arguments).get("folders", "folder")
    run, source = Path(out), open_source(data, folders)
    parts = {key: value for key, value in {"network": network, "likelihood": likelihood}.items() if value is not None}
    examples = len(source.indices("train"))
    settings = Settings(**{key: value for key, value in options.items() if key in SETTINGS})
    if corruption == "auto" and source.inputs is not None:
        corruption = "none"  # the inputs are given
    config = configured(
        method, source.spec, examples, arguments, settings, corruption=corruption, augment=augment, parts=parts
    )
    config |= {"data": data, "data_digest": _fingerprint(source)}
    writer = _writer() if tensorboard else None
    model, objective = checkpoint.build(config)  # what cannot be built is said before a folder is made
    learned = {} if init is None else _learned(model, init)
    config["init"] = init
    if (found := noise.complaint(objective, source, config["corruption"])) is not None:
        warnings.warn(found, UserWarning, stacklevel=2)
    with checkpoint.new_run(run):
        _write_skipped(run, source)
        (run / checkpoint.METRICS).unlink(missing_ok=True)
        job = _Job(run, _fitting(config, source), save_every, progress, writer and writer(str(run)))
        state = job.fitting.begin()
        state.adopt(learned)
        config["plan"] = dataclasses.asdict(state.plan)
        job.go(state)
        return _finished(run, source, progress)


def resume(
    run: str | Path, *, save_every: float = 30.0, tensorboard: bool = False, progress: Progress | None = None
) -> TrainedModel:
    """Goes on with a run from its last checkpoint, to the same end bit for bit as if it had never stopped."""
    _check_interval(save_every)
    run = Path(run)
    checkpoint.read(run)
    with checkpoint.locked(run):
        config, folder = checkpoint.read(run)
        source = open_source(config["data"], folder_reader(DataSpec.from_json(config["spec"])))
        if _fingerprint(source) != config["data_digest"]:
            raise DataError(f"{config['data']} has changed since {run} was started; it cannot go on. Train anew.")
        writer = _writer() if tensorboard else None
        job = _Job(run, _fitting(config, source), save_every, progress, writer and writer(str(run)))
        state = job.fitting.new_state(1, Plan(**config["plan"]))
        try:
            state.restore(checkpoint.load_state(folder), config["progress"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{folder} cannot be resumed: {error}") from error
        _drop_metrics_after(run, state.step)
        job.go(state)
        return _finished(run, source, progress)


def _check_interval(seconds: float) -> None:
    if not seconds >= 0:
        raise ValueError(f"save_every={seconds} must be at least 0 seconds.")


def _learned(model: LatentModel, init: str) -> dict[str, Tensor]:
    """Tensors of another run for those of the model that have the same name and shape."""
    own, given = model.state_dict(), checkpoint.own_weights(weights.load(init))
    found = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    total, taken = (sum(tensor.numel() for tensor in part.values()) for part in (own, found))
    if not taken:
        raise ValueError(f"init={init!r}: none of its tensors fits this model. Take the same network, size and data.")
    if len(found) < len(own):
        new = sorted({name.rpartition(".")[0] or name for name in own.keys() - found.keys()})
        text = f"{taken:,} of {total:,} numbers begin as in {init}; the others begin anew: {', '.join(new)}."
        warnings.warn(text, UserWarning, stacklevel=3)
    return found


def _finished(run: Path, source: Source, progress: Progress | None) -> TrainedModel:
    model = checkpoint.load(run)
    if "prior" not in model.config and fit_suggested(model, source, source.indices("train"), progress):
        checkpoint.keep_prior(run, model, model.config)
    normality.remember(model, source)
    return model


@dataclasses.dataclass
class _Job:
    """A training that is kept in a run folder."""

    run: Path
    fitting: Fitting
    save_every: float
    progress: Progress | None
    board: Any = None  # a TensorBoard writer

    def go(self, state: TrainState) -> None:
        """Steps to the end: evaluates, saves, reports; saves and leaves on a signal."""
        saved_at, started = time.monotonic(), time.monotonic()
        latest: dict[str, float] = {}
        with computing(state.plan), _signals() as received:
            for step, figures in self.fitting.evaluated(state):
                if figures is not None:
                    latest = figures
                    self._note(step, latest)
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
        config = {k: v for k, v in self.fitting.config.items() if k not in ("sha256", "format")}
        config |= {"progress": state.counters()}
        checkpoint.save(self.run, config, chosen.state_dict(), state.tensors(), state.step)
        (self.run / "README.md").write_text(card(self.run.name, config), errors="backslashreplace")

    def _note(self, step: Any, validation: dict[str, float]) -> None:
        line = {"step": step.number, "loss": step.loss, "lr": step.lr, "validation": validation}
        with (self.run / checkpoint.METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            figures = {"training/loss": step.loss, "training/lr": step.lr}
            figures |= {f"validation/{name}": value for name, value in validation.items()}
            for name, value in figures.items():
                self.board.add_scalar(name, value, step.number)
            self.board.flush()


def _fitting(config: dict[str, Any], source: Source) -> Fitting:
    settings = Settings(**config["settings"])
    held_out = source.indices("validation")
    # Patches of one picture tell much the same: so many, of all pictures, are enough.
    if source.spec.is_pixels and source.clusters is not None:
        held_out = held_out[:: -(-len(held_out) // VALIDATED_PATCHES)]
    return Fitting(config, source, settings, source.indices("train"), held_out)


def _writer() -> Any:
    """TensorBoard's writer; ValueError where this optional part is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("tensorboard is not installed here: pip install 'gargalo[tensorboard]'") from error
    return SummaryWriter


def _fingerprint(source: Source) -> str:
    digest = hashlib.blake2b(source.digests.astype(">u8").tobytes(), digest_size=16)
    for told in (source.labels, source.conditions):
        if told is not None:
            digest.update(told.numpy().tobytes())
    for rows in torch.arange(len(source)).split(AT_ONCE) if source.inputs is not None else ():
        digest.update(cast(Tensor, source.gather(rows).input).numpy().tobytes())
    return digest.hexdigest()


def _write_skipped(run: Path, source: Source) -> None:
    if source.skipped:
        import csv

        with (run / checkpoint.SKIPPED).open("w", newline="") as file:
            csv.writer(file).writerows([("file", "reason"), *source.skipped])


def _drop_metrics_after(run: Path, step: int) -> None:
    """What was written after the checkpoint will be written again."""
    kept = [json.dumps(line) + "\n" for line in checkpoint.metrics(run) if line["step"] <= step]
    with disk.replacing(run / checkpoint.METRICS) as temporary:
        temporary.write_text("".join(kept))


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
