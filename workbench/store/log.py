"""The log on disk: one SQLite file, appended to by one thread, read by any.

`append` writes a whole batch in one transaction with `synchronous=FULL`; when it returns, the batch survives a power
cut. Rows go in by many-row INSERT statements, because Python's sqlite3 gives up the interpreter lock at each statement
(once in `executemany`, twice in `execute`), and with a busy session it takes a switch interval, 5 ms, to get it back.
"""

import contextlib
import logging
import os
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from workbench.errors import StoreError, StoreFullError, StoreReadOnlyError
from workbench.model.entries import KIND_NUMBERS, Body, Entry, encode_body
from workbench.store.chain import link
from workbench.store.checkpoints import keep
from workbench.store.commit_mark import CommitMark, remove_mark
from workbench.store.connection import OWN, connect, disk_error, is_io_error, let_it_run
from workbench.store.faults import reach
from workbench.store.query import Parameters
from workbench.store.reading import Part, StoreReader
from workbench.store.schema import (
    CHECKPOINT_TABLES,
    KIND_NAMES,
    LARGE_BODY,
    SALT_HASH,
    SCHEMA,
    insert_rows,
    salt_hash,
)

logger = logging.getLogger("workbench")

_SIZES: Final = (1024, 128, 16, 4, 1)
"""Rows per statement; each size is compiled once."""
_INSERTS: Final = {size: insert_rows(size) for size in _SIZES}


