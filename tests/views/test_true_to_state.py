"""The graph of real sessions that used every verb: at each entry of the log it tells what the session's state tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import workbench as wb
from workbench.core.nouns import ROOT_UID, Agent, status_of
from workbench.core.state import State
from workbench.model.agent_type import registry
from workbench.model.entries import Entry
from workbench.testing import SimulatedClock
from workbench.views.earlier import earlier_agents
from workbench.views.graph import GraphNode, GraphView, Link, Status
from workbench.views.graph import status_of as shown_as

SAME = {
    "running": {Status.QUEUED, Status.RUNNING, Status.WAITING},
    "idle": {Status.IDLE, Status.DONE, Status.FAILED},
    "exited": {Status.EXITED, Status.FAILED},
    "suspended": {Status.SUSPENDED},
    "interrupted": {Status.INTERRUPTED},
    "retrying": {Status.RETRYING},
    "failed": {Status.FAILED},
}
"""What a node may show, by the word of `client.status()`."""
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

    return Worker.get  # type: ignore[attr-defined]


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

    return Chief.get  # type: ignore[attr-defined]


def _once() -> Any:
    @wb.agent(ephemeral=True)
    class Once:
        async def work(self, item: str) -> str:
            if item == "bad":
                raise ValueError(item)
            return item

    return Once.get  # type: ignore[attr-defined]


@pytest.fixture
def lesson() -> Iterator[Lesson]:
    """A fresh session; its classes are forgotten afterwards."""
    before = dict(registry._types)
    made = Lesson()
    yield made
    made.session.close()
    registry._types.clear()
    registry._types.update(before)


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


def alike(agent: Agent, node: GraphNode) -> bool:
    """Whether a node shows what the folded facts of its agent are."""
    word, shown = status_of(agent), shown_as(node)
    if agent.interrupted and agent.nudged:
        return True  # about to be resumed: the state looks ahead to the next entry
    if shown is Status.SUSPENDED and any(wait.on.settled for wait in agent.waits.values()):
        return word == "running"  # about to be given what it waited for, likewise
    return (
        shown in SAME[word]
        and node.pending == len(agent.queue or ())
        and node.ran + node.raised == agent.finished
        and node.raised == agent.raised
        and (bool(agent.failure) or sorted(node.waits or ()) == sorted(agent.waits))
        and node.running == (agent.current.seq if agent.current else 0)
    )


def assert_true(log: list[Entry], cut: int = 1) -> set[str]:
    """Whenever so many entries are folded, each agent is shown as it is; the words there were."""
    state, view, words = State(), GraphView(), set()
    for at in range(0, len(log), cut):
        state.fold(log[at : at + cut])
        view.apply(log[at : at + cut])
        assert list(view.by_uid) == list(state.agents)
        for uid, agent in state.agents.items():
            if uid != ROOT_UID:
                node = view.by_uid[uid]
                assert alike(agent, node), (log[min(at + cut, len(log)) - 1], status_of(agent), agent, node)
                words.add(status_of(agent))
        at_work = {i.seq for a in state.agents.values() for i in (a.current, *(a.queue or ())) if i is not None}
        links = list(view.links())
        assert len({link.key for link in links}) == len(links)
        for link in links:  # no delivery tells of their end
            assert link.key in at_work or not (link.agent == ROOT_UID or link.kind == Link.TRIGGER), link
    return words


def shown_late(log: list[Entry], since: int, now: State) -> Iterator[tuple[Agent, GraphNode]]:
    """Agents at the end of a log, and their nodes in a view that began at a `seq`; not those with older waits."""
    state = State().fold(log)
    view = GraphView(since=since, earlier=earlier_agents(now, since))
    view.apply(log[since:])
    for uid, node in view.by_uid.items():
        agent = state.agents[uid]
        older = any(wait.seq <= since for wait in agent.waits.values())
        if uid != ROOT_UID and not older and agent.text != f"Worker({TWICE})":
            yield agent, node


def test_a_session_that_used_every_verb_is_shown_as_it_is(lesson: Lesson) -> None:
    """At each entry each agent's status, counts and waits are the session's; at the end, what `agents()` tells."""
    everything(lesson)
    words = assert_true(lesson.log())
    assert words == {"running", "idle", "suspended", "interrupted", "retrying", "failed", "exited"}
    view = GraphView()
    view.apply(lesson.log())
    told = {info.agent_id: info for info in lesson.session.agents()}
    for agent_id, info in told.items():
        node = view.find(agent_id)
        assert node is not None
        assert shown_as(node) in SAME[info.status], info
        assert (node.pending, node.ran + node.raised, node.raised) == (info.queued, info.finished, info.failed), info
    gone = [node for node in view.nodes if node.agent_id not in told and node.uid != ROOT_UID]
    assert gone
    assert {shown_as(node) for node in gone} == {Status.EXITED}


@pytest.mark.parametrize("cut", [2, 7, 10_000])
def test_it_is_the_same_however_the_log_is_cut(lesson: Lesson, cut: int) -> None:
    """Entries folded in lots give what they give one by one, links included."""
    everything(lesson)
    log = lesson.log()
    assert_true(log, cut)
    one, many = GraphView(), GraphView()
    for entry in log:
        one.apply([entry])
    for at in range(0, len(log), cut):
        many.apply(log[at : at + cut])
    assert many.state() == one.state()


def test_a_view_that_begins_late_ends_true(lesson: Lesson) -> None:
    """Wherever in the log a view begins, it ends with the statuses, counts and queues that are so."""
    everything(lesson)
    log = lesson.log()
    for since in range(1, len(log)):
        for agent, node in shown_late(log, since, State().fold(log[:since])):
            assert alike(agent, node), (since, agent, node)


def test_a_view_that_begins_long_ago_ends_true(lesson: Lesson) -> None:
    """Also when only the present state is known of the agents, statuses end true, but for those that were reverted."""
    everything(lesson)
    log = lesson.log()
    now = State().fold(log)
    for since in range(1, len(log)):
        for agent, node in shown_late(log, since, now):
            assert agent.reverts or shown_as(node) in SAME[status_of(agent)], (since, agent, node)
