"""The one place where pictures are read, brought to a size, and written."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from gargalo import disk
from gargalo.errors import DataError

Pixels = npt.NDArray[np.uint8]
Fit = Literal["crop", "pad", "stretch"]
Decoded = TypeVar("Decoded")

# The decoders that are tried. Others of Pillow's run programs, follow references, or are rarely exercised.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".ppm")
) | {".pgm", ".pbm", ".pnm", ".apng"}
# Pictures too, which we do not read: they are refused by name, not passed over in silence.
UNREAD = frozenset((".avif", ".heic", ".heif", ".jp2", ".tga", ".ico", ".psd"))
MAX_PIXELS = 64_000_000
ORIENTATION = 0x0112  # the EXIF tag
_SIDES = {"JPEG": 65_500, "WEBP": 16_383}  # the most pixels
WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}


class _Quiet:
    """Silences warnings while at least one thread is inside.

    Pillow warns about odd files that we either read well or refuse by an error. `catch_warnings` by itself
    leaves the wrong filters behind when two threads leave it out of order.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._catch = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._catch.__exit__(None, None, None)


_quiet = _Quiet()


def read_image(file: Path | bytes, *, max_pixels: int = MAX_PIXELS, enough: tuple[int, int] | None = None) -> Pixels:
    """Read a picture, upright, as uint8 ``[H, W, C]``: C is 1 for gray, 3 for color, 4 with an alpha channel.

    Of an animation the first frame is read. 16-bit pixels are scaled by 1/257, floats from [0, 1]. A JPEG may
    come smaller, though not below a height and width of ``enough``, which is several times faster.

    Raises DataError with a reason of one line where the file is no picture in a known format, is damaged or
    cut short, has more than ``max_pixels`` (checked before decoding), or its pixels have no fixed range.
    """

    def decoded(image: Image.Image) -> Pixels:
        if enough is not None:
            # The longer side for both: whether the picture lies on its side is known after decoding.
            image.draft(None, (max(enough), max(enough)))
        image.load()
        return upright(_pixels(image), orientation(image))

    return decode(file, decoded, max_pixels=max_pixels)


def decode(file: Path | bytes, use: Callable[[ImageFile], Decoded], *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """What ``use`` makes of a picture that is open but not yet decoded; its size and a PNG's checksums are looked at.

    DataError as `read_image`, whatever goes wrong in ``use`` as well.
    """
    if isinstance(file, bytes):
        return _decode(io.BytesIO(file), use, max_pixels)
    try:
        with file.open("rb") as stream:
            return _decode(stream, use, max_pixels)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or 'cannot be read'}.") from error
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _decode(stream: Any, use: Callable[[ImageFile], Decoded], max_pixels: int) -> Decoded:
    try:
        with _quiet, ExitStack() as stack:
            image = stack.enter_context(Image.open(stream, formats=FORMATS))
            width, height = image.size
            if width * height > max_pixels:
                raise DataError(f"has {width}x{height} pixels; at most {max_pixels:,} are read")
            if image.format == "PNG":
                image.verify()  # looks at the checksums, as loading does not, and leaves the object useless
                stream.seek(0)
                image = stack.enter_context(Image.open(stream, formats=FORMATS))
            return use(image)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        stream.seek(0)
        reason = "not a picture in a known format" if stream.read(1) else "the file is empty"
        raise DataError(reason) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"has more than {max_pixels:,} pixels") from error
    except Exception as error:  # on damaged files the decoders raise nearly anything
        text = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(f"damaged: {text}") from error


def _pixels(image: Image.Image) -> Pixels:
    """The decoded pixels of any mode as uint8 ``[H, W, 1 | 3 | 4]``."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _to_bytes(black_at_zero(image))[..., None]
    if image.has_transparency_data:
        image = image.convert("LA") if mode == "La" else image
        return np.array(image.convert("RGBA"))
    if mode in ("1", "L"):
        return np.array(image.convert("L"))[..., None]
    return np.array(image.convert("RGB"))


def black_at_zero(image: Image.Image) -> npt.NDArray[Any]:
    """The decoded numbers of more than 8 bits, whichever end a TIFF calls black: Pillow turns those of 8 bits alone."""
    values = np.asarray(image)
    white_at_zero = getattr(image, "tag_v2", {}).get(262) == 0
    return (1 if values.dtype.kind == "f" else 65535) - values if white_at_zero else values


def _to_bytes(values: npt.NDArray[Any]) -> Pixels:
    """Deep pixels to uint8 by a rule that never looks at the picture, so that all of a folder agree."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError("has pixels that are not a number")
        top, what = 1.0, "floating-point"
        slack = 1e-3
    else:
        top, what, slack = 65535.0, "whole-number", 0.0
    low, high = float(values.min()), float(values.max())
    if low < -slack or high > top + slack:
        raise DataError(f"has {what} pixels from {low:g} to {high:g}; they must lie between 0 and {top:g}")
    return np.rint(np.clip(values.astype(np.float64), 0, top) * (255 / top)).astype(np.uint8)


