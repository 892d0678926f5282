"""The session's thread: takes requests, gives deliveries, hands entries to the writer, releases what was committed.

One *turn* is a callback of the thread's event loop. It serves agents that have something due, one delivery at a time,
until none is left or `TURN_ENTRIES` were written, and then hands all new entries to the writer as one batch. While the
writer commits, the next turns go on; their entries make up the next batch.

The parts, each a class that lives on this thread: `Journal` writes the log, `Engine` holds the agents, `Steps` and
`Timers` tell it what has ended, `Watchers` are those outside who wait, `Requests` what they ask.
"""

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from workbench.core.nouns import Step
from workbench.core.state import State
from workbench.errors import CrashedError, SessionClosedError, StoreFullError
from workbench.model.agent_type import AgentType, Registry
from workbench.model.entries import Entry
from workbench.runtime import garbage, recovery
from workbench.runtime.agent_loop import adopt_async_generators
from workbench.runtime.answer import Answer
from workbench.runtime.clock import Clock
from workbench.runtime.current import current
from workbench.runtime.engine import Engine
from workbench.runtime.holdups import Holdups
from workbench.runtime.journal import Journal, Question
from workbench.runtime.requests import Requests
from workbench.runtime.steps import Outcome, Steps
from workbench.runtime.timers import Timers
from workbench.runtime.watching import Watchers
from workbench.store.connection import ROOM_TO_OPEN
from workbench.store.feed import Feed
from workbench.store.log import Log, SqliteLog
from workbench.store.rebuilds import Rebuilds

TURN_ENTRIES: Final = 1000
"""Entries after which a turn ends, so that the writer starts early and other callbacks get their share."""
BACKLOG_ENTRIES: Final = 50_000
"""Uncommitted entries at which serving pauses until the writer has caught up."""
SETTLED_AFTER: Final = 0.1
"""Seconds without a further class after which all is taken to be defined, when no cell is known to be running."""
CELL_SECONDS: Final = 2.0
"""Seconds after the first class at which agents go on although its cell runs: it may be waiting for them."""
RETRY_SECONDS: Final = 0.5
"""From one try to the next to write what is held back because the store is full."""
SUSPEND_AFTER: Final = 10.0
"""Seconds after which an agent that waits for promises or timers only gives its instance up."""

logger = logging.getLogger("workbench")


