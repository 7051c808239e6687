"""The one dial that every network has."""

from typing import Literal

Size = Literal["tiny", "small", "base", "large"]

MAX_WIDTH = 8192


def check_width(width: int) -> int:
    """The width itself; ValueError where it would be no network, or more than a machine holds."""
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"width={width} must lie between 1 and {MAX_WIDTH}.")
    return width
