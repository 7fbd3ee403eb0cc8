"""The ways of counting by name: those that a trace answers, and those that run the model themselves."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from pytest_archcheck.costs.fvcore import count_fvcore
from pytest_archcheck.costs.macs import MacCount, count_macs
from pytest_archcheck.errors import UsageError
from pytest_archcheck.traces import Trace

RUNNING = ("ptflops", "ptflops-aten", "torch")
"""Second counters, which run the model; see ``recording.counters``."""


def count(trace: Trace, counter: str) -> MacCount:
    """What a trace costs under a way of counting.

    Raises:
        UsageError: there is no such counter, or it runs the model.
    """
    known_counter(counter)
    if counter in RUNNING:
        raise UsageError(
            f"{counter} runs the model itself; call pytest_archcheck.count(model, inputs, counter={counter!r})",
            see="costs",
        )
    return _FROM_TRACE[counter](trace)


def known_counter(name: object) -> str:
    """The name itself, if it names a way of counting.

    Raises:
        UsageError: it does not; the message lists them.
    """
    names = (*_FROM_TRACE, *RUNNING)
    if isinstance(name, str) and name in names:
        return name
    near = get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"unknown counter {name!r}: {hint}the counters are {', '.join(names)}; name one", see="costs"
    )


def _count_flops(trace: Trace) -> MacCount:
    macs = trace.mac_count
    return MacCount(trace, "flops", {name: 2 * cost for name, cost in macs.per_call.items()}, macs.uncounted)


_FROM_TRACE: dict[str, Callable[[Trace], MacCount]] = {
    "macs": count_macs,
    "flops": _count_flops,
    "fvcore": count_fvcore,
}
