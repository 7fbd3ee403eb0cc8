"""The same architecture up to names: five pairs with weights carried over, near misses, and what is ambiguous."""

from collections import OrderedDict

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from pytest_archcheck import Trace, UsageError, spec, trace
from tests.matching.pairs import (
    ClassicUNet,
    LanguageModel,
    LoopUNet,
    PermutedGPTBlock,
    SequenceTagger,
    SplitGPTBlock,
    TextClassifier,
    TiedByCall,
    renamed_resnet,
)

TOKENS = spec(2, 7, dtype="int64", high=50)

PAIRS = {
    "resnet50": (lambda: renamed_resnet().resnet50(), torchvision.models.resnet50, (1, 3, 64, 64)),
    "vit": (
        lambda: timm.create_model("vit_base_patch16_224"),
        torchvision.models.vit_b_16,
        (1, 3, 224, 224),
    ),
    "densenet121": (
        lambda: timm.create_model("densenet121"),
        torchvision.models.densenet121,
        (1, 3, 64, 64),
    ),
    "unet": (ClassicUNet, LoopUNet, (2, 3, 32, 32)),
    "lstm": (TextClassifier, SequenceTagger, TOKENS),
    "gpt": (SplitGPTBlock, PermutedGPTBlock, (2, 5, 24)),
    "tied": (lambda: LanguageModel(tied=True), TiedByCall, TOKENS),
}


