"""Models named on the command line, ``--arch-model``: checked as if a test file stated them.

Each is a test ``records``, on which the project's budgets are judged, and where there is a snapshot of it, or one is to
be written, a test ``snapshot``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_archcheck.errors import UsageError, told

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from pytest_archcheck.traces import Trace


class GivenModels:
    """A plugin of its own, registered where a model is given."""

    def __init__(self, config: pytest.Config) -> None:
        """Set the options that follow.

        Raises:
            pytest.UsageError: the models or the inputs cannot be read.
        """
        from pytest_archcheck.subjects import check_form, parse_inputs

        self._config = config
        try:
            self._subjects = [check_form(subject) for subject in config.getoption("arch_model")]
            self._inputs, self._kwargs = parse_inputs(config.getoption("arch_input"), "--arch-input")
            if not config.getoption("arch_input"):
                raise UsageError(
                    f"--arch-model {self._subjects[0]} has to be called with something; say with what: "
                    "--arch-input 1x3x224x224",
                    see="arch-input",
                )
        except UsageError as error:
            raise pytest.UsageError(told(error)) from None
        self._alone = _is_alone(config)
        if self._alone:
            config.option.arch_summary = True
            config.option.no_cleanup = True  # what the project's other tests own is not unused

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Collect the models beside the project's tests; alone, where they were typed and no file was."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            others = [] if self._alone else report.result
            report.result = [*others, *self._collectors(collector)]
        return report

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode
    ) -> None:
        """Say what was compared with nothing, and what may be wrong where there are several models."""
        if exitstatus == pytest.ExitCode.TESTS_FAILED and len(self._subjects) > 1:
            terminalreporter.write_line(
                "archcheck: every --arch-input goes to every --arch-model; models with other inputs need a run of "
                "their own, or a test file"
            )
        for subject in self._subjects if exitstatus == pytest.ExitCode.OK else ():
            path = snapshot_path(self._config, subject)
            if not path.exists():
                shown = os.path.relpath(path, self._config.invocation_params.dir)
                terminalreporter.write_line(
                    f"archcheck: {subject} was compared with nothing; --snapshot-update writes {shown}, to commit"
                )

    def _collectors(self, session: pytest.Session) -> Iterator[GivenModel]:
        # of a folder that is not there: syrupy would take what lies in one for unused
        path = session.path / "--arch-model" / "models.py"
        for subject in self._subjects:
            given: GivenModel = GivenModel.from_parent(session, path=path, name=subject, nodeid=subject)
            given.inputs, given.kwargs = self._inputs, self._kwargs
            yield given


def _is_alone(config: pytest.Config) -> bool:
    """Whether the models were typed, not configured, and no file or folder was typed beside them."""
    typed = any(argument.startswith("--arch-model") for argument in config.invocation_params.args)
    return typed and config.args_source is not pytest.Config.ArgsSource.ARGS


class GivenModel(pytest.Module):
    """One model, in the place of a test module; its ``name`` says what to import."""

    inputs: Any
    kwargs: Any

    def _getobj(self) -> ModuleType:
        return ModuleType(self.name)

    def collect(self) -> Iterator[pytest.Function]:
        """Import the model, and state it of two tests."""
        from pytest_archcheck.marks import arch
        from pytest_archcheck.subjects import named

        where = str(self.config.invocation_params.dir)
        if where not in sys.path:
            sys.path.insert(0, where)  # as python -m pytest does
        try:
            model = named(self.name)
        except UsageError as error:
            raise self.CollectError(told(error)) from None
        mark = arch(model, inputs=self.inputs, kwargs=self.kwargs or None)
        compares = (
            self.config.getoption("update_snapshots", False) or snapshot_path(self.config, self.name).exists()
        )
        for test in (records, snapshot) if compares else (records,):
            function: pytest.Function = pytest.Function.from_parent(self, name=test.__name__, callobj=test)
            function.add_marker(mark)
            yield function


def records(arch_trace: Trace) -> None:
    """The model can be recorded; what the configuration states of every model is judged with it."""


def snapshot(arch_trace: Trace, arch_snapshot: SnapshotAssertion) -> None:
    """The model is what its snapshot says."""
    assert arch_trace == arch_snapshot


def given_model(item: pytest.Item) -> GivenModel | None:
    """The model that a test is about, if it is one of these."""
    return item.parent if isinstance(item.parent, GivenModel) else None


def snapshot_path(config: pytest.Config, subject: str) -> Path:
    """Where the snapshot of a model is: ``torchvision.models.resnet18.arch`` in the project's folder for them.

    Never in a ``__snapshots__``, where syrupy deletes what no test of a run compared with.
    """
    folder = str(config.getini("arch_snapshot_dir")) or "architecture"
    name = re.sub(r"[^\w.-]+", ".", subject.replace(".py:", ":")).strip(".")
    return config.rootpath / folder / f"{name}.arch"
