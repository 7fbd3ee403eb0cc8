"""Changes of real models: each is told by layer, attribute, before and after, severity, cause first.

The mutations are bugs that reached users; what happened where is in the comment beside each.
"""

import copy

import numpy
import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import Trace, diff, trace
from pytest_archcheck.drift import Severity
from tests.models import EXAMPLE, builder, recorded

IMAGE = (1, 3, 224, 224)


def mutated(name, change, **options):
    """The drift from one of torchvision's models to the same with a change."""
    model = builder(name)()
    after = copy.deepcopy(model)
    after = change(after) or after
    return diff(trace(model, IMAGE, **options), trace(after, IMAGE, **options))


def told(drift):
    return [
        (change.layer, change.attribute, change.before, change.after, str(change.severity))
        for change in drift.causes
    ]


def move_the_stride(model):
    """ResNet v1.5 to v1; pytorch/vision issues 1266 and 606."""
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def test_the_v1_stride_names_six_convolutions():
    """Shapes that follow are consequences; parameters, keys and the output stay."""
    drift = mutated("resnet50", move_the_stride)

    assert told(drift) == [
        (f"layer{n}.0.{conv}", "stride", before, after, "behaviour")
        for n in (2, 3, 4)
        for conv, before, after in (("conv1", "(1, 1)", "(2, 2)"), ("conv2", "(2, 2)", "(1, 1)"))
    ]
    assert {change.layer for change in drift.consequences} == {
        f"layer{n}.0.{name}" for n in (2, 3, 4) for name in ("conv1", "bn1", "relu")
    }
    assert drift.before.params == drift.after.params
    assert drift.after.macs == 3_857_973_248
    assert drift.verdict == (
        "ResNet drifted: layer2.0.conv1 stride (1, 1) → (2, 2) and 5 more · behaviour · MACs −5.7 %"
    )
    assert str(drift).splitlines()[0] == drift.verdict
    assert (
        "unchanged: parameters 25,557,032 · state-dict keys 320 · depth (paper) 50 · output [1,1000]"
        in str(drift)
    )


