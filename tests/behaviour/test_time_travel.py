# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Revert and fork at an index: what is taken back, what is not, and where it is refused."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import kinds, until
from tests.behaviour.test_lifecycle import begun
from workbench.core.nouns import Agent
from workbench.model import entries as e
from workbench.model.agent_type import AgentType
from workbench.runtime.engine import Engine
from workbench.runtime.instance import Instance


@wb.agent
class Counter:
    """Counts, waits, calls, fails."""

    def __init__(self, name: str = "c") -> None:
        self.name = name
        self.total = 0
        self.seen: list[str] = []

    def add(self, n: int) -> int:
        self.total += n
        return self.total

    def look(self) -> list[Any]:
        return [self.total, self.seen]

    async def hear(self, promise: wb.PromiseId) -> int:
        self.seen.append("before")
        payload: bytes = await wb.await_promise(promise)
        self.seen.append(payload.decode())
        self.total += 100
        return self.total

    async def tell(self, other: str, n: int) -> int:
        answer: int = await Counter.get(other).add(n)
        self.total += answer
        return answer

    async def chain(self, promise: wb.PromiseId) -> str:
        first = wb.create_promise()
        wb.complete_promise(first, b"own")
        self.seen.append((await wb.await_promise(first)).decode())
        await Counter.get("side").add(1)
        self.seen.append("called")
        self.seen.append((await wb.await_promise(promise)).decode())
        return ",".join(self.seen)

    def fail(self) -> None:
        raise ValueError("on purpose")

    async def two(self, promise: wb.PromiseId) -> list[str]:
        match wb.fork():
            case wb.Original():
                self.seen.append("original")
            case wb.Forked():
                self.seen.append("forked")
        self.seen.append((await wb.await_promise(promise)).decode())
        return self.seen

    async def back(self, other: str, n: int) -> int:
        kept: int = await Counter.get(other).revert(invocations=n)
        return kept

    async def clone(self, other: str, at: int) -> str:
        fork = await Counter.get(other).fork(at=at)
        return str(fork.agent_id)


def index_of(session: wb.Session, agent: object, kind: str, number: int = -1) -> int:
    """Index of one entry of a kind in an agent's oplog; the last by default."""
    return [x.index for x in session.oplog(str(agent)) if x.kind == kind][number]


C = 'Counter("c")'


# ---- revert ---------------------------------------------------------------------------------------------------------


def test_revert_to_an_index_restores_the_state_of_then(either: wb.Session) -> None:
    """State, counts and result are those of the index; the entries after it count no longer."""
    counter = Counter.get("c")
    for n in (1, 2, 3):
        wb.run(counter.add(n))
    at = index_of(either, C, "InvocationFinished", 1)
    assert wb.run(counter.revert(to=at)) == at
    assert wb.run(counter.look()) == [3, []]
    assert wb.run(counter.add(10)) == 13
    assert max(x.index for x in either.oplog(C) if x.index <= at) == at
    assert either.agents()[0].finished == 4


@pytest.mark.parametrize(("number", "total"), [(1, 3), (2, 1), (3, 0)])
def test_revert_takes_back_the_last_invocations(either: wb.Session, number: int, total: int) -> None:
    """`invocations=n` takes back the last n."""
    counter = Counter.get("c")
    for n in (1, 2, 3):
        wb.run(counter.add(n))
    wb.run(counter.revert(invocations=number))
    assert wb.run(counter.look()) == [total, []]


def test_revert_does_not_undo_others(either: wb.Session) -> None:
    """A call made before the revert stays done at its target."""
    wb.run(Counter.get("c").tell("d", 5))
    wb.run(Counter.get("c").revert(invocations=1))
    assert wb.run(Counter.get("d").look()) == [5, []]
    assert wb.run(Counter.get("c").look()) == [0, []]


