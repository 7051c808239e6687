"""A small convolutional classifier of real MNIST digits, to say what generated digits look like."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo.data.source import Source

EPOCHS, BATCH, RATE = 6, 128, 2e-3


def network(classes: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(1, 32), *block(32, 64), *block(64, 64), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 9, classes)
    )


def train(source: Source, seed: int = 0) -> nn.Sequential:
    """A classifier fitted to the training part of a labelled 28x28 source."""
    assert source.labels is not None
    torch.manual_seed(seed)
    net = network(source.spec.num_classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    index = source.indices("train")
    steps = EPOCHS * (len(index) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in index[torch.randperm(len(index))].split(BATCH)[: len(index) // BATCH]:
            pixels = source.spec.scaled(source.values[rows])
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(pixels.to(memory_format=torch.channels_last))
            optimizer.zero_grad()
            F.cross_entropy(logits.float(), source.labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def features(net: nn.Sequential, pixels: Any) -> Tensor:
    """What the last layer goes by, ``[N, 576]``, of pictures ``[N, 1, 28, 28]`` uint8."""
    values = torch.as_tensor(pixels).float() / 255
    return torch.cat([net[:-2](part) for part in values.split(500)])


@torch.no_grad()
def predict(net: nn.Module, pixels: Tensor) -> Tensor:
    """Class numbers ``[N]`` of pictures ``[N, 1, 28, 28]`` in [0, 1]."""
    return torch.cat([net(part).argmax(1) for part in pixels.split(500)])
