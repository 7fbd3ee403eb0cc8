"""Config comes from attributes, in one spelling, and defaults from a frozen table."""

import inspect

import pytest
import torch
from torch import nn

from pytest_archcheck import trace
from pytest_archcheck.drift.defaults import DEFAULTS
from pytest_archcheck.recording.config import config_of
from pytest_archcheck.recording.forms import window
from pytest_archcheck.recording.functions import canonical_name


def test_what_a_repr_leaves_out_is_there():
    """``repr(nn.AvgPool2d(2, count_include_pad=False))`` does not show the flag."""
    pool = nn.AvgPool2d(2, count_include_pad=False)

    assert "count_include_pad" not in repr(pool)
    assert config_of(pool)["count_include_pad"] is False


@pytest.mark.parametrize("size", [3, (3, 3), [3, 3]])
def test_one_number_and_a_pair_are_the_same_kernel(size):
    assert config_of(nn.MaxPool2d(size))["kernel_size"] == (3, 3)


def test_whether_a_layer_has_a_bias_is_config():
    assert config_of(nn.Linear(2, 2, bias=False))["bias"] is False
    assert config_of(nn.Conv1d(2, 2, 1))["bias"] is True


def test_recurrent_layers_show_their_arguments():
    """``nn.LSTM`` takes ``*args``; its attributes say what they were."""
    config = config_of(nn.LSTM(3, 5, num_layers=2, bidirectional=True))

    assert (config["input_size"], config["hidden_size"], config["num_layers"]) == (3, 5, 2)
    assert config["bidirectional"] is True


def test_the_frozen_defaults_are_torchs():
    """The table agrees with the signatures of the installed torch, wherever both have the argument."""
    checked = 0
    for name, defaults in DEFAULTS.items():
        cls = getattr(nn, name, None) or getattr(nn.modules.linear, name, None)
        if cls is None or name in ("RNN", "LSTM", "GRU", "NonDynamicallyQuantizableLinear"):
            continue
        parameters = inspect.signature(cls.__init__).parameters
        for key, default in defaults.items():
            if key in parameters and parameters[key].default is not inspect.Parameter.empty:
                digit = name[-2] if name.endswith("d") else "0"
                live = parameters[key].default
                is_window = isinstance(default, tuple) and digit.isdigit()
                assert (window(live, int(digit)) if is_window else live) == default, (name, key)
                checked += 1
    assert checked > 80


def test_functions_and_classes_are_written_by_name():
    """No address of an object gets into the text."""

    class Net(nn.Module):
        def __init__(self, act, norm, size):
            super().__init__()
            self.act, self.norm, self.size = act, norm, size

        def forward(self, x):
            return self.act(x)

    text = trace(Net(torch.nn.functional.relu, nn.LayerNorm, torch.Size([3])), (2, 4)).to_text()

    assert "(act=torch.nn.functional.relu, norm=torch.nn.LayerNorm, size=(3,))" in text
    assert "0x" not in text


def test_one_function_under_two_names_has_one():
    """``torch.dsmm`` is ``torch.mm``: torch has one function of C for both, and some versions compare them equal."""
    names = {canonical_name(getattr(torch, name))[0] for name in ("dsmm", "mm", "spmm")}

    assert names == {"mm"}


class FrozenPart(nn.Module):
    """Keeps a part out of ``train()`` by not naming it as a child."""

    def __init__(self):
        super().__init__()
        self.learned, self.frozen = nn.Dropout(0.5), nn.Dropout(0.5)
        self.frozen.eval()

    def named_children(self):
        yield "learned", self.learned

    def forward(self, x):
        return self.learned(x) + self.frozen(x)


def test_a_part_that_is_no_child_keeps_its_mode():
    recorded = trace(FrozenPart(), (2, 3), device="meta", train=True)

    assert recorded["frozen"].config.get("training") is False
    assert "training" not in recorded["learned"].config
