"""The state at a point as a `networkx` graph."""

from typing import TYPE_CHECKING, Any

from workbench.runtime.graphs import load
from workbench.views.graph_nodes import Link, Origin
from workbench.views.tape import Row, Tape

if TYPE_CHECKING:
    import networkx as nx

_KINDS = {Origin.FORKED: "fork"}
_WAITS = {Link.CALL: "call", Link.TRIGGER: "trigger", Link.PROMISE: "promise"}


def graph_at(tape: Tape, seq: int | None = None) -> "nx.DiGraph[str]":
    """The agents that there were once the entry `seq` was applied, and what joined them; None for now.

    Nodes are agent ids, the root's is `Session()`; if an id was given again after its agent was deleted, the older one
    is named `<id>#<uid>`. Attributes: `status` (a word of `workbench.views.graph_nodes.Status`), `method`, `label`,
    `since` (wall milliseconds), `entry`. Edges: `spawn`, `fork`, and `wait` with `waits_for`, `since` and `entry`.
    """
    moment = tape.moment(seq)
    graph: nx.DiGraph[str] = load().DiGraph()
    nodes = tape.view.nodes[: moment.agents]
    newest = {node.agent_id: node.uid for node in nodes}
    labels = {tape.slot[row]: tape.texts[tape.c[row]] for row in tape.rows(Row.LABEL, moment.row)}
    names = [n.agent_id if newest[n.agent_id] == n.uid else f"{n.agent_id}#{n.uid}" for n in nodes]
    for node, name in zip(nodes, names, strict=True):
        row = moment.last[node.slot]
        known: dict[str, Any] = {
            "status": tape.status(moment, node.slot).word,
            "method": "",
            "label": labels.get(node.slot),
        }
        if row >= 0:
            known |= {"method": tape.texts[tape.b[row]], "since": tape.wall[row], "entry": tape.seq[row]}
        graph.add_node(name, **known)
        if node.parent >= 0:
            graph.add_edge(names[node.parent], name, kind=_KINDS.get(Origin(node.origin), "spawn"))
    for row in moment.links:
        source, target = names[tape.slot[row]], names[tape.a[row]]
        what = {"waits_for": _WAITS.get(Link(tape.b[row]), ""), "since": tape.wall[row], "entry": tape.seq[row]}
        if graph.has_edge(source, target):
            graph.edges[source, target].update(what)
        else:
            graph.add_edge(source, target, kind="wait", **what)
    return graph
