"""Measure the tables of ``docs/comparison.md`` and write them between their markers: ``nox -s comparison``.

``python docs/comparison.py [versions|names|counts|time|left|catches …]``, with the extra ``bench``; without a name all
of them. What is measured, and how, is in ``bench/neighbours.py``, ``leftovers.py``, ``record.py`` and
``catches.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
PAGE = Path(__file__).with_suffix(".md")
sys.path.insert(0, str(BENCH))

from measure import table, versions  # noqa: E402

PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "torchinfo",
    "fvcore",
    "ptflops",
    "thop",
    "calflops",
    "torchview",
    "torchlens",
    "syrupy",
    "pytest-regressions",
)
TIMED = ("resnet50", "efficientnet_b0", "vit_b_16")


def measured() -> str:
    """What was measured, and when."""
    return f"Measured on {datetime.now(UTC):%Y-%m-%d} with {versions(*PACKAGES)}."


def names() -> str:
    """What each says of one linear layer on ten rows, 10 × 64 × 32 = 20,480 MACs."""
    import neighbours
    import torch
    from torch import nn

    subject = neighbours.Subject(lambda: nn.Linear(64, 32, bias=False), (torch.randn(10, 64),), 20_480)
    said = {name: neighbours.counted(name, subject) or 0 for name in neighbours.COUNTERS}
    calls = {
        "archcheck": ("`trace(…).macs`", "MACs; `.flops` is 2 × that", 1),
        "torchinfo": ("`summary(…).total_mult_adds`", "mult-adds", 1),
        "fvcore": ("`FlopCountAnalysis(…).total()`", "flops", 1),
        "ptflops": ("`get_model_complexity_info(…)[0]`", "macs", 1),
        "thop": ("`profile(…)[0]`", "macs", 1),
        "calflops": ("`calculate_flops(…)[1]`", "MACs; `[0]` is FLOPs, 2 × that and elementwise work", 1),
        "torch": ("`FlopCounterMode().get_total_flops()`", "flops", 2),
    }
    rows = [
        [f"{name}: {call}", f"{said[name] * factor:,}", word] for name, (call, word, factor) in calls.items()
    ]
    return table(["call", "it says", "and calls it"], rows)


def counts() -> str:
    """How far each counter is from the truth."""
    import neighbours

    rows, exact = [], dict.fromkeys(neighbours.COUNTERS, 0)
    subjects = neighbours.subjects()
    for name, subject in subjects.items():
        cells = {
            tool: neighbours.deviation(neighbours.counted(tool, subject), subject)
            for tool in neighbours.COUNTERS
        }
        for tool, cell in cells.items():
            exact[tool] += cell == "="
        truth = f"{subject.truth:,}" if subject.decimals == 9 else f"{subject.truth / 10**9:.3f} · 10⁹"
        rows.append([name, truth, *cells.values()])
        print(rows[-1], file=sys.stderr, flush=True)
    rows.append([f"equal, of {len(subjects)}", "", *map(str, exact.values())])
    return table(["", "truth", *neighbours.COUNTERS], rows)


def left() -> str:
    """What each leaves behind."""
    import leftovers

    return table(["", "in training", "in evaluation", "after a forward that raised"], leftovers.rows())


def time() -> str:
    """How long each takes beside a bare forward on meta."""
    import calflops
    import record
    import thop
    from torch import nn

    def by_thop(model: nn.Module, device: str) -> object:
        return thop.profile(model, (record.image(device),), verbose=False)[0]

    def by_calflops(model: nn.Module, device: str) -> object:
        return calflops.calculate_flops(model, args=[record.image(device)], print_results=False)[0]

    record.PEERS.update(thop=by_thop, calflops=by_calflops)
    del record.PEERS["torchview"]
    places = {name: record.fastest_placement(peer) for name, peer in record.PEERS.items()}
    rows = []
    for model in TIMED:
        own, _, others, _ = record.measure(model, places)
        rows.append([model, f"{own:.2f}", *(f"{others[peer]:.2f}" for peer in places)])
    head = ["time / bare forward on meta", "archcheck, meta"]
    return table([*head, *(f"{peer}, {place}" for peer, place in places.items())], rows)


def catches() -> str:
    """Which test fails on which change, by running them."""
    import catches as cases

    with tempfile.TemporaryDirectory() as folder:
        for file in ("catches.py", "catches_suite.py"):
            shutil.copy(BENCH / file, folder)
        failed: dict[str, set[str]] = {}
        for which in ("not TorchLens", "TorchLens"):  # in a process of its own: it wraps torch's functions
            run(folder, which, "before", "--snapshot-update", "--force-regen")
            again = run(folder, which, "before")
            assert not again, f"tests that fail on the same model: {again}"
            for tool, changes in run(folder, which, "after").items():
                failed.setdefault(tool, set()).update(changes)
    tools = {
        "archcheck": "archcheck",
        "str(model)": "str(model)",
        "data_regression": "keys, shapes",
        "num_regression": "outputs",
        "hash of outputs": "hash of outputs",
        "torch.export": "torch.export",
        "torchinfo": "torchinfo",
        "fvcore": "fvcore",
        "thop": "thop",
        "torchview": "torchview",
        "TorchLens": "TorchLens",
    }
    rows = [
        [change, *("fails" if change in failed.get(tool, ()) else "" for tool in tools)]
        for change in (*cases.CHANGES, *cases.HARMLESS)
    ]
    sums = [
        [label, *(f"{len(failed.get(tool, set()) & {*group})} of {len(group)}" for tool in tools)]
        for label, group in (("changes caught", cases.CHANGES), ("false alarms", cases.HARMLESS))
    ]
    changes, harmless = rows[: len(cases.CHANGES)], rows[len(cases.CHANGES) :]
    empty = [""] * len(tools)
    return table(
        ["", *tools.values()],
        [*changes, sums[0], ["*no change of architecture:*", *empty], *harmless, sums[1]],
    )


def run(folder: str, which: str, state: str, *options: str) -> dict[str, set[str]]:
    """One run of the suite; for each tool the changes on which its test failed."""
    report = Path(folder, "report.xml")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "catches_suite.py", "-k", which]
    subprocess.run(
        [
            *command,
            f"--junitxml={report}",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore",
            *options,
        ],
        cwd=folder,
        env=os.environ | {"CATCHES": state, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    import catches as cases

    failed: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        test, _, parameters = case.get("name", "").partition("[")
        change = next(c for c in (*cases.CHANGES, *cases.HARMLESS) if _plain(parameters).startswith(c))
        tool = _plain(parameters).removeprefix(change).rstrip("]").lstrip("-") or test.removeprefix("test_")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.setdefault(tool, set()).add(change)
    return failed


def _plain(identifier: str) -> str:
    """An id of pytest, which writes what is not ASCII as escapes."""
    return identifier.encode("ascii", "backslashreplace").decode("unicode_escape")


TABLES: dict[str, Callable[[], str]] = {
    "versions": measured,
    "names": names,
    "counts": counts,
    "time": time,
    "left": left,
    "catches": catches,
}


def main(chosen: list[str]) -> None:
    """Write the tables named, or all; each as soon as it is measured."""
    warnings.simplefilter("ignore")
    for name in chosen or TABLES:
        made = TABLES[name]()
        print(made, flush=True)
        page = PAGE.read_text("utf-8")
        marker = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        assert marker.search(page), name
        PAGE.write_text(marker.sub(lambda found, made=made: found[1] + made + found[2], page), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
