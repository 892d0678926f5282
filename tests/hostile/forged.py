"""Logs that no session wrote, and whose hash chain holds all the same: who can write a file can compute a hash.

What is changed is chosen by bytes (`Chance`), so that a fuzzer can steer it: numbers, texts and values in headers and
bodies, the order of entries, whole entries of any kind.
"""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
import types
import typing
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import workbench as wb
from tests.hostile.chance import Chance
from tests.replay.corpus import PROGRAMS
from workbench.core import checkpoint
from workbench.core.state import State
from workbench.model.codec import encode
from workbench.model.entries import KIND_NUMBERS, KINDS, Body, Entry, Facts, Logged, decode_body, encode_body
from workbench.model.failure import encode_failure
from workbench.store import checkpoints
from workbench.store.chain import START, link
from workbench.store.reading import rows_of
from workbench.store.schema import KIND_NAMES, SALT_HASH, SCHEMA, insert_rows, salt_hash
from workbench.testing import SimulatedClock

Row = list[Any]
"""seq, agent, index, kind, cause, invocation, wall, mono, line, body: what the chain covers."""

SEED: Final = 19
_LINE: Final = 8
_NUMBERS: Final = (0, 1, 2, 3, -1, -2, 60, 1 << 31, 1 << 53, 1 << 62, (1 << 63) - 1, -(1 << 63))
_TIMES: Final = (1_700_000_000_000_000_000, 1_700_000_005_000_000_000, 9_000_000_000_000_000_000, 1, 0, -1)
_TEXTS: Final = (
    "", "x", "\x00", "__init__", "__class__", "__reduce__", "os.system", "eval", "work", "nap", "Session()", "Session",
    "Child", "Child()", 'Child("a",0)', "Child(", 'Child("a",0)[00000000-0000-4000-8000-000000000000]',
    "Child([[[[[[]]]]]])", "W" * 2_000, "\u202e\u2028\x1b[31m", "<script>", "revert_to", "fork", "stdout",
)  # fmt: skip
_OTHER_KINDS: Final = ("five", "", 1.5, float("inf"), b"", b"\x93\x01\x02", "x" * 100)
"""What SQLite keeps in a column of whole numbers all the same."""


class _Evil:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return eval, ("__import__('os').system('true')",)


def _tag(number: int, content: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(number, msgspec.msgpack.encode(content)))


VALUES: Final = (
    b"",
    encode(None),
    encode([[], {}]),
    encode([["a", 0], {}]),
    encode([[1], {"x": 1, "self": 2}]),
    encode({}),
    encode_failure(ValueError("no"), "Child()", "work"),
    msgspec.msgpack.encode(["Child()", "work", "DeadlockError", "m", "", [[], 7], [], ""]),
    msgspec.msgpack.encode(["Child()", "work", "DeadlockError", "m", "", [[["a", "b", "c"]], "%9d"], [], ""]),
    msgspec.msgpack.encode(["Child()", "work", "DivergenceError", "m", "", ["a", "b", 1, {}, 2, 3], [], ""]),
    msgspec.msgpack.encode(["Child()", "work", "StalledError", "m", "", [1, [], {}], [], ""]),
    msgspec.msgpack.encode(["Child()", "work", "ExceptionGroup", "m", "", None, [["a", "b", "KeyError", "c"]], ""]),
    msgspec.msgpack.encode(["Child()", "work", "SystemExit", "m", "", None, [], "SystemExit"]),
    msgspec.msgpack.encode(["Child()", "work", "eval", "m", "", ["x"], [], "eval"]),
    pickle.dumps(_Evil()),
    _tag(40, ["os:system", {"command": "true"}]),
    _tag(41, ["builtins:eval", "1"]),
    _tag(44, ["subprocess:Popen", {"args": "true"}]),
    _tag(23, ["eval", {}]),
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff\x00",
    b"\xc6\xff\xff\xff\xff",
    b"\x91" * 3_000,
    b"\x81\x00" * 3_000,
    b"\xff" * 40,
)
"""Encoded values, some of which are none."""


class Told(NamedTuple):
    """What a session wrote that ran one program."""

    name: str
    entries: list[Entry]
    salt: str


@cache
def told() -> list[Told]:
    """The logs of the corpus, all of agents whose class is defined in this process."""
    found = []
    for name, run in PROGRAMS.items():
        with wb.start(":memory:", clock=SimulatedClock(SEED)) as session:
            with contextlib.suppress(
                wb.InvocationError
            ):  # a program that counts its tries in the process, and ran before
                run(lambda *_: None)
            session.agents()
            found.append(Told(name, list(session.entries()), session._log.salt))
    return found