def test_reverts_on_reverts(either: wb.Session) -> None:
    """A revert may lie on another, and an index that one dropped is refused."""
    counter = Counter.get("c")
    ends = []
    for n in (1, 2, 4, 8):
        wb.run(counter.add(n))
        ends.append(index_of(either, C, "InvocationFinished"))
    wb.run(counter.revert(to=ends[2]))
    wb.run(counter.add(100))
    wb.run(counter.revert(to=ends[1]))
    assert wb.run(counter.look()) == [3, []]
    with pytest.raises(wb.RefusedError, match="dropped by a revert"):
        wb.run(counter.revert(to=ends[2]))
    wb.run(counter.revert(to=ends[0]))
    assert wb.run(counter.add(0)) == 1


def test_a_failed_agent_is_usable_again(opened: Opener) -> None:
    """An agent that stopped by divergence works again after a revert to before it."""
    session = opened(":memory:")
    wb.run(Counter.get("c").add(1))
    at = index_of(session, C, "InvocationFinished")
    with pytest.raises(ValueError, match="on purpose"):
        wb.run(Counter.get("c").fail())
    engine, uid = session.thread.engine, session.thread.state.by_id[C]
    session.thread.ask(lambda: engine._fail(uid, engine.slot(uid), OSError("x"))).result()
    assert wb.run(Counter.get("c").status()) == "failed"
    with pytest.raises(wb.RefusedError, match="had failed by then"):
        wb.run(Counter.get("c").revert(to=index_of(session, C, "AgentFailed")))
    wb.run(Counter.get("c").revert(to=at))
    assert wb.run(Counter.get("c").status()) == "idle"
    assert wb.run(Counter.get("c").add(1)) == 2


def test_revert_into_an_invocation_runs_it_on_from_there(either: wb.Session) -> None:
    """Reverted into the middle of a finished invocation, the agent waits again where it stood."""
    promise = wb.create_promise()
    running = begun(either, C, Counter.get("c").hear(promise))
    at = index_of(either, C, "PromiseAwaited")
    wb.complete_promise(promise, b"told")
    assert running.result(10) == 100
    wb.run(Counter.get("c").add(1))
    wb.run(Counter.get("c").revert(to=at))
    wb.run(either.at_rest())
    assert wb.run(either.result(C)) == 100
    assert wb.run(Counter.get("c").look()) == [100, ["before", "told"]]


def test_what_runs_on_after_a_revert_draws_anew(opened: Opener) -> None:
    """Taken back to the middle of an invocation, an agent gets new phantoms, keys and chance, also after a crash."""
    session = opened(":memory:")
    looked: list[str] = []

    def look(item: str) -> str:
        looked.append(item)
        return item

    @wb.agent
    class Drawer:
        async def go(self, gate: wb.PromiseId) -> list[Any]:
            early = wb.random()
            await wb.await_promise(gate)
            fresh = await Counter.new_phantom("x").add(1)
            async with wb.atomically():
                in_region = await Counter.get("region").add(1)
            await wb.fan_out(look, ["a"])
            return [early, fresh, in_region, wb.idempotency_key(), str(wb.uuid4())]

    gate = wb.create_promise()
    running = begun(session, "Drawer()", Drawer.get().go(gate))
    at = index_of(session, "Drawer()", "PromiseAwaited")
    wb.complete_promise(gate, b"")
    first = running.result(10)
    wb.run(Drawer.get().revert(to=at))
    wb.run(session.at_rest())
    second = wb.run(session.result("Drawer()"))
    assert second[0] == first[0]
    assert [second[1], second[2], looked] == [1, 2, ["a", "a"]]
    assert not set(first[3:]) & set(second[3:])
    session.simulate_crash()
    wb.run(session.at_rest())
    assert wb.run(session.result("Drawer()")) == second
    assert wb.run(Drawer.get().status()) == "idle"
    wb.run(Drawer.get().go(gate))  # replays all of it first
    assert wb.run(Drawer.get().status()) == "idle"
    wb.run(Drawer.get().revert(to=at))
    wb.run(session.at_rest())
    third = wb.run(session.result("Drawer()"))
    assert [third[0], third[1]] == [first[0], 1]
    assert not set(third[3:]) & {*first[3:], *second[3:]}


