# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""`session.critical_path`: what an invocation's time went into; and random agents, for it and for `session.why`."""

import asyncio
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, until
from workbench.questions.critical_path import CriticalPath

gate = threading.Event()


@pytest.fixture
def shut() -> Iterator[None]:
    """Steps that wait for the gate wait until the test is over. To be asked for after the session."""
    gate.clear()
    yield
    gate.set()


def fetch(n: int) -> int:
    gate.wait(PATIENCE)
    return n


@wb.agent
class Worker:
    """One of many."""

    def __init__(self, n: int = 0) -> None:
        self.n = n

    async def process(self, x: int = 0) -> int:
        return await wb.step(fetch, x)

    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds


@wb.agent
class Boss:
    """Asks others."""

    async def one(self, n: int) -> int:
        return await Worker.get(n).process(n)

    async def naps(self, times: list[float]) -> float:
        await Worker.get(0).nap(1)
        return sum(await wb.join([Worker.get(n).nap(t) for n, t in enumerate(times, 1)]))

    async def split(self) -> None:
        await Worker.get(1).nap(2)
        wb.fork()
        await asyncio.sleep(3)


def assert_whole(path: CriticalPath) -> None:
    """The segments follow each other without a gap, and add up to the whole."""
    assert [s.begin for s in path.segments] == [path.begin, *(s.end for s in path.segments)][: len(path.segments)]
    assert sum(s.end - s.begin for s in path.segments) == path.end - path.begin


def test_the_path_through_the_slowest_child(either: wb.Session) -> None:
    """The path goes through the child that ended last; what ran in parallel is told by stretches."""
    assert wb.run(Boss.get().naps([3, 9, 5]), PATIENCE) == 17
    path = either.critical_path(Boss.get())
    assert_whole(path)
    assert [(s.agent, s.method, s.kind, s.seconds) for s in path.segments] == [
        ("Worker(0)", "nap", "timer", 1.0),
        ("Worker(2)", "nap", "timer", 9.0),
    ]
    assert path.total == 10.0
    assert path.most == 3
    assert [(o.seconds, o.agents) for o in path.parallel] == [
        (1.0, ("Worker(0)",)),
        (3.0, ("Worker(1)", "Worker(2)", "Worker(3)")),
        (2.0, ("Worker(2)", "Worker(3)")),
        (4.0, ("Worker(2)",)),
    ]
    assert "took 10.0 s" in path.sentences[0]
    assert all("test_critical_path.py:" in s.line and len(s.entries) == 2 for s in path.segments)


def test_the_path_of_what_is_under_way(opened: Opener, shut: None) -> None:
    """Of an invocation under way the path goes up to now, down to what runs at the end of the chain."""
    session = opened(":memory:")
    Boss.get().one.trigger(3)
    until(lambda: session.why(Boss.get()).links[-1].kind == "step")
    path = session.critical_path(Boss.get())
    assert_whole(path)
    assert not path.ended
    assert [(s.agent, s.kind) for s in path.segments][-1] == ("Worker(3)", "step")
    gate.set()
    assert wb.run(session.result(Boss.get().agent_id), PATIENCE) == 3
    path = session.critical_path(Boss.get())
    assert path.ended
    assert_whole(path)


