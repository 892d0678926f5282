"""How a store's file is opened: to write by its one owner, to read by anybody who may read the file.

A reader changes nothing, and leaves nothing behind. Which way that is depends on what lies there:

- With a write-ahead log beside it (`-wal`) the store is in use, or its owner died. `mode=ro` takes part in SQLite's
  locking, so a reader sees all that is committed and nothing else, while the owner goes on.
- At rest, and where we may write, SQLite still makes side files while it reads (the file says that it is in WAL mode),
  and a `mode=ro` connection would not take them away again: left behind by somebody else, they could lock the owner
  out. So it is `mode=rw`, which does, and `query_only`.
- At rest, and where we may not write, SQLite could not make the side files: `immutable=1` reads the file without them
  and without locks. Only there: to close a file that is open in this process by other means drops the locks of its
  owner (see `workbench.store.lock`), and who may not write here owns nothing here.

The file may come from anybody. What lies beside it is opened only where it is a file of its own: SQLite would write
into what a link leads to, and delete the file that a rollback journal names. And SQLite follows the pages of a file
wherever they lead, also round in circles: so a connection may take as many steps as the size of the file explains, and
a value in it is short, unless it is asked for as a `long_value`.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from workbench.errors import StoreCorruptError, StoreError, StoreFullError

SIDES: Final = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside a file."""

OWN: Final = "mode=ro"
"""How the owner of a store reads it, whose write-ahead log is there."""

SALVAGE: Final = "restore a copy, or save what is whole: wb.salvage(path, new_path)"
"""What to do with a store that is damaged."""

open_file: Callable[..., sqlite3.Connection] = sqlite3.connect
"""Who opens files. Tests put another here, whose disk fails or loses its power."""


def place_of(name: str | os.PathLike[str]) -> Path:
    """Where a store lies that is called so.

    Raises:
        StoreError: nothing can, or may, lie there.
    """
    try:
        place = Path(name).expanduser().resolve()
        place.with_name(f"{place.name}-journal").exists()  # the longest name of what may lie beside it
    except (OSError, ValueError, RuntimeError) as error:  # the last where `~` is nobody's folder
        why = str(getattr(error, "strerror", error))
        raise StoreError(f"the store {os.fspath(name)!r:.80} cannot be opened", why, "name another file") from error
    return place


def connect(path: Path, how: str) -> sqlite3.Connection:
    """Open a file.

    Args:
        path: the store's file.
        how: parameters of a SQLite URI, as `mode=ro`.

    Raises:
        StoreError: SQLite cannot open it, or what lies beside it is no file of its own.
    """
    check_sides(path)
    try:
        db = open_file(
            f"{path.resolve().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        db.set_progress_handler(_Steps(path), _STEPS_AT_ONCE)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _SHORT)
        db.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} cannot be opened", str(error), "check that the folder exists and may be written"
        ) from error
    return db


_STEPS_AT_ONCE: Final = 100_000
_STEPS: Final = 2_000_000
"""Steps of SQLite's machine that any file may take, less than a second."""
_STEPS_PER_BYTE: Final = 4
"""Steps for each byte of the file; to read a log of the shortest entries there are takes one."""


class _Steps:
    """Counts the steps of one connection; says when they are more than the size of the file explains."""

    def __init__(self, path: Path) -> None:
        self._left = _STEPS + _STEPS_PER_BYTE * size_of(path)

    def __call__(self) -> bool:
        self._left -= _STEPS_AT_ONCE
        return self._left < 0


def size_of(path: Path) -> int:
    """Bytes of a store's file and its write-ahead log, as far as they are there."""
    size = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            size += file.stat().st_size
    return size


_SHORT: Final = 1 << 20
"""Bytes that a value may have, and a row: paths, names, and bodies that stand in the log itself have fewer."""
_LONG: Final = 1 << 28
"""Bytes that a body may have: there is room for a few values in it that are as long as any may be."""


