"""The command line as a user runs it."""

import io
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gargalo
from gargalo.cli import anomaly, app
from gargalo.cli.files import replacing
from gargalo.data import open_source
from gargalo.data.source import Source
from gargalo.verbs.about import LISTS


def run_gargalo(*arguments):
    return subprocess.run([sys.executable, "-m", "gargalo", *map(str, arguments)], capture_output=True, text=True)


def size_of(picture):
    with Image.open(picture) as opened:
        return opened.size


def test_a_whole_session(tmp_path):
    run = tmp_path / "run"
    done = run_gargalo("train", "vae", "digits", "--latent-dim", 2, "--epochs", 3, "-o", run)
    assert done.returncode == 0, done.stderr
    found = run_gargalo("evaluate", run, "--json", "--samples", 5)
    result = json.loads(found.stdout)
    keys = {
        "data",
        "split",
        "n",
        "mse",
        "bce",
        "psnr",
        "ssim",
        "elbo",
        "nll",
        "kl",
        "active_units",
        "baselines",
    }
    assert keys <= set(result)
    assert {"pca", "mean", "floor"} <= set(result["baselines"])
    assert "LOSES" in result["verdict"] or "Better" in result["verdict"]
    page = run_gargalo("report", run).stdout.strip()
    text = Path(page).read_text()
    assert "<img" in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert run_gargalo("sample", run, "-n", 9, "-o", tmp_path / "s.png").returncode == 0
    assert size_of(tmp_path / "s.png") == (8 * 10 - 2, 2 * 10 - 2)
    assert run_gargalo("embed", run, "digits", "-o", tmp_path / "z.npz").returncode == 0
    with np.load(tmp_path / "z.npz") as codes:
        assert codes["z"].shape == (1797, 2)
    Image.fromarray(np.full((20, 30), 99, np.uint8)).save(tmp_path / "a.png")
    assert run_gargalo("reconstruct", run, tmp_path / "a.png", "-o", tmp_path / "b.png").returncode == 0
    assert size_of(tmp_path / "b.png") == (8, 8)
    done = run_gargalo("interpolate", run, tmp_path / "a.png", tmp_path / "a.png", "-o", tmp_path / "i.png")
    assert done.returncode == 0, done.stderr
    assert json.loads(run_gargalo("show", run).stdout)["method"] == "vae"
    assert run_gargalo("resume", run).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "vea", "digits", "-o", "x"), "Did you mean 'vae'"),
        (("train", "vae", "no_such_data", "-o", "x"), "no_such_data"),
        (("train", "vae", "digits", "--latent-dim", "0", "-o", "x"), "latent_dim=0"),
        (("train", "vae", "digits", "--corruption", "nois", "-o", "x"), "Did you mean 'noise'"),
        (("train", "vae", "digits", "--augment", "photo:crop=2", "-o", "x"), "crop=2"),
        (("train", "vae", "digits", "--time", "soon", "-o", "x"), "90s, 10m or 2h"),
        (("train", "vae", "digits", "--likelihood", "gaussian:std=-1", "-o", "x"), "must be positive"),
        (("train", "vae", "digits", "--network", "mlp:width=0", "-o", "x"), "width=0"),
        (("evaluate", "nowhere"), "There is no run"),
        (("resume", "nowhere"), "There is no run"),
        (("list", "colors"), "methods, data"),
    ],
)
def test_mistakes_end_with_one_message_and_status_2(arguments, says, tmp_path):
    done = subprocess.run([sys.executable, "-m", "gargalo", *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", list(LISTS))
def test_lists(kind):
    found = json.loads(run_gargalo("list", kind, "--json").stdout)
    assert found
    assert all(found.values())


def test_a_conditional_session(tmp_path):
    run, picture = tmp_path / "run", tmp_path / "a.png"
    assert run_gargalo("train", "cvae", "digits", "--epochs", 1, "-o", run).returncode == 0
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(picture)
    refused = run_gargalo("reconstruct", run, picture, "-o", tmp_path / "b.png")
    assert refused.returncode == 2
    assert "needs labels" in refused.stderr
    done = run_gargalo("reconstruct", run, picture, "--label", 3, "-o", tmp_path / "b.png")
    assert done.returncode == 0, done.stderr
    done = run_gargalo("interpolate", run, picture, picture, "--label", 3, "-o", tmp_path / "i.png")
    assert done.returncode == 0, done.stderr
    assert run_gargalo("sample", run, "-n", 4, "--label", 3, "-o", tmp_path / "s.npy").returncode == 0


def test_doctor_and_method_help():
    assert "torch" in json.loads(run_gargalo("doctor", "--json").stdout)
    text = run_gargalo("train", "beta-vae", "--help").stdout
    assert "--beta" in text
    assert "--corruption" in text


HEAVY = "import sys, gargalo, gargalo.cli; {}; print([m for m in {} if m in sys.modules])"


@pytest.mark.parametrize(
    ("use", "absent"),
    [
        ("0", ("torch", "matplotlib", "sklearn")),
        ("gargalo.train, gargalo.load, gargalo.inspect", ("matplotlib", "sklearn", "fastapi", "symusic")),
    ],
)
def test_importing_is_light(use, absent):
    code = HEAVY.format(use, absent)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_codes_for_other_tools(tmp_path, digits_run):
    import csv

    import pyarrow.parquet as pq

    for suffix in ("npz", "csv", "parquet"):
        done = run_gargalo("embed", digits_run, "digits", "-o", tmp_path / f"z.{suffix}")
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "z.npz") as arrays:
        codes, labels = arrays["z"], arrays["labels"]
    with (tmp_path / "z.csv").open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([[float(row["z0"]), float(row["z1"])] for row in rows], codes, rtol=1e-6)
    assert [int(row["label"]) for row in rows] == labels.tolist()
    table = pq.read_table(tmp_path / "z.parquet").to_pylist()
    np.testing.assert_allclose([row["embedding"] for row in table], codes, rtol=1e-6)
    assert [row["label"] for row in table] == [row["label"] for row in rows]
    with Image.open(io.BytesIO(table[3]["image"]["bytes"])) as picture:
        assert (np.asarray(picture) == open_source("digits").values[3, 0].numpy()).all()
    done = run_gargalo("embed", digits_run, "digits", "-o", tmp_path / "z.json")
    assert done.returncode == 2
    assert "must end with one of .npz, .csv, .parquet" in done.stderr
    assert not (tmp_path / "z.json").exists()


def test_no_command_writes_over_its_input(tmp_path, digits_run):
    arrays, picture, run = tmp_path / "x.npz", tmp_path / "in" / "00000-a.png", digits_run
    picture.parent.mkdir()
    np.savez(arrays, x=open_source("digits").values[:20].numpy())
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(picture)
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(picture.with_name("a.png"))
    (tmp_path / "link.png").symlink_to(picture)
    before = {file: file.read_bytes() for file in (arrays, picture)}
    for arguments in (
        ("reconstruct", run, picture, "-o", picture),
        ("reconstruct", run, picture.with_name("a.png"), picture, "-o", picture.parent),
        ("reconstruct", run, picture.parent, "-o", picture.parent),
        ("interpolate", run, picture.with_name("a.png"), picture, "-o", tmp_path / "link.png"),
        ("traverse", run, picture, "-o", picture),
        ("traverse", run, picture, "--having", picture, "--lacking", "digits:only=1", "-o", picture),
        ("embed", run, arrays, "-o", arrays),
        ("score", run, arrays, "--worst", 1, "-o", arrays),
        ("score", run, picture.parent, "--worst", 1, "--heat", picture.parent),
        ("map", run, picture.parent, "--by", "code", "-o", picture),
        ("neighbors", run, "digits", picture, "-o", picture),
    ):
        with pytest.raises(ValueError, match="is the input itself"):
            app(list(map(str, arguments)), standalone_mode=False)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("reconstruct", "RUN", "PICTURE", "-o", "x.png", "--label", 5), "label=5 .* not conditional"),
        (("interpolate", "RUN", "PICTURE", "PICTURE", "-o", "x.png", "--label", 5), "label=5 .* not conditional"),
        (("neighbors", "RUN", "digits", "PICTURE", "--label", 5), "label=5 .* not conditional"),
        (("score", "RUN", "digits", "--worst", -1), "worst=-1"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path, monkeypatch, digits_run, arguments, says):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save("a.png")
    known = {"RUN": digits_run, "PICTURE": "a.png"}
    with pytest.raises(ValueError, match=says):
        app([str(known.get(part, part)) for part in arguments], standalone_mode=False)