@pytest.mark.parametrize("name", PAIRS)
def test_weights_go_over_and_outputs_are_equal(name):
    """Both ways, every key of the state dict, to 1e-5."""
    one, other, inputs = PAIRS[name]
    match = trace(one, inputs).same_as(trace(other, inputs))
    assert match, str(match)
    torch.manual_seed(0)
    first, second = one().eval(), other().eval()
    x = torch.randint(50, inputs.shape) if inputs is TOKENS else torch.randn(inputs)

    second.load_state_dict(match.mapping.rename(first.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(first(x), second(x), rtol=0, atol=1e-5)

    fresh = one().eval()
    fresh.load_state_dict(match.mapping.inverse.rename(second.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(fresh(x), second(x), rtol=0, atol=1e-5)


def differences(one, other, inputs):
    match = trace(one, inputs).same_as(trace(other, inputs))
    assert match.mapping is None
    return [str(difference) for difference in match.differences]


def test_a_moved_stride_is_mapped_layer_to_layer():
    one = lambda: renamed_resnet().resnet50("1x1")  # noqa: E731

    assert differences(one, torchvision.models.resnet50, (1, 3, 64, 64)) == [
        line
        for n in (2, 3, 4)
        for line in (
            f"stage_{n}.0.reduce ↔ layer{n}.0.conv1: stride (2, 2), in the reference (1, 1)",
            f"stage_{n}.0.spatial ↔ layer{n}.0.conv2: stride (1, 1), in the reference (2, 2)",
        )
    ]


def test_another_eps_is_the_only_difference():
    assert differences(lambda: SplitGPTBlock(eps=1e-6), PermutedGPTBlock, (2, 5, 24)) == [
        "ln_1 ↔ norms.0: eps 1e-06, in the reference 1e-05"
    ]


def test_post_norm_differs_where_the_paths_part():
    found = differences(lambda: SplitGPTBlock(post_norm=True), PermutedGPTBlock, (2, 5, 24))

    assert found[0] == "c_attn ↔ norms.0: after in:x linear, in the reference layer_norm (norms.0)"


def test_tied_and_untied_weights_differ():
    assert differences(lambda: LanguageModel(tied=False), lambda: LanguageModel(tied=True), TOKENS) == [
        "head: weight its own (head.weight), in the reference shared with embed.weight"
    ]


def test_another_number_of_heads_is_another_order_of_elements():
    """The parameters are the same; attention is not."""
    found = differences(lambda: SplitGPTBlock(heads=6), lambda: SplitGPTBlock(heads=4), (2, 5, 24))

    assert found
    assert all(":scaled_dot_product_attention" in line or "c_proj" in line for line in found)


def test_another_activation_does_not_hide_what_comes_after_it():
    class Relu(nn.Sequential):
        def __init__(self, active, last):
            super().__init__(nn.Linear(4, 4), active, nn.Linear(4, 4), active, nn.Linear(4, 4, bias=last))

    one, other = (lambda: Relu(nn.ReLU(), True)), (lambda: Relu(nn.GELU(), False))

    assert differences(one, other, (1, 4)) == [
        "1: computes relu, in the reference gelu",
        "1#2: computes relu, in the reference gelu",
        "4: parameters weight, bias, in the reference weight",
    ]


def test_a_lost_layer_is_named():
    whole = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 4))
    lost = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    assert differences(lost, whole, (1, 4))[0] == ("2: after 1 linear, in the reference layer_norm (2)")


def test_a_lost_norm_is_named_where_its_result_would_be_summed():
    def lost():
        model = torchvision.models.resnet18()
        model.layer2[1].bn2 = nn.Identity()
        return model

    assert differences(lost, torchvision.models.resnet18, (1, 3, 64, 64)) == [
        "layer2.1:add ↔ layer2.1.bn2: after layer2.1.conv2 and layer2.0.relu#2 add, in the reference "
        "batch_norm (layer2.1.bn2)"
    ]


def test_a_computation_that_the_reference_has_besides_is_named():
    """Nothing comes of it, but the reference does it."""

    class Besides(nn.Module):
        def __init__(self, besides):
            super().__init__()
            self.w, self.besides = nn.Linear(4, 4), besides

        def forward(self, x):
            if self.besides:
                x.sin()
            return self.w(x)

    assert differences(lambda: Besides(False), lambda: Besides(True), (1, 4)) == [
        "– ↔ :sin: after in:x nothing of the kind, in the reference sin"
    ]


def test_another_number_of_blocks_is_said_first():
    found = differences(torchvision.models.resnet34, torchvision.models.resnet18, (1, 3, 64, 64))

    assert found[0] == "the model: weighted layers 37, in the reference 21"


def test_a_choice_between_equals_is_told_where_it_may_be_the_reason():
    """Two choices depend on each other here, which pairing in order does not see."""

    class Crossed(nn.Module):
        def __init__(self, crossed):
            super().__init__()
            self.a, self.b, self.crossed = nn.Linear(4, 4), nn.Linear(4, 4), crossed

        def forward(self, x):
            first, second = (self.b, self.a) if self.crossed else (self.a, self.b)
            late = {layer: layer(x.sin()).relu() for layer in (first, second)}
            return self.a(x).relu() * late[self.a] + self.b(x).relu() * late[self.b]

    text = str(trace(Crossed(True), (2, 4)).same_as(trace(Crossed(False), (2, 4))))

    assert "there were several ways to pair a#2, b#2; the first was taken" in text


def test_versions_and_extra_state_go_along():
    """Loading asks some modules for the version that saved them (MNASNet), others for state of their own."""

    class Counting(nn.Linear):
        seen = None

        def get_extra_state(self):
            return {"seen": 3}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    mnasnet = torchvision.models.mnasnet0_5()
    own = trace(mnasnet, (1, 3, 64, 64))
    mnasnet.load_state_dict(own.same_as(own).mapping.rename(mnasnet.state_dict()))

    one, other = nn.Sequential(Counting(4, 4)), nn.Sequential(OrderedDict(only=Counting(4, 4)))
    mapping = trace(one, (1, 4)).same_as(trace(other, (1, 4))).mapping
    other.load_state_dict(mapping.rename(one.state_dict()))

    assert other.only.seen == 3


def test_parallel_branches_may_run_in_another_order():
    """Queries and keys have equal layers; what tells them apart is their use."""

    class Attention(nn.Module):
        def __init__(self, keys_first):
            super().__init__()
            self.keys_first = keys_first
            self.q, self.k = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            if self.keys_first:
                k, q = self.k(x), self.q(x)
            else:
                q, k = self.q(x), self.k(x)
            return F.linear(q, x).softmax(-1) @ k

    match = trace(Attention(True), (3, 4)).same_as(trace(Attention(False), (3, 4)))

    assert match.mapping["q.weight"] == "q.weight"
    assert match.ambiguous == ()


class Twins(nn.Module):
    def __init__(self, names):
        super().__init__()
        self.names = names
        for name in names:
            setattr(self, name, nn.Linear(4, 4))

    def forward(self, x):
        first, second = (getattr(self, name)(x) for name in self.names)
        return first + second


def test_identical_branches_are_paired_in_order_and_said_to_be_ambiguous():
    one, other = trace(Twins(("b", "a")), (1, 4)), trace(Twins(("c", "d")), (1, 4))

    for _ in range(2):
        match = one.same_as(other)
        assert dict(match.mapping) == {
            "b.weight": "c.weight",
            "b.bias": "c.bias",
            "a.weight": "d.weight",
            "a.bias": "d.bias",
        }
        assert match.ambiguous == (("b", "a"),)
        assert str(match) == (
            "the same architecture up to names\n  ambiguous, paired in order of execution: b, a"
        )


def test_parameters_that_no_call_uses_are_paired_or_told():
    class Idle(nn.Module):
        def __init__(self, idle):
            super().__init__()
            self.w = nn.Linear(4, 4)
            if idle:
                self.register_parameter(idle, nn.Parameter(torch.zeros(3)))

        def forward(self, x):
            return self.w(x)

    with_a, with_b, without = (trace(Idle(name), (1, 4)) for name in ("a", "b", None))

    assert with_a.same_as(with_b).mapping["a"] == "b"
    assert [str(d) for d in with_a.same_as(without).differences] == [
        "a ↔ –: not used by any call: param float32 [3], in the reference absent"
    ]


def test_a_mapping_refuses_a_name_that_it_does_not_know():
    mapping = trace(Twins(("b", "a")), (1, 4)).same_as(trace(Twins(("c", "d")), (1, 4))).mapping

    with pytest.raises(UsageError, match=r"'b.wait' is no name .*; the nearest is 'b.weight'"):
        mapping.rename({"b.wait": 1})
    with pytest.raises(UsageError, match=r"'c.bias' is no name .*use mapping.inverse"):
        mapping.rename({"c.bias": 1})
    assert mapping.rename({"b.bias": 1}) == {"c.bias": 1}


def test_a_trace_read_back_from_text_is_compared_as_well():
    one, other = trace(ClassicUNet, (2, 3, 32, 32)), trace(LoopUNet, (2, 3, 32, 32))

    assert (
        Trace.from_text(one.to_text()).same_as(Trace.from_text(other.to_text())).mapping
        == one.same_as(other).mapping
    )


def test_what_is_no_trace_is_refused():
    with pytest.raises(TypeError, match=r"same_as\(\) compares traces and was given Linear"):
        trace(nn.Linear(2, 2), (1, 2)).same_as(nn.Linear(2, 2))
