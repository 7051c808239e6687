"""Augmentations: what else an example could have been. In training only, fresh at every draw.

They work on the model's values, pixels in [0, 1], a whole batch at a time: ``[N, C, H, W]`` in, the same out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.data.music.vocabulary import BAND, BAND_BITS, FIRST, HIGHEST, LOWEST, QUALITIES, ROOTS, VOCABULARY
from gargalo.registry import augmentation

TURN = len(QUALITIES) * len(ROOTS)  # chords, until they are the same again
SHADES, DARK = 4, 1e-4  # knots of a shade each way; the least value, whose powers are still numbers with a slope


@augmentation
def none(target: Tensor, generator: torch.Generator) -> Tensor:
    """Examples as they are."""
    return target


@augmentation
def photo(target: Tensor, generator: torch.Generator, *, mirror: bool = True, crop: float = 0.6) -> Tensor:
    """Mirrors left and right, and looks at a part of the picture, at least ``crop`` of each side, enlarged."""
    if target.dim() != 4:
        raise ValueError(f"photo works on pictures; this data has shape {tuple(target.shape[1:])}.")
    if not 0 < crop <= 1:
        raise ValueError(f"photo: crop={crop} must lie in (0, 1].")
    n = len(target)
    drawn = torch.rand(4, n, generator=generator, device=target.device)
    share = crop + (1 - crop) * drawn[0]
    turn = torch.where(drawn[1] < 0.5, -1.0, 1.0) if mirror else torch.ones_like(share)
    place = torch.zeros(n, 2, 3, device=target.device)
    place[:, 0, 0], place[:, 1, 1] = share * turn, share
    place[:, :, 2] = ((2 * drawn[2:] - 1) * (1 - share)).T
    return _moved(target, place)


@augmentation
def dihedral(target: Tensor, generator: torch.Generator) -> Tensor:
    """One of the eight ways to turn and mirror a square, which leave each pixel what it is; of other pictures, four."""
    if target.dim() != 4:
        raise ValueError(f"dihedral works on pictures; this data has shape {tuple(target.shape[1:])}.")
    chosen = torch.randint(8, (len(target),), generator=generator, device=target.device)[:, None, None, None]
    out = torch.where((chosen & 1).bool(), target.flip(2), target)
    out = torch.where((chosen & 2).bool(), out.flip(3), out)
    return torch.where((chosen & 4).bool(), out.mT, out) if target.shape[2] == target.shape[3] else out


@augmentation
def views(
    target: Tensor,
    generator: torch.Generator | None,
    *,
    turn: float = 25.0,
    scale: float = 0.2,
    shear: float = 0.3,
    shift: float = 0.12,
    mirror: bool = False,
    hide: float = 0.4,
) -> Tensor:
    """Another look at the same thing: turned (degrees), sized, sheared, shifted, half of them with a part hidden.

    ``shift`` and ``hide`` are shares of the sides. Of a vector a share ``hide`` of the entries is hidden, that is 0.
    """
    if target.dim() != 4:
        hidden = torch.rand(target.shape, generator=generator, device=target.device) < hide
        return target.masked_fill(hidden, 0)
    n = len(target)
    drawn = 2 * torch.rand(7, n, generator=generator, device=target.device) - 1
    angle = math.radians(turn) * drawn[0]
    wide, high, slant = 1 + scale * drawn[1], 1 + scale * drawn[2], shear * drawn[3]
    flip = torch.where(drawn[6] < 0, -1.0, 1.0) if mirror else torch.ones_like(angle)
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([flip * cos * wide, slant * cos - sin * wide, 2 * shift * drawn[4]], 1)
    down = torch.stack([flip * sin * high, slant * sin + cos * high, 2 * shift * drawn[5]], 1)
    return _partly_hidden(_moved(target, torch.stack([across, down], 1)), generator, hide)


@augmentation
def relit(
    target: Tensor,
    generator: torch.Generator | None,
    *,
    light: float = 1.0,
    move: float = 0.03,
    mirror: bool = True,
) -> Tensor:
    """The same thing in another light: contrast, brightness and shading differ, its place hardly; half are mirrored.

    ``light`` 1 makes a picture up to e times as bright, raises it to powers from 1/e to e, and shades a part by a
    factor of two; ``move`` is a share of the sides.
    """
    if target.dim() != 4:
        raise ValueError(f"relit works on pictures; this data has shape {tuple(target.shape[1:])}.")
    n, _, *sides = target.shape
    moved = views(target, generator, turn=100 * move, scale=2 * move, shear=0, shift=move, mirror=mirror, hide=0)
    power, gain = light * (2 * torch.rand(2, n, 1, 1, 1, generator=generator, device=target.device) - 1)
    knots = 0.7 * light * torch.randn(n, 1, SHADES, SHADES, generator=generator, device=target.device)
    shade = F.interpolate(knots, sides, mode="bicubic")
    return (moved.clamp(min=DARK) ** power.exp() * (gain + shade).exp()).clamp(0, 1)


@augmentation
def transpose(target: Tensor, generator: torch.Generator, *, most: int = 6) -> Tensor:
    """Melodies, and the chords behind them, or bands in another key, up to ``most`` semitones away and never beyond the
    keys of a piano."""
    if not 0 <= most <= HIGHEST - LOWEST:
        raise ValueError(f"transpose: most={most} must lie between 0 and {HIGHEST - LOWEST}.")
    if target.dim() == 3 and target.shape[2] == BAND_BITS:
        return _band_transposed(target, generator, most)
    if target.dim() != 2:
        raise ValueError(
            f"transpose works on melodies, tokens of shape (T,), and bands; these data have {tuple(target.shape[1:])}."
        )
    pitched = (target >= FIRST) & (target < VOCABULARY)
    shift = _shift(target, pitched, generator, most)[:, None]
    chord = target - VOCABULARY - 1  # below 0: none
    turned = target - chord + (chord + len(QUALITIES) * shift) % TURN
    return torch.where(pitched, target + shift, torch.where(chord >= 0, turned, target))


def _shift(tokens: Tensor, pitched: Tensor, generator: torch.Generator, most: int) -> Tensor:
    """Semitones ``[N]``, for tokens ``[N, T]`` of which some are pitches."""
    down = torch.where(pitched, tokens - FIRST, most).amin(1).clamp(max=most)
    up = torch.where(pitched, VOCABULARY - 1 - tokens, most).amin(1).clamp(max=most)
    drawn = torch.rand(len(tokens), generator=generator, device=tokens.device)
    return (drawn * (down + up + 1)).floor().to(down.dtype) - down


def _band_transposed(bits: Tensor, generator: torch.Generator, most: int) -> Tensor:
    """Bits ``[N, T, 238]`` of melody, chords and bass moved along; drums stay."""
    melody, chords, bass, drums = bits.split(BAND, 2)
    tokens = torch.arange(VOCABULARY, device=bits.device).expand(len(bits), -1)
    heard = (melody + bass).amax(1) > 0
    shift = _shift(tokens, heard & (tokens >= FIRST), generator, most)[:, None]
    pitches = FIRST + (torch.arange(VOCABULARY - FIRST, device=bits.device) - shift) % (VOCABULARY - FIRST)
    roots = 1 + (torch.arange(TURN, device=bits.device) - len(QUALITIES) * shift) % TURN

    def along(part: Tensor, kept: int, source: Tensor) -> Tensor:
        places = source[:, None].expand(-1, part.shape[1], -1)
        return torch.cat([part[..., :kept], part.gather(2, places)], 2)

    return torch.cat([along(melody, FIRST, pitches), along(chords, 1, roots), along(bass, FIRST, pitches), drums], 2)


def _moved(pictures: Tensor, place: Tensor) -> Tensor:
    """Seen through the affine maps ``[N, 2, 3]``; what lies outside continues the border."""
    grid = F.affine_grid(place, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _partly_hidden(pictures: Tensor, generator: torch.Generator | None, most: float) -> Tensor:
    """Half of them with a block of 0, its sides up to so large a share of the picture's."""
    drawn = torch.rand(5, len(pictures), 1, generator=generator, device=pictures.device)
    axes: list[Tensor] = []
    for size, length, start in zip(pictures.shape[-2:], drawn[:2] * most, drawn[2:4], strict=True):
        place = (torch.arange(size, device=pictures.device) + 0.5) / size
        axes.append((place >= start * (1 - length)) & (place < start * (1 - length) + length))
    block = axes[0][:, None, :, None] & axes[1][:, None, None, :] & (drawn[4] < 0.5)[..., None, None]
    return pictures.masked_fill(block, 0)


def default_for(kind: str, shape: tuple[int, ...], vocabulary: int = 0) -> str:
    """Color pictures are mostly photographs, which mean the same mirrored; letters and digits do not.

    Melodies mean the same in every key.
    """
    if kind == "sequence" and (vocabulary == VOCABULARY or shape[1:] == (BAND_BITS,)):
        return "transpose"
    return "photo" if kind == "image" and shape[0] == 3 else "none"
