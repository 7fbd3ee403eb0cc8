"""Runs inside a run."""

import pytest


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    """A pytest process started from an xdist worker is no worker itself."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
