"""The pytest plugin: options, markers, fixtures and hooks, and nothing else. It imports no torch.

The marks of a test are judged in its call phase on one recorded trace, together with its body, which always
runs; one failure reports both.
"""

from __future__ import annotations

import unittest
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_archcheck.cleanup import CleanupGuard
from pytest_archcheck.errors import ArchcheckError, UsageError

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from pytest_archcheck.invariants import Violation
    from pytest_archcheck.marks import ModelUnderTest, Statements
    from pytest_archcheck.traces import Trace

_MARKERS = (
    "arch(model, *, inputs, kwargs=None, train=False): the model under test; "
    "as a bare mark write pytest.mark.arch.with_args(…)",
    "arch_depth(n, *, convention): layers under a named depth convention",
    "arch_layers(Conv2d=20, …): how many modules of each class ran",
    "arch_params(total=None, *, trainable=None, at_most=None): parameters",
    "arch_macs(total=None, *, rel=None, at_most=None): multiply-accumulates of one forward",
    "arch_flops(total=None, *, rel=None, at_most=None): 2 × MACs",
    "arch_size(mib, *, rel=0.005): size of the saved state in MiB",
    "arch_output(*shape, path=None): shape of the main output, or of another",
    "arch_shapes({pattern: shape, …}): output shapes of layers",
    "arch_stages((3, 4, 6, 3)): number of repeated blocks in each stage",
    "arch_shortcuts(identity=12, projection=4, …): kinds of the shortcuts of residual sums",
    "arch_receptive_field(size, *, stride=None, at=None): input positions that one position sees",
    "arch_same_as(reference): the architecture of another model, up to names; "
    "as a bare mark write pytest.mark.arch_same_as.with_args(…)",
)
_STATEMENTS = pytest.StashKey["Statements"]()
_RECORDER = pytest.StashKey["partial[Trace]"]()
"""Records another model as the model under test was."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("archcheck", "architecture invariants of PyTorch models")
    group.addoption(
        "--arch-device",
        metavar="DEVICE",
        help="where to record: auto (CUDA where there is one, else meta, else cpu), meta, cpu, cuda, cuda:N, fake",
    )
    parser.addini("arch_device", "where to record, see --arch-device", default="auto")
    parser.addini(
        "arch_snapshot_dir",
        "folder for all .arch snapshots, relative to the configuration file; empty: beside the tests",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(CleanupGuard(), "archcheck-cleanup")


# -- marks -----------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say at collection what is wrong with a mark, on every xdist worker alike."""
    if not _has_marks(metafunc.definition):
        return
    from pytest_archcheck.marks import statements_of

    try:
        statements_of(metafunc.definition)
    except UsageError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test with a mark to judge needs a trace, whether it asks for the fixture or not."""
    if not isinstance(item, pytest.Function) or not _has_marks(item):
        return
    from pytest_archcheck.marks import statements_of

    try:
        item.stash[_STATEMENTS] = statements = statements_of(item)
    except UsageError:
        return  # a mark of one parameter set; told in set-up
    if statements.invariants and "arch_trace" not in item.fixturenames:
        item.fixturenames.append("arch_trace")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not isinstance(item, pytest.Function) or not _has_marks(item):
        return
    if isinstance(item.cls, type) and issubclass(item.cls, unittest.TestCase):
        pytest.fail(
            f"{item.nodeid} is a unittest.TestCase, whose marks cannot be judged; "
            "write it as a function or in a plain class",
            pytrace=False,
        )
    if _STATEMENTS not in item.stash:
        from pytest_archcheck.marks import statements_of

        try:
            statements_of(item)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None


def _has_marks(node: pytest.Item) -> bool:
    """Whether the rooms behind the marks are needed at all."""
    return any(mark.name.startswith("arch") for mark in node.iter_markers())


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    statements = pyfuncitem.stash.get(_STATEMENTS, None)
    if statements is None or not statements.invariants:
        return (yield)
    try:
        result = yield
    except (Exception, pytest.fail.Exception) as error:
        report = _judge(pyfuncitem, statements)
        if report:
            error.add_note(f"and the marks of this test do not hold:\n{report}")
        raise
    report = _judge(pyfuncitem, statements)
    if report:
        pytest.fail(report, pytrace=False)
    return result


def _judge(item: pytest.Function, statements: Statements) -> str:
    """The report of every mark that the recorded trace violates; empty when all hold."""
    from pytest_archcheck.invariants import Context
    from pytest_archcheck.reports.violations import render_violations

    trace = cast("Trace", item.funcargs["arch_trace"])
    context = Context(recorder=item.stash.get(_RECORDER, None))
    violations: list[tuple[str, Violation]] = []
    for text, invariant in statements.invariants:
        try:
            violations += [(text, violation) for violation in invariant.check(trace, context)]
        except ArchcheckError as error:
            return f"{item.nodeid}: {text}: {error}"
    if not violations:
        return ""
    full = item.config.get_verbosity() >= 2
    return render_violations(trace, violations, len(statements.invariants), full=full)


# -- fixtures --------------------------------------------------------------------------------------


@pytest.fixture
def arch_model(request: pytest.FixtureRequest) -> Any:
    """The model under test, really built. Override it to give the model by a fixture."""
    from pytest_archcheck.recording import build

    subject = _subject(request)
    if subject is None:
        pytest.fail(_no_model(request), pytrace=False)
    try:
        return build(subject.model)
    except ArchcheckError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def arch_inputs(request: pytest.FixtureRequest) -> Any:
    """What the model under test is called with, as stated. Override it beside ``arch_model``."""
    subject = _subject(request)
    if subject is None:
        pytest.fail(_no_inputs(request), pytrace=False)
    return subject.inputs


@pytest.fixture
def arch_kwargs(request: pytest.FixtureRequest) -> Any:
    """The forward's keyword arguments, as stated. Override it beside ``arch_inputs``."""
    subject = _subject(request)
    return None if subject is None else subject.kwargs


