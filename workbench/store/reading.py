"""Reading a store's file: entries in order, by agent, by number, by kind; SQL; a copy of the whole.

The file is only ever appended to, so each look-up may have a connection of its own and still agrees with those before.
The chain is checked by `read` and `follow`, which is how entries come into a state; the other look-ups find again what
those have passed. A checkpoint stands for the entries before it, which are not read then: of these, each that is looked
up is checked with the link to the one before it, and a search through all of them checks the whole chain first.
"""

import os
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from workbench.errors import StoreCorruptError, StoreError, StoreFormatError
from workbench.model.entries import KIND_NUMBERS, Body, Entry
from workbench.store.chain import START, link
from workbench.store.checkpoints import Oplogs, positions, states
from workbench.store.commit_mark import Marked, lost, read_mark, remove_mark
from workbench.store.connection import SALVAGE, SIDES, connect, disk_error, let_it_run, long_values, reading, size_of
from workbench.store.query import Parameters, run_query
from workbench.store.rows import StrangeRowError, entry_of
from workbench.store.schema import APPLICATION_ID, FORMAT, KIND_NAMES, SALT_HASH, TABLES, salt_hash

_LOOKUPS: Final = 500
"""Rows per statement when entries are read by `seq`."""
_EVER: Final = 1 << 62
_NO_SEQS: Final = array("q")
_SELECT: Final = (
    "SELECT seq, agent, idx, log.kind, cause, invocation, wall, mono, coalesce(place.text, ''), log.body, chain "
    "FROM log LEFT JOIN place ON place.id = log.line "
)
_LARGE_BODY: Final = "SELECT body FROM payload WHERE hash = ?"

Part = tuple[int, int, int]
"""A part of an oplog: uid, first index, last index."""


