"""Nobody's snapshot is deleted in a run that did not run everything.

On ``--snapshot-update`` syrupy deletes what was not used. After a collection error, an interruption, ``-x`` or
``--collect-only`` that is every snapshot of every test that did not come to run.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

_KEY = "archcheck_incomplete"


class CleanupGuard:
    """A plugin of its own for one run, on the controller and on each xdist worker."""

    def __init__(self) -> None:
        self.not_collected: list[str] = []
        self.held_back = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that failed or was skipped as a whole: it still owns its snapshots."""
        if report.outcome != "passed":
            self.not_collected.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Note what an xdist worker could not collect."""
        self.not_collected += getattr(node, "workeroutput", {}).get(_KEY, ())

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Decide before syrupy does, with its own ``--snapshot-no-cleanup``."""
        config = session.config
        ran = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        stopped = session.shouldfail or session.shouldstop or config.getoption("collectonly", False)
        if (not ran or stopped or self.not_collected) and config.getoption("update_snapshots", False):
            config.option.no_cleanup = True
            self.held_back = True
        if hasattr(config, "workeroutput"):
            config.workeroutput[_KEY] = self.not_collected
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say once what is off."""
        if self.held_back:
            terminalreporter.write_line("archcheck: not every test ran, so no unused snapshot was deleted")
