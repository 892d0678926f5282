# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""What a session tells of itself: agents, invocations, promises, oplogs, graphs, schedules, copies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, log_of, until, writes_nothing
from workbench.errors import SearchError
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock
from workbench.testing.clock import EPOCH

BEGUN = datetime.fromtimestamp(EPOCH / 1e9, UTC)


@wb.agent
class Shop:
    """Sells; waits; asks others; makes promises and hands them on."""

    def __init__(self, name: str = "s") -> None:
        self.name = name
        self.kept: Any = None

    def sell(self, what: str) -> str:
        return f"{what} sold"

    def refuse(self) -> None:
        raise ValueError("nothing\nleft")

    async def wait(self, promise: wb.PromiseId) -> str:
        return (await wb.await_promise(promise)).decode()

    async def nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ask(self, other: str, promise: wb.PromiseId) -> str:
        return await Shop.get(other).wait(promise)

    async def hope(self) -> str:
        return (await wb.await_promise(wb.create_promise())).decode()

    async def hand_on(self, other: str, *, as_text: bool = False) -> str:
        promise = wb.create_promise()
        Shop.get(other).keep.trigger(str(promise) if as_text else {"deep": [promise]})
        return (await wb.await_promise(promise)).decode()

    async def promise_later(self, other: str) -> str:
        promise = wb.create_promise()
        Shop.get(other).keep.schedule(3600, promise)
        return (await wb.await_promise(promise)).decode()

    def give(self) -> wb.PromiseId:
        return wb.create_promise()

    def keep(self, what: Any) -> None:
        self.kept = what

    async def split(self) -> str:
        return type(wb.fork()).__name__


@wb.agent(ephemeral=True)
class Once:
    """Has an instance for each invocation."""

    async def wait(self, promise: wb.PromiseId) -> bytes:
        payload: bytes = await wb.await_promise(promise)
        return payload


def rest(session: wb.Session) -> None:
    """Until nothing goes on by itself."""
    wb.run(session.at_rest(), PATIENCE)


# ---- agents ----------------------------------------------------------------------------------------------------------


def test_agents_tell_what_they_do(either: wb.Session) -> None:
    """A row says what an agent runs and waits for, since when, whose child it is, and when it came into being."""
    promise = wb.create_promise()
    Shop.get("a").ask.trigger("b", promise)
    rest(either)
    by_id = {agent.agent_id: agent for agent in either.agents()}
    first, second = by_id['Shop("a")'], by_id['Shop("b")']
    assert (first.status, first.type, first.method, first.waits_for) == (
        "running",
        "Shop",
        "ask",
        'call Shop("b").wait',
    )
    assert (first.parent, second.parent, second.forked_from) == ("Session()", 'Shop("a")', "")
    assert (second.status, second.waits_for) == ("suspended", f"promise {promise.index} of Session()")
    assert first.created == first.since == BEGUN
    assert (first.ephemeral, first.error, first.note) == (False, "", "")


def test_waits_in_words(opened: Opener) -> None:
    """Timers are told with their time, steps with their name, and many waits by the oldest and their number."""
    session = opened(":memory:")
    release = threading.Event()

    @wb.agent
    class Waits:
        async def run(self) -> None:
            await wb.join([wb.step(release.wait, PATIENCE), asyncio.sleep(9_000)])

        async def nap(self) -> None:
            await asyncio.sleep(9_000)

    Waits.get().run.trigger()
    Waits.new_phantom().nap.trigger()
    until(lambda: all(agent.waits for agent in session.agents()) and len(session.agents()) == 2)
    both, nap = (agent.waits_for for agent in session.agents())
    assert both == "step Event.wait and 1 more"
    assert nap.startswith("timer until 20")
    release.set()


def test_agents_by_filter(session: wb.Session) -> None:
    """Filters narrow by status, class, id (a part or a pattern, whatever the case) and parent; together too."""
    for name in ("east", "west"):
        wb.run(Shop.get(name).sell("x"))
    promise = wb.create_promise()
    Shop.get("north").ask.trigger("north-west", promise)
    rest(session)

    def ids(**wanted: Any) -> list[str]:
        return [agent.agent_id.removeprefix("Shop") for agent in session.agents(**wanted)]

    assert ids(status="idle") == ['("east")', '("west")']
    assert ids(name="WEST") == ['("west")', '("north-west")']
    assert ids(name='shop("*west*")', status="suspended") == ['("north-west")']
    assert ids(name='Shop("?est")') == ['("west")']
    assert ids(name="est") == ['("west")', '("north-west")']
    assert ids(type="Shop") == ids()
    assert ids(type="Sho") == []
    assert ids(parent=Shop.get("north")) == ids(parent='Shop( "north" )') == ['("north-west")']
    assert session.agent_ids('Shop("n') == ['Shop("north")', 'Shop("north-west")']
    assert session.agent_ids(limit=1) == ["Session()"]


