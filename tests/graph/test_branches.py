"""Branches, auxiliary heads and dead ends on nets worked out by hand."""

import torch
from torch import nn

from pytest_archcheck import trace
from tests.models import builder, image, recorded


class Net(nn.Module):
    """Linear layers ``a`` to ``e`` of width 4 and whatever forward a test gives it."""

    def __init__(self, forward):
        super().__init__()
        for name in "abcde":
            setattr(self, name, nn.Linear(4, 4))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def recorded_net(forward):
    return trace(Net(forward), (2, 4))


def test_an_inception_block_has_four_branches():
    """ArXiv 1409.4842: 1×1; 1×1 and 3×3; 1×1 and 5×5; pooling and 1×1."""
    found = [b for b in recorded("googlenet").branches if b.end == "inception3a:cat"]

    convolutions = [[name for name in b.layers if name.endswith("conv")] for b in found]
    assert convolutions == [
        ["inception3a.branch1.conv"],
        ["inception3a.branch2.0.conv", "inception3a.branch2.1.conv"],
        ["inception3a.branch3.0.conv", "inception3a.branch3.1.conv"],
        ["inception3a.branch4.1.conv"],
    ]
    assert {b.start for b in found} == {"maxpool2"}


def test_a_residual_block_has_an_empty_branch():
    found = recorded_net(lambda net, x: net.a(x) + x).branches

    assert [(b.start, b.layers, b.end) for b in found] == [("in:x", ("a",), ":add"), ("in:x", (), ":add")]


def test_a_branch_begins_at_the_nearest_fork():
    def forward(net, x):
        y = net.a(x)
        return torch.cat([net.c(net.b(y)), net.e(net.d(y))])

    assert [(b.start, b.layers) for b in recorded_net(forward).branches] == [
        ("a", ("b", "c")),
        ("a", ("d", "e")),
    ]


def test_googlenets_auxiliary_heads_run_in_training():
    training = trace(builder("googlenet"), image("googlenet", 2), train=True)

    heads = training.auxiliary_heads
    assert {head.source for head in heads} == {"aux1.fc2", "aux2.fc2"}
    assert all(head.layers[-1] == head.source for head in heads)
    assert recorded("googlenet").auxiliary_heads == ()


def test_a_layer_that_heads_share_is_listed_with_the_first():
    def forward(net, x):
        shared = net.b(x)
        return net.a(x), net.c(shared), net.d(shared)

    heads = recorded_net(forward).auxiliary_heads

    assert [head.layers for head in heads] == [("b", "c"), ("d",)]


def test_a_module_whose_weight_ran_in_a_function_did_run():
    linear = torch.nn.functional.linear
    explanation = recorded_net(lambda net, x: linear(net.b(x), net.a.weight, net.a.bias)).explain_depth(
        "paper"
    )

    assert [layer.name for layer in explanation.counted] == ["b", ":linear"]
    assert "a" not in [layer.name for layer in explanation.left_out]


def test_a_rule_through_gates_gives_no_gate_as_a_reason():
    def forward(net, x):
        hidden = net.a(x)
        gated = hidden * net.b(hidden.mean(0, keepdim=True))
        return gated + net.e(net.d(net.c(x)))

    reasons = {
        name: {layer.name: layer.reason for layer in recorded_net(forward).explain_depth(name).left_out}["b"]
        for name in ("paper", "longest-path")
    }

    assert reasons == {"paper": "computes a gate", "longest-path": "parallel to a longer path"}


def test_a_single_layer_is_counted_and_not_missed():
    explanation = trace(nn.Linear(4, 4), (2, 4)).explain_depth("paper")

    assert explanation.depth == 1
    assert explanation.left_out == ()


def test_an_intermediate_output_is_no_head():
    """A hidden state that is returned beside the result is on the main path."""

    def forward(net, x):
        hidden = net.a(x)
        return net.b(hidden), hidden, net.c(hidden)

    heads = recorded_net(forward).auxiliary_heads

    assert [(head.output, head.layers) for head in heads] == [("[2]", ("c",))]


def test_dead_ends_are_calls_that_reach_no_output():
    def forward(net, x):
        net.b(net.a(x))
        return net.c(x), net.d(x)

    assert recorded_net(forward).dead_ends == ("a", "b")


def test_reasons_for_what_is_left_out():
    """Every weighted layer off the path has its own."""

    def forward(net, x):
        hidden = net.b(net.a(x))
        hidden = hidden * net.c(hidden.mean(0, keepdim=True))
        net.d(hidden)
        return hidden + x, net.e(x)

    left_out = recorded_net(forward).explain_depth("paper").left_out

    assert [(layer.name, layer.reason) for layer in left_out] == [
        ("c", "computes a gate"),
        ("d", "dead end: its result reaches no output"),
        ("e", "auxiliary head (output [1])"),
    ]


def test_a_gate_shorter_than_what_it_scales_is_still_a_gate():
    """It lies beside three layers that are computed from the same input."""

    def forward(net, x):
        return net.c(net.b(net.a(x))) * net.d(x[:1])

    left_out = recorded_net(forward).explain_depth("paper").left_out

    assert (left_out[0].name, left_out[0].reason) == ("d", "computes a gate")
