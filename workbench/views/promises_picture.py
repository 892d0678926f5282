"""Still pictures of promises: who made each, who waited for it and how long, who completed it, and who came too late.

A bar reaches from the making of a promise to its completion; one that nobody has completed is open at its end. Below it
lies a line for each agent that waits, as long as it waited.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from workbench.questions.explanation import duration
from workbench.views.axis import BREAK_WORDS, Scale, axis_marks, break_marks, break_sample, time_scale
from workbench.views.bars import Key, column_head, legend
from workbench.views.drawing import (
    FAINT,
    GROUND,
    SMALL,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    arrow_head,
    fitted,
    polyline,
    words,
)
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import Status
from workbench.views.lanes import names
from workbench.views.lettering import text_width
from workbench.views.spans import Point, idle_stretches, last_point, point
from workbench.views.tape import Moment, PromiseEvent, Row, Tape

MOST_PROMISES: Final = 30
"""Promises drawn; what is left out is counted. Those that are not completed come first, then the newest."""
MOST_WAITERS: Final = 4
WIDTH, TOP, HEAD, LINE, GAP, MARGIN = 1000, 40.0, 24.0, 15.0, 8.0, 16.0
LEAST_NAMES, MOST_NAMES, OUTCOME_W = 150.0, 260.0, 196.0
_DONE, _WAIT, _LATE, _OVER = (COLOURS[s] for s in (Status.DONE, Status.WAITING, Status.FAILED, Status.EXITED))
_SHORT: Final = 6.0
"""Pixels up to which a wait is only the mark of its end."""
LATEST: Final = 20.0
"""Pixels by which a mark may stand beside its place, where there are many."""
_ORPHANED: Final = "orphaned: nobody alive can complete it"
_EVENTS: Final = tuple(PromiseEvent)


class Waiting(msgspec.Struct):
    """An agent's wait for a promise; `end` is None while it lasts, `given` whether it got the payload."""

    slot: int
    begin: Point
    end: Point | None = None
    given: bool = False


class Record(msgspec.Struct):
    """All that happened to a promise.

    Attributes:
        number: its number on the tape.
        maker: slot of who made it, -1 when that is not shown.
        made: where; None when that was before the tape.
        line: where in the code.
        completer: slot of who completed it, -1 for nobody; `completed`: where.
        ended: where it came to be that it can never be completed.
        waits: who waited.
        ignored: completions that came too late, as who and where.
        seen: where somebody asked whether it is completed.
    """

    number: int
    maker: int = -1
    made: Point | None = None
    line: str = ""
    completer: int = -1
    completed: Point | None = None
    ended: Point | None = None
    waits: list[Waiting] = []
    ignored: list[tuple[int, Point]] = []
    seen: list[Point] = []

    @property
    def pending(self) -> bool:
        """Whether it can still be completed, for all the tape tells."""
        return self.completed is None and self.ended is None


def records(tape: Tape, moment: Moment) -> list[Record]:
    """What happened to each promise up to a moment, in the order in which they are first told of."""
    found: dict[int, Record] = {}
    for row in tape.rows(Row.PROMISE, moment.row):
        number, slot, at = tape.a[row], tape.slot[row], point(tape, row)
        record = found.setdefault(number, Record(number))
        match _EVENTS[tape.b[row] - 1]:
            case PromiseEvent.CREATED:
                record.maker, record.made, record.line = slot, at, tape.texts[tape.c[row]]
            case PromiseEvent.AWAITED:
                record.waits.append(Waiting(slot, at))
            case PromiseEvent.DELIVERED | PromiseEvent.DROPPED as how:
                wait = next((w for w in record.waits if w.slot == slot and w.end is None), None)
                if wait is not None:
                    wait.end, wait.given = at, how is PromiseEvent.DELIVERED
            case PromiseEvent.COMPLETED:
                record.completer, record.completed = slot, at
            case PromiseEvent.IGNORED:
                record.ignored.append((slot, at))
            case PromiseEvent.SEEN:
                record.seen.append(at)
            case PromiseEvent.ENDED:
                record.ended = at
    return list(found.values())


class _Sheet(msgspec.Struct):
    """A picture in the making."""

    tape: Tape
    scale: Scale
    end: Point
    called: list[str]
    orphans: frozenset[int]
    told: set[str] = msgspec.field(default_factory=set)


