"""Checkpoints in the store: what counts, what is passed over, and that nothing which they hide is ever served wrong."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import StoreCorruptError, StoreError, StoreReadOnlyError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.store import faults
from workbench.store.log import Log, SqliteLog
from workbench.store.memory import MemoryLog

AGENTS = 5


def entries(first: int, last: int) -> list[Entry]:
    """Entries that mean nothing, of a few agents in turn; one is too large for the table."""

    def entry(seq: int) -> Entry:
        line = f"f.py:{seq % 3 if seq < 13 else 3}"
        body = e.Logged("info", "x" * (70_000 if seq == 12 else 3))
        return Entry(seq, seq % AGENTS + 1, (seq - 1) // AGENTS + 1, seq - 1, 0, 1_000 + seq, seq, line, body)

    return [entry(seq) for seq in range(first, last + 1)]


def kept(path: Path, *stages: int) -> None:
    """A store whose log has a checkpoint at each of these entries but the last, where it ends."""
    with closing(SqliteLog(path, "salt")) as log:
        for before, after in zip((0, *stages), stages, strict=False):
            log.append(entries(before + 1, after))
            if after != stages[-1]:
                log.keep(after, b"state %d" % after)


def change(path: Path, *statements: str) -> None:
    """Change a store that nobody has open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def opened(path: Path) -> SqliteLog:
    """A store as a session opens it: the newest checkpoint, then the log after it."""
    log = SqliteLog(path, "other salt")
    after = max((int(state.split()[1]) for state in log.checkpoints()), default=0)
    assert [x.seq for x in log.read(after)] == list(range(after + 1, log.last_seq + 1))
    return log


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    """States are given back as they were, newest first; older ones than two are gone."""
    kept(tmp_path / "a.db", 10, 20, 30, 40, 45)
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        assert list(log.checkpoints()) == [b"state 40", b"state 30"]
        assert log.last_seq == 45
        log.append(entries(46, 50))
        log.keep(50, b"")
        assert list(log.checkpoints()) == [b"", b"state 40"]


def test_a_checkpoint_is_of_the_last_entry(tmp_path: Path) -> None:
    """What is no state at the end of the log is not kept: the batch before it was not committed."""
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        log.append(entries(1, 10))
        log.keep(11, b"state 11")
        log.keep(9, b"state 9")
        assert list(log.checkpoints()) == []


def test_a_log_in_memory_keeps_none() -> None:
    """There is nothing to open again."""
    log: Log = MemoryLog("salt")
    log.append(entries(1, 10))
    log.keep(10, b"state 10")
    log.verify()
    assert (list(log.checkpoints()), log.keeps_checkpoints) == ([], False)


def test_oplogs_are_found_without_a_look_at_the_log(tmp_path: Path) -> None:
    """After an opening each agent's entries are found, those before, between and after checkpoints."""
    kept(tmp_path / "a.db", 13, 14, 40, 77)
    everything = entries(1, 77)
    with closing(opened(tmp_path / "a.db")) as log:
        assert log._positioned == 40
        for agent in range(1, AGENTS + 1):
            own = [x for x in everything if x.agent == agent]
            first, last = own[0].index, own[-1].index
            assert log.read_oplog(agent, 1, 1000) == own
            assert log.read_oplog(agent, first + 2, last - 1) == own[2:-1]
        assert log.read_oplog(AGENTS + 1, 1, 10) == []
        log.append(entries(78, 90))
        log.keep(90, b"state 90")
    with closing(opened(tmp_path / "a.db")) as log:
        assert log._positioned == 90
        assert log.read_oplog(1, 1, 1000) == [x for x in entries(1, 90) if x.agent == 1]


GONE: dict[str, tuple[str, ...]] = {
    "emptied": ("DELETE FROM checkpoint", "DELETE FROM position"),
    "dropped": ("DROP TABLE checkpoint", "DROP TABLE position"),
    "one dropped": ("DROP TABLE position",),
}


