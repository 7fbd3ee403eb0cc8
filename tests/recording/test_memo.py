"""Skipping shape inference that was done before changes nothing in the record."""

import gc

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_archcheck import RecordingError, trace
from pytest_archcheck.recording import layers, memo, owners
from pytest_archcheck.recording.shape_rules import known_result
from pytest_archcheck.recording.values import tensors_in
from tests.models import image

OPTIONS = {
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
}
SHAPES = {
    "inception_v3": (1, 3, 299, 299),
    "mvit_v1_b": (1, 3, 16, 224, 224),
    "mvit_v2_s": (1, 3, 16, 224, 224),
    "s3d": (1, 3, 16, 224, 224),
    **dict.fromkeys(("mc3_18", "r2plus1d_18", "r3d_18"), (1, 3, 8, 64, 64)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (1, 3, 8, 64, 64)),
    **dict.fromkeys(("raft_small", "raft_large"), ((1, 3, 128, 128), (1, 3, 128, 128))),
}
RECORDED_ON_META = [
    name
    for name in torchvision.models.list_models()
    if "detection" not in torchvision.models.get_model_builder(name).__module__
    and not name.startswith("quantized_")
]


def build(name):
    """One of torchvision's models, on meta but for those whose constructor needs values."""
    segments = "segmentation" in torchvision.models.get_model_builder(name).__module__
    options = OPTIONS.get(name, {}) | ({"weights_backbone": None} if segments else {})
    with torch.device("cpu" if "regnet" in name else "meta"):
        return torchvision.models.get_model(name, weights=None, **options)


def remember_nothing(monkeypatch):
    """Every layer and every function runs."""
    monkeypatch.setattr(memo, "LISTED", frozenset())
    monkeypatch.setattr(owners, "LISTED", frozenset())


def made(result):
    """What can be told of a result on meta."""
    return [(tuple(tensor.shape), tensor.stride(), tensor.dtype) for tensor in tensors_in(result)]


@pytest.fixture
def checked(monkeypatch):
    """Whatever comes from memory or from a rule is also computed, and has to be that, strides included."""
    seen = []
    call, repeat = memo.ShapeMemo.call, layers.Layers._repeat

    def checked_call(self, func, args, kwargs):
        result = call(self, func, args, kwargs)
        if func in memo.LISTED and "out" not in kwargs:
            seen.append(func)
            assert made(result) == made(func(*args, **kwargs)), func
        return result

    def checked_repeat(self, owner, effect, x):
        module = next(module for module, known in self._inventory.owners.items() if known is owner)
        before = x._version
        expected = type(module).forward(module, x)
        assert effect.writes == (x._version != before), module
        result = repeat(self, owner, effect, x)
        seen.append(type(module))
        assert (expected is x) == (effect.made is None), module
        assert made(result) == made(expected), module
        return result

    monkeypatch.setattr(memo.ShapeMemo, "call", checked_call)
    monkeypatch.setattr(layers.Layers, "_repeat", checked_repeat)
    return seen


@pytest.mark.parametrize("name", RECORDED_ON_META)
def test_the_record_of_all_of_torchvision_is_the_same_without_it(name, checked, monkeypatch):
    model = build(name)
    shape = SHAPES.get(name, (1, 3, 224, 224))
    with_memory = trace(model, shape, device="meta")
    assert checked

    remember_nothing(monkeypatch)
    checked.clear()
    assert trace(model, shape, device="meta") == with_memory
    assert not checked


@pytest.mark.parametrize(
    "name", ["densenet121", "efficientnet_b0", "googlenet", "maxvit_t", "resnet50", "swin_v2_t"]
)
def test_the_record_in_training_is_the_same_without_it(name, checked, monkeypatch):
    model = build(name)
    with_memory = trace(model, image(name, batch=2), device="meta", train=True)
    assert checked

    remember_nothing(monkeypatch)
    assert trace(model, image(name, batch=2), device="meta", train=True) == with_memory


