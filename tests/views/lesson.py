# mypy: disable-error-code="attr-defined"
"""A session that used every verb: calls, steps, promises, timers, forks, reverts, deletes, schedules, keys, a crash."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import workbench as wb
from workbench.model.entries import Entry
from workbench.testing import SimulatedClock

TWICE = 18
"""The worker that two schedules with one key are for: a view that began between them cannot know of that."""


class Lesson:
    """A session in simulated time, and agents to use it with."""

    def __init__(self) -> None:
        self.session = wb.start(":memory:", clock=SimulatedClock())
        self.other_code = False
        self.worker, self.chief, self.once = _worker(self), _chief(self), _once()

    def rest(self) -> None:
        """Until nothing goes on by itself."""
        wb.run(self.session.at_rest())

    def log(self) -> list[Entry]:
        """All that is committed."""
        return self.session.feed.read(0)


def _worker(lesson: Lesson) -> Any:
    @wb.agent
    class Worker:
        def __init__(self, number: int) -> None:
            self.number = number

        async def work(self, item: str) -> str:
            if item == "bad":
                raise ValueError(item)
            done: str = await wb.step(str.upper, item)
            return done

        async def try_again(self, failures: int) -> int:
            tries: list[int] = []

            def flaky() -> int:
                tries.append(1)
                if len(tries) <= failures:
                    raise OSError("not yet")
                return len(tries)

            tried: int = await wb.step(flaky)
            return tried

        async def wait(self, promise: wb.PromiseId) -> str:
            payload: bytes = await wb.await_promise(promise)
            return payload.decode()

        async def sleep_and_wait(self, promise: wb.PromiseId) -> str:
            await asyncio.sleep(5)
            payload: bytes = await wb.await_promise(promise)
            return payload.decode()

        async def part(self, promise: wb.PromiseId) -> str:
            asyncio.ensure_future(wb.await_promise(promise))  # noqa: RUF006 - left open at the cut
            side = wb.fork()
            payload: bytes = await wb.await_promise(promise)
            return payload.decode() + type(side).__name__

        async def change(self, promise: wb.PromiseId) -> None:
            if lesson.other_code:
                wb.create_promise()
            await wb.await_promise(promise)

    return Worker.get


def _chief(lesson: Lesson) -> Any:
    @wb.agent
    class Chief:
        async def fan_out(self, items: list[str]) -> list[str]:
            calls = [lesson.worker(100 + i).work(item) for i, item in enumerate(items)]
            return [str(outcome) for outcome in await wb.join(calls, return_exceptions=True)]

        async def relay(self, promise: wb.PromiseId) -> str:
            heard: str = await lesson.worker(200).wait(promise)
            return heard

        async def give_up(self, promise: wb.PromiseId) -> str:
            both = [lesson.worker(400).wait(promise), lesson.worker(400).work("queued")]
            try:
                async with asyncio.timeout(3):
                    await wb.join(both)
            except TimeoutError:
                return "gave up"
            return "got it"

        async def plan(self, item: str, after: float) -> None:
            lesson.worker(300).work.schedule(after, item)

        async def rule(self, verb: str, number: int) -> None:
            await getattr(lesson.worker(number), verb)()

    return Chief.get


def _once() -> Any:
    @wb.agent(ephemeral=True)
    class Once:
        async def work(self, item: str) -> str:
            if item == "bad":
                raise ValueError(item)
            return item

    return Once.get


def everything(lesson: Lesson) -> None:
    """Use every verb, most of them in more than one situation; some agents are left as they are in the middle."""
    never = wb.create_promise()
    wb.run(lesson.chief().fan_out(["a", "bad", "c"]))
    assert wb.run(lesson.worker(20).try_again(2)) == 3
    with contextlib.suppress(OSError):
        wb.run(lesson.worker(21).try_again(9))
    interrupt(lesson, never)
    go_back_and_fork(lesson, never)
    delete(lesson, never)
    fail(lesson, never)
    schedule(lesson)
    call_by_key(lesson, never)
    lesson.worker(14).wait.trigger(never)
    lesson.rest()
    assert wb.run(lesson.worker(14).interrupt())


def interrupt(lesson: Lesson, never: wb.PromiseId) -> None:
    """Agents go on by resume, by a call, by a promise; one was interrupted by an agent, one has a call open."""
    worker, chief = lesson.worker, lesson.chief()
    first, second = wb.create_promise(), wb.create_promise()
    for number in range(1, 7):
        worker(number).wait.trigger(first if number < 6 else never)
    chief.relay.trigger(second)
    lesson.rest()
    for number in (1, 2, 3, 6, 200):
        assert wb.run(worker(number).interrupt())
    lesson.rest()
    wb.run(worker(1).resume())
    worker(2).work.trigger("next")
    lesson.rest()
    wb.run(chief.rule("interrupt", 4))
    wb.complete_promise(first, b"kept")
    lesson.rest()
    chief.relay.trigger(never)
    lesson.rest()
    wb.run(chief.interrupt())
    lesson.rest()


def go_back_and_fork(lesson: Lesson, never: wb.PromiseId) -> None:
    """Reverts to before an invocation and into one, with calls queued; forks likewise, and one from inside."""
    worker = lesson.worker
    wb.run(worker(101).revert(invocations=1))
    wb.run(worker(100).revert(invocations=1))
    worker(7).sleep_and_wait.trigger(never)
    lesson.rest()
    worker(7).work.trigger("queued")
    wb.run(worker(7).fork(at=3))
    wb.run(worker(7).revert(to=4))
    wb.run(worker(1).fork(at=2))
    lesson.rest()
    worker(8).part.trigger(never)
    lesson.rest()


def delete(lesson: Lesson, never: wb.PromiseId) -> None:
    """Agents that were done, had failed, wait with a queue, stand still; one comes back to life."""
    worker = lesson.worker
    worker(9).wait.trigger(never)
    worker(9).work.trigger("queued")
    lesson.rest()
    for number in (1, 102, 101, 9, 6):
        assert wb.run(worker(number).delete()) == 1
    wb.run(lesson.chief().delete())
    wb.run(worker(1).work("reborn"))


def fail(lesson: Lesson, never: wb.PromiseId) -> None:
    """Two agents' code has changed when a crash makes them replay; they fail, are called in vain, and one goes back."""
    worker, gate = lesson.worker, wb.create_promise()
    for number in (15, 17):
        worker(number).change.trigger(gate)
        worker(number).work.trigger("queued")
    lesson.rest()
    lesson.other_code = True
    lesson.session.simulate_crash()
    wb.complete_promise(gate, b"")
    wb.run(worker(16).work("after the crash"))
    lesson.rest()
    worker(15).work.trigger("in vain")
    with contextlib.suppress(wb.DivergenceError):
        wb.run(worker(15).work("in vain"))
    lesson.other_code = False
    wb.run(worker(15).revert(to=2))
    lesson.rest()


