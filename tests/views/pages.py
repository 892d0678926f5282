"""What a page knows: packets and saved tapes decoded as the front end decodes them."""

from __future__ import annotations

import json
import zlib
from array import array
from typing import Any, NamedTuple

from workbench.views.tape import Tape
from workbench.views.tape_packet import TapePacket

Told = tuple[float, int, int, int, int, int, int, int]
"""A row: wall, seq, slot, a, b, c, index, kind."""
LIVE = "dIiiiIiB"
PACKED = "IIiiiIiB"


def _columns(data: bytes, rows: int, codes: str) -> list[array[Any]]:
    columns, at = [], 0
    for code in codes:
        column = array(code)
        end = at + rows * column.itemsize
        column.frombytes(data[at:end])
        columns.append(column)
        at = end
    assert at == len(data), "bytes after the last column"
    return columns


def rows_of(tape: Tape) -> list[Told]:
    """All rows of a tape, in the order of their columns on the wire."""
    return list(zip(tape.wall, tape.seq, tape.slot, tape.a, tape.b, tape.c, tape.index, tape.kind, strict=True))


class Page:
    """The rows and texts that a page has, from packets in order of arrival."""

    def __init__(self) -> None:
        self.rows: list[Told] = []
        self.texts = [""]
        self.seq = 0

    def take(self, packet: TapePacket) -> None:
        """Take a packet in; it must continue what is there, or repeat it."""
        head = json.loads(json.dumps(packet.head))
        assert head["from"] <= len(self.rows), "rows were missed"
        assert head["text"] <= len(self.texts), "texts were missed"
        assert self.texts[head["text"] :] == head["texts"][: len(self.texts) - head["text"]], "texts have changed"
        self.texts += head["texts"][len(self.texts) - head["text"] :]
        told = list(zip(*_columns(packet.data, head["rows"], LIVE), strict=True))
        known = len(self.rows) - head["from"]
        assert self.rows[head["from"] :][: len(told)] == told[:known], "rows have changed"
        self.rows += told[known:]
        self.seq = head["seq"]

    @classmethod
    def of(cls, *packets: TapePacket) -> Page:
        """A page that was sent these."""
        page = cls()
        for packet in packets:
            page.take(packet)
        return page


class Saved(NamedTuple):
    """A tape from a file."""

    head: dict[str, Any]
    rows: list[Told]


def unpacked(data: bytes) -> Saved:
    """A saved tape, as a page without a kernel reads it."""
    whole = zlib.decompress(data)
    length = int.from_bytes(whole[:4], "little")
    assert length % 4 == 0, "columns of four bytes must be aligned"
    head = json.loads(whole[4 : 4 + length])
    steps, seqs, *rest = _columns(whole[4 + length :], head["rows"], PACKED)
    jumps = dict(head["packed"]["jumps"])
    walls, since, numbers, seq = [], 0, [], 0
    for row, (step, more) in enumerate(zip(steps, seqs, strict=True)):
        since += round(jumps.get(row, 0) * 100) + step
        walls.append(head["packed"]["wall"] + since / 100)
        seq += more
        numbers.append(seq)
    return Saved(head, list(zip(walls, numbers, *rest, strict=True)))
