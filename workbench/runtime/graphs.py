"""The session as `networkx` graphs, for queries and export. networkx is loaded on first use."""

from typing import TYPE_CHECKING, Any

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Promise, Step, status_of
from workbench.core.state import State
from workbench.model.agent_type import registry

if TYPE_CHECKING:
    import networkx as nx


def agent_graph(state: State) -> "nx.DiGraph[str]":
    """Agents and what joins them; see `Session.graph`."""
    import networkx as nx  # noqa: PLC0415 - heavy

    graph: nx.DiGraph[str] = nx.DiGraph()
    for agent in state.agents.values():
        graph.add_node(agent.text, **_facts(agent))
    for agent in state.agents.values():
        parent = state.agents.get(agent.spawned_by)
        if parent is not None and agent.uid != ROOT_UID:
            graph.add_edge(parent.text, agent.text, kind="fork" if agent.source else "spawn")
        for wait in agent.waits.values():
            target = _waits_for(state, wait.on)
            if target is not None:
                what = {"waits_for": _named(wait.on), "since": wait.wall, "line": wait.line}
                if graph.has_edge(agent.text, target.text):
                    graph.edges[agent.text, target.text].update(what)
                else:
                    graph.add_edge(agent.text, target.text, kind="wait", **what)
    return graph


def fork_tree(state: State) -> "nx.DiGraph[str]":
    """Agents that were forked or are forks; see `Session.fork_tree`."""
    import networkx as nx  # noqa: PLC0415 - heavy

    tree: nx.DiGraph[str] = nx.DiGraph()
    for agent in state.agents.values():
        source = state.agents.get(agent.source)
        if source is not None:
            for side in (source, agent):
                tree.add_node(side.text, **_facts(side))
            tree.add_edge(source.text, agent.text, cut=agent.cut)
    return tree


def _facts(agent: Agent) -> dict[str, Any]:
    return {
        "type": agent.type_name,
        "status": status_of(agent, defined=agent.uid == ROOT_UID or registry.find(agent.type_name) is not None),
        "method": agent.current.method if agent.current else "",
        "queued": len(agent.queue or ()),
        "finished": agent.finished,
        "raised": agent.raised,
        "entries": agent.index,
    }


def _waits_for(state: State, matter: object) -> Agent | None:
    if isinstance(matter, Invocation):
        return state.agents.get(matter.target)
    return state.agents.get(matter.owner) if isinstance(matter, Promise) else None


def _named(matter: object) -> str:
    if isinstance(matter, Invocation):
        return f"call {matter.method}"
    if isinstance(matter, Promise):
        return f"promise {matter.index}"
    return f"step {matter.name}" if isinstance(matter, Step) else "timer"
