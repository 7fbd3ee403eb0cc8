"""What a trace says of real models, against figures that others published."""

import pytest
import torchvision
from torch import nn

from pytest_archcheck import trace
from tests.models import recorded


def test_resnet18_is_what_torchvision_publishes():
    """52 leaf modules, 20 convolutions, 1 linear layer, the parameters of the weights' metadata."""
    resnet = recorded("resnet18")
    model = torchvision.models.resnet18()
    leaves = [name for name, module in model.named_modules() if not list(module.children())]
    meta = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta

    assert resnet.depth("leaf-modules") == len(leaves) == 52
    assert len({call.name for call in resnet.layers if call.type == "Conv2d"}) == 20
    assert [call.name for call in resnet.layers if call.type == "Linear"] == ["fc"]
    assert resnet.params.total == resnet.params.trainable == meta["num_params"] == 11_689_512
    assert resnet.macs == 1_814_073_344
    assert round(resnet.macs / 1e9, 3) == meta["_ops"]
    assert resnet.size / 2**20 == pytest.approx(meta["_file_size"], rel=0.005)
    assert resnet.status == "complete"


def test_resnet50_is_what_torchvision_publishes():
    """126 leaf modules, 53 convolutions, 1 linear layer, 4.089 GMACs."""
    resnet = recorded("resnet50")

    assert resnet.depth("leaf-modules") == 126
    assert len({call.name for call in resnet.layers if call.type == "Conv2d"}) == 53
    assert resnet.params.total == 25_557_032
    assert resnet.macs == 4_089_184_256
    assert resnet.flops == 2 * resnet.macs
    assert resnet.output.shape == (1, 1000)


def test_the_batch_is_the_first_dimension_of_every_shape():
    """ResNet-50 with a batch of 16 returns (16, 1000), and costs 16 times as much."""
    batch = trace(torchvision.models.resnet50, (16, 3, 224, 224))

    assert batch.output.shape == (16, 1000)
    assert batch.macs == 16 * recorded("resnet50").macs


def test_layers_are_found_by_name_with_shapes_and_parameters():
    """A layer call knows its type, config, shapes, parameters and MACs."""
    projection = recorded("resnet18")["layer3.0.downsample.0"]

    assert projection.output.shape == (1, 256, 14, 14)
    assert projection.inputs[0].shape == (1, 128, 28, 28)
    assert projection.type == "Conv2d"
    assert projection.config["stride"] == (2, 2)
    assert projection.config["bias"] is False
    assert projection.params.total == projection.params.trainable == 128 * 256
    assert projection.macs == 14 * 14 * 128 * 256


def test_a_second_call_has_its_own_record():
    """One ReLU module serves twice in a basic block."""
    resnet = recorded("resnet18")

    assert resnet["layer1.0.relu"].number == 1
    assert resnet["layer1.0.relu#2"].number == 2
    assert resnet["layer1.0:add"].function == "add"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match=r"no call 'layer1\.0\.conv9' .* the nearest are layer1\.0\.conv"):
        recorded("resnet18")["layer1.0.conv9"]


def test_layer_calls_stand_in_order_of_execution():
    """A module stands before what it calls."""
    names = [call.id for call in recorded("resnet18").calls]

    assert names[:6] == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer1.0"]
    assert names[-3:] == ["avgpool", ":flatten", "fc"]


def test_parameters_say_who_is_frozen_and_who_is_tied():
    """Trainability and sharing belong to the record."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embed.weight
            self.frozen = nn.Linear(4, 4).requires_grad_(False)

        def forward(self, x):
            return self.head(self.frozen(x))

    tied = trace(Tied(), (2, 4))
    state = {tensor.name: tensor for tensor in tied.state}

    assert state["head.weight"].tied_to == "embed.weight"
    assert not state["frozen.weight"].trainable
    assert tied.params.total == 40 + 20
    assert tied.params.trainable == 40
    assert tied.params.frozen == 20


def test_a_module_without_children_can_be_the_model():
    """The root is then the one layer call."""
    linear = trace(nn.Linear(3, 5), (2, 3))

    assert [call.id for call in linear.layers] == ["."]
    assert linear.macs == 2 * 3 * 5
    assert linear.depth("paper") == 1


def test_outputs_know_their_path_and_their_source():
    """A segmentation model returns a dict of two heads; the first one is the main output."""
    model = trace(
        lambda: torchvision.models.segmentation.fcn_resnet50(
            weights=None, weights_backbone=None, aux_loss=True
        ),
        (1, 3, 64, 64),
    )

    assert [output.path for output in model.outputs] == [".out", ".aux"]
    assert model.output.shape == (1, 21, 64, 64)
    assert model.outputs[1].source.name == ":interpolate#2"
