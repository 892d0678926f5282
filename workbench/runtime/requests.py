"""What cells and scripts ask of agents: calls, promises, results. They ask as the root agent `Session()`."""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from workbench.core import decisions
from workbench.core.nouns import ROOT_UID, Invocation
from workbench.errors import PromiseNotFound
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import Registry
from workbench.model.codec import NOTHING_KNOWN, KnownTypes
from workbench.runtime.answer import Answer
from workbench.runtime.engine import Engine
from workbench.runtime.journal import Journal, Question
from workbench.runtime.steps import step_origin
from workbench.runtime.watching import RAW, Watcher, Watchers


class Door(Protocol):
    """The way to the session's thread."""

    closed: bool

    def post(self, request: Callable[[], object]) -> None:
        """Have something done on the session's thread."""

    def enter(self, request: Callable[[], object]) -> None:
        """As `post`; at once when this is the session's thread."""

    def ask(self, request: Callable[[], Any]) -> "Future[Any]":
        """As `enter`; the future gets what it returned, once that is committed."""

    def read(self, question: Question) -> "Future[Any]":
        """As `ask`, for what only reads: while nothing can be written, the state that is committed answers."""


class Requests:
    """Asked from any thread, done on the session's."""

    def __init__(self, door: Door, journal: Journal, engine: Engine, watchers: Watchers, registry: Registry) -> None:
        self._door, self._journal, self._engine = door, journal, engine
        self._watchers, self._registry = watchers, registry

    # ---- calls -------------------------------------------------------------------------------------------------------

    def invoke(
        self,
        target: AgentId,
        request: e.CallMade,
        known: KnownTypes,
        line: str,
        context: contextvars.Context,
    ) -> "Future[Any]":
        """Call or trigger an agent's method."""
        future: Answer[Any] = Answer()
        accepted: list[tuple[Invocation, int]] = []

        def accept() -> None:
            entry = self._engine.make_call(ROOT_UID, target, request, line)
            invocation: Any = self._journal.state.accepted  # made or joined by this entry
            accepted.append((invocation, entry.index))
            self._engine.contexts.setdefault(invocation.seq, context)
            if request.awaited:
                self._watchers.watch_invocation(invocation, Watcher(future, known))
                if (made := context.get(step_origin)) is not None:
                    self._engine.asked_by_step(made, invocation)
            else:
                self._journal.acknowledge(future, lambda: future.give(None))

        def given_up(done: "Future[Any]") -> None:
            if done.cancelled() and not self._door.closed:
                self._door.post(lambda: self._withdraw(accepted))

        future.add_done_callback(given_up)
        self._door.enter(accept)
        return future

    def _withdraw(self, accepted: list[tuple[Invocation, int]]) -> None:
        """A caller stopped waiting: what is still queued is withdrawn, what has started runs to its end."""
        for invocation, op in accepted:
            self._engine.asks_no_more(invocation)
            drafts = decisions.withdraw(self._journal.state, invocation, (ROOT_UID, op))
            if invocation.caller == ROOT_UID and not self._watchers.watched(invocation):
                self._journal.append_all([(ROOT_UID, e.WaitDropped(op)), *drafts])

    def result(self, agent_id: str) -> "Future[Any]":
        """What the agent's present invocation, or else its last one, comes to."""
        future: Future[Any] = Answer()

        def watch() -> None:
            agent = self._journal.state.find(agent_id)
            invocation = None if agent is None else agent.current or (agent.queue[-1] if agent.queue else agent.last)
            if agent is None or invocation is None:
                from_what = "no such agent exists" if agent is None else "it has not been invoked"
                future.set_exception(LookupError(f"{agent_id} has no result: {from_what}."))
                return
            agent_type = self._registry.find(agent.type_name)
            method = None if agent_type is None else agent_type.methods.get(invocation.method)
            watcher = Watcher(future, method.gives if method else NOTHING_KNOWN)
            self._watchers.watch_invocation(invocation, watcher, upto=agent.seq)

        self._door.post(watch)
        return future

    # ---- schedules, keys, lives ------------------------------------------------------------------------------------

    def schedule(self, request: e.CallScheduled, line: str) -> int:
        """Have a method invoked later; the `seq` that names the schedule."""
        number: int = self._door.ask(lambda: self._journal.append(ROOT_UID, request, line).seq).result()
        return number

    def cancel_schedule(self, seq: int, line: str) -> bool:
        """Take a schedule back; whether it was still pending."""

        def cancel() -> bool:
            uid, body = decisions.cancel_schedule(self._journal.state, seq, ROOT_UID)
            self._journal.append(uid, body, line)
            return body.pending

        pending: bool = self._door.ask(cancel).result()
        return pending

    def cancel(self, agent_id: str, key: str) -> bool:
        """Withdraw a queued invocation by its key."""
        cancelled: bool = self._door.ask(lambda: self._engine.controls.cancel(agent_id, key)).result()
        return cancelled

    def clean(self) -> tuple[list[str], int, list[str]]:
        """Delete finished jobs whole; see `Controls.clean`."""
        cleaned: tuple[list[str], int, list[str]] = self._door.ask(self._engine.controls.clean).result()
        return cleaned

    def control(self, verb: str, agent_id: str, argument: int, text: str) -> "Future[Any]":
        """Delete, interrupt, resume, revert or fork an agent; see `Controls.do`."""
        return self._door.ask(lambda: self._engine.controls.do(verb, agent_id, argument, text))

    # ---- promises ----------------------------------------------------------------------------------------------------

    def create_promise(self, line: str) -> PromiseId:
        """Make a promise that belongs to the root agent."""

        def create() -> PromiseId:
            entry = self._journal.append(ROOT_UID, e.PromiseCreated(), line)
            return PromiseId(self._journal.state.agents[ROOT_UID].text, self._engine.incarnation(ROOT_UID), entry.index)

        created: PromiseId = self._door.ask(create).result()
        return created

    def await_promise(self, promise_id: PromiseId) -> "Future[bytes]":
        """The payload of a promise, when it is completed."""
        future: Future[bytes] = Answer()

        def watch() -> None:
            try:
                promise = self._engine.promise_of(promise_id)
            except PromiseNotFound as error:
                future.set_exception(error)
            else:
                self._watchers.watch_promise(promise, Watcher(future, RAW), upto=promise.settled)

        self._door.post(watch)
        return future

    def complete_promise(self, promise_id: PromiseId, payload: bytes, line: str) -> bool:
        """Complete a promise; whether this was the first completion."""

        def complete() -> bool:
            uid, body = decisions.complete_promise(self._engine.promise_of(promise_id), ROOT_UID, payload)
            self._journal.append(uid, body, line)
            return body.first

        was_first: bool = self._door.ask(complete).result()
        return was_first
