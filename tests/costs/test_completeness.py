"""A count is complete or says what it left out: every function and layer of torch is known to be one or the other."""

import pytest
import torch
from torch import nn
from torch.overrides import get_overridable_functions

from pytest_archcheck import UsageError, mac_formula, trace
from pytest_archcheck.costs import formulas
from pytest_archcheck.costs.functions import FUNCTIONS
from pytest_archcheck.costs.layers import LAYERS
from pytest_archcheck.costs.vocabulary import ARITHMETIC, MOVES, MOVING_LAYERS, OTHER_LAYERS
from pytest_archcheck.recording.functions import canonical_name
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


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (
            lambda call: 1.5,
            "the MAC formula 'archtest.mix' .* gave 1.5 for mixer:archtest.mix; it gives a whole",
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
def test_a_name_has_one_formula():
    def mine(call):
        return 0

    with pytest.raises(UsageError, match="conv2d is counted already, or is no MAC by convention"):
        mac_formula("conv2d")(mine)
    for name in ("softmax", "ReLU", "flatten", "Linear"):
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
