"""How a timeline draws what agents do: bars by what they are in, lines by what they send, and the legend of both.

Each kind has a colour and a form: what runs is thick, what waits is thin (solid for a call, dotted for a promise,
dashed for a timer), what has not begun is hollow, what is tried again is hatched. What was replayed is pale and
hatched, what was taken back is pale and struck through. So a picture reads in grey too.
"""

from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Final, NamedTuple

from workbench.views.drawing import (
    FAINT,
    GROUND,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    arrow_head,
    hatching,
    polyline,
    words,
)
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import Status
from workbench.views.lettering import text_width
from workbench.views.spans import Span
from workbench.views.tape import Arrow, Reason


class Look(IntEnum):
    """What a bar is drawn as, in the order of the legend."""

    RUNNING = 0
    STEP = 1
    RETRYING = 2
    CALL = 3
    PROMISE = 4
    TIMER = 5
    QUEUED = 6
    INTERRUPTED = 7
    UNDEFINED = 8
    GHOST = 9
    REVERTED = 10


WORDS: Final = {
    Look.RUNNING: "running",
    Look.STEP: "in a step",
    Look.RETRYING: "to be tried again",
    Look.CALL: "waits for a call",
    Look.PROMISE: "waits for a promise",
    Look.TIMER: "waits for a timer",
    Look.QUEUED: "queued",
    Look.INTERRUPTED: "interrupted",
    Look.UNDEFINED: "has no class yet",
    Look.GHOST: "replayed",
    Look.REVERTED: "taken back",
}
_BLUE, _SKY, _ORANGE = COLOURS[Status.RUNNING], "#8ccbf0", COLOURS[Status.WAITING]
_GHOST, _GHOST_LINE, _GHOST_HATCH = "#eef1f4", "#a3afbb", "#b9c3cd"
_PALE, _PALE_LINE = "#f0f0f0", "#b5b5b5"
_THICK, _HOLLOW, _THIN = 10.0, 7.0, 3.4
_TALL: Final = frozenset({Look.RUNNING, Look.STEP, Look.RETRYING})
_DASHES: Final = {Look.PROMISE: "1.7 2.6", Look.TIMER: "7 3"}
_SHORT: Final = 9.0
"""Pixels below which a dashed line says no more than a solid one."""
MOST_HATCHED: Final = 700.0

LINES: Final = {
    Arrow.CALL: (_BLUE, 1.1, ""),
    Arrow.REPLY: ("#4d4d4d", 0.9, "3 2"),
    Arrow.TRIGGER: (_BLUE, 1.1, "7 3"),
    Arrow.SCHEDULE: ("#948200", 1.1, "9 3 2 3"),
    Arrow.COMPLETION: (_ORANGE, 1.3, "1.5 2.5"),
    Arrow.FORK: (COLOURS[Status.UNDEFINED], 1.3, "8 3 2 3"),
}
"""Colour, thickness and dashes of messages."""
AT_WORK, RAN = "#e0ecf5", _SKY
"""Of a band: under way, running."""
LIT, LIT_LINE = "#f7ec82", "#8a7a00"


def look_of(span: Span) -> Look:
    """What a span is drawn as, were it neither replayed nor taken back."""
    match span.status:
        case Status.RUNNING:
            return Look.STEP if span.reasons & Reason.STEP else Look.RUNNING
        case Status.RETRYING:
            return Look.RETRYING
        case Status.QUEUED:
            return Look.QUEUED
        case Status.INTERRUPTED:
            return Look.INTERRUPTED
        case Status.UNDEFINED:
            return Look.UNDEFINED
        case _:
            if span.reasons & Reason.CALL:
                return Look.CALL
            return Look.TIMER if span.reasons == Reason.TIMER else Look.PROMISE


def bar(look: Look, x: float, y: float, width: float, *, ghost: bool = False, reverted: bool = False) -> list[Mark]:
    """A bar whose middle is at `y`."""
    if reverted:
        return _reverted(look, x, y, width)
    if ghost:
        return _ghost(look, x, y, width)
    match look:
        case Look.RUNNING:
            return [_box(x, y, width, _THICK, _BLUE)]
        case Look.STEP:
            return [_box(x, y, width, _THICK, _SKY, _BLUE)]
        case Look.RETRYING:
            colour = COLOURS[Status.RETRYING]
            return [_box(x, y, width, _THICK, GROUND, colour), *_hatched(x, y, width, _THICK, colour)]
        case Look.QUEUED:
            return [_box(x, y, width, _HOLLOW, GROUND, COLOURS[Status.QUEUED])]
        case Look.INTERRUPTED:
            return [_box(x, y, width, _HOLLOW, "#c4c4c4", COLOURS[Status.INTERRUPTED])]
        case Look.UNDEFINED:
            return [_box(x, y, width, _HOLLOW, GROUND, COLOURS[Status.UNDEFINED], "3 2")]
        case _:
            return [_thread(look, x, y, width, _ORANGE)]


