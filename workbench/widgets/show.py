"""`wb.show` and `wb.trace`: run something and watch its agents."""

from base64 import b64encode
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from html import escape
from typing import Any
from weakref import ref

from IPython.display import display

from workbench.core.nouns import ROOT_UID
from workbench.model.agent_type import AgentType, registry
from workbench.model.failure import decode_failure
from workbench.runtime.opening import default_session
from workbench.runtime.session import Session
from workbench.views.earlier import earlier_agents
from workbench.views.graph import Earlier
from workbench.widgets.agent_graph import AgentGraph


def agent_graph(session: Session | None = None, *, since: int = 0) -> AgentGraph:
    """The live agent graph of a session, as a widget.

    Args:
        session: whose; the default session if none is given.
        since: show only agents that did something after this `seq`, and what they descend from; 0 shows all.
    """
    session = session or default_session()
    thread = session.thread
    earlier = {} if since == 0 else thread.ask(lambda: earlier_agents(thread.state, since)).result()
    return _graph(session, since, earlier)


def graph_from_now(session: Session) -> AgentGraph:
    """The live agent graph of what is done from now on."""
    thread = session.thread
    since, earlier = thread.ask(lambda: (thread.state.seq, earlier_agents(thread.state, thread.state.seq))).result()
    return _graph(session, since, earlier)


def _graph(session: Session, since: int, earlier: Mapping[int, Earlier]) -> AgentGraph:
    now = session.thread.clock.wall
    graph = AgentGraph(session.feed, describe=describe_failure, since=since, earlier=earlier, now=now)
    _mark_undefined(session, graph)
    return graph


def _mark_undefined(session: Session, graph: AgentGraph) -> None:
    """Show agents of an earlier process as undefined until the cell with their class has run."""
    thread, shown = session.thread, ref(graph)
    names: set[str] = thread.ask(
        lambda: {a.type_name for a in thread.state.agents.values() if a.uid != ROOT_UID}
    ).result()

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


def describe_failure(value: bytes) -> str:
    """An encoded failure in one line, for the details of an agent."""
    failure = decode_failure(value)
    return f"{failure.error_type}: {failure.message}"


class Still:
    """The picture of a graph without a widget: what a notebook shows that was saved, and opened with no kernel.

    It stands right below the live graph, which hides it for as long as it lives (see `agent_graph.css`).
    """

    def __init__(self, graph: AgentGraph) -> None:
        self._graph = graph

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundle = self._graph.still()
        data = b64encode(bundle["image/svg+xml"].encode()).decode()
        text = escape(bundle["text/plain"], quote=True)
        return {
            "text/html": f'<img class="wb-still" alt="{text}" src="data:image/svg+xml;base64,{data}">',
            "text/plain": bundle["text/plain"],
        }


def display_graph(graph: AgentGraph) -> None:
    """Display a live graph in a cell, and below it the picture that stays when the graph cannot live."""
    display(graph)
    still = Still(graph)
    handle: Any = display(still, display_id=True)
    if handle is not None:
        context = copy_context()  # whose cell the updates belong to
        graph.kept.append(lambda: context.run(handle.update, still))


@contextmanager
def trace(session: Session | None = None) -> Iterator[AgentGraph]:
    """Show the agents that a block of code sets to work, live: `with wb.trace(): ...`.

    The picture stays, in its last state, when the block raises or is interrupted, and in the saved notebook. Agents
    that go on after the block are followed until they end.
    """
    session = session or default_session()
    graph = graph_from_now(session)
    display_graph(graph)
    try:
        yield graph
    finally:
        graph.leave()


async def show(awaitable: Awaitable[Any]) -> Any:
    """Run something, show its agents live, and return its result: `await wb.show(Coordinator.get().fan_out(items))`.

    Raises:
        what the awaitable raises; the picture stays.
    """
    with trace():
        return await awaitable
