"""The session as `networkx` graphs, for queries and export. networkx is loaded on first use."""

import importlib
from typing import TYPE_CHECKING, Any

from workbench.questions.graph_rows import GraphRows

if TYPE_CHECKING:
    import networkx as nx


def load() -> Any:
    """networkx; heavy, so not while a session's thread waits."""
    return importlib.import_module("networkx")


def agent_graph(rows: GraphRows) -> "nx.DiGraph[str]":
    """Agents and what joins them, see `Session.graph`; an agent that waits for one it spawned has one edge for both."""
    graph: nx.DiGraph[str] = load().DiGraph()
    graph.add_nodes_from((name, node._asdict()) for name, node in rows.nodes.items())
    for source, target, kind, cut, wait in rows.edges:
        what: dict[str, Any] = wait._asdict() if wait is not None else {}
        if cut is not None:
            what["cut"] = cut
        if kind == "wait" and graph.has_edge(source, target):
            graph.edges[source, target].update(what)
        elif graph.has_edge(source, target):
            graph.edges[source, target].update(what, kind=kind)
        else:
            graph.add_edge(source, target, kind=kind, **what)
    return graph


def fork_tree(rows: GraphRows) -> "nx.DiGraph[str]":
    """Agents that were forked or are forks; see `Session.fork_tree`."""
    tree: nx.DiGraph[str] = load().DiGraph()
    tree.add_nodes_from((name, node._asdict()) for name, node in rows.nodes.items())
    tree.add_edges_from((edge.source, edge.target, {"cut": edge.cut}) for edge in rows.edges)
    return tree
