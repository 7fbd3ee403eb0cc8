"""Marks on structure: what passes, what fails, and what the failure says."""

from tests.integration.support import in_process, text_of

RESNETS = """
from torchvision.models import resnet18, resnet50, vgg11
RESNET = (1, 3, 224, 224)
"""


def test_structure_holds(pytester):
    result = in_process(
        pytester,
        RESNETS
        + """
@arch(resnet50, inputs=RESNET)
@arch_stages((3, 4, 6, 3))
@arch_shortcuts(identity=12, projection=4, padding=0, resampled=0)
@arch_receptive_field(427, stride=32)
@arch_receptive_field((91, 91), at="layer2")
@arch_same_as(resnet50)
def test_resnet50():
    pass

@arch(vgg11, inputs=RESNET)
@arch_stages(())
@arch_shortcuts(identity=0)
def test_vgg():
    pass
""",
    )

    result.assert_outcomes(passed=2)


def test_other_stages_are_told_with_their_blocks(pytester):
    result = in_process(
        pytester,
        RESNETS
        + """
@arch(resnet18, inputs=RESNET)
@arch_stages((3, 4, 6, 3))
def test_resnet50():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ResNet is not as stated: expected stages (3, 4, 6, 3), found (2, 2, 2, 2)",
            "    stage 1: 2 × BasicBlock to 64×56×56: layer1.0 … layer1.1",
            "  do:       state (2, 2, 2, 2), or mend the model",
        ]
    )


def test_a_lost_shortcut_is_told_with_those_that_are_left(pytester):
    result = in_process(
        pytester,
        """
class Block(nn.Module):
    def __init__(self, lost):
        super().__init__()
        self.conv, self.lost = nn.Conv2d(3, 3, 3, padding=1), lost

    def forward(self, x):
        y = self.conv(x)
        return y + y if self.lost else y + x

@arch(lambda: nn.Sequential(Block(False), Block(True)), inputs=IMAGE)
@arch_shortcuts(identity=2)
def test_net():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Sequential is not as stated: expected 2 identity shortcuts, found 1",
            "  why:      of 1 in all: identity 1",
            "    0:add from in:*",
        ]
    )


def test_another_receptive_field_is_told_with_where_it_holds(pytester):
    result = in_process(
        pytester,
        RESNETS
        + """
@arch(resnet18, inputs=RESNET)
@arch_receptive_field(427, stride=16)
@arch_receptive_field(3, at="layer9")
def test_resnet50():
    pass

@arch(lambda: nn.Linear(4, 4), inputs=(1, 4))
@arch_receptive_field(3)
def test_linear():
    pass
""",
    )

    result.assert_outcomes(failed=2)
    text = text_of(result)
    assert "expected a receptive field of 427, found 435" in text
    assert "  found:    32" in text
    assert "  why:      the field of layer4.1.relu#2, before avgpool mixes positions" in text
    assert "layer9" in text
    assert "none: no convolution or pooling before it" in text


def test_a_near_miss_of_a_reference_is_mapped_layer_to_layer(pytester):
    result = in_process(
        pytester,
        """
class Other(nn.Module):
    def __init__(self, padding=1):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, padding=padding)
        self.last = nn.Linear(8, 10)

    def forward(self, image):
        return self.last(nn.functional.relu(self.body(image)).mean(dim=(-1, -2)))

@arch(Other, inputs=IMAGE)
@arch_same_as(Net)
def test_same(arch_trace):
    assert dict(arch_trace.same_as(trace(Net, IMAGE)).mapping)["last.bias"] == "head.bias"

@arch(lambda: Other(padding=0), inputs=IMAGE)
@arch_same_as(Net)
def test_other():
    pass
""",
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "Other is not as stated: expected the architecture of Net, up to names, found 1 difference",
            "  not the same architecture: 1 difference",
            "    body ↔ conv: padding (0, 0), in the reference (1, 1)",
        ]
    )


def test_a_reference_may_be_a_trace_or_a_file(pytester):
    result = in_process(
        pytester,
        """
from pathlib import Path
TRACE = trace(Net, IMAGE)
Path("net.arch").write_text(TRACE.to_text(), encoding="utf-8")

@arch(Net, inputs=IMAGE)
@arch_same_as(TRACE)
@arch_same_as("net.arch")
@pytest.mark.arch_same_as.with_args(Net)
def test_net():
    pass
""",
    )

    result.assert_outcomes(passed=1)


def test_a_reference_that_cannot_be_had_says_why(pytester):
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_same_as("nothing.arch")
def test_no_file():
    pass

@arch(Net, inputs=IMAGE)
@arch_same_as(lambda: nn.Linear(7, 7))
def test_it_cannot_run():
    pass

@pytest.fixture
def arch_trace():
    return trace(Net, IMAGE)

@arch_same_as(Net)
def test_no_inputs(arch_trace):
    pass
""",
    )

    result.assert_outcomes(failed=3)
    text = text_of(result)
    assert "@arch_same_as('nothing.arch'): the reference nothing.arch cannot be read" in text
    assert "the reference test_it_cannot_run" not in text
    assert "brings its own arch_trace" in text


def test_the_reference_is_recorded_with_the_inputs_of_a_fixture(pytester):
    result = in_process(
        pytester,
        """
@pytest.fixture
def arch_model():
    return Net(width=4)

@pytest.fixture
def arch_inputs():
    return IMAGE

@arch_same_as(lambda: Net(width=4))
def test_same():
    pass

@arch_same_as(Net)
def test_wider():
    pass
""",
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["    conv.weight: shape [[]4, 3, 3, 3[]], in the reference [[]8, 3, 3, 3[]]"]
    )
