"""The picture of a refused deadlock: the ring of agents, their calls with lines, the call that was refused.

It is what a notebook shows for a `DeadlockError`.
"""

import math
import re
from typing import Final

from workbench.errors import DeadlockError, StalledError
from workbench.views.drawing import EDGE, FAINT, GROUND, Drawing, Group, Mark, Path, Rect, Shape, Text, polyline, svg
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import Status
from workbench.views.lettering import LONGEST, fitting, plain, short_id, text_width
from workbench.views.ring import CHIP_H, CHIP_W, Arc, Ring, ring_of, shape_of

CALLS_DRAWN: Final = 14
"""Of a longer cycle the first and the last ones are."""
WORDS_W: Final = 210
"""Pixels of the words at a call."""
LINE, SMALL, MARGIN, HEAD, LEAST = 15, 11, 20, 34, 420
ADVICE_LINES: Final = 4
REFUSED, CURE, CALLS = COLOURS[Status.FAILED], COLOURS[Status.DONE], COLOURS[Status.RUNNING]
_ANCHORS: Final = {"start": 0.0, "middle": 0.5, "end": 1.0}


def deadlock_svg(error: DeadlockError) -> str:
    """The picture of an error, an SVG document of bounded size."""
    return svg(deadlock_drawing(error))


def deadlock_drawing(error: DeadlockError) -> Drawing:
    """The picture of an error; the ring of a long cycle lacks its middle."""
    sheet, title = _Sheet(), title_of(error)
    _draw(sheet, ring_of(error.cycle, error.edge, CALLS_DRAWN), stalled=isinstance(error, StalledError))
    width = max(sheet.right - sheet.left, LEAST, text_width(title, 13, bold=True) + 24)
    advice = _wrapped(_advice(error), width)
    dx, dy = MARGIN + width / 2 - (sheet.left + sheet.right) / 2, MARGIN + HEAD - sheet.top
    foot = MARGIN + HEAD + sheet.bottom - sheet.top + 24
    marks = (
        Shape(Status.FAILED, MARGIN + 6, MARGIN + 2),
        Text(MARGIN + 20, MARGIN + 2, title, size=13, bold=True),
        *(_moved(mark, dx, dy) for mark in sheet.marks),
        *(Text(MARGIN, foot + 17 * i, line) for i, line in enumerate(advice)),
    )
    return Drawing(width + 2 * MARGIN, foot + 17 * len(advice), title, marks, plain(str(error)))


def title_of(error: DeadlockError) -> str:
    """The picture in one line."""
    if isinstance(error, StalledError):
        return "This agent would wait for ever: nothing can wake it"
    if len(error.cycle) == 1:
        return "Deadlock refused: an agent awaits itself"
    return f"Deadlock refused: {len(error.cycle):,} agents wait for each other"


def place_of(line: str) -> str:
    """A line for people: without the folders of its file."""
    return re.split(r"[/\\]", line)[-1] or "unknown line"


def _advice(error: DeadlockError) -> str:
    if isinstance(error, StalledError):
        return f"{error.do[:1].upper()}{error.do[1:]}."
    _, method, line = error.cycle[error.edge]
    call = f"{_trigger(method)}, and pass a promise if its result is needed."
    return f"Turn the call at {_clipped(place_of(line), WORDS_W)} into {call}"


def _trigger(method: str) -> str:
    return f".{_clipped(method.rpartition('.')[2], WORDS_W / 2)}.trigger(...)"


