"""Numbers as every report writes them."""

from __future__ import annotations


def at_least(macs: int, status: str) -> str:
    """``4,089,184,256``, or ``≥ 64`` where a trace's status says that something was not counted."""
    return f"{macs:,}" if status == "complete" else f"≥ {macs:,}"
