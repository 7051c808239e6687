"""Convolutions another way: the same weights and numbers, in less time where libraries are slow.

On small maps, and in the backward pass of any stride, a processor's convolution routines reach a fraction of what
its matrix product does. Gathering each output's patch into one row ("im2col", Chellapilla et al. 2006) costs a copy and
makes the whole a matrix product.

All arrays here have the channels last: ``[N, H, W, C]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

SMALL_MAP = 16  # pixels: below, the product also wins in the forward pass

Pair = tuple[int, int]
Slices = tuple[slice, slice]


def _taps(size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Iterator[tuple[Pair, Slices, Slices]]:
    """For each place (i, j) in the kernel: the outputs that see a pixel through it, and those pixels."""
    rows, columns = (list(enumerate(_reach(*axis))) for axis in zip(size, out, kernel, stride, padding, strict=True))
    for i, vertical in rows:
        for j, horizontal in columns:
            if vertical is not None and horizontal is not None:
                yield (i, j), (vertical[0], horizontal[0]), (vertical[1], horizontal[1])


def _reach(size: int, out: int, kernel: int, stride: int, padding: int) -> Iterator[tuple[slice, slice] | None]:
    """Along one axis, for each place in the kernel: a slice of outputs and the slice of pixels they see."""
    for place in range(kernel):
        first = max(0, -(-(padding - place) // stride))
        last = min(out - 1, (size - 1 + padding - place) // stride)
        if last < first:
            yield None
            continue
        begin = first * stride + place - padding
        yield slice(first, last + 1), slice(begin, begin + (last - first) * stride + 1, stride)


def patches(x: Tensor, out: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """What each output sees: ``[N, H, W, C]`` to ``[N * out, kernel * C]``, zeros outside the picture."""
    n, height, width, channels = x.shape
    rows = x.new_zeros(n, *out, *kernel, channels)
    for (i, j), outputs, pixels in _taps((height, width), out, kernel, stride, padding):
        rows[:, outputs[0], outputs[1], i, j] = x[:, pixels[0], pixels[1]]
    return rows.view(-1, kernel[0] * kernel[1] * channels)


def overlay(rows: Tensor, size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """The transpose of `patches`: every entry is added to the pixel it came from, ``[N, *size, C]``."""
    rows = rows.view(-1, *out, *kernel, rows.shape[1] // (kernel[0] * kernel[1]))
    x = rows.new_zeros(len(rows), *size, rows.shape[-1])
    for (i, j), outputs, pixels in _taps(size, out, kernel, stride, padding):
        x[:, pixels[0], pixels[1]] += rows[:, outputs[0], outputs[1], i, j]
    return x


def _matrix(weight: Tensor) -> Tensor:
    """``[A, B, kh, kw]`` to ``[A, kh * kw * B]``; a view where the weights lie with their channels last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _kernels(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_matrix`."""
    a, b, height, width = like.shape
    return matrix.view(a, height, width, b).permute(0, 3, 1, 2)


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        kernel = cast(Pair, tuple(weight.shape[2:]))
        size = cast(Pair, tuple(x.shape[2:]))
        out = tuple((s + 2 * p - k) // t + 1 for s, p, k, t in zip(size, padding, kernel, stride, strict=True))
        ctx.save_for_backward(x, weight)
        ctx.geometry = cast(Pair, out), kernel, stride, padding
        if out[0] * out[1] > SMALL_MAP:
            return F.conv2d(x, weight, None, stride, padding)
        y = patches(x.permute(0, 2, 3, 1), *ctx.geometry) @ _matrix(weight).t()
        return y.view(len(x), *out, -1).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        grad = grads[0].permute(0, 2, 3, 1).reshape(-1, len(weight))
        dx = None
        if ctx.needs_input_grad[0]:
            dx = overlay(grad @ _matrix(weight), tuple(x.shape[2:]), *ctx.geometry).permute(0, 3, 1, 2)
        dw = _kernels(grad.t() @ patches(x.permute(0, 2, 3, 1), *ctx.geometry), weight)
        return dx, dw, None, None


class _TransposedConvolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, extra: Pair) -> Tensor:
        kernel = cast(Pair, tuple(weight.shape[2:]))
        out = cast(Pair, tuple(x.shape[2:]))  # what a convolution that undoes this one would put out
        axes = zip(out, stride, padding, kernel, extra, strict=True)
        size = tuple((o - 1) * t - 2 * p + k + e for o, t, p, k, e in axes)
        ctx.save_for_backward(x, weight)
        ctx.geometry = out, kernel, stride, padding
        if out[0] * out[1] > SMALL_MAP and weight.shape[1] > 4:
            return F.conv_transpose2d(x, weight, None, stride, padding, extra)
        rows = x.permute(0, 2, 3, 1).reshape(-1, len(weight)) @ _matrix(weight)
        return overlay(rows, cast(Pair, size), *ctx.geometry).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        seen = patches(grads[0].permute(0, 2, 3, 1), *ctx.geometry)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (seen @ _matrix(weight).t()).view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)
        dw = _kernels(x.permute(0, 2, 3, 1).reshape(-1, len(weight)).t() @ seen, weight)
        return dx, dw, None, None, None


def _cast(*tensors: Tensor | None) -> list[Any]:
    """To the type that autocast would compute in."""
    if not torch.is_autocast_enabled("cpu"):
        return list(tensors)
    return [None if t is None else t.to(torch.get_autocast_dtype("cpu")) for t in tensors]


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` for strides above 1 on a processor."""

    def forward(self, input: Tensor) -> Tensor:
        x, weight, bias = _cast(input, self.weight, self.bias)
        y = _Convolution.apply(x, weight, self.stride, self.padding)
        return y if bias is None else y + bias[:, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` for strides above 1 on a processor."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        x, weight, bias = _cast(input, self.weight, self.bias)
        y = _TransposedConvolution.apply(x, weight, self.stride, self.padding, self.output_padding)
        return y if bias is None else y + bias[:, None, None]


class UpsampledConv2d(nn.Conv2d):
    """A 3x3 `nn.Conv2d` after doubling each pixel, done on the pixels before (Shi et al. 2016).

    Each of the four outputs inside a doubled pixel sees sums of the nine weights; with few channels out that is much
    less to move about.
    """

    def forward(self, input: Tensor) -> Tensor:
        sums = self.weight.new_tensor([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
        kernels = torch.einsum("aik,bjl,ockl->oabcij", sums, sums, self.weight).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        y = F.pixel_shuffle(F.conv2d(input, kernels, bias, padding=1), 2)
        return y if self.padding == (1, 1) else y[..., 1:-1, 1:-1]


def swap(model: nn.Module) -> None:
    """Gives a model's convolutions the faster way, in place. Weights and their names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and module.in_channels >= 16 and _strided(module):  # else little to multiply
            module.__class__ = Conv2d
        elif type(module) is nn.ConvTranspose2d and _strided(module):
            module.__class__ = ConvTranspose2d
        elif type(module) is nn.Sequential:
            _reorder(module)


def _strided(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return _plain(module) and module.stride != (1, 1)


def _plain(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    simple = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    return simple and not isinstance(module.padding, str)


def _reorder(layers: nn.Sequential) -> None:
    """Pools before it rectifies, which is the same on a quarter of the pixels; joins doubling and convolution."""
    for i in range(len(layers) - 1):
        first, second = layers[i], layers[i + 1]
        if type(first) is nn.ReLU and type(second) is nn.MaxPool2d and not second.return_indices:
            layers[i], layers[i + 1] = second, first
        elif _doubles(first) and type(second) is nn.Conv2d and _few_out(second):
            layers[i] = nn.Identity()
            second.__class__ = UpsampledConv2d


def _doubles(module: nn.Module) -> bool:
    return type(module) is nn.Upsample and module.mode == "nearest" and module.scale_factor in (2, (2, 2))


def _few_out(module: nn.Conv2d) -> bool:
    geometry = module.kernel_size == (3, 3) and module.stride == (1, 1) and module.padding in ((0, 0), (1, 1))
    return geometry and _plain(module) and module.out_channels <= 4
