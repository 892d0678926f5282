# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""`read_only=True`: a store in use elsewhere, at rest, copied or sent, is read and never run or changed."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, log_of
from workbench.core.state import State
from workbench.model import entries as e
from workbench.model.agent_type import registry
from workbench.model.entries import Entry
from workbench.runtime.opening import present_session
from workbench.store.log import SqliteLog
from workbench.testing import SimulatedClock, dump

effects: list[int] = []


def effect(n: int) -> int:
    """What must not happen while a store is only read."""
    effects.append(n)
    return n


@wb.agent
class Desk:
    """Waits for a promise, then has an effect."""

    def __init__(self, n: int = 0) -> None:
        effect(n)

    async def wait(self, promise: wb.PromiseId) -> int:
        await wb.await_promise(promise)
        return await wb.step(effect, 1)

    def add(self, n: int) -> int:
        return n + 1

    def fail(self) -> None:
        raise KeyError("gone")

    async def split(self) -> str:
        return type(wb.fork()).__name__


@pytest.fixture
def store(opened: Opener, tmp_path: Path) -> Path:
    """A store at rest with a finished, a failed, a waiting and a forked agent in it."""
    path = tmp_path / "kept" / "a.db"
    with opened(path, clock=SimulatedClock()) as session:
        Desk.get(1).wait.trigger(wb.create_promise())
        wb.run(Desk.get(2).add.with_options(key="k")(1))
        with pytest.raises(KeyError):
            wb.run(Desk.get(3).fail())
        wb.run(Desk.get(4).split())
        Desk.get(5).add.schedule(-1, 4)
        wb.run(session.at_rest(), PATIENCE)
    with opened(path):  # in real time, in which this is far away
        Desk.get(6).add.schedule(100_000_000, 4)
    (path.parent / "a.db.lock").unlink()
    effects.clear()
    return path


def everything(session: wb.Session) -> list[object]:
    """All that can be read, in a form that can be compared."""
    graph, tree = session.graph(), session.fork_tree()
    return [
        session.agents(),
        session.invocations(),
        session.invocation(Desk.get(2), "k"),
        [p._replace(age=0) for p in session.promises()],
        [session.oplog(agent.agent_id) for agent in session.agents()],
        session.oplog("Desk(2)", "kind:InvocationFinished"),
        [(h.agent_id, h.method, h.due) for h in session.schedules()],
        session.sql("SELECT count(*), max(seq) FROM log"),
        (sorted(graph.nodes(data=True)), sorted(map(str, graph.edges(data=True)))),
        (sorted(tree.nodes(data=True)), sorted(tree.edges(data="cut"))),
        session.agent_ids(),
    ]


def test_all_reads_agree_with_the_owners(store: Path, opened: Opener) -> None:
    """A reader tells of a store what its owner tells of it, while the owner has it open and after."""
    owner = opened(store)
    wb.run(owner.at_rest(), PATIENCE)
    reader = opened(store, read_only=True)
    told = everything(owner)
    assert everything(reader) == told
    owner.close()
    assert everything(reader) == told
    assert [p.state for p in reader.promises()] == ["pending"]
    assert reader.why(Desk.get(1)).roots


def test_nothing_runs_and_nothing_is_left_behind(store: Path, opened: Opener) -> None:
    """No agent is loaded, no effect happens, no schedule fires, no entry, lock or other file comes into being."""
    before = store.read_bytes()
    with opened(store, read_only=True) as reader:
        everything(reader)
    assert effects == []
    assert [path.name for path in store.parent.iterdir()] == ["a.db"]
    assert store.read_bytes() == before


