"""Reading a store that somebody else writes, that lies in a place that may not be written, and copying one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import StoreCorruptError, StoreError, StoreFormatError, StoreReadOnlyError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.store.log import Log, SqliteLog
from workbench.store.memory import MemoryLog


def entry(seq: int, text: str = "x", agent: int = 1) -> Entry:
    """An entry that means nothing."""
    body = e.PromiseCreated() if seq % 10 == 0 else e.Logged("info", text)
    return Entry(seq, agent, seq, seq - 1, 0, 1_000 + seq, seq, f"f.py:{seq % 3}", body)


ENTRIES = [entry(n, f"text {n}" + "y" * 70_000 * (n == 7)) for n in range(1, 41)]


def written(path: Path, entries: list[Entry] = ENTRIES) -> SqliteLog:
    """A store with entries in it, open."""
    log = SqliteLog(path, "salt")
    log.append(entries)
    return log


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["memory", "file"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """Both kinds, with entries."""
    made: Log = MemoryLog("salt") if request.param == "memory" else SqliteLog(tmp_path / "a.db", "salt")
    made.append(ENTRIES)
    yield made
    made.close()


def test_entries_are_looked_up(log: Log) -> None:
    """By kind, by bytes in the body (large ones too), between two numbers, by numbers, by parts of oplogs."""
    assert [x.seq for x in log.select([e.PromiseCreated])] == [10, 20, 30, 40]
    assert [x.seq for x in log.select([e.PromiseCreated], after=10, upto=30)] == [20, 30]
    assert [x.seq for x in log.select([], b"text 7y")] == [7]
    assert [x.seq for x in log.select([e.PromiseCreated], b"text 2", upto=25)] == [2, 10, 20, 21, 22, 23, 24, 25]
    assert list(log.select([])) == []
    assert log.read_seqs([3, 7, 39]) == [ENTRIES[2], ENTRIES[6], ENTRIES[38]]
    assert log.read_parts([(1, 2, 4), (1, 9, 9), (5, 1, 9)]) == [*ENTRIES[1:4], ENTRIES[8]]


def test_a_reader_follows_the_writer(tmp_path: Path) -> None:
    """What is committed is seen at the next look, nothing else, and the writer goes on meanwhile."""
    writer = written(tmp_path / "a.db", ENTRIES[:5])
    reader = SqliteLog(tmp_path / "a.db", "", read_only=True)
    assert (reader.salt, reader.last_seq) == ("salt", 5)
    assert list(reader.follow()) == []
    for entries in (ENTRIES[5:8], ENTRIES[8:40]):
        writer.append(entries)
        assert list(reader.follow()) == entries
        assert reader.read_oplog(1, 1, 100) == reader.read_parts([(1, 1, 100)]) == ENTRIES[: entries[-1].seq]
    writer.close()
    assert list(reader.read()) == ENTRIES
    assert list(reader.follow()) == []
    reader.close()
    assert names(tmp_path) == ["a.db"]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """Appending to a log that was opened to read is refused in words."""
    written(tmp_path / "a.db").close()
    reader = SqliteLog(tmp_path / "a.db", "", read_only=True)
    with pytest.raises(StoreReadOnlyError):
        reader.append([entry(41)])


def test_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    """A store at rest has no file beside it before, while and after it is read; nor is it changed."""
    path = tmp_path / "a.db"
    written(path).close()
    before = path.read_bytes()
    reader = SqliteLog(path, "", read_only=True)
    assert names(tmp_path) == ["a.db"]
    assert list(reader.read()) == ENTRIES
    assert reader.query("SELECT count(*) FROM log")[1] == [(40,)]
    assert names(tmp_path) == ["a.db"]
    reader.close()
    assert path.read_bytes() == before


def test_a_store_whose_owner_died(tmp_path: Path) -> None:
    """What a dead owner had committed is read, and its write-ahead log is left for the next owner."""
    writer = written(tmp_path / "a.db")
    dead = tmp_path / "dead"
    dead.mkdir()
    for name in ("a.db", "a.db-wal"):
        shutil.copy(tmp_path / name, dead / name)
    writer.close()
    reader = SqliteLog(dead / "a.db", "", read_only=True)
    assert list(reader.read()) == ENTRIES
    reader.close()
    assert "a.db-wal" in names(dead)


@contextlib.contextmanager
def unwritable(path: Path, *, folder: bool = True) -> Iterator[None]:
    """Nobody may write to a file, nor to its folder; root, who always may, is somebody else meanwhile."""
    before = path.parent.stat().st_mode
    path.chmod(0o444)
    path.parent.chmod(0o555 if folder else 0o777)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        path.parent.chmod(before)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("folder", [True, False], ids=["and folder", "only"])
def test_a_file_that_may_not_be_written(public: Path, folder: bool) -> None:  # noqa: FBT001
    """A store without a write-ahead log is read where nothing may be written, and copied from there."""
    written(public / "a.db").close()
    with unwritable(public / "a.db", folder=folder):
        reader = SqliteLog(public / "a.db", "", read_only=True)
        assert list(reader.read()) == ENTRIES
        assert list(reader.follow()) == []
        assert reader.read_oplog(1, 3, 4) == ENTRIES[2:4]
        reader.close()
        assert names(public) == ["a.db"]


def test_a_live_store_in_a_folder_that_may_not_be_written(public: Path) -> None:
    """While its owner has it open, a store is followed by somebody who may only read."""
    writer = written(public / "a.db", ENTRIES[:5])
    with unwritable(public / "a.db"):
        reader = SqliteLog(public / "a.db", "", read_only=True)
        assert list(reader.read()) == ENTRIES[:5]
    writer.append(ENTRIES[5:9])
    with unwritable(public / "a.db"):
        assert list(reader.follow()) == ENTRIES[5:9]
    writer.close()


def test_a_write_ahead_log_where_nothing_may_be_written(public: Path) -> None:
    """A store that needs its write-ahead log read, and cannot have that, says what to copy."""
    writer = written(public / "a.db")
    sent = public / "sent"
    sent.mkdir()
    for name in ("a.db", "a.db-wal"):
        shutil.copy(public / name, sent / name)
    writer.close()
    with unwritable(sent / "a.db"), pytest.raises(StoreError, match=r"together with a\.db-wal"):
        SqliteLog(sent / "a.db", "", read_only=True)


def test_another_store_in_its_place(tmp_path: Path) -> None:
    """A reader notices that the store was exchanged for another one, longer or shorter."""
    for kept in (3, 40):
        path = tmp_path / f"{kept}.db"
        written(path, ENTRIES[:10]).close()
        reader = SqliteLog(path, "", read_only=True)
        path.unlink()
        other = SqliteLog(path, "other")
        other.append(ENTRIES[:kept])
        other.close()
        with pytest.raises(StoreError, match="not the store that was opened"):
            list(reader.follow())


def test_entries_changed_while_it_is_read(tmp_path: Path) -> None:
    """A reader notices that new entries do not fit the chain."""
    path = tmp_path / "a.db"
    written(path, ENTRIES[:10]).close()
    reader = SqliteLog(path, "", read_only=True)
    written_again = SqliteLog(path, "")
    written_again.append(ENTRIES[10:12])
    written_again.close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE log SET wall = wall + 1 WHERE seq = 12")
    with pytest.raises(StoreCorruptError, match="entry 12"):
        list(reader.follow())


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, a text, another database and a kind of a newer version are each told apart."""
    (tmp_path / "text.db").write_text("hello " * 1000)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as db, db:
        db.execute("CREATE TABLE x (y)")
    written(tmp_path / "empty.db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "empty.db")) as db, db:
        db.execute("DELETE FROM meta")
    for name, kind, told in (
        ("absent.db", StoreError, "no such file"),
        (".", StoreError, "no file"),
        ("text.db", StoreFormatError, "cannot be read as a store"),
        ("other.db", StoreFormatError, "another program"),
        ("empty.db", StoreFormatError, "no salt"),
    ):
        with pytest.raises(kind, match=told):
            SqliteLog(tmp_path / name, "", read_only=True)
    assert not (tmp_path / "absent.db").exists()


def test_a_kind_of_a_newer_version(tmp_path: Path) -> None:
    """An entry of a kind that this version does not know says so, and what to do."""
    log = written(tmp_path / "a.db", ENTRIES[:2])
    chain = log._chain
    log.close()
    body = b"\x92\xcd\x03\xe7\x01"
    from workbench.store.chain import link

    row = (3, 1, 3, 999, 2, 0, 5, 5, "", body)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as db, db:
        db.execute("INSERT INTO log VALUES (3, 1, 3, 999, 2, 0, 5, 5, 0, ?, ?)", (body, link(chain, row)))
    reader = SqliteLog(tmp_path / "a.db", "", read_only=True)
    with pytest.raises(StoreFormatError, match="does not know kind 999"):
        list(reader.read())


# ---- copies ----------------------------------------------------------------------------------------------------------


def test_an_export_is_a_store(log: Log, tmp_path: Path) -> None:
    """A copy holds the same entries under the same salt, in one file, and can be gone on with."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    log.export(target)
    assert names(target.parent) == ["copy.db"]
    copy = SqliteLog(target, "another")
    assert copy.salt == "salt"
    assert list(copy.read()) == ENTRIES
    copy.append([entry(41)])
    copy.close()
    assert log.last_seq == 40
    log.append([entry(41, "elsewhere")])


def test_an_export_is_of_one_moment(tmp_path: Path) -> None:
    """The writer goes on after the copy was made; the copy ends where it was made."""
    writer = written(tmp_path / "a.db", ENTRIES[:10])
    writer.export(tmp_path / "b.db")
    writer.append(ENTRIES[10:])
    reader = SqliteLog(tmp_path / "b.db", "", read_only=True)
    assert list(reader.read()) == ENTRIES[:10]
    reader.export(tmp_path / "c.db")
    assert list(SqliteLog(tmp_path / "c.db", "", read_only=True).read()) == ENTRIES[:10]
    writer.close()


@pytest.mark.parametrize("name", ["b.db", "b.db-wal", "b.db-journal"])
def test_an_export_overwrites_nothing(log: Log, tmp_path: Path, name: str) -> None:
    """A file that exists is refused and left as it is, also one that SQLite would take for the copy's own."""
    (tmp_path / name).write_text("precious")
    with pytest.raises(StoreError, match=f"{name} exists"):
        log.export(tmp_path / "b.db")
    assert (tmp_path / name).read_text() == "precious"
    assert (tmp_path / "b.db").exists() == (name == "b.db")


def test_an_export_that_fails_leaves_nothing(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, no half a copy stays; a folder that is not there is an error in words."""
    with pytest.raises(StoreError, match="cannot be written"):
        log.export(tmp_path / "nowhere" / "b.db")

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr("workbench.store.reading.StoreReader._reading", fail)
    monkeypatch.setattr("workbench.store.log.SqliteLog.append", fail)
    with pytest.raises((StoreError, sqlite3.OperationalError)):
        log.export(target / "b.db")
    assert names(target) == []
