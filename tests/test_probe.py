"""Simple classifiers on codes, with the honest baselines beside them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import gargalo
from gargalo.data import open_source
from gargalo.errors import DataError
from gargalo.evaluation.probe import mapped, probe


def test_neighbors_are_what_sklearn_finds_by_hand(digits_model):
    source = open_source("digits")
    table = probe(digits_model, source, "test", limit=10_000)
    train, test = source.indices("train"), source.indices("test")
    truth = source.labels[test]

    def score(features):
        return KNeighborsClassifier(5).fit(features[train], source.labels[train]).score(features[test], truth)

    raw = source.spec.scaled(source.values).flatten(1).numpy()
    fitted = PCA(2, random_state=0).fit(raw[train])
    codes = gargalo.embed(digits_model, source.values)
    found = {name: row["knn"] for name, row in table.items()}
    assert found == pytest.approx(
        {"code": score(codes), "pca": score(fitted.transform(raw)), "pixels": score(raw)}, abs=6e-3
    )
    assert {name: row["numbers"] for name, row in table.items()} == {"code": 2, "pca": 2, "pixels": 64}


def test_more_labels_help_and_pixels_of_digits_are_easy(digits_model):
    row = probe(digits_model, open_source("digits"), "test", limit=10_000)["pixels"]
    few = row["few"]
    assert list(few) == [1, 10, 100]
    assert 0.3 < few[1] < few[10] < few[100] <= row["linear"] + 0.02
    assert row["linear"] > 0.93


def test_without_labels_there_is_nothing_to_ask(tmp_path, digits_model):
    np.save(tmp_path / "a.npy", np.zeros((30, 8, 8), np.uint8))
    with pytest.raises(DataError, match="no labels"):
        probe(digits_model, open_source(str(tmp_path / "a.npy")), "test", limit=10)


def test_the_command_prints_a_table_or_json(digits_model):
    command = [sys.executable, "-m", "gargalo", "evaluate", str(digits_model.path), "--probe", "--limit", "100"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "kNN-5" in text
    assert "100 a class" in text
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert set(found["probe"]) == {"code", "pca", "pixels"}
    assert f"{100 * found['probe']['code']['linear']:.1f}" in text
    assert f"map: trustworthiness {found['map']['trustworthiness']:.3f}, knn {found['map']['knn']:.3f}" in text
    assert found["map"]["trustworthiness"] == 1  # codes of two numbers are their own map


def test_a_map_of_a_handful_says_nothing(digits_model):
    assert mapped(digits_model, open_source("digits"), "test", limit=7) is None
    assert gargalo.evaluate(digits_model, probe=True, limit=7)["probe"]["code"]["numbers"] == 2
