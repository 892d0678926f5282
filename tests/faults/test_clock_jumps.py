# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103, S311 - chance that can be repeated; what a step does
"""The wall clock is set forth and back while agents sleep, wait for schedules and for tries; and between two runs."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

import workbench as wb
from workbench.model import entries as e
from workbench.runtime import clock
from workbench.runtime.clock import Clock
from workbench.testing import read_log, violations

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
YEAR = 365 * 86400


class Times:
    """In place of the module `time`: a wall clock that jumps, and a monotonic one that does not."""

    def __init__(self) -> None:
        self.wall, self.mono = START, 1000 * SECOND

    def time_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    def pass_by(self, seconds: float) -> None:
        """Time passes on both."""
        self.wall += round(seconds * SECOND)
        self.mono += round(seconds * SECOND)


@wb.agent
class Sleeper:
    def __init__(self, n: int) -> None:
        self.n = n

    async def nap(self, seconds: float) -> float:
        begun = wb.now()
        await asyncio.sleep(seconds)
        return (wb.now() - begun).total_seconds()

    async def insist(self, seconds: float) -> str:
        try:
            return str(await wb.step(refuse, retry=wb.Retry(attempts=3, delay=seconds, factor=1, jitter=0)))
        except OSError:
            return "gave up"

    async def called(self) -> str:
        return "came"


def refuse() -> None:
    raise OSError("not now")


def look(session: wb.Session) -> None:
    """Have timers that are due fire, as the loop's call-back does in the end; let all come to rest."""
    thread = session.thread
    thread.loop.call_soon_threadsafe(thread.timers._wake)
    wb.run(session.at_rest(), 10)


def complaints(path: str) -> list[str]:
    """What the log says of early timers, and of time that runs backwards."""
    due: dict[tuple[int, int], int] = {}
    plans: dict[int, int] = {}
    wrong, last = [], 0
    for x in read_log(path):
        if x.wall < last:
            wrong.append(f"entry {x.seq} is {last - x.wall} ns before the one before it")
        last = x.wall
        if isinstance(x.body, e.TimerSet):
            due[x.agent, x.index] = x.body.due
        elif isinstance(x.body, e.StepRetried):
            due[x.agent, x.body.op] = x.body.due
        elif isinstance(x.body, e.CallScheduled):
            plans[x.seq] = x.body.due
        wanted = 0
        if isinstance(x.body, e.TimerFired | e.StepRestarted):
            wanted = due.get((x.agent, x.body.op), 0)
        elif isinstance(x.body, e.ScheduleFired):
            wanted = plans[x.body.schedule]
        if x.wall < wanted:
            wrong.append(f"entry {x.seq} came {wanted - x.wall} ns early")
    return wrong + violations(read_log(path))


@pytest.mark.parametrize("seed", [*range(25), *(pytest.param(n, marks=pytest.mark.soak) for n in range(25, 225))])
def test_clocks_that_jump(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the wall clock does, nothing comes early, nothing that is due stays, and time never runs backwards."""
    chance, times = random.Random(seed), Times()
    monkeypatch.setattr(clock, "time", times)
    session = wb.start(tmp_path / "s.db", clock=Clock())
    for n in range(40):
        match chance.randrange(7):
            case 0:
                Sleeper.get(n).nap.trigger(chance.uniform(0.1, 100))
            case 1:
                Sleeper.get(n).insist.trigger(chance.uniform(0.1, 30))
            case 2:
                Sleeper.get(n).called.schedule(chance.uniform(0.1, 100))
            case 3:
                times.wall = max(0, times.wall + round(chance.choice([-1, 1]) * 10 ** chance.uniform(0, 8)) * SECOND)
            case 4:  # closed, opened again, perhaps after the machine was started anew
                session.close()
                times.mono = chance.choice([times.mono, 5 * SECOND])
                session = wb.start(tmp_path / "s.db", clock=Clock())
            case _:
                times.pass_by(chance.uniform(0, 40))
        look(session)
        now = session.wall()
        stuck = session.thread.timers.next_due()
        assert stuck is None or stuck > now
    for _ in range(4):  # three tries, one after the other
        times.pass_by(200)
        look(session)
    assert all(a.status == "idle" for a in session.agents())
    session.close()
    assert complaints(session.path) == []


@pytest.mark.parametrize("jump", [-10 * YEAR, -3600, -1, 1, 3600, 10 * YEAR])
def test_a_sleep_takes_as_long_as_it_should(jump: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep during which the wall clock is set comes after its time by the monotonic clock, no sooner, no later."""
    times = Times()
    monkeypatch.setattr(clock, "time", times)
    with wb.start(tmp_path / "s.db", clock=Clock()) as session:
        Sleeper.get(1).nap.with_options(key="k").trigger(60)
        wb.run(session.at_rest())
        times.wall += jump * SECOND
        times.pass_by(59)
        look(session)
        assert session.agents()[0].status == "suspended"
        times.pass_by(1)
        look(session)
        assert session.agents()[0].status == "idle"
        assert wb.run(Sleeper.get(1).nap.with_options(key="k")(60)) == 60
    assert complaints(session.path) == []


@pytest.mark.parametrize("jump", [-10 * YEAR, -3600, 3600])
def test_a_sleep_over_a_restart(jump: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock set back between two runs makes a sleep no longer than it was; one set forth ends it at the opening."""
    times = Times()
    monkeypatch.setattr(clock, "time", times)
    with wb.start(tmp_path / "s.db", clock=Clock()) as session:
        Sleeper.get(1).nap.trigger(60)
        wb.run(session.at_rest())
        times.pass_by(20)
        wb.run(Sleeper.get(2).called())
    times.wall += jump * SECOND
    times.mono = 1
    with wb.start(tmp_path / "s.db", clock=Clock()) as session:
        look(session)
        if jump < 0:
            assert session.agents()[0].status == "suspended"
            times.pass_by(40)
            look(session)
        assert session.agents()[0].status == "idle"
    assert complaints(session.path) == []
