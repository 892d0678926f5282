# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""The n-th operation on a store's files fails, once or from then on, for each n: no promise is broken."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

import workbench as wb
from tests.faults.disks import Disk
from tests.replay.corpus import PROGRAMS, Child
from workbench.model import entries as e
from workbench.model.agent_type import registry
from workbench.runtime import session_thread
from workbench.runtime.journal import Pace
from workbench.testing import SimulatedClock, read_log, violations

CODES = {
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "open": apsw.SQLITE_CANTOPEN,
}
"""What SQLite calls the failure of each kind of operation."""
PATIENCE = 5.0
"""Seconds after which a session counts as hung."""


class Failing:
    """Makes the n-th operation of some kinds fail, once or from then on, until somebody says that there is no room."""

    def __init__(self, n: int, kinds: Iterable[str], *, lasting: bool) -> None:
        self.n, self.kinds, self.lasting = n, frozenset(kinds), lasting
        self.passed = 0
        self.failed: list[str] = []
        self.noticed: Callable[[], bool] = lambda: False

    def __call__(self, kind: str, name: str) -> int:
        """SQLite's error code for this operation, or 0."""
        if kind not in self.kinds or self.noticed():
            return 0
        self.passed += 1
        if self.passed == self.n or (self.lasting and self.passed > self.n):
            self.failed.append(f"{kind} of {name or 'the file'}")
            return CODES[kind]
        return 0


class Told(NamedTuple):
    """What came of a run on a failing disk."""

    committed: int
    """The last entry that was told to somebody outside."""
    result: object
    error: wb.WorkbenchError | None
    """Why it did not come to its end."""


def attempt(name: str, disk: Disk, failing: Failing) -> Told:
    """Run a program; an error of ours is what may come of it, and nothing else."""
    committed = 0
    disk.fail = failing

    def told() -> None:
        nonlocal committed
        committed = session.feed.committed

    with disk.mounted():
        try:
            session = wb.start(disk.store, clock=SimulatedClock(1))
        except wb.StoreError as error:
            return Told(0, None, error)
        try:
            session.thread.journal.pace = Pace(entries=25, per_agent=0, closing=1)
            told()
            session.feed.subscribe(told)
            failing.noticed = lambda: isinstance(session.trouble, wb.StoreFullError)
            result = PROGRAMS[name](lambda *_: None)
            wb.run(session.at_rest(), timeout=PATIENCE)
        except wb.WorkbenchError as error:
            return Told(committed, None, error)
        finally:
            session.close()
        return Told(committed, result, None)


def judge(name: str, told: Told, failing: Failing, store: Path) -> list[str]:
    """What is wrong with a run on a failing disk, and with what is left of it on one that works."""
    wrong = []
    if told.error is not None and not all((told.error.what, told.error.why, told.error.do)):
        wrong.append(f"an error says too little: {told.error}")
    if told.result is None and not failing.failed:
        wrong.append(f"it failed by itself: {told.error}")
    if told.committed and isinstance(told.error, wb.StoreFullError):
        wrong.append("it did not go on when there was room again")
    with wb.start(store, clock=SimulatedClock(2)) as session:
        if session.feed.committed < told.committed:
            wrong.append(f"entry {told.committed} was told, and the log ended at {session.feed.committed}")
        wb.run(session.at_rest(), timeout=PATIENCE)
        again = PROGRAMS[name](lambda *_: None)
        if told.result is not None and again != told.result:
            wrong.append(f"the result was {told.result} and is {again}")
    wrong += violations(read_log(store))
    return [f"{text} ({failing.n}: {failing.failed[:1]})" for text in wrong]


