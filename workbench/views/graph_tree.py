"""The nodes of the agent graph and what lies over them, and the notes of what changed: what the fold writes to.

See `graph_fold` for the theory. Here is what its handlers share: nodes come in, waits open and close, an agent goes
back to what was so of it earlier.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import msgspec

from workbench.model.entries import (
    KIND_NUMBERS,
    CallMade,
    Entry,
    Facts,
    OpenWait,
    PromiseAwaited,
    StepStarted,
    TimerSet,
)
from workbench.views.graph_nodes import Earlier, GraphNode, Link, Origin, Wait

# Members as plain numbers: looking up an enum's member costs as much as the rest of a hot handler.
CALL, TRIGGER, PROMISE, TIMER, STEP = (int(k) for k in (Link.CALL, Link.TRIGGER, Link.PROMISE, Link.TIMER, Link.STEP))
SPAWNED, FORKED, ROOT = (int(o) for o in Origin)

_WAITS: Final = {
    KIND_NUMBERS[CallMade]: CALL,
    KIND_NUMBERS[PromiseAwaited]: PROMISE,
    KIND_NUMBERS[TimerSet]: TIMER,
    KIND_NUMBERS[StepStarted]: STEP,
}
"""What kind of wait an operation begins, by the kind's number on disk."""


class Plan(NamedTuple):
    """A schedule that has not fired: who made it, and what it will invoke."""

    by: int
    method: str
    key: str | None
    label: str | None
    line: str