def test_the_path_of_a_fork(session: wb.Session) -> None:
    """A fork's path goes through the past that it shares with its source."""
    wb.run(Boss.get().split(), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    twin = next(a.agent_id for a in session.agents() if a.forked_from)
    for agent in ("Boss()", twin):
        path = session.critical_path(agent)
        assert_whole(path)
        assert [(s.agent, s.seconds) for s in path.segments if s.seconds] == [("Worker(1)", 2.0), (agent, 3.0)]
        assert path.agent == agent


@wb.agent
class Splitter:
    """Forks, and its forks fork."""

    def __init__(self, name: str = "s") -> None:
        self.name = name

    async def split(self) -> None:
        for _ in range(2):
            wb.fork()
        await asyncio.sleep(4)

    async def later(self) -> None:
        Worker.get(9).nap.schedule(1, 2)
        await asyncio.sleep(4)


def test_forks_ran_in_parallel(session: wb.Session) -> None:
    """Forks run the same invocation, forks of forks too: each of them names all, and none that came later."""
    wb.run(Splitter.get().split(), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    family = {a.agent_id for a in session.agents()}
    assert len(family) == 4
    for agent in family:
        path = session.critical_path(agent)
        assert (path.most, [(o.seconds, set(o.agents)) for o in path.parallel]) == (4, [(4.0, family)])
    wb.run(Splitter.get().fork(at=2), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    assert len(session.agents()) == 8
    assert {name for o in session.critical_path(Splitter.get()).parallel for name in o.agents} == family


def test_what_was_scheduled_ran_in_parallel(session: wb.Session) -> None:
    """A call that the invocation scheduled is at work under it once it comes due."""
    wb.run(Splitter.get().later(), PATIENCE)
    path = session.critical_path(Splitter.get())
    one, both = ('Splitter("s")',), ('Splitter("s")', "Worker(9)")
    assert [(o.seconds, o.agents) for o in path.parallel] == [(1.0, one), (2.0, both), (1.0, one)]


@wb.agent
class Planner:
    """Does what a plan says: naps, calls, one after the other or at once, help by promises."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def act(self, plan: list[Any]) -> None:
        for how, what in plan:
            if how == "nap":
                await asyncio.sleep(what)
            elif how == "call":
                await Planner.get(what[0]).act(what[1])
            elif how == "all":
                await wb.join([Planner.get(n).act(rest) for n, rest in what])
            elif how == "race":
                await wb.race([Planner.get(n).act(rest) for n, rest in what])
            elif how == "hang":
                await wb.await_promise(wb.PromiseId.parse(what) if what else wb.create_promise())
            elif how == "promise":
                promise = wb.create_promise()
                Planner.get(what[0]).keep.trigger(promise, what[1])
                await wb.await_promise(promise)

    async def keep(self, promise: wb.PromiseId, plan: list[Any]) -> None:
        await self.act(plan)
        wb.complete_promise(promise, b"")


def test_the_path_of_what_was_cut_short_has_an_end(either: wb.Session) -> None:
    """What was deleted or reverted while it waited took so long, however much later one asks."""
    for agent in (Planner.get(1), Planner.get(2)):
        agent.act.trigger([["hang", ""]])
        agent.act.trigger([["nap", 50]])
    wb.run(Worker.get(9).nap(10), PATIENCE)
    wb.run(Planner.get(1).delete(), PATIENCE)
    wb.run(Planner.get(2).revert(invocations=1), PATIENCE)
    wb.run(Worker.get(9).nap(200), PATIENCE)
    paths = [either.critical_path(one) for one in either.invocations(method="act")]
    assert [(path.agent, path.ended, [(s.kind, s.seconds) for s in path.segments]) for path in paths] == [
        ("Planner(1)", True, [("promise", 10.0)]),
        ("Planner(1)", True, [("queued", 10.0)]),
        ("Planner(2)", True, [("promise", 10.0)]),
        ("Planner(2)", True, [("queued", 10.0), ("timer", 50.0)]),
    ]


def make_plan(chance: random.Random, numbers: Iterator[int], depth: int, gates: tuple[str, ...] = ()) -> list[Any]:
    """A random plan whose agents are new or, now and then, shared ones that never wait for others.

    With `gates`, agents await those promises too; an empty one stands for a promise of their own.
    """
    plan: list[Any] = []
    for _ in range(chance.randint(1, 3)):
        how = chance.choice(["nap", "nap", "call", "all", "race", "promise"]) if depth else "nap"
        if how == "nap":
            hang = gates and chance.random() < 0.3
            plan.append(["hang", chance.choice(gates)] if hang else [how, chance.choice([0, 1, 2.5, 7])])
            continue
        parts: list[Any] = []
        for _ in range(chance.randint(1, 3)):
            shared = chance.random() < 0.3
            number = 1000 + chance.randint(0, 1) if shared else next(numbers)
            parts.append([number, make_plan(chance, numbers, 0 if shared else depth - 1, gates)])
        plan.append([how, parts if how in ("all", "race") else parts[0]])
    return plan


@pytest.mark.parametrize("seed", range(60))
def test_any_path_is_whole(session: wb.Session, seed: int) -> None:
    """Whatever agents do, each invocation's path has no gap, adds up, and is made of what takes time."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each plan
    plan = make_plan(chance, iter(range(1, 1000)), 3)
    wb.run(Planner.get(0).act(plan), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    for info in session.invocations():
        path = session.critical_path(info)
        assert_whole(path)
        assert path.ended
        assert path.agent == info.agent_id
        assert {s.kind for s in path.segments if s.end > s.begin} <= {"timer", "queued"}
        assert len(session.why(value_of=info).sentences) <= 13
        assert sum(o.seconds for o in path.parallel) <= path.total + 1e-9
    for agent in session.agents():
        found = session.why(agent)
        assert [link.kind for link in found.links] == ["idle"]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_out_of_reach_stays_so(session: wb.Session, seed: int) -> None:
    """Whatever agents do, a promise that nobody alive could complete is pending still when all others are completed.

    Where no agent awaits a promise that it gave to nobody, none is ever said to be out of reach.
    """
    chance = random.Random(seed)  # noqa: S311 - a seed for each plan
    cells = [wb.create_promise() for _ in range(3)]
    gates = (*map(str, cells), *([""] if seed % 3 else []))
    Planner.get(0).act.trigger(make_plan(chance, iter(range(1, 1000)), 3, gates))
    lost: set[str] = set()
    for cell in cells:
        wb.run(session.at_rest(), PATIENCE)
        for agent in session.agents():
            found = session.why(agent)
            assert found.roots
            assert found.links[0].agent == agent.agent_id
            assert (found.links[0].kind == "idle") == (agent.status == "idle")
            lost |= {link.what for link in found.links if link.kind == "orphan"}
            session.critical_path(agent)
        wb.complete_promise(cell, b"")
    wb.run(session.at_rest(), PATIENCE)
    assert {wb.promise_state(wb.PromiseId.parse(name)) for name in lost} <= {"pending"}
    assert seed % 3 or not lost
    waiting = {agent.agent_id for agent in session.agents() if agent.status != "idle"}
    assert all(any(link.kind == "orphan" for link in session.why(agent).links) for agent in waiting)


@wb.agent
class Thinker:
    """Computes, in its own code, before it asks and before it answers."""

    async def think(self) -> float:
        think_for(4)
        asked = await Worker.get(9).nap(2)
        think_for(3)
        return asked


clocks: list[wb.testing.SimulatedClock] = []


def think_for(seconds: int) -> None:
    """Let time pass while agent code runs."""
    for clock in clocks:
        clock.advance_to(clock.wall() + seconds * 10**9)


def test_time_in_which_agent_code_computes_is_its_own(tmp_path: Any) -> None:
    """It is told as work of the agent, and not as the queue of whom it asks next, nor of who gets its answer."""
    clock = wb.testing.SimulatedClock()
    clocks.append(clock)
    with wb.start(tmp_path / "a.db", clock=clock) as session:
        assert wb.run(Thinker.get().think(), PATIENCE) == 2
        path = session.critical_path(Thinker.get())
    clocks.clear()
    assert_whole(path)
    told = [(s.agent, s.kind, s.seconds) for s in path.segments if s.seconds]
    assert told == [("Thinker()", "running", 4.0), ("Worker(9)", "timer", 2.0), ("Thinker()", "running", 3.0)]
