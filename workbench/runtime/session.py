"""Sessions: run agents, read what happened. The public face of the session's thread; `opening` begins one."""

import asyncio
import contextvars
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from workbench.core.lineage import segments
from workbench.core.nouns import ROOT_UID, Agent, status_of
from workbench.errors import SessionClosedError, UnknownAgentError
from workbench.ids import AgentId
from workbench.model.agent_type import registry
from workbench.model.codec import KnownTypes
from workbench.model.entries import CallMade, Entry
from workbench.runtime import graphs
from workbench.runtime.answer import uninterrupted
from workbench.runtime.awaiting import outside
from workbench.runtime.clock import Clock
from workbench.runtime.current import refuse_blocking
from workbench.runtime.printing import record_prints, stop_recording_prints
from workbench.runtime.session_thread import SessionThread
from workbench.store.feed import Feed
from workbench.store.lock import StoreLock
from workbench.store.log import Log

if TYPE_CHECKING:
    import networkx as nx


class AgentInfo(NamedTuple):
    """What `session.agents()` tells of an agent."""

    agent_id: str
    status: str
    queued: int
    finished: int
    failed: int
    entries: int
    waits: int
    parent: str
    forked_from: str


class Session:
    """A running store. Make one with `wb.start`; use it as a context manager to have it closed.

    Everything here may be called from any thread, from sync and async code. What waits for agents is awaitable; what
    only reads or submits is a plain call.
    """

    def __init__(
        self,
        path: str,
        log: Log,
        lock: StoreLock | None,
        clock: Clock,
        when_closed: Callable[["Session"], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._log, self._lock, self._when_closed = log, lock, when_closed
        self._closing = threading.Lock()
        self._closed = self._ended = False
        self._pid = os.getpid()
        try:
            self._thread = SessionThread(log, clock, registry, (os.getpid(), socket.gethostname()))
        except BaseException:
            log.close()
            if lock is not None:
                lock.release()
            raise
        record_prints()

    # ---- life --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit, stop the agents where they are, give the store back. They go on when it is started again.

        Raises:
            NotInAgentError: in an agent or an async step, which cannot outlive it.
        """
        refuse_blocking("session.close", "close the session in a cell")
        self._closed = True  # from now on `start` gives another one
        uninterrupted(self.end)

    def end(self) -> None:
        """As `close`, and on this very thread: for when Python ends and no other can be started."""
        with self._closing:
            if self._ended:
                return
            self._closed = self._ended = True
            stop_recording_prints()
            if self._pid == os.getpid():
                self._thread.close()
                if self._lock is not None:
                    self._lock.release()
        self._when_closed(self)

    @property
    def closed(self) -> bool:
        """Whether the session was closed."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def __repr__(self) -> str:
        return f"<session on {Path(self.path).name}{', closed' if self._closed else ''}>"

    def disown(self) -> None:
        """In a child made with `os.fork`: the lock on the store is the parent's."""
        if self._lock is not None:
            self._lock.forget()

    @property
    def thread(self) -> SessionThread:
        """The thread that runs the agents.

        Raises:
            SessionClosedError: this process was forked off the one that it runs in.
        """
        if self._pid != os.getpid():
            raise SessionClosedError(
                f"the session on {self.path} belongs to process {self._pid}",
                "a forked child has no part in it",
                "start a session of its own, on another store",
            )
        return self._thread

    # ---- doing -------------------------------------------------------------------------------------------------------

    def invoke(
        self,
        target: AgentId,
        request: CallMade,
        known: KnownTypes,
        line: str,
        context: contextvars.Context,
    ) -> "Future[Any]":
        """Call or trigger a method from outside; for clients."""
        return self.thread.requests.invoke(target, request, known, line, context)

    async def result(self, agent_id: AgentId | str) -> Any:
        """The result of an agent's present invocation, or else of its last: how one reads what a fork returned.

        Raises:
            LookupError: the agent does not exist or was never invoked.
            InvocationError: the invocation raised.
        """
        return await outside(self.thread.requests.result(str(agent_id)))

    async def at_rest(self) -> None:
        """Wait until no agent can go on by itself: all are idle, or wait for promises or timers."""
        await outside(self.thread.at_rest())

    def simulate_crash(self) -> None:
        """Lose all that a killed process would lose (every instance, all uncommitted entries), then recover.

        Who awaits a result that was accepted before goes on waiting and gets it. For lessons and for tests.
        """
        refuse_blocking("simulate_crash", "call it in a cell")
        self.thread.crash().result()

    # ---- reading -----------------------------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """The committed entries, for views."""
        return self.thread.feed

    def status(self, agent_id: str) -> "Future[str]":
        """The status of an agent, `idle` when it does not exist yet."""

        def read() -> str:
            agent = thread.state.find(agent_id)
            return "idle" if agent is None else self._status(agent)

        thread = self.thread
        return thread.ask(read)

    def _status(self, agent: Agent) -> str:
        return status_of(agent, defined=registry.find(agent.type_name) is not None)

    def agents(self) -> list[AgentInfo]:
        """All agents, in the order in which they came into being, without the root."""
        thread = self.thread

        def read() -> list[AgentInfo]:
            agents = thread.state.agents
            return [self._info(a, agents) for a in agents.values() if a.uid != ROOT_UID and not a.deleted]

        found: list[AgentInfo] = thread.ask(read).result()
        return found

    def _info(self, agent: Agent, agents: dict[int, Agent]) -> AgentInfo:
        parent, source = agents.get(agent.spawned_by), agents.get(agent.source)
        return AgentInfo(
            agent.text,
            self._status(agent),
            len(agent.queue or ()),
            agent.finished,
            agent.raised,
            agent.index,
            len(agent.waits),
            parent.text if parent else "",
            source.text if source else "",
        )

    def earlier_agents(self, upto: int) -> "dict[int, tuple[str, int, bool, int, str, int, int, int, bool | None]]":
        """The agents created up to a `seq`, for a view that begins there; the fields are `views.graph.Earlier`'s."""
        thread = self.thread

        def read() -> dict[int, tuple[str, int, bool, int, str, int, int, int, bool | None]]:
            return {
                a.uid: (
                    a.text,
                    a.spawned_by,
                    bool(a.source),
                    a.current.seq if a.current else 0,
                    a.current.method if a.current else "",
                    len(a.queue or ()),
                    a.finished - a.raised,
                    a.raised,
                    a.last.ok if a.last else None,
                )
                for a in thread.state.agents.values()
                if a.uid <= upto
            }

        found: dict[int, tuple[str, int, bool, int, str, int, int, int, bool | None]] = thread.ask(read).result()
        return found

    def oplog(self, agent_id: AgentId | str) -> list[Entry]:
        """The committed entries of an agent, oldest first; a fork's begin with what it shares with its source.

        Raises:
            UnknownAgentError: no such agent.
        """
        thread = self.thread

        def read() -> Any:
            agent = thread.state.find(str(agent_id))
            if agent is None:
                raise UnknownAgentError(
                    f"no agent {agent_id}", "it was never invoked in this store", "see session.agents()"
                )
            return segments(thread.state, agent.uid)

        parts = thread.ask(read).result()
        return [entry for part in parts for entry in self._log.read_oplog(*part)]

    def graph(self) -> "nx.DiGraph[str]":
        """The agents as a directed graph, as of now.

        Nodes are agent ids, with `type`, `status`, `method` (that runs, or empty), `queued`, `finished`, `raised`,
        `entries`. Edges have a `kind`: `spawn` (parent to child), `fork` (source to fork), `wait`; any edge along which
        an agent waits has `waits_for`, `since` (wall nanoseconds) and `line` too.
        """
        thread = self.thread
        found: nx.DiGraph[str] = thread.ask(lambda: graphs.agent_graph(thread.state)).result()
        return found

    def fork_tree(self) -> "nx.DiGraph[str]":
        """The forks as a graph from source to fork; nodes as in `graph`, edges have the `cut` (oplog index)."""
        thread = self.thread
        found: nx.DiGraph[str] = thread.ask(lambda: graphs.fork_tree(thread.state)).result()
        return found

    def newest_run(self, agent_id: str) -> tuple[str, bytes] | None:
        """Key and encoded arguments of the newest keyed invocation of an agent; None when there is none."""
        thread = self.thread

        def read() -> tuple[str, bytes] | None:
            agent = thread.state.find(agent_id)
            if agent is None or not agent.keys:
                return None
            newest = max(agent.keys.values(), key=lambda i: i.seq)
            return str(newest.key), newest.args

        found: tuple[str, bytes] | None = thread.ask(read).result()
        return found

    def sql(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a SELECT on the store (tables `log`, `kind`, `place`; view `oplog`); read only.

        Raises:
            StoreError: SQLite refuses the query; says why.
        """
        return self.thread.log.query(query, parameters)[1]