def orientation(image: Image.Image) -> int:
    """The number of the EXIF tag, 1 where there is none."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged metadata says nothing about good pixels: they stay as stored
        return 1


def upright(pixels: npt.NDArray[Any], turned: int) -> npt.NDArray[Any]:
    """``[H, W, C]`` with one of the eight EXIF orientations undone; an unknown number counts as upright."""
    if turned in (5, 6, 7, 8):  # rows and columns are exchanged
        pixels = pixels.swapaxes(0, 1)
    if turned in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turned in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def read_size(file: Path | bytes) -> tuple[int, int]:
    """Height and width of a picture, upright; DataError as ``read_image``.

    It decodes: a damaged file may claim any size, and must not decide the size of a data set.
    """
    height, width = read_image(file).shape[:2]
    return height, width


def is_gray(pixels: Pixels) -> bool:
    """Whether a picture ``[H, W, C]`` has no color, in however many channels it is stored."""
    if pixels.shape[2] == 1:
        return True
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return bool(np.array_equal(red, green) and np.array_equal(red, blue))


def fit_image(array: Pixels, shape: tuple[int, ...], fit: str = "crop") -> Pixels:
    """Bring a picture uint8 ``[H, W, C]`` to ``shape`` ``(C, H, W)`` and return it as uint8 ``[C, H, W]``.

    ``crop`` scales the short side and cuts the middle out, ``pad`` scales the long side and adds black
    margins (transparent ones where there is alpha), ``stretch`` changes the proportions, ``cut`` takes the middle
    as it is, where there is enough of it, else as ``crop``. Alpha that
    ``shape`` has no channel for is laid over white; gray is the luma of BT.601; shrinking is anti-aliased.

    Raises ValueError for another ``fit`` or a number of channels other than 1, 3 and 4.
    """
    channels, height, width = shape
    pixels = _with_channels(array, channels)
    if fit not in ("crop", "pad", "stretch", "cut"):
        raise ValueError(f"fit={fit!r} must be one of crop, pad, stretch, cut.")
    if fit == "cut":
        top, left = max(0, pixels.shape[0] - height) // 2, max(0, pixels.shape[1] - width) // 2
        whole = pixels.shape[0] >= height and pixels.shape[1] >= width
        pixels, fit = pixels[top : top + height, left : left + width] if whole else pixels, "crop"
    if pixels.shape[:2] != (height, width):
        pixels = _resized(pixels, height, width, fit)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    if channels not in (1, 3, 4):
        raise ValueError(f"Pictures have 1, 3 or 4 channels, not {channels}.")
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float64) / 255
        pixels = np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if channels == 1 and pixels.shape[2] == 3:
        return np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    if channels > 1 and pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    if channels == 4:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)
    return pixels


def _resized(pixels: Pixels, height: int, width: int, fit: str) -> Pixels:
    """Resample ``[H, W, C]`` to ``[height, width, C]`` in one step, reading no more than the crop needs."""
    old_height, old_width, channels = pixels.shape
    box = (0.0, 0.0, float(old_width), float(old_height))
    new_height, new_width = height, width
    if fit == "crop":
        scale = max(height / old_height, width / old_width)
        left = max(0.0, (old_width - width / scale) / 2)
        top = max(0.0, (old_height - height / scale) / 2)
        box = (left, top, old_width - left, old_height - top)
    elif fit == "pad":
        scale = min(height / old_height, width / old_width)
        new_height = min(height, max(1, round(old_height * scale)))
        new_width = min(width, max(1, round(old_width * scale)))
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels))
    small = np.asarray(image.resize((new_width, new_height), Image.Resampling.BICUBIC, box=box))
    result = np.zeros((height, width, channels), np.uint8)
    y, x = (height - new_height) // 2, (width - new_width) // 2
    result[y : y + new_height, x : x + new_width] = small.reshape(new_height, new_width, channels)
    return result


def check_target(path: Path, shape: tuple[int, ...], bits: int = 8) -> str:
    """The format of a file to be written, for a picture ``[H, W, C]`` of this shape. DataError where it is not known or
    would not hold all of the picture."""
    height, width, channels = shape
    if path.suffix.lower() not in WRITERS:
        raise DataError(f"{path}: pictures can be written as {', '.join(WRITERS)}.")
    kind = WRITERS[path.suffix.lower()][0]
    if bits > 8 and kind not in ("PNG", "TIFF"):
        raise DataError(f"{path}: {kind} has 8 bits, the picture {bits}. Write a .png or .tif.")
    if channels in (2, 4) and kind in ("JPEG", "BMP"):
        raise DataError(f"{path}: {kind} has no alpha channel. Write a .png.")
    if max(height, width) > (most := _SIDES.get(kind, max(height, width))):
        raise DataError(f"{path}: {kind} has up to {most:,} pixels a side, not {width}x{height}. Write a .png or .tif.")
    return kind


def write_image(array: Pixels, path: Path | str) -> None:
    """Write a picture uint8 ``[C, H, W]`` in the format of the suffix; the file is whole or not there.

    Raises DataError as `check_target`, and where the file cannot be written.
    """
    path = Path(path)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        raise DataError(f"{path}: a picture is uint8 [1, 3 or 4, H, W], not {array.dtype} {array.shape}.")
    kind = check_target(path, (*array.shape[1:], array.shape[0]))
    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    with whole_file(path) as stream:
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, kind, **WRITERS[path.suffix.lower()][1])


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its place only when all is written; DataError where it cannot be."""
    try:
        with disk.replacing(path) as temporary, temporary.open("xb") as stream:
            yield stream
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error
