"""The log as the session writes it: entries are stamped, applied and gathered into a batch; batches go to the writer.

A batch never ends in the middle of a delivery: a lost tail of the log is a consistent suffix of the session. While the
writer commits one batch, the next is gathered, so there is one commit per turn or group of turns.

Now and then a *checkpoint* of the state follows a batch, so that the next opening need not fold the whole log.

What leaves the session (a result for a cell, a step that starts, a line that was printed) is *released* only when the
entries that led to it are committed. What stays inside (agent to agent) does not wait.

When there is no room to write, the batch is *held back* with all that comes after it, and tried again until there is.

When the store cannot be read, the journal is *broken* from that moment, as after a write that failed: what agents make
of an oplog that they did not get is no outcome of theirs, and nothing of it is written or told.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, Protocol

from workbench.core import checkpoint
from workbench.core.decisions import Draft
from workbench.core.lineage import Segment
from workbench.core.nouns import Agent, Invocation
from workbench.core.state import State
from workbench.errors import StoreError, StoreFullError
from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.runtime.clock import Clock
from workbench.runtime.writer import Done, Writer
from workbench.store.faults import reach
from workbench.store.feed import Feed
from workbench.store.log import Log

Question = Callable[[State], Any]
"""What is asked of the state by somebody who only reads."""


class Listener(Protocol):
    """Who acts on entries as soon as they are applied: the engine."""

    def wake(self) -> None:
        """The state's `wakes` name agents that have something due."""

    def forked(self, uid: int, body: e.AgentForked) -> None:
        """A fork came into being."""

    def heard(self, agent: Agent, entry: Entry, body: Body, before: Invocation | None) -> None:
        """One of the entries in `HEARD` was applied; `before` is the invocation that the agent ran until then."""


HEARD: Final = frozenset(
    {
        e.InvocationFinished,
        e.CallMade,
        e.PromiseCompleted,
        e.WaitDropped,
        e.AgentFailed,
        e.AgentDeleted,
        e.AgentInterrupted,
        e.AgentReverted,
        e.InvocationCancelled,
        e.CallScheduled,
        e.ScheduleCancelled,
        e.ScheduleFired,
    }
)
"""What matters outside the state too."""


SOURCES: Final = 8
"""Agents that were forked last, whose entries are kept in memory for their next forks."""
SOURCE_ENTRIES: Final = 10_000
"""Entries of an oplog that are kept so at most."""


class Pace(NamedTuple):
    """When a checkpoint is written. To make one stops the session's thread for 4 µs an agent, 0.3 µs a key.

    Attributes:
        entries: that came since the last one, in a running session; to fold so many takes 0.2 to 0.7 s.
        per_agent: the same, for each agent there is: work done for many agents is held up by 3 % at most.
        closing: entries since the last one, when the session ends; to fold so many takes 10 to 30 ms.
        agents: that there may be at most in a running session, which is held up by 50 ms then.
        size: bytes that the last one may have had, likewise.
    """

    entries: int = 50_000
    per_agent: int = 10
    closing: int = 2_000
    agents: int = 12_000
    size: int = 8_000_000


class Unacknowledged(NamedTuple):
    """What somebody outside is told as soon as entry `upto` is committed; `question` as in `Journal.acknowledge`."""

    upto: int
    settle: Callable[[], object]
    question: "Question | None"


