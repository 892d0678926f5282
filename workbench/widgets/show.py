"""`wb.show` and `wb.trace`: run something and watch its agents."""

from base64 import b64encode
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from html import escape
from typing import Any
from weakref import ref

from IPython.display import display

from workbench.core.nouns import ROOT_UID
from workbench.exports.page import PANES
from workbench.model.agent_type import AgentType, registry
from workbench.questions.rows import one_of
from workbench.runtime.opening import default_session
from workbench.runtime.session import Session
from workbench.views.earlier import earlier_agents
from workbench.views.graph import Earlier
from workbench.widgets.dashboard import Dashboard


def dashboard(
    session: Session | None = None, panes: Sequence[str] = PANES, *, tab: str = "", since: int = 0
) -> Dashboard:
    """The live views of a session, with one selection and one clock.

    Args:
        session: whose; the default session if none is given.
        panes: which views; all by default.
        tab: the view that is open first.
        since: show only agents that did something after this `seq`, and what they descend from; 0 shows all.

    Raises:
        SearchError: there is no such view.
    """
    panes = tuple(panes) or PANES
    for name in (*panes, *([tab] if tab else [])):
        one_of("view", name, PANES)
    session = session or default_session()
    earlier = {} if since == 0 else session.read(lambda state: earlier_agents(state, since))
    return _shown(session, panes, tab, since, earlier)


def agent_graph(session: Session | None = None, *, since: int = 0) -> Dashboard:
    """The live agent graph of a session, by itself; the arguments are `dashboard`'s."""
    return dashboard(session, ("graph",), since=since)


def dashboard_from_now(session: Session) -> Dashboard:
    """The live views of what is done from now on."""
    since, earlier = session.read(lambda state: (state.seq, earlier_agents(state, state.seq)))
    return _shown(session, PANES, "", since, earlier)


def _shown(session: Session, panes: Sequence[str], tab: str, since: int, earlier: Mapping[int, Earlier]) -> Dashboard:
    shown = Dashboard(session, panes, tab=tab, since=since, earlier=earlier)
    _mark_undefined(session, shown)
    return shown


def _mark_undefined(session: Session, graph: Dashboard) -> None:
    """Show agents of an earlier process as undefined until the cell with their class has run."""
    shown = ref(graph)
    names = session.read(lambda state: {a.type_name for a in state.agents.values() if a.uid != ROOT_UID})

    def look(_: AgentType | None = None) -> None:
        nonlocal names
        graph, names = shown(), {name for name in names if registry.find(name) is None}
        if graph is not None:
            graph.mark_undefined(names)
        if (graph is None or not names) and look in registry.listeners:
            registry.listeners.remove(look)

    if any(registry.find(name) is None for name in names):
        registry.listeners.append(look)
        look()


class Still:
    """The picture of a graph without a widget: what a notebook shows that was saved, and opened with no kernel.

    It stands right below the live graph, which hides it for as long as it lives (see `front/graph.css`).
    """

    def __init__(self, graph: Dashboard) -> None:
        self._graph = graph

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundle = self._graph.still()
        data = b64encode(bundle["image/svg+xml"].encode()).decode()
        text = escape(bundle["text/plain"], quote=True)
        return {
            "text/html": f'<img class="wb-still" alt="{text}" src="data:image/svg+xml;base64,{data}">',
            "text/plain": bundle["text/plain"],
        }


def display_dashboard(graph: Dashboard) -> None:
    """Display a live graph in a cell, and below it the picture that stays when the graph cannot live."""
    display(graph)
    still = Still(graph)
    handle: Any = display(still, display_id=True)
    if handle is not None:
        context = copy_context()  # whose cell the updates belong to
        graph.kept.append(lambda: context.run(handle.update, still))


@contextmanager
def trace(session: Session | None = None) -> Iterator[Dashboard]:
    """Show the agents that a block of code sets to work, live: `with wb.trace(): ...`.

    The picture stays, in its last state, when the block raises or is interrupted, and in the saved notebook. Agents
    that go on after the block are followed until they end.
    """
    session = session or default_session()
    graph = dashboard_from_now(session)
    display_dashboard(graph)
    try:
        yield graph
    finally:
        graph.leave()


async def show(awaitable: Awaitable[Any]) -> Any:
    """Run something, show its agents live, and return its result: `await wb.show(Coordinator.get().fan_out(items))`.

    Raises:
        what the awaitable raises; the picture stays.
    """
    __tracebackhide__ = True  # IPython leaves this frame out of what it shows
    with trace():
        return await awaitable
