"""The layers on either side of the code."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CodeLinear(nn.Linear):
    """A dense layer that stays in float32 under autocast.

    A posterior is often narrower than the steps between bfloat16 numbers of its mean: a code rounded to them is
    another code.
    """

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
