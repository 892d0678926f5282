# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""`session.why`: what waits and why, and where a result came from."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, until
from workbench.model.agent_type import registry
from workbench.questions.explanation import Link, Why

gate = threading.Event()
odd = False


@pytest.fixture
def shut() -> Iterator[None]:
    """Steps that wait for the gate wait until the test is over. To be asked for after the session."""
    gate.clear()
    yield
    gate.set()


@pytest.fixture(autouse=True)
def even() -> None:
    """Agents do as their oplogs say."""
    global odd  # noqa: PLW0603 - what agent code should not read, and some here does
    odd = False


def fetch(n: int) -> int:
    gate.wait(PATIENCE)
    return n


def plain(n: int) -> int:
    return n


def broken(n: int) -> int:
    message = f"no page {n}"
    raise OSError(message)


@wb.agent
class Worker:
    """One of many."""

    def __init__(self, n: int = 0) -> None:
        self.n = n

    async def process(self, x: int = 0) -> int:
        return await wb.step(fetch, x)

    async def read(self, x: int) -> int:
        return await wb.step(plain, x) + 1

    async def fail(self, x: int) -> int:
        return await wb.step(broken, x, retry=1)

    def quick(self, x: int = 0) -> int:
        return x

    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def wait(self, promise: wb.PromiseId) -> bytes:
        return await wb.await_promise(promise)

    async def help(self, promise: wb.PromiseId, when: wb.PromiseId) -> None:
        await wb.await_promise(when)
        wb.complete_promise(promise, b"helped")


@wb.agent
class Boss:
    """Asks others."""

    def __init__(self, name: str = "b") -> None:
        self.name = name

    async def one(self, n: int = 1) -> int:
        return await Worker.get(n).process(n)

    async def quick_one(self, n: int) -> int:
        return await Worker.get(n).quick()

    async def fan(self, done: int, running: int, queued: int) -> int:
        calls = [Worker.get(n).quick(n) for n in range(done)]
        slow = [Worker.get(n).process(n) for n in range(done, done + running)]
        late = [Worker.get(done).quick(n) for n in range(queued)]
        return sum(await wb.join([*calls, *slow, *late]))

    async def alike(self, done: int, running: int, queued: int) -> int:
        sizes = [0] * done + [1] * running
        calls = [Gated.get(n).process(size) for n, size in enumerate(sizes)]
        late = [Gated.get(done).process(0) for _ in range(queued)]
        return sum(await wb.join([*calls, *late]))

    async def keep(self) -> bytes:
        promise = wb.create_promise()
        return await wb.await_promise(promise)

    async def entrust(self, n: int, when: wb.PromiseId) -> bytes:
        promise = wb.create_promise()
        Worker.get(n).help.trigger(promise, when)
        return await wb.await_promise(promise)

    async def knot(self, other: str) -> bytes:
        mine = wb.create_promise()
        Boss.get(other).answer.trigger(mine)
        return await wb.await_promise(mine)

    async def answer(self, asked: wb.PromiseId) -> bytes:
        mine = wb.create_promise()
        return await wb.await_promise(mine)

    async def leave(self, ways: list[str]) -> str:
        for n, way in enumerate(ways):
            child = Worker.new_phantom(n)
            if way == "trigger":
                child.process.trigger(n)
            else:
                await wb.race([child.process(n), Worker.get(100 + n).quick()])
        return "left"

    async def sums(self, numbers: list[int]) -> int:
        return sum(await wb.join([Boss.get(f"child {n}").part(n) for n in numbers]))

    async def part(self, n: int) -> int:
        return await Worker.get(n).read(n)

    async def trouble(self) -> int:
        await Worker.get(1).quick()
        return await Boss.get("between").more_trouble()

    async def more_trouble(self) -> int:
        return await Worker.get(2).fail(7)

    async def odd(self, when: wb.PromiseId) -> None:
        if odd:
            await Worker.get(1).quick()
        await wb.await_promise(when)


