"""The agent graph at a point of the log: what a widget, a picture or a person may ask of the fold."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from workbench.views.graph_fold import GraphFold
from workbench.views.graph_nodes import Earlier, GraphNode, Link, Origin, Status, Wait, status_of

__all__ = ["Earlier", "GraphNode", "GraphView", "Link", "Origin", "Status", "Wait", "status_of"]

MOST_TOLD: Final = 20
"""Waits of an agent that its details list."""


class GraphView(GraphFold):
    """The agent graph at the last applied entry.

    Args:
        root: uid of an agent to show with all that descends from it; None shows everything.
        describe_value: turns an encoded failure into text for people; None shows no errors' text.
        since: begin after this `seq`: only agents that do something after it are shown, with those they descend from.
        earlier: by uid, the agents that were there at `since`.
    """

    def __init__(
        self,
        root: int | None = None,
        describe_value: Callable[[bytes], str] | None = None,
        *,
        since: int = 0,
        earlier: Mapping[int, Earlier] | None = None,
    ) -> None:
        super().__init__(root, since=since, earlier=earlier)
        self.describe_value = describe_value

    def node(self, uid: int) -> GraphNode | None:
        """The node of an agent, None when the view does not show it."""
        return self.by_uid.get(uid)

    def find(self, agent_id: str) -> GraphNode | None:
        """The youngest incarnation of an agent by the text of its id."""
        return next((n for n in reversed(self.nodes) if n.agent_id == agent_id), None)

    def counts(self) -> dict[Status, int]:
        """How many agents are in each status, the root session apart: it only stands for the cells."""
        counts = dict.fromkeys(Status, 0)
        for node in self.nodes:
            if node.origin != Origin.ROOT:
                counts[status_of(node)] += 1
        return counts

    def links(self) -> Iterator[Wait]:
        """All edges: open waits on agents that are shown, and triggers under way."""
        for node in self.nodes:
            if node.waits:
                yield from (wait for wait in node.waits.values() if wait.on in self.by_uid)
        yield from (wait for wait in self._triggers.values() if wait.agent in self.by_uid and wait.on in self.by_uid)

    def details(self, uid: int) -> dict[str, Any]:
        """All that is known of one agent, as JSON; empty when it is not shown. Texts come from agents: never markup."""
        node = self.by_uid.get(uid)
        if node is None:
            return {}
        waits = sorted((node.waits or {}).items())
        deleted = node.halted == Status.EXITED
        failure = None if deleted else node.broken or (node.failure if node.outcome is False else None)
        return {
            "uid": uid,
            "id": node.agent_id,
            "label": node.label,
            "status": status_of(node).word,
            "method": node.method,
            "running": bool(node.running),
            "since": node.since,
            "parent": self.nodes[node.parent].agent_id if node.parent >= 0 else None,
            "origin": Origin(node.origin).name.lower(),
            "pending": node.pending,
            "finished": node.ran,
            "failed": node.raised,
            "refused": node.refused,
            "error": self._described(failure),
            "broken": node.broken is not None,
            "deleted": deleted,
            "ephemeral": node.ephemeral,
            "retries": [
                {
                    "op": op,
                    "step": node.waits[op].what if node.waits else "",
                    "attempts": retry.attempts,
                    "due": retry.due,
                    "error": self._described(retry.failure),
                }
                for op, retry in sorted((node.retries or {}).items())[:MOST_TOLD]
            ],
            "waits": [
                {
                    "op": op,
                    "kind": Link(w.kind).name.lower(),
                    "on": self._name(w.on),
                    "what": w.what,
                    "since": w.wall,
                    "line": w.line,
                }
                for op, w in waits[:MOST_TOLD]
            ],
            "waiting_for": len(waits),
        }

    def state(self) -> dict[str, Any]:
        """The whole view as JSON, for comparing and for people; big."""
        return {
            "seq": self.seq,
            "nodes": [self.details(node.uid) for node in self.nodes],
            "links": [[w.key, Link(w.kind).name.lower(), w.agent, w.on] for w in self.links()],
        }

    def _described(self, failure: bytes | None) -> str | None:
        return self.describe_value(failure) if failure and self.describe_value else None

    def _name(self, uid: int) -> str:
        node = self.by_uid.get(uid)
        return node.agent_id if node is not None else ""
