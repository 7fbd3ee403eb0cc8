"""The text of a proposed test file: today's figures of each model, and what the depth conventions count."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.conventions import convention_names
from pytest_archcheck.graph.shortcuts import KINDS
from pytest_archcheck.inputs import Spec
from pytest_archcheck.traces import Trace

_HEAD = '''"""What the architectures of this project promise: proposed by archcheck init, with the figures of today.

Keep what you mean to promise and delete the rest. Then: pytest --snapshot-update writes what the snapshots compare
with; look it over, and commit it with this file.

"How deep" has several answers, so every depth names its convention (archcheck help conventions):

{conventions}

An input of (1, 3, 32, 32) is one image; spec(...) states integers (archcheck help inputs). What each mark states:
archcheck help arch_depth, and so on.
"""
'''


@dataclass(frozen=True)
class Proposal:
    """A model, how it was called, and what was recorded; ``guessed`` is what the inputs were guessed from."""

    subject: str
    inputs: tuple[Spec, ...]
    kwargs: dict[str, Spec]
    trace: Trace
    guessed: str = ""


def test_file(proposals: Sequence[Proposal]) -> str:
    """The text of the whole file."""
    imports, names = _imports(proposals)
    used: dict[str, None] = {}
    bodies = []
    tests: set[str] = set()
    for proposal, name in zip(proposals, names, strict=True):
        lines = list(_test(proposal, name, _unique(_test_name(proposal.subject), tests)))
        used |= dict.fromkeys(match[1] for line in lines if (match := re.match(r"@(\w+)\(", line)))
        if "spec(" in lines[1]:
            used["spec"] = None
        bodies.append("\n".join(lines))
    ours = f"from pytest_archcheck import {', '.join(sorted(used))}"
    head = _HEAD.format(conventions="\n".join(_conventions(proposals[0].trace)))
    return "\n\n\n".join([f"{head}\n" + "\n".join([*imports, "", _wrapped(ours)]), *bodies]) + "\n"


def _conventions(trace: Trace) -> Iterator[str]:
    names = convention_names()
    width = max(map(len, names))
    for name in names:
        yield f"  {name:{width}}  {trace.explain_depth(name).rule}"


def _imports(proposals: Sequence[Proposal]) -> tuple[list[str], list[str]]:
    """The lines that import the models, and what each is then called."""
    wanted: dict[str, dict[str, str]] = {}
    names: list[str] = []
    taken: set[str] = set()
    for proposal in proposals:
        module, _, path = proposal.subject.partition(":")
        first, dot, rest = path.partition(".")
        known = wanted.setdefault(module, {})
        if first not in known:
            known[first] = first if first not in taken else f"{first}_of_{module.replace('.', '_')}"
            taken.add(known[first])
        names.append(known[first] + dot + rest)
    lines = []
    for module, found in sorted(wanted.items()):
        parts = [name if name == alias else f"{name} as {alias}" for name, alias in sorted(found.items())]
        lines.append(_wrapped(f"from {module} import {', '.join(parts)}"))
    return lines, names


def _wrapped(line: str) -> str:
    """An import of many names, one in a line."""
    if len(line) <= 100:
        return line
    start, _, names = line.partition(" import ")
    return f"{start} import (\n" + "".join(f"    {name},\n" for name in names.split(", ")) + ")"


def _test(proposal: Proposal, name: str, test: str) -> Iterator[str]:
    trace = proposal.trace
    yield f"# depth: {', '.join(_depths(trace))}"
    why = f"  # guessed from {proposal.guessed}" if proposal.guessed else ""
    yield f"@arch({name}, {_inputs(proposal)}){why}"
    yield from _marks(trace)
    yield f"def {test}(arch_trace, arch_snapshot):"
    yield "    assert arch_trace == arch_snapshot"


def _depths(trace: Trace) -> Iterator[str]:
    for name in convention_names():
        try:
            yield f"{trace.depth(name)} {name}"
        except UsageError:  # a convention of the project that does not go with this model
            continue


def _inputs(proposal: Proposal) -> str:
    shapes = [_input(value) for value in proposal.inputs]
    text = f"inputs={shapes[0]}" if len(shapes) == 1 else f"inputs=({', '.join(shapes)})"
    if not proposal.kwargs:
        return text
    named = ", ".join(f'"{name}": {_input(value)}' for name, value in proposal.kwargs.items())
    return f"{text}, kwargs={{{named}}}"


def _input(value: Spec) -> str:
    if value.dtype is None and value.high is None:
        return repr(value.shape)
    options = [f'dtype="{value.dtype}"'] if value.dtype else []
    options += [f"high={value.high:g}"] if value.high is not None else []
    return f"spec({', '.join([*map(str, value.shape), *options])})"


def _marks(trace: Trace) -> Iterator[str]:
    """The marks that hold of a trace."""
    yield f'@arch_depth({trace.depth("paper")}, convention="paper")'
    if trace.params.total:
        yield f"@arch_params({trace.params.total:_})"
    if trace.status == "complete":
        yield f"@arch_macs({trace.macs:_})"
    else:
        yield f"# no @arch_macs, since the count is not complete: at least {trace.macs:_}, {trace.status}"
    sizes = [str(size) for size in trace.output.shape]
    batch = ['"B"'] if sizes else []
    yield f"@arch_output({', '.join([*batch, *sizes[1:]])})"
    if trace.stages:
        yield f"@arch_stages({tuple(trace.stages)!r})"
    found = Counter(shortcut.kind for shortcut in trace.shortcuts)
    kinds = {kind: found[kind] for kind in KINDS if found[kind]}
    if kinds:
        yield f"@arch_shortcuts({', '.join(f'{kind}={number}' for kind, number in kinds.items())})"
    unused = trace.unused_parameters
    if not unused:
        yield "@arch_no_unused()"
    else:
        told = ", ".join(one.name for one in unused[:3]) + (", …" if len(unused) > 3 else "")
        yield f"# no @arch_no_unused, since no output uses {told}"


def _test_name(subject: str) -> str:
    name = subject.partition(":")[2].replace(".", "_")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return f"test_{snake}"


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 2
    while found in taken or keyword.iskeyword(found):
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found