def test_a_status_that_there_is_not(session: wb.Session) -> None:
    """A word that is no status is refused with those that are; so for invocations and promises."""
    for read in (session.agents, session.invocations, session.promises):
        word = "status" if read == session.agents else "state"
        with pytest.raises(SearchError, match="Name one of"):
            read(**{word: "runing"})


@pytest.mark.parametrize("at", [-1, "3", 1.5, True])
def test_what_is_no_entry_is_refused(session: wb.Session, tmp_path: Path, at: Any) -> None:
    """Where an entry is asked for, what cannot be the number of one is refused in words."""
    asked = [session.graph, session.fork_tree, session.entry, lambda seq: list(session.entries(0, seq)),
             lambda seq: session.figure("graph", seq), lambda seq: session.snapshot("graph", seq),
             lambda seq: session.to_mermaid("graph", seq), lambda seq: session.to_perfetto(tmp_path / "p", seq),
             lambda seq: session.to_shiviz(tmp_path / "s", seq)]  # fmt: skip
    for ask in asked:
        with pytest.raises(wb.AgentTypeError, match=r"named by its number|counted from 1"):
            ask(at)  # type: ignore[operator] # each takes one


def test_words_that_are_no_text_are_refused(session: wb.Session) -> None:
    """A filter that is no text, and a promise that is no id, is refused by what it is."""
    with pytest.raises(wb.AgentTypeError, match="name=3: a int is no text"):
        session.agents(name=3)  # type: ignore[arg-type] # as people do
    with pytest.raises(wb.AgentTypeError, match=r"type=<class .*Shop'>: a type is no text"):
        session.agents(type=Shop)  # type: ignore[arg-type] # likewise
    for ask in (lambda: session.invocations(key=1), lambda: session.invocation(Shop.get(), 1)):  # type: ignore[arg-type]
        with pytest.raises(wb.AgentTypeError, match="key=1: a int is no text"):
            ask()
    for wrong in ("Session()#x-1/2", None, Shop.get()):
        with pytest.raises(wb.AgentTypeError, match="is no promise id"):
            session.promise_state(wrong)  # type: ignore[arg-type] # likewise


def test_a_query_takes_named_parameters(either: wb.Session) -> None:
    """A dict gives the values for names; what is no query, or gives no values, is refused in words."""
    assert either.sql("SELECT :a || :b", {"a": "x", "b": "y"}) == [("xy",)]
    assert either.sql("SELECT ? || ?", ["x", "y"]) == [("xy",)]
    with pytest.raises(wb.StoreError, match="b"):
        either.sql("SELECT :a || :b", {"a": "x"})
    for query, values in ((None, ()), (b"SELECT 1", ()), ("SELECT ?", "1"), ("SELECT ?", 1), ("SELECT 1", None)):
        with pytest.raises(wb.AgentTypeError, match=r"Pass a string|Pass a tuple"):
            either.sql(query, values)  # type: ignore[arg-type] # as people do


def test_deleted_agents_are_not_told(session: wb.Session) -> None:
    """A deleted agent is in no list and no graph, and reading its oplog says that it was."""
    wb.run(Shop.get("a").sell("x"))
    wb.run(Shop.get("a").delete())
    assert session.agents() == []
    assert list(session.graph()) == ["Session()"]
    with pytest.raises(wb.UnknownAgentError, match="was deleted"):
        session.oplog(Shop.get("a"))
    wb.run(Shop.get("ab").sell("x"))
    with pytest.raises(wb.UnknownAgentError, match=r'name one that there is, as Shop\("ab"\)|as Shop\("ab"\)'):
        session.oplog('Shop("a")')


