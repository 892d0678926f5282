"""Two options for pytest, which repeat what a sweep found: `pytest -p workbench.testing.plugin --seed 17 --fault ...`.

In a `conftest.py`, `pytest_plugins = ["workbench.testing.plugin"]` adds them for good. The run ends with how many
faults the sweeps have tried, in all processes where pytest-xdist spreads the tests over some.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from workbench.testing import repeating, tally

_TRIED: Final = "workbench_faults_tried"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options that a sweep prints when it found something."""
    group = parser.getgroup("faults", "repeat what a sweep of workbench.testing found")
    group.addoption("--seed", type=int, default=None, help="seed of the sweeps' chance")
    group.addoption("--fault", default="", help="try this fault only, as a failure names it: append.commit.after@37")


def pytest_configure(config: pytest.Config) -> None:
    """Have sweeps try the one fault that is asked for."""
    repeating.repeat(config.getoption("--seed"), config.getoption("--fault"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of pytest-xdist tells how many faults it has tried."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_TRIED] = dict(tally.tried)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Count what it has told."""
    tally.tried.update(getattr(node, "workeroutput", {}).get(_TRIED, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many faults were tried."""
    if words := tally.in_words():
        terminalreporter.write_line(f"faults tried: {words}")