def test_classes_need_not_be_there(store: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no class defined the agents have the status that they would have; none is `undefined`."""
    with opened(store, read_only=True) as reader:
        defined = everything(reader)
        monkeypatch.delitem(registry._types, "Desk")
        assert [a.status for a in reader.agents()] == ["suspended", "idle", "idle", "idle", "idle", "idle"]
        monkeypatch.undo()
        assert everything(reader) == defined


WRITES: dict[str, Callable[[wb.Session], Any]] = {
    "call": lambda _: wb.run(Desk.get(2).add(1)),
    "trigger": lambda _: Desk.get(2).add.trigger(1),
    "schedule": lambda _: Desk.get(2).add.schedule(1, 1),
    "create_promise": lambda _: wb.create_promise(),
    "complete_promise": lambda s: wb.complete_promise(s.promises()[0].promise_id, b""),
    "delete": lambda _: wb.run(Desk.get(2).delete()),
    "revert": lambda _: wb.run(Desk.get(2).revert(invocations=1)),
    "fan_out": lambda _: wb.run(wb.fan_out(effect, [1])),
    "cancel": lambda s: s.cancel(Desk.get(2), "k"),
    "cancel a schedule": lambda s: s.schedules()[0].cancel(),
    "simulate_crash": lambda s: s.simulate_crash(),
    "at_rest": lambda s: wb.run(s.at_rest()),
    "result of what goes on": lambda s: wb.run(s.result("Desk(1)")),
    "thread": lambda s: s.thread,
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.filterwarnings("ignore:<call .* was never awaited")
def test_whatever_writes_is_refused(store: Path, opened: Opener, name: str) -> None:
    """As the default session, it refuses each with what to do; the store stays as it is."""
    before = store.read_bytes()
    with opened(store, read_only=True) as reader:
        assert wb.session() is reader
        with pytest.raises(wb.StoreReadOnlyError, match=r"wb\.start\(path\)"):
            WRITES[name](reader)
    assert store.read_bytes() == before


def test_promises_are_read(opened: Opener, tmp_path: Path) -> None:
    """The state of a promise and the payload of a completed one can be had; to wait for one is refused in words."""
    path = tmp_path / "a.db"
    with opened(path):
        done, pending = wb.create_promise(), wb.create_promise()
        wb.complete_promise_json(done, {"n": 1})
    with opened(path, read_only=True) as reader:
        assert wb.session() is reader
        assert [wb.promise_state(p) for p in (done, pending)] == ["completed", "pending"]
        assert wb.run(wb.await_promise(done)) == wb.blocking_await_promise(done) == b'{"n":1}'
        assert wb.run(wb.await_promise_json(done)) == wb.blocking_await_promise_json(done) == {"n": 1}
        with pytest.raises(wb.StoreReadOnlyError, match=r"it is pending.* wb\.start\(path\)"):
            wb.blocking_await_promise(pending)
        unknown = wb.PromiseId(done.agent, done.incarnation, 99)
        for look in (wb.promise_state, wb.blocking_await_promise):
            with pytest.raises(wb.PromiseNotFound):
                look(unknown)


def test_results_are_read(store: Path, opened: Opener) -> None:
    """What an agent's last invocation came to is there, an error too; an agent that there is not has none."""
    with opened(store, read_only=True) as reader:
        assert wb.run(reader.result(Desk.get(2).agent_id)) == 2
        with pytest.raises(KeyError):
            wb.run(reader.result("Desk(3)"))
        with pytest.raises(LookupError, match="no such agent"):
            wb.run(reader.result("Desk(99)"))
        assert wb.run(Desk.get(1).status()) == "suspended"
        assert wb.run(Desk.get(99).status()) == "idle"


def test_which_session_is_the_default(store: Path, opened: Opener, tmp_path: Path) -> None:
    """A reader is the default session only where there is none, and never takes that place from one that works."""
    assert present_session() is None
    reader = opened(store, read_only=True)
    assert present_session() is reader
    worker = opened(tmp_path / "b.db")
    assert wb.session() is worker
    assert opened(store, read_only=True) is reader
    assert wb.session() is worker
    reader.close()
    assert wb.session() is worker
    again = opened(store, read_only=True)
    assert again is not reader
    assert wb.run(Desk.get().add(1)) == 2


def test_a_reader_and_the_owner_in_one_process(store: Path, opened: Opener) -> None:
    """The owner goes on, the reader sees each commit at its next look, and neither disturbs the other."""
    owner = opened(store)
    reader = opened(store, read_only=True)
    rung: list[int] = []
    reader.feed.subscribe(lambda: rung.append(reader.feed.committed))
    for n in range(3):
        before = reader.feed.committed
        assert wb.run(Desk.get(7).add(n)) == n + 1
        assert reader.refresh() > 0
        assert reader.feed.read(before) == log_of(owner)[before:]
        assert reader.refresh() == 0
        assert [x.finished for x in reader.agents(name="Desk(7)")] == [n + 1]
    assert rung == sorted(set(rung))
    assert owner.refresh() == 0
    reader.close()
    assert wb.run(Desk.get(7).add(5)) == 6
    assert reader.closed
    with pytest.raises(wb.SessionClosedError):
        reader.agents()
    with pytest.raises(wb.SessionClosedError):
        reader.thread  # noqa: B018 - asking is the point


OWNER = """
    import sys, workbench as wb
    @wb.agent
    class Counter:
        def __init__(self) -> None:
            self.n = 0
        def bump(self) -> int:
            self.n += 1
            return self.n
    with wb.start(sys.argv[1]) as session:
        for line in sys.stdin:
            print(wb.run(Counter.get().bump()), flush=True)
"""


@contextlib.contextmanager
def owner_elsewhere(path: Path) -> Iterator[Callable[[], int]]:
    """Another process that owns a store; each call has it do something there."""
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = process.stdout

        def bump() -> int:
            print(file=process.stdin, flush=True)
            return int(told.readline())

        yield bump
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_a_store_that_another_process_has_open(opened: Opener, tmp_path: Path) -> None:
    """Another process's live store is read, each commit of it; its class is unknown here, and the owner is unharmed."""
    path = tmp_path / "live.db"
    with owner_elsewhere(path) as bump:
        assert bump() == 1
        with pytest.raises(wb.StoreInUseError, match="read_only=True"):
            opened(path)
        reader = opened(path, read_only=True)
        for n in range(2, 6):
            assert bump() == n
            (row,) = reader.agents()
            assert (row.agent_id, row.status, row.finished) == ("Counter()", "idle", n)
            assert len(reader.invocations(state="finished")) == n
            assert reader.sql("SELECT count(*) FROM log") == [(reader.feed.committed,)]
        copy = reader.export(tmp_path / "copy.db")
        assert bump() == 6
    assert reader.agents()[0].finished == 6
    with opened(copy, read_only=True) as other:
        assert other.agents()[0].finished == 5


def test_many_threads_read_one_reader(store: Path, opened: Opener) -> None:
    """Asked from many threads at once while the owner writes, each answer is of one moment."""
    owner = opened(store)
    reader = opened(store, read_only=True)
    wrong: list[object] = []

    def look() -> None:
        for _ in range(20):
            seq, finished = reader.read(lambda state: (state.seq, [a.finished for a in state.agents.values()]))
            then = State().fold(owner._log.read(0, seq))
            if finished != [agent.finished for agent in then.agents.values()]:
                wrong.append(seq)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(50):
        wb.run(Desk.get(7).add(n))
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert reader.read(dump) == dump(State().fold(log_of(owner)))


@pytest.mark.parametrize(
    ("options", "told"),
    [({"fresh": True}, "to begin a new store is to write"), ({"path": ":memory:"}, "nothing to read")],
)
def test_what_cannot_be_opened_to_read(store: Path, opened: Opener, options: dict[str, Any], told: str) -> None:
    """A fresh store and one that keeps nothing have nothing to read, and the error says so."""
    with pytest.raises(wb.StoreReadOnlyError, match=told):
        opened(options.pop("path", store), read_only=True, **options)
    with pytest.raises(wb.StoreError, match="no such file"):
        opened(store.with_name("absent.db"), read_only=True)
    assert not store.with_name("absent.db").exists()


def test_a_store_that_no_session_wrote(tmp_path: Path, opened: Opener) -> None:
    """A log whose chain holds and whose entries make no sense is refused as corrupt, by entry."""
    log = SqliteLog(tmp_path / "odd.db", "salt")
    made = e.AgentCreated("Session()", "Session", 0)
    log.append([Entry(1, 1, 1, 0, 0, 1, 1, "", made), Entry(2, 9, 1, 0, 0, 1, 1, "", e.AgentResumed())])
    log.close()
    with pytest.raises(wb.StoreCorruptError, match=r"entry 2 .* does not follow"):
        opened(tmp_path / "odd.db", read_only=True)


def test_a_store_that_goes_on_without_sense(tmp_path: Path, opened: Opener) -> None:
    """New entries that make no sense are refused by each question from then on: half a fold answers nothing."""
    log = SqliteLog(tmp_path / "odd.db", "salt")
    log.append([Entry(1, 1, 1, 0, 0, 1, 1, "", e.AgentCreated("Session()", "Session", 0))])
    reader = opened(tmp_path / "odd.db", read_only=True)
    assert reader.agents() == []
    log.append([Entry(2, 9, 1, 0, 0, 1, 1, "", e.AgentResumed()), Entry(3, 1, 2, 0, 0, 1, 1, "", e.AgentResumed())])
    log.close()
    for _ in range(2):
        with pytest.raises(wb.StoreCorruptError, match="entry 2"):
            reader.agents()


def test_a_changed_store_is_noticed(store: Path, opened: Opener) -> None:
    """An entry that was changed on disk is named when the store is opened to read."""
    with contextlib.closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE log SET wall = wall + 1 WHERE seq = 5")
    with pytest.raises(wb.StoreCorruptError, match="entry 5"):
        opened(store, read_only=True)


def test_reading_from_inside_an_agent_is_refused(store: Path, opened: Opener, tmp_path: Path) -> None:
    """A reader of another store is no part of what an agent's oplog holds, so agents may not ask it either."""
    reader = opened(store, read_only=True)
    opened(tmp_path / "b.db")

    @wb.agent
    class Curious:
        def look(self) -> str:
            try:
                reader.agents()
            except wb.NotInAgentError as error:
                return error.do
            return "answered"

        async def in_a_step(self) -> int:
            return len(await wb.step(reader.agent_ids))

    assert "wb.step" in wb.run(Curious.get().look(), PATIENCE)
    assert wb.run(Curious.get().in_a_step(), PATIENCE) == 7