class StoreReader:
    """The entries of the store at `path`, read by anybody, while its owner goes on.

    Raises:
        StoreFormatError: the file is not ours, or of a newer format.
        StoreCorruptError: entries that were committed are not there any more.
        StoreError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.salt = ""
        self.last_seq = 0
        self._chain = START
        self._oplogs: Oplogs = {}
        self._positioned = 0
        """Up to which entry the store itself holds where the entries of each agent stand."""
        self._unchecked = 0
        """Up to which entry the chain was not checked since the opening: there a checkpoint may stand for the log."""
        self._vouched = 0
        """Up to which entry a checkpoint told, at the opening, where the entries of each agent stand."""
        self._damage: StoreCorruptError | None = None
        self._read_db: sqlite3.Connection | None = None
        self._how = ""
        marked = read_mark(path)  # before the log is looked at, which may grow meanwhile
        if marked is not None and path.is_file():
            with self._reading() as db:
                self._check_end(db, marked)
        with self._whole_file():
            self._begin()

    def _begin(self) -> None:
        """Open the file for the first time."""
        with self._reading() as db:
            self._take_in(db)

    @contextmanager
    def _whole_file(self) -> Iterator[None]:
        """What SQLite finds wrong when a file is opened for the first time is wrong with the file as such."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError, StoreCorruptError) as error:
            if isinstance(error, sqlite3.Error) and (other := disk_error(self.path, "opened", error)) is not None:
                raise other from error
            why = f"{error.what}, {error.why}" if isinstance(error, StoreCorruptError) else str(error)
            raise StoreFormatError(
                f"{self.path} cannot be read as a store", why, f"name another file, or {SALVAGE}"
            ) from error

    def _check_end(self, db: sqlite3.Connection, marked: Marked) -> None:
        """What was committed must be there. Only reads: a write-ahead log that is damaged stays as it is."""
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:  # the tables were committed, too
            raise lost(self.path, 0, marked)
        self._check_format(db)
        if not marked.is_of(self._checked_salt(db)):
            return
        if db.execute("SELECT chain FROM log WHERE seq = ?", (marked.seq,)).fetchone() != (marked.chain,):
            raise lost(self.path, db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0], marked)

    def _take_in(self, db: sqlite3.Connection) -> None:
        """Check that it is a store, and see where it ends."""
        self._check_format(db)
        self.salt = self._checked_salt(db)
        self._check_kinds(db)
        self._check_sizes(db)
        self._positioned, self._oplogs = positions(db, self.salt)
        row = db.execute("SELECT seq, chain FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        if row is not None:
            self.last_seq, self._chain = row
            if not isinstance(self._chain, bytes):
                raise self._changed(self.last_seq)
        if self._positioned > self.last_seq:
            raise self._corrupt(
                f"entry {self._positioned} of {self.path} is missing", "a checkpoint was written after it"
            )
        self._unchecked, self._vouched = self.last_seq, self._positioned
        oplogs = "SELECT seq, agent, idx FROM log WHERE seq > ? AND seq <= ? ORDER BY seq"
        for seq, agent, index in db.execute(oplogs, (self._positioned, self.last_seq)):
            if type(agent) is not int or type(index) is not int:
                raise self._changed(seq)
            self._note(seq, agent, index)

    def _check_format(self, db: sqlite3.Connection) -> None:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        number = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StoreFormatError(
                f"{self.path} is no workbench store", "its header says another program made it", "name another file"
            )
        if not 1 <= number <= FORMAT:
            raise StoreFormatError(
                f"{self.path} has format {number}",
                f"this version reads up to {FORMAT}",
                "upgrade: pip install -U workbench",
            )
        check_tables(db, self.path)

    def _checked_salt(self, db: sqlite3.Connection) -> str:
        """The salt, which no chain covers; a store of long ago has no hash of it."""
        meta: dict[str, Any] = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('salt', ?)", (SALT_HASH,)))
        salt: object = meta.get("salt")
        if salt is None:
            raise StoreFormatError(f"{self.path} cannot be read as a store", "it has no salt", "name another file")
        if not isinstance(salt, str) or meta.get(SALT_HASH, salt_hash(salt)) != salt_hash(salt):
            raise self._corrupt(f"the salt of {self.path} was changed", "it does not fit its hash")
        return salt

    def _check_kinds(self, db: sqlite3.Connection) -> None:
        """The names of kinds, of which no chain knows; a later version may have more."""
        numbers = {name: number for number, name in KIND_NAMES.items()}
        for number, name in db.execute("SELECT number, name FROM kind"):
            if KIND_NAMES.get(number, name) != name or numbers.get(name, number) != number:
                raise self._corrupt(f"the names of kinds in {self.path} were changed", f"{number} is not {name!r}")

    def _check_sizes(self, db: sqlite3.Connection) -> None:
        """Long values have room in the file, each for itself: its pages might stand for a thousand of them."""
        tables = db.execute("SELECT name FROM sqlite_schema WHERE name IN ('payload', 'checkpoint', 'position')")
        total = 0
        for (table,) in tables.fetchall():
            claim = f"SELECT coalesce(sum(length(body)), 0) FROM {table} WHERE typeof(body) = 'blob'"  # noqa: S608 - ours
            with suppress(sqlite3.DatabaseError):  # what is damaged is told where it is read, or passed over
                total += db.execute(claim).fetchone()[0]
        if total > (size := size_of(self.path)):
            raise self._corrupt(f"{self.path} claims more than it holds", f"values of {total:,} bytes in {size:,}")

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return reading(self.path, self._how)

    # ---- in order --------------------------------------------------------------------------------------------------

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """Committed entries in order, their chain checked as they pass; any thread.

        Raises:
            StoreCorruptError: an entry is missing or changed; says which.
        """
        with self._reading() as db:
            chain = START
            if after:
                row = db.execute("SELECT chain FROM log WHERE seq = ?", (after,)).fetchone()
                if row is None:
                    return
                chain = row[0]
                if not isinstance(chain, bytes):
                    raise self._changed(after)
            yield from map(self._entry, self._checked(db, after, upto, chain))

    def follow(self) -> Iterator[Entry]:
        """Entries that were committed since the store was opened, or since the last call, whoever wrote them.

        Raises:
            StoreError: another store lies under this name now.
            StoreCorruptError: as for `read`.
        """
        with self._reading() as db:
            self._check_same(db)
            for row in self._checked(db, self.last_seq, None, self._chain):
                entry = self._entry(row)
                self._note(entry.seq, entry.agent, entry.index)
                self.last_seq, self._chain = entry.seq, row[10]  # type: ignore[assignment] # as the schema says
                yield entry

    def _check_same(self, db: sqlite3.Connection) -> None:
        salt = db.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()
        row = db.execute("SELECT chain FROM log WHERE seq = ?", (self.last_seq,)).fetchone()
        chain = START if row is None else row[0]
        if salt != (self.salt,) or chain != self._chain:
            raise StoreError(
                f"{self.path} is not the store that was opened", "another one lies there now", "open it again"
            )

    def _checked(
        self, db: sqlite3.Connection, after: int, upto: int | None, chain: bytes
    ) -> Iterator[tuple[object, ...]]:
        limit = _EVER if upto is None else upto
        expected = after + 1
        for row in db.execute(f"{_SELECT}WHERE seq > ? AND seq <= ? ORDER BY seq", (after, limit)):
            if row[9] is None:
                row = _with_large_body(db, row)  # noqa: PLW2901 - the same row, whole
            chain = self._check(row, chain, expected)
            expected += 1
            yield row
        if expected <= (end := min(limit, self.last_seq)):  # numbers out of order end the search early
            raise self._corrupt(f"entry {expected} of {self.path} is missing", f"the log ended at {end}")
        if after < self._unchecked < expected:
            self._unchecked = after

    def _check(self, row: tuple[object, ...], chain: bytes, expected: int) -> bytes:
        if row[0] != expected:
            raise self._corrupt(f"entry {expected} of {self.path} is missing", f"entry {row[0]} follows")
        after = link(chain, row[:10])  # type: ignore[arg-type]
        if after != row[10]:
            raise self._changed(expected)
        return after

    def _changed(self, seq: int) -> StoreCorruptError:
        return self._corrupt(f"entry {seq} of {self.path} was changed", "it does not fit the hash chain")

    def _corrupt(self, what: str, why: str) -> StoreCorruptError:
        """The store is damaged: from now on nothing is added to it either."""
        self._damage = StoreCorruptError(what, why, SALVAGE)
        return self._damage

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def checkpoints(self) -> Iterator[bytes]:
        """Folded states of this very log, as they were kept, newest first. What is damaged is passed over.

        Raises:
            StoreCorruptError: the log ends before one of them: entries are missing.
        """
        with self._reading() as db:
            for seq, body in states(db, self.salt):
                if body is None:
                    raise self._corrupt(f"entry {seq} of {self.path} is missing", "a checkpoint was written after it")
                if seq <= self.last_seq:
                    yield body

    def verify(self) -> None:
        """Check the chain of all entries that were not checked since the opening. After that it costs nothing.

        Raises:
            StoreCorruptError: an entry is missing or changed; says which.
        """
        if self._unchecked:
            with self._reading() as db:
                for _ in self._checked(db, 0, self._unchecked, START):
                    pass

    def _check_links(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Check rows that a checkpoint stood for, each with the chain before it (1 µs a row)."""
        old = [row for row in rows if row[0] <= self._unchecked]
        chains = {row[0]: row[10] for row in old}
        chains[0] = START
        absent = [row[0] - 1 for row in old if row[0] - 1 not in chains]
        chains.update(db.execute(f"SELECT seq, chain FROM log WHERE seq IN ({_marks(absent)})", absent))  # noqa: S608
        for row in old:
            before = chains.get(row[0] - 1)
            if not isinstance(before, bytes) or link(before, row[:10]) != row[10]:
                raise self._changed(row[0])

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        try:
            return entry_of(row)
        except StrangeRowError as error:
            raise self._corrupt(f"entry {row[0]} of {self.path} is none that a session writes", str(error)) from error
        except msgspec.MsgspecError as error:
            raise StoreFormatError(
                f"entry {row[0]} of {self.path} cannot be read",
                f"this version does not know kind {row[3]} ({error})",
                "upgrade: pip install -U workbench",
            ) from error

    # ---- by agent, number, kind ------------------------------------------------------------------------------------

    def _note(self, seq: int, agent: int, index: int) -> None:
        oplog = self._oplogs.get(agent)
        if oplog is None:
            oplog = self._oplogs[agent] = (index, array("q"))
        oplog[1].append(seq)

    def _seqs_of(self, agent: int, first: int, last: int) -> Sequence[int]:
        """The `seq` of each entry of an agent between two indices."""
        if self._unchecked > self._vouched:  # a damaged entry may stand among those of another agent
            self.verify()
        start, seqs = self._oplogs.get(agent, (1, _NO_SEQS))
        return seqs[max(first - start, 0) : max(last - start + 1, 0)]

    def read_oplog(self, agent: int, first: int, last: int) -> list[Entry]:
        """Committed entries of one agent between two indices; the owner keeps a connection for it, for one thread."""
        if not self._how:
            return self.read_parts([(agent, first, last)])
        if self._read_db is None:
            self._read_db = connect(self.path, self._how)
            let_it_run(self._read_db)  # entries are looked up by their numbers, one by one
        try:
            return list(self._found(self._read_db, self._seqs_of(agent, first, last)))
        except sqlite3.DatabaseError as error:
            of_the_disk = disk_error(self.path, "read", error)
            raise of_the_disk or self._corrupt(f"{self.path} cannot be read", str(error)) from error

    def read_parts(self, parts: Iterable[Part]) -> list[Entry]:
        """Committed entries of several parts of oplogs, in the order of the parts; any thread."""
        wanted = [seq for part in parts for seq in self._seqs_of(*part)]
        return self.read_seqs(wanted)

    def read_seqs(self, seqs: Sequence[int]) -> list[Entry]:
        """Committed entries by their numbers, in ascending order of these; any thread."""
        with self._reading() as db:
            return list(self._found(db, seqs))

    def _found(self, db: sqlite3.Connection, seqs: Sequence[int]) -> Iterator[Entry]:
        for at in range(0, len(seqs), _LOOKUPS):
            some = seqs[at : at + _LOOKUPS]
            rows = list(rows_of(db, f"WHERE seq IN ({_marks(some)}) ORDER BY seq", some))
            if len(rows) < len(some) and (missing := set(some) - {row[0] for row in rows}):
                raise self._corrupt(
                    f"entry {min(missing)} of {self.path} is missing", "it was there when it was opened"
                )
            if rows and rows[0][0] <= self._unchecked:
                self._check_links(db, rows)
            yield from map(self._entry, rows)

    def select(
        self, kinds: Collection[type[Body]], holding: bytes = b"", after: int = 0, upto: int | None = None
    ) -> Iterator[Entry]:
        """Committed entries of some kinds, and those whose body holds some bytes; in order, any thread.

        Args:
            kinds: the kinds.
            holding: bytes that occur in the encoded body; none for empty ones.
            after: the last `seq` that does not count.
            upto: the last `seq` that counts.
        """
        numbers = [KIND_NUMBERS[kind] for kind in kinds]
        where = f"log.kind IN ({_marks(numbers)})"
        values: list[object] = list(numbers)
        if holding:
            where += " OR instr(coalesce(log.body, (SELECT body FROM payload WHERE hash = chain)), ?)"
            values.append(holding)
        self.verify()
        where = f"WHERE seq > ? AND seq <= ? AND ({where}) ORDER BY seq"
        with self._reading() as db, long_values(db):
            yield from map(self._entry, rows_of(db, where, (after, _EVER if upto is None else upto, *values)))

    def query(self, sql: str, parameters: Parameters = ()) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one read-only statement.

        Raises:
            StoreError: SQLite refuses it; says why.
        """
        self.verify()
        with self._reading() as db:
            return run_query(db, sql, parameters)

    # ---- the whole -------------------------------------------------------------------------------------------------

    def export(self, target: Path) -> None:
        """Copy all that is committed into a new store file, which needs no other file; any thread.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        with self._reading() as db, new_file(target) as copy:
            db.backup(copy)

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""
        if self._read_db is not None:
            self._read_db.close()
            self._read_db = None


def check_tables(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what would run when a store is read or written: triggers, and anything else in the place of a table.

    A view, a generated column, an index on an expression and a check may compute anything, for ever. Other tables and
    views are nobody's business, as nothing of ours looks at them.

    Raises:
        StoreFormatError: there is such a thing; names it.
    """
    for kind, name, table, sql in db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"):
        ours = TABLES.get(str(name).lower())
        odd = ours is not None and (kind, sql) != ("table", f"CREATE TABLE {name} {ours}")
        if odd or kind == "trigger" or (kind == "index" and sql is not None and str(table).lower() in TABLES):
            raise StoreFormatError(
                f"{path} cannot be read as a store",
                f"it holds a {kind} {name!r:.60} that the workbench did not make",
                "restore a copy, or have it taken away by whoever made it",
            )


def rows_of(db: sqlite3.Connection, where: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
    """Rows of the log as the chain covers them, each with its chain; one at a time, for they may be anything."""
    for row in db.execute(_SELECT + where, tuple(values)):
        yield row if row[9] is not None else _with_large_body(db, row)


def _with_large_body(db: sqlite3.Connection, row: tuple[Any, ...]) -> tuple[Any, ...]:
    with long_values(db):
        found = db.execute(_LARGE_BODY, (row[10],)).fetchone()
    return (*row[:9], None if found is None else found[0], row[10])


def _marks(values: Sequence[object]) -> str:
    """A question mark for each value."""
    return ",".join("?" * len(values))


@contextmanager
def new_file(target: Path) -> Iterator[sqlite3.Connection]:
    """A database that did not exist, to copy a store into; in the end it stands for itself, without side files.

    Raises:
        StoreError: it exists, or cannot be written; nothing is left of it then.
    """
    for side in ("", *SIDES):  # SQLite would take an old side file for the new one's
        if (there := target.with_name(target.name + side)).exists():
            raise StoreError(f"{there} exists", "an export overwrites nothing", "name another file, or move it aside")
    remove_mark(target)  # of a store that lay there before, maybe an earlier copy of this one
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written", str(error.strerror), "name a folder that exists and may be written to"
        ) from error
    try:
        with closing(connect(target, "mode=rw")) as db:
            yield db
            db.execute("PRAGMA journal_mode = DELETE")
    except BaseException as error:
        for side in ("", *SIDES):
            target.with_name(target.name + side).unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise StoreError(
                f"{target} could not be written", str(error), "free disk space, then do it again"
            ) from error
        raise
