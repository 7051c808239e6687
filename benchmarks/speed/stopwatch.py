"""A contender's side: it works in turns, as its parent asks, and says how much it did.

A line on stdin is a turn: so many seconds of work. Each turn is answered with one line of JSON on stdout.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

CHANNEL = sys.stdout
sys.stdout = sys.stderr  # what libraries print is not an answer


class Stopwatch:
    """Call ``tick`` after every step. The first one says how long the process took to get there."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.deadline: float | None = None
        self.begin, self.done, self.steps = 0.0, 0, 0

    def tick(self, images: int) -> None:
        now = time.perf_counter()
        if self.deadline is None:
            self._say(cold_start=time.time() - self.started)
            return self._wait()
        self.done, self.steps = self.done + images, self.steps + 1
        if now < self.deadline:
            return None
        self._say(images=self.done, steps=self.steps, seconds=now - self.begin)
        return self._wait()

    def _wait(self) -> None:
        line = sys.stdin.readline()
        if not line.strip():
            self._say(peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            sys.exit(0)
        self.done = self.steps = 0
        self.begin = time.perf_counter()
        self.deadline = self.begin + float(line)

    def _say(self, **values: Any) -> None:
        print(json.dumps(values), file=CHANNEL, flush=True)
