"""Disks that forget and disks that fail: SQLite files behind a VFS of ours, with the store's own code on top.

`wb` talks to Python's `sqlite3`. Here its one door to it, `workbench.store.connection.open_file`, leads to another
SQLite (apsw's) with the same face, whose file system is a `Disk`. The statements, PRAGMAs, threads and order of work
are the store's own; what SQLite makes of them at the level of files is seen, and may fail, here.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import apsw

from workbench.store import connection

CHECKPOINT_PAGES: Final = 1000
"""Pages of a write-ahead log at which SQLite folds it into the file by itself."""


class Operation(NamedTuple):
    """One thing that was done to a file, or was told to somebody outside."""

    kind: str
    """`make`, `write`, `truncate`, `sync`, `delete`, or `told`."""
    name: str
    """The end of the file's name, after the store's: `""` or `-wal`, `-journal`."""
    offset: int = 0
    """Where it was written, what it was cut to, or what was told."""
    data: bytes = b""


class Disk(apsw.VFS):
    """A file system that notes what is done to a store's files, and does not do all of it.

    Args:
        name: of the VFS.
        store: path of the store.

    Attributes:
        operations: all that was done, in order.
        fail: asked before each operation (its kind, the file's end); what it returns is SQLite's error code, or 0.
    """

    def __init__(self, name: str, store: str) -> None:
        self.name, self.store = name, store
        self.operations: list[Operation] = []
        self.fail: Callable[[str, str], int] = lambda _kind, _name: 0
        self.pages = CHECKPOINT_PAGES
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """Open a file."""
        return _File(self, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: FBT001, N802
        """Delete a file; with `sync` for good."""
        self.pass_by("delete", name)
        super().xDelete(name, sync)
        self.note("delete", name, int(sync))

    def pass_by(self, kind: str, name: str) -> None:
        """Fail if this is where it fails."""
        if code := self.fail(kind, name.removeprefix(self.store)):
            error = apsw.exception_for(code)
            error.args = (f"disk I/O error at a {kind}",)
            raise error

    def note(self, kind: str, name: str, offset: int = 0, data: bytes = b"") -> None:
        """Remember what was done."""
        if name.startswith(self.store):
            self.operations.append(Operation(kind, name.removeprefix(self.store), offset, data))

    def tell(self, value: int) -> None:
        """Remember that somebody outside was told something."""
        self.operations.append(Operation("told", "", value))

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Disk]:
        """While the block runs, stores are opened on this disk."""
        before, unraisable = connection.open_file, sys.unraisablehook
        connection.open_file = self._open
        sys.unraisablehook = lambda odd: None if isinstance(odd.exc_value, apsw.Error) else unraisable(odd)
        try:
            yield self
        finally:
            connection.open_file, sys.unraisablehook = before, unraisable
            self.unregister()

    def _open(self, database: str, **_: object) -> sqlite3.Connection:
        opened: Any = Connection(f"{database}&vfs={self.name}", self.pages)
        return opened  # type: ignore[no-any-return]


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._name = path
        disk.pass_by("open", path)
        new = bool(flags[0] & apsw.SQLITE_OPEN_CREATE) and path and not disk.xAccess(path, apsw.SQLITE_ACCESS_EXISTS)
        super().__init__("", name, flags)
        if new:
            disk.note("make", path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.pass_by("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.pass_by("write", self._name)
        super().xWrite(data, offset)
        self._disk.note("write", self._name, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.pass_by("truncate", self._name)
        super().xTruncate(size)
        self._disk.note("truncate", self._name, size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.pass_by("sync", self._name)
        super().xSync(flags)
        self._disk.note("sync", self._name)


class Connection:
    """apsw's connection with the face of `sqlite3`'s, as far as the store knows it."""

    def __init__(self, uri: str, pages: int) -> None:
        try:
            self._db = apsw.Connection(
                uri, flags=apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
            )
        except apsw.Error as error:
            raise _translated(error) from error
        self._pages = pages
        self._committed = False
        self._db.set_wal_hook(self._fold)

    def _fold(self, db: apsw.Connection, _name: str, pages: int) -> int:
        """What SQLite does by itself after a commit, and whose errors it ignores; apsw would raise them."""
        self._committed = True
        if pages >= self._pages:
            with contextlib.suppress(apsw.Error):
                db.wal_checkpoint()
        return apsw.SQLITE_OK

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        return self._do(lambda: self._db.execute(sql, tuple(values)))

    def executemany(self, sql: str, values: Any) -> Cursor:
        return self._do(lambda: self._db.executemany(sql, [tuple(row) for row in values]))

    def executescript(self, sql: str) -> Cursor:
        return self._do(lambda: self._db.execute(sql))

    def _do(self, work: Callable[[], Any]) -> Cursor:
        self._committed = False
        try:
            return Cursor(work())
        except apsw.Error as error:
            if self._committed:
                return Cursor(iter(()))
            raise _translated(error) from error

    def set_progress_handler(self, handler: Callable[[], bool] | None, steps: int) -> None:
        self._db.set_progress_handler(handler, steps or 100)

    def setlimit(self, category: int, limit: int) -> int:
        return self._db.limit(category, limit)

    def close(self) -> None:
        for force in (False, True):
            with contextlib.suppress(apsw.Error):  # as `sqlite3` does
                self._db.close(force)


class Cursor:
    """Rows as they come."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._rows)
        except apsw.Error as error:
            raise _translated(error) from error

    def fetchone(self) -> Any:
        return next(self, None)

    def fetchall(self) -> list[Any]:
        return list(self)

    def fetchmany(self, count: int) -> list[Any]:
        return [row for _, row in zip(range(count), self, strict=False)]


_INTERNAL: Final = (apsw.CorruptError, apsw.NotADBError)


def _translated(error: apsw.Error) -> sqlite3.Error:
    """The same error as `sqlite3` raises it."""
    kind = sqlite3.DatabaseError if isinstance(error, _INTERNAL) else sqlite3.OperationalError
    same = kind(str(error))
    same.sqlite_errorcode = getattr(error, "extendedresult", 1)
    return same
