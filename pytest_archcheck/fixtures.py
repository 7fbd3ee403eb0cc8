"""The fixtures: the model under test, what it is called with, its trace and its snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_archcheck.behaviour import Probes
from pytest_archcheck.errors import ArchcheckError, more, told
from pytest_archcheck.shared import SharedTraces

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from pytest_archcheck.recording.counters import SecondCount
    from pytest_archcheck.statements import ModelUnderTest, Statements
    from pytest_archcheck.traces import Trace

STATEMENTS: pytest.StashKey[Statements] = pytest.StashKey()
"""What the marks of a test and the configuration state."""
RECORDER: pytest.StashKey[partial[Trace]] = pytest.StashKey()
"""Records another model as the model under test was."""
SHARED: pytest.StashKey[SharedTraces] = pytest.StashKey()
"""The traces that tests share."""
COUNTER: pytest.StashKey[partial[SecondCount]] = pytest.StashKey()
"""Lets a second counter run the model under test."""
PROBES: pytest.StashKey[Probes] = pytest.StashKey()
"""Runs the model under test again."""

SECONDS: pytest.StashKey[float] = pytest.StashKey()
"""How long the recording of a test took; missing where it took another's."""

_HARMLESS = ("_pytest", "syrupy", "xdist", "pytest_archcheck")
"""Whose fixtures change nothing that a recording depends on, but for ``monkeypatch``."""


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
        raise pytest.fail.Exception(told(error), pytrace=False) from None


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
    """The trace of the model under test, recorded once; see ``shared`` for the tests that share it."""
    subject = _subject(request)
    if subject is not None:
        model, inputs = subject.model, subject.inputs
        kwargs, train = subject.kwargs, subject.train
    else:
        model, inputs = request.getfixturevalue("arch_model"), request.getfixturevalue("arch_inputs")
        kwargs, train = request.getfixturevalue("arch_kwargs"), False
    from pytest_archcheck.recording import second_count

    config = request.config
    device = config.getoption("arch_device") or config.getini("arch_device")
    shared = config.stash.setdefault(SHARED, SharedTraces())
    record = partial(
        shared.trace,
        inputs=inputs,
        kwargs=kwargs,
        device=device,
        train=train,
        sets_up=_sets_things_up(request.node),
    )
    request.node.stash[RECORDER] = record
    request.node.stash[COUNTER] = partial(
        second_count, model, inputs, kwargs=kwargs, device=device, train=train
    )
    request.node.stash[PROBES] = Probes(model, inputs, kwargs, device, train)
    try:
        trace = record(model)
    except ArchcheckError as error:
        raise pytest.fail.Exception(f"{request.node.nodeid}: {told(error)}", pytrace=False) from None
    if shared.seconds is not None:
        request.node.stash[SECONDS] = shared.seconds
    return trace


@pytest.fixture
def arch_snapshot(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Syrupy's snapshot fixture for traces: ``assert arch_trace == arch_snapshot``."""
    from pytest_archcheck.snapshots import ArchSnapshot, extension_for

    arch_snapshot = snapshot.use_extension(extension_for(request.node))
    arch_snapshot.__class__ = ArchSnapshot
    return arch_snapshot


def _subject(request: pytest.FixtureRequest) -> ModelUnderTest | None:
    node: pytest.Item = request.node
    statements = node.stash.get(STATEMENTS, None)
    return None if statements is None else statements.subject


def _sets_things_up(item: pytest.Item) -> bool:
    """Whether a test has a fixture, autouse and set-up methods included, that might change what is recorded."""
    info = getattr(item, "_fixtureinfo", None)
    fixtures: Mapping[str, Sequence[Any]] = {} if info is None else info.name2fixturedefs
    functions = [fixture.func for found in fixtures.values() for fixture in found]
    return info is None or "monkeypatch" in fixtures or not all(map(_is_harmless, functions))


def _is_harmless(function: Any) -> bool:
    package = str(getattr(function, "__module__", "")).partition(".")[0]
    return package in _HARMLESS and not str(getattr(function, "__name__", "")).startswith("xunit_setup")


def _no_model(request: pytest.FixtureRequest) -> str:
    return (
        f"{request.node.nodeid} states or asks for an architecture and names no model; "
        f"add @arch(model, inputs=…), or define the fixtures arch_model and arch_inputs\n{more('arch')}"
    )


def _no_inputs(request: pytest.FixtureRequest) -> str:
    return (
        f"{request.node.nodeid} has a model and no inputs to call it with; "
        f"define the fixture arch_inputs, as in return (1, 3, 224, 224)\n{more('inputs')}"
    )
