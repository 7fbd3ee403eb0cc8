"""Depth conventions by name: ours, a project's own, and those of installed packages.

There is no one depth (Xception alone is published as 36, 71, 81 and 126), so every depth names its convention. A
convention is a function of a trace that gives the layers it counts, in order; the explanation of the rest is the same
for all. The rules that come with the package are in ``rules``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import TypeAlias

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph import rules
from pytest_archcheck.graph.depth import Counted, DepthExplanation, LeftOut
from pytest_archcheck.graph.leftout import left_out
from pytest_archcheck.graph.parts import Parts
from pytest_archcheck.traces import Trace

Item: TypeAlias = "str | tuple[str, int] | LeftOut"
Rule: TypeAlias = Callable[[Trace], Iterable[Item]]

ENTRY_POINTS = "pytest_archcheck.conventions"
"""The entry-point group by which an installed package brings conventions: a name and a function."""


@dataclass(frozen=True, slots=True)
class _Convention:
    name: str
    rule: str
    count: Rule

    @property
    def home(self) -> str:
        return f"{getattr(self.count, '__module__', '?')}.{getattr(self.count, '__qualname__', '?')}"

    @property
    def file(self) -> str:
        """Where it is written: two conftests may both have a function of one name."""
        return getattr(getattr(self.count, "__code__", None), "co_filename", "")


def convention(name: str) -> Callable[[Rule], Rule]:
    """Register a project's own depth convention, as in a ``conftest.py``.

    The function takes a ``Trace`` and gives what it counts, in order: names of layers, or pairs of a name and the
    number it counts for; a ``LeftOut(name, reason)`` among them says why a layer is not counted. The first line of its
    docstring is the rule that reports show. Weighted layers that it does not name are listed with the reason that the
    graph gives. ::

        @convention("with-pooling")
        def with_pooling(trace):
            '''Weighted and pooling layers in sequence, the input and the output.'''
            path = trace.longest_path(lambda call, weight: weight or is_pooling(call))
            return ["input", *path, "output"]

    Raises:
        UsageError: the name is taken by another function, or the function has no docstring.
    """
    _check_name(name)

    def register(count: Rule) -> Rule:
        _register(name, count)
        return count

    return register


def explain_depth(trace: Trace, name: str) -> DepthExplanation:
    """The depth of a trace under a convention, with what was counted and what was not.

    Raises:
        UsageError: there is no convention of that name, or it gives no layers.
    """
    known_convention(name)
    chosen = _REGISTRY[name]
    items = _items(chosen, trace)
    weights = [_checked(item, chosen) for item in items if not isinstance(item, LeftOut)]
    parts = Parts(trace, [layer for layer, _ in weights])
    counted = tuple(Counted(layer, weight, parts.of(layer)) for layer, weight in weights)
    said = [item for item in items if isinstance(item, LeftOut)]
    rest = left_out(trace, counted, said, through_gates=chosen.count is rules.RULES["longest-path"])
    return DepthExplanation(name, chosen.rule, counted, rest)


def _items(chosen: _Convention, trace: Trace) -> list[Item]:
    if chosen.count in rules.RULES.values():
        return list(chosen.count(trace))
    try:
        items = chosen.count(trace)
        items = [items] if isinstance(items, str) else list(items)
    except UsageError:
        raise
    except Exception as error:
        *_, last = walk_tb(error.__traceback__)
        where = f"{last[0].f_code.co_filename}:{last[1]}"
        raise UsageError(
            f"the convention {chosen.name!r} ({chosen.home}) failed: {type(error).__name__}: {error} ({where})"
        ) from error
    return items


def known_convention(name: object) -> str:
    """The name itself, if it names a convention.

    Raises:
        UsageError: it does not; the message lists the conventions.
    """
    if isinstance(name, str):
        if name in _REGISTRY:
            return name
        for entry in entry_points(group=ENTRY_POINTS):
            if entry.name == name:
                _register(name, _loaded(entry))
                return name
    names = convention_names()
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"unknown depth convention {name!r}: {hint}the conventions are {', '.join(names)}")


def convention_names() -> list[str]:
    """All conventions that can be named, ours first."""
    installed = (entry.name for entry in entry_points(group=ENTRY_POINTS))
    return list(dict.fromkeys((*_REGISTRY, *installed)))


def others_that_give(trace: Trace, depth: int) -> list[str]:
    """The conventions under which a trace has a depth; one that fails on it is passed over."""
    found: list[str] = []
    for name in _REGISTRY:
        try:
            if explain_depth(trace, name).depth == depth:
                found.append(name)
        except UsageError:
            continue
    return found


def _register(name: str, count: Rule) -> None:
    _check_name(name)
    if not callable(count):
        raise UsageError(f"the convention {name!r} is a function of a trace, not {count!r}")
    rule = (getattr(count, "__doc__", None) or "").strip().partition("\n")[0]
    if not rule:
        raise UsageError(
            f"the convention {name!r} needs a docstring; its first line is the rule that reports show"
        )
    new = _Convention(name, rule.rstrip("."), count)
    known = _REGISTRY.setdefault(name, new)
    if (known.home, known.file) != (new.home, new.file):
        taken, wanted = (f"{c.home} ({c.file})" if known.home == new.home else c.home for c in (known, new))
        raise UsageError(f"the convention {name!r} is {taken} already; give {wanted} another name")
    _REGISTRY[name] = new


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        shown = getattr(name, "__qualname__", repr(name))
        raise UsageError(
            f"a convention is registered by a name, as in @convention('with-pooling'), not {shown}"
        )


def _loaded(entry: EntryPoint) -> Rule:
    try:
        loaded: Rule = entry.load()
    except Exception as error:
        raise UsageError(
            f"the convention {entry.name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return loaded


def _checked(item: object, chosen: _Convention) -> tuple[str, int]:
    if isinstance(item, str):
        return item, 1
    if isinstance(item, tuple) and len(item) == 2:
        name, weight = item
        if isinstance(name, str) and type(weight) is int and weight >= 0:
            return name, weight
    raise UsageError(
        f"the convention {chosen.name!r} ({chosen.home}) gave {item!r}; "
        "it gives names of layers, or pairs of a name and a whole number"
    )


_REGISTRY: dict[str, _Convention] = {}
for _name, _rule in rules.RULES.items():
    _register(_name, _rule)
