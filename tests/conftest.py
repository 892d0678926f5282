"""What all tests share."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from hypothesis import settings

from workbench.testing import plugin, repeating

# A shared machine makes one example slow now and then, which says nothing about the code: no deadline. In CI a failure
# prints the blob that reproduces it, and each run tries the same examples.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

pytest_sessionfinish = plugin.pytest_sessionfinish
pytest_terminal_summary = plugin.pytest_terminal_summary
pytest_testnodedown = plugin.pytest_testnodedown


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options are there without a word in the command."""
    plugin.pytest_addoption(parser)
    repeating.options_known()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, a file's tests stay in one process, for the sake of its fixtures, and files keep their order."""
    from xdist.scheduler import LoadFileScheduling  # where it is not installed, nobody calls this

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """A soak test runs, too, when it found the fault that is to be repeated."""
    plugin.pytest_configure(config)
    if config.getoption("--fault") and config.option.markexpr == "not soak":
        config.option.markexpr = ""
