"""The session's state: a fold of log entries.

Theory of operation
-------------------
`State.apply(entry)` is the only thing that changes a state. The live session, recovery and time travel all call it with
the same entries, so they cannot disagree. Nobody sets a status: `status_of` reads it off the folded facts.

- An **agent** runs at most one invocation (`current`); accepted ones wait in `queue` in the order of acceptance.
- A **wait** is what agent code began and has not been given the outcome of: a call, a promise, a timer, a step. Each
  wait refers to a **matter** (`Invocation`, `Promise`, `Timer`, `Step`) that is settled once. Several waits may refer
  to one matter: a fork joins what its source had open at the cut, and many agents may await one promise.
- When a matter is settled, each wait on it is due for delivery. `apply` notes that in `wakes`: `(uid, op)` for a wait
  that is due, `(uid, 0)` for an agent that may start an invocation. Wakes are a hint to the scheduler and no part of
  the state: after recovery `due_waits` finds the same from the facts.
- The root agent (uid 1, `Session()`) stands for cells and scripts. It has no code and is never replayed, so its waits
  are not folded.

Rejected: a status column (two truths), per-agent state machines with callbacks (order of callbacks becomes a fact that
no entry holds), futures in the state (a state must compare equal to one folded in another process).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.entries import Body, Entry

ROOT_UID: Final = 1
"""The root agent is created by the first entry of every store."""


# The nouns are msgspec structs that Python's garbage collector does not track: they hold uids instead of each other
# where a cycle could arise, and a collector that walks a million of them would cost a third of a fan-out's speed.


class Matter(msgspec.Struct, gc=False, eq=False, kw_only=True):
    """What a wait waits for. Settled at most once; `settled` is the `seq` of the entry that did it, 0 before."""

    settled: int = 0
    ok: bool = True
    value: bytes = b""
    waiters: list[tuple[int, int]] | None = None


class Invocation(Matter, gc=False, eq=False):
    """One accepted invocation; named by the `seq` of its acceptance. `started` is 0 while it is queued."""

    seq: int
    target: int
    method: str
    args: bytes
    caller: int
    op: int
    key: str | None
    label: str | None
    line: str
    accepted_wall: int
    started: int = 0
    cancelled: bool = False

    def inherited(self, target: int) -> "Invocation":
        """The same invocation as a fork goes on with it: the outcome will be the fork's own."""
        return msgspec.structs.replace(self, target=target, waiters=None)


class Promise(Matter, gc=False, eq=False):
    """A promise of agent `owner`, made at oplog index `index`."""

    owner: int
    index: int
    created: int
    completed_by: int = 0
    ignored: int = 0


class Timer(Matter, gc=False, eq=False):
    """A durable timer; `due` in nanoseconds since the epoch. Settled for each agent by its own `TimerFired`."""

    due: int


class Step(Matter, gc=False, eq=False):
    """A side effect whose intent is on disk. `origin` is the agent and index that began it, also for its forks.

    `session` numbers the opening of the store in which it began: each later one began it again.
    """

    name: str
    idempotent: bool
    origin: tuple[int, int]
    session: int


class Wait(msgspec.Struct, gc=False, eq=False):
    """An agent's open wait: for what, since which entry and when, and from which line."""

    op: int
    on: Matter
    seq: int
    wall: int
    line: str


class Agent(msgspec.Struct, gc=False, eq=False):
    """The folded facts of one agent."""

    uid: int
    text: str
    type_name: str
    parameters: str
    spawned_by: int
    created_wall: int
    index: int = 0
    seq: int = 0
    current: Invocation | None = None
    queue: list[Invocation] | None = None
    waits: dict[int, Wait] = {}
    keys: dict[str, Invocation] | None = None
    last: Invocation | None = None
    finished: int = 0
    raised: int = 0
    failure: bytes = b""
    source: int = 0
    cut: int = 0
    fresh_fork: bool = False
    holes: int = 0
    id: AgentId | None = None

    @property
    def agent_id(self) -> AgentId:
        """The parsed id."""
        if self.id is None:
            self.id = AgentId.parse(self.text)
        return self.id

    def end_wait(self, op: int) -> Wait:
        """Take a wait out.

        A dict keeps a hole where an item was, and whoever looks for its first item steps over all holes: with 100,000
        waits that end in order that would cost more than all else, so the dict is made anew when it is mostly holes.
        """
        wait = self.waits.pop(op)
        self.holes += 1
        if self.holes > len(self.waits) + 64:
            self.waits, self.holes = dict(self.waits), 0
        return wait

    def enqueue(self, invocation: Invocation) -> None:
        """Add to the end of the queue."""
        if self.queue is None:
            self.queue = [invocation]
        else:
            self.queue.append(invocation)


class State:
    """The fold. `apply` entries in order of `seq`; read everything else."""

    def __init__(self) -> None:
        self.seq = 0
        self.wall = 0
        self.sessions = 0
        """How often the store was opened."""
        self.agents: dict[int, Agent] = {}
        self.by_id: dict[str, int] = {}
        self.promises: dict[tuple[int, int], Promise] = {}
        self.wakes: list[tuple[int, int]] = []
        self.accepted: Invocation | None = None
        """What the last `CallMade` made or joined; for whoever appended it, and no part of the state."""

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
        if matter.settled:
            self.wakes.append((agent.uid, entry.index))
        elif matter.waiters is None:
            matter.waiters = [(agent.uid, entry.index)]
        else:
            matter.waiters.append((agent.uid, entry.index))

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


def _session_started(state: State, _entry: Entry, _body: e.SessionStarted) -> None:
    state.sessions += 1


