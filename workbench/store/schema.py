"""The file's layout. One table holds the log; everything else could be rebuilt from it.

`line` is the number of a place (`file:line` text) in `place`, because few lines of code write most entries. A body over
`LARGE_BODY` bytes stands in `payload` under its hash, and `log.body` is NULL there. `chain` is a hash over the entry
and the chain before it, so a changed, missing or swapped entry is noticed (SQLite alone notices 12 % of flipped bits in
values).

There is no index on the agent: keeping one up costs as much as the log itself (6 µs a row instead of 3). Where an
agent's entries stand is kept in memory, 8 bytes an entry (`StoreReader.read_oplog`).

`checkpoint` and `position` spare an opening most of the log (see `workbench.store.checkpoints`). They are no part of
what a store says: emptied or dropped, they are made again.
"""

import re
from hashlib import blake2b
from typing import Final

from workbench.model.entries import KINDS

APPLICATION_ID: Final = 0x57424348
"""Marks the file as ours in SQLite's header (the letters WBCH)."""

FORMAT: Final = 1
"""Number of this layout, in `user_version`; a newer one is refused in words."""

KIND_NAMES: Final = {number: kind.__name__ for number, kind in KINDS.items()}
"""What the table `kind` holds."""

SALT_HASH: Final = "salt hash"
"""The key in `meta` of a hash of the salt, because no chain covers it."""

LARGE_BODY: Final = 65536
"""Bytes above which a body moves to the payload table; Golem's limit."""

CHECKPOINT_TABLES: Final = """
CREATE TABLE IF NOT EXISTS checkpoint (
    seq INTEGER PRIMARY KEY,
    chain BLOB NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS position (
    last INTEGER PRIMARY KEY,
    chain BLOB NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL
);
"""
"""Made at each opening where they are not there."""

_OPLOG: Final = """oplog AS
    SELECT log.seq, created.agent AS uid, log.idx, kind.name AS kind, log.cause, log.invocation, log.wall,
        place.text AS line
    FROM log JOIN kind ON kind.number = log.kind LEFT JOIN place ON place.id = log.line
    JOIN log AS created ON created.seq = log.agent"""

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    agent INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    invocation INTEGER NOT NULL,
    wall INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    line INTEGER NOT NULL,
    body BLOB,
    chain BLOB NOT NULL
);
CREATE TABLE place (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE payload (hash BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE kind (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE VIEW {_OPLOG};
{CHECKPOINT_TABLES}"""

TABLES: Final = dict(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) (.*?);$", SCHEMA, re.DOTALL | re.MULTILINE))
"""What stands in a store's file of each table of ours, behind its name. Word for word, so it is never laid out anew."""

OPLOG_VIEW: Final = f"CREATE TEMP VIEW {_OPLOG}"
"""Ours, in front of the one that a file holds, which may have been changed."""


def salt_hash(salt: str) -> str:
    """What stands under `SALT_HASH`."""
    return blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def insert_rows(count: int) -> str:
    """The statement that inserts so many rows of the log; it takes 11 values a row."""
    rows = ",".join(["(?,?,?,?,?,?,?,?,?,?,?)"] * count)
    return f"INSERT INTO log (seq, agent, idx, kind, cause, invocation, wall, mono, line, body, chain) VALUES {rows}"  # noqa: S608 - question marks only
