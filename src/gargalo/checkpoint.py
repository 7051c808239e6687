"""Run folders: written so that a crash at any moment loses nothing, read so that a damaged file is never believed.

    run/checkpoints/step-000001200/   config.json, model.safetensors, state.safetensors; the two newest are kept
    run/prior.safetensors             a prior that was fitted to the codes afterwards
    run/normality.safetensors         what the training data look like, to tell what does not
    run/metrics.jsonl                 one line an evaluation
    run/lock                          held by the process that writes

A checkpoint is a method's name, its arguments, the data spec, and weights: JSON and safetensors, no code.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from gargalo import acceleration, disk
from gargalo import methods as _  # noqa: F401  (registers the names that a config may hold)
from gargalo.errors import CheckpointError
from gargalo.model import LatentModel
from gargalo.objectives import Objective
from gargalo.registry import method, prior
from gargalo.spec import DataSpec

FORMAT = 1
KEEP = 2
METRICS = "metrics.jsonl"
SKIPPED = "skipped.csv"
LOCK = "lock"
PRIOR = "prior.safetensors"  # beside the checkpoints, see `gargalo.verbs.prior`
NORMALITY = "normality.safetensors"  # beside the checkpoints, see `gargalo.evaluation.normality`
BEGUN = re.compile(rf"{LOCK}|checkpoints|{METRICS}|{SKIPPED}|events\.out\.tfevents\..*")  # before the first checkpoint
MAX_CONFIG_BYTES = 4 << 20
ODD = ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError  # of what is not what it should be
migrations: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}  # from a format to the next


@dataclass(frozen=True)
class TrainedModel:
    """A model with all that is needed to use it: what `load` returns and every verb takes."""

    net: LatentModel
    objective: Objective = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    path: Path | None = None

    @property
    def spec(self) -> DataSpec:
        return DataSpec.from_json(self.config["spec"])

    @property
    def method(self) -> str:
        return self.config["method"]

    @property
    def latent_dim(self) -> int:
        """Numbers in a code, as `embed` gives it and `decode` takes it."""
        return math.prod(cast(Any, self.net.prior).shape)

    @property
    def code_numbers(self) -> int:
        """Numbers that say which code it is: of vectors from code books, one each."""
        return len(getattr(self.net.bottleneck, "sizes", range(self.latent_dim)))

    @property
    def corruption(self) -> str:
        return self.config["corruption"]

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    @cached_property
    def quick(self) -> LatentModel | acceleration.QuickDecoder:
        """What decodes many codes: in bfloat16 where no pixel moves by more than one of 255 steps."""
        if not (self.spec.is_pixels and self.net.generative) or getattr(self.net.likelihood, "sequential", False):
            return self.net
        return acceleration.quick_decoder(self.net, 1 / 255, self.spec.num_classes)

    @cached_property
    def normality(self) -> dict[str, Tensor] | None:
        """What the run folder keeps of what its training data look like."""
        found = None if self.path is None else kept(self.path, NORMALITY, self.config)
        return None if found is None else found.tensors

    @property
    def on_cpu(self) -> TrainedModel:
        """Itself, or a copy there: what measures a model computes on the processor."""
        return self if self.device.type == "cpu" else self.to("cpu")

    def to(self, device: str | torch.device) -> TrainedModel:
        """The same on another device; nothing that was made for speed on this one is taken along."""
        if self.device == torch.device(device):
            return replace(self)
        net, objective = copy.deepcopy(self.net).to(device), copy.deepcopy(self.objective).to(device)
        return replace(self, net=net, objective=objective)


def build(config: dict[str, Any]) -> tuple[LatentModel, Objective]:
    """A fresh model and objective from a config's method, arguments and data spec."""
    arguments = method.check(config["method"], config["arguments"])
    return method[config["method"]](DataSpec.from_json(config["spec"]), **arguments)


