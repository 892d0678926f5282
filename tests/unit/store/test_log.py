"""The two logs through one face, the lock, the feed."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import StoreCorruptError, StoreError, StoreFormatError, StoreInUseError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.store.feed import Feed
from workbench.store.lock import StoreLock, refuse_network_home
from workbench.store.log import Log, SqliteLog
from workbench.store.memory import MemoryLog


def entry(seq: int, text: str = "x", agent: int = 1) -> Entry:
    """An entry that means nothing."""
    return Entry(seq, agent, seq, seq - 1, 0, 1_000 + seq, seq, f"f.py:{seq % 3}", e.Logged("info", text))


@pytest.fixture(params=["memory", "file"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """Both kinds."""
    made: Log = MemoryLog("salt") if request.param == "memory" else SqliteLog(tmp_path / "a.db", "salt")
    yield made
    made.close()


def test_what_is_appended_is_read(log: Log) -> None:
    """Entries come back equal and in order: all, after one, up to one, by agent and index; large bodies too."""
    batches = [[entry(1)], [entry(n) for n in range(2, 400)], [entry(400, "y" * 200_000), entry(401, "y" * 200_000)]]
    for batch in batches:
        log.append(batch)
    everything = [x for batch in batches for x in batch]
    assert list(log.read()) == everything
    assert list(log.read(after=100, upto=110)) == everything[100:110]
    assert list(log.read(after=401)) == []
    assert log.read_oplog(1, 5, 8) == everything[4:8]
    assert log.read_oplog(9, 1, 8) == []
    assert log.last_seq == 401
    names, rows = log.query("SELECT seq, line FROM oplog WHERE seq = ?", (7,))
    assert (names, rows) == (["seq", "line"], [(7, "f.py:1")])


def test_a_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Opened again, the log knows its salt, its last entry and its chain."""
    with_first = SqliteLog(tmp_path / "a.db", "first")
    with_first.append([entry(1), entry(2)])
    with_first.close()
    again = SqliteLog(tmp_path / "a.db", "second")
    assert (again.salt, again.last_seq) == ("first", 2)
    again.append([entry(3)])
    assert [x.seq for x in again.read()] == [1, 2, 3]
    again.close()


def test_a_changed_entry_is_noticed(tmp_path: Path) -> None:
    """A changed body, a removed entry and two swapped ones are each named."""
    for change in (
        "UPDATE log SET wall = wall + 1 WHERE seq = 2",
        "DELETE FROM log WHERE seq = 2",
        "UPDATE log SET cause = CAST('1' AS BLOB) WHERE seq = 2",
    ):
        path = tmp_path / f"{abs(hash(change))}.db"
        log = SqliteLog(path, "salt")
        log.append([entry(1), entry(2), entry(3)])
        log.close()
        with sqlite3.connect(path) as db:
            db.execute(change)
        db.close()
        again = SqliteLog(path, "salt")
        with pytest.raises(StoreCorruptError, match="entry 2"):
            list(again.read())
        again.close()


def test_what_is_no_store(tmp_path: Path) -> None:
    """Another program's database, a text file and a newer format are refused in words; a missing folder too."""
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE x (y)")
    db.close()
    (tmp_path / "text.db").write_text("hello " * 1000)
    SqliteLog(tmp_path / "newer.db", "s").close()
    with sqlite3.connect(tmp_path / "newer.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for name in ("other.db", "text.db", "newer.db"):
        with pytest.raises(StoreFormatError):
            SqliteLog(tmp_path / name, "s").close()
    with pytest.raises(StoreError):
        SqliteLog(tmp_path / "nowhere" / "a.db", "s").close()


def test_a_failed_batch_leaves_nothing(tmp_path: Path) -> None:
    """All or none: a batch whose second entry is there already leaves its first out, and the next batch fits."""
    log = SqliteLog(tmp_path / "a.db", "s")
    log.append([entry(1)])
    with pytest.raises(StoreError):
        log.append([entry(2), entry(1)])
    log.append([entry(2)])
    assert [x.seq for x in log.read()] == [1, 2]
    log.close()


def test_queries_are_one_select(log: Log) -> None:
    """A query that is no SELECT is refused, and a wrong one says why."""
    log.append([entry(1)])
    for query in ("DELETE FROM log", "SELECT nothing FROM nowhere", "PRAGMA user_version = 3"):
        with pytest.raises(StoreError):
            log.query(query)
    assert log.query("SELECT count(*) FROM log")[1] == [(1,)]


def test_one_owner(tmp_path: Path) -> None:
    """The second to ask is refused at once and told who and since when; released, the lock is free, also twice."""
    first, second = StoreLock(tmp_path / "a.db"), StoreLock(tmp_path / "a.db")
    first.acquire("2024-01-01")
    with pytest.raises(StoreInUseError, match=f"process {os.getpid()} .* since 2024-01-01"):
        second.acquire("later")
    first.release()
    first.release()
    second.acquire("later")
    second.release()


def test_the_lock_file_may_hold_anything(tmp_path: Path) -> None:
    """A lock file with foreign text in it still refuses, without names."""
    lock = StoreLock(tmp_path / "a.db")
    lock.acquire("x")
    for text in (b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe"):
        lock.path.write_bytes(text)
        with pytest.raises(StoreInUseError, match="another process"):
            StoreLock(tmp_path / "a.db").acquire("y")
    lock.release()


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("ext4", False), ("fuse.sshfs", True)])
def test_network_homes_are_refused(tmp_path: Path, kind: str, refused: bool) -> None:  # noqa: FBT001
    """A store below a network mount is refused with advice; the deepest mount counts."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"rootfs / ext4 rw 0 0\nserver:/x {str(tmp_path).replace(' ', chr(92) + '040')} {kind} rw 0 0\n")
    if refused:
        with pytest.raises(StoreError, match="local disk"):
            refuse_network_home(tmp_path / "a.db", mounts)
    else:
        refuse_network_home(tmp_path / "a.db", mounts)
    refuse_network_home(tmp_path / "a.db", tmp_path / "absent")


def test_the_feed_gives_what_is_committed(log: Log) -> None:
    """A reader gets each committed entry once, from memory or from the store, whenever it subscribed."""
    feed = Feed(log)
    rung: list[int] = []
    log.append([entry(1), entry(2)])
    feed.publish([entry(1), entry(2)])
    stop = feed.subscribe(lambda: rung.append(feed.committed))
    for batch in ([entry(3)], [entry(4), entry(5)]):
        log.append(batch)
        feed.publish(batch)
    assert rung == [3, 5]
    for after in range(6):
        assert [x.seq for x in feed.read(after)] == list(range(after + 1, 6))
    stop()
    stop()
    log.append([entry(6)])
    feed.publish([entry(6)])
    assert rung == [3, 5]
    assert [x.seq for x in feed.read(4)] == [5, 6]