def sweep(name: str, folder: Path, kinds: Iterable[str], step: int, *, lasting: bool) -> int:
    """Fail each n-th operation (of each so many one) until none fails; how often one did."""
    wrong: list[str] = []
    for n in itertools.count(1, step):
        store = folder / f"{n}.db"
        disk = Disk(f"failing-{n}", str(store))
        failing = Failing(n, kinds, lasting=lasting)
        told = attempt(name, disk, failing)
        wrong += judge(name, told, failing, store)
        for path in folder.iterdir():
            path.unlink()
        if not failing.failed:
            assert wrong == []
            return n // step
    raise AssertionError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held back is tried again at once."""
    monkeypatch.setattr(session_thread, "RETRY_SECONDS", 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("kind", list(CODES))
def test_an_operation_that_fails(kind: str, lasting: bool, memory: Path) -> None:  # noqa: FBT001
    """Each n-th read, write, sync, ... fails: no acknowledgement without commit, an error in words, a whole log."""
    assert sweep("join", memory, [kind], 5 if kind == "read" else 2, lasting=lasting) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_read_that_fails_while_a_fork_is_rebuilt(lasting: bool, memory: Path) -> None:  # noqa: FBT001
    """Each n-th read fails in a program with forks: what could not be read is no result of theirs."""
    assert sweep("fork_in_flight", memory, ["read"], 1, lasting=lasting) >= 10


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("name", ["promises", "steps", "try_join_with_failure", "atomic_region", "fork_in_flight"])
def test_any_operation_that_fails(name: str, lasting: bool, memory: Path) -> None:  # noqa: FBT001
    """Of more programs each n-th operation of each kind, and of any kind, fails."""
    for kinds in (*([kind] for kind in CODES), list(CODES)):
        sweep(name, memory, kinds, 1, lasting=lasting)


def test_a_failed_sync_ends_the_session(memory: Path) -> None:
    """Nothing is told after a failed sync, also when the disk works again: who calls and who looks hears why."""
    store = memory / "a.db"
    disk = Disk("no-sync", str(store))
    with disk.mounted():
        session = wb.start(store, clock=SimulatedClock(1))
        assert wb.run(Child.get("before").work(3)) == 9
        told = session.feed.committed
        disk.fail = Failing(1, ["sync"], lasting=False)
        for _ in range(2):
            with pytest.raises(wb.StoreError, match=r"could not be written: .*sync\. Check the disk, then start"):
                wb.run(Child.get("after").work(4))
        assert isinstance(session.trouble, wb.StoreError)
        assert ", stopped" in repr(session)
        assert session.feed.committed == told
        assert [a.agent_id for a in session.agents()] == ['Child("before",0)']
        with pytest.raises(wb.StoreError, match="sync"):
            session.simulate_crash()
        session.close()
    with wb.start(store, clock=SimulatedClock(2)) as session:
        assert session.trouble is None
        assert wb.run(Child.get("after").work(4)) == 16
    assert violations(read_log(store)) == []


# ---- an oplog that cannot be read ------------------------------------------------------------------------------------


@wb.agent
class Reader:
    """Does what makes the session read oplogs: its own and those of others."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.sums: list[int] = []

    async def add(self, x: int) -> int:
        self.sums.append(x)
        return sum(self.sums)

    async def wait(self, pid: wb.PromiseId) -> int:
        return await self.add(len(await wb.await_promise(pid)))

    async def part(self) -> str:
        match wb.fork():
            case wb.Original(details):
                return str(details.forked_agent_id)
            case _:
                return "forked"

    async def take_back(self, n: int) -> str:
        while True:
            try:
                await Reader.get(n).revert(to=1)
            except wb.WorkbenchError:  # as much as code can do to have it its own way
                continue
            return "taken back"


def leave_memory(session: wb.Session) -> None:
    """Have every suspended agent give its instance up."""
    session.thread.ask(lambda: session.thread.engine.put_away_suspended(1 << 62)).result()


def after_a_promise(session: wb.Session, pid: wb.PromiseId) -> None:
    """A suspended agent is rebuilt."""
    leave_memory(session)
    wb.complete_promise(pid, b"12345")
    wb.run(session.result("Reader(1)"), timeout=PATIENCE)


def after_a_fork(session: wb.Session, pid: wb.PromiseId) -> None:
    """A fork is rebuilt."""
    forked = wb.run(Reader.get(2).part(), timeout=PATIENCE)
    wb.run(session.result(forked), timeout=PATIENCE)


def reverted_by_a_cell(session: wb.Session, pid: wb.PromiseId) -> None:
    """A cell's revert looks at the oplog."""
    wb.run(Reader.get(2).revert(invocations=1), timeout=PATIENCE)