def _agent_created(state: State, entry: Entry, body: e.AgentCreated) -> None:
    agent = Agent(entry.seq, body.agent_id, body.type_name, body.parameters, body.spawned_by, entry.wall)
    state.agents[agent.uid] = agent
    state.by_id[body.agent_id] = agent.uid


def _agent_forked(state: State, entry: Entry, body: e.AgentForked) -> None:
    source = state.agents[body.source]
    agent = Agent(entry.seq, body.agent_id, source.type_name, source.parameters, source.uid, entry.wall)
    agent.source, agent.cut, agent.fresh_fork = body.source, body.cut, True
    state.agents[agent.uid] = agent
    state.by_id[body.agent_id] = agent.uid
    if source.current is not None:
        agent.current = source.current.inherited(agent.uid)
    for op, wait in source.waits.items():
        agent.waits[op] = wait
        matter = wait.on
        if matter.settled and not isinstance(matter, Timer):
            state.wakes.append((agent.uid, op))
        elif matter.waiters is None:
            matter.waiters = [(agent.uid, op)]
        else:
            matter.waiters.append((agent.uid, op))


def _agent_failed(state: State, entry: Entry, body: e.AgentFailed) -> None:
    agent = state.agents[entry.agent]
    agent.failure = body.failure
    open_ones = [agent.current] if agent.current is not None else []
    for invocation in (*open_ones, *(agent.queue or ())):
        state.settle(invocation, entry, body.failure, ok=False)
    agent.last, agent.current, agent.queue = agent.current, None, None


def _call_made(state: State, entry: Entry, body: e.CallMade) -> None:
    target = state.agents[body.target]
    invocation = None if body.key is None or target.keys is None else target.keys.get(body.key)
    if invocation is None:
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
        if body.key is not None:
            if target.keys is None:
                target.keys = {}
            target.keys[body.key] = invocation
        if target.failure:
            invocation.settled, invocation.ok, invocation.value = entry.seq, False, target.failure
        else:
            target.enqueue(invocation)
            if target.current is None:
                state.wakes.append((target.uid, 0))
    state.accepted = invocation
    if body.awaited and entry.agent != ROOT_UID:
        state.add_wait(state.agents[entry.agent], entry, invocation)


def _nothing(_state: State, _entry: Entry, _body: Body) -> None:
    pass


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
    agent.fresh_fork = False
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
            break
    if not agent.queue:
        agent.queue = None


def _delivered(state: State, entry: Entry, body: e.CallDelivered | e.PromiseDelivered) -> None:
    agent = state.agents[entry.agent]
    agent.end_wait(body.op)
    agent.fresh_fork = False


def _wait_dropped(state: State, entry: Entry, body: e.WaitDropped) -> None:
    agent = state.agents[entry.agent]
    if body.op in agent.waits:
        agent.end_wait(body.op)
    agent.fresh_fork = False


def _promise_created(state: State, entry: Entry, _body: e.PromiseCreated) -> None:
    state.promises[entry.agent, entry.index] = Promise(entry.agent, entry.index, entry.seq)


def _promise_completed(state: State, entry: Entry, body: e.PromiseCompleted) -> None:
    promise = state.promises[body.owner, body.promise]
    if body.first:
        promise.completed_by = entry.agent
        state.settle(promise, entry, body.value, ok=True)
    else:
        promise.ignored += 1


def _promise_awaited(state: State, entry: Entry, body: e.PromiseAwaited) -> None:
    state.add_wait(state.agents[entry.agent], entry, state.promises[body.owner, body.promise])


def _timer_set(state: State, entry: Entry, body: e.TimerSet) -> None:
    state.add_wait(state.agents[entry.agent], entry, Timer(body.due))


def _timer_fired(state: State, entry: Entry, body: e.TimerFired) -> None:
    agent = state.agents[entry.agent]
    agent.end_wait(body.op)
    agent.fresh_fork = False


def _step_started(state: State, entry: Entry, body: e.StepStarted) -> None:
    step = Step(body.name, body.idempotent, (entry.agent, entry.index), state.sessions)
    state.add_wait(state.agents[entry.agent], entry, step)


def _step_finished(state: State, entry: Entry, body: e.StepFinished) -> None:
    agent = state.agents[entry.agent]
    step = agent.end_wait(body.op).on
    agent.fresh_fork = False
    if not step.settled:
        state.settle(step, entry, body.value, ok=body.ok)


_APPLY: Final[dict[type[Body], Callable[[State, Entry, Any], None]]] = {
    e.SessionStarted: _session_started,
    e.AgentCreated: _agent_created,
    e.AgentForked: _agent_forked,
    e.AgentFailed: _agent_failed,
    e.CallMade: _call_made,
    e.CallRefused: _nothing,
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
    e.TimerFired: _timer_fired,
    e.StepStarted: _step_started,
    e.StepFinished: _step_finished,
    e.Logged: _nothing,
    e.ForkMade: _nothing,
}


def status_of(agent: Agent, *, defined: bool = True) -> str:
    """The agent's status, read off the folded facts; the words are Golem's, plus `undefined`.

    `running` holds also while it waits for calls and steps, which somebody is at work on; `suspended` while it waits
    for nothing but promises and timers. `undefined`: it has work, and its class is not registered in this process.
    """
    if agent.failure:
        return "failed"
    busy = agent.current is not None
    if not defined and (busy or agent.queue):
        return "undefined"
    if not busy:
        return "running" if agent.queue else "idle"
    waits = agent.waits.values()
    if waits and all(isinstance(w.on, (Promise, Timer)) and not w.on.settled for w in waits):
        return "suspended"
    return "running"
