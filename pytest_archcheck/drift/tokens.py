"""The tokens of one line of ``.arch`` text."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<arrow>->)
      | (?P<comment>\#\s.*$|\#$)
      | (?P<word>[\w.\-\#:+]+)
      | (?P<mark>[()\[\]{},=:])
      | (?P<ref>%(?:[\w.\-\#:+]+|"(?:[^"\\]|\\.)*")(?:@\d+)?)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<symbol>`[^`]*`)
    )""",
    re.VERBOSE,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_INTEGER_DIGITS = 4000
"""Python itself refuses to read longer whole numbers."""


class Problem(Exception):
    """What is wrong with the present line."""


class Tokens:
    """The tokens of one line, comments left out.

    Args:
        line: the line.
        shared: configs that other lines had, by their tokens; equal ones are one object.
    """

    __slots__ = ("at", "kinds", "shared", "texts")

    def __init__(self, line: str, shared: dict[tuple[str, ...], Any] | None = None) -> None:
        self.shared = {} if shared is None else shared
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.at = end = 0
        for match in _TOKEN.finditer(line):
            if match.start() != end:
                break
            end = match.end()
            kind = match.lastgroup
            if kind != "comment" and kind is not None:
                self.kinds.append(kind)
                self.texts.append(match[kind])
        if end != len(line):
            fail(f"cannot read from column {end + 1}")
        self.kinds.append("end")
        self.texts.append("")

    def peek(self) -> str:
        """The present token; empty at the end."""
        return self.texts[self.at]

    def kind(self) -> str:
        """What the present token is, ``"end"`` at the end."""
        return self.kinds[self.at]

    def is_keyword(self) -> bool:
        """Whether the present token is the name of an argument, with its value behind it."""
        at = self.at
        return (
            self.kinds[at] in ("word", "string")
            and self.texts[at + 1] == "="
            and self.kinds[at + 1] == "mark"
        )

    def take(self, expected: str = "") -> str:
        """The present token, which has to be the expected one, and step past it."""
        at = self.at
        found = self.texts[at]
        if self.kinds[at] == "end" or (expected and found != expected):
            wanted = repr(expected) if expected else "more"
            fail(f"expected {wanted}, found {repr(found) if found else 'the end of the line'}")
        self.at = at + 1
        return found

    def skip(self, token: str) -> bool:
        """Step past a token if it is there."""
        at = self.at
        if self.texts[at] == token and self.kinds[at] != "string":
            self.at = at + 1
            return True
        return False

    def name(self) -> str:
        """Take a name, plain or quoted."""
        if self.kinds[self.at] == "string":
            return self.string()
        if self.kinds[self.at] != "word":
            fail(f"expected a name, found {self.peek() or 'the end of the line'}")
        return self.take()

    def bracketed(self) -> tuple[str, ...]:
        """The tokens of the bracket that begins here, itself included; none where none does, or it is not closed."""
        depth = 0
        for at in range(self.at, len(self.texts)):
            depth += (self.texts[at] in _OPENING) - (self.texts[at] in _CLOSING)
            if depth <= 0:
                return tuple(self.texts[self.at : at + 1]) if at > self.at else ()
        return ()

    def string(self) -> str:
        """Take a quoted string."""
        return unquoted(self.take())

    def integer(self) -> int:
        """Take a whole number."""
        return whole(self.take())

    def end(self) -> None:
        """Insist that nothing follows."""
        if self.kinds[self.at] != "end":
            fail(f"unexpected {self.peek()}")


def unquoted(text: str) -> str:
    """The string that a quoted text means."""
    try:
        return str(json.loads(text))
    except ValueError:
        fail(f"cannot read the string {text[:40]}")


def whole(text: str) -> int:
    """The whole number, not negative, that a text means."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _INTEGER_DIGITS):
        fail(f"expected a whole number, found {text[:40]}")
    return int(text)


def fail(text: str) -> NoReturn:
    """Say what is wrong with the present line."""
    raise Problem(text)
