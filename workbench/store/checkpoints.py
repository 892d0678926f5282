"""Checkpoints in the store: the newest folded states, and where each agent's entries stand in the log.

Both can be made again from the log, so their tables may be emptied or dropped at any time. A row counts only when it is
whole and of this very log: its hash covers the store's salt, the number of an entry, the chain there and the body; and
the log must have the same chain there. What does not count is passed over: the log is the truth.

States are written whole, and two are kept. Where entries stand is written in parts, each for the entries since the part
before, 8 bytes an entry: a store of a million entries does not write eight megabytes each time.
"""

import sqlite3
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import msgspec

from workbench.store.connection import long_values

Point = tuple[str, int, bytes]
"""A place in a log: the store's salt, the `seq` of an entry, the chain there."""

Oplogs = dict[int, tuple[int, "array[int]"]]
"""Where the entries of each agent stand: its first index, and the `seq` of each entry."""

KEPT: Final = 2
"""States that are kept: should the newest be damaged, or be of another version, there is one before it."""

_HASH_BYTES: Final = 16
_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(dict[int, tuple[int, bytes]])
_SWAPPED: Final = sys.byteorder == "big"
"""Numbers of eight bytes stand in the store with the smallest byte first."""

_NEWEST: Final = f"SELECT seq FROM checkpoint ORDER BY seq DESC LIMIT {KEPT}"  # noqa: S608 - our number
_STATE: Final = (
    "SELECT checkpoint.chain, log.chain, hash, checkpoint.body FROM checkpoint LEFT JOIN log USING (seq) WHERE seq = ?"
)
_POSITIONS: Final = (
    "SELECT last, position.chain, hash, position.body FROM position "
    "JOIN log ON log.seq = last AND log.chain = position.chain ORDER BY last"
)


def _hash(table: str, at: Point, body: bytes) -> bytes:
    digest = blake2b(_encode((table, at)), digest_size=_HASH_BYTES)
    digest.update(body)
    return digest.digest()


def _is_whole(table: str, at: Point, digest: object, body: object) -> bool:
    return isinstance(body, bytes) and digest == _hash(table, at, body)


def states(db: sqlite3.Connection, salt: str) -> Iterator[tuple[int, bytes | None]]:
    """The states that count, newest first: of which entry, and the state as `core.checkpoint` wrote it.

    None in its place: the log has no such entry any more, though the state is whole.
    """
    for (seq,) in list(_rows(db, _NEWEST)):
        for chain, found, digest, body in _rows(db, _STATE, (seq,)):
            if _is_whole("checkpoint", (salt, seq, chain), digest, body) and found in (None, chain):
                yield seq, None if found is None else body


def positions(db: sqlite3.Connection, salt: str) -> tuple[int, Oplogs]:
    """Up to which entry it is known where the entries of each agent stand, and where; `(0, {})` for nowhere."""
    oplogs: Oplogs = {}
    known = 0
    for last, chain, digest, body in _rows(db, _POSITIONS):
        if not _is_whole("position", (salt, last, chain), digest, body):
            break
        try:
            fits = _add(oplogs, _decoder.decode(body), known, last)
        except (msgspec.MsgspecError, ValueError):  # whole, and not written by `keep`
            fits = False
        if not fits:
            return 0, {}
        known = last
    return known, oplogs


def keep(db: sqlite3.Connection, at: Point, state: bytes, oplogs: Oplogs, known: int) -> None:
    """Write a state, and where entries stand that came since. In the caller's transaction.

    Args:
        db: the connection.
        at: where the log ends.
        state: the state there.
        oplogs: where all entries stand.
        known: up to which entry the store holds where they stand.
    """
    _, seq, chain = at
    db.execute("DELETE FROM checkpoint WHERE seq >= ?", (seq,))
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?, ?)", (seq, chain, _hash("checkpoint", at, state), state))
    db.execute(
        "DELETE FROM checkpoint WHERE seq NOT IN (SELECT seq FROM checkpoint ORDER BY seq DESC LIMIT ?)", (KEPT,)
    )
    part = _encode(_after(oplogs, known))
    db.execute("DELETE FROM position WHERE last > ?", (known,))
    db.execute("INSERT INTO position VALUES (?, ?, ?, ?)", (seq, chain, _hash("position", at, part), part))


def _rows(db: sqlite3.Connection, query: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
    """What a query finds; nothing more where the tables are damaged or, in a store of long ago, not there."""
    with suppress(sqlite3.DatabaseError), long_values(db):
        yield from db.execute(query, values)


def _after(oplogs: Oplogs, known: int) -> dict[int, tuple[int, bytes]]:
    """The entries after a `seq`, by agent: index of the first, and all their numbers."""
    found = {}
    for agent, (first, seqs) in oplogs.items():
        if seqs[-1] > known:
            at = bisect_right(seqs, known)
            part = seqs[at:]
            if _SWAPPED:
                part.byteswap()
            found[agent] = first + at, part.tobytes()
    return found


def _add(oplogs: Oplogs, part: dict[int, tuple[int, bytes]], known: int, last: int) -> bool:
    """Add what `_after` gave; whether it holds all entries after `known` up to `last`, each where it has to be."""
    entries = last - known
    for agent, (first, data) in part.items():
        seqs = array("q", data)
        if _SWAPPED:
            seqs.byteswap()
        if not seqs or seqs[0] <= known or seqs[-1] > last or first <= 0:
            return False
        entries -= len(seqs)
        before = oplogs.get(agent)
        if before is None:
            oplogs[agent] = first, seqs
        elif first == before[0] + len(before[1]):
            before[1].extend(seqs)
        else:
            return False
    return entries == 0
