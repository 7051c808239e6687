"""Wrappers that let any encoder and decoder see a class number, or several, as well."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOUD = 10.0  # the class beside numbers of about 1: as one of them it is learned last, and the code tells it first


class ConditionedEncoder(nn.Module):
    """Adds to the input a learned picture of its class, as one more channel (or step, or as many more columns)."""

    conditional = True

    def __init__(self, encoder: nn.Module, num_classes: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder, self.shape = encoder, shape
        self.embedding = nn.Embedding(num_classes, prod(shape))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        extra = self.embedding(condition).unflatten(1, self.shape)
        return self.encoder(torch.cat([x, extra.to(x.dtype)], dim=1))


class ToldEncoder(nn.Module):
    """Adds to tokens one for their class, above all of theirs, or one for each of several."""

    conditional = True

    def __init__(self, encoder: nn.Module, vocabulary: int) -> None:
        super().__init__()
        self.encoder, self.vocabulary = encoder, vocabulary

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.encoder(torch.cat([x, self.vocabulary + condition.view(len(x), -1)], dim=1))


class ConditionedDecoder(nn.Module):
    """Appends the class, one-hot, to the code; of several, each."""

    def __init__(self, decoder: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.decoder, self.num_classes = decoder, num_classes

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        told = LOUD * F.one_hot(condition, self.num_classes).flatten(1)
        return self.decoder(torch.cat([z, told.to(z.dtype)], dim=1))