def test_an_agent_that_stopped_says_why(session: wb.Session) -> None:
    """The error that stopped an agent is in its row, and one whose class is gone says what it waits for."""

    @wb.agent
    class Gone:
        async def wait(self, promise: wb.PromiseId) -> None:
            await wb.await_promise(promise)

    Gone.get().wait.trigger(wb.create_promise())
    rest(session)
    del registry._types["Gone"]
    (row,) = session.agents()
    assert (row.status, row.note) == ("undefined", "waits for its class: run the cell that defines Gone")


# ---- invocations -----------------------------------------------------------------------------------------------------


def test_invocations_of_all_states(either: wb.Session) -> None:
    """Every invocation is listed in the order of acceptance, with its state, caller, times, key, label and error."""
    promise = wb.create_promise()
    shop = Shop.get("a")
    wb.run(shop.sell.with_options(key="k", label="first")("apple"))
    wb.run(shop.sell.with_options(key="k")("apple"))
    with pytest.raises(ValueError, match="nothing"):
        wb.run(shop.refuse())
    shop.wait.trigger(promise)
    queued = shop.sell.with_options(key="q")("pear").submit()
    until(lambda: either.agents()[0].queued == 1)
    shop.sell.with_options(key="c").trigger("fig")
    assert either.cancel(shop, "c")
    found = either.invocations()
    assert [(x.method, x.state, x.how) for x in found] == [
        ("sell", "finished", "call"), ("refuse", "failed", "call"), ("wait", "running", "trigger"),
        ("sell", "pending", "call"), ("sell", "cancelled", "trigger"),
    ]  # fmt: skip
    sold, refused, running, pending, _ = found
    assert (sold.agent_id, sold.caller, sold.key, sold.label) == ('Shop("a")', "Session()", "k", "first")
    assert (sold.accepted, sold.started, sold.ended, sold.seconds) == (BEGUN, BEGUN, BEGUN, 0.0)
    assert "test_reading.py:" in sold.line
    assert refused.error == "ValueError: nothing\nleft"
    assert (running.ended, running.seconds, pending.started) == (None, None, None)
    assert [x.seq for x in either.invocations(shop, key="q")] == [pending.seq]
    assert [x.seq for x in either.invocations(state="failed", method="refuse")] == [refused.seq]
    assert either.invocations('Shop("other")') == []
    wb.complete_promise(promise, b"")
    assert queued.result(PATIENCE) == "pear sold"


def test_invocations_of_schedules_forks_and_former_lives(either: wb.Session) -> None:
    """A schedule is an invocation when it comes; a fork has its own row; reverted and deleted ones are flagged."""
    shop = Shop.get("a")
    shop.sell.schedule(timedelta(seconds=5), "x")
    rest(either)
    assert [(x.how, x.started) for x in either.invocations()] == [("schedule", BEGUN + timedelta(seconds=5))]
    wb.run(shop.split())
    rest(either)
    split = either.invocations(method="split")
    assert [(x.how, x.state) for x in split] == [("call", "finished"), ("fork", "finished")]
    assert split[0].seq == split[1].seq
    assert split[1].agent_id == either.agents()[1].agent_id
    wb.run(shop.revert(invocations=1))
    assert [x.reverted for x in either.invocations(shop)] == [False, True]
    wb.run(shop.delete())
    wb.run(shop.sell("y"))
    assert [(x.reverted, x.deleted) for x in either.invocations(shop)] == [(False, True), (True, True), (False, False)]


def test_one_invocation_by_its_key(session: wb.Session) -> None:
    """The row found by key is the row in the list; ephemeral agents are found by the id that was called."""
    promise = wb.create_promise()
    shop = Shop.get("a")
    with pytest.raises(ValueError, match="nothing"):
        wb.run(shop.refuse.with_options(key="r")())
    shop.wait.with_options(key="w").trigger(promise)
    shop.sell.with_options(key="s", label="l").trigger("x")
    Shop.get("b").sell.with_options(key="later").schedule(1, "x")
    Once.get().wait.with_options(key="once").trigger(promise)
    rest(session)
    for key, agent in (("r", shop), ("w", shop), ("s", 'Shop("a")'), ("later", Shop.get("b").agent_id)):
        found = session.invocation(agent, key)
        assert found is not None
        assert found == session.invocations(key=key)[0]
    once = session.invocation(Once.get(), "once")
    assert once is not None
    assert (once.state, once.agent_id) == ("running", session.agents(type="Once")[0].agent_id)
    with writes_nothing(session):
        assert session.invocation("nonsense", "r") is None
        assert session.invocation(Once.get(), "never") is None
        assert session.invocation(shop, "once") is None
    wb.complete_promise(promise, b"")


