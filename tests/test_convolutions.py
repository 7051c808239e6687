"""The faster ways give the same numbers as torch's own."""

import copy

import pytest
import torch
from torch import nn

from gargalo import convolutions

STRIDED = [
    nn.Conv2d(16, 8, 4, 2, 1),
    nn.Conv2d(16, 8, 3, 2, 0, bias=False),
    nn.Conv2d(16, 8, (5, 3), (3, 2), (2, 0)),
    nn.Conv2d(17, 3, 1, 2),
    nn.ConvTranspose2d(16, 8, 3, 2, 1, 1),
    nn.ConvTranspose2d(16, 2, 4, 2, 1, bias=False),
    nn.ConvTranspose2d(16, 8, 2, 3, 0, 1),
]
SEQUENCES = [
    nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(5, 3, 3, padding=1)),
    nn.Sequential(nn.Conv2d(5, 6, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(6, 1, 3, bias=False)),
    nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(6, 4, 1)),
]


def numbers(module, x):
    """Output and the gradients of a random sum of it."""
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *module.parameters()])]


@pytest.mark.parametrize("module", STRIDED + SEQUENCES, ids=repr)
@pytest.mark.parametrize("size", [(5, 5), (7, 9), (14, 6)])
def test_a_swapped_convolution_gives_the_same_numbers_and_gradients(module, size):
    plain = copy.deepcopy(module).double()
    faster = copy.deepcopy(plain)
    holder = nn.Sequential(faster) if not isinstance(faster, nn.Sequential) else faster
    convolutions.swap(holder)
    assert any(type(m).__module__ == convolutions.__name__ for m in holder.modules()) or "MaxPool" in repr(module)
    assert list(faster.state_dict()) == list(plain.state_dict())
    channels = next(plain.parameters()).shape[0 if isinstance(module, nn.ConvTranspose2d) else 1]
    x = torch.randn(3, channels, *size, dtype=torch.double)
    for ours, theirs in zip(numbers(holder, x), numbers(plain, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(16, 16, 3, 2, groups=2),
        nn.Conv2d(16, 16, 3, 2, dilation=2),
        nn.Conv2d(16, 16, 3, 2, 1, padding_mode="reflect"),
        nn.Conv2d(16, 16, 3, padding="same"),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(16, 1, 3)),
        nn.Sequential(nn.Upsample(scale_factor=3), nn.Conv2d(16, 1, 3)),
    ],
    ids=repr,
)
def test_what_it_cannot_do_it_leaves_alone(module):
    before = repr(module)
    convolutions.swap(module)
    assert repr(module) == before
    assert not any(type(m).__module__ == convolutions.__name__ for m in module.modules())


def test_under_autocast_it_computes_in_bfloat16_and_its_gradients_are_float32():
    module = nn.Sequential(nn.Conv2d(16, 8, 4, 2, 1))
    convolutions.swap(module)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(torch.randn(2, 16, 8, 8))
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert module[0].weight.grad.dtype == torch.float32
