"""The MACs of a backward against torch's own counter and by hand."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import mac_formula, spec, trace
from tests.models import recorded


def by_torch(model, *shapes, input_grad):
    """Forward and backward together, in MACs, on meta."""
    with torch.device("meta"):
        model = model() if not isinstance(model, nn.Module) else model.to("meta")
        inputs = [torch.randn(shape, requires_grad=input_grad) for shape in shapes]
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(*inputs).sum().backward()
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("input_grad", "flops"), [(True, 10_884_440_064), (False, 10_648_412_160)], ids=["with", "without"]
)
def test_resnet18_is_what_torchs_own_test_says(input_grad, flops):
    """The figures of ``test_flop_counter.py`` for forward and backward, with a gradient for the image and without."""
    found = recorded("resnet18")

    assert 2 * (found.macs + found.backward(input_grad=input_grad).total) == flops


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Attends(nn.Module):
    """Scores and weighted values as plain products."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 6)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)


class Contracts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(6, 5)), nn.Parameter(torch.zeros(5, 4))

    def forward(self, x):
        return torch.einsum("bij,jk,kl->bil", x, self.a, self.b)


class Stacked(nn.Module):
    def __init__(self, bidirectional=False):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=bidirectional)

    def forward(self, x):
        return self.lstm(x)[0]


@pytest.mark.parametrize("input_grad", [True, False])
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Mlp, (3, 7, 6)),
        (Attends, (2, 7, 6)),
        (Contracts, (2, 7, 6)),
        (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9)),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3), nn.Conv2d(6, 2, 1)), (2, 4, 9, 9)),
        (torchvision.models.vgg11, (1, 3, 64, 64)),
        (torchvision.models.densenet121, (1, 3, 64, 64)),
    ],
    ids=["mlp", "attention", "einsum", "conv", "transposed", "vgg11", "densenet121"],
)
def test_a_backward_costs_what_torchs_counter_says(model, shape, input_grad):
    found = trace(model, shape)

    assert found.macs + found.backward(input_grad=input_grad).total == by_torch(
        model, shape, input_grad=input_grad
    )


@pytest.mark.parametrize("input_grad", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_layer_is_the_loop_that_it_is(bidirectional, input_grad):
    """Written as a loop of linear layers, whose first states need no gradient, and counted by torch."""

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            both = 2 if bidirectional else 1
            self.w = nn.ModuleList(
                nn.Linear(size, 20) for layer in (6, 5 * both) for _ in range(both) for size in (layer, 5)
            )

        def forward(self, x):
            directions = (False, True) if bidirectional else (False,)
            weights = iter(self.w)
            for _ in range(2):
                outputs = []
                for backwards in directions:
                    w, u = next(weights), next(weights)
                    inputs, h, made = w(x), x.new_zeros(x.shape[1], 5), []
                    for t in reversed(range(len(x))) if backwards else range(len(x)):
                        h = (inputs[t] + u(h))[:, :5].tanh()
                        made.append(h)
                    outputs.append(torch.stack(made))
                x = torch.cat(outputs, -1)
            return x

    found = trace(Stacked(bidirectional), (4, 3, 6))

    assert found.macs + found.backward(input_grad=input_grad).total == by_torch(
        Loop, (4, 3, 6), input_grad=input_grad
    )


def test_an_own_recurrent_function_costs_as_its_layer():
    """A subclass of ``nn.LSTM`` is recorded by the function that it calls."""

    class Own(nn.LSTM):
        pass

    options = {"num_layers": 2, "bidirectional": True, "proj_size": 3}
    layer, function = (trace(cls(6, 5, **options), (4, 3, 6)) for cls in (nn.LSTM, Own))

    for input_grad in (True, False):
        assert layer.backward(input_grad=input_grad).total == function.backward(input_grad=input_grad).total


def test_depth_wise_convolutions_are_not_overcounted():
    """8 channels, each with its own 3 × 3: each gradient costs as many MACs as the forward; torch says more."""
    layer = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    found = trace(layer, (1, 8, 6, 6))
    steps = 36 * 8 * 9

    assert found.macs == steps
    assert found.backward().total == steps
    assert found.backward(input_grad=True).total == 2 * steps
    assert by_torch(layer, (1, 8, 6, 6), input_grad=False) > found.macs + found.backward().total


def test_attention_as_one_layer_costs_as_its_parts():
    """7 tokens of width 8: two gradients for each product, one for the projections of the input."""
    model = nn.MultiheadAttention(8, 2, batch_first=True)

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = model

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    found = trace(Attend, (1, 7, 8))
    projections, scores, out = 3 * 7 * 64, 2 * 49 * 8, 7 * 64

    assert found.macs == projections + scores + out
    assert found.backward().total == projections + 2 * scores + 2 * out
    assert found.backward(input_grad=True).total == 2 * found.macs


def test_what_is_frozen_needs_no_gradient():
    """With the first layer frozen the second's weights are left; with the second frozen, the way through it."""
    first, second = 6 * 5, 5 * 4
    frozen_first, frozen_second = Mlp(), Mlp()
    frozen_first.first.requires_grad_(False)
    frozen_second.second.requires_grad_(False)

    assert trace(frozen_first, (1, 6)).backward().per_call == {"second": second}
    assert trace(frozen_second, (1, 6)).backward().per_call == {"first": first, "second": second}
    assert trace(Mlp().requires_grad_(False), (1, 6)).backward().total == 0


@pytest.mark.parametrize("own", [False, True])
def test_training_the_biases_alone_needs_no_gradient_of_weights(own):
    """As BitFit does: of the two products of attention's scores both, of the output projection the input's."""

    class Own(nn.MultiheadAttention):
        pass

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = (Own if own else nn.MultiheadAttention)(8, 2, batch_first=True)
            for name, parameter in self.named_parameters():
                parameter.requires_grad_("bias" in name)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    scores, out = 2 * 49 * 8, 7 * 64

    assert trace(Attend, (1, 7, 8)).backward().total == 2 * scores + out


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("trainable", "macs"),
    [
        ("bias_k", 7 * 8 * 8 + 7 * 8 * 8 + 7 * 64),
        ("bias_v", 7 * 8 * 8 + 7 * 64),
        ("q_proj_weight", 7 * 64 + 2 * 7 * 8 * 8 + 7 * 64),
        ("k_proj_weight", 7 * 8 * 6 + 2 * 7 * 8 * 8 + 7 * 64),
        ("v_proj_weight", 7 * 8 * 4 + 7 * 8 * 8 + 7 * 64),
        ("out_proj.weight", 7 * 64),
    ],
)
def test_of_attention_only_what_is_trainable_gets_a_gradient(own, trainable, macs):
    """7 queries over 7 keys of width 6, values of width 4, and one added key: scores 7 · 8 · 8, as weighted values."""

    class Own(nn.MultiheadAttention):
        pass

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            cls = Own if own else nn.MultiheadAttention
            self.attention = cls(8, 2, batch_first=True, kdim=6, vdim=4, add_bias_kv=True)
            for name, parameter in self.attention.named_parameters():
                parameter.requires_grad_(name == trainable)

        def forward(self, q, k, v):
            return self.attention(q, k, v, need_weights=False)[0]

    assert trace(Attend, ((1, 7, 8), (1, 7, 6), (1, 7, 4))).backward().total == macs


