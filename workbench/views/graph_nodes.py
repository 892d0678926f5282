"""What the agent graph is made of: nodes, waits, and the numbers of statuses and links.

To add a status, add it to `Status` and to `status_number`; the numbers are the wire format, shared with the front end's
`graph_store.js`.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec


class Status(IntEnum):
    """What a node shows. The numbers travel to the front end: a new status takes the next free one.

    Where `client.status()` has a word, this is the same word for the same thing, only closer looked at:

    | `client.status()` | here |
    |---|---|
    | `running` | `queued` (accepted, not begun), `running`, `waiting` (for agents that it called) |
    | `idle` | `idle` (never invoked), `done`, `failed` (its last invocation raised, and it takes new ones) |
    | `exited` | `exited`, also here `failed` when it is ephemeral and raised |
    | `suspended`, `interrupted`, `retrying`, `failed`, `undefined` | the same |
    """

    IDLE = 0
    QUEUED = 1
    RUNNING = 2
    WAITING = 3
    DONE = 4
    FAILED = 5
    UNDEFINED = 6
    SUSPENDED = 7
    INTERRUPTED = 8
    RETRYING = 9
    EXITED = 10

    @property
    def word(self) -> str:
        """The status as people read it, `running`."""
        return self.name.lower()


BUSY: Final = frozenset({Status.RUNNING, Status.WAITING, Status.SUSPENDED, Status.RETRYING})
"""An invocation is under way, and goes on by itself or when something comes."""
LOUD: Final = frozenset({Status.FAILED, Status.INTERRUPTED})
"""Somebody should look at it: it is drawn also where its siblings are folded."""


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


# Members as plain numbers: looking up an enum's member costs as much as all the rest of `status_number`.
_IDLE, _QUEUED, _RUNNING, _WAITING, _DONE, _FAILED, _UNDEFINED, _SUSPENDED, _INTERRUPTED, _RETRYING, _EXITED = (
    int(s) for s in Status
)
_STATUSES: Final = tuple(Status)


class Wait(msgspec.Struct, gc=False):
    """Something begun and not yet given: `agent` waits for `on` (an agent's uid, or 0 for timers and steps).

    Attributes:
        key: names the edge; the `seq` of the entry, or a negative number for a wait that came with a fork or a revert.
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


class Retry(NamedTuple):
    """A step that is tried again: `attempts` so far, when the next begins, and why the last one failed.

    `due` is in wall nanoseconds, 0 while an attempt is under way. `failure` is encoded, empty when the process ended
    before the attempt did.
    """

    attempts: int
    due: int
    failure: bytes


class GraphNode(msgspec.Struct, gc=False):
    """One agent. Read it; only the fold writes it.

    Attributes:
        slot: place in order of creation, from 0.
        uid: the agent's uid.
        agent_id: text of its id.
        parent: slot of who spawned or was forked into it, -1 for the root.
        origin: how it came to be.
        since: when the current state of affairs began (created, accepted, started, finished, interrupted, ...), wall
            nanoseconds.
        pending: accepted invocations that have not started.
        running: the invocation under way, 0 for none.
        steps: how many of the open waits are steps; `sleeps`: how many are for promises and timers.
        waits: oplog index -> open wait; None until the first.
        ran: invocations ended well; `raised`: ended with an error.
        outcome: the last invocation's end, None before the first.
        method: the method that runs, or ran last; `label`: the name its caller gave to the work.
        failure: encoded failure of the last invocation that raised; `broken`: of the agent itself.
        retries: by oplog index, the open steps that are tried again; None until the first.
        ephemeral: it ends with its first invocation.
        halted: 0, or the number of the status of an agent that does nothing before somebody does something about it:
            failed, interrupted, exited (that is, deleted).
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
    sleeps: int = 0
    waits: dict[int, Wait] | None = None
    ran: int = 0
    raised: int = 0
    refused: int = 0
    outcome: bool | None = None
    method: str = ""
    label: str | None = None
    failure: bytes | None = None
    broken: bytes | None = None
    retries: dict[int, Retry] | None = None
    undefined: bool = False
    ephemeral: bool = False
    halted: int = 0

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
        ephemeral, halted, broken: as in `GraphNode`.
        keys: its invocations by idempotency key; a call with one of them is no new one.
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
    ephemeral: bool = False
    halted: int = 0
    broken: bytes | None = None
    keys: Mapping[str, int] = MappingProxyType({})


def status_of(node: GraphNode) -> Status:
    """The status of a node; a step under way counts as running."""
    return _STATUSES[status_number(node)]


def status_number(node: GraphNode) -> int:
    """`status_of` as a plain number, for packets."""
    if node.halted:
        return node.halted
    if node.running:
        number = _doing(node) if node.waits else _RUNNING
    elif node.pending:
        number = _QUEUED
    elif node.outcome:
        return _EXITED if node.ephemeral else _DONE
    elif node.outcome is not None:
        return _FAILED
    elif node.waits:
        number = _WAITING
    else:
        return _IDLE
    return _UNDEFINED if node.undefined else number


def _doing(node: GraphNode) -> int:
    """What an agent does that runs and has open waits."""
    if node.retries and any(retry.due for retry in node.retries.values()):
        return _RETRYING
    if node.steps:
        return _RUNNING
    return _SUSPENDED if node.sleeps == len(node.waits or ()) else _WAITING
