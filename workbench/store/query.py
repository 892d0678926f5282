"""Reading a store with SQL, and nothing but reading."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from workbench.errors import StoreError
from workbench.store.connection import let_it_run
from workbench.store.schema import OPLOG_VIEW

Parameters = Sequence[object] | Mapping[str, object]
"""Values for the places of a query: for each `?` in order, or for each `:name`."""

_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_LOOKS: Final = frozenset({"table_info", "table_list", "index_list"})


_STEPS: Final = 100_000
"""Steps of SQLite's machine after which Python looks for a signal: some ten milliseconds."""


def _go_on() -> int:
    """Called between steps. An interrupt is raised here, which SQLite takes for the wish to stop."""
    return 0


def _only_reading(action: int, name: str | None, *_: object) -> int:
    reading = action in _READING or (action == sqlite3.SQLITE_PRAGMA and name in _LOOKS)
    return sqlite3.SQLITE_OK if reading else sqlite3.SQLITE_DENY


def run_query(db: sqlite3.Connection, sql: str, parameters: Parameters) -> tuple[list[str], list[tuple[object, ...]]]:
    """One SELECT's column names and rows; SQLite's refusal becomes a `StoreError`. Ctrl-C ends it."""
    let_it_run(db)
    db.set_progress_handler(_go_on, _STEPS)
    (query_only,) = db.execute("PRAGMA query_only").fetchone()
    db.execute("PRAGMA query_only = OFF")
    db.execute(OPLOG_VIEW)
    db.execute(f"PRAGMA query_only = {query_only:d}")
    db.set_authorizer(_only_reading)  # a read-only connection would still attach files, and write copies
    try:
        cursor = db.execute(sql, parameters if isinstance(parameters, Mapping) else tuple(parameters))
        names = [column[0] for column in cursor.description or ()]
        return names, cursor.fetchall()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from None
        raise StoreError(
            "the query was refused", str(error), "see session.sql for the tables; only reading is allowed"
        ) from error
