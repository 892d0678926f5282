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


class Body(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Base of all entry bodies. `value` fields hold MessagePack bytes of the codec."""


# ---- the life of an agent ----------------------------------------------------------------------------------------


class SessionStarted(Body, frozen=True, tag=1):
    """The store was opened by a process. Hint, in the root agent's oplog."""

    pid: int
    host: str


class AgentCreated(Body, frozen=True, tag=2):
    """First entry of an agent's oplog. `parameters` is the JSON list of constructor parameters."""

    agent_id: str
    type_name: str
    parameters: str
    spawned_by: int
    ephemeral: bool = False


class AgentForked(Body, frozen=True, tag=3):
    """First own entry of a fork: its oplog up to `cut` is its source's, shared by reference.

    `inside` tells a fork made by `fork()` (the cut is that call) from one made from outside at an index.
    """

    agent_id: str
    source: int
    cut: int
    inside: bool


class AgentFailed(Body, frozen=True, tag=4):
    """The agent stopped by itself (divergence, a replay that cannot go on). Hint. `failure` is an encoded failure."""

    failure: bytes


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
    """A queued invocation was withdrawn before it started. Hint, in the target's oplog."""

    invocation: int


class CallDelivered(Body, frozen=True, tag=15):
    """Delivery: the caller gets the outcome of the call it made at oplog index `op`."""

    op: int
    ok: bool
    value: bytes


class WaitDropped(Body, frozen=True, tag=16):
    """Operation: the code stopped waiting for what it began at index `op`; an outcome that comes later is dropped."""

    op: int


# ---- promises -----------------------------------------------------------------------------------------------------


class PromiseCreated(Body, frozen=True, tag=20):
    """Operation: a promise; its id is agent, incarnation and this entry's index."""


class PromiseCompleted(Body, frozen=True, tag=21):
    """Operation: someone completed a promise; `first` is the answer: only the first completion stands."""

    owner: int
    promise: int
    value: bytes
    first: bool


class PromiseAwaited(Body, frozen=True, tag=22):
    """Operation: an agent waits for a promise."""

    owner: int
    promise: int


class PromiseDelivered(Body, frozen=True, tag=23):
    """Delivery: the agent gets the payload it waited for since index `op`."""

    op: int
    value: bytes


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
    """Operation: the intent to run a side effect; on disk before it runs. `name` is the function's."""

    name: str
    idempotent: bool = True


class StepFinished(Body, frozen=True, tag=33):
    """Delivery: the outcome of the step begun at index `op`."""

    op: int
    ok: bool
    value: bytes
    attempts: int = 1


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
    | CallMade
    | CallRefused
    | InvocationStarted
    | InvocationFinished
    | InvocationCancelled
    | CallDelivered
    | WaitDropped
    | PromiseCreated
    | PromiseCompleted
    | PromiseAwaited
    | PromiseDelivered
    | PromiseRefused
    | PromiseSeen
    | TimerSet
    | TimerFired
    | StepStarted
    | StepFinished
    | Logged
    | ForkMade
)
"""Every body there is, for the decoder."""


class Role(Enum):
    """What replay does with an entry."""

    DELIVERY = "delivery"
    OPERATION = "operation"
    HINT = "hint"


_DELIVERIES = (InvocationStarted, CallDelivered, PromiseDelivered, TimerFired, StepFinished)
_HINTS = (SessionStarted, AgentCreated, AgentForked, AgentFailed, InvocationCancelled, Logged)

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
    """
    return _decoder.decode(data)
