"""What the nets of this project are, by the table of the paper (section 4.2), and what is committed of them."""

from functools import partial

import pytest
from train import build

from pytest_archcheck import (
    arch,
    arch_activations,
    arch_depth,
    arch_initialised,
    arch_macs,
    arch_mode_parity,
    arch_no_unused,
    arch_output,
    arch_params,
    arch_receptive_field,
    arch_shapes,
    arch_shapes_for,
    arch_shortcuts,
    arch_stages,
    trace,
)

IMAGES = (2, 3, 32, 32)


@arch(build, inputs=IMAGES)  # what the script trains without options
@arch_depth(20, convention="paper")
@arch_params("0.27M")  # table 6
@arch_macs("81.1M")  # of the batch of two: 40.6M for each image
@arch_stages((3, 3, 3))
@arch_shortcuts(identity=7, padding=2)
@arch_shapes({"stage1": ("B", 16, 32, 32), "stage2": ("B", 32, 16, 16), "stage3": ("B", 64, 8, 8)})
@arch_output("B", 10)
def test_resnet20(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch(partial(build, depth=32, dropout=0.1), inputs=IMAGES)
@arch_depth(32, convention="paper")
@arch_params("0.46M")  # table 6
@arch_stages((5, 5, 5))
@arch_mode_parity()  # dropout is all that training adds
def test_resnet32_with_dropout(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch(build, inputs=IMAGES)
@arch_receptive_field(81, stride=4)
@arch_shapes_for("B 3 H W", "B 10", B=(1, 5), H=(32, 48), W=(32, 33))
@arch_activations(at_most="0.6 MiB")
def test_images_of_any_size(arch_trace):
    assert arch_trace.output.shape == (2, 10)


@arch(build, inputs=IMAGES, train=True)
@arch_no_unused()
@arch_initialised()
def test_every_parameter_is_used_and_initialised():
    pass


@pytest.mark.parametrize(("depth", "params"), [(44, 0.66e6), (56, 0.85e6)])
def test_other_depths_of_the_paper(depth, params):
    """Without marks, where a test works out what it expects."""
    net = trace(partial(build, depth), IMAGES)

    assert net.depth("paper") == depth
    assert net.params.total == pytest.approx(params, abs=0.005e6)
