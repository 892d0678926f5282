"""Where agents live in memory: instances are loaded, given what is due to them one delivery at a time, and stopped.

The engine decides nothing: what is due is read off the state, what comes of it is decided in `core` and appended to the
journal. Any instance can be thrown away at any time and is rebuilt from its oplog when its agent has something due.
"""

import contextvars
import logging
from collections import deque
from typing import Any
from uuid import UUID

from workbench.core import decisions
from workbench.core.lineage import segments
from workbench.core.state import Agent, Invocation, Promise, State, Step, Wait
from workbench.core.waits import Link, find_deadlock
from workbench.errors import DeadlockError, OutcomeUnknown, PromiseNotFound
from workbench.ids import PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import Registry
from workbench.model.codec import NOTHING_KNOWN
from workbench.model.entries import Body, Entry
from workbench.model.failure import encode_failure
from workbench.runtime.instance import Instance
from workbench.runtime.journal import Journal
from workbench.runtime.printing import show
from workbench.runtime.steps import Outcome, Steps, StepWork
from workbench.runtime.timers import Timers
from workbench.runtime.watching import Watchers

logger = logging.getLogger("workbench")


class Slot:
    """What the engine keeps of an agent beside its folded facts; all of it can be made again."""

    __slots__ = ("instance", "outcomes", "ready", "refusals", "scheduled")

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.ready: list[int] = []
        self.scheduled = False
        self.outcomes: dict[int, Outcome] | None = None
        self.refusals: dict[int, bytes] | None = None


