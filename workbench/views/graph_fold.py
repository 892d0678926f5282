"""The agent graph as a fold of committed entries.

Theory. An agent is a node, in order of creation; its *slot* is its place in that order and never changes, so arrays
indexed by slot only grow. A node's parent is who spawned it, or whom it was forked from: the nodes form a tree (or
several). A node stays when its agent is deleted; the same id called again is a new node. Over the tree lie *waits*:
what an agent has begun and not yet been given (a call, a promise, a timer, a step). A wait on another agent is an
edge; so is a trigger, or a schedule that fired, whose invocation has not ended. Nobody sets a status: `status_of` reads
it off a node's fields.

The fold is on the runtime's path (it shares the interpreter lock), so the hot kinds do nothing but set fields and
note the agent's uid in a set; a status is made when somebody looks, once per changed agent (`workbench.views.tape`).

To teach the fold a new kind, write a handler and name it in `_HANDLERS`. Entries of unknown kinds are stepped over, and
so are those that change nothing one sees here (snapshots, regions, revisions, what is said).
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.views.graph_nodes import GraphNode, Retry, Status, Wait
from workbench.views.graph_tree import CALL, FORKED, PROMISE, ROOT, SPAWNED, STEP, TIMER, TRIGGER, GraphTree, Plan

_FAILED, _INTERRUPTED, _EXITED = int(Status.FAILED), int(Status.INTERRUPTED), int(Status.EXITED)


class GraphFold(GraphTree):
    """Nodes and waits at the last applied entry; for the arguments see `GraphTree`."""

    def apply(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; they continue the ones applied before, in the order of the log."""
        handlers, by_uid, earlier, entry = self._HANDLERS, self.by_uid, self._earlier, None
        for entry in entries:
            body = entry.body
            try:
                handler = handlers[body.__class__]  # half as long as `get`
            except KeyError:
                continue
            node = by_uid.get(entry.agent)
            if node is None and entry.agent in earlier:
                node = self.recall(entry.agent, entry.wall)
            handler(self, node, entry, body)
        if entry is not None:
            self.seq = entry.seq
        if self._ended:
            self._sweep()

    def fold(self, entry: Entry) -> None:
        """Fold one entry in, for a reader that looks at what each of them did."""
        handler = self._HANDLERS.get(entry.body.__class__)
        if handler is not None:
            node = self.by_uid.get(entry.agent)
            if node is None and entry.agent in self._earlier:
                node = self.recall(entry.agent, entry.wall)
            handler(self, node, entry, entry.body)
        self.seq = entry.seq
        if self._ended:
            self._sweep()

    # ---- handlers: the node of the entry's agent, the entry, its body -----------------------------------------------
    # The first five are the hot ones: a fan-out writes one of each per child.

    def _agent_created(self, _node: GraphNode | None, entry: Entry, body: e.AgentCreated) -> None:
        parent, uid = self.by_uid.get(body.spawned_by), entry.agent
        if parent is None or self._undefined or self.closed:
            node = self._add(entry, body.agent_id, body.spawned_by, SPAWNED)
            if node is None:
                return
        else:
            nodes = self.nodes
            node = self.by_uid[uid] = GraphNode(len(nodes), uid, body.agent_id, parent.slot, SPAWNED, entry.wall)
            nodes.append(node)
            self.dirty.add(uid)
        if body.ephemeral:
            node.ephemeral = True

    def _call_made(self, node: GraphNode | None, entry: Entry, body: e.CallMade) -> None:
        uid = body.target
        target = self.by_uid.get(uid)
        if target is None and uid in self._earlier:
            target = self.recall(uid, entry.wall)
        if target is not None:
            if body.key is not None and not self._accepts(target, body.key, entry.seq):
                target = None  # nothing new for the target to do
            elif target.broken is not None:
                target = None  # answered at once
            else:
                if not target.pending and not target.running:
                    target.since, target.method = entry.wall, body.method
                target.pending += 1
                self.dirty.add(uid)
                if body.label is not None:
                    self._label(target, body.label)
        if node is None:
            return
        seq = entry.seq
        if body.awaited and node.origin != ROOT:
            wait = Wait(seq, CALL, entry.agent, uid, body.method, entry.wall, entry.line)
            if node.waits is None:  # as in `_open`
                node.waits = {entry.index: wait}
            else:
                node.waits[entry.index] = wait
            self.fresh[seq] = wait
            self.dirty.add(entry.agent)
        elif target is not None:  # no delivery will tell of its end, as none does for a cell's call
            kind = CALL if body.awaited else TRIGGER
            self._link(seq, Wait(seq, kind, entry.agent, uid, body.method, entry.wall, entry.line))

    def _invocation_started(self, node: GraphNode | None, entry: Entry, body: e.InvocationStarted) -> None:
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

    def _invocation_finished(self, node: GraphNode | None, entry: Entry, body: e.InvocationFinished) -> None:
        if node is None:
            return
        if entry.invocation in self._triggers:
            self._end_link(node, entry.invocation)
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
        body: e.CallDelivered | e.PromiseDelivered | e.TimerFired | e.StepFinished | e.WaitDropped,
    ) -> None:
        if node is None or node.waits is None or (wait := node.waits.pop(body.op, None)) is None:
            return
        if wait.kind != CALL:
            if wait.kind != STEP:
                node.sleeps -= 1
            else:
                node.steps -= 1
                if node.retries:
                    node.retries.pop(body.op, None)
        if self.fresh.pop(wait.key, None) is None:  # as in `_close`
            self.gone.append(wait.key)
        self.dirty.add(entry.agent)

    # ---- how agents come and go ----------------------------------------------------------------------------------

    def _session_started(self, node: GraphNode | None, _entry: Entry, _body: e.SessionStarted) -> None:
        if node is not None:  # the cells of an earlier process wait no longer
            for seq, link in tuple(self._triggers.items()):
                if link.kind == CALL:
                    self._close(self._triggers.pop(seq))
            self.dirty.add(node.uid)

    def _agent_forked(self, _node: GraphNode | None, entry: Entry, body: e.AgentForked) -> None:
        node = self._add(entry, body.agent_id, body.source, FORKED)
        if node is None:
            return
        source = self.by_uid.get(body.source)
        if source is not None:
            node.ephemeral = source.ephemeral
        if body.facts is not None:
            self._go_back(node, entry, body.facts)
        elif source is not None:
            node.running, node.method, node.outcome = source.running or entry.seq, source.method, source.outcome
            for op, wait in (source.waits or {}).items():
                if op <= body.cut:
                    self.take_over(node, op, msgspec.structs.replace(wait, key=self._new_key(), agent=node.uid))
            node.retries = dict(source.retries) if source.retries else None

    def _agent_failed(self, node: GraphNode | None, entry: Entry, body: e.AgentFailed) -> None:
        if node is not None:
            self._end(node, entry, _FAILED)
            node.broken = body.failure

    def _agent_deleted(self, node: GraphNode | None, entry: Entry, _body: e.AgentDeleted) -> None:
        if node is not None:
            self._end(node, entry, _EXITED)
            self._keys.pop(node.uid, None)

    def _agent_interrupted(self, node: GraphNode | None, entry: Entry, _body: e.AgentInterrupted) -> None:
        if node is not None:  # agents that wait for it are told by deliveries; a cell is told at once
            node.halted, node.since = _INTERRUPTED, entry.wall
            self._end_link(node, node.running, (CALL,))
            self.dirty.add(node.uid)

    def _agent_resumed(self, node: GraphNode | None, entry: Entry, _body: e.AgentResumed) -> None:
        if node is not None:
            node.halted, node.since = 0, entry.wall
            self.dirty.add(node.uid)

    def _agent_reverted(self, node: GraphNode | None, entry: Entry, body: e.AgentReverted) -> None:
        if node is None:
            return
        if node.running != body.facts.invocation:
            self._end_link(node, node.running)
        if keys := self._keys.get(node.uid):
            began, queued = max(body.facts.invocation, body.facts.last), node.running if node.pending else 1 << 63
            self._keys[node.uid] = {key: seq for key, seq in keys.items() if seq <= began or seq > queued}
        self._go_back(node, entry, body.facts)

    # ---- calls that are rarer ------------------------------------------------------------------------------------

    def _link(self, invocation: int, link: Wait) -> None:
        self._triggers[invocation] = self.fresh[link.key] = link

    def _call_refused(self, node: GraphNode | None, _entry: Entry, _body: e.CallRefused) -> None:
        if node is not None:
            node.refused += 1
            self.dirty.add(node.uid)

    def _invocation_cancelled(self, node: GraphNode | None, entry: Entry, body: e.InvocationCancelled) -> None:
        if node is None:
            return
        self._end_link(node, body.invocation)
        if keys := self._keys.get(node.uid):
            self._keys[node.uid] = {key: seq for key, seq in keys.items() if seq != body.invocation}
        if node.pending:
            node.pending -= 1
            self.dirty.add(entry.agent)

    def _call_scheduled(self, _node: GraphNode | None, entry: Entry, body: e.CallScheduled) -> None:
        self._plans[entry.seq] = Plan(entry.agent, body.method, body.key, body.label, entry.line)

    def _schedule_fired(self, node: GraphNode | None, entry: Entry, body: e.ScheduleFired) -> None:
        plan = self._plans.pop(body.schedule, None)
        if node is None or (plan and plan.key is not None and not self._accepts(node, plan.key, entry.seq)):
            return
        if node.broken is not None:
            return
        if not node.pending and not node.running:
            node.since, node.method = entry.wall, plan.method if plan else node.method
        node.pending += 1
        self.dirty.add(node.uid)
        if plan is not None:
            self._label(node, plan.label)
            self._link(entry.seq, Wait(entry.seq, TRIGGER, plan.by, node.uid, plan.method, entry.wall, plan.line))

    def _schedule_cancelled(self, _node: GraphNode | None, _entry: Entry, body: e.ScheduleCancelled) -> None:
        self._plans.pop(body.schedule, None)

    # ---- promises, time, effects ---------------------------------------------------------------------------------

    def _promise_awaited(self, node: GraphNode | None, entry: Entry, body: e.PromiseAwaited) -> None:
        if node is not None:
            what = f"promise {body.promise}"
            node.sleeps += 1
            self._open(
                node, entry.index, Wait(entry.seq, PROMISE, entry.agent, body.owner, what, entry.wall, entry.line)
            )

    def _promise_touched(self, _node: GraphNode | None, _entry: Entry, _body: Body) -> None:
        """Nothing changes here; but who did it is shown from now on, also in a view that begins late."""

    def _timer_set(self, node: GraphNode | None, entry: Entry, _body: e.TimerSet) -> None:
        if node is not None:
            node.sleeps += 1
            self._open(node, entry.index, Wait(entry.seq, TIMER, entry.agent, 0, "a timer", entry.wall, entry.line))

    def _step_started(self, node: GraphNode | None, entry: Entry, body: e.StepStarted) -> None:
        if node is not None:
            node.steps += 1
            self._open(node, entry.index, Wait(entry.seq, STEP, entry.agent, 0, body.name, entry.wall, entry.line))

    def _step_retried(self, node: GraphNode | None, _entry: Entry, body: e.StepRetried) -> None:
        self._retry(node, body.op, Retry(body.attempts, body.due, body.failure))

    def _step_restarted(self, node: GraphNode | None, _entry: Entry, body: e.StepRestarted) -> None:
        before = node.retries.get(body.op) if node is not None and node.retries else None
        self._retry(node, body.op, Retry(body.attempts, 0, before.failure if before else b""))

    def _retry(self, node: GraphNode | None, op: int, retry: Retry) -> None:
        if node is not None and node.waits and op in node.waits:
            node.retries = {**(node.retries or {}), op: retry}
            self.dirty.add(node.uid)

    _HANDLERS: ClassVar[dict[type[Body], Callable[[Any, GraphNode | None, Entry, Any], None]]] = {
        e.AgentCreated: _agent_created,
        e.CallMade: _call_made,
        e.InvocationStarted: _invocation_started,
        e.InvocationFinished: _invocation_finished,
        e.CallDelivered: _delivered,
        e.PromiseDelivered: _delivered,
        e.TimerFired: _delivered,
        e.StepFinished: _delivered,
        e.WaitDropped: _delivered,
        e.SessionStarted: _session_started,
        e.AgentForked: _agent_forked,
        e.AgentFailed: _agent_failed,
        e.AgentDeleted: _agent_deleted,
        e.AgentInterrupted: _agent_interrupted,
        e.AgentResumed: _agent_resumed,
        e.AgentReverted: _agent_reverted,
        e.CallRefused: _call_refused,
        e.InvocationCancelled: _invocation_cancelled,
        e.CallScheduled: _call_scheduled,
        e.ScheduleFired: _schedule_fired,
        e.ScheduleCancelled: _schedule_cancelled,
        e.PromiseAwaited: _promise_awaited,
        e.PromiseCreated: _promise_touched,
        e.PromiseCompleted: _promise_touched,
        e.PromiseSeen: _promise_touched,
        e.TimerSet: _timer_set,
        e.StepStarted: _step_started,
        e.StepRetried: _step_retried,
        e.StepRestarted: _step_restarted,
    }
