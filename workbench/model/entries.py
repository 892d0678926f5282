"""The entry family: all that can be written to the log.

An `Entry` is a header that all kinds share and a body, one struct per kind. Entries of all agents stand in one log in
one total order (`seq`, from 1); each belongs to the oplog of one agent, where it has an `index` (from 1). An agent's
number, its *uid*, is the `seq` of the entry that created it, so a deleted and re-created agent has a new uid: a uid
names an incarnation.

Three families, told apart by `ROLES`, decide what replay does with an entry:

- **deliveries** (`InvocationStarted`, `CallDelivered`, ...) are what an agent was given. Replay gives them again, one
  at a time, and runs the agent until it is quiet after each.
- **operations** (`CallMade`, `PromiseCreated`, ...) are what the agent's code asked for between two deliveries. Replay
  checks that the code asks for the same again, and answers from the entry.
- **hints** (`Logged`, ...) tell people something; replay steps over them.

A body never changes shape: a new field goes to its end with a default, a new kind takes the next free number.
"""

from enum import Enum
from typing import Final

import msgspec

LATEST: Final = 9_100_000_000_000_000_000
"""The last wall time that an entry may have: in the year 2258. Timers end before it, and there is time to go on."""


class Body(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Base of all entry bodies. `value` fields hold MessagePack bytes of the codec."""


# ---- the life of an agent ----------------------------------------------------------------------------------------


class SessionStarted(Body, frozen=True, tag=1):
    """The store was opened by a process. Hint, in the root agent's oplog."""

    pid: int
    host: str


class AgentCreated(Body, frozen=True, tag=2):
    """First entry of an agent's oplog. `revision` is the `seq` of the `TypeDefined` of its code, 0 for unknown.

    `job` marks a fan-out job and the children of its own type.
    """

    agent_id: str
    type_name: str
    spawned_by: int
    revision: int = 0
    ephemeral: bool = False
    job: bool = False


class OpenWait(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A wait that was open at some index: what it is for, and its outcome where the log holds that further on.

    `kind` is the tag of the operation that began it; `a` and `b` name its matter: owner and index of a promise, due
    time of a timer, target and `seq` of an invocation. `settled` is 1 when `ok` and `value` are the outcome.
    """

    op: int
    kind: int
    seq: int
    wall: int
    line: str
    a: int = 0
    b: int = 0
    settled: int = 0
    ok: bool = True
    value: bytes = b""


class Facts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was so of an agent at an index of its oplog, for entries that go back to one.

    Attributes:
        seq: of the last entry that counts.
        invocation: the `seq` of the acceptance of the invocation that was under way, 0 for none; with its start,
            method, encoded arguments and label.
        last: the invocation that had ended last, likewise, with its outcome; 0 for none.
        waits: what it waited for.
        finished: invocations ended by then; `raised`: those of them that raised.
        regions: indices at which the open atomic regions began, outermost first.
        revision: the `seq` of the `TypeDefined` of the code it ran, 0 for unknown.
    """

    seq: int
    invocation: int = 0
    started: int = 0
    method: str = ""
    args: bytes = b""
    label: str | None = None
    last: int = 0
    last_method: str = ""
    last_ok: bool = True
    last_value: bytes = b""
    waits: tuple[OpenWait, ...] = ()
    finished: int = 0
    raised: int = 0
    regions: tuple[int, ...] = ()
    revision: int = 0


class AgentForked(Body, frozen=True, tag=3):
    """First own entry of a fork: its oplog up to `cut` is its source's, shared by reference.

    `inside` tells a fork made by `fork()` (the cut is that call) from one made from outside at an index, which takes
    its `facts` along.
    """

    agent_id: str
    source: int
    cut: int
    inside: bool
    facts: Facts | None = None


class AgentFailed(Body, frozen=True, tag=4):
    """The agent stopped by itself (divergence, a replay that cannot go on). Hint. `failure` is an encoded failure."""

    failure: bytes


class AgentDeleted(Body, frozen=True, tag=5):
    """The agent's life has ended. Last entry of its oplog; hint. What it had open fails with `failure`."""

    failure: bytes


class AgentInterrupted(Body, frozen=True, tag=6):
    """The agent stands still where it was; who waits for its invocation gets `failure`. Hint."""

    failure: bytes


class AgentResumed(Body, frozen=True, tag=7):
    """An interrupted agent goes on. Hint."""


class AgentReverted(Body, frozen=True, tag=8):
    """The entries after index `last`, this one included, count no longer; `facts` were so at `last`. Hint.

    What was dropped fails with `failure` for those who wait for it. `region` is the index of the `RegionBegun` when
    this undoes an atomic region that a crash cut short, else 0.
    """

    last: int
    facts: Facts
    failure: bytes = b""
    region: int = 0


class AgentUpdated(Body, frozen=True, tag=9):
    """The agent runs the code of `revision` from now on: its oplog replays on it. Hint.

    With `fits` False it was tried and does not replay, and `failure` says why: the agent stays with the code it has, in
    a process that has that.
    """

    revision: int
    fits: bool = True
    failure: bytes = b""


class NameAwaited(Body, frozen=True, tag=42):
    """The agent's code asked for a name that no cell had defined since the kernel was restarted. Hint.

    The agent goes on from its last delivery when one has.
    """

    name: str


class TypeDefined(Body, frozen=True, tag=17):
    """The code of an agent type: a hash of its normalised source, and the source. Hint, in the root agent's oplog."""

    name: str
    code: str
    source: str


class ControlMade(Body, frozen=True, tag=18):
    """Operation: agent code deleted, interrupted, resumed, reverted, forked or asked about another agent (`verb`).

    The answer was made in the same commit: `value` is the encoded result, or an encoded failure when not `ok`.
    """

    verb: str
    target_id: str
    argument: int
    ok: bool
    value: bytes


# ---- invocations --------------------------------------------------------------------------------------------------


class CallMade(Body, frozen=True, tag=10):
    """An agent (or a cell, as the root agent) invoked a method; this entry *is* the acceptance by the target.

    `value` holds the encoded list `[args, kwargs]`; `awaited` tells a call from a trigger.
    """

    target: int
    target_id: str
    method: str
    value: bytes
    awaited: bool
    key: str | None = None
    label: str | None = None


class CallRefused(Body, frozen=True, tag=11):
    """A call that could never be answered was refused with `DeadlockError`; `failure` is the encoded failure."""

    target_id: str
    method: str
    failure: bytes


class InvocationStarted(Body, frozen=True, tag=12):
    """Delivery: the target begins an accepted invocation (header: `invocation`)."""

    method: str
    value: bytes
    label: str | None = None


class InvocationFinished(Body, frozen=True, tag=13):
    """Operation: the method returned (`ok`, `value` is the result) or raised (`value` is an encoded failure)."""

    ok: bool
    value: bytes


class InvocationCancelled(Body, frozen=True, tag=14):
    """A queued invocation was withdrawn before it started. Hint, in the target's oplog.

    `failure` is for those who wait for it; empty when nobody does.
    """

    invocation: int
    failure: bytes = b""


class CallDelivered(Body, frozen=True, tag=15):
    """Delivery: the caller gets the outcome of the call it made at oplog index `op`."""

    op: int
    ok: bool
    value: bytes


class WaitDropped(Body, frozen=True, tag=16):
    """Operation: the code stopped waiting for what it began at index `op`; an outcome that comes later is dropped."""

    op: int


class CallScheduled(Body, frozen=True, tag=19):
    """Operation: a method is to be invoked at `due`, nanoseconds since the epoch; the entry's `seq` names this."""

    target_id: str
    method: str
    value: bytes
    due: int
    key: str | None = None
    label: str | None = None


class ScheduleFired(Body, frozen=True, tag=26):
    """A schedule came due; this entry *is* the acceptance by the target. Hint, in the target's oplog."""

    schedule: int


class ScheduleCancelled(Body, frozen=True, tag=27):
    """Operation: someone cancelled a schedule; `pending` is the answer, False when it had fired or was dropped.

    `again` stands in an atomic region that runs again: this agent cancelled it in the run that a crash undid, so the
    answer is the one that it was.
    """

    schedule: int
    pending: bool
    again: bool = False


# ---- promises -----------------------------------------------------------------------------------------------------


class PromiseCreated(Body, frozen=True, tag=20):
    """Operation: a promise; its id is agent, incarnation and this entry's index.

    In an atomic region, `task` is the place of the task that made it, empty for the region's own. `again` stands in one
    that runs again: the promise that was made at this index, in a run that a crash undid, is what the code got.
    """

    task: str = ""
    again: int = 0


class PromiseCompleted(Body, frozen=True, tag=21):
    """Operation: someone completed a promise; `first` is the answer: only the first completion stands.

    `again` stands in an atomic region that runs again: the first one, which stands, was this agent's in the run that a
    crash undid, with the same payload. So the answer is the one that it was.
    """

    owner: int
    promise: int
    value: bytes
    first: bool
    again: bool = False


class PromiseAwaited(Body, frozen=True, tag=22):
    """Operation: an agent waits for a promise."""

    owner: int
    promise: int


class PromiseDelivered(Body, frozen=True, tag=23):
    """Delivery: the agent gets the payload it waited for since index `op`; a failure when the promise ended unkept."""

    op: int
    value: bytes
    ok: bool = True


class PromiseRefused(Body, frozen=True, tag=24):
    """Operation: an agent named a promise that does not exist; `failure` is the encoded `PromiseNotFound`."""

    promise_id: str
    failure: bytes


class PromiseSeen(Body, frozen=True, tag=25):
    """Operation: an agent asked whether a promise is completed, and this was the answer."""

    owner: int
    promise: int
    completed: bool


# ---- time and effects ---------------------------------------------------------------------------------------------


class TimerSet(Body, frozen=True, tag=30):
    """Operation: a durable timer, due at `due` nanoseconds since the epoch."""

    due: int


class TimerFired(Body, frozen=True, tag=31):
    """Delivery: the timer set at index `op` is due."""

    op: int


class StepStarted(Body, frozen=True, tag=32):
    """Operation: the intent to run a side effect; on disk before it runs. `name` is the function's.

    In an atomic region, `task` is the place of the task that began it, empty for the region's own.
    """

    name: str
    idempotent: bool = True
    task: str = ""


class StepFinished(Body, frozen=True, tag=33):
    """Delivery: the outcome of the step begun at index `op`."""

    op: int
    ok: bool
    value: bytes
    attempts: int = 1


class StepRetried(Body, frozen=True, tag=35):
    """The step begun at index `op` failed, and is tried again at `due`; so far it was tried `attempts` times. Hint."""

    op: int
    attempts: int
    due: int
    failure: bytes


class StepRestarted(Body, frozen=True, tag=41):
    """The step begun at index `op` runs again, after it failed or was cut short; it was tried `attempts` times. Hint.

    On disk before it runs, as the step's first intent is.
    """

    op: int
    attempts: int


class RegionBegun(Body, frozen=True, tag=36):
    """Operation: an atomic region begins: a crash before its end undoes it, and it runs again as a whole."""


class RegionEnded(Body, frozen=True, tag=37):
    """Operation: the atomic region that began at index `op` is done.

    Promises that runs of it made which crashes undid, and that this one did not make again, end with `failure`: `left`
    are their indices.
    """

    op: int
    left: tuple[int, ...] = ()
    failure: bytes = b""


class SnapshotTaken(Body, frozen=True, tag=38):
    """The idle agent's state, for replay to begin here; `custom`: by `save_snapshot`, not the attributes. Hint."""

    value: bytes
    custom: bool = False


class SnapshotRefused(Body, frozen=True, tag=39):
    """The snapshot at index `snapshot` could not be loaded: the agent was replayed from further back. Hint."""

    snapshot: int
    failure: bytes


class Logged(Body, frozen=True, tag=34):
    """Something said by the agent's code: `print` (level `stdout`, `stderr`) or `wb.log`. Hint."""

    level: str
    message: str


# ---- fork ---------------------------------------------------------------------------------------------------------


class ForkMade(Body, frozen=True, tag=40):
    """Operation: `fork()`; this index is the cut. The original reads it as `Original`, the fork as `Forked`."""

    fork_id: str
    phantom: str


AnyBody = (
    SessionStarted
    | AgentCreated
    | AgentForked
    | AgentFailed
    | AgentDeleted
    | AgentInterrupted
    | AgentResumed
    | AgentReverted
    | AgentUpdated
    | NameAwaited
    | CallMade
    | CallRefused
    | InvocationStarted
    | InvocationFinished
    | InvocationCancelled
    | CallDelivered
    | WaitDropped
    | TypeDefined
    | ControlMade
    | CallScheduled
    | PromiseCreated
    | PromiseCompleted
    | PromiseAwaited
    | PromiseDelivered
    | PromiseRefused
    | PromiseSeen
    | ScheduleFired
    | ScheduleCancelled
    | TimerSet
    | TimerFired
    | StepStarted
    | StepFinished
    | Logged
    | StepRetried
    | StepRestarted
    | RegionBegun
    | RegionEnded
    | SnapshotTaken
    | SnapshotRefused
    | ForkMade
)
"""Every body there is, for the decoder."""


class Role(Enum):
    """What replay does with an entry."""

    DELIVERY = "delivery"
    OPERATION = "operation"
    HINT = "hint"


_DELIVERIES = (InvocationStarted, CallDelivered, PromiseDelivered, TimerFired, StepFinished)
_HINTS = (
    SessionStarted,
    AgentCreated,
    AgentForked,
    AgentFailed,
    AgentDeleted,
    AgentInterrupted,
    AgentResumed,
    AgentReverted,
    AgentUpdated,
    NameAwaited,
    TypeDefined,
    InvocationCancelled,
    ScheduleFired,
    StepRetried,
    StepRestarted,
    SnapshotTaken,
    SnapshotRefused,
    Logged,
)

KINDS: Final[dict[int, type[Body]]] = {cls.__struct_config__.tag: cls for cls in AnyBody.__args__}
"""Number on disk -> kind."""

KIND_NUMBERS: Final[dict[type[Body], int]] = {cls: number for number, cls in KINDS.items()}
ROLES: Final[dict[type[Body], Role]] = {
    cls: Role.DELIVERY if cls in _DELIVERIES else Role.HINT if cls in _HINTS else Role.OPERATION
    for cls in KINDS.values()
}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the log.

    Attributes:
        seq: place in the total order of the store, from 1.
        agent: uid of the agent whose oplog this is.
        index: place in that oplog, from 1; a fork counts on from its cut.
        cause: `seq` of the entry that led to this one, 0 for none.
        invocation: the invocation it belongs to, named by the `seq` of its acceptance, 0 for none.
        wall: nanoseconds since the epoch.
        mono: nanoseconds of the session's monotonic clock.
        line: where the code asked for it, `file:line`, or empty.
        body: what happened.
    """

    seq: int
    agent: int
    index: int
    cause: int
    invocation: int
    wall: int
    mono: int
    line: str
    body: Body

    @property
    def kind(self) -> str:
        """Name of the kind, as `CallMade`."""
        return type(self.body).__name__


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(AnyBody)


def encode_body(body: Body) -> bytes:
    """MessagePack of a body, with its kind's number as the first element."""
    return _encoder.encode(body)


def decode_body(data: bytes) -> Body:
    """The body that `encode_body` wrote.

    Raises:
        msgspec.DecodeError: the bytes hold no known kind.
        RecursionError, UnicodeDecodeError: they hold what no body holds.
    """
    return _decoder.decode(data)
