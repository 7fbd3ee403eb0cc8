"""Which layer is which when names do not say it, on small models where it is plain."""

from collections import OrderedDict

import pytest
from torch import nn

from pytest_archcheck import UsageError, diff, trace
from pytest_archcheck.drift import Severity
from pytest_archcheck.drift.reader import Known, read
from pytest_archcheck.drift.sequences import aligned
from pytest_archcheck.drift.severity import FAILING, severities_of


def chain(*layers):
    return nn.Sequential(OrderedDict(layers)) if isinstance(layers[0], tuple) else nn.Sequential(*layers)


def drift_of(before, after, shape=(1, 8)):
    return diff(trace(before, shape), trace(after, shape))


def told(drift):
    return [(c.layer, c.attribute, c.before, c.after, str(c.severity)) for c in drift.causes]


def block(width=8):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8))


def test_renamed_keys_are_what_a_checkpoint_needs():
    """Loaded under the new names, the old state dict fits."""
    before, after = chain(("a", block()), ("b", block(16))), chain(("a", block()), ("neck", block(16)))
    drift = drift_of(before, after)

    assert told(drift) == [("neck", "name", "b", "neck", "breaking")]
    state = {drift.renamed_keys.get(key, key): value for key, value in before.state_dict().items()}
    after.load_state_dict(state)


def test_a_renamed_layer_that_changed_too_is_both():
    before = chain(("a", nn.Linear(8, 8)), ("norm", nn.LayerNorm(8)))
    after = chain(("a", nn.Linear(8, 8)), ("ln", nn.LayerNorm(8, eps=1e-3)))

    assert told(drift_of(before, after)) == [
        ("ln", "name", "norm", "ln", "breaking"),
        ("ln", "eps", "1e-05", "0.001", "behaviour"),
    ]


def test_a_block_in_the_middle_is_one_change():
    before = chain(nn.Linear(8, 8), block(), nn.LayerNorm(8))
    after = chain(nn.Linear(8, 8), nn.Tanh(), block(), nn.LayerNorm(8))
    drift = drift_of(before, after)

    assert told(drift) == [("1", "call", "absent", "Tanh", "breaking")]
    assert drift.renamed_keys["1.0.weight"] == "2.0.weight"


def test_more_blocks_are_told_at_what_holds_them():
    drift = drift_of(
        chain(("layers", chain(*(block() for _ in range(3))))),
        chain(("layers", chain(*(block() for _ in range(5))))),
    )

    assert told(drift) == [("layers", "blocks", "3", "5", "breaking")]
    assert [change.layer for change in drift.consequences] == ["layers.3", "layers.4", "output"]


def test_what_moved_into_a_container_has_moved():
    before = chain(("conv", nn.Linear(8, 8)), ("norm", nn.LayerNorm(8)), ("act", nn.ReLU()))
    after = chain(("stem", chain(("conv", nn.Linear(8, 8)), ("norm", nn.LayerNorm(8)))), ("act", nn.ReLU()))

    assert told(drift_of(before, after)) == [
        ("stem.conv", "name", "conv", "stem.conv", "breaking"),
        ("stem.norm", "name", "norm", "stem.norm", "breaking"),
        ("stem", "wrapper", "absent", "Sequential", "cosmetic"),
    ]
    assert told(drift_of(after, before))[:2] == [
        ("conv", "name", "stem.conv", "conv", "breaking"),
        ("norm", "name", "stem.norm", "norm", "breaking"),
    ]


def test_a_model_unwrapped_loses_its_prefix():
    inner = chain(("a", block()), ("b", nn.LayerNorm(8)))
    drift = drift_of(chain(("module", inner)), inner)

    assert told(drift)[0] == ("the model", "prefix of all names", "module.", "none", "breaking")


def test_the_call_that_is_gone_is_the_one_that_took_something_else():
    """Of three calls of one activation the second: the third is not told as the second."""

    class Net(nn.Module):
        def __init__(self, second=True):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))
            self.act, self.second = nn.ReLU(), second

        def forward(self, x):
            x = self.act(self.a(x))
            x = self.b(x)
            x = self.act(x) if self.second else x
            return self.act(self.c(x))

    drift = drift_of(Net(), Net(False))

    assert next(c for c in drift.changes if c.attribute == "call").layer == "act#2"
    assert drift.severity == Severity.BEHAVIOUR