def save(run: Path, config: dict[str, Any], weights: dict[str, Tensor], state: dict[str, Tensor], step: int) -> Path:
    """Writes a checkpoint so that it is either whole or not there, and removes all but the newest two.

    ValueError for weights that are not finite: nothing broken is ever written.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite; the checkpoint was not written.")
    folder = run / "checkpoints"
    final, before = folder / f"step-{step:09d}", folder / f"before-step-{step:09d}"
    for cut_short in folder.glob(disk.UNFINISHED):
        shutil.rmtree(cut_short, ignore_errors=True)
    with disk.writing(folder, _left(run)) as temporary:
        digests: dict[str, str] = {}
        for name, tensors in {"model.safetensors": weights, "state.safetensors": state}.items():
            disk.write_tensors(tensors, temporary / name)
            digests[name] = disk.digest(temporary / name)
        config = {"format": FORMAT, **config, "sha256": digests}
        config["sha256"]["config.json"] = _config_digest(config)
        (temporary / "config.json").write_text(json.dumps(config, indent=2, allow_nan=False) + "\n")
        disk.sync(temporary / "config.json")
        disk.sync(temporary)
        if final.exists():  # as at the end of a run that had ended before
            if _is_same(final, config):
                return final
            shutil.rmtree(before, ignore_errors=True)
            final.rename(before)  # which counts until the new one is there
        temporary.rename(final)
        disk.sync(folder)
    shutil.rmtree(before, ignore_errors=True)
    for old in saved(run)[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _left(run: Path) -> str:
    """What a run has where no more can be written."""
    there = saved(run)
    if not there:
        return "Nothing was saved before. Make room, or give another folder, and begin again."
    return f"What was saved before is whole, up to {there[0].name}. Make room, then: gargalo resume {run}"


def save_model(run: Path, model: TrainedModel) -> None:
    """Writes a trained model as a checkpoint, with the prior that was fitted to its codes."""
    config = model.config
    save(run, config, own_weights(model), {}, config["progress"]["step"])
    if "prior" in config:
        keep_prior(run, model, read(run)[0])


def keep_prior(run: Path, model: TrainedModel, config: dict[str, Any]) -> None:
    """Writes the fitted prior of a model beside the checkpoint that ``config`` is of."""
    keep(run, PRIOR, model.net.prior.state_dict(), config, note=model.config["prior"])


def read(path: Path) -> tuple[dict[str, Any], Path]:
    """The config and folder of the newest checkpoint that is whole: of a run, or of one checkpoint folder.

    Raises CheckpointError with the reason of each that is not.
    """
    if not path.exists():
        raise CheckpointError(f"There is no run at {path}. Train one with: gargalo train METHOD DATA -o {path}")
    candidates = [path] if (path / "config.json").exists() else saved(path)
    if not candidates:
        raise CheckpointError(f"{path} holds no checkpoint. A run folder is what `gargalo train -o` made.")
    reasons: list[str] = []
    for folder in candidates:
        try:
            return _verified_config(folder), folder
        except CheckpointError as error:
            reasons.append(str(error))
    raise CheckpointError(f"No checkpoint of {path} can be read. " + " ".join(reasons))


def assemble(config: dict[str, Any], weights: dict[str, Tensor], path: Path | None = None) -> TrainedModel:
    """A config and the weights that belong to it, ready for use. RuntimeError where they do not."""
    net, objective = build(config)
    acceleration.arrange(net, acceleration.plan_for(net, torch.device("cpu"), "float32"))
    net.load_state_dict(weights)
    return TrainedModel(net.eval().requires_grad_(False), objective.eval(), config, path)


def load(path: str | Path, *, device: str = "cpu") -> TrainedModel:
    """The trained model of a run folder.

    Raises CheckpointError where nothing whole is found, or weights and config do not belong together.
    """
    config, folder = read(Path(path))
    file = folder / "model.safetensors"
    try:
        with torch.device("meta"):  # costs nothing, whatever sizes a hostile config asks for
            expected = build(config)[0].state_dict()
        _compare(file, expected)
        model = with_kept_prior(assemble(config, load_file(file), Path(path)))
    except (*ODD, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be loaded: {error}") from error
    acceleration.keep_freed_memory()
    return model.to(device)


def with_kept_prior(model: TrainedModel) -> TrainedModel:
    """The model with the prior that was fitted to its codes afterwards, where its folder has one."""
    found = None if model.path is None else kept(model.path, PRIOR, model.config)
    if found is None:
        return model
    with torch.device("meta"):
        expected = prior.select(found.note)(model.net, model.spec).state_dict()
    if {k: t.shape for k, t in expected.items()} != {k: t.shape for k, t in found.tensors.items()}:
        raise CheckpointError(f"{model.path}/{PRIOR} does not hold a prior {found.note!r} for this model.")
    fitted: nn.Module = prior.select(found.note)(model.net, model.spec)
    fitted.load_state_dict(found.tensors)
    return replace_prior(model, fitted, found.note)


def replace_prior(model: TrainedModel, fitted: nn.Module, name: str) -> TrainedModel:
    """The same model with another prior, in place."""
    model.net.replace_prior(fitted.eval().requires_grad_(False))
    model.config["prior"] = name
    return model


def own_weights(model: TrainedModel) -> dict[str, Tensor]:
    """Of the model as its method makes it: without a prior that was fitted afterwards."""
    weights = model.net.state_dict()
    if model.net.replaced is None:
        return weights
    own = {f"prior.{name}": tensor for name, tensor in model.net.replaced.items()}
    return {name: tensor for name, tensor in weights.items() if not name.startswith("prior.")} | own


def keep(run: Path, name: str, tensors: dict[str, Tensor], config: dict[str, Any], note: str = "") -> None:
    """Writes tensors that belong to a config's weights, and a ``note`` on them, beside the checkpoints, whole or not at
    all."""
    marks = {"weights": config["sha256"]["model.safetensors"], "sha256": _tensors_digest(tensors, note), "note": note}
    with disk.writing(run, _left(run)) as temporary:
        disk.write_tensors(tensors, temporary / name, marks)
        (temporary / name).replace(run / name)
        disk.sync(run)


class Kept(NamedTuple):
    """What lies beside the checkpoints."""

    tensors: dict[str, Tensor]
    note: str


def kept(run: Path, name: str, config: dict[str, Any]) -> Kept | None:
    """What `keep` wrote; None where it is not there, damaged, or belongs to other weights: it can be made again."""
    try:
        with safe_open(run / name, "pt") as file:
            marks = file.metadata() or {}
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118  (else mapped)
    except (OSError, SafetensorError):
        return None
    note = marks.get("note", "")
    whole = marks.get("sha256") == _tensors_digest(tensors, note)
    return Kept(tensors, note) if whole and marks.get("weights") == config["sha256"]["model.safetensors"] else None


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``, as far as a crash did not cut one short."""
    file = run / METRICS
    found: list[dict[str, Any]] = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def load_state(folder: Path) -> dict[str, Tensor]:
    """The tensors needed to go on training."""
    try:
        return load_file(folder / "state.safetensors")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}/state.safetensors cannot be read: {error}") from error


