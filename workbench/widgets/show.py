"""`wb.show` and `wb.trace`: run something and watch its agents."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.display import display

from workbench.model.failure import decode_failure
from workbench.runtime.session import Session, default_session
from workbench.views.graph import Earlier
from workbench.widgets.agent_graph import AgentGraph


def agent_graph(session: Session | None = None, *, since: int = 0) -> AgentGraph:
    """The live agent graph of a session, as a widget.

    Args:
        session: whose; the default session if none is given.
        since: show only agents that did something after this `seq`, and what they descend from; 0 shows all.
    """
    session = session or default_session()
    earlier = {} if since == 0 else session.earlier_agents(since)
    return AgentGraph(session.feed, describe=describe_failure, since=since, earlier={u: Earlier(*e) for u, e in earlier.items()})


def describe_failure(value: bytes) -> str:
    """An encoded failure in one line, for the details of an agent."""
    failure = decode_failure(value)
    return f"{failure.error_type}: {failure.message}"


@contextmanager
def trace(session: Session | None = None) -> Iterator[AgentGraph]:
    """Show the agents that a block of code sets to work, live: `with wb.trace(): ...`.

    The picture stays, in its last state, when the block raises or is interrupted, and in the saved notebook.
    """
    session = session or default_session()
    graph = agent_graph(session, since=session.feed.committed)
    handle: Any = display(graph, display_id=True)
    try:
        yield graph
    finally:
        graph.finish()
        if handle is not None:
            handle.update(graph)


async def show(awaitable: Awaitable[Any]) -> Any:
    """Run something, show its agents live, and return its result: `await wb.show(Coordinator.get().fan_out(items))`.

    Raises:
        what the awaitable raises; the picture stays.
    """
    with trace():
        return await awaitable
