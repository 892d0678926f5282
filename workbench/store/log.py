"""The log on disk: one SQLite file, appended to by one thread, read by any.

`append` writes a whole batch in one transaction with `synchronous=FULL`; when it returns, the batch survives a power
cut. Rows go in by many-row INSERT statements, because Python's sqlite3 gives up the interpreter lock at each statement
(once in `executemany`, twice in `execute`), and with a busy session it takes a switch interval, 5 ms, to get it back.
"""

import os
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from workbench.errors import StoreCorruptError, StoreError, StoreFormatError
from workbench.model.entries import KIND_NUMBERS, KINDS, Entry, decode_body, encode_body
from workbench.store.chain import START, link
from workbench.store.faults import reach
from workbench.store.query import run_query
from workbench.store.schema import APPLICATION_ID, FORMAT, LARGE_BODY, SCHEMA, insert_rows

_SIZES: Final = (1024, 128, 16, 4, 1)
"""Rows per statement; each size is compiled once."""
_INSERTS: Final = {size: insert_rows(size) for size in _SIZES}
_LOOKUPS: Final = 500
"""Rows per statement when entries are read by `seq`."""
_NO_SEQS: Final = array("q")
_SELECT: Final = (
    "SELECT seq, agent, idx, log.kind, cause, invocation, wall, mono, coalesce(place.text, ''), "
    "coalesce(log.body, payload.body), chain FROM log LEFT JOIN place ON place.id = log.line "
    "LEFT JOIN payload ON log.body IS NULL AND payload.hash = log.chain "
)


class Log(Protocol):
    """What the session needs of a store; two keep it: `SqliteLog` and `MemoryLog`."""

    salt: str
    last_seq: int

    def append(self, entries: Sequence[Entry]) -> None:
        """Make entries durable, all or none."""

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """Committed entries with `after < seq <= upto`, in order."""

    def read_oplog(self, agent: int, first: int, last: int) -> list[Entry]:
        """Committed entries of one agent with `first <= index <= last`, in order."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run a read-only SELECT: column names and rows."""

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""


