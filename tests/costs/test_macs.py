"""MACs against torchvision's metadata, torch's own counter, ptflops and hand-derived truth."""

import enum
import warnings

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import trace
from tests.costs.by_hand import MODELS
from tests.models import builder, recorded

# Weights of IMAGENET1K whose transforms crop to 224 (299 for Inception), so that ``_ops`` is for our input.
CLASSIFIERS = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vit_b_32",
    "wide_resnet50_2",
]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_macs_and_parameters_are_what_torchvision_publishes(name):
    """``_ops`` in 10⁹ to its three decimals; ``num_params`` exactly (GoogLeNet's are without its heads)."""
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta

    assert round(recorded(name).macs / 1e9, 3) == meta["_ops"]
    assert recorded(name).status == "complete"
    if name != "googlenet":
        assert recorded(name).params.total == meta["num_params"]


def counted_by_torch(model, shape):
    """Torch's FLOP counter, halved, on meta with gradients on, where it knows every kernel."""
    with torch.device("meta"):
        model, x = model(), torch.empty(shape)
    with FlopCounterMode(display=False) as counter:
        model.train(False)(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "resnet18", "densenet121", "convnext_tiny"])
def test_macs_are_what_torchs_counter_says_on_meta(name):
    assert recorded(name).macs == counted_by_torch(builder(name), (1, 3, 224, 224))


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_what_the_papers_tables_give(name):
    """To the unit, by a closed form that looks at no model."""
    assert recorded(name).macs == MODELS[name]


CASES = {
    "conv": (lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 9, 9), 2 * 25 * 8 * 27),
    "grouped": (lambda: nn.Conv2d(8, 16, 3, groups=4), (1, 8, 6, 6), 16 * 16 * 2 * 9),
    "depthwise": (lambda: nn.Conv1d(8, 8, 5, groups=8), (1, 8, 12), 8 * 8 * 5),
    "volume": (lambda: nn.Conv3d(2, 4, 3), (1, 2, 5, 5, 5), 27 * 4 * 54),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 5), 25 * 4 * 6 * 9),
    "same": (lambda: nn.Conv2d(3, 4, 3, padding="same"), (1, 3, 7, 7), 49 * 4 * 27),
    "linear": (lambda: nn.Linear(5, 7), (2, 3, 5), 2 * 3 * 35),
    "embedding": (lambda: nn.Embedding(9, 4), None, 0),
    "lstm": (lambda: nn.LSTM(6, 5, num_layers=2), (4, 3, 6), 12 * 4 * (30 + 25 + 25 + 25)),
    "bilstm": (lambda: nn.LSTM(6, 5, bidirectional=True), (4, 3, 6), 12 * 2 * 4 * (30 + 25)),
    "gru": (lambda: nn.GRU(6, 5), (4, 3, 6), 12 * 3 * (30 + 25)),
    "norm": (lambda: nn.BatchNorm2d(4), (1, 4, 3, 3), 0),
}


@pytest.mark.parametrize("case", CASES)
def test_layers_cost_what_a_hand_derives(case):
    from pytest_archcheck import spec

    factory, shape, macs = CASES[case]
    counted = trace(factory, shape or spec(2, 3, dtype="int64"))

    assert counted.macs == macs
    assert counted.status == "complete"


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.zeros(6, 5))

    def forward(self, x):
        return self.function(x, self.w)


