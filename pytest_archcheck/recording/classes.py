"""What is the same for all instances of a class is worked out once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


def per_class(function: Callable[[type[Any]], _T]) -> Callable[[type[Any]], _T]:
    """A function of a class that remembers its answers."""
    return cast("Callable[[type[Any]], _T]", functools.lru_cache(maxsize=4096)(function))
