"""Two random models that compute other numbers have drifted: the truth here is what torch computes.

Each pair is a short program over one set of layers and the same with one step changed. Whether a pair computes the same
is tried on random inputs; if it does not, nothing below ``behaviour`` will do.
"""

import random
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import diff, trace
from pytest_archcheck.drift import Severity

ONE = """
m.a(X)|m.b(X)|m.n1(X)|m.n2(X)|m.r(X)|m.t(X)|m.s0(X)|m.s1(X)|m.d(X)|m.bn(X)|F.relu(X)|torch.tanh(X)|F.gelu(X)
F.gelu(X, approximate="tanh")|X * m.u|X * m.v|X * m.k|X + m.u|F.linear(X, m.a.weight, m.a.bias)|F.linear(X, m.b.weight)
F.linear(X, m.a.weight, m.b.bias)|X.flip(-1)|X.t().reshape(2, 8)|X.reshape(8, 2).t()|X.view(2, 8)|X * 2|X * 0.5
X.softmax(0)|X.softmax(-1)|F.dropout(X, 0.5, m.training)|X.mean(0, keepdim=True) + X|X.mean(1, keepdim=True) + X
X.roll(1, 0)|X.roll(1, 1)|F.layer_norm(X, (8,))|F.layer_norm(X, (8,), m.n1.weight, m.n1.bias, m.n2.eps)|X.detach()
X.contiguous()|X.clamp(min=0)|X.unsqueeze(0).squeeze(0)|X.chunk(2, 1)[0].repeat(1, 2)|X.chunk(2, 1)[1].repeat(1, 2)
torch.cat(X.chunk(2, 1), 1)|torch.cat(X.chunk(2, 1)[::-1], 1)
"""
TWO = """
X + Y|Y + X|X - Y|Y - X|X * Y|torch.add(X, Y, alpha=2)|torch.add(Y, X, alpha=2)|torch.maximum(X, Y)
torch.cat((X, Y), 1)[:, :8]|torch.cat((Y, X), 1)[:, :8]|torch.where(X > 0, X, Y)|X @ Y.t() @ X|Y @ X.t() @ Y
F.scaled_dot_product_attention(X, Y, Y)|F.scaled_dot_product_attention(Y, X, X)|torch.lerp(X, Y, 0.3)
"""
UNARY, BINARY = (
    [step for line in text.split("\n") for step in line.split("|") if step] for text in (ONE, TWO)
)
SIBLINGS = [("m.a", "m.b"), ("m.n1", "m.n2"), ("m.u", "m.v"), ("m.v", "m.k"), ("m.s0", "m.s1")]


def step_of(random, names):
    """One expression over some of the names, the last the likeliest."""
    first, second = random.choice(names[-2:]), random.choice(names)
    if random.random() < 0.35:
        return re.sub(r"\b[XY]\b", lambda found: first if found[0] == "X" else second, random.choice(BINARY))
    return re.sub(r"\bX\b", first, random.choice(UNARY))


def names_before(position):
    return ["x", *(f"y{n}" for n in range(position))]


def pair_of(random):
    """A program and the same with one step replaced, rewired, or taken by a sibling."""
    program = [step_of(random, names_before(n)) for n in range(random.randint(2, 4))]
    at = random.randrange(len(program))
    other = list(program)
    kind = random.random()
    if kind < 0.5:
        other[at] = step_of(random, names_before(at))
    elif kind < 0.75:
        other[at] = re.sub(r"\b(x|y\d)\b", lambda _: random.choice(names_before(at)), other[at])
    else:
        old, new = next((pair for pair in SIBLINGS if pair[0] in other[at]), ("x", "x"))
        other[at] = other[at].replace(old, new)
    return program, other


def model_of(program):
    """The program as the forward of a module, always with the same layers and values."""
    torch.manual_seed(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
            self.n1, self.n2 = nn.LayerNorm(8), nn.LayerNorm(8, eps=0.1)
            self.r, self.t, self.s0, self.s1 = nn.ReLU(), nn.Tanh(), nn.Softmax(0), nn.Softmax(1)
            self.d, self.bn, self.k = nn.Dropout(0.5), nn.BatchNorm1d(8), torch.randn(8)
            self.register_buffer("u", torch.randn(8))
            self.register_buffer("v", torch.randn(8), persistent=False)

    steps = "".join(f"    y{n} = {step}\n" for n, step in enumerate(program))
    names = {"F": F, "torch": torch}
    exec(f"def forward(m, x):\n{steps}    return y{len(program) - 1}\n", names)
    Net.forward = names["forward"]
    Net.__qualname__ = "Net"
    return Net().eval()


def computes_the_same(models):
    """Whether two models give the same on a few random inputs; ``None`` where one of them gives another shape."""
    for seed in range(3):
        torch.manual_seed(seed)
        x = torch.randn(2, 8)
        first, second = (model(x) for model in models)
        if first.shape != (2, 8) or second.shape != (2, 8):
            return None
        if not torch.allclose(first, second, atol=1e-5):
            return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_other_numbers_are_never_less_than_behaviour(seed):
    chance, judged = random.Random(seed), 0
    while judged < 60:
        programs = pair_of(chance)
        models = [model_of(program) for program in programs]
        if computes_the_same(models) is False:
            drift = diff(*(trace(model, (2, 8), device="cpu") for model in models))
            judged += 1

            assert drift.severity is not None, programs
            assert drift.severity >= Severity.BEHAVIOUR, f"{programs}\n{drift}"
