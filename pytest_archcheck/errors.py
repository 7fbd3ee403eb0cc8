"""Every exception that pytest-archcheck raises on purpose.

Each message says what was asked, where, what was found and what to do.
"""


class ArchcheckError(Exception):
    """Base of all errors of this package."""


class UsageError(ArchcheckError, ValueError):
    """A mark, a fixture or a function was called with arguments that make no sense."""


class RecordingError(ArchcheckError):
    """A model could not be recorded; the message carries the trace so far."""


class FormatError(ArchcheckError):
    """A text is not a valid ``.arch`` file; the message names the line."""
