"""Data go to stdout, talk and progress to stderr."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any


def show_text(text: str) -> None:
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextmanager
def progress_bar() -> Any:
    """A progress bar on stderr with the time left and the live figures."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("measuring the machine", total=1)

        def update(step: dict[str, Any]) -> None:
            if step["number"] % 10 and step["number"] != step["total"]:
                return
            held_out = step["validation"].get("loss")
            text = f"{step['of']}, " if "of" in step else ""
            text += f"loss {step['loss']:.2f}" + ("" if held_out is None else f", validation {held_out:.2f}")
            bar.update(task, completed=step["number"], total=step["total"], description=text)

        yield update


class ShareBar:
    """Called with how many of all are done, as a fraction too."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def __call__(self, done: float) -> None:
        self._bar.update(self._task, completed=done)

    def within(self, number: int, share: float) -> None:
        """A share of one of them."""
        self(number + share)

    def say(self, text: str) -> None:
        """Lines above the bar, as they are."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def share_bar(total: int) -> Any:
    """A progress bar on stderr for so many files, with the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    options: dict[str, Any] = {"refresh_per_second": 2, "transient": True, "disable": not console.is_terminal}
    with Progress(*columns, console=console, **options) as bar:
        yield ShareBar(bar, bar.add_task("", total=total))
