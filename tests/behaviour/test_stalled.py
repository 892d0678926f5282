# mypy: disable-error-code="attr-defined"
"""A method that awaits what nothing can bring is told so; nothing hangs."""

from __future__ import annotations

import asyncio

import pytest

import workbench as wb


@wb.agent
class Stalls:
    """Waits for itself in several ways."""

    async def event(self) -> None:
        """Nobody sets the event."""
        await asyncio.Event().wait()

    async def queue(self) -> None:
        """Nobody fills the queue, though a child was called before."""
        await Helps.get().ok()
        await asyncio.Queue[int]().get()

    async def lock(self) -> None:
        """A task waits for a lock that the method holds."""
        lock = asyncio.Lock()
        await lock.acquire()
        await asyncio.create_task(lock.acquire())

    async def rescued(self) -> str:
        """A timer ends the wait: no stall."""
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "set"

    async def helped(self) -> str:
        """Another task sets the event after a call: no stall."""
        event = asyncio.Event()

        async def set_it() -> None:
            await Helps.get().ok()
            event.set()

        task = asyncio.create_task(set_it())
        await event.wait()
        await task
        return "set"


@wb.agent
class Helps:
    """A child."""

    async def ok(self) -> str:
        """Answer."""
        return "ok"


@pytest.mark.parametrize("method", ["event", "queue", "lock"])
def test_a_wait_that_nothing_can_end_is_an_error(session: wb.Session, method: str) -> None:
    """The caller gets `StalledError`, a `DeadlockError`, with agent, method and line; the agent stays usable."""
    with pytest.raises(wb.StalledError) as caught:
        wb.run(getattr(Stalls.get(), method)())
    assert isinstance(caught.value, wb.DeadlockError)
    assert f"Stalls().{method}" in str(caught.value)
    assert "test_stalled.py:" in str(caught.value)
    assert wb.run(Stalls.get().helped()) == "set"


def test_a_wait_that_something_will_end_is_none(session: wb.Session) -> None:
    """Timers and other tasks that wait for calls are no stall."""
    assert wb.run(Stalls.get().rescued()) == "timed out"
    assert wb.run(Stalls.get().helped()) == "set"


def test_a_stall_replays(session: wb.Session) -> None:
    """After a crash the agent that stalled is rebuilt, and goes on."""
    with pytest.raises(wb.StalledError):
        wb.run(Stalls.get().queue())
    session.simulate_crash()
    assert wb.run(Stalls.get().helped()) == "set"
