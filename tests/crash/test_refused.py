# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""What is refused leaves nothing behind; `simulate_crash` loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.crash.programs import Counted, Spreader
from tests.replay.corpus import Child, Forker, Mixed, Promiser
from workbench.store.log import SqliteLog
from workbench.testing import SimulatedClock, read_log, violations


@pytest.fixture
def session(tmp_path: Path) -> Iterator[wb.Session]:
    """A session on a store of its own."""
    with wb.start(tmp_path / "s.db", clock=SimulatedClock(1)) as session:
        yield session


def entries(session: wb.Session) -> int:
    """How many entries are committed, once all rest."""
    wb.run(session.at_rest())
    return session.feed.committed


def deep(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


REFUSED: dict[str, Callable[[], object]] = {
    "function as argument": lambda: wb.run(Child.get("r").work(len)),
    "in a list in a dict": lambda: wb.run(Mixed.get().echo([{"a": [object()]}])),
    "open file": lambda: wb.run(Child.get("r").work(io.BytesIO())),  # type: ignore[arg-type]
    "generator": lambda: wb.run(Mixed.get().echo(x for x in "ab")),
    "too deep": lambda: wb.run(Mixed.get().echo(deep(2000))),
    "trigger": lambda: Child.get("r").work.trigger(object()),
    "missing argument": lambda: wb.run(Child.get("r").work()),
    "unknown argument": lambda: wb.run(Child.get("r").work(1, y=2)),
    "promise payload": lambda: wb.complete_promise(wb.PromiseId("Session()", "x-1", 1), 3),  # type: ignore[arg-type]
    "promise as json": lambda: wb.complete_promise_json(wb.PromiseId("Session()", "x-1", 1), object()),
    "unknown promise": lambda: wb.complete_promise(wb.PromiseId("Session()", "x-1", 1), b""),
    "unknown promise awaited": lambda: wb.run(wb.await_promise(wb.PromiseId("Session()", "x-1", 1))),
    "no promise": lambda: wb.run(wb.await_promise("pid")),  # type: ignore[arg-type]
    "identity": lambda: Child.get(object()),
    "long identity": lambda: Child.get("x" * 600),
    "nan identity": lambda: Child.get("x", float("nan")),
    "fork outside": wb.fork,
    "uuid outside": wb.uuid4,
    "key": lambda: wb.run(Child.get("r").work.with_options(key=7)(1)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_refused_value_leaves_nothing(name: str, session: wb.Session) -> None:
    """What cannot be a call, a payload or a name is refused before anything is written, and the session works on."""
    wb.run(Child.get("before").work(1))
    before = entries(session)
    with pytest.raises((wb.WorkbenchError, TypeError, ValueError)) as caught:
        REFUSED[name]()
    assert isinstance(caught.value, wb.WorkbenchError), repr(caught.value)
    assert entries(session) == before
    assert [a.agent_id for a in session.agents()] == ['Child("before",0)']
    assert wb.run(Child.get("after").work(2)) == 4


def test_a_crash_loses_instances_and_nothing_else(session: wb.Session) -> None:
    """Agents in the middle of joins, naps, promises and forks go on after `simulate_crash` as if nothing was."""
    waits = [Child.get("crash", n).nap.with_options(key="k") for n in range(3)]
    pid = wb.run(Promiser.get().offer())
    Promiser.get_phantom("11111111-1111-4111-8111-111111111111").wait_for.with_options(key="w").trigger(pid)
    for n, wait in enumerate(waits):
        wait.trigger(2 + n, n)
    session.simulate_crash()
    wb.complete_promise(pid, b"data")
    session.simulate_crash()
    assert [wb.run(wait(2 + n, n)) for n, wait in enumerate(waits)] == [0, 1, 2]
    assert (
        wb.run(Promiser.get_phantom("11111111-1111-4111-8111-111111111111").wait_for.with_options(key="w")(pid))
        == b"data"
    )
    assert [wb.run(Child.get("crash", n).seen()) for n in range(3)] == [[f"nap {n}", f"woke {n}"] for n in range(3)]
    path = session.path
    session.close()
    assert violations(read_log(path)) == []


@pytest.mark.parametrize("what", ["result", "error", "promise"])
def test_a_crash_between_an_outcome_and_its_commit(what: str, session: wb.Session) -> None:
    """Who was about to be told goes on waiting, and is told what comes of it when it has happened again."""
    crashes = [None]

    def crash() -> None:
        thread = session.thread
        if thread.journal.writing:
            thread.loop.call_soon(crash)
            return
        thread.journal.drop_unwritten()
        thread.journal.halted = False
        thread._crash_now()

    @wb.agent
    class Finisher:
        def __init__(self) -> None:
            self.count = 0

        async def finish(self, promise: wb.PromiseId) -> int:
            self.count += 1
            await asyncio.sleep(0.001)
            if crashes:
                crashes.pop()
                session.thread.journal.halted = True  # nothing more is written
                session.thread.loop.call_soon(crash)
            wb.complete_promise_json(promise, self.count)
            if what == "error":
                raise ValueError(self.count)
            return self.count

    promise = wb.create_promise()
    if what == "promise":
        Finisher.get().finish.trigger(promise)
        assert wb.run(wb.await_promise_json(promise), 30) == 1
    elif what == "error":
        with pytest.raises(ValueError, match="1"):
            wb.run(Finisher.get().finish(promise), 30)
    else:
        assert wb.run(Finisher.get().finish(promise), 30) == 1
    assert not crashes
    wb.run(session.at_rest())
    assert [x.state for x in session.invocations()] == ["failed" if what == "error" else "finished"]


@pytest.mark.parametrize("round_", range(6))
def test_crashes_while_cells_wait(round_: int, session: wb.Session) -> None:
    """Crashes in a fan-out: who waits for what was accepted gets it; who does not is told `CrashedError`."""
    outcomes: dict[int, Any] = {}

    def cell(n: int) -> None:
        try:
            outcomes[n] = wb.run(
                Spreader.get().spread.with_options(key="k")(30)
                if n == 0
                else Counted.get(n).once.with_options(key="k")(n)
            )
        except wb.CrashedError as error:
            outcomes[n] = error

    threads = [threading.Thread(target=cell, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
        if thread is threads[round_]:
            session.simulate_crash()
    session.simulate_crash()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(outcomes) == list(range(6))
    wb.run(session.at_rest())
    for n in range(6):  # the cell is run again: joined, or done now
        cell(n)
    # Five children were asked twice, by the spreader and by a cell, in either order: 1000 for one, 2000 for the other.
    assert sum(outcomes.values()) == sum(1000 + x for x in range(30)) + sum(2000 + x for x in range(1, 6))
    path = session.path
    session.close()
    assert violations(read_log(path)) == []


@pytest.mark.parametrize("when", range(8))
def test_a_crash_at_any_moment_of_a_fork(when: int, session: wb.Session) -> None:
    """`simulate_crash` from another thread while an agent forks: exactly one fork for each, each with its result."""
    Forker.get(1).in_flight.with_options(key="k").trigger()
    for _ in range(when % 4):
        session.simulate_crash()
    wb.run(session.at_rest())
    if when > 3:
        session.simulate_crash()
    original = wb.run(Forker.get(1).in_flight.with_options(key="k")())
    forks = [a.agent_id for a in session.agents() if a.forked_from]
    assert len(forks) == 1
    forked = wb.run(session.result(forks[0]))
    assert (original[0], forked[0]) == ("Original", "Forked")
    assert original[1:] == forked[1:] == [[0, 1], "shared", "timer", False]


def test_a_failed_commit_is_never_acknowledged(session: wb.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store cannot be written nobody hears of success; what was committed is there after a restart."""
    assert wb.run(Counted.get(1).once.with_options(key="k")(1)) == 1001
    append = SqliteLog.append

    def failing(self: SqliteLog, batch: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(SqliteLog, "append", failing)
    with pytest.raises((OSError, wb.StoreError)):
        wb.run(Counted.get(2).once.with_options(key="k")(2), timeout=10)
    monkeypatch.setattr(SqliteLog, "append", append)
    with pytest.raises((OSError, wb.StoreError, wb.SessionError)):
        wb.run(Counted.get(3).once(3), timeout=10)
    path = session.path
    session.close()
    with wb.start(path, clock=SimulatedClock(2)) as again:
        assert wb.run(Counted.get(1).seen()) == 1
        assert wb.run(Counted.get(2).once.with_options(key="k")(2)) == 1002
        wb.run(again.at_rest())
    assert violations(read_log(path)) == []


def test_a_cell_that_gives_up_harms_nothing(session: wb.Session) -> None:
    """A timeout of the cell detaches it; what had started goes on and its result is there later."""
    pid = wb.create_promise()
    waiter = Promiser.get_phantom("22222222-2222-4222-8222-222222222222").wait_for.with_options(key="w")
    with pytest.raises(TimeoutError):
        wb.run(waiter(pid), timeout=0.05)

    async def cancelled() -> None:
        task = asyncio.ensure_future(waiter(pid))
        await asyncio.wait([task], timeout=0.02)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    wb.run(cancelled())
    wb.complete_promise(pid, b"late")
    assert wb.run(waiter(pid)) == b"late"
