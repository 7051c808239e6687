"""Patches hold what the pictures hold, and a picture's patches stay together."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gargalo.data import open_like, open_source
from gargalo.data.batches import Feed
from gargalo.errors import DataError


def write(path, height=50, width=70, channels=3, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.fixture
def photos(tmp_path):
    pictures = [write(tmp_path / "photos" / f"{i:02}.png", seed=i, width=60 + i) for i in range(12)]
    return tmp_path / "photos", pictures


def test_patches_cover_each_picture_and_lie_where_they_were(photos, tmp_path):
    places = np.stack([*np.mgrid[:50, :70], np.zeros((50, 70))], 2).astype(np.uint8)  # each pixel says where it is
    (tmp_path / "grid").mkdir()
    Image.fromarray(places).save(tmp_path / "grid" / "0.png")
    source = open_source(f"{tmp_path / 'grid'}:size=24,stride=20", "patches")
    assert source.spec.shape == (3, 24, 24)
    seen = torch.zeros(50, 70)
    for patch in source.values:
        y, x = patch[:2, 0, 0].tolist()
        assert torch.equal(patch[:2], torch.from_numpy(places[y : y + 24, x : x + 24, :2]).permute(2, 0, 1))
        seen[y : y + 24, x : x + 24] = 1
    assert seen.all()
    folder, pictures = photos
    gray = open_source(f"{folder}:size=24,channels=1", "patches")
    luma = (pictures[0][:, :24, :24].float() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0)
    torch.testing.assert_close(gray.values[0, 0].float(), luma.round(), atol=0, rtol=0)


def test_a_picture_goes_whole_to_one_part_and_its_copy_with_it(photos):
    folder, _ = photos
    (folder / "copy.png").write_bytes((folder / "03.png").read_bytes())
    source = open_source(f"{folder}:size=24", "patches")
    parts = {part: set(np.array(source.names)[source.indices(part)]) for part in ("train", "validation", "test")}
    assert sorted(name for names in parts.values() for name in names) == sorted({*source.names})
    assert all(parts.values())
    assert any({"03.png", "copy.png"} <= names for names in parts.values())


def test_what_is_too_small_is_named_and_most_limits_large_ones(photos):
    folder, _ = photos
    write(folder / "small.png", 20, 80)
    write(folder / "large.png", 300, 400)
    source = open_source(f"{folder}:size=24,stride=8,most=30", "patches")
    assert source.skipped[0].name == "small.png"
    assert "80x20 pixels, smaller than a patch of 24" in source.skipped[0].reason
    assert max(source.names.count(name) for name in source.names) == 30
    with pytest.raises(DataError, match="smaller than a patch of 72"):
        open_source(str(folder) + ":stride=30", "patches").indices("test")


def test_archives_work_and_what_a_model_was_trained_on_is_opened_alike(photos, tmp_path):
    folder, _ = photos
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    source = open_source(f"patches:path={tmp_path / 'photos.zip'},size=24")
    again = open_like(str(folder), source.spec)
    assert torch.equal(source.values, again.values)
    one = open_like(str(folder / "00.png"), source.spec)
    assert one.values.shape == (1, 3, 24, 24)  # the middle, not scaled
    assert (one.values[0, :, 0, 0] == photos[1][0][:, 13, 18]).all()


def test_pairs_are_matched_by_name_and_moved_together(tmp_path):
    clean = [write(tmp_path / "clean" / f"{i}.png", 40, 40, seed=i) for i in range(5)]
    for i, picture in enumerate(clean):
        pixels = (255 - picture).permute(1, 2, 0).numpy()
        (tmp_path / "dirty").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "dirty" / f"{i}.bmp")
    write(tmp_path / "dirty" / "alone.png", 40, 40)
    write(tmp_path / "clean" / "9.png", 40, 40)
    write(tmp_path / "dirty" / "9.png", 41, 40)
    source = open_source(f"pairs:dirty={tmp_path / 'dirty'},clean={tmp_path / 'clean'},size=16")
    assert {skipped.name: skipped.reason for skipped in source.skipped} == {
        "9.png": "40x41 pixels, and the clean one 40x40",
        "alone": f"not in {tmp_path / 'clean'}",
    }
    example = source.gather(torch.arange(len(source)))
    assert torch.equal(example.input, 255 - example.target)
    batch = next(Feed(source, source.indices(), 16, augment="dihedral").batches())
    torch.testing.assert_close(batch.input, 1 - batch.target)
    write(tmp_path / "dirty" / "0.png", 40, 40)
    with pytest.raises(DataError, match=r"0.bmp and 0.png in .*dirty have one name"):
        open_source(f"pairs:dirty={tmp_path / 'dirty'},clean={tmp_path / 'clean'},size=16")
    write(tmp_path / "other" / "z.png")
    with pytest.raises(DataError, match="has the name of one in"):
        open_source(f"pairs:dirty={tmp_path / 'other'},clean={tmp_path / 'clean'},size=16")