def test_an_ephemeral_invocation_is_cancelled_by_the_id_that_was_called(session: wb.Session) -> None:
    """Its key leads to its agent; once it has begun there is nothing to cancel."""
    promise = wb.create_promise()
    Once.get().wait.with_options(key="k").trigger(promise)
    rest(session)
    assert session.cancel(Once.get(), "k") is False
    with pytest.raises(wb.UnknownAgentError, match="no invocation with key"):
        session.cancel(Once.get(), "other")
    wb.complete_promise(promise, b"")


def test_schedules_in_order(opened: Opener) -> None:
    """What is to come is listed, the next first, and cancelled on the session that it was listed by."""
    session = opened(":memory:")
    Shop.get("a").sell.schedule(20_000, "x")
    Shop.get("b").sell.schedule(10_000, "x")
    assert [h.agent_id for h in session.schedules()] == ['Shop("b")', 'Shop("a")']
    assert session.invocations() == []
    opened(":memory:")
    (handle,) = session.schedules(Shop.get("a"))
    assert handle.method == "sell"
    assert [handle.cancel(), handle.cancel()] == [True, False]
    assert [h.agent_id for h in session.schedules()] == ['Shop("b")']


# ---- promises --------------------------------------------------------------------------------------------------------


def test_promises_tell_who_waits_and_who_completed(either: wb.Session) -> None:
    """A row has the id to complete with, who made, holds, awaits and completed the promise, and what was ignored."""
    promise = wb.create_promise()
    Shop.get("a").wait.trigger(promise)
    Shop.get("b").wait.trigger(promise)
    rest(either)
    (row,) = either.promises()
    assert (row.promise_id, row.state, row.creator) == (promise, "pending", "Session()")
    assert (row.holders, row.waiters) == (('Shop("a")', 'Shop("b")'),) * 2
    assert (row.completer, row.ignored, row.completed, row.age, row.orphan) == ("", 0, None, 0.0, False)
    assert (row.created, "test_reading.py:" in row.line) == (BEGUN, True)
    wb.run(Shop.get("c").nap(90))
    assert wb.complete_promise(row.promise_id, b"x")
    assert not wb.complete_promise(promise, b"y")
    rest(either)
    (row,) = either.promises(state="completed")
    assert (row.state, row.waiters, row.completer, row.ignored, row.age) == ("completed", (), "Session()", 1, 90.0)
    assert row.completed == BEGUN + timedelta(seconds=90)
    assert either.promises(state="pending") == []


def test_promises_by_agent(session: wb.Session) -> None:
    """An agent's promises are those that it made, was given, or waits for."""
    Shop.get("a").hand_on.trigger("b")
    Shop.get("c").hope.trigger()
    rest(session)
    assert [x.creator for x in session.promises()] == ['Shop("a")', 'Shop("c")']
    assert [x.creator for x in session.promises(agent=Shop.get("a"))] == ['Shop("a")']
    assert [x.creator for x in session.promises(agent=Shop.get("b"))] == ['Shop("a")']
    assert [x.creator for x in session.promises(agent='Shop("c")')] == ['Shop("c")']
    assert session.promises(agent="Session()") == []


@pytest.mark.parametrize("as_text", [False, True])
def test_holders_are_found_in_what_they_were_given(session: wb.Session, as_text: bool) -> None:  # noqa: FBT001
    """An id deep in an argument, or as text, makes its receiver a holder; so does a result, for cells."""
    Shop.get("a").hand_on.trigger("b", as_text=as_text)
    rest(session)
    (row,) = session.promises()
    assert (row.holders, row.orphan) == (('Shop("b")',), False)
    wb.run(Shop.get("c").give())
    assert session.promises()[1].holders == ("Session()",)