X = torch.empty(2, 4, 6, 6, device="meta")
ROWS = torch.empty(3, 8, device="meta")
FOUR, EIGHT = torch.empty(4, device="meta"), torch.empty(8, device="meta")
DOUBLE = {"dtype": torch.float64, "device": "meta"}
PLAIN_CALLS = [
    (F.batch_norm, (X, FOUR, FOUR, FOUR, FOUR), {}),
    (F.batch_norm, (X, FOUR, FOUR), {"training": False}),
    (F.layer_norm, (ROWS, (8,), EIGHT, EIGHT), {}),
    (F.linear, (ROWS, torch.empty(5, 8, device="meta")), {}),
    (F.linear, (ROWS[None], torch.empty(5, 8, device="meta"), torch.empty(5, device="meta")), {}),
    (torch.cat, ([X, X], 1), {}),
    (torch.cat, ([X, X, X],), {"dim": -1}),
    (F.adaptive_avg_pool2d, (X, 1), {}),
    (F.adaptive_avg_pool2d, (X, (3, 2)), {}),
    (F.gelu, (X,), {"approximate": "tanh"}),
    (F.relu, (X,), {"inplace": False}),
    (torch.roll, (X, (1, 1), (2, 3)), {}),
    (F.softmax, (X,), {"dim": 1}),
    (torch.Tensor.add, (X, X), {}),
    (torch.Tensor.mul, (X, 2), {}),
]
UNUSUAL_CALLS = [
    (F.batch_norm, (X, FOUR, FOUR), {"training": True}),
    (F.batch_norm, (X, None, None), {"training": True}),
    (F.batch_norm, (X.to(memory_format=torch.channels_last), FOUR, FOUR), {}),
    (F.batch_norm, (X.to(torch.bfloat16), FOUR, FOUR), {}),
    (F.layer_norm, (X.transpose(1, 3), (4,)), {}),
    (F.linear, (EIGHT, torch.empty(8, device="meta")), {}),
    (torch.cat, ([ROWS, torch.empty(3, 8, **DOUBLE)],), {}),
    (torch.cat, ([torch.empty(0, device="meta"), ROWS],), {}),
    (torch.cat, ([X.transpose(2, 3), X], 1), {}),
    (F.adaptive_avg_pool2d, (X, (None, 3)), {}),
    (F.adaptive_avg_pool2d, (X[0], 1), {}),
    (F.relu, (X.clone(),), {"inplace": True}),
    (F.softmax, (X,), {"dim": 1, "dtype": torch.float64}),
    (torch.softmax, (X, 1, torch.float64), {}),
    (torch.Tensor.softmax, (X, 1, torch.float64), {}),
    (torch.Tensor.add, (X, FOUR[:, None, None]), {}),
    (torch.Tensor.mul, (X, 2j), {}),
    (torch.Tensor.mul, (ROWS, torch.empty(3, 8, **DOUBLE)), {}),
    (torch.add, (X, X), {"alpha": 2}),
    (torch.relu, (X.expand(2, 4, 6, 6).transpose(2, 3),), {}),
    (torch.sigmoid, (torch.ones(3, dtype=torch.int64, device="meta"),), {}),
    (torch.roll, (X.transpose(0, 1), 1, 0), {}),
]
WRONG_CALLS = [
    (F.linear, (ROWS, None), {}),
    (torch.cat, ([],), {}),
    (F.adaptive_avg_pool2d, (X, "1"), {}),
    (F.layer_norm, (ROWS, 8), {}),
    (F.batch_norm, (X,), {}),
    (F.gelu, (None,), {}),
    (F.gelu, (X,), {"approximate": "nope"}),
    (torch.roll, (X, 1, 7), {}),
    (torch.roll, (X, (1, 2), (0,)), {}),
    (torch.softmax, (X, 4), {}),
    (F.batch_norm, (X, FOUR, FOUR), {"eps": -1.0}),
    (torch.add, (X, X), {"surprise": 1}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), PLAIN_CALLS)
def test_a_rule_says_what_torch_says(func, args, kwargs):
    known = known_result(func, args, kwargs)

    assert [known] == made(func(*args, **kwargs))


@pytest.mark.parametrize(("func", "args", "kwargs"), UNUSUAL_CALLS)
def test_a_rule_is_silent_where_a_call_is_unusual(func, args, kwargs):
    """Or it says what torch says."""
    known = known_result(func, args, kwargs)

    assert known is None or [known] == made(func(*args, **kwargs))


def test_a_batch_norm_that_writes_to_its_statistics_is_left_to_torch():
    assert known_result(F.batch_norm, (X, FOUR, FOUR), {"training": True}) is None


@pytest.mark.parametrize(("func", "args", "kwargs"), WRONG_CALLS)
def test_a_wrong_call_is_left_to_torch(func, args, kwargs):
    assert known_result(func, args, kwargs) is None


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.Linear(5, 4), "reduction dim|mat1 and mat2"),
        (nn.BatchNorm2d(3), "running_mean|channels|shape|size"),
        (nn.LayerNorm(5), "normalized_shape|shape"),
    ],
)
def test_what_does_not_fit_fails_as_torch_fails(layer, told):
    with pytest.raises(RecordingError, match=told):
        trace(nn.Sequential(layer), (2, 4, 6, 6), device="meta")


