"""How to run a model fast on the machine at hand: precision, memory layout, compilation. Only rounding changes.

The rules are what `benchmarks/speed` measured. Networks stay plain torch and know nothing of this.
"""

from __future__ import annotations

import copy
import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from gargalo import convolutions
from gargalo.distributions import Likelihood
from gargalo.model import LatentModel

DEEP = 8  # convolutions
PROBES = 256  # codes
SMALL = 1 << 27  # multiplications of a step's forward pass, that one thread does as fast as two
LAYERS = nn.Linear, nn.Conv2d, nn.ConvTranspose2d

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Plan:
    """What was chosen for a run. It is kept in the checkpoint: a resumed run must round the same way."""

    bfloat16: bool
    channels_last: bool
    compiled: bool = False
    note: str = ""
    threads: int = 0  # 0: as many as torch was given


def plan_for(model: nn.Module, device: torch.device, precision: Precision, batch_size: int | None = None) -> Plan:
    """bfloat16 wherever it is multiplied in hardware; channels last for anything that convolves; one thread for a
    small step, as threads that wait for each other lose all when another program takes one processor."""
    convolves = any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())
    work = sum(parameter.numel() for parameter in model.parameters()) * (batch_size or SMALL)
    return Plan(uses_bfloat16(device, precision), convolves, threads=0 if convolves or work >= SMALL else 1)


def arrange(model: nn.Module, plan: Plan) -> None:
    """Lays a model out in memory as planned, in place."""
    if plan.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if plan.bfloat16 and next(model.parameters()).device.type == "cpu":
        convolutions.swap(model)


class QuickReLU(nn.ReLU):
    """In place, on what nobody else sees. bfloat16 read as whole numbers has the same signs and takes a third."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype is not torch.bfloat16:
            return super().forward(input)
        input.view(torch.int16).clamp_(min=0)
        return input


class QuickDecoder(nn.Module):
    """A copy of a model that decodes in bfloat16. Its weights lie in bfloat16 already: casting them takes longer
    than a small batch."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in self.model.decoder.modules():
            if type(module) in LAYERS:  # not those that must stay in float32
                module.to(torch.bfloat16)
            elif type(module) is nn.Sequential:
                for layer, following in pairwise(module):
                    if type(layer) in LAYERS and type(following) is nn.ReLU:
                        following.__class__ = QuickReLU

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Likelihood:
        with torch.autocast(z.device.type, torch.bfloat16):
            return self.model.decode(z, condition)


def quick_decoder(model: LatentModel, tolerance: float, classes: int) -> LatentModel | QuickDecoder:
    """Something that decodes faster where every number stays within ``tolerance`` on codes from the prior, else the
    model itself. Which one depends on the weights and the machine's kind, never on a clock."""
    device = next(model.parameters()).device
    if not uses_bfloat16(device, "auto"):
        return model
    z = torch.randn(PROBES, *cast(Any, model.prior).shape, generator=torch.Generator().manual_seed(0)).to(device)
    labels = torch.arange(PROBES, device=device) % classes if model.conditional else None
    quick = QuickDecoder(model)
    with torch.no_grad():
        gap = (quick.decode(z, labels).mode - model.decode(z, labels).mode).abs().max()
    return quick if bool(gap <= tolerance) else model


def quick_restorer(restore: Callable[[Tensor], Tensor], probe: Tensor, tolerance: float) -> Callable[[Tensor], Tensor]:
    """The same in bfloat16 where that is multiplied in hardware and moves what becomes of a ``probe`` by no more than
    ``tolerance``, root mean square; else the function itself."""
    if not uses_bfloat16(probe.device, "auto"):
        return restore

    def quick(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return restore(x).float()

    with torch.no_grad():
        moved = (quick(probe) - restore(probe)).square().mean().sqrt()
    return quick if bool(moved <= tolerance) else restore


def may_gain_from_compiling(model: nn.Module) -> bool:
    """Whether a trial is worth its time: dense nets and deep ones gain, but strided and pooled convolutions lose."""
    layers = list(model.modules())
    kernels = [module for module in layers if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    uneven = any(module.stride != (1, 1) for module in kernels)
    uneven = uneven or any(isinstance(module, nn.MaxPool2d | nn.AvgPool2d | nn.Upsample) for module in layers)
    return not kernels or (len(kernels) >= DEEP and not uneven)


def compiled(module: nn.Module) -> Any:
    """The module as one compiled graph that draws the same random numbers as the module itself."""
    from torch._dynamo import config as dynamo_config  # a second to import

    dynamo_config.trace_autograd_ops = True  # for penalties on gradients; torch leaves it off
    return torch.compile(module, options={"fallback_random": True})


def autocast(plan: Plan, device: torch.device) -> Any:
    """The context a forward pass runs in."""
    return torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16)


def uses_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Whether networks compute in bfloat16; weights, optimizers and densities stay in float32."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())  # pyright: ignore[reportPrivateUsage]


def pick_device(name: str) -> torch.device:
    """ "auto" takes a GPU where there is one. ValueError for a name that torch does not know, or where nothing can be
    read back from."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        tried = torch.zeros(1, device=name)
        tried.item()
        return tried.device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device={name!r} cannot be used here: {reason} Leave it 'auto', or say 'cpu'.") from error


def keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks for the next step, which wants the same sizes again.

    Otherwise every step gives megabytes back to the system and gets them anew, page by page: up to a third of its
    time. Does nothing where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)
        mallopt(top_pad, 64 << 20)


@contextmanager
def computing(plan: Plan) -> Iterator[None]:
    """The state of this process that training wants: as many threads as planned, denormal numbers flushed, and of
    cuDNN's ways those that round the same every time, without which a resumed run would not be the same."""
    cudnn = torch.backends.cudnn
    before, same = torch.get_num_threads(), cudnn.deterministic
    torch.set_num_threads(min(plan.threads or before, before))
    cudnn.deterministic = True
    try:
        with flushed_denormals():
            yield
    finally:
        torch.set_num_threads(before)
        cudnn.deterministic = same


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers below 1e-38 count as 0 inside.

    Moments of weights that see nothing, as those of a picture's empty border, decay into that range and stay there,
    where one operation takes as long as a hundred: up to a third of a step.
    """
    before = bool(torch.full((), 1e-38) * 1e-2 == 0)
    _flush_denormals(True)
    try:
        yield
    finally:
        _flush_denormals(before)


def _flush_denormals(on: bool) -> None:
    """In this thread and in those that torch computes with, each of which has a switch of its own."""
    torch.set_flush_denormal(on)
    library = next((Path(torch.__file__).parent / "lib").glob("libgomp*"), None)
    if library is not None:

        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def switch(_: int | None) -> None:
            torch.set_flush_denormal(on)

        ctypes.CDLL(str(library)).GOMP_parallel(switch, None, torch.get_num_threads(), 0)
