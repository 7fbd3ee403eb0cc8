"""MAC formulas that a project adds for its own functions and layers."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TypeAlias

from pytest_archcheck.costs.functions import FUNCTIONS
from pytest_archcheck.costs.layers import LAYERS
from pytest_archcheck.costs.vocabulary import ARITHMETIC, MOVES, MOVING_LAYERS, OTHER_LAYERS
from pytest_archcheck.errors import UsageError
from pytest_archcheck.records import Call, LayerCall
from pytest_archcheck.registry import Registry, home

_KNOWN = {*FUNCTIONS, *LAYERS, *MOVES, *ARITHMETIC, *MOVING_LAYERS, *OTHER_LAYERS}

Formula: TypeAlias = Callable[[Call], int]

_REGISTRY: Registry[Formula] = Registry(
    "MAC formula", "pytest_archcheck.formulas", "@mac_formula('mylib.fused_attention')", "costs"
)


def mac_formula(name: str) -> Callable[[Formula], Formula]:
    """Register the MACs of a function, or of a layer with everything inside it, as in a ``conftest.py``.

    The name is the one that ``trace.status`` gives of an uncounted function (``mylib.fused_attention``, without the
    module before the colon), or the full name of a layer's class. The formula takes the recorded call (``inputs`` and
    ``outputs`` with their shapes; ``args``; of a layer ``config``, the constructor's arguments that it keeps) and gives
    the MACs of one call. ::

        @mac_formula("mylib.fused_attention")
        def fused_attention(call):
            query, key, value = (spec.shape for spec in call.inputs)
            return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])

    An installed package brings its own by the entry-point group ``pytest_archcheck.formulas``.

    Raises:
        UsageError: the name is taken by another formula, or is one of torch's that is counted or known as elementwise.
    """
    _REGISTRY.check_name(name)
    if name in _KNOWN or (name.startswith("torch.") and name.rpartition(".")[2] in _KNOWN):
        raise UsageError(
            f"{name} is counted already, or is no MAC by convention, and one name has one meaning; "
            "give the formula to the layer that calls it",
            see="costs",
        )

    def register(formula: Formula) -> Formula:
        _REGISTRY.add(name, formula)
        return formula

    return register


def own_formula(call: Call) -> int | None:
    """The MACs by a project's own formula; ``None`` where there is none.

    Raises:
        UsageError: the formula failed, or gave no whole number.
    """
    name = call.type if isinstance(call, LayerCall) else call.function
    formula = _REGISTRY.get(name)
    if formula is None:
        return None
    try:
        macs = formula(call)
    except Exception as error:
        raise _REGISTRY.failed(name, error) from error
    if not isinstance(macs, Integral | float) or macs < 0 or int(macs) != macs:
        raise UsageError(
            f"the MAC formula {name!r} ({home(formula)}) gave {macs!r} for {call.id}; return a whole number of MACs",
            see="costs",
        )
    return int(macs)