class SqliteLog:
    """The durable log at `path`; made when absent, with `salt`, which tells its incarnations from other stores'.

    Raises:
        StoreFormatError: the file is not ours, or of a newer format.
        StoreError: SQLite cannot open it.
    """

    def __init__(self, path: Path, salt: str, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.salt = salt
        self._wal = Path(f"{path}-wal")
        self._wal_inode = 0
        self._chain = START
        self._places: dict[str, int] = {"": 0}
        self.last_seq = 0
        self._db = self._connect(read_only=read_only)
        try:
            self._prepare()
            self._oplogs = self._find_oplogs()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreFormatError(
                f"{path} cannot be read as a store", str(error), "name another file, or restore a copy"
            ) from error
        except BaseException:
            self._db.close()
            raise

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=64,
            )
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path} cannot be opened", str(error), "check that the folder exists and may be written"
            ) from error
        db.execute("PRAGMA trusted_schema = OFF")
        return db

    def _prepare(self) -> None:
        db = self._db
        # A file without tables is new, or was begun by a process that died before it had made them.
        if not self.read_only and db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            db.execute("PRAGMA journal_mode = WAL")
            reach("store.begun")
            db.executescript("BEGIN;" + SCHEMA)
            db.executemany("INSERT INTO kind VALUES (?, ?)", [(n, c.__name__) for n, c in KINDS.items()])
            db.execute("INSERT INTO meta VALUES ('salt', ?)", (self.salt,))
            reach("store.made")
            db.execute("COMMIT")
        application = db.execute("PRAGMA application_id").fetchone()[0]
        number = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StoreFormatError(
                f"{self.path} is no workbench store", "its header says another program made it", "name another file"
            )
        if number > FORMAT:
            raise StoreFormatError(
                f"{self.path} has format {number}",
                f"this version reads up to {FORMAT}",
                "upgrade: pip install -U workbench",
            )
        if not self.read_only:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executemany("INSERT OR IGNORE INTO kind VALUES (?, ?)", [(n, c.__name__) for n, c in KINDS.items()])
        self.salt = db.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()[0]
        self._places.update((text, number) for number, text in db.execute("SELECT id, text FROM place"))
        row = db.execute("SELECT seq, chain FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        if row is not None:
            self.last_seq, self._chain = row

    # ---- writing -------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        """Make entries durable in one transaction.

        Raises:
            StoreError: SQLite could not commit (full disk, I/O error), or the write-ahead log was taken away; nothing
                of the batch counts then. Or the batch does not follow what is there: one before it failed.
        """
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
            if db.in_transaction:
                db.execute("ROLLBACK")
            for _, text in places:
                del self._places[text]
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"{self.path} could not be written", str(error), "free disk space, then start the session again"
                ) from error
            raise
        reach("append.commit.after")
        self._check_wal()
        self._chain = chain
        self._note_oplogs(entries)
        self.last_seq = entries[-1].seq

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
            raise StoreError(
                f"the write-ahead log of {self.path} was removed or replaced",
                "something opened and closed the store file behind the session's back",
                "close the session, and copy a store only with session.export(path)",
            )
        self._wal_inode = inode

    # ---- reading -------------------------------------------------------------------------------------------------

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """Committed entries in order, their chain checked as they pass; any thread.

        Raises:
            StoreCorruptError: an entry is missing or changed; says which.
        """
        db = self._connect(read_only=True)
        try:
            chain = START
            if after:
                row = db.execute("SELECT chain FROM log WHERE seq = ?", (after,)).fetchone()
                if row is None:
                    return
                chain = row[0]
            limit = upto if upto is not None else (1 << 62)
            cursor = db.execute(_SELECT + "WHERE seq > ? AND seq <= ? ORDER BY seq", (after, limit))
            expected = after + 1
            while rows := cursor.fetchmany(1000):
                for row in rows:
                    chain = self._check(row, chain, expected)
                    expected += 1
                    yield _entry(row)
        except sqlite3.DatabaseError as error:
            raise StoreCorruptError(
                f"{self.path} cannot be read", str(error), "restore a copy made with session.export"
            ) from error
        finally:
            db.close()

    def _check(self, row: tuple[object, ...], chain: bytes, expected: int) -> bytes:
        if row[0] != expected:
            raise StoreCorruptError(
                f"entry {expected} of {self.path} is missing", f"entry {row[0]} follows", "restore a copy"
            )
        after = link(chain, row[:10])  # type: ignore[arg-type]
        if after != row[10]:
            raise StoreCorruptError(
                f"entry {expected} of {self.path} was changed",
                "it does not fit the hash chain",
                "restore a copy of the store",
            )
        return after

    def read_oplog(self, agent: int, first: int, last: int) -> list[Entry]:
        """Committed entries of one agent between two indices; any thread, one at a time."""
        start, seqs = self._oplogs.get(agent, (1, _NO_SEQS))
        wanted = seqs[max(first - start, 0) : max(last - start + 1, 0)]
        found: list[Entry] = []
        for at in range(0, len(wanted), _LOOKUPS):
            some = wanted[at : at + _LOOKUPS]
            where = f"WHERE seq IN ({','.join('?' * len(some))}) ORDER BY seq"
            found += [_entry(row) for row in self._reader().execute(_SELECT + where, tuple(some))]
        return found

    def _find_oplogs(self) -> dict[int, tuple[int, "array[int]"]]:
        """Where the entries of each agent stand: its first index, and the `seq` of each entry."""
        found: dict[int, tuple[int, array[int]]] = {}
        for seq, agent, index in self._db.execute("SELECT seq, agent, idx FROM log ORDER BY seq"):
            oplog = found.get(agent)
            if oplog is None:
                oplog = found[agent] = (index, array("q"))
            oplog[1].append(seq)
        return found

    def _note_oplogs(self, entries: Sequence[Entry]) -> None:
        oplogs = self._oplogs
        for entry in entries:
            oplog = oplogs.get(entry.agent)
            if oplog is None:
                oplog = oplogs[entry.agent] = (entry.index, array("q"))
            oplog[1].append(entry.seq)

    _read_db: sqlite3.Connection | None = None

    def _reader(self) -> sqlite3.Connection:
        if self._read_db is None:
            self._read_db = self._connect(read_only=True)
        return self._read_db

    def query(self, sql: str, parameters: Sequence[object] = ()) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one read-only statement.

        Raises:
            StoreError: SQLite refuses it; says why.
        """
        db = self._connect(read_only=True)
        try:
            return run_query(db, sql, parameters)
        finally:
            db.close()

    def close(self) -> None:
        """Close the connections; the last one folds the write-ahead log into the file. Harmless when repeated."""
        if self._read_db is not None:
            self._read_db.close()
            self._read_db = None
        self._db.close()


def _entry(row: tuple[object, ...]) -> Entry:
    seq, agent, index, _, cause, invocation, wall, mono, line, body, _ = row
    return Entry(seq, agent, index, cause, invocation, wall, mono, line, decode_body(body))  # type: ignore[arg-type]
