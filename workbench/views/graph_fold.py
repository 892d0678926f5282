"""The agent graph as a fold of committed entries.

Theory. An agent is a node, in order of creation; its *slot* is its place in that order and never changes, so arrays
indexed by slot only grow. A node's parent is who spawned it, or whom it was forked from: the nodes form a tree (or
several). Over the tree lie *waits*: what an agent has begun and not yet been given (a call, a promise, a timer, a
step). A wait on another agent is an edge; so is a trigger whose invocation has not ended. Nobody sets a status:
`status_of` reads it off a node's fields.

The fold is on the runtime's path (it shares the interpreter lock), so the hot kinds do nothing but set fields and
note the agent's uid in a set; statuses and messages are made when somebody looks (`workbench.views.graph_packet`),
once per changed agent, however often it changed.

To teach the fold a new kind, write a handler and name it in `_HANDLERS`. Entries of unknown kinds are stepped over.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from workbench.model.entries import (
    AgentCreated,
    AgentFailed,
    AgentForked,
    Body,
    CallDelivered,
    CallMade,
    CallRefused,
    Entry,
    InvocationCancelled,
    InvocationFinished,
    InvocationStarted,
    PromiseAwaited,
    PromiseCompleted,
    PromiseDelivered,
    SessionStarted,
    StepFinished,
    StepStarted,
    TimerFired,
    TimerSet,
    WaitDropped,
)
from workbench.views.graph_nodes import Earlier, GraphNode, Link, Origin, Wait

# Members as plain numbers: looking up an enum's member costs as much as the rest of a hot handler.
_CALL, _TRIGGER, _PROMISE, _TIMER, _STEP = (
    int(k) for k in (Link.CALL, Link.TRIGGER, Link.PROMISE, Link.TIMER, Link.STEP)
)
_SPAWNED, _FORKED, _ROOT = (int(o) for o in Origin)

MAX_FLASHES: Final = 64
"""Completions of promises remembered between two deltas; more would only be a blur."""


class GraphFold:
    """Nodes and waits at the last applied entry.

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
        """Uids whose nodes changed since the last delta; with the next three, emptied by `graph_packet.delta`."""
        self.fresh: dict[int, Wait] = {}
        self.gone: list[int] = []
        self.flashes: list[tuple[int, int]] = []
        self.relabelled: set[int] = set()
        self._triggers: dict[int, Wait] = {}
        self._inherited = 0
        self._undefined: frozenset[str] = frozenset()

    def apply(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; they continue the ones applied before, in the order of the log."""
        handlers, by_uid, seq, earlier = self._HANDLERS, self.by_uid, self.seq, self._earlier
        for entry in entries:
            body = entry.body
            if handler := handlers.get(body.__class__):
                node = by_uid.get(entry.agent)
                if node is None and entry.agent in earlier:
                    node = self._recall(entry.agent, entry.wall)
                handler(self, node, entry, body)
            seq = entry.seq
        self.seq = seq

    def mark_undefined(self, type_names: Collection[str]) -> None:
        """Agents of these types have no class yet: show those with work to do as `undefined`, and only those."""
        self._undefined = frozenset(type_names)
        for node in self.nodes:
            undefined = node.type_name in self._undefined
            if undefined != node.undefined:
                node.undefined = undefined
                self.dirty.add(node.uid)

    def _add(self, entry: Entry, agent_id: str, parent_uid: int, origin: int) -> GraphNode | None:
        uid = entry.agent
        parent = self.by_uid.get(parent_uid)
        if parent is None and self._earlier:
            parent = self._recall(parent_uid, entry.wall)
        if parent is None:
            if (self.root is not None and uid != self.root) or uid in self.by_uid:
                return None
            node = GraphNode(len(self.nodes), uid, agent_id, -1, _ROOT if parent_uid == 0 else origin, entry.wall)
        else:
            node = GraphNode(len(self.nodes), uid, agent_id, parent.slot, origin, entry.wall)
        if self._undefined:
            node.undefined = node.type_name in self._undefined
        self.by_uid[uid] = node
        self.nodes.append(node)
        self.dirty.add(uid)
        return node

    def _recall(self, uid: int, wall: int) -> GraphNode | None:
        """Bring an earlier agent, and those it descends from, into the view."""
        known = self._earlier.get(uid)
        if known is None or uid in self.by_uid:
            return self.by_uid.get(uid)
        parent = self._recall(known.parent, wall)
        origin = _ROOT if known.parent == 0 else _FORKED if known.forked else _SPAWNED
        node = GraphNode(len(self.nodes), uid, known.agent_id, -1 if parent is None else parent.slot, origin, wall)
        node.running, node.method, node.pending = known.running, known.method, known.pending
        node.ran, node.raised, node.outcome = known.ran, known.raised, known.outcome
        self.by_uid[uid] = node
        self.nodes.append(node)
        self.dirty.add(uid)
        return node

    def _open(self, node: GraphNode, op: int, wait: Wait) -> None:
        if node.waits is None:
            node.waits = {op: wait}
        else:
            node.waits[op] = wait
        self.fresh[wait.key] = wait
        self.dirty.add(wait.agent)

    def _close(self, wait: Wait) -> None:
        if self.fresh.pop(wait.key, None) is None:
            self.gone.append(wait.key)

    def _close_all(self, node: GraphNode) -> None:
        for wait in (node.waits or {}).values():
            self._close(wait)
        node.waits, node.steps = None, 0

    # ---- handlers: the node of the entry's agent, the entry, its body -----------------------------------------------
    # The first five are the hot ones: a fan-out writes one of each per child.

    def _agent_created(self, _node: GraphNode | None, entry: Entry, body: AgentCreated) -> None:
        parent, uid = self.by_uid.get(body.spawned_by), entry.agent
        if parent is None or self._undefined:
            self._add(entry, body.agent_id, body.spawned_by, _SPAWNED)
            return
        nodes = self.nodes
        node = self.by_uid[uid] = GraphNode(len(nodes), uid, body.agent_id, parent.slot, _SPAWNED, entry.wall)
        nodes.append(node)
        self.dirty.add(uid)

    def _call_made(self, node: GraphNode | None, entry: Entry, body: CallMade) -> None:
        uid = body.target
        target = self.by_uid.get(uid)
        if target is None and uid in self._earlier:
            target = self._recall(uid, entry.wall)
        if target is not None:
            if not target.pending and not target.running:
                target.since, target.method = entry.wall, body.method
            target.pending += 1
            self.dirty.add(uid)
            if body.label is not None:
                self._label(target, body.label)
        if node is None:
            return
        seq = entry.seq
        if body.awaited and node.origin != _ROOT:
            wait = Wait(seq, _CALL, entry.agent, uid, body.method, entry.wall, entry.line)
            if node.waits is None:  # as in `_open`
                node.waits = {entry.index: wait}
            else:
                node.waits[entry.index] = wait
            self.fresh[seq] = wait
            self.dirty.add(entry.agent)
        elif target is not None:  # no delivery will tell of its end, as none does for a cell's call
            kind = _CALL if body.awaited else _TRIGGER
            self._triggers[seq] = self.fresh[seq] = Wait(
                seq, kind, entry.agent, uid, body.method, entry.wall, entry.line
            )

    def _invocation_started(self, node: GraphNode | None, entry: Entry, body: InvocationStarted) -> None:
        if node is None:
            return
        if node.pending:
            node.pending -= 1
        node.running = entry.invocation or entry.seq
        node.since = entry.wall
        node.method = body.method
        if body.label is not None:
            self._label(node, body.label)
        self.dirty.add(entry.agent)

    def _invocation_finished(self, node: GraphNode | None, entry: Entry, body: InvocationFinished) -> None:
        if self._triggers and (trigger := self._triggers.pop(entry.invocation, None)):
            self._close(trigger)
        if node is None:
            return
        node.running = 0
        node.since = entry.wall
        if body.ok:
            node.ran += 1
            node.outcome = True
        else:
            node.raised += 1
            node.outcome, node.failure = False, body.value
        if node.waits:
            self._close_all(node)
        self.dirty.add(entry.agent)

    def _delivered(
        self,
        node: GraphNode | None,
        entry: Entry,
        body: CallDelivered | PromiseDelivered | TimerFired | StepFinished | WaitDropped,
    ) -> None:
        if node is None or node.waits is None or (wait := node.waits.pop(body.op, None)) is None:
            return
        if wait.kind == _STEP:
            node.steps -= 1
        if self.fresh.pop(wait.key, None) is None:  # as in `_close`
            self.gone.append(wait.key)
        self.dirty.add(entry.agent)

    def _label(self, node: GraphNode, label: str) -> None:
        if node.label != label:
            node.label = label
            self.relabelled.add(node.uid)

    def _session_started(self, node: GraphNode | None, _entry: Entry, _body: SessionStarted) -> None:
        if node is not None:  # the cells of an earlier process wait no longer
            for seq, link in tuple(self._triggers.items()):
                if link.kind == _CALL:
                    self._close(self._triggers.pop(seq))
            self.dirty.add(node.uid)

    def _agent_forked(self, _node: GraphNode | None, entry: Entry, body: AgentForked) -> None:
        source = self.by_uid.get(body.source)
        node = self._add(entry, body.agent_id, body.source, _FORKED)
        if node is None or source is None:
            return
        if body.inside:
            node.running, node.method, node.outcome = source.running or entry.seq, source.method, source.outcome
        for op, wait in (source.waits or {}).items():
            if op <= body.cut and wait.kind != _STEP:
                self._inherited -= 1
                self._open(node, op, msgspec.structs.replace(wait, key=self._inherited, agent=node.uid))

    def _agent_failed(self, node: GraphNode | None, _entry: Entry, body: AgentFailed) -> None:
        if node is not None:
            node.broken, node.since = body.failure, _entry.wall
            self.dirty.add(node.uid)

    def _call_refused(self, node: GraphNode | None, _entry: Entry, _body: CallRefused) -> None:
        if node is not None:
            node.refused += 1
            self.dirty.add(node.uid)

    def _invocation_cancelled(self, node: GraphNode | None, _entry: Entry, body: InvocationCancelled) -> None:
        if trigger := self._triggers.pop(body.invocation, None):
            self._close(trigger)
        if node is not None and node.pending:
            node.pending -= 1
            self.dirty.add(node.uid)

    def _promise_awaited(self, node: GraphNode | None, entry: Entry, body: PromiseAwaited) -> None:
        if node is not None:
            what = f"promise {body.promise}"
            self._open(
                node, entry.index, Wait(entry.seq, _PROMISE, entry.agent, body.owner, what, entry.wall, entry.line)
            )

    def _promise_completed(self, node: GraphNode | None, entry: Entry, body: PromiseCompleted) -> None:
        if node is not None and body.first and body.owner in self.by_uid and len(self.flashes) < MAX_FLASHES:
            self.flashes.append((entry.agent, body.owner))

    def _timer_set(self, node: GraphNode | None, entry: Entry, _body: TimerSet) -> None:
        if node is not None:
            self._open(node, entry.index, Wait(entry.seq, _TIMER, entry.agent, 0, "a timer", entry.wall, entry.line))

    def _step_started(self, node: GraphNode | None, entry: Entry, body: StepStarted) -> None:
        if node is not None:
            node.steps += 1
            self._open(node, entry.index, Wait(entry.seq, _STEP, entry.agent, 0, body.name, entry.wall, entry.line))

    _HANDLERS: ClassVar[dict[type[Body], Callable[[Any, GraphNode | None, Entry, Any], None]]] = {
        AgentCreated: _agent_created,
        CallMade: _call_made,
        InvocationStarted: _invocation_started,
        InvocationFinished: _invocation_finished,
        CallDelivered: _delivered,
        PromiseDelivered: _delivered,
        TimerFired: _delivered,
        StepFinished: _delivered,
        WaitDropped: _delivered,
        SessionStarted: _session_started,
        AgentForked: _agent_forked,
        AgentFailed: _agent_failed,
        CallRefused: _call_refused,
        InvocationCancelled: _invocation_cancelled,
        PromiseAwaited: _promise_awaited,
        PromiseCompleted: _promise_completed,
        TimerSet: _timer_set,
        StepStarted: _step_started,
    }
