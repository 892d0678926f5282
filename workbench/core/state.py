"""The session's state: a fold of log entries.

Theory of operation
-------------------
`State.apply(entry)` is the only thing that changes a state. The live session, recovery and time travel all call it with
the same entries, so they cannot disagree. Nobody sets a status: `status_of` reads it off the folded facts (the nouns
are in `workbench.core.nouns`).

- When a matter is settled, each wait on it is due for delivery. `apply` notes that in `wakes`: `(uid, op)` for a wait
  that is due, `(uid, 0)` for an agent that may start an invocation or go on. Wakes are a hint to the scheduler and no
  part of the state: after recovery `due_waits` finds the same from the facts.
- Whatever of an agent is settled by its own end (delete, interrupt, revert) is noted in `ended`, a hint likewise, so
  that cells which wait for it can be told.
- The root agent (uid 1, `Session()`) stands for cells and scripts. It has no code and is never replayed, so its waits
  are not folded.
- A deleted agent stays in `agents`, emptied, because its forks share its oplog; it is found by no id.

Rejected: a status column (two truths), per-agent state machines with callbacks (order of callbacks becomes a fact that
no entry holds), futures in the state (a state must compare equal to one folded in another process).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

import msgspec

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Matter, Promise, Schedule, Step, Timer, Wait
from workbench.model import entries as e
from workbench.model.entries import KIND_NUMBERS, Body, Entry

_CALL, _PROMISE, _TIMER = (KIND_NUMBERS[kind] for kind in (e.CallMade, e.PromiseAwaited, e.TimerSet))


class State:
    """The fold. `apply` entries in order of `seq`; read everything else."""

    def __init__(self) -> None:
        self.seq = 0
        self.wall = 0
        self.sessions = 0
        """How often the store was opened."""
        self.opened = 0
        """`seq` of the entry that tells of the last opening."""
        self.agents: dict[int, Agent] = {}
        self.by_id: dict[str, int] = {}
        self.promises: dict[tuple[int, int], Promise] = {}
        self.schedules: dict[str, dict[int, Schedule]] = {}
        """By text of the target's id, then by their `seq`; those that have not fired."""
        self.revisions: dict[int, tuple[str, str]] = {}
        """Type name and hash of its code, by the `seq` of the entry that tells."""
        self.codes: dict[tuple[str, str], int] = {}
        """The other way round."""
        self.wakes: list[tuple[int, int]] = []
        self.ended: list[Matter] = []
        self.accepted: Invocation | None = None
        """What the last call made or joined; for whoever appended it, and no part of the state."""

    def apply(self, entry: Entry) -> None:
        """Fold one entry in. Its header is trusted: `append` made it, or the chain vouches for it."""
        self.seq = entry.seq
        self.wall = entry.wall
        body = entry.body
        _APPLY[type(body)](self, entry, body)
        agent = self.agents[entry.agent]
        agent.index = entry.index
        agent.seq = entry.seq

    def fold(self, entries: Iterable[Entry]) -> "State":
        """Apply many; returns itself."""
        for entry in entries:
            self.apply(entry)
        return self

    def find(self, text: str) -> Agent | None:
        """The living agent of this id, or None."""
        uid = self.by_id.get(text)
        return None if uid is None else self.agents[uid]

    def schedule_of(self, seq: int) -> Schedule | None:
        """The schedule of this name that has not fired, or None."""
        for group in self.schedules.values():
            if seq in group:
                return group[seq]
        return None

    def due_waits(self) -> Iterator[tuple[int, int, int]]:
        """`(settled, uid, op)` of each open wait whose matter is settled."""
        for agent in self.agents.values():
            for op, wait in agent.waits.items():
                if wait.on.settled and not isinstance(wait.on, Timer):
                    yield wait.on.settled, agent.uid, op

    # ---- what the appliers share ---------------------------------------------------------------------------------

    def add_wait(self, agent: Agent, entry: Entry, matter: Matter) -> None:
        """An agent began to wait, at this entry."""
        agent.waits[entry.index] = Wait(entry.index, matter, entry.seq, entry.wall, entry.line)
        self.attend(agent.uid, entry.index, matter)

    def attend(self, uid: int, op: int, matter: Matter) -> None:
        """Have a wait woken when its matter is settled."""
        if matter.settled:
            if not isinstance(matter, Timer):
                self.wakes.append((uid, op))
        elif matter.waiters is None:
            matter.waiters = [(uid, op)]
        else:
            matter.waiters.append((uid, op))

    def settle(self, matter: Matter, entry: Entry, value: bytes, *, ok: bool) -> None:
        """A matter is settled by this entry: each wait on it is due."""
        matter.settled = entry.seq
        matter.ok = ok
        matter.value = value
        if matter.waiters is not None:
            for uid, op in matter.waiters:
                agent = self.agents.get(uid)
                if agent is not None and op in agent.waits:
                    self.wakes.append((uid, op))
            matter.waiters = None

    def end(self, matter: Matter, entry: Entry, failure: bytes) -> None:
        """A matter fails because its agent's life, or that part of it, has ended."""
        self.settle(matter, entry, failure, ok=False)
        self.ended.append(matter)

    def accept(self, target: Agent, entry: Entry, invocation: Invocation) -> Invocation:
        """A target accepts an invocation, or the one that has its key stands for it; whichever counts."""
        key = invocation.key
        known = None if key is None or target.keys is None else target.keys.get(key)
        if target.interrupted:
            target.nudged = entry.seq
            self.wakes.append((target.uid, 0))
        if known is not None:
            return known
        if key is not None:
            if target.keys is None:
                target.keys = {}
            target.keys[key] = invocation
        if target.failure:
            invocation.settled, invocation.ok, invocation.value = entry.seq, False, target.failure
        else:
            target.enqueue(invocation)
            if target.current is None:
                self.wakes.append((target.uid, 0))
        return invocation

    def end_promises(self, agent: Agent, entry: Entry, after: int, failure: bytes) -> None:
        """Promises that an agent made after index `after` are no more; who waits for one gets the failure."""
        self.lose_promises(agent, entry, [index for index in agent.promised or () if index > after], failure)

    def lose_promises(self, agent: Agent, entry: Entry, lost: Collection[int], failure: bytes) -> None:
        """The promises that an agent made at these indices are no more; who waits for one gets the failure."""
        for index in lost:
            promise = self.promises.pop((agent.uid, index))
            if not promise.settled:
                self.end(promise, entry, failure)
        if lost:
            gone = set(lost)
            agent.promised = [index for index in agent.promised or () if index not in gone] or None

    def take_on(self, agent: Agent, entry: Entry, facts: e.Facts) -> None:
        """An agent is as it was at an index: what it ran, waited for and had counted by then."""
        before, current = agent.waits, agent.current
        agent.waits, agent.holes = {}, 0
        for then in facts.waits:
            wait = before.get(then.op)
            if wait is None:
                wait = Wait(then.op, self._matter_of(then, entry), then.seq, then.wall, then.line)
            agent.waits[then.op] = wait
            self.attend(agent.uid, then.op, wait.on)
        if not facts.invocation:
            agent.current = None
        elif current is None or current.seq != facts.invocation:
            agent.current = _again(facts, agent.uid, entry)
        if not facts.last:
            agent.last = None
        elif agent.last is None or agent.last.seq != facts.last:
            agent.last = Invocation(
                facts.last, agent.uid, facts.last_method, b"", 0, 0, None, None, "", entry.wall,
                settled=entry.seq, ok=facts.last_ok, value=facts.last_value,
            )  # fmt: skip
        agent.finished, agent.raised = facts.finished, facts.raised
        agent.regions = facts.regions
        agent.goes_on = agent.current is not None

    def _matter_of(self, then: e.OpenWait, entry: Entry) -> Matter:
        """What a wait was for that is open again; with its outcome, when the log holds that."""
        matter: Matter
        if then.kind == _PROMISE and (then.a, then.b) in self.promises:
            return self.promises[then.a, then.b]
        if then.kind == _TIMER:
            return Timer(then.a)
        if then.kind == _PROMISE:
            matter = Promise(then.a, then.b, then.seq)
        elif then.kind == _CALL:
            matter = Invocation(then.b, then.a, "", b"", 0, then.op, None, None, then.line, then.wall)
        else:
            matter = Step("", True, (0, 0), 0)  # noqa: FBT003 - a struct's field
        matter.settled, matter.ok, matter.value = entry.seq, then.ok, then.value
        if not then.settled:  # it was dropped, and what it came to is known nowhere
            matter.ok, matter.value = False, getattr(entry.body, "failure", b"")
        return matter