@wb.agent
class Gated:
    """Takes its time when it is asked to."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def process(self, slow: int) -> int:
        return await wb.step(fetch, slow) if slow else 0


def kinds_of(found: Why) -> list[tuple[str, str]]:
    """Agent and kind of each link."""
    return [(link.agent, link.kind) for link in found.links]


def stands(session: wb.Session, agent: str, kind: str) -> Link:
    """The first link of an agent, once it is of this kind."""
    until(lambda: any(a.agent_id == agent for a in session.agents()) and session.why(agent).links[0].kind == kind)
    return session.why(agent).links[0]


# ---- what runs, what is queued ---------------------------------------------------------------------------------------


def test_a_step_that_runs(either: wb.Session, shut: None) -> None:
    """A call leads to the step that runs at its end: since when, from which line, and by which entries."""
    Boss.get().one.trigger(3)
    stands(either, "Worker(3)", "step")
    found = either.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "call"), ("Worker(3)", "step")]
    assert found.sentences[0].startswith('Boss("b") has run one for ')
    assert "and waits for Worker(3).process, called " in found.sentences[0]
    assert "Worker(3) has run process for " in found.sentences[1]
    assert "and waits for step fetch, begun " in found.sentences[1]
    assert found.roots[0].startswith("step fetch of Worker(3) has run for ")
    call, step = found.links
    assert (call.what, call.to, call.root) == ("Worker(3).process", ("Worker(3)",), False)
    assert (step.what, step.to, step.root) == ("fetch", (), True)
    assert all("test_why.py:" in link.line and link.since and link.started for link in found.links)
    kinds = {entry.seq: entry.kind for agent in ('Boss("b")', "Worker(3)") for entry in either.oplog(agent)}
    assert [kinds[link.entries[0]] for link in found.links] == ["CallMade", "StepStarted"]
    assert [kinds[link.started] for link in found.links] == ["InvocationStarted"] * 2


def test_queued_behind_another(session: wb.Session, shut: None) -> None:
    """A queued call tells behind what it stands, and leads to what is at work there."""
    Worker.get(1).process.trigger()
    Worker.get(1).quick.trigger()
    stands(session, "Worker(1)", "step")
    Boss.get().quick_one.trigger(1)
    stands(session, 'Boss("b")', "queued")
    found = session.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "queued"), ("Worker(1)", "step")]
    assert "queued there behind 2 others: process and quick" in found.sentences[0]
    assert found.links[0].count == 2


def test_many_calls_are_summed_up(session: wb.Session, shut: None) -> None:
    """Of a fan-out of 1,000 calls it tells how many are done, run and are queued, and follows one of each shape."""
    Boss.get().alike.trigger(990, 8, 2)
    until(lambda: sum(a.agent_id.startswith("Gated") and a.status == "idle" for a in session.agents()) == 990)
    stands(session, "Gated(997)", "step")
    found = session.why(Boss.get())
    assert len(found.sentences) == 2
    assert "waits for 1,000 calls of Gated.process: 990 done, 8 running, 2 queued" in found.sentences[0]
    assert "step fetch" in found.sentences[1]
    assert "7 more are in the same position" in found.sentences[1]
    assert found.links[0].count == 10
    assert len(found.roots) == 1


def test_calls_of_an_earlier_fan_out_are_not_counted(session: wb.Session, shut: None) -> None:
    """What was called one after the other, or gathered before, is no part of what is waited for now."""

    @wb.agent
    class Twice:
        async def go(self) -> None:
            await wb.join([Gated.get(n).process(0) for n in range(5)])
            for n in range(3):
                await Gated.get(n).process(0)
            await wb.join([Gated.get(n).process(n > 1) for n in range(7)])

    Twice.get().go.trigger()
    stands(session, "Gated(6)", "step")
    told = "waits for 7 calls of Gated.process: 2 done, 5 running;"
    until(lambda: told in session.why(Twice.get()).sentences[0])


def test_other_waits_are_told_too(session: wb.Session, shut: None) -> None:
    """What an agent waits for besides is a sentence of its own; a few calls are told one by one."""
    Boss.get().fan.trigger(5, 2, 2)
    stands(session, "Worker(6)", "step")
    found = session.why('Boss( "b" )')
    assert [link.kind for link in found.links] == ["call", "call", "queued", "queued", "step", "step"]
    assert found.sentences[1].startswith('Boss("b") also waits for Worker(6).process')


# ---- promises --------------------------------------------------------------------------------------------------------


def test_a_promise_that_another_agent_holds(either: wb.Session) -> None:
    """It tells who holds the id and can complete the promise, and what that one waits for itself."""
    when = wb.create_promise()
    Boss.get().entrust.trigger(5, when)
    wb.run(either.at_rest(), PATIENCE)
    found = either.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "promise"), ("Worker(5)", "promise")]
    first, second = found.links
    assert "Worker(5) holds its id and can complete it" in found.sentences[0]
    assert (first.held_by, first.can_complete) == (("Worker(5)", 'Boss("b")'), ("Worker(5)",))
    assert "a cell can complete it" in found.sentences[1]
    assert second.can_complete == ("Session()",)
    assert second.what == str(when)
    assert found.roots == [second.end]
    wb.complete_promise(when, b"")
    assert wb.run(either.result(Boss.get().agent_id), PATIENCE) == b"helped"


def test_a_promise_that_nobody_can_complete(either: wb.Session) -> None:
    """A promise whose id nobody else was given is said to be out of reach; what the sentence advises works."""
    Boss.get().keep.trigger()
    wb.run(either.at_rest(), PATIENCE)
    found = either.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "orphan")]
    assert "nobody alive can complete it (its id was given to nobody else)" in str(found)
    assert found.links[0].can_complete == ()
    assert wb.complete_promise(wb.PromiseId.parse(found.links[0].what), b"rescued") is True
    assert wb.run(either.result(Boss.get().agent_id), PATIENCE) == b"rescued"


def test_a_promise_that_a_step_carried_outside(either: wb.Session) -> None:
    """An id that a step may have put in a mail is not out of reach, and it says which step; one made later is."""
    outbox: list[str] = []

    @wb.agent
    class Order:
        def __init__(self, n: int) -> None:
            self.n = n

        async def approve(self) -> bytes:
            promise = wb.create_promise()
            await wb.step(outbox.append, str(promise))
            return await wb.await_promise(promise)

        async def hope(self) -> bytes:
            await wb.step(plain, 1)
            return await wb.await_promise(wb.create_promise())

        async def halves(self) -> bytes:
            promise = wb.create_promise()
            match wb.fork():
                case wb.Forked():
                    await wb.step(outbox.append, str(promise))
                case _:
                    pass
            return await wb.await_promise(promise)

    for order, method in enumerate(("approve", "hope", "halves")):
        getattr(Order.get(order), method).trigger()
        wb.run(either.at_rest(), PATIENCE)
    approve, hope, halves = (either.why(Order.get(order)) for order in range(3))
    assert kinds_of(approve) == [("Order(0)", "promise")]
    assert "step list.append of Order(0) may have passed its id on outside" in approve.sentences[0]
    assert "nobody alive" not in str(approve)
    assert (approve.links[0].can_complete, approve.links[0].root) == ((), True)
    assert kinds_of(hope) == [("Order(1)", "orphan")]
    assert "its id was given to nobody else" in str(hope)
    assert "step list.append of Order(2)[" in str(halves)
    assert {x.creator: x.orphan for x in either.promises()} == {"Order(0)": False, "Order(1)": True, "Order(2)": False}
    assert either.promises()[0].holders == ()
    wb.complete_promise(wb.PromiseId.parse(outbox[0]), b"yes")
    assert wb.run(either.result("Order(0)"), PATIENCE) == b"yes"


def test_two_that_wait_for_each_other(session: wb.Session) -> None:
    """Agents that hold the id of each other's promise and both wait are told as a knot that nobody alive can undo."""
    Boss.get("a").knot.trigger("c")
    wb.run(session.at_rest(), PATIENCE)
    found = session.why(Boss.get("a"))
    assert kinds_of(found) == [('Boss("a")', "orphan")]
    assert 'Boss("c") holds its id and waits itself' in str(found)


