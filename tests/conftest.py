"""Shared by all tests. Models are built on meta and recorded once a process."""

import os

# Before torch is imported. Two workers with a thread for each core take twice as long as with one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["pytester"]
