"""Unused parameters from the data flow alone, held against what a backward gives and what DDP would stop at."""

import functools

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import UsageError, gradients, trace
from pytest_archcheck.invariants import INVARIANTS, Context

IMAGES = (2, 3, 64, 64)


def judged(recorded, **named):
    """What the mark says of a trace, without anything that could run the model again."""
    return list(INVARIANTS["arch_no_unused"](**named).check(recorded, Context()))


def of_torchvision(name, **options):
    return functools.partial(torchvision.models.get_model, name, weights=None, **options)


def missing(model, inputs, **options):
    """The names of the parameters to which a backward brings nothing."""
    return {gradient.name for gradient in gradients(model, inputs, **options).missing}


class Net(nn.Module):
    """Every way in which a parameter can be dead, beside ways that only look so."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 8)
        self.never_called = nn.Linear(8, 8)
        self.result_dropped = nn.Linear(8, 8)
        self.only_its_shape = nn.Linear(8, 8)
        self.detached = nn.Linear(8, 8)
        self.chosen_by_index = nn.Linear(8, 8)
        self.forgotten = nn.Parameter(torch.ones(8))
        self.read_directly = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.ones(8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)

    def forward(self, x):
        self.result_dropped(x)
        y = self.used(x).expand(self.only_its_shape(x).shape)
        y = y + self.detached(x).detach() + nn.functional.linear(x, self.read_directly.weight)
        y = y + self.chosen_by_index(x).argmax() * self.scale
        return self.attention(y, y, y)[0]


DEAD = {
    "forgotten": "the forward does not use it",
    "never_called.weight": "its module is never called",
    "never_called.bias": "its module is never called",
    "result_dropped.weight": "its result reaches no output",
    "result_dropped.bias": "its result reaches no output",
    "only_its_shape.weight": "its result reaches no output",
    "only_its_shape.bias": "its result reaches no output",
    "detached.weight": "its result reaches no output",
    "detached.bias": "its result reaches no output",
    "chosen_by_index.weight": "its result reaches no output",
    "chosen_by_index.bias": "its result reaches no output",
    "read_directly.bias": "its module is never called",
}


def test_every_dead_parameter_is_named_and_no_living_one():
    """The names are those of a backward, the reasons those of the forward as written above."""
    found = trace(Net, (2, 4, 8), device="meta").unused_parameters

    assert {parameter.name: parameter.reason for parameter in found} == DEAD
    assert {parameter.name for parameter in found} == missing(Net, (2, 4, 8))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "swin_t", "vit_b_16", "convnext_tiny"])
def test_it_agrees_with_a_backward(name, train):
    """Auxiliary heads are dead in evaluation mode only."""
    options = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    model = of_torchvision(name, **options)
    size = (2, 3, 224, 224) if name in ("googlenet", "vit_b_16") else IMAGES

    found = trace(model, size, device="meta", train=train).unused_parameters

    assert {p.name for p in found} == missing(model, size, train=train)
    assert bool(found) == (name == "googlenet" and not train)


def test_tied_weights_count_once_and_as_used_where_one_is():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(10, 8), nn.Linear(8, 10, bias=False)
            self.head.weight = self.embed.weight
            self.other, self.twin = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.twin.weight = self.other.weight

        def forward(self, x):
            return self.head(x)

    found = trace(Tied, (2, 8), device="meta").unused_parameters

    assert [parameter.name for parameter in found] == ["other.weight"]


def test_a_violation_names_the_module_the_reason_and_what_to_do():
    violations = judged(trace(Net, (2, 4, 8), device="meta"))

    told = {v.where: (v.found, v.why.partition(" in ")[0], v.evidence) for v in violations}
    assert told["result_dropped"] == (
        "2 unused parameters",
        "its result reaches no output",
        ("result_dropped.weight", "result_dropped.bias"),
    )
    assert told["the model"] == ("1 unused parameter", "the forward does not use it", ("forgotten",))
    first = next(v for v in violations if v.where == "never_called")
    assert first.advice == "mend the forward, or name it in allow=, as in allow=('never_called.*',)"
    assert "DistributedDataParallel needs find_unused_parameters" in first.why


def test_what_is_allowed_is_no_violation_and_a_pattern_must_match():
    recorded = trace(Net, (2, 4, 8), device="meta")

    rest = judged(recorded, allow=("*.weight", "*.bias", "nothing.*"))

    assert [(v.where, v.found) for v in rest] == [
        ("nothing.*", "none of that name"),
        ("the model", "1 unused parameter"),
    ]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_scripted_part_counts_as_used():
    """What is inside of it is not seen; it takes part in the data flow as a whole."""

    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.last = torch.jit.script(nn.Linear(8, 8)), nn.Linear(8, 8)
            self.dead = torch.jit.script(nn.Linear(8, 8))

        def forward(self, x):
            return self.last(self.part(x))

    recorded = trace(Scripted(), (2, 8))

    assert [p.name for p in recorded.unused_parameters] == ["dead.weight", "dead.bias"]


class Foreign(nn.Module):
    """What lies outside of torch is not followed."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.last(torch.from_numpy(self.first(x).detach().numpy()))


def test_where_the_data_flow_is_lost_it_says_so():
    recorded = trace(Foreign, (2, 8), device="cpu")

    with pytest.raises(
        UsageError, match=r"where the tensors of .* come from was not recorded.* arch_gradients"
    ):
        judged(recorded)


def test_bad_arguments_are_told():
    with pytest.raises(UsageError, match="allow"):
        INVARIANTS["arch_no_unused"](allow="backbone.*")