def test_the_caller_of_a_dropped_invocation_hears_of_it(either: wb.Session) -> None:
    """Who awaits an invocation that is taken back gets `AgentRevertedError`; what is queued is served."""
    promise = wb.create_promise()
    wb.run(Counter.get("c").add(1))
    running = begun(either, C, Counter.get("c").hear(promise))
    queued = Counter.get("c").add(5).submit()
    until(lambda: either.agents()[0].queued == 1)
    wb.run(Counter.get("c").revert(invocations=1))
    with pytest.raises(wb.AgentRevertedError):
        running.result(10)
    assert queued.result(10) == 6


def test_keys_of_dropped_invocations_are_free(either: wb.Session) -> None:
    """The key of an invocation that was taken back runs anew; earlier keys keep their outcome."""
    counter = Counter.get("c")
    wb.run(counter.add.with_options(key="one")(1))
    wb.run(counter.add.with_options(key="two")(2))
    wb.run(counter.revert(invocations=1))
    assert wb.run(counter.add.with_options(key="one")(1)) == 1
    assert wb.run(counter.add.with_options(key="two")(20)) == 21


def test_promises_made_after_the_index_are_dead(either: wb.Session) -> None:
    """A promise that was taken back ends for who waits for it."""
    promise = wb.run(Maker.get().make())
    waiting = begun(either, C, Counter.get("c").hear(promise))
    wb.run(Maker.get().revert(invocations=1))
    with pytest.raises((wb.AgentRevertedError, wb.PromiseNotFound)):
        waiting.result(10)
    with pytest.raises(wb.PromiseNotFound):
        wb.complete_promise(promise, b"")


@wb.agent
class Maker:
    """Makes promises."""

    def make(self) -> wb.PromiseId:
        return wb.create_promise()


def test_where_a_revert_is_refused(either: wb.Session) -> None:
    """Inside an open call, below 2 and beyond the end: refused with the reason and the nearest index that will do."""
    promise = wb.create_promise()
    begun(either, C, Counter.get("c").chain(promise))
    made = index_of(either, C, "CallMade")
    for index, why in (
        (made, f"inside the call made at index {made}"),
        (1, "2 or more"),
        (0, "2 or more"),
        (999, "ends at index"),
    ):
        with pytest.raises(wb.RefusedError, match=why):
            wb.run(Counter.get("c").revert(to=index))
    with pytest.raises(wb.RefusedError, match="it has begun 1"):
        wb.run(Counter.get("c").revert(invocations=2))
    for wrong in ({}, {"to": 3, "invocations": 1}, {"to": "3"}, {"to": 2.5}, {"invocations": True}):
        with pytest.raises(wb.AgentTypeError):
            wb.run(Counter.get("c").revert(**wrong))  # type: ignore[arg-type]
    wb.complete_promise(promise, b"x")


def test_every_index_reverts_or_is_refused_and_the_rest_is_the_same(opened: Opener) -> None:
    """For each index of a history: revert there, run on, and come to the same result as before."""
    session = opened(":memory:")
    promise = wb.create_promise()
    wb.complete_promise(promise, b"end")
    want = wb.run(Counter.get("c").chain(promise))
    last = index_of(session, C, "InvocationFinished")
    done = 0
    for at in range(2, last):
        name = f"n{at}"
        assert wb.run(Counter.get(name).chain(promise)) == want
        try:
            wb.run(Counter.get(name).revert(to=at))
        except wb.RefusedError:
            continue
        wb.run(session.at_rest())
        assert wb.run(session.result(f'Counter("{name}")')) == want
        done += 1
    assert done >= 6


