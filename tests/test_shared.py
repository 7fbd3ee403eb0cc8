"""Which recordings tests share, and which they must not."""

import functools

import pytest
import torch
from torch import nn

from pytest_archcheck import RecordingError, spec
from pytest_archcheck.shared import SharedTraces

BUILT = []


@pytest.fixture
def built():
    """The widths of all models that were built."""
    BUILT.clear()
    return BUILT


def make(width=4):
    BUILT.append(width)
    return nn.Linear(2, width)


@pytest.fixture
def factory(built):
    return make


def make_at_the_second_time():
    BUILT.append(1)
    return nn.Linear(2 if len(BUILT) > 1 else 3, 4)


def ask(shared, model, inputs=(1, 2), **changes):
    stated = {"kwargs": None, "device": "meta", "train": False} | changes
    return shared.trace(model, inputs, **stated)


def test_one_factory_and_one_input_are_recorded_once(factory, built):
    shared = SharedTraces()

    assert ask(shared, factory) is ask(shared, factory)
    assert built == [4]


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": (2, 2)},
        {"inputs": spec(1, 2)},
        {"inputs": ((1, 2),)},
        {"train": True},
        {"device": "cpu"},
        {"kwargs": {}},
    ],
)
def test_whatever_is_stated_otherwise_is_recorded_anew(factory, changes):
    shared = SharedTraces()
    first = ask(shared, factory)

    assert ask(shared, factory, **changes) is not first


def test_a_partial_is_known_by_its_arguments(factory, built):
    shared = SharedTraces()

    for width in (4, 8, 4, 8):
        assert ask(shared, functools.partial(factory, width=width)).output.shape == (1, width)

    assert built == [4, 8]


def test_functions_made_in_one_place_differ_by_what_they_close_over():
    def maker(width):
        return lambda: nn.Linear(2, width)

    shared = SharedTraces()

    assert [ask(shared, maker(width)).output.shape for width in (3, 5)] == [(1, 3), (1, 5)]


def test_a_module_is_recorded_every_time():
    """Somebody may have changed it."""
    model, shared = nn.Sequential(nn.Linear(2, 4)), SharedTraces()
    first = ask(shared, model)
    model[0] = nn.Linear(2, 6)

    assert (first.output.shape, ask(shared, model).output.shape) == ((1, 4), (1, 6))


def test_a_factory_that_keeps_its_model_is_asked_every_time():
    model, shared = nn.Sequential(nn.Linear(2, 4)), SharedTraces()
    kept = [model]

    def give():
        return kept[0]

    first = ask(shared, give)
    model[0] = nn.Linear(2, 6)

    assert (first.output.shape, ask(shared, give).output.shape) == ((1, 4), (1, 6))


def test_a_method_is_asked_every_time():
    class Project:
        width = 4

        def model(self):
            return nn.Linear(2, self.width)

    project, shared = Project(), SharedTraces()
    first = ask(shared, project.model)
    project.width = 6

    assert (first.output.shape, ask(shared, project.model).output.shape) == ((1, 4), (1, 6))


def test_inputs_that_may_be_written_to_are_not_shared(factory, built):
    shared = SharedTraces()
    x = torch.zeros(1, 2)
    ask(shared, factory, inputs=x)
    x.resize_(3, 2)

    assert ask(shared, factory, inputs=x).output.shape == (3, 4)
    assert len(built) == 2


@pytest.mark.parametrize("fixture", ["monkeypatch", "mocker"])
def test_a_test_that_replaces_things_has_its_own(factory, built, fixture):
    shared = SharedTraces()
    ask(shared, factory)
    ask(shared, factory, fixtures=["request", fixture])

    assert len(built) == 2


def test_another_environment_has_its_own(monkeypatch):
    import os

    shared = SharedTraces()
    first = ask(shared, _by_environment)
    monkeypatch.setenv("WIDTH", "6")

    assert (first.output.shape, ask(shared, _by_environment).output.shape) == ((1, 4), (1, 6))
    assert os.environ["WIDTH"] == "6"


def _by_environment():
    import os

    return nn.Linear(2, int(os.environ.get("WIDTH", "4")))


def test_another_default_dtype_has_its_own(factory):
    shared = SharedTraces()
    first = ask(shared, factory)
    torch.set_default_dtype(torch.float64)
    try:
        second = ask(shared, factory)
    finally:
        torch.set_default_dtype(torch.float32)

    assert (first.output.dtype, second.output.dtype) == ("float32", "float64")


def test_a_failed_recording_is_not_kept(built):
    shared = SharedTraces()
    with pytest.raises(RecordingError, match="Linear failed"):
        ask(shared, make_at_the_second_time)

    assert ask(shared, make_at_the_second_time).output.shape == (1, 4)


def test_the_oldest_is_forgotten(factory, built):
    shared = SharedTraces()
    for width in range(1, 70):
        ask(shared, functools.partial(factory, width))
    ask(shared, functools.partial(factory, 69))
    ask(shared, functools.partial(factory, 1))

    assert built == [*range(1, 70), 1]


COUNTED = """
import pathlib
from torch import nn
from pytest_archcheck import *

def make():
    with pathlib.Path(__file__).with_name("built").open("a") as file:
        file.write("x")
    return nn.Linear(2, 4)

@arch(make, inputs=(1, 2))
class TestLinear:
    @arch_output(1, 4)
    @arch_params(12)
    @arch_same_as(make)
    def test_marks(self):
        pass

    def test_fixture(self, arch_trace):
        assert arch_trace.macs == 8

    def test_snapshot(self, arch_trace, arch_snapshot):
        assert arch_trace == arch_snapshot

    def test_replaced(self, arch_trace, monkeypatch):
        assert arch_trace.macs == 8
"""


def test_marks_fixtures_and_references_of_a_run_share_one(pytester):
    path = pytester.makepyfile(COUNTED)

    pytester.runpytest_subprocess("-p", "no:randomly", "--snapshot-update").assert_outcomes(passed=4)

    assert (path.parent / "built").read_text() == "xx"