class GraphTree:
    """Nodes and waits.

    Args:
        root: uid of an agent to show with all that descends from it; None shows everything.
        since: begin after this `seq`: only agents that do something after it are shown, with those they descend from.
        earlier: by uid, the agents that were there at `since`.
    """

    def __init__(
        self,
        root: int | None = None,
        *,
        since: int = 0,
        earlier: Mapping[int, Earlier] | None = None,
    ) -> None:
        self.root = root
        self._earlier = earlier or {}
        self.nodes: list[GraphNode] = []
        """All nodes by slot; read it."""
        self.by_uid: dict[int, GraphNode] = {}
        """All nodes by uid; read it."""
        self.seq = since if root is None else max(root - 1, since)
        """`seq` of the last applied entry: what a reader asks the feed for next is after it."""
        self.dirty: set[int] = set()
        """Uids whose nodes have changed; with the next three, emptied by whoever makes something of it (the tape)."""
        self.fresh: dict[int, Wait] = {}
        self.gone: list[int] = []
        self.relabelled: set[int] = set()
        self._triggers: dict[int, Wait] = {}
        """Links whose end no delivery tells, by the invocation that they wait for."""
        self._ended: dict[int, int] = {}
        """Agents that take no invocation that was accepted up to a `seq`: links to those are to be closed."""
        self._keys: dict[int, dict[str, int]] = {}
        """Uid -> idempotency key -> the invocation that has it."""
        self._plans: dict[int, Plan] = {}
        self._given = 0
        self.closed = False
        """Whether `close` was called."""
        self._undefined: frozenset[str] = frozenset()

    def close(self) -> None:
        """Follow those shown, and what they spawn, and nobody else that cells set to work from now on."""
        self.closed, self._earlier = True, {}

    def mark_undefined(self, type_names: Collection[str]) -> None:
        """Agents of these types have no class yet: show those with work to do as `undefined`, and only those."""
        self._undefined = frozenset(type_names)
        for node in self.nodes:
            undefined = node.type_name in self._undefined
            if undefined != node.undefined:
                node.undefined = undefined
                self.dirty.add(node.uid)

    # ---- nodes ---------------------------------------------------------------------------------------------------

    def _add(self, entry: Entry, agent_id: str, parent_uid: int, origin: int) -> GraphNode | None:
        uid = entry.agent
        parent = self.by_uid.get(parent_uid)
        if parent is None and self._earlier:
            parent = self.recall(parent_uid, entry.wall)
        if self.closed and (parent is None or parent.origin == ROOT):
            return None
        if parent is None:
            if (self.root is not None and uid != self.root) or uid in self.by_uid:
                return None
            node = GraphNode(len(self.nodes), uid, agent_id, -1, ROOT if parent_uid == 0 else origin, entry.wall)
        else:
            node = GraphNode(len(self.nodes), uid, agent_id, parent.slot, origin, entry.wall)
        self._show(node)
        return node

    def recall(self, uid: int, wall: int) -> GraphNode | None:
        """Bring an earlier agent, and those it descends from, into the view."""
        known = self._earlier.get(uid)
        if known is None or uid in self.by_uid:
            return self.by_uid.get(uid)
        parent = self.recall(known.parent, wall)
        origin = ROOT if known.parent == 0 else FORKED if known.forked else SPAWNED
        node = GraphNode(len(self.nodes), uid, known.agent_id, -1 if parent is None else parent.slot, origin, wall)
        node.running, node.method, node.pending = known.running, known.method, known.pending
        node.ran, node.raised, node.outcome = known.ran, known.raised, known.outcome
        node.ephemeral, node.halted, node.broken = known.ephemeral, int(known.halted), known.broken
        if known.keys:
            self._keys[uid] = dict(known.keys)
        self._show(node)
        return node

    def _show(self, node: GraphNode) -> None:
        if self._undefined:
            node.undefined = node.type_name in self._undefined
        self.by_uid[node.uid] = node
        self.nodes.append(node)
        self.dirty.add(node.uid)

    def _label(self, node: GraphNode, label: str | None) -> None:
        if label is not None and node.label != label:
            node.label = label
            self.relabelled.add(node.uid)

    def _accepts(self, target: GraphNode, key: str, seq: int) -> bool:
        """Whether a call with a key is a new invocation; else it joins the one that has the key."""
        return self._keys.setdefault(target.uid, {}).setdefault(key, seq) == seq

    # ---- waits ---------------------------------------------------------------------------------------------------

    def _open(self, node: GraphNode, op: int, wait: Wait) -> None:
        """A wait begins; whoever calls this counts it in `steps` or `sleeps`."""
        if node.waits is None:
            node.waits = {op: wait}
        else:
            node.waits[op] = wait
        self.fresh[wait.key] = wait
        self.dirty.add(wait.agent)

    def take_over(self, node: GraphNode, op: int, wait: Wait) -> None:
        """A wait that began elsewhere, or earlier, is open here from now on."""
        self._open(node, op, wait)
        node.steps += wait.kind == STEP
        node.sleeps += wait.kind in (PROMISE, TIMER)

    def _close(self, wait: Wait) -> None:
        if self.fresh.pop(wait.key, None) is None:
            self.gone.append(wait.key)

    def _close_all(self, node: GraphNode) -> None:
        for wait in (node.waits or {}).values():
            self._close(wait)
        node.waits, node.retries, node.steps, node.sleeps = None, None, 0, 0

    def _new_key(self) -> int:
        """A key for a wait that no entry began."""
        self._given -= 1
        return self._given

    def _end_link(self, node: GraphNode, invocation: int, kinds: Collection[int] = (CALL, TRIGGER)) -> None:
        """The link to one of the agent's invocations goes; a fork runs its source's, to which it has no link."""
        link = self._triggers.get(invocation)
        if link is not None and link.on == node.uid and link.kind in kinds:
            self._close(self._triggers.pop(invocation))

    def _sweep(self) -> None:
        """Close the links to invocations that agents dropped when they ended; one pass, however many ended."""
        for seq, link in tuple(self._triggers.items()):
            if seq < self._ended.get(link.on, 0):
                self._close(self._triggers.pop(seq))
        self._ended.clear()

    # ---- an agent's life -----------------------------------------------------------------------------------------

    def _end(self, node: GraphNode, entry: Entry, status: int) -> None:
        """It runs nothing any more, has nothing queued, and waits for nothing."""
        node.running = node.pending = 0
        node.halted, node.since = status, entry.wall
        self._close_all(node)
        self._ended[node.uid] = entry.seq
        self.dirty.add(node.uid)

    def _go_back(self, node: GraphNode, entry: Entry, facts: Facts) -> None:
        """It is as it was at an index of its oplog."""
        node.running, node.since = facts.invocation, entry.wall
        node.method = facts.method or facts.last_method
        node.ran, node.raised = facts.finished - facts.raised, facts.raised
        node.outcome = facts.last_ok if facts.last else None
        node.failure = facts.last_value if node.outcome is False else None
        node.broken, node.halted = None, 0
        self._label(node, facts.label)
        before, retries = node.waits or {}, node.retries or {}
        node.waits, node.retries, node.steps, node.sleeps = None, None, 0, 0
        for then in facts.waits:
            known = before.pop(then.op, None)
            if known is not None:
                self._close(known)
            self.take_over(node, then.op, self._wait_of(node, then, known))
        still = {then.op for then in facts.waits}
        node.retries = {op: retry for op, retry in retries.items() if op in still}
        for wait in before.values():
            self._close(wait)
        self.dirty.add(node.uid)

    def _wait_of(self, node: GraphNode, then: OpenWait, known: Wait | None) -> Wait:
        """A wait that is open again, or still."""
        if known is not None:
            return msgspec.structs.replace(known, key=self._new_key())
        kind = _WAITS[then.kind]
        what = f"promise {then.b}" if kind == PROMISE else "a timer" if kind == TIMER else ""
        on = then.a if kind in (CALL, PROMISE) else 0
        return Wait(self._new_key(), kind, node.uid, on, what, then.wall, then.line)
