"""Verbs that repair pictures: denoise, upscale, inpaint. One picture of any size in, one out, of the same kind.

A picture is an array ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]``, with 1 or 3 channels and perhaps one of alpha more, of
uint8, uint16 or floats in [0, 1]; or several, ``[N, C, H, W]``. What comes out has the same layout and type. Alpha is
kept as it is, or enlarged by bicubic interpolation. A model of gray pictures repairs the channels of a color picture
one by one, and enlarges its brightness alone: colors follow by bicubic interpolation. One of color pictures sees a gray
one three times; noise that is the same in all channels is none that it has learned.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo import functional
from gargalo.acceleration import quick_restorer
from gargalo.checkpoint import TrainedModel
from gargalo.data.corruptions.compression import TO_YCC, mixed
from gargalo.data.corruptions.holes import marked
from gargalo.data.corruptions.ranges import limits
from gargalo.errors import DataError, OutOfDomainWarning, check_range
from gargalo.networks.restorer import Decoder, Encoder
from gargalo.registry import corruption
from gargalo.verbs._layouts import TOPS, enlarged, floats, laid_out, raw, size_text, split
from gargalo.verbs._tiling import Restorer, padded, pieces, reach, turned
from gargalo.verbs.score import warn_if_unlike

TILE, WHOLE = 512, 1 << 30  # pixels of a piece's sides, without its margin; more than any picture has
LOOKED_AT = 8  # squares down and across, before a warning
SEEN, CROPS = 256, 4  # sides of the squares that noise is measured in, and how many down and across
NEEDS = {
    "denoise": ("'noise'", "noise:std=0.2"),
    "upscale": ("'downscale'", "downscale:factor=2"),
    "inpaint": ("'mask'", "mask"),
}
HIDING = "mask", "patches"
QUICK, PROBED = 0.5 / 255, (64, 64)  # about what 8 bits lose by rounding, and the sides of the picture it is tried on
Progress = Callable[[float], None]  # the share that is done


def denoise(
    model: TrainedModel,
    image: Any,
    *,
    sigma: float | None = None,
    self_ensemble: bool = False,
    tile: int = TILE,
    progress: Progress | None = None,
) -> np.ndarray:
    """A picture without its noise.

    ``sigma`` is the noise's standard deviation in 255ths of the range. A model that wants to be told it is told what
    is found, in each channel where it can be, unless it is given; another refuses it. 0 gives the picture back.
    ``self_ensemble`` means over eight ways to lay the picture down, in eight times the time; ``tile``, at least
    16, bounds the memory. Raises ValueError for what is no picture, or a model that was not trained to denoise.
    """
    task = _task(model, "denoise", self_ensemble, tile, progress)
    if sigma is not None and not task.extra:
        raise ValueError(f"{_name(model)} cannot be told the noise: it was trained with {model.corruption}. Leave it.")
    if sigma is not None and not 0 <= sigma <= 255:
        raise ValueError(f"sigma={sigma} must lie in [0, 255].")
    if sigma == 0:  # a model would take this for not being told, and see for itself
        return _each(image, np.copy)
    return _each(image, lambda pixels: _denoised(task, pixels, sigma))


def upscale(
    model: TrainedModel, image: Any, *, self_ensemble: bool = False, tile: int = TILE, progress: Progress | None = None
) -> np.ndarray:
    """A picture enlarged by the factor that the model was trained to undo. Arguments as `denoise`."""
    task = _task(model, "upscale", self_ensemble, tile, progress)
    return _each(image, lambda pixels: _restored(task, pixels, None))


def inpaint(
    model: TrainedModel,
    image: Any,
    mask: Any,
    *,
    self_ensemble: bool = False,
    tile: int = TILE,
    progress: Progress | None = None,
) -> np.ndarray:
    """A picture with what ``mask`` marks filled in; all else stays to the last bit. Arguments as `denoise`.

    ``mask`` ``[H, W]`` is true, or more than half of its range, where something is missing; of 0 and 1, where it is 1.
    What is transparent in it marks nothing.
    """
    task = _task(model, "inpaint", self_ensemble, tile, progress)
    hidden = _hidden(mask)
    return _each(image, lambda pixels: _inpainted(task, pixels, hidden))


def noise_level(image: Any) -> float:
    """The standard deviation of a picture's noise, in 255ths of the range: see `gargalo.functional.noise_std`."""
    pixels, _ = laid_out(np.asarray(image))
    return float(_noise_levels(pixels).mean())


