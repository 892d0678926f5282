# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Schedules: invocations that come later, once, whatever happens in between."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import bodies, kinds, writes_nothing
from workbench.model import entries as e
from workbench.testing import SimulatedClock

HOUR = 3600.0


@wb.agent
class Bell:
    """Rings, and may have itself ring again."""

    def __init__(self, name: str = "b") -> None:
        self.name = name
        self.rings: list[float] = []

    def ring(self) -> int:
        self.rings.append(wb.now().timestamp())
        return len(self.rings)

    def rung(self) -> list[float]:
        return self.rings

    def every(self, seconds: float, times: int) -> None:
        self.ring()
        if times > 1:
            Bell.get(self.name).every.schedule(seconds, seconds, times - 1)

    async def plan(self, other: str, seconds: float) -> None:
        self.handle = Bell.get(other).ring.schedule(seconds)

    async def unplan(self) -> bool:
        return self.handle.cancel()


def now(session: wb.Session) -> float:
    """The session's time, in seconds since the epoch."""
    return session.thread.clock.wall() / 1e9


def test_a_delay_in_seconds_or_as_timedelta_or_a_time(session: wb.Session) -> None:
    """All three forms come at their time, not before, and once."""
    start = now(session)

    @wb.agent
    class Planner:
        """All in one breath: simulated time passes when every agent rests."""

        async def plan(self) -> None:
            Bell.get("a").ring.schedule(HOUR)
            Bell.get("a").ring.schedule(timedelta(hours=2))
            Bell.get("a").ring.schedule(datetime.fromtimestamp(start + 3 * HOUR, UTC))

    wb.run(Planner.get().plan())
    wb.run(session.at_rest())
    rings = wb.run(Bell.get("a").rung())
    assert [round(r - start) for r in rings] == [3600, 7200, 10800]


def test_a_time_that_is_past_comes_at_once(session: wb.Session) -> None:
    """A past time is no error: the invocation comes now."""
    Bell.get("a").ring.schedule(datetime(2001, 1, 1, tzinfo=UTC))
    Bell.get("a").ring.schedule(-5)
    wb.run(session.at_rest())
    assert len(wb.run(Bell.get("a").rung())) == 2


def test_cancel_before_and_after(opened: Opener) -> None:
    """True before it came, and it never comes; False afterwards and the second time."""
    session = opened(":memory:")
    handle = Bell.get("a").ring.schedule(HOUR)
    assert handle.cancel() is True
    assert handle.cancel() is False
    past = Bell.get("b").ring.schedule(0)
    wb.run(session.at_rest())
    assert past.cancel() is False
    assert [a.agent_id for a in session.agents()] == ['Bell("b")']


def test_the_target_comes_into_being_when_it_is_due(opened: Opener) -> None:
    """Scheduling creates no agent; coming due does."""
    session = opened(":memory:")
    Bell.get("a").ring.schedule(HOUR)
    assert session.agents() == []
    Bell.get("a").ring.schedule(0)
    wb.run(session.at_rest())
    wb.run(Bell.get("a").rung())
    assert kinds(session, 'Bell("a")')[:2] == ["AgentCreated", "ScheduleFired"]


def test_an_agent_schedules_itself(session: wb.Session) -> None:
    """A chain of self-schedules comes in time."""
    start = now(session)
    wb.run(Bell.get("a").every(10, 5))
    wb.run(session.at_rest())
    assert [round(r - start) for r in wb.run(Bell.get("a").rung())] == [0, 10, 20, 30, 40]


def test_an_agents_schedule_and_its_cancel_are_recorded(session: wb.Session) -> None:
    """On replay they are answered from the oplog: it comes once, or never."""

    async def both() -> bool:
        await Bell.get("a").plan("x", HOUR)
        cancelled: bool = await Bell.get("a").unplan()
        return cancelled

    @wb.agent
    class Both:
        """In one agent, so that simulated time stands."""

        async def run(self) -> bool:
            return await both()

    assert wb.run(Both.get().run()) is True
    session.simulate_crash()
    wb.run(session.at_rest())
    assert wb.run(Bell.get("x").rung()) == []
    assert len(bodies(session, 'Bell("a")', e.CallScheduled)) == 1


