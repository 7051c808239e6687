"""Clean, enlarge, fill in: files and folders of them, by command."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

import gargalo
from gargalo import checkpoint, cli, weights
from gargalo.data.photos import Photo, read_photo, write_photo
from test_restore import COLOR, HIDDEN, model


@pytest.fixture
def runs(tmp_path):
    """Run folders of untrained models."""
    for name, corruption in {
        "denoiser": "noise:std=0.1",
        "upscaler": "downscale:factor=2",
        "inpainter": "mask",
    }.items():
        made = model(name, corruption)
        checkpoint.save(tmp_path / name, made.config, made.net.state_dict(), {}, 1)
    return tmp_path


def gargalo_says(monkeypatch, capsys, *arguments):
    """Status and what was said."""
    monkeypatch.setattr(sys, "argv", ["gargalo", *map(str, arguments)])
    monkeypatch.setattr("warnings.showwarning", None)
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, capsys.readouterr().err


def test_weights_that_ship_are_found_by_task_and_color(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    for name, channels in {"denoiser-gray": 1, "denoiser-color": 3}.items():
        made = model("denoiser", channels=channels)
        save_file(made.net.state_dict(), tmp_path / f"{name}.safetensors", metadata={"config": json.dumps(made.config)})
    monkeypatch.chdir(tmp_path)
    stored_in_colors = np.repeat(COLOR[..., :1], 3, 2)
    for number, picture in enumerate((COLOR, COLOR[..., 0], stored_in_colors)):
        Image.fromarray(picture).save(f"{number}.png")
    given = ("denoise", "0.png", "1.png", "2.png", "--sigma", "20", "-o", "out")
    assert gargalo_says(monkeypatch, capsys, *given)[0] == 0
    for number, (picture, kind) in enumerate(
        ((COLOR, "color"), (COLOR[..., :1], "gray"), (stored_in_colors, "gray")),
    ):
        expected = gargalo.denoise(gargalo.shipped(f"denoiser-{kind}"), picture, sigma=20)
        assert np.array_equal(read_photo(tmp_path / "out" / f"{number}.png").pixels, expected)
    with pytest.raises(gargalo.CheckpointError, match="There are: denoiser-color, denoiser-gray"):
        gargalo.shipped("upscaler-2")


def test_what_passes_pictures_through_sends_to_what_repairs_them(runs, monkeypatch, capsys):
    Image.fromarray(COLOR).save(runs / "in.png")
    status, said = gargalo_says(
        monkeypatch, capsys, "reconstruct", runs / "inpainter", runs / "in.png", "-o", runs / "out.png"
    )
    assert status == 2
    assert "gargalo inpaint" in said


def zoo(folder: Path) -> None:
    folder.mkdir()
    (folder / "sub").mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Maker"
    image = Image.fromarray(COLOR)
    image.save(folder / "phone.jpg", exif=exif)
    image.convert("RGBA").save(folder / "sub" / "clear.png")
    image.convert("P").save(folder / "palette.gif")
    write_photo(Photo(COLOR.astype(np.uint16) * 257), folder / "deep.tif")
    (folder / "broken.png").write_bytes((folder / "sub" / "clear.png").read_bytes()[:400])


def test_a_folder_with_a_broken_file(runs, monkeypatch, capsys):
    zoo(runs / "photos")
    status, said = gargalo_says(monkeypatch, capsys, "denoise", runs / "denoiser", runs / "photos", "-o", runs / "out")
    assert status == 1
    assert "Skipped broken.png" in said
    assert "4 of 5 pictures" in said
    written = sorted(file.relative_to(runs / "out").as_posix() for file in (runs / "out").rglob("*.*"))
    assert written == ["deep.tif", "palette.png", "phone.jpg", "sub/clear.png"]
    phone = read_photo(runs / "out" / "phone.jpg")
    assert phone.pixels.shape == (47, 61, 3)
    assert b"Maker" in phone.said["exif"]
    assert read_photo(runs / "out" / "deep.tif").pixels.dtype == np.uint16
    again = gargalo_says(monkeypatch, capsys, "denoise", runs / "denoiser", runs / "photos", "-o", runs / "out")
    assert again[0] == 2
    assert "--overwrite" in again[1]


def test_what_would_be_too_large_for_its_format_is_skipped_before_the_work(runs, monkeypatch, capsys):
    (runs / "photos").mkdir()
    Image.fromarray(COLOR).save(runs / "photos" / "a.png")
    Image.fromarray(np.zeros((2, 8200, 3), np.uint8)).save(runs / "photos" / "wide.webp")
    done, upscale = [], gargalo.upscale
    monkeypatch.setattr(gargalo, "upscale", lambda *given, **options: done.append(1) or upscale(*given, **options))
    status, said = gargalo_says(monkeypatch, capsys, "upscale", runs / "upscaler", runs / "photos", "-o", runs / "out")
    assert status == 1
    assert "wide.webp: WEBP has up to 16,383 pixels a side, not 16400x4. Write a .png or .tif." in said
    assert "1 of 2 pictures" in said
    assert len(done) == 1


def test_one_file(runs, monkeypatch, capsys):
    zoo(runs / "photos")
    deep, large = runs / "photos" / "deep.tif", runs / "large.png"
    assert gargalo_says(monkeypatch, capsys, "upscale", runs / "upscaler", deep, "-o", large)[0] == 0
    expected = gargalo.upscale(gargalo.load(runs / "upscaler"), read_photo(deep).pixels)
    assert np.array_equal(read_photo(large).pixels, expected)
    Image.fromarray((HIDDEN * 255).astype(np.uint8)).save(runs / "mask.png")
    arguments = ("inpaint", runs / "inpainter", deep, "--mask", runs / "mask.png", "-o", runs / "whole.tif")
    assert gargalo_says(monkeypatch, capsys, *arguments)[0] == 0
    whole = read_photo(runs / "whole.tif").pixels
    assert np.array_equal(whole[~HIDDEN], read_photo(deep).pixels[~HIDDEN])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("denoise", "denoiser", "a.png", "-o", "a.png", "--overwrite"), "never overwritten"),
        (("denoise", "denoiser", "a.png", "-o", "a.jpg"), "no alpha channel"),
        (("denoise", "denoiser", "a.png", "-o", "taken.png"), "taken.png exists"),
        (("denoise", "denoiser", "a.png", "a.gif", "-o", "new.png"), "give a folder for several"),
        (("denoise", "denoiser", "a.png", "a.gif", "-o", "new"), "would both become"),
        (("denoise", "denoiser", "nothing.png", "-o", "b.png"), "no picture, folder or run at nothing.png"),
        (("upscale", "upscaler", "a.png", "--scale", "3", "-o", "b.png"), "upscaler enlarges 2 times, not 3"),
        (("upscale", "upscaler-2", "a.png", "--scale", "3", "-o", "b.png"), "upscaler-2 enlarges 2 times, not 3"),
        (("upscale", "a.png", "--scale", "0", "-o", "b.png"), "must be at least 2"),
        (("upscale", "a.png", "--scale", "7", "-o", "b.png"), "No weights called 'upscaler-7'"),
        (("denoise", "upscaler", "a.png", "-o", "b.png"), "denoise needs 'noise'"),
        (("denoise", "denoiser", "a.png", "-o", "b.gif"), "b.gif cannot be written; pictures are written to .bmp"),
        (("inpaint", "inpainter", "a.png", "--mask", "taken.png", "-o", "taken.png", "--overwrite"), "is an input"),
        (("denoise", "denoiser", "sub", "again", "-o", "again", "--overwrite"), "again/c.png is an input itself"),
    ],
)
def test_mistakes_end_with_one_line_and_lose_nothing(runs, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(runs)
    Image.fromarray(COLOR).convert("RGBA").save("a.png")
    Image.fromarray(COLOR).save("a.gif")
    Path("taken.png").write_bytes(b"dear to me")
    for folder in ("sub", "again"):
        Path(folder).mkdir()
        Image.fromarray(COLOR).save(f"{folder}/{folder[0]}.png")
    Image.fromarray(COLOR).save("again/c.png")
    Image.fromarray(COLOR).save("sub/c.png")
    before = Path("a.png").read_bytes()
    status, said = gargalo_says(monkeypatch, capsys, *arguments)
    assert status == 2
    assert says in said
    assert said.strip().count("\n") == 0
    assert Path("a.png").read_bytes() == before
    assert Path("taken.png").read_bytes() == b"dear to me"