def _again(facts: e.Facts, uid: int, entry: Entry) -> Invocation:
    """An invocation that is under way again; its outcome goes to the agent's oplog only."""
    return Invocation(
        facts.invocation, uid, facts.method, facts.args, 0, 0, None, facts.label, "", entry.wall, started=facts.started
    )


# ---- appliers, one per kind ------------------------------------------------------------------------------------------


def _nothing(_state: State, _entry: Entry, _body: Body) -> None:
    pass


def _session_started(state: State, entry: Entry, _body: e.SessionStarted) -> None:
    state.sessions += 1
    state.opened = entry.seq


def _type_defined(state: State, entry: Entry, body: e.TypeDefined) -> None:
    state.revisions[entry.seq] = body.name, body.code
    state.codes[body.name, body.code] = entry.seq


def _agent_created(state: State, entry: Entry, body: e.AgentCreated) -> None:
    agent = Agent(entry.seq, body.agent_id, body.type_name, body.spawned_by, entry.wall)
    agent.revision, agent.ephemeral, agent.job = body.revision, body.ephemeral, body.job
    state.agents[agent.uid] = agent
    state.by_id[body.agent_id] = agent.uid


def _agent_forked(state: State, entry: Entry, body: e.AgentForked) -> None:
    source = state.agents[body.source]
    agent = Agent(entry.seq, body.agent_id, source.type_name, source.uid, entry.wall)
    agent.source, agent.cut, agent.inside, agent.goes_on = body.source, body.cut, body.inside, True
    agent.revision, agent.ephemeral = source.revision, source.ephemeral
    state.agents[agent.uid] = agent
    state.by_id[body.agent_id] = agent.uid
    if body.facts is not None:
        agent.revision = body.facts.revision
        state.take_on(agent, entry, body.facts)
        return
    if source.current is not None:
        agent.current = source.current.inherited(agent.uid)
    for op, wait in source.waits.items():
        agent.waits[op] = wait
        state.attend(agent.uid, op, wait.on)


