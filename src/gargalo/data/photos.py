"""Photographs as files that are worth keeping: 8 or 16 bits, alpha, colors' meaning, where and when they were taken.

`read_photo` gives the pixels as stored, upright, with all that a file says of them; `write_photo` puts it back.
Sixteen bits never become eight in silence, and what is no still picture in gray or RGB is refused with a reason.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from gargalo.data import deep
from gargalo.data.images import (
    MAX_PIXELS,
    ORIENTATION,
    WRITERS,
    black_at_zero,
    check_target,
    decode,
    orientation,
    upright,
    whole_file,
)
from gargalo.errors import DataError

Values = npt.NDArray[Any]  # uint8 or uint16

# What a format holds beside the pixels. "chunks" are a PNG's own words and its way to say how bright 128 is.
HOLDS: dict[str, frozenset[str]] = {
    "PNG": frozenset(("exif", "icc", "xmp", "dpi", "chunks")),
    "JPEG": frozenset(("exif", "icc", "xmp", "dpi", "comment", "iptc")),
    "TIFF": frozenset(("exif", "icc", "xmp", "dpi", "iptc")),
    "WEBP": frozenset(("exif", "icc", "xmp")),
    "BMP": frozenset(("dpi",)),
}
_CHUNKS = frozenset((b"cHRM", b"gAMA", b"sRGB", b"cICP", b"tEXt", b"zTXt", b"iTXt"))
_SEGMENT = 65_500  # bytes that a JPEG holds of each but the profile
_XMP = b"XML:com.adobe.xmp"
_EXIF, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
_OTHER_BYTES = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_REFUSED = "has mode {}; photographs are read in gray or RGB, with alpha or without. Convert it first"


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture uint8 or uint16 ``[H, W, C]``, upright: C is 1 or 3, and one more with an alpha channel, the last.

    ``said`` holds what the file said of it: exif, icc, xmp, dpi, comment, iptc, chunks.
    """

    pixels: Values
    said: dict[str, Any] = field(default_factory=dict, repr=False)


class _Loaded(NamedTuple):
    pixels: Values
    halves: bool  # whether these are the upper bytes of 16 bits
    said: dict[str, Any]


