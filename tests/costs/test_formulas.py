"""Every formula against torch's counter on meta, or a loop that counts, for arguments drawn at random."""

import itertools
from math import prod

import pytest
import torch
import torch.backends.opt_einsum
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import spec, trace
from pytest_archcheck.records import Op, TensorSpec

SMALL = st.integers(1, 5)
SIZES = st.integers(2, 5)
few = settings(max_examples=40, deadline=None, database=None)


class Calls(nn.Module):
    """A model whose forward is a function of its inputs."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


def counted(function, *shapes):
    """Our MACs of a function, and that the count is complete."""
    found = trace(
        Calls(function), tuple(torch.empty(shape, device="meta") for shape in shapes), device="meta"
    )
    assert found.status == "complete"
    return found.macs


def by_torch(function, *shapes):
    """Torch's own figure on meta, where no kernel is left out."""
    with FlopCounterMode(display=False) as counter:
        function(*(torch.empty(shape, device="meta", requires_grad=True) for shape in shapes))
    return counter.get_total_flops() // 2


@st.composite
def convolutions(draw):
    dimensions = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    taken, made = groups * draw(SMALL), groups * draw(SMALL)
    window = draw(st.integers(1, 3))
    options = {
        "stride": draw(st.integers(1, 3)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "padding": draw(st.sampled_from([0, 2, (1,) * dimensions, "same", "valid"])),
    }
    if options["padding"] == "same":
        options["stride"] = 1
    size = draw(st.integers(6, 9))
    return dimensions, draw(SMALL), taken, made, window, size, options


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@few
@given(convolutions())
def test_convolutions(drawn):
    """As functions and as layers: 1 to 3 dimensions, groups, dilation, strides, paddings by number and name."""
    dimensions, batch, taken, made, window, size, options = drawn
    shapes = (
        (batch, taken, *(size,) * dimensions),
        (made, taken // options["groups"], *(window,) * dimensions),
    )
    function = getattr(F, f"conv{dimensions}d")

    def convolve(x, w):
        return function(x, w, **options)

    layer = getattr(nn, f"Conv{dimensions}d")(taken, made, window, **options)

    assert counted(convolve, *shapes) == by_torch(convolve, *shapes)
    assert trace(layer, shapes[0]).macs == by_torch(convolve, *shapes)


@few
@given(convolutions(), st.booleans())
def test_transposed_convolutions(drawn, by_layer):
    dimensions, batch, taken, made, window, size, options = drawn
    options = {**options, "padding": 0}
    shapes = (
        (batch, taken, *(size,) * dimensions),
        (taken, made // options["groups"], *(window,) * dimensions),
    )
    function = getattr(F, f"conv_transpose{dimensions}d")

    def convolve(x, w):
        return function(x, w, **options)

    layer = getattr(nn, f"ConvTranspose{dimensions}d")(taken, made, window, **options)
    ours = trace(layer, shapes[0]).macs if by_layer else counted(convolve, *shapes)

    # Each input value meets each weight of its group once; torch's counter divides by groups a second time.
    assert ours == batch * taken * size**dimensions * made // options["groups"] * window**dimensions
    if options["groups"] == 1:
        assert ours == by_torch(convolve, *shapes)


PRODUCTS = {
    "linear": (F.linear, "bt,ot"),
    "matmul": (torch.matmul, "abmk,bkn"),
    "matmul with a vector": (torch.matmul, "abmk,k"),
    "vector with matmul": (torch.matmul, "k,bkn"),
    "vectors": (torch.matmul, "k,k"),
    "mm": (torch.mm, "mk,kn"),
    "mv": (torch.mv, "mk,k"),
    "bmm": (torch.bmm, "bmk,bkn"),
    "dot": (torch.dot, "k,k"),
    "inner": (torch.inner, "abk,nk"),
    "linalg.matmul": (torch.linalg.matmul, "mk,kn"),
    "addmm": (torch.addmm, "mn,mk,kn"),
    "addmv": (torch.addmv, "m,mk,k"),
    "baddbmm": (torch.baddbmm, "bmn,bmk,bkn"),
    "addbmm": (torch.addbmm, "mn,bmk,bkn"),
    "tensordot": (lambda x, y: torch.tensordot(x, y, dims=2), "abkl,klc"),
    "tensordot by lists": (lambda x, y: torch.tensordot(x, y, dims=([1, 2], [1, 0])), "aklb,lkc"),
    "chain of two": (lambda x, y: torch.linalg.multi_dot([x, y]), "mk,kn"),
}


@pytest.mark.parametrize("name", PRODUCTS)
@settings(max_examples=15, deadline=None, database=None)
@given(st.data())
def test_products(name, data):
    function, indices = PRODUCTS[name]
    size = {index: data.draw(SIZES, index) for index in sorted(set(indices) - {","})}
    shapes = [tuple(size[index] for index in operand) for operand in indices.split(",")]
    if name == "linear":
        shapes[1] = (size["o"], size["t"])

    macs = prod(size.values())  # a loop over every index, each once
    assert counted(function, *shapes) == macs
    assert by_torch(function, *shapes) in (macs, 0)  # it has no formula for a few


EQUATIONS = [
    "ij,jk->ik",
    "bij,bjk->bik",
    "bhid,bhjd->bhij",
    "ij,jk",
    "...ij,...jk->...ik",
    "bi...,io->bo...",
    "ij,ij->i",
    "ij,jk->k",
    "ij,kj->ki",
    "bn,anm,bm->ba",
    "ab,bc,cd->ad",
    "ij,j,k->ik",
    "ii,ij->j",
]


@pytest.mark.parametrize("equation", EQUATIONS)
@settings(max_examples=15, deadline=None, database=None)
@given(st.data())
def test_einsum(equation, data):
    """From left to right, as torch does where no optimizer is installed."""
    size = {index: data.draw(SIZES, index) for index in "abcdhijkmnox"}
    terms = equation.partition("->")[0].replace("...", "x").split(",")
    shapes = [tuple(size[index] for index in term) for term in terms]

    def contract(*tensors):
        with torch.backends.opt_einsum.flags(enabled=False):
            return torch.einsum(equation, *tensors)

    assert counted(contract, *shapes) == by_torch(contract, *shapes)


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (lambda x, y: torch.einsum("i,i->", x, y), ((7,), (7,)), 7),
        (lambda x, y: torch.einsum("i,j->ij", x, y), ((7,), (5,)), 0),
        (lambda x, y: torch.einsum("ij,ij->ij", x, y), ((7, 5), (7, 5)), 0),
        (lambda x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]), ((3, 4), (4, 5)), 60),
        (lambda x, y: torch.einsum(x, [0, 1], y, [1, 2]), ((3, 4), (4, 5)), 60),
        (lambda x: torch.einsum("ij->ji", x), ((3, 4),), 0),
        (lambda x, y: torch.einsum("bij,bjk->bik", x, y), ((8, 4, 5), (1, 5, 6)), 8 * 4 * 5 * 6),
        # By keyword, in any order.
        (lambda x, y: torch.linalg.matmul(other=y, input=x), ((3, 4), (4, 5)), 60),
        (
            lambda x, w: torch.conv_tbc(weight=w, input=x, bias=w.new_zeros(4)),
            ((9, 2, 3), (3, 3, 4)),
            7 * 2 * 4 * 9,
        ),
        (
            lambda a, b, w: F.bilinear(input2=b, input1=a, bias=None, weight=w),
            ((2, 4), (2, 3), (5, 4, 3)),
            10 * 15,
        ),
        (lambda x, y: torch.tensordot(x, y, dims=([1], [0])), ((3, 4), (1, 5)), 15),
        (lambda x, y: torch.tensordot(x, y, dims=([-1], [-2])), ((3, 4), (4, 5)), 60),
        # Of a dimension that is 1 in one operand the other is summed first; ellipses are aligned to the right.
        (lambda x, y: torch.einsum("ij,jk->ik", x, y), ((3, 1), (4, 5)), 3 * 5),
        (lambda x, y: torch.einsum("...ij,...jk->...ik", x, y), ((2, 3, 4), (5, 2, 4, 6)), 5 * 2 * 3 * 4 * 6),
        (torch.outer, ((7,), (5,)), 0),
        (torch.inner, ((7, 4), (5, 4)), 7 * 5 * 4),
        (torch.linalg.vecdot, ((3, 7, 4), (7, 4)), 3 * 7 * 4),
        (torch.linalg.vecdot, ((3, 1), (3, 4)), 3 * 4),
        (lambda x, y: torch.linalg.vecdot(x, y, dim=0), ((7, 4), (7, 4)), 7 * 4),
        (lambda a, b, c: torch.linalg.multi_dot([a, b, c]), ((10, 100), (100, 5), (5, 50)), 7500),
        (torch.chain_matmul, ((10, 100), (100, 5), (5, 50)), 7500),
        (lambda a, b, c: torch.linalg.multi_dot([a, b, c]), ((30,), (30, 35), (35,)), 30 * 35 + 30),
        (lambda x, w, b: torch.conv_tbc(x, w, b, 1), ((9, 2, 3), (3, 3, 4), (4,)), 9 * 2 * 4 * 3 * 3),
        (
            lambda x, w: torch.convolution(x, w, None, [1], [0], [1], False, [0], 1),
            ((1, 3, 9), (4, 3, 3)),
            7 * 4 * 9,
        ),
        (
            lambda x, w: torch.convolution(x, w, None, [1], [0], [1], True, [0], 1),
            ((1, 3, 9), (3, 4, 3)),
            27 * 12,
        ),
        (lambda x: torch.linalg.norm(x, dim=-1), ((3, 4),), 0),
        (torch.linalg.norm, ((3, 4),), 0),
        (lambda x, y: F.bilinear(x, x, y), ((2, 4), (5, 4, 4)), 2 * 5 * (16 + 4)),
    ],
)
def test_what_torchs_counter_does_not_see_or_has_no_word_for(function, shapes, macs):
    """Of the chain of three matrices the other order would be 75,000."""
    assert counted(function, *shapes) == macs


