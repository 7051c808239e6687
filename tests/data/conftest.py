from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or leaves anything in the user's own cache."""
    monkeypatch.setenv("GARGALO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GARGALO_DATA", raising=False)
    monkeypatch.delenv("GARGALO_MEMORY_LIMIT", raising=False)
