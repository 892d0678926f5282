"""Sessions: open a store, run agents, read what happened. The public face of the session's thread."""

import asyncio
import contextvars
import os
import socket
import threading
import warnings
from collections.abc import Awaitable, Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from workbench.core.lineage import segments
from workbench.core.state import ROOT_UID, Agent, status_of
from workbench.errors import SessionClosedError, StoreReadOnlyError, UnknownAgentError
from workbench.ids import AgentId
from workbench.model.agent_type import registry
from workbench.model.codec import KnownTypes
from workbench.model.entries import CallMade, Entry
from workbench.runtime import graphs, nesting
from workbench.runtime.answer import uninterrupted
from workbench.runtime.awaiting import Awaiting, outside
from workbench.runtime.clock import Clock, in_words
from workbench.runtime.current import refuse_blocking
from workbench.runtime.printing import record_prints, stop_recording_prints
from workbench.runtime.session_thread import SessionThread
from workbench.store.feed import Feed
from workbench.store.lock import StoreLock, refuse_network_home
from workbench.store.log import Log, MemoryLog, SqliteLog

if TYPE_CHECKING:
    import networkx as nx

MEMORY: Final = ":memory:"
"""The path that keeps nothing."""


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

    Everything here may be called from any thread, from sync and async code. What waits for agents is awaitable; what only
    reads or submits is a plain call.
    """

    def __init__(self, path: str, log: Log, lock: StoreLock | None, clock: Clock) -> None:
        self.path = path
        self._log, self._lock = log, lock
        self._closing = threading.Lock()
        self._closed = self._ended = False
        self._pid = os.getpid()
        try:
            self.thread = SessionThread(log, clock, registry, (os.getpid(), socket.gethostname()))
        except BaseException:
            log.close()
            if lock is not None:
                lock.release()
            raise
        record_prints()

    # ---- life ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit, stop the agents where they are, give the store back. They go on when it is started again.

        Raises:
            NotInAgentError: in an agent or an async step, which cannot outlive it.
        """
        refuse_blocking("session.close", "close the session in a cell")
        self._closed = True  # from now on `start` gives another one
        uninterrupted(self._close)

    def _close(self) -> None:
        with self._closing:
            if self._ended:
                return
            self._closed = self._ended = True
            stop_recording_prints()
            if self._pid == os.getpid():
                self.thread.close()
                if self._lock is not None:
                    self._lock.release()
        _forget(self)

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

    def _check(self) -> SessionThread:
        if self._pid != os.getpid():
            raise SessionClosedError(
                f"the session on {self.path} belongs to process {self._pid}",
                "a forked child has no part in it",
                "start a session of its own, on another store",
            )
        return self.thread

    # ---- doing ---------------------------------------------------------------------------------------------------------

    def invoke(
        self,
        target: AgentId,
        parameters: str,
        request: CallMade,
        known: KnownTypes,
        line: str,
        context: contextvars.Context,
    ) -> "Future[Any]":
        """Call or trigger a method from outside; for clients."""
        return self._check().invoke(target, parameters, request, known, line, context)

    async def result(self, agent_id: AgentId | str) -> Any:
        """The result of an agent's present invocation, or else of its last: how one reads what a fork returned.

        Raises:
            LookupError: the agent does not exist or was never invoked.
            InvocationError: the invocation raised.
        """
        return await outside(self._check().watch_result(str(agent_id)))

    async def at_rest(self) -> None:
        """Wait until no agent can go on by itself: all are idle, or wait for promises or timers."""
        await outside(self._check().at_rest())

    def simulate_crash(self) -> None:
        """Lose all that a killed process would lose (every instance, all uncommitted entries), then recover.

        Who awaits a result that was accepted before goes on waiting and gets it. For lessons and for tests.
        """
        refuse_blocking("simulate_crash", "call it in a cell")
        self._check().crash().result()

    # ---- reading -------------------------------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """The committed entries, for views."""
        return self._check().feed

    def status(self, agent_id: str) -> "Future[str]":
        """The status of an agent, `idle` when it does not exist yet."""

        def read() -> str:
            agent = thread.state.find(agent_id)
            return "idle" if agent is None else self._status(agent)

        thread = self._check()
        return thread.ask(read)

    def _status(self, agent: Agent) -> str:
        return status_of(agent, defined=registry.find(agent.type_name) is not None)

    def agents(self) -> list[AgentInfo]:
        """All agents, in the order in which they came into being, without the root."""
        thread = self._check()

        def read() -> list[AgentInfo]:
            agents = thread.state.agents
            return [self._info(a, agents) for a in agents.values() if a.uid != ROOT_UID]

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
        thread = self._check()

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
        thread = self._check()

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

        Nodes are agent ids, with `type`, `status`, `method` (that runs, or empty), `queued`, `finished`, `raised`, `entries`.
        Edges have a `kind`: `spawn` (parent to child), `fork` (source to fork), `wait`; any edge along which an agent waits
        has `waits_for`, `since` (wall nanoseconds) and `line` too.
        """
        thread = self._check()
        found: nx.DiGraph[str] = thread.ask(lambda: graphs.agent_graph(thread.state)).result()
        return found

    def fork_tree(self) -> "nx.DiGraph[str]":
        """The forks as a directed graph from source to fork; nodes as in `graph`, edges have the `cut` (oplog index)."""
        thread = self._check()
        found: nx.DiGraph[str] = thread.ask(lambda: graphs.fork_tree(thread.state)).result()
        return found

    def newest_run(self, agent_id: str) -> tuple[str, bytes] | None:
        """Key and encoded arguments of the newest keyed invocation of an agent; None when there is none."""
        thread = self._check()

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
        self._check()
        return self._log.query(query, parameters)[1]


# ---- the default session -----------------------------------------------------------------------------------------------------

_default: Session | None = None
_open: dict[str, Session] = {}
_guard: Final = threading.RLock()


def start(
    path: str | os.PathLike[str] | None = None,
    *,
    fresh: bool = False,
    read_only: bool = False,
    clock: Clock | None = None,
) -> Session:
    """Open or create a store, take up what was unfinished in it, and make it the default session.

    The same path again, in the same process, gives the session that is open on it, so a cell may be run twice.

    Args:
        path: the store's file; `":memory:"` keeps nothing; by default `<notebook>.workbench.db`, else `workbench.db`.
        fresh: move an existing store aside (to `<name>.<time>.old`, never deleted) and begin a new one.
        read_only: open a store to look at it, also one that is in use.
        clock: for tests: a `workbench.testing.SimulatedClock`.

    Raises:
        StoreInUseError: another process owns the store; says which.
        StoreFormatError: the file is no store, or a newer one.
        StoreCorruptError: the log was changed from outside.
    """
    name = os.fspath(path) if path is not None else default_path()
    return uninterrupted(lambda: _start(name, clock or Clock(), fresh=fresh, read_only=read_only))


def _start(name: str, clock: Clock, *, fresh: bool, read_only: bool) -> Session:
    global _default  # noqa: PLW0603 - the default session is a process-wide fact
    with _guard:
        if name == MEMORY:
            session = Session(name, MemoryLog(clock.token()), None, clock)
        else:
            full = str(Path(name).resolve())
            opened = _open.get(full)
            if opened is not None and not opened.closed and not fresh:
                _default = opened
                return opened
            if opened is not None:
                opened.close()
            session = _open_store(Path(full), clock, fresh=fresh, read_only=read_only)
            _open[full] = session
        _default = session
    return session


def _open_store(path: Path, clock: Clock, *, fresh: bool, read_only: bool) -> Session:
    if read_only:
        raise StoreReadOnlyError(
            "read_only=True is not available yet", "reading a store in use comes with the terminal", "open it alone"
        )
    refuse_network_home(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = StoreLock(path)
    try:
        lock.acquire(in_words(clock.wall()))
        if fresh:
            _move_aside(path, clock)
        log = SqliteLog(path, clock.token())
    except BaseException:
        lock.release()
        raise
    return Session(str(path), log, lock, clock)


def _move_aside(path: Path, clock: Clock) -> None:
    """Rename an old store and its side files; with a name that is free."""
    if not path.exists():
        return
    stamp = in_words(clock.wall()).replace(" UTC", "").replace(" ", "T").replace(":", "")
    number = 0
    while (target := path.with_name(f"{path.name}.{stamp}{f'-{number}' if number else ''}.old")).exists():
        number += 1
    for end in ("-wal", "-shm", ""):
        side = path.with_name(path.name + end)
        if side.exists():
            side.rename(target.with_name(target.name + end))


def default_path() -> str:
    """`<notebook>.workbench.db` where Jupyter tells the kernel its notebook's name, else `workbench.db`."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if notebook.endswith(".ipynb"):
        return f"{Path(notebook).stem}.workbench.db"
    return "workbench.db"


