"""Maps of a collection and what they are worth."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gargalo
from gargalo.data import open_source
from gargalo.evaluation.planes import judge, plane

RNG = np.random.default_rng(0)


def blobs(n=60, dims=6):
    """Three far apart heaps of points, and which heap each is of."""
    labels = np.arange(n) % 3
    return (10 * np.eye(3, dims)[labels] + RNG.normal(size=(n, dims))).astype(np.float32), labels


@pytest.mark.parametrize("by", ["pca", "tsne", "auto"])
def test_heaps_stay_heaps(by):
    codes, labels = blobs()
    positions = plane(codes, by, perplexity=10, seed=0)
    assert positions.shape == (60, 2)
    assert np.array_equal(positions, plane(codes, by, perplexity=10, seed=0))
    figures = judge(positions, codes, codes, labels)
    assert figures["knn"] == figures["knn_code"] == figures["knn_pca"] == 1
    assert figures["trustworthiness"] > 0.8


def test_codes_of_one_number_have_a_map_too():
    codes = np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    assert plane(codes, "auto", perplexity=10, seed=0).shape == (60, 2)


def test_a_map_of_noise_is_worth_nothing():
    codes, labels = blobs(300)
    figures = judge(RNG.normal(size=(300, 2)).astype(np.float32), codes, codes, labels)
    assert figures["knn"] < 0.5
    assert figures["trustworthiness"] < 0.6


def test_codes_of_two_numbers_are_a_map_already():
    codes = RNG.normal(size=(9, 2)).astype(np.float32)
    assert plane(codes, "auto", perplexity=30, seed=0) is codes
    with pytest.raises(ValueError, match="two numbers"):
        plane(RNG.normal(size=(9, 3)).astype(np.float32), "code", perplexity=3, seed=0)
    with pytest.raises(ValueError, match="perplexity=30"):
        plane(RNG.normal(size=(9, 3)).astype(np.float32), "tsne", perplexity=30, seed=0)
    with pytest.raises(ValueError, match="one of auto"):
        plane(codes, "umap", perplexity=3, seed=0)


def test_the_verb_maps_pictures(digits_model):
    pictures = open_source("digits").values[:20]
    assert np.array_equal(gargalo.project(digits_model, pictures), gargalo.embed(digits_model, pictures))
    assert gargalo.project(digits_model, pictures, by="tsne", perplexity=5).shape == (20, 2)


def test_the_command_writes_pictures_and_tables_and_says_what_they_are_worth(digits_run, tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "gargalo", "map", str(digits_run), "digits", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    drawn = call("-o", tmp_path / "map.png", "--split", "test", "--json")
    figures = json.loads(drawn.stdout)
    assert figures["knn"] == figures["knn_code"] > figures["knn_pca"] * 0.8
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size[0] > 500
    assert call("-o", tmp_path / "map.csv", "--limit", "30").returncode == 0
    rows = list(csv.reader((tmp_path / "map.csv").read_text().splitlines()))
    assert rows[0] == ["name", "x", "y", "label"]
    assert len(rows) == 31
    wrong = call("-o", tmp_path / "map.txt")
    assert wrong.returncode == 2
    assert ".png" in wrong.stderr
    assert not (tmp_path / "map.txt").exists()
