"""Models nested deeper than Python's stack, and work that grows with the number of calls and no faster."""

import sys
from itertools import pairwise

import pytest
import torch
from torch import nn

from pytest_archcheck import Trace, diff, trace


def nested(levels, bias=True):
    model = nn.Linear(2, 2, bias=bias)
    for _ in range(levels):
        model = nn.Sequential(model)
    return model


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_nesting_has_no_limit(device):
    """A bare forward ends with a RecursionError at 300 levels; Python 3.12 has another limit, for calls of C."""
    levels = 180 if sys.version_info[:2] == (3, 12) else 400
    model = nested(levels)
    if levels == 400:
        with pytest.raises(RecursionError):
            model(torch.zeros(1, 2))

    limit = sys.getrecursionlimit()
    recorded = trace(model, (1, 2), device=device)

    assert sys.getrecursionlimit() == limit
    assert recorded.macs == 4
    assert recorded.depth("paper") == 1
    assert Trace.from_text(recorded.to_text()) == recorded
    assert (
        diff(recorded, trace(nested(levels, bias=False), (1, 2), device=device)).causes[0].attribute == "bias"
    )


class Link(nn.Module):
    """Calls what comes next."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):
        x = self.linear(x)
        following = self.__dict__.get("following") or [getattr(self, "behind", None)]
        return x if following[0] is None else following[0](x)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_hidden_modules_may_hold_hidden_modules(device):
    links = [Link() for _ in range(5)]
    for link, after in pairwise(links):
        link.following = [after]

    assert trace(links[0], (1, 2), device=device).macs == 5 * 4


@pytest.mark.parametrize("turned", [False, True])
def test_modules_in_one_list_may_call_each_other(turned):
    links = [Link() for _ in range(150)]
    for link, after in pairwise(links):
        link.behind = after
    model = nn.Sequential(nn.ModuleList(reversed(links) if turned else links))
    model.forward = links[0].forward

    assert trace(model, (1, 2), device="meta").macs == 150 * 4


def test_a_module_that_holds_itself_is_recorded():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].owner = model

    assert trace(model, (1, 2), device="meta").macs == 4


def chain(length, changed=None):
    layers = [nn.LayerNorm(8) if at % 2 else nn.Linear(8, 8) for at in range(length)]
    if changed is not None:
        layers[changed] = nn.LayerNorm(8, eps=1e-3)
    return nn.Sequential(*layers)


def counted(run):
    """How many functions a run calls; a clock would say how busy the machine is."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


QUESTIONS = {
    "recording": lambda model, first, second: trace(model, (1, 8), device="meta"),
    "depth": lambda model, first, second: Trace.from_text(first).depth("paper"),
    "text": lambda model, first, second: Trace.from_text(first).to_text(),
    "diff": lambda model, first, second: str(diff(Trace.from_text(first), Trace.from_text(second))),
    "structure": lambda model, first, second: [
        getattr(Trace.from_text(first), name)
        for name in ("stages", "blocks", "shortcuts", "branches", "dead_ends", "macs", "activations")
    ],
    "same_as": lambda model, first, second: Trace.from_text(first).same_as(Trace.from_text(second)),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_work_is_linear_in_the_calls(question):
    counts = []
    for length in (100, 1000):
        with torch.device("meta"):
            model, other = chain(length), chain(length, changed=length // 2 | 1)
        texts = [trace(one, (1, 8), device="meta").to_text() for one in (model, other)]
        QUESTIONS[question](model, *texts)  # imports
        counts.append(counted(lambda model=model, texts=texts: QUESTIONS[question](model, *texts)))

    assert counts[1] <= 10.5 * counts[0]