def test_what_is_scored_is_not_kept(monkeypatch, digits_run):
    gathered, most, gather = [], 0, Source.gather

    def watched(self, index):
        nonlocal most
        most = max(most, sum(part() is not None for part in gathered))
        part = gather(self, index)
        gathered.append(weakref.ref(part.target))
        return part

    monkeypatch.setattr(anomaly, "SCORED_AT_ONCE", 400)
    monkeypatch.setattr(Source, "gather", watched)
    app(["score", str(digits_run), "digits", "--worst", "0"], standalone_mode=False)
    assert most == 1


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError), replacing(tmp_path / "z.csv") as temporary, temporary.open("w") as file:
        file.write(1)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_not_utf8_end_no_command(tmp_path):
    folder, run = tmp_path / os.fsdecode(b"d\xe9"), tmp_path / "run"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(folder / os.fsdecode(b"%d\xef.png" % number))
    done = run_gargalo("train", "autoencoder", folder, "--epochs", 1, "-o", run)
    assert done.returncode == 0, done.stderr
    gargalo.report(run)
    app(["score", str(run), str(folder), "-o", str(tmp_path / "s.csv")], standalone_mode=False)
    assert "7\\xef.png," in (tmp_path / "s.csv").read_text()
    app(["embed", str(run), str(next(folder.iterdir())), "-o", str(tmp_path / "z.csv")], standalone_mode=False)
    assert "\\xef.png," in (tmp_path / "z.csv").read_text()
