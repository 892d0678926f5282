"""Forks share their source's oplog by reference: where the parts of an agent's oplog stand, and replay along them.

A fork's oplog is its source's up to the cut and then its own, and so on back to an agent that was not forked. The entry
at the cut of a fork made by `fork()` is the source's `ForkMade`; read along the fork's lineage it means "you are the
fork", read along any other "you are the original".
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from workbench.core.state import State
from workbench.model.entries import ROLES, Body, Entry, Logged, Role


class Segment(NamedTuple):
    """Oplog indices `first` to `last` of agent `uid`."""

    uid: int
    first: int
    last: int


def segments(state: State, uid: int, upto: int | None = None) -> list[Segment]:
    """The parts that make up an agent's oplog, oldest first, without what was reverted.

    Args:
        state: of the session.
        uid: whose.
        upto: the last index that counts; by default the newest.
    """
    agent = state.agents[uid]
    last = agent.index if upto is None else upto
    parts: list[Segment] = []  # newest first
    while True:
        first = agent.cut + 1
        for to, at in reversed(agent.reverts):
            if at <= last:
                if at < last:
                    parts.append(Segment(agent.uid, at + 1, last))
                last = to
        if first <= last:
            parts.append(Segment(agent.uid, first, last))
        if not agent.source:
            parts.reverse()
            return parts
        last = min(last, agent.cut)
        agent = state.agents[agent.source]


def newest_snapshot(state: State, parts: Sequence[Segment]) -> int:
    """Index of the newest snapshot that lies in these parts of an oplog, 0 for none."""
    for uid, first, last in reversed(parts):
        for index in reversed(state.agents[uid].snapshots or ()):
            if first <= index <= last:
                return index
    return 0


def forked_at(state: State, uid: int) -> set[tuple[int, int]]:
    """Uid and index of each `fork()` at which this lineage left its source."""
    found: set[tuple[int, int]] = set()
    agent = state.agents[uid]
    while agent.source:
        if agent.inside:
            found.add((agent.source, agent.cut))
        agent = state.agents[agent.source]
    return found


class Resumption(NamedTuple):
    """Where an oplog goes on later than it was: by a fork from outside, or after a revert."""

    uid: int
    at: int
    """Index of the `AgentForked` or `AgentReverted` of agent `uid`."""
    after: int
    """What is done anew has higher indices than this."""


def resumptions(state: State, uid: int) -> list[Resumption]:
    """Where the oplog that counts goes on later, newest first. A `fork()` goes on at once."""
    found: list[Resumption] = []
    agent = state.agents[uid]
    last = agent.index
    while True:
        for to, at in reversed(agent.reverts):
            if at <= last:
                found.append(Resumption(agent.uid, at, at))
                last = to
        if not agent.source:
            return found
        if not agent.inside:
            found.append(Resumption(agent.uid, agent.cut + 1, agent.cut))
        last = min(last, agent.cut)
        agent = state.agents[agent.source]


class Cursor:
    """Replay's place in an oplog: what comes next, and whether the past is used up.

    Args:
        entries: the oplog along the lineage, in order of index.
        forked: see `forked_at`.
    """

    __slots__ = ("_at", "_entries", "_forked")

    def __init__(self, entries: Sequence[Entry], forked: Collection[tuple[int, int]] = ()) -> None:
        self._entries = entries
        self._at = 0
        self._forked = forked

    @property
    def live(self) -> bool:
        """Nothing is left but hints: what the code asks for now is new."""
        self._skip_hints()
        return self._at >= len(self._entries)

    @property
    def identity(self) -> int | None:
        """Uid of the agent that the code is at this point: the owner of the next entry; None past the end."""
        return self._entries[self._at].agent if self._at < len(self._entries) else None

    @property
    def index(self) -> int | None:
        """Index of the next entry; None past the end."""
        return self._entries[self._at].index if self._at < len(self._entries) else None

    def past(self, index: int) -> bool:
        """Whether the next delivery or operation lies behind this index, or is none yet."""
        for at in range(self._at, len(self._entries)):
            entry = self._entries[at]
            if ROLES[type(entry.body)] is not Role.HINT:
                return entry.index > index
        return True

    def _skip_hints(self) -> None:
        entries, at = self._entries, self._at
        while at < len(entries) and ROLES[type(entries[at].body)] is Role.HINT:
            at += 1
        self._at = at

    def said_before(self, level: str, message: str) -> bool:
        """Whether this `Logged` stands in the oplog (then it is silent now); steps over it."""
        if self._at < len(self._entries):
            body = self._entries[self._at].body
            if isinstance(body, Logged) and (body.level, body.message) == (level, message):
                self._at += 1
                return True
        return not self.live

    def peek(self) -> Entry | None:
        """The next delivery or operation, or None."""
        self._skip_hints()
        return self._entries[self._at] if self._at < len(self._entries) else None

    def take(self) -> Entry:
        """Step over what `peek` showed."""
        entry = self._entries[self._at]
        self._at += 1
        return entry

    def is_fork_side(self, entry: Entry) -> bool:
        """Whether this `ForkMade` is where this lineage was forked off."""
        return (entry.agent, entry.index) in self._forked

    def next_is(self, kind: type[Body]) -> bool:
        """Whether the next delivery or operation is of this kind."""
        entry = self.peek()
        return entry is not None and isinstance(entry.body, kind)
