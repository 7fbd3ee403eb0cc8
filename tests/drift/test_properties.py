"""What holds for any record, any text and any two traces, tried on thousands of each."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_archcheck import FormatError, Trace, diff
from pytest_archcheck.drift.defaults import DEFAULTS
from pytest_archcheck.drift.reader import read
from pytest_archcheck.records import (
    LayerCall,
    Module,
    Op,
    Output,
    Ref,
    Section,
    StateTensor,
    Symbol,
    TensorSpec,
)
from tests.models import recorded

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}(\.[a-z0-9_]{1,3}){0,2}", fullmatch=True)
TYPES = st.sampled_from(["Conv2d", "ReLU", "Linear", "Sequential", "mine.Block", "timm.layers.DropPath"])
SHAPES = st.lists(st.integers(0, 9), max_size=3).map(tuple)
DTYPES = st.sampled_from(["float32", "float16", "int64", "bool"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.from_regex(r"[A-Za-z_][\w.]{0,8}", fullmatch=True).map(Symbol)
    | st.tuples(*[st.none() | st.integers(-5, 5)] * 3).map(lambda parts: {"slice": parts})
)
CONFIGS = st.dictionaries(
    st.sampled_from(["stride", "eps", "p", "training", "odd key", "groups"]), SCALARS, max_size=3
)


@st.composite
def modules_named(draw, name):
    """A module; those of ``torch.nn`` have all their settings, as recorded ones do."""
    cls = draw(TYPES)
    return Module(name, cls, {**DEFAULTS.get(cls, {}), **draw(CONFIGS)})


@st.composite
def traces(draw):
    """A trace of a few layers and ops over each other's results, with state, aliases and sections."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    inputs = tuple(TensorSpec(draw(SHAPES), draw(DTYPES), f"x{n}") for n in range(draw(st.integers(1, 2))))
    model = draw(modules_named(""))
    modules = [model, *(draw(modules_named(name)) for name in names)]
    made = [(Ref(f"in:{spec.path}"), TensorSpec(spec.shape, spec.dtype)) for spec in inputs]
    state = []
    for name in names:
        for leaf in draw(st.lists(st.sampled_from(["weight", "bias"]), max_size=2, unique=True)):
            kind = draw(st.sampled_from(["param", "buffer"]))
            trainable = kind == "param" and draw(st.booleans())
            tied = draw(st.sampled_from([None, *(t for t in state if t.tied_to is None)]))
            spec = TensorSpec(draw(SHAPES), draw(DTYPES)) if tied is None else tied.spec
            first = None if tied is None else tied.name
            state.append(StateTensor(f"{name}.{leaf}", kind, spec, trainable, first, draw(st.booleans())))
    calls, numbers = [], {}
    for _ in range(draw(st.integers(1, 6))):
        taken = draw(st.lists(st.sampled_from(made), min_size=1, max_size=2))
        args = (*(ref for ref, _ in taken), *draw(st.lists(SCALARS, max_size=2)))
        outputs = tuple(TensorSpec(draw(SHAPES), draw(DTYPES)) for _ in range(draw(st.integers(1, 2))))
        kwargs = draw(CONFIGS)
        specs = tuple(spec for _, spec in taken)
        module = draw(st.sampled_from(modules[1:]))
        key = (
            module.name if draw(st.booleans()) else f"{module.name}:{draw(st.sampled_from(['add', 'relu']))}"
        )
        numbers[key] = numbers.get(key, 0) + 1
        if ":" in key:
            scope, _, function = key.partition(":")
            call = Op(scope, function, numbers[key], args, kwargs, specs, outputs)
        else:
            own = tuple(t for t in state if t.name.rpartition(".")[0] == module.name)
            call = LayerCall(module, numbers[key], args, kwargs, specs, outputs, None, own)
        calls.append(call)
        made += [(Ref(call.id, index), spec) for index, spec in enumerate(outputs)]
    source, spec = draw(st.sampled_from(made))
    sections = draw(st.lists(st.builds(Section, NAMES, st.just(("one", "two words"))), max_size=1))
    return Trace(
        model,
        draw(st.booleans()),
        inputs,
        tuple(calls),
        (Output(spec.shape, spec.dtype, draw(st.sampled_from(["", "out", "[0]"])), source),),
        tuple(modules),
        tuple(state),
        sections=tuple(sections),
    )


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(traces())
def test_a_text_read_back_and_written_is_the_same_text(trace):
    text = trace.to_text()
    back = Trace.from_text(text)

    assert back.to_text() == text
    assert back == trace
    assert back.sections == trace.sections


@MANY
@given(traces())
def test_nothing_drifts_from_itself(trace):
    drift = diff(trace, Trace.from_text(trace.to_text()))

    assert drift.changes == ()
    assert not drift
    assert drift.renamed_keys == {}


@MANY
@given(traces(), traces())
def test_there_is_no_drift_between_equals_only(first, second):
    """And whatever two traces are compared, the drift can be told."""
    drift = diff(first, second)

    assert bool(drift) == (first != second)
    assert bool(drift) == bool(drift.causes)
    assert str(drift).splitlines()[0] == drift.verdict
    assert drift.severity == (max(c.severity for c in drift.changes) if drift else None)


def read_or_refused(text):
    """The trace in a text; ``None`` where it is refused with the number of a line."""
    problem = ""
    try:
        return read(text)
    except FormatError as error:
        problem = str(error)
    assert problem.startswith("line ")
    return None


REAL = st.sampled_from(["alexnet", "resnet18", "mobilenet_v3_small", "vit_b_16"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REAL, st.data())
def test_any_edit_of_one_line_is_told_or_refused(name, data):
    """Of a real text: a line deleted, doubled, exchanged with the next, or a figure in it changed."""
    lines = recorded(name).to_text().splitlines()
    at = data.draw(st.integers(0, len(lines) - 3))
    edit = data.draw(st.sampled_from(["delete", "double", "exchange", "figure"]))
    if edit == "delete":
        edited = [*lines[:at], *lines[at + 1 :]]
    elif edit == "double":
        edited = [*lines[: at + 1], *lines[at:]]
    elif edit == "exchange":
        edited = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
    else:
        edited = [*lines[:at], lines[at].replace("3", "5", 1), *lines[at + 1 :]]
    text = "\n".join(edited) + "\n"
    after = read_or_refused(text)

    if after is not None:
        assert bool(diff(recorded(name), after)) == (after.record_text != recorded(name).record_text)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_crash_the_reader(content):
    """Alone, after a header, and in the middle of a real text."""
    text = content.decode("utf-8", errors="replace")
    real = recorded("alexnet").to_text()
    for candidate in (text, f"archcheck 1\nmodel Net() eval\n{text}", real.replace("(%features.0)", text)):
        trace = read_or_refused(candidate)
        if trace is not None:
            assert Trace.from_text(trace.to_text()) == trace


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vit_b_16", "swin_t"])
def test_a_text_cut_anywhere_is_told(name):
    """At the end of every tenth line, and in the middle of it."""
    text = recorded(name).to_text()
    ends = [at for at, sign in enumerate(text) if sign == "\n"][:-1]
    for end in ends[::10]:
        for cut in (end + 1, end - 3):
            with pytest.raises(FormatError):
                read(text[:cut])


def test_what_is_not_the_record_makes_no_drift():
    """Placement, notes and sections of later releases."""
    trace = recorded("resnet18")
    other = replace(trace, placement="cuda", notes=("why",), sections=(Section("later", ("a line",)),))

    assert not diff(trace, other)
    assert trace == other
