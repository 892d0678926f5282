"""Two options for pytest, which repeat what a sweep found: `pytest -p workbench.testing.plugin --seed 17 --fault ...`.

In a `conftest.py`, `pytest_plugins = ["workbench.testing.plugin"]` adds them for good. The run ends with how many
faults the sweeps have tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.testing import repeating, tally

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options that a sweep prints when it found something."""
    group = parser.getgroup("faults", "repeat what a sweep of workbench.testing found")
    group.addoption("--seed", type=int, default=None, help="seed of the sweeps' chance")
    group.addoption("--fault", default="", help="try this fault only, as a failure names it: append.commit.after@37")


def pytest_configure(config: pytest.Config) -> None:
    """Have sweeps try the one fault that is asked for."""
    repeating.repeat(config.getoption("--seed"), config.getoption("--fault"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many faults were tried."""
    if words := tally.in_words():
        terminalreporter.write_line(f"faults tried: {words}")
