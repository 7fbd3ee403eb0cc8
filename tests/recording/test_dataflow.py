"""Where every tensor came from, on small models whose flow is known by hand."""

import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import Trace, trace
from pytest_archcheck.records import Ref


def model(forward, **modules):
    """A module with the given children and forward."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            for name, child in modules.items():
                setattr(self, name, child)

    Net.forward = forward
    return Net()


def sources(recorded, call_id):
    """The names of the tensors that a call took."""
    from pytest_archcheck.records import input_refs

    return [ref.name for ref in input_refs(recorded[call_id])]


def test_all_spellings_of_a_sum_are_one():
    """``+``, ``+=``, ``torch.add`` and ``Tensor.add_`` are the same op."""

    def plus(self, x):
        return self.a(x) + x

    def in_place(self, x):
        out = self.a(x)
        out += x
        return out

    def function(self, x):
        return torch.add(self.a(x), x)

    def method(self, x):
        return self.a(x).add_(x)

    traces = [trace(model(f, a=nn.Linear(4, 4)), (2, 4)) for f in (plus, in_place, function, method)]

    assert len({t.record_text.replace(t.model.type, "") for t in traces}) == 1
    assert sources(traces[0], ":add") == ["a", "in:x"]


def test_reflected_operators_keep_the_order_of_their_operands():
    """``1 - x`` subtracts from one."""
    recorded = trace(model(lambda self, x: 1 - x), (2, 4))

    assert recorded[":sub"].args == (1, Ref("in:x"))


def test_positional_and_keyword_arguments_are_one_spelling():
    """``torch.flatten(x, 1)`` is ``x.flatten(start_dim=1)``."""
    first = trace(model(lambda self, x: torch.flatten(x, 1)), (2, 4, 3))
    second = trace(model(lambda self, x: x.flatten(start_dim=1, end_dim=-1)), (2, 4, 3))

    assert first[":flatten"] == second[":flatten"]
    assert first[":flatten"].kwargs == {"start_dim": 1}


@pytest.mark.parametrize(
    ("index", "written"),
    [
        (lambda x: x[:, :, 1], "(Ellipsis, 1)"),
        (lambda x: x[..., 1], "(Ellipsis, 1)"),
        (lambda x: x[..., :, 1], "(Ellipsis, 1)"),
        (lambda x: x[:, :, :2], "(Ellipsis, slice(None, 2, None))"),
        (lambda x: x[:, 1, 1], "(Ellipsis, 1, 1)"),
        (lambda x: x[..., 0, 1, 1], "(0, 1, 1)"),
        (lambda x: x[:, 1], "(slice(None, None, None), 1)"),
        (lambda x: x[:, None, :, 1], "(slice(None, None, None), None, slice(None, None, None), 1)"),
        (lambda x: x[0], "0"),
        (lambda x: x[:], "slice(None, None, None)"),
    ],
)
def test_an_index_that_names_every_axis_has_one_spelling(index, written):
    """Torchvision 0.25 wrote ``boxes[..., 2]`` where it had ``boxes[:, 2]``; a matrix has no other axis."""
    recorded = trace(model(lambda self, x: index(x)), (2, 3, 4))

    assert f":getitem(%in:x, {written}) -> " in recorded.to_text()


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation")
def test_what_calibration_gives_a_quantized_function_is_not_recorded():
    """A scale and a zero point are values, as weights are."""
    scaled = torch.ao.nn.quantized.QFunctional()
    scaled.scale, scaled.zero_point = 0.25, 3

    def forward(self, x):
        x = torch.quantize_per_tensor(x, 0.5, 0, torch.quint8)
        return scaled.cat([x, x], 1).dequantize()

    recorded = trace(model(forward), (2, 4), device="cpu")

    assert recorded[":quantized.cat"].kwargs == {"dim": 1}


def test_a_function_that_returns_its_argument_is_told_apart_from_it():
    """In eval mode dropout hands its argument back; the skip connection still starts before it."""

    def forward(self, x):
        hidden = self.a(x)
        return F.dropout(hidden, 0.1, self.training) + hidden

    recorded = trace(model(forward, a=nn.Linear(4, 4)), (2, 4))

    assert sources(recorded, ":add") == [":dropout", "a"]


def test_a_module_that_returns_its_argument_is_told_apart_from_it():
    """The same for ``nn.Dropout`` and ``nn.Identity``."""

    def forward(self, x):
        hidden = self.a(x)
        return self.drop(hidden) + self.skip(hidden)

    recorded = trace(model(forward, a=nn.Linear(4, 4), drop=nn.Dropout(), skip=nn.Identity()), (2, 4))

    assert sources(recorded, ":add") == ["drop", "skip"]


def test_an_in_place_activation_changes_what_the_skip_connection_sees():
    """``nn.ReLU(inplace=True)`` on ``x`` and then ``+ x`` adds the activated tensor."""

    def forward(self, x):
        hidden = self.a(x)
        return self.b(self.relu(hidden)) + hidden

    kept = trace(model(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), relu=nn.ReLU()), (2, 4))
    lost = trace(model(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), relu=nn.ReLU(inplace=True)), (2, 4))

    assert sources(kept, ":add") == ["b", "a"]
    assert sources(lost, ":add") == ["b", "relu"]


def test_a_write_into_a_slice_is_the_new_source_of_the_whole():
    """``out[:, :2] = x`` flows on from ``out``."""

    def forward(self, x):
        out = x.new_zeros(2, 4)
        out[:, :2] = self.a(x)
        return self.b(out)

    recorded = trace(model(forward, a=nn.Linear(4, 2), b=nn.Linear(4, 4)), (2, 4))

    assert sources(recorded, ":setitem") == [":new_zeros", "a"]
    assert sources(recorded, "b") == [":setitem"]
    assert recorded.depth("paper") == 2


def test_a_write_through_a_view_reaches_the_base():
    """A view and its base share memory."""

    def forward(self, x):
        hidden = self.a(x)
        hidden[:, 0].mul_(2.0)
        return self.b(hidden)

    recorded = trace(model(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4)), (2, 4))

    assert sources(recorded, "b") == [":mul"]
    assert sources(recorded, ":mul") == [":getitem"]
    assert [spec.shape for spec in recorded[":mul"].outputs] == [(2,), (2, 4)]
    back = Trace.from_text(recorded.to_text())
    assert back["b"].inputs == recorded["b"].inputs
    assert back["b"].inputs[0].shape == (2, 4)


def test_several_outputs_are_told_apart():
    """The second part of a split is the second output."""

    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        return second - first

    recorded = trace(model(forward), (2, 4))

    assert recorded[":sub"].args == (Ref(":chunk", 1), Ref(":chunk"))


def test_a_parameter_used_directly_is_named():
    """``x @ self.w`` is a weighted layer; its weight is known by name."""

    def forward(self, x):
        return x @ self.w

    recorded = trace(model(forward, w=nn.Parameter(torch.zeros(4, 3))), (2, 4))

    assert sources(recorded, ":matmul") == ["in:x", "param:w"]
    assert recorded.macs == 2 * 4 * 3
    assert recorded.depth("paper") == 1


def test_attention_is_one_line():
    """Nothing inside ``nn.MultiheadAttention`` is recorded; it is two weighted layers in sequence."""

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]

    attention = nn.MultiheadAttention(64, 4, batch_first=True)
    recorded = trace(model(forward, attention=attention), (1, 32, 64))

    assert [call.id for call in recorded.calls] == ["attention"]
    assert recorded.depth("paper") == 2
    assert recorded.macs == 655_360


def test_the_transformer_fast_path_hides_nothing():
    """A ``TransformerEncoder`` in eval mode shows the layers that its fused kernel would skip."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    recorded = trace(nn.TransformerEncoder(layer, 2).eval(), (2, 5, 32), device="cpu")

    assert [call.name for call in recorded.layers if call.type == "Linear"] == [
        "layers.0.linear1",
        "layers.0.linear2",
        "layers.1.linear1",
        "layers.1.linear2",
    ]
    assert recorded.depth("paper") == 2 * 4
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_transformer_fast_path_is_not_prepared_for():
    """With a padding mask the encoder would look whether it can pack its input; no such op is recorded."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    mask = torch.tensor([[False] * 5, [False, False, False, True, True]])
    recorded = trace(
        nn.TransformerEncoder(layer, 2).eval(),
        (2, 5, 32),
        kwargs={"src_key_padding_mask": mask},
        device="cpu",
    )

    assert "logical_not" not in {op.function for op in recorded.ops}


def test_a_users_own_leaf_module_shows_its_ops():
    """A module that is not one of ``torch.nn`` has its functions recorded."""

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return F.relu(x) * self.factor

    recorded = trace(nn.Sequential(Scale(3)), (2, 4))

    assert [call.id for call in recorded.calls] == ["0", "0:relu", "0:mul"]
    assert recorded["0"].config == {"factor": 3}


def test_a_module_called_in_a_loop_counts_each_time():
    """Three calls in sequence are three layers on the path, one set of parameters, three times the MACs."""

    def forward(self, x):
        for _ in range(3):
            x = self.a(x)
        return x

    recorded = trace(model(forward, a=nn.Linear(64, 64)), (1, 32, 64))

    assert [call.id for call in recorded.layers] == ["a", "a#2", "a#3"]
    assert recorded.depth("paper") == 3
    assert recorded.depth("weighted") == 1
    assert recorded.macs == 393_216


def test_an_error_that_the_model_catches_does_not_confuse_the_record():
    """What ran before and after it is attributed rightly."""

    class Picky(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    def forward(self, x):
        try:
            return self.picky(x)
        except ValueError:
            return self.a(x).relu()

    recorded = trace(model(forward, picky=Picky(), a=nn.Linear(4, 4)), (2, 4))

    assert [call.id for call in recorded.calls] == ["a", ":relu"]


def test_the_users_own_hooks_still_run():
    """A forward hook that replaces the output is seen."""
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    net[0].register_forward_hook(lambda module, args, output: output * 2)

    recorded = trace(net, (2, 4))

    assert [call.id for call in recorded.calls] == ["0", ":mul", "1"]
    assert sources(recorded, "1") == [":mul"]


def test_creation_inside_the_forward_works_on_meta():
    """``torch.arange`` without a device makes a tensor where the forward is recorded."""
    recorded = trace(model(lambda self, x: x + torch.arange(4)), (2, 4), device="meta")

    assert sources(recorded, ":add") == ["in:x", ":arange"]


def test_a_method_made_of_a_closure_reaches_the_clone():
    """``model.forward = MethodType(f, model)`` where ``f`` holds modules, or bound methods, of the model."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    plain = trace(model, (1, 4))
    first, original = model[0], model.forward

    model.forward = types.MethodType(lambda self, input: self[1](first(input)), model)
    assert trace(model, (1, 4)).to_text() == plain.to_text()
    model.forward = types.MethodType(lambda self, input: original(input), model)
    assert trace(model, (1, 4)).to_text() == plain.to_text()


class Forgetting(nn.Module):
    """Writes to tensors that are gone afterwards, and takes results of unknown origin that may get their memory."""

    def forward(self, x):
        for _ in range(20):
            (x * 1.0).add_(1)
            x = x + torch.vmap(lambda row: row * 2)(x)
        return x


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_memory_that_was_given_back_brings_no_source_along(device):
    recorded = trace(Forgetting(), (2, 2), device=device)

    sums = [op for op in recorded.ops if op.function == "add" and len(op.inputs) == 2]
    assert len(sums) == 20
    assert all(op.args[1].name.startswith("opaque:") for op in sums)
