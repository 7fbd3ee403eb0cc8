"""A count is complete or says what it left out: every function and layer of torch is known to be one or the other."""

import numpy
import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.parametrize
from torch import nn
from torch.overrides import get_overridable_functions

from pytest_archcheck import UsageError, mac_formula, trace
from pytest_archcheck.costs import formulas
from pytest_archcheck.costs.functions import FUNCTIONS
from pytest_archcheck.costs.layers import LAYERS
from pytest_archcheck.costs.vocabulary import ARITHMETIC, MOVES, MOVING_LAYERS, OTHER_LAYERS
from pytest_archcheck.recording.functions import canonical_name
from pytest_archcheck.records import Op
from tests.models import recorded

NO_FORMULA = frozenset(
    """
    cdist pdist cov corrcoef det logdet slogdet inverse pinverse cholesky cholesky_inverse cholesky_solve geqrf lobpcg
    lu lu_solve lu_unpack matrix_exp matrix_power orgqr ormqr pca_lowrank qr svd svd_lowrank triangular_solve
    nuclear_norm stft istft smm hspmm sspaddmm
    """.split()
)
"""What is known to multiply and accumulate, and is therefore named."""
NO_FORMULA_FAMILIES = ("fbgemm_", "miopen_", "quantized_")
NO_TENSORS = ("is_", "q_", "sym_", "autocast", "get_device", "numel")


def test_what_multiplies_is_no_elementwise_function():
    assert not NO_FORMULA & (MOVES | ARITHMETIC | set(FUNCTIONS))
    assert not (MOVES | ARITHMETIC) & set(FUNCTIONS)
    assert not MOVES & ARITHMETIC


def test_functions_of_torch_that_a_model_calls_are_known():
    """A function that a new torch brings is not: it makes a count partial until somebody has looked at it."""
    spaces = get_overridable_functions()
    functions = [f for space in (torch, torch.functional, nn.functional) for f in spaces[space]]
    names = {canonical_name(function)[0] for function in functions}
    unknown = names - MOVES - ARITHMETIC - set(FUNCTIONS) - NO_FORMULA

    assert len(names) > 500
    assert not [name for name in unknown if not name.startswith(NO_FORMULA_FAMILIES + NO_TENSORS)]


COMPOSITE = set(
    "Container Module Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder "
    "TransformerEncoderLayer AdaptiveLogSoftmaxWithLoss RNNBase RNNCellBase TripletMarginWithDistanceLoss "
    "LinearCrossEntropyLoss LinearCrossEntropyOptions".split()
)
"""They hold other layers or a function of the user's, or are no layer; the last two are not in all versions."""
KNOWN_ELSEWHERE = COMPOSITE | {name for name in nn.modules.__all__ if name.startswith("Lazy")}


@pytest.mark.parametrize("name", sorted(set(nn.modules.__all__) - KNOWN_ELSEWHERE))
def test_every_layer_of_torch_is_known(name):
    """One that a new torch brings is not, and makes a count partial."""
    assert (name in LAYERS) + (name in MOVING_LAYERS) + (name in OTHER_LAYERS) == 1


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    "name", ["fft.fft", "linalg.inv", "linalg.svdvals", "cov", "cdist", "matrix_exp", "linalg.qr"]
)
def test_what_has_no_formula_is_named_with_its_module(name):
    home, _, short = name.rpartition(".")
    function = getattr(getattr(torch, home) if home else torch, short)
    arguments = 2 if name == "cdist" else 1

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = Calls(lambda x: function(*(x,) * arguments))

        def forward(self, x):
            made = self.head(x)
            return made[0] if isinstance(made, tuple) else made

    counted = trace(Outer(), (6, 6), device="cpu")
    label = name.replace(".", "_")

    assert counted.status == f"partial: head:{label} not counted"
    assert counted.macs == counted.mac_count.per_module["head"] == 216
    assert counted.mac_count.incomplete == {"": counted.status, "head": counted.status}


