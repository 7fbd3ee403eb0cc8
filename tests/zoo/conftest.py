"""A test of the zoo has an entry of the catalogue under test; the environment may plant a mutation."""

import os

import pytest

from tests.zoo import mutations

for name in os.environ.get(mutations.VARIABLE, "").split():
    mutations.MUTATIONS[name].plant()


@pytest.fixture
def arch_model(entry):
    return entry.model


@pytest.fixture
def arch_inputs(entry):
    return entry.inputs


@pytest.fixture
def arch_kwargs(entry):
    return entry.kwargs