def _agent_failed(state: State, entry: Entry, body: e.AgentFailed) -> None:
    agent = state.agents[entry.agent]
    agent.failure = body.failure
    _end_all(state, agent, entry, body.failure)
    agent.interrupted = 0


def _end_all(state: State, agent: Agent, entry: Entry, failure: bytes) -> None:
    """What an agent ran and had accepted fails."""
    open_ones = [agent.current] if agent.current is not None else []
    for invocation in (*open_ones, *(agent.queue or ())):
        state.end(invocation, entry, failure)
    agent.last, agent.current, agent.queue = agent.current, None, None


def _agent_deleted(state: State, entry: Entry, body: e.AgentDeleted) -> None:
    agent = state.agents[entry.agent]
    agent.deleted = entry.seq
    _end_all(state, agent, entry, body.failure)
    state.end_promises(agent, entry, 0, body.failure)
    agent.waits, agent.keys, agent.last, agent.interrupted = {}, None, None, 0
    if state.by_id.get(agent.text) == agent.uid:
        del state.by_id[agent.text]
    state.schedules.pop(agent.text, None)


def _agent_interrupted(state: State, entry: Entry, body: e.AgentInterrupted) -> None:
    agent = state.agents[entry.agent]
    agent.interrupted = entry.seq
    current = agent.current
    if current is None:
        return
    answer = msgspec.structs.replace(current, settled=entry.seq, ok=False, value=body.failure, waiters=None)
    for uid, op in current.waiters or ():
        waiter = state.agents.get(uid)
        if waiter is not None and op in waiter.waits:
            waiter.waits[op].on = answer
            state.wakes.append((uid, op))
    current.waiters = None
    state.ended.append(answer)


