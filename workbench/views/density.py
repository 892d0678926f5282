"""How many of the agents in a band were at work at the same time, as areas over time."""

from collections.abc import Callable, Sequence
from typing import Final

from workbench.views.axis import Scale
from workbench.views.bars import AT_WORK, RAN, Key
from workbench.views.drawing import EDGE, FAINT, SMALL, Group, Mark, Path, Text, polyline
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import Status
from workbench.views.spans import Span

_LINE: Final = COLOURS[Status.RUNNING]


def density(scale: Scale, known: Sequence[Span], base: float, high: float, end: float) -> Group:
    """Two areas on a base line: pale for under way, full for running; the most at once is written at the end.

    Args:
        scale: places on the picture.
        known: the spans of the folded agents.
        base: where the line lies.
        high: how far the areas reach above it.
        end: where the text ends.
    """
    counted = [span for span in known if not span.ghost and not span.reverted]
    busy = levels(scale, [span for span in counted if span.status is not Status.QUEUED])
    ran = levels(scale, [span for span in counted if span.status is Status.RUNNING])
    most = max(0, *busy)
    marks: list[Mark] = [Path(polyline((scale.left, base), (scale.right, base)), EDGE, 0.8)]
    for heights, colour in ((busy, AT_WORK), (ran, RAN)):
        path = _steps(heights, scale.left, base, high / max(most, 1))
        if path:
            marks.append(Path(path, _LINE, 0.7, fill=colour))
    marks.append(Text(end, base - high / 2, f"{most:,} at once", "end", SMALL, colour=FAINT))
    return Group(f"at most {most:,} under way at once, {max(0, *ran):,} of them running", tuple(marks))


def levels(scale: Scale, known: Sequence[Span]) -> list[int]:
    """How many of these spans there are at a time, at most in each column a pixel wide."""
    changes: dict[int, int] = {}
    places: dict[int, float] = {}
    for span in known:
        for at, change in ((span.begin, 1), (span.end, -1)):
            changes[at.seq] = changes.get(at.seq, 0) + change
            places.setdefault(at.seq, scale.x(at))
    found = [0] * (int(scale.right - scale.left) + 1)
    level = column = 0
    for seq in sorted(changes):
        reach = min(int(places[seq] - scale.left), len(found) - 1)
        for i in range(column, reach + 1):
            found[i] = max(found[i], level)
        column, level = reach, level + changes[seq]
        found[reach] = max(found[reach], level)
    return found


def _steps(heights: Sequence[int], left: float, base: float, unit: float) -> str:
    """The outline of a row of columns a pixel wide."""
    points: list[tuple[float, float]] = []
    before = 0
    for i, height in enumerate(heights):
        if height != before:
            points += [(left + i, base - before * unit), (left + i, base - height * unit)]
            before = height
    if before:
        right = left + len(heights) - 1
        points += [(right, base - before * unit), (right, base)]
    return polyline(*points, closed=True) if points else ""


def density_keys() -> list[Key]:
    """What a legend says of it."""
    return [Key("how many ran at once", _sample(RAN)), Key("were under way", _sample(AT_WORK))]


def _sample(fill: str) -> Callable[[float, float], list[Mark]]:
    heights = [0, *(height for height in (3, 10, 13, 7) for _ in range(6)), 0]
    return lambda x, y: [Path(_steps(heights, x - 1, y + 6, 1), _LINE, 0.7, fill=fill)]