def row_of(entry: Entry) -> Row:
    """An entry as the chain covers it."""
    kind = KIND_NUMBERS[type(entry.body)]
    header = [entry.seq, entry.agent, entry.index, kind, entry.cause, entry.invocation, entry.wall, entry.mono]
    return [*header, entry.line, encode_body(entry.body)]


# ---- what is changed -------------------------------------------------------------------------------------------------


class Forger:
    """Changes the log of one program.

    Args:
        chance: decides what.

    Attributes:
        rows: the log as it is by now.
        salt: of the store that it came from.
    """

    def __init__(self, chance: Chance) -> None:
        log = chance.pick(told())
        entries = log.entries[: len(log.entries) - chance.number(2) * chance.number(len(log.entries))]
        self.salt = log.salt
        self.rows = [row_of(entry) for entry in entries]
        self._chance = chance
        self._ids = sorted({text for entry in log.entries if (text := getattr(entry.body, "agent_id", ""))})
        while chance:
            chance.pick(_CHANGES)(self)
        for number, row in enumerate(self.rows, 1):
            row[0] = number

    def _row(self) -> Row:
        return self._chance.pick(self.rows)

    def body(self) -> None:
        """Another value in a body."""
        row = self._row()
        body = _body_of(row)
        if body is not None and body.__struct_fields__:
            field = self._chance.pick(body.__struct_fields__)
            hint = typing.get_type_hints(type(body))[field]
            self._say(row, msgspec.structs.replace(body, **{field: self._invent(hint, getattr(body, field))}))

    def header(self) -> None:
        """Another number or text in a part of a header that nothing is found by."""
        field = self._chance.pick((4, 5, 6, 7, 8))
        self._row()[field] = self._chance.pick(_TEXTS) if field == _LINE else self.number()

    def become(self) -> None:
        """An entry becomes one of any kind, with anything in it."""
        kind = self._chance.pick(list(KINDS.values()))
        hints = typing.get_type_hints(kind)
        self._say(self._row(), kind(**{name: self._invent(hints[name], None) for name in kind.__struct_fields__}))

    def vanish(self) -> None:
        """An entry becomes one that says nothing, so that all others keep their numbers."""
        self._say(self._row(), Logged("stdout", ""))

    def copy(self) -> None:
        """An entry says what another one says."""
        source, target = self._row(), self._row()
        target[3], target[9] = source[3], source[9]

    def swap(self) -> None:
        """Two entries say what the other one said."""
        one, other = self._row(), self._row()
        for field in (3, 4, 5, 9):
            one[field], other[field] = other[field], one[field]

    def break_off(self) -> None:
        """What the order of a log rests on: numbers of agents and indices, types of columns, the number of entries."""
        place = self._chance.number(len(self.rows))
        row = self.rows[place]
        match self._chance.number(6):
            case 0:
                row[1 + self._chance.number(2)] = self.number()
            case 1:
                row[1 + self._chance.number(8)] = self._chance.pick(_OTHER_KINDS)
            case 2:
                row[9] = self._chance.some(1 + self._chance.number(12))
            case 3 if len(self.rows) > 1:
                del self.rows[place]
            case 4:
                self.rows.insert(self._chance.number(len(self.rows)), list(row))
            case _:
                self.rows.append([0, row[1], _next(self.rows, row[1]), *row[3:]])

    def _say(self, row: Row, body: Body) -> None:
        try:
            row[9] = encode_body(body)
        except (OverflowError, UnicodeEncodeError):
            return
        row[3] = KIND_NUMBERS[type(body)]

    # ---- values ------------------------------------------------------------------------------------------------------

    def number(self) -> int:
        """A number of an entry or an index, of a time, or one at an edge."""
        match self._chance.number(4):
            case 0:
                return self._chance.pick(_NUMBERS)
            case 1:
                return self._chance.pick(_TIMES)
            case _:
                return self._chance.number(len(self.rows) + 3)

    def _invent(self, hint: Any, before: Any) -> Any:
        chance = self._chance
        if hint is bool:
            return not before if before is not None else bool(chance.number(2))
        if hint is int:
            return before + 1 if isinstance(before, int) and not chance.number(4) else self.number()
        if hint is str:
            return chance.pick([*self._ids, *_TEXTS])
        if hint is bytes:
            return chance.pick(VALUES) if chance.number(4) else chance.some(chance.number(16))
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            parts = typing.get_args(hint)
            return None if before is not None else self._invent(parts[0], None)
        if typing.get_origin(hint) is tuple:
            return tuple(self._invent(typing.get_args(hint)[0], None) for _ in range(chance.number(3)))
        hints = typing.get_type_hints(hint)
        if isinstance(before, Facts):
            name = chance.pick(hint.__struct_fields__)
            return msgspec.structs.replace(before, **{name: self._invent(hints[name], getattr(before, name))})
        return hint(**{name: self._invent(hints[name], None) for name in hint.__struct_fields__})


