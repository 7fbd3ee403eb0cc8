"""Every exception that pytest-archcheck raises on purpose.

Each message says what was asked, where, what was found and what to do, and names the page that says more.
"""

from typing import TypeVar

E = TypeVar("E", bound=Exception)


class ArchcheckError(Exception):
    """Base of all errors of this package.

    ``see`` is a topic of ``archcheck help``; it stands in a note of the exception, below its message in a traceback.
    """

    def __init__(self, message: str, *, see: str = "") -> None:
        super().__init__(message)
        self.see = see
        if see:
            self.add_note(more(see))


class UsageError(ArchcheckError, ValueError):
    """A mark, a fixture or a function was called with arguments that make no sense."""


class RecordingError(ArchcheckError):
    """A model could not be recorded; the message carries the trace so far."""


class FormatError(ArchcheckError):
    """A text is not a valid ``.arch`` file; the message names the line."""


def more(topic: str) -> str:
    """The line that says where to read on."""
    return f"more: archcheck help {topic}"


def noted(error: E, see: str) -> E:
    """One of Python's own exceptions, for where it is the one to raise, with the same note."""
    error.add_note(more(see))
    return error


def told(error: ArchcheckError) -> str:
    """The message of an error, and below it where to read on."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])
