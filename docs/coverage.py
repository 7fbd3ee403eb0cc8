"""Record every model of the zoo and write ``docs/coverage.md``: ``nox -s coverage``.

Each model is recorded by ``auto`` and once more on cpu; the two texts are compared, and the model has to be the same
before and after.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.zoo import catalogue

LIBRARIES = {
    "torchvision": catalogue.torchvision_entries,
    "timm": functools.partial(catalogue.timm_entries, catalogue.TIMM + catalogue.MORE_OF_TIMM),
    "transformers": catalogue.transformers_entries,
}
HEAD = """# What records, and what it costs

Written by `nox -s coverage`; do not edit. {versions}.

*On*: where `auto` recorded it on a machine without CUDA. *Calls*: layer calls and functions. *Depth*: convention
`paper`. *Seconds*: to build and record it there, in one thread, beside a second process that did the same. *KB*: its
`.arch` text. *Same on cpu*: whether the text of a second recording, on cpu, is the same to the byte. *Not counted*:
what the MAC count leaves out. Weights are never loaded, and detectors are set to detect nothing.
"""
COLUMNS = """| model | on | calls | depth | parameters | MACs | seconds | KB | same on cpu | not counted | remark |
|---|---|--:|--:|--:|--:|--:|--:|---|---|---|"""


def row(library: str, name: str) -> str:
    """One line of the table."""
    warnings.simplefilter("ignore")
    import torch

    from pytest_archcheck import ArchcheckError, Trace, diff, trace

    torch.set_num_threads(1)
    importlib.import_module(library)
    trace(torch.nn.Linear(1, 1), (1, 1))  # what is imported and set up once is no model's cost
    entry = next(e for e in LIBRARIES[library]() if e.name == name)
    started = time.perf_counter()
    try:
        recorded = trace(entry.model, entry.inputs, kwargs=entry.kwargs)
        seconds = time.perf_counter() - started
        torch.manual_seed(
            0
        )  # as a factory is built for a recording: a detector's boxes follow from its weights
        model = entry.model()
        before = {key: (value.data_ptr(), value._version) for key, value in _tensors(model)}
        on_cpu = trace(model, entry.inputs, kwargs=entry.kwargs, device="cpu")
    except ArchcheckError as error:
        first = str(error).splitlines()
        reason = next((line.strip() for line in first if "torch:" in line), first[0])
        return f"| {name} | – | | | | | | | | | {_cell(reason)} |"
    assert before == {key: (value.data_ptr(), value._version) for key, value in _tensors(model)}, name
    assert recorded.params.total == sum(p.numel() for p in model.parameters()), name
    text = recorded.to_text()
    assert Trace.from_text(text) == recorded, name
    remarks = [note.partition(": ")[2] or note for note in recorded.notes]
    if recorded.placement == "cpu":
        reason = next((line for line in recorded.notes if line.startswith("meta: ")), "")
        remarks = [reason.removeprefix("meta: ")]
    same = "yes"
    if on_cpu != recorded:
        same = "no"
        remarks.append(str(diff(recorded, on_cpu)).splitlines()[0])
    left_out = sorted({_function(call) for call in recorded.mac_count.uncounted})
    return (
        f"| {name} | {recorded.placement} | {len(recorded)} | {recorded.depth('paper')} | {recorded.params.total:,} "
        f"| {recorded.macs:,} | {seconds:.2f} | {len(text.encode()) / 1000:.0f} "
        f"| {same} | {', '.join(left_out)} | {_cell('; '.join(remarks))} |"
    )


def table(library: str, names: list[str]) -> Iterator[str]:
    """The lines of one library's table, as they are done."""
    with get_context("spawn").Pool(2, maxtasksperchild=10) as pool:
        lines = pool.imap(functools.partial(row, library), names)
        for name, line in zip(names, lines, strict=True):
            print(line, flush=True)
            assert name in line
            yield line


def main(chosen: list[str]) -> None:
    """Write the whole page, or print the rows of the libraries or models named."""
    if chosen:
        for library, entries in LIBRARIES.items():
            if library in chosen:
                list(table(library, [entry.name for entry in entries()]))
        for library, _, name in (word.partition("/") for word in chosen if "/" in word):
            print(row(library, name))
        return
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", *LIBRARIES))
    parts = [HEAD.format(versions=versions)]
    for library, entries in LIBRARIES.items():
        lines = list(table(library, [entry.name for entry in entries()]))
        recorded = sum("| – |" not in line for line in lines)
        parts.append(f"## {library}: {recorded} of {len(lines)}\n\n{COLUMNS}\n" + "\n".join(lines) + "\n")
    (Path(__file__).parent / "coverage.md").write_text("\n".join(parts), encoding="utf-8")


def _function(call: str) -> str:
    if call.startswith("opaque:"):
        return "a tensor of unknown origin"
    name = call.rpartition("#")[0] or call
    return f"`{name.rpartition(':')[2]}`"


def _tensors(model: Any) -> list[Any]:
    return [*model.named_parameters(), *model.named_buffers()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:160]


if __name__ == "__main__":
    main(sys.argv[1:])
