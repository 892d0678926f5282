"""Still pictures of the timeline: who did what when, who told whom, and what of it decided how long it took.

A lane for each agent under its parent, time to the right, idle stretches folded, messages as arrows from lane to lane.
A dashed vertical line is where a process took the session up: what was under way there was rebuilt from the log.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from workbench.questions.explanation import duration
from workbench.views.axis import BREAK_WORDS, Scale, axis_marks, break_marks, break_sample, entry_scale, time_scale
from workbench.views.bars import (
    LIT,
    LIT_LINE,
    Key,
    Look,
    arrow,
    bar,
    column_head,
    keys,
    legend,
    look_of,
)
from workbench.views.density import density, density_keys
from workbench.views.drawing import (
    FAINT,
    INK,
    SMALL,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    fitted,
    polyline,
    words,
)
from workbench.views.graph_looks import ORDER
from workbench.views.graph_nodes import LOUD, Origin, Status
from workbench.views.graph_picture import notebook_sign
from workbench.views.lanes import Lane, by_slot, lanes, names, took
from workbench.views.lettering import fitting, text_width
from workbench.views.spans import Message, Point, Span, idle_stretches, messages, point, spans
from workbench.views.tape import Arrow, Moment, Row, Tape

WIDTH: Final = 1000
TOP, LANE, BAND, INDENT, DEEPEST = 40.0, 21.0, 40.0, 13.0, 9
LEAST_NAMES, MOST_NAMES, TOOK_W, MARGIN = 110.0, 250.0, 72.0, 16.0
MOST_ARROWS, MOST_BARS, MOST_ENDS = 300, 4000, 80
_PAINTED: Final = (Arrow.REPLY, Arrow.CALL, Arrow.TRIGGER, Arrow.SCHEDULE, Arrow.FORK, Arrow.COMPLETION)
"""The order in which messages are painted: the rarer over the common."""
_GRAIN: Final = 0.8
"""Pixels below which a bar right after another is not drawn."""
_TELLING: Final = 2.5
"""Pixels from which on the legend explains a bar."""
_NEAR: Final = 9.0
"""Pixels between two marks of how invocations ended."""


class Segment(Protocol):
    """A part of a critical path: whose time it is (text of an id), from when to when in wall nanoseconds."""

    @property
    def agent(self) -> str:
        """Text of the agent's id."""

    @property
    def begin(self) -> int:
        """Wall nanoseconds."""

    @property
    def end(self) -> int:
        """Wall nanoseconds."""


class _Sheet(msgspec.Struct):
    """A picture in the making."""

    tape: Tape
    moment: Moment
    scale: Scale
    lives: list[list[Span]]
    lanes: list[Lane]
    lane_of: dict[int, Lane]
    bottom: float
    grain: float
    looks: set[Look] = msgspec.field(default_factory=set)
    arrows: set[Arrow] = msgspec.field(default_factory=set)
    ends: set[Status] = msgspec.field(default_factory=set)


def timeline_drawing(
    tape: Tape,
    moment: Moment,
    critical: Sequence[Segment] | None = None,
    by: Literal["time", "entry"] = "time",
) -> Drawing:
    """The timeline as a picture of bounded size.

    Args:
        tape: the rows.
        moment: up to where.
        critical: a critical path to light, oldest first.
        by: whether the axis is wall time or the numbers of the entries.
    """
    known = spans(tape, moment)
    sheet = _lay_out(tape, moment, known, critical or (), by)
    marks = [*_stripes(sheet), *axis_marks(sheet.scale, TOP, sheet.bottom), *_lit(sheet, critical or ())]
    for lane in sheet.lanes:
        if lane.members:
            folded = [span for slot in lane.members for span in sheet.lives[slot]]
            marks.append(density(sheet.scale, folded, lane.y + BAND / 2 - 5, BAND - 12, WIDTH - MARGIN))
        else:
            marks += _bars(sheet, lane)
    marks += _arrows(sheet, messages(tape, moment))
    marks += break_marks(sheet.scale, TOP, sheet.bottom)
    resumed = _resumed(sheet)
    marks += resumed
    for lane in sheet.lanes:
        marks += _name(sheet, lane)
    if any(len(life) for life in sheet.lives):
        marks.append(column_head(WIDTH - MARGIN, TOP - 12, "took"))
    if not sheet.lanes:
        marks.append(words(MARGIN, TOP + 14, "nothing has happened yet", faint=True))
    title = _title(sheet)
    y = sheet.bottom + (38 if resumed else 24)
    marks.append(fitted(words(MARGIN, y, title, bold=True), WIDTH - 2 * MARGIN))
    found = keys(sheet.looks, sheet.arrows, sheet.ends)
    if any(lane.members for lane in sheet.lanes):
        found += density_keys()
    if sheet.scale.breaks:
        found.append(Key(BREAK_WORDS, break_sample))
    if critical:
        found.append(Key("critical path", lambda x, at: [Rect(x, at - 7, 24, 14, 3, LIT, LIT_LINE, 0.8)]))
    more, bottom = legend(found, MARGIN, y + 22, WIDTH - MARGIN) if found else ([], y)
    return Drawing(WIDTH, bottom + 18, title, (*marks, *more), _told(sheet))


