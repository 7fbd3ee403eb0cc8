"""The ``.arch`` text: canonical, readable, and back to an equal trace."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pytest_archcheck import FormatError, Trace, spec, trace
from pytest_archcheck.drift.reader import read
from pytest_archcheck.drift.tokens import Tokens
from pytest_archcheck.drift.values import read_value
from pytest_archcheck.drift.writer import value_text
from pytest_archcheck.records import Ref, Symbol
from tests.models import recorded

MODELS = ["alexnet", "densenet121", "efficientnet_b0", "googlenet", "resnet50", "swin_t", "vit_b_16"]


@pytest.mark.parametrize("name", MODELS)
def test_a_text_reads_back_to_an_equal_trace(name):
    """Equal as a record, as text with derived numbers, and in every question put to it."""
    original = recorded(name)
    back = Trace.from_text(original.to_text())

    assert back == original
    assert back.to_text() == original.to_text()
    assert back.macs == original.macs
    assert back.stages == original.stages
    assert [back.depth(c) for c in ("paper", "leaf-modules", "weighted")] == [
        original.depth(c) for c in ("paper", "leaf-modules", "weighted")
    ]
    assert [call.inputs for call in back.calls] == [call.inputs for call in original.calls]
    assert [dict(layer.config) for layer in back.layers] == [dict(layer.config) for layer in original.layers]
    assert back.blocks == original.blocks
    assert back.shortcuts == original.shortcuts
    assert back.branches == original.branches
    assert back.receptive_field() == original.receptive_field()
    for convention in ("paper", "parameter-modules", "leaf-modules", "blocks"):
        assert back.explain_depth(convention) == original.explain_depth(convention)
    assert back.same_as(original).mapping == original.same_as(back).mapping


def test_a_reviewer_can_read_it():
    """One line a call, references by name, totals last."""
    lines = recorded("resnet18").to_text().splitlines()

    assert lines[:6] == [
        "archcheck 1",
        "model torchvision.models.resnet.ResNet(groups=1) eval",
        "in:x [1,3,224,224]",
        "conv1 Conv2d(in_channels=3, out_channels=64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), "
        "bias=False)(%in:x) -> [1,64,112,112]  # params 9408 macs 118013952",
        "bn1 BatchNorm2d(num_features=64)(%conv1) -> [1,64,112,112]  # params 128",
        "relu ReLU(inplace=True)(%bn1) -> [1,64,112,112]",
    ]
    assert "layer1.0:add(%layer1.0.bn2, %maxpool) -> [1,64,56,56]" in lines
    assert lines[-1] == "end"
    assert lines[-2] == (
        "# total params 11689512 trainable 11689512 buffers 9620 macs 1814073344 (complete) depth.paper 18"
    )


def test_derived_numbers_are_not_the_record():
    """A formula of ours that is mended must not turn a committed snapshot red."""
    text = recorded("resnet18").to_text()
    edited = text.replace("macs 1814073344", "macs 7").replace("# params 9408", "# params 1")

    assert edited != text
    assert Trace.from_text(edited) == recorded("resnet18")
    assert Trace.from_text(edited).macs == 1_814_073_344


def test_everything_awkward_survives():
    """Odd names, several outputs, frozen, tied and unsaved state, dtypes, keyword arguments."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("a b", nn.LSTM(4, 4))
            self.add_module("relu(x)", nn.ReLU())
            self.add_module("7", nn.Linear(4, 4).requires_grad_(False))
            self.never = nn.ModuleDict({"None": nn.Linear(2, 2)})
            self.again = self.never
            self.register_buffer("scratch", torch.zeros(3), persistent=False)
            self.constant = torch.ones(4)

        def forward(self, ids, *, mask=None, mode='quo"te'):
            x = nn.functional.one_hot(ids, 4).float() + self.constant
            out, (hidden, cell) = self._modules["a b"](x)
            out = self._modules["7"](self._modules["relu(x)"](out[:, -1:, ...] * mask))
            return {"out": out, "state": [hidden, cell], mode: torch.where(mask > 0, float("-inf"), cell)}

    odd = trace(Odd(), spec(3, 2, dtype="int64", high=4), kwargs={"mask": (1, 2, 4)}, device="cpu")
    back = Trace.from_text(odd.to_text())

    assert back == odd
    assert back.to_text() == odd.to_text()
    assert [output.path for output in back.outputs] == [o.path for o in odd.outputs]
    assert '"a b" LSTM(' in odd.to_text()
    assert "param 7.weight [4,4] frozen" in odd.to_text()
    assert "buffer scratch [3] unsaved" in odd.to_text()
    assert "module again = never" in odd.to_text()
    assert "const constant [4]" in odd.to_text()


