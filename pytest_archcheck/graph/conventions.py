"""Depth conventions by name: ours, a project's own, and those of installed packages.

There is no one depth (Xception alone is published as 36, 71, 81 and 126), so every depth names its convention. A
convention is a function of a trace that gives the layers it counts, in order; the explanation of the rest is the same
for all. The rules that come with the package are in ``rules``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TypeAlias

from pytest_archcheck.collector import collector_off
from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph import rules
from pytest_archcheck.graph.depth import Counted, DepthExplanation, LeftOut
from pytest_archcheck.graph.leftout import left_out
from pytest_archcheck.graph.parts import Parts
from pytest_archcheck.registry import Registry, first_line, home
from pytest_archcheck.traces import Trace

Item: TypeAlias = "str | tuple[str, int] | LeftOut"
Rule: TypeAlias = Callable[[Trace], Iterable[Item]]

_REGISTRY: Registry[Rule] = Registry(
    "convention",
    "pytest_archcheck.conventions",
    "@convention('with-pooling')",
    "conventions",
    docstring_for="the rule that reports show",
)


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
    _REGISTRY.check_name(name)

    def register(count: Rule) -> Rule:
        _REGISTRY.add(name, count)
        return count

    return register


@collector_off()
def explain_depth(trace: Trace, name: str) -> DepthExplanation:
    """The depth of a trace under a convention, with what was counted and what was not.

    Raises:
        UsageError: there is no convention of that name, or it gives no layers.
    """
    known_convention(name)
    count = _REGISTRY.get(name)
    assert count is not None
    items = _items(name, count, trace)
    weights = [_checked(item, name, count) for item in items if not isinstance(item, LeftOut)]
    parts = Parts(trace, [layer for layer, _ in weights])
    counted = tuple(Counted(layer, weight, parts.of(layer)) for layer, weight in weights)
    said = [item for item in items if isinstance(item, LeftOut)]
    rest = left_out(trace, counted, said, through_gates=count is rules.RULES["longest-path"])
    return DepthExplanation(name, first_line(count).rstrip("."), counted, rest)


def _items(name: str, count: Rule, trace: Trace) -> list[Item]:
    if count in rules.RULES.values():
        return list(count(trace))
    try:
        items = count(trace)
        return [items] if isinstance(items, str) else list(items)
    except UsageError:
        raise
    except Exception as error:
        raise _REGISTRY.failed(name, error) from error


def known_convention(name: object) -> str:
    """The name itself, if it names a convention.

    Raises:
        UsageError: it does not; the message lists the conventions.
    """
    if isinstance(name, str) and _REGISTRY.get(name) is not None:
        return name
    names = convention_names()
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"unknown depth convention {name!r}: {hint}the conventions are {', '.join(names)}", see="conventions"
    )


def convention_names() -> list[str]:
    """All conventions that can be named, ours first."""
    return _REGISTRY.names()


def others_that_give(trace: Trace, depth: int) -> list[str]:
    """The conventions under which a trace has a depth; one that fails on it is passed over."""
    found: list[str] = []
    for name in _REGISTRY.added():
        try:
            if explain_depth(trace, name).depth == depth:
                found.append(name)
        except UsageError:
            continue
    return found


def _checked(item: object, name: str, count: Rule) -> tuple[str, int]:
    if isinstance(item, str):
        return item, 1
    if isinstance(item, tuple) and len(item) == 2:
        layer, weight = item
        if isinstance(layer, str) and type(weight) is int and weight >= 0:
            return layer, weight
    raise UsageError(
        f"the convention {name!r} ({home(count)}) gave {item!r}; "
        "return names of layers, or pairs of a name and a whole number",
        see="conventions",
    )


for _name, _rule in rules.RULES.items():
    _REGISTRY.add(_name, _rule)