def test_reverts_survive_crashes_and_restarts(opened: Opener, tmp_path: Any) -> None:
    """The reverted state is what a later process finds."""
    path = tmp_path / "s.db"
    first = opened(path)
    for n in (1, 2, 3):
        wb.run(Counter.get("c").add(n))
    wb.run(Counter.get("c").revert(invocations=2))
    first.simulate_crash()
    assert wb.run(Counter.get("c").look()) == [1, []]
    first.close()
    opened(path)
    assert wb.run(Counter.get("c").add(1)) == 2


def test_an_agent_reverts_another(session: wb.Session) -> None:
    """From agent code, recorded and not done again on replay."""
    for n in (1, 2):
        wb.run(Counter.get("d").add(n))
    wb.run(Counter.get("c").back("d", 1))
    assert wb.run(Counter.get("d").add(5)) == 6
    session.simulate_crash()
    wb.run(Counter.get("c").add(1))
    assert wb.run(Counter.get("d").look()) == [6, []]


# ---- fork at an index -----------------------------------------------------------------------------------------------


def test_a_fork_of_an_idle_agent_at_an_index(either: wb.Session) -> None:
    """The fork has the state of the index, a phantom id of its own, and goes its own way."""
    counter = Counter.get("c")
    for n in (1, 2, 3):
        wb.run(counter.add(n))
    fork = wb.run(counter.fork(at=index_of(either, C, "InvocationFinished", 1)))
    assert fork.phantom_id is not None
    assert wb.run(fork.look()) == [3, []]
    assert wb.run(fork.add(10)) == 13
    assert wb.run(counter.look()) == [6, []]


def test_a_fork_inside_a_past_invocation_runs_it_on(either: wb.Session) -> None:
    """At an index inside an invocation the fork goes on in it; its result goes to its own oplog."""
    promise = wb.create_promise()
    running = begun(either, C, Counter.get("c").hear(promise))
    fork = wb.run(Counter.get("c").fork(at=index_of(either, C, "PromiseAwaited")))
    wb.complete_promise(promise, b"both")
    assert running.result(10) == 100
    wb.run(either.at_rest())
    assert wb.run(either.result(fork.agent_id)) == 100
    assert wb.run(fork.look()) == [100, ["before", "both"]]


def test_a_fork_never_runs_its_sources_queue(either: wb.Session) -> None:
    """What is queued at the source is not the fork's."""
    promise = wb.create_promise()
    begun(either, C, Counter.get("c").hear(promise))
    queued = Counter.get("c").add(7).submit()
    until(lambda: either.agents()[0].queued == 1)
    fork = wb.run(Counter.get("c").fork(at=index_of(either, C, "PromiseAwaited")))
    wb.complete_promise(promise, b"x")
    assert queued.result(10) == 107
    wb.run(either.at_rest())
    assert wb.run(fork.look()) == [100, ["before", "x"]]


def test_a_fork_of_an_interrupted_agent_runs(either: wb.Session) -> None:
    """The fork goes on; the source stays interrupted."""
    promise = wb.create_promise()
    begun(either, C, Counter.get("c").hear(promise))
    at = index_of(either, C, "PromiseAwaited")
    wb.run(Counter.get("c").interrupt())
    fork = wb.run(Counter.get("c").fork(at=at))
    assert wb.run(Counter.get("c").status()) == "interrupted"
    assert wb.run(fork.status()) == "suspended"
    wb.complete_promise(promise, b"x")
    wb.run(either.at_rest())
    assert wb.run(either.result(fork.agent_id)) == 100


def test_deleting_the_source_leaves_the_fork_working(either: wb.Session) -> None:
    """The shared past is still the fork's, after a crash too."""
    counter = Counter.get("c")
    for n in (1, 2, 3):
        wb.run(counter.add(n))
    fork = wb.run(counter.fork(at=index_of(either, C, "InvocationFinished", 1)))
    wb.run(counter.delete())
    either.simulate_crash()
    assert wb.run(fork.add(1)) == 4
    assert wb.run(counter.look()) == [0, []]


