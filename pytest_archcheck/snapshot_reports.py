"""What the reports of a test say of its snapshots: the verdict, the drift in words, and drift that did not fail."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_archcheck.errors import more

_PROPERTY = "arch_drift"
"""The name, in a report's properties and in JUnit, of a drift that did not fail."""
_NOT_ASSERTED = (
    "the model is not what its snapshot says, and the test passed: it compares and does not assert\n"
    "do: write assert arch_trace == arch_snapshot; for two models that differ there is diff(before, after)\n"
    f"{more('snapshots')}"
)
_NOT_COMPARED = (
    "asks for arch_snapshot and compares nothing with it, so no snapshot holds its model; "
    f"write assert arch_trace == arch_snapshot\n{more('snapshots')}"
)


class SnapshotReports:
    """A plugin of its own; it imports nothing before a test asks for ``arch_snapshot``."""

    @pytest.hookimpl(wrapper=True)
    def pytest_assertrepr_compare(
        self, left: object, right: object
    ) -> Generator[None, list[list[str]], list[list[str]]]:
        """The first line of a drifted snapshot is the verdict."""
        explanations = yield
        for side in (left, right):
            drifted = _drifted(side)
            if drifted:
                from pytest_archcheck.snapshots import verdict_of_mismatch

                name, before, after = drifted[-1]
                first = verdict_of_mismatch(before, after, name)
                return [[first, "more below, under 'architecture drift'"]]
        return explanations

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Explain the drift of a failed test, and note that of one that passed."""
        report = yield
        if not isinstance(item, pytest.Function) or "arch_snapshot" not in item.fixturenames:
            return report
        if not hasattr(item.config, "_syrupy"):
            return report  # switched off: pytest says that the fixture is not there
        if report.passed and report.when == "call" and _drifted(item.funcargs.get("arch_snapshot")):
            report.outcome = "failed"
            report.longrepr = _NOT_ASSERTED
        elif (
            report.passed
            and report.when == "call"
            and not getattr(item.funcargs.get("arch_snapshot"), "executions", True)
        ):
            item.warn(pytest.PytestWarning(f"{item.name} {_NOT_COMPARED}"))
        if report.skipped:
            from pytest_archcheck.snapshots import keep_snapshots

            keep_snapshots(item, skipped=True)
        elif report.failed:
            from pytest_archcheck.snapshots import explain_mismatch, keep_snapshots

            full = item.config.get_verbosity() >= 2
            for name, before, after in _drifted(item.funcargs.get("arch_snapshot")):
                text = explain_mismatch(before, after, name, full=full)
                report.sections.append(("architecture drift", text))
            keep_snapshots(item)
        if report.when == "call" and not report.skipped:
            told = [(_PROPERTY, verdict) for verdict in _tolerated(item)]
            item.user_properties += told  # JUnit takes them from the report of the teardown
            report.user_properties += told
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Drift that did not fail is told all the same."""
        told = [
            str(value)
            for outcome in ("passed", "xpassed", "failed")
            for report in terminalreporter.getreports(outcome)
            for name, value in report.user_properties
            if name == _PROPERTY
        ]
        if told:
            terminalreporter.section("architecture drift that does not fail", sep="-")
            for verdict in told:
                terminalreporter.write_line(verdict)
            terminalreporter.write_line(
                "accept it: pytest --snapshot-update; let it fail: --arch-fail-on, or arch_fail_on in the configuration"
            )


def _tolerated(item: pytest.Function) -> list[str]:
    """The verdicts of drift above cosmetic that the project's policy lets pass."""
    snapshot: Any = item.funcargs.get("arch_snapshot")
    texts = [
        (Path(result.snapshot_location).stem, result.recalled_data, str(result.asserted_data))
        for result in getattr(snapshot, "executions", {}).values()
        if result.success and result.recalled_data not in (None, str(result.asserted_data))
    ]
    if not texts or item.config.getoption("update_snapshots", False):
        return []
    from pytest_archcheck.snapshots import tolerated

    return [verdict for name, before, after in texts for verdict in tolerated(before, after, name)]


def _drifted(snapshot: object) -> list[tuple[str, str | None, str]]:
    """Name, recorded text and present text of every failed comparison of an ``arch_snapshot``."""
    from pytest_archcheck.snapshots import ArchSnapshotExtension

    extension = getattr(snapshot, "extension", None)
    if not isinstance(extension, ArchSnapshotExtension):
        return []
    return [
        (
            Path(result.snapshot_location).stem.removeprefix("test_"),
            result.recalled_data,
            str(result.asserted_data),
        )
        for result in snapshot.executions.values()  # type: ignore[attr-defined]
        if not result.success and result.exception is None
    ]