def test_what_other_counters_get_wrong():
    """ORACLES: 32 tokens of width 64 times a bare parameter, through attention of 4 heads, and looked up."""

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    assert counted(torch.matmul, (1, 32, 64), (64, 64)) == 131_072
    assert trace(Attends(), (1, 32, 64)).macs == 655_360
    assert trace(nn.Embedding(9, 64), spec(1, 32, dtype="int64", high=9)).macs == 0


def test_matmul_is_a_loop_that_counts():
    """The definition itself: as many steps as a naive loop takes."""
    steps = sum(1 for _ in itertools.product(range(2), range(3), range(4), range(5)))

    assert counted(torch.matmul, (2, 3, 4), (2, 4, 5)) == steps


TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
HEADS = [(4, 4), (1, 1), *([(4, 2), (6, 3), (4, 1)] if TORCH >= (2, 5) else [])]
"""Of queries, and of keys and values; fewer of these since torch 2.5."""


@few
@given(st.integers(1, 3), st.sampled_from(HEADS), SIZES, SIZES, SIZES, SIZES)
def test_scaled_dot_product_attention(batch, heads, targets, sources, width, value_width):
    """With fewer heads for keys and values too; masks and scales cost nothing."""
    queries, keys = heads
    shapes = (
        (batch, queries, targets, width),
        (batch, keys, sources, width),
        (batch, keys, sources, value_width),
    )
    options = {"enable_gqa": True} if queries != keys else {}

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, scale=0.5, **options)

    macs = batch * queries * targets * sources * (width + value_width)
    assert counted(attend, *shapes) == macs


