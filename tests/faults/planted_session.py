"""Tests that fail, each by a planted bug; not collected by themselves, see `test_repeating`."""

from __future__ import annotations

from tests.faults import bug_checks, order_programs, plants
from workbench.testing import WRITES, crash_sweep, orders


def test_crashes() -> None:
    """Killed at every write, with a bug."""
    sweep = crash_sweep(bug_checks.draws, only=WRITES, seed=17, before=plants.release_before_commit)
    assert sweep.problems == []


def test_orders() -> None:
    """Every order of completion, with a bug."""
    found = orders(order_programs.PROGRAMS["promises", 2], seed=17, before=plants.second_completion_wins)
    assert found.problems == []
