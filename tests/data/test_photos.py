"""Photographs go through files with all their bits and all that is said of them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from gargalo.data.photos import Photo, read_photo, write_photo
from gargalo.errors import DataError

ROWS, COLUMNS = np.mgrid[:37, :53]
DEEP = np.stack([ROWS * 1700 + COLUMNS, COLUMNS * 1100, ROWS * COLUMNS * 31, 65535 - ROWS * 900], -1).astype(np.uint16)
LAYOUTS = {"gray": [0], "gray with alpha": [0, 3], "color": [0, 1, 2], "color with alpha": [0, 1, 2, 3]}


def said():
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[0x0112] = 1
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8769)[0xA002] = 9999  # a width that the picture does not have
    return {"exif": exif.tobytes(), "icc": b"a profile " * 20, "xmp": b"<x:xmpmeta/>", "dpi": (300.0, 300.0)}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_all_bits_and_all_that_is_said_come_back(tmp_path, bits, channels, suffix):
    if suffix == ".tif" and bits == 16 and len(channels) == 2:
        pytest.skip("Pillow does not read these")
    pixels = DEEP[..., channels] if bits == 16 else (DEEP[..., channels] >> 8).astype(np.uint8)
    file = tmp_path / f"a{suffix}"
    assert write_photo(Photo(pixels, said()), file) == ()
    found = read_photo(file)
    assert found.pixels.dtype == pixels.dtype
    assert np.array_equal(found.pixels, pixels)
    assert {key: found.said[key] for key in ("icc", "xmp")} == {key: said()[key] for key in ("icc", "xmp")}
    assert [round(float(side)) for side in found.said["dpi"]] == [300, 300]
    exif = Image.Exif()
    exif.load(found.said["exif"])
    assert exif[271] == "Maker"
    assert exif.get_ifd(0x8769)[0xA002] == 53
    assert float(exif.get_ifd(0x8769)[0x829A]) == pytest.approx(0.01)


def test_other_programs_read_the_same(tmp_path):
    write_photo(Photo(DEEP[..., :3]), tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        assert np.array_equal(np.asarray(opened), DEEP[..., :3] >> 8)  # all that Pillow keeps
    write_photo(Photo(DEEP[..., :1]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(np.asarray(opened), DEEP[..., 0])


def with_tag(tiff, number, old, new):
    """A little-endian TIFF with another short value of a tag."""
    entry = struct.Struct("<HHIH")
    assert entry.pack(number, 3, 1, old) in tiff
    return tiff.replace(entry.pack(number, 3, 1, old), entry.pack(number, 3, 1, new))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_may_say_that_white_is_zero(tmp_path, bits):
    pixels = DEEP[..., :1] if bits == 16 else (DEEP[..., :1] >> 8).astype(np.uint8)
    write_photo(Photo(pixels), tmp_path / "a.tif")
    assert np.array_equal(read_photo(with_tag((tmp_path / "a.tif").read_bytes(), 262, 1, 0)).pixels, ~pixels)


def test_a_phone_held_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Maker"
    pixels = (DEEP[..., :3] >> 8).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    found = read_photo(tmp_path / "a.png")
    assert np.array_equal(found.pixels, np.rot90(pixels, -1))
    write_photo(found, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as opened:
        assert opened.size == (37, 53)
        assert opened.getexif()[0x0112] == 1


def test_what_a_format_cannot_hold_is_named(tmp_path):
    pixels = (DEEP >> 8).astype(np.uint8)
    assert write_photo(Photo(pixels[..., :3], said()), tmp_path / "a.bmp") == ("exif", "icc", "xmp")
    with pytest.raises(DataError, match="JPEG has 8 bits, the picture 16"):
        write_photo(Photo(DEEP[..., :3]), tmp_path / "a.jpg")
    with pytest.raises(DataError, match="no alpha channel"):
        write_photo(Photo(pixels), tmp_path / "a.jpg")
    with pytest.raises(DataError, match="can be written as"):
        write_photo(Photo(pixels), tmp_path / "a.heic")
    assert [file.name for file in tmp_path.iterdir()] == ["a.bmp"]


def test_a_jpeg_keeps_its_comment_and_captions(tmp_path):
    photo = Photo(
        (DEEP[..., :3] >> 8).astype(np.uint8), said() | {"comment": b"hello", "iptc": b"Photoshop 3.0\0caption"}
    )
    assert write_photo(photo, tmp_path / "a.jpg") == ()
    found = read_photo(tmp_path / "a.jpg").said
    assert found["comment"] == b"hello"
    assert found["iptc"] == b"Photoshop 3.0\0caption"


def test_all_that_a_jpeg_says_goes_into_a_tiff_but_how_its_pixels_lay(tmp_path):
    exif = Image.Exif()
    tags = {269: "a document", 271: "Maker", 18246: 5, 40091: "title".encode("utf-16le"), 50341: b"PrintIM"}
    for tag, value in {**tags, 273: 99, 322: 16, 37724: b"older layers"}.items():
        exif[tag] = value
    exif.get_ifd(0x8825)[1] = "N"
    assert write_photo(Photo(DEEP[..., :3], {"exif": exif.tobytes()}), tmp_path / "a.tif") == ()
    with Image.open(tmp_path / "a.tif") as opened:
        assert {tag: opened.getexif().get(tag) for tag in tags} == tags
        assert opened.getexif().get_ifd(0x8825) == {1: "N"}
    found = read_photo(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, DEEP[..., :3])
    assert b"older" not in found.said["exif"]


def test_captions_go_from_a_jpeg_to_a_tiff_and_back(tmp_path):
    record = b"\x1c\2\x50\0\5Maria"
    blocks = b"8BIM\4\4\0\0" + len(record).to_bytes(4, "big") + record
    photo = Photo((DEEP[..., :3] >> 8).astype(np.uint8), {"iptc": b"Photoshop 3.0\0" + blocks})
    write_photo(photo, tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[34377] in (blocks, (blocks,))
    back = read_photo(tmp_path / "a.tif")
    assert write_photo(back, tmp_path / "b.jpg") == ()
    assert read_photo(tmp_path / "b.jpg").said["iptc"] == photo.said["iptc"]
    Image.fromarray(photo.pixels).save(tmp_path / "c.tif", tiffinfo={33723: record})
    assert read_photo(tmp_path / "c.tif").said["iptc"] == photo.said["iptc"]


def test_what_is_too_long_for_a_jpeg_is_named(tmp_path):
    photo = Photo((DEEP[..., :3] >> 8).astype(np.uint8), {"xmp": b"<x>" + b"y" * 70_000, "comment": b"short"})
    assert write_photo(photo, tmp_path / "a.jpg") == ("xmp",)
    assert read_photo(tmp_path / "a.jpg").said["comment"] == b"short"


def test_what_a_png_says_of_its_brightness_stays(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add(b"gAMA", (45455).to_bytes(4, "big"))
    info.add_text("Author", "me")
    Image.fromarray((DEEP[..., 0] >> 8).astype(np.uint8)).save(tmp_path / "a.png", pnginfo=info)
    found = read_photo(tmp_path / "a.png")
    write_photo(found, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as opened:
        opened.load()
        assert opened.info["gamma"] == pytest.approx(0.45455)
        assert opened.info["Author"] == "me"


@pytest.mark.parametrize(
    ("mode", "shape"), [("1", 1), ("L", 1), ("P", 3), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("I;16", 1)]
)
def test_modes(tmp_path, mode, shape):
    image = Image.fromarray(DEEP[..., 0]) if mode == "I;16" else Image.fromarray((DEEP >> 8).astype(np.uint8))
    if mode != "I;16":
        image = image.convert("RGB").convert(mode)
    image.save(tmp_path / "a.png")
    found = read_photo(tmp_path / "a.png").pixels
    assert found.shape == (37, 53, shape)
    assert found.dtype == (np.uint16 if mode == "I;16" else np.uint8)


def test_a_gray_palette_stays_color_as_its_profile_is(tmp_path):
    Image.fromarray((DEEP[..., 0] >> 8).astype(np.uint8)).convert("P").save(tmp_path / "a.png", icc_profile=b"of RGB")
    found = read_photo(tmp_path / "a.png")
    assert found.said["icc"] == b"of RGB"
    assert np.array_equal(found.pixels, np.repeat(DEEP[..., :1] >> 8, 3, 2))


def refused(case):
    stream = io.BytesIO()
    color = Image.fromarray((DEEP[..., :3] >> 8).astype(np.uint8))
    if case == "CMYK":
        color.convert("CMYK").save(stream, "JPEG")
    elif case == "2 frames":
        color.save(stream, "GIF", save_all=True, append_images=[color.rotate(90)])
    elif case == "mode F":
        color.convert("F").save(stream, "TIFF")
    elif case == "more than 8 bits":
        stream.write(b"P6 53 37 65535\n" + DEEP[..., :3].astype(">u2").tobytes())
    else:
        color.save(stream, "PNG")
        return stream.getvalue()[:-60]
    return stream.getvalue()


def test_deep_colors_that_alpha_is_multiplied_into_are_refused(tmp_path):
    write_photo(Photo(DEEP), tmp_path / "a.tif")
    with pytest.raises(DataError, match="more than 8 bits in a form that is not read"):
        read_photo(with_tag((tmp_path / "a.tif").read_bytes(), 338, 2, 1))


@pytest.mark.parametrize("case", ["CMYK", "2 frames", "mode F", "more than 8 bits", "damaged"])
def test_what_is_no_still_picture_in_gray_or_rgb_is_refused(case):
    with pytest.raises(DataError, match=case) as found:
        read_photo(refused(case))
    assert "\n" not in str(found.value)