def read_photo(file: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a still picture with everything worth keeping; DataError as `gargalo.data.read_image`, and for what has
    several frames, other colors than gray and RGB, or more than 16 bits."""
    found = decode(file, partial(_load, lower=False), max_pixels=max_pixels)
    pixels = found.pixels
    if found.halves:
        lower = decode(file, partial(_load, lower=True), max_pixels=max_pixels).pixels
        pixels = pixels.astype(np.uint16) << 8
        pixels |= lower
    return Photo(pixels, found.said)


def _load(image: ImageFile, lower: bool) -> _Loaded:
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # MPO: a photograph and what a camera adds to it
        raise DataError(f"has {image.n_frames} frames; only still pictures are taken")  # type: ignore[attr-defined]
    chunks = list(_chunks(image.fp)) if image.format == "PNG" else []  # type: ignore[arg-type]
    how = _raw_mode(image)
    halves = image.mode in ("RGB", "RGBA") and ";16" in how and how != "LA;16B"
    if how == "LA;16B":
        _decode_as(image, "RGBA")  # four bytes as they are: those of the gray, then those of the alpha
    elif lower:
        _decode_as(image, how[:-1] + _OTHER_BYTES[how[-1]])
    image.load()
    pixels = np.asarray(image).view(">u2").astype(np.uint16) if how == "LA;16B" else _pixels(image, halves)
    return _Loaded(upright(pixels, orientation(image)), halves, {} if lower else _said(image, chunks))


def _raw_mode(image: ImageFile) -> str:
    """How Pillow is going to read the bytes of a pixel."""
    args: Any = image.tile[0][3] if image.tile else ""
    how = args[0] if isinstance(args, tuple) and args else args
    shallow = image.format == "PPM" and image.mode == "RGB" and isinstance(args, tuple) and int(args[-1] or 0) > 255
    multiplied = str(how).startswith("RGBa;16")  # colors already multiplied by alpha, which Pillow undoes in 8 bits
    if shallow or multiplied or how == "I;12" or (";16" in str(how) and image.info.get("transparency") is not None):
        raise DataError("has more than 8 bits in a form that is not read. Save it as a plain 16-bit .png or .tif")
    return str(how)


def _decode_as(image: ImageFile, how: str) -> None:
    """16-bit colors, of which Pillow keeps one byte: told that the bytes lie the other way, it keeps the other."""
    tiles: list[Any] = []
    for tile in image.tile:
        args: Any = tile[3]
        tiles.append((*tile[:3], (how, *args[1:]) if isinstance(args, tuple) else how))
    image.tile = [type(image.tile[0])(*tile) for tile in tiles]


def _pixels(image: Image.Image, halves: bool) -> Values:
    mode = image.mode
    if mode.startswith("I"):
        values = black_at_zero(image)
        if int(values.min()) < 0 or int(values.max()) > 65535:
            raise DataError(f"has pixels from {values.min()} to {values.max()}; they must lie between 0 and 65535")
        return values.astype(np.uint16)[..., None]
    if mode in ("RGB", "RGBA") and (halves or not image.has_transparency_data):
        return np.asarray(image)
    if mode in ("1", "L") and not image.has_transparency_data:
        return np.asarray(image.convert("L"))[..., None]
    if mode in ("L", "LA"):
        return np.asarray(image.convert("LA"))
    if mode not in ("P", "PA", "RGB", "RGBA"):
        raise DataError(_REFUSED.format(mode))
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _said(image: Image.Image, chunks: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    info = image.info
    apps: dict[str, bytes] = dict(getattr(image, "applist", ()))
    xmp = info.get("xmp") or next((d.split(b"\0", 5)[-1] for _, d in chunks if d.startswith(_XMP)), None)
    said: dict[str, Any] = {
        "exif": _exif(image),
        "icc": info.get("icc_profile"),
        "xmp": re.sub(rb"(tiff:Orientation[=>]\"?)\d", rb"\g<1>1", xmp) if isinstance(xmp, bytes) else None,
        "dpi": dpi if min(dpi := info.get("dpi") or (0, 0)) > 1 else None,  # Pillow has 1 for what was not said
        "comment": info.get("comment") if image.format in ("JPEG", "MPO") else None,
        "iptc": apps.get("APP13") or _resources(image),
        "chunks": [(name, data) for name, data in chunks if not data.startswith(_XMP)],
    }
    return {key: value for key, value in said.items() if value}


def _resources(image: Image.Image) -> bytes | None:
    """What Photoshop and IPTC say in a TIFF, as a JPEG has it."""
    tags: Any = getattr(image, "tag_v2", {})
    blocks, record = (found[0] if isinstance(found := tags.get(tag), tuple) else found for tag in (34377, 33723))
    if isinstance(blocks, bytes):
        return deep.RESOURCES + blocks
    if isinstance(record, bytes):
        return deep.RESOURCES + b"8BIM\4\4\0\0" + len(record).to_bytes(4, "big") + record + bytes(len(record) % 2)
    return None


def _exif(image: Image.Image) -> bytes | None:
    """What a camera wrote, orientation reset and without the thumbnail; None where that is nothing, or damaged."""
    try:
        exif = image.getexif()
        for tag in deep.STRUCTURE & set(exif):
            del exif[tag]
        exif.pop(ORIENTATION, None)
        if not exif and not exif.get_ifd(_EXIF):
            return None
        exif[ORIENTATION] = 1
        return exif.tobytes()
    except Exception:  # noqa: BLE001 - damaged metadata says nothing about good pixels
        return None


def _chunks(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of a PNG's chunks that say something of all pixels. The stream stays where it was."""
    place = stream.tell()
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name in _CHUNKS:
            yield name, stream.read(length)
            stream.seek(4, 1)
        else:
            stream.seek(length + 4, 1)
    stream.seek(place)


def write_photo(photo: Photo, path: Path) -> tuple[str, ...]:
    """Write a photograph in the format of the suffix, whole or not at all, and return what of ``said`` it cannot hold.

    DataError as `check_target`, and where the file cannot be written.
    """
    pixels = photo.pixels
    height, width, channels = pixels.shape
    kind = check_target(path, pixels.shape, 8 * pixels.dtype.itemsize)
    said = {key: value for key, value in photo.said.items() if key in HOLDS[kind]}
    if "exif" in said:
        said["exif"] = _sized(said["exif"], width, height)
    if kind == "JPEG":
        said = {key: value for key, value in said.items() if key in ("icc", "dpi") or len(value) <= _SEGMENT}
    with whole_file(path) as stream:
        if kind == "TIFF":
            deep.write_tiff(stream, pixels, said)
        elif pixels.dtype == np.uint16:
            deep.write_png(stream, pixels, _png_chunks(said))
        else:
            image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            image.save(stream, kind, **WRITERS[path.suffix.lower()][1] | _options(kind, said))
    return tuple(sorted(set(photo.said) - set(said)))


def _sized(exif: bytes, width: int, height: int) -> bytes:
    """The same with the picture's own size, where the old one was told."""
    found = Image.Exif()
    found.load(exif)
    inner = found.get_ifd(_EXIF)
    if _WIDTH in inner or _HEIGHT in inner:
        inner[_WIDTH], inner[_HEIGHT] = width, height
    return found.tobytes()


def _options(kind: str, said: dict[str, Any]) -> dict[str, Any]:
    """What Pillow is told to write beside the pixels."""
    names = {"icc": "icc_profile"}
    options = {names.get(key, key): value for key, value in said.items() if key not in ("chunks", "iptc")}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for name, data in [*said.get("chunks", ()), *_xmp_chunk(said)]:
            info.add(name, data, after_idat=False)
        options = {key: value for key, value in options.items() if key != "xmp"} | {"pnginfo": info}
    if kind == "JPEG":
        options["subsampling"] = 0
        if "iptc" in said:
            options["extra"] = b"\xff\xed" + (len(said["iptc"]) + 2).to_bytes(2, "big") + said["iptc"]
    return options


def _xmp_chunk(said: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    return [(b"iTXt", _XMP + b"\0\0\0\0\0" + said["xmp"])] if "xmp" in said else []


def _png_chunks(said: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The same for `deep.write_png`."""
    found = [*said.get("chunks", ()), *_xmp_chunk(said)]
    if "icc" in said:
        found.insert(0, (b"iCCP", deep.profile_chunk(said["icc"])))
    if "exif" in said:
        found.append((b"eXIf", said["exif"].removeprefix(b"Exif\0\0")))
    if "dpi" in said:
        found.append((b"pHYs", deep.density_chunk(said["dpi"])))
    return found
