"""Saving what is whole of a damaged store: the longest prefix of its log that the hash chain proves.

The damaged file is only read, with its write-ahead log and, where that is no help (it is of another store, say),
without; the longer prefix counts. What is saved is written as any log is, so the new store is a sound one. Whatever was
in the log after the first entry that is missing or changed is left behind: it may rest on what is not there.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from workbench.errors import StoreCorruptError, StoreError, StoreInUseError
from workbench.model.entries import Entry
from workbench.store.chain import START, link
from workbench.store.commit_mark import lost, read_mark
from workbench.store.connection import place_of, reading
from workbench.store.lock import StoreLock
from workbench.store.log import SqliteLog
from workbench.store.reading import check_tables, new_file, rows_of
from workbench.store.rows import StrangeRowError, entry_of
from workbench.store.schema import SALT_HASH, salt_hash

_BATCH: Final = 1000
"""Entries of one commit."""
_WITHOUT_WAL: Final = "mode=ro&immutable=1"


class Salvaged(NamedTuple):
    """What was saved of a store."""

    path: str
    """Where the new store lies."""
    entries: int
    """How many entries it holds: those from the first on that are whole."""
    wrong: str
    """What was wrong with the next one; empty when nothing was found to be."""
    salt_lost: bool
    """Whether the store's salt could not be saved: ids of promises that were written down then name none now."""


class _Found(NamedTuple):
    """What can be read in one of the ways."""

    how: str
    entries: int
    chain: bytes
    wrong: str


def salvage(path: str | os.PathLike[str], new_path: str | os.PathLike[str]) -> Salvaged:
    """Copy the longest valid prefix of a damaged store into a new one, which can be started like any other.

    Args:
        path: of the damaged store, which is left as it is. Nobody may have it open.
        new_path: of the new store; nothing may lie there.

    Raises:
        StoreError: there is no such store, it is in use, or the new one cannot be written.
        StoreCorruptError: not even the first entry is whole.
    """
    old, new = place_of(path), place_of(new_path)
    if not old.is_file():
        raise StoreError(f"no store {old}", "there is no such file", "check the path")
    lock = StoreLock(old)
    try:
        lock.acquire("it is being salvaged")
    except StoreInUseError:
        raise
    except StoreError:  # nothing may be written beside it: whoever has it open is somewhere else
        pass
    try:
        best = max((_look(old, how) for how in ("", _WITHOUT_WAL)), key=lambda found: found.entries)
        if not best.entries:
            raise StoreCorruptError(
                f"nothing of {old} can be saved", best.wrong or "it holds no entry", "restore a copy of the store"
            )
        salt = _salt(old, best.how)
        with new_file(new), closing(SqliteLog(new, salt or best.chain.hex()[:8])) as log:
            _copy(old, best, log)
        wrong = best.wrong or _missing(old, best, salt)
    finally:
        lock.release()
    return Salvaged(os.fspath(new_path), best.entries, wrong, salt is None)


def _missing(path: Path, found: _Found, salt: str | None) -> str:
    """What was committed and is not there; empty when nothing is known to be missing."""
    marked = read_mark(path)
    if marked is None or salt is None or not marked.is_of(salt) or marked.seq <= found.entries:
        return ""
    error = lost(path, found.entries, marked)
    return f"{error.what}: {error.why}"


def _look(path: Path, how: str) -> _Found:
    """How many entries are whole in one way of reading, and what is wrong then."""
    count, chain, wrong = 0, START, ""
    try:
        for entry, after in _entries(path, how):
            count, chain = entry.seq, after
    except (StoreError, sqlite3.Error) as error:
        wrong = error.what + (error.why and f": {error.why}") if isinstance(error, StoreError) else str(error)
    return _Found(how, count, chain, wrong)


def _entries(path: Path, how: str) -> Iterator[tuple[Entry, bytes]]:
    """Entries with their chain, as far as they are whole."""
    with reading(path, how) as db:
        check_tables(db, path)
        chain, expected = START, 1
        for row in rows_of(db, "ORDER BY seq"):
            if row[0] != expected:
                raise StoreCorruptError(f"entry {expected} is missing", f"entry {row[0]} follows")
            chain = link(chain, row[:10])
            if chain != row[10]:
                raise StoreCorruptError(f"entry {expected} was changed", "it does not fit the hash chain")
            try:
                yield entry_of(row), chain
            except (StrangeRowError, msgspec.MsgspecError) as error:
                raise StoreCorruptError(f"entry {expected} cannot be read", str(error)) from error
            expected += 1


def _salt(path: Path, how: str) -> str | None:
    """The store's salt, if it is whole."""
    with suppress(StoreError, sqlite3.Error), reading(path, how) as db:
        meta: dict[str, Any] = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('salt', ?)", (SALT_HASH,)))
        salt: object = meta.get("salt")
        if isinstance(salt, str) and meta.get(SALT_HASH, salt_hash(salt)) == salt_hash(salt):
            return salt
    return None


def _copy(path: Path, found: _Found, log: SqliteLog) -> None:
    batch: list[Entry] = []
    for entry, _ in _entries(path, found.how):
        batch.append(entry)
        if len(batch) == _BATCH or entry.seq == found.entries:
            log.append(batch)
            batch = []
        if entry.seq == found.entries:
            break
