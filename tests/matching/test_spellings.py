"""Small pairs: what computes something else, and what is only written otherwise."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import trace


class Net(nn.Module):
    """Layers to call, and whatever forward a test gives it."""

    def __init__(self, forward):
        super().__init__()
        self.w, self.v = nn.Linear(4, 4), nn.Linear(4, 4)
        self.e = nn.Embedding(9, 4)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.a, self.b = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def compared(one, other, shape, train=False):
    first, second = (trace(Net(forward), shape, train=train) for forward in (one, other))
    return first.same_as(second)


ROWS, BATCH, IMAGE = (4, 4), (4, 4, 4), (1, 4, 4, 4)

DIFFERENT = {
    "minus": (lambda n, x: x - n.w(x), lambda n, x: n.w(x) - x, ROWS),
    "a factor": (lambda n, x: x + 0.5 * n.w(x), lambda n, x: x + 0.25 * n.w(x), ROWS),
    "a sign": (lambda n, x: x * -2, lambda n, x: x * 2, IMAGE),
    "a negative power": (lambda n, x: x**-1, lambda n, x: x**1, ROWS),
    "a diagonal": (lambda n, x: x.tril(-1), lambda n, x: x.tril(1), ROWS),
    "a causal mask": (
        lambda n, x: x.masked_fill(torch.ones(4, 4).triu(1) == 1, -9.0),
        lambda n, x: x.masked_fill(torch.ones(4, 4).triu(-1) == 1, -9.0),
        ROWS,
    ),
    "a bound": (lambda n, x: x.clamp_min(-1), lambda n, x: x.clamp_min(1), ROWS),
    "alpha": (lambda n, x: torch.add(x, n.w(x), alpha=2), lambda n, x: x + n.w(x), ROWS),
    "an axis": (lambda n, x: n.w(x).softmax(0), lambda n, x: n.w(x).softmax(1), ROWS),
    "a transposition": (lambda n, x: n.w(x).t(), lambda n, x: n.w(x), ROWS),
    "all axes reversed": (lambda n, x: x.permute(2, 1, 0), lambda n, x: x.mT, BATCH),
    "flipped": (lambda n, x: n.w(x).flip(0), lambda n, x: n.w(x), ROWS),
    "other rows": (lambda n, x: n.w(x)[1:], lambda n, x: n.w(x)[:-1], ROWS),
    "reshaped": (lambda n, x: n.w(x).view(2, 8), lambda n, x: n.w(x).t().reshape(2, 8), ROWS),
    "outputs exchanged": (lambda n, x: (n.w(x), x), lambda n, x: (x, n.w(x)), ROWS),
    "detached": (lambda n, x: n.w(x.detach()), lambda n, x: n.w(x), ROWS),
    "once more": (lambda n, x: n.w(n.w(x)), lambda n, x: n.w(x), ROWS),
    "operands in another order": (
        lambda n, x: torch.cat([x, n.w(x)]),
        lambda n, x: torch.cat([n.w(x), x]),
        ROWS,
    ),
    "layers in another order": (lambda n, x: n.w(n.v(n.w(x))), lambda n, x: n.w(n.w(n.v(x))), ROWS),
    "operands by another keyword": (
        lambda n, x: torch.lerp(x, end=x.sin(), weight=x.cos()),
        lambda n, x: torch.lerp(x, weight=x.sin(), end=x.cos()),
        ROWS,
    ),
    "bits": (lambda n, x: x.view(torch.int32).float(), lambda n, x: x.float(), ROWS),
    "dtype": (lambda n, x: x.mean(1, dtype=torch.float64), lambda n, x: x.mean(1), ROWS),
    "another mask": (
        lambda n, x: n.attention(x, x, x, key_padding_mask=x[:, :, 0])[0],
        lambda n, x: n.attention(x, x, x, attn_mask=x[:, :, 0])[0],
        BATCH,
    ),
    "another mask by position": (
        lambda n, x: n.attention(x, x, x, x[:, :, 0])[0],
        lambda n, x: n.attention(x, x, x, None, True, x[:, :, 0])[0],
        BATCH,
    ),
    "averaged weights": (
        lambda n, x: n.attention(x, x, x)[1].sum(1),
        lambda n, x: n.attention(x, x, x, average_attn_weights=False)[1].sum(1),
        BATCH,
    ),
    "an output size": (lambda n, x: n.up(x, (9, 9)), lambda n, x: n.up(x, (10, 10)), IMAGE),
    "always dropped": (
        lambda n, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1),
        lambda n, x: F.scaled_dot_product_attention(x, x, x),
        BATCH,
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_computes_something_else_is_not_the_same(name):
    one, other, shape = DIFFERENT[name]

    assert compared(one, other, shape).differences
    assert compared(one, one, shape)


SAME = {
    "sum": (lambda n, x: x + n.w(x), lambda n, x: n.w(x) + x, ROWS),
    "relu": (lambda n, x: n.w(x).relu(), lambda n, x: nn.ReLU()(n.w(x)), ROWS),
    "softplus": (lambda n, x: F.softplus(x), lambda n, x: nn.Softplus()(x), ROWS),
    "mean": (lambda n, x: n.w(x).mean(1), lambda n, x: n.w(x).mean(dim=-1), ROWS),
    "global pool": (lambda n, x: x.mean((2, 3)), lambda n, x: nn.AdaptiveAvgPool2d(1)(x).flatten(1), IMAGE),
    "transposition": (lambda n, x: n.w(x.t()), lambda n, x: n.w(x.transpose(0, 1)), ROWS),
    "flattened": (lambda n, x: n.w(x).flatten(), lambda n, x: n.w(x).reshape(-1), ROWS),
    "reflected": (lambda n, x: n.w(x) * 2, lambda n, x: 2 * n.w(x), ROWS),
    "a new axis": (lambda n, x: n.w(x).unsqueeze(0), lambda n, x: n.w(x)[None], ROWS),
    "rows and maps": (lambda n, x: n.w(x), lambda n, x: n.w(x.flatten(0, 2)).view(1, 4, 4, 4), IMAGE),
    "idle dropout": (lambda n, x: F.dropout(n.w(x), 0.0, training=False), lambda n, x: n.w(x), ROWS),
    "idle cast": (lambda n, x: n.w(x.float()), lambda n, x: n.w(x), ROWS),
    "positions": (
        lambda n, x: x + n.e(torch.arange(4)),
        lambda n, x: x + n.e(torch.arange(0, 4, dtype=torch.long)[None]),
        BATCH,
    ),
    "padding": (lambda n, x: F.pad(x, (1, 1, 1, 1)), lambda n, x: nn.ZeroPad2d(1)(x), IMAGE),
    "enlarged": (
        lambda n, x: F.interpolate(x, size=8, mode="bilinear"),
        lambda n, x: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)(x),
        IMAGE,
    ),
    "a norm without weights": (
        lambda n, x: F.layer_norm(x, (4,)),
        lambda n, x: nn.LayerNorm(4, elementwise_affine=False)(x),
        ROWS,
    ),
    "parameters in a sum": (
        lambda n, x: (x * (n.a + n.b)).sin() * n.a,
        lambda n, x: (x * (n.b + n.a)).sin() * n.a,
        ROWS,
    ),
    "a parameter as an output": (lambda n, x: (x * n.a, n.b), lambda n, x: (n.a * x, n.b), ROWS),
    "attention": (
        lambda n, x: n.attention(x, x, x)[0],
        lambda n, x: n.attention(query=x, key=x, value=x, need_weights=False)[0],
        BATCH,
    ),
    "attention to others": (
        lambda n, x: n.attention(x, x.sin(), x.cos())[0],
        lambda n, x: n.attention(x, x.sin(), x.cos(), need_weights=False)[0],
        BATCH,
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_another_spelling_is_the_same(name):
    """Outputs too, with the weights carried over."""
    one, other, shape = SAME[name]
    match = compared(one, other, shape)
    assert match, str(match)
    torch.manual_seed(0)
    first, second, x = Net(one).eval(), Net(other).eval(), torch.randn(shape)

    second.load_state_dict(match.mapping.rename(first.state_dict()))

    with torch.no_grad():
        results = [out if isinstance(out, tuple) else (out,) for out in (first(x), second(x))]
        torch.testing.assert_close(*results, rtol=0, atol=1e-5)


def test_dropout_inside_attention_matters_in_training():
    class Attention(nn.Module):
        def __init__(self, dropout):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    for train in (True, False):
        dropped, kept = (trace(Attention(rate), BATCH, train=train) for rate in (0.1, 0.0))

        assert bool(dropped.same_as(kept)) is not train


def test_what_was_not_recorded_is_not_said_to_be_the_same():
    """A constant that NumPy made may be any."""
    one = lambda n, x: x + torch.from_numpy(np.arange(4.0))  # noqa: E731

    match = compared(one, one, ROWS)

    assert str(match.differences[0]) == (
        ". ↔ –: made by what was not recorded (opaque), in the reference something that can be compared"
    )


def test_tensors_that_no_state_dict_holds_are_named():
    """Their values are not in the record."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(4), persistent=False)

        def forward(self, x):
            return x * self.scale

    match = trace(Scaled(), ROWS).same_as(trace(Scaled(), ROWS))

    assert match.by_shape == ("scale",)
    assert str(match).splitlines()[1] == "  compared by shape, not by value (no state dict holds them): scale"