_CHANGES: Final = (
    Forger.body, Forger.body, Forger.body, Forger.body, Forger.header, Forger.header, Forger.become, Forger.vanish,
    Forger.copy, Forger.swap, Forger.break_off,
)  # fmt: skip


def _next(rows: Sequence[Row], agent: Any) -> int:
    """The index after an agent's last one."""
    return 1 + max((row[2] for row in rows if row[1] == agent and isinstance(row[2], int)), default=0)


def _body_of(row: Row) -> Body | None:
    try:
        return decode_body(row[9])
    except (msgspec.MsgspecError, TypeError):
        return None


# ---- the file --------------------------------------------------------------------------------------------------------


def forge(path: Path, rows: Sequence[Row], salt: str, *, schema: str = SCHEMA) -> None:
    """Write a store that holds these rows, whatever is in them, and whose chain holds.

    Args:
        path: of a file that is not there.
        rows: the log.
        salt: of the store.
        schema: of the file.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        db.executescript("BEGIN;" + schema)
        db.executemany("INSERT INTO kind VALUES (?, ?)", KIND_NAMES.items())
        db.executemany("INSERT INTO meta VALUES (?, ?)", [("salt", salt), (SALT_HASH, salt_hash(salt))])
        places: dict[Any, int] = {"": 0}
        for row in rows:
            *header, line, body = row
            place = places.setdefault(line, len(places))
            db.execute(insert_rows(1), (*header, place, body, b""))
        db.executemany("INSERT INTO place VALUES (?, ?)", [(n, text) for text, n in places.items() if n])
        chain_up(db)
        db.execute("COMMIT")


def chain_up(db: sqlite3.Connection) -> None:
    """Give each row of a log the chain that it has to have."""
    chain, links = START, []
    for row in list(rows_of(db, "ORDER BY seq")):
        chain = link(chain, row[:10])
        links.append((chain, row[0]))
    db.executemany("UPDATE log SET chain = ? WHERE seq = ?", links)


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def forge_checkpoint(path: Path, salt: str, image: bytes, positions: bytes) -> None:
    """Put a checkpoint at the end of a store's log that counts, whatever it holds.

    Args:
        path: of the store.
        salt: of it.
        image: the state, as `core.checkpoint` writes it or not.
        positions: where entries stand, likewise.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        seq, chain = db.execute("SELECT seq, chain FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        at = salt, seq, chain
        for table, body in (("checkpoint", image), ("position", positions)):
            values = seq, chain, checkpoints._hash(table, at, body), body
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", values)  # noqa: S608 - our own words


def image_of(entries: Sequence[Entry]) -> list[Any]:
    """The state that a log folds to, as the plain parts that a checkpoint holds."""
    data = checkpoint.write(State().fold(entries))
    parts: list[Any] = msgspec.msgpack.decode(data[len(checkpoint.shape()) :])
    return parts


def changed_image(parts: list[Any], chance: Chance) -> bytes:
    """A checkpoint with some of its parts changed."""
    while chance:
        _change_part(parts, chance)
    return checkpoint.shape() + msgspec.msgpack.encode(parts)


def _change_part(parts: Any, chance: Chance) -> None:
    """Go down into lists, dicts and encoded rows by chance, and change what is there."""
    if not parts:
        return
    key = chance.pick(list(parts)) if isinstance(parts, dict) else chance.number(len(parts))
    part = parts[key]
    if isinstance(part, list | dict) and part and chance.number(8):
        _change_part(part, chance)
    elif isinstance(part, bytes) and (row := _row_in(part)) and chance.number(8):
        _change_part(row, chance)
        parts[key] = msgspec.msgpack.encode(row)
    else:
        parts[key] = _other(part, chance)


def _row_in(part: bytes) -> list[Any]:
    """The list that bytes encode; an empty one for none."""
    try:
        row = msgspec.msgpack.decode(part)
    except (msgspec.MsgspecError, RecursionError):
        return []
    return row if isinstance(row, list) else []


def _other(part: Any, chance: Chance) -> Any:
    match part:
        case bool():
            return not part
        case int():
            return chance.pick((part + 1, part - 1, chance.number(40), chance.pick(_NUMBERS), 1 << 63))
        case str():
            return chance.pick(_TEXTS)
        case bytes():
            return chance.pick(VALUES)
        case None:
            return chance.pick(([], 0, {}, [chance.number(40)], "x"))
        case list():
            return chance.pick((part[:-1], part + part, None, []))
    return {}
