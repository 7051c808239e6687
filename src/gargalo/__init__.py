"""Gargalo: autoencoders, from raw data to a trained, saved and measured model."""

from gargalo._version import __version__
from gargalo.checkpoint import TrainedModel, load
from gargalo.errors import CheckpointError, DataError, GargaloError
from gargalo.report import report
from gargalo.spec import DataSpec
from gargalo.verbs.about import available, doctor, evaluate, show
from gargalo.verbs.latent import decode, embed, interpolate, reconstruct, sample
from gargalo.verbs.train import resume, train

__all__ = [
    "CheckpointError",
    "DataError",
    "DataSpec",
    "GargaloError",
    "TrainedModel",
    "__version__",
    "available",
    "decode",
    "doctor",
    "embed",
    "evaluate",
    "interpolate",
    "load",
    "reconstruct",
    "report",
    "resume",
    "sample",
    "show",
    "train",
]
