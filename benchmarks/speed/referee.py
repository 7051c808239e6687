"""The parent's side: lets contenders take turns and throws away what was measured on a busy machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

BUSY = 0.05  # the share of the machine that others may use during a sample
TRIES = 3  # for a sample, before a busy one is given up
TICKS = os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Processor time that anyone has used so far, what the host took away included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass
class Contender:
    """One process that works in turns: see `stopwatch`."""

    name: str
    command: list[str]
    log: Path
    rates: list[float] = field(default_factory=list)  # images a second
    step_times: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        environment = os.environ | {"GARGALO_STARTED": repr(time.time())}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(self.command, stderr=self.log.open("w"), text=True, env=environment, **pipes)
        self.facts = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.communicate("\n")

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended without an answer: {self.log.read_text()[-800:]}")
        return json.loads(line)

    def ask(self, text: str) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._answer()

    def turn(self, seconds: float) -> bool:
        """One sample; False where the machine was busy with something else and it was thrown away."""
        everyone, own, start = machine_seconds(), process_seconds(self.process.pid), time.monotonic()
        answer = self.ask(str(seconds))
        lasted = (time.monotonic() - start) * (os.cpu_count() or 1)
        others = (machine_seconds() - everyone) - (process_seconds(self.process.pid) - own)
        if others > BUSY * lasted:
            return False
        self.rates.append(answer["images"] / answer["seconds"])
        self.step_times.append(answer["seconds"] / answer["steps"])
        return True

    def finish(self) -> None:
        self.facts |= self.ask("")

    @property
    def rate(self) -> float:
        return median(self.rates)


def compete(contenders: list[Contender], rounds: int, seconds: float, warm_up: float = 2.0) -> None:
    """Lets all work in turn. The machine's drift then falls on all of them alike."""
    for contender in contenders:
        contender.ask(str(warm_up))
    for _ in range(rounds):
        for contender in contenders:
            for _ in range(TRIES):
                if contender.turn(seconds):
                    break
    for contender in contenders:
        if not contender.rates:
            raise RuntimeError(f"The machine was never idle while {contender.name} was measured. Stop what else runs.")
        contender.finish()