class Journal:
    """The writing side of one store. On the session's thread only.

    Args:
        log: where entries are kept.
        clock: what they are stamped with.
        written: called on the writer's thread after each batch, with the error when it did not commit.
    """

    listener: Listener
    """The engine, which sets itself here before the first entry."""

    def __init__(self, log: Log, clock: Clock, written: Done) -> None:
        self.log, self.clock = log, clock
        self.state = State()
        self.feed = Feed(log)
        self.wall = self.mono = self.cause = 0
        """What the next entries are stamped with."""
        self.committed = log.last_seq
        self.writing = False
        """Whether a batch is with the writer."""
        self.halted = False
        """While a crash is simulated, nothing more goes to the writer."""
        self.broken: BaseException | None = None
        """Why nothing more is written: the log could not be written, or not be read."""
        self.full: StoreFullError | None = None
        """Why a batch is held back, while there is no room to write it."""
        self.pace = Pace()
        self._checkpointed = self._checkpoint_bytes = 0
        self._buffer: list[Entry] = []
        self._handed_over: Sequence[Entry] = ()
        self._sources: dict[tuple[int, int], list[Entry]] = {}
        self._releases: deque[tuple[int, Callable[[], object]]] = deque()
        self._unacknowledged: dict[Future[Any], Unacknowledged] = {}
        self._writer = Writer(log, written)

    def tick(self) -> None:
        """Read the clocks for what happens next."""
        self.wall, self.mono = self.clock.both()

    # ---- appending -----------------------------------------------------------------------------------------------

    def append(self, uid: int, body: Body, line: str = "") -> Entry:
        """Stamp, apply and keep one entry."""
        agent = self.state.agents.get(uid)
        if agent is None:
            return self._append_first(uid, body, line)
        return self.append_to(agent, body, line, 0)

    def append_to(self, agent: Agent, body: Body, line: str, invocation: int) -> Entry:
        """As `append`, for an agent that exists; `invocation` is 0 for the one that it runs."""
        state = self.state
        current = agent.current
        if current is not None and not invocation:
            invocation = current.seq
        entry = Entry(
            state.seq + 1, agent.uid, agent.index + 1, self.cause, invocation, self.wall, self.mono, line, body
        )
        state.apply(entry)
        self._buffer.append(entry)
        if state.wakes:
            self.listener.wake()
        if type(body) in HEARD:
            self.listener.heard(agent, entry, body, current)
        return entry

    def _append_first(self, uid: int, body: Body, line: str) -> Entry:
        """The entry that brings an agent into being."""
        index = body.cut + 1 if isinstance(body, e.AgentForked) else 1
        entry = Entry(self.state.seq + 1, uid, index, self.cause, 0, self.wall, self.mono, line, body)
        self.state.apply(entry)
        self._buffer.append(entry)
        if isinstance(body, e.AgentForked):
            self.listener.forked(uid, body)
        return entry

    def append_all(self, drafts: Sequence[Draft], line: str = "") -> list[Entry]:
        """Stamp, apply and keep the entries of one decision."""
        return [self.append(uid, body, line) for uid, body in drafts]

    # ---- reading -------------------------------------------------------------------------------------------------

    def read_committed(self, uid: int, first: int, last: int) -> list[Entry]:
        """An agent's committed entries between two indices.

        Raises:
            StoreError: the store cannot be read; the journal is broken then, whatever becomes of the error.
        """
        try:
            return self.log.read_oplog(uid, first, last)
        except StoreError as error:
            self.broken = self.broken or error
            raise

    def read_source(self, uid: int, first: int, last: int) -> Sequence[Entry]:
        """As `read_committed`, of an agent that another was forked from: kept for its next fork.

        Ten forks of a history of 200 entries are rebuilt in two thirds of the time.
        """
        known = self._sources.pop((uid, first), [])
        if len(known) <= last - first:
            known = [*known, *self.read_committed(uid, first + len(known), last)]
        if len(known) <= SOURCE_ENTRIES:
            self._sources[uid, first] = known
            if len(self._sources) > SOURCES:
                del self._sources[next(iter(self._sources))]
        return known[: last - first + 1]

    def read_oplog(self, parts: Iterable[Segment]) -> list[Entry]:
        """An agent's entries, those that are not committed yet included.

        Raises:
            StoreError: as `read_committed`.
        """
        found: list[Entry] = []
        for uid, first, last in parts:
            committed = self.committed
            found += [entry for entry in self.read_committed(uid, first, last) if entry.seq <= committed]
            found += [
                entry
                for entry in (*self._handed_over, *self._buffer)
                if entry.agent == uid and first <= entry.index <= last and entry.seq > committed
            ]
        return found

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def begin_at(self, state: State) -> None:
        """Go on from a state that was folded before: a checkpoint of it is there."""
        self.state, self._checkpointed = state, state.seq

    def _keep(self, entries: int) -> None:
        """Have a checkpoint written after the batch that was handed over, if so many entries came since the last."""
        state = self.state
        if state.seq - self._checkpointed >= entries and self.log.keeps_checkpoints:
            data = checkpoint.write(state)
            self._checkpointed, self._checkpoint_bytes = state.seq, len(data)
            self._writer.keep(state.seq, data)

    def keep_at_close(self) -> None:
        """Have a checkpoint written of what is committed, if it is worth it."""
        if self.broken is None and self.state.seq == self.committed:
            self._keep(self.pace.closing)

    # ---- committing ----------------------------------------------------------------------------------------------

    @property
    def uncommitted(self) -> int:
        """Entries that no batch holds yet."""
        return len(self._buffer)

    def flush(self) -> None:
        """Hand all new entries to the writer, unless it has a batch already."""
        if self._buffer and not self.writing and not self.halted and self.trouble is None:
            batch, self._buffer = self._buffer, []
            self._handed_over = batch
            self.writing = True
            reach("batch.handover")
            self._writer.put(batch)
            agents, pace = len(self.state.agents), self.pace
            if agents <= pace.agents and self._checkpoint_bytes <= pace.size:
                self._keep(max(pace.entries, pace.per_agent * agents))

    @property
    def trouble(self) -> BaseException | None:
        """Why nothing is written now."""
        return self.broken or self.full

    def try_again(self) -> None:
        """Hand the batch that is held back to the writer once more."""
        if self.full is not None and not self.writing and not self.halted and self.broken is None:
            self.writing = True
            self._writer.put(self._handed_over)

    def confirm(self, batch: Sequence[Entry]) -> None:
        """The writer has committed a batch: publish it, and release what waited for it."""
        self.committed = batch[-1].seq
        self.full = None
        self._handed_over = ()
        reach("feed.publish")
        self.feed.lag = self.clock.both()[1] - batch[0].mono
        self.feed.publish(batch)
        releases = self._releases
        while releases and releases[0][0] <= self.committed:
            reach("release")
            releases.popleft()[1]()

    def release(self, action: Callable[[], object], upto: int | None = None) -> None:
        """Do something that leaves the session, once all entries written so far are committed.

        Args:
            action: what to do.
            upto: the last entry (`seq`) that it rests on, when that is known: if that one is committed, it waits for
                no other.
        """
        if self.committed >= (self.state.seq if upto is None else upto):
            reach("release")
            action()
        else:
            self._releases.append((self.state.seq, action))

    def acknowledge(
        self,
        future: "Future[Any]",
        settle: Callable[[], object],
        question: "Question | None" = None,
        upto: int | None = None,
    ) -> None:
        """Settle a future once what was written so far is committed; a crash before that fails it.

        Args:
            future: of somebody outside.
            settle: gives it what it waits for.
            question: what it asks of the state, when that is all: see `take_questions`.
            upto: as for `release`.
        """

        def release() -> None:
            if future in self._unacknowledged:
                del self._unacknowledged[future]
                settle()

        self._unacknowledged[future] = Unacknowledged(self.state.seq if upto is None else upto, settle, question)
        self.release(release, upto)

    def take_questions(self) -> "list[tuple[Future[Any], Question]]":
        """Who only asks something of the state and waits for a commit; from now on they do not wait here."""
        asked = [(future, held.question) for future, held in self._unacknowledged.items() if held.question is not None]
        for future, _ in asked:
            del self._unacknowledged[future]
        return asked

    # ---- endings -------------------------------------------------------------------------------------------------

    def drop_unwritten(self) -> None:
        """Lose the entries that no batch holds, as a crash does."""
        self._buffer.clear()
        self._handed_over = ()
        self.full = None

    def drop_releases(self) -> "dict[Future[Any], Unacknowledged]":
        """Forget what waits for a commit; the futures that will not be settled now."""
        dropped, self._unacknowledged = self._unacknowledged, {}
        self._releases.clear()
        return dropped

    def close(self) -> None:
        """End the writer after the batches it has."""
        self._writer.stop()
