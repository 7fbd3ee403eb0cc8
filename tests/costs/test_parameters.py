"""Parameters and bytes against torch and torchvision."""

import io
import warnings

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import Trace, diff, trace
from pytest_archcheck.costs.dtypes import bytes_of
from pytest_archcheck.records import TensorSpec
from tests.models import recorded


@pytest.mark.parametrize("name", ["alexnet", "densenet121", "resnet50", "vgg11", "vit_b_16"])
def test_the_state_is_as_large_as_the_published_file(name):
    """Within 0.5 %: a file adds its headers."""
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta

    assert recorded(name).size / 2**20 == pytest.approx(meta["_file_size"], rel=0.005)


class Mixed(nn.Module):
    """Half precision, integers and booleans, a tied layer, what is not saved, something frozen."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4).half()
        self.tied = self.fc
        self.head = nn.Linear(4, 2, dtype=torch.bfloat16)
        self.head.weight.requires_grad_(False)
        self.register_buffer("mask", torch.zeros(5, dtype=torch.bool))
        self.register_buffer("scratch", torch.zeros(100), persistent=False)

    def forward(self, x):
        return self.tied(self.fc(x))


def test_bytes_are_those_of_the_tensors():
    model = Mixed()
    unique = {id(t): t for t in model.state_dict(keep_vars=True).values()}.values()
    counted = trace(model, (2, 4))

    assert counted.size == sum(t.numel() * t.element_size() for t in unique) == 65
    assert counted.params.bytes == 2 * (20 + 10)
    assert counted.params.buffer_bytes == 5 + 400


def test_what_is_shared_and_of_what_kind_is_told_by_name():
    counted = trace(Mixed(), (2, 4)).params

    assert counted.shared == (("fc.weight", "tied.weight"), ("fc.bias", "tied.bias"))
    assert counted.per_dtype == {"float16": 20, "bfloat16": 10}
    assert (counted.total, counted.trainable, counted.frozen, counted.buffers) == (30, 22, 8, 105)


def test_what_is_tied_counts_once_in_each_module_that_holds_it():
    """As an encoder and a decoder over one embedding do."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
            self.decoder = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(4, 4, bias=False))
            self.decoder[1].weight = self.encoder[0].weight
            self.encoder[1].weight = self.encoder[0].weight

        def forward(self, x):
            return self.decoder[1](self.encoder(x))

    counted = trace(Pair(), (1, 4)).params

    assert counted.total == counted.per_module[""] == 16 + 12
    assert (counted.per_module["encoder"], counted.per_module["decoder"]) == (16, 28)
    assert counted.per_module["encoder.1"] == 16
    assert counted.shared == (("encoder.0.weight", "encoder.1.weight", "decoder.1.weight"),)


def test_counts_agree_with_the_module():
    model = torchvision.models.mobilenet_v3_small()
    model.features.requires_grad_(False)
    params = trace(model, (1, 3, 64, 64)).params

    assert params.total == sum(p.numel() for p in model.parameters())
    assert params.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert params.buffers == sum(b.numel() for b in model.buffers())
    for name, module in model.named_modules():
        assert params.per_module.get(name, 0) == sum(p.numel() for p in module.parameters())


def saved_bytes(model):
    """The bytes of the tensors in a file, without what the format adds for each."""
    file, empty = io.BytesIO(), io.BytesIO()
    torch.save(model.state_dict(), file)
    torch.save({}, empty)
    return file.tell() - empty.tell()


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:Sparse invariant")
@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_sparse_parameter_is_as_large_as_what_it_holds(layout, device):
    """40 of 10,000 values: each with its indices, wherever it is recorded; and the text keeps it."""

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            dense = torch.zeros(100, 100)
            dense[::5, ::50] = 1
            self.w = nn.Parameter(getattr(dense, f"to_sparse_{layout}" if layout == "csr" else "to_sparse")())
            self.l = nn.Linear(4, 4)

        def forward(self, x):
            return self.l(x)

    model = Sparse()
    counted = trace(model, (1, 4), device=device)
    indices = 2 * 40 if layout == "coo" else 101 + 40

    assert counted.params.total == 10_020
    assert counted.size == 8 * indices + 4 * 40 + 4 * 20
    assert abs(saved_bytes(model) - counted.size) < 6 * 700
    assert Trace.from_text(counted.to_text()).size == counted.size