@dataclass(frozen=True)
class _Task:
    """A model with all that a picture's way through it needs."""

    model: TrainedModel
    restore: Restorer  # [N, *input] to [N, *output], sides any multiple of `step`
    quick: Restorer  # the same, exact enough for 8 bits
    channels: int
    extra: int  # channels of the input that are not the picture's
    scale: int
    step: int
    margin: int
    tile: int
    fixed: tuple[int, ...]  # sides of the input, of a model that takes no other
    progress: Progress | None


def _task(model: TrainedModel, verb: str, self_ensemble: bool, tile: int, progress: Progress | None) -> _Task:
    """ValueError where the model was not trained for the verb."""
    spec = model.spec
    channels, extra = spec.shape[0], spec.input_shape[0] - spec.shape[0]
    scale = max(1, spec.shape[-1] // spec.input_shape[-1])
    name, encoder = corruption.parse(model.corruption)[0], model.net.encoder
    # A restorer without a corruption learned from what pictures bring along: pairs, or their own noise.
    does = "denoise" if name != "none" or isinstance(encoder, Encoder) else "nothing"
    does = "inpaint" if name in HIDING else "upscale" if scale > 1 else does
    if spec.kind != "image" or does != verb:
        needs, example = NEEDS[verb]
        raise ValueError(
            f"{_name(model)} was trained with corruption={model.corruption!r}; {verb} needs {needs}. "
            f"Train with --corruption {example}."
        )
    if channels not in (1, 3) or spec.shape[1:] != tuple(scale * side for side in spec.input_shape[1:]):
        made = f"{spec.input_shape} to {spec.shape}"
        raise ValueError(f"{_name(model)} takes {made}; {verb} is for 1 or 3 channels, and whole factors.")
    if model.net.conditional:
        raise ValueError(f"{verb} works without labels; {_name(model)} needs them ({model.method}).")
    restore = _through(model)
    check_range("tile", tile, 16, WHOLE)
    step, found, fixed = 1, None, spec.input_shape[1:]
    if isinstance(encoder, Encoder):
        step, fixed = encoder.multiple, ()
        found = reach(restore, spec.input_shape[0], step, scale)
    # One piece for models of one size, and for those that look so far that every piece would be read with all the rest.
    tile, margin = (WHOLE, 0) if found is None else (max(step, tile // step * step), -(-found // step) * step)
    sides = fixed or PROBED
    noise = torch.randn(1, channels, *sides, generator=torch.Generator().manual_seed(0))
    probe = torch.cat([torch.linspace(0, 1, sides[1]) + 0.05 * noise, torch.full((1, extra, *sides), 0.05)], 1)
    quick = quick_restorer(restore, probe, QUICK)
    if self_ensemble:
        ways = range(0, 4, 1 if sides[0] == sides[1] else 2)  # a quarter exchanges the sides, which may be fixed
        restore, quick = turned(restore, ways), turned(quick, ways)
    return _Task(model, restore, quick, channels, extra, scale, step, margin, tile, fixed, progress)


def _through(model: TrainedModel) -> Restorer:
    net = model.net

    def restore(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        decoder = net.decoder
        scale = decoder.scale if isinstance(decoder, Decoder) else 1
        if isinstance(decoder, Decoder) and (scale * height, scale * width) == decoder.padded != decoder.shape:
            # Of the training's size, what was added would be cut off: continued further, as its encoder continues it.
            x = F.pad(x, (0, cast(Encoder, net.encoder).multiple, 0, 0), mode="replicate")
        out = net.decode(net.encode(x.to(model.device)).mode).mode.to(x.device)
        return out[..., : scale * height, : scale * width] if isinstance(decoder, Decoder) else out

    return restore


def _name(model: TrainedModel) -> str:
    return f"{model.path}/" if model.path is not None else f"This {model.method}"


def _each(image: Any, restore: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Restores a picture ``[H, W, C]`` of any layout, or several, which are ``[N, C, H, W]`` where they can be."""
    array = np.asarray(image)
    if array.ndim == 4:
        if not len(array):
            raise ValueError("There are no pictures.")
        channels = 1 if array.shape[1] <= 4 else 3
        restored = [_each(picture, restore) for picture in np.moveaxis(array, channels, 3)]
        return np.moveaxis(np.stack(restored), 3, channels)
    pixels, back = laid_out(array)
    return back(restore(pixels))


def _denoised(task: _Task, pixels: np.ndarray, sigma: float | None) -> np.ndarray:
    channels = split(pixels)[0].shape[2]
    if channels < task.channels:
        text = "learned from color pictures, and not noise that is the same in all channels. Take a gray one"
        warnings.warn(f"{_name(task.model)} {text}, such as denoiser-gray.", OutOfDomainWarning, stacklevel=4)
    if not task.extra:
        # Of pictures with noise alone a model can learn the mean of what was cut, not what was meant.
        blind = getattr(task.model.objective, "independent_noise", False) and _is_cut(pixels)
        return _restored(task, pixels, None, cut=torch.from_numpy(_noise_levels(pixels) / 255) if blind else None)
    levels = _noise_levels(pixels) if sigma is None else np.full(channels, sigma)
    most = levels.max()
    name, given = corruption.parse(task.model.corruption)
    highest = 255 * limits("std", (corruption.defaults(name) | given).get("std", 1.0))[1]
    if most > 1.05 * highest:
        warnings.warn(
            f"The noise, {most:.0f} of 255, is more than this model has seen ({highest:.0f}); not all of it will go.",
            OutOfDomainWarning,
            stacklevel=4,
        )
    told = (_told(task, levels) / 255).astype(np.float32)
    return _restored(task, pixels, np.broadcast_to(told, (*pixels.shape[:2], len(told))))


def _is_cut(pixels: np.ndarray) -> bool:
    """Whether noise ended at black and white."""
    colors, _ = split(pixels)
    return pixels.dtype in TOPS or bool(((colors >= 0) & (colors <= 1)).all())


def _told(task: _Task, levels: np.ndarray) -> np.ndarray:
    """Of every channel, where a model sees them one by one or wants to know each; else what all have together."""
    if task.channels < len(levels):
        return levels
    if task.extra == task.channels:
        return np.broadcast_to(levels, task.channels)
    return np.sqrt(np.square(levels).mean(keepdims=True))


def _noise_levels(pixels: np.ndarray) -> np.ndarray:
    """Of each channel, ``[C]``, in 255ths of the range."""
    colors, _ = split(pixels)
    height, width = colors.shape[:2]
    if max(height, width) > CROPS * SEEN:
        rows, columns = (np.linspace(0, max(0, side - SEEN), CROPS).astype(int) for side in (height, width))
        crops = [colors[y : y + SEEN, x : x + SEEN] for y in rows for x in columns]
        colors = np.concatenate(crops)  # their sides hold whole squares, so that no edge is made
    return 255 * functional.noise_std(floats(colors))[0].numpy()


def _inpainted(task: _Task, pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    if hidden.shape != pixels.shape[:2]:
        raise DataError(f"The mask is {size_text(hidden)}, the picture {size_text(pixels)}; they must be of one size.")
    colors, _ = split(pixels)
    seen = pixels.copy()
    seen[hidden, : colors.shape[2]] = 0
    out = _restored(task, seen, hidden[..., None].astype(np.float32) if task.extra else None, hidden)
    out[~hidden] = pixels[~hidden]
    return out


def _hidden(mask: Any) -> np.ndarray:
    array = np.asarray(mask)
    if array.dtype == np.bool_ and array.ndim == 2:
        return array
    if array.dtype == np.bool_:
        raise ValueError(f"A mask is [H, W], not {array.shape}.")
    return marked(laid_out(array)[0])


@torch.no_grad()
def _restored(
    task: _Task,
    pixels: np.ndarray,
    extra: np.ndarray | None,
    wanted: np.ndarray | None = None,
    cut: Tensor | None = None,
) -> np.ndarray:
    """``[H, W, C]`` piece by piece; pieces with nothing ``wanted`` stay as they are. ``extra`` ``[H, W, E]`` is what
    the model is told beside the picture, or beside each channel, where it sees them one by one; ``cut`` ``[C]`` the
    noise whose cutting is undone in what comes out."""
    colors, alpha = split(pixels)
    height, width, count = colors.shape
    if task.fixed and task.fixed != (height, width):
        raise DataError(
            f"{_name(task.model)} takes pictures of {task.fixed[1]}x{task.fixed[0]} alone; this one is "
            f"{size_text(pixels)}. A denoiser, upscaler or inpainter takes any size."
        )
    _warn_if_unlike(task, colors, extra)
    scale = task.scale
    out = np.empty((scale * height, scale * width, pixels.shape[2]), pixels.dtype)
    todo = list(pieces(height, width, task.tile, task.margin, scale))
    for number, piece in enumerate(todo, 1):
        if wanted is None or wanted[piece.write].any():
            x = _seen(task, colors[piece.read], None if extra is None else extra[piece.read])
            restored = task.quick(x) if pixels.dtype == np.uint8 else task.restore(x)
            restored = _answer(task, restored, colors[piece.read])
            if cut is not None:
                restored = functional.uncut(restored, cut)
            out[*piece.write, :count] = raw(restored[0][:, *piece.keep], pixels.dtype)
        if alpha.shape[2]:
            part = alpha[piece.read]
            out[*piece.write, count:] = (part if scale == 1 else enlarged(part, scale))[piece.keep]
        if task.progress is not None:
            task.progress(number / len(todo))
    return out


def _seen(task: _Task, colors: np.ndarray, extra: np.ndarray | None) -> Tensor:
    """What the encoder is given of a piece, ``[N, *input]``."""
    x = floats(colors)
    if x.shape[1] < task.channels:
        x = x.expand(-1, 3, -1, -1)
    elif x.shape[1] > task.channels:
        x = x.transpose(0, 1) if task.scale == 1 else _brightness(x)
    if extra is not None:
        told = floats(extra)
        each = told.transpose(0, 1) if told.shape[1] == len(x) > 1 else told.expand(len(x), -1, -1, -1)
        x = torch.cat([x, each], 1)
    return padded(x, task.step)


def _answer(task: _Task, restored: Tensor, colors: np.ndarray) -> Tensor:
    """What a model made of a piece, with as many channels as its ``colors``.

    What a model of gray pictures adds to the brightness is added to every color, as papers on super-resolution do (Dong
    et al. 2016): eyes see little detail in colors.
    """
    if colors.shape[2] == task.channels:
        return restored
    if task.channels == 3:
        return restored.mean(1, keepdim=True)
    if task.scale == 1:
        return restored.transpose(0, 1)
    x = padded(floats(colors), task.step)
    return restored + F.interpolate(x - _brightness(x), restored.shape[-2:], mode="bicubic", antialias=True)


def _brightness(x: Tensor) -> Tensor:
    """``[N, 1, H, W]`` of ``[N, 3, H, W]``."""
    return mixed(x, TO_YCC[:1])


def _warn_if_unlike(task: _Task, colors: np.ndarray, extra: np.ndarray | None) -> None:
    """Looks at squares of the size the model was trained on."""
    if task.model.normality is None:
        return
    high, wide = task.model.spec.input_shape[1:]
    height, width = colors.shape[:2]
    if height < high or width < wide:
        return
    down, across = (
        np.linspace(0, whole - part, min(LOOKED_AT, whole // part)) for whole, part in ((height, high), (width, wide))
    )
    corners = [(y, x) for y in down for x in across]  # none over another: they count as so many examples
    spots = [(slice(int(y), int(y) + high), slice(int(x), int(x) + wide)) for y, x in corners]
    seen = [_seen(task, colors[spot], None if extra is None else extra[spot])[:1, :, :high, :wide] for spot in spots]
    warn_if_unlike(task.model, torch.cat(seen), None, "this picture")
