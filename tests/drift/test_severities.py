"""How much a change matters, on small models: above all, what computes otherwise is never told as cosmetic."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import diff, trace
from pytest_archcheck.drift import Severity

BEHAVIOUR, TRAINING, BREAKING = Severity.BEHAVIOUR, Severity.TRAINING, Severity.BREAKING


def one(net):
    net.a = nn.Linear(8, 8)


def two(net):
    net.a, net.b = nn.Linear(8, 8), nn.Linear(8, 8)


def normed(net):
    net.a, net.n = nn.Linear(8, 8), nn.BatchNorm1d(8)


def dropped(net):
    net.a, net.d = nn.Linear(8, 8), nn.Dropout(0.5)


def norms(net):
    net.n1, net.n2 = nn.LayerNorm(8), nn.LayerNorm(8, eps=1e-2)


def softmaxes(net):
    net.s1, net.s2 = nn.Softmax(0), nn.Softmax(1)


def buffers(net):
    one(net)
    net.register_buffer("c", torch.zeros(8), persistent=False)
    net.register_buffer("s", torch.zeros(8), persistent=False)


def constants(net):
    one(net)
    net.c, net.s = torch.zeros(8), torch.zeros(8)


def pixels(net):
    net.a = nn.Conv2d(3, 3, 1)


def net(forward, build):
    """A module of always the same class."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            build(self)

    Net.forward = forward
    Net.__qualname__ = "Net"
    return Net()


def drift_of(before, after, build, shape=(2, 8), train=False):
    traces = [trace(net(forward, build), shape, train=train, device="cpu") for forward in (before, after)]
    return diff(*traces)


def batch_norm(training):
    def forward(m, x):
        return F.batch_norm(m.a(x), m.n.running_mean, m.n.running_var, m.n.weight, m.n.bias, training)

    return forward


def attention(**options):
    return lambda m, x: F.scaled_dot_product_attention(x, x, m.a(x), **options)


def resized(**options):
    return lambda m, x: F.interpolate(m.a(x), mode="bilinear", **options)


COMPUTES_OTHERWISE = {
    "the wrong sibling": (lambda m, x: m.b(m.a(x)), lambda m, x: m.a(m.a(x)), two),
    "siblings exchanged": (lambda m, x: m.b(m.a(x)), lambda m, x: m.a(m.b(x)), two),
    "siblings in another pattern": (lambda m, x: m.a(m.b(m.a(x))), lambda m, x: m.b(m.b(m.a(x))), two),
    "a sibling with another eps": (lambda m, x: m.n1(x), lambda m, x: m.n2(x), norms),
    "a sibling over another axis": (lambda m, x: m.s1(x), lambda m, x: m.s2(x), softmaxes),
    "a function with another's weights": (
        lambda m, x: m.b(m.a(x)),
        lambda m, x: F.linear(m.a(x), m.a.weight, m.a.bias),
        two,
    ),
    "a function that forgot the bias": (lambda m, x: m.a(x), lambda m, x: F.linear(x, m.a.weight), one),
    "operands exchanged under a factor": (
        lambda m, x: torch.add(m.a(x), x, alpha=2),
        lambda m, x: torch.add(x, m.a(x), alpha=2),
        one,
    ),
    "unsaved buffers exchanged": (
        lambda m, x: m.a(x) * m.c + x.flip(-1) * m.s,
        lambda m, x: m.a(x) * m.s + x.flip(-1) * m.c,
        buffers,
    ),
    "constants exchanged": (
        lambda m, x: m.a(x) * m.c + x.flip(-1) * m.s,
        lambda m, x: m.a(x) * m.s + x.flip(-1) * m.c,
        constants,
    ),
    "statistics of the batch in evaluation": (batch_norm(False), batch_norm(True), normed),
    "dropout that forgot the mode": (
        lambda m, x: F.dropout(m.a(x), 0.5, m.training),
        lambda m, x: F.dropout(m.a(x), 0.5),
        one,
    ),
    "a function that always drops": (lambda m, x: m.d(m.a(x)), lambda m, x: F.dropout(m.a(x), 0.5), dropped),
    "dropout that always drops, new": (lambda m, x: m.a(x), lambda m, x: F.dropout(m.a(x), 0.5), one),
}