def test_another_number_of_sparse_values_is_told_as_cost():
    class Sparse(nn.Module):
        def __init__(self, step):
            super().__init__()
            dense = torch.zeros(10)
            dense[::step] = 1
            self.register_buffer("w", dense.to_sparse())

        def forward(self, x):
            return x + 1

    drift = diff(trace(Sparse(5), (1,)), trace(Sparse(2), (1,)))

    assert [(c.layer, c.attribute, c.before, c.after) for c in drift.changes] == [
        ("w", "stored", "24 bytes", "60 bytes")
    ]
    assert "cost" in str(drift)


def test_a_quantized_layer_is_as_large_as_what_it_saves():
    """ResNet-18 in int8: a byte for each weight, scale and zero point for each channel, floats for the biases."""
    meta = torchvision.models.quantization.ResNet18_QuantizedWeights.IMAGENET1K_FBGEMM_V1.meta
    before = torch.backends.quantized.engine
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torchvision.models.get_model("quantized_resnet18", weights=None, quantize=True)
            counted = trace(model, (1, 3, 64, 64))
    finally:
        torch.backends.quantized.engine = before
    packed = [tensor for tensor in counted.state if tensor.kind == "packed" and tensor.spec.dtype == "qint8"]

    assert sum(tensor.spec.numel for tensor in packed) == 11_678_912  # 11,689,512 without norms and biases
    assert packed[0].name == "conv1.weight"
    assert packed[0].stored == 64 * 3 * 49 + 64 * (8 + 8)  # a float64 and an int64 for each channel
    assert counted.size / 2**20 == pytest.approx(meta["_file_size"], rel=0.012)
    assert Trace.from_text(counted.to_text()) == counted


def test_tensors_of_a_quantized_layer_are_told_apart_wherever_they_lie():
    """Each is unpacked into memory that the one before may just have left."""
    for _ in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.ao.quantization.quantize_dynamic(
                nn.Sequential(nn.LSTMCell(100, 50)), {nn.LSTMCell}, dtype=torch.qint8
            )
        assert trace(model, (4, 100)).size >= 200 * (100 + 50) + 4 * 400


@pytest.mark.parametrize(
    "layer", [nn.LSTM(100, 50, num_layers=2), nn.GRU(100, 50), nn.LSTMCell(100, 50), nn.Linear(100, 50)]
)
def test_a_dynamically_quantized_layer_is_as_large_as_its_file(layer):
    """A byte for each weight, four for each bias; a recurrent layer keeps them in an object of C++."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {type(layer)}, dtype=torch.qint8)
    weights = sum(p.numel() for name, p in layer.named_parameters() if "weight" in name)
    biases = sum(p.numel() for name, p in layer.named_parameters() if "bias" in name)
    shape = (4, 100) if isinstance(layer, nn.LSTMCell | nn.Linear) else (3, 4, 100)

    size = trace(model, shape).size

    assert 0 <= size - (weights + 4 * biases) < 100
    assert 0 < saved_bytes(model) - size < 12_000


def test_what_a_module_saves_in_its_own_way_is_counted():
    class Saves(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(4, 4)
            self.table = torch.zeros(100)

        def get_extra_state(self):
            return {"table": self.table, "version": 1}

        def set_extra_state(self, state):
            pass

        def forward(self, x):
            return self.l(x)

    assert trace(Saves(), (1, 4)).size == 80 + 400


DTYPES = sorted(
    {str(value).removeprefix("torch.") for value in vars(torch).values() if isinstance(value, torch.dtype)}
)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_has_its_size(name):
    """As torch says; what is smaller than a byte takes one."""
    dtype = getattr(torch, name)

    assert bytes_of(TensorSpec((3,), name)) == 3 * dtype.itemsize


def test_an_unknown_dtype_has_none():
    with pytest.raises(ValueError, match="the size of strange is not known"):
        bytes_of(TensorSpec((3,), "strange"))
