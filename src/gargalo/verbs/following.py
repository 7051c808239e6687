"""How windows of music follow one another: the code of the next, given that of the one before.

By a regression of codes on those of their neighbors in the training songs, and a normal rest with its covariance. What
is drawn so costs less, and shares more tones with what came before, than what the prior draws: see benchmarks.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gargalo import checkpoint, weights
from gargalo.checkpoint import TrainedModel
from gargalo.data import music_form, open_source, selected
from gargalo.data.music.sources import NAMES, songs_in_windows
from gargalo.data.source import some
from gargalo.errors import DataError, OutOfDomainWarning
from gargalo.verbs.latent import embed

FOLLOWING = "following.safetensors"  # beside the checkpoints
MAX_PAIRS = 12_000
RIDGE = 0.02  # of the mean variance

Codes = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Following:
    """The next code is ``mean + (code - mean) @ weight`` and noise that ``spread`` ``[D, D]`` makes of N(0, I)."""

    mean: Codes
    weight: Codes
    spread: Codes

    def draw(self, codes: Codes, rng: np.random.Generator, temperature: float = 1.0) -> Codes:
        """A next code for each of ``[N, D]``; ``temperature`` scales the noise."""
        expected = self.mean + (codes - self.mean) @ self.weight
        return (expected + temperature * rng.normal(size=codes.shape) @ self.spread.T).astype(np.float32)


def following(model: TrainedModel) -> Following:
    """Fitted to the songs that a model was trained on, and kept in its run folder.

    DataError where these were no files of music, or cannot be read any more.
    """
    kept = None if model.path is None else checkpoint.kept(model.path, FOLLOWING, model.config)
    tensors = fit(model) if kept is None else kept.tensors
    if kept is None and (folder := weights.own_folder(model)) is not None:
        checkpoint.keep(folder, FOLLOWING, tensors, model.config)
    return Following(*(tensors[key].numpy() for key in ("mean", "weight", "spread")))


def fit(model: TrainedModel) -> dict[str, torch.Tensor]:
    """From codes of windows that follow one another in songs of the training part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDomainWarning)  # songs of the training data, a few alike at a time
        codes = [embed(model, run, labels=chords) for run, chords in _runs(model)]
    first, then = (np.concatenate([part[side] for part in codes]).astype(np.float64) for side in _SIDES)
    return fit_pairs(first, then)


_SIDES = slice(0, -1), slice(1, None)


def fit_pairs(first: npt.NDArray[np.float64], then: npt.NDArray[np.float64]) -> dict[str, torch.Tensor]:
    """Codes ``[N, D]`` and those that follow them."""
    mean = np.concatenate([first, then]).mean(0)
    x, y = first - mean, then - mean
    own = x.T @ x / len(x)
    small = RIDGE * np.trace(own) / len(own) * np.eye(len(own))
    weight = np.linalg.solve(own + small, x.T @ y / len(x))
    rest = y - x @ weight
    found = {"mean": mean, "weight": weight, "spread": np.linalg.cholesky(rest.T @ rest / len(rest) + 1e-6 * small)}
    return {key: torch.from_numpy(value).float() for key, value in found.items()}


def _runs(model: TrainedModel) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]]:
    """Windows that follow one another, and their chords where the model is told them, of songs with two at least."""
    text = model.config["data"]
    name, arguments = selected(text)
    source = open_source(text)
    if name not in NAMES or not source.names:
        raise DataError(f"{text} is no files of music, in which windows follow one another. Train on such a folder.")
    rows = some(source.indices("train"), MAX_PAIRS).tolist()  # so that songs from everywhere are among them
    wanted = {source.names[row].rpartition(", bar ")[0] for row in rows}
    found: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]] = []
    count = 0
    for run in songs_in_windows(arguments.get("path"), wanted, model.spec.shape, music_form(text, model.spec)):
        if len(run[0]) > 1:
            found.append(run)
            count += len(run[0]) - 1
        if count > MAX_PAIRS:
            break
    if count < 2:
        raise DataError(f"No song in {text} has two windows that follow one another. Give more or longer songs.")
    return found