def schedule(lesson: Lesson) -> None:
    """By a cell and by an agent, cancelled, twice with one key, and to an agent that is at work."""
    worker = lesson.worker
    worker(10).work.schedule(60, "scheduled")
    for after in (70, 80):
        worker(TWICE).work.with_options(key="k").schedule(after, "keyed")
    worker(7).work.schedule(65, "queued again")
    worker(11).work.schedule(90, "never").cancel()  # mostly in time: simulated time passes when all rest
    wb.run(lesson.chief().plan("by an agent", 75))
    lesson.rest()


def call_by_key(lesson: Lesson, never: wb.PromiseId) -> None:
    """Equal keys join, ephemeral agents included; calls are withdrawn; what is taken back has no key any more."""
    worker, once, run = lesson.worker, lesson.once(), wb.run
    run(once.work("fine"))
    with contextlib.suppress(ValueError):
        run(once.work("bad"))
    for _ in range(2):
        run(once.work.with_options(key="same")("once"))
        run(worker(12).work.with_options(key="same")("once"))
    worker(13).wait.trigger(never)
    lesson.rest()
    with contextlib.suppress(TimeoutError):
        run(worker(13).work.with_options(timeout=0.01)("withdrawn"))
    assert run(lesson.chief().give_up(never)) == "gave up"
    run(worker(12).revert(invocations=1))
    run(worker(12).work.with_options(key="same")("anew"))
