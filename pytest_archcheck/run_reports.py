"""What a whole run says of architectures: the header's line, the section at the end, and the files that were asked for.

All of it is the controller's; an xdist worker says nothing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pytest_archcheck.checked import STEP_SUMMARY
from pytest_archcheck.errors import more
from pytest_archcheck.files import write_whole
from pytest_archcheck.reports.run import Checked, Run

_FILES = {"arch_json": ".json", "arch_report": ".html"}


class RunReports:
    """A plugin of its own; what writes a report is imported when one is asked for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        self._checked: dict[str, Checked] = {}
        self._texts: dict[str, str] = {}
        self._told: list[str] = []
        self._known: Run | None = None
        for option, suffix in _FILES.items():
            path = config.getoption(option)
            if path and (not str(path).endswith(suffix) or Path(path).is_dir()):
                raise pytest.UsageError(
                    f"--{option.replace('_', '-')} {path}: expected the name of a file that ends in {suffix}\n"
                    + more(option.replace("_", "-"))
                )

    def pytest_report_header(self, config: pytest.Config) -> str:
        """Where models are recorded, with what, and what fails."""
        device = config.getoption("arch_device") or config.getini("arch_device")
        failing = config.getoption("arch_fail_on") or config.getini("arch_fail_on") or "all but cosmetic"
        what = f"archcheck: {_version('pytest-archcheck')}, torch {_version('torch')}"
        return f"{what}, recording on {device}, drift that fails: {failing}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what tests checked, of a test that runs again the last time."""
        found: dict[str, Any] | None = getattr(report, "archcheck", None)
        if found is None or self._is_worker:
            return
        checked = Checked.from_data(found["checked"])
        self._checked[checked.test] = checked
        if "text" in found:
            self._texts.setdefault(checked.trace, found["text"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the files that were asked for, each whole or not at all."""
        if self._is_worker or self._config.getoption("collectonly", False):
            return
        path = self._config.getoption("arch_json")
        if path:
            from pytest_archcheck.reports.data import as_json

            self._write(path, as_json(self._run()))
        path = self._config.getoption("arch_report")
        if path:
            from pytest_archcheck.reports.drawing import svg
            from pytest_archcheck.reports.page import render

            self._write(path, render(self._run(), svg))
        summary = os.environ.get(STEP_SUMMARY)
        if summary and self._checked:
            from pytest_archcheck.reports.summary import markdown

            try:
                with open(summary, "a", encoding="utf-8") as file:
                    file.write(f"{markdown(self._run())}\n")
            except OSError as error:
                self._told.append(f"the step summary was not written: {summary}: {error.strerror}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The section ``architecture``; with ``-q`` a line, and that only where something is not as it was."""
        if not (self._checked or self._told):
            return
        from pytest_archcheck.reports.summary import line, lines

        run = self._run()
        if self._config.get_verbosity() < 0:
            told = [text for text in (line(run),) if text]
        else:
            terminalreporter.section("architecture", sep="-")
            told = list(lines(run, self._unused()))
        for text in (*told, *self._told, *self._tables(run, terminalreporter)):
            terminalreporter.write_line(text)

    def _run(self) -> Run:
        """All that was gathered, in the order of the tests' ids whatever ran first."""
        from pytest_archcheck.snapshots import failing_in

        failing = tuple(str(severity) for severity in sorted(failing_in(self._config), reverse=True))
        checked = tuple(self._checked[test] for test in sorted(self._checked))
        if self._known is None or self._known.checked != checked:
            keys = dict.fromkeys(each.trace for each in checked if each.trace in self._texts)
            self._known = Run(checked, {key: self._texts[key] for key in keys}, _versions(), failing)
        return self._known  # so that texts are read once

    def _tables(self, run: Run, terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
        """The table of every model, as wide and as colourful as pytest's own output."""
        if not self._config.getoption("arch_summary"):
            return
        from rich.console import Console

        from pytest_archcheck.reports.table import print_table

        writer = terminalreporter._tw  # whether it has colours is said nowhere else
        tests: dict[str, list[str]] = {}
        for checked in run.checked:
            tests.setdefault(checked.trace, []).append(checked.test)
        for key, trace in ((key, run.traces[key]) for key in tests if key in run.traces):
            text = StringIO()
            console = Console(
                file=text,
                width=writer.fullwidth,
                force_terminal=writer.hasmarkup,
                color_system="standard" if writer.hasmarkup else None,
                highlight=False,
                markup=False,
                emoji=False,
            )
            print_table(trace, console)
            yield f"\n{', '.join(tests[key])}\n{text.getvalue().rstrip()}"

    def _unused(self) -> list[str]:
        """The ``.arch`` files that no test compared with, as syrupy counts; with an update it says what it deleted."""
        report = getattr(getattr(self._config, "_syrupy", None), "report", None)
        if self._config.getoption("update_snapshots", False):
            return []
        paths = (str(collection.location) for collection in getattr(report, "unused", ()))
        return sorted(
            os.path.relpath(path, self._config.rootpath) for path in paths if path.endswith(".arch")
        )

    def _write(self, path: str, text: str) -> None:
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, text.encode())
        except OSError as error:
            self._told.append(f"not written: {path}: {error.strerror}")
        else:
            self._told.append(f"written: {path}")


def _versions() -> dict[str, str]:
    return {
        "archcheck": _version("pytest-archcheck"),
        "torch": _version("torch"),
        "python": platform.python_version(),
    }


def _version(package: str) -> str:
    """Without importing it: torch takes seconds."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
