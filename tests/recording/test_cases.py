"""Each small model's record, wherever it can be made; and the model afterwards."""

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from pytest_archcheck import RecordingError, Trace, trace
from pytest_archcheck.recording.sources import Sources
from tests.recording.cases import load
from tests.recording.fingerprint import assert_same, fingerprint

CASES = load()
QUIET = {name: case for name, case in CASES.items() if name != "RunsAThread"}  # an error there dies there
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def _record(case, model, **options):
    return trace(model, case.inputs, kwargs=case.kwargs, **options)


@every_case
def test_the_record_states_the_facts(case):
    recorded = _record(case, case.model())

    assert tuple(call.id for call in recorded) == case.calls
    assert recorded.macs == case.macs
    assert recorded.params.total == case.params
    assert (recorded.output.shape, recorded.output.dtype) == (case.output, case.dtype)
    assert recorded.status == case.status
    if not torch.cuda.is_available():
        assert recorded.placement == case.placement
    if case.facts:
        case.facts(recorded)


@every_case
def test_the_text_is_the_same_on_every_placement_and_reads_back(case):
    """What ``auto`` records on meta is the same on cpu, and on fake where that can run it."""
    model = case.model()
    on_cpu = _record(case, model, device="cpu")
    if case.placement == "meta":
        assert _record(case, model, device="meta").to_text() == on_cpu.to_text()
    assert Trace.from_text(on_cpu.to_text()) == on_cpu


@every_case
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_the_model_stays_to_the_bit(case, device):
    """In evaluation and in training mode, also where it cannot be recorded."""
    model = case.model()
    before = fingerprint(model, case.inputs, case.kwargs)
    for train in case.modes:
        try:
            _record(case, model, device=device, train=train)
        except RecordingError:
            assert device != case.placement
        assert_same(before, fingerprint(model, case.inputs, case.kwargs))


class Injected(Exception):
    """Raised in the middle of a recording."""


class Bomb:
    """Raises at the n-th time that it is touched."""

    def __init__(self, count, error):
        self.left = count
        self.error = error

    def touch(self, *args):
        self.left -= 1
        if self.left == 0:
            raise self.error


@pytest.mark.parametrize("case", QUIET.values(), ids=QUIET)
@pytest.mark.parametrize(
    "error", [Injected("injected"), KeyboardInterrupt("injected")], ids=lambda e: type(e).__name__
)
def test_an_exception_at_any_layer_call_leaves_no_mark(case, error):
    """Each layer call raises in turn, in both modes; an interrupt is the user's."""
    model = case.model()
    before = fingerprint(model, case.inputs, case.kwargs)
    for train in case.modes:
        count = 0
        while True:
            count += 1
            bomb = Bomb(count, error)
            handle = register_module_forward_pre_hook(bomb.touch)
            try:
                _record(case, model, device=case.placement, train=train)
            except (RecordingError, KeyboardInterrupt) as raised:
                assert error in (raised, raised.__cause__)  # noqa: PT017
            finally:
                handle.remove()
            assert_same(before, fingerprint(model, case.inputs, case.kwargs))
            if bomb.left > 0:
                break
        assert count > 1 or case.name == "OwnCall"  # which runs past all hooks


@every_case
def test_an_exception_in_the_recorder_leaves_no_mark(case, monkeypatch):
    """Wherever results are marked, our own code raises."""
    model = case.model()
    before = fingerprint(model, case.inputs, case.kwargs)
    mark = Sources.mark_results
    count = 0
    while True:
        count += 1
        bomb = Bomb(count, Injected("in the recorder"))

        def explode(self, *args, bomb=bomb):
            bomb.touch()
            return mark(self, *args)

        monkeypatch.setattr(Sources, "mark_results", explode)
        try:
            _record(case, model, device=case.placement)
        except RecordingError as raised:
            assert raised.__cause__ is bomb.error  # noqa: PT017
        assert_same(before, fingerprint(model, case.inputs, case.kwargs))
        if bomb.left > 0:
            break
