"""The one dial that every network has."""

from typing import Literal

from gargalo.errors import check_range

Size = Literal["tiny", "small", "base", "large"]

MAX_WIDTH = 8192


def check_width(width: int) -> int:
    """The width itself; ValueError where it would be no network, or more than a machine holds."""
    return check_range("width", width, 1, MAX_WIDTH)