class Log(Protocol):
    """What the session needs of a store; two keep it: `SqliteLog` and `MemoryLog`."""

    salt: str
    last_seq: int
    keeps_checkpoints: bool

    def append(self, entries: Sequence[Entry]) -> None:
        """Make entries durable, all or none."""

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """Committed entries with `after < seq <= upto`, in order."""

    def read_oplog(self, agent: int, first: int, last: int) -> list[Entry]:
        """Committed entries of one agent with `first <= index <= last`, in order; one thread at a time."""

    def read_parts(self, parts: Iterable[Part]) -> list[Entry]:
        """Committed entries of several parts of oplogs, in the order of the parts; any thread."""

    def read_seqs(self, seqs: Sequence[int]) -> list[Entry]:
        """Committed entries by their numbers, in ascending order of these; any thread."""

    def select(
        self, kinds: Collection[type[Body]], holding: bytes = b"", after: int = 0, upto: int | None = None
    ) -> Iterator[Entry]:
        """Committed entries of some kinds, and those whose body holds some bytes; in order, any thread."""

    def query(self, sql: str, parameters: Parameters = ()) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run a read-only SELECT: column names and rows."""

    def keep(self, seq: int, state: bytes) -> None:
        """Keep the folded state at `seq`, the last entry, for the next opening."""

    def checkpoints(self) -> Iterator[bytes]:
        """The folded states that were kept, newest first."""

    def verify(self) -> None:
        """Check all entries that were not checked since the opening."""

    def export(self, target: Path) -> None:
        """Copy all that is committed into a new store file."""

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""


class SqliteLog(StoreReader):
    """The durable log at `path`; made when absent, with `salt`, which tells its incarnations from other stores'.

    Args:
        path: the store's file.
        salt: of a new store.
        read_only: only look at a store, also one that somebody else has open.

    Raises:
        StoreFormatError: the file is not ours, or of a newer format.
        StoreCorruptError: entries that were committed are not there any more.
        StoreError: SQLite cannot open it.
    """

    _mark: CommitMark

    def __init__(self, path: Path, salt: str, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.keeps_checkpoints = not read_only
        self._new_salt = salt
        self._wal = Path(f"{path}-wal")
        self._wal_inode = 0
        self._closed = False
        self._places: dict[str, int] = {"": 0}
        self._writing: sqlite3.Connection | None = None
        self._failed: StoreError | None = None
        """Why nothing more is written: after a failed sync nobody knows what is on the disk."""
        super().__init__(path)

    def _begin(self) -> None:
        if self.read_only:
            super()._begin()
            return
        self._how = OWN
        if not self.path.exists():
            remove_mark(self.path)  # of another store that lay here
        db = self._writing = connect(self.path, "mode=rwc")
        try:
            self._prepare(db)
            self._take_in(db)
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (SALT_HASH, salt_hash(self.salt)))
            for number, text in db.execute("SELECT id, text FROM place"):
                self._places[text] = number
            self._mark = CommitMark(self.path, self.salt)
            let_it_run(db)
        except BaseException:
            db.close()
            raise

    def _prepare(self, db: sqlite3.Connection) -> None:
        # A file without tables is new, or was begun by a process that died before it had made them.
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            db.execute("PRAGMA journal_mode = WAL")
            reach("store.begun")
            db.executescript("BEGIN;" + SCHEMA)
            db.executemany("INSERT INTO kind VALUES (?, ?)", KIND_NAMES.items())
            db.execute("INSERT INTO meta VALUES ('salt', ?)", (self._new_salt,))
            db.execute("INSERT INTO meta VALUES (?, ?)", (SALT_HASH, salt_hash(self._new_salt)))
            reach("store.made")
            db.execute("COMMIT")
        self._check_format(db)
        db.executescript(CHECKPOINT_TABLES)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executemany("INSERT OR IGNORE INTO kind VALUES (?, ?)", KIND_NAMES.items())

    @property
    def _db(self) -> sqlite3.Connection:
        if self._writing is None:
            raise StoreReadOnlyError(
                f"{self.path} was opened to read", "a store has one owner, who writes", "open it without read_only"
            )
        return self._writing

    # ---- writing -------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        """Make entries durable in one transaction.

        Raises:
            StoreFullError: there is no room; nothing of the batch counts, and it may be tried again.
            StoreError: SQLite could not commit (I/O error), or the write-ahead log was taken away; nothing of the batch
                counts then, and nothing more is written. Or the batch does not follow what is there: one before it
                failed.
        """
        if stopped := self._damage or self._failed:
            raise stopped
        if entries[0].seq != self.last_seq + 1:
            raise StoreError(
                f"{self.path} ends at entry {self.last_seq}, and entry {entries[0].seq} cannot follow",
                "an earlier batch was not committed",
                "start the session again",
            )
        places: list[tuple[int, str]] = []
        payloads: list[tuple[bytes, bytes]] = []
        values, chain = self._rows(entries, places, payloads)
        db = self._db
        reach("append.before")
        try:
            db.execute("BEGIN IMMEDIATE")
            reach("append.begun")
            if places:
                db.executemany("INSERT INTO place VALUES (?, ?)", places)
            if payloads:
                db.executemany("INSERT OR IGNORE INTO payload VALUES (?, ?)", payloads)
            at, left = 0, len(entries)
            for size in _SIZES:
                while left >= size:
                    db.executemany(_INSERTS[size], (values[at : at + size * 11],))
                    at += size * 11
                    left -= size
                    reach("append.statement")
            self._check_wal()
            reach("append.commit.before")
            db.execute("COMMIT")
        except BaseException as error:
            _roll_back(db)
            for _, text in places:
                del self._places[text]
            if isinstance(error, sqlite3.Error):
                raise self._not_written(error) from error
            raise
        reach("append.commit.after")
        self._check_wal()
        self._chain = chain
        self._note_all(entries)
        self.last_seq = entries[-1].seq
        self._mark.write(self.last_seq, chain)

    def keep(self, seq: int, state: bytes) -> None:
        """Keep the folded state at `seq`, the last entry, and where all entries stand. On the appending thread.

        A checkpoint only saves time: when the disk is full, or what there is of it is damaged, the log `workbench`
        says so and all goes on without.

        Raises:
            StoreError: an I/O error, or the write-ahead log was taken away.
        """
        if seq != self.last_seq or self._damage is not None or self._failed is not None:
            return
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            keep(db, (self.salt, seq, self._chain), state, self._oplogs, self._positioned)
            self._check_wal()
            reach("checkpoint.before")
            db.execute("COMMIT")
        except BaseException as error:
            _roll_back(db)
            if not isinstance(error, sqlite3.Error):
                raise
            not_written = self._not_written(error)
            if self._failed is not None:
                raise not_written from error
            logger.warning("%s: no checkpoint at entry %d: %s", self.path, seq, error)
            return
        reach("checkpoint.after")
        self._positioned = seq

    def _not_written(self, error: sqlite3.Error) -> StoreError:
        """The error for a transaction that failed; after an I/O error of which no room is no cause, it is the last."""
        of_the_disk = disk_error(self.path, "written", error)
        if of_the_disk is None:
            return StoreError(f"{self.path} could not be written", str(error), "start the session again")
        if is_io_error(error) and not isinstance(of_the_disk, StoreFullError):
            self._failed = of_the_disk
        return of_the_disk

    def _rows(
        self, entries: Sequence[Entry], places: list[tuple[int, str]], payloads: list[tuple[bytes, bytes]]
    ) -> tuple[list[object], bytes]:
        chain, known = self._chain, self._places
        values: list[object] = []
        add = values.extend
        for entry in entries:
            said = entry.body
            body = encode_body(said)
            kind = KIND_NUMBERS[type(said)]
            line = entry.line
            place = known.get(line)
            if place is None:
                place = known[line] = len(known)
                places.append((place, line))
            seq, agent, index, cause = entry.seq, entry.agent, entry.index, entry.cause
            invocation, wall, mono = entry.invocation, entry.wall, entry.mono
            chain = link(chain, (seq, agent, index, kind, cause, invocation, wall, mono, line, body))
            if len(body) > LARGE_BODY:
                payloads.append((chain, body))
                add((seq, agent, index, kind, cause, invocation, wall, mono, place, None, chain))
            else:
                add((seq, agent, index, kind, cause, invocation, wall, mono, place, body, chain))
        return values, chain

    def _check_wal(self) -> None:
        """The write-ahead log must still be the file we write to; see the module `lock` for how it can vanish."""
        try:
            inode = os.stat(self._wal).st_ino  # noqa: PTH116 - on the hot path
        except FileNotFoundError:
            inode = -1 if self._wal_inode else 0
        if self._wal_inode and inode != self._wal_inode:
            self._failed = StoreError(
                f"the write-ahead log of {self.path} was removed or replaced",
                "something opened and closed the store file behind the session's back",
                "close the session, and copy a store only with session.export(path)",
            )
            raise self._failed
        self._wal_inode = inode

    def _note_all(self, entries: Sequence[Entry]) -> None:
        oplogs = self._oplogs
        for entry in entries:
            oplog = oplogs.get(entry.agent)
            if oplog is None:
                oplog = oplogs[entry.agent] = (entry.index, array("q"))
            oplog[1].append(entry.seq)

    def close(self) -> None:
        """Close the connections; the last one folds the write-ahead log into the file. Harmless when repeated.

        Should the write-ahead log have been taken away after the last commit, the log `workbench` says so.
        """
        super().close()
        if self._writing is None or self._closed:
            return
        self._closed = True
        if self._failed is None:
            try:
                self._check_wal()
            except StoreError as error:
                logger.error("what was written last may be lost: %s", error)  # noqa: TRY400 - it says all
        self._writing.close()
        self._mark.close(in_order=self._failed is None and self._damage is None and not self._wal.exists())


def _roll_back(db: sqlite3.Connection) -> None:
    """End a transaction that failed, if SQLite has not; where that fails too, no other can begin."""
    if db.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
