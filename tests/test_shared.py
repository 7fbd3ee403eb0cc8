"""Which recordings tests share, and which they must not."""

import functools

import pytest
import torch
import torchvision
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


KEPT_BACKBONE = nn.Sequential(nn.Linear(2, 2))


def give_a_kept_backbone():
    return nn.Sequential(KEPT_BACKBONE, nn.Linear(2, 3))


KEPT = nn.Sequential(nn.Linear(2, 4))


def give_the_kept():
    return KEPT


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


def test_a_function_is_asked_again_when_what_it_closes_over_changed():
    width = 3

    def factory():
        return nn.Linear(2, width)

    shared = SharedTraces()
    first = ask(shared, factory)
    width = 5

    assert (first.output.shape, ask(shared, factory).output.shape) == ((1, 3), (1, 5))


def test_a_module_is_recorded_every_time():
    """Somebody may have changed it."""
    model, shared = nn.Sequential(nn.Linear(2, 4)), SharedTraces()
    first = ask(shared, model)
    model[0] = nn.Linear(2, 6)

    assert (first.output.shape, ask(shared, model).output.shape) == ((1, 4), (1, 6))


def test_a_factory_that_keeps_its_model_is_asked_every_time():
    shared = SharedTraces()
    first = ask(shared, give_the_kept)
    KEPT[0] = nn.Linear(2, 6)

    assert (first.output.shape, ask(shared, give_the_kept).output.shape) == ((1, 4), (1, 6))


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


def test_a_factory_that_keeps_a_part_of_its_model_is_asked_every_time():
    shared = SharedTraces()
    first = ask(shared, give_a_kept_backbone)
    KEPT_BACKBONE[0] = nn.Linear(2, 2, bias=False)

    assert (first.params.total, ask(shared, give_a_kept_backbone).params.total) == (15, 13)


def test_a_function_that_holds_itself_is_asked_every_time():
    def build(depth=2):
        return nn.Linear(2, 2) if depth == 0 else nn.Sequential(build(depth - 1), nn.ReLU())

    shared = SharedTraces()

    assert ask(shared, build) is not ask(shared, build)


def test_values_that_are_equal_and_not_the_same_differ():
    """``1``, ``True`` and ``1.0`` are three keys and three values."""
    shared = SharedTraces()
    found = [ask(shared, functools.partial(make_with, {key: key})) for key in (1, True, 1.0, 0.0, -0.0)]

    assert len({id(one) for one in found}) == 5


def make_with(settings):
    return nn.Linear(2, 4)


def test_torchvisions_factories_are_shared():
    """They are wrapped, and close over members of an enumeration."""
    shared = SharedTraces()
    factory = torchvision.models.squeezenet1_1

    assert ask(shared, factory, (1, 3, 64, 64)) is ask(shared, factory, (1, 3, 64, 64))


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


def test_what_was_asked_for_longest_ago_is_forgotten(factory, built):
    shared = SharedTraces()
    for width in (*range(1, 65), 1, 65, 1, 2):  # when 65 comes, 2 is the one that was asked for longest ago
        ask(shared, functools.partial(factory, width))

    assert built == [*range(1, 65), 65, 2]


REPLACED = """
import unittest.mock
import pytest
import torch
from torch import nn
from pytest_archcheck import *

WIDTH = 4

class Net(nn.Linear):
    inside = 2

    def __init__(self):
        super().__init__(self.inside, WIDTH)

@pytest.fixture
def wider():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(__import__(__name__), "WIDTH", 6)
        yield

@pytest.fixture
def mocked():
    with unittest.mock.patch.object(Net, "inside", 3):
        yield

@pytest.fixture
def cast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield

def shape(trace):
    return trace.params.total, trace.output.dtype

@arch(Net, inputs=spec(1, 2))
class TestReplaced:
    def test_a(self, arch_trace):
        assert shape(arch_trace) == (12, "float32")

    def test_b(self, wider, arch_trace):
        assert shape(arch_trace) == (18, "float32")

    @arch(Net, inputs=spec(1, 3))
    def test_c(self, mocked, arch_trace):
        assert shape(arch_trace) == (16, "float32")

    def test_d(self, cast, arch_trace):
        assert shape(arch_trace) == (12, "bfloat16")

    def test_e(self, arch_trace, tmp_path, capsys):
        assert shape(arch_trace) == (12, "float32")

@arch(Net, inputs=(1, 2))
class TestSetUp:
    def setup_method(self):
        global WIDTH
        WIDTH = 5

    def teardown_method(self):
        global WIDTH
        WIDTH = 4

    def test_f(self, arch_trace):
        assert shape(arch_trace) == (15, "float32")
"""


def test_what_fixtures_and_set_up_methods_replace_is_recorded(pytester):
    pytester.makepyfile(REPLACED)

    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=6)


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
