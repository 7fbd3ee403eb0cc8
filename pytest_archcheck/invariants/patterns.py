"""Names of modules and calls by pattern: ``*`` stays between dots, ``**`` crosses them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Violation
from pytest_archcheck.traces import Trace


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for whole names."""
    parts = re.split(r"(\*\*|\*)", pattern)
    spelled = (".*" if part == "**" else "[^.:]*" if part == "*" else re.escape(part) for part in parts)
    return re.compile("".join(spelled))


def checked_patterns(allow: object) -> tuple[str, ...]:
    """The patterns of what a mark allows.

    Raises:
        UsageError: it is no sequence of patterns.
    """
    if (
        isinstance(allow, str)
        or not isinstance(allow, Sequence)
        or not all(isinstance(p, str) and p for p in allow)
    ):
        raise UsageError(f'allow is a tuple of name patterns, as in ("aux.**",), not {allow!r}', see="marks")
    return tuple(allow)


def modules_matching(trace: Trace, pattern: str) -> list[str]:
    """The names of the modules that a pattern matches, whether they ran or not."""
    expression = compiled(pattern)
    return [module.name for module in trace.modules if module.name and expression.fullmatch(module.name)]


def no_match(pattern: str, wanted: str, found: str, why: str, names: Iterable[str], see: str) -> Violation:
    """The violation of a pattern that matches nothing, with the nearest names."""
    near = get_close_matches(pattern, list(dict.fromkeys(names)), n=3, cutoff=0.4)
    which = f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else f"see {see}"
    advice = f"name what there is ({which}), or mend the model"
    return Violation(pattern, wanted, found, why, advice)
