"""``archcheck init`` proposes a test file that passes, and overwrites nothing."""

import sys
import textwrap

import pytest

from pytest_archcheck.cli import main
from pytest_archcheck.inputs import spec
from tests.integration.support import in_subprocess

NETS = """
import torch
import torch.nn.functional as F
import torchvision
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + F.relu(self.conv(x))


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)

    def forward(self, x):
        return F.relu(self.conv(x))


class DigitNet(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.stem = Stem()
        self.blocks = nn.Sequential(*(Block(8) for _ in range(depth)))
        self.head = nn.Linear(8 * 13 * 13, 10)

    def forward(self, x):
        return self.head(F.max_pool2d(self.blocks(self.stem(x)), 2).flatten(1))


def deep() -> nn.Module:
    net = DigitNet(8)
    return net


def _of(depth):
    return DigitNet(depth)


def twice():
    return _of(2)


def either(large=False):
    return DigitNet(5) if large else DigitNet(3)


def published():
    return torchvision.models.resnet18(weights=None)


def loss(x):
    return x.sum()
"""
TRAIN = "import torch\nfrom nets import deep\n\nfor _ in range(3):\n    open('trained', 'w')\n"


@pytest.fixture(autouse=True)
def _nothing_stays_imported(monkeypatch, tmp_path):
    """The command imports what it finds; a process of its own would forget it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of scripts, as many projects begin."""
    (tmp_path / "nets.py").write_text(NETS, "utf-8")
    (tmp_path / "train.py").write_text(TRAIN, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def init(capsys, *arguments):
    status = main(["init", *arguments])
    printed = capsys.readouterr()
    return status, printed.out.splitlines(), printed.err


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), "utf-8")


def test_what_is_proposed_of_torchvision_is_what_is_published(pytester, capsys, monkeypatch):
    """The parameters are torchvision's ``num_params``, the depth and blocks those of He et al., table 1."""
    status, lines, _ = init(capsys, "torchvision.models:resnet18", "torchvision.models:resnet50")
    text = (pytester.path / "test_architecture.py").read_text("utf-8")

    assert status == 0
    assert lines[-2:] == [
        "written: test_architecture.py",
        "next: read it, then pytest --snapshot-update test_architecture.py, and commit what that writes with it",
    ]
    for line in (
        '@arch_depth(18, convention="paper")',
        "@arch_params(11_689_512)",
        "@arch_stages((3, 4, 6, 3))",
        "@arch_shortcuts(identity=12, projection=4)",
        '@arch_output("B", 1000)',
        "@arch(resnet18, inputs=(1, 3, 224, 224))  # guessed from its first layer, conv1",
    ):
        assert line in text
    assert "  leaf-modules       Modules without children\n" in text

    in_subprocess(pytester, "--snapshot-update", "-W", "error").assert_outcomes(passed=2)
    in_subprocess(pytester, "-W", "error").assert_outcomes(passed=2)


def test_the_models_of_a_project_are_found(project, capsys):
    """Not the block, which needs a width, the stem, which is a part, what builds the same, nor what trains."""
    status, lines, _ = init(capsys)

    assert status == 0
    assert lines[:5] == [
        "looked at 2 of the project's files, those that import torch",
        "not looked into: train.py: line 4 runs when it is imported; put that under if __name__ == '__main__':",
        "need arguments, so give a function that builds one: nets:Block",
        "not proposed: nets:Stem: part of nets:DigitNet",
        "not proposed: nets:twice: the same as nets:DigitNet",
    ]
    assert [line.split(": ")[1] for line in lines if line.startswith("proposed")] == [
        "nets:DigitNet",
        "nets:deep",
        "nets:either",
        "nets:published",
    ]
    assert not (project / "trained").exists()
    text = (project / "test_architecture.py").read_text("utf-8")
    assert "from nets import DigitNet, deep, either, published\n" in text
    assert "@arch(DigitNet, inputs=(1, 1, 28, 28))  # guessed from its first layer, stem.conv" in text
    assert "@arch_shortcuts(identity=8)" in text
    assert "def test_digit_net(arch_trace, arch_snapshot):" in text


@pytest.mark.parametrize("folder", ["", "tests"])
def test_nothing_is_overwritten(project, capsys, folder):
    write(project, f"{folder or '.'}/test_architecture.py", "MINE = 1\n")

    status, _, said = init(capsys)

    assert status == 2
    assert "test_architecture.py is there already, and is not overwritten; for models that came since" in said
    assert [path.read_text("utf-8") for path in project.rglob("test_architecture.py")] == ["MINE = 1\n"]

    status, lines, _ = init(capsys, "nets:deep", "-o", "test_more.py")
    assert status == 0
    assert "written: test_more.py" in lines


def test_it_lies_where_pytest_can_import_the_models(project, capsys):
    """In ``tests``, if pytest finds the models from there; else beside them."""
    (project / "tests").mkdir()
    init(capsys, "nets:deep")
    assert (project / "test_architecture.py").is_file()
    assert not (project / "tests" / "test_architecture.py").exists()
    (project / "test_architecture.py").unlink()

    write(project, "pytest.ini", "[pytest]\npythonpath = .\n")
    init(capsys, "nets:deep")
    assert (project / "tests" / "test_architecture.py").is_file()
    assert not (project / "test_architecture.py").exists()


