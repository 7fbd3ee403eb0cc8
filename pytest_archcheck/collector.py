"""Keep the garbage collector out of work that makes many small records and no garbage.

A collection in the middle of it walks all of them, and in a process with torch a million other objects: it took
half of the time of a ResNet-50's recording, and made a drift of 10,000 layers 13 times that of 1,000.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """A context, or a decorator, in which nothing is collected but by counting references."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
