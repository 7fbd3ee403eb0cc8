"""Other dtypes, first values, export and compile: real models that hold, violations told with their layer."""

import functools

import pytest
import torch
import torchvision
import transformers
from torch import nn

from pytest_archcheck import UsageError
from pytest_archcheck.invariants import INVARIANTS
from tests.invariants.test_behaviour import IMAGES, LLAMA, TOKENS, told, torchvision_model, violations

needs_transformers = pytest.mark.skipif(
    not transformers.utils.is_torch_available(), reason="transformers needs a newer torch"
)
RESNET = torchvision_model("resnet18")


# -- dtypes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(RESNET, IMAGES, id="resnet18"),
        pytest.param(torchvision_model("swin_t"), (1, 3, 224, 224), id="swin_t"),
        pytest.param(LLAMA, TOKENS, id="norms in float32 inside of a layer", marks=needs_transformers),
    ],
)
def test_real_models_work_in_bfloat16(model, inputs, autocast):
    found = violations("arch_dtype", model, inputs, "bfloat16", autocast=autocast)

    assert told(found) == []


class Upcasting(nn.Module):
    """Its inner layer forgets to come back from a wider dtype."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype, self.first, self.norm, self.last = (
            dtype,
            nn.Linear(4, 4),
            Widening(dtype),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        return self.last(self.norm(self.first(x)).to(x.dtype))


class Widening(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype) * 2


@pytest.mark.parametrize(
    ("dtype", "where"), [(torch.float32, ("norm", "float32")), (torch.float64, ("norm", "float64"))]
)
def test_a_layer_that_gives_a_wider_dtype_is_named(dtype, where):
    model = functools.partial(Upcasting, dtype)

    assert told(violations("arch_dtype", model, (2, 4), "bfloat16")) == [where]
    assert violations("arch_dtype", model, (2, 4), "bfloat16", allow=("norm", "norm:*")) == []


def test_a_product_that_leaves_the_autocast_is_named():
    class Leaving(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.first(x)
            with torch.autocast("cpu", enabled=False):
                return self.last(x.float())

    assert told(violations("arch_dtype", Leaving, (2, 4), "bfloat16", autocast=True)) == [("last", "float32")]


def test_the_users_model_keeps_its_dtype():
    model = torchvision.models.resnet18()
    violations("arch_dtype", model, IMAGES, "bfloat16")

    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_what_is_no_floating_dtype_is_refused():
    with pytest.raises(UsageError, match="'int8' is no floating dtype"):
        violations("arch_dtype", RESNET, IMAGES, "int8")


# -- first values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(RESNET, IMAGES, id="resnet18"),
        pytest.param(torchvision_model("vit_b_32"), (1, 3, 224, 224), id="tokens and positions"),
        pytest.param(torchvision_model("swin_t"), (1, 3, 224, 224), id="tables of positions"),
        pytest.param(LLAMA, TOKENS, id="llama", marks=needs_transformers),
    ],
)
def test_real_models_are_initialised(model, inputs):
    assert told(violations("arch_initialised", model, inputs)) == []


class Forgotten(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 4))
        self.linear = nn.Linear(4, 4)
        nn.init.ones_(self.linear.weight)
        self.mask = torch.ones(4)

    def forward(self, x):
        return self.linear(x @ self.weight) * self.mask


def test_what_is_forgotten_is_named():
    found = violations("arch_initialised", Forgotten, (1, 4))

    assert told(found) == [
        ("weight", "nothing initialises it"),
        ("linear.weight", "all of its elements begin with 1"),
        ("mask", "it is neither a parameter nor a buffer"),
    ]
    assert violations("arch_initialised", Forgotten, (1, 4), allow=("weight", "linear.*", "mask")) == []


def test_torch_is_left_as_it_was():
    before = torch.utils.deterministic.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    violations("arch_initialised", Forgotten, (1, 4))

    after = torch.utils.deterministic.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    assert after == before


# -- export and compile ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_a_real_model_is_one_graph():
    assert told(violations("arch_exportable", RESNET, IMAGES)) == []


class Branching(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(4, 4), Branching(), nn.Linear(4, 4)

    def forward(self, x):
        return self.last(self.inner(self.first(x)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("tried", "found"), [("export", "the export fails"), ("compile", "the graph breaks")]
)
def test_a_branch_on_values_is_told_by_its_layer(capfd, caplog, tried, found):
    both = {"export": False, "compile": False}
    refused = violations("arch_exportable", Deep, (1, 4), **(both | {tried: True}))

    assert {violation.found for violation in refused} == {found}
    assert {violation.where for violation in refused} <= {"inner", "the model"}
    assert "inner" in {violation.where for violation in refused}
    assert capfd.readouterr().out == ""
    assert [record.name for record in caplog.records] == []


def test_one_of_the_two_is_tried():
    with pytest.raises(UsageError, match="at least one of them is True"):
        INVARIANTS["arch_exportable"](export=False, compile=False)


@pytest.mark.parametrize("mark", ["arch_dtype", "arch_initialised"])
def test_allow_is_a_tuple_of_patterns(mark):
    args = ("bfloat16",) if mark == "arch_dtype" else ()

    with pytest.raises(UsageError, match="allow is a tuple of name patterns"):
        INVARIANTS[mark](*args, allow="norm")


def test_a_model_that_its_factory_keeps_keeps_its_dtype():
    kept = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    assert violations("arch_dtype", lambda: kept, (2, 4), "bfloat16") == []
    assert kept[0].weight.dtype == torch.float32


def test_a_layer_that_gives_less_than_float64_is_named_too():
    class Narrowing(nn.Sequential):
        def forward(self, x):
            return super().forward(x).float()

    model = functools.partial(Narrowing, nn.Sequential(nn.Linear(4, 4)), Widening(torch.float32))

    assert told(violations("arch_dtype", model, (2, 4), "float64")) == [("1", "float32")]


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(torchvision_model("convnext_tiny"), (1, 3, 64, 64), id="scales of layers"),
        pytest.param(torchvision_model("swin_v2_t"), (1, 3, 256, 256), id="scales of logits"),
        pytest.param(functools.partial(nn.LayerNorm, [4, 8]), (1, 4, 8), id="a norm over a matrix"),
    ],
)
def test_constants_that_are_no_matrices_are_no_fault(model, inputs):
    assert told(violations("arch_initialised", model, inputs)) == []


def test_a_buffer_that_nothing_initialises_is_named():
    class Buffered(nn.Linear):
        def __init__(self):
            super().__init__(4, 4)
            self.register_buffer("mean", torch.empty(4))
            self.register_buffer("mask", torch.full((4,), float("-inf")))

    assert told(violations("arch_initialised", Buffered, (1, 4))) == [("mean", "nothing initialises it")]