def test_a_completion_in_ones_own_queue(session: wb.Session) -> None:
    """An agent that waits for what only a call in its own queue would complete is told so."""

    @wb.agent
    class Clumsy:
        async def ask(self) -> bytes:
            mine = wb.create_promise()
            Clumsy.get().answer.trigger(mine)
            return await wb.await_promise(mine)

        def answer(self, promise: wb.PromiseId) -> None:
            wb.complete_promise(promise, b"")

    Clumsy.get().ask.trigger()
    wb.run(session.at_rest(), PATIENCE)
    found = session.why(Clumsy.get())
    assert kinds_of(found) == [("Clumsy()", "orphan")]
    assert "(answer is given its id, and waits in the queue of Clumsy() itself)" in str(found)


def test_who_else_may_complete_a_promise(session: wb.Session) -> None:
    """An idle agent that was given the id is named; a deleted one counts no more; a printed id is known to cells."""
    when = wb.create_promise()
    Boss.get().entrust.trigger(5, when)
    wb.run(session.at_rest(), PATIENCE)
    wb.run(Worker.get(5).interrupt(), PATIENCE)
    assert kinds_of(session.why(Boss.get())) == [('Boss("b")', "promise"), ("Worker(5)", "interrupted")]
    wb.run(Worker.get(5).delete(), PATIENCE)
    found = session.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "orphan")]
    assert "Worker(5) held it and was deleted" in str(found)

    @wb.agent
    class Talker:
        async def talk(self) -> bytes:
            promise = wb.create_promise()
            Worker.get(9).quick.trigger(str(promise))
            return await wb.await_promise(promise)

        async def show(self) -> bytes:
            promise = wb.create_promise()
            wb.log(f"complete {promise}, please")
            return await wb.await_promise(promise)

    talker, shower = Talker.new_phantom(), Talker.new_phantom()
    talker.talk.trigger()
    shower.show.trigger()
    wb.run(session.at_rest(), PATIENCE)
    assert "Worker(9) is idle, holds its id and can when called" in str(session.why(talker))
    assert session.why(shower).links[0].can_complete == ("Session()",)