def _agent_resumed(state: State, entry: Entry, _body: e.AgentResumed) -> None:
    agent = state.agents[entry.agent]
    agent.interrupted = agent.nudged = 0
    agent.goes_on = agent.goes_on or agent.current is not None
    state.wakes.append((agent.uid, 0))


def _agent_reverted(state: State, entry: Entry, body: e.AgentReverted) -> None:
    agent, facts = state.agents[entry.agent], body.facts
    current = agent.current
    if current is not None and current.seq != facts.invocation:
        state.end(current, entry, body.failure)
    for key, invocation in tuple((agent.keys or {}).items()):
        queued = agent.queue is not None and invocation in agent.queue
        if (invocation.started > facts.seq or (invocation.settled and not invocation.started)) and not queued:
            del agent.keys[key]  # type: ignore[union-attr] # it has this one
    state.take_on(agent, entry, facts)
    for invocation in (agent.keys or {}).values():
        if agent.current is not None and invocation.seq == agent.current.seq and invocation.key is not None:
            agent.current.key = invocation.key
    if agent.current is not None and agent.current.key is not None and agent.keys is not None:
        agent.keys[agent.current.key] = agent.current
    agent.reverts = (*agent.reverts, (body.last, entry.index))
    if not body.region:  # else the region runs again, and makes them again
        state.end_promises(agent, entry, body.last, body.failure)
        agent.afresh = (*agent.afresh, entry.index)
    agent.failure, agent.interrupted, agent.nudged, agent.misfit = b"", 0, 0, 0
    agent.revision = facts.revision
    state.wakes.append((agent.uid, 0))


def _agent_updated(state: State, entry: Entry, body: e.AgentUpdated) -> None:
    agent = state.agents[entry.agent]
    if body.fits:
        agent.revision, agent.misfit = body.revision, 0
    else:
        agent.misfit = body.revision


def _name_awaited(state: State, entry: Entry, _body: e.NameAwaited) -> None:
    state.agents[entry.agent].goes_on = True


def _call_made(state: State, entry: Entry, body: e.CallMade) -> None:
    target = state.agents[body.target]
    invocation = Invocation(
        entry.seq,
        body.target,
        body.method,
        body.value,
        entry.agent,
        entry.index,
        body.key,
        body.label,
        entry.line,
        entry.wall,
    )
    state.accepted = invocation = state.accept(target, entry, invocation)
    if not body.awaited:
        invocation.kept = True
    elif entry.agent != ROOT_UID:
        state.add_wait(state.agents[entry.agent], entry, invocation)


def _call_scheduled(state: State, entry: Entry, body: e.CallScheduled) -> None:
    state.schedules.setdefault(body.target_id, {})[entry.seq] = Schedule(
        entry.seq,
        body.target_id,
        body.method,
        body.value,
        body.due,
        body.key,
        body.label,
        entry.agent,
        entry.index,
        entry.line,
        entry.wall,
    )


def _take_schedule(state: State, target_id: str, seq: int) -> Schedule:
    group = state.schedules[target_id]
    schedule = group.pop(seq)
    if not group:
        del state.schedules[target_id]
    return schedule