class _Sheet:
    """Marks around the origin, and how far they reach."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf

    def reach(self, x: float, y: float, w: float, h: float) -> None:
        """Something takes this room."""
        self.left, self.right = min(self.left, x), max(self.right, x + w)
        self.top, self.bottom = min(self.top, y), max(self.bottom, y + h)


def _draw(sheet: _Sheet, ring: Ring, *, stalled: bool) -> None:
    shape, last = shape_of(len(ring.cycle), ring.gap), len(ring.cycle) - 1
    for i, arc in enumerate(shape.arcs):
        if i == ring.gap - 1:
            _line(sheet, arc, EDGE, 1.8, "2 4")
            told = f"… {ring.left:,} more in turn …"
            _words(sheet, arc, [Text(0, 0, told, size=SMALL, colour=FAINT)], f"{ring.left:,} agents left out")
        else:
            _call(sheet, arc, ring.cycle[i], refused=i == last, cure=i == ring.edge, stalled=stalled)
    for (x, y), (agent, _, _) in zip(shape.chips, ring.cycle, strict=True):
        _chip(sheet, x, y, agent)


def _call(sheet: _Sheet, arc: Arc, call: tuple[str, str, str], *, refused: bool, cure: bool, stalled: bool) -> None:
    _, method, line = call
    _line(sheet, arc, REFUSED if refused else CALLS, 2.4 if refused else 1.8, "6 4" if refused else "")
    if refused:
        x, y = arc.middle
        sheet.marks += [
            Rect(x - 8, y - 8, 16, 16, 8, GROUND, REFUSED, 2),
            Path(polyline((x - 3, y - 3), (x + 3, y + 3)) + polyline((x - 3, y + 3), (x + 3, y - 3)), REFUSED, 2),
        ]
    rows = [Text(0, 0, f"{method}()"), Text(0, 0, place_of(line), size=SMALL, colour=FAINT)]
    if stalled:
        rows.append(Text(0, 0, "nothing will bring it", bold=True, colour=REFUSED))
    else:
        rows += [Text(0, 0, "refused", bold=True, colour=REFUSED)] if refused else []
        rows += [Text(0, 0, f"turn into {_trigger(method)}", size=SMALL, bold=True, colour=CURE)] if cure else []
    _words(sheet, arc, rows, f"{method} called at {line or 'unknown line'}")


def _line(sheet: _Sheet, arc: Arc, colour: str, thickness: float, dash: str) -> None:
    (x, y), turn = arc.tip, arc.turn
    corners = [
        (x + far * math.cos(turn) - aside * math.sin(turn), y + far * math.sin(turn) + aside * math.cos(turn))
        for far, aside in ((1, 0), (-8, -5), (-8, 5))
    ]
    sheet.marks += [Path(arc.path, colour, thickness, dash), Path(polyline(*corners, closed=True), fill=colour)]
    for x, y in (arc.tip, arc.middle):
        sheet.reach(x - 9, y - 9, 18, 18)


def _words(sheet: _Sheet, arc: Arc, rows: list[Text], title: str) -> None:
    """Lines of words at a call."""
    x, y = arc.words
    y += LINE / 2 - arc.lift * LINE * len(rows)
    placed = []
    for i, row in enumerate(rows):
        text = _clipped(row.text, WORDS_W, row.size, bold=row.bold)
        width = text_width(text, row.size, bold=row.bold)
        sheet.reach(x - width * _ANCHORS[arc.anchor], y + i * LINE - 8, width, 16)
        placed.append(Text(x, y + i * LINE, text, arc.anchor, row.size, row.bold, row.colour))
    sheet.marks.append(Group(title, tuple(placed)))


def _chip(sheet: _Sheet, x: float, y: float, agent: str) -> None:
    left, top, colour = x - CHIP_W / 2, y - CHIP_H / 2, COLOURS[Status.WAITING]
    sheet.reach(left, top, CHIP_W, CHIP_H)
    marks = (
        Rect(left, top, CHIP_W, CHIP_H, 7, GROUND),
        Rect(left, top, CHIP_W, CHIP_H, 7, colour, colour, 1.2, fade=0.1),
        Shape(Status.WAITING, left + 14, y),
        Text(left + 26, y, fitting(short_id(agent), CHIP_W - 32)),
    )
    sheet.marks.append(Group(agent, marks))


def _moved(mark: Mark, dx: float, dy: float) -> Mark:
    match mark:
        case Group(title, marks):
            return Group(title, tuple(_moved(part, dx, dy) for part in marks))
        case Path():
            return Path(_shifted(mark.d, dx, dy), mark.stroke, mark.thickness, mark.dash, mark.fill, mark.fade)
        case Rect(x, y, width, height, radius, fill, stroke, thickness):
            return Rect(x + dx, y + dy, width, height, radius, fill, stroke, thickness, fade=mark.fade)
        case Text(x, y, text):
            return Text(x + dx, y + dy, text, mark.anchor, mark.size, mark.bold, mark.colour)
        case Shape(status, x, y, r):
            return Shape(status, x + dx, y + dy, r)


def _shifted(path: str, dx: float, dy: float) -> str:
    """A path elsewhere: in absolute `M`, `L`, `C` and `Z` numbers come in pairs."""
    numbers = iter(range(len(path)))
    return re.sub(r"-?[\d.]+", lambda found: f"{float(found[0]) + (dy if next(numbers) % 2 else dx):.1f}", path)


# ---- text ---------------------------------------------------------------------------------------------------------


def _clipped(text: str, width: float, size: float = 12, *, bold: bool = False) -> str:
    """The text cut in its middle to so many pixels: ends tell names and lines apart."""
    text = plain(text[:LONGEST])
    if text_width(text, size, bold=bold) <= width:
        return text
    kept = len(text) - 1
    while kept and text_width(f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}", size, bold=bold) > width:
        kept -= 1
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _wrapped(text: str, width: float) -> list[str]:
    """A sentence in lines of so many pixels."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [fitting(one, width) for one in (*lines, line)][:ADVICE_LINES]
