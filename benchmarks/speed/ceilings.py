"""What the machine can do at best: ``python -m benchmarks.speed.ceilings`` prints operations a second as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from gargalo.acceleration import keep_freed_memory


def seconds(work: Callable[[], Any], least: float = 1.0) -> float:
    """The fastest call of those that fit into some time: a ceiling is what was reached once."""
    work()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < least:
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def product(dtype: torch.dtype, n: int = 2048) -> float:
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    return 2 * n**3 / seconds(lambda: a @ b)


def convolution(dtype: torch.dtype, rows: int = 128, width: int = 64, side: int = 40) -> float:
    """Forward and backward of a 3x3 convolution, channels last."""
    last = torch.channels_last
    x = torch.randn(rows, width, side, side).to(dtype).to(memory_format=last).requires_grad_()
    w = torch.randn(width, width, 3, 3).to(dtype).to(memory_format=last).requires_grad_()

    def step() -> None:
        y = F.conv2d(x, w, padding=1)
        torch.autograd.grad(y, (x, w), y.detach())

    return 6 * rows * side**2 * width**2 * 9 / seconds(step)


if __name__ == "__main__":
    keep_freed_memory()
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    found = {f"product-{name}": product(kind) for name, kind in kinds.items()}
    found |= {f"convolution-{name}": convolution(kind) for name, kind in kinds.items()}
    print(json.dumps(found))