def calls_seen(monkeypatch):
    """The functions that layers call, those of a layer that is skipped not among them."""
    called = []
    call = memo.ShapeMemo.call
    monkeypatch.setattr(
        memo.ShapeMemo, "call", lambda self, func, *args: (called.append(func), call(self, func, *args))[1]
    )
    return called


def test_a_layer_whose_class_has_another_forward_is_run(monkeypatch):
    """It may read anything of the instance."""
    forward = nn.ReLU.forward
    monkeypatch.setattr(
        nn.ReLU, "forward", lambda self, x: forward(self, x).repeat(1, self.__dict__.get("times", 1))
    )
    model = nn.Sequential(nn.ReLU(), nn.ReLU())
    model[1].times = 2

    assert trace(model, (1, 4), device="meta").output.shape == (1, 8)


def test_repeated_layers_are_skipped(monkeypatch):
    """Of ten equal convolutions one is computed."""
    called = calls_seen(monkeypatch)

    trace(nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(10)]), (1, 4, 8, 8), device="meta")

    assert called.count(torch.conv2d) == 1


class Widening(nn.Module):
    """Two layers that are alike until the forward changes the second."""

    def __init__(self, change):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.change = change

    def forward(self, x):
        x = self.first(x)
        self.change(self.second)
        return self.second(x)


def stride(conv):
    conv.stride = (2, 2)


def weight(conv):
    conv.weight = nn.Parameter(torch.zeros(6, 4, 3, 3, device=conv.weight.device))
    conv.bias = None


def plain_weight(conv):
    kept = conv.weight
    del conv.weight
    conv.weight = torch.cat([kept, kept])
    conv.bias = None


class PlainWeights(nn.Module):
    """Two layers that keep their weights as plain tensors, of different shapes."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        for conv, width in ((self.first, 4), (self.second, 6)):
            del conv.weight, conv.bias
            conv.weight, conv.bias = torch.zeros(width, 4, 1, 1), None

    def forward(self, x):
        return self.second(self.first(x))


class Layouts(nn.Module):
    """Equal layers on inputs of equal shapes and unequal strides."""

    def __init__(self, layer):
        super().__init__()
        self.a, self.b, self.c = layer(), layer(), layer()

    def forward(self, x):
        rotated, last = x.transpose(2, 3), x.contiguous(memory_format=torch.channels_last)
        return self.a(x), self.b(rotated), self.c(last)


class Hidden(nn.Module):
    """Equal layers that no registry holds, and one whose forward was replaced."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4) for _ in range(3)]
        self.a, self.b = nn.ReLU(), nn.ReLU()
        self.b.forward = torch.sigmoid

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.b(self.a(x))


@pytest.mark.parametrize(
    "layer", [nn.ReLU, nn.Identity, lambda: nn.Conv2d(4, 4, 3), lambda: nn.BatchNorm2d(4)]
)
def test_a_layer_is_run_for_every_layout(layer, checked):
    model = Layouts(layer)

    assert trace(model, (2, 4, 6, 6), device="meta") == trace(model, (2, 4, 6, 6), device="cpu")


@pytest.mark.parametrize(("model", "shape"), [(PlainWeights, (1, 4, 6, 6)), (Hidden, (1, 4))])
def test_layers_that_are_not_what_they_seem_are_run(model, shape):
    model = model()

    assert trace(model, shape, device="meta") == trace(model, shape, device="cpu")


@pytest.mark.parametrize(("layer", "train", "times"), [(nn.Dropout, True, 3), (nn.Dropout, False, 1)])
def test_what_is_random_is_run_every_time(layer, train, times, monkeypatch):
    called = calls_seen(monkeypatch)

    trace(nn.Sequential(*[layer() for _ in range(3)]), (1, 4), device="meta", train=train)

    assert called.count(F.dropout) == times


