"""Where on a picture a point of the tape lies: along time, with idle stretches folded away, or along the entries.

Time is drawn to scale, the same on the whole picture. A folded stretch is a *break* of fixed width that names its
length. What happened in no time at all between two breaks (a simulated clock stands still while agents work) is spread
in the order of the entries.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from workbench.questions.explanation import duration
from workbench.views.drawing import EDGE, FAINT, GROUND, HAIR, SMALL, Group, Mark, Path, Rect, Text, polyline
from workbench.views.lettering import text_width
from workbench.views.spans import Point, Stretch
from workbench.views.tape import Moment, Tape

_SECOND, _MINUTE, _HOUR, _DAY = 1_000.0, 60_000.0, 3_600_000.0, 86_400_000.0
_NICE: Final = (
    *(base * 10.0**power for power in range(-3, 4) for base in (1, 2, 5)),
    *(10 * _SECOND, 15 * _SECOND, 30 * _SECOND),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)
_TICKS: Final = 9
"""Ticks on a whole picture, about."""
_SPREAD: Final = 7.0
"""Pixels from entry to entry where no time passes."""
_LEAST: Final = 10.0
"""Pixels between two breaks, at least."""
_BREAK: Final = 48.0
_FOLDED: Final = "#f4f5f7"
BREAK_WORDS: Final = "left out: nothing happened"
_BESIDE: Final = 8.0
"""Pixels of a break at either side in which what lies at its ends is seen."""


class Tick(NamedTuple):
    """A place on the axis with a text."""

    x: float
    text: str


class Break(NamedTuple):
    """A folded stretch."""

    x: float
    width: float
    text: str


class Part(msgspec.Struct):
    """What lies between two breaks: times in milliseconds, rows, pixels."""

    begin: float
    end: float
    first: int
    last: int
    x: float = 0
    width: float = 0


class Scale(msgspec.Struct, frozen=True):
    """Places on the picture.

    Attributes:
        left: where the first point lies; `right`: where the last.
        ticks, breaks: what is drawn of the axis.
        unit: what it measures.
    """

    left: float
    right: float
    parts: tuple[Part, ...]
    breaks: tuple[Break, ...]
    ticks: tuple[Tick, ...]
    unit: str
    seqs: Sequence[int] = ()
    """The entries' `seq` by row when entries are measured."""

    def x(self, point: Point) -> float:
        """The place of a point."""
        if self.unit == "entry":
            first, last = self.seqs[0], self.seqs[-1]
            share = (point.seq - first) / max(last - first, 1)
            return self.left + min(max(share, 0), 1) * (self.right - self.left)
        return self._at(point.wall, point.row)

    def at_wall(self, wall: float) -> float:
        """The place of a wall time in milliseconds; for times that no row has."""
        if self.unit == "entry":
            return self.left
        return self._at(wall, None)

    def _at(self, wall: float, row: int | None) -> float:
        parts = self.parts
        n = max(0, bisect_right(parts, wall, key=lambda part: part.begin) - 1)
        part = parts[n]
        if part.end > part.begin:
            share = (wall - part.begin) / (part.end - part.begin)
        else:
            share = 0.0 if row is None else (row - part.first) / max(part.last - part.first, 1)
        return part.x + min(max(share, 0.0), 1.0) * part.width