# ---- time, classes, failures -----------------------------------------------------------------------------------------


def test_a_timer(opened: Opener) -> None:
    """A timer tells when it is due; the agent that sleeps is the root."""
    session = opened(":memory:")
    Worker.get(1).nap.trigger(3600)
    link = stands(session, "Worker(1)", "timer")
    assert link.root
    found = session.why(Worker.get(1).agent_id)
    assert "waits for a timer at " in str(found)
    assert ", due in 1 h, at 2" in str(found) or ", due in 59 min" in str(found)
    assert found.roots[0].startswith("a timer of Worker(1) is due in ")


def test_a_class_that_is_not_defined(opened: Opener, tmp_path: Path, shut: None) -> None:
    """After a restart an agent whose class is missing tells which cell to run; so does whoever waits for it."""
    with opened(tmp_path / "a.db") as session:
        Boss.get().one.trigger(4)
        stands(session, "Worker(4)", "step")
    known = registry._types.pop("Worker")
    gate.set()
    with opened(tmp_path / "a.db") as session:
        wb.run(session.at_rest(), PATIENCE)
        found = session.why(Boss.get())
        assert kinds_of(found) == [('Boss("b")', "call"), ("Worker(4)", "undefined")]
        assert found.roots == ["the class Worker is not defined"]
        assert "run the cell that defines Worker" in found.sentences[1]
        registry.add(known)
        assert wb.run(session.result('Boss("b")'), PATIENCE) == 4
        assert session.why(Boss.get()).links[0].kind == "idle"