def promises_drawing(tape: Tape, moment: Moment, orphans: Collection[int] = ()) -> Drawing:
    """The promises as a picture of bounded size.

    Args:
        tape: the rows.
        moment: up to where.
        orphans: numbers of pending promises that nobody alive could complete.
    """
    every = records(tape, moment)
    title = _title(every)
    if not every:
        return Drawing(320, 48, title, (words(MARGIN, 24, "no promise was made", faint=True),))
    shown = _chosen(every)
    called = names(tape, moment)
    wide = [text_width(_heading(tape, record, called)) for record in shown]
    wide += [text_width(called[w.slot], SMALL) + 12 for record in shown for w in record.waits[:MOST_WAITERS]]
    left = MARGIN + min(max([LEAST_NAMES, *wide]), MOST_NAMES) + 16
    right = WIDTH - MARGIN - OUTCOME_W - 36
    scale = time_scale(tape, moment, left, right, idle_stretches(tape, moment))
    sheet = _Sheet(tape, scale, last_point(tape, moment), called, frozenset(orphans))
    rows: list[Mark] = []
    stripes: list[Mark] = []
    y = TOP + 4
    for i, record in enumerate(shown):
        height = HEAD + LINE * min(len(record.waits), MOST_WAITERS + 1) + GAP
        if i % 2:
            stripes.append(Rect(8, y, WIDTH - 16, height, 3, "#f8f9fa"))
        rows += _row(sheet, record, y)
        y += height
    marks = [*stripes, *axis_marks(scale, TOP, y + 2), *rows, *break_marks(scale, TOP, y + 2)]
    marks.append(column_head(WIDTH - MARGIN - OUTCOME_W, TOP - 12, "outcome", "start"))
    if len(every) > len(shown):
        marks.append(words(MARGIN, y + 14, f"and {len(every) - len(shown):,} more promises", faint=True))
        y += 18
    marks.append(fitted(words(MARGIN, y + 24, title, bold=True), WIDTH - 2 * MARGIN))
    found = [key for key in _keys() if key.text in sheet.told]
    if scale.breaks:
        found.append(Key(BREAK_WORDS, break_sample))
    keys, bottom = legend(found, MARGIN, y + 46, WIDTH - MARGIN)
    return Drawing(WIDTH, bottom + 18, title, (*marks, *keys), _told(tape, shown, called, sheet.orphans))


def _chosen(every: list[Record]) -> list[Record]:
    if len(every) <= MOST_PROMISES:
        return every
    urgent = sorted(every, key=lambda r: (r.completed is not None, -r.number))[:MOST_PROMISES]
    return sorted(urgent, key=lambda r: r.number)


def _heading(tape: Tape, record: Record, called: list[str]) -> str:
    promise = tape.promises[record.number]
    owner = tape.view.by_uid.get(promise.owner)
    whose = f" of {called[owner.slot]}" if owner is not None and owner.slot < len(called) else ""
    return f"promise {promise.at}{whose}"


# ---- a row --------------------------------------------------------------------------------------------------------


def _row(sheet: _Sheet, record: Record, top: float) -> list[Mark]:
    y = top + HEAD / 2 + 2
    room = sheet.scale.left - 16
    heading = fitted(words(MARGIN, y, _heading(sheet.tape, record, sheet.called)), room - MARGIN)
    marks: list[Mark] = [Group(f"made at {record.line}" if record.line else "made earlier", (heading,))]
    marks += _bar(sheet, record, y)
    at = y + HEAD / 2 + 4
    waits = sorted(record.waits, key=lambda w: (w.end is not None, w.begin.row))
    for wait in waits[:MOST_WAITERS]:
        marks += _waiting(sheet, wait, at)
        at += LINE
    if len(waits) > MOST_WAITERS:
        marks.append(words(MARGIN + 12, at, f"and {len(waits) - MOST_WAITERS:,} more", small=True))
    return marks


def _bar(sheet: _Sheet, record: Record, y: float) -> list[Mark]:
    scale = sheet.scale
    begin = scale.x(record.made) if record.made is not None else scale.left
    over = record.completed or record.ended
    end = scale.x(over) if over is not None else scale.right
    width = max(end - begin, 1.5)
    marks: list[Mark] = []
    if record.completed is not None:
        marks.append(Rect(begin, y - 4, width, 8, 2, "#bfe5d9", _DONE, 0.8))
        marks.append(Shape(Status.DONE, end, y, 5))
        sheet.told.add("completed")
    elif record.ended is not None:
        marks.append(Rect(begin, y - 4, width, 8, 2, "#ececec", _OVER, 0.8))
        marks.append(Rect(end - 5, y - 5, 10, 10, 5, GROUND))
        marks.append(Shape(Status.EXITED, end, y, 5.5, "#666666"))
        sheet.told.add("ended")
    else:
        marks.append(
            Path(polyline((end, y - 4), (begin, y - 4), (begin, y + 4), (end, y + 4)), _WAIT, 1.1, fill=GROUND)
        )
        if record.number in sheet.orphans:
            marks.append(Shape(Status.FAILED, end, y, 4.5))
            sheet.told.add(_ORPHANED)
        sheet.told.add("pending")
    marks.append(Path(polyline((begin, y - 7), (begin, y + 7)), FAINT, 1.4))
    last = float("-inf")
    for seen in record.seen:
        if scale.x(seen) - last > 5:  # noqa: PLR2004 - pixels of a mark
            last = scale.x(seen)
            marks += _glance(last, y)
            sheet.told.add("asked about")
    last = end + 3
    for slot, late in record.ignored:
        x = max(scale.x(late), last + 8)
        if x - scale.x(late) < LATEST and x < scale.right + 12:
            marks.append(Path(polyline((last + 2, y), (x - 4, y)), FAINT, 0.8, "1 2"))
            marks.append(Group(f"{sheet.called[slot]} came too late", tuple(_cross(x, y))))
            sheet.told.add("came too late")
            last = x
    beyond = f"+{len(record.ignored):,} late" if record.ignored else ""
    marks.append(fitted(_outcome(sheet, record, y), OUTCOME_W - text_width(beyond, SMALL) - 8))
    if beyond:  # apart, because a name may be written from right to left
        marks.append(Text(WIDTH - MARGIN, y, beyond, "end", SMALL, colour=FAINT))
    return [Group(_length(sheet, record), tuple(marks))]