def _schedule_fired(state: State, entry: Entry, body: e.ScheduleFired) -> None:
    target = state.agents[entry.agent]
    plan = _take_schedule(state, target.text, body.schedule)
    invocation = Invocation(
        entry.seq, target.uid, plan.method, plan.args, plan.by, plan.op, plan.key, plan.label, plan.line, entry.wall
    )
    state.accepted = state.accept(target, entry, invocation)
    state.accepted.kept = True


def _schedule_cancelled(state: State, _entry: Entry, body: e.ScheduleCancelled) -> None:
    plan = state.schedule_of(body.schedule) if body.pending else None
    if plan is not None:
        _take_schedule(state, plan.target_id, plan.seq)


def _invocation_started(state: State, entry: Entry, _body: e.InvocationStarted) -> None:
    agent = state.agents[entry.agent]
    assert agent.queue is not None, entry
    invocation = agent.queue.pop(0)
    assert invocation.seq == entry.invocation, entry
    invocation.started = entry.seq
    agent.current = invocation
    if not agent.queue:
        agent.queue = None


def _invocation_finished(state: State, entry: Entry, body: e.InvocationFinished) -> None:
    agent = state.agents[entry.agent]
    invocation = agent.current
    assert invocation is not None, entry
    agent.current = None
    agent.last = invocation
    agent.goes_on = False
    agent.finished += 1
    if not body.ok:
        agent.raised += 1
    state.settle(invocation, entry, body.value, ok=body.ok)
    if agent.queue is not None:
        state.wakes.append((agent.uid, 0))


def _invocation_cancelled(state: State, entry: Entry, body: e.InvocationCancelled) -> None:
    agent = state.agents[entry.agent]
    for invocation in agent.queue or ():
        if invocation.seq == body.invocation:
            assert agent.queue is not None
            agent.queue.remove(invocation)
            invocation.cancelled = True
            if invocation.key is not None and agent.keys is not None:
                agent.keys.pop(invocation.key, None)
            if body.failure:
                state.end(invocation, entry, body.failure)
            break
    if not agent.queue:
        agent.queue = None


def _delivered(state: State, entry: Entry, body: e.CallDelivered | e.PromiseDelivered | e.TimerFired) -> None:
    agent = state.agents[entry.agent]
    agent.end_wait(body.op)
    agent.goes_on = False


def _wait_dropped(state: State, entry: Entry, body: e.WaitDropped) -> None:
    agent = state.agents[entry.agent]
    if body.op in agent.waits:
        agent.end_wait(body.op)
    agent.goes_on = False


def _promise_created(state: State, entry: Entry, body: e.PromiseCreated) -> None:
    if body.again:
        state.promises[entry.agent, body.again].again = entry.index
        return
    state.promises[entry.agent, entry.index] = Promise(entry.agent, entry.index, entry.seq)
    agent = state.agents[entry.agent]
    if agent.promised is None:
        agent.promised = [entry.index]
    else:
        agent.promised.append(entry.index)


def _promise_completed(state: State, entry: Entry, body: e.PromiseCompleted) -> None:
    promise = state.promises[body.owner, body.promise]
    if not body.first:
        promise.ignored += not body.again
        return
    promise.completed_by = entry.agent
    for uid, op in promise.waiters or ():
        waiter = state.agents.get(uid)
        if waiter is not None and waiter.interrupted and op in waiter.waits:
            waiter.nudged = entry.seq
    state.settle(promise, entry, body.value, ok=True)


def _promise_awaited(state: State, entry: Entry, body: e.PromiseAwaited) -> None:
    state.add_wait(state.agents[entry.agent], entry, state.promises[body.owner, body.promise])


def _timer_set(state: State, entry: Entry, body: e.TimerSet) -> None:
    state.add_wait(state.agents[entry.agent], entry, Timer(body.due))