def test_the_example_is_torchvisions_resnet50(monkeypatch):
    """Written from the paper's table with torchvision's attribute names: nothing above cosmetic."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from resnet import resnet50

    ours = trace(resnet50, IMAGE)
    drift = diff(recorded("resnet50"), ours)

    assert drift.severity == Severity.COSMETIC
    assert ("the model", "class", "torchvision.models.resnet.ResNet", "resnet.ResNet", "cosmetic") in told(
        drift
    )


def test_the_example_with_the_papers_strides_is_not(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLE)
    from resnet import resnet50

    drift = diff(recorded("resnet50"), trace(lambda: resnet50("1x1"), IMAGE))
    causes = [change for change in drift.causes if change.severity > Severity.COSMETIC]

    assert drift.severity == Severity.BEHAVIOUR
    assert [change.layer for change in causes] == [
        f"layer{n}.0.{conv}" for n in (2, 3, 4) for conv in ("conv1", "conv2")
    ]
    assert round(100 * (drift.after.macs / drift.before.macs - 1), 1) == -5.7
    assert {t.name for t in drift.before.state} == {t.name for t in drift.after.state}


def relu_to_gelu(model):
    model.layer1[0].relu = nn.GELU()


def batch_norm_eps(model):  # pytorch/vision 8250, 2933
    model.layer1[0].bn1.eps = 1e-3


def batch_norm_momentum(model):
    model.layer1[0].bn1.momentum = 0.01


def kernel(model):  # pytorch/vision 906
    model.layer1[0].conv1 = nn.Conv2d(64, 64, 5, padding=2, bias=False)


def dilation(model):  # Detectron 388
    model.layer4[1].conv1.dilation, model.layer4[1].conv1.padding = (2, 2), (2, 2)


def freeze(model):  # pytorch/vision 3394, 3905, 5443
    model.fc.bias.requires_grad_(False)


def ceil_mode(model):
    model.maxpool.ceil_mode = True
    model.maxpool.padding = 0


def padding_mode(model):
    model.conv1.padding_mode = "reflect"


def classes(model):
    model.fc = nn.Linear(512, 10)


def half(model):
    model.fc.weight = nn.Parameter(model.fc.weight.half())
    model.fc.bias = nn.Parameter(model.fc.bias.half())
    model.fc.register_forward_pre_hook(lambda module, args: (args[0].half(),))


CAUSES = {
    relu_to_gelu: [("layer1.0.relu", "class", "ReLU", "GELU", "behaviour")],
    batch_norm_eps: [("layer1.0.bn1", "eps", "1e-05", "0.001", "behaviour")],
    batch_norm_momentum: [("layer1.0.bn1", "momentum", "0.1", "0.01", "training")],
    kernel: [
        ("layer1.0.conv1", "kernel_size", "(3, 3)", "(5, 5)", "breaking"),
        ("layer1.0.conv1", "padding", "(1, 1)", "(2, 2)", "behaviour"),
    ],
    dilation: [
        ("layer4.1.conv1", "padding", "(1, 1)", "(2, 2)", "behaviour"),
        ("layer4.1.conv1", "dilation", "(1, 1)", "(2, 2)", "behaviour"),
    ],
    freeze: [("fc.bias", "requires_grad", "trainable", "frozen", "training")],
    ceil_mode: [
        ("maxpool", "padding", "(1, 1)", "(0, 0)", "behaviour"),
        ("maxpool", "ceil_mode", "False", "True", "behaviour"),
    ],
    padding_mode: [("conv1", "padding_mode", '"zeros"', '"reflect"', "behaviour")],
    classes: [("fc", "out_features", "1000", "10", "breaking")],
}


@pytest.mark.parametrize("change", CAUSES, ids=lambda change: change.__name__)
def test_a_change_of_a_layer_is_its_cause(change):
    assert told(mutated("resnet18", change)) == CAUSES[change]


def test_a_change_of_the_models_output_breaks_callers():
    """The cause is one line; the reshaped weights and the output make it breaking."""
    drift = mutated("resnet18", classes)

    assert drift.severity == Severity.BREAKING
    assert drift.verdict.startswith("ResNet drifted: fc out_features 1000 → 10 · breaking")
    assert ("fc.weight", "[1000,512]", "[10,512]") in [
        (change.layer, change.before, change.after) for change in drift.consequences
    ]


def test_a_change_of_dtype_is_told():
    drift = mutated("resnet18", half)

    assert ("fc.weight", "dtype", "float32", "float16", "breaking") in told(drift)


def test_a_lost_residual_is_told():
    """The shortcut is there and is not added; delira 91."""

    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    def change(model):
        model.layer1[1].forward = forward.__get__(model.layer1[1])

    drift = mutated("resnet18", change)

    assert told(drift) == [("layer1.1:add", "call", "add", "absent", "behaviour")]
    assert drift.before.params == drift.after.params
    assert drift.before.macs == drift.after.macs
    assert drift.consequences[0].layer == "layer1.1.relu#2"


def test_a_residual_of_the_wrong_tensor_is_told():
    """``x + x`` instead of ``x + shortcut``: seen in the data flow only; vnet.pytorch 12."""

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + out)

    def change(model):
        model.layer1[1].forward = forward.__get__(model.layer1[1])

    drift = mutated("resnet18", change)

    assert told(drift) == [("layer1.1:add", "input 2", "layer1.0.relu#2", "layer1.1.bn2", "behaviour")]


def test_a_layer_that_is_declared_and_not_called_is_told():
    """A norm defined in the constructor and forgotten in the forward; transformers 17785."""

    def forward(self, x):
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        return self.relu(out + x)

    def change(model):
        model.layer1[1].forward = forward.__get__(model.layer1[1])

    drift = mutated("resnet18", change)

    assert told(drift) == [("layer1.1.bn2", "call", "BatchNorm2d", "declared, not called", "behaviour")]


def test_another_number_of_heads_is_told():
    """Same parameters, same shapes; fvcore 153."""

    def change(model):
        attention = model.encoder.layers[0].self_attention
        attention.num_heads, attention.head_dim = 6, 128

    drift = mutated("vit_b_16", change)

    assert told(drift) == [
        ("encoder.layers.encoder_layer_0.self_attention", "num_heads", "12", "6", "behaviour")
    ]


def test_a_dropout_rate_matters_in_training_only():
    def change(model):
        model.classifier[0].p = 0.2

    assert told(mutated("alexnet", change)) == [("classifier.0", "p", "0.5", "0.2", "training")]


def test_a_frozen_norm_is_seen_in_training_mode():
    """Overriding ``train()`` to keep batch norm in eval mode is the usual idiom."""

    class Frozen(torchvision.models.resnet.ResNet):
        def train(self, mode=True):
            super().train(mode)
            self.bn1.eval()
            return self

    def change(model):
        model.__class__ = Frozen

    model = builder("resnet18")()
    after = copy.deepcopy(model)
    change(after)
    drift = diff(trace(model, (2, 3, 64, 64), train=True), trace(after, (2, 3, 64, 64), train=True))

    assert ("bn1", "training", "absent", "False", "training") in told(drift)


def test_a_forward_replaced_on_a_layer_is_told():
    """The layer is then what that function does."""
    model = nn.Sequential(nn.Linear(4, 4))
    patched = copy.deepcopy(model)
    patched[0].forward = lambda x: x @ x.transpose(0, 1) @ x
    drift = diff(trace(model, (2, 4)), trace(patched, (2, 4)))

    assert drift.severity == Severity.BEHAVIOUR
    assert drift.after.macs == 2 * (2 * 4 * 2)


def test_another_scalar_is_told():
    """Whatever type it has."""

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * self.factor

    for old, new in ((2j, 3j), (numpy.float32(2), numpy.float32(3)), (numpy.int64(2), numpy.int64(3))):
        drift = diff(trace(Scale(old), (2, 4)), trace(Scale(new), (2, 4)))
        assert (":mul", "input 2") in [(change.layer, change.attribute) for change in drift.causes]


def test_renamed_keys_are_not_called_unchanged():
    """As many as before, and none of the old checkpoint's fits."""

    class Net(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.add_module(name, nn.Linear(4, 4))

        def forward(self, x):
            return next(self.children())(x)

    text = str(diff(trace(Net("emb"), (2, 4)), trace(Net("neck"), (2, 4))))

    assert "state-dict keys: 2 → 2 (2 renamed)" in text


def test_cosmetic_changes_do_not_bury_the_cause():
    """A new block class and one stride: the stride is the first line and the only one counted."""

    class Block(torchvision.models.resnet.BasicBlock):
        pass

    def change(model):
        for stage in (model.layer1, model.layer2, model.layer3):
            for block in stage:
                block.__class__ = Block
        model.layer2[0].conv1.stride = (1, 1)
        model.layer2[0].conv2.stride = (2, 2)

    lines = str(mutated("resnet18", change)).splitlines()

    assert lines[0].startswith("ResNet drifted: layer2.0.conv1 stride (2, 2) → (1, 1) and 1 more · behaviour")
    assert "what changed (2):" in lines
    assert "cosmetic (6):" in lines


def test_an_untied_weight_is_told():
    """Transformers 43429, 48154."""

    class Tied(nn.Module):
        def __init__(self, tie):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            if tie:
                self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.embed(x))

    ids = torch.zeros(1, 3, dtype=torch.int64)
    drift = diff(trace(Tied(True), ids), trace(Tied(False), ids))

    assert told(drift) == [("head.weight", "tied to", "embed.weight", "its own", "training")]