FUNCTIONS = {
    "matmul": (lambda x, w: x @ w, 2 * 4 * 6 * 5),
    "batched": (lambda x, w: x @ x.transpose(1, 2), 2 * 4 * 4 * 6),
    "bmm": (lambda x, w: torch.bmm(x, x.mT), 2 * 4 * 4 * 6),
    "baddbmm": (lambda x, w: torch.baddbmm(torch.zeros(1), x, x.mT), 2 * 4 * 4 * 6),
    "addmm": (lambda x, w: torch.addmm(torch.zeros(5), x[0], w), 4 * 6 * 5),
    "einsum": (lambda x, w: torch.einsum("bij,jk->bik", x, w), 2 * 4 * 6 * 5),
    "tensordot": (lambda x, w: torch.tensordot(x, w, dims=1), 2 * 4 * 6 * 5),
    "linear": (lambda x, w: F.linear(x, w.t()), 2 * 4 * 6 * 5),
    "attention": (lambda x, w: F.scaled_dot_product_attention(x, x, x), 2 * 4 * 4 * (6 + 6)),
    "elementwise": (lambda x, w: (x * 2 + 1).relu(), 0),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_cost_what_a_hand_derives(case):
    function, macs = FUNCTIONS[case]
    counted = trace(Function(function), (2, 4, 6))

    assert counted.macs == macs
    assert counted.status == "complete"


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_attention_costs_what_torchs_counter_says(batch_first, cross):
    """Self-attention and cross-attention with other widths for keys and values."""
    wide = {"kdim": 24, "vdim": 40} if cross else {}

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(32, 4, batch_first=batch_first, **wide)

        def forward(self, q):
            k = q.new_zeros(*q.shape[:2], 24) if cross else q
            v = q.new_zeros(*q.shape[:2], 40) if cross else q
            return self.attention(q, k, v, need_weights=False)[0]

    assert trace(Attend, (3, 5, 32)).macs == counted_by_torch(Attend, (3, 5, 32))


def test_attention_called_by_function_costs_the_same():
    """A user's subclass of ``nn.MultiheadAttention`` is no atomic module; its function is one op."""

    class Own(nn.MultiheadAttention):
        pass

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Own(64, 4, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    counted = trace(Attend, (1, 32, 64))

    assert counted.macs == 655_360
    assert counted.status == "complete"
    assert counted.depth("paper") == 2


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("options", "keys"), [({}, 5), ({"add_bias_kv": True}, 6), ({"add_zero_attn": True}, 6)]
)
def test_keys_that_attention_adds_are_attended_to_and_not_projected(own, options, keys):
    """5 tokens of width 8: four projections of 5, scores and weighted values over what keys there are."""

    class Own(nn.MultiheadAttention):
        pass

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = (Own if own else nn.MultiheadAttention)(8, 2, batch_first=True, **options)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    assert trace(Attend, (1, 5, 8)).macs == 4 * 5 * 64 + 2 * 5 * keys * 8


def test_an_empty_subclass_of_a_recurrent_layer_counts_like_its_base():
    class Own(nn.LSTM):
        pass

    own, base = (trace(cls(6, 5, num_layers=2), (7, 2, 6)) for cls in (Own, nn.LSTM))

    assert own.macs == base.macs
    assert own.status == "complete"
    assert own.depth("paper") == base.depth("paper") == 2


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bidirectional": True, "num_layers": 2}])
def test_recurrent_layers_use_every_weight_once_a_step(cell, options):
    """And so an LSTM with a projection."""
    options = {**options, "proj_size": 4} if cell is nn.LSTM else options
    model = cell(6, 5, **options)
    weights = sum(p.numel() for name, p in model.named_parameters() if name.startswith("weight"))

    assert trace(model, (7, 2, 6)).macs == 7 * 2 * weights


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda conv: prune.identity(conv, "weight"),
    ],
)
def test_a_layer_whose_weight_is_made_by_others_costs_as_much(wrap):
    """The convolution has no parameter ``weight`` then; what makes one may add products of its own."""
    counted = trace(nn.Sequential(wrap(nn.Conv2d(3, 4, 3)), nn.ReLU()), (1, 3, 8, 8))
    convolution = next(
        c for c in counted.calls if getattr(c, "type", "") == "Conv2d" or c.id.endswith("conv2d")
    )

    assert convolution.macs == 36 * 4 * 27
    assert counted.depth("paper") == 1


def test_what_has_no_formula_makes_the_count_partial_and_is_named():
    """Never a silent 0."""
    counted = trace(Function(lambda x, w: torch.cdist(x, x)), (2, 4, 6))

    assert counted.macs == 0
    assert counted[":cdist"].macs is None
    assert counted.status == "partial: :cdist not counted"


