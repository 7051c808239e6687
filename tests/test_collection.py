"""Search, copies, directions: collections by their codes."""

import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

import gargalo
from gargalo.data import open_source
from gargalo.data.source import some
from gargalo.verbs import _arrays, collection
from test_cli import run_gargalo, size_of

RNG = np.random.default_rng(0)


def digits():
    source = open_source("digits")
    return source.gather(source.indices("all"))


def test_neighbors_are_those_of_brute_force(digits_model):
    pictures = digits().target[:200]
    codes = gargalo.embed(digits_model, pictures)
    scaled = codes / codes.std(0) / codes.shape[1] ** 0.5
    distances = np.linalg.norm(scaled[:7, None] - scaled, axis=2)
    rows, found = gargalo.neighbors(digits_model, pictures[:7], pictures, count=4)
    assert rows.shape == found.shape == (7, 4)
    assert (rows[:, 0] == np.arange(7)).all()
    np.testing.assert_allclose(found[:, 1:], np.sort(distances, 1)[:, 1:4], atol=2e-3)
    with pytest.raises(ValueError, match="count=201"):
        gargalo.neighbors(digits_model, pictures[:1], pictures, count=201)


def test_numbers_of_a_code_that_hardly_change_count_for_nothing():
    codes = RNG.normal(size=(300, 8)).astype(np.float32)
    still = np.concatenate([codes, np.full((300, 1), 0.3, np.float32), 0.3 + 1e-4 * codes[:, :1]], 1)
    frame = collection._frame(still)
    _, rows = collection._nearest(collection._flat(still, frame), collection._flat(still, frame), 2)
    whole = np.concatenate([codes / codes.std(0), codes[:, :1] / codes[:, :1].std(0)], 1)
    distances = np.linalg.norm(whole[:, None] - whole, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (rows[:, 0].numpy() == np.arange(300)).all()
    assert (rows[:, 1].numpy() == distances.argmin(1)).mean() > 0.98


def test_classes_have_the_numbers_that_a_conditional_model_knows_them_by(tmp_path):
    for kind in ("cat", "dog", "fox"):
        for data in ("old", "new", "other"):
            (tmp_path / data / kind).mkdir(parents=True)
            for number in range(12):
                photo(RNG).save(tmp_path / data / kind / f"{number}.png")
    shutil.rmtree(tmp_path / "new" / "cat")
    (tmp_path / "other" / "cat").rename(tmp_path / "other" / "cow")
    model = gargalo.train("cvae", f"{tmp_path / 'old'}:size=8", tmp_path / "run", epochs=1)
    source = _arrays.open_for(model, str(tmp_path / "new"))
    assert source.spec.class_names == ("cat", "dog", "fox")
    assert source.labels.tolist() == [1] * 12 + [2] * 12
    with pytest.raises(gargalo.DataError, match=r"classes that this model does not know: cow\. It knows cat, dog, fox"):
        gargalo.evaluate(model, str(tmp_path / "other"))
    with pytest.raises(gargalo.DataError, match="no labels, which cvae is told"):
        gargalo.evaluate(model, str(tmp_path / "new" / "dog"))


def test_what_cannot_be_read_is_named(photos, tmp_path):
    model = gargalo.load(photos[1])
    for number in range(4):
        photo(RNG).save(tmp_path / f"{number}.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"1 files of .* are left out: empty\.png \("):
        assert len(_arrays.open_for(model, str(tmp_path))) == 4
    assert _arrays.open_for(model, str(tmp_path / "1.png")).names == ("1.png",)


def test_of_more_rows_some_are_drawn_from_all():
    index = torch.arange(5, 1005)
    chosen = some(index, 100)
    assert len(chosen.unique()) == 100
    assert torch.equal(chosen, some(index, 100).sort().values)
    assert chosen[0] < 55
    assert chosen[-1] > 955
    assert torch.equal(some(index, 1000), index)


def photo(rng):
    """Something smooth with a few shapes, 96 by 96, in color."""
    small = rng.integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)


def encoded(picture, **options):
    stream = io.BytesIO()
    picture.save(stream, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Forty pictures, four of them again in other clothes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    pictures = [photo(rng) for _ in range(40)]
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:02d}.png")
    (folder / "00-again.jpg").write_bytes(encoded(pictures[0], format="JPEG", quality=30))
    (folder / "01-again.webp").write_bytes(encoded(pictures[1].resize((50, 50)), format="WEBP"))
    ImageEnhance.Brightness(pictures[2]).enhance(0.8).save(folder / "02-again.png")
    (folder / "00-third.png").write_bytes(encoded(pictures[0], format="PNG"))
    run = tmp_path_factory.mktemp("runs") / "photos"
    gargalo.train("autoencoder", f"{folder}:size=32", run, latent_dim=8, epochs=20, network="mlp:width=32")
    return folder, run


def test_copies_are_found_and_nothing_else(photos):
    folder, run = photos
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    done = run_gargalo("duplicates", run, folder, "--json")
    assert done.returncode == 0, done.stderr
    found = [group["names"] for group in json.loads(done.stdout)]
    assert found == [
        ["00-again.jpg", "00-third.png", "00.png"],
        ["01-again.webp", "01.png"],
        ["02-again.png", "02.png"],
    ]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert "3 groups" in run_gargalo("duplicates", run, folder).stderr


def test_no_copies_are_no_groups(photos):
    _, run = photos
    model = gargalo.load(run)
    noise = RNG.integers(0, 255, (20, 3, 32, 32), np.uint8)
    assert gargalo.duplicates(model, noise) == []
    assert gargalo.duplicates(model, noise[:1]) == []
    with pytest.raises(ValueError, match="threshold=0"):
        gargalo.duplicates(model, noise, threshold=0)


def test_duplicates_are_of_pictures(tmp_path):
    np.save(tmp_path / "t.npy", RNG.normal(size=(50, 3)))
    model = gargalo.train("autoencoder", str(tmp_path / "t.npy"), tmp_path / "run", latent_dim=2, epochs=1)
    with pytest.raises(ValueError, match="compares pictures"):
        gargalo.duplicates(model, RNG.normal(size=(5, 3)))


def test_the_search_command(photos, tmp_path):
    folder, run = photos
    done = run_gargalo("neighbors", run, folder, folder / "01.png", "--count", 2, "-o", tmp_path / "n.png", "--json")
    assert done.returncode == 0, done.stderr
    assert {row["neighbor"] for row in json.loads(done.stdout)} == {"01.png", "01-again.webp"}
    assert size_of(tmp_path / "n.png") == (3 * 34 - 2, 32)


def test_a_traversal_moves_one_number_at_a_time(digits_model):
    picture = digits().target[3]
    shown = gargalo.traverse(digits_model, picture, steps=5, span=1.5)
    assert shown.shape == (2, 5, 1, 8, 8)
    same = gargalo.reconstruct(digits_model, picture[None])[0]
    assert np.abs(shown[:, 2].astype(int) - same).max() <= 1  # in the middle stands the picture itself
    code, spread = gargalo.embed(digits_model, picture[None])[0], digits_model.normality["spread"].numpy()
    moved = code + np.array([0, 1.5 * spread[1]], np.float32)
    one = gargalo.traverse(digits_model, picture, dims=[1], steps=5, span=1.5)
    assert np.abs(one[0, -1].astype(int) - gargalo.decode(digits_model, moved[None])[0]).max() <= 1
    for wrong in ({"dims": [2]}, {"steps": 1}, {"span": 0}, {"span": np.nan}, {"direction": np.zeros(3)}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}"):
            gargalo.traverse(digits_model, picture, **wrong)


def test_a_direction_leads_from_one_class_to_another(digits_model):
    part = digits()
    zeros, ones = (part.target[part.condition == digit] for digit in (0, 1))
    way = gargalo.direction(digits_model, ones, zeros)
    codes = gargalo.embed(digits_model, ones), gargalo.embed(digits_model, zeros)
    np.testing.assert_allclose(way, codes[0].mean(0) - codes[1].mean(0))
    last = gargalo.traverse(digits_model, zeros[0], direction=way, span=1.0, steps=3)[0, -1]
    assert np.abs(last - ones.numpy().mean(0)).mean() < np.abs(last - zeros.numpy().mean(0)).mean()


def test_the_traverse_command(digits_run, tmp_path):
    Image.fromarray(digits().target[3, 0].numpy()).save(tmp_path / "d.png")
    done = run_gargalo("traverse", digits_run, tmp_path / "d.png", "-o", tmp_path / "t.png", "--steps", 5)
    assert done.returncode == 0, done.stderr
    assert size_of(tmp_path / "t.png") == (5 * 10 - 2, 2 * 10 - 2)
    ways = "--having", "digits:only=1", "--lacking", "digits:only=0"
    done = run_gargalo("traverse", digits_run, tmp_path / "d.png", "-o", tmp_path / "w.png", *ways)
    assert done.returncode == 0, done.stderr
    assert size_of(tmp_path / "w.png") == (7 * 10 - 2, 8)
    of = "--of", "digits", "--having", 1, "--lacking", 0
    done = run_gargalo("traverse", digits_run, tmp_path / "d.png", "-o", tmp_path / "new" / "of.png", *of)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "of.png").read_bytes() == (tmp_path / "w.png").read_bytes()
    for wrong, told in {
        (*of[:-1], "ten"): "has no class 'ten'. It has 0, 1",
        (*ways, "--dims", 1): "--dims are numbers of the code",
        of[:2]: "--having and --lacking belong together",
    }.items():
        done = run_gargalo("traverse", digits_run, tmp_path / "d.png", "-o", tmp_path / "x.png", *wrong)
        assert done.returncode == 2
        assert told in done.stderr
    assert run_gargalo("traverse", digits_run, tmp_path / "d.png", "-o", tmp_path / "x.png", *ways[:2]).returncode == 2
