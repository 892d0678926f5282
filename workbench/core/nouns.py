"""The nouns of the session's state: agents, what they wait for, schedules. Facts folded by `workbench.core.state`.

- An **agent** runs at most one invocation (`current`); accepted ones wait in `queue` in the order of acceptance.
- A **wait** is what agent code began and has not been given the outcome of: a call, a promise, a timer, a step. Each
  wait refers to a **matter** (`Invocation`, `Promise`, `Timer`, `Step`) that is settled once. Several waits may refer
  to one matter: a fork joins what its source had open at the cut, and many agents may await one promise.

They are msgspec structs that Python's garbage collector does not track: they hold uids instead of each other where a
cycle could arise, and a collector that walks a million of them would cost a third of a fan-out's speed.
"""

from typing import Final

import msgspec

from workbench.ids import AgentId

ROOT_UID: Final = 1
"""The root agent is created by the first entry of every store."""


class Matter(msgspec.Struct, gc=False, eq=False, kw_only=True):
    """What a wait waits for. Settled at most once; `settled` is the `seq` of the entry that did it, 0 before."""

    settled: int = 0
    ok: bool = True
    value: bytes = b""
    waiters: list[tuple[int, int]] | None = None


class Invocation(Matter, gc=False, eq=False):
    """One accepted invocation; named by the `seq` of its acceptance. `started` is 0 while it is queued.

    `kept`: it was triggered or scheduled, so it is done whoever else stops waiting for it.
    """

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
    kept: bool = False

    def inherited(self, target: int) -> "Invocation":
        """The same invocation as a fork goes on with it: the outcome will be the fork's own."""
        return msgspec.structs.replace(self, target=target, waiters=None)


class Promise(Matter, gc=False, eq=False):
    """A promise of agent `owner`, made at oplog index `index`.

    `again` is the index at which an atomic region that ran again was given it, 0 if none was.
    """

    owner: int
    index: int
    created: int
    completed_by: int = 0
    ignored: int = 0
    again: int = 0


class Timer(Matter, gc=False, eq=False):
    """A durable timer; `due` in nanoseconds since the epoch. Settled for each agent by its own `TimerFired`."""

    due: int


class Step(Matter, gc=False, eq=False):
    """A side effect whose intent is on disk. `origin` is the agent and index that began it, also for its forks.

    `begun` counts its tries, the one under way and those included that a crash or an interrupt cut short. `retries`
    counts the failed ones; `failure` is why the last of them did, and `retry_due` when the next begins, 0 while one is
    under way.
    """

    name: str
    idempotent: bool
    origin: tuple[int, int]
    begun: int
    retries: int = 0
    retry_due: int = 0
    failure: bytes = b""


class Wait(msgspec.Struct, gc=False, eq=False):
    """An agent's open wait: for what, since which entry and when, and from which line."""

    op: int
    on: Matter
    seq: int
    wall: int
    line: str


class Schedule(msgspec.Struct, gc=False, eq=False):
    """An invocation that is accepted by its target at `due`; named by the `seq` of the entry that made it."""

    seq: int
    target_id: str
    method: str
    args: bytes
    due: int
    key: str | None
    label: str | None
    by: int
    op: int
    line: str
    wall: int


class Agent(msgspec.Struct, gc=False, eq=False):
    """The folded facts of one agent.

    Attributes:
        uid: which incarnation: the `seq` of the entry that created it.
        text: its id.
        index: of its newest entry; `seq` likewise.
        current: the invocation that it runs.
        queue: accepted ones that have not started.
        waits: by the oplog index at which they began.
        keys: invocations by idempotency key.
        last: the invocation that ended last.
        failure: why the agent stopped, encoded; empty while it works.
        source: uid of the agent it was forked from, 0 for none, at index `cut`; `inside`, by that agent's own `fork()`.
        goes_on: a fork, a reverted agent or one that waits for a name, that has not gone on by itself yet.
        job: whether it is a fan-out job, or the child of one that has its type.
        deleted, interrupted: `seq` of the entry that did it, 0 for none.
        nudged: `seq` of the newest call or completion that lets an interrupted agent go on.
        reverts: `(last, at)` of each revert: the entries after index `last`, up to `at`, count no longer.
        afresh: index of each of these that undid no region: what the agent draws from there on is new.
        regions: indices at which the open atomic regions began, outermost first.
        snapshots: indices of its snapshots.
        promised: indices of its promises.
        revision: `seq` of the `TypeDefined` of the code it runs, 0 for unknown.
        misfit: revision that it was tried on in vain; it stays with the code it has, where that is at hand.
    """

    uid: int
    text: str
    type_name: str
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
    inside: bool = False
    goes_on: bool = False
    ephemeral: bool = False
    job: bool = False
    deleted: int = 0
    interrupted: int = 0
    nudged: int = 0
    revision: int = 0
    misfit: int = 0
    reverts: tuple[tuple[int, int], ...] = ()
    afresh: tuple[int, ...] = ()
    regions: tuple[int, ...] = ()
    snapshots: list[int] | None = None
    promised: list[int] | None = None
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

    @property
    def stands(self) -> bool:
        """Whether it is interrupted, and nothing came since that lets it go on."""
        return self.interrupted > self.nudged


def status_of(agent: Agent, *, defined: bool = True) -> str:
    """The agent's status, read off the folded facts; the words are Golem's, plus `undefined`.

    `running` holds also while it waits for calls and steps, which somebody is at work on; `suspended` while it waits
    for nothing but promises and timers; `retrying` while a step of it that failed is to be tried again; `exited` when
    it is deleted, or ephemeral and done. `undefined`: it has work, and its class is not registered in this process.
    """
    if agent.deleted:
        return "exited"
    if agent.failure:
        return "failed"
    if agent.stands:
        return "interrupted"
    busy = agent.current is not None
    if not defined and (busy or agent.queue):
        return "undefined"
    if not busy:
        return "running" if agent.queue else "exited" if agent.ephemeral and agent.finished else "idle"
    waits = agent.waits.values()
    if waits and all(isinstance(w.on, (Promise, Timer)) and not w.on.settled for w in waits):
        return "suspended"
    if any(isinstance(w.on, Step) and w.on.retry_due and not w.on.settled for w in waits):
        return "retrying"
    return "running"