@pytest.mark.parametrize(
    "name", ["output", "module", "param", "buffer", "const", "opaque", "model", "archcheck"]
)
def test_a_module_may_be_called_like_a_keyword(name):
    """``self.output = nn.Linear(…)`` is common, and DataParallel's child is ``module``."""
    net = nn.Sequential()
    net.add_module(name, nn.Sequential(nn.Linear(4, 4)))
    net.add_module("act", nn.ReLU())
    back = trace(net, (2, 4))

    assert Trace.from_text(back.to_text()) == back
    assert Trace.from_text(back.to_text()).to_text() == back.to_text()


def test_equality_is_for_traces_only():
    """Any other type gets its own say, which syrupy relies on."""
    assert recorded("resnet18").__eq__("text") is NotImplemented
    assert recorded("resnet18") != "text"
    assert recorded("resnet18") != recorded("resnet34")
    assert hash(recorded("resnet18")) == hash(Trace.from_text(recorded("resnet18").to_text()))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.from_regex(r"[A-Za-z_][\w.]{0,20}", fullmatch=True).map(Symbol)
    | st.text(alphabet="abc<>.locals\u2028", min_size=1).map(Symbol)
    | st.builds(Ref, st.text(alphabet='ab.c#:0 "\\é@', min_size=1), st.integers(0, 9))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_any_value_reads_back(value):
    """Every value of a record has one spelling, and the reader turns it back."""
    text = value_text(value)
    tokens = Tokens(text)
    back = read_value(tokens)
    tokens.end()

    assert "\n" not in text
    assert value_text(back) == text
    assert back == value


@given(st.text())
def test_no_text_crashes_the_reader(text):
    """Random text is a format error, whatever it holds."""
    for candidate in (text, f"archcheck 1\nmodel Net() eval\n{text}"):
        with pytest.raises(FormatError):
            read(candidate)


TINY = """archcheck 1
model Net() eval
in:x [1,3]
fc Linear(in_features=3, out_features=2)(%in:x) -> [1,2]
output %fc [1,2]
param fc.weight [2,3]
end
"""


