"""What a model can be called with, and what is said when it does not fit."""

import dataclasses

import pytest
import torch
from torch import nn

from pytest_archcheck import RecordingError, UsageError, spec, trace


class Echo(nn.Module):
    """Returns the sum of all its tensor arguments' means, so that any structure can go in."""

    def forward(self, first, second=None, *, scale=1):
        leaves = []

        def walk(value):
            if isinstance(value, torch.Tensor):
                leaves.append(value.float().mean())
            elif isinstance(value, dict):
                [walk(item) for item in value.values()]
            elif isinstance(value, list | tuple):
                [walk(item) for item in value]
            elif dataclasses.is_dataclass(value):
                [walk(getattr(value, field.name)) for field in dataclasses.fields(value)]

        walk((first, second))
        return sum(leaves) * scale


def paths(recorded):
    return [(leaf.path, leaf.shape, leaf.dtype) for leaf in recorded.inputs]


def test_a_tuple_of_integers_is_one_shape():
    assert paths(trace(Echo(), (2, 3))) == [("first", (2, 3), "float32")]


def test_the_shape_of_a_tensor_is_a_shape():
    assert paths(trace(Echo(), torch.zeros(2, 3).shape)) == [("first", (2, 3), "float32")]


def test_a_tuple_of_anything_else_is_the_positional_arguments():
    assert [path for path, *_ in paths(trace(Echo(), ((2, 3), (4,))))] == ["first", "second"]


def test_a_list_or_a_dict_is_one_argument():
    assert [path for path, *_ in paths(trace(Echo(), [(2, 3), (4,)]))] == ["first[0]", "first[1]"]
    assert [path for path, *_ in paths(trace(Echo(), {"ids": (2, 3)}))] == ["first.ids"]


def test_keyword_arguments_are_named():
    recorded = trace(Echo(), (2, 3), kwargs={"second": [(4,), None, "text"], "scale": 3})

    assert [path for path, *_ in paths(recorded)] == ["first", "second[0]"]
    assert recorded[":mul"].args[1] == 3


def test_a_spec_states_dtype_and_range():
    """Integers stay below ``high``, so that they fit an embedding when it runs on values."""
    recorded = trace(nn.Embedding(7, 4), spec(2, 50, dtype="int64", high=7), device="cpu")

    assert paths(recorded) == [("input", (2, 50), "int64")]


def test_a_dataclass_can_be_an_argument():
    @dataclasses.dataclass
    class Batch:
        ids: torch.Tensor
        size: int

    assert paths(trace(Echo(), Batch(torch.zeros(2, 3), 2), device="cpu")) == [
        ("first.ids", (2, 3), "float32")
    ]


def test_a_bare_shape_takes_the_models_dtype():
    """A half-precision model gets half-precision inputs."""
    recorded = trace(nn.Linear(4, 4).to(torch.bfloat16), (2, 4))

    assert recorded.inputs[0].dtype == recorded.output.dtype == "bfloat16"


def test_values_are_the_same_every_time():
    """Drawn from a fixed seed, whatever the global one is."""
    seen = []

    class Look(nn.Module):
        def forward(self, x):
            seen.append(x.sum().item())
            return x

    for seed in (1, 2):
        torch.manual_seed(seed)
        trace(Look(), (2, 3), device="cpu")

    assert seen[0] == seen[1]


def test_too_many_arguments_are_told_before_anything_runs():
    with pytest.raises(
        RecordingError, match=r"the inputs do not fit: Linear\.forward\(.*too many positional"
    ):
        trace(nn.Linear(4, 4), ((2, 4), (2, 4)))


def test_an_unknown_keyword_is_told_before_anything_runs():
    with pytest.raises(
        RecordingError, match=r"the inputs do not fit.* and the keyword mask: .*unexpected keyword"
    ):
        trace(nn.Linear(4, 4), (2, 4), kwargs={"mask": (2, 4)})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((-1, 3), "a dimension cannot be negative"),
        ((1.0, 3), "a shape is a tuple of integers"),
    ],
)
def test_a_shape_that_is_none_is_told(inputs, message):
    with pytest.raises(UsageError, match=message):
        trace(nn.Linear(4, 4), inputs)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1, -2), {}, r"spec\(1, -2\): a shape is integers"),
        ((1, 2), {"dtype": torch.int64}, "give the dtype by name"),
        ((1, 2), {"low": 3, "high": 3}, "high must be above low"),
    ],
)
def test_a_spec_that_makes_no_sense_is_told(arguments, options, message):
    with pytest.raises(UsageError, match=message):
        spec(*arguments, **options)


def test_an_unknown_dtype_is_told():
    with pytest.raises(UsageError, match="torch has no such dtype"):
        trace(nn.Linear(4, 4), spec(2, 4, dtype="float31"))
