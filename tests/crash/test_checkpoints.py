# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Sessions with checkpoints: killed around each, opened from each, with damage behind them; and what they are for."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.crash.checkpointing import PROGRAMS, often
from workbench.core import checkpoint
from workbench.core.state import State
from workbench.model.entries import Entry
from workbench.runtime.clock import perf_counter
from workbench.store.log import SqliteLog
from workbench.testing import (
    WRITES,
    Launcher,
    SimulatedClock,
    crash_sweep,
    dump,
    read_log,
    rebuild_all,
    reference,
    violations,
)
from workbench.testing.children import run_program

POINTS = ("checkpoint.before", "checkpoint.after")


@wb.agent(snapshot_every=500)
class Tally:
    def __init__(self, n: int) -> None:
        self.n, self.sum = n, 0

    async def add(self, x: int) -> int:
        self.sum += x
        return self.sum


@wb.agent
class Record:
    """Takes no snapshots: what it knows is replayed from its first entry."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def note(self, text: str) -> int:
        self.notes.append(text)
        return len(self.notes)

    async def seen(self) -> list[str]:
        return self.notes


def add(count: int, n: int = 0) -> None:
    """Many calls of one agent, a thousand at a time."""

    async def cell() -> None:
        for at in range(0, count, 1000):
            await asyncio.gather(*(Tally.get(n).add(1) for _ in range(min(1000, count - at))))

    wb.run(cell())


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher(["tests.crash.checkpointing"], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


# ---- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_killed_around_every_checkpoint(name: str) -> None:
    """A program that writes a checkpoint every few entries is killed right before and right after each of them."""
    sweep = crash_sweep(PROGRAMS[name], only=POINTS)
    assert sweep.problems == []
    assert min(sweep.points[point] for point in POINTS) >= 1


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_killed_at_every_write_between_checkpoints(name: str) -> None:
    """The same before and after each commit, so that entries after the checkpoint are taken up too."""
    sweep = crash_sweep(PROGRAMS[name], only=(*WRITES, *POINTS))
    assert sweep.problems == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fork_in_flight", "steps"])
def test_killed_again_while_it_opens_from_a_checkpoint(name: str) -> None:
    """Recovery from a checkpoint is killed too, and recovered from."""
    for recovery_crash in (1, 6):
        sweep = crash_sweep(PROGRAMS[name], points=range(3, 400, 17), recovery_crash=recovery_crash)
        assert sweep.problems == []


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_each_checkpoint_is_the_fold_up_to_it(name: str, launcher: Launcher, tmp_path: Path) -> None:
    """What a session kept on its way equals the fold of its log up to there; with the rest of it, the whole fold."""
    store = tmp_path / "s.db"
    report = launcher.run(run_program, program=reference(PROGRAMS[name]), store=str(store), seed="1")
    assert not report.error, report.error
    entries = read_log(store)
    with closing(SqliteLog(store, "", read_only=True)) as log:
        kept = [checkpoint.read(data) for data in log.checkpoints()]
    assert len(kept) == 2
    whole = dump(State().fold(entries))
    for state in kept:
        assert state is not None
        assert dump(state) == dump(State().fold(entries[: state.seq]))
        assert dump(state.fold(entries[state.seq :])) == whole


def test_a_simulated_crash_recovers_from_the_newest_checkpoint(tmp_path: Path) -> None:
    """`simulate_crash` folds what came after the last checkpoint, and nothing is missing."""
    with wb.start(tmp_path / "s.db", clock=SimulatedClock(1)) as session:
        often(session)
        for n in range(5):
            wb.run(Tally.get(n).add(n))
        session.simulate_crash()
        assert session.thread.journal._checkpointed > 0
        assert [wb.run(Tally.get(n).add(1)) for n in range(5)] == [1, 2, 3, 4, 5]
        entries = list(session.thread.log.read())
        assert dump(State().fold(entries)) == session.thread.ask(lambda: dump(session.thread.state)).result()
    assert violations(read_log(tmp_path / "s.db")) == []


def test_a_store_lives_on_from_checkpoint_to_checkpoint(tmp_path: Path) -> None:
    """Opened ten times, each time from the last checkpoint: schedules, promises, forks and results are all there."""
    store = tmp_path / "s.db"
    with wb.start(store, clock=SimulatedClock(1)) as session:
        often(session)
        pid = wb.create_promise()
        Record.get().note.schedule(10_000, "scheduled")
    for n in range(10):
        with wb.start(store, clock=SimulatedClock(n + 2)) as session:
            assert session.thread.journal._checkpointed > 0
            often(session)
            assert wb.run(Tally.get(0).add.with_options(key=f"{n}")(1)) == n + 1
            assert wb.run(Tally.get(0).add.with_options(key="0")(1)) == 1
            fork = wb.run(Tally.get(0).fork(at=session.oplog("Tally(0)")[-1].index))
            assert wb.run(fork.add(10)) == n + 11
    with wb.start(store, clock=SimulatedClock(20)) as session:
        assert wb.complete_promise(pid, b"kept")
        assert rebuild_all(session) == {}
        wb.run(session.at_rest())
        assert wb.run(Record.get().seen()) == ["scheduled"]
    assert violations(read_log(store)) == []


def test_a_read_only_session_begins_at_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks folds what came after the newest checkpoint, and sees the same as who folds all."""
    store = tmp_path / "s.db"
    with wb.start(store, clock=SimulatedClock(1)) as session:
        often(session)
        for n in range(5):
            wb.run(Tally.get(n).add(n))
    folded: list[int] = []
    apply = State.apply

    def count(state: State, entry: Entry) -> None:
        folded.append(entry.seq)
        apply(state, entry)

    monkeypatch.setattr(State, "apply", count)
    with wb.start(store, read_only=True) as session:
        assert len(folded) < 10
        assert session.read(dump) == dump(State().fold(session.feed.read(0)))
        assert len(session.oplog("Tally(4)")) == 3


