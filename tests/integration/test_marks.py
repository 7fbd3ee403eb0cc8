"""Marks as a user writes them: what passes, what fails, and what the failure says."""

from tests.integration.support import in_process, text_of


def test_all_marks_hold(pytester):
    """Every mark at once, as decorators, on one recorded trace."""
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_depth(2, convention="paper")
@arch_layers(Conv2d=1, Linear=1, ReLU=1)
@arch_params(314, trainable=314, at_most="1K")
@arch_macs("13.9K", at_most=14_000)
@arch_flops(27_808)
@arch_size("1.2 KiB", rel=0.05)
@arch_output("B", 10)
@arch_shapes({"conv": ("B", 8, 8, 8), "*": ("B", ...), ":mean": (1, 8)})
def test_net(arch_trace):
    assert arch_trace.status == "complete"
""",
    )

    result.assert_outcomes(passed=1)


def test_bare_marks_are_the_same(pytester):
    result = in_process(
        pytester,
        """
@pytest.mark.arch.with_args(Net, inputs=IMAGE)
@pytest.mark.arch_depth(2, convention="paper")
@pytest.mark.arch_params(315)
def test_net():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*@arch_params(315)*"])


def test_depth_fails_with_the_counted_layers_and_the_shortcuts(pytester):
    """``@arch_depth(18)`` on ResNet-34 names 34, the groups, and the projection shortcuts with their reason."""
    result = in_process(
        pytester,
        """
from torchvision.models import resnet34

@arch(resnet34, inputs=(1, 3, 224, 224))
@arch_depth(18, convention="paper")
def test_resnet18():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ResNet is not as stated: expected 18 layers under 'paper', found 34",
            "1 of 1 marks violated by torchvision.models.resnet.ResNet*",
            "@arch_depth(18, convention='paper')",
            "  expected: 18 layers under 'paper'",
            "  found:    34",
            "    counted:",
            "      stem         1  conv1",
            "      stage 1      6  layer1.0.conv1, layer1.0.conv2, … layer1.2.conv2",
            "      head         1  fc",
            "    left out:",
            "        3  projection shortcut, parallel to the longer path: "
            "layer2.0.downsample.0, layer3.0.downsample.0, layer4.0.downsample.0",
            "  do:       state 34, or mend the model",
            "FAILED test_it.py::test_resnet18 - Failed: ResNet is not as stated:*",
        ]
    )


def test_depth_passes_on_resnet18(pytester):
    in_process(
        pytester,
        """
from torchvision.models import resnet18

@arch(resnet18, inputs=(1, 3, 224, 224))
@arch_depth(18, convention="paper")
def test_resnet18():
    pass
""",
    ).assert_outcomes(passed=1)


def test_the_other_convention_is_named(pytester):
    """Who states 3 for a net that is 2 deep and has 3 leaf modules is told which count that is."""
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_depth(3, convention="paper")
def test_net():
    pass
""",
    )

    result.stdout.fnmatch_lines(["  why:      2 under 'paper', 3 under 'leaf-modules'"])


def test_very_verbose_shows_every_layer(pytester):
    result = in_process(
        pytester,
        """
from torchvision.models import resnet34

@arch(resnet34, inputs=(1, 3, 224, 224))
@arch_depth(18, convention="paper")
def test_resnet18():
    pass
""",
        "-vv",
    )

    result.stdout.fnmatch_lines(["*layer3.3.conv1, layer3.3.conv2, layer3.4.conv1*"])


def test_all_violations_are_reported_together_with_the_body(pytester):
    """The body runs whatever the marks say, and one failure reports both."""
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_params(1)
@arch_layers(Conv2d=2, GELU=1)
@arch_output("B", 11)
def test_net():
    print("the body ran")
    assert 1 == 2
""",
    )
    text = text_of(result)

    result.assert_outcomes(failed=1)
    assert "the body ran" in text
    assert "assert 1 == 2" in text
    assert "and the marks of this test do not hold:" in text
    assert "3 of 3 marks violated" in text
    assert "  found:    1: conv" in text
    assert "  why:      no GELU ran; classes that ran: Conv2d, Linear, ReLU" in text
    assert "  why:      dimension 1 is 10, not 11" in text


def test_a_skip_in_the_body_is_a_skip(pytester):
    in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_params(1)
def test_net():
    pytest.skip("not today")
""",
    ).assert_outcomes(skipped=1)


def test_an_expected_failure_may_be_a_mark(pytester):
    in_process(
        pytester,
        """
@pytest.mark.xfail(strict=True)
@arch(Net, inputs=IMAGE)
@arch_params(1)
def test_net():
    pass
""",
    ).assert_outcomes(xfailed=1)


def test_a_named_dimension_is_one_number(pytester):
    """``"B"`` binds where it first stands."""
    result = in_process(
        pytester,
        """
@arch(Net, inputs=(2, 3, 8, 8))
@arch_shapes({"conv": ("B", "C", 8, 8), "head": ("C", 10)})
def test_net():
    pass
""",
    )

    result.stdout.fnmatch_lines(["  where:    head", "*why:*dimension 0 is 2, but C is 8 at conv*"])


