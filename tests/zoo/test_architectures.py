"""The regression suite: real architectures, committed under ``snapshots/``, to the byte on every torch and device."""

import pytest
import torch

from pytest_archcheck import Trace, trace
from pytest_archcheck.snapshots import keep_snapshots
from tests.zoo import catalogue
from tests.zoo.committed import needs_transformers, overlay_of, text_of


def entries(found):
    return pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in found])


WITH_VALUES = """
fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn
maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 fcos_resnet50_fpn ssdlite320_mobilenet_v3_large retinanet_resnet50_fpn
quantized_shufflenet_v2_x0_5
""".split()


@pytest.fixture
def verify(request, entry, arch_trace, arch_snapshot):
    """Hold the recorded model to its snapshot, or to what it is with the installed releases."""

    def check():
        updates = request.config.getoption("update_snapshots")
        overlay = overlay_of(entry.name)
        if overlay is None:
            assert arch_trace == arch_snapshot
            expected = arch_trace.to_text() if updates else text_of(request.function.__name__, entry.name)
        else:
            keep_snapshots(request.node, passed=True)  # that of other releases is not unused
            if updates:
                overlay.path.parent.mkdir(parents=True, exist_ok=True)
                overlay.path.write_text(arch_trace.to_text(), "utf-8", newline="\n")
            expected = overlay.path.read_text("utf-8")
            assert arch_trace == Trace.from_text(expected), overlay.reason
        assert arch_trace.to_text() == expected, "equal, and spelled otherwise"

    return check


@entries(catalogue.torchvision_entries())
def test_torchvision(verify):
    verify()


@pytest.mark.parametrize("name", WITH_VALUES)
def test_architectures_that_need_values_do_not_depend_on_them(name):
    """Another processor rounds otherwise; with other weights altogether the text is the same."""
    entry = next(entry for entry in catalogue.torchvision_entries() if entry.name == name)

    def with_other_weights():
        torch.manual_seed(1)
        return entry.model()

    assert trace(with_other_weights, entry.inputs).to_text() == text_of("test_torchvision", name)


@entries(catalogue.timm_entries())
def test_timm(verify):
    verify()


@needs_transformers
@entries(catalogue.transformers_entries())
def test_transformers(verify):
    verify()
