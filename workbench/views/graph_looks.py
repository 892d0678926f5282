"""How each status looks in a still picture: colour, shape, frame. The live graph's are in `agent_graph_paint.js`.

Colours are Okabe and Ito's, told apart by all kinds of eyes, the yellow and the orange darkened for a light ground. No
colour is needed to read a picture: each status has a shape of its own. The shapes of what runs, stands still and is
being tried again are those of a player: a triangle, two bars, a turning arrow. Diamonds wait, hollow ones for something
outside; circles have nothing to do; what has ended is struck through.
"""

from typing import Final

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
"""Okabe and Ito's; as in `agent_graph_paint.js`."""
PALE: Final = {
    Status.QUEUED: "#c9c9c9",
    Status.IDLE: "#c9c9c9",
    Status.SUSPENDED: "#f0cf94",
    Status.EXITED: "#e4e4e4",
}
"""Colours in a bar, where no shape tells the status, if not as above."""
_LINE: Final = 'fill="none" stroke="COLOUR" stroke-width=".28"'
_CUT: Final = 'fill="none" stroke="#ffffff" stroke-width=".29"'
SHAPES: Final = {
    Status.IDLE: f'<circle r=".55" {_LINE}/>',
    Status.QUEUED: f'<circle r=".82" {_LINE}/>',
    Status.RUNNING: '<path d="M-.7 -.95L1 0L-.7 .95Z" fill="COLOUR"/>',
    Status.WAITING: '<path d="M0 -1.08L1.08 0L0 1.08L-1.08 0Z" fill="COLOUR"/>',
    Status.DONE: f'<circle r="1" fill="COLOUR"/><path d="M-.42 .02L-.1 .34L.46 -.32" {_CUT}/>',
    Status.FAILED: f'<path d="M-.92 -.92H.92V.92H-.92Z" fill="COLOUR"/><path d="M-.4 -.4L.4 .4M.4 -.4L-.4 .4" {_CUT}/>',
    Status.UNDEFINED: f'<path d="M1 0L.5 .87H-.5L-1 0L-.5 -.87H.5Z" {_LINE}/>',
    Status.SUSPENDED: f'<path d="M0 -.95L.95 0L0 .95L-.95 0Z" {_LINE}/>',
    Status.INTERRUPTED: '<path d="M-.8 -.95H-.22V.95H-.8ZM.22 -.95H.8V.95H.22Z" fill="COLOUR"/>',
    Status.RETRYING: (
        f'<path d="M.8 0A.8 .8 0 1 1 .27 -.75" {_LINE}/><path d="M.1 -1.25L.95 -.5L.08 -.17Z" fill="COLOUR"/>'
    ),
    Status.EXITED: f'<circle r=".72" {_LINE}/><path d="M-.85 .85L.85 -.85" {_LINE}/>',
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
