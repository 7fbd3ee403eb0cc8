"""What the benchmarks share: clocks, pairs, tables, and what they ran on."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def seconds(run: Callable[[], object]) -> float:
    """Give the time of one run; the garbage of the one before is gone."""
    gc.collect()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired(base: Callable[[], object], *runs: Callable[[], object], rounds: int) -> list[list[float]]:
    """Give the times of a base and of others, run in turn, one list each; the first turn is not counted."""
    turns = [[seconds(run) for run in (base, *runs)] for _ in range(rounds + 1)][1:]
    return [list(times) for times in zip(*turns, strict=True)]


def ratio(base: Sequence[float], run: Sequence[float]) -> float:
    """Give the median of the ratios of pairs."""
    return statistics.median(mine / bare for bare, mine in zip(base, run, strict=True))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a Markdown table; the first column is words, the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def versions(*packages: str) -> str:
    """Give the versions of packages in one line."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def machine() -> str:
    """Describe the machine in one line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        processor = names[0] if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()}, {processor}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}"