def let_the_boss_diverge(session: wb.Session) -> None:
    """It asks for something else after a crash than its oplog holds."""
    global odd  # noqa: PLW0603 - see above
    when = wb.create_promise()
    Boss.get().odd.trigger(when)
    wb.run(session.at_rest(), PATIENCE)
    odd = True
    session.simulate_crash()
    wb.complete_promise(when, b"")
    wb.run(session.at_rest(), PATIENCE)


def test_an_agent_that_diverged(session: wb.Session) -> None:
    """Divergence tells the index, what the oplog holds, what the code asked for, and what to do."""
    let_the_boss_diverge(session)
    found = session.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "diverged")]
    assert "diverged at oplog index 3: the oplog holds await_promise" in str(found)
    assert "the code asked for call Worker(1).quick" in str(found)
    assert "client.revert(to=2)" in str(found)
    assert "so for 0 s, since 2023-11-14" in str(found)


def test_a_failed_agent_waits_for_nothing(session: wb.Session) -> None:
    """What an agent waited for when it failed it waits for no more, wherever one looks."""
    let_the_boss_diverge(session)
    (row,) = session.agents()
    assert (row.status, row.waits, row.waits_for, row.since) == ("failed", 0, "", None)
    assert all(not promise.waiters for promise in session.promises())
    assert [kind for *_, kind in session.graph().edges(data="kind")] == ["spawn"]


def test_an_agent_that_is_interrupted(session: wb.Session) -> None:
    """An interrupted agent tells where it stands and what lets it go on."""
    promise = wb.create_promise()
    Worker.get(1).wait.trigger(promise)
    Worker.get(1).quick.trigger()
    wb.run(session.at_rest(), PATIENCE)
    assert wb.run(Worker.get(1).interrupt(), PATIENCE)
    found = session.why(Worker.get(1))
    assert kinds_of(found) == [("Worker(1)", "interrupted")]
    assert "stands still in wait; 1 queued of cells wait for it" in str(found)
    assert f"with await client.resume(), with a new call or when promise {promise} is completed" in str(found)


def test_an_idle_agent(session: wb.Session) -> None:
    """An idle agent tells how its last invocation ended, and what is scheduled for it."""
    wb.run(Worker.get(1).quick(), PATIENCE)
    assert "Worker(1) is idle: it has nothing to do; its last invocation quick ended ok" in str(
        session.why("Worker(1)")
    )
    with pytest.raises(OSError, match="no page"):
        wb.run(Worker.get(1).fail(3), PATIENCE)
    assert "its last invocation fail raised OSError: no page 3" in str(session.why(Worker.get(1)))


def test_what_is_scheduled(opened: Opener) -> None:
    """A schedule is a note on the agent that it is for."""
    session = opened(":memory:")
    wb.run(Worker.get(1).quick(), PATIENCE)
    Worker.get(1).quick.schedule(7200, 5)
    found = session.why(Worker.get(1))
    assert kinds_of(found) == [("Worker(1)", "idle"), ("Worker(1)", "schedule")]
    assert "Worker(1) also is to run quick at " in found.sentences[1]
    Worker.get(2).quick.schedule(7200, 5)
    found = session.why(Worker.get(2))
    assert kinds_of(found) == [("Worker(2)", "schedule")]
    assert found.links[0].root
    assert "Worker(2) does not exist yet, and is to run quick at " in str(found)


# ---- children left behind --------------------------------------------------------------------------------------------


def test_children_that_were_left_behind(session: wb.Session, shut: None) -> None:
    """Children that still run though the invocation that started them has ended are told, by the parent and by each."""
    assert wb.run(Boss.get().leave(["trigger", "race"]), PATIENCE) == "left"
    children = [a.agent_id for a in session.agents() if a.agent_id.startswith("Worker(") and "[" in a.agent_id]
    for child in children:
        stands(session, child, "step")
    found = session.why(Boss.get())
    assert kinds_of(found) == [('Boss("b")', "idle"), ('Boss("b")', "leaked")]
    assert "2 children that still run, though the invocation that started them has ended" in found.sentences[1]
    assert set(found.links[1].to) == set(children)
    for child in children:
        told = session.why(child)
        assert kinds_of(told) == [(child, "step"), (child, "leaked")]
        assert 'was started by Boss("b"), in an invocation that has ended' in str(told)
    gate.set()
    wb.run(session.at_rest(), PATIENCE)
    assert kinds_of(session.why(Boss.get())) == [('Boss("b")', "idle")]


