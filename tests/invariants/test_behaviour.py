"""Invariants that run a model again: real ones that hold, planted violations told with their layer, false alarms."""

import functools
import hashlib

import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn
from torch.nn import functional as F

from pytest_archcheck import UsageError, dependence, gradients, spec, trace
from pytest_archcheck.behaviour import Probes
from pytest_archcheck.invariants import INVARIANTS, Context

IMAGES, TOKENS = (2, 3, 64, 64), spec(2, 12, dtype="int64", high=90)
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 100,
}

needs_transformers = pytest.mark.skipif(
    not transformers.utils.is_torch_available(), reason="transformers needs a newer torch"
)


def violations(mark, model, inputs, *args, train=False, kwargs=None, **named):
    """What a mark says of a model; each as (where, found, advice)."""
    context = Context(probes=Probes(model, inputs, kwargs, "auto", train))
    recorded = trace(model, inputs, kwargs=kwargs, train=train)
    return list(INVARIANTS[mark](*args, **named).check(recorded, context))


def told(found):
    return [(violation.where, violation.found) for violation in found]


def torchvision_model(name):
    return functools.partial(torchvision.models.get_model, name, weights=None)


def from_config(name, **config):
    def build():
        transformers.logging.set_verbosity_error()
        cls = getattr(transformers, name)
        return cls(cls.config_class(**config))

    return build


GPT2 = from_config(
    "GPT2LMHeadModel", n_embd=32, n_layer=2, n_head=4, vocab_size=100, bos_token_id=1, eos_token_id=2
)
LLAMA = from_config("LlamaForCausalLM", **SMALL, num_key_value_heads=2)
MIXTRAL = from_config("MixtralForCausalLM", **SMALL, num_key_value_heads=2, num_local_experts=4)
BERT = from_config("BertModel", **SMALL)


def zero_initialised():
    """The last scale of every residual branch is zero, as in training recipes."""
    return timm.create_model("resnet26d", zero_init_last=True)


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(torchvision_model("resnet18"), IMAGES, id="resnet18"),
        pytest.param(torchvision_model("efficientnet_b0"), IMAGES, id="efficientnet_b0"),
        pytest.param(torchvision_model("swin_t"), IMAGES, id="swin_t"),
        pytest.param(zero_initialised, IMAGES, id="zero-initialised branches"),
        pytest.param(GPT2, TOKENS, id="tied weights and positions", marks=needs_transformers),
        pytest.param(BERT, TOKENS, id="embeddings with unused rows", marks=needs_transformers),
        pytest.param(MIXTRAL, TOKENS, id="routed experts", marks=needs_transformers),
    ],
)
def test_every_parameter_of_real_models_gets_a_gradient(model, inputs):
    assert violations("arch_gradients", model, inputs) == []


@pytest.mark.parametrize("train", [False, True])
def test_googlenet_has_its_auxiliary_heads_in_training_mode(train):
    model = functools.partial(torchvision.models.googlenet, weights=None, init_weights=False)
    found = violations("arch_gradients", model, (2, 3, 96, 96), train=train)

    heads = {violation.where.partition(".")[0] for violation in found}
    assert heads == (set() if train else {"aux1", "aux2"})
    assert all("never called in evaluation mode" in violation.why for violation in found)
    allowed = violations("arch_gradients", model, (2, 3, 96, 96), train=train, allow=("aux1.**", "aux2.**"))
    assert allowed == []


