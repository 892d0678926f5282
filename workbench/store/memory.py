"""A log in memory, for `wb.start(":memory:")`."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from workbench.model.entries import KIND_NUMBERS, KINDS, Body, Entry, encode_body
from workbench.store.log import SqliteLog
from workbench.store.query import Parameters, run_query
from workbench.store.reading import Part, new_file
from workbench.store.schema import SCHEMA, insert_rows

_BATCH: Final = 10_000
"""Entries of one commit when a session is written to a file."""


class MemoryLog:
    """A log that is kept nowhere, with the same face: for `wb.start(":memory:")`."""

    def __init__(self, salt: str) -> None:
        self.salt = salt
        self.last_seq = 0
        self.keeps_checkpoints = False
        self._entries: list[Entry] = []
        self._oplogs: dict[int, list[Entry]] = {}

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep entries."""
        for entry in entries:
            self._oplogs.setdefault(entry.agent, []).append(entry)
        self._entries.extend(entries)
        self.last_seq = entries[-1].seq

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """Entries with `after < seq <= upto`; `seq` is dense from 1, so it is a place in the list."""
        return iter(self._entries[after:upto])

    def read_oplog(self, agent: int, first: int, last: int) -> list[Entry]:
        """Entries of one agent between two indices."""
        oplog = self._oplogs.get(agent, [])
        start = oplog[0].index if oplog else 1
        return oplog[max(first - start, 0) : max(last - start + 1, 0)]

    def read_parts(self, parts: Iterable[Part]) -> list[Entry]:
        """Entries of several parts of oplogs, in the order of the parts."""
        return [entry for part in parts for entry in self.read_oplog(*part)]

    def read_seqs(self, seqs: Sequence[int]) -> list[Entry]:
        """Entries by their numbers."""
        return [self._entries[seq - 1] for seq in seqs]

    def select(
        self, kinds: Collection[type[Body]], holding: bytes = b"", after: int = 0, upto: int | None = None
    ) -> Iterator[Entry]:
        """Entries of some kinds, and those whose body holds some bytes."""
        wanted = frozenset(kinds)
        for entry in self._entries[after:upto]:
            if type(entry.body) in wanted or (holding and holding in encode_body(entry.body)):
                yield entry

    def keep(self, seq: int, state: bytes) -> None:
        """What is kept nowhere is never opened again."""

    def checkpoints(self) -> Iterator[bytes]:
        """None."""
        return iter(())

    def verify(self) -> None:
        """What is in memory is as it was."""

    def export(self, target: Path) -> None:
        """Write all entries into a new store file.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        entries = self._entries[: self.last_seq]
        with new_file(target), closing(SqliteLog(target, self.salt)) as log:
            for at in range(0, len(entries), _BATCH):
                log.append(entries[at : at + _BATCH])

    def query(self, sql: str, parameters: Parameters = ()) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one read-only statement on a throw-away copy in SQLite."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            copy_into(db, self._entries)
            db.execute("PRAGMA query_only = ON")
            return run_query(db, sql, parameters)
        finally:
            db.close()

    def close(self) -> None:
        """Nothing to give back."""


def copy_into(db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Write entries into an empty SQLite database in the layout of a store."""
    db.executescript(SCHEMA)
    db.executemany("INSERT INTO kind VALUES (?, ?)", [(n, c.__name__) for n, c in KINDS.items()])
    places: dict[str, int] = {"": 0}
    insert = insert_rows(1)
    for x in entries:
        place = places.setdefault(x.line, len(places))
        kind = KIND_NUMBERS[type(x.body)]
        row = (x.seq, x.agent, x.index, kind, x.cause, x.invocation, x.wall, x.mono, place, encode_body(x.body), b"")
        db.execute(insert, row)
    db.executemany("INSERT INTO place VALUES (?, ?)", [(n, text) for text, n in places.items() if n])