@pytest.mark.parametrize("layer", [False, True])
def test_a_trainable_mask_of_attention_gets_its_gradient(layer):
    """As relative positions do: the weighted values need it, and so does what comes after them."""

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.mask = nn.Parameter(torch.zeros(7, 7))
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True).requires_grad_(False)

        def forward(self, x):
            if layer:
                return self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]
            return F.scaled_dot_product_attention(x, x, x, attn_mask=self.mask)

    assert trace(Attend, (1, 7, 8)).backward().total == 49 * 8 + layer * 7 * 64


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("trainable", "macs"),
    [
        ("bias_ih_l0", 9 * 25),  # through the states, but for the first step
        ("bias_hh_l0", 9 * 25),
        ("weight_hh_l0", 9 * 25 + 12 * 25),  # and the weight itself, in every step
        ("weight_ih_l0", 9 * 25 + 12 * 30),
        ("bias_ih_l1", 9 * 25),
        ("weight_ih_l1", 9 * 25 + 12 * 25),
    ],
)
def test_of_a_recurrent_layer_only_what_is_trainable_gets_a_gradient(own, trainable, macs):
    """Two layers of 5 over 6 inputs, 4 steps of 3 samples; below the second lies the whole of the first."""

    class Own(nn.RNN):
        pass

    model = (Own if own else nn.RNN)(6, 5, num_layers=2)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == trainable)
    through_second = (9 + 12) * 25 if trainable.endswith("_l0") else 0

    assert trace(model, (4, 3, 6)).backward().total == macs + through_second


def test_a_gradient_stops_at_a_detach_and_at_integers():
    class Detaches(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.first, self.second = nn.Embedding(9, 6), nn.Linear(6, 5), nn.Linear(5, 4)

        def forward(self, x):
            return self.second(self.first(self.embed(x)).detach())

    found = trace(Detaches, spec(1, 3, dtype="int64", high=9))

    assert found.backward(input_grad=True).per_call == {"second": 3 * 5 * 4}


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
@pytest.mark.parametrize("copies", [torch.tensor, lambda h: h.new_tensor(h), lambda h: h.data])
def test_a_gradient_does_not_pass_a_copy_of_values(copies):
    class Copies(Mlp):
        def forward(self, x):
            return self.second(copies(self.first(x)))

    assert trace(Copies, (1, 6), device="cpu").backward().per_call == {"second": 20}


def test_a_gradient_does_not_pass_what_asks_for_a_shape_alone():
    class Forgets(Mlp):
        def forward(self, x):
            return self.second(torch.ones_like(self.first(x)))

    assert trace(Forgets, (1, 6)).backward().per_call == {"second": 20}


def test_what_no_output_depends_on_has_no_backward():
    class Idle(Mlp):
        def forward(self, x):
            self.second(self.first(x))
            return self.first(x)

    assert trace(Idle, (1, 6)).backward().per_call == {"first#2": 30}


def test_a_formula_of_ones_own_says_nothing_of_the_backward():
    """It gives the MACs of the forward; the backward is partial and says so."""
    lib = torch.library.Library("archtest_backward", "DEF")
    lib.define("twice(Tensor x) -> Tensor")
    lib.impl("twice", lambda x: 2 * x, "Meta")
    mac_formula("archtest_backward.twice")(lambda call: call.output.numel)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return torch.ops.archtest_backward.twice(self.layer(x))

    found = trace(Own, (1, 6))

    assert (found.macs, found.status) == (42, "complete")
    assert found.backward().status == "partial: :archtest_backward.twice not counted"
