"""The pytest plugin: options, markers and hooks, and nothing else. It imports no torch.

The marks of a test are judged in its call phase on one recorded trace, together with its body, which always
runs; one failure reports both.
"""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_archcheck.checked import CheckedTests
from pytest_archcheck.cleanup import CleanupGuard
from pytest_archcheck.errors import UsageError, more, told
from pytest_archcheck.fixtures import (
    STATEMENTS,
    arch_inputs,
    arch_kwargs,
    arch_model,
    arch_snapshot,
    arch_trace,
)
from pytest_archcheck.run_reports import RunReports
from pytest_archcheck.snapshot_reports import SnapshotReports

__all__ = ["arch_inputs", "arch_kwargs", "arch_model", "arch_snapshot", "arch_trace"]

if TYPE_CHECKING:
    from pytest_archcheck.invariants import Invariant

_MARKERS = (
    "arch(model, *, inputs, kwargs=None, train=False): the model under test; "
    "as a bare mark write pytest.mark.arch.with_args(…)",
    "arch_depth(n, *, convention): layers under a named depth convention",
    "arch_layers(Conv2d=20, …): how many modules of each class ran",
    "arch_params(total or {module: number}, *, trainable, rel, abs, at_most, at_least): parameters",
    "arch_macs(total or {module: number}, *, rel, abs, at_most, at_least, counter='macs'): "
    "multiply-accumulates of one forward",
    "arch_flops(total or {module: number}, *, rel, abs, at_most, at_least, counter='macs'): 2 × MACs",
    "arch_size(mib or {module: mib}, *, rel=0.005, abs, at_most, at_least): size of the saved state in MiB",
    "arch_activations(mib, *, rel, abs, at_most, at_least): estimated peak of a forward's activations in MiB",
    "arch_output(*shape, path=None): shape of the main output, or of another",
    "arch_shapes({pattern: shape, …}): output shapes of layers",
    "arch_stages((3, 4, 6, 3)): number of repeated blocks in each stage",
    "arch_shortcuts(identity=12, projection=4, …): kinds of the shortcuts of residual sums",
    "arch_receptive_field(size, *, stride=None, at=None): input positions that one position sees",
    "arch_same_as(reference): the architecture of another model, up to names; "
    "as a bare mark write pytest.mark.arch_same_as.with_args(…)",
    "arch_frozen(*patterns): these parameters need no gradient, and all others do",
    "arch_tied(name, name, …): these names are one tensor",
    "arch_no_unused(*, allow=()): every trainable parameter is used for an output, by the data flow alone",
    "arch_checkpoint(path or keys): the model takes every tensor of a checkpoint, by name and shape",
    "arch_shapes_for('B 3 H W', 'B 1000', B=(1, 3), H=(224, 256), W=224): the shape contract for other sizes",
    "arch_mode_parity(): training and evaluation run the same layers, but for dropout, norms and auxiliary heads",
    "arch_dtype(name, *, autocast=False, allow=()): no layer gives another floating dtype, and nothing float64",
    "arch_initialised(*, allow=()): parameters are initialised, and every tensor is a parameter or a buffer",
    "arch_exportable(*, export=True, compile=True): torch.export and torch.compile(fullgraph=True) take the model",
    "arch_gradients(*, allow=()): every trainable parameter gets a finite gradient that is not zero",
    "arch_batch_independent(*, dim=0): no output row depends on another input row",
    "arch_causal(*, dim=1): no output depends on a later position",
    "arch_deterministic(): nothing is drawn at random",
)
_BUDGETS: pytest.StashKey[tuple[tuple[str, Invariant], ...]] = pytest.StashKey()
"""What the configuration states of every model."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("archcheck", "architecture invariants of PyTorch models")
    group.addoption(
        "--arch-device",
        metavar="DEVICE",
        help="where to record: auto (CUDA where there is one, else meta, else cpu), meta, cpu, cuda, cuda:N, fake",
    )
    parser.addini("arch_device", "where to record, see --arch-device", default="auto")
    group.addoption(
        "--arch-fail-on",
        metavar="SEVERITIES",
        help="severities of drift that fail a snapshot: breaking, behaviour, training, cost, cosmetic, several with "
        "commas, or none",
    )
    parser.addini(
        "arch_fail_on",
        "severities of drift that fail a snapshot, see --arch-fail-on; empty: all but cosmetic",
        default="",
    )
    group.addoption(
        "--arch-model",
        metavar="MODEL",
        action="append",
        default=[],
        help="check this model without a test file: module:callable, as in torchvision.models:resnet18, or "
        "path/file.py:callable; alone where no file or folder is typed; may be given again",
    )
    group.addoption(
        "--arch-input",
        metavar="[NAME=]SHAPE[:DTYPE[:HIGH]]",
        action="append",
        default=[],
        help="what the models of --arch-model are called with: 1x3x224x224, input_ids=1x128:int64:30522; once for "
        "each input, and all of them for each model",
    )
    group.addoption(
        "--arch-summary", action="store_true", help="print the table of every model that was checked"
    )
    group.addoption(
        "--arch-report",
        metavar="FILE",
        help="write a page of all that was checked, one .html file that needs nothing else",
    )
    group.addoption(
        "--arch-json", metavar="FILE", help="write all that was checked for programs; see docs/reports.md"
    )
    parser.addini(
        "arch_budgets",
        "limits for every model that a test records, as in macs <= 5G, params of head <= 10M, size <= 400 MiB",
        type="linelist",
        default=[],
    )
    parser.addini(
        "arch_snapshot_dir",
        "folder for all .arch snapshots, relative to the configuration file; empty: beside the tests",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    _give_models(config)
    config.pluginmanager.register(CleanupGuard(), "archcheck-cleanup")
    config.pluginmanager.register(SnapshotReports(), "archcheck-snapshots")
    config.pluginmanager.register(CheckedTests(config), "archcheck-checked")
    config.pluginmanager.register(RunReports(config), "archcheck-reports")
    config.stash[_BUDGETS] = _budgets(config)
    _check_options(config)
    if sys.stdout.isatty():
        _show_progress(config)


def _give_models(config: pytest.Config) -> None:
    if config.getoption("arch_model"):
        from pytest_archcheck.given import GivenModels

        config.pluginmanager.register(GivenModels(config), "archcheck-given")
    elif config.getoption("arch_input"):
        raise pytest.UsageError(
            "--arch-input goes with --arch-model, and no model is given; add --arch-model module:callable\n"
            + more("arch-model")
        )


def _show_progress(config: pytest.Config) -> None:
    """Give the progress of recordings a way to the terminal that is not captured."""
    from pytest_archcheck.reports import progress

    stream = progress.terminal = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")

    def take_away() -> None:
        progress.terminal = None
        stream.close()

    config.add_cleanup(take_away)


def _budgets(config: pytest.Config) -> tuple[tuple[str, Invariant], ...]:
    lines = config.getini("arch_budgets")
    if not lines:
        return ()
    from pytest_archcheck.budgets import budgets_of

    try:
        return budgets_of(lines)
    except UsageError as error:
        raise pytest.UsageError(told(error)) from None


def _check_options(config: pytest.Config) -> None:
    """A wrong device or severity is told before anything runs; where none is stated, nothing is imported."""
    device = config.getoption("arch_device") or config.getini("arch_device")
    if device != "auto":
        from pytest_archcheck.devices import check_name

        try:
            check_name(device)
        except UsageError as error:
            raise pytest.UsageError(f"arch_device: {told(error)}") from None
    if config.getoption("arch_fail_on") or config.getini("arch_fail_on"):
        from pytest_archcheck.snapshots import failing_in

        try:
            failing_in(config)
        except UsageError as error:
            raise pytest.UsageError(f"arch_fail_on: {told(error)}") from None


# -- marks -----------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say at collection what is wrong with a mark, on every xdist worker alike."""
    if not _has_marks(metafunc.definition):
        return
    from pytest_archcheck.statements import statements_of

    try:
        statements_of(metafunc.definition)
    except UsageError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {told(error)}") from None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test with a mark to judge needs a trace, whether it asks for the fixture or not."""
    if not isinstance(item, pytest.Function) or not (_has_marks(item) or _has_budgets(item)):
        return
    from pytest_archcheck.statements import statements_of

    try:
        statements = statements_of(item)
    except UsageError:
        return  # a mark of one parameter set; told in set-up
    if _has_budgets(item) and (statements or "arch_trace" in item.fixturenames):
        from pytest_archcheck.budgets import that_apply

        statements = statements.also(that_apply(item.config.stash[_BUDGETS], statements.invariants))
    item.stash[STATEMENTS] = statements
    if statements.invariants and "arch_trace" not in item.fixturenames:
        item.fixturenames.append("arch_trace")
    is_its_own = any(mark.name == "arch" for mark in item.own_markers)
    if is_its_own and not any(name.startswith("arch_") for name in item.fixturenames):
        item.warn(
            pytest.PytestWarning(
                f"{item.name} states nothing of its model, which is not recorded; add a mark, as in @arch_depth, or "
                f"ask for arch_trace\n{more('arch')}"
            )
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not isinstance(item, pytest.Function) or not _has_marks(item):
        return
    if isinstance(item.cls, type) and issubclass(item.cls, unittest.TestCase):
        pytest.fail(
            f"{item.nodeid} is a unittest.TestCase, whose marks cannot be judged; "
            f"write it as a function or in a plain class\n{more('marks')}",
            pytrace=False,
        )
    if STATEMENTS not in item.stash:
        from pytest_archcheck.statements import statements_of

        try:
            statements_of(item)
        except UsageError as error:
            raise pytest.fail.Exception(told(error), pytrace=False) from None


def _has_marks(node: pytest.Item) -> bool:
    """Whether the rooms behind the marks are needed at all."""
    return any(mark.name.startswith("arch") for mark in node.iter_markers())


def _has_budgets(item: pytest.Item) -> bool:
    """Whether the configuration states something of what this test records."""
    if not item.config.stash.get(_BUDGETS, ()):
        return False
    return "arch_trace" in getattr(item, "fixturenames", ()) or _has_marks(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    statements = pyfuncitem.stash.get(STATEMENTS, None)
    if statements is None or not statements.invariants:
        return (yield)
    from pytest_archcheck.judging import judge

    try:
        result = yield
    except (Exception, pytest.fail.Exception) as error:
        report = judge(pyfuncitem, statements)
        if report:
            error.add_note(f"and the marks of this test do not hold:\n{report}")
        raise
    report = judge(pyfuncitem, statements)
    if report:
        pytest.fail(report, pytrace=False)
    return result