# ---- how it is asked -------------------------------------------------------------------------------------------------


def test_what_may_be_asked(session: wb.Session) -> None:
    """An agent is named by client, id, text or row; one that is not there, and none or two at once, are refused."""
    wb.run(Worker.get(1).quick(), PATIENCE)
    asked = [Worker.get(1), Worker.get(1).agent_id, "Worker(1)", " Worker( 1)".strip(), session.agents()[0]]
    assert len({str(session.why(one)) for one in asked}) == 1
    for nobody in (Worker.get(2), "Worker(2)", "no id"):
        with pytest.raises(wb.UnknownAgentError):
            session.why(nobody)
        with pytest.raises(wb.UnknownAgentError):
            session.critical_path(nobody)
    with pytest.raises(wb.AgentTypeError, match="an agent"):
        session.why()
    with pytest.raises(wb.AgentTypeError, match="an agent"):
        session.why(Worker.get(1), value_of=Worker.get(1))
    assert session.why("Session()").links[0].kind == "cells"


def test_an_invocation_is_named_in_many_ways(session: wb.Session) -> None:
    """By the `seq` of its acceptance, by agent and key, by a row, or by its agent for the last one."""
    wb.run(Worker.get(1).quick.with_options(key="first")(5), PATIENCE)
    seq = next(entry.invocation for entry in session.oplog("Worker(1)") if entry.invocation)
    ways: list[Any] = [seq, ("Worker(1)", "first"), (Worker.get(1), "first"), Worker.get(1), *session.invocations()]
    assert len({str(session.why(value_of=way)) for way in ways}) == 1
    assert len({session.critical_path(way).invocation for way in ways}) == 1
    for wrong in (seq + 1, 0, 10**12, -1, ("Worker(1)", "second"), True):
        with pytest.raises(wb.UnknownAgentError):
            session.why(value_of=wrong)
        with pytest.raises(wb.UnknownAgentError):
            session.critical_path(wrong)
    with pytest.raises(wb.AgentTypeError):
        session.why(value_of=("Worker(1)", "first", 3))


def test_a_call_that_joined_another_is_that_one(session: wb.Session) -> None:
    """The `seq` of a call whose key was known names the invocation that it joined."""
    for _ in range(2):
        wb.run(Worker.get(1).quick.with_options(key="k")(5), PATIENCE)
    first, second = (entry.seq for entry in session.entries() if entry.kind == "CallMade")
    assert str(session.why(value_of=second)) == str(session.why(value_of=first))
    assert session.critical_path(second).invocation == first


def test_an_ephemeral_invocation_is_named_by_the_id_that_was_called(session: wb.Session) -> None:
    """An ephemeral agent and a key name the invocation, as `session.invocation` does."""

    @wb.agent(ephemeral=True)
    class Once:
        def quick(self) -> int:
            return 1

    wb.run(Once.get().quick.with_options(key="k")(), PATIENCE)
    (row,) = session.invocations()
    assert str(session.why(value_of=("Once()", "k"))) == str(session.why(value_of=row))
    assert session.critical_path((Once.get(), "k")).invocation == row.seq


def test_agents_may_not_ask(session: wb.Session) -> None:
    """In an agent the answer would not be recorded; a step may ask."""

    @wb.agent
    class Curious:
        async def ask(self, how: str) -> str:
            if how == "step":
                return await wb.step(lambda: str(session.why("Curious()")))
            return str(session.why("Curious()"))

    with pytest.raises(wb.NotInAgentError):
        wb.run(Curious.get().ask("at once"), PATIENCE)
    assert "Curious() has run ask for" in wb.run(Curious.get().ask("step"), PATIENCE)


