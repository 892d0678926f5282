"""What the agent graph is made of: nodes, waits, and the numbers of statuses and links.

To add a status, add it to `Status` and to `status_number`; the numbers are the wire format, shared with the front end's
`agent_graph_store.js`.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec


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


# Members as plain numbers: looking up an enum's member costs as much as all the rest of `status_number`.
_IDLE, _QUEUED, _RUNNING, _WAITING, _DONE, _FAILED, _UNDEFINED = (int(s) for s in Status)
_STATUSES: Final = tuple(Status)


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