def test_a_schedule_is_dropped_with_its_target(opened: Opener) -> None:
    """Deleting the target drops what was scheduled for it; the next incarnation gets nothing."""
    session = opened(":memory:", clock=SimulatedClock())

    @wb.agent
    class Scene:
        """All in one breath of simulated time."""

        async def play(self) -> list[float]:
            await Bell.get("a").ring()
            Bell.get("a").ring.schedule(HOUR)
            await Bell.get("a").delete()
            await Bell.get("a").ring()
            return []

    wb.run(Scene.get().play())
    wb.run(session.at_rest())
    assert len(wb.run(Bell.get("a").rung())) == 1


def test_schedules_survive_restarts(opened: Opener, tmp_path: Path) -> None:
    """A schedule of an earlier process comes when it is due, once."""
    first = opened(tmp_path / "s.db")
    Bell.get("a").ring.schedule(HOUR)
    Bell.get("b").ring.schedule(HOUR)
    first.close()
    second = opened(tmp_path / "s.db", clock=SimulatedClock(2, start=int(4e18)))
    wb.run(second.at_rest())
    assert len(wb.run(Bell.get("a").rung())) == 1
    assert len(wb.run(Bell.get("b").rung())) == 1
    assert second.schedules() == []


def test_a_clock_that_is_set_back_neither_loses_nor_repeats(opened: Opener, tmp_path: Path) -> None:
    """Opened again with a clock far in the past or future: each comes once."""
    for number, shift in enumerate((-(10**9), 10**9)):
        path = tmp_path / f"{number}.db"
        first = opened(path)  # real time: nothing comes due
        Bell.get("a").ring.schedule(HOUR)
        Bell.get("a").ring.schedule(2 * HOUR)
        assert len(first.schedules()) == 2
        first.close()
        there = int((datetime.now(UTC).timestamp() + shift) * 1e9)
        second = opened(path, clock=SimulatedClock(number, start=there))
        wb.run(second.at_rest())
        second.simulate_crash()
        wb.run(second.at_rest())
        assert len(wb.run(Bell.get("a").rung())) == 2
        second.close()


def test_a_scheduled_key_joins(session: wb.Session) -> None:
    """With the key of an invocation that was made already, nothing runs."""
    wb.run(Bell.get("a").ring.with_options(key="k")())
    Bell.get("a").ring.with_options(key="k").schedule(0)
    wb.run(session.at_rest())
    assert len(wb.run(Bell.get("a").rung())) == 1


def test_handles_are_found_again(opened: Opener) -> None:
    """`session.schedules()` lists what is to come, with handles that cancel."""
    session = opened(":memory:")
    Bell.get("a").ring.schedule(HOUR)
    Bell.get("b").ring.schedule(HOUR)
    listed = session.schedules()
    assert [(h.agent_id, h.method) for h in listed] == [('Bell("a")', "ring"), ('Bell("b")', "ring")]
    assert listed[0].cancel()
    assert [h.agent_id for h in session.schedules()] == ['Bell("b")']
    assert [h.agent_id for h in session.schedules('Bell("a")')] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "tomorrow", None, True, float("nan"), 1e300, [1], 10**400, timedelta.max,
        datetime.min, datetime.max,  # noqa: DTZ901 - times without a zone may come too
        datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
    ],
    ids=lambda w: repr(w)[:40],
)  # fmt: skip
def test_a_time_that_is_none_is_refused(session: wb.Session, wrong: Any) -> None:
    """What is no time is refused with what to pass, and nothing is written."""
    with writes_nothing(session), pytest.raises(wb.AgentTypeError, match="schedule at") as refused:
        Bell.get("a").ring.schedule(wrong)
    assert refused.value.why
    assert refused.value.do


def test_an_agent_whose_class_is_undefined_gets_it_later(opened: Opener, tmp_path: Path) -> None:
    """A schedule that comes due before the class is defined waits for it."""
    from workbench.model.agent_type import registry

    first = opened(tmp_path / "s.db")

    @wb.agent
    class Late:
        """Defined later again."""

        def ring(self) -> str:
            return "rang"

    Late.get().ring.schedule(HOUR)
    first.close()
    found = registry._types.pop("Late")
    second = opened(tmp_path / "s.db", clock=SimulatedClock(3, start=int(4e18)))
    wb.run(second.at_rest())
    assert [a.status for a in second.agents()] == ["undefined"]
    registry.add(found)
    assert wb.run(second.result("Late()")) == "rang"
