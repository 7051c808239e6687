"""What a benchmark writes: ``results/NAME.json``, from which the documentation's tables are made."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure of ours beside another's, or alone. ``ratio`` is ours over other's."""

    id: str
    what: str
    ours: float | None
    other: float | None
    unit: str

    @property
    def ratio(self) -> float | None:
        return self.ours / self.other if self.ours is not None and self.other else None


def write(name: str, rows: list[Row]) -> Path:
    """Writes ``results/NAME.json``; rows with new ids join those that an earlier run wrote."""
    file = FOLDER / f"{name}.json"
    kept = json.loads(file.read_text()) if file.exists() else {"rows": []}
    here = {"commit": _commit(), "machine": machine()}
    new = {row.id: asdict(row) | {"ratio": row.ratio} for row in rows}
    merged = {row["id"]: row for row in elsewhere(kept, here)} | new
    result = here | {"rows": [merged[key] for key in sorted(merged)]}
    file.write_text(json.dumps(result, indent=1) + "\n")
    return file


def elsewhere(kept: dict[str, Any], here: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of an earlier run, each with that one's ``commit`` and ``machine`` where they are not those of this one."""
    found: list[dict[str, Any]] = []
    for row in kept["rows"]:
        said = {key: row.get(key, kept[key]) for key in here}
        figures = {key: value for key, value in row.items() if key not in here}
        found.append(figures if said == here else figures | said)
    return found


def machine() -> str:
    """The kind of machine, in words."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _commit() -> str:
    """The commit that was measured, with a + where the working tree differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    dirty = git("status", "--porcelain", "--untracked-files=no", "--", "src")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if dirty else "")