@contextmanager
def new_run(run: Path) -> Iterator[None]:
    """Holds a folder for a run that begins. CheckpointError where it holds one already, or anything that is not ours.

    What a run leaves that was stopped before its first checkpoint may lie there.
    """
    _check_free(run)  # before a lock is put into a folder that is not ours
    with locked(run):
        _check_free(run)
        yield


def _check_free(run: Path) -> None:
    if saved(run):
        raise CheckpointError(f"{run} holds a run already. Go on with `gargalo resume {run}`, or give another -o.")
    found = sorted(path.name for path in run.iterdir()) if run.exists() else []
    foreign = [name for name in found if not (LOCK in found and BEGUN.fullmatch(name))]
    if foreign:
        names = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3:,} more" if len(foreign) > 3 else "")
        raise CheckpointError(f"{run} holds {names}: no run left that there. Give another -o, a folder of its own.")


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Holds the run folder for writing. CheckpointError where another process does."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / LOCK).open("a") as file:
        try:
            import fcntl
        except ImportError:  # Windows: a file open for writing cannot be replaced there, which is lock enough
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f"{run} is being written by another process. Wait for it, or give another -o."
            ) from error
        yield


def _compare(file: Path, expected: dict[str, Tensor]) -> None:
    with safe_open(file, "pt") as found:
        names = set(found.keys())
        for name, tensor in expected.items():
            shape = tuple(found.get_slice(name).get_shape()) if name in names else None
            if shape != tuple(tensor.shape):
                raise CheckpointError(f"{file} holds {name} of shape {shape}; the config wants {tuple(tensor.shape)}.")


def saved(run: Path) -> list[Path]:
    """Newest first, by step: clocks can be wrong. Last what was about to be replaced when a run was killed."""
    folder = run / "checkpoints"
    return [*sorted(folder.glob("step-*"), reverse=True), *folder.glob("before-*")]


def _is_same(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a checkpoint is whole and of the same content, to which the digests belong."""
    try:
        return _verified_config(folder)["sha256"] == config["sha256"]
    except CheckpointError:
        return False


def _verified_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise CheckpointError(f"{file} is too large to be one of ours.")
        config: dict[str, Any] = json.loads(file.read_bytes())
        version, digests = config["format"], dict(config["sha256"])
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise CheckpointError(f"{file} has format {version!r}; this Gargalo reads 1 to {FORMAT}. Update gargalo.")
        if digests.pop("config.json") != _config_digest(config):
            raise CheckpointError(f"{file} is damaged: its digest does not match.")
        for name in ("model.safetensors", "state.safetensors"):
            if disk.digest(folder / name) != digests.pop(name):
                raise CheckpointError(f"{folder / name} is damaged: its digest does not match.")
    except (OSError, *ODD, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    while version < FORMAT:
        config = migrations[version](config)
        version += 1
    return config


def _config_digest(config: dict[str, Any]) -> str:
    """Over everything, the other files' digests too, but not over itself."""
    digests = {name: digest for name, digest in config["sha256"].items() if name != "config.json"}
    text = json.dumps(config | {"sha256": digests}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _tensors_digest(tensors: dict[str, Tensor], note: str) -> str:
    found = hashlib.sha256(note.encode())
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        found.update(tensors[name].cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
