"""PNG of 16 bits a channel, which Pillow writes only where they are gray, and TIFF with all that is said of a picture.

Pixels are ``[H, W, C]`` of 1 to 4 channels; with 2 and 4 the last is alpha, not multiplied in.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

_COLOR = {1: 0, 2: 4, 3: 2, 4: 6}  # a PNG's numbers for gray, gray with alpha, RGB, RGB with alpha
_PAETH, _LEVEL, _ROWS = 4, 6, 64  # the filter, zlib's effort, rows at once
_HEAD = b"II\x2a\x00\x08\x00\x00\x00"  # of a little-endian TIFF whose tags follow at once
RESOURCES = b"Photoshop 3.0\0"  # how captions begin in a JPEG; a TIFF has the rest
STRUCTURE = frozenset(  # of a TIFF's tags those that say where and how its pixels lie, and what is kept apart or older
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 282, 283, 284, 296, 317, 320, 322, 323, 324)
) | {325, 330, 338, 339, 347, 512, 513, 514, 529, 530, 531, 532, 700, 33723, 34377, 34675, 37724}
_DIRECTORIES = 0x8769, 0x8825  # what the camera did, and where


def write_png(stream: IO[bytes], pixels: npt.NDArray[np.uint16], chunks: list[tuple[bytes, bytes]]) -> None:
    """The picture (W3C 2003), with ``chunks``, each a name and its content, before the pixels."""
    height, width, channels = pixels.shape
    stream.write(b"\x89PNG\r\n\x1a\n")
    _chunk(stream, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOR[channels], 0, 0, 0))
    for name, content in chunks:
        _chunk(stream, name, content)
    for part in _deflated(_filtered(pixels)):
        _chunk(stream, b"IDAT", part)
    _chunk(stream, b"IEND", b"")


def profile_chunk(profile: bytes) -> bytes:
    return b"ICC Profile\0\0" + zlib.compress(profile)


def density_chunk(dpi: tuple[float, float]) -> bytes:
    return struct.pack(">IIB", *(round(float(side) / 0.0254) for side in dpi), 1)


def _chunk(stream: IO[bytes], name: bytes, content: bytes) -> None:
    stream.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))


def _deflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL)
    for part in parts:
        if packed := packer.compress(part):
            yield packed
    yield packer.flush()


def _filtered(pixels: npt.NDArray[np.uint16]) -> Iterator[bytes]:
    """Rows of bytes as differences to what Paeth (1991) predicts from the left, above and above left."""
    height, width, channels = pixels.shape
    step = 2 * channels
    above = np.zeros((1, step * (width + 1)), np.int16)
    for top in range(0, height, _ROWS):
        part = np.ascontiguousarray(pixels[top : top + _ROWS], ">u2").view(np.uint8).reshape(-1, step * width)
        rows = np.concatenate([above, np.pad(part, ((0, 0), (step, 0))).astype(np.int16)])
        a, b, c = rows[1:, :-step], rows[:-1, step:], rows[:-1, :-step]
        to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
        guess = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        left = (part - guess).astype(np.uint8)
        yield np.pad(left, ((0, 0), (1, 0)), constant_values=_PAETH).tobytes()
        above = rows[-1:]


def write_tiff(stream: IO[bytes], pixels: npt.NDArray[Any], said: dict[str, Any]) -> None:
    """A picture uint8 or uint16 in packed strips (TIFF 6.0, 1992), with exif, icc, xmp, iptc and dpi of ``said``."""
    height, width, channels = pixels.shape
    kind = pixels.dtype.newbyteorder("<")
    strips = [
        zlib.compress(pixels[top : top + _ROWS].astype(kind).tobytes(), _LEVEL) for top in range(0, height, _ROWS)
    ]
    tags: Any = ImageFileDirectory_v2(_HEAD)
    _describe(tags, said)
    tags[256], tags[257], tags[258], tags[259] = width, height, (8 * kind.itemsize,) * channels, 8
    tags[262], tags[277], tags[278], tags[284] = 1 if channels < 3 else 2, channels, _ROWS, 1
    if channels in (2, 4):
        tags[338] = 2  # alpha that is not multiplied in
    sizes = tuple(map(len, strips))
    tags.tagtype[273] = 4
    tags[273], tags[279] = tuple(sum(sizes[:number]) for number in range(len(sizes))), sizes
    stream.write(_HEAD + tags.tobytes(len(_HEAD)))  # which adds its own length to where strips lie
    for strip in strips:
        stream.write(strip)


def _describe(tags: Any, said: dict[str, Any]) -> None:
    if "exif" in said:
        exif = Image.Exif()
        exif.load(said["exif"])
        for tag in set(exif) - STRUCTURE - {*_DIRECTORIES}:
            tags[tag] = exif[tag]
        for place in _DIRECTORIES:
            if inner := exif.get_ifd(place):
                tags[place] = dict(inner)
    for tag, key, kind in ((34675, "icc", 7), (700, "xmp", 1), (34377, "iptc", 7)):
        if key in said:
            tags.tagtype[tag], tags[tag] = kind, said[key].removeprefix(RESOURCES)
    if "dpi" in said:
        tags[282], tags[283] = (IFDRational(round(float(side) * 100), 100) for side in said["dpi"])
        tags[296] = 2
