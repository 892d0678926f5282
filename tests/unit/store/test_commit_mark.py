"""The mark beside a store, which tells up to where it was committed."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from workbench.errors import StoreCorruptError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.store.commit_mark import CommitMark, Marked, mark_of, read_mark
from workbench.store.log import SqliteLog
from workbench.store.salvage import salvage

CHAIN = b"c" * 16


def entry(seq: int) -> Entry:
    """An entry that means nothing."""
    return Entry(seq, 1, seq, seq - 1, 0, 1_000 + seq, seq, "f.py:1", e.Logged("info", "x"))


def marked(path: Path, seq: int, salt: str = "salt") -> None:
    """Lay a mark."""
    mark = CommitMark(path, salt)
    mark.write(seq, CHAIN)
    mark.close(in_order=False)


def stored(path: Path, entries: int, salt: str = "salt") -> None:
    """Lay a store that was closed in order."""
    with closing(SqliteLog(path, salt)) as log:
        log.append([entry(n) for n in range(1, entries + 1)])


def test_a_mark_tells_what_was_committed_last(tmp_path: Path) -> None:
    """It is there after the first commit, moves with each, agrees with the log, and goes when the log ends in order."""
    path = tmp_path / "a.db"
    with closing(SqliteLog(path, "salt")) as log:
        assert read_mark(path) is None
        for n in (1, 2, 3):
            log.append([entry(n)])
            ((chain,),) = log.query("SELECT chain FROM log WHERE seq = ?", (n,))[1]
            found = read_mark(path)
            assert found is not None
            assert (found.is_of("salt"), found.is_of("other"), found.seq, found.chain) == (True, False, n, chain)
    assert not mark_of(path).exists()


@pytest.mark.parametrize("left", [b"", b"x" * 10, b"\0" * 44, b"\xff" * 4096, b'{"pid": 1}'])
def test_what_is_no_mark_tells_nothing(left: bytes, tmp_path: Path) -> None:
    """Whatever else lies there is not believed, keeps nobody out, and is a mark after the next commit."""
    path = tmp_path / "a.db"
    stored(path, 3)
    mark_of(path).write_bytes(left)
    assert read_mark(path) is None
    with closing(SqliteLog(path, "salt")) as log:
        log.append([entry(4)])
        assert getattr(read_mark(path), "seq", 0) == 4


def test_a_mark_that_was_cut_or_changed_tells_nothing(tmp_path: Path) -> None:
    """A mark holds a sum of itself: one that is not whole is none."""
    path = tmp_path / "a.db"
    marked(path, 7)
    whole = mark_of(path).read_bytes()
    assert read_mark(path) == Marked(whole[:16], 7, CHAIN)
    for at in range(len(whole)):
        mark_of(path).write_bytes(whole[:at])
        assert read_mark(path) is None
        mark_of(path).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read_mark(path) is None


def pipe(path: Path) -> None:
    """Something that a reader would wait for."""
    os.mkfifo(path)


def folder(path: Path) -> None:
    """Something that holds no bytes."""
    path.mkdir()


def link(path: Path) -> None:
    """A way to another file."""
    target = path.with_name("elsewhere")
    target.write_text("precious")
    path.symlink_to(target)


@pytest.mark.parametrize("lay", [pipe, folder, link])
def test_what_cannot_be_a_mark_is_left_alone(lay: Callable[[Path], None], tmp_path: Path) -> None:
    """A pipe does not block, a link leads nowhere, a folder is no mark: the store works without one."""
    path = tmp_path / "a.db"
    stored(path, 1)
    lay(mark_of(path))
    with closing(SqliteLog(path, "salt")) as log:
        log.append([entry(2)])
        assert read_mark(path) is None
    if lay is link:
        assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_log_that_ends_before_its_mark_is_refused(tmp_path: Path) -> None:
    """So is one that holds another entry there; one that goes further is not, and neither is another store's mark."""
    path = tmp_path / "a.db"
    stored(path, 3)
    marked(path, 5)
    with pytest.raises(StoreCorruptError, match=r"the end of .*a\.db is missing, entries 4 to 5: .* is gone"):
        SqliteLog(path, "salt")
    marked(path, 4)
    with pytest.raises(StoreCorruptError, match=r"missing, entry 4: "):
        SqliteLog(path, "salt", read_only=True)
    marked(path, 2)
    with pytest.raises(StoreCorruptError, match=r"entry 2 of .*a\.db is not the one that was committed"):
        SqliteLog(path, "salt")
    marked(path, 5, salt="of another store")
    SqliteLog(path, "salt").close()


def test_a_new_store_has_no_past(tmp_path: Path) -> None:
    """The mark of a store that was deleted counts for no store that is begun, copied or saved there after it."""
    whole = tmp_path / "whole.db"
    stored(whole, 3)
    ways: dict[str, Callable[[Path], object]] = {
        "new": lambda path: stored(path, 1),
        "saved": lambda path: salvage(whole, path),
        "exported": lambda path: SqliteLog(whole, "salt").export(path),
    }
    for name, begin in ways.items():
        path = tmp_path / f"{name}.db"
        marked(path, 900)
        begin(path)
        assert not mark_of(path).exists()
        SqliteLog(path, "salt").close()


def test_a_killed_beginning_is_no_loss(tmp_path: Path) -> None:
    """A store that was being begun where another one had lain is begun again, and nothing is said to be missing."""
    path = tmp_path / "a.db"
    marked(path, 900)
    log = SqliteLog(path, "salt")  # and never closed, as by a killed process
    shutil.copy(path, tmp_path / "b.db")  # without the write-ahead log that holds its tables
    del log
    SqliteLog(tmp_path / "b.db", "other").close()