@pytest.fixture
def arch_trace(request: pytest.FixtureRequest) -> Trace:
    """The trace of the model under test, recorded once for the test."""
    subject = _subject(request)
    if subject is not None:
        model, inputs = subject.model, subject.inputs
        kwargs, train = subject.kwargs, subject.train
    else:
        model, inputs = request.getfixturevalue("arch_model"), request.getfixturevalue("arch_inputs")
        kwargs, train = request.getfixturevalue("arch_kwargs"), False
    from pytest_archcheck.recording import trace

    config = request.config
    device = config.getoption("arch_device") or config.getini("arch_device")
    record = partial(trace, inputs=inputs, kwargs=kwargs, device=device, train=train)
    request.node.stash[_RECORDER] = record
    try:
        return record(model)
    except ArchcheckError as error:
        raise pytest.fail.Exception(f"{request.node.nodeid}: {error}", pytrace=False) from None


@pytest.fixture
def arch_snapshot(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Syrupy's snapshot fixture for traces: ``assert arch_trace == arch_snapshot``."""
    from pytest_archcheck.snapshots import extension_for

    return snapshot.use_extension(extension_for(request.config))


def _subject(request: pytest.FixtureRequest) -> ModelUnderTest | None:
    node: pytest.Item = request.node
    statements = node.stash.get(_STATEMENTS, None)
    return None if statements is None else statements.subject


def _no_model(request: pytest.FixtureRequest) -> str:
    return (
        f"{request.node.nodeid} states or asks for an architecture and names no model; "
        "add @arch(model, inputs=…), or define the fixtures arch_model and arch_inputs"
    )


def _no_inputs(request: pytest.FixtureRequest) -> str:
    return (
        f"{request.node.nodeid} has a model and no inputs to call it with; "
        "define the fixture arch_inputs, as in return (1, 3, 224, 224)"
    )


# -- snapshots -------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
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
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and isinstance(item, pytest.Function) and "arch_snapshot" in item.fixturenames:
        from pytest_archcheck.snapshots import explain_mismatch, keep_snapshots

        for name, before, after in _drifted(item.funcargs.get("arch_snapshot")):
            report.sections.append(("architecture drift", explain_mismatch(before, after, name)))
        keep_snapshots(item)
    return report


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
