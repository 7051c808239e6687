"""What several tests share: a small trained run, and where the larger data lies if it lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import gargalo

os.environ["SCIPY_ARRAY_API"] = "1"  # read when scipy is imported; without it scikit-learn skips one of its checks

SHARED = Path(os.environ.get("GARGALO_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data" / "images")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Tests neither use nor leave anything in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GARGALO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _same_numbers():
    """What a test draws is the same every time, whatever ran before it in its process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """A VAE with two numbers a code, trained for 400 steps on the embedded digits."""
    run = tmp_path_factory.mktemp("runs") / "vae"
    gargalo.train("vae", "digits", run, latent_dim=2, epochs=23, batch_size=64)
    return run


@pytest.fixture(scope="session")
def digits_model(digits_run):
    return gargalo.load(digits_run)