def test_orphans(session: wb.Session) -> None:
    """A promise whose id nobody was given but the agent that waits for it is an orphan, until somebody has it."""
    Shop.get("lonely").hope.trigger()
    Shop.get("planned").promise_later.trigger("x")
    Shop.get("handed").hand_on.trigger("keeper")
    until(lambda: len(session.agents(status="suspended")) == 3)
    assert {x.creator: x.orphan for x in session.promises()} == {
        'Shop("lonely")': True, 'Shop("planned")': False, 'Shop("handed")': False,
    }  # fmt: skip
    wb.run(Shop.get("keeper").delete())
    assert {x.creator for x in session.promises() if x.orphan} == {'Shop("lonely")', 'Shop("handed")'}
    wb.complete_promise(session.promises(agent=Shop.get("lonely"))[0].promise_id, b"found")
    assert wb.run(session.result('Shop("lonely")'), PATIENCE) == "found"
    assert not session.promises(agent=Shop.get("lonely"))[0].orphan


def test_promises_of_deleted_agents_are_gone(session: wb.Session) -> None:
    """They can be completed no more, so they are not listed."""
    Shop.get("a").hope.trigger()
    rest(session)
    wb.run(Shop.get("a").delete())
    assert session.promises() == []


# ---- oplogs ----------------------------------------------------------------------------------------------------------


def test_an_oplog_is_searched(either: wb.Session) -> None:
    """A search narrows the oplog; the agent may be given as client, id or text; a wrong search says where."""
    shop = Shop.get("a")
    wb.run(shop.sell("eu west"))
    wb.run(shop.sell("us east"))
    assert either.oplog(shop) == either.oplog(shop.agent_id) == either.oplog('Shop( "a" )') == either.oplog(shop, "")
    found = either.oplog(shop, 'method:sell kind:InvocationStarted not "eu west"')
    assert [x.index for x in found] == [4]
    assert [x.kind for x in either.oplog(shop, '"us east sold"')] == ["InvocationFinished"]
    with pytest.raises(SearchError, match="character 7, before 'kind:Nonsense'"):
        either.oplog(shop, "eu or kind:Nonsense")
    with pytest.raises(SearchError, match="never closed"):
        either.oplog("nobody", "(a")


# ---- graphs ----------------------------------------------------------------------------------------------------------


def test_graph_attributes(either: wb.Session) -> None:
    """Nodes and edges have the attributes that the docstring names, and no others."""
    promise = wb.create_promise()
    Shop.get("a").ask.trigger("b", promise)
    wb.run(Shop.get("f").split())
    rest(either)
    graph = either.graph()
    assert graph.nodes['Shop("a")'] == {
        "type": "Shop", "status": "running", "method": "ask", "queued": 0, "finished": 0, "raised": 0, "entries": 3,
        "ephemeral": False,
    }  # fmt: skip
    edge = graph.edges['Shop("a")', 'Shop("b")']
    assert set(edge) == {"kind", "waits_for", "since", "line", "waits"}
    assert (edge["kind"], edge["waits_for"], edge["waits"], edge["since"]) == ("spawn", "call wait", 1, EPOCH)
    assert graph.edges['Shop("b")', "Session()"]["kind"] == "wait"
    assert graph.edges["Session()", 'Shop("a")'] == {"kind": "spawn"}
    (fork,) = [agent.agent_id for agent in either.agents() if agent.forked_from]
    assert graph.edges['Shop("f")', fork] == {"kind": "fork", "cut": 3}
    for name in (*graph.nodes["Session()"], *edge, "cut"):
        assert f"`{name}`" in (wb.Session.graph.__doc__ or "")


def test_a_fork_tree_keeps_deleted_sources(either: wb.Session) -> None:
    """A deleted source stays in the tree as long as a fork of it lives, apart from an agent that has its id again."""
    shop = Shop.get("a")
    wb.run(shop.split())
    rest(either)
    (fork,) = [agent.agent_id for agent in either.agents() if agent.forked_from]
    assert list(either.fork_tree().edges(data=True)) == [('Shop("a")', fork, {"cut": 3})]
    wb.run(shop.delete())
    tree = either.fork_tree()
    assert list(tree.edges) == [('Shop("a")', fork)]
    assert tree.nodes['Shop("a")']["status"] == "exited"
    assert 'Shop("a")' not in either.graph()
    wb.run(shop.split())
    rest(either)
    tree = either.fork_tree()
    old = next(iter(tree.predecessors(fork)))
    assert old.startswith('Shop("a")#')
    assert tree.nodes[old]["status"] == "exited"
    assert tree.nodes['Shop("a")']["status"] == "idle"
    for agent in either.agents():
        wb.run(either_client(agent.agent_id).delete())
    assert list(either.fork_tree()) == []