@pytest.mark.parametrize("name", list(GONE))
@pytest.mark.parametrize("read_only", [False, True])
def test_they_can_be_lost(name: str, read_only: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A store whose checkpoints are gone, or that is older than they are, opens all the same, also to be read."""
    kept(tmp_path / "a.db", 10, 20, 30)
    change(tmp_path / "a.db", *GONE[name])
    with closing(SqliteLog(tmp_path / "a.db", "", read_only=read_only)) as log:
        assert len(list(log.checkpoints())) == 2 * (name == "one dropped")
        assert list(log.read()) == entries(1, 30)
        assert log.read_oplog(1, 1, 100) == [x for x in entries(1, 30) if x.agent == 1]
    if not read_only:
        with closing(SqliteLog(tmp_path / "a.db", "")) as log:
            log.append(entries(31, 40))
            log.keep(40, b"state 40")
            assert next(log.checkpoints()) == b"state 40"
        with closing(opened(tmp_path / "a.db")) as log:
            assert log._positioned == 40
            log.verify()


DAMAGE = [
    f"UPDATE {table} SET {column} = {value} WHERE {number} = 20"  # noqa: S608 - our own words
    for table, number in (("checkpoint", "seq"), ("position", "last"))
    for column, value in (
        ("body", "CAST(x'00' || substr(body, 2) AS BLOB)"),
        ("body", "substr(body, 1, length(body) - 1)"),
        ("body", "CAST(body AS TEXT)"),
        ("body", "7"),
        ("hash", "zeroblob(16)"),
        ("chain", "zeroblob(16)"),
        (number, "19"),
        (number, "21"),
    )
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_passed_over(damage: str, tmp_path: Path) -> None:
    """A changed byte, type or number of a checkpoint makes it worthless and nothing else: the one before it counts."""
    path = tmp_path / "a.db"
    kept(path, 10, 20, 30)
    change(path, damage)
    of_state = "UPDATE checkpoint" in damage
    with closing(opened(path)) as log:
        assert list(log.checkpoints()) == ([] if of_state else [b"state 20"]) + [b"state 10"]
        assert log._positioned == 20 if of_state else log._positioned in (0, 10)
        for agent in range(1, AGENTS + 1):
            assert log.read_oplog(agent, 1, 1000) == [x for x in entries(1, 30) if x.agent == agent]
        log.append(entries(31, 40))
        log.keep(40, b"state 40")
    with closing(opened(path)) as log:
        assert next(log.checkpoints()) == b"state 40"
        assert log._positioned == 40
        log.verify()


def test_a_reader_follows_past_checkpoints(tmp_path: Path) -> None:
    """Who reads while the owner goes on gets each entry once, and no state of an entry that he has not read."""
    with closing(SqliteLog(tmp_path / "a.db", "")) as owner:
        owner.append(entries(1, 10))
        owner.keep(10, b"state 10")
        owner.append(entries(11, 15))
        with closing(SqliteLog(tmp_path / "a.db", "", read_only=True)) as reader:
            owner.append(entries(16, 20))
            owner.keep(20, b"state 20")
            assert list(reader.checkpoints()) == [b"state 10"]
            assert list(reader.read(10, reader.last_seq)) == entries(11, 15)
            assert list(reader.follow()) == entries(16, 20)
            assert list(reader.checkpoints()) == [b"state 20", b"state 10"]
            assert reader.read_oplog(1, 1, 10) == [x for x in entries(1, 20) if x.agent == 1]
            with pytest.raises(StoreReadOnlyError):
                reader.append(entries(21, 21))
            with pytest.raises(StoreReadOnlyError):
                reader.keep(20, b"state 20")


def test_every_byte_of_a_checkpoint_is_covered(tmp_path: Path) -> None:
    """Any bit of a state that flips is noticed."""
    path = tmp_path / "a.db"
    kept(path, 10, 20)
    body = bytearray(b"state 10")
    for at in range(len(body) * 8):
        body[at // 8] ^= 1 << at % 8
        change(path, f"UPDATE checkpoint SET body = x'{body.hex()}'")  # noqa: S608 - our own bytes
        with closing(SqliteLog(path, "")) as log:
            assert list(log.checkpoints()) == []
        body[at // 8] ^= 1 << at % 8
    change(path, f"UPDATE checkpoint SET body = x'{body.hex()}'")  # noqa: S608 - our own bytes
    with closing(SqliteLog(path, "")) as log:
        assert list(log.checkpoints()) == [b"state 10"]


def test_another_stores_checkpoints_do_not_count(tmp_path: Path) -> None:
    """A state belongs to one log: with the same entries in it, a store of another salt has no use for it."""
    kept(tmp_path / "a.db", 10, 20)
    with closing(SqliteLog(tmp_path / "b.db", "pepper")) as log:
        log.append(entries(1, 20))
    change(
        tmp_path / "b.db",
        f"ATTACH '{tmp_path / 'a.db'}' AS other",
        "INSERT INTO checkpoint SELECT * FROM other.checkpoint",
        "INSERT INTO position SELECT * FROM other.position",
    )
    with closing(SqliteLog(tmp_path / "b.db", "")) as log:
        assert list(log.checkpoints()) == []
        assert log._positioned == 0


def test_a_log_that_went_another_way(tmp_path: Path) -> None:
    """A state whose entry has another chain in the log does not count, and the log is checked from further back."""
    kept(tmp_path / "a.db", 10, 20, 30)
    change(tmp_path / "a.db", "UPDATE log SET chain = zeroblob(16) WHERE seq = 20")
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        assert list(log.checkpoints()) == [b"state 10"]
        assert log._positioned == 10
        with pytest.raises(StoreCorruptError, match="entry 20 "):
            list(log.read(10))


def test_a_log_that_ends_too_early(tmp_path: Path) -> None:
    """A log without the entry that a checkpoint was written after has lost entries: it is refused, with the number."""
    kept(tmp_path / "a.db", 10, 20, 30)
    change(tmp_path / "a.db", "DELETE FROM log WHERE seq > 15")
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        assert log._positioned == 10
        with pytest.raises(StoreCorruptError, match=r"entry 20 .* missing"):
            list(log.checkpoints())
        with pytest.raises(StoreCorruptError, match="entry 20"):
            log.append(entries(16, 17))


HIDDEN: dict[str, tuple[str, ...]] = {
    "a value": ("UPDATE log SET wall = wall + 1 WHERE seq = 12",),
    "a type": ("UPDATE log SET cause = CAST(cause AS BLOB) WHERE seq = 12",),
    "a body": ("UPDATE log SET body = CAST(x'00' || body AS BLOB) WHERE seq = 11",),
    "a large body": ("UPDATE payload SET body = CAST(x'00' || body AS BLOB)",),
    "no large body": ("DELETE FROM payload",),
    "its chain": ("UPDATE log SET chain = zeroblob(16) WHERE seq = 12",),
    "the chain before": ("UPDATE log SET chain = zeroblob(16) WHERE seq = 11",),
    "its agent": ("UPDATE log SET agent = 1 WHERE seq = 12",),
    "its index": ("UPDATE log SET idx = 77 WHERE seq = 12",),
    "a place": ("UPDATE place SET text = 'g.py:1' WHERE text = 'f.py:1'",),
    "it is gone": ("DELETE FROM log WHERE seq = 12",),
    "the one before is gone": ("DELETE FROM log WHERE seq = 11",),
    "two are swapped": (
        "UPDATE log SET seq = -12 WHERE seq = 12",
        "UPDATE log SET seq = 12 WHERE seq = 17",
        "UPDATE log SET seq = 17 WHERE seq = -12",
    ),
}
LOOKS: dict[str, Callable[[SqliteLog], Any]] = {
    "by agent": lambda log: [log.read_oplog(agent, 1, 1000) for agent in range(1, AGENTS + 1)],
    "one by one": lambda log: [log.read_oplog(agent, at, at) for at in range(1, 5) for agent in range(1, AGENTS + 1)],
    "by parts": lambda log: log.read_parts([(3, 1, 4), (1, 2, 3), (2, 1, 4), (4, 1, 4), (5, 1, 3)]),
    "by numbers": lambda log: log.read_seqs(range(1, 21)),
    "by kind": lambda log: list(log.select([e.Logged])),
    "with SQL": lambda log: log.query("SELECT count(*) FROM log"),
    "from the beginning": lambda log: list(log.read()),
    "on demand": lambda log: log.verify(),
}


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("name", list(HIDDEN))
def test_a_hidden_change_is_found_before_it_is_served(name: str, look: str, tmp_path: Path) -> None:
    """An entry before the checkpoint was changed: the store opens, who comes near it is told, and nothing is added."""
    path = tmp_path / "a.db"
    kept(path, 10, 20, 30)
    change(path, *HIDDEN[name])
    with closing(opened(path)) as log:
        with pytest.raises(StoreCorruptError):
            LOOKS[look](log)
        with pytest.raises(StoreCorruptError):
            log.append(entries(31, 31))
        log.keep(30, b"state 30")
        assert next(log.checkpoints()) == b"state 20"


def test_what_was_checked_once_is_trusted(tmp_path: Path) -> None:
    """The part that a checkpoint stood for is checked whole once, or entry by entry; the tail was checked when read."""
    kept(tmp_path / "a.db", 10, 20, 30)
    with closing(opened(tmp_path / "a.db")) as log:
        assert log._unchecked == 20
        assert log.read_seqs([5, 25]) == [entries(5, 5)[0], entries(25, 25)[0]]
        assert log._unchecked == 20
        list(log.read(10))
        assert log._unchecked == 10
        log.verify()
        assert log._unchecked == 0
    with closing(opened(tmp_path / "a.db")) as log:
        list(log.read(0, 15))
        assert log._unchecked == 20
        list(log.read(0, 20))
        assert log._unchecked == 0


def test_a_value_that_cannot_be_read(tmp_path: Path) -> None:
    """Damage at which SQLite itself stumbles is told as damage too, in every way of looking."""
    for name, look in LOOKS.items():
        path = tmp_path / f"{name}.db"
        kept(path, 10, 20, 30)
        change(path, "UPDATE log SET body = CAST(x'ff' || body AS TEXT) WHERE seq = 11")
        with closing(opened(path)) as log, pytest.raises(StoreCorruptError):
            look(log)


def test_a_full_disk_costs_a_checkpoint_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a checkpoint does not fit, the log goes on without, and says so."""
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        log.append(entries(1, 8))
        pages = log._db.execute("PRAGMA page_count").fetchone()[0]
        log._db.execute(f"PRAGMA max_page_count = {pages + 4}")
        log.keep(8, b"x" * 100_000)
        assert "no checkpoint at entry 8" in caplog.text
        log.append(entries(9, 9))
        assert list(log.checkpoints()) == []
        log.keep(9, b"state 9")
        assert list(log.checkpoints()) == [b"state 9"]
        assert [x.seq for x in log.read()] == list(range(1, 10))


def test_a_checkpoint_is_all_or_nothing(tmp_path: Path) -> None:
    """An end between its statements leaves what was there before; an I/O error ends the log's work."""
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        log.append(entries(1, 8))
        log.keep(8, b"state 8")
        log.append(entries(9, 9))

        def stop(point: str) -> None:
            raise KeyboardInterrupt(point)

        faults.arm(stop)
        try:
            with pytest.raises(KeyboardInterrupt, match=r"checkpoint\.before"):
                log.keep(9, b"state 9")
        finally:
            faults.arm(None)
        assert not log._db.in_transaction
        assert (list(log.checkpoints()), log._positioned) == ([b"state 8"], 8)

        def fail(point: str) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        faults.arm(fail)
        try:
            with pytest.raises(StoreError, match="disk I/O error"):
                log.keep(9, b"state 9")
        finally:
            faults.arm(None)
        with pytest.raises(StoreError, match="disk I/O error"):
            log.append(entries(10, 10))
        assert list(log.checkpoints()) == [b"state 8"]
    with closing(SqliteLog(tmp_path / "a.db", "")) as log:
        log.append(entries(10, 10))


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_anywhere(seed: int, tmp_path: Path) -> None:
    """Any one bit of the file flips: each look-up gives what was written, or an error; so does each state."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    path = tmp_path / "a.db"
    kept(path, 10, 20, 30)
    whole = path.read_bytes()
    written = entries(1, 30)
    for _ in range(100):
        damaged = bytearray(whole)
        at = chance.randrange(len(whole) * 8)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        with contextlib.suppress(StoreError), closing(SqliteLog(path, "")) as log:
            after = 0
            for state in log.checkpoints():
                assert state in (b"state 20", b"state 10")
                after = max(after, int(state.split()[1]))
            assert list(log.read(after)) == written[after:]
            for agent in range(1, AGENTS + 1):
                assert log.read_oplog(agent, 1, 1000) == [x for x in written if x.agent == agent]
            log.verify()
