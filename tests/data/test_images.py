"""A zoo of odd pictures, each with the pixels that must come out."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gargalo.data.images import fit_image, read_image, write_image
from gargalo.errors import DataError

GRAY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
RGB = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
RGBA = np.concatenate([RGB, np.array([[[0], [64], [128]], [[192], [254], [255]]], np.uint8)], axis=2)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def palette(**options: Any) -> bytes:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 1])
    return encoded(image, "PNG", **options)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encoded(Image.fromarray(RGB), "PNG", exif=tags)


def gif() -> bytes:
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def cmyk() -> bytes:
    return encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)


def white_at_zero(values: np.ndarray) -> bytes:
    tag = struct.Struct("<HHIH")
    return encoded(Image.fromarray(values), "TIFF").replace(tag.pack(262, 3, 1, 1), tag.pack(262, 3, 1, 0))


PALETTE = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]], np.uint8)
OPAQUE = np.array([[[255], [0]], [[255], [0]]], np.uint8)
DEEP = np.array([[0, 257 * 7], [257 * 128, 65535]], np.uint16)
DEEP_BYTES = np.array([[0, 7], [128, 255]], np.uint8)
WIDE = np.tile(np.arange(250, dtype=np.uint8), 20)[None]
BITS = np.array([[True, False, True]])
RED_8 = np.broadcast_to(np.array([255, 0, 0], np.uint8), (8, 8, 3))
ZOO: dict[str, tuple[Callable[[], bytes], np.ndarray]] = {
    "1-bit": (lambda: encoded(Image.fromarray(BITS), "PNG"), BITS.astype(np.uint8)[..., None] * 255),
    "L": (lambda: encoded(Image.fromarray(GRAY), "PNG"), GRAY[..., None]),
    "LA": (
        lambda: encoded(Image.fromarray(RGBA).convert("LA"), "PNG"),
        np.array(Image.fromarray(RGBA).convert("LA").convert("RGBA")),
    ),
    "P": (palette, PALETTE),
    "P with transparency": (lambda: palette(transparency=1), np.concatenate([PALETTE, OPAQUE], axis=2)),
    "RGB": (lambda: encoded(Image.fromarray(RGB), "PNG"), RGB),
    "RGBA": (lambda: encoded(Image.fromarray(RGBA), "PNG"), RGBA),
    "CMYK JPEG": (cmyk, RED_8),
    "I;16 PNG": (lambda: encoded(Image.fromarray(DEEP), "PNG"), DEEP_BYTES[..., None]),
    "I;16 TIFF": (lambda: encoded(Image.fromarray(DEEP), "TIFF"), DEEP_BYTES[..., None]),
    "TIFF, white at 0": (lambda: white_at_zero(GRAY), 255 - GRAY[..., None]),
    "I;16 TIFF, white at 0": (lambda: white_at_zero(DEEP), 255 - DEEP_BYTES[..., None]),
    "float TIFF, white at 0": (
        lambda: white_at_zero((DEEP_BYTES / 255).astype(np.float32)),
        255 - DEEP_BYTES[..., None],
    ),
    "I TIFF": (lambda: encoded(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), DEEP_BYTES[..., None]),
    "float TIFF": (
        lambda: encoded(Image.fromarray((DEEP_BYTES / 255).astype(np.float32)), "TIFF"),
        DEEP_BYTES[..., None],
    ),
    "EXIF 3": (lambda: exif(3), RGB[::-1, ::-1]),
    "EXIF 6": (lambda: exif(6), np.rot90(RGB, -1)),
    "EXIF 8": (lambda: exif(8), np.rot90(RGB, 1)),
    "animated GIF": (gif, np.broadcast_to(np.array([255, 0, 0], np.uint8), (3, 4, 3))),
    "1x1": (lambda: encoded(Image.new("L", (1, 1), 9), "PNG"), np.full((1, 1, 1), 9, np.uint8)),
    "very wide": (lambda: encoded(Image.fromarray(WIDE), "PNG"), WIDE[..., None]),
    "BMP": (lambda: encoded(Image.fromarray(RGB), "BMP"), RGB),
    "WEBP": (lambda: encoded(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
    "PPM": (lambda: encoded(Image.fromarray(RGB), "PPM"), RGB),
    "deep PGM": (lambda: b"P5 2 2 65535\n" + DEEP.astype(">u2").tobytes(), DEEP_BYTES[..., None]),
}


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return start + struct.pack(">I", 10) + b"IDAT"


def noise(kind: str) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), kind)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated PNG": (lambda: noise("PNG")[:4000], "damaged"),
    "truncated JPEG": (lambda: noise("JPEG")[:2000], "truncated"),
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"this is not a picture", "known format"),
    "large header": (lambda: png_header(12000, 12000), "12000x12000"),
    "bomb": (lambda: png_header(60000, 60000), "pixels"),
    "float beyond 1": (lambda: encoded(Image.fromarray(np.full((2, 2), 9, np.float32)), "TIFF"), "between"),
    "not a number": (lambda: encoded(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF"), "number"),
}


@pytest.mark.parametrize("name", ZOO)
def test_zoo_has_golden_pixels(name: str) -> None:
    make, expected = ZOO[name]
    pixels = read_image(make())
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    tolerance = 2 if "JPEG" in name else 0
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_line(name: str) -> None:
    make, reason = BROKEN[name]
    with pytest.raises(DataError, match=reason) as caught:
        read_image(make())
    assert "\n" not in str(caught.value)


def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png"):
        read_image(tmp_path / "none.png")


def test_fit_crops_pads_and_stretches() -> None:
    picture = np.zeros((4, 8, 1), np.uint8)
    picture[:, 2:6] = 200
    assert (fit_image(picture, (1, 4, 4), "crop") == 200).all()
    padded = fit_image(np.full((4, 8, 1), 200, np.uint8), (1, 8, 8), "pad")[0]
    assert (padded[2:6] == 200).all()
    assert not padded[:2].any()
    assert not padded[6:].any()
    assert fit_image(picture, (1, 5, 3), "stretch").shape == (1, 5, 3)
    with pytest.raises(ValueError, match="fit"):
        fit_image(picture, (1, 2, 2), "squeeze")


@pytest.mark.parametrize("shape", [(1, 10_000, 1), (10_000, 1, 3), (1, 1, 4)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_extreme_shapes_fit(shape: tuple[int, int, int], fit: str) -> None:
    assert fit_image(np.full(shape, 7, np.uint8), (3, 16, 16), fit).shape == (3, 16, 16)


def test_channels_follow_the_rules() -> None:
    red = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [255, 0, 0, 51]]], np.uint8)
    assert fit_image(red, (3, 1, 3))[:, 0].T.tolist() == [[255, 255, 255], [255, 0, 0], [255, 204, 204]]
    assert fit_image(red[..., :3], (1, 1, 3)).ravel().tolist() == [76, 76, 76]
    assert fit_image(red[..., :1], (4, 1, 3))[3].tolist() == [[255, 255, 255]]
    with pytest.raises(ValueError, match="channels"):
        fit_image(red, (2, 1, 3))


def test_shrinking_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(0).astype(np.uint8)[..., None] % 2 * 255
    assert np.abs(fit_image(board, (1, 8, 8)).astype(int) - 127).max() <= 20


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_written_pictures_read_back(tmp_path: Path, channels: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (channels, 5, 6), np.uint8)
    write_image(picture, tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").transpose(2, 0, 1), picture)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_writing_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for array, name in (
        (np.zeros((1, 2, 2), np.uint8), "a.xyz"),
        (np.zeros((4, 2, 2), np.uint8), "a.jpg"),
        (np.zeros((1, 2, 2), np.uint8), "no/a.png"),
        (np.zeros((2, 2), np.uint8), "a.png"),
        (np.zeros((1, 1, 20_000), np.uint8), "a.webp"),
        (np.zeros((1, 70_000, 1), np.uint8), "a.jpg"),
    ):
        with pytest.raises(DataError, match=name):
            write_image(array, tmp_path / name)
    assert not list(tmp_path.iterdir())