class SessionThread:
    """Runs the agents of one store. Public methods may be called from any thread unless they say otherwise."""

    def __init__(
        self, log: Log, clock: Clock, registry: Registry, identity: tuple[int, str], session: object = None
    ) -> None:
        self.log, self.clock = log, clock
        self._registry, self._identity = registry, identity
        self.closed = False
        self._defined: deque[str] = deque()
        self._defined_by, self._defined_since = 0, 0.0
        self._definitions: asyncio.TimerHandle | None = None
        self._inbox: deque[Callable[[], object]] = deque()
        self._signalled = False
        self._turn_due = False
        self._idle_waiters: list[Future[None]] = []
        self._opened = False
        self._committed_state: State | None = None
        """What is committed, folded while nothing can be written and somebody asks."""
        self._plain_context = contextvars.Context()  # a cell's context variables are no input of an agent
        self.loop = asyncio.new_event_loop()
        self.journal = Journal(log, clock, self._written)
        self.watchers = Watchers(self.journal)
        self.timers = Timers(self.loop, clock, self._timer_due)
        self.steps = Steps(self.loop, session, self.journal, self._step_done)
        self._rebuilds = Rebuilds(log.path if isinstance(log, SqliteLog) else None, log.salt)
        self.engine = Engine(self.journal, registry, self.timers, self.steps, self.watchers, self._rebuilds)
        self.requests = Requests(self, self.journal, self.engine, self.watchers, registry)
        self._thread = threading.Thread(target=self._main, name="workbench-session", daemon=True)
        registry.listeners.append(self._type_added)
        registry.cell_listeners.append(self._cell_ran)
        garbage.slow_down()
        self._thread.start()
        self._holdups = Holdups(self.engine, self._thread.ident or 0)
        try:
            self.ask(self._open).result()
        except BaseException as error:
            self.close()
            if isinstance(error, StoreFullError):
                raise StoreFullError(error.what, error.why, ROOM_TO_OPEN) from error
            raise
        self._opened = True

    @property
    def state(self) -> State:
        """The folded facts; to be read on the session's thread."""
        return self.journal.state

    @property
    def feed(self) -> Feed:
        """The committed entries."""
        return self.journal.feed

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        current.serving = True
        self.loop.call_soon(adopt_async_generators)
        self.loop.call_later(SUSPEND_AFTER, self._suspend)
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # of a task that an async step made
                logger.error("a task that a step left running ended with %r, which ends nothing else", error)  # noqa: TRY400
            else:
                return

    def _suspend(self) -> None:
        """Have agents that have waited for long leave memory; they come back by replay."""
        if not self.closed:
            self.engine.put_away_suspended(self.clock.mono() - round(SUSPEND_AFTER * 1e9))
            self.loop.call_later(SUSPEND_AFTER / 2, self._suspend)

    @property
    def here(self) -> bool:
        """Whether the calling thread is the session's."""
        return threading.current_thread() is self._thread

    def post(self, request: Callable[[], object]) -> None:
        """Have something done on the session's thread, in order, before the next agent is served."""
        if self.closed:
            raise SessionClosedError(
                "the session is closed", "it was ended with close()", "start it again with wb.start(path)"
            )
        try:
            if self._defined and self._defined_by == threading.get_ident():
                self._inbox.append(self._take_up_defined)
            self._inbox.append(request)
            if not self._signalled:  # reset by the turn before it empties the inbox, so no request is left lying
                self._signalled = True
                self.loop.call_soon_threadsafe(self._turn, context=self._plain_context)
        except BaseException:  # an interrupt in between, which must not leave the thread deaf
            self._signalled = False
            self.loop.call_soon_threadsafe(self._turn, context=self._plain_context)
            raise

    def enter(self, request: Callable[[], object]) -> None:
        """As `post`; on the session's thread itself (an agent's code, an async step) it is done at once."""
        if self.here:
            self.journal.tick()
            request()
            self._schedule_turn()
        else:
            self.post(request)

    def ask(self, request: Callable[[], Any]) -> "Future[Any]":
        """As `enter`; the future gets what the request returned once all entries written so far are committed.

        On the session's thread itself nobody can wait for that: there it is answered at once.
        """
        future: Answer[Any] = Answer()
        at_once = self.here

        def run() -> None:
            try:
                value = request()
            except BaseException as error:
                if at_once and not isinstance(error, Exception):
                    raise
                future.set_exception(error)
            else:
                if at_once:
                    future.set_result(value)
                else:
                    self.journal.acknowledge(future, lambda: future.give(value))

        self.enter(run)
        return future

    def read(self, question: Question) -> "Future[Any]":
        """As `ask`, for what only reads: while nothing can be written, the state that is committed answers."""
        if self.here:
            return self.ask(lambda: question(self.state))
        future: Answer[Any] = Answer()

        def run() -> None:
            if self.journal.trouble is not None:
                self._answer_from_store(future, question)
                return
            try:
                value = question(self.state)
            except BaseException as error:  # noqa: BLE001 - goes to who asked
                future.set_exception(error)
            else:
                self.journal.acknowledge(future, lambda: future.give(value), question)

        self.post(run)
        return future

    def _answer_from_store(self, future: "Future[Any]", question: Question) -> None:
        committed = self.journal.committed
        try:
            state = self._committed_state
            if state is None or state.seq != committed:
                state = recovery.newest_checkpoint(self.log)
                state = self._committed_state = state.fold(self.log.read(state.seq, committed))
                state.wakes.clear()
                state.ended.clear()
            value = question(state)
        except BaseException as error:  # noqa: BLE001 - as above
            _fail((future,), error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(value)

    # ---- turns -----------------------------------------------------------------------------------------------------

    def _schedule_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self.loop.call_soon(self._turn, context=self._plain_context)

    @property
    def _over(self) -> bool:
        """Whether nothing is done any more."""
        return self.closed or self.journal.broken is not None

    def _turn(self) -> None:
        self._turn_due = self._signalled = False
        journal = self.journal
        if journal.halted:
            return
        if self._over:
            self._refuse_inbox()
            return
        inbox = self._inbox
        while inbox:
            journal.tick()
            journal.cause = 0
            inbox.popleft()()
        self.engine.serve(TURN_ENTRIES)
        journal.flush()
        if journal.broken is not None:  # an oplog could not be read
            self._break(journal.broken)
        elif self.engine.runnable and journal.uncommitted < BACKLOG_ENTRIES:
            self._schedule_turn()
        elif not journal.writing:
            self._rest()

    def _refuse_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()
        self._answer_questions()
        self._fail_all(
            self.journal.broken
            or SessionClosedError("the session is closed", "it was ended with close()", "start it again")
        )

    def _written(self, batch: Sequence[Entry], error: BaseException | None) -> None:
        """On the writer's thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._committed, batch, error)

    def _committed(self, batch: Sequence[Entry], error: BaseException | None) -> None:
        journal = self.journal
        journal.writing = False
        if isinstance(error, StoreFullError) and self._opened:
            self._hold_back(error)
            return
        if error is not None:
            self._break(error)
            return
        if journal.full is not None:
            self._committed_state = None
            logger.warning("%s can be written again, and the session goes on", getattr(self.log, "path", "the store"))
        journal.confirm(batch)
        self.engine.unpark()
        journal.flush()
        if self.engine.runnable or self._inbox:
            self._schedule_turn()
        elif not journal.writing:
            self._rest()

    def _timer_due(self, uid: int, op: int) -> None:
        """A timer of an agent is due; one of uid 0 is a schedule, by its `seq`."""
        if uid:
            self.engine.due(uid, op)
        else:
            self.journal.tick()
            self.engine.controls.fire(op)
        self._schedule_turn()

    def _step_done(self, step: Step, outcome: Outcome) -> None:
        self.engine.step_done(step, outcome)
        self._schedule_turn()

    def _type_added(self, agent_type: AgentType) -> None:
        """A class was defined (any thread): agents that waited for it go on, once what stands below it is there too.

        That is when the same thread asks for something, or when its cell has run; else a moment later.
        """
        if self.closed:
            return
        if self.here:
            self.post(lambda: self.engine.defined(agent_type.name))
            return
        self._defined_by = threading.get_ident()
        self._defined.append(agent_type.name)
        self.loop.call_soon_threadsafe(self._await_definitions, context=self._plain_context)

    def _cell_ran(self) -> None:
        """A cell has run: who waited for a name that it defines goes on."""
        if not self.closed:
            self.post(self.engine.names_came)

    def _await_definitions(self) -> None:
        if self._definitions is None:
            self._defined_since = self.loop.time()
        else:
            self._definitions.cancel()
        self._definitions = self.loop.call_later(SETTLED_AFTER, self._definitions_settled)

    def _definitions_settled(self) -> None:
        if self._defined and self._registry.in_cell and self.loop.time() < self._defined_since + CELL_SECONDS:
            self._definitions = self.loop.call_later(SETTLED_AFTER, self._definitions_settled)
            return
        self._definitions = None
        if self._defined:
            self._take_up_defined()
            self._schedule_turn()

    def _take_up_defined(self) -> None:
        while self._defined:
            self.engine.defined(self._defined.popleft())

    # ---- rest --------------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Nothing is left to do now: tell who waits for that; a simulated clock jumps to the next timer."""
        if self.engine.parked or self.journal.uncommitted or self.journal.full is not None or self._defined:
            return
        if self.clock.simulated and not self.steps.any_under_way and (due := self.timers.next_due()) is not None:
            self.clock.advance_to(due)
            self.timers.fire_due(self.clock.wall())
            self._schedule_turn()
            return
        if self.steps.any_under_way:  # the turn after the last of them comes here again
            return
        waiters, self._idle_waiters = self._idle_waiters, []
        for future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def at_rest(self) -> "Future[None]":
        """A future that is done when no agent can go on by itself (steps that run count as going on)."""
        future: Future[None] = Answer()

        def register() -> None:
            if self.journal.broken is not None:
                future.set_exception(self.journal.broken)
            else:
                self._idle_waiters.append(future)

        self.post(register)
        return future

    # ---- opening, crashing, closing ----------------------------------------------------------------------------------

    def _open(self) -> None:
        recovery.fold(self.journal, self._identity)
        self.engine.since = self.engine.since or self.state.opened
        recovery.take_up(self.state, self.engine, self.timers)
        self.timers.fire_due(self.clock.wall())
        self._schedule_turn()

    def crash(self) -> "Future[None]":
        """Drop every instance and all uncommitted entries, then recover, as a killed process would."""
        future: Answer[None] = Answer()

        def begin() -> None:
            self.journal.halted = True
            if self.journal.writing:
                self.loop.call_soon(begin)
                return
            self.journal.drop_unwritten()
            self.journal.halted = False
            if self.journal.broken is not None:
                future.set_exception(self.journal.broken)
                return
            try:
                self._crash_now()
            except Exception as error:  # noqa: BLE001 - it goes to all who wait
                self._break(error)
                future.set_exception(error)
            else:
                future.give(None)

        self.post(lambda: self.loop.call_soon(begin))
        return future

    def _crash_now(self) -> None:
        self.engine.discard_all()
        self.steps.forget()
        self.timers.clear()
        waiting = self.journal.drop_releases()
        self._open()
        lost = CrashedError("a crash came before this was committed", "it was never acknowledged", "call again")
        for future, held in waiting.items():
            if held.upto < self.state.opened:
                held.settle()  # all of it was committed, and who waits was not told yet
            elif not self.watchers.has(future):
                _fail([future], lost)
        self.watchers.after_crash(self.state, lost)

    def _hold_back(self, error: StoreFullError) -> None:
        """There is no room: what is not committed waits until there is, and so do all whom it would be told."""
        if self.journal.full is None:
            logger.warning("%s", error)
        self.journal.full = error
        self._answer_questions()
        self.loop.call_later(RETRY_SECONDS, self.journal.try_again)

    def _answer_questions(self) -> None:
        """Who only reads does not wait for what may never be committed."""
        for future, question in self.journal.take_questions():
            self._answer_from_store(future, question)

    def _break(self, error: BaseException) -> None:
        """The log cannot be written, or not be read: nothing that was not committed is ever acknowledged."""
        self.journal.broken = error
        logger.error("the session stopped: %s", error)
        self._answer_questions()
        self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        """Tell all who wait that nothing will come."""
        waiters, self._idle_waiters = self._idle_waiters, []
        _fail((*self.watchers.drop_all(), *self.journal.drop_releases(), *waiters), error)

    def close(self) -> None:
        """Commit what was done, stop the threads, give the store back. Harmless when repeated."""
        if self.closed:
            return
        finished: Future[None] = Answer()
        last_try = self.journal.try_again

        def end() -> None:
            nonlocal last_try
            last_try()
            last_try = self.journal.flush
            if self.journal.writing:
                self.loop.call_soon(end)
                return
            if self.journal.full is not None:
                logger.warning("closed without room to write: what nobody was told of is lost. %s", self.journal.full)
            self.journal.keep_at_close()
            self.closed = True
            self.timers.clear()
            self.steps.abandon()
            self.engine.discard_all()
            self._fail_all(
                SessionClosedError(
                    "the session was closed",
                    "its agents go on when it is started again",
                    "start it again with wb.start(path)",
                )
            )
            finished.set_result(None)

        self.loop.call_soon_threadsafe(end)
        self._holdups.stop()
        if not self.here:
            finished.result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.journal.close()
            self.loop.close()
            self._rebuilds.close()
        self._registry.listeners.remove(self._type_added)
        self._registry.cell_listeners.remove(self._cell_ran)
        garbage.restore()
        self.log.close()


def _fail(futures: "Sequence[Future[Any]]", error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