def _outcome(sheet: _Sheet, record: Record, y: float) -> Text:
    x = WIDTH - MARGIN - OUTCOME_W
    if record.completed is not None:
        return Text(x, y, f"by {sheet.called[record.completer]}", size=SMALL)
    if record.ended is not None:
        return Text(x, y, "ended: never completed", size=SMALL, colour=FAINT)
    if record.number in sheet.orphans:
        return Text(x, y, "orphaned", size=SMALL, bold=True, colour=_LATE)
    return Text(x, y, "pending", size=SMALL, colour=FAINT)


def _length(sheet: _Sheet, record: Record) -> str:
    over = record.completed or record.ended or sheet.end
    begin = record.made
    return f"{duration((over.wall - begin.wall) / 1000)} from its making" if begin is not None else "made earlier"


def _waiting(sheet: _Sheet, wait: Waiting, y: float) -> list[Mark]:
    scale = sheet.scale
    x0 = scale.x(wait.begin)
    x1 = scale.x(wait.end) if wait.end is not None else scale.right
    name = fitted(words(MARGIN + 12, y, sheet.called[wait.slot], small=True), scale.left - 16 - MARGIN - 12)
    sheet.told.add("waits")
    lasts = wait.end is None or wait.given
    colour = _WAIT if lasts else _OVER
    marks: list[Mark] = [name]
    if x1 - x0 > _SHORT:
        marks.append(Path(polyline((x0, y - 3.5), (x0, y + 3.5)), colour, 1.2))
        marks.append(Path(polyline((x0, y), (x1, y)), colour, 2.8, "1.7 2.6"))
    if wait.given:
        marks.append(Path(arrow_head((x1 + 1, y), (x0 - 9, y), 6), fill=colour))
    elif wait.end is not None or x1 - x0 <= _SHORT:
        marks.append(Path(polyline((x1, y - 3.5), (x1, y + 3.5)), colour, 1.4))
    if not lasts:
        sheet.told.add("waits no longer")
    return marks


def _cross(x: float, y: float) -> list[Mark]:
    cross = polyline((x - 3.2, y - 3.2), (x + 3.2, y + 3.2)) + polyline((x + 3.2, y - 3.2), (x - 3.2, y + 3.2))
    return [Path(cross, GROUND, 4), Path(cross, _LATE, 1.8)]


def _glance(x: float, y: float) -> list[Mark]:
    return [Rect(x - 2.4, y - 2.4, 4.8, 4.8, 2.4, GROUND, "#555555", 1)]


def _keys() -> list[Key]:
    return [
        Key(
            "completed",
            lambda x, y: [Rect(x, y - 4, 22, 8, 2, "#bfe5d9", _DONE, 0.8), Shape(Status.DONE, x + 22, y, 5)],
        ),
        Key(
            "pending",
            lambda x, y: [Path(polyline((x + 24, y - 4), (x, y - 4), (x, y + 4), (x + 24, y + 4)), _WAIT, 1.1)],
        ),
        Key(_ORPHANED, lambda x, y: [Shape(Status.FAILED, x + 18, y, 4.5)]),
        Key("ended", lambda x, y: [Shape(Status.EXITED, x + 18, y, 5, "#666666")]),
        Key("waits", lambda x, y: [Path(polyline((x, y), (x + 25, y)), _WAIT, 2.8, "1.7 2.6")]),
        Key("waits no longer", lambda x, y: [Path(polyline((x, y), (x + 25, y)), _OVER, 2.8, "1.7 2.6")]),
        Key("came too late", lambda x, y: _cross(x + 18, y)),
        Key("asked about", lambda x, y: _glance(x + 18, y)),
    ]


# ---- words --------------------------------------------------------------------------------------------------------


def _title(every: list[Record]) -> str:
    if not every:
        return "No promises"
    counts = {
        "completed": sum(r.completed is not None for r in every),
        "pending": sum(r.pending for r in every),
        "ended": sum(r.ended is not None for r in every),
    }
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    return f"{len(every):,} {'promise' if len(every) == 1 else 'promises'}: {told}"


def _told(tape: Tape, shown: list[Record], called: list[str], orphans: frozenset[int]) -> str:
    parts = []
    for record in shown[:10]:
        became = "is pending"
        if record.completed is not None:
            became = f"was completed by {called[record.completer]}"
        elif record.ended is not None:
            became = "ended and is never completed"
        elif record.number in orphans:
            became = "is orphaned"
        waits = f", {len(record.waits)} waited" if record.waits else ""
        late = f", {len(record.ignored)} came too late" if record.ignored else ""
        parts.append(f"{_heading(tape, record, called)} {became}{waits}{late}.")
    return " ".join(parts)
