"""Small models, each for one thing that people's models do, with the facts that its record has to state.

The facts are worked out by hand from the model's definition: which calls run and in which order, how many
multiply-accumulates they are, how many parameters there are, what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Case:
    """One small model under test and the facts of its record.

    ``calls`` are the ids of all calls in order, ``placement`` where ``auto`` records it without CUDA, ``facts`` further
    assertions on the trace; ``modes`` are the values of ``train`` that it runs in.
    """

    name: str
    model: Callable[[], nn.Module]
    inputs: Any
    kwargs: dict[str, Any] | None
    calls: tuple[str, ...]
    macs: int
    params: int
    output: tuple[int, ...]
    dtype: str = "float32"
    status: str = "complete"
    placement: str = "meta"
    facts: Callable[[Any], None] | None = None
    modes: tuple[bool, ...] = (False, True)


CASES: dict[str, Case] = {}


def case(inputs=(2, 4), *, calls, output, macs=0, params=0, kwargs=None, **rest):
    """Register the class or factory below as a small model; ``calls`` are ids with blanks between."""

    def register(factory):
        name = factory.__name__
        assert name not in CASES, name
        CASES[name] = Case(name, factory, inputs, kwargs, tuple(calls.split()), macs, params, output, **rest)
        return factory

    return register


def load() -> dict[str, Case]:
    """All cases of the modules beside this one."""
    from tests.recording.cases import hooks, modes, modules, state, values, wrappers  # noqa: F401

    return CASES