class Faulty(nn.Module):
    """Layers that run and get no gradient, each by another fault."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.first(x)
        if self.fault == "dropped":
            self.second(x)
        elif self.fault == "detached":
            x = x + self.second(x).detach()
        elif self.fault == "multiplied by zero":
            x = x + 0 * self.second(x)
        elif self.fault == "square root of zero":
            x = x + torch.sqrt(0 * self.second(x))
        return self.last(x)


@pytest.mark.parametrize(
    ("fault", "found", "why"),
    [
        ("dropped", "none", "reaches no output"),
        ("detached", "none", "reaches no output"),
        ("never called", "none", "never called"),
        ("multiplied by zero", "zero", ""),
        ("square root of zero", "NaN or infinity", ""),
    ],
)
def test_a_layer_without_a_gradient_is_named_with_its_fault(fault, found, why):
    first = violations("arch_gradients", functools.partial(Faulty, fault), (2, 4))[0]

    assert (first.where, first.found) == ("first" if found.startswith("NaN") else "second", found)
    assert why in first.why
    if not found.startswith("NaN"):
        assert first.evidence == ("second.weight", "second.bias")


def test_the_table_has_norms_shares_of_zeros_and_the_ratio_of_first_and_last():
    """By hand: the gradient of ``r · W x`` by ``W`` is the outer product of ``r`` and ``x``."""

    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.table(x))

    found = gradients(Embedded, torch.tensor([[1, 2]]))

    assert [row.name for row in found.table] == ["table.weight", "out.weight", "out.bias"]
    assert found["table.weight"].zeros == pytest.approx(0.8)
    assert found["out.weight"].zeros == 0.0
    assert found.first_to_last == pytest.approx(found["table.weight"].norm / found["out.weight"].norm)
    assert "80.0% zeros" in str(found)


def test_an_allowance_that_matches_nothing_is_told():
    found = violations("arch_gradients", torchvision_model("resnet18"), IMAGES, allow=("layer9.**",))

    assert told(found) == [("layer9.**", "none of that name")]


def test_a_model_without_anything_to_train_is_refused():
    with pytest.raises(UsageError, match="no output of Linear depends on a trainable parameter"):
        gradients(nn.Linear(2, 2).requires_grad_(False), (1, 2))


def test_the_model_and_its_gradients_stay_as_they_are():
    model = torchvision.models.resnet18(num_classes=4)
    model(torch.randn(IMAGES)).sum().backward()

    def fingerprint():
        tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
        return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()

    before, mode, hooks = fingerprint(), model.training, len(model._forward_hooks)
    gradients(model, IMAGES, train=True)
    dependence(model, IMAGES, across="batch", train=True)

    assert (fingerprint(), model.training, len(model._forward_hooks)) == (before, mode, hooks)


# -- rows of a batch -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs", "train"),
    [
        pytest.param(torchvision_model("resnet18"), IMAGES, False, id="batch norm in evaluation"),
        pytest.param(torchvision_model("swin_t"), IMAGES, False, id="windows merged into the batch"),
        pytest.param(torchvision_model("convnext_tiny"), IMAGES, False, id="convnext"),
        pytest.param(torchvision_model("vgg11"), IMAGES, True, id="dropout in training"),
        pytest.param(LLAMA, TOKENS, False, id="llama", marks=needs_transformers),
        pytest.param(MIXTRAL, TOKENS, False, id="routed experts", marks=needs_transformers),
        pytest.param(BERT, TOKENS, False, id="bert", marks=needs_transformers),
    ],
)
def test_rows_of_real_models_are_independent(model, inputs, train):
    assert violations("arch_batch_independent", model, inputs, train=train) == []


def test_batch_norm_in_training_mode_is_told_as_the_cause():
    found = violations("arch_batch_independent", torchvision_model("resnet18"), IMAGES, train=True)

    assert told(found) == [("the output", "row 1 depends on row 0")]
    assert found[0].why == "batch norm in training mode normalises over the batch"
    assert (
        found[0].advice
        == "the first layer that brings it in is bn1 (BatchNorm2d); mend it, or leave the mark out"
    )


class Mixing(nn.Module):
    """Rows are mixed by a function, or by a layer inside a layer."""

    def __init__(self, by):
        super().__init__()
        self.by, self.stem, self.inner, self.head = (
            by,
            nn.Linear(4, 4),
            nn.Sequential(nn.Linear(4, 4)),
            nn.Linear(4, 2),
        )
        if by == "a layer":
            self.inner.append(Centred())

    def forward(self, x):
        x = self.inner(self.stem(x))
        if self.by == "a function":
            x = F.softmax(x, dim=0)
        return self.head(x)


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize(
    ("by", "layer"), [("a layer", "inner.1 (Centred)"), ("a function", "the model's own forward")]
)
def test_the_first_layer_that_mixes_rows_is_named(by, layer):
    found = violations("arch_batch_independent", functools.partial(Mixing, by), (3, 4))

    assert found[0].advice == f"the first layer that brings it in is {layer}; mend it, or leave the mark out"


def test_the_axis_of_the_batch_can_be_another():
    """An RNN without ``batch_first`` has its batch second: along the first axis it looks back."""
    model = functools.partial(nn.LSTM, 4, 4)

    assert violations("arch_batch_independent", model, (5, 3, 4), dim=1) == []
    assert violations("arch_batch_independent", model, (5, 3, 4), dim=0) != []


def test_one_row_is_too_few():
    with pytest.raises(
        UsageError, match="the inputs have 1 row along dimension 0, and two or more are needed"
    ):
        violations("arch_batch_independent", torchvision_model("resnet18"), (1, 3, 64, 64))


# -- time ------------------------------------------------------------------------------------------


@needs_transformers
@pytest.mark.parametrize("model", [GPT2, LLAMA, MIXTRAL], ids=["gpt2", "llama", "mixtral"])
def test_language_models_do_not_look_ahead(model):
    assert violations("arch_causal", model, TOKENS) == []


@needs_transformers
def test_bert_looks_ahead_from_its_first_attention_on():
    found = violations("arch_causal", BERT, TOKENS)

    assert found[0].where == "output .last_hidden_state"
    assert "encoder.layer.0.attention.self" in found[0].advice


class Windowed(nn.Module):
    """A convolution over time that sees to its left only, unless its padding is on both sides."""

    def __init__(self, left):
        super().__init__()
        self.left, self.conv, self.next = left, nn.Conv1d(4, 4, 3), nn.Conv1d(4, 4, 1)

    def forward(self, x):
        return self.next(self.conv(F.pad(x, (2, 0) if self.left else (1, 1))))


@pytest.mark.parametrize("left", [True, False])
def test_a_padding_on_both_sides_looks_ahead(left):
    found = violations("arch_causal", functools.partial(Windowed, left), (1, 4, 9), dim=2)

    assert told(found) == ([] if left else [("the output", "position 0 depends on a later one")])


def test_a_layer_that_looks_one_step_ahead_at_the_end_only_is_caught():
    class Last(nn.Module):
        def forward(self, x):
            return torch.cat([x[:, :-2], x[:, -1:], x[:, -1:]], 1)

    assert told(violations("arch_causal", Last, (1, 8, 2))) == [
        ("the output", "position 6 depends on a later one")
    ]


def test_an_output_without_the_axis_of_time_cannot_be_judged():
    class Pooled(nn.Module):
        def forward(self, x):
            return x.mean(1)

    with pytest.raises(
        UsageError, match=r"no output has 8 rows or positions along dimension 1; found \[2, 3\]"
    ):
        violations("arch_causal", Pooled, (2, 8, 3))


def test_inputs_that_cannot_be_changed_are_told():
    with pytest.raises(UsageError, match="their values are all the same"):
        violations("arch_causal", lambda: nn.Embedding(3, 4), torch.ones(2, 5, dtype=torch.int64))


# -- chance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg11", "efficientnet_b0", "vit_b_32"])
def test_dropout_draws_in_training_only(name):
    size = (2, 3, 224, 224) if name == "vit_b_32" else IMAGES

    assert violations("arch_deterministic", torchvision_model(name), size) == []


def test_what_draws_is_named():
    found = violations("arch_deterministic", torchvision_model("vgg11"), IMAGES, train=True)

    assert (
        found[0].advice
        == "the first layer that brings it in is classifier.2 (Dropout); mend it, or leave the mark out"
    )


def test_functional_dropout_that_forgets_the_mode_is_caught():
    class Forgetful(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4))

        def forward(self, x):
            return F.dropout(self.block(x), 0.5)

    found = violations("arch_deterministic", Forgetful, (2, 4))

    assert (
        found[0].advice
        == "the first layer that brings it in is the model's own forward; mend it, or leave the mark out"
    )


# -- modes and sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(torchvision_model("resnet18"), IMAGES, id="norms"),
        pytest.param(torchvision_model("vgg11"), IMAGES, id="dropout"),
        pytest.param(torchvision_model("efficientnet_b0"), IMAGES, id="stochastic depth"),
        pytest.param(
            functools.partial(torchvision.models.googlenet, init_weights=False), (2, 3, 96, 96), id="heads"
        ),
        pytest.param(BERT, TOKENS, id="bert", marks=needs_transformers),
    ],
)
def test_both_modes_of_real_models_run_the_same_layers(model, inputs):
    assert violations("arch_mode_parity", model, inputs) == []


class Two(nn.Module):
    def __init__(self, other):
        super().__init__()
        self.other, self.stem, self.extra, self.head = (
            other,
            nn.Linear(4, 4),
            nn.Sequential(nn.Linear(4, 4)),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        x = self.stem(x)
        if self.training and self.other == "layer":
            x = self.extra(x)
        if self.training and self.other == "shape":
            x = torch.cat([x, x])
        return self.head(x)


@pytest.mark.parametrize("train", [True, False])
def test_a_layer_of_one_mode_is_named(train):
    found = violations("arch_mode_parity", functools.partial(Two, "layer"), (2, 4), train=train)

    assert told(found) == [("extra", "runs in training mode only")]


def test_another_shape_in_one_mode_is_told():
    found = violations("arch_mode_parity", functools.partial(Two, "shape"), (2, 4))

    assert told(found) == [("head", "(4, 2) in training, (2, 2) in evaluation")]


@pytest.mark.parametrize(
    ("name", "inputs", "output", "sizes"),
    [
        ("resnet18", "B 3 H W", "B 1000", {"B": (1, 3), "H": (64, 97), "W": 224}),
        ("fcn_resnet50", "B 3 H W", "B 21 H W", {"B": 2, "H": (64, 96), "W": (64, 80)}),
    ],
)
def test_contracts_of_real_models_hold_for_other_sizes(name, inputs, output, sizes):
    options = {"weights_backbone": None} if name.startswith("fcn") else {}
    model = functools.partial(torchvision.models.get_model, name, weights=None, **options)

    assert violations("arch_shapes_for", model, IMAGES, inputs, output, **sizes) == []


def feature_map():
    return timm.create_model("resnet18", num_classes=0, global_pool="")


@pytest.mark.parametrize(
    ("output", "sizes"),
    [
        ("B 512 H/32 W/32", {"B": (1, 3), "H": (64, 96), "W": 224}),
        ("B 512 ceil(H/32) (W+31)//32", {"B": 1, "H": (64, 97), "W": 65}),
    ],
)
def test_a_dimension_may_be_worked_out_from_another(output, sizes):
    assert violations("arch_shapes_for", feature_map, IMAGES, "B 3 H W", output, **sizes) == []


def test_a_worked_out_dimension_that_does_not_hold_is_told_with_its_number():
    found = violations("arch_shapes_for", feature_map, IMAGES, "B 3 H 64", "B 512 H/16 2", B=1, H=(64, 96))

    assert [(v.where, v.expected, v.found) for v in found] == [
        ("input (1, 3, 64, 64)", "(B, 512, 4, 2)", "(1, 512, 2, 2)"),
        ("input (1, 3, 96, 64)", "(B, 512, 6, 2)", "(1, 512, 3, 2)"),
    ]


def test_a_size_that_the_model_does_not_take_is_told_with_its_cause():
    found = violations(
        "arch_shapes_for",
        torchvision_model("vit_b_32"),
        (1, 3, 224, 224),
        "1 3 H 224",
        "1 1000",
        H=(224, 256),
    )

    assert told(found) == [("input (1, 3, 256, 224)", "the forward fails")]
    assert "Wrong image height! Expected 224 but got 256" in found[0].why


def test_a_batch_that_is_folded_away_is_told():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(x.reshape(1, -1, 4)).mean(1)

    found = violations("arch_shapes_for", Folded, (1, 4), "B 4", "B 2", B=(1, 3))

    assert told(found) == [("input (3, 4)", "(1, 2)")]
    assert found[0].why == "dimension 0 is 1, but B is 3 at the input"


@needs_transformers
def test_contracts_of_tokens_keep_their_dtype():
    assert violations("arch_shapes_for", GPT2, TOKENS, "B T", "B T 100", B=(1, 2), T=(3, 17)) == []


# -- parameters ------------------------------------------------------------------------------------


def fine_tuned():
    model = torchvision.models.resnet18(num_classes=3)
    model.requires_grad_(False)
    model.fc.requires_grad_(True)
    return model


def test_what_is_frozen_is_as_stated():
    patterns = ("conv1.*", "bn1.*", "layer*.**")

    assert violations("arch_frozen", fine_tuned, IMAGES, *patterns) == []
    assert violations("arch_frozen", torchvision_model("resnet18"), IMAGES) == []


def test_what_is_frozen_by_mistake_is_named():
    found = violations("arch_frozen", fine_tuned, IMAGES, "conv1.*", "layer*.**")

    assert told(found) == [("bn1.weight … bn1.bias", "2 frozen parameters")]
    assert found[0].evidence == ("bn1.weight", "bn1.bias")


def test_what_is_trained_by_mistake_is_named():
    found = violations("arch_frozen", torchvision_model("resnet18"), IMAGES, "conv1.*")

    assert told(found) == [("conv1.*", "1 of 1 are trained")]
    assert told(violations("arch_frozen", torchvision_model("resnet18"), IMAGES, "stem.*")) == [
        ("stem.*", "none")
    ]


@needs_transformers
def test_tied_weights_are_one_tensor():
    names = ("lm_head.weight", "transformer.wte.weight")

    assert violations("arch_tied", GPT2, TOKENS, *names) == []
    untied = from_config(
        "GPT2LMHeadModel", n_embd=32, n_layer=1, n_head=4, vocab_size=100, tie_word_embeddings=False
    )
    assert told(violations("arch_tied", untied, TOKENS, *names)) == [
        ("transformer.wte.weight", "a tensor of its own")
    ]


def test_names_that_are_no_tensors_are_told():
    found = violations("arch_tied", torchvision_model("resnet18"), IMAGES, "fc.weight", "head.weight")

    assert told(found) == [("head.weight", "none")]


# -- wrong arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "args", "named", "message"),
    [
        ("arch_gradients", (), {"allow": "aux.**"}, "allow is a tuple of name patterns"),
        ("arch_batch_independent", (), {"dim": "B"}, "dim is the number of an axis"),
        ("arch_causal", (), {"dim": 1.0}, "dim is the number of an axis"),
        ("arch_frozen", (3,), {}, "a pattern is text that names parameters"),
        ("arch_tied", ("lm_head.weight",), {}, "two or more tensors"),
        ("arch_shapes_for", ("B 3", "B"), {}, "B in 'B 3' has no sizes; write B="),
        ("arch_shapes_for", ("B 3", "B"), {"B": 1, "H": 2}, "the input 'B 3' has no H"),
        ("arch_shapes_for", ("B 3", "B"), {"B": ()}, "give a size or several"),
        ("arch_shapes_for", ("B ...", "B"), {"B": 1}, "the shape of an input is whole"),
        ("arch_shapes_for", ("B x-y", "B"), {"B": 1}, "is no dimension"),
        (
            "arch_shapes_for",
            ("B H", "B H/3"),
            {"B": 1, "H": (3, 4)},
            r"H/3 with H=4 is 1.33333, no whole number; wr",
        ),
        ("arch_shapes_for", ("B H", "B H/0"), {"B": 1, "H": 3}, "H/0 with H=3 divides by zero"),
        ("arch_shapes_for", ("B H", "B K/2"), {"B": 1, "H": 3}, "K/2 in 'B K/2': the input 'B H' has no K"),
        (
            "arch_shapes_for",
            ("B H", "B abs(H)"),
            {"B": 1, "H": 3},
            "is no dimension; write a number, a name, or",
        ),
        ("arch_shapes_for", ("B H", "B H**9"), {"B": 1, "H": 3}, "is no dimension"),
        ("arch_shapes_for", (3, "B"), {"B": 1}, 'a shape is text like "B 3 H W"'),
    ],
)
def test_wrong_arguments_are_refused(mark, args, named, message):
    with pytest.raises(UsageError) as raised:
        INVARIANTS[mark](*args, **named)

    assert message in str(raised.value)


def test_models_with_other_inputs_have_no_contract_of_one():
    with pytest.raises(UsageError, match="models with one positional input"):
        violations("arch_shapes_for", lambda: nn.Bilinear(2, 2, 2), ((1, 2), (1, 2)), "B 2", "B 2", B=1)


# -- what reviews found ----------------------------------------------------------------------------


class Masked(nn.Module):
    """Looks ahead, and masks all but a few of its results, as logits are masked."""

    def __init__(self, fill):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.register_buffer("mask", torch.tensor([0.0] * 6 + [fill] * 2))

    def forward(self, x):
        return self.linear(x.flip(1)) + self.mask


@pytest.mark.parametrize("fill", [0.0, -1e9, float("-inf")])
def test_a_mask_hides_no_dependence(fill):
    assert violations("arch_causal", functools.partial(Masked, fill), (1, 12, 8)) != []


def test_dependence_on_the_last_row_is_seen_too():
    class OnLast(nn.Linear):
        def forward(self, x):
            return super().forward(x) + x[-1:]

    found = violations("arch_batch_independent", functools.partial(OnLast, 8, 8), (4, 8))

    assert [violation.where for violation in found] == ["the output"]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_of_two_layers_are_no_batch_of_two(bidirectional):
    model = functools.partial(
        nn.LSTM, 8, 8, 1 if bidirectional else 2, batch_first=True, bidirectional=bidirectional
    )

    assert violations("arch_batch_independent", model, (2, 12, 8)) == []


@needs_transformers
def test_a_cache_of_as_many_heads_as_positions_does_not_look_ahead():
    assert violations("arch_causal", GPT2, spec(2, 4, dtype="int64", high=90)) == []


def test_an_output_of_one_number_for_each_row_is_judged():
    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(x).mean((1, 2, 3))

    assert violations("arch_batch_independent", Critic, (2, 3, 8, 8)) == []
    found = violations("arch_batch_independent", Critic, (2, 3, 8, 8), train=True)
    assert (
        found[0].advice
        == "the first layer that brings it in is norm (BatchNorm2d); mend it, or leave the mark out"
    )


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(torch.arange(256, dtype=torch.uint8).reshape(2, 128), id="all bytes"),
        pytest.param(torch.randn(1, 128).expand(2, 128), id="an expanded row"),
        pytest.param(torch.ones(2, 128, dtype=torch.bool), id="truth values"),
    ],
)
def test_any_kind_of_input_can_be_changed(rows):
    class Scaled(nn.Module):
        def forward(self, x):
            return x.float() * 2

    class Summed(nn.Module):
        def forward(self, x):
            return x.float() - x.float().mean(0)

    assert violations("arch_batch_independent", Scaled, rows) == []
    assert violations("arch_batch_independent", Summed, rows) != []


def test_python_and_numpy_draw_the_same_in_both_runs():
    class Drawing(nn.Linear):
        def forward(self, x):
            import random

            import numpy as np

            return super().forward(x) * (1 + random.random() + np.random.rand())

    model = functools.partial(Drawing, 4, 4)

    assert violations("arch_batch_independent", model, (3, 4)) == []
    assert violations("arch_deterministic", model, (3, 4)) != []


def test_paths_that_are_dropped_at_random_get_their_gradient_in_another_run():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    def build():
        return ConvNeXt([CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 6)], stochastic_depth_prob=0.5)

    assert told(violations("arch_gradients", build, (4, 3, 32, 32), train=True)) == []


def test_what_is_across_nothing_is_refused():
    with pytest.raises(UsageError, match="across='rows': it is one of batch, time, seed"):
        dependence(nn.Linear(2, 2), (2, 2), across="rows")
