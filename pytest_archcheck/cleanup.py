"""Nobody's snapshot is deleted in a run that did not run everything, and files that no test owns are named.

On ``--snapshot-update`` syrupy deletes what was not used. After a collection error, an interruption, ``-x`` or
``--collect-only`` that is every snapshot of every test that did not come to run, and in one shard of a suite those of
all other shards. What belongs to a module that is gone, on the other hand, syrupy never looks at.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

_KEY = "archcheck_incomplete"
_ORPHANS_SHOWN = 5


class CleanupGuard:
    """A plugin of its own for one run, on the controller and on each xdist worker."""

    def __init__(self) -> None:
        self.not_collected: list[str] = []
        self.collected: set[str] = set()
        self.held_back = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that failed or was skipped as a whole: it still owns its snapshots."""
        if report.outcome != "passed":
            self.not_collected.append(report.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Note every test before a plugin takes some away, as those do that run a shard."""
        self.collected = {item.nodeid for item in items}
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Note what an xdist worker could not collect."""
        self.not_collected += getattr(node, "workeroutput", {}).get(_KEY, ())

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Decide before syrupy does, with its own ``--snapshot-no-cleanup``."""
        config = session.config
        syrupy: Any = getattr(config, "_syrupy", None)
        self.not_collected += self.collected - getattr(syrupy, "_collected_items", {}).keys()
        ran = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        stopped = session.shouldfail or session.shouldstop or config.getoption("collectonly", False)
        if (not ran or stopped or self.not_collected) and config.getoption("update_snapshots", False):
            config.option.no_cleanup = True
            self.held_back = True
        if hasattr(config, "workeroutput"):
            config.workeroutput[_KEY] = self.not_collected
        return (yield)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say once what is off, and which files no test will ever read."""
        if self.held_back:
            terminalreporter.write_line("archcheck: not every test ran, so no unused snapshot was deleted")
        if config.getoption("update_snapshots", False):
            found = sorted(_orphans(config.rootpath, str(config.getini("arch_snapshot_dir"))))
            for path in found[:_ORPHANS_SHOWN]:
                terminalreporter.write_line(
                    f"archcheck: {path} belongs to no test module; delete it if it is yours"
                )
            if len(found) > _ORPHANS_SHOWN:
                terminalreporter.write_line(
                    f"archcheck: … and {len(found) - _ORPHANS_SHOWN} more of the kind"
                )


def _orphans(root: Path, shared: str) -> list[str]:
    """Snapshots in the project's one folder whose test module does not exist; beside the tests syrupy sees to them."""
    if not shared:
        return []
    folder = root / shared
    owned = (
        path for path in folder.rglob("*.arch") if path.parent != folder
    )  # in it lie those of given models
    modules = ((path, root / path.parent.relative_to(folder)) for path in owned)
    return [
        str(path.relative_to(root))
        for path, module in modules
        if not module.with_name(f"{module.name}.py").exists()
    ]