def either_client(agent_id: str) -> Any:
    """A client of an agent in a list."""
    from workbench.runtime.client import client_of

    return client_of(agent_id)


# ---- copies ----------------------------------------------------------------------------------------------------------


def test_an_export_opens_by_itself(either: wb.Session, opened: Opener, tmp_path: Path) -> None:
    """A copy made while the session goes on holds all that was acknowledged, and its agents go on in it."""
    promise = wb.create_promise()
    Shop.get("a").wait.trigger(promise)
    wb.run(Shop.get("b").sell("x"))
    copy = either.export(tmp_path / "copy.db")
    before = log_of(either)
    assert copy == tmp_path / "copy.db"
    wb.run(Shop.get("b").sell("y"))
    with pytest.raises(wb.StoreError, match="exists"):
        either.export(copy)
    other = opened(copy, clock=SimulatedClock(7))
    assert log_of(other)[: len(before)] == before
    assert wb.complete_promise(promise, b"in the copy")
    assert wb.run(other.result('Shop("a")'), PATIENCE) == "in the copy"
    assert either.promises()[0].state == "pending"
    other.close()


# ---- where it may be asked -------------------------------------------------------------------------------------------

READS: dict[str, Callable[[wb.Session], object]] = {
    "agents": lambda s: s.agents(),
    "agent_ids": lambda s: s.agent_ids(),
    "invocations": lambda s: s.invocations(),
    "invocation": lambda s: s.invocation("Shop()", "k"),
    "schedules": lambda s: s.schedules(),
    "promises": lambda s: s.promises(),
    "oplog": lambda s: s.oplog("Shop()"),
    "sql": lambda s: s.sql("SELECT 1"),
    "export": lambda s: s.export("/nowhere/x.db"),
    "graph": lambda s: s.graph(),
    "fork_tree": lambda s: s.fork_tree(),
    "why": lambda s: s.why("Shop()"),
    "cancel": lambda s: s.cancel("Shop()", "k"),
    "read": lambda s: s.read(lambda state: state.seq),
}


@pytest.mark.parametrize("name", READS)
def test_agents_may_not_read_the_session(session: wb.Session, name: str) -> None:
    """Asked by agent code, each is refused and says to ask in a step; nothing is written for it."""

    @wb.agent
    class Nosy:
        def ask(self) -> str:
            try:
                READS[name](session)
            except wb.NotInAgentError as error:
                return str(error)
            return "answered"

    told = wb.run(Nosy.get().ask(), PATIENCE)
    assert "step" in told
    assert [x.kind for x in session.oplog("Nosy()")] == ["AgentCreated", "InvocationStarted", "InvocationFinished"]


def test_steps_may_read_the_session(either: wb.Session) -> None:
    """In a step the answer is recorded; a plain one and an async one may ask."""

    async def ask() -> int:
        return len(either.agents()) + len(either.promises()) + len(either.invocations())

    @wb.agent
    class Asks:
        async def run(self) -> list[int]:
            return [await wb.step(lambda: len(either.agents())), await wb.step(ask)]

    assert wb.run(Asks.get().run(), PATIENCE) == [1, 2]
    either.simulate_crash()
    assert wb.run(either.result("Asks()")) == [1, 2]


def test_a_closed_session_says_so(opened: Opener, tmp_path: Path) -> None:
    """Reading a session that was closed is an error in words, for each kind of read."""
    session = opened(tmp_path / "a.db")
    session.close()
    for name, read in READS.items():
        if name != "cancel":
            with pytest.raises(wb.SessionClosedError):
                read(session)


def test_a_graph_of_the_past_is_what_the_graph_was_then(session: wb.Session) -> None:
    """`graph(at=)` and `fork_tree(at=)` give what they gave when that entry was the newest."""
    seen = []
    for number in range(3):
        wb.run(Shop.get(str(number)).sell("tea"))
        seen.append((session.feed.committed, session.graph(), session.fork_tree()))
    for at, graph, forks in seen:
        then = session.graph(at=at)
        assert dict(then.nodes(data=True)) == dict(graph.nodes(data=True))
        assert list(then.edges(data=True)) == list(graph.edges(data=True))
        assert list(session.fork_tree(at=at)) == list(forks)
    assert list(session.graph(at=0)) == []
    assert list(session.graph(at=10**9)) == list(session.graph())