def _lay_out(
    tape: Tape, moment: Moment, known: list[Span], critical: Sequence[Segment], by: Literal["time", "entry"]
) -> _Sheet:
    lives = by_slot(known, moment.agents)
    on_path = {segment.agent for segment in critical}
    lit = [node.slot for node in tape.view.nodes[: moment.agents] if node.agent_id in on_path]
    found = lanes(tape, moment, lives, lit)
    y = TOP + 4
    for lane in found:
        lane.height = BAND if lane.members else LANE
        lane.y = y + lane.height / 2
        y += lane.height
    widths = [_indent(lane) + _wide(tape, moment, lane) for lane in found]
    left = MARGIN + min(max([LEAST_NAMES, *widths]), MOST_NAMES) + 14
    right = WIDTH - MARGIN - TOOK_W
    scale = (
        entry_scale(tape, moment, left, right)
        if by == "entry"
        else time_scale(tape, moment, left, right, idle_stretches(tape, moment, known))
    )
    lane_of = {slot: lane for lane in found for slot in lane.members or (lane.slot,)}
    drawn = sum(len(lives[lane.slot]) for lane in found if not lane.members)
    return _Sheet(tape, moment, scale, lives, found, lane_of, max(y + 2, TOP + 28), _GRAIN if drawn < MOST_BARS else 4)


# ---- lanes --------------------------------------------------------------------------------------------------------


def _stripes(sheet: _Sheet) -> list[Mark]:
    """Each other lane has a ground of its own, which leads from its name to its bars."""
    right = WIDTH - MARGIN + 6
    return [Rect(8, lane.y - lane.height / 2, right - 8, lane.height, 3, "#f8f9fa") for lane in sheet.lanes[1::2]]


def _indent(lane: Lane) -> float:
    return min(lane.depth, DEEPEST) * INDENT


def _wide(tape: Tape, moment: Moment, lane: Lane) -> float:
    """Pixels that a lane's name takes, with its sign and what stands below it."""
    more = text_width(_more(lane), SMALL) + 8 if lane.more else 0
    title = 20 + text_width(lane.name, bold=bool(lane.members)) + more
    return max(title, 20 + text_width(_counted(tape, moment, lane), SMALL)) if lane.members else title


def _more(lane: Lane) -> str:
    return f"+{lane.more:,} below" if lane.more else ""


def _counted(tape: Tape, moment: Moment, lane: Lane) -> str:
    counts = Counter(tape.status(moment, member) for member in lane.members)
    return ", ".join(f"{counts[s]} {s.word}" for s in ORDER if counts[s])


