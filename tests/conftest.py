"""What all tests share."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

from workbench.testing import plugin, repeating

# A shared machine makes one example slow now and then, which says nothing about the code: no deadline. In CI a failure
# prints the blob that reproduces it, and each run tries the same examples.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

pytest_terminal_summary = plugin.pytest_terminal_summary


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options are there without a word in the command."""
    plugin.pytest_addoption(parser)
    repeating.options_known()


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """A soak test runs, too, when it found the fault that is to be repeated."""
    plugin.pytest_configure(config)
    if config.getoption("--fault") and config.option.markexpr == "not soak":
        config.option.markexpr = ""
