"""Fuzz targets whose bytes say how a store was harmed: its files, its tables, its log, its checkpoints.

What is harmed without a chain that fits is found, or harmless: whatever is told is what was there before. What has a
chain that fits was written by somebody: it may tell anything, and is told in words or refused in words.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import workbench as wb
from tests.hostile.chance import Chance
from tests.hostile.forged import (
    VALUES,
    Forger,
    Told,
    changed_image,
    forge,
    forge_checkpoint,
    image_of,
    row_of,
    told,
)
from tests.hostile.looks import DRAWN, clear, look_at, refusing
from tests.replay.corpus import PROGRAMS
from workbench.model.entries import AgentCreated, Entry, SessionStarted
from workbench.runtime.journal import Pace
from workbench.testing import SimulatedClock, read_log
from workbench.testing.sweep import memory_folder

PATIENCE: Final = 30.0
"""Seconds after which a session that does not come to rest counts as hung."""
_PROGRAM: Final = "promises"
_PAGE: Final = 4096


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one, for as long as the block runs."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        yield Path(name)


def forge_entries(path: Path, log: Told) -> None:
    """A store that holds what a session wrote."""
    forge(path, [row_of(entry) for entry in log.entries], log.salt)


# ---- stores that were damaged ----------------------------------------------------------------------------------------


class Whole(NamedTuple):
    """A store that its owner left, who was killed: what lies in its files, and what that is."""

    files: dict[str, bytes]
    entries: list[Entry]


@cache
def whole() -> Whole:
    """With checkpoints, a large body, and a write-ahead log of which a part was folded into the file."""
    with folder() as place:
        path = place / "s.db"
        with wb.start(path, clock=SimulatedClock("whole")) as session:
            session.thread.journal.pace = Pace(entries=20, per_agent=0, closing=1)
            PROGRAMS[_PROGRAM](lambda *_: None)
            wb.complete_promise(wb.create_promise(), b"l" * 70_000)
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA wal_checkpoint").fetchall()
            PROGRAMS["join"](lambda *_: None)
            session.agents()
            files = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
        return Whole(files, read_log(path))


def lay(path: Path, files: dict[str, bytes]) -> None:
    """Put a store's files somewhere."""
    for end, data in files.items():
        Path(f"{path}{end}").write_bytes(data)


def file(data: bytes) -> None:
    """A store of which bytes were changed, cut off, copied or swapped tells what is so, or that it is damaged."""
    chance = Chance(data)
    files = {end: bytearray(before) for end, before in whole().files.items()}
    if not chance.number(3):
        del files["-wal"]
    while chance:
        _damage(chance.pick(list(files.values())), chance)
    with folder() as place:
        lay(place / "s.db", {end: bytes(changed) for end, changed in files.items()})
        _judge(place / "s.db")


def _damage(content: bytearray, chance: Chance) -> None:
    """Do one thing to a file."""
    if not content:
        chance.some(1)
        return
    at = chance.number(len(content))
    pages = len(content) // _PAGE
    match chance.number(8):
        case 0 | 1 | 2:
            content[at] ^= 1 << chance.number(8)
        case 3:
            some = chance.some(1 + chance.number(8))
            content[at : at + len(some)] = some
        case 4:  # in the header of a page, where its cells are found
            head = at // _PAGE * _PAGE + (100 if at < _PAGE else 0) + chance.number(12)
            content[head : head + 1] = chance.some(1)
        case 5:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
        case 6 if pages > 1:
            a, b = chance.number(pages) * _PAGE, chance.number(pages) * _PAGE
            content[a : a + _PAGE] = content[b : b + _PAGE]
        case _:
            del content[at:]


def rows(data: bytes) -> None:
    """A store whose tables were changed with SQL, the chain apart, tells what is so, or that it is damaged."""
    chance = Chance(data)
    with folder() as place:
        path = place / "s.db"
        lay(path, whole().files)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA writable_schema = ON")
            while chance:
                statement, value = _statement(chance), _value(chance)
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    db.execute(statement, (value,) if "?" in statement else ())
        _judge(path)


_COLUMNS: Final = (
    ("log", ("agent", "idx", "kind", "cause", "invocation", "wall", "mono", "line", "body", "chain", "seq")),
    ("meta", ("key", "value")),
    ("place", ("id", "text")),
    ("payload", ("hash", "body")),
    ("kind", ("number", "name")),
    ("checkpoint", ("seq", "chain", "hash", "body")),
    ("position", ("last", "chain", "hash", "body")),
    ("sqlite_schema", ("type", "name", "tbl_name", "rootpage", "sql")),
)
_ODD: Final = (
    "DROP TABLE {table}",
    "ALTER TABLE {table} RENAME TO other",
    "ALTER TABLE {table} ADD COLUMN more GENERATED ALWAYS AS (zeroblob(1000000000))",
    "CREATE VIEW v{table} AS SELECT * FROM {table}",
    "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM {table}; END",
    "CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT hex(zeroblob(1000000000)); END",
    "CREATE INDEX i ON {table} ({column}, hex({column}))",
    "CREATE UNIQUE INDEX i ON {table} ({column})",
    "CREATE TABLE {table}s (x CHECK (x > hex(zeroblob(1000000000))))",
    "PRAGMA application_id = 7",
    "PRAGMA user_version = 2",
    "PRAGMA user_version = -1",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA auto_vacuum = FULL",
    "VACUUM",
)


