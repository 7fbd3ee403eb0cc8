"""What an explanation of a depth says."""

from pytest_archcheck.reports.depth import render_depth
from tests.models import recorded


def test_the_counted_layers_are_grouped():
    """Stem, four stages and head of ResNet-34."""
    explanation = recorded("resnet34").explain_depth("paper")
    groups = {}
    for layer in explanation.counted:
        groups[layer.group] = groups.get(layer.group, 0) + layer.weight

    assert groups == {"stem": 1, "stage 1": 6, "stage 2": 8, "stage 3": 12, "stage 4": 6, "head": 1}
    assert explanation.counted[0].name == "conv1"
    assert explanation.counted[-1].name == "fc"


def test_projection_shortcuts_are_left_out_with_their_reason():
    """Each is named, with the sum that it leads into."""
    left_out = recorded("resnet18").explain_depth("paper").left_out

    assert [(layer.name, layer.reason) for layer in left_out] == [
        (f"layer{n}.0.downsample.0", f"projection shortcut, parallel to the longer path into layer{n}.0:add")
        for n in (2, 3, 4)
    ]


def test_gates_are_left_out_with_their_reason():
    left_out = recorded("efficientnet_b0").explain_depth("paper").left_out

    assert {layer.reason for layer in left_out} == {"computes a gate"}
    assert len(left_out) == 32


def test_parallel_branches_are_left_out_with_their_reason():
    left_out = recorded("googlenet").explain_depth("paper").left_out

    assert {layer.reason for layer in left_out} == {"parallel to a longer path", "declared, did not run"}


def test_attention_is_shown_as_two():
    text = str(recorded("vit_b_16").explain_depth("paper"))

    assert "encoder.layers.encoder_layer_0.self_attention (×2)" in text


def test_the_folded_text_names_groups_and_shortcuts():
    text = render_depth(recorded("resnet34").explain_depth("paper"), full=False)

    assert text.splitlines() == [
        "depth 34 under 'paper': weighted layers in sequence, not through gates",
        "  counted:",
        "    stem         1  conv1",
        "    stage 1      6  layer1.0.conv1, layer1.0.conv2, … layer1.2.conv2",
        "    stage 2      8  layer2.0.conv1, layer2.0.conv2, … layer2.3.conv2",
        "    stage 3     12  layer3.0.conv1, layer3.0.conv2, … layer3.5.conv2",
        "    stage 4      6  layer4.0.conv1, layer4.0.conv2, … layer4.2.conv2",
        "    head         1  fc",
        "  left out:",
        "      3  projection shortcut, parallel to the longer path: "
        "layer2.0.downsample.0, layer3.0.downsample.0, layer4.0.downsample.0",
        "  every name: pytest -vv",
    ]
