"""Gargalo: autoencoders, from raw data to a trained, saved and measured model.

Names are imported when they are first used, so that `gargalo --help` need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gargalo._version import __version__

if TYPE_CHECKING:
    from gargalo.checkpoint import TrainedModel
    from gargalo.data.music.song import Song
    from gargalo.errors import CheckpointError, DataError, GargaloError, OutOfDomainWarning
    from gargalo.estimator import Autoencoder
    from gargalo.pages import report
    from gargalo.spec import DataSpec
    from gargalo.verbs.about import available, compare, doctor, evaluate, show
    from gargalo.verbs.beats import humanize, tap2drum
    from gargalo.verbs.collection import Copies, duplicates, neighbors
    from gargalo.verbs.diagnose import Finding, diagnose
    from gargalo.verbs.latent import decode, embed, interpolate, project, reconstruct, sample
    from gargalo.verbs.music import convert, inspect, read_song, write_song
    from gargalo.verbs.prior import fit_prior
    from gargalo.verbs.restore import denoise, inpaint, noise_level, upscale
    from gargalo.verbs.score import Scores, heat_map, score
    from gargalo.verbs.sliders import traverse_song
    from gargalo.verbs.songs import continue_song, interpolate_songs, reconstruct_song, sample_songs, vary_song
    from gargalo.verbs.train import resume, train
    from gargalo.verbs.traverse import direction, traverse
    from gargalo.weights import load, shipped

__all__ = [
    "Autoencoder",
    "CheckpointError",
    "Copies",
    "DataError",
    "DataSpec",
    "Finding",
    "GargaloError",
    "OutOfDomainWarning",
    "Scores",
    "Song",
    "TrainedModel",
    "__version__",
    "available",
    "compare",
    "continue_song",
    "convert",
    "decode",
    "denoise",
    "diagnose",
    "direction",
    "doctor",
    "duplicates",
    "embed",
    "evaluate",
    "fit_prior",
    "heat_map",
    "humanize",
    "inpaint",
    "inspect",
    "interpolate",
    "interpolate_songs",
    "load",
    "neighbors",
    "noise_level",
    "project",
    "read_song",
    "reconstruct",
    "reconstruct_song",
    "report",
    "resume",
    "sample",
    "sample_songs",
    "score",
    "shipped",
    "show",
    "tap2drum",
    "train",
    "traverse",
    "traverse_song",
    "upscale",
    "vary_song",
    "write_song",
]

_HOMES = {
    "gargalo.checkpoint": ("TrainedModel",),
    "gargalo.data.music.song": ("Song",),
    "gargalo.errors": ("CheckpointError", "DataError", "GargaloError", "OutOfDomainWarning"),
    "gargalo.estimator": ("Autoencoder",),
    "gargalo.pages": ("report",),
    "gargalo.spec": ("DataSpec",),
    "gargalo.verbs.about": ("available", "compare", "doctor", "evaluate", "show"),
    "gargalo.verbs.beats": ("humanize", "tap2drum"),
    "gargalo.verbs.collection": ("Copies", "duplicates", "neighbors"),
    "gargalo.verbs.diagnose": ("Finding", "diagnose"),
    "gargalo.verbs.latent": ("decode", "embed", "interpolate", "project", "reconstruct", "sample"),
    "gargalo.verbs.music": ("convert", "inspect", "read_song", "write_song"),
    "gargalo.verbs.prior": ("fit_prior",),
    "gargalo.verbs.restore": ("denoise", "inpaint", "noise_level", "upscale"),
    "gargalo.verbs.score": ("Scores", "heat_map", "score"),
    "gargalo.verbs.sliders": ("traverse_song",),
    "gargalo.verbs.songs": (
        "continue_song",
        "interpolate_songs",
        "reconstruct_song",
        "sample_songs",
        "vary_song",
    ),
    "gargalo.verbs.train": ("resume", "train"),
    "gargalo.verbs.traverse": ("direction", "traverse"),
    "gargalo.weights": ("load", "shipped"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            found = getattr(import_module(module), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'gargalo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