def test_pre_norm_and_post_norm_are_told_apart():
    """The same layers in another order; gluon-nlp 1488."""

    def layer(norm_first):
        return nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=norm_first)

    drift = diff(trace(layer(False), (1, 5, 32)), trace(layer(True), (1, 5, 32)))

    assert drift.severity == Severity.BEHAVIOUR
    assert drift.verdict.startswith("TransformerEncoderLayer drifted: the model order self_attn, dropout1, ")
    assert drift.causes[0].before.startswith("self_attn, dropout1, add, norm1, linear1, ")
    assert drift.causes[0].after.startswith("norm1, self_attn, dropout1, add, norm2, linear1, ")
    assert ("norm1", "input", ":add", "in:src") in [
        (c.layer, c.attribute, c.before, c.after) for c in drift.consequences
    ]


def test_exchanged_outputs_are_told():
    """Two heads of one shape, returned in the other order; vision 8743."""

    class Heads(nn.Module):
        def __init__(self, exchanged):
            super().__init__()
            self.a, self.b, self.exchanged = nn.Linear(4, 2), nn.Linear(4, 2), exchanged

        def forward(self, x):
            a, b = self.a(x), self.b(x)
            return (b, a) if self.exchanged else (a, b)

    drift = diff(trace(Heads(False), (1, 4)), trace(Heads(True), (1, 4)))

    assert ("output [0]", "source", "a", "b", "breaking") in told(drift)