@pytest.mark.parametrize("change", [stride, weight, plain_weight])
def test_a_layer_that_the_forward_changes_is_run(change):
    on_meta, on_cpu = (trace(Widening(change), (1, 4, 8, 8), device=device) for device in ("meta", "cpu"))

    assert on_meta == on_cpu
    assert on_meta.output.shape != (1, 4, 8, 8)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.ReLU(inplace=True),
        lambda: nn.Dropout(0.5),
        lambda: nn.BatchNorm2d(4),
        nn.Identity,
        lambda: nn.InstanceNorm2d(4, track_running_stats=True),
        lambda: nn.MaxPool2d(2, return_indices=False, ceil_mode=True, stride=1),
    ],
)
@pytest.mark.parametrize("train", [False, True])
def test_layers_that_write_or_hand_back_are_as_on_cpu(layer, train):
    """What they write is seen by who reads it afterwards."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = layer(), layer(), layer()

        def forward(self, x):
            y = self.c(self.b(self.a(x)))
            return y.sum() + x.sum()

    texts = [trace(Both(), (2, 4, 6, 6), device=device, train=train).to_text() for device in ("meta", "cpu")]

    assert texts[0] == texts[1]


class Casting(TorchFunctionMode):
    """Runs what it sees in double precision."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {})).double() if func is F.relu else func(*args, **(kwargs or {}))


class Strange(nn.Module):
    """Layers that are alike, under a mode, under inference mode, and with a method or padding replaced."""

    def __init__(self):
        super().__init__()
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.writers = nn.ModuleList(nn.ReLU(inplace=True) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3) for _ in range(2))
        self.convs[1]._conv_forward = lambda x, weight, bias: F.conv2d(x, weight, bias, 2)
        self.circles = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=p, padding_mode="circular") for p in (2, 1))
        self.circles[1].padding = (2, 2)

    def forward(self, x):
        first = self.relus[0](x)
        with Casting():
            second = self.relus[1](x)
        with torch.inference_mode():
            written = self.writers[0](x * 2)
        other = x * 3
        self.writers[1](other)
        shapes = [conv(x) for conv in (*self.convs, *self.circles)]
        return first, second, self.relus[2](x), written.clone(), other + 1, *shapes


def test_layers_under_modes_and_with_methods_replaced_are_run():
    model = Strange()

    assert trace(model, (1, 4, 9, 9), device="meta") == trace(model, (1, 4, 9, 9), device="cpu")


def test_hooks_of_a_skipped_layer_run():
    """They are the model's own, and may change what it returns."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
    model[2].register_forward_hook(lambda module, args, output: output.relu())

    recorded = trace(model, (1, 4), device="meta")

    assert [op.function for op in recorded.ops] == ["relu"]


class Twice(nn.Module):
    """Does the same thing twice, so that the second comes from memory."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step(self.step(x) + 0.0)


def update_statistics(x):
    """What is written to the running mean has to be seen where that is read."""
    mean, var = x.new_zeros(4), x.new_ones(4)
    return F.batch_norm(x, mean, var, training=True) + mean[:, None, None]


@pytest.mark.parametrize(
    "step",
    [
        update_statistics,
        lambda x: F.relu(x, inplace=True) + x,
        lambda x: x.add_(1) * x,
        lambda x: F.dropout(x, 0.5, training=False) + x,
        lambda x: F.max_pool2d(x, 1, return_indices=True)[0],
        lambda x: F.batch_norm(x, x.new_zeros(4), x.new_ones(4), training=True),
        lambda x: torch.cat([x, x], 1)[:, :4],
        lambda x: x.transpose(2, 3).contiguous() + x.transpose(2, 3),
        lambda x: F.interpolate(x, scale_factor=1.0) * 1,
        lambda x: x.sum((2, 3), keepdim=True) * True + x,
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_writes_aliases_and_layouts_are_as_on_cpu(step, layout):
    x = torch.zeros(2, 4, 6, 6).to(memory_format=layout)

    assert trace(Twice(step), x, device="meta") == trace(Twice(step), x, device="cpu")


@pytest.mark.parametrize("was_on", [True, False])
def test_the_garbage_collector_is_afterwards_as_it_was(was_on):
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        trace(nn.Linear(2, 2), (1, 2), device="meta")

        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_a_result_written_to_out_is_not_replayed():
    """The second product resizes its own tensor, too."""

    class Out(nn.Module):
        def forward(self, x):
            first, second = x.new_empty(0), x.new_empty(0)
            torch.matmul(x, x, out=first)
            torch.matmul(x, x, out=second)
            return torch.cat([first.flatten(), second.flatten()])

    on_meta = trace(Out(), (4, 4), device="meta")

    assert on_meta.macs == 128
    assert on_meta == trace(Out(), (4, 4), device="cpu")


def test_a_replayed_result_can_be_differentiated():
    """Two equal layers in sequence, in a forward that takes a gradient."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.b(self.a(x)).sum(), x)[0]

    assert trace(Twice(), (2, 4), device="meta") == trace(Twice(), (2, 4), device="cpu")