def test_a_small_text_is_valid():
    """The broken ones below are this one with one fault each."""
    assert read(TINY).macs == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("archcheck 1", "hello", "line 1: not an .arch file, expected 'archcheck 1'"),
        (
            "archcheck 1",
            "archcheck 9",
            "line 1: format version 9, this release reads 1; record the snapshot again",
        ),
        ("model Net() eval\n", "", "line 2: expected the line of the model: 'in:x [1,3]'"),
        ("eval", "test", "line 2: expected eval or train, found test"),
        ("in:x [1,3]", "<<<<<<< HEAD", "line 3: a merge conflict is not resolved; resolve it, or record the"),
        ("in:x [1,3]", "=======", "line 3: a merge conflict is not resolved"),
        ("in:x [1,3]", ">>>>>>> topic", "line 3: a merge conflict is not resolved"),
        ("in:x [1,3]", "?", "line 3: cannot read from column 1: '?'"),
        ("in:x [1,3]", "in:x [1,three]", "line 3: expected a dimension, found three"),
        ("(%in:x)", "(%in:y)", "line 4: %in:y refers to a tensor that nothing in the text makes"),
        ("-> [1,2]", "-> [1,2", "line 4: expected ',', found the end of the line"),
        (
            "fc Linear(in_features=3, ",
            "fc Linear(in_features=3 ",
            "line 4: expected ',', found 'out_features'",
        ),
        ("output %fc [1,2]", "output fc", "line 5: expected a reference like %conv1, found nothing"),
        ("output %fc [1,2]\n", "", "line 6: expected the line of an output"),
        ("end\n", "", "line 7: the text ends before the line 'end'; is it cut off?"),
        ("param fc.weight [2,3]\nend\n", "para", "line 6: expected a class after the layer's name: 'para'"),
        ("end\n", "end\nmodel Net() eval\n", "line 8: nothing may follow the line 'end'"),
        ("in:x [1,3]", "in:x [1,3]\nin:x [1,3]", "line 4: in:x stands twice"),
        ("output %fc [1,2]", "output %fc [1,3]", "line 5: output  is not what %fc makes"),
        (
            "output %fc [1,2]",
            "output %fc [1,2]\noutput %fc [1,2]",
            "line 6: output  stands twice, first in line 5",
        ),
        (
            "end",
            "param a.w [3] = fc.weight\nend",
            "line 7: a.w is tied to fc.weight, which has another shape",
        ),
        ("(%in:x)", "(%fc)", "line 4: %fc is made in line 4, and taken before that"),
        ("output", "fc ReLU()(%fc) -> [1,2]\noutput", "line 5: fc stands twice, first in line 4"),
        ("output", "fc#3 ReLU()(%fc) -> [1,2]\noutput", "line 5: fc#3 is call 3 of fc, expected call 2"),
        (
            "output",
            "fc#2 ReLU()(%fc) -> [1,2]\noutput",
            "line 5: fc has another class or other settings than in line 4",
        ),
        ("output", ":relu(%fc) -> %fc [1,2]\noutput", "line 5: an op has no reference before its outputs"),
        ("end", "param fc.weight [2,3]\nend", "line 7: param fc.weight stands twice, first in line 6"),
        ("end", "module fc ReLU()\nend", "line 7: module fc stands twice, first in line 4"),
        ("end", "module b = a\nend", "line 7: b is the same as a, which nothing in the text declares"),
        ("end", "param b.weight [2] = a.weight\nend", "line 7: b.weight is tied to a.weight, which nothing"),
        ("end", "model Net() eval\nend", "line 7: expected 'model' in line 2 and nowhere else"),
        ("end", "section notes\nmine\nend", "line 8: expected a class after the layer's name"),
        (
            "end",
            "section notes\nparam b [2]\nend",
            "line 8: expected a section's lines, which begin with 2 spaces",
        ),
        ("in_features=3", "3", "line 4: expected the names of all settings of Linear, as in stride=2"),
        ("in_features=3", "bias=3, bias=4", "line 4: bias stands twice"),
        ("in_features=3", "in_features=" + "9" * 5000, "line 4: expected a whole number, found 999"),
        ("in_features=3", "in_features=" + "(" * 200, "line 4: values lie more than 100 deep in each other"),
        ("in_features=3", 'in_features="\\x"', 'line 4: cannot read the string "\\x"'),
        ("in_features=3", "in_features=slice(1)", "line 4: expected slice(start, stop, step), found 1 parts"),
        ("[1,3]", "[1,٣]", "line 3: expected a whole number, found ٣"),
        ("param fc.weight [2,3]", "param fc.weight [2,3] frosen", "line 6: unexpected frosen"),
    ],
)
def test_a_broken_text_is_one_error_with_its_line(old, new, message):
    assert old in TINY

    with pytest.raises(FormatError) as caught:
        read(TINY.replace(old, new, 1))

    assert message in str(caught.value)


def test_line_ends_and_marks_of_other_systems_are_read():
    for text in (TINY.replace("\n", "\r\n"), f"\ufeff{TINY}", f"{TINY}\n\n"):
        assert read(text) == read(TINY)


@pytest.mark.parametrize("name", ["#", "#2", "end", "section", "a b", "x-y"])
def test_a_module_of_an_odd_name_reads_back(name):
    net = nn.Sequential()
    net.add_module(name, nn.Linear(4, 4))
    recorded_net = trace(net, (1, 4))

    assert Trace.from_text(recorded_net.to_text()) == recorded_net


def test_an_empty_text_is_told():
    with pytest.raises(FormatError, match="line 1: the text is empty"):
        read("")
