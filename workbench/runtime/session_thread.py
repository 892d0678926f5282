"""The session's thread: takes requests, gives deliveries, hands entries to the writer, releases what was committed.

One *turn* is a callback of the thread's event loop. It serves agents that have something due, one delivery at a time, until
none is left or `TURN_ENTRIES` were written, and then hands all new entries to the writer as one batch. While the writer
commits, the next turns go on; their entries make up the next batch. So there is one commit per turn or group of turns,
and a batch never ends in the middle of a delivery: a lost tail of the log is a consistent suffix of the session.

What leaves the session (a result for a cell, a step that starts, a line that was printed) is *released* only when the
entries that led to it are committed. What stays inside (agent to agent) does not wait.
"""

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final
from uuid import UUID

from workbench.core import decisions
from workbench.core.decisions import Draft
from workbench.core.lineage import segments
from workbench.core.state import ROOT_UID, Agent, Invocation, Promise, State, Step, Wait
from workbench.core.waits import find_deadlock
from workbench.errors import CrashedError, DeadlockError, OutcomeUnknown, PromiseNotFound, SessionClosedError
from workbench.ids import ROOT_ID, AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import AgentType, Registry
from workbench.model.codec import NOTHING_KNOWN, KnownTypes, decode
from workbench.model.entries import Body, Entry
from workbench.model.failure import decode_failure, encode_failure, exception_of
from workbench.runtime.agent_loop import adopt_async_generators
from workbench.runtime.answer import Answer
from workbench.runtime.clock import Clock
from workbench.runtime.current import current
from workbench.runtime.instance import Instance, StepWork
from workbench.runtime.printing import show
from workbench.runtime.steps import Outcome, StepRunner
from workbench.runtime.timers import Timers
from workbench.runtime.writer import Writer
from workbench.store.faults import reach
from workbench.store.feed import Feed
from workbench.store.log import Log

TURN_ENTRIES: Final = 1000
"""Entries after which a turn ends, so that the writer starts early and other callbacks get their share."""
BACKLOG_ENTRIES: Final = 50_000
"""Uncommitted entries at which serving pauses until the writer has caught up."""

logger = logging.getLogger("workbench")


class Slot:
    """What the thread keeps of an agent beside its folded facts; all of it can be made again."""

    __slots__ = ("instance", "outcomes", "ready", "refusals", "scheduled")

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.ready: list[int] = []
        self.scheduled = False
        self.outcomes: dict[int, Outcome] | None = None
        self.refusals: dict[int, bytes] | None = None


class Watcher:
    """Somebody outside who waits for a result: a future, and how to read the value."""

    __slots__ = ("future", "known")

    def __init__(self, future: "Future[Any]", known: KnownTypes) -> None:
        self.future, self.known = future, known

    def settle(self, *, ok: bool, value: bytes) -> None:
        """Hand over the outcome; one that was given up gets nothing."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            if ok:
                self.future.set_result(decode(value, self.known) if self.known is not RAW else value)
            else:
                self.future.set_exception(exception_of(decode_failure(value)))
        except Exception as error:  # noqa: BLE001 - a value that cannot be read is the waiter's news
            self.future.set_exception(error)


RAW: Final = KnownTypes(())
"""Marks a watcher that wants the bytes as they are: a promise's payload."""


