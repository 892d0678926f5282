"""A refused cycle of calls: what of it is told, and where its parts lie in a picture.

Up to `ROUND` agents stand on an ellipse, each call along it to the next one; more stand in a column, and the last call
goes back up beside it. `front/why.js` has the same picture for the page.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

ROUND: Final = 6
"""Agents that stand in a round; more are a column."""
MOST: Final = 40
"""Calls that are told; of a longer cycle the first and the last ones."""
CHIP_W, CHIP_H = 168, 30
PITCH: Final = 70
"""From one agent to the next in a column."""
MORE: Final = 32
"""More room below the agent whose call was refused: most is said there."""
RAIL: Final = 34
"""How far left of a column the last call goes back up."""
_RADII: Final = {1: (96, 44), 2: (190, 54), 3: (176, 96), 4: (196, 104), 5: (232, 150), 6: (246, 150)}
_BEGIN: Final = {1: 0.5, 2: 1.0, 3: -0.5, 4: -0.75, 5: -0.5, 6: -2 / 3}
"""Where the first agent stands, in half turns; clockwise from the right."""
_GRAIN: Final = 720
_NEAR: Final = 3
_ASIDE: Final = 0.3


class Ring(msgspec.Struct, frozen=True):
    """The calls of a cycle, as `DeadlockError` has them.

    Attributes:
        cycle: agent, method and line of each call, the refused one last.
        edge: the index in `cycle` of the call to turn into `.trigger`; -1 when that is left out.
        left: calls left out in the middle.
    """

    cycle: list[tuple[str, str, str]]
    edge: int
    left: int = 0

    @property
    def gap(self) -> int:
        """How many calls stand before those that are left out; -1 when none are."""
        return len(self.cycle) // 2 if self.left else -1


def ring_of(cycle: Sequence[tuple[str, str, str]], edge: int, most: int = MOST) -> Ring:
    """The cycle, its middle left out when it is long."""
    left = len(cycle) - most
    if left <= 0:
        return Ring(list(cycle), edge % len(cycle))
    half = most // 2
    edge %= len(cycle)
    at = edge if edge < half else edge - left if edge >= len(cycle) - (most - half) else -1
    return Ring([*cycle[:half], *cycle[len(cycle) - (most - half) :]], at, left)


class Arc(NamedTuple):
    """Where a call is drawn.

    Attributes:
        path: of an SVG's `path`, absolute `M`, `L` and `C` only.
        tip: where its head is; `turn` is where that points to, in radians.
        middle: where a mark on it stands.
        words: where its words begin, end or have their middle, as `anchor` says; `lift` is which part of their height
            stands above that.
    """

    path: str
    tip: tuple[float, float]
    turn: float
    middle: tuple[float, float]
    words: tuple[float, float]
    anchor: str
    lift: float


class Shape(NamedTuple):
    """Where the parts lie: `chips` are the middles of the agents, `arcs` the calls in order."""

    chips: list[tuple[float, float]]
    arcs: list[Arc]


def shape_of(agents: int, gap: int = -1) -> Shape:
    """Where so many agents and their calls lie.

    Args:
        agents: how many.
        gap: before which of them some are left out; -1 for none.
    """
    return _round(agents) if agents <= ROUND else _column(agents, gap)


def _round(agents: int) -> Shape:
    rx, ry = _RADII[agents]
    angles = [(_BEGIN[agents] + 2 * i / agents) * math.pi for i in range(agents)]
    chips = [(rx * math.cos(angle), ry * math.sin(angle)) for angle in angles]
    arcs = []
    for i, angle in enumerate(angles):
        end = angle + 2 * math.pi / agents
        here, there = chips[i], chips[(i + 1) % agents]
        steps = [angle + (end - angle) * k / _GRAIN for k in range(_GRAIN + 1)]
        points = [(rx * math.cos(t), ry * math.sin(t)) for t in steps]
        first = next(k for k in range(_GRAIN) if not _inside(points[k], here, _NEAR))
        last = next(k for k in range(_GRAIN, 0, -1) if not _inside(points[k], there, _NEAR))
        (bx, by), (cx, cy) = points[last], points[last - 6]
        middle = (steps[first] + steps[last]) / 2
        x, y = rx * math.cos(middle), ry * math.sin(middle)
        side = math.cos(middle)
        anchor = "start" if side > _ASIDE else "end" if side < -_ASIDE else "middle"
        out = 16.0 if anchor == "start" else -16.0 if anchor == "end" else 0.0
        down = math.sin(middle)
        words = (x + out, y + (0 if out else math.copysign(16, down)))
        lift = 0.5 - down / 2 if out else 0.0 if down > 0 else 1.0
        path = _ellipse(rx, ry, steps[first], steps[last])
        arcs.append(Arc(path, (bx, by), math.atan2(by - cy, bx - cx), (x, y), words, anchor, lift))
    return Shape(chips, arcs)


def _ellipse(rx: float, ry: float, begin: float, end: float) -> str:
    """Part of an ellipse around the origin."""
    parts = math.ceil((end - begin) / (math.pi / 4))
    turn = (end - begin) / parts
    bend = 4 / 3 * math.tan(turn / 4)
    path = f"M{rx * math.cos(begin):.1f} {ry * math.sin(begin):.1f}"
    for i in range(parts):
        a, b = begin + i * turn, begin + (i + 1) * turn
        ax, ay, bx, by = math.cos(a), math.sin(a), math.cos(b), math.sin(b)
        path += f"C{rx * (ax - bend * ay):.1f} {ry * (ay + bend * ax):.1f} {rx * (bx + bend * by):.1f} "
        path += f"{ry * (by - bend * bx):.1f} {rx * bx:.1f} {ry * by:.1f}"
    return path


def _inside(point: tuple[float, float], chip: tuple[float, float], near: float) -> bool:
    return abs(point[0] - chip[0]) < CHIP_W / 2 + near and abs(point[1] - chip[1]) < CHIP_H / 2 + near


def _column(agents: int, gap: int) -> Shape:
    """The one whose call was refused stands on top, so that this is seen first."""

    def under(place: int) -> float:
        return place * PITCH + (MORE if place else 0) + (PITCH / 2 if 0 <= gap < place else 0)

    chips = [(0.0, under((i + 1) % agents)) for i in range(agents)]
    arcs = []
    for (_, y), (_, below) in itertools.pairwise((*chips, chips[0])):
        top, end = y + CHIP_H / 2, below - CHIP_H / 2 - _NEAR
        if end < top:
            arcs.append(_back(top))
        else:
            middle = (top + end) / 2
            arcs.append(
                Arc(f"M0 {top:.1f}L0 {end:.1f}", (0.0, end), math.pi / 2, (0.0, middle), (18.0, middle), "start", 0.5)
            )
    return Shape(chips, arcs)


def _back(top: float) -> Arc:
    """From the lowest agent, whose lower edge is at `top`, up to the highest one."""
    low, rail, end = top + 26, -CHIP_W / 2 - RAIL, -CHIP_W / 2 - _NEAR
    path = (
        f"M0 {top:.1f}L0 {low - 8:.1f}C0 {low:.1f} 0 {low:.1f} -8 {low:.1f}L{rail + 8:.1f} {low:.1f}"
        f"C{rail:.1f} {low:.1f} {rail:.1f} {low:.1f} {rail:.1f} {low - 8:.1f}L{rail:.1f} 8"
        f"C{rail:.1f} 0 {rail:.1f} 0 {rail + 8:.1f} 0L{end:.1f} 0"
    )
    return Arc(path, (end, 0.0), 0.0, (-30.0, low), (18.0, top + 4), "start", 0.0)