@pytest.mark.parametrize("groups", [1, 2])
def test_deformable_convolution(groups):
    """As many products as a plain one; reading between the pixels is interpolation."""
    layer = torchvision.ops.DeformConv2d(4, 6, 3, groups=groups, padding=1)

    class Deforms(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, offset):
            return self.layer(x, offset)

    found = trace(Deforms(), ((2, 4, 8, 8), (2, 18, 8, 8)))

    assert found.macs == 2 * 6 * 64 * 4 // groups * 9
    assert found.status == "complete"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("projection", [0, 3])
def test_packed_sequences_count_the_steps_that_there_are(bidirectional, projection):
    """Three sequences of 5, 4 and 2 steps are 11, not 15; every weight is used once for each."""
    options = {"proj_size": projection, "bidirectional": bidirectional}

    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 4, num_layers=2, **options)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 2]), enforce_sorted=True)
            return self.lstm(packed)[0].data

    model = Packs()
    weights = sum(p.numel() for name, p in model.named_parameters() if "weight" in name)

    assert trace(model, (5, 3, 6), device="cpu").macs == 11 * weights


def test_a_transformer_of_torchs_own_is_what_its_functions_are():
    """``nn.Transformer``: encoder layers attend once, decoder layers twice."""
    width, hidden, source, target = 8, 16, 5, 3
    model = nn.Transformer(width, 2, 1, 1, hidden, batch_first=True)
    attention = lambda q, k: 2 * q * width**2 + 2 * k * width**2 + 2 * q * k * width  # noqa: E731
    feed = lambda tokens: 2 * tokens * width * hidden  # noqa: E731

    found = trace(model, ((1, source, width), (1, target, width)))

    expected = attention(source, source) + feed(source)
    expected += attention(target, target) + attention(target, source) + feed(target)
    assert found.macs == expected
    assert found.status == "complete"