def test_what_is_no_mac_by_convention_is_listed_and_not_missing():
    """ResNet-18: 20 batch norms, 17 activations, 8 sums, 2 poolings; nothing for what moves data."""
    counted = recorded("resnet18").mac_count

    assert counted.elementwise == {
        "BatchNorm2d": 20,
        "ReLU": 17,
        "add": 8,
        "MaxPool2d": 1,
        "AdaptiveAvgPool2d": 1,
    }
    assert counted.status == "complete"


def test_the_parts_add_up():
    counted = recorded("resnet50").mac_count
    children = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")

    assert sum(counted.per_module[name] for name in children) == counted.per_module[""] == counted.total
    assert counted.per_module["layer1"] == sum(counted.per_module[f"layer1.{n}"] for n in range(3))
    assert counted.per_type == {"Conv2d": counted.total - 2_048_000, "Linear": 2_048_000}


# -- formulas of one's own -------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch):
    """Formulas that a test registers are forgotten after it."""
    monkeypatch.setattr(formulas._REGISTRY, "_functions", {})


@pytest.fixture(scope="module")
def custom():
    """A kernel that is not torch's own."""
    library = torch.library.Library("archtest", "DEF")
    library.define("mix(Tensor x, Tensor w) -> Tensor")
    library.impl("mix", lambda x, w: x @ w, "CompositeExplicitAutograd")
    library.impl("mix", lambda x, w: x.new_empty(*x.shape[:-1], w.shape[-1]), "Meta")
    yield torch.ops.archtest.mix
    library._destroy()


class Mixes(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(6, 5))
        self.kernel = kernel

    def forward(self, x):
        return self.kernel(x, self.w)