def reverted_by_an_agent(session: wb.Session, pid: wb.PromiseId) -> None:
    """So does an agent's."""
    wb.run(Reader.get(3).take_back(2), timeout=PATIENCE)


def after_a_crash(session: wb.Session, pid: wb.PromiseId) -> None:
    """The log is folded anew."""
    session.simulate_crash()


def after_an_edit(session: wb.Session, pid: wb.PromiseId) -> None:
    """The class is defined anew, and an agent's past is tried on it."""
    as_it_was = registry.get("Reader")

    @wb.agent
    class Reader:
        def __init__(self, n: int) -> None:
            self.n = n

        async def wait(self, pid: wb.PromiseId) -> int:
            return len(await wb.await_promise(pid))

    try:
        wb.run(session.at_rest(), timeout=PATIENCE)
    finally:
        registry.add(as_it_was)


@pytest.mark.parametrize(
    "reads",
    [after_a_promise, after_a_fork, reverted_by_a_cell, reverted_by_an_agent, after_a_crash, after_an_edit],
)
def test_what_cannot_be_read_is_nobodys_outcome(
    reads: Callable[[wb.Session, wb.PromiseId], None], memory: Path
) -> None:
    """An oplog that cannot be read stops the session for all who wait, nothing of it is recorded, and all goes on."""
    store = memory / "a.db"
    disk = Disk("unreadable", str(store))
    with disk.mounted():
        session = wb.start(store, clock=SimulatedClock(1))
        pid, other = wb.create_promise(), wb.create_promise()
        Reader.get(1).wait.with_options(key="k").trigger(pid)
        assert [wb.run(Reader.get(2).add(2)) for _ in range(2)] == [2, 4]
        wb.run(session.at_rest())
        waiting = [wb.await_promise(other).submit(), Reader.get(1).wait.with_options(key="k")(pid).submit()]
        committed = session.feed.committed
        session.agents()
        disk.fail = Failing(1, ["open"], lasting=False)
        with pytest.raises(wb.StoreError, match=r"a\.db cannot be opened: .*open\. Check") as stopped:
            reads(session, pid)
        for future in waiting:
            assert future.exception(PATIENCE) is stopped.value
        assert session.trouble is stopped.value
        with pytest.raises(wb.StoreError):
            wb.run(session.at_rest(), timeout=PATIENCE)
        assert {agent.status for agent in session.agents()} <= {"idle", "suspended", "running"}
        session.close()
    assert not [x for x in read_log(store) if isinstance(x.body, e.AgentFailed)]
    with wb.start(store, clock=SimulatedClock(2)) as session:
        wb.complete_promise(pid, b"12345")
        assert wb.run(Reader.get(1).wait.with_options(key="k")(pid), timeout=PATIENCE) == 5
        wb.run(session.at_rest(), timeout=PATIENCE)
        assert {agent.status for agent in session.agents()} == {"idle"}
        assert committed < session.feed.committed
    assert violations(read_log(store)) == []


@wb.agent
class Fetcher:
    async def fetch(self) -> bool:
        return await wb.step(let_go.wait)


let_go = threading.Event()


@pytest.mark.parametrize("ending", ["a failed write", "close"])
def test_who_waits_for_rest_hears_it_too(ending: str, memory: Path) -> None:
    """Who waits for rest while a step is under way hears that the session ended, though the step goes on."""
    store = memory / "a.db"
    disk = Disk("busy", str(store))
    let_go.clear()
    with disk.mounted():
        session = wb.start(store, clock=SimulatedClock(1))
        try:
            Fetcher.get().fetch.trigger()
            resting = session.thread.at_rest()
            session.agents()
            if ending == "close":
                session.close()
            else:
                disk.fail = Failing(1, ["sync"], lasting=True)
                with pytest.raises(wb.StoreError):
                    wb.run(Child.get("after").work(4), timeout=PATIENCE)
            kind = wb.SessionClosedError if ending == "close" else wb.StoreError
            assert isinstance(resting.exception(PATIENCE), kind)
        finally:
            let_go.set()
            session.close()
