"""The two errors of our own, a warning and a check. Everything else is Python's: ValueError, TypeError, KeyError."""


class GargaloError(Exception):
    """A user's mistake or a damaged file: shown as one message, never as a traceback."""


class CheckpointError(GargaloError):
    """A run folder cannot be read, is damaged, or is being written by another process."""


class DataError(GargaloError):
    """A data set, an image or a table cannot be used as given."""


def check_range(name: str, value: int, low: int, high: int) -> int:
    """The value itself; ValueError where it lies outside, with what was given and what is accepted."""
    if not low <= value <= high:
        raise ValueError(f"{name}={value} must lie between {low} and {high}.")
    return value


def check_share(name: str, value: float) -> float:
    """The value itself; ValueError where it is no share of what would be left."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value} must be at least 0 and below 1.")
    return value


def check_temperature(value: float) -> float:
    """The value itself; ValueError where nothing can be drawn at it."""
    if not 0 <= value <= 100:
        raise ValueError(f"temperature={value} must lie between 0 and 100; 1 is as learned.")
    return value


class OutOfDomainWarning(UserWarning):
    """What a model is given is unlike what it was trained on."""