def test_a_pattern_that_matches_nothing_is_a_violation(pytester):
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_shapes({"convs": (1, 8, 8, 8)})
def test_net():
    pass
""",
    )

    result.stdout.fnmatch_lines(
        ["*convs: expected a layer of that name, found none ran", "*do:*the nearest is conv*"]
    )


def test_a_count_that_is_not_complete_is_a_violation(pytester):
    """A stated number of MACs is never compared with half a count."""
    result = in_process(
        pytester,
        """
import torch

class Distances(nn.Module):
    def forward(self, x):
        return torch.cdist(x, x)

@arch(Distances, inputs=(1, 4, 3))
@arch_macs(0)
def test_net():
    pass
""",
    )

    result.stdout.fnmatch_lines(["*expected a complete count of MACs, found partial: :cdist not counted*"])


def test_macs_stated_as_flops_are_recognised(pytester):
    result = in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_flops(13_904)
def test_net():
    pass
""",
    )

    result.stdout.fnmatch_lines(["  why:      the number stated is the MACs; a FLOP count is 2 × MACs"])


def test_fixtures_can_give_the_model(pytester):
    """``arch_model`` and ``arch_inputs`` instead of ``@arch``; the model may be parametrized by the test."""
    result = in_process(
        pytester,
        """
@pytest.fixture(params=[4, 8])
def width(request):
    return request.param

@pytest.fixture
def arch_model(width):
    return Net(width)

@pytest.fixture
def arch_inputs():
    return IMAGE

@arch_output(1, 10)
def test_output(width, arch_trace, arch_model):
    assert arch_trace["conv"].output.shape == (1, width, 8, 8)
    assert arch_model.conv.weight.device.type == "cpu"

@arch_params(314)
def test_marks_alone_are_judged(width):
    pass
""",
    )

    result.assert_outcomes(passed=3, failed=1)


def test_fixtures_can_give_keyword_arguments(pytester):
    """``arch_kwargs`` beside ``arch_inputs``."""
    in_process(
        pytester,
        """
@pytest.fixture
def arch_model():
    class Scaled(Net):
        def forward(self, x, *, scale):
            return super().forward(x) * scale

    return Scaled()

@pytest.fixture
def arch_inputs():
    return IMAGE

@pytest.fixture
def arch_kwargs():
    return {"scale": 3}

@arch_output(1, 10)
def test_output(arch_trace):
    assert arch_trace[":mul"].args[1] == 3
""",
    ).assert_outcomes(passed=1)


def test_the_model_fixture_is_really_built(pytester):
    """A factory is recorded on meta; the fixture hands out a model with values."""
    in_process(
        pytester,
        """
import torch

@arch(Net, inputs=IMAGE)
def test_values(arch_model, arch_inputs, arch_trace):
    assert arch_inputs == IMAGE
    assert arch_model(torch.zeros(IMAGE)).shape == arch_trace.output.shape

def test_random_state(request):
    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    request.getfixturevalue("torch_state")
    assert torch.rand(1) == first

@pytest.fixture
def torch_state():
    from pytest_archcheck.recording import build
    build(Net)
""",
    ).assert_outcomes(passed=2)


def test_class_marks_are_shared_and_the_closest_model_wins(pytester):
    in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
@arch_output(1, 10)
class TestNet:
    def test_default(self, arch_trace):
        assert arch_trace["conv"].output.shape[1] == 8

    @arch(lambda: Net(16), inputs=IMAGE)
    def test_wide(self, arch_trace):
        assert arch_trace["conv"].output.shape[1] == 16
""",
    ).assert_outcomes(passed=2)


def test_marks_of_a_parameter_set_are_judged(pytester):
    in_process(
        pytester,
        """
@pytest.mark.parametrize("width", [pytest.param(8, marks=arch_params(314)), pytest.param(8, marks=arch_params(1))])
@arch(Net, inputs=IMAGE)
def test_net(width):
    pass
""",
    ).assert_outcomes(passed=1, failed=1)


def test_the_device_can_be_chosen(pytester):
    in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE)
def test_net(arch_trace):
    assert arch_trace.placement == "cpu"
""",
        "--arch-device=cpu",
    ).assert_outcomes(passed=1)


def test_training_mode_can_be_recorded(pytester):
    in_process(
        pytester,
        """
@arch(Net, inputs=IMAGE, train=True)
def test_net(arch_trace):
    assert arch_trace.training
""",
    ).assert_outcomes(passed=1)


def test_marks_in_a_unittest_class_are_refused(pytester):
    """Pytest runs those past the hook that judges; a mark that is never judged would pass."""
    result = in_process(
        pytester,
        """
import unittest

class TestNet(unittest.TestCase):
    @arch(Net, inputs=IMAGE)
    @arch_params(1)
    def test_net(self):
        pass
""",
    )

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*TestNet::test_net is a unittest.TestCase, whose marks cannot be judged*"])
