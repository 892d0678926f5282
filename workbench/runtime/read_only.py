"""A session that only looks: at a store of another process while it is in use, at one that somebody sent, at a copy.

It folds the same entries into the same state, and runs nothing: no lock is taken, no agent is loaded, no class needs to
be there, and nothing in the store is code to anybody (its values are read by the codec, which runs none). Each question
first takes in what was committed since the last one.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from workbench.core.decisions import find_promise
from workbench.core.nouns import Agent, Invocation
from workbench.core.state import State
from workbench.errors import SessionClosedError, StoreCorruptError, StoreReadOnlyError
from workbench.ids import AgentId, PromiseId
from workbench.model.agent_type import registry
from workbench.model.codec import NOTHING_KNOWN, decode
from workbench.model.entries import Entry
from workbench.model.failure import decode_failure, exception_of
from workbench.runtime.answer import Answer, uninterrupted
from workbench.runtime.clock import Clock
from workbench.runtime.folding import fold_log
from workbench.runtime.reading import id_text
from workbench.runtime.recovery import newest_checkpoint
from workbench.runtime.session import Session
from workbench.runtime.session_thread import SessionThread
from workbench.store.feed import Feed
from workbench.store.log import SqliteLog

_T = TypeVar("_T")


class ReadOnlySession(Session):
    """A store that is only read; made by `wb.start(path, read_only=True)`.

    Whatever would write raises `StoreReadOnlyError`. Agents whose class is not defined here have the status that they
    would have if it were.
    """

    def __init__(self, path: str, log: SqliteLog, clock: Clock, when_closed: Callable[[Session], None]) -> None:
        self.path = path
        self._log = self._store = log
        self._lock = None
        self._clock, self._when_closed = clock, when_closed
        self._closing = threading.Lock()
        self._closed = self._ended = False
        self._pid = os.getpid()
        self._broken: StoreCorruptError | None = None
        self._state = newest_checkpoint(log)
        self._turn = threading.Lock()
        self._fold(log.read(self._state.seq, log.last_seq))
        self._feed = Feed(log)

    def _fold(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; where one is wrong, there is no state to ask from then on."""
        try:
            fold_log(self._state, entries, self._log)
        except StoreCorruptError as error:
            self._broken = error
            raise

    def _follow(self) -> int:
        new: list[Entry] = []
        self._fold(_noting(self._store.follow(), new))
        if new:
            self._feed.publish(new)
        return len(new)

    def _answer(self, question: Callable[[State], _T]) -> _T:
        def ask() -> _T:
            with self._turn:
                self._require_open()
                if self._broken is not None:
                    raise self._broken
                self._follow()
                return question(self._state)

        return uninterrupted(ask)  # half a fold would be no state

    def _require_open(self) -> None:
        if self._closed:
            raise SessionClosedError(
                "the session is closed",
                "it was ended with close()",
                "start it again with wb.start(path, read_only=True)",
            )

    def refresh(self) -> int:
        """Take in what was committed since the last look; views that show this session move on.

        Returns:
            how many entries are new.
        """
        before = self._state.seq
        return self.read(lambda state: state.seq) - before

    @property
    def feed(self) -> Feed:
        """The entries that were taken in, for views; `refresh` brings more."""
        return self._feed

    @property
    def trouble(self) -> BaseException | None:
        """Why the store cannot be read any more, or None when all is well."""
        return self._broken

    def wall(self) -> int:
        """The present time, in nanoseconds since the epoch; no earlier than the last entry."""
        return max(self._clock.wall(), self._state.wall)

    def _defined(self, agent: Agent) -> bool:  # noqa: ARG002 - whatever it is
        return True

    def _kept(self, type_name: str, code: str) -> bool:  # noqa: ARG002 - whoever works in the store may have it
        return True

    def status(self, agent_id: str) -> "Future[str]":
        """The status of an agent, `idle` when it does not exist."""
        future: Answer[str] = Answer()
        future.set_result(self.read(lambda state: self._status(state, agent_id)))
        return future

    def await_promise(self, promise_id: PromiseId) -> "Future[bytes]":
        """The payload of a promise that is completed.

        Raises:
            PromiseNotFound: no promise has this id.
            StoreReadOnlyError: it is not completed: nothing waits for that here.
        """

        def ask(state: State) -> bytes:
            promise = find_promise(state, self._log.salt, promise_id)
            if not promise.settled:
                raise self._refusal(f"the payload of promise {promise_id}", "it is pending, and nothing waits here")
            return promise.value

        future: Answer[bytes] = Answer()
        future.set_result(self.read(ask))
        return future

    async def result(self, agent_id: AgentId | str) -> Any:
        """The result of an agent's last invocation.

        Raises:
            LookupError: the agent does not exist or was never invoked.
            StoreReadOnlyError: it runs an invocation, or has one queued: nothing waits for that here.
            InvocationError: the invocation raised.
        """
        text = id_text(agent_id)
        type_name, method, ok, value = self.read(lambda state: self._last(state, text))
        if not ok:
            raise exception_of(decode_failure(value))
        agent_type = registry.find(type_name)
        known = None if agent_type is None else agent_type.methods.get(method)
        return decode(value, known.gives if known is not None else NOTHING_KNOWN)

    def _last(self, state: State, text: str) -> tuple[str, str, bool, bytes]:
        agent = state.find(text)
        last: Invocation | None = None if agent is None else agent.last
        if agent is not None and (agent.current is not None or agent.queue):
            raise self._refusal(f"the result of {text}", "its invocation has not ended, and nobody runs it here")
        if agent is None or last is None:
            why = "no such agent exists" if agent is None else "it has not been invoked"
            raise LookupError(f"{text} has no result: {why}.")
        return agent.type_name, last.method, last.ok, last.value

    def _refusal(self, what: str, why: str) -> StoreReadOnlyError:
        return StoreReadOnlyError(
            what, why, "to work in the store, have its owner close it, then open it without read_only: wb.start(path)"
        )

    @property
    def thread(self) -> SessionThread:
        """There is none.

        Raises:
            StoreReadOnlyError: whatever was to be done here would write.
            SessionClosedError: the session is closed.
        """
        self._require_open()
        raise self._refusal(f"{self.path} is open to read only", "agents do not run here, and nothing is written")

    def end(self) -> None:
        """As `close`."""
        with self._closing:
            if self._ended:
                return
            self._closed = self._ended = True
            self._log.close()
        self._when_closed(self)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, read only>"


def _noting(entries: Iterable[Entry], into: list[Entry]) -> Iterator[Entry]:
    """The entries as they pass, and in the end in a list too."""
    for entry in entries:
        into.append(entry)
        yield entry
