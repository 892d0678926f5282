"""How each status looks in a still picture: colour, shape, frame. The live graph's are in `graph_paint.js`.

Colours are Okabe and Ito's, told apart by all kinds of eyes, the yellow and the orange darkened for a light ground. No
colour is needed to read a picture: each status has a shape of its own. The shapes of what runs, stands still and is
being tried again are those of a player: a triangle, two bars, a turning arrow. Diamonds wait, hollow ones for something
outside; circles have nothing to do; what has ended is struck through.
"""

import math
from typing import Final, NamedTuple

from workbench.views.graph_nodes import Status

ORDER: Final = (
    Status.DONE,
    Status.RUNNING,
    Status.RETRYING,
    Status.WAITING,
    Status.SUSPENDED,
    Status.QUEUED,
    Status.INTERRUPTED,
    Status.FAILED,
    Status.UNDEFINED,
    Status.IDLE,
    Status.EXITED,
)
"""The order in which people want to read counts."""
BAR: Final = (*ORDER[:6], Status.IDLE, Status.EXITED, Status.UNDEFINED, Status.INTERRUPTED, Status.FAILED)
"""The order of colours in a band's bar."""
COLOURS: Final = {
    Status.IDLE: "#8a8a8a",
    Status.QUEUED: "#757575",
    Status.RUNNING: "#0072b2",
    Status.WAITING: "#d98c00",
    Status.DONE: "#009e73",
    Status.FAILED: "#d55e00",
    Status.UNDEFINED: "#b0609a",
    Status.SUSPENDED: "#d98c00",
    Status.INTERRUPTED: "#3c3c3c",
    Status.RETRYING: "#948200",
    Status.EXITED: "#9a9a9a",
}
"""Okabe and Ito's; as in `graph_paint.js`."""
PALE: Final = {
    Status.QUEUED: "#c9c9c9",
    Status.IDLE: "#c9c9c9",
    Status.SUSPENDED: "#f0cf94",
    Status.EXITED: "#e4e4e4",
}
"""Colours in a bar, where no shape tells the status, if not as above."""


class Piece(NamedTuple):
    """A part of a mark: a path of absolute `M`, `L`, `C` and `Z`, of size one around the origin.

    `look` is `fill`, or the width of a line in the status's colour, or minus the width of one that is cut out.
    """

    d: str
    look: float | str


def arc(radius: float, begin: float = 0, end: float = 360) -> str:
    """A path around the origin, in degrees, clockwise as seen."""
    parts = max(1, round(abs(end - begin) / 90))
    step = math.radians((end - begin) / parts)
    bend = 4 / 3 * math.tan(step / 4) * radius
    at = math.radians(begin)
    d = f"M{radius * math.cos(at):.3f} {radius * math.sin(at):.3f}"
    for _ in range(parts):
        x, y, then = radius * math.cos(at), radius * math.sin(at), at + step
        u, v = radius * math.cos(then), radius * math.sin(then)
        d += f"C{x - bend * math.sin(at):.3f} {y + bend * math.cos(at):.3f}"
        d += f" {u + bend * math.sin(then):.3f} {v - bend * math.cos(then):.3f} {u:.3f} {v:.3f}"
        at = then
    return d + ("Z" if end - begin == _ROUND else "")


_ROUND: Final = 360
_LINE, _CUT = 0.28, -0.29
SHAPES: Final[dict[Status, tuple[Piece, ...]]] = {
    Status.IDLE: (Piece(arc(0.55), _LINE),),
    Status.QUEUED: (Piece(arc(0.82), _LINE),),
    Status.RUNNING: (Piece("M-.7 -.95L1 0L-.7 .95Z", "fill"),),
    Status.WAITING: (Piece("M0 -1.08L1.08 0L0 1.08L-1.08 0Z", "fill"),),
    Status.DONE: (Piece(arc(1), "fill"), Piece("M-.42 .02L-.1 .34L.46 -.32", _CUT)),
    Status.FAILED: (
        Piece("M-.92 -.92L.92 -.92L.92 .92L-.92 .92Z", "fill"),
        Piece("M-.4 -.4L.4 .4M.4 -.4L-.4 .4", _CUT),
    ),
    Status.UNDEFINED: (Piece("M1 0L.5 .87L-.5 .87L-1 0L-.5 -.87L.5 -.87Z", _LINE),),
    Status.SUSPENDED: (Piece("M0 -.95L.95 0L0 .95L-.95 0Z", _LINE),),
    Status.INTERRUPTED: (Piece("M-.8 -.95L-.22 -.95L-.22 .95L-.8 .95ZM.22 -.95L.8 -.95L.8 .95L.22 .95Z", "fill"),),
    Status.RETRYING: (Piece(arc(0.8, 0, 290), _LINE), Piece("M.1 -1.25L.95 -.5L.08 -.17Z", "fill")),
    Status.EXITED: (Piece(arc(0.72), _LINE), Piece("M-.85 .85L.85 -.85", _LINE)),
}
"""Marks of size one around the origin."""
TINTS: Final = {
    Status.RUNNING: 0.13,
    Status.FAILED: 0.13,
    Status.RETRYING: 0.13,
    Status.WAITING: 0.1,
    Status.INTERRUPTED: 0.1,
    Status.SUSPENDED: 0.06,
    Status.DONE: 0.05,
}
STRONG: Final = {Status.RUNNING, Status.FAILED, Status.RETRYING, Status.INTERRUPTED}
DASHES: Final = {Status.QUEUED: "3 3", Status.IDLE: "3 3", Status.EXITED: "1 3"}
