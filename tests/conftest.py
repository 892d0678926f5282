"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from workbench.testing import repeat

# A shared machine makes one example slow now and then, which says nothing about the code: no deadline. In CI a failure
# prints the blob that reproduces it, and each run tries the same examples.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options that a sweep prints when it found something."""
    group = parser.getgroup("faults", "repeat what a sweep found")
    group.addoption("--seed", type=int, default=None, help="seed of the sweeps' chance")
    group.addoption("--fault", default="", help="try this fault only, as a failure names it: append.commit.after@37")


def pytest_configure(config: pytest.Config) -> None:
    """Have sweeps try the one fault that is asked for; a soak test runs then, too."""
    fault = config.getoption("--fault")
    repeat(config.getoption("--seed"), fault)
    if fault and config.option.markexpr == "not soak":
        config.option.markexpr = ""
