"""The command line: reads files into arrays, calls a verb, writes what comes back. torch is imported inside commands.

Data go to stdout, talk to stderr. A user's mistake ends with one message and status 2.
"""

from __future__ import annotations

import io
import sys
import warnings
from typing import Any

from gargalo.cli import (
    about,
    anomaly,
    beats,
    collection,
    latent,
    music,
    photos,
    songs,
    training,
)  # so that their commands join
from gargalo.cli.app import app
from gargalo.cli.console import say

__all__ = ["about", "anomaly", "app", "beats", "collection", "latent", "main", "music", "photos", "songs", "training"]


def main() -> None:
    """The console command: a user's mistake is one line and status 2; a traceback is ours to mend."""
    warnings.showwarning = _say_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # paths that are not UTF-8 go out as they came in
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, TypeError, OSError) as error:
        if isinstance(error, TypeError) and "posterior" not in str(error):
            raise
        say(f"Error: {error}")
        sys.exit(2)
    except Exception as error:
        if type(error).__module__ != "gargalo.errors" and type(error).__name__ != "DivergenceError":
            raise
        say(f"Error: {error}")
        sys.exit(2)


def _say_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """One line without the place in the code, which is not the user's."""
    say(f"Warning: {message}")