@pytest.mark.parametrize("case", COMPUTES_OTHERWISE)
def test_what_computes_otherwise_is_behaviour(case):
    drift = drift_of(*COMPUTES_OTHERWISE[case])

    assert drift.severity == BEHAVIOUR, str(drift)
    assert drift.causes[0].severity == BEHAVIOUR


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"scale_factor": 1.5}, {"size": (7, 7)}),
        ({"scale_factor": 1.5}, {"scale_factor": 1.4001}),
        ({"scale_factor": 1.5}, {"scale_factor": 1.5, "recompute_scale_factor": True}),
    ],
)
def test_a_factor_that_does_not_meet_the_size_is_not_the_size(before, after):
    """Of 5 pixels; torch computes with the factor."""
    assert drift_of(resized(**before), resized(**after), pixels, (1, 3, 5, 5)).severity == BEHAVIOUR


def test_a_factor_that_meets_the_size_is_the_size():
    assert (
        drift_of(resized(scale_factor=2), resized(size=(10, 10)), pixels, (1, 3, 5, 5)).severity
        == Severity.COSMETIC
    )


def test_attention_that_drops_in_evaluation_is_behaviour():
    assert drift_of(attention(), attention(dropout_p=0.5), one, (2, 4, 8)).severity == BEHAVIOUR


def test_a_norm_kept_in_the_other_mode():
    """In evaluation it computes otherwise, in training it is the usual idiom of a frozen norm."""

    def kept(module, mode):
        module.n.train = lambda _mode=True: module.n
        module.n.training = mode
        return module

    plain, switched = net(lambda m, x: m.n(m.a(x)), normed), net(lambda m, x: m.n(m.a(x)), normed)
    for train, severity in ((False, BEHAVIOUR), (True, TRAINING)):
        pair = plain, kept(copy.deepcopy(switched), not train)
        traces = [trace(module, (2, 8), train=train, device="cpu") for module in pair]
        assert diff(*traces).severity == severity


@pytest.mark.parametrize(
    "after",
    [lambda m, x: m.a(x).detach(), lambda m, x: F.dropout(m.a(x), 0.5, m.training)],
    ids=["detach", "dropout"],
)
def test_what_matters_in_training_matters_so_at_the_end_of_a_model_too(after):
    assert drift_of(lambda m, x: m.a(x), after, one).severity == TRAINING


def test_what_nothing_is_computed_from():
    """In evaluation it only costs; in training it may be a loss that the model keeps, or write statistics."""

    def kept(m, x):
        m.b(x)
        return m.a(x)

    def written(m, x):
        m.n(x)
        return m.a(x)

    plain = lambda m, x: m.a(x)  # noqa: E731
    assert drift_of(plain, kept, two).severity == Severity.COST
    assert drift_of(plain, kept, two, train=True).severity == TRAINING
    assert drift_of(plain, written, normed, train=True).severity == BEHAVIOUR


def test_five_functions_replaced_are_told_as_that():
    class Loop(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(5))
            self.__dict__["act"] = act

        def forward(self, x):
            for layer in self.layers:
                x = getattr(F, self.__dict__["act"])(layer(x))
            return x

    drift = diff(trace(Loop("relu"), (2, 8)), trace(Loop("gelu"), (2, 8)))

    assert "absent → absent" not in str(drift)
    assert ":gelu" in {change.layer for change in drift.changes}


def test_one_operation_on_exchanged_operands_is_told_as_that():
    drift = drift_of(lambda m, x: m.a(x) - m.b(x), lambda m, x: m.b(x) - m.a(x), two)

    assert [(c.layer, c.attribute, c.before, c.after) for c in drift.causes] == [
        (":sub", "input", "a", "b"),
        (":sub", "input 2", "b", "a"),
    ]


def test_an_order_of_registration_is_told_in_words():
    """Cosmetic; the state that an optimizer saved goes by it."""

    def other(module):
        module.b = nn.Linear(8, 8)
        module.a = nn.Linear(8, 8)

    traces = [trace(net(lambda m, x: m.b(m.a(x)), build), (2, 8)) for build in (two, other)]
    (change,) = diff(*traces).changes

    assert (change.layer, change.attribute) == ("the model", "order of its tensors")
    assert (change.before, change.after, change.severity) == ("a.weight", "b.weight", Severity.COSMETIC)


def test_another_width_of_the_output_makes_its_cause_breaking():
    drift = drift_of(lambda m, x: m.a(x), lambda m, x: m.a(x)[:, :4], one)

    assert drift.severity == BREAKING == drift.causes[0].severity


def test_a_long_alternation_with_another_activation_takes_no_time():
    """1,500 layers: a search for equal ones in sequence would take minutes."""

    def chain(act):
        return nn.Sequential(*(nn.Linear(4, 4) if n % 2 else act() for n in range(1500)))

    with torch.device("meta"):
        drift = diff(trace(chain(nn.ReLU), (2, 4)), trace(chain(nn.GELU), (2, 4)))

    assert drift.verdict == "Sequential drifted: in 750 of 750 GELU: class ReLU → GELU · behaviour"