class SessionThread:
    """Runs the agents of one store. Public methods may be called from any thread unless they say otherwise."""

    def __init__(self, log: Log, clock: Clock, registry: Registry, identity: tuple[int, str]) -> None:
        self.log, self.clock, self.registry = log, clock, registry
        self.identity = identity
        self.state = State()
        self.feed = Feed(log)
        self.wall = self.mono = self.cause = 0
        self.committed = log.last_seq
        self.closed = False
        self.broken: BaseException | None = None
        self._buffer: list[Entry] = []
        self._writing = False
        self._slots: dict[int, Slot] = {}
        self._runnable: deque[int] = deque()
        self._parked: list[tuple[int, int]] = []
        self._undefined: dict[str, set[int]] = {}
        self._watchers: dict[tuple[int, int], list[Watcher]] = {}
        self._releases: deque[tuple[int, Callable[[], None]]] = deque()
        self._unacknowledged: dict[Future[Any], int] = {}
        self._contexts: dict[int, contextvars.Context] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._turn_due = False
        self._busy_steps: dict[tuple[int, int], object] = {}
        self._idle_waiters: list[Future[None]] = []
        self._when_steps_end: list[Callable[[], None]] = []
        self._signalled = False
        self._halted = False
        self._plain_context = contextvars.Context()  # a cell's context variables are no input of an agent
        self.loop = asyncio.new_event_loop()
        self.timers = Timers(self.loop, clock, self._timer_due)
        self.steps = StepRunner(self.loop)
        self._thread = threading.Thread(target=self._main, name="workbench-session", daemon=True)
        self._writer = Writer(log, self._written)
        registry.listeners.append(self._type_added)
        self._thread.start()
        try:
            self.ask(self._open).result()
        except BaseException:
            self.close()
            raise

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        current.serving = True
        self.loop.call_soon(adopt_async_generators)
        self.loop.run_forever()

    @property
    def here(self) -> bool:
        """Whether the calling thread is the session's."""
        return threading.current_thread() is self._thread

    def post(self, request: Callable[[], None]) -> None:
        """Have something done on the session's thread, in order, before the next agent is served."""
        if self.closed:
            raise SessionClosedError(
                "the session is closed", "it was ended with close()", "start it again with wb.start(path)"
            )
        try:
            self._inbox.append(request)
            if not self._signalled:  # reset by the turn before it empties the inbox, so no request is left lying
                self._signalled = True
                self.loop.call_soon_threadsafe(self._turn, context=self._plain_context)
        except BaseException:  # an interrupt in between, which must not leave the thread deaf
            self._signalled = False
            self.loop.call_soon_threadsafe(self._turn, context=self._plain_context)
            raise

    def ask(self, request: Callable[[], Any]) -> "Future[Any]":
        """As `post`; the future gets what the request returned once all entries written so far are committed.

        On the session's thread itself (an agent's code, an async step) nobody can wait for that: there it is answered at once.
        """
        future: Future[Any] = Answer()
        if self.here:
            self.tick()
            self._schedule_turn()
            try:
                future.set_result(request())
            except Exception as error:  # noqa: BLE001 - goes to whoever asked
                future.set_exception(error)
            return future

        def run() -> None:
            try:
                value = request()
            except BaseException as error:  # noqa: BLE001 - goes to whoever asked
                future.set_exception(error)
            else:
                self._acknowledge(future, lambda: future.set_running_or_notify_cancel() and future.set_result(value))

        self.post(run)
        return future

    def _acknowledge(self, future: "Future[Any]", settle: Callable[[], object]) -> None:
        """Settle a future once what was written so far is committed; a crash before that fails it."""

        def release() -> None:
            self._unacknowledged.pop(future, None)
            settle()

        self._unacknowledged[future] = self.state.seq
        self.release(release)

    def tick(self) -> None:
        """Read the clocks for what happens next."""
        self.wall, self.mono = self.clock.both()

    # ---- turns -------------------------------------------------------------------------------------------------------

    def _schedule_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self.loop.call_soon(self._turn, context=self._plain_context)

    def _turn(self) -> None:
        self._turn_due = self._signalled = False
        if self._halted:
            return
        if self.closed or self.broken is not None:
            self._refuse_inbox()
            return
        inbox = self._inbox
        while inbox:
            self.tick()
            self.cause = 0
            inbox.popleft()()
        self._serve_runnable()
        self._flush()
        if self._runnable and len(self._buffer) < BACKLOG_ENTRIES:
            self._schedule_turn()
        elif not self._writing:
            self._rest()

    def _refuse_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()
        self._fail_all(
            self.broken or SessionClosedError("the session is closed", "it was ended with close()", "start it again")
        )

    def _serve_runnable(self) -> None:
        runnable, slots = self._runnable, self._slots
        limit = self.state.seq + TURN_ENTRIES
        while runnable and self.state.seq < limit:
            uid = runnable.popleft()
            slot = slots[uid]
            slot.scheduled = False
            try:
                self._serve(uid, slot)
            except Exception as error:
                logger.exception("agent %s cannot be served", uid)
                self._fail_agent(uid, slot, error)

    def schedule(self, uid: int) -> None:
        """Serve this agent in this or the next turn."""
        slot = self._slots.get(uid)
        if slot is None:
            slot = self._slots[uid] = Slot()
        if not slot.scheduled:
            slot.scheduled = True
            self._runnable.append(uid)

    def _slot(self, uid: int) -> Slot:
        slot = self._slots.get(uid)
        if slot is None:
            slot = self._slots[uid] = Slot()
        return slot

    def _serve(self, uid: int, slot: Slot) -> None:
        agent = self.state.agents.get(uid)
        if agent is None or agent.failure:
            return
        instance = slot.instance
        if instance is None:
            instance = self._load(agent, slot)
            if instance is None:
                return
        ready, slot.ready = slot.ready, []
        for op in ready:
            wait = agent.waits.get(op)
            if wait is not None:
                self._deliver(agent, slot, instance, op, wait)
                if instance.stopped is not None:
                    return
        if agent.current is None and agent.queue is not None:
            self.tick()
            invocation = agent.queue[0]
            self.cause = invocation.seq
            body = e.InvocationStarted(invocation.method, invocation.args, invocation.label)
            entry = self._append(agent, body, "", invocation.seq)
            self._run(agent, slot, instance, entry)

    def _deliver(self, agent: Agent, slot: Slot, instance: Instance, op: int, wait: Wait) -> None:
        """Record one delivery and run the agent on it."""
        on = wait.on
        body: Body
        cause = on.settled or wait.seq
        if slot.refusals is not None and op in slot.refusals:
            body = e.CallDelivered(op, ok=False, value=slot.refusals.pop(op))
        elif isinstance(on, Invocation):
            body = e.CallDelivered(op, on.ok, on.value)
        elif isinstance(on, Promise):
            body = e.PromiseDelivered(op, on.value)
        elif isinstance(on, Step):
            outcome = slot.outcomes.pop(op, None) if slot.outcomes is not None else None
            ok, value = outcome or (on.ok, on.value)
            attempts = 1 if on.settled or not on.idempotent else self.state.sessions - on.session + 1
            body = e.StepFinished(op, ok, value, attempts)
        else:
            body = e.TimerFired(op)
        self.tick()
        self.cause = cause
        self._run(agent, slot, instance, self._append(agent, body, "", 0))

    def _run(self, agent: Agent, slot: Slot, instance: Instance, entry: Entry) -> None:
        self.cause = entry.seq
        instance.deliver(entry)
        self._after_run(agent, slot, instance)

    def _after_run(self, agent: Agent, slot: Slot, instance: Instance) -> None:
        if instance.stopped is not None:
            self._fail_agent(agent.uid, slot, instance.stopped)
        elif agent.waits and agent.current is not None:
            cycle = find_deadlock(self.state, agent.uid)
            if cycle:
                self._refuse(cycle)

    def _refuse(self, cycle: list[tuple[Agent, Wait]]) -> None:
        """Answer the call that closed a cycle with `DeadlockError`; the others then go on."""
        last = max(range(len(cycle)), key=lambda i: cycle[i][1].seq)
        ring = cycle[last + 1 :] + cycle[: last + 1]
        links = []
        for agent, wait in ring:
            invocation: Any = wait.on
            links.append(
                (agent.text, f"{self.state.agents[invocation.target].type_name}.{invocation.method}", wait.line)
            )
        agent, wait = ring[-1]
        error = DeadlockError(links)
        method = agent.current.method if agent.current is not None else ""
        slot = self._slot(agent.uid)
        slot.refusals = slot.refusals or {}
        if wait.op in slot.refusals:
            return
        slot.refusals[wait.op] = encode_failure(error, agent.text, method)
        self.append_all(decisions.withdraw(self.state, wait.on, (agent.uid, wait.op)))  # type: ignore[arg-type]
        slot.ready.append(wait.op)
        self.schedule(agent.uid)

    def _fail_agent(self, uid: int, slot: Slot, error: BaseException) -> None:
        """Stop one agent, and only it: whoever waits for it hears why."""
        agent = self.state.agents[uid]
        if slot.instance is not None:
            slot.instance.discard()
            slot.instance = None
        slot.ready.clear()
        method = agent.current.method if agent.current is not None else ""
        settled = [x for x in (agent.current, *(agent.queue or ())) if x is not None]
        self.tick()
        self._append(agent, e.AgentFailed(encode_failure(error, agent.text, method)), "", 0)
        for invocation in settled:
            self._settled(invocation)

    # ---- instances ---------------------------------------------------------------------------------------------------

    def _load(self, agent: Agent, slot: Slot) -> Instance | None:
        """The agent's instance, rebuilt from its oplog; None while that cannot be done yet."""
        agent_type = self.registry.find(agent.type_name)
        if agent_type is None:
            self._undefined.setdefault(agent.type_name, set()).add(agent.uid)
            return None
        new = agent.index == 1 and not agent.source
        if not new and agent.seq > self.committed:
            self._parked.append((agent.seq, agent.uid))
            self._flush()
            return None
        instance = slot.instance = Instance(self, agent, agent_type)
        if not new:
            self.tick()
            self.cause = agent.seq
            oplog = [x for part in segments(self.state, agent.uid) for x in self.log.read_oplog(*part)]
            instance.replay(oplog)
            self._restart_steps(agent, instance)
            self._after_run(agent, slot, instance)
            if instance.stopped is not None:
                return None
        return instance

    def _restart_steps(self, agent: Agent, instance: Instance) -> None:
        for op, wait in agent.waits.items():
            step = wait.on
            if isinstance(step, Step) and not step.settled and step.origin not in self._busy_steps:
                work, slot = instance.work.get(op), self._slot(agent.uid)
                if work is None or op in (slot.outcomes or ()):
                    continue
                if step.idempotent:
                    self.start_step(agent, op, work)
                else:
                    self._give_up_step(agent, op, step)

    def _give_up_step(self, agent: Agent, op: int, step: Step) -> None:
        """A step that may not run twice was under way when the process ended: its outcome is that nobody knows it."""
        error = OutcomeUnknown(
            f"step {step.name} of {agent.text}",
            "the process ended while it was under way, and it may not run twice",
            "find out whether it took effect, then call the agent again",
        )
        self._step_ended(agent.uid, op, (False, encode_failure(error, agent.text, step.name)))

    def _type_added(self, agent_type: AgentType) -> None:
        """A class was defined (any thread): agents that waited for it go on."""
        if not self.closed:
            self.post(lambda: self._define(agent_type.name))

    def _define(self, name: str) -> None:
        for uid in self._undefined.pop(name, ()):
            self.schedule(uid)

    # ---- writing -----------------------------------------------------------------------------------------------------

    def append(self, uid: int, body: Body, line: str = "") -> Entry:
        """Stamp, apply and keep one entry; on the session's thread."""
        agent = self.state.agents.get(uid)
        if agent is None:
            return self._append_first(uid, body, line)
        return self._append(agent, body, line, 0)

    def _append(self, agent: Agent, body: Body, line: str, invocation: int) -> Entry:
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
            self._wake()
        if type(body) in _NOTED:
            self._note(agent, entry, body, current)
        return entry

    def _append_first(self, uid: int, body: Body, line: str) -> Entry:
        index = body.cut + 1 if isinstance(body, e.AgentForked) else 1
        entry = Entry(self.state.seq + 1, uid, index, self.cause, 0, self.wall, self.mono, line, body)
        self.state.apply(entry)
        self._buffer.append(entry)
        if isinstance(body, e.AgentForked):
            outcomes = self._slot(body.source).outcomes or {}
            for op, wait in self.state.agents[uid].waits.items():
                due = getattr(wait.on, "due", None)
                if due is not None:
                    self.timers.arm(uid, op, due)
                elif op in outcomes:  # the step has ended, and its end is not recorded
                    self._step_ended(uid, op, outcomes[op])
            self.schedule(uid)
            self._wake()
        return entry

    def append_all(self, drafts: Sequence[Draft], line: str = "") -> list[Entry]:
        """Stamp, apply and keep the entries of one decision; on the session's thread."""
        return [self.append(uid, body, line) for uid, body in drafts]

    def make_call(self, caller: int, target: AgentId, parameters: str, request: e.CallMade, line: str) -> Entry:
        """Decide and append a call; its entry. On the session's thread."""
        entry = self.append_all(decisions.call(self.state, caller, target, parameters, request), line)[-1]
        agent = self.state.agents[entry.body.target]  # type: ignore[attr-defined]
        if agent.id is None:
            agent.id = target  # saves parsing it
        return entry

    def _wake(self) -> None:
        wakes = self.state.wakes
        for uid, op in wakes:
            if op:
                self._slot(uid).ready.append(op)
            self.schedule(uid)
        wakes.clear()

    def _note(self, agent: Agent, entry: Entry, body: Body, before: Invocation | None) -> None:
        """What the thread itself does about an entry."""
        if isinstance(body, e.InvocationFinished):
            if before is not None:
                self._contexts.pop(before.seq, None)
                self._settled(before)
        elif isinstance(body, e.CallMade):
            if before is not None and self._contexts and (context := self._contexts.get(before.seq)):
                self._contexts[entry.seq] = context
        elif isinstance(body, e.PromiseCompleted):
            if body.first:
                self._tell((body.owner, -body.promise), ok=True, value=body.value)
        elif isinstance(body, e.WaitDropped):
            self.timers.disarm(agent.uid, body.op)

    def _settled(self, invocation: Invocation) -> None:
        self._tell((invocation.target, invocation.seq), ok=invocation.ok, value=invocation.value)

    def _tell(self, key: tuple[int, int], *, ok: bool, value: bytes) -> None:
        for watcher in self._watchers.pop(key, ()):
            self._acknowledge(watcher.future, lambda w=watcher: w.settle(ok=ok, value=value))  # type: ignore[misc]

    def release(self, action: Callable[[], None]) -> None:
        """Do something that leaves the session, once all entries written so far are committed."""
        if self.committed >= self.state.seq:
            reach("release")
            action()
        else:
            self._releases.append((self.state.seq, action))

    def _flush(self) -> None:
        if self._buffer and not self._writing and not self._halted and self.broken is None:
            batch, self._buffer = self._buffer, []
            self._writing = True
            reach("batch.handover")
            self._writer.put(batch)

    def _written(self, batch: Sequence[Entry], error: BaseException | None) -> None:
        """On the writer's thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._committed, batch, error)

    def _committed(self, batch: Sequence[Entry], error: BaseException | None) -> None:
        self._writing = False
        if error is not None:
            self._break(error)
            return
        self.committed = batch[-1].seq
        reach("feed.publish")
        self.feed.publish(batch)
        releases = self._releases
        while releases and releases[0][0] <= self.committed:
            reach("release")
            releases.popleft()[1]()
        if self._parked:
            parked, self._parked = self._parked, []
            for seq, uid in parked:
                if seq <= self.committed:
                    self.schedule(uid)
                else:
                    self._parked.append((seq, uid))
        self._flush()
        if self._runnable or self._inbox:
            self._schedule_turn()
        elif not self._writing:
            self._rest()

    def _break(self, error: BaseException) -> None:
        """The log cannot be written: nothing that was not committed is ever acknowledged."""
        self.broken = error
        logger.error("the session stopped: %s", error)
        self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        waiting = [w.future for group in self._watchers.values() for w in group]
        for future in (*waiting, *self._unacknowledged, *self._idle_waiters):
            if not future.done():
                future.set_exception(error)
        self._watchers.clear()
        self._unacknowledged.clear()
        self._releases.clear()
        self._idle_waiters.clear()

    def _rest(self) -> None:
        """Nothing is left to do now: tell who waits for that; a simulated clock jumps to the next timer."""
        if self._parked or self._buffer:
            return
        if self.clock.simulated and not self._busy_steps and (due := self.timers.next_due()) is not None:
            self.clock.advance_to(due)  # type: ignore[attr-defined]
            self.timers.fire_due(self.clock.wall())
            self._schedule_turn()
            return
        waiters, self._idle_waiters = self._idle_waiters, []
        for future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def at_rest(self) -> "Future[None]":
        """A future that is done when no agent can go on by itself (steps that run count as going on)."""
        future: Future[None] = Answer()

        def register() -> None:
            if self._busy_steps:
                self._when_steps_end.append(register)
            else:
                self._idle_waiters.append(future)

        self.post(register)
        return future

    # ---- outside ------------------------------------------------------------------------------------------------------

    def invoke(
        self,
        target: AgentId,
        parameters: str,
        request: e.CallMade,
        known: KnownTypes,
        line: str,
        context: contextvars.Context,
    ) -> "Future[Any]":
        """Call or trigger an agent's method from outside, as the root agent."""
        future: Future[Any] = Answer()
        accepted: list[tuple[Invocation, int]] = []

        def accept() -> None:
            entry = self.make_call(ROOT_UID, target, parameters, request, line)
            invocation = self.state.accepted
            assert invocation is not None
            accepted.append((invocation, entry.index))
            self._contexts.setdefault(invocation.seq, context)
            if request.awaited:
                self.watch_invocation(invocation, Watcher(future, known))
            else:
                self._acknowledge(future, lambda: future.set_running_or_notify_cancel() and future.set_result(None))

        def given_up(done: "Future[Any]") -> None:
            if done.cancelled() and not self.closed:
                self.post(lambda: self._withdraw(accepted))

        future.add_done_callback(given_up)
        if self.here:
            self.tick()
            accept()
            self._schedule_turn()
        else:
            self.post(accept)
        return future

    def _withdraw(self, accepted: list[tuple[Invocation, int]]) -> None:
        """A caller outside stopped waiting: what is still queued is withdrawn, what has started runs to its end."""
        for invocation, op in accepted:
            drafts = decisions.withdraw(self.state, invocation, (ROOT_UID, op))
            others = [
                w for w in self._watchers.get((invocation.target, invocation.seq), ()) if not w.future.cancelled()
            ]
            if invocation.caller == ROOT_UID and not others:
                self.append_all([(ROOT_UID, e.WaitDropped(op)), *drafts])

    def watch_invocation(self, invocation: Invocation, watcher: Watcher) -> None:
        """Settle a watcher with an invocation's outcome; on the session's thread."""
        if invocation.settled:
            self._acknowledge(watcher.future, lambda: watcher.settle(ok=invocation.ok, value=invocation.value))
        else:
            self._watchers.setdefault((invocation.target, invocation.seq), []).append(watcher)

    def watch_promise(self, promise_id: PromiseId) -> "Future[bytes]":
        """The payload of a promise, when it is completed."""
        future: Future[bytes] = Answer()

        def watch() -> None:
            try:
                promise = self.promise_of(promise_id)
            except PromiseNotFound as error:
                future.set_exception(error)
                return
            watcher = Watcher(future, RAW)
            if promise.settled:
                self._acknowledge(future, lambda: watcher.settle(ok=True, value=promise.value))
            else:
                self._watchers.setdefault((promise.owner, -promise.index), []).append(watcher)

        self.post(watch)
        return future

    def watch_result(self, agent_id: str) -> "Future[Any]":
        """What the agent's present invocation, or else its last one, comes to."""
        future: Future[Any] = Answer()

        def watch() -> None:
            agent = self.state.find(agent_id)
            invocation = None if agent is None else agent.current or (agent.queue[-1] if agent.queue else agent.last)
            if agent is None or invocation is None:
                from_what = "no such agent exists" if agent is None else "it has not been invoked"
                future.set_exception(LookupError(f"{agent_id} has no result: {from_what}."))
                return
            agent_type = self.registry.find(agent.type_name)
            method = None if agent_type is None else agent_type.methods.get(invocation.method)
            self.watch_invocation(invocation, Watcher(future, method.gives if method else NOTHING_KNOWN))

        self.post(watch)
        return future

    # ---- what instances ask (see `instance.Host`) ------------------------------------------------------------------------

    def incarnation(self, uid: int) -> str:
        """Which life of an agent: the store's salt and the agent's uid."""
        return f"{self.log.salt}-{uid}"

    def promise_of(self, promise_id: PromiseId) -> Promise:
        """Look a promise up; on the session's thread.

        Raises:
            PromiseNotFound: it never was, or is another store's, or its agent's life has ended.
        """
        salt, _, uid = promise_id.incarnation.partition("-")
        promise = None
        if salt == self.log.salt and uid.isascii() and uid.isdigit():
            agent = self.state.agents.get(int(uid))
            if agent is not None and agent.text == promise_id.agent:
                promise = self.state.promises.get((agent.uid, promise_id.index))
        if promise is None:
            raise PromiseNotFound(
                f"no promise {promise_id}",
                "it was never made in this store, or its agent was deleted",
                "pass an id that create_promise gave",
            )
        return promise

    def new_phantom_id(self) -> UUID:
        """A random UUID."""
        return self.clock.uuid4()

    def say(self, agent: Agent, level: str, message: str) -> None:
        """Show what agent code printed where the cell shows its output, once it is committed."""
        if level not in ("stdout", "stderr"):
            return
        context = self._contexts.get(agent.current.seq) if agent.current is not None else None
        if context is None:
            context = contextvars.Context()
        self.release(lambda: context.copy().run(show, level, message))

    def complain(self, agent: Agent, context: dict[str, Any]) -> None:
        """An error that no code awaits goes to the log `workbench`."""
        error = context.get("exception")
        logger.error("%s: %s", agent.text, context.get("message", "error"), exc_info=error)

    def arm_timer(self, uid: int, op: int, due: int) -> None:
        """Deliver `TimerFired` at `due`."""
        self.timers.arm(uid, op, due)

    def _timer_due(self, uid: int, op: int) -> None:
        self._slot(uid).ready.append(op)
        self.schedule(uid)
        self._schedule_turn()

    def start_step(self, agent: Agent, op: int, work: StepWork) -> None:
        """Run a side effect once its intent is committed."""
        step = agent.waits[op].on
        assert isinstance(step, Step)
        origin = step.origin
        token = self._busy_steps[origin] = object()
        instance = self._slot(agent.uid).instance
        known = instance.pending[op].known if instance is not None and op in instance.pending else NOTHING_KNOWN
        context = self._contexts.get(agent.current.seq) if agent.current is not None else None

        def done(outcome: Outcome) -> None:
            if self._busy_steps.get(origin) is not token or self.closed:
                return
            del self._busy_steps[origin]
            reach("step.done")
            for uid, waiting_op in step.waiters or ():  # whoever began it, and its forks
                if waiting_op in getattr(self.state.agents.get(uid), "waits", ()):
                    self._step_ended(uid, waiting_op, outcome)
            self._schedule_turn()
            if not self._busy_steps:
                waiting, self._when_steps_end = self._when_steps_end, []
                for register in waiting:
                    register()

        self.release(lambda: self.steps.run(agent.text, work, known, context, done))

    def _step_ended(self, uid: int, op: int, outcome: Outcome) -> None:
        """Deliver the outcome of a step to an agent that waits for it."""
        slot = self._slot(uid)
        slot.outcomes = slot.outcomes or {}
        slot.outcomes[op] = outcome
        slot.ready.append(op)
        self.schedule(uid)

    # ---- opening, crashing, closing ------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.clock.not_before(self.state.fold(self.log.read()).wall)
        reach("recovery.folded")
        self.state.wakes.clear()
        self.tick()
        if ROOT_UID not in self.state.agents:
            root = AgentId.parse(ROOT_ID)
            self.append_all(decisions.create(self.state, root, "[]", 0))
        self.append(ROOT_UID, e.SessionStarted(*self.identity))
        self._recover()

    def _recover(self) -> None:
        """Take up what the folded facts leave open."""
        state = self.state
        for _, uid, op in sorted(state.due_waits()):
            self._slot(uid).ready.append(op)
            self.schedule(uid)
        for agent in state.agents.values():
            if agent.fresh_fork or (agent.queue and agent.current is None):
                self.schedule(agent.uid)
            if agent.current is not None and self.registry.find(agent.type_name) is None:
                self._undefined.setdefault(agent.type_name, set()).add(agent.uid)
            for op, wait in agent.waits.items():
                due = getattr(wait.on, "due", None)
                if due is not None:
                    self.timers.arm(agent.uid, op, due)
                elif isinstance(wait.on, Step) and not wait.on.settled:
                    self.schedule(agent.uid)
        for agent in state.agents.values():  # a cycle that was closed, and whose refusal was lost
            if agent.waits and agent.current is not None and (cycle := find_deadlock(state, agent.uid)):
                self._refuse(cycle)
        self.timers.fire_due(self.clock.wall())
        self._schedule_turn()

    def crash(self) -> "Future[None]":
        """Drop every instance and all uncommitted entries, then recover, as a killed process would."""
        future: Future[None] = Answer()

        def begin() -> None:
            self._halted = True
            if self._writing:
                self.loop.call_soon(begin)
                return
            self._buffer.clear()
            self._halted = False
            self._crash_now()
            if future.set_running_or_notify_cancel():
                future.set_result(None)

        self.post(lambda: self.loop.call_soon(begin) and None)
        return future

    def _crash_now(self) -> None:
        for slot in self._slots.values():
            if slot.instance is not None:
                slot.instance.discard()
        self._slots.clear()
        self._runnable.clear()
        self._parked.clear()
        self._undefined.clear()
        self._releases.clear()
        self._busy_steps.clear()
        self.timers.clear()
        lost = CrashedError("a crash came before this was committed", "it was never acknowledged", "call again")
        for future in tuple(self._unacknowledged):
            if not future.done():
                future.set_exception(lost)
        self._unacknowledged.clear()
        watchers, self._watchers = self._watchers, {}
        self.state = State()
        self._open()
        self._rewatch(watchers, lost)

    def _rewatch(self, watchers: dict[tuple[int, int], list[Watcher]], lost: CrashedError) -> None:
        """Who waited before a crash goes on waiting, if what it waits for was committed."""
        open_ones: dict[tuple[int, int], Invocation] = {}
        for agent in self.state.agents.values():
            for invocation in (agent.current, agent.last, *(agent.queue or ())):
                if invocation is not None:
                    open_ones[agent.uid, invocation.seq] = invocation
        for (uid, key), group in watchers.items():
            for watcher in group:
                promise = self.state.promises.get((uid, -key))
                invocation = open_ones.get((uid, key))
                if invocation is not None:
                    self.watch_invocation(invocation, watcher)
                elif promise is not None:
                    if promise.settled:
                        self._acknowledge(watcher.future, lambda w=watcher, p=promise: w.settle(ok=True, value=p.value))  # type: ignore[misc]
                    else:
                        self._watchers.setdefault((uid, key), []).append(watcher)
                elif not watcher.future.done():
                    watcher.future.set_exception(lost)

    def close(self) -> None:
        """Commit what was done, stop the threads, give the store back. Harmless when repeated."""
        if self.closed:
            return
        finished: Future[None] = Answer()

        def end() -> None:
            self._flush()
            if self._writing:
                self.loop.call_soon(end)
                return
            self.closed = True
            self.timers.clear()
            self.steps.abandon()
            for slot in self._slots.values():
                if slot.instance is not None:
                    slot.instance.discard()
            self._slots.clear()
            self._fail_all(
                SessionClosedError(
                    "the session was closed", "its agents go on when it is started again", "wb.start(path)"
                )
            )
            finished.set_result(None)

        self.loop.call_soon_threadsafe(end)
        if not self.here:
            finished.result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self._writer.stop()
            self.loop.close()
        self.registry.listeners.remove(self._type_added)
        self.log.close()


_NOTED: Final = frozenset({e.InvocationFinished, e.CallMade, e.PromiseCompleted, e.WaitDropped})
