"""What is said when a model cannot be recorded."""

import numpy
import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import RecordingError, UsageError, spec, trace


def test_inputs_that_do_not_fit_name_the_layer_and_what_it_wanted():
    """The message has the layer, its config, what it wanted and got, and torch's own words."""
    with pytest.raises(RecordingError) as caught:
        trace(torchvision.models.resnet18, (1, 1, 224, 224))

    lines = str(caught.value).splitlines()
    assert lines[0] == "ResNet failed at conv1 while it was recorded on cpu"
    assert "layer:  Conv2d(in_channels=3, out_channels=64, kernel_size=(7, 7)" in lines[1]
    assert lines[2] == "  wanted: [N,3,H,W]: 3 channels"
    assert lines[3] == "  got:    [1,1,224,224]"
    assert "RuntimeError" in lines[4]
    assert "the trace so far: nothing ran before it" in lines[5]
    assert lines[-1].startswith("  do: ")


def test_the_trace_so_far_is_shown():
    """A break in the middle shows the last layers that worked."""
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 2))

    with pytest.raises(RecordingError) as caught:
        trace(net, (2, 4))

    text = str(caught.value)
    assert "failed at 2 " in text
    assert "wanted: […,9]: 9 features last" in text
    assert "got:    [2,8]" in text
    assert "the trace so far, last 2 of 2 calls:" in text
    assert "    0 Linear(in_features=4, out_features=8)(%in:input) -> [2,8]" in text


def test_inputs_without_a_tensor_say_what_a_shape_is():
    """A list of integers is no shape."""
    with pytest.raises(RecordingError) as caught:
        trace(nn.Sequential(nn.Conv2d(3, 4, 3)), [1, 3, 8, 8])

    assert "got:    no tensor" in str(caught.value)
    assert (
        "do: it was called without a tensor; give a shape, a tuple as in (1, 3, 224, 224), or a tensor"
        in str(caught.value)
    )


def test_placements_that_fail_alike_are_told_once():
    with pytest.raises(RecordingError) as caught:
        trace(nn.Linear(4, 4), (2, 5))

    text = str(caught.value)
    assert text.count("Linear failed") == text.count("RuntimeError") == 1
    assert "\n  tried:  meta and cpu, which fail alike\n  do: " in text


def test_a_placement_that_failed_otherwise_says_how_and_the_line_of_the_project_is_named():
    class Refuses(nn.Module):
        def forward(self, x):
            if x.sum().item() != 0:
                raise ValueError("not centred")
            return x

    with pytest.raises(RecordingError) as caught:
        trace(Refuses(), (2, 5))

    lines = str(caught.value).splitlines()
    line = Refuses.forward.__code__.co_firstlineno + 2
    assert "Refuses failed at the root while it was recorded on cpu" in lines
    assert any(text.startswith("  raised: ValueError: not centred (") for text in lines)
    assert any(text.endswith(f"test_failures.py:{line})") for text in lines)
    assert any(
        text.startswith("  tried:  meta: Refuses failed at the root: RuntimeError: ") for text in lines
    )


def test_what_is_no_matter_of_the_placement_is_told_without_them():
    with pytest.raises(RecordingError) as caught:
        trace(nn.Linear, (2, 5))

    assert str(caught.value).count("Linear cannot be called") == 1
    assert "tried:" not in str(caught.value)


def test_a_layer_that_wants_another_shape_is_not_said_to_need_values():
    with pytest.raises(RecordingError, match=r"do: check what the model is called with"):
        trace(nn.Conv2d(3, 4, 1), (1, 4, 8, 8), device="meta")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kwargs": 3}, "kwargs=3: give a dict of the forward's keyword arguments"),
        ({"train": "yes"}, "train='yes': give True or False"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(options, message):
    with pytest.raises(UsageError, match=message):
        trace(nn.Linear(4, 4), (2, 4), **options)


def test_a_model_that_cannot_be_set_up_is_told():
    class Stubborn(nn.Module):
        def train(self, mode=True):
            raise NotImplementedError("no modes here")

    message = "Stubborn cannot be set up for recording: NotImplementedError: no modes here"
    with pytest.raises(RecordingError, match=message):
        trace(Stubborn(), (2, 4))


def test_something_that_is_no_model_is_told():
    with pytest.raises(UsageError, match=r"trace\(\) was given int '7': give an nn.Module"):
        trace(7, (1, 3))


def test_a_factory_that_raises_is_told():
    def broken():
        raise ValueError("no such config")

    with pytest.raises(
        RecordingError, match=r"broken raised while it built the model: ValueError: no such config"
    ):
        trace(broken, (1, 3))


def test_a_factory_that_needs_arguments_is_told():
    with pytest.raises(
        RecordingError, match=r"Linear cannot be called without arguments: .*in a test lambda: Linear"
    ):
        trace(nn.Linear, (1, 3))


def test_a_factory_that_returns_no_module_is_told():
    with pytest.raises(RecordingError, match=r"returned dict, not an nn\.Module"):
        trace(dict, (1, 3))


def test_an_output_without_tensors_is_told():
    class Silent(nn.Module):
        def forward(self, x):
            return None

    with pytest.raises(RecordingError, match="Silent returned None, in which there is no tensor"):
        trace(Silent(), (1, 3))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_scripted_model_is_told():
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4)))

    with pytest.raises(RecordingError, match="has no Python forward to record"):
        trace(scripted, (2, 4))


def test_a_lazy_module_that_is_never_called_is_told():
    class Forgotten(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.LazyLinear(4)
            self.unused = nn.LazyLinear(4)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(
        RecordingError, match=r"unused\.weight of Forgotten has no shape: its lazy module is not called"
    ):
        trace(Forgotten(), (2, 4))


def test_keyboard_interrupt_is_not_swallowed():
    class Interrupted(nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trace(Interrupted(), (2, 4))

    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("device", [torch.device("cpu"), 0, None])
def test_a_device_that_is_no_name_is_told(device):
    with pytest.raises(UsageError, match="give its name, one of auto, meta, cpu, cuda"):
        trace(nn.Linear(4, 4), (2, 4), device=device)


def test_a_numpy_array_is_told_to_be_no_input():
    with pytest.raises(
        UsageError, match=r"a NumPy array is no tensor: give torch\.from_numpy\(array\), or its shape"
    ):
        trace(nn.Linear(4, 4), numpy.ones((2, 4)))


def test_a_function_that_fails_is_named_with_its_operands():
    class Joins(nn.Module):
        def forward(self, x, y):
            return torch.cat([x, y])

    with pytest.raises(RecordingError, match=r"\n  call:   cat of \[2,4\], \[2,3\]\n"):
        trace(Joins(), ((2, 4), (2, 3)))


def test_an_input_that_cannot_be_made_is_told():
    with pytest.raises(RecordingError, match="the inputs cannot be made on cpu: "):
        trace(nn.Linear(4, 4), spec(2, 4, dtype="quint4x2"), device="cpu")


@pytest.mark.parametrize(
    ("model", "inputs", "advice"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)),
            (3, 32, 32),
            "give the batch too, one dimension more",
        ),
        (nn.Sequential(nn.Embedding(50, 4)), (1, 16), 'give integers: spec(1, 16, dtype="int64", high=50)'),
        (nn.Sequential(nn.Conv2d(3, 8, 3)), (1, 1, 32, 32), "check what the model is called with"),
    ],
)
def test_the_advice_fits_what_is_wrong_with_an_input(model, inputs, advice):
    with pytest.raises(RecordingError) as caught:
        trace(model, inputs)

    assert f"  do: {advice}" in str(caught.value)