class Net(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.stem, self.mixer = nn.Linear(6, 6), Mixes(kernel)

    def forward(self, x):
        return self.mixer(self.stem(x))


@pytest.mark.usefixtures("registered")
def test_a_function_counts_by_its_own_formula(custom):
    model = Net(custom)
    assert trace(model, (3, 6)).status == "partial: mixer:archtest.mix not counted"

    @mac_formula("archtest.mix")
    def mix(call):
        x, w = call.inputs
        return x.numel * w.shape[-1]

    counted = trace(model, (3, 6))

    assert (counted.macs, counted.status) == (3 * 36 + 3 * 30, "complete")
    assert counted["mixer:archtest.mix"].macs == 90
    assert counted.mac_count.per_type == {"Linear": 108, "archtest.mix": 90}


@pytest.mark.usefixtures("registered")
def test_a_layer_counts_by_its_own_formula_with_all_that_is_in_it(custom):
    """And so, with what is inside, when it is called twice."""

    @mac_formula("tests.costs.test_completeness.Mixes")
    def mixes(call):
        return call.inputs[0].numel * call.output.shape[-1]

    class Twice(Net):
        def forward(self, x):
            return self.mixer(self.stem(x)) + self.mixer(x)

    counted = trace(Twice(custom), (3, 6))

    assert counted.status == "complete"
    assert counted.mac_count.per_call == {"stem": 108, "mixer": 90, "mixer#2": 90}
    assert counted.mac_count.elementwise == {"add": 1}


class Outer(nn.Module):
    """32 MACs for one sample, where no formula says 1,000."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x):
        return self.lin(self.lin(x))


OUTER = "tests.costs.test_completeness.Outer"


class Around(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.outer, self.function = Outer(), function

    def forward(self, x):
        return self.function(self.outer, x)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda outer, x: outer(x), 1000),
        (lambda outer, x: outer.lin(outer(x)), 1016),
        (lambda outer, x: outer(outer.lin(x)), 1016),
        (lambda outer, x: outer(outer(x)), 2000),
    ],
)
def test_a_layers_formula_covers_its_call_and_not_its_name(function, macs):
    """A child that somebody else calls counts for itself."""
    mac_formula(OUTER)(lambda call: 1000)

    assert trace(Around(function), (1, 4)).macs == macs


@pytest.mark.usefixtures("registered")
def test_a_formula_of_a_layer_covers_what_it_shares_with_others():
    mac_formula(OUTER)(lambda call: 1000)
    model = Around(lambda outer, x: outer(x))
    model.lin = model.outer.lin
    model._modules = {"lin": model.lin, "outer": model.outer}  # so that the shared layer is named ``lin``

    assert trace(model, (1, 4)).macs == 1000


@pytest.mark.usefixtures("registered")
def test_a_formula_may_be_that_of_the_whole_model():
    mac_formula(OUTER)(lambda call: 1000 * call.inputs[0].shape[0])
    counted = trace(Outer(), (2, 4)).mac_count

    assert (counted.total, counted.per_module[""], counted.per_type) == (2000, 2000, {OUTER: 2000})


class Hides(nn.Module):
    """What ``vmap`` does inside cannot be seen."""

    def forward(self, x):
        return torch.vmap(lambda row: row * 2)(x), torch.vmap(lambda row: row * 3)(x)


@pytest.mark.usefixtures("registered")
def test_a_formula_completes_a_layer_whose_inside_cannot_be_seen():
    """Its results are named by it, also where there are several."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.op = nn.Linear(4, 4), Hides()

        def forward(self, x):
            first, second = self.op(self.stem(x))
            return first + second

    before = trace(Net(), (3, 4))
    assert before.status == "partial: opaque:op, opaque:op#2 not counted"
    assert set(before.mac_count.incomplete) == {"", "op"}

    mac_formula("tests.costs.test_completeness.Hides")(lambda call: 7)
    counted = trace(Net(), (3, 4))

    assert (counted.macs, counted.status) == (48 + 7, "complete")


@pytest.mark.usefixtures("registered")
def test_a_formula_of_zero_says_nothing_of_the_backward_either():
    mac_formula(OUTER)(lambda call: 0)
    counted = trace(Around(lambda outer, x: outer(x)), (1, 4))

    assert (counted.macs, counted.status) == (0, "complete")
    assert counted.backward().status == "partial: outer not counted"


def test_a_shared_layer_costs_under_each_of_its_names():
    """A budget of either name is judged by what it costs."""

    class Shares(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.Linear(4, 4))
            self.head = self.backbone[0]
            self.idle = nn.Linear(4, 4)

        def forward(self, x):
            return self.head(self.backbone(x))

    assert trace(Shares(), (1, 4)).mac_count.per_module == {
        "": 32,
        "backbone": 32,
        "backbone.0": 32,
        "head": 32,
        "idle": 0,
    }


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_scripted_function_is_never_a_silent_zero(device):
    """On meta its kernels are Python functions of torch's own, which are not what the model called."""

    def product(x, w):
        return torch.relu(x @ w)

    scripted = torch.jit.script(product)

    class Scripts(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(6, 6))
            self.layer = nn.Linear(6, 2)

        def forward(self, x):
            return self.layer(scripted(x, self.w))

    counted = trace(Scripts(), (3, 6), device=device)

    assert (counted.macs, counted.status) == (36, "partial: opaque:. not counted")
    assert [op.function for op in counted.ops] == []


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_gradient_in_a_forward_makes_the_count_partial(device):
    """As a force field takes; ``autograd.grad`` is not the attribute ``grad``."""

    class Force(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy = nn.Linear(3, 1)

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.energy(x).tanh().sum(), x)[0]

    counted = trace(Force(), (4, 3), device=device)

    assert (counted.macs, counted.status) == (12, "partial: :autograd_grad not counted")


def test_sequences_that_the_forward_packs_are_counted_whole():
    """Packing and padding move data: 5 + 4 + 2 steps of 4 gates."""

    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 4, batch_first=True)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, [2, 5, 4], batch_first=True, enforce_sorted=False)
            return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    counted = trace(Packs(), (3, 5, 6), device="cpu")

    assert (counted.macs, counted.status) == (11 * 4 * 4 * (6 + 4), "complete")