def test_a_layer_called_three_times_counts_three_times():
    """ORACLES: a Linear(64, 64) three times on 32 tokens is 393,216; some tools say a third."""

    class Thrice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, x):
            return self.layer(self.layer(self.layer(x)))

    found = trace(Thrice, (1, 32, 64))

    assert found.macs == found.mac_count.per_module["layer"] == found.mac_count.per_type["Linear"] == 393_216


@pytest.mark.parametrize(
    ("left", "right", "made", "macs"),
    [
        ((12, 4), (3, 4, 5), (12, 5), 12 * 4 * 5),
        ((3, 7, 4), (3, 4, 5), (3, 7, 5), 3 * 7 * 4 * 5),
        ((3, 7, 4), (4, 12), (7, 12), 7 * 4 * 12),
        ((7, 12), (12, 5), (3, 7, 5), 7 * 12 * 5),
    ],
)
def test_grouped_products(left, right, made, macs):
    """Rows, columns or the inner dimension belong to one of the groups each; not in all versions of torch."""
    specs = tuple(TensorSpec(shape, "bfloat16") for shape in (left, right))

    assert Op("", "grouped_mm", 1, (), {}, specs, (TensorSpec(made),)).macs == macs


def test_operands_that_a_formula_cannot_read_are_not_guessed():
    """A call with too few operands, or with a dimension that is not known, has no MACs that are known."""
    ragged = TensorSpec((3, -1, 4))

    assert Op("", "linear", 1, (), {}, (TensorSpec((3, 4)),), (TensorSpec((3, 5)),)).macs is None
    assert Op("", "matmul", 1, (), {}, (ragged, TensorSpec((4, 5))), (TensorSpec((3, -1, 5)),)).macs is None
    assert Op("", "relu", 1, (), {}, (ragged,), (ragged,)).macs == 0


def test_arguments_of_another_form_make_the_count_partial():
    """A formula that cannot read its operands does not guess."""

    class Odd(nn.Module):
        def forward(self, x):
            return torch.einsum("...", x) if x.dim() == 0 else torch.cdist(x, x)

    assert trace(Odd(), (3, 4)).status == "partial: :cdist not counted"
