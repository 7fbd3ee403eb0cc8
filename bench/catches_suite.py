"""Every kind of snapshot test on every change; with ``CATCHES=after`` on the changed models."""

from __future__ import annotations

import os

import pytest
from catches import CHANGES, HARMLESS, TEXTS, made, text_of

from pytest_archcheck import trace


@pytest.fixture(params=[*CHANGES, *HARMLESS])
def subject(request):
    """A model and its input, before the change or after."""
    return made(request.param, after=os.environ.get("CATCHES") == "after")


def test_archcheck(subject, arch_snapshot):
    """The trace."""
    net, x = subject
    assert trace(net, x) == arch_snapshot


@pytest.mark.parametrize("tool", TEXTS)
def test_syrupy(subject, tool, snapshot):
    """A tool's text."""
    assert text_of(tool, *subject) == snapshot


def test_data_regression(subject, data_regression):
    """Keys, shapes and dtypes of the state dict."""
    net, _ = subject
    data_regression.check(
        {key: f"{tuple(value.shape)} {value.dtype}" for key, value in net.state_dict().items()}
    )


def test_num_regression(subject, num_regression):
    """The output, within a tolerance of 1e-4."""
    net, x = subject
    values = net(x).detach().float().double().flatten().numpy()
    num_regression.check({"output": values}, default_tolerance={"atol": 1e-4, "rtol": 1e-4})
