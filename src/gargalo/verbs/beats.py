"""Verbs on drum parts: humanize and tap2drum. A song in, the song out: tempo, metre and all other tracks are kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gargalo.checkpoint import TrainedModel
from gargalo.data.music.grooves import WIDTH, in_bytes, tap_pieces, with_feel
from gargalo.data.music.pieces import drum_pieces, with_windows
from gargalo.data.music.song import Song
from gargalo.data.music.sources import MAX_UNIT
from gargalo.data.music.vocabulary import TIMING_STEP, TIMING_ZERO
from gargalo.errors import DataError, check_range
from gargalo.evaluation.music import is_groove
from gargalo.likelihoods import Strokes
from gargalo.registry import corruption
from gargalo.verbs._arrays import as_array, in_batches
from gargalo.verbs.songs import form_of

TRAIN = "Train one: gargalo train autoencoder grooves:path=FOLDER --corruption {} -o RUN."


def humanize(model: TrainedModel, song: Song, *, unit: int | None = None) -> Song:
    """The song with its drums as a drummer would play them: each hit as loud and as early or late as the model says.

    The model knows the hits alone, so that it does not matter how they were played; ``unit`` is the note of a
    step, that of the model's own data unless given.
    ValueError for a model that was not trained with ``straighten``, DataError for a song without drums.
    """
    _check(model, "humanize", "straighten")
    pieces = drum_pieces(song, model.spec.shape[0], _unit(model, unit))
    return with_feel(pieces, in_bytes(played(model, pieces.windows)))


def tap2drum(model: TrainedModel, song: Song, *, unit: int | None = None) -> Song:
    """The song with drums in the place of taps: the hits of its drum track, or else of the track with the most notes,
    whatever their pitch (Gillick et al. 2019).

    ValueError for a model that was not trained with ``taps``, DataError for a song without notes, or when nothing is
    struck in what comes out.
    """
    _check(model, "tap2drum", "taps")
    pieces = tap_pieces(song, model.spec.shape[0], _unit(model, unit))
    struck, timing = np.split(pieces.windows.astype(np.float32), 2, axis=2)
    x = np.concatenate([struck, (timing - TIMING_ZERO) / TIMING_STEP * struck], 2)[..., : model.spec.input_shape[1]]

    def kit(a: torch.Tensor) -> torch.Tensor:
        return model.net.decode(model.net.encode(a).mode).mode

    out = as_array(model.spec.unscaled(in_batches(kit, torch.from_numpy(x), device=model.device)))
    found = in_bytes(out)
    if not found[..., :WIDTH].any():
        raise DataError(f"{song.name}: nothing is struck in what the model makes of these taps. Give more of them.")
    return with_windows(pieces, found)


def played(model: TrainedModel, bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Raw values ``[N, L, 27]`` of hits ``[N, L, 9]``: these, and what velocities and timings the model gives them."""

    def feel(a: torch.Tensor) -> torch.Tensor:
        likelihood = model.net.decode(model.net.encode(a).mode)
        assert isinstance(likelihood, Strokes)
        return likelihood.played(a)

    hits = torch.from_numpy(bits.astype(np.float32))
    return as_array(model.spec.unscaled(in_batches(feel, hits, device=model.device)))


def _unit(model: TrainedModel, given: int | None) -> int:
    return form_of(model).unit if given is None else check_range("unit", given, 1, MAX_UNIT)


def _check(model: TrainedModel, verb: str, rule: str) -> None:
    """ValueError where a model was trained on something else, or to another end."""
    if not is_groove(model.spec) or corruption.parse(model.corruption)[0] != rule:
        raise ValueError(
            f"{model.path or 'This ' + model.method} was trained on {model.config['data']} with "
            f"corruption={model.corruption!r}; {verb} needs grooves and {rule!r}. {TRAIN.format(rule)}"
        )