def entry_scale(tape: Tape, moment: Moment, left: float, right: float) -> Scale:
    """Entries at equal distances."""
    seqs = tape.seq[: moment.row] or [0]
    first, last = seqs[0], seqs[-1]
    step = next(
        (s for power in range(10) for s in (10**power, 2 * 10**power, 5 * 10**power) if last - first <= s * _TICKS), 1
    )
    ticks = [Tick(left, f"{first:,}")] + [
        Tick(left + (n - first) / max(last - first, 1) * (right - left), f"{n:,}")
        for n in range((first // step + 1) * step, last + 1, step)
    ]
    return Scale(left, right, (), (), _apart(ticks, ()), "entry", seqs)


def time_scale(tape: Tape, moment: Moment, left: float, right: float, idle: Sequence[Stretch]) -> Scale:
    """Time to scale, with these stretches folded."""
    walls = tape.wall[: moment.row] or tape.wall[:0]
    if not walls:
        return Scale(left, right, (Part(0, 0, 0, 0, left, right - left),), (), (), "time")
    edges = [walls[0], *(edge for stretch in idle for edge in stretch), walls[-1]]
    parts = [
        Part(begin, end, bisect_left(walls, begin), bisect_right(walls, end) - 1)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    ]
    parts[-1].last = moment.row
    texts = [duration(stretch.length / _SECOND) for stretch in idle]
    widths = [max(_BREAK, text_width(text, SMALL, bold=True) + 10) for text in texts]
    _spread(parts, right - left - sum(widths))
    breaks, x = [], left
    for i, part in enumerate(parts):
        part.x = x
        x += part.width
        if i < len(widths):
            breaks.append(Break(x, widths[i], texts[i]))
            x += widths[i]
    return Scale(left, right, tuple(parts), tuple(breaks), _apart(_time_ticks(parts), breaks), "time")


def _spread(parts: list[Part], room: float) -> None:
    """Give each part its width: its share of the time, and a little to those in which none passes."""
    total = sum(part.end - part.begin for part in parts)
    if not total:
        weights = [part.last - part.first + 1 for part in parts]
        for part, weight in zip(parts, weights, strict=True):
            part.width = room * weight / sum(weights)
        return
    fixed = {}
    for i, part in enumerate(parts):
        if part.end == part.begin:
            fixed[i] = min(max(_LEAST, _SPREAD * (part.last - part.first)), room / (2 * len(parts)))
        elif (part.end - part.begin) / total * room < _LEAST:
            fixed[i] = _LEAST
    timed = sum(part.end - part.begin for i, part in enumerate(parts) if i not in fixed)
    left = room - sum(fixed.values())
    for i, part in enumerate(parts):
        part.width = fixed[i] if i in fixed else left * (part.end - part.begin) / timed


def _time_ticks(parts: list[Part]) -> list[Tick]:
    origin = parts[0].begin
    timed = [part for part in parts if part.end > part.begin]
    if not timed:
        return [Tick(parts[0].x, "0")]
    longest = max(timed, key=lambda part: part.width)
    per_pixel = (longest.end - longest.begin) / longest.width
    whole = sum(part.width for part in parts) * per_pixel
    step = next((nice for nice in _NICE if nice * _TICKS >= whole), _NICE[-1])
    unit = parts[-1].end - origin
    ticks = [Tick(parts[0].x, "0")]
    for part in parts:
        first = -(-(part.begin - origin) // step)
        if part.end == part.begin:
            continue
        n = max(first, 1)
        while origin + n * step <= part.end:
            share = (origin + n * step - part.begin) / (part.end - part.begin)
            ticks.append(Tick(part.x + share * part.width, _clock(n * step, step, unit)))
            n += 1
    return ticks


def _clock(offset: float, step: float, longest: float) -> str:
    """An offset in milliseconds as people read it, fine enough for the step."""
    if longest < _SECOND:
        return f"{offset:g} ms"
    longest = min(longest, max(offset, _SECOND))  # short ones are told shortly
    decimals = 0 if step >= _SECOND else 1 if step >= _SECOND / 10 else 2 if step >= _SECOND / 100 else 3
    if longest < _MINUTE:
        return f"{offset / _SECOND:.{decimals}f} s"
    seconds = f"{offset % _MINUTE / _SECOND:0{3 + decimals if decimals else 2}.{decimals}f}"
    minutes = int(offset // _MINUTE)
    if longest < _HOUR:
        return f"{minutes}:{seconds}"
    days, hours = divmod(minutes // 60, 24)
    text = f"{hours}:{minutes % 60:02d}:{seconds}"
    return f"{days} d {text}" if days else text


def _apart(ticks: Sequence[Tick], breaks: Sequence[Break]) -> tuple[Tick, ...]:
    """The ticks whose texts do not run into each other, or into a break's."""
    taken = [(b.x, b.x + b.width) for b in breaks]
    kept: list[Tick] = []
    reach = float("-inf")
    for tick in sorted(ticks):
        half = text_width(tick.text, SMALL) / 2 + 4
        free = all(tick.x + half < begin or tick.x - half > end for begin, end in taken)
        if tick.x - half > reach and free:
            kept.append(tick)
            reach = tick.x + half
    return tuple(kept)


# ---- marks --------------------------------------------------------------------------------------------------------


def axis_marks(scale: Scale, top: float, bottom: float) -> list[Mark]:
    """The axis above, its grid behind what is drawn later. Texts stand above `top`."""
    marks: list[Mark] = [Path(polyline((scale.left, top), (scale.right, top)), EDGE)]
    for tick in scale.ticks:
        marks.append(Path(polyline((tick.x, top), (tick.x, bottom)), HAIR))
        marks.append(Path(polyline((tick.x, top - 4), (tick.x, top)), EDGE))
        marks.append(Text(tick.x, top - 12, tick.text, "middle", SMALL, colour=FAINT))
    if scale.unit == "entry":
        marks.append(Text(scale.left - 14, top - 12, "entry", "end", SMALL, colour=FAINT))
    return marks


def break_marks(scale: Scale, top: float, bottom: float) -> list[Mark]:
    """The folded stretches, over what is drawn: paper that is torn, with the length of what is not shown."""
    marks: list[Mark] = []
    for b in scale.breaks:
        middle, half = b.x + b.width / 2, 7
        edges = []
        for x in (middle - half, middle + half):
            n = max(2, round((bottom - top + 8) / 8))
            step = (bottom - top + 8) / n
            edges.append([(x + (2.5 if i % 2 else -2.5), top - 4 + i * step) for i in range(n + 1)])
        torn = polyline(*edges[0], *reversed(edges[1]), closed=True)
        marks.append(
            Group(
                f"nothing happened for {b.text}",
                (
                    Rect(b.x + _BESIDE, top + 0.5, b.width - 2 * _BESIDE, bottom - top, 0, _FOLDED, fade=0.85),
                    Path(torn, fill=GROUND),
                    Path(polyline(*edges[0]) + polyline(*edges[1]), EDGE),
                    Text(middle, top - 12, b.text, "middle", SMALL, bold=True, colour=FAINT),
                ),
            )
        )
    return marks


def break_sample(x: float, y: float) -> list[Mark]:
    """A folded stretch for a legend, 24 pixels wide."""
    edges = [[(at + (2 if i % 2 else -2), y - 8 + 4 * i) for i in range(5)] for at in (x + 8, x + 16)]
    ground = Rect(x, y - 7, 24, 14, 0, _FOLDED)
    torn = Path(polyline(*edges[0], *reversed(edges[1]), closed=True), fill=GROUND)
    return [ground, torn, Path(polyline(*edges[0]) + polyline(*edges[1]), EDGE)]