# ---- damage ----------------------------------------------------------------------------------------------------------


def hide_damage(store: Path, statement: str) -> None:
    """A store with a checkpoint after two hundred entries, one of which is changed afterwards."""
    with wb.start(store, clock=SimulatedClock(1)) as session:
        often(session)
        for n in range(40):
            wb.run(Record.get().note(f"{n}"))
            wb.run(Tally.get(1).add(1))
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        assert db.execute(statement).rowcount == 1


def test_damage_behind_a_checkpoint_is_never_replayed(tmp_path: Path) -> None:
    """A changed entry is found when its agent is replayed: the caller hears of it, and the session writes no more."""
    store = tmp_path / "s.db"
    hide_damage(store, "UPDATE log SET wall = wall + 1 WHERE seq = 20")
    before = read_bytes_of_log(store)
    with wb.start(store, clock=SimulatedClock(2)) as session:
        assert wb.run(Tally.get(2).add(1)) == 1
        with pytest.raises(wb.StoreCorruptError, match="entry 20 "):
            wb.run(Record.get().seen(), timeout=20)
        with pytest.raises(wb.StoreCorruptError, match="entry 20 "):
            wb.run(Tally.get(3).add(1), timeout=20)
        assert session.closed is False
    after = read_bytes_of_log(store)
    assert after[: len(before)] == before
    assert all(kind != 4 for kind, _ in after)


def read_bytes_of_log(store: Path) -> list[tuple[int, bytes]]:
    """Kind and chain of each entry."""
    with closing(sqlite3.connect(store)) as db:
        return db.execute("SELECT kind, chain FROM log ORDER BY seq").fetchall()


LOOKS: dict[str, Any] = {
    "oplog": lambda session: session.oplog("Record()"),
    "sql": lambda session: session.sql("SELECT count(*) FROM log"),
    "feed": lambda session: session.feed.read(0),
    "verify": lambda session: session.thread.log.verify(),
}


@pytest.mark.parametrize("look", list(LOOKS))
def test_damage_behind_a_checkpoint_is_never_shown(look: str, tmp_path: Path) -> None:
    """Nor is it shown by any of the ways to read a store."""
    hide_damage(tmp_path / "s.db", "UPDATE log SET body = CAST(x'00' || body AS BLOB) WHERE seq = 20")
    with wb.start(tmp_path / "s.db", clock=SimulatedClock(2)) as session, pytest.raises(wb.StoreCorruptError):
        LOOKS[look](session)


def test_a_damaged_checkpoint_is_no_damage(tmp_path: Path) -> None:
    """A store whose newest checkpoint was changed opens from the one before it, and without any from the whole log."""
    store = tmp_path / "s.db"
    hide_damage(store, "UPDATE checkpoint SET hash = zeroblob(16) WHERE seq = (SELECT max(seq) FROM checkpoint)")
    for _ in range(2):
        with wb.start(store, clock=SimulatedClock(2)) as session:
            assert wb.run(Record.get().seen()) == [f"{n}" for n in range(40)]
            assert wb.run(Tally.get(1).add(0)) == 40
            state = session.thread.ask(lambda: dump(session.thread.state)).result()
            assert state == dump(State().fold(session.thread.log.read()))
        with closing(sqlite3.connect(store, isolation_level=None)) as db:
            db.execute("UPDATE checkpoint SET body = zeroblob(100)")


def test_a_checkpoint_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of another version folds the whole log, writes its own checkpoint, and opens from that."""
    store = tmp_path / "s.db"
    hide_damage(store, "UPDATE checkpoint SET seq = seq WHERE seq = (SELECT max(seq) FROM checkpoint)")
    monkeypatch.setattr(checkpoint, "shape", lambda: bytes(16))
    for version in range(2):
        with wb.start(store, clock=SimulatedClock(2)) as session:
            assert (session.thread.journal._checkpointed > 0) == (version == 1)
            often(session)
            assert wb.run(Tally.get(1).add(0)) == 40


# ---- what they are for -----------------------------------------------------------------------------------------------


def seconds_to_open(store: Path, copy: Path) -> float:
    """From `wb.start` to the first answer."""
    shutil.copy(store, copy)
    gc.collect()
    begun = perf_counter()
    with wb.start(copy) as session:
        assert wb.run(Tally.get(0).add(1)) == 15_001
        took = perf_counter() - begun
        assert session.feed.committed > 45_000
    return took


@pytest.mark.slow
def test_a_long_history_opens_fast(tmp_path: Path) -> None:
    """An agent of 45,000 entries answers at least five times sooner with a checkpoint than without."""
    store = tmp_path / "s.db"
    with wb.start(store):
        add(15_000)
    plain = tmp_path / "plain.db"
    shutil.copy(store, plain)
    with closing(sqlite3.connect(plain, isolation_level=None)) as db:
        assert db.execute("DELETE FROM checkpoint").rowcount == 1
        assert db.execute("DELETE FROM position").rowcount == 1
    with_one, without = (
        min(seconds_to_open(path, tmp_path / f"{path.name}-{n}.db") for n in range(3)) for path in (store, plain)
    )
    assert without > 5 * with_one
    assert with_one < 1


def test_a_short_history_writes_none(tmp_path: Path) -> None:
    """What is folded in a moment needs no checkpoint: neither a small store nor a session that did little."""
    store = tmp_path / "s.db"
    for count in (300, 1500, 10):
        with wb.start(store):
            add(count)
        with closing(sqlite3.connect(store)) as db:
            ((rows,),) = db.execute("SELECT count(*) FROM checkpoint").fetchall()
        assert rows == (count != 300)
