# mypy: disable-error-code="no-untyped-def, assignment, unused-ignore"
# ruff: noqa: ANN001, ANN202 - as the function that is replaced
"""Tests that fail, each by a planted bug; not collected by themselves, see `test_repeating`."""

from __future__ import annotations

from pathlib import Path

from tests.faults import bug_checks, order_programs, plants
from workbench.runtime import opening
from workbench.testing import WRITES, crash_sweep, orders


def lost_wal() -> None:
    """What a crash left in the write-ahead log is thrown away: a bug that shows at every fault but the first."""
    open_store = opening._open_store

    def carelessly(path, clock, *, fresh):
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        return open_store(path, clock, fresh=fresh)

    opening._open_store = carelessly


def test_crashes() -> None:
    """Killed at every write, with a bug."""
    sweep = crash_sweep(bug_checks.draws, only=WRITES, seed=17, before=lost_wal)
    assert sweep.problems == []


def test_orders() -> None:
    """Every order of completion, with a bug."""
    found = orders(order_programs.PROGRAMS["promises", 2], seed=17, before=plants.second_completion_wins)
    assert found.problems == []