def test_forks_of_forks_and_reverts_across_the_cut(either: wb.Session) -> None:
    """A fork of a fork shares through both; a fork may be reverted into its source's part."""
    counter = Counter.get("c")
    ends = []
    for n in (1, 2, 4):
        wb.run(counter.add(n))
        ends.append(index_of(either, C, "InvocationFinished"))
    fork = wb.run(counter.fork(at=ends[1]))
    wb.run(fork.add(10))
    second = wb.run(fork.fork(at=index_of(either, fork.agent_id, "InvocationFinished")))
    assert wb.run(second.add(100)) == 113
    wb.run(counter.revert(to=ends[0]))
    wb.run(second.revert(to=ends[0]))
    assert wb.run(second.look()) == [1, []]
    assert wb.run(fork.look()) == [13, []]
    assert wb.run(counter.look()) == [1, []]
    either.simulate_crash()
    assert wb.run(fork.look()) == [13, []]


def test_a_fork_reverted_to_its_very_cut_is_still_the_fork(either: wb.Session) -> None:
    """Reverted to the `fork()` that made it, the fork reads it as the fork's side again."""
    promise = wb.create_promise()
    task = begun(either, C, Counter.get("c").two(promise))
    fork_id = next(a.agent_id for a in either.agents() if a.forked_from)
    cut = index_of(either, C, "ForkMade")
    wb.complete_promise(promise, b"x")
    assert task.result(10) == ["original", "x"]
    wb.run(either.at_rest())
    assert wb.run(either.result(fork_id)) == ["forked", "x"]
    fork = Counter.get_phantom(fork_id[-37:-1], "c")
    wb.run(fork.revert(to=cut))
    wb.run(either.at_rest())
    assert wb.run(either.result(fork_id)) == ["forked", "x"]
    other = wb.run(Counter.get("c").fork(at=cut))
    wb.run(either.at_rest())
    assert wb.run(either.result(other.agent_id)) == ["original", "x"]


def test_where_a_fork_is_refused(either: wb.Session) -> None:
    """Inside an open call, below 2, onto an existing id, of an unknown agent: refused with the reason."""
    promise = wb.create_promise()
    begun(either, C, Counter.get("c").chain(promise))
    made = index_of(either, C, "CallMade")
    for index in (made, 1, 0, -1, 999):
        with pytest.raises(wb.RefusedError):
            wb.run(Counter.get("c").fork(at=index))
    phantom = uuid4()
    fork = wb.run(Counter.get("c").fork(at=2, phantom_id=phantom))
    assert fork.phantom_id == phantom
    with pytest.raises(wb.RefusedError, match="exists"):
        wb.run(Counter.get("c").fork(at=2, phantom_id=phantom))
    with pytest.raises(wb.UnknownAgentError):
        wb.run(Counter.get("unknown").fork(at=2))
    wb.complete_promise(promise, b"x")


def test_an_agent_forks_another(session: wb.Session) -> None:
    """From agent code; on replay the recorded fork is answered, and there is just one."""
    for n in (1, 2):
        wb.run(Counter.get("d").add(n))
    text = wb.run(Counter.get("c").clone("d", 3))
    assert UUID(text[-37:-1]).version
    session.simulate_crash()
    wb.run(Counter.get("c").add(1))
    assert len([a for a in session.agents() if a.forked_from]) == 1


def test_a_fork_writes_one_entry(either: wb.Session) -> None:
    """Nothing is copied: a fork at an index is one entry, however long the past."""
    counter = Counter.get("c")
    for n in range(50):
        wb.run(counter.add(n))
    fork = wb.run(counter.fork(at=index_of(either, C, "InvocationFinished")))
    own = [x for x in either.oplog(fork.agent_id) if isinstance(x.body, e.AgentForked)]
    assert len(own) == 1
    assert kinds(either, fork.agent_id)[-1] == "AgentForked"


# ---- time ------------------------------------------------------------------------------------------------------------


