"""The regression suite: real architectures, committed under ``snapshots/``, that have to stay."""

import pytest

from tests.models import recorded

MODELS = ["alexnet", "densenet121", "efficientnet_b0", "resnet18", "resnet50", "swin_t", "vit_b_16"]


@pytest.mark.parametrize("name", MODELS)
def test_architecture(name, arch_snapshot):
    assert recorded(name) == arch_snapshot