def test_a_longer_stage_is_told_by_its_block():
    """ResNet-18 to -34: how often a block is repeated, not the fifty layers of the new ones."""
    drift = diff(recorded("resnet18"), recorded("resnet34"))

    assert told(drift) == [
        (f"layer{n}", "blocks", "2", str(blocks), "breaking")
        for n, blocks in ((1, 3), (2, 4), (3, 6), (4, 3))
    ]
    assert [c.layer for c in drift.consequences if c.attribute == "call"] == [
        "layer1.2",
        "layer2.2",
        "layer2.3",
        "layer3.2",
        "layer3.3",
        "layer3.4",
        "layer3.5",
        "layer4.2",
    ]
    assert "depth (paper): 18 → 34" in str(drift)
    assert len(str(drift).splitlines()) < 40


def in_place_sum(model):
    def forward(self, x):
        identity = x
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out = torch.add(out, identity)
        return self.relu(out)

    model.layer1[1].forward = forward.__get__(model.layer1[1])


def attributes_in_another_order(model):
    block = model.layer1[0]
    block._modules["conv1"] = block._modules.pop("conv1")


def out_of_place_activation(model):
    model.relu.inplace = False


def renamed_class(model):
    class Block(type(model.layer1[0])):
        pass

    model.layer1[0].__class__ = Block


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        (in_place_sum, None),
        (attributes_in_another_order, Severity.COSMETIC),
        (out_of_place_activation, Severity.COSMETIC),
        (renamed_class, Severity.COSMETIC),
        (lambda model: model.train(), None),
        (lambda model: model.half().float(), None),
    ],
)
def test_a_refactoring_is_no_drift_above_cosmetic(change, severity):
    assert mutated("resnet18", change).severity == severity


def test_no_drift_is_falsy():
    drift = diff(recorded("resnet18"), Trace.from_text(recorded("resnet18").to_text()))

    assert not drift
    assert drift.changes == ()
    assert str(drift) == "ResNet: no drift"


def test_train_and_eval_are_told_apart():
    model = torchvision.models.resnet18()
    drift = diff(trace(model, IMAGE), trace(model, (2, *IMAGE[1:]), train=True))

    assert ("the model", "mode", "eval", "train", "behaviour") in told(drift)
    assert ("in:x", "tensor", "[1,3,224,224]", "[2,3,224,224]", "breaking") in told(drift)


def test_only_traces_can_be_compared():
    with pytest.raises(
        TypeError, match=r"diff\(\) compares two traces and was given Linear; make one with trace"
    ):
        diff(nn.Linear(1, 1), recorded("resnet18"))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"nhead": 8}, "self_attn num_heads 4 → 8"),
        ({"dropout": 0.3}, "Dropout: p 0.1 → 0.3"),
        ({"layer_norm_eps": 1e-6}, "LayerNorm: eps 1e-05 → 1e-06"),
        ({"dim_feedforward": 128}, "linear1 out_features 64 → 128"),
    ],
)
def test_a_setting_of_a_child_does_not_follow_from_another_of_its_parent(setting, told):
    """``norm_first`` explains the order of the calls and nothing else."""

    def encoder(**settings):
        stated = {"d_model": 32, "nhead": 4, "dim_feedforward": 64, "batch_first": True, **settings}
        return nn.TransformerEncoder(nn.TransformerEncoderLayer(**stated), 2, enable_nested_tensor=False)

    before = trace(encoder(), (2, 5, 32))
    drift = diff(before, trace(encoder(norm_first=True, **setting), (2, 5, 32)))

    causes = [str(group) for group in drift.groups if group.first.cause]
    assert any("norm_first False → True" in cause for cause in causes)
    assert any(told in cause for cause in causes)