@wb.agent
class Punctual:
    """Uses the time."""

    async def limited(self) -> list[Any]:
        began = wb.now()
        answer = await Counter.get("quick").add(1)
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(1)
        except TimeoutError:
            answer = -1
        return [answer, (wb.now() - began).total_seconds()]

    async def planned(self) -> float:
        await Counter.get("quick").add(1)
        Punctual.get().noted.schedule(5)
        return wb.now().timestamp()

    async def sleeps(self) -> list[int]:
        await Counter.get("quick").add(1)
        return [await asyncio.wait_for(nap, 60) for nap in asyncio.as_completed([self._nap(n) for n in (3, 1, 2)])]

    async def _nap(self, n: int) -> int:
        await asyncio.sleep(n)
        return n

    async def noted(self) -> None: ...

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def after_an_hour(session: wb.Session) -> None:
    """Let an hour go by."""
    wb.run(Punctual.new_phantom().pause(3600))


@pytest.mark.parametrize("way", ["fork", "revert", "fork of a fork", "revert a fork"])
def test_what_begins_after_a_cut_has_its_whole_time(either: wb.Session, way: str) -> None:
    """A time limit, a sleep and a schedule that are begun anew count from when they are, and replay so."""
    client = Punctual.get()
    assert wb.run(client.limited()) == [1, 1]
    (delivered,) = (x.index for x in either.oplog(client) if isinstance(x.body, e.CallDelivered))
    after_an_hour(either)
    for round_ in range(2 if " " in way else 1):
        if way.startswith("fork") or (not round_ and "fork" in way):
            client = wb.run(client.fork(at=delivered))
        else:
            wb.run(client.revert(to=delivered))
        assert wb.run(either.result(client.agent_id)) == [1, 1 + 3601 * (round_ + 1)]
        after_an_hour(either)
    either.simulate_crash()
    wb.run(client.pause(1))  # replays all of it
    assert wb.run(client.status()) == "idle"


def test_schedules_and_the_order_of_sleeps_after_a_cut(session: wb.Session) -> None:
    """What is scheduled after a fork fires when it says; sleeps begun together end in the order of their lengths."""
    client = Punctual.get()
    wb.run(client.planned())
    wb.run(session.at_rest())
    after_an_hour(session)
    fork = wb.run(client.fork(at=4))
    assert isinstance(session.oplog(client)[3].body, e.CallDelivered)
    now = wb.run(session.result(fork.agent_id))
    (plan,) = (x for x in session.oplog(fork) if isinstance(x.body, e.CallScheduled))
    assert plan.body.due / 1e9 == pytest.approx(now + 5)  # type: ignore[union-attr]
    assert wb.run(Punctual.get_phantom(UUID(int=7)).sleeps()) == [1, 2, 3]
    after_an_hour(session)
    fork = wb.run(Punctual.get_phantom(UUID(int=7)).fork(at=4))
    assert wb.run(session.result(fork.agent_id)) == [1, 2, 3]


def test_an_idle_fork_is_not_rebuilt_at_each_opening(either: wb.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork or a reverted agent that has nothing to go on with costs nothing until it is called."""
    client = Counter.get()
    wb.run(client.add(1))
    fork, other = wb.run(client.fork(at=3)), wb.run(client.fork(at=2))
    wb.run(client.add(1))
    wb.run(client.revert(invocations=1))
    wb.run(either.at_rest())
    assert wb.run(either.result(other.agent_id)) == 1
    rebuilt: list[str] = []
    rebuild = Engine._rebuild

    def counted(self: Engine, agent: Agent, newest: AgentType) -> Instance:
        rebuilt.append(agent.text)
        return rebuild(self, agent, newest)

    monkeypatch.setattr(Engine, "_rebuild", counted)
    either.simulate_crash()
    wb.run(either.at_rest())
    assert rebuilt == []
    assert wb.run(fork.add(1)) == wb.run(client.add(1)) == 2
    assert sorted(rebuilt) == sorted([str(fork.agent_id), str(client.agent_id)])
