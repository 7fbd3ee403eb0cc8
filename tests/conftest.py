"""Shared by all tests. Models are built on meta and recorded once a process."""

pytest_plugins = ["pytester"]
