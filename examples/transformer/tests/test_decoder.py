"""The decoder, as it is trained and as it writes one token after another."""

import pytest
from language import Config, Decoder

from pytest_archcheck import (
    arch,
    arch_activations,
    arch_batch_independent,
    arch_causal,
    arch_depth,
    arch_dtype,
    arch_exportable,
    arch_macs,
    arch_mode_parity,
    arch_no_unused,
    arch_output,
    arch_params,
    arch_stages,
    arch_tied,
    spec,
)

CONFIG = Config()


def decoder():
    return Decoder(CONFIG)


def tokens(length):
    return spec(2, length, dtype="int64", high=CONFIG.vocabulary)


@arch(decoder, inputs=tokens(32))
@arch_depth(4 * 4 + 1, convention="paper")  # two in attention and two beside it, four times, and the head
@arch_stages((4,))
@arch_params(272_256)  # the embedding once: it is the head too
@arch_macs("17.7M")
@arch_tied("head.weight", "tokens.weight")
@arch_output("B", 32, CONFIG.vocabulary)
@arch_no_unused()
def test_decoder(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch(decoder, inputs=tokens(12))
@arch_causal(dim=1)
@arch_batch_independent()
@arch_mode_parity()
def test_no_token_sees_a_later_one_or_another_text():
    pass


@arch(decoder, inputs=tokens(12))
@arch_dtype("bfloat16")
@arch_exportable()
def test_ready_for_bfloat16_and_export():
    pass


def past(length):
    head = CONFIG.width // CONFIG.heads
    return [(spec(2, CONFIG.heads, length, head), spec(2, CONFIG.heads, length, head))] * CONFIG.layers


@arch(decoder, inputs=tokens(1), kwargs={"caches": past(31)})
@arch_output("B", 1, CONFIG.vocabulary)
@arch_macs("0.554M")
def test_one_more_token(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(n, marks=[arch(decoder, inputs=tokens(n)), arch_activations(at_most=limit)])
        for n, limit in [(32, "0.5 MiB"), (128, "2 MiB")]
    ],
)
def test_memory_grows_with_the_length(arch_trace, length):
    assert arch_trace.output.shape[1] == length
