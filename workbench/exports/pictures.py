"""Still pictures of a tape: SVG for notebooks without a widget, matplotlib figures for papers. The same drawings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from workbench.exports.answers import Answers
from workbench.exports.figures import figure as figure_of
from workbench.questions.critical_path import PathSegment
from workbench.questions.rows import one_of
from workbench.runtime.explaining import Explaining
from workbench.views.drawing import Drawing, svg
from workbench.views.forks_picture import forks_drawing
from workbench.views.graph_nodes import Origin
from workbench.views.picture import graph_drawing, graph_summary
from workbench.views.promises_picture import promises_drawing
from workbench.views.tape import Tape
from workbench.views.timeline_picture import timeline_drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS: Final = ("graph", "timeline", "forks", "promises")


def drawing(
    tape: Tape, kind: str, critical: Sequence[PathSegment] | None = None, session: Explaining | None = None
) -> Drawing:
    """What to draw, as of the tape's end.

    Args:
        tape: what happened.
        kind: which of `KINDS`.
        critical: a critical path to light in the timeline.
        session: tells the results of forks; without it none are told.

    Raises:
        SearchError: there is no such kind.
    """
    one_of("picture", kind, KINDS)
    moment = tape.moment()
    if kind == "timeline":
        return timeline_drawing(tape, moment, critical=critical)
    if kind == "promises":
        return promises_drawing(tape, moment)
    if kind == "forks":
        return forks_drawing(tape, moment, _results(tape, session))
    return graph_drawing(tape.view)


def _results(tape: Tape, session: Explaining | None) -> dict[int, str]:
    """What forks and their sources returned, by slot."""
    nodes = tape.view.nodes
    forks = [node for node in nodes if node.origin == Origin.FORKED]
    slots = sorted({node.slot for node in forks} | {node.parent for node in forks if node.parent >= 0})
    if session is None or not slots:
        return {}
    told = Answers(session, tape).answer("forks", {"slots": slots})["results"]
    return {int(slot): result["text"] for slot, result in told.items() if result["text"]}


def figure(
    tape: Tape, kind: str, critical: Sequence[PathSegment] | None = None, session: Explaining | None = None
) -> "Figure":
    """A matplotlib figure; the arguments are `drawing`'s."""
    return figure_of(drawing(tape, kind, critical, session))


def still(tape: Tape, kind: str = "graph", session: Explaining | None = None) -> dict[str, Any]:
    """A picture as a cell's output: `image/svg+xml`, and `text/plain` in words."""
    return {"image/svg+xml": svg(drawing(tape, kind, None, session)), "text/plain": graph_summary(tape.view)}