@pytest.fixture
def quantized_engine():
    """The engine that this process had: torchvision sets another one."""
    before = torch.backends.quantized.engine
    yield before
    torch.backends.quantized.engine = before


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_quantized_model_is_counted_like_the_model_that_it_was(name, quantized_engine):
    """Its layers keep their weights packed; the products are the same, and so are depth and stages."""
    plain = recorded(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torchvision.models.get_model(f"quantized_{name}", weights=None, quantize=True)

    counted = trace(quantized, (1, 3, 224, 224))

    assert counted.status == "complete"
    assert (counted.macs, counted.depth("paper")) == (plain.macs, plain.depth("paper"))
    assert counted.stages == plain.stages


def test_dynamically_quantized_layers_are_counted():
    """A linear layer and two stacked recurrent ones: 4 gates of (4 + 5) and (5 + 5) inputs for 6 steps."""
    model = nn.Sequential(nn.LSTM(4, 5, num_layers=2))
    linear = nn.Sequential(nn.Linear(4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM}, dtype=torch.qint8)
        dynamic_linear = torch.ao.quantization.quantize_dynamic(linear, {nn.Linear}, dtype=torch.qint8)

    assert trace(dynamic, (3, 2, 4)).macs == 6 * 4 * 5 * (4 + 5 + 5 + 5)
    assert trace(dynamic_linear, (3, 2, 4)).macs == 6 * 4 * 5


class OwnCell(nn.LSTMCell):
    def forward(self, x, hx=None):
        return super().forward(x, hx)


def test_recurrent_cells_that_are_not_the_plain_class_are_counted():
    """Four gates of 4 + 4 inputs for two samples; with weight norm, in a subclass, and by the function."""
    normed = nn.utils.parametrizations.weight_norm(nn.LSTMCell(4, 4), "weight_hh")
    gru = nn.utils.parametrizations.weight_norm(nn.GRUCell(4, 4), "weight_hh")
    sequence = nn.utils.parametrizations.weight_norm(nn.LSTM(4, 4), "weight_hh_l0")

    assert trace(normed, (2, 4)).macs == 2 * 4 * 4 * 8
    assert trace(OwnCell(4, 4), (2, 4)).macs == 2 * 4 * 4 * 8
    assert trace(gru, (2, 4)).macs == 2 * 3 * 4 * 8
    assert trace(sequence, (3, 2, 4)).macs == 6 * 4 * 4 * 8


def test_a_replaced_weight_counts_as_it_is():
    """A stem for grey images sums over the colours and leaves ``in_channels``."""
    stem = nn.Conv2d(3, 8, 3)
    stem.weight = nn.Parameter(stem.weight.detach().sum(1, keepdim=True))
    linear = nn.Linear(8, 4, bias=False)
    linear.weight = nn.Parameter(linear.weight.detach()[:, :4])

    assert trace(stem, (1, 1, 8, 8)).macs == 36 * 8 * 9
    assert trace(nn.Sequential(linear), (2, 4)).macs == 2 * 4 * 4


@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (lambda x, w: torch.addmm(mat1=x, mat2=w, input=x.new_zeros(5)), ((2, 3), (3, 5)), 30),
        (lambda x, w: torch.bmm(mat2=w, input=x), ((2, 3, 5), (2, 5, 8)), 240),
        (lambda x, w: F.conv_transpose2d(weight=w, input=x), ((1, 2, 5, 5), (2, 3, 3, 3)), 25 * 2 * 27),
        (lambda x, w: F.scaled_dot_product_attention(w, x, x), ((4, 2, 5, 8), (1, 2, 6, 8)), 3840),
        (lambda x, w: torch.einsum("bij,bjk->bik", x, w), ((8, 4, 5), (1, 5, 6)), 960),
    ],
)
def test_operands_by_keyword_and_broadcast_operands(function, shapes, macs):
    assert trace(TwoOperands(function), shapes).macs == macs


class TwoOperands(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, w):
        return self.function(x, w)


def test_a_layers_arguments_by_keyword_in_any_order():
    """Attention of 3 queries over 7 keys of width 8, for two samples, whatever is written first."""

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, q, k):
            return self.a(value=k, key=k, query=q)[0]

    expected = 2 * (2 * 3 * 64 + 2 * 7 * 64 + 2 * 3 * 7 * 8)
    assert trace(Attends(), ((2, 3, 8), (2, 7, 8))).macs == expected


def test_a_width_that_is_an_enumeration_is_a_number():
    class Width(enum.IntEnum):
        SMALL = 4

    assert trace(nn.Linear(Width.SMALL, 4), (2, 4)).macs == 32


@pytest.mark.parametrize("name", ["det", "logdet", "slogdet"])
def test_decompositions_have_no_formula(name):
    counted = trace(Function(lambda x, w: getattr(torch, name)(x @ x)), (4, 4), device="cpu")

    assert counted.status == f"partial: :{name} not counted"


def test_a_backward_inside_a_forward_is_not_counted_and_said():
    class Trains(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(4, 4)

        def forward(self, x):
            with torch.enable_grad():
                self.l(x).sum().backward()
            return self.l.weight.grad

    counted = trace(Trains(), (2, 4), device="cpu")

    assert counted.macs == 32
    assert ":backward" in counted.status


def test_a_tensor_from_nowhere_makes_the_count_partial():
    """What NumPy computed in between cannot be seen."""
    counted = trace(
        Function(lambda x, w: torch.from_numpy((x @ w).detach().numpy() * 2)), (1, 4, 6), device="cpu"
    )

    assert counted.status == "partial: opaque:. not counted"


def test_a_composite_module_has_no_macs_of_its_own():
    assert recorded("resnet18")["layer1.0"].macs is None
