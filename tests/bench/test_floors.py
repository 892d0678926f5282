"""The floors do the work that they claim; what the workloads share is made once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.bench import durable, long_logs
from workbench.bench.durable import BEGUN, DONE, INVOKED, OUTCOME, RESULT, SENT, Rows


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Rows]:
    """The floor's table."""
    rows = Rows(path)
    try:
        yield rows
    finally:
        rows.close()


def test_a_step_of_the_floor_is_two_rows(tmp_path: Path) -> None:
    """A child of the floor's fan-out with steps leaves six rows: a step's intent and outcome are two of them."""
    with opened(tmp_path / "floor.db") as rows:
        asyncio.run(durable.steps(rows, 3))
        kinds = [[kind for agent, _, kind, _ in rows.read() if agent == number] for number in range(4)]
        indexes = [index for agent, index, _, _ in rows.read() if agent == 1]
    assert kinds[1:] == [[INVOKED, BEGUN, OUTCOME, DONE]] * 3
    assert sorted(kinds[0]) == [SENT] * 3 + [RESULT] * 3
    assert indexes == [1, 2, 3, 4]


def test_the_floor_takes_a_fan_out_up(tmp_path: Path) -> None:
    """Children whose result is in the floor's table do not run again; the others do, once."""
    ran: list[int] = []

    async def work(number: int) -> int:
        ran.append(number)
        return number

    with opened(tmp_path / "floor.db") as rows:
        assert asyncio.run(durable.finish(rows, 4, 2, work)) == list(range(4))
    with opened(tmp_path / "floor.db") as rows:
        assert asyncio.run(durable.finish(rows, 9, 2, work)) == list(range(9))
        assert durable.fold(rows)[9] == 8
    assert sorted(ran) == list(range(9))


def test_a_long_log_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log has the entries that were asked for, and the next workload finds it as it is."""
    store = long_logs.history(tmp_path, 3000, print)
    tape = long_logs._tape(store, print)
    assert 3000 <= tape.last_seq < 10_000
    monkeypatch.setattr(long_logs, "start", lambda _: pytest.fail("made again"))
    assert long_logs.history(tmp_path, 3000, print) == store


def test_seeks_go_everywhere() -> None:
    """The points that are sought lie in all parts of a log, in no order."""
    points = long_logs._points(100_000)
    assert min(points) >= 1
    assert max(points) <= 100_000
    assert len({point // 1000 for point in points}) > 95
    assert points != sorted(points)
