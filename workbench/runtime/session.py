"""Sessions: run agents, read what happened. The public face of the session's thread; `opening` begins one."""

import asyncio
import contextvars
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from workbench.core.nouns import Agent, status_of
from workbench.core.state import State
from workbench.errors import SessionClosedError, StoreFullError
from workbench.ids import AgentId, PromiseId
from workbench.model.agent_type import registry
from workbench.model.codec import KnownTypes
from workbench.model.entries import CallMade
from workbench.runtime.answer import uninterrupted
from workbench.runtime.awaiting import outside
from workbench.runtime.clock import Clock
from workbench.runtime.current import refuse_blocking
from workbench.runtime.printing import record_prints, stop_recording_prints
from workbench.runtime.reading import id_text
from workbench.runtime.session_thread import SessionThread
from workbench.runtime.viewed import Viewed
from workbench.signs import printable
from workbench.store.feed import Feed
from workbench.store.lock import StoreLock
from workbench.store.log import Log

_T = TypeVar("_T")


class Cleaned(NamedTuple):
    """What `session.clean()` did and found."""

    jobs: list[str]
    """Ids of the finished jobs that were deleted."""
    agents: int
    """How many agents that were, their children included."""
    left_behind: list[str]
    """Ids of agents at work for an agent that has nothing under way any more: nobody waits for what they do."""


class Session(Viewed):
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
        self.opened = False
        self._pid = os.getpid()
        try:
            self._thread = SessionThread(log, clock, registry, (os.getpid(), socket.gethostname()), self)
        except BaseException:
            log.close()
            if lock is not None:
                lock.release()
            raise
        self.opened = True
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

    @property
    def trouble(self) -> BaseException | None:
        """Why nothing can be written now, or None when all is well.

        A `StoreFullError` passes: what agents did since is held back, and goes on by itself when there is room again.
        Any other ended the session's work, which goes on when it is started again. Reading tells what is committed.
        """
        return None if self._pid != os.getpid() else self._thread.journal.trouble

    def __repr__(self) -> str:
        how = ""
        if self._closed:
            how = ", closed"
        elif trouble := self.trouble:
            how = ", store full" if isinstance(trouble, StoreFullError) else ", stopped"
        return printable(f"<session on {Path(self.path).name}{how}>")

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

    def await_promise(self, promise_id: PromiseId) -> "Future[bytes]":
        """The payload of a promise, when it is completed; for `wb.await_promise`."""
        return self.thread.requests.await_promise(promise_id)

    async def result(self, agent_id: AgentId | str) -> Any:
        """The result of an agent's present invocation, or else of its last: how one reads what a fork returned.

        Raises:
            LookupError: the agent does not exist or was never invoked.
            InvocationError: the invocation raised.
        """
        return await outside(self.thread.requests.result(id_text(agent_id)))

    def cancel(self, agent: object, key: str) -> bool:
        """Withdraw a queued invocation by its idempotency key, whoever waits for it: they get an error.

        Args:
            agent: whose, as a client, an `AgentId` or text.
            key: of the invocation.

        Returns:
            True when it was queued, False when it has started or ended.

        Raises:
            UnknownAgentError: the agent has no invocation of this key.
            NotInAgentError: in an agent, whose oplog would not hold the answer; ask in a step.
        """
        found = self.kept(agent, key)
        return self.thread.requests.cancel(id_text(agent) if found is None else found.agent_id, key)

    def clean(self) -> Cleaned:
        """Delete the fan-out jobs that have ended, each with its children, and name the agents left behind at work.

        Oplog: `AgentDeleted` in that of each agent that goes.

        Raises:
            NotInAgentError: in an agent, whose oplog would not hold the answer; ask in a step.
        """
        refuse_blocking("clean", "call it in a cell")
        return Cleaned(*self.thread.requests.clean())

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

    def _answer(self, question: Callable[[State], _T]) -> _T:
        thread = self.thread
        answer: _T = thread.read(question).result()
        return answer

    def wall(self) -> int:
        """The session's present time, in nanoseconds since the epoch."""
        return self.thread.clock.wall()

    def refresh(self) -> int:
        """Take in what others committed; for a session that was opened to read only. Here there is never any.

        Returns:
            how many entries are new.
        """
        return 0

    def _defined(self, agent: Agent) -> bool:
        engine = self.thread.engine
        return engine.type_of(agent) is not None and not engine.definitions.name_for(agent.uid)

    def _missing(self, agent: Agent) -> str:
        return self.thread.engine.definitions.name_for(agent.uid)

    def _kept(self, type_name: str, code: str) -> bool:
        earlier = registry.earlier(type_name, code)
        return earlier is not None and earlier is not registry.find(type_name)

    def status(self, agent_id: str) -> "Future[str]":
        """The status of an agent, `idle` when it does not exist yet."""
        return self.thread.read(lambda state: self._status(state, agent_id))

    def _status(self, state: State, agent_id: str) -> str:
        agent = state.find(agent_id)
        return "idle" if agent is None else status_of(agent, defined=self._defined(agent))
