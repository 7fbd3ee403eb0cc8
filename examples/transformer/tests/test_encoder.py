"""The encoder. What it is and what it is called with are fixtures, for all tests of this file."""

import pytest
from language import Config, Encoder

from pytest_archcheck import (
    arch_batch_independent,
    arch_depth,
    arch_mode_parity,
    arch_no_unused,
    arch_output,
    arch_params,
    arch_stages,
    spec,
)

CONFIG = Config(layers=2)


@pytest.fixture
def arch_model():
    return Encoder(CONFIG)


@pytest.fixture
def arch_inputs():
    return spec(3, 16, dtype="int64", high=CONFIG.vocabulary)


@pytest.fixture
def arch_kwargs():
    return {"mask": spec(3, 16, dtype="bool")}


@arch_depth(4 * 2, convention="paper")
@arch_stages((2,))
@arch_params(172_288)
@arch_output("B", CONFIG.width)
def test_encoder(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch_batch_independent()
@arch_mode_parity()
@arch_no_unused()
def test_sentences_do_not_mix():
    pass