def test_an_einsum_that_sums_over_nothing_is_listed_as_elementwise():
    counted = trace(Calls(lambda x: torch.einsum("ij,ij->ij", x, x) + x.norm()), (6, 6)).mac_count

    assert counted.elementwise == {"einsum": 1, "norm": 1, "add": 1}
    assert counted.status == "complete"


def test_the_norm_by_singular_values_is_no_reduction():
    counted = trace(Calls(lambda x: torch.norm(x, p="nuc")), (6, 6), device="cpu")

    assert counted.status == "partial: :norm not counted"


def test_attention_over_keys_from_elsewhere_is_named():
    """``static_k`` has a length of its own."""

    class Own(nn.MultiheadAttention):
        def forward(self, x):
            keys = x.new_zeros(2, 11, 4)
            return F.multi_head_attention_forward(
                *(x, x, x, 8, 2, self.in_proj_weight, self.in_proj_bias, None, None, False, 0.0),
                *(self.out_proj.weight, self.out_proj.bias, False),
                static_k=keys,
                static_v=keys,
                need_weights=False,
            )[0]

    assert trace(Own(8, 2), (7, 1, 8)).status == "partial: :multi_head_attention_forward not counted"


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:Sparse invariant")
def test_products_of_sparse_tensors_are_named():
    """Of how many elements they are, shapes do not say."""

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.eye(6).to_sparse_csr())
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return self.w @ self.layer(x)

    counted = trace(Sparse(), (6, 6), device="cpu")

    assert (counted.macs, counted.status) == (216, "partial: :matmul not counted")


def test_a_parametrized_projection_of_attention_is_seen():
    """Low-rank: an 8 × 2 and a 2 × 8 matrix make the projection, and that product counts."""
    parametrize = nn.utils.parametrize

    class LowRank(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Parameter(torch.zeros(8, 2))

        def forward(self, w):
            return w + self.down @ self.down.T

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            parametrize.register_parametrization(self.attention.out_proj, "weight", LowRank())

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    counted = trace(Attend(), (1, 7, 8))

    assert (counted.macs, counted.status) == (4 * 7 * 64 + 2 * 49 * 8 + 8 * 2 * 8, "complete")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (
            lambda call: 1.5,
            "the MAC formula 'archtest.mix' .* gave 1.5 for mixer:archtest.mix; return a whole",
        ),
        (lambda call: -1, "gave -1 for mixer:archtest.mix"),
        (lambda call: call.nothing, "'archtest.mix' .* failed: AttributeError: .*test_completeness.py:"),
    ],
)
def test_a_formula_that_is_wrong_is_told(custom, formula, message):
    mac_formula("archtest.mix")(formula)

    with pytest.raises(UsageError, match=message):
        trace(Net(custom), (3, 6)).macs  # noqa: B018


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("number", [numpy.int64(7), 7.0, numpy.prod((7, 1))])
def test_a_whole_number_is_one_of_whatever_type(number):
    """``numpy.prod(shape)`` is what people write."""
    mac_formula("archtest.mix")(lambda call: number)
    call = Op("", "archtest.mix", 1, (), {}, (), ())

    assert call.macs == 7
    assert type(call.macs) is int


@pytest.mark.usefixtures("registered")
def test_a_name_has_one_formula():
    def mine(call):
        return 0

    with pytest.raises(UsageError, match="conv2d is counted already, or is no MAC by convention"):
        mac_formula("conv2d")(mine)
    for name in ("softmax", "ReLU", "flatten", "Linear", "torch.nn.Linear", "torch.matmul"):
        with pytest.raises(UsageError, match="give the formula to the layer that calls it"):
            mac_formula(name)(mine)
    with pytest.raises(
        UsageError, match=r"registered by a name, as in @mac_formula\('mylib.*'\), not .*mine"
    ):
        mac_formula(mine)
    mac_formula("mylib.op")(mine)
    with pytest.raises(
        UsageError, match=r"the MAC formula 'mylib.op' is .*mine already; give .*<lambda> another"
    ):
        mac_formula("mylib.op")(lambda call: 0)