def default_session() -> Session:
    """The default session, started when there is none."""
    found = _default
    if found is None or found.closed:
        found = start()
    return found


def _forget(session: Session) -> None:
    global _default  # noqa: PLW0603
    with _guard:
        if _default is session:
            _default = None
        for path, opened in tuple(_open.items()):
            if opened is session:
                del _open[path]


def _in_forked_child() -> None:
    """A child made with `os.fork` has none of the threads: its copies of the sessions are dead, the parent's live on."""
    global _default, _guard  # noqa: PLW0603
    for opened in _open.values():
        if opened._lock is not None:  # noqa: SLF001
            opened._lock.forget()  # noqa: SLF001
    _open.clear()
    _default = None


os.register_at_fork(after_in_child=_in_forked_child)


def run(awaitable: Awaitable[Any], timeout: float | None = None) -> Any:
    """Wait for something awaitable without `await`: in scripts, in sync cells, also while an event loop is running.

    Args:
        awaitable: a call, a coroutine, a future.
        timeout: seconds; `TimeoutError` when they pass. What was accepted goes on.

    Raises:
        NotInAgentError: in an agent, where waiting is written `await`.
    """
    __tracebackhide__ = True
    refuse_blocking("wb.run", "write await, or .blocking(...) in a plain def method")
    if isinstance(awaitable, Awaiting):
        limits = [limit for limit in (timeout, awaitable.timeout) if limit is not None]
        return wait(awaitable.submit(), min(limits, default=None))
    if nesting.needs_running_loop(awaitable):
        return nesting.run_nested(awaitable, timeout)
    return _run_coroutine(awaitable, timeout)


def wait(future: "Future[Any]", timeout: float | None = None) -> Any:
    """Block until a future is done; an interrupt or a timeout gives it up, and harms nothing."""
    __tracebackhide__ = True  # IPython leaves these frames out of what it shows
    try:
        error = future.exception(timeout)
    except BaseException:
        if not future.done():
            future.cancel()
        raise
    if error is not None:
        raise error.with_traceback(None)
    return future.result()


async def _as_coroutine(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    async with asyncio.timeout(timeout):
        return await awaitable


def _run_coroutine(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    __tracebackhide__ = True
    coroutine: Coroutine[Any, Any, Any] = _as_coroutine(awaitable, timeout)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    return nesting.run_on_thread(coroutine)


def _warn_left_open() -> None:
    for opened in tuple(_open.values()):
        opened._close()  # noqa: SLF001 - no thread can be started any more


threading._register_atexit(_warn_left_open)  # type: ignore[attr-defined] # noqa: SLF001 - before the threads are joined
warnings.filterwarnings("default", message="<call .* was never awaited", category=RuntimeWarning)
