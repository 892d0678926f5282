"""The agent graph as a fold of committed entries.

Theory. An agent is a node, in order of creation; its *slot* is its place in that order and never changes, so arrays indexed
by slot only grow. A node's parent is who spawned it, or whom it was forked from: the nodes form a tree (or several). Over the
tree lie *waits*: what an agent has begun and not yet been given (a call, a promise, a timer, a step). A wait on another agent
is an edge; so is a trigger whose invocation has not ended. Nobody sets a status: `status_of` reads it off a node's fields.

The fold is on the runtime's path (it shares the interpreter lock), so the hot kinds do nothing but set fields and note the
agent's uid in a set; statuses and messages are made when somebody looks (`workbench.views.graph_packet`), once per changed
agent, however often it changed.

To teach the fold a new kind, write a handler and name it in `_HANDLERS`; to add a status, add it to `Status` (the numbers are
the wire format, shared with `agent_graph_store.js`) and to `status_of`. Entries of unknown kinds are stepped over.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

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


class Status(IntEnum):
    """What a node shows. The numbers travel to the front end: a new status takes the next free one."""

    IDLE = 0
    QUEUED = 1
    RUNNING = 2
    WAITING = 3
    DONE = 4
    FAILED = 5
    UNDEFINED = 6

    @property
    def word(self) -> str:
        """The status as people read it, `running`."""
        return self.name.lower()


class Link(IntEnum):
    """Kinds of edges and waits. The numbers travel to the front end."""

    CALL = 1
    TRIGGER = 2
    PROMISE = 3
    COMPLETION = 4
    TIMER = 5
    STEP = 6


class Origin(IntEnum):
    """How an agent came to be. The numbers travel to the front end."""

    SPAWNED = 0
    FORKED = 1
    ROOT = 2


# Members as plain numbers: looking up an enum's member costs as much as the rest of a hot handler.
_CALL, _TRIGGER, _PROMISE, _TIMER, _STEP = (int(k) for k in (Link.CALL, Link.TRIGGER, Link.PROMISE, Link.TIMER, Link.STEP))
_SPAWNED, _FORKED, _ROOT = (int(o) for o in Origin)
_IDLE, _QUEUED, _RUNNING, _WAITING, _DONE, _FAILED, _UNDEFINED = (int(s) for s in Status)
_STATUSES: Final = tuple(Status)

MAX_FLASHES: Final = 64
"""Completions of promises remembered between two deltas; more would only be a blur."""


class Wait(msgspec.Struct, gc=False):
    """Something begun and not yet given: `agent` waits for `on` (an agent's uid, or 0 for timers and steps).

    Attributes:
        key: names the edge; the `seq` of the entry, or a negative number for a wait that a fork inherited.
        kind: what kind of wait.
        agent: uid of who waits.
        on: uid of the agent it waits for, 0 for none.
        what: the method, `promise 3`, or the step's name.
        wall: since when, nanoseconds since the epoch.
        line: where the code asked for it.
    """

    key: int
    kind: int
    agent: int
    on: int
    what: str
    wall: int
    line: str


class GraphNode(msgspec.Struct, gc=False):
    """One agent. Read it; only the fold writes it.

    Attributes:
        slot: place in order of creation, from 0.
        uid: the agent's uid.
        agent_id: text of its id.
        parent: slot of who spawned or was forked into it, -1 for the root.
        origin: how it came to be.
        since: when the current state of affairs began (created, accepted, started, finished), wall nanoseconds.
        pending: accepted invocations that have not started.
        running: the invocation under way, 0 for none.
        steps: how many of the open waits are steps.
        waits: oplog index -> open wait; None until the first.
        ran: invocations ended well; `raised`: ended with an error.
        outcome: the last invocation's end, None before the first.
        method: the method that runs, or ran last; `label`: the name its caller gave to the work.
        failure: encoded failure of the last invocation that raised; `broken`: of the agent itself.
    """

    slot: int
    uid: int
    agent_id: str
    parent: int
    origin: int
    since: int
    pending: int = 0
    running: int = 0
    steps: int = 0
    waits: dict[int, Wait] | None = None
    ran: int = 0
    raised: int = 0
    refused: int = 0
    outcome: bool | None = None
    method: str = ""
    label: str | None = None
    failure: bytes | None = None
    broken: bytes | None = None
    undefined: bool = False

    @property
    def type_name(self) -> str:
        """The agent's type, `Worker` of `Worker(7)`."""
        return self.agent_id.partition("(")[0]


class Earlier(NamedTuple):
    """An agent that was there before a view begins; the view shows it once it does something again.

    Attributes:
        agent_id: text of its id.
        parent: uid of who spawned it or was forked into it, 0 for the root.
        forked: whether it is a fork.
        running: the invocation under way, 0 for none; `method` is its method.
        pending: accepted invocations that have not started.
        ran: invocations ended well; `raised`: ended with an error; `outcome`: the last one's end.
    """

    agent_id: str
    parent: int
    forked: bool
    running: int
    method: str
    pending: int
    ran: int
    raised: int
    outcome: bool | None


def status_of(node: GraphNode) -> Status:
    """The status of a node; a step under way counts as running."""
    return _STATUSES[status_number(node)]


def status_number(node: GraphNode) -> int:
    """`status_of` as a plain number, for packets."""
    if node.broken is not None:
        return _FAILED
    if node.running:
        number = _RUNNING if node.steps or not node.waits else _WAITING
    elif node.pending:
        number = _QUEUED
    elif node.outcome is None:
        if not node.waits:
            return _IDLE
        number = _WAITING
    else:
        return _DONE if node.outcome else _FAILED
    return _UNDEFINED if node.undefined else number


class GraphView:
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
        self.root = root
        self._earlier = earlier or {}
        self.describe_value = describe_value
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

    # ---- reading ---------------------------------------------------------------------------------------------------

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
        failure = node.broken or (node.failure if node.outcome is False else None)
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
            "error": self.describe_value(failure) if failure and self.describe_value else None,
            "waits": [
                {"op": op, "kind": Link(w.kind).name.lower(), "on": self._name(w.on), "what": w.what, "since": w.wall, "line": w.line}
                for op, w in waits[:20]
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

    # ---- folding ---------------------------------------------------------------------------------------------------

    def apply(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; they continue the ones applied before, in the order of the log."""
        handlers, by_uid, seq, earlier = _HANDLERS, self.by_uid, self.seq, self._earlier
        for entry in entries:
            body = entry.body
            if handler := handlers.get(body.__class__):
                node = by_uid.get(entry.agent)
                if node is None and earlier:
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

    def _name(self, uid: int) -> str:
        node = self.by_uid.get(uid)
        return node.agent_id if node is not None else ""

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


# ---- handlers: view, the node of the entry's agent, the entry, its body ------------------------------------------------
# The first five are the hot ones: a fan-out writes one of each per child.


def _agent_created(view: GraphView, _node: GraphNode | None, entry: Entry, body: AgentCreated) -> None:
    view._add(entry, body.agent_id, body.spawned_by, _SPAWNED)


def _call_made(view: GraphView, node: GraphNode | None, entry: Entry, body: CallMade) -> None:
    uid = body.target
    if view._earlier:
        view._recall(uid, entry.wall)
    if target := view.by_uid.get(uid):
        if not target.pending and not target.running:
            target.since, target.method = entry.wall, body.method
        target.pending += 1
        view.dirty.add(uid)
        if body.label is not None:
            _label(view, target, body.label)
    if node is None:
        return
    seq = entry.seq
    if body.awaited:
        view._open(node, entry.index, Wait(seq, _CALL, entry.agent, uid, body.method, entry.wall, entry.line))
    elif target is not None:
        view._triggers[seq] = view.fresh[seq] = Wait(seq, _TRIGGER, entry.agent, uid, body.method, entry.wall, entry.line)


def _invocation_started(view: GraphView, node: GraphNode | None, entry: Entry, body: InvocationStarted) -> None:
    if node is None:
        return
    if node.pending:
        node.pending -= 1
    node.running = entry.invocation or entry.seq
    node.since = entry.wall
    node.method = body.method
    if body.label is not None:
        _label(view, node, body.label)
    view.dirty.add(entry.agent)


def _invocation_finished(view: GraphView, node: GraphNode | None, entry: Entry, body: InvocationFinished) -> None:
    if view._triggers and (trigger := view._triggers.pop(entry.invocation, None)):
        view._close(trigger)
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
        view._close_all(node)
    view.dirty.add(entry.agent)


def _delivered(
    view: GraphView, node: GraphNode | None, entry: Entry, body: CallDelivered | PromiseDelivered | TimerFired | StepFinished | WaitDropped
) -> None:
    if node is None or node.waits is None or (wait := node.waits.pop(body.op, None)) is None:
        return
    if wait.kind == _STEP:
        node.steps -= 1
    view._close(wait)
    view.dirty.add(entry.agent)


def _label(view: GraphView, node: GraphNode, label: str) -> None:
    if node.label != label:
        node.label = label
        view.relabelled.add(node.uid)


def _session_started(view: GraphView, node: GraphNode | None, _entry: Entry, _body: SessionStarted) -> None:
    if node is not None:  # the cells of an earlier process wait no longer
        view._close_all(node)
        view.dirty.add(node.uid)


def _agent_forked(view: GraphView, _node: GraphNode | None, entry: Entry, body: AgentForked) -> None:
    source = view.by_uid.get(body.source)
    node = view._add(entry, body.agent_id, body.source, _FORKED)
    if node is None or source is None:
        return
    if body.inside:
        node.running, node.method, node.outcome = source.running or entry.seq, source.method, source.outcome
    for op, wait in (source.waits or {}).items():
        if op <= body.cut and wait.kind != _STEP:
            view._inherited -= 1
            view._open(node, op, msgspec.structs.replace(wait, key=view._inherited, agent=node.uid))


def _agent_failed(view: GraphView, node: GraphNode | None, _entry: Entry, body: AgentFailed) -> None:
    if node is not None:
        node.broken, node.since = body.failure, _entry.wall
        view.dirty.add(node.uid)


def _call_refused(view: GraphView, node: GraphNode | None, _entry: Entry, _body: CallRefused) -> None:
    if node is not None:
        node.refused += 1
        view.dirty.add(node.uid)


def _invocation_cancelled(view: GraphView, node: GraphNode | None, _entry: Entry, body: InvocationCancelled) -> None:
    if trigger := view._triggers.pop(body.invocation, None):
        view._close(trigger)
    if node is not None and node.pending:
        node.pending -= 1
        view.dirty.add(node.uid)


def _promise_awaited(view: GraphView, node: GraphNode | None, entry: Entry, body: PromiseAwaited) -> None:
    if node is not None:
        what = f"promise {body.promise}"
        view._open(node, entry.index, Wait(entry.seq, _PROMISE, entry.agent, body.owner, what, entry.wall, entry.line))


def _promise_completed(view: GraphView, node: GraphNode | None, entry: Entry, body: PromiseCompleted) -> None:
    if node is not None and body.first and body.owner in view.by_uid and len(view.flashes) < MAX_FLASHES:
        view.flashes.append((entry.agent, body.owner))


def _timer_set(view: GraphView, node: GraphNode | None, entry: Entry, _body: TimerSet) -> None:
    if node is not None:
        view._open(node, entry.index, Wait(entry.seq, _TIMER, entry.agent, 0, "a timer", entry.wall, entry.line))


def _step_started(view: GraphView, node: GraphNode | None, entry: Entry, body: StepStarted) -> None:
    if node is not None:
        node.steps += 1
        view._open(node, entry.index, Wait(entry.seq, _STEP, entry.agent, 0, body.name, entry.wall, entry.line))


_HANDLERS: Final[dict[type[Body], Callable[[GraphView, GraphNode | None, Entry, Any], None]]] = {
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
