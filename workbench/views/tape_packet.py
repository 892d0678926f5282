"""A tape on the wire, and in a file.

*Live*: a packet holds the rows from one number to another, column after column, little-endian, in the order of
`COLUMNS`; the head says which rows, and which texts are new. A reader that has the rows before them takes it in; one
that has not asks for what it misses. Nothing is numbered but the rows, so a packet may be sent twice.

*Saved*: all rows at once, with times and numbers of entries as differences, compressed: about 10 bytes a row. Four
bytes tell the length of the head, which is JSON, then come the head and the columns. A tape of more rows than
`SAVED_ROWS` is saved as its last moment only: each agent, its status, and what waits.
"""

import sys
import zlib
from array import array
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from workbench.views.graph_nodes import LOUD, Status
from workbench.views.tape import Moment, Row, Tape

COLUMNS: Final = "wall float64, seq uint32, slot int32, a int32, b int32, c uint32, index int32, kind uint8"
"""In a saved packet `wall` is uint32: hundredths of a millisecond after the row before."""
MOST_ROWS: Final = 20_000
"""Rows in one live packet: about 700 kB."""
SAVED_ROWS: Final = 60_000
"""Rows that are saved whole: about 600 kB."""
SAVED_AGENTS: Final = 3_000
"""Agents of a longer tape that are saved one by one."""
_RANKS: Final = {**dict.fromkeys(LOUD, 0), Status.DONE: 2, Status.IDLE: 2, Status.EXITED: 3}
"""Whom to save first: those that need somebody, then those with work."""
_PER_MS: Final = 100
_MOST: Final = 0xFFFF_FFFF


class TapePacket(msgspec.Struct, frozen=True):
    """`head` is JSON, `data` the columns."""

    head: dict[str, Any]
    data: bytes


def packet(tape: Tape, row: int, text: int, most: int = MOST_ROWS) -> TapePacket:
    """The rows from number `row` on, at most so many, and the texts from number `text` on."""
    end = min(len(tape), row + most)
    data = b"".join(_little(column[row:end]) for column in _ordered(tape))
    head = {
        "t": "rows",
        "from": row,
        "rows": end - row,
        "text": text,
        "texts": tape.texts[text:],
        "seq": tape.last_seq if end == len(tape) else tape.seq[end - 1],
    }
    return TapePacket(head, data)


def saved(tape: Tape, facts: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> bytes:
    """The tape for a file.

    Args:
        tape: what to save.
        facts: what the head of a view tells of the session.
        notes: answers that the page can give without a kernel, by `kind:key`.
    """
    head: dict[str, Any] = {"seq": tape.last_seq, "facts": dict(facts), "notes": dict(notes or {})}
    if len(tape) > SAVED_ROWS:
        tape, head["left_out"] = _last_moment(tape)
    wall, jumps = _steps(tape.wall)
    seq = array("I", (b - a for a, b in zip((0, *tape.seq[:-1]), tape.seq, strict=True))) if len(tape) else tape.seq
    columns = (wall, seq, *_ordered(tape)[2:])
    head["rows"] = len(tape)
    head["texts"] = tape.texts
    head["packed"] = {"wall": tape.wall[0] if len(tape) else 0, "jumps": jumps}
    told = msgspec.json.encode(head)
    told += b" " * (-len(told) % 4)  # the columns begin where numbers of four bytes may
    return zlib.compress(b"".join((len(told).to_bytes(4, "little"), told, *map(_little, columns))))


def _ordered(tape: Tape) -> "tuple[array[Any], ...]":
    return tape.wall, tape.seq, tape.slot, tape.a, tape.b, tape.c, tape.index, tape.kind


def _little(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _steps(walls: "array[float]") -> "tuple[array[int], list[list[float]]]":
    """Times as hundredths of a millisecond after the row before; and the gaps too long for that, apart."""
    steps, jumps = array("I"), []
    told = round(walls[0] * _PER_MS) if walls else 0
    for row, wall in enumerate(walls):
        now = round(wall * _PER_MS)
        step = max(0, now - told)
        if step > _MOST:
            jumps.append([row, step / _PER_MS])
            step = 0
        steps.append(step)
        told = max(now, told)
    return steps, jumps


def _last_moment(tape: Tape) -> tuple[Tape, int]:
    """A short tape with the last moment of a long one: failed agents first, then those with work; who is left out."""
    moment = tape.moment()
    keep = set(_kept(tape, moment))
    slots = sorted(keep)
    place = {slot: at for at, slot in enumerate(slots)}
    texts: dict[str, int] = {"": 0}

    def text(number: int) -> int:
        return texts.setdefault(tape.texts[number], len(texts))

    begin = tape.wall[0], tape.seq[0]  # when they came is left out too
    agents = [
        (
            *begin,
            Row.AGENT,
            place[slot],
            place.get(node.parent, -1),
            node.origin,
            texts.setdefault(node.agent_id, len(texts)),
            0,
        )
        for slot, node in ((slot, tape.view.nodes[slot]) for slot in slots)
    ]
    rows = [
        (tape.wall[row], tape.seq[row], Row.STATUS, place[slot], tape.a[row], text(tape.b[row]), text(tape.c[row]), 0)
        for slot, row in ((slot, moment.last[slot]) for slot in slots)
        if row >= 0
    ]
    rows += [
        (tape.wall[row], tape.seq[row], Row.OPEN, place[source], place[target], tape.b[row], tape.c[row], 0)
        for row, source, target in ((row, tape.slot[row], tape.a[row]) for row in moment.links)
        if source in keep and target in keep
    ]
    rows += [
        (*begin, Row.LABEL, place[slot], 0, 0, texts.setdefault(label, len(texts)), 0)
        for slot, label in ((slot, tape.view.nodes[slot].label) for slot in slots)
        if label is not None
    ]
    short = Tape()
    short.texts = list(texts)
    short.view.seq = tape.last_seq
    short.write([*agents, *sorted(rows, key=lambda row: row[1])])
    return short, len(tape.view.nodes) - len(keep)


def _kept(tape: Tape, moment: Moment) -> list[int]:
    """Slots worth saving, each with its ancestors."""
    nodes = tape.view.nodes

    def rank(slot: int) -> tuple[int, int]:
        status = tape.status(moment, slot)
        return _RANKS.get(status, 1), slot

    kept: set[int] = set()
    for slot in sorted(range(moment.agents), key=rank):
        chain, at = [], slot
        while at >= 0 and at not in kept:
            chain.append(at)
            at = nodes[at].parent
        if len(kept) + len(chain) <= SAVED_AGENTS:
            kept.update(chain)
    return sorted(kept)
