"""The names of the places to record on, without a look at what this machine has."""

from __future__ import annotations

import re

from pytest_archcheck.errors import UsageError

_NAMES = "auto, meta, cpu, cuda, cuda:0 or fake"


def check_name(device: object) -> str:
    """A device's name.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(device, str):
        raise UsageError(f"device={device!r}: give its name, one of {_NAMES}", see="arch-device")
    if not re.fullmatch(r"auto|meta|cpu|fake|cuda(:\d+)?", device, re.ASCII):
        raise UsageError(f"device={device!r} is none of {_NAMES}; auto chooses", see="arch-device")
    return device