def test_names_are_text(session: wb.Session) -> None:
    """Whatever agents are called or say is escaped in a notebook."""
    name = "<script>alert(1)</script>"
    wb.run(Boss.get(name).leave([]), PATIENCE)
    shown = [
        session.why(Boss.get(name))._repr_html_(),
        session.why(value_of=Boss.get(name))._repr_html_(),
        session.critical_path(Boss.get(name))._repr_html_(),
    ]
    assert all("&lt;script&gt;" in text and "<script" not in text for text in shown)


# ---- where a result came from ----------------------------------------------------------------------------------------


def test_a_result_of_a_nested_fan_out(either: wb.Session) -> None:
    """A result leads down to the steps and arguments it came from, the newest first, many alike summed up."""
    assert wb.run(Boss.get().sums([1, 2]), PATIENCE) == 5
    found = either.why(value_of=Boss.get())
    assert [(link.depth, link.kind, link.what) for link in found.links] == [
        (0, "result", 'Boss("b").sums'),
        (1, "result", 'Boss("child 2").part'),
        (2, "result", "Worker(2).read"),
        (3, "step", "plain"),
        (3, "arguments", 'Boss("child 2")'),
        (2, "arguments", 'Boss("b")'),
        (1, "result", 'Boss("child 1").part'),
        (2, "result", "Worker(1).read"),
        (3, "step", "plain"),
        (3, "arguments", 'Boss("child 1")'),
        (2, "arguments", 'Boss("b")'),
        (1, "arguments", "a cell"),
    ]
    assert all(link.entries for link in found.links)
    assert wb.run(Boss.get("big").sums(list(range(50))), PATIENCE) == sum(range(1, 51))
    found = either.why(value_of=Boss.get("big"))
    assert "was given 50 results of Boss.part; the newest is followed" in found.sentences[1]
    assert len(found.sentences) <= 12
    remembered = either.why(value_of=Boss.get("child 2"))
    assert remembered.links[-1].kind == "remembered"


def test_an_error_tells_where_it_was_raised_first(session: wb.Session) -> None:
    """An error that was passed on through agents leads to the step that raised it, with its place."""
    with pytest.raises(OSError, match="no page 7"):
        wb.run(Boss.get().trouble(), PATIENCE)
    found = session.why(value_of=Boss.get())
    assert found.links[0].kind == "raised"
    assert "raised OSError: no page 7" in found.sentences[0]
    assert "first raised by step broken of Worker(2) at " in found.sentences[0]
    assert "test_why.py:" in found.sentences[0]


def test_a_group_of_errors_tells_the_first(session: wb.Session) -> None:
    """Of the errors of a group the one that came first is told, also where they read the same."""

    @wb.agent
    class Judge:
        async def all(self, seconds: list[float], same: bool) -> None:  # noqa: FBT001 - an argument
            with contextlib.suppress(OSError):
                await Worker.get(9).fail(1)
            await wb.join([Late.get(n).fail(1 if same else n, s) for n, s in enumerate(seconds)])

    @wb.agent
    class Late:
        def __init__(self, n: int) -> None:
            self.n = n

        async def fail(self, x: int, seconds: float) -> None:
            await asyncio.sleep(seconds)
            await Worker.get(self.n).fail(x)

    for same in (False, True):
        with pytest.raises(ExceptionGroup):
            wb.run(Judge.get().all([3, 1, 2], same), PATIENCE)
        assert "first raised by step broken of Worker(1) at " in session.why(value_of=Judge.get()).sentences[0]


def test_a_payload_tells_who_completed_the_promise(session: wb.Session) -> None:
    """A promise's payload leads to the agent that completed it, and what that one was given."""
    when = wb.create_promise()
    Boss.get().entrust.trigger(5, when)
    wb.run(session.at_rest(), PATIENCE)
    assert session.why(value_of=Boss.get()).links[0].kind == "unfinished"
    wb.complete_promise(when, b"go")
    wb.run(session.at_rest(), PATIENCE)
    found = session.why(value_of=Boss.get())
    assert [(link.depth, link.kind, link.agent) for link in found.links] == [
        (0, "result", 'Boss("b")'),
        (1, "completed", 'Boss("b")'),
        (2, "result", "Worker(5)"),
        (3, "completed", "Worker(5)"),
        (3, "arguments", "Worker(5)"),
        (1, "arguments", 'Boss("b")'),
    ]
    assert "which a cell completed" in str(found)


