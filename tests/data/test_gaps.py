"""Cases that a review found: each of these was wrong once."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from gargalo.data import images, open_source
from gargalo.errors import DataError


def test_options_after_a_path(tmp_path):
    Image.new("L", (20, 20), 9).save(tmp_path / "x.png")
    assert open_source(f"{tmp_path}/:size=16,channels=3").spec.shape == (3, 16, 16)


def test_a_table_without_header_keeps_its_first_row(tmp_path):
    (tmp_path / "t.csv").write_text("1,2,a\n3,5,b\n")
    source = open_source(f"{tmp_path}/t.csv:label=3")
    assert source.values.tolist() == [[1, 2], [3, 5]]
    assert source.spec.class_names == ("a", "b")


def test_refuses_a_png_with_a_wrong_checksum():
    stream = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(stream, "PNG")
    data = bytearray(stream.getvalue())
    start = data.find(b"IDAT")
    data[start + 4 + struct.unpack(">I", data[start - 4 : start])[0]] ^= 1
    with pytest.raises(DataError, match="checksum"):
        images.read_image(bytes(data))


def test_refuses_an_array_that_unpacks_to_far_more_than_it_is(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((80, 1000, 1000), np.uint8))
    with pytest.raises(DataError, match="unpack"):
        open_source(str(tmp_path / "bomb.npz"))


def test_names_pictures_of_formats_that_are_not_read(tmp_path):
    for name in "ab":
        Image.new("L", (8, 8), 9).save(tmp_path / f"{name}.png")
    (tmp_path / "c.avif").write_bytes(b"anything")
    assert [skipped.name for skipped in open_source(str(tmp_path)).skipped] == ["c.avif"]


def test_numbers_have_no_underscores(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1_0,2\n")
    with pytest.raises(DataError, match="1_0"):
        open_source(str(tmp_path / "t.csv"))