def _statement(chance: Chance) -> str:
    """SQL that does one thing, with a value to be given."""
    table, columns = chance.pick(_COLUMNS)
    column = chance.pick(columns)
    where = f"rowid = {chance.number(60)}" if table not in ("meta", "payload") else "true"
    match chance.number(8):
        case 0 | 1 | 2 | 3:
            return f"UPDATE {table} SET {column} = ? WHERE {where}"  # noqa: S608 - our own words
        case 4:
            return f"DELETE FROM {table} WHERE {where} AND ? IS NOT 7"  # noqa: S608
        case 5:
            other = chance.number(60)
            return f"UPDATE OR REPLACE {table} SET {column} = (SELECT {column} FROM {table} WHERE rowid = {other}) WHERE {where} AND ? IS NOT 7"  # noqa: E501, S608
        case 6:
            return f"UPDATE {table} SET {column} = CAST({column} AS BLOB) WHERE {where} AND ? IS NOT 7"  # noqa: S608
    return chance.pick(_ODD).format(table=table, column=column)


def _value(chance: Chance) -> Any:
    match chance.number(5):
        case 0:
            return chance.number(70)
        case 1:
            return chance.pick((None, -1, 1 << 62, -(1 << 63), 1.5, "", "x", "salt", b""))
        case 2:
            return chance.pick(VALUES)
        case 3:
            return chance.some(chance.number(20))
    return chance.some(chance.number(20)).decode("latin-1")


def _judge(path: Path) -> None:
    """Look into a damaged store, save what is whole of it, and start it: all that is told is what was there."""
    sound = whole().entries

    def look() -> None:
        with wb.start(path, read_only=True) as session:
            entries = list(session.entries())
            assert entries == sound[: len(entries)]
            for agent in session.agents()[:5]:
                oplog = session.oplog(agent.agent_id)
                assert set(map(_plain, oplog)) <= set(map(_plain, entries))
            session.promises()
            session.sql("SELECT * FROM oplog")

    def save() -> None:
        saved = wb.salvage(path, path.with_name("new.db"))
        assert read_log(saved.path) == sound[: saved.entries]

    def begin() -> None:
        with wb.start(path, clock=SimulatedClock("begin")) as session:
            refusing(lambda: wb.run(session.at_rest(), PATIENCE))
            _sound(session)
            session.agents()
        assert _goes_on(read_log(path), sound)

    for act in (look, save, begin):
        refusing(act)


def _plain(entry: Entry) -> tuple[int, int, int]:
    return entry.seq, entry.agent, entry.index


def _goes_on(entries: list[Entry], sound: list[Entry]) -> bool:
    """Whether a log begins as a sound one, and goes on from where that ends, or was cut off, with another session."""
    same = next((n for n, pair in enumerate(zip(entries, sound, strict=False)) if pair[0] != pair[1]), len(sound))
    new = entries[same:] or entries[-1:]  # of an empty file, which is a new store, the beginning may be the same
    return bool(new) and isinstance(new[0].body, AgentCreated if same == 0 else SessionStarted)


def _sound(session: wb.Session) -> None:
    """Assert that a session is not at a loss for words about what stopped it."""
    trouble = session.trouble
    if trouble is not None:
        assert isinstance(trouble, wb.WorkbenchError), repr(trouble)
        clear(trouble)


# ---- stores that somebody wrote --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _forged(chance: Chance) -> Iterator[tuple[Path, Forger]]:
    """A store with a log that no session wrote."""
    with folder() as place:
        forger = Forger(chance)
        path = place / "s.db"
        forge(path, forger.rows, forger.salt)
        yield path, forger


def log(data: bytes) -> None:
    """A log that no session wrote, whose chain holds: each question is answered, or refused in words."""
    chance = Chance(data)
    drawn = chance.pick(list(DRAWN))
    with _forged(chance) as (path, forger):

        def look() -> None:
            with wb.start(path, read_only=True) as session:
                assert [row_of(entry)[:8] for entry in session.entries()] == [row[:8] for row in forger.rows]
                look_at(session, path.parent, drawn)

        refusing(look)
        refusing(lambda: wb.salvage(path, path.with_name("new.db")))


def start(data: bytes) -> None:
    """A session on a log that no session wrote comes to rest, answers, closes, and can be opened again."""
    chance = Chance(data)
    drawn = chance.pick(list(DRAWN))
    with _forged(chance) as (path, _):
        refusing(lambda: _begin(path, drawn))


def _begin(path: Path, drawn: str) -> None:
    with wb.start(path, clock=SimulatedClock("begin")) as session:
        refusing(lambda: wb.run(session.at_rest(), PATIENCE))
        look_at(session, path.parent, drawn, results=False)
        refusing(session.simulate_crash)
        _sound(session)
    with wb.start(path, read_only=True) as session:
        session.agents()


def checkpoint(data: bytes) -> None:
    """A checkpoint that no session wrote, whose hash holds, is passed over, or what it says is told in words."""
    chance = Chance(data)
    drawn = chance.pick(list(DRAWN))
    log = chance.pick(told())
    with folder() as place:
        path = place / "s.db"
        forge_entries(path, log)
        upto = len(log.entries) - chance.number(3)
        positions = chance.pick(VALUES) if not chance.number(8) else b"\x80"
        forge_checkpoint(path, log.salt, changed_image(image_of(log.entries[:upto]), chance), positions)

        def look() -> None:
            with wb.start(path, read_only=True) as session:
                look_at(session, path.parent, drawn)

        refusing(look)
        refusing(lambda: _begin(path, drawn))