class Engine:
    """All agents of one session, on its thread. To each instance it is the `Host`, to the journal the `Listener`."""

    def __init__(self, journal: Journal, registry: Registry, timers: Timers, steps: Steps, watchers: Watchers) -> None:
        self._journal, self._registry = journal, registry
        self._timers, self._steps, self._watchers = timers, steps, watchers
        self.slots: dict[int, Slot] = {}
        self.runnable: deque[int] = deque()
        """Agents that have something due, in the order in which they are served."""
        self.contexts: dict[int, contextvars.Context] = {}
        """Invocation -> the context variables of the cell it comes from, for what it prints and for its steps."""
        self._parked: list[tuple[int, int]] = []
        self._undefined: dict[str, set[int]] = {}
        self.append = journal.append  # straight through: instances call these for most operations
        self.append_all = journal.append_all
        self.make_call = journal.make_call
        journal.listener = self

    @property
    def state(self) -> State:
        """The folded facts."""
        return self._journal.state

    # ---- serving -------------------------------------------------------------------------------------------------

    def slot(self, uid: int) -> Slot:
        """What is kept of an agent."""
        slot = self.slots.get(uid)
        if slot is None:
            slot = self.slots[uid] = Slot()
        return slot

    def schedule(self, uid: int) -> None:
        """Serve this agent in this or the next turn."""
        slot = self.slots.get(uid)
        if slot is None:
            slot = self.slots[uid] = Slot()
        if not slot.scheduled:
            slot.scheduled = True
            self.runnable.append(uid)

    def due(self, uid: int, op: int) -> None:
        """Deliver the outcome of what an agent began at index `op`."""
        self.slot(uid).ready.append(op)
        self.schedule(uid)

    def serve(self, entries: int) -> None:
        """Serve agents until none is runnable or so many entries were written."""
        runnable, slots, state = self.runnable, self.slots, self._journal.state
        limit = state.seq + entries
        while runnable and state.seq < limit:
            uid = runnable.popleft()
            slot = slots[uid]
            slot.scheduled = False
            try:
                self._serve(uid, slot)
            except Exception as error:
                logger.exception("agent %s cannot be served", uid)
                self._fail(uid, slot, error)

    def _serve(self, uid: int, slot: Slot) -> None:
        journal = self._journal
        agent = journal.state.agents.get(uid)
        if agent is None or agent.failure:
            return
        instance = slot.instance
        if instance is None:
            instance = self.load(agent, slot)
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
            journal.tick()
            invocation = agent.queue[0]
            journal.cause = invocation.seq
            body = e.InvocationStarted(invocation.method, invocation.args, invocation.label)
            entry = journal.append_to(agent, body, "", invocation.seq)
            self._run(agent, slot, instance, entry)

    def _deliver(self, agent: Agent, slot: Slot, instance: Instance, op: int, wait: Wait) -> None:
        """Record one delivery and run the agent on it."""
        journal, on = self._journal, wait.on
        body: Body
        if slot.refusals is not None and op in slot.refusals:
            body = e.CallDelivered(op, ok=False, value=slot.refusals.pop(op))
        elif isinstance(on, Invocation):
            body = e.CallDelivered(op, on.ok, on.value)
        elif isinstance(on, Promise):
            body = e.PromiseDelivered(op, on.value)
        elif isinstance(on, Step):
            outcome = slot.outcomes.pop(op, None) if slot.outcomes is not None else None
            ok, value = outcome or (on.ok, on.value)
            attempts = 1 if on.settled or not on.idempotent else journal.state.sessions - on.session + 1
            body = e.StepFinished(op, ok, value, attempts)
        else:
            body = e.TimerFired(op)
        cause = on.settled or wait.seq
        journal.tick()
        journal.cause = cause
        self._run(agent, slot, instance, journal.append_to(agent, body, "", 0))

    def _run(self, agent: Agent, slot: Slot, instance: Instance, entry: Entry) -> None:
        self._journal.cause = entry.seq
        instance.deliver(entry)
        self._after_run(agent, slot, instance)

    def _after_run(self, agent: Agent, slot: Slot, instance: Instance) -> None:
        if instance.stopped is not None:
            self._fail(agent.uid, slot, instance.stopped)
        elif agent.waits and agent.current is not None:
            cycle = find_deadlock(self._journal.state, agent.uid)
            if cycle:
                self.refuse(cycle)

    def refuse(self, cycle: list[Link]) -> None:
        """Answer the newest call in a cycle of waits with `DeadlockError`; the others then go on."""
        state = self._journal.state
        newest = max(range(len(cycle)), key=lambda i: cycle[i].wait.seq)
        ring = cycle[newest + 1 :] + cycle[: newest + 1]
        caller, wait, invocation = ring[-1]
        slot = self.slot(caller.uid)
        slot.refusals = slot.refusals or {}
        if wait.op in slot.refusals:
            return
        links = [_in_words(state, link) for link in ring]
        method = caller.current.method if caller.current is not None else ""
        slot.refusals[wait.op] = encode_failure(DeadlockError(links), caller.text, method)
        self._journal.append_all(decisions.withdraw(state, invocation, (caller.uid, wait.op)))
        self.due(caller.uid, wait.op)

    def _fail(self, uid: int, slot: Slot, error: BaseException) -> None:
        """Stop one agent, and only it: whoever waits for it hears why."""
        agent = self._journal.state.agents[uid]
        if slot.instance is not None:
            slot.instance.discard()
            slot.instance = None
        slot.ready.clear()
        method = agent.current.method if agent.current is not None else ""
        settled = [x for x in (agent.current, *(agent.queue or ())) if x is not None]
        self._journal.tick()
        self._journal.append_to(agent, e.AgentFailed(encode_failure(error, agent.text, method)), "", 0)
        for invocation in settled:
            self._watchers.invocation_settled(invocation)

    # ---- instances -----------------------------------------------------------------------------------------------

    def load(self, agent: Agent, slot: Slot) -> Instance | None:
        """The agent's instance, rebuilt from its oplog; None while that cannot be done yet."""
        journal = self._journal
        agent_type = self._registry.find(agent.type_name)
        if agent_type is None:
            self.await_definition(agent)
            return None
        new = agent.index == 1 and not agent.source
        if not new and agent.seq > journal.committed:
            self._parked.append((agent.seq, agent.uid))
            journal.flush()
            return None
        instance = slot.instance = Instance(self, agent, agent_type)
        if not new:
            journal.tick()
            journal.cause = agent.seq
            oplog = [x for part in segments(journal.state, agent.uid) for x in journal.log.read_oplog(*part)]
            instance.replay(oplog)
            self._restart_steps(agent, instance)
            self._after_run(agent, slot, instance)
            if instance.stopped is not None:
                return None
        return instance

    def unpark(self) -> None:
        """Schedule the agents that waited for their last entry to be committed, when it is."""
        if self._parked:
            parked, self._parked = self._parked, []
            for seq, uid in parked:
                if seq <= self._journal.committed:
                    self.schedule(uid)
                else:
                    self._parked.append((seq, uid))

    @property
    def parked(self) -> bool:
        """Whether agents wait for a commit."""
        return bool(self._parked)

    def await_definition(self, agent: Agent) -> None:
        """Schedule this agent when its class is defined."""
        self._undefined.setdefault(agent.type_name, set()).add(agent.uid)

    def defined(self, name: str) -> None:
        """A class was defined: agents that waited for it go on."""
        for uid in self._undefined.pop(name, ()):
            self.schedule(uid)

    def discard_all(self) -> None:
        """Throw every instance away, and what is kept beside them."""
        for slot in self.slots.values():
            if slot.instance is not None:
                slot.instance.discard()
        self.slots.clear()
        self.runnable.clear()
        self._parked.clear()
        self._undefined.clear()

    # ---- what the journal tells (see `journal.Listener`) ---------------------------------------------------------

    def wake(self) -> None:
        """Schedule whom the state names."""
        wakes = self._journal.state.wakes
        for uid, op in wakes:
            if op:
                self.due(uid, op)
            else:
                self.schedule(uid)
        wakes.clear()

    def forked(self, uid: int, body: e.AgentForked) -> None:
        """Have a fork given what its source is given."""
        outcomes = self.slot(body.source).outcomes or {}
        for op, wait in self._journal.state.agents[uid].waits.items():
            due = getattr(wait.on, "due", None)
            if due is not None:
                self._timers.arm(uid, op, due)
            elif op in outcomes:  # the step has ended, and its end is not recorded
                self._step_ended(uid, op, outcomes[op])
        self.schedule(uid)
        self.wake()

    def heard(self, agent: Agent, entry: Entry, body: Body, before: Invocation | None) -> None:
        """Tell watchers and timers; pass the context of a call on."""
        if isinstance(body, e.InvocationFinished):
            if before is not None:
                self.contexts.pop(before.seq, None)
                self._watchers.invocation_settled(before)
        elif isinstance(body, e.CallMade):
            if before is not None and self.contexts and (context := self.contexts.get(before.seq)):
                self.contexts[entry.seq] = context
        elif isinstance(body, e.PromiseCompleted):
            if body.first:
                self._watchers.promise_completed(body.owner, body.promise, body.value)
        elif isinstance(body, e.WaitDropped):
            self._timers.disarm(agent.uid, body.op)

    # ---- what instances ask (see `host.Host`) --------------------------------------------------------------------

    def incarnation(self, uid: int) -> str:
        """Which life of an agent: the store's salt and the agent's uid."""
        return f"{self._journal.log.salt}-{uid}"

    def promise_of(self, promise_id: PromiseId) -> Promise:
        """Look a promise up.

        Raises:
            PromiseNotFound: it never was, or is another store's, or its agent's life has ended.
        """
        salt, _, uid = promise_id.incarnation.partition("-")
        promise = None
        if salt == self._journal.log.salt and uid.isascii() and uid.isdigit():
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
        return self._journal.clock.uuid4()

    def _context_of(self, agent: Agent) -> contextvars.Context | None:
        return self.contexts.get(agent.current.seq) if agent.current is not None else None

    def say(self, agent: Agent, level: str, message: str) -> None:
        """Show what agent code printed where the cell shows its output, once it is committed."""
        if level in ("stdout", "stderr"):
            context = self._context_of(agent) or contextvars.Context()
            self._journal.release(lambda: context.copy().run(show, level, message))

    def complain(self, agent: Agent, context: dict[str, Any]) -> None:
        """An error that no code awaits goes to the log `workbench`."""
        error = context.get("exception")
        logger.error("%s: %s", agent.text, context.get("message", "error"), exc_info=error)

    def arm_timer(self, uid: int, op: int, due: int) -> None:
        """Deliver `TimerFired` at `due`."""
        self._timers.arm(uid, op, due)

    # ---- steps ---------------------------------------------------------------------------------------------------

    def start_step(self, agent: Agent, op: int, work: StepWork) -> None:
        """Run a side effect once its intent is committed."""
        step: Any = agent.waits[op].on  # a `Step`: its intent stands at `op`
        instance = self.slot(agent.uid).instance
        known = instance.pending[op].known if instance is not None and op in instance.pending else NOTHING_KNOWN
        self._steps.begin(step, agent.text, work, known, self._context_of(agent))

    def step_done(self, step: Step, outcome: Outcome) -> None:
        """Deliver an outcome to whoever began the step, and to its forks."""
        for uid, op in step.waiters or ():
            if op in getattr(self.state.agents.get(uid), "waits", ()):
                self._step_ended(uid, op, outcome)

    def _step_ended(self, uid: int, op: int, outcome: Outcome) -> None:
        slot = self.slot(uid)
        slot.outcomes = slot.outcomes or {}
        slot.outcomes[op] = outcome
        self.due(uid, op)

    def _restart_steps(self, agent: Agent, instance: Instance) -> None:
        """Begin again what was under way when the process ended."""
        for op, wait in agent.waits.items():
            step = wait.on
            if isinstance(step, Step) and not step.settled and not self._steps.under_way(step):
                work, slot = instance.work.get(op), self.slot(agent.uid)
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


def _in_words(state: State, link: Link) -> tuple[str, str, str]:
    """A link of a deadlock: who waits, for which method, from which line."""
    target = state.agents[link.invocation.target]
    return link.agent.text, f"{target.type_name}.{link.invocation.method}", link.wait.line
