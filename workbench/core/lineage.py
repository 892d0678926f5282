"""Forks share their source's oplog by reference: where the parts of an agent's oplog stand, and replay along them.

A fork's oplog is its source's up to the cut and then its own, and so on back to an agent that was not forked. The entry
at the cut of a fork made by `fork()` is the source's `ForkMade`; read along the fork's lineage it means "you are the
fork", read along any other "you are the original".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from workbench.core.state import State
from workbench.model.entries import ROLES, AgentForked, Body, Entry, ForkMade, Logged, Role


class Segment(NamedTuple):
    """Oplog indices `first` to `last` of agent `uid`."""

    uid: int
    first: int
    last: int


def segments(state: State, uid: int) -> list[Segment]:
    """The parts that make up an agent's oplog, oldest first."""
    agent = state.agents[uid]
    parts: list[Segment] = []
    last = agent.index
    while True:
        parts.append(Segment(agent.uid, agent.cut + 1, last))
        if not agent.source:
            parts.reverse()
            return parts
        last = agent.cut
        agent = state.agents[agent.source]


class Cursor:
    """Replay's place in an oplog: what comes next, and whether the past is used up.

    Args:
        entries: the whole oplog along the lineage, in order of index.
    """

    __slots__ = ("_at", "_entries", "_forked_at")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._at = 0
        self._forked_at = {
            before.seq
            for before, after in pairwise(entries)
            if isinstance(before.body, ForkMade) and isinstance(after.body, AgentForked) and after.body.inside
        }

    @property
    def live(self) -> bool:
        """Nothing is left but hints: what the code asks for now is new."""
        self._skip_hints()
        return self._at >= len(self._entries)

    @property
    def identity(self) -> int | None:
        """Uid of the agent that the code is at this point: the owner of the next entry; None past the end."""
        return self._entries[self._at].agent if self._at < len(self._entries) else None

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
        return entry.seq in self._forked_at

    def next_is(self, kind: type[Body]) -> bool:
        """Whether the next delivery or operation is of this kind."""
        entry = self.peek()
        return entry is not None and isinstance(entry.body, kind)