def test_another_network_is_not_taken_for_a_rename():
    """Layers of one shape here and there are no moves."""
    before = chain(("a", chain(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 8))))
    after = chain(
        (
            "b",
            chain(
                nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 16), nn.LayerNorm(16), nn.Linear(16, 8, bias=False)
            ),
        )
    )

    assert {
        ("a", "call", "Sequential", "absent", "breaking"),
        ("b", "call", "absent", "Sequential", "breaking"),
    } & set(told(drift_of(before, after)))


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [("abcde", "abcde", 5), ("abcde", "abXcde", 5), ("aaaa", "aaa", 3), ("abc", "", 0), ("abab", "baba", 3)],
)
def test_sequences_are_aligned(old, new, equal):
    found = list(aligned(old, new))

    assert sum(i2 - i1 for tag, i1, i2, _, _ in found if tag == "equal") == equal
    assert all(old[i1:i2] == new[j1:j2] for tag, i1, i2, j1, j2 in found if tag == "equal")
    assert "".join(new[j1:j2] for _, _, _, j1, j2 in found) == new
    assert "".join(old[i1:i2] for _, i1, i2, _, _ in found) == old


def test_long_sequences_that_have_nothing_in_common_are_not_searched():
    assert list(aligned(range(3000), range(5000, 8000))) == [("replace", 0, 3000, 0, 3000)]


def test_severities_by_name():
    assert severities_of("breaking, behaviour") == {Severity.BREAKING, Severity.BEHAVIOUR}
    assert severities_of("cost cosmetic") == {Severity.COST, Severity.COSMETIC}
    assert severities_of("none") == frozenset()
    assert set(Severity) - FAILING == {Severity.COSMETIC}
    for wrong in ("all", "none, cost", ""):
        with pytest.raises(UsageError, match="choose from breaking, behaviour, training, cost, cosmetic, "):
            severities_of(wrong)


@pytest.mark.parametrize("make", [lambda: nn.Linear(8, 8), block], ids=["a layer", "a block"])
def test_a_module_that_became_another_is_shared_and_not_lost(make):
    """Its keys stay, tied to the other's; the calls are those of before."""
    before, after = chain(("a", make()), ("b", make())), chain(("a", make()), ("b", nn.Identity()))
    after.b = after.a
    drift = drift_of(before, after)

    assert ("b", "same module as", "none", "a", "training") in told(drift)
    assert drift.severity == Severity.TRAINING
    assert {change.attribute for change in drift.causes} == {"same module as", "tied to"}
    assert drift_of(after, before).renamed_keys == {}


def test_two_layers_that_changed_places_are_told_where_they_stand():
    """By name: neither was removed."""
    drift = drift_of(
        chain(nn.LayerNorm(8), nn.Tanh(), nn.GELU()), chain(nn.LayerNorm(8), nn.GELU(), nn.Tanh())
    )

    assert [(c.layer, c.attribute, c.before, c.after) for c in drift.causes] == [
        ("1", "class", "Tanh", "GELU"),
        ("2", "class", "GELU", "Tanh"),
    ]


class Doubled(nn.Module):
    def forward(self, x):
        return x + x


class Halved(nn.Module):
    def forward(self, x):
        return x * 0.5


def test_modules_without_tensors_of_two_classes_are_not_one_renamed():
    drift = drift_of(
        chain(("a", nn.Linear(8, 8)), ("twice", Doubled())),
        chain(("a", nn.Linear(8, 8)), ("halved", Halved())),
    )

    assert [(c.layer, c.attribute, c.severity) for c in drift.causes] == [
        ("twice", "call", Severity.BEHAVIOUR),
        ("halved", "call", Severity.BEHAVIOUR),
    ]


def test_a_line_that_both_texts_have_may_mean_another_module():
    """Shared lines are one object in both traces; what they refer to was renamed."""
    before = [nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Tanh()]
    after = [nn.Linear(4, 4), nn.Tanh(), nn.Sigmoid(), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Tanh()]
    texts = [trace(nn.Sequential(*layers), (1, 4), device="meta").to_text() for layers in (before, after)]
    known = Known()

    shared = diff(*(read(text, known) for text in texts))
    apart = diff(*(read(text) for text in texts))

    assert [str(change) for change in shared.changes] == [str(change) for change in apart.changes]
