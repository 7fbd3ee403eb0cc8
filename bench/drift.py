"""Which changes of architecture each tool sees, which it names, and where it raises a false alarm: one run, all tools.

The changes are those of the tests: ``tests/drift/mutations.py`` and ``tests/drift/refactorings.py``, on real models. A
tool *sees* a mutation if what it says of the model before and after differs. It *names* it if what differs holds the
name of a layer that changed: the whole name, or for a repr and a table, whose lines have no whole names, its last
part. What it sees of a refactoring is a false alarm; of ours only what is above cosmetic. Run: ``python bench/drift.py
[mutation …]``; it writes ``bench/drift.md`` if no mutation is given.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import torchinfo
import torchlens
import torchscan
from torch import nn

from pytest_archcheck import diff
from pytest_archcheck.drift import Severity
from pytest_archcheck.inputs import Spec, is_shape
from tests.drift.mutations import MUTATIONS
from tests.drift.refactorings import REFACTORINGS
from tests.drift.subjects import SUBJECTS, Subject, built, recorded_as

WHOLE, LAST, NEVER = "whole", "last", "never"
"""How a tool's text names a layer; a hash may hold ``fc`` by chance."""


def real(model: nn.Module, subject: Subject) -> nn.Module:
    """The model with values, for tools that run it: which ones does not matter to any of them."""
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        model = model.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.fill_(1)
    return model.train(subject.train)


def arguments(subject: Subject) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a model is called with, as tensors."""
    inputs = (
        subject.inputs
        if isinstance(subject.inputs, tuple) and not is_shape(subject.inputs)
        else (subject.inputs,)
    )
    return tuple(map(_tensor, inputs)), {key: _tensor(value) for key, value in (subject.kwargs or {}).items()}


def _tensor(stated: Any) -> torch.Tensor:
    shape = stated.shape if isinstance(stated, Spec) else stated
    if isinstance(stated, Spec) and stated.dtype == "int64":
        return torch.arange(shape[-1]).expand(shape) % int(stated.high or 2)
    return torch.ones(shape)


# -- what each tool says of two models -----------------------------------------------------------------
# Each gives the text of the difference, empty where it sees none.


def ours(name: str, before: nn.Module, after: nn.Module) -> str:
    """What pytest-archcheck says."""
    drift = diff(recorded_as(name, before), recorded_as(name, after))
    return (
        ""
        if drift.severity is None or drift.severity == Severity.COSMETIC
        else "\n".join(map(str, drift.causes))
    )


def torchlens_hash(name: str, before: nn.Module, after: nn.Module) -> str:
    """TorchLens' hash of the graph's structure."""
    hashes = []
    for model in (before, after):
        args, kwargs = arguments(SUBJECTS[name])
        trace = torchlens.trace(real(model, SUBJECTS[name]), list(args), kwargs)
        hashes.append(trace.graph_shape_hash)
    return "" if hashes[0] == hashes[1] else f"{hashes[0]} is {hashes[1]}"


def torchscan_report(name: str, before: nn.Module, after: nn.Module) -> str:
    """TorchScan's comparison of two reports."""
    reports = []
    for model in (before, after):
        args, kwargs = arguments(SUBJECTS[name])
        reports.append(torchscan.crawl_module(real(model, SUBJECTS[name]), args=args, kwargs=kwargs))
    found = torchscan.compare_reports(*reports)
    layers = [layer["path"] for kind in ("added", "removed", "changed") for layer in found["layers"][kind]]
    totals = [key for key, metric in found["totals"].items() if metric["delta"]]
    return "\n".join((*layers, *totals))


def state_dict(name: str, before: nn.Module, after: nn.Module) -> str:
    """Keys, shapes and dtypes of the state dict."""
    return _changed_lines(*(_state_lines(model) for model in (before, after)))


def _state_lines(model: nn.Module) -> str:
    return "\n".join(f"{key} {tuple(value.shape)} {value.dtype}" for key, value in model.state_dict().items())


def repr_text(name: str, before: nn.Module, after: nn.Module) -> str:
    """The model's repr."""
    return _changed_lines(repr(before), repr(after))


def torchinfo_text(name: str, before: nn.Module, after: nn.Module) -> str:
    """The table of torchinfo with all columns, to any depth."""
    texts = []
    for model in (before, after):
        args, kwargs = arguments(SUBJECTS[name])
        columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")
        table = torchinfo.summary(
            real(model, SUBJECTS[name]),
            input_data=list(args),
            mode="train" if SUBJECTS[name].train else "eval",
            device="cpu",
            depth=99,
            verbose=0,
            col_names=columns,
            row_settings=("var_names", "depth"),
            **kwargs,
        )
        texts.append(str(table))
    return _changed_lines(*texts)


