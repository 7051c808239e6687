"""The two errors of our own and a warning. Everything else is Python's: ValueError, TypeError, KeyError."""


class GargaloError(Exception):
    """A user's mistake or a damaged file: shown as one message, never as a traceback."""


class CheckpointError(GargaloError):
    """A run folder cannot be read, is damaged, or is being written by another process."""


class DataError(GargaloError):
    """A data set, an image or a table cannot be used as given."""


class OutOfDomainWarning(UserWarning):
    """What a model is given is unlike what it was trained on."""