def _name(sheet: _Sheet, lane: Lane) -> list[Mark]:
    tape, moment = sheet.tape, sheet.moment
    x, room = MARGIN + _indent(lane), sheet.scale.left - 14
    end = WIDTH - MARGIN
    y = lane.y - 7 if lane.members else lane.y
    more = [Text(room, y, _more(lane), "end", SMALL, colour=FAINT)] if lane.more else []
    free = room - x - 17 - (text_width(_more(lane), SMALL) + 6 if lane.more else 0)
    if lane.members:
        title = fitted(words(x + 17, y, lane.name, bold=True), free)
        told = fitted(words(x + 17, lane.y + 8, _counted(tape, moment, lane), small=True), room - x - 17)
        return [*_pile(x + 6, y), title, told, *more]
    node = tape.view.nodes[lane.slot]
    status = tape.status(moment, lane.slot)
    sign = notebook_sign(x + 6, lane.y) if node.origin == Origin.ROOT else (Shape(status, x + 6, lane.y, 5),)
    name = fitted(words(x + 17, y, lane.name, faint=status is Status.EXITED), free)
    marks: list[Mark] = [Group(f"{node.agent_id}: {status.word}", (*sign, name)), *more]
    length = took(sheet.tape, sheet.lives[lane.slot])
    if sheet.lives[lane.slot] and node.origin != Origin.ROOT:
        marks.append(Text(end, lane.y, duration(length / 1000), "end", SMALL, colour=FAINT))
    return marks


def _pile(x: float, y: float) -> list[Mark]:
    """The mark of folded siblings."""
    return [Rect(x - 5 + off, y - 4 + off, 9, 7, 1.5, "#ffffff", FAINT, 0.9) for off in (2.0, 0.0)]


def _bars(sheet: _Sheet, lane: Lane) -> list[Mark]:
    marks: list[Mark] = []
    ends: list[tuple[float, Status]] = []
    reach = float("-inf")
    for span in sheet.lives[lane.slot]:
        x0, x1 = sheet.scale.x(span.begin), sheet.scale.x(span.end)
        if span.then in (Status.DONE, Status.FAILED, Status.EXITED) and not span.reverted and not span.ghost:
            ends.append((x1, span.then))
        if x1 - x0 < sheet.grain and x0 - reach < sheet.grain:
            continue
        reach = max(x1, x0 + sheet.grain)
        look = look_of(span)
        if x1 - x0 >= _TELLING:
            sheet.looks.add(Look.REVERTED if span.reverted else Look.GHOST if span.ghost else look)
        drawn = bar(look, x0, lane.y, reach - x0, ghost=span.ghost, reverted=span.reverted)
        marks.append(Group(_words_of(span), tuple(drawn)))
    return marks + _ends(sheet, lane, ends)


def _words_of(span: Span) -> str:
    what = span.what or span.method
    state = "taken back" if span.reverted else "replayed" if span.ghost else span.status.word
    return f"{state}: {what}, {duration((span.end.wall - span.begin.wall) / 1000)}"


def _ends(sheet: _Sheet, lane: Lane, ends: list[tuple[float, Status]]) -> list[Mark]:
    """How invocations ended; where they are dense, those that failed."""
    marks: list[Mark] = []
    taken: list[float] = []
    for x, status in sorted(ends, key=lambda end: (end[1] is Status.DONE, -end[0])):
        if all(abs(x - other) >= _NEAR for other in taken) and len(taken) < MOST_ENDS:
            taken.append(x)
            sheet.ends.add(status)
            marks.append(Shape(status, x + 1, lane.y, 4.2))
    return marks


# ---- over the lanes -----------------------------------------------------------------------------------------------


class _Placed(NamedTuple):
    """A message on the picture: from lane to lane, from place to place."""

    message: Message
    one: Lane
    two: Lane
    x0: float
    x1: float