def test_a_project_that_pytest_cannot_import_is_told_how(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "src/inhouse/__init__.py", "")
    write(tmp_path, "src/inhouse/nets.py", NETS)

    status, lines, _ = init(capsys)

    assert status == 0
    assert "from inhouse.nets import DigitNet, deep, either, published\n" in (
        tmp_path / "test_architecture.py"
    ).read_text("utf-8")
    assert "pytest cannot collect it yet: ModuleNotFoundError: No module named 'inhouse'" in lines
    assert '  pythonpath = ["src"]' in lines


INPUTS = {
    "tokens": ("nn.Sequential(nn.Embedding(500, 8), nn.Linear(8, 2))", 'inputs=spec(1, 128, dtype="int64", high=500)'),
    "positions": ("Positions()", 'inputs=spec(1, 64, dtype="int64", high=50)'),
    "stem": ("nn.Sequential(nn.Conv2d(3, 8, 7, 2), nn.ReLU())", "inputs=(1, 3, 224, 224)"),
    "small_images": ("nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())", "inputs=(1, 3, 32, 32)"),
    "sound": ("nn.Sequential(nn.Conv1d(2, 8, 9), nn.ReLU())", "inputs=(1, 2, 128)"),
    "video": ("nn.Sequential(nn.Conv3d(3, 8, 3), nn.ReLU())", "inputs=(1, 3, 16, 112, 112)"),
    "features": ("nn.Sequential(nn.Linear(13, 4), nn.Tanh())", "inputs=(1, 13)"),
    "sequence": ("nn.GRU(24, 8, batch_first=True)", "inputs=(1, 16, 24)"),
    "two": ("Two()", "inputs=((1, 5), (1, 5))"),
    "patches": ("VisionTransformer(image_size=96, patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8)",
                "inputs=(1, 3, 96, 96)"),
}  # fmt: skip
MORE = """
import torch
from torch import nn
from torchvision.models import VisionTransformer


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, 8), nn.Parameter(torch.zeros(64, 8))

    def forward(self, tokens):
        return self.tokens(tokens) + self.positions[: tokens.shape[1]]


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.both = nn.Linear(5, 3), nn.Bilinear(3, 3, 1)

    def forward(self, left, right):
        return self.both(self.left(left), self.left(right))
"""


def test_inputs_are_guessed(tmp_path, monkeypatch, capsys):
    functions = "".join(
        f"\n\ndef {name}() -> nn.Module:\n    return {made}\n" for name, (made, _) in INPUTS.items()
    )
    write(tmp_path, "guessed.py", MORE + functions)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    status, _, _ = init(capsys, *(f"guessed.py:{name}" for name in INPUTS))

    assert status == 0
    text = (tmp_path / "test_architecture.py").read_text("utf-8")
    assert [
        f"@arch({name}, {stated})"
        for name, (_, stated) in INPUTS.items()
        if f"@arch({name}, {stated})" not in text
    ] == []


def test_inputs_of_timm_and_transformers_are_known():
    """Timm's ``pretrained_cfg`` and the vocabulary of a configuration."""
    timm = pytest.importorskip("timm")
    transformers = pytest.importorskip("transformers")
    from pytest_archcheck.recording.guesses import recorded_as_guessed

    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    _, bert = recorded_as_guessed(lambda: transformers.BertModel(config))
    _, convnet = recorded_as_guessed(lambda: timm.create_model("efficientnet_b1", pretrained=False))

    assert (bert.inputs, bert.kwargs) == ((), {"input_ids": spec(1, 128, dtype="int64", high=30522)})
    assert convnet.inputs == (spec(1, 3, 240, 240),)


def test_inputs_that_are_stated_are_taken(project, capsys):
    init(capsys, "nets:DigitNet", "--input", "2x1x28x28")

    text = (project / "test_architecture.py").read_text("utf-8")
    assert "@arch(DigitNet, inputs=(2, 1, 28, 28))\n" in text


def test_what_does_not_hold_is_not_stated(tmp_path, monkeypatch, capsys):
    """An unused parameter, and an operation without a formula."""
    write(
        tmp_path,
        "partly.py",
        """
        import torch
        from torch import nn


        class Partly(nn.Module):
            def __init__(self):
                super().__init__()
                self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

            def forward(self, x):
                return torch.linalg.qr(self.used(x)).Q
        """,
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    init(capsys, "partly:Partly", "--input", "4x4")

    text = (tmp_path / "test_architecture.py").read_text("utf-8")
    assert "# no @arch_no_unused, since no output uses idle.weight, idle.bias\n" in text
    assert "# no @arch_macs, since the count is not complete: at least 64, partial" in text
    assert "\n@arch_macs" not in text
    assert "\n@arch_no_unused" not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nets:Block",), "Block cannot be called without arguments"),
        (("nets:Nothing",), "nets:Nothing: nets has no Nothing"),
        (("nets",), "'nets' is no model: write module:callable"),
        (("nets:deep", "--input", "1x1"), "deep failed at|DigitNet failed at"),
    ],
)
def test_what_cannot_be_proposed_is_told(project, capsys, arguments, told):
    status, _, said = init(capsys, *arguments)

    assert status == 2
    assert any(part in said for part in told.split("|"))
    assert not (project / "test_architecture.py").exists()


def test_a_folder_without_models_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    status, lines, said = init(capsys)

    assert status == 2
    assert lines == ["looked at 0 of the project's files, those that import torch"]
    assert "name one, as in archcheck init torchvision.models:resnet18 --input 1x3x224x224" in said
