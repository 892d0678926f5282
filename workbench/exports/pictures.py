"""Still pictures of a tape: what to draw of it, and SVG for notebooks without a widget."""

from collections.abc import Sequence
from typing import Any, Final

from workbench.exports.answers import Answers
from workbench.questions.critical_path import PathSegment
from workbench.questions.rows import one_of
from workbench.runtime.explaining import Explaining
from workbench.runtime.reading import Reader
from workbench.views.drawing import Drawing, svg
from workbench.views.earlier import view_of
from workbench.views.forks_picture import forks_drawing
from workbench.views.graph_nodes import Origin
from workbench.views.graph_picture import graph_drawing, graph_summary
from workbench.views.promises_picture import promises_drawing
from workbench.views.tape import Tape
from workbench.views.timeline_picture import timeline_drawing

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
        return promises_drawing(tape, moment, _orphans(tape, session))
    if kind == "forks":
        return forks_drawing(tape, moment, _results(tape, session))
    return graph_drawing(tape.view)


def _orphans(tape: Tape, session: Explaining | None) -> list[int]:
    """Numbers of the promises that nobody alive could complete."""
    return [] if session is None else Answers(session, tape).answer("orphans", {})["numbers"]


def _results(tape: Tape, session: Explaining | None) -> dict[int, str]:
    """What forks and their sources returned, by slot."""
    nodes = tape.view.nodes
    forks = [node for node in nodes if node.origin == Origin.FORKED]
    slots = sorted({node.slot for node in forks} | {node.parent for node in forks if node.parent >= 0})
    if session is None or not slots:
        return {}
    told = Answers(session, tape).answer("forks", {"slots": slots})["results"]
    return {int(slot): result["text"] for slot, result in told.items() if result["text"]}


def still(tape: Tape, kind: str = "graph", session: Explaining | None = None) -> dict[str, Any]:
    """A picture as a cell's output: `image/svg+xml`, and `text/plain` in words."""
    return {"image/svg+xml": svg(drawing(tape, kind, None, session)), "text/plain": graph_summary(tape.view)}


def still_of_state(session: Reader) -> dict[str, Any]:
    """The graph as it is now, from the session's state: at once, however long the log is."""
    view = session.read(view_of)
    return {"image/svg+xml": svg(graph_drawing(view)), "text/plain": graph_summary(view)}
