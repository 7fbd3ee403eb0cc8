"""The tokens of one line of ``.arch`` text."""

from __future__ import annotations

import json
import re
from typing import NoReturn

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<comment>\#\s.*$|\#$)
      | (?P<ref>%(?:[\w.\-\#:+]+|"(?:[^"\\]|\\.)*")(?:@\d+)?)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<symbol>`[^`]*`)
      | (?P<arrow>->)
      | (?P<word>[\w.\-\#:+]+)
      | (?P<mark>[()\[\]{},=:])
    )""",
    re.VERBOSE,
)


class Problem(Exception):
    """What is wrong with the present line."""


class Tokens:
    """The tokens of one line, comments left out."""

    def __init__(self, line: str) -> None:
        self.items: list[tuple[str, str]] = []
        at, end = 0, len(line.rstrip())
        while at < end:
            match = _TOKEN.match(line, at)
            if match is None:
                fail(f"cannot read from column {at + 1}")
            kind = str(match.lastgroup)
            at = match.end()
            if kind != "comment":
                self.items.append((kind, match[kind]))
        self.at = 0

    def peek(self) -> str:
        """The present token; empty at the end."""
        return self.items[self.at][1] if self.at < len(self.items) else ""

    def kind(self) -> str:
        """What the present token is, ``"end"`` at the end."""
        return self.items[self.at][0] if self.at < len(self.items) else "end"

    def take(self, expected: str = "") -> str:
        """The present token, which has to be the expected one, and step past it."""
        found = self.peek()
        if self.kind() == "end" or (expected and found != expected):
            wanted = repr(expected) if expected else "more"
            fail(f"expected {wanted}, found {repr(found) if found else 'the end of the line'}")
        self.at += 1
        return found

    def skip(self, token: str) -> bool:
        """Step past a token if it is there."""
        if self.kind() != "string" and self.peek() == token:
            self.at += 1
            return True
        return False

    def name(self) -> str:
        """Take a name, plain or quoted."""
        if self.kind() == "string":
            return str(json.loads(self.take()))
        if self.kind() != "word":
            fail(f"expected a name, found {self.peek() or 'the end of the line'}")
        return self.take()

    def integer(self) -> int:
        """Take a whole number."""
        found = self.take()
        if not found.isdecimal():
            fail(f"expected a whole number, found {found}")
        return int(found)

    def end(self) -> None:
        """Insist that nothing follows."""
        if self.kind() != "end":
            fail(f"unexpected {self.peek()}")


def fail(text: str) -> NoReturn:
    """Say what is wrong with the present line."""
    raise Problem(text)
