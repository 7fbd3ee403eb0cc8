"""Functions that a project or an installed package adds by name: depth conventions, MAC formulas."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import Any, Generic, TypeVar

from pytest_archcheck.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[F]):
    """Functions by name: those that were added, then those of installed packages.

    Args:
        kind: what they are, as in ``"convention"``, for error texts.
        group: the entry-point group by which an installed package brings its own.
        example: how one is added, for error texts.
        see: the page about them, see ``errors``.
        docstring_for: what the first line of their docstrings is for; empty where they need none.
    """

    def __init__(self, kind: str, group: str, example: str, see: str, docstring_for: str = "") -> None:
        self._kind = kind
        self._group = group
        self._example = example
        self._see = see
        self._docstring_for = docstring_for
        self._functions: dict[str, F] = {}

    def add(self, name: object, function: F) -> None:
        """Add a function; the same one may be added again.

        Raises:
            UsageError: the name is none, or is taken by another function, or the function has no docstring and
                needs one.
        """
        self.check_name(name)
        assert isinstance(name, str)
        if not callable(function):
            raise UsageError(
                f"the {self._kind} {name!r} is a function, not {function!r}; give one", see=self._see
            )
        if self._docstring_for and not first_line(function):
            raise UsageError(
                f"the {self._kind} {name!r} needs a docstring; write one, whose first line is {self._docstring_for}",
                see=self._see,
            )
        known = self._functions.setdefault(name, function)
        if (home(known), _file(known)) != (home(function), _file(function)):
            both = (known, function)
            alike = home(known) == home(function)
            taken, wanted = (f"{home(f)} ({_file(f)})" if alike else home(f) for f in both)
            raise UsageError(
                f"the {self._kind} {name!r} is {taken} already; give {wanted} another name", see=self._see
            )
        self._functions[name] = function

    def check_name(self, name: object) -> None:
        """Refuse what is no name: ``@convention`` without parentheses gives a function.

        Raises:
            UsageError: it is no string, or empty.
        """
        if not isinstance(name, str) or not name:
            shown = getattr(name, "__qualname__", repr(name))
            raise UsageError(
                f"a {self._kind} is registered by a name, as in {self._example}, not {shown}",
                see=self._see,
            )

    def get(self, name: str) -> F | None:
        """The function of a name; one of an installed package is loaded when it is first asked for.

        Raises:
            UsageError: an installed package's cannot be loaded.
        """
        if name not in self._functions:
            for entry in self._entries():
                if entry.name == name:
                    self.add(name, self._loaded(entry))
        return self._functions.get(name)

    def names(self) -> list[str]:
        """All names, those that were added first."""
        return list(dict.fromkeys((*self._functions, *(entry.name for entry in self._entries()))))

    def added(self) -> list[str]:
        """The names that need no loading."""
        return list(self._functions)

    def failed(self, name: str, error: Exception) -> UsageError:
        """What to raise where a function raised something of its own."""
        *_, last = walk_tb(error.__traceback__)
        where = f"{last[0].f_code.co_filename}:{last[1]}"
        return UsageError(
            f"the {self._kind} {name!r} ({home(self._functions[name])}) failed: "
            f"{type(error).__name__}: {error} ({where}); mend it there",
            see=self._see,
        )

    def _entries(self) -> tuple[EntryPoint, ...]:
        if self._found is None:
            self._found = tuple(entry_points(group=self._group))
        return self._found

    _found: tuple[EntryPoint, ...] | None = None

    def _loaded(self, entry: EntryPoint) -> F:
        try:
            loaded: F = entry.load()
        except Exception as error:
            raise UsageError(
                f"the {self._kind} {entry.name!r} ({entry.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}; mend or remove the package that brings it",
                see=self._see,
            ) from error
        return loaded


def home(function: Callable[..., Any]) -> str:
    """Where a function is from, as in ``mypackage.rules.with_pooling``."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"


def first_line(function: Callable[..., Any]) -> str:
    """The first line of its docstring."""
    return (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]


def _file(function: Callable[..., Any]) -> str:
    """Where it is written: two conftests may both have a function of one name."""
    return getattr(getattr(function, "__code__", None), "co_filename", "")