def _changed_lines(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(line[1:] for line in lines if not line.startswith(("---", "+++", "@@")))


TOOLS: dict[str, tuple[Callable[[str, nn.Module, nn.Module], str], str]] = {
    "pytest-archcheck": (ours, WHOLE),
    "TorchLens graph hash": (torchlens_hash, NEVER),
    "TorchScan comparison": (torchscan_report, WHOLE),
    "state dict": (state_dict, WHOLE),
    "repr": (repr_text, LAST),
    "torchinfo": (torchinfo_text, LAST),
}


LAYERS: dict[str, set[str]] = {}
"""The layers that each mutation changed, by its name."""


def layers_of(told: list[str], name: str, before: nn.Module, after: nn.Module) -> set[str]:
    """The layers that a mutation changed, by the causes that the tests expect."""
    drift = diff(recorded_as(name, before), recorded_as(name, after))
    assert told
    scopes = (change.layer.partition("#")[0].partition(":") for change in drift.causes)
    return {scope or function for scope, _, function in scopes}


def is_named(text: str, layers: set[str], how: str) -> bool:
    """Whether a text holds a layer's name."""
    if how == NEVER:
        return False
    wanted = {layer if how == WHOLE else layer.rpartition(".")[2] for layer in layers}
    return any(name and name != "the model" and name in text for name in wanted) or (
        "the model" in layers and "the model" in text
    )


def pair(entry: Any) -> tuple[nn.Module, nn.Module]:
    """A subject and the same changed."""
    before, after = built(entry.subject), built(entry.subject)
    changed = entry.change(after)
    after = after if changed is None else changed
    if not isinstance(after, nn.Module):
        after = after()
    return before.train(SUBJECTS[entry.subject].train), after.train(SUBJECTS[entry.subject].train)


def judge(entry: Any, tools: list[str]) -> dict[str, str]:
    """What some tools make of one entry: ``sees``, ``names``, ``""``, or ``error``."""
    layers = LAYERS.get(entry.name) or set()
    if hasattr(entry, "told") and not layers:
        layers = LAYERS[entry.name] = layers_of(entry.told, entry.subject, *pair(entry))
    found = {}
    for tool in tools:
        compare, how = TOOLS[tool]
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                text = compare(entry.subject, *pair(entry))
        except Exception as error:
            found[tool] = f"error ({type(error).__name__})"
            continue
        found[tool] = "" if not text else "names" if is_named(text, layers, how) else "sees"
    return found


def table(entries: list[Any], known: dict[str, dict[str, str]]) -> tuple[list[str], dict[str, list[str]]]:
    """A line of Markdown for each entry, and what each tool made of all; ``known`` is what was made of them before."""
    lines, verdicts = [], {tool: [] for tool in TOOLS}
    for entry in entries:
        known[entry.name] |= judge(entry, [tool for tool in TOOLS if tool not in known[entry.name]])
        found = {tool: known[entry.name][tool] for tool in TOOLS}
        for tool, verdict in found.items():
            verdicts[tool].append(verdict)
        lines.append(f"| {entry.name.replace('_', ' ')} | {entry.subject} | {' | '.join(found.values())} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines, verdicts


def main(chosen: list[str]) -> None:
    """Print the page."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    mutations = [entry for entry in MUTATIONS if not chosen or entry.name in chosen]
    refactorings = [entry for entry in REFACTORINGS if not chosen or entry.name in chosen]
    # TorchLens last of all: it leaves torch's functions wrapped, for as long as the process lives
    others = [tool for tool in TOOLS if not tool.startswith("TorchLens")]
    known = {entry.name: judge(entry, others) for entry in (*mutations, *refactorings)}
    seen, by_tool = table(mutations, known)
    alarms, false = table(refactorings, known)
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "torchlens", "torchscan", "torchinfo"))
    head = f"| | | {' | '.join(TOOLS)} |\n|---|---|{'---|' * len(TOOLS)}"
    page = [
        "# Who sees a change of architecture\n",
        f"`python bench/drift.py`, one run, with {packages}. What *sees* and *names* mean is in the script.\n",
        "| | sees | of them names | error | false alarms | error |\n|---|---:|---:|---:|---:|---:|",
    ]
    for tool in TOOLS:
        sees = sum(v in ("sees", "names") for v in by_tool[tool])
        names = sum(v == "names" for v in by_tool[tool])
        alarm = sum(v in ("sees", "names") for v in false[tool])
        errors = [sum(v.startswith("error") for v in side[tool]) for side in (by_tool, false)]
        page.append(
            f"| {tool} | {sees} of {len(mutations)} | {names} | {errors[0]} "
            f"| {alarm} of {len(refactorings)} | {errors[1]} |"
        )
    page += ["\n## Mutations\n", head, *seen, "\n## Refactorings\n", head, *alarms, ""]
    print("\n".join(page))
    if not chosen:
        Path(__file__).with_suffix(".md").write_text("\n".join(page), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