def _arrows(sheet: _Sheet, sent: Sequence[Message]) -> list[Mark]:
    """Messages between lanes; those that would lie on each other are drawn once."""
    placed: list[_Placed] = []
    for message in sent:
        one, two = sheet.lane_of.get(message.sender), sheet.lane_of.get(message.receiver)
        if one is not None and two is not None and one is not two:
            placed.append(_Placed(message, one, two, sheet.scale.x(message.sent), sheet.scale.x(message.received)))
    grain, chosen = 2.0, placed
    while grain == 2.0 or len(chosen) > MOST_ARROWS:  # noqa: PLR2004 - where it begins
        seen: dict[tuple[object, ...], _Placed] = {}
        for at in placed:
            message, one, two, x0, x1 = at
            wide = grain * (6 if one.members or two.members else 1)
            seen.setdefault((message.kind, id(one), id(two), x0 // wide, x1 // wide), at)
        chosen, grain = list(seen.values()), grain * 2
    marks: list[Mark] = []
    for message, one, two, x0, x1 in sorted(chosen, key=lambda at: _PAINTED.index(at.message.kind)):
        sheet.arrows.add(message.kind)
        down = 1 if two.y > one.y else -1
        start = (x0, one.y + down * min(one.height / 2 - 6, 5))
        tip = (x1, two.y - down * (two.height / 2 - 6 if two.members else 6))
        marks += arrow(message.kind, start, tip)
    return marks


def _resumed(sheet: _Sheet) -> list[Mark]:
    """Where a process took up what an earlier one had begun."""
    tape, reach = sheet.tape, float("-inf")
    marks: list[Mark] = []
    first = next((span.begin.seq for life in sheet.lives for span in life), None)
    for row in tape.rows(Row.MARK, sheet.moment.row):
        at = point(tape, row)
        if first is None or at.seq < first:
            continue
        x, text = sheet.scale.x(at), "taken up again"
        marks.append(Path(polyline((x, TOP - 4), (x, sheet.bottom + 6)), INK, 1.2, "4 3"))
        half = text_width(text, SMALL) / 2
        middle = min(max(x, sheet.scale.left + half), WIDTH - MARGIN - half)
        if middle - half > reach:
            marks.append(Text(middle, sheet.bottom + 14, text, "middle", SMALL, colour=INK))
            reach = middle + half + 6
    return marks


def _lit(sheet: _Sheet, critical: Sequence[Segment]) -> list[Mark]:
    """The critical path, behind the bars."""
    slots = {node.agent_id: node.slot for node in sheet.tape.view.nodes[: sheet.moment.agents]}
    boxes: list[Mark] = []
    joints: list[Mark] = []
    before: tuple[float, float] | None = None
    for segment in critical:
        lane = sheet.lane_of.get(slots.get(segment.agent, -1))
        if lane is None:
            continue
        x0, x1 = (_place(sheet, wall / 1e6) for wall in (segment.begin, segment.end))
        if before is not None and before[1] != lane.y:
            joints.append(Path(polyline(before, (x0, lane.y)), LIT_LINE, 2.2))
        height = 18.0 if not lane.members else lane.height - 6
        boxes.append(Rect(x0 - 1, lane.y - height / 2, max(x1 - x0, 0) + 2, height, 3, LIT, LIT_LINE, 0.8))
        before = (x1, lane.y)
    return [*joints, *boxes]


def _place(sheet: _Sheet, wall: float) -> float:
    """Where a wall time lies that need not be a row's."""
    tape, rows = sheet.tape, sheet.moment.row
    if sheet.scale.unit == "time":
        return sheet.scale.at_wall(wall)
    row = min(bisect_left(tape.wall, wall - 1e-3, 0, rows), rows - 1)
    return sheet.scale.x(Point(row, tape.seq[row], wall))


# ---- words --------------------------------------------------------------------------------------------------------


def _counts(sheet: _Sheet) -> str:
    counts: Mapping[Status, int] = sheet.tape.counts(sheet.moment)
    total = sum(counts.values())
    told = ", ".join(f"{counts[s]} {s.word}" for s in ORDER if counts.get(s))
    return f"{total} {'agent' if total == 1 else 'agents'}" + (f": {told}" if told else "")


def _title(sheet: _Sheet) -> str:
    rows, walls = sheet.moment.row, sheet.tape.wall
    length = (walls[rows - 1] - walls[0]) / 1000 if rows else 0
    return f"Timeline of {_counts(sheet)}; {duration(length)}"


def _told(sheet: _Sheet) -> str:
    """The picture in words: the failed and the longest."""
    called = names(sheet.tape, sheet.moment)
    agents = [node.slot for node in sheet.tape.view.nodes[: sheet.moment.agents] if node.origin != Origin.ROOT]
    longest = sorted(agents, key=lambda slot: -took(sheet.tape, sheet.lives[slot]))[:3]
    loud = [slot for slot in agents if sheet.tape.status(sheet.moment, slot) in LOUD][:5]
    parts = [f"{fitting(called[s], 400)} {duration(took(sheet.tape, sheet.lives[s]) / 1000)}" for s in longest]
    told = [f"Longest: {', '.join(parts)}."] if parts else []
    if loud:
        told.append(f"Failed or interrupted: {', '.join(fitting(called[s], 400) for s in loud)}.")
    return " ".join(told)
