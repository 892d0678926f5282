"""The nodes and edges of the session's graphs, as plain rows; `workbench.runtime.graphs` makes them graphs.

A node is named by its agent's id. A deleted agent is no node, but for the forks of it: there it is one, `exited`, and
if an agent has its id again the deleted one is named `<id>#<uid>`.
"""

from typing import NamedTuple

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Matter, Promise, Step, status_of
from workbench.core.state import State
from workbench.questions.rows import Defined
from workbench.questions.standing import open_waits


class Node(NamedTuple):
    """An agent in a graph; the fields are the node's attributes, see `Session.graph`."""

    type: str
    status: str
    method: str
    queued: int
    finished: int
    raised: int
    entries: int
    ephemeral: bool


class Wait(NamedTuple):
    """Along an edge: what the agent waits for, since when, from which line; and how many such waits there are."""

    waits_for: str
    since: int
    line: str
    waits: int


class Edge(NamedTuple):
    """Between two agents: `kind` is `spawn`, `fork` or `wait`; a fork has its `cut`."""

    source: str
    target: str
    kind: str
    cut: int | None = None
    wait: Wait | None = None


class GraphRows(NamedTuple):
    """All of a graph."""

    nodes: dict[str, Node]
    edges: list[Edge]


def agent_rows(state: State, defined: Defined) -> GraphRows:
    """Living agents, who spawned or forked them, and who waits for whom."""
    living = [agent for agent in state.agents.values() if not agent.deleted]
    nodes = {agent.text: _node(agent, defined) for agent in living}
    edges: list[Edge] = []
    for agent in living:
        waits = _waits(state, agent)
        parent = state.agents.get(agent.spawned_by)
        if parent is not None and agent.uid != ROOT_UID and not parent.deleted:
            kind, cut = ("fork", agent.cut) if agent.source else ("spawn", None)
            edges.append(Edge(parent.text, agent.text, kind, cut))
        edges += [Edge(agent.text, target, "wait", None, wait) for target, wait in waits.items()]
    return GraphRows(nodes, edges)


def _node(agent: Agent, defined: Defined) -> Node:
    return Node(
        agent.type_name,
        status_of(agent, defined=agent.uid == ROOT_UID or defined(agent)),
        agent.current.method if agent.current is not None else "",
        len(agent.queue or ()),
        agent.finished,
        agent.raised,
        agent.index,
        agent.ephemeral,
    )


def _waits(state: State, agent: Agent) -> dict[str, Wait]:
    """By agent waited for: the oldest wait, and how many."""
    found: dict[str, Wait] = {}
    for wait in open_waits(agent).values():
        target = _waits_for(state, wait.on)
        if target is not None and not target.deleted:
            before = found.get(target.text)
            if before is None:
                found[target.text] = Wait(_named(wait.on), wait.wall, wait.line, 1)
            else:
                found[target.text] = before._replace(waits=before.waits + 1)
    return found


def _waits_for(state: State, matter: Matter) -> Agent | None:
    if isinstance(matter, Invocation):
        return state.agents.get(matter.target)
    return state.agents.get(matter.owner) if isinstance(matter, Promise) else None


def _named(matter: Matter) -> str:
    if isinstance(matter, Invocation):
        return f"call {matter.method}"
    if isinstance(matter, Promise):
        return f"promise {matter.index}"
    return f"step {matter.name}" if isinstance(matter, Step) else "timer"


def fork_rows(state: State, defined: Defined) -> GraphRows:
    """Living forks, and all that they descend from, deleted or not."""
    wanted: dict[int, Agent] = {}
    for agent in state.agents.values():
        if not agent.source or agent.deleted:
            continue
        at: Agent | None = agent
        while at is not None and at.uid not in wanted:
            wanted[at.uid] = at
            at = state.agents.get(at.source)
    ordered = [wanted[uid] for uid in sorted(wanted)]
    names: dict[int, str] = {}
    used: set[str] = set()
    for agent in ordered:
        taken = state.by_id.get(agent.text, agent.uid) != agent.uid or agent.text in used
        names[agent.uid] = f"{agent.text}#{agent.uid}" if agent.deleted and taken else agent.text
        used.add(names[agent.uid])
    nodes = {names[agent.uid]: _node(agent, defined) for agent in ordered}
    edges = [Edge(names[a.source], names[a.uid], "fork", a.cut) for a in ordered if a.source]
    return GraphRows(nodes, edges)