def _box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", dash: str = "") -> Rect:
    if stroke != "none" and width < _THIN:  # too narrow for a frame
        return Rect(x, y - height / 2, width, height, 0, stroke)
    inset = 0.4 if stroke != "none" else 0
    radius = 1.5 if width > 2 * _THIN else 0
    size = max(width - 2 * inset, 0.2), height - 2 * inset
    return Rect(x + inset, y - height / 2 + inset, *size, radius, fill, stroke, 0.8, dash)


def _thread(look: Look, x: float, y: float, width: float, colour: str) -> Mark:
    """What waits."""
    dash = _DASHES.get(look, "")
    if not dash or width < _SHORT:
        return Rect(x, y - _THIN / 2, width, _THIN, 0, colour)
    return Path(polyline((x, y), (x + width, y)), colour, _THIN if look is Look.PROMISE else _THIN - 0.8, dash)


def _hatched(x: float, y: float, width: float, height: float, colour: str) -> list[Mark]:
    if width < _THIN:
        return []
    step = 4.5 * max(1, width / MOST_HATCHED)
    return [Path(hatching(x + 0.4, y - height / 2 + 0.4, width - 0.8, height - 0.8, step), colour, 0.8)]


def _ghost(look: Look, x: float, y: float, width: float) -> list[Mark]:
    if look in _TALL or look is Look.GHOST:
        frame = _box(x, y, width, _THICK, _GHOST, _GHOST_LINE)
        return [frame, *_hatched(x, y, width, _THICK, _GHOST_HATCH)]
    if look in (Look.CALL, Look.PROMISE, Look.TIMER):
        return [_thread(look, x, y, width, _GHOST_LINE)]
    return [_box(x, y, width, _HOLLOW, GROUND, _GHOST_LINE)]


def _reverted(look: Look, x: float, y: float, width: float) -> list[Mark]:
    height = _THICK if look in _TALL or look is Look.REVERTED else _HOLLOW
    strike = Path(polyline((x, y), (x + width, y)), COLOURS[Status.FAILED], 1.2)
    return [_box(x, y, width, height, _PALE, _PALE_LINE), strike]


def arrow(kind: Arrow, a: tuple[float, float], b: tuple[float, float]) -> list[Mark]:
    """A message from one place to another."""
    colour, thickness, dash = LINES[kind]
    return [
        Path(polyline(a, b), colour, thickness, dash, fade=0.85),
        Path(arrow_head(b, a, 4.5 if kind is Arrow.REPLY else 6), fill=colour),
    ]


# ---- legend -------------------------------------------------------------------------------------------------------


class Key(NamedTuple):
    """An item of a legend: its text and, given the left end and the middle, its sample of 26 pixels."""

    text: str
    sample: Callable[[float, float], list[Mark]]


def keys(looks: Collection[Look], arrows: Collection[Arrow], ends: Collection[Status]) -> list[Key]:
    """What a timeline's legend explains."""
    found = [Key(WORDS[look], _bar_sample(look)) for look in Look if look in looks]
    found += [Key(status.word, _shape_sample(status)) for status in Status if status in ends]
    return found + [Key(kind.name.lower(), _arrow_sample(kind)) for kind in Arrow if kind in arrows]


def _bar_sample(look: Look) -> Callable[[float, float], list[Mark]]:
    return lambda x, y: bar(look, x, y, 24, ghost=look is Look.GHOST, reverted=look is Look.REVERTED)


def _arrow_sample(kind: Arrow) -> Callable[[float, float], list[Mark]]:
    return lambda x, y: arrow(kind, (x, y), (x + 25, y))


def _shape_sample(status: Status) -> Callable[[float, float], list[Mark]]:
    return lambda x, y: [Shape(status, x + 18, y, 4.5)]


def legend(found: Collection[Key], left: float, y: float, width: float) -> tuple[list[Mark], float]:
    """The items on as many lines as they need, the first with its middle at `y`, and where the last line stands."""
    marks: list[Mark] = []
    x = left
    for key in found:
        step = 32 + text_width(key.text, 10.5) + 18
        if x + step > width and x > left:
            x, y = left, y + 19
        marks += key.sample(x, y)
        marks.append(words(x + 32, y, key.text, small=True))
        x += step
    return marks, y


def column_head(x: float, y: float, text: str, anchor: str = "end") -> Text:
    """What stands over a column."""
    return Text(x, y, text, anchor, 10.5, colour=FAINT)
