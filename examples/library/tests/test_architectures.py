"""Every model of the library: what its card promises, and the committed text of what it is."""

import pytest
import visionlib

from pytest_archcheck import (
    arch,
    arch_batch_independent,
    arch_depth,
    arch_initialised,
    arch_macs,
    arch_no_unused,
    arch_output,
    arch_params,
)


def under_test(name, card):
    """One model with the marks that its card amounts to."""
    marks = [
        arch(card.build, inputs=(1, 3, card.size, card.size)),
        arch_params(card.params),
        arch_macs(card.macs),
        arch_depth(card.depth, convention="paper"),
    ]
    return pytest.param(name, marks=marks, id=name)


def in_training(name, card):
    """One model as it is trained, in batches."""
    return pytest.param(
        name, marks=arch(card.build, inputs=(2, 3, card.size, card.size), train=True), id=name
    )


CARDS = visionlib.cards()


@pytest.mark.parametrize("name", [under_test(*card) for card in CARDS.items()])
@arch_output("B", 1000)
def test_model(name, arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@pytest.mark.parametrize("name", [in_training(*card) for card in CARDS.items()])
@arch_no_unused()
@arch_initialised()
@arch_batch_independent()
def test_training(name):
    pass