def _step_started(state: State, entry: Entry, body: e.StepStarted) -> None:
    step = Step(body.name, body.idempotent, (entry.agent, entry.index), 1)
    state.add_wait(state.agents[entry.agent], entry, step)


def _step_retried(state: State, entry: Entry, body: e.StepRetried) -> None:
    wait = state.agents[entry.agent].waits.get(body.op)
    if wait is not None and isinstance(wait.on, Step):
        wait.on.retries += 1
        wait.on.begun, wait.on.retry_due, wait.on.failure = body.attempts, body.due, body.failure


def _step_restarted(state: State, entry: Entry, body: e.StepRestarted) -> None:
    wait = state.agents[entry.agent].waits.get(body.op)
    if wait is not None and isinstance(wait.on, Step):
        wait.on.begun, wait.on.retry_due = body.attempts + 1, 0


def _step_finished(state: State, entry: Entry, body: e.StepFinished) -> None:
    agent = state.agents[entry.agent]
    step = agent.end_wait(body.op).on
    agent.goes_on = False
    if not step.settled:
        state.settle(step, entry, body.value, ok=body.ok)


def _region_begun(state: State, entry: Entry, _body: e.RegionBegun) -> None:
    agent = state.agents[entry.agent]
    agent.regions = (*agent.regions, entry.index)


def _region_ended(state: State, entry: Entry, body: e.RegionEnded) -> None:
    agent = state.agents[entry.agent]
    agent.regions = tuple(op for op in agent.regions if op != body.op)
    state.lose_promises(agent, entry, body.left, body.failure)


def _snapshot_taken(state: State, entry: Entry, _body: e.SnapshotTaken) -> None:
    agent = state.agents[entry.agent]
    if agent.snapshots is None:
        agent.snapshots = [entry.index]
    else:
        agent.snapshots.append(entry.index)


def _snapshot_refused(state: State, entry: Entry, body: e.SnapshotRefused) -> None:
    agent = state.agents[entry.agent]
    agent.snapshots = [index for index in agent.snapshots or () if index != body.snapshot] or None


_APPLY: Final[dict[type[Body], Callable[[State, Entry, Any], None]]] = {
    e.SessionStarted: _session_started,
    e.TypeDefined: _type_defined,
    e.AgentCreated: _agent_created,
    e.AgentForked: _agent_forked,
    e.AgentFailed: _agent_failed,
    e.AgentDeleted: _agent_deleted,
    e.AgentInterrupted: _agent_interrupted,
    e.AgentResumed: _agent_resumed,
    e.AgentReverted: _agent_reverted,
    e.AgentUpdated: _agent_updated,
    e.NameAwaited: _name_awaited,
    e.ControlMade: _nothing,
    e.CallMade: _call_made,
    e.CallRefused: _nothing,
    e.CallScheduled: _call_scheduled,
    e.ScheduleFired: _schedule_fired,
    e.ScheduleCancelled: _schedule_cancelled,
    e.InvocationStarted: _invocation_started,
    e.InvocationFinished: _invocation_finished,
    e.InvocationCancelled: _invocation_cancelled,
    e.CallDelivered: _delivered,
    e.WaitDropped: _wait_dropped,
    e.PromiseCreated: _promise_created,
    e.PromiseCompleted: _promise_completed,
    e.PromiseAwaited: _promise_awaited,
    e.PromiseDelivered: _delivered,
    e.PromiseRefused: _nothing,
    e.PromiseSeen: _nothing,
    e.TimerSet: _timer_set,
    e.TimerFired: _delivered,
    e.StepStarted: _step_started,
    e.StepRetried: _step_retried,
    e.StepRestarted: _step_restarted,
    e.StepFinished: _step_finished,
    e.RegionBegun: _region_begun,
    e.RegionEnded: _region_ended,
    e.SnapshotTaken: _snapshot_taken,
    e.SnapshotRefused: _snapshot_refused,
    e.Logged: _nothing,
    e.ForkMade: _nothing,
}
