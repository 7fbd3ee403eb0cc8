"""Checkpoints: read by their header alone, and held to a model by names and shapes."""

import functools
import io
import json
import pickle
import subprocess
import sys
import zipfile

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from pytest_archcheck import UsageError, trace
from pytest_archcheck.checkpoints.headers import read_header
from pytest_archcheck.checkpoints.keys import compare
from pytest_archcheck.cli import main
from pytest_archcheck.invariants import INVARIANTS, Context

RESNET = functools.partial(torchvision.models.resnet18, weights=None)


@functools.cache
def resnet():
    return trace(RESNET, (1, 3, 64, 64))


@pytest.fixture(scope="module")
def state():
    return RESNET().state_dict()


def shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


# -- headers ---------------------------------------------------------------------------------------


def test_a_header_of_safetensors_has_names_and_shapes(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors", metadata={"format": "pt"})

    assert read_header(tmp_path / "a.safetensors") == shapes(state)


@pytest.mark.parametrize("wrapped", ["state dict", "training state", "parameters", "module"])
def test_a_header_of_torch_save_has_names_and_shapes(tmp_path, state, wrapped):
    tensors = {name: tensor.half() for name, tensor in state.items()}
    content = {
        "state dict": tensors,
        "training state": {"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": tensors},
        "parameters": {name: nn.Parameter(tensor, False) for name, tensor in tensors.items()},
        "module": {"model": tensors, "args": None},
    }[wrapped]
    torch.save(content, tmp_path / "a.pt")

    assert read_header(tmp_path / "a.pt") == shapes(state)


def test_an_index_of_shards_stands_for_all_of_them(tmp_path):
    parts = [{"a": torch.zeros(2)}, {"b": torch.zeros(3, 4)}]
    for number, part in enumerate(parts):
        save_file(part, tmp_path / f"model-{number}.safetensors")
    index = {"weight_map": {"a": "model-0.safetensors", "b": "model-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    assert read_header(tmp_path / "model.safetensors.index.json") == {"a": (2,), "b": (3, 4)}


def test_reading_a_header_loads_neither_torch_nor_tensors(tmp_path, state):
    torch.save(state, tmp_path / "a.pt")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pytest_archcheck.checkpoints.headers import read_header\n"
        f"print(len(read_header({str(tmp_path / 'a.pt')!r})))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == str(len(state))


class Hostile:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize("form", ["torch.save", "a legacy file"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, capsys, form):
    path = tmp_path / "a.pt"
    if form == "torch.save":
        torch.save({"a": torch.zeros(2), "b": Hostile()}, path)
        message = "a.pt holds __builtin__.print, which is no description of a tensor and is not run"
    else:
        path.write_bytes(pickle.dumps(Hostile()))
        message = "is neither a safetensors file nor one of torch.save"

    with pytest.raises(UsageError, match=message):
        read_header(path)
    assert "run!" not in capsys.readouterr().out


def test_damaged_files_are_told(tmp_path):
    whole = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, whole)
    cases = {
        "gone.pt": (None, "No such file"),
        "half.pt": (whole.getvalue()[: len(whole.getvalue()) // 2], "cannot be read"),
        "long.safetensors": ((2**40).to_bytes(8, "little") + b"{}", "the file is damaged"),
        "text.safetensors": ((2).to_bytes(8, "little") + b"{,", "no description of tensors"),
        "none.index.json": (b"[]", 'it has no "weight_map"'),
        "list.pt": (_saved([1, 2]), "holds list, not a state dict"),
        "empty.pt": (_saved({"epoch": 1}), "holds no tensors; found the keys 'epoch'"),
        "zip.pt": (_zipped(), "a zip archive without data.pkl"),
    }
    for name, (content, message) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError) as raised:
            read_header(tmp_path / name)
        assert message in str(raised.value), name
        assert name in str(raised.value)


def _saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    return file.getvalue()


# -- keys ------------------------------------------------------------------------------------------


def test_a_models_own_checkpoint_fits(state):
    match = compare(resnet().state, shapes(state))

    assert match
    assert match.verdict == "all 122 tensors fit"


@pytest.mark.parametrize(
    ("spelled", "verdict"),
    [
        (lambda name: f"module.{name}", "122 missing, 122 unexpected of 122 tensors"),
        (lambda name: name.replace("layer", "stage"), "120 missing, 120 unexpected"),
        (lambda name: name.replace("downsample", "shortcut"), "18 missing, 18 unexpected"),
    ],
)
def test_renamed_keys_get_a_map_to_load_them_with(state, spelled, verdict):
    """The map suggested is the way back, for all of them."""
    renamed = {spelled(name): tensor for name, tensor in state.items()}
    match = compare(resnet().state, shapes(renamed))

    assert not match
    assert {match.renamed[spelled(name)] for name in match.renamed.values()} == set(match.missing)
    model = RESNET()
    model.load_state_dict({match.renamed.get(name, name): tensor for name, tensor in renamed.items()})


def test_another_head_is_told_as_reshaped(state):
    found = list(
        INVARIANTS["arch_checkpoint"](
            state | {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
        ).check(resnet(), Context())
    )

    assert [violation.found for violation in found] == ["2 reshaped of 122 tensors"]
    assert found[0].evidence[0] == "reshaped: fc.weight: [1000, 512], in the file [10, 512]"


def test_names_alone_will_do(state):
    found = list(INVARIANTS["arch_checkpoint"]([*list(state)[:-1], "extra"]).check(resnet(), Context()))

    assert [violation.found for violation in found] == ["1 missing, 1 unexpected of 122 tensors"]
    assert found[0].evidence == ("missing: fc.bias", "unexpected: extra")


def test_one_of_the_names_of_a_tied_tensor_will_do():
    """As safetensors saves them."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.embed(x))

    recorded = trace(Tied, torch.tensor([[1]]))

    assert compare(recorded.state, {"embed.weight": (5, 4)})
    assert compare(recorded.state, {"embed.weight": (5, 4), "head.weight": (5, 4)})
    assert compare(recorded.state, {}).missing == ("embed.weight", "head.weight")


def test_buffers_that_are_not_saved_are_not_wanted():
    class Masked(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.register_buffer("mask", torch.ones(2), persistent=False)

    assert compare(trace(Masked, (1, 2)).state, {"weight": (2, 2), "bias": (2,)})


def test_what_is_no_reference_is_refused():
    with pytest.raises(UsageError, match="give the path of a checkpoint, a dict of names and shapes"):
        INVARIANTS["arch_checkpoint"](3)


# -- the command -----------------------------------------------------------------------------------


def test_the_command_says_what_does_not_fit(tmp_path, capsys, state):
    save_file(state, tmp_path / "good.safetensors")
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "ddp.pt")

    assert main(["checkpoint", "torchvision.models:resnet18", str(tmp_path / "good.safetensors")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/good.safetensors: all 122 tensors fit\n"
    assert main(["checkpoint", "torchvision.models:resnet18", str(tmp_path / "ddp.pt")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("122 missing, 122 unexpected of 122 tensors")
    assert lines[1] == "  renamed?: module.conv1.weight → conv1.weight"
    assert lines[-1] == "  renamed?: … and 112 more"


def test_the_command_reads_a_recorded_architecture_without_torch(tmp_path, capsys, state):
    (tmp_path / "resnet.arch").write_text(resnet().to_text(), "utf-8")
    save_file(state, tmp_path / "good.safetensors")

    arguments = ["checkpoint", str(tmp_path / "resnet.arch"), str(tmp_path / "good.safetensors"), "--json"]

    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 122


def test_the_command_tells_its_errors_in_one_line(tmp_path, capsys):
    (tmp_path / "a.pt").write_bytes(b"hello")

    assert main(["checkpoint", "torchvision.models:resnet18", str(tmp_path / "a.pt")]) == 2
    assert capsys.readouterr().err.startswith("archcheck: error: ")


def test_a_reimplementation_with_other_names_is_mapped():
    """Timm's ResNet-18 has torchvision's names; its ViT others, in another order."""
    other = timm.create_model("resnet18", pretrained=False).state_dict()

    assert compare(resnet().state, shapes(other))


# -- what a review found ---------------------------------------------------------------------------

PICKLES = {
    "a large index": b"\x80\x02K\x01r\xff\xff\xff\x03.",
    "many sets": b"\x80\x04(" + b"\x8f" * 4_000_000 + b"l.",
    "a nested key": b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
    "attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\0\0\0__defaults__K\x05\x85s\x86b.",
    "a call by instance": b"\x80\x02(S'echo'\nios\nsystem\n.",
    "a new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "the end missing": b"\x80\x02}",
    "an endless size": b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(NK\0G\x7f\xf0\0\0\0\0\0\0\x85t\x52s.",
}


@pytest.mark.parametrize("case", PICKLES)
def test_no_pickle_takes_more_than_an_error(tmp_path, case):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", PICKLES[case])

    with pytest.raises(UsageError, match=r"a\.pt"):
        read_header(tmp_path / "a.pt")


def test_an_index_that_names_itself_or_promises_too_much_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "one.safetensors")
    for name, shard, message in (
        ("x.index.json", "x.index.json", "names another index"),
        ("y.index.json", "one.safetensors", "promises b in one.safetensors"),
    ):
        (tmp_path / name).write_text(json.dumps({"weight_map": {"b": shard}}))
        with pytest.raises(UsageError, match=message):
            read_header(tmp_path / name)


@pytest.mark.parametrize("shape", ["[Infinity]", '"123"', "[2.7]", "[-1]", "[" * 100_000])
def test_shapes_that_are_none_are_refused(tmp_path, shape):
    header = f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 0]}}}}'.encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(UsageError, match="no description of tensors"):
        read_header(tmp_path / "a.safetensors")


def test_a_tensor_beside_the_state_dict_is_not_taken_for_it(tmp_path, state):
    import numpy as np

    torch.save({"state_dict": state, "step": torch.tensor(3), "accuracy": np.float64(0.5)}, tmp_path / "a.pt")

    assert read_header(tmp_path / "a.pt") == shapes(state)


def test_old_files_without_counters_of_batch_norms_fit(state):
    """Torch loads them, too."""
    old = {name: tensor for name, tensor in state.items() if "num_batches" not in name}

    assert compare(resnet().state, shapes(old))
    RESNET().load_state_dict(old)


def test_what_a_module_saves_beside_tensors_is_passed_over(state):
    assert (
        list(INVARIANTS["arch_checkpoint"](state | {"fc._extra_state": None}).check(resnet(), Context()))
        == []
    )
