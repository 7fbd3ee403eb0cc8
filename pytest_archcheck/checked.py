"""What each test checked, put on its report, where it crosses to the controller of xdist and stands in JUnit.

Where nobody reads them, no text and no figure is worked out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_archcheck.fixtures import SECONDS, STATEMENTS
from pytest_archcheck.reports.run import Checked, Compared, Statement
from pytest_archcheck.traces import Trace

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable that names the file to which GitHub's runners take Markdown."""


def wants_texts(config: pytest.Config) -> bool:
    """Whether a report of this run shows figures of the models."""
    options = ("arch_json", "arch_report", "arch_summary")
    return bool(os.environ.get(STEP_SUMMARY)) or any(config.getoption(name) for name in options)


class CheckedTests:
    """A plugin of its own, on the controller and on each xdist worker."""

    def __init__(self, config: pytest.Config) -> None:
        self._wants_texts = wants_texts(config)
        self._wants_properties = bool(config.getoption("xmlpath", None))
        self._sent: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say what the test checked on the report of its call, or of a set-up that came to no call."""
        report = yield
        if report.when == "teardown" or not (report.when == "call" or report.failed) or not _is_ours(item):
            return report
        assert isinstance(item, pytest.Function)
        trace = item.funcargs.get("arch_trace")
        trace = trace if isinstance(trace, Trace) else None
        key, text = "", ""
        if trace is not None and self._wants_texts:
            text = trace.to_text()
            key = hashlib.sha256(text.encode()).hexdigest()[:12]
        checked = _checked(item, report, trace, key)
        data: dict[str, Any] = {"checked": checked.as_data()}
        if text and key not in self._sent:
            self._sent.add(key)
            data["text"] = text
        report.archcheck = data  # type: ignore[attr-defined]  # pytest sends what a report has
        if self._wants_properties:
            told = [*_figures(trace), *_statements(checked)]
            item.user_properties += told  # JUnit takes them from the report of the teardown
            report.user_properties += told
        return report


def _is_ours(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    statements = item.stash.get(STATEMENTS, None)
    asked = {"arch_trace", "arch_snapshot"} & set(item.fixturenames)
    return bool(asked) or bool(statements and statements.invariants)


def _checked(item: pytest.Function, report: pytest.TestReport, trace: Trace | None, key: str) -> Checked:
    from pytest_archcheck.judging import JUDGED

    judged = item.stash.get(JUDGED, [])
    outcome: str = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    if report.when == "setup":
        outcome = "error"
        found = report.longreprtext.partition("\n")[0]
        judged = [Statement("the recording", 1, "the model", "a model that can be recorded", found)]
    return Checked(
        test=item.nodeid,
        outcome=outcome,
        model="" if trace is None else trace.model.type,
        trace=key,
        placement="" if trace is None else trace.placement,
        seconds=item.stash.get(SECONDS, None),
        notes=() if trace is None else trace.notes,
        statements=tuple(judged),
        snapshots=tuple(_compared(item)) if report.when == "call" else (),
    )


def _compared(item: pytest.Function) -> Iterator[Compared]:
    """Every snapshot that the test compared with, in order."""
    snapshot: Any = item.funcargs.get("arch_snapshot")
    if snapshot is None:
        return
    from pytest_archcheck.snapshots import ArchSnapshotExtension, compared

    if not isinstance(snapshot.extension, ArchSnapshotExtension):
        return
    for result in snapshot.executions.values():
        if result.exception is None and result.asserted_data is not None:
            name = Path(result.snapshot_location).stem.removeprefix("test_")
            before, after = None if result.created else result.recalled_data, str(result.asserted_data)
            yield compared(name, before, after, passed=result.success, written=result.updated)


def _figures(trace: Trace | None) -> Iterator[tuple[str, object]]:
    if trace is not None:
        yield "arch_model", trace.model.type
        yield "arch_depth_paper", trace.depth("paper")
        yield "arch_params", trace.params.total
        yield "arch_macs", trace.macs
        yield "arch_status", trace.status


def _statements(checked: Checked) -> Iterator[tuple[str, object]]:
    for statement in checked.statements:
        said = (
            "holds"
            if statement.holds
            else f"violated: expected {statement.expected}, found {statement.found}"
        )
        yield "arch_statement", f"{statement.text}: {said}"
    for snapshot in checked.snapshots:
        yield (
            "arch_snapshot",
            f"{snapshot.name}: {snapshot.state}{f', {snapshot.verdict}' if snapshot.verdict else ''}",
        )
