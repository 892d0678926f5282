# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""A promise completed by many at once: exactly one True, one payload for all who wait, crashes or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.crash.programs import Program, Tell
from workbench.testing import WRITES, SimulatedClock, crash_sweep, read_log, violations

THREADS = 4


@wb.agent
class Rival:
    def __init__(self, n: int) -> None:
        self.n = n

    async def complete_all(self, pids: list[wb.PromiseId]) -> list[bool]:
        return [wb.complete_promise(pid, f"agent {self.n}") for pid in pids]

    async def payloads(self, pids: list[wb.PromiseId]) -> list[str]:
        return [data.decode() for data in await wb.join([wb.await_promise(pid) for pid in pids])]

    async def make(self, count: int) -> list[wb.PromiseId]:
        return [wb.create_promise() for _ in range(count)]


def rivals_race(tell: Tell) -> object:
    """Three agents and the cell complete the same ten promises; how often each was completed first."""
    pids = wb.run(Rival.get(0).make.with_options(key="m")(10))
    waiting = Rival.get(9).payloads.with_options(key="p")
    waiting.trigger(pids)
    for n in (1, 2, 3):
        Rival.get(n).complete_all.with_options(key="c").trigger(pids)
    mine = [wb.complete_promise(pid, "cell") for pid in pids]
    won = [wb.run(Rival.get(n).complete_all.with_options(key="c")(pids)) for n in (1, 2, 3)]
    payloads = wb.run(waiting(pids))
    for n, payload in enumerate(payloads):
        tell(f"payload {n}", payload)
    assert all(sum(answers) + cell <= 1 for cell, *answers in zip(mine, *won, strict=True))
    return [
        len(payloads),
        all(wb.run(wb.await_promise(pid)).decode() == p for pid, p in zip(pids, payloads, strict=True)),
    ]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[wb.Session]:
    """A session on a store of its own."""
    with wb.start(tmp_path / "s.db", clock=SimulatedClock(1)) as session:
        yield session


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])])
def test_many_threads_and_an_agent_complete_one_promise(count: int, session: wb.Session) -> None:
    """Of all completions of a promise, by threads and by an agent at once, one is the first; all see its payload."""
    pids = wb.run(Rival.get(0).make(count))
    answers: list[list[bool]] = [[] for _ in range(THREADS)]
    barrier = threading.Barrier(THREADS + 1, timeout=30)

    def complete(n: int) -> None:
        barrier.wait()
        order = pids if n % 2 else pids[::-1]
        answers[n] = [wb.complete_promise(pid, f"thread {n}") for pid in order]
        if not n % 2:
            answers[n].reverse()

    threads = [threading.Thread(target=complete, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    by_agent = wb.run(Rival.get(1).complete_all(pids))
    for thread in threads:
        thread.join()
    payloads = wb.run(Rival.get(2).payloads(pids))
    for n in range(count):
        firsts = [t[n] for t in answers] + [by_agent[n]]
        assert sum(firsts) == 1
        winner = firsts.index(True)
        assert payloads[n] == (f"thread {winner}" if winner < THREADS else "agent 1")
    path = session.path
    session.close()
    assert violations(read_log(path)) == []


@pytest.mark.slow
def test_promise_races_with_crashes() -> None:
    """The same with the process killed at every write: no acknowledged payload changes, none is completed twice."""
    program: Program = rivals_race
    sweep = crash_sweep(program, only=WRITES)
    assert sweep.problems == []
    assert sweep.crashes > 10
