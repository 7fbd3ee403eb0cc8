"""The canonical text of a trace, and what changed between two traces; plain data, no torch."""

from pytest_archcheck.drift.compare import Drift, diff
from pytest_archcheck.drift.severity import Change, Severity

__all__ = ["Change", "Drift", "Severity", "diff"]