def test_a_fork_shares_its_past(session: wb.Session) -> None:
    """The result of a fork tells from which agent, and up to which index, its past comes."""

    @wb.agent
    class Splitter:
        async def split(self) -> str:
            await Worker.get(1).quick()
            match wb.fork():
                case wb.Forked():
                    return f"fork {await Worker.get(2).quick()}"
            return "original"

    assert wb.run(Splitter.get().split(), PATIENCE) == "original"
    wb.run(session.at_rest(), PATIENCE)
    twin = next(a.agent_id for a in session.agents() if a.forked_from)
    found = session.why(value_of=twin)
    assert [link.kind for link in found.links if link.depth < 2] == [
        "result",
        "result",
        "result",
        "forked",
        "arguments",
    ]
    assert f"{twin} is a fork of Splitter(), and shares its past up to index 5" in str(found)


def test_a_deleted_fork_answers_for_itself(session: wb.Session) -> None:
    """A row of a fork that was deleted is told by what the fork did, not by what its source did."""

    @wb.agent
    class Splitter:
        async def split(self) -> str:
            match wb.fork():
                case wb.Forked():
                    return f"fork {await Worker.get(2).quick()}"
            return "original"

    wb.run(Splitter.get().split(), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    (twin,) = (wb.AgentId.parse(a.agent_id) for a in session.agents() if a.forked_from)
    assert twin.phantom_id is not None
    wb.run(Splitter.get_phantom(twin.phantom_id).delete(), PATIENCE)
    (row,) = (one for one in session.invocations(twin) if one.how == "fork")
    assert row.deleted
    assert [link.agent for link in session.why(value_of=row).links[:2]] == [twin.text, "Worker(2)"]
    assert session.critical_path(row).agent == twin.text


def test_an_invocation_without_a_result_tells_why(either: wb.Session, shut: None) -> None:
    """What was deleted, reverted, withdrawn or refused says so, and only what is under way has not ended."""
    for n in (1, 2, 3):
        Worker.get(n).process.trigger(n)
        Worker.get(n).quick.trigger(n)
    wb.run(Worker.get(4).quick(), PATIENCE)
    Worker.get(3).quick.with_options(key="c").trigger()
    assert either.cancel(Worker.get(3), "c")
    wb.run(Worker.get(1).delete(), PATIENCE)
    wb.run(Worker.get(2).revert(invocations=1), PATIENCE)
    wb.run(Worker.get(4).revert(invocations=1), PATIENCE)
    until(lambda: [one.state for one in either.invocations("Worker(2)")] == ["failed", "finished"])
    told = [
        (one.agent_id, one.method, found.links[0].kind, found.sentences[0].partition(": ")[2].partition(" (")[0])
        for one in either.invocations()
        for found in [either.why(value_of=one)]
    ]
    assert told == [
        ("Worker(1)", "process", "ended", "its agent was deleted"),
        ("Worker(1)", "quick", "ended", "its agent was deleted"),
        ("Worker(2)", "process", "ended", "its agent was reverted"),
        ("Worker(2)", "quick", "result", ""),
        ("Worker(3)", "process", "unfinished", "see session.why('Worker(3)')"),
        ("Worker(3)", "quick", "unfinished", "see session.why('Worker(3)')"),
        ("Worker(4)", "quick", "result", ""),
        ("Worker(3)", "quick", "ended", "it was withdrawn from the queue"),
    ]
    (back,) = either.invocations("Worker(4)")
    assert "its agent was reverted to before it at" in str(either.why(value_of=back))
    with pytest.raises(wb.UnknownAgentError, match="reverted to before that"):
        either.why(value_of="Worker(4)")
