"""What every agent did when, and who told whom: bars and arrows out of the rows of a tape.

A *span* is a stretch of an agent's life in one status: accepted and not begun, running, waiting for something, standing
still. An agent that has nothing to do has none. The spans of an agent follow each other and never overlap.

A span is cut in two where its meaning changes though the status does not: where a process took the session up, and
where a revert goes back to, and ends. So each piece is wholly one of these:

- *ghost*: what was replayed. An invocation that was under way when a process took the session up was rebuilt by running
  its code against the log; what lies before that is ghost. So is, in a fork, its source's part of the invocation, from
  the beginning to the cut.
- *reverted*: what a revert took back.
- neither: what was done once, and counts.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from workbench.views.graph_nodes import Status
from workbench.views.tape import Arrow, Moment, Row, Tape

UNDER_WAY: Final = frozenset(
    {
        Status.RUNNING,
        Status.WAITING,
        Status.SUSPENDED,
        Status.RETRYING,
        Status.INTERRUPTED,
        Status.UNDEFINED,
    }
)
"""An invocation has begun and not ended."""
_RESTING: Final = frozenset({Status.IDLE, Status.DONE, Status.FAILED, Status.EXITED})
_STATUSES: Final = tuple(Status)
_ARROWS: Final = {int(arrow): arrow for arrow in Arrow}
IDLE_SHARE: Final = 0.15
"""The part of the whole that a stretch must be to count as idle."""
DWARFS: Final = 3
"""How many times as long as all the rest together it must be."""
SHORTEST: Final = 1000.0
"""Milliseconds that it must last."""


class Point(NamedTuple):
    """A point of the tape: number of the row, `seq` of its entry, and its wall time in milliseconds."""

    row: int
    seq: int
    wall: float


class Span(NamedTuple):
    """A stretch of an agent's life in one status.

    Attributes:
        slot: whose.
        begin: where it begins; for a ghost in a fork, on the source's rows.
        end: where it ends; the moment itself when it goes on.
        status: what the agent was in.
        reasons: bits of `Reason`, for what it waited.
        method: what it ran, or was to run.
        what: the step, the promise or the timer that it waited for.
        then: the status that came after; None while it goes on, and where it is only cut in two.
        turn: which of the agent's invocations, from 1, as far as the tape shows; 0 for what a fork began with.
        ghost: it was replayed.
        reverted: it was taken back.
        row: the `STATUS` row that tells of it; one of the source's where a fork only has it from there.
    """

    slot: int
    begin: Point
    end: Point
    status: Status
    reasons: int
    method: str
    what: str
    then: Status | None
    turn: int
    ghost: bool
    reverted: bool
    row: int


class Message(NamedTuple):
    """Something that one agent sent to another."""

    kind: Arrow
    sender: int
    sent: Point
    receiver: int
    received: Point


class Stretch(NamedTuple):
    """A stretch of wall time, in milliseconds."""

    begin: float
    end: float

    @property
    def length(self) -> float:
        """In milliseconds."""
        return self.end - self.begin


def point(tape: Tape, row: int) -> Point:
    """The point of a row; of the last row when there are not so many."""
    at = min(row, len(tape) - 1)
    return Point(row, tape.seq[at], tape.wall[at])


def point_at(tape: Tape, seq: int) -> Point:
    """The point right after an entry; its time is that of the last row up to there."""
    row = tape.rows_until(seq)
    return Point(row, seq, tape.wall[max(0, row - 1)])


def last_point(tape: Tape, moment: Moment) -> Point:
    """Where a moment stands."""
    return Point(moment.row, moment.seq, tape.wall[moment.row - 1] if moment.row else 0.0)


# ---- spans --------------------------------------------------------------------------------------------------------


class _Piece(msgspec.Struct):
    """A span in the making."""

    begin: Point
    end: Point | None
    status: Status
    row: int
    """The STATUS row that tells of it."""
    turn: int
    then: Status | None = None
    ghost: bool = False
    reverted: bool = False


class _Life(msgspec.Struct):
    """What is known of an agent on the way through the rows."""

    pieces: list[_Piece] = []
    open: _Piece | None = None
    status: Status = Status.IDLE
    turn: int = 0

    def close(self, at: Point, then: Status | None) -> None:
        """The open piece ends."""
        piece, self.open = self.open, None
        if piece is None:
            return
        piece.end, piece.then = at, then
        if piece.begin.seq < at.seq:
            self.pieces.append(piece)

    def cut(self, at: Point) -> None:
        """The open piece ends, and another like it begins."""
        piece = self.open
        if piece is not None:
            self.close(at, None)
            self.open = _Piece(at, None, piece.status, piece.row, piece.turn)

    def change(self, at: Point, status: Status, row: int) -> None:
        """It is in another status from now on."""
        self.close(at, status)
        began = status in UNDER_WAY and self.status not in UNDER_WAY
        self.turn += began
        self.status = status
        if status not in _RESTING:
            self.open = _Piece(at, None, status, row, self.turn + (status is Status.QUEUED))

    def split(self, at: Point) -> None:
        """A closed piece that a point lies in becomes two."""
        for i in range(len(self.pieces) - 1, -1, -1):
            piece = self.pieces[i]
            if piece.end is not None and piece.begin.seq < at.seq < piece.end.seq:
                rest = _Piece(at, piece.end, piece.status, piece.row, piece.turn, piece.then, piece.ghost)
                rest.reverted = piece.reverted
                piece.end, piece.then = at, None
                self.pieces.insert(i + 1, rest)
            if piece.begin.seq <= at.seq:
                return

    def under_way_at(self, seq: int) -> list[_Piece]:
        """The pieces, up to a `seq`, of the invocation that was under way there."""
        known = [p for p in (*self.pieces, self.open) if p is not None and not p.reverted and p.begin.seq <= seq]
        if not known or known[-1].status not in UNDER_WAY:
            return []
        if known[-1].end is not None and known[-1].end.seq < seq:
            return []
        turn = known[-1].turn
        return [p for p in known if p.turn == turn and p.status in UNDER_WAY]


def spans(tape: Tape, moment: Moment) -> list[Span]:
    """The spans of all agents up to a moment, by slot and time."""
    lives = [_Life() for _ in range(moment.agents)]
    kinds, slots = tape.kind, tape.slot
    status, revert, fork, mark = int(Row.STATUS), int(Row.REVERT), int(Row.FORK), int(Row.MARK)
    for row in range(moment.row):
        kind = kinds[row]
        if kind == status:
            lives[slots[row]].change(point(tape, row), _STATUSES[tape.a[row] & 15], row)
        elif kind == revert:
            _take_back(tape, lives[slots[row]], row)
        elif kind == fork:
            if tape.a[row] >= 0:
                _inherit(tape, lives[slots[row]], lives[tape.a[row]], row)
        elif kind == mark:
            _rebuild(point(tape, row), lives)
    end, found = last_point(tape, moment), []
    for slot, life in enumerate(lives):
        if life.open is not None:
            life.open.end = end
            life.pieces.append(life.open)
        found += [_span(tape, slot, piece) for piece in life.pieces]
    return found


def _span(tape: Tape, slot: int, piece: _Piece) -> Span:
    row, end = piece.row, piece.end or piece.begin
    return Span(
        slot,
        piece.begin,
        end,
        piece.status,
        tape.a[row] >> 4,
        tape.texts[tape.b[row]],
        tape.texts[tape.c[row]],
        piece.then,
        piece.turn,
        piece.ghost,
        piece.reverted,
        row,
    )


def _take_back(tape: Tape, life: _Life, row: int) -> None:
    """What lies between the entry that a revert goes back to, and the revert, counts no longer."""
    back = point_at(tape, tape.c[row])
    life.cut(point(tape, row))
    life.split(back)
    before = life.under_way_at(back.seq)
    for piece in life.pieces:
        if piece.begin.seq >= back.seq:
            piece.reverted = True
    if before:  # it goes on with what it was at then
        life.turn, life.status = before[-1].turn, before[-1].status
        if life.open is not None:
            life.open.turn = life.turn
    elif life.open is None:
        life.status = Status.IDLE


def _inherit(tape: Tape, life: _Life, source: _Life, row: int) -> None:
    """A fork has gone through what its source did of this invocation up to the cut."""
    cut = point_at(tape, tape.c[row])
    for piece in source.under_way_at(cut.seq):
        end = piece.end if piece.end is not None and piece.end.seq <= cut.seq else cut
        if piece.begin.seq < end.seq:
            then = piece.then if end is piece.end else None
            life.pieces.append(_Piece(piece.begin, end, piece.status, piece.row, 0, then, ghost=True))
            life.status = piece.status


def _rebuild(at: Point, lives: list[_Life]) -> None:
    """A process took the session up: what was under way was replayed up to here."""
    for life in lives:
        if life.open is not None and life.status in UNDER_WAY:
            life.cut(at)
            for piece in life.pieces:
                if piece.turn == life.turn and piece.status in UNDER_WAY and not piece.reverted:
                    piece.ghost = True


# ---- messages -----------------------------------------------------------------------------------------------------


def messages(tape: Tape, moment: Moment) -> list[Message]:
    """What agents sent to each other and was received up to a moment, in the order of receipt."""
    found = []
    for row in tape.rows(Row.ARROW, moment.row):
        received = point(tape, row)
        sent = received if tape.c[row] == received.seq else point_at(tape, tape.c[row])
        found.append(Message(_ARROWS[tape.b[row]], tape.a[row], sent, tape.slot[row], received))
    return found


# ---- idle time ----------------------------------------------------------------------------------------------------


def idle_stretches(
    tape: Tape, moment: Moment, known: list[Span] | None = None, *, share: float = IDLE_SHARE, dwarfs: float = DWARFS
) -> list[Stretch]:
    """Stretches of a second or more in which nothing was written and no agent ran, in order.

    Nobody runs between the last entry of a process and the first of the next one, whatever the log says.

    Args:
        tape: the rows.
        moment: up to where.
        known: the spans, if they are there already.
        share: the least length, as a part of the whole.
        dwarfs: how many times as long as all that is not idle a stretch must be.
    """
    if not moment.row:
        return []
    walls = tape.wall[: moment.row]
    total = walls[-1] - walls[0]
    if total <= 0:
        return []
    busy = _running_times(spans(tape, moment) if known is None else known)
    ends = [stretch.end for stretch in busy]
    marks = {tape.wall[row] for row in tape.rows(Row.MARK, moment.row)}
    found = []
    for before, after in pairwise(walls):
        if after - before >= max(share * total, SHORTEST):
            at = bisect_right(ends, before)
            if after in marks or at == len(busy) or busy[at].begin >= after:
                found.append(Stretch(before, after))
    rest = total - sum(stretch.length for stretch in found)
    return [stretch for stretch in found if stretch.length > dwarfs * rest]


def _running_times(known: list[Span]) -> list[Stretch]:
    """When anybody ran, as stretches that do not touch."""
    merged: list[Stretch] = []
    ran = ((s.begin.wall, s.end.wall) for s in known if s.status is Status.RUNNING and s.end.wall > s.begin.wall)
    for begin, end in sorted(ran):
        if merged and begin <= merged[-1].end:
            merged[-1] = Stretch(merged[-1].begin, max(merged[-1].end, end))
        else:
            merged.append(Stretch(begin, end))
    return merged