@contextmanager
def long_values(db: sqlite3.Connection) -> Iterator[None]:
    """While the block runs, a connection may read a body of any length."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONG)
    try:
        yield
    finally:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _SHORT)


def let_it_run(db: sqlite3.Connection) -> None:
    """From now on a connection may do what it likes: its file was looked at, or its user asked for it."""
    db.set_progress_handler(None, 0)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONG)


def check_sides(path: Path) -> None:
    """Refuse to open a file beside which something lies that SQLite should not touch.

    Raises:
        StoreError: a link, a device or a folder is called like a side file, or a journal names other files.
    """
    for end in SIDES:
        side = path.with_name(path.name + end)
        try:
            mode = side.lstat().st_mode
        except OSError:
            continue  # nothing is there, or nothing can be
        if not stat.S_ISREG(mode):
            raise StoreError(
                f"{path} cannot be opened", f"{side.name} beside it is no file but something else", f"take {side} away"
            )
        if end == "-journal" and _names_others(side):
            raise StoreError(
                f"{path} cannot be opened",
                f"{side.name} beside it names other files, which SQLite would read and delete",
                f"take {side} away; a store has none",
            )


_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")


def _names_others(journal: Path) -> bool:
    """Whether a rollback journal is one of several databases': it ends with the name of a file, and with this."""
    try:
        with journal.open("rb") as file:
            file.seek(-len(_JOURNAL_MAGIC), os.SEEK_END)
            return file.read() == _JOURNAL_MAGIC
    except OSError:  # it is shorter, or nobody may read it
        return False


_NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""What SQLite says when a disk, a quota or a limit of file sizes is full; the last, where shared memory grows."""
_OF_THE_DISK: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
)
"""What says nothing about the file's content."""


def is_io_error(error: sqlite3.Error) -> bool:
    """Whether reading, writing or syncing failed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


ROOM_TO_OPEN: Final = "free disk space and start it again, or open it with read_only=True"
"""What to do where there is not even room to open a store."""


def disk_error(path: Path, verb: str, error: sqlite3.Error) -> StoreError | None:
    """The error for what went wrong below SQLite, where the file itself may be sound; None for any other.

    Args:
        path: the store's file.
        verb: what could not be done to it: `opened`, `read` or `written`.
        error: what SQLite said.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreCorruptError(f"{path} cannot be {verb}", "its pages lead round in circles", SALVAGE)
    if code in _NO_ROOM:
        return StoreFullError(
            f"there is no room to write to {path}",
            str(error),
            ROOM_TO_OPEN if verb == "opened" else "free disk space; until then work is held back, and reading goes on",
        )
    if code & 0xFF in _OF_THE_DISK:
        return StoreError(f"{path} could not be {verb}", str(error), "check the disk, then start the session again")
    return None


@contextmanager
def reading(path: Path, how: str = "") -> Iterator[sqlite3.Connection]:
    """A connection that only reads, for as long as the block runs; any thread.

    Args:
        path: the store's file.
        how: see `connect`; by default as the module says.

    Raises:
        StoreError: there is no such file, it cannot be opened, or somebody began to write to it meanwhile.
        StoreCorruptError: SQLite finds it damaged.
    """
    if not path.is_file():
        why = "it is no file" if path.exists() else "there is no such file"
        raise StoreError(f"no store {path}", why, "check the path")
    how = how or _way(path.resolve())
    db = connect(path, how)
    try:
        if "rw" in how:
            db.execute("PRAGMA query_only = ON")
        yield db
    except (sqlite3.DatabaseError, UnicodeDecodeError, StoreCorruptError) as error:
        raise _explained(path, how, error) from error
    finally:
        db.close()


def _way(path: Path) -> str:
    if _has_wal(path):
        return OWN
    return "mode=rw" if _writable(path) else "mode=ro&immutable=1"


def _explained(path: Path, how: str, error: Exception) -> StoreError:
    if "immutable" in how and _has_wal(path.resolve()):
        return StoreError(f"{path} cannot be read", "somebody opened it meanwhile, and writes to it", "read it again")
    if isinstance(error, StoreCorruptError):
        return error
    if isinstance(error, sqlite3.OperationalError) and _has_wal(path.resolve()) and not _writable(path.resolve()):
        return StoreError(
            f"{path} cannot be read",
            f"{error}; its write-ahead log takes part, and nothing may be written beside it",
            f"copy it, together with {path.name}-wal, into a folder that you may write to",
        )
    if isinstance(error, sqlite3.Error) and (of_the_disk := disk_error(path, "read", error)) is not None:
        return of_the_disk
    return StoreCorruptError(f"{path} cannot be read", str(error), SALVAGE)


def _has_wal(path: Path) -> bool:
    return path.with_name(path.name + "-wal").exists()


def _writable(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return all(os.access(place, os.W_OK, effective_ids=effective) for place in (path, path.parent))
