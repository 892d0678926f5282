"""Where agents live in memory: instances are loaded, given what is due to them one delivery at a time, and stopped.

The engine decides nothing: what is due is read off the state, what comes of it is decided in `core` and appended to the
journal. Any instance can be thrown away at any time and is rebuilt from its oplog when its agent has something due.
"""

import contextvars
import logging
from collections import deque
from typing import Any
from uuid import UUID

from workbench.core import decisions, history
from workbench.core.lineage import Segment, forked_at, newest_snapshot, resumptions, segments
from workbench.core.nouns import ROOT_UID, Agent, Invocation, Promise, Step, Timer, Wait, status_of
from workbench.core.regions import NOTHING_UNDONE, Undone, undone
from workbench.core.state import State
from workbench.core.waits import Link, find_deadlock
from workbench.errors import AgentRevertedError, AgentSetAsideError, DeadlockError
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import AgentType, Registry
from workbench.model.codec import NOTHING_KNOWN
from workbench.model.entries import Body, Entry
from workbench.model.failure import encode_failure
from workbench.runtime.controls import Controls
from workbench.runtime.definitions import Definitions, MissingNameError
from workbench.runtime.instance import Instance
from workbench.runtime.journal import Journal
from workbench.runtime.printing import show
from workbench.runtime.revisions import Revisions
from workbench.runtime.steps import Outcome, Steps, StepWork, outcome_unknown
from workbench.runtime.timers import Timers
from workbench.runtime.watching import Watchers
from workbench.store.rebuilds import TRIES, Rebuilds

logger = logging.getLogger("workbench")


class Slot:
    """What the engine keeps of an agent beside its folded facts; all of it can be made again."""

    __slots__ = ("instance", "outcomes", "ready", "recheck", "refusals", "scheduled", "served")

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.ready: list[int] = []
        self.scheduled = self.recheck = False
        self.served = 0
        self.outcomes: dict[int, Outcome] | None = None
        self.refusals: dict[int, bytes] | None = None


class Engine:
    """All agents of one session, on its thread. To each instance it is the `Host`, to the journal the `Listener`."""

    def __init__(
        self,
        journal: Journal,
        registry: Registry,
        timers: Timers,
        steps: Steps,
        watchers: Watchers,
        rebuilds: Rebuilds,
    ) -> None:
        self._journal, self._registry, self._rebuilds = journal, registry, rebuilds
        self._timers, self._steps, self._watchers = timers, steps, watchers
        self.slots: dict[int, Slot] = {}
        self.runnable: deque[int] = deque()
        """Agents that have something due, in the order in which they are served."""
        self.contexts: dict[int, contextvars.Context] = {}
        """Invocation -> the context variables of the cell it comes from, for what it prints and for its steps."""
        self._parked: list[tuple[int, int]] = []
        self.definitions = Definitions()
        self.since = 0
        """The `seq` of the entry with which this process opened the store."""
        self._jobs: dict[str, AgentType] = {}
        """By the id of a fan-out job: its type, with the function of its items that this process has run it with."""
        self.running: Agent | None = None
        self.runs = 0
        self.append = journal.append  # straight through: instances call these for most operations
        self.tick = journal.tick
        self.append_all = journal.append_all
        self.watched = watchers.watched
        self.asks_no_more = steps.asks_no_more
        self.controls = Controls(self, journal)
        self.control = self.controls.answer
        self.revisions = Revisions(journal, registry)
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
                if self._journal.broken is not None:  # an oplog could not be read, which is no failure of the agent's
                    return
                logger.exception("agent %s cannot be served", uid)
                self._fail(uid, slot, error)

    def _serve(self, uid: int, slot: Slot) -> None:
        journal = self._journal
        agent = journal.state.agents.get(uid)
        if agent is None or agent.deleted:
            return
        if agent.failure:
            if slot.recheck:
                self._try_diverged(agent, slot)
            return
        if agent.interrupted:
            if agent.stands:
                return
            self.controls.resume(agent)
        if slot.recheck and not self._recheck(agent, slot):
            return
        instance = slot.instance
        if instance is None:
            instance = self.load(agent, slot)
            if instance is None:
                return
        ready, slot.ready = slot.ready, []
        for op in ready:
            if instance.regions is not None and instance.holds(op):
                slot.ready.append(op)
                continue
            wait = agent.waits.get(op)
            if wait is not None:
                self._deliver(agent, slot, instance, op, wait)
                if instance.stopped is not None:
                    return
        if slot.ready and not all(instance.holds(op) for op in slot.ready):
            self.schedule(uid)
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
            body = e.PromiseDelivered(op, on.value, on.ok)
        elif isinstance(on, Step):
            outcome = slot.outcomes.pop(op, None) if slot.outcomes is not None else None
            if on.settled:
                body = e.StepFinished(op, on.ok, on.value)
            elif outcome is not None:
                attempts = on.begun + instance.work[op].tries_undone
                body = e.StepFinished(op, outcome.ok, outcome.value, attempts)
            else:
                self._try_again(agent, instance, op, on)
                return
        else:
            body = e.TimerFired(op)
        cause = on.settled or wait.seq
        journal.tick()
        journal.cause = cause
        self._run(agent, slot, instance, journal.append_to(agent, body, "", 0))

    def _run(self, agent: Agent, slot: Slot, instance: Instance, entry: Entry) -> None:
        self._journal.cause = entry.seq
        self.runs += 1
        self.running = agent
        try:
            instance.deliver(entry)
        finally:
            self.running = None
        self._after_run(agent, slot, instance)
        every = instance.type.snapshot_every
        if every and slot.instance is instance and agent.current is None and agent.finished % every == 0:
            self._take_snapshot(agent, instance)

    def _after_run(self, agent: Agent, slot: Slot, instance: Instance) -> None:
        slot.served = self._journal.mono
        if isinstance(instance.stopped, MissingNameError):
            self._await_name(agent, slot, instance.stopped)
        elif instance.stopped is not None:
            self._fail(agent.uid, slot, instance.stopped)
        elif agent.current is None:
            if agent.ephemeral and not agent.queue:
                self.put_away(slot)
        elif agent.waits:
            cycle = find_deadlock(self._journal.state, agent.uid, self._steps.asked)
            if cycle:
                self.refuse(cycle)

    def asked_by_step(self, made: "tuple[Steps, tuple[int, int]]", call: Invocation) -> None:
        """The function of a step calls, and may wait: refused when the answer could never come."""
        steps, origin = made
        if steps is not self._steps:
            return  # of another session
        steps.asks(origin, call)
        if origin in steps.asked and (cycle := find_deadlock(self._journal.state, origin[0], steps.asked)):
            self.refuse(cycle)

    def refuse(self, cycle: list[Link]) -> None:
        """Answer the newest call in a cycle of waits with `DeadlockError`; the others then go on.

        An agent's call is: else that of a step which is queued, and one of a cycle is.
        """
        state = self._journal.state
        calls = [i for i, link in enumerate(cycle) if isinstance(link.wait.on, Invocation)]
        queued = [i for i, link in enumerate(cycle) if not link.invocation.started]
        newest = max(calls or queued, key=lambda i: cycle[i].wait.seq)
        ring = cycle[newest + 1 :] + cycle[: newest + 1]
        caller, wait, invocation = ring[-1]
        slot = self.slot(caller.uid)
        slot.refusals = slot.refusals or {}
        if wait.op in slot.refusals:
            return
        links = [_in_words(state, link) for link in ring]
        method = caller.current.method if caller.current is not None else ""
        failure = encode_failure(DeadlockError(links), caller.text, method)
        if not calls:
            self._journal.append_all(decisions.cancel(invocation, failure))
            return
        slot.refusals[wait.op] = failure
        if not self.watched(invocation):
            self._journal.append_all(decisions.withdraw(state, invocation, (caller.uid, wait.op)))
        self.due(caller.uid, wait.op)

    def _fail(self, uid: int, slot: Slot, error: BaseException) -> None:
        """Stop one agent, and only it: whoever waits for it hears why."""
        agent = self._journal.state.agents[uid]
        self.put_away(slot)
        slot.ready.clear()
        method = agent.current.method if agent.current is not None else ""
        self._journal.tick()
        self._journal.append_to(agent, e.AgentFailed(encode_failure(error, agent.text, method)), "", 0)
        self.definitions.diverged(agent)

    # ---- calls ---------------------------------------------------------------------------------------------------

    def make_call(self, caller: int, target: AgentId, request: e.CallMade, line: str) -> Entry:
        """Decide and append a call; its entry."""
        self.tick()
        state = self._journal.state
        if request.target_id in state.by_id:
            drafts = decisions.call(state, caller, target, request)
        else:
            drafts = decisions.call(state, caller, target, request, self.revisions.of_new(target.type_name))
        entry = self._journal.append_all(drafts, line)[-1]
        agent = state.agents[entry.body.target]  # type: ignore[attr-defined] # it is a `CallMade`
        if agent.id is None:
            agent.id = target  # saves parsing it
        return entry

    # ---- instances -----------------------------------------------------------------------------------------------

    def type_of(self, agent: Agent) -> AgentType | None:
        """The class that an agent is of, as it is defined now; None while it is not.

        Jobs whose functions share a name have types of one name: which is whose is told by the job's id.
        """
        if not self._made_by_job(agent):
            return self._registry.find(agent.type_name)
        return self._jobs.get(self._job_of(agent))

    def _made_by_job(self, agent: Agent) -> bool:
        return self._first(agent).job

    def _first(self, agent: Agent) -> Agent:
        """What an agent was forked from in the beginning."""
        while agent.source:
            agent = self.state.agents[agent.source]
        return agent

    def _job_of(self, agent: Agent) -> str:
        """The id of the job that an agent is, or is a child of."""
        agent = self._first(agent)
        spawner = self.state.agents.get(agent.spawned_by)
        job = None if spawner is None else self._first(spawner)
        is_child = job is not None and job.job and job.type_name == agent.type_name and agent.text not in self._jobs
        return job.text if job is not None and is_child else agent.text

    def bind_job(self, job_id: str, agent_type: AgentType) -> None:
        """A fan-out job runs with this type from now on; what waited for it goes on."""
        self._jobs[job_id] = agent_type
        for uid in self.definitions.class_came(job_id):
            self.schedule(uid)

    def load(self, agent: Agent, slot: Slot) -> Instance | None:
        """The agent's instance, rebuilt from its oplog; None while that cannot be done yet."""
        journal = self._journal
        agent_type = self.type_of(agent)
        if agent_type is None:
            self.await_definition(agent)
            return None
        new = agent.index == 1 and not agent.source
        if not new and agent.seq > journal.committed:
            self._park(agent)
            return None
        if new:
            slot.instance = Instance(self, agent, self.revisions.of_existing(agent, agent_type, None))
            return slot.instance
        if self._rebuilds.ended(agent.uid) >= TRIES:
            self._set_aside(agent, slot)
            return None
        journal.tick()
        journal.cause = agent.seq
        self._rebuilds.begin(agent.uid)
        try:
            instance = slot.instance = self._rebuild(agent, agent_type)
        finally:
            self._rebuilds.end(agent.uid)
        self._restart_steps(agent, instance)
        self._after_run(agent, slot, instance)
        return slot.instance

    def _rebuild(self, agent: Agent, newest: AgentType) -> Instance:
        """An instance as the oplog left it, from the newest snapshot that can be loaded."""
        journal, state = self._journal, self._journal.state
        if agent.regions:
            self._undo_regions(agent)
        parts = segments(state, agent.uid)
        agent_type = self.revisions.of_existing(agent, newest, self)
        forked, resumed = forked_at(state, agent.uid), self._resumed(agent)
        while True:
            instance = Instance(self, agent, agent_type)
            begin = newest_snapshot(state, parts)
            tail = [
                entry
                for uid, first, last in parts
                if last >= begin
                for entry in (journal.read_committed if uid == agent.uid else journal.read_source)(
                    uid, max(first, begin), last
                )
            ]
            if begin and (error := instance.restore(tail[0])) is not None:
                logger.warning(
                    "%s: the snapshot at index %d cannot be loaded (%r); replaying all", agent.text, begin, error
                )
                failure = encode_failure(error, agent.text, "load_snapshot")
                journal.append_to(state.agents[tail[0].agent], e.SnapshotRefused(begin, failure), "", 0)
                continue
            instance.replay(tail, forked, resumed)
            return instance

    def _resumed(self, agent: Agent) -> list[tuple[int, int]]:
        """After which indices of its oplog an agent went on later, and when."""
        return [
            (after, entry.wall)
            for uid, at, after in resumptions(self._journal.state, agent.uid)
            for entry in self._journal.read_oplog([Segment(uid, at, at)])
        ]

    def _set_aside(self, agent: Agent, slot: Slot) -> None:
        """Stop an agent that ended one process after the other, so that the others may go on."""
        error = AgentSetAsideError(
            f"{agent.text} was set aside, at oplog index {agent.index}",
            f"{self._rebuilds.ended(agent.uid)} processes in a row ended while they rebuilt it by replay: its code, or "
            "what it calls, ended them, or it took too much memory",
            f"mend its code and try again, `await client.revert(to={agent.index})`, go back further, or give it up, "
            "`await client.delete()`",
        )
        self._fail(agent.uid, slot, error)
        self._journal.release(lambda: self._rebuilds.forget(agent.uid))

    def _undo_regions(self, agent: Agent) -> None:
        """An atomic region that a crash cut short counts no longer: it runs again as a whole."""
        journal, state = self._journal, self._journal.state
        oplog = journal.read_oplog(segments(state, agent.uid))
        begun = agent.regions[0]
        if any(entry.index == begun and entry.seq < state.opened for entry in oplog):
            for entry in oplog:
                if entry.index > begun and isinstance(entry.body, e.CallScheduled) and state.schedule_of(entry.seq):
                    self.append(*decisions.cancel_schedule(state, entry.seq, agent.uid))
            self.controls.go_back(agent, begun - 1, history.region_facts(oplog, begun), region=begun)

    def rehearse(self, agent: Agent, agent_type: AgentType) -> BaseException | None:
        """Replay an agent on other code without any effect: None when the code asks for all that the oplog holds."""
        state = self._journal.state
        oplog = self._journal.read_oplog(segments(state, agent.uid))
        instance = Instance(self, agent, agent_type)
        error = instance.rehearse(oplog, forked_at(state, agent.uid), self._resumed(agent))
        instance.discard()
        return error

    def _recheck(self, agent: Agent, slot: Slot) -> bool:
        """The class was defined anew: an agent in memory moves to it if its oplog fits; False to try later."""
        if agent.seq > self._journal.committed:
            self._park(agent)
            return False
        slot.recheck = False
        newest = self.type_of(agent)
        if slot.instance is None or newest is None:
            return True
        if self.revisions.of_existing(agent, newest, self) is not slot.instance.type:
            self.put_away(slot)
        return True

    def _try_diverged(self, agent: Agent, slot: Slot) -> None:
        """The class of an agent that did not replay was defined anew: it goes on if it does now."""
        newest = self.type_of(agent)
        if agent.seq > self._journal.committed:
            self._park(agent)
            return
        slot.recheck = False
        if newest is None:
            return
        error = self.rehearse(agent, newest)
        if isinstance(error, MissingNameError):
            self.definitions.await_name(agent.uid, error)
        if error is not None:
            return
        self.definitions.mended(agent)
        oplog = self._journal.read_oplog(segments(self.state, agent.uid))
        last = max(entry.index for entry in oplog if isinstance(entry.body, e.AgentFailed)) - 1
        self.controls.go_back(agent, last, history.facts_at(oplog, last))
        logger.warning("%s goes on: its code fits its oplog again", agent.text)

    def _take_snapshot(self, agent: Agent, instance: Instance) -> None:
        snapshot = instance.snapshot()
        if snapshot is not None:
            self._journal.append_to(agent, snapshot, "", 0)

    def put_away(self, slot: Slot) -> None:
        """Give an agent's instance up; it is rebuilt when something is due."""
        if slot.instance is not None:
            slot.instance.discard()
            slot.instance = None

    def put_away_suspended(self, before: int) -> None:
        """Give up the instances of suspended agents that were last served before this time (monotonic nanoseconds)."""
        state = self._journal.state
        for uid, slot in self.slots.items():
            if slot.instance is not None and slot.served < before and not slot.scheduled and not slot.ready:
                agent = state.agents[uid]
                if agent.current is not None and agent.waits and status_of(agent) == "suspended":
                    self.put_away(slot)

    def stop(self, agent: Agent) -> None:
        """Give up all that goes on for an agent in memory: its instance, what is due, its timers and steps."""
        self.definitions.forget(agent.uid)
        slot = self.slot(agent.uid)
        self.put_away(slot)
        slot.ready.clear()
        slot.outcomes = slot.refusals = None
        for op, wait in agent.waits.items():
            self._timers.disarm(agent.uid, op)
            on = wait.on
            if isinstance(on, Step) and not any(
                uid != agent.uid and other in getattr(self.state.agents.get(uid), "waits", ())
                for uid, other in on.waiters or ()
            ):
                self._steps.cancel(on)

    def take_up(self, agent: Agent) -> None:
        """Schedule what is due of an agent, and arm its timers: after an opening, a resume, a revert."""
        if agent.deleted or agent.stands:
            return
        if agent.failure:
            if self.definitions.diverged(agent) and self.type_of(agent) is not None:
                self._recheck_later(agent.uid)
            return
        if agent.goes_on or agent.interrupted or agent.regions or (agent.queue and agent.current is None):
            self.schedule(agent.uid)
        if agent.current is not None and self.type_of(agent) is None:
            self.await_definition(agent)
        for op, wait in agent.waits.items():
            on = wait.on
            if self._arm(agent.uid, op, wait):
                continue
            if on.settled:
                self.due(agent.uid, op)
            elif isinstance(on, Step):
                self.schedule(agent.uid)

    def _arm(self, uid: int, op: int, wait: Wait) -> bool:
        """Have a timer fire, or a step tried again, when it is due; False for a wait that no time ends."""
        on = wait.on
        due = on.due if isinstance(on, Timer) else on.retry_due if isinstance(on, Step) and not on.settled else 0
        if due:
            self._timers.arm(uid, op, due)
        return bool(due)

    def _park(self, agent: Agent) -> None:
        self._parked.append((agent.seq, agent.uid))
        self._journal.flush()

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
        """Schedule this agent when its class is defined. A job that an agent made has its code when that is rebuilt."""
        of_job = self._made_by_job(agent)
        for key in (agent.text, self._job_of(agent)) if of_job else (agent.type_name,):
            self.definitions.await_class(agent.uid, key)
        if of_job and agent.spawned_by != ROOT_UID:
            self.schedule(agent.spawned_by)

    def defined(self, name: str) -> None:
        """A class was defined: agents that waited for it go on, and those in memory try its code."""
        for uid in self.definitions.class_came(name):
            self.schedule(uid)
        self.revisions.forget(name)
        code = self._registry.get(name).code
        for uid, slot in self.slots.items():
            if slot.instance is not None and slot.instance.type.name == name and slot.instance.type.code != code:
                self._recheck_later(uid)
        for uid in self.definitions.diverged_of(name):
            self._recheck_later(uid)
        self.names_came()

    def _recheck_later(self, uid: int) -> None:
        self.slot(uid).recheck = True
        self.schedule(uid)

    def names_may_come(self, agent: Agent) -> bool:
        """See `Host`: it is so in a notebook, for what an earlier process began."""
        return self._registry.cells_seen and agent.current is not None and agent.current.seq < self.since

    def _await_name(self, agent: Agent, slot: Slot, missing: MissingNameError) -> None:
        """An agent's code asks for a name that a later cell may define: it goes on when one has."""
        self.put_away(slot)
        if self.definitions.await_name(agent.uid, missing):
            self._journal.append_to(agent, e.NameAwaited(missing.name), "", 0)
            logger.warning(
                "%s waits: its code asks for %s, which no cell has defined since the kernel was started. It goes on "
                "when one has.",
                agent.text,
                missing.name,
            )

    def names_came(self) -> None:
        """Something may have been defined: who waited for a name that is there now goes on."""
        for uid in self.definitions.names_came():
            agent = self.state.agents[uid]
            self.take_up(agent)
            self.schedule(uid)

    def discard_all(self) -> None:
        """Throw every instance away, and what is kept beside them."""
        for slot in self.slots.values():
            if slot.instance is not None:
                slot.instance.discard()
        self.slots.clear()
        self.runnable.clear()
        self._parked.clear()
        self.definitions.clear()
        self.revisions.forget_all()

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
            if op in outcomes:  # the step has ended, and its end is not recorded
                self._step_ended(uid, op, outcomes[op])
            else:
                self._arm(uid, op, wait)
        self.schedule(uid)
        self.wake()

    def heard(self, agent: Agent, entry: Entry, body: Body, before: Invocation | None) -> None:
        """Tell watchers and timers; pass the context of a call on."""
        if self._journal.state.ended:
            self._tell_ended()
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
        elif isinstance(body, e.CallScheduled):
            self._timers.arm(0, entry.seq, body.due)
        elif isinstance(body, e.ScheduleCancelled):
            self._timers.disarm(0, body.schedule)

    def _tell_ended(self) -> None:
        """Whoever outside waits for what has failed by delete, interrupt, revert or cancel hears of it."""
        ended, self._journal.state.ended = self._journal.state.ended, []
        for matter in ended:
            if isinstance(matter, Invocation):
                self.contexts.pop(matter.seq, None)
                self._watchers.invocation_settled(matter)
            elif isinstance(matter, Promise):
                self._watchers.promise_ended(matter)

    # ---- what instances ask (see `host.Host`) --------------------------------------------------------------------

    def incarnation(self, uid: int) -> str:
        """Which life of an agent: the store's salt and the agent's uid."""
        return f"{self._journal.log.salt}-{uid}"

    def promise_of(self, promise_id: PromiseId) -> Promise:
        """Look a promise up.

        Raises:
            PromiseNotFound: it never was, or is another store's, or its agent's life has ended.
        """
        return decisions.find_promise(self._journal.state, self._journal.log.salt, promise_id)

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
        """Deliver an outcome to whoever began the step, and to its forks; or record when it is tried again."""
        waiting = []
        for uid, op in dict.fromkeys(step.waiters or ()):
            agent = self.state.agents.get(uid)
            if agent is not None and op in agent.waits and not agent.failure:
                waiting.append((uid, op))
        if outcome.delay is not None and waiting:
            self._try_later(step, waiting, outcome.value, outcome.delay)
            return
        for uid, op in waiting:
            self._step_ended(uid, op, outcome)

    def _try_later(self, step: Step, waiting: list[tuple[int, int]], failure: bytes, delay: float) -> None:
        """A try failed, and is not the last: the next begins after so many seconds."""
        journal = self._journal
        uid, op = waiting[0]
        agent = journal.state.agents[uid]
        journal.tick()
        journal.cause = agent.waits[op].seq
        due = journal.wall + round(delay * 1e9)
        journal.append_to(agent, e.StepRetried(op, step.begun, due, failure), "", 0)
        for uid, op in waiting:
            self._timers.arm(uid, op, due)

    def _try_again(self, agent: Agent, instance: Instance, op: int, step: Step) -> None:
        """The wait for the next try is over."""
        if step.retry_due and not self._steps.under_way(step):
            self._restart_step(agent, instance, op, step)

    def _step_ended(self, uid: int, op: int, outcome: Outcome) -> None:
        slot = self.slot(uid)
        slot.outcomes = slot.outcomes or {}
        slot.outcomes[op] = outcome
        self.due(uid, op)

    def _restart_steps(self, agent: Agent, instance: Instance) -> None:
        """Begin again what was under way when the process ended, or the agent was stopped."""
        for op, wait in agent.waits.items():
            step = wait.on
            if not isinstance(step, Step) or step.settled or step.retry_due or self._steps.under_way(step):
                continue
            if op not in instance.work or op in (self.slot(agent.uid).outcomes or ()):
                continue
            if step.idempotent:
                self._restart_step(agent, instance, op, step)
            else:
                error = outcome_unknown(step.name, agent.text, "it was cut short while it was under way")
                self._step_ended(agent.uid, op, Outcome(False, encode_failure(error, agent.text, step.name)))  # noqa: FBT003

    def _restart_step(self, agent: Agent, instance: Instance, op: int, step: Step) -> None:
        """Try a step once more; that it is, is on disk before."""
        self._journal.tick()
        self._journal.cause = agent.waits[op].seq
        self._journal.append_to(agent, e.StepRestarted(op, step.begun), "", 0)
        self.start_step(agent, op, instance.work[op])

    def undone_before(self, agent: Agent, started: int, begun: int) -> Undone:
        """See `Host`."""
        since = [last for last, at in agent.reverts if started < at < begun]
        if not since:
            return NOTHING_UNDONE
        return undone(self._journal.read_oplog([Segment(agent.uid, min(since) + 1, begun - 1)]))

    def end_region(self, agent: Agent, begun: int, line: str) -> None:
        """See `Host`."""
        left = decisions.promises_left(self.state, agent) if agent.regions == (begun,) else []
        failure = b""
        if left:
            error = AgentRevertedError(
                f"a promise of {agent.text}",
                "an atomic region made it that a crash undid, and that made no such promise when it ran again",
                "ask the agent anew",
            )
            failure = encode_failure(error, agent.text, "")
        self._journal.append_to(agent, e.RegionEnded(begun, tuple(left), failure), line, 0)


def _in_words(state: State, link: Link) -> tuple[str, str, str]:
    """A link of a deadlock: who waits, for which method, from which line."""
    target = state.agents[link.invocation.target]
    line = link.wait.line if isinstance(link.wait.on, Invocation) else link.invocation.line
    return link.agent.text, f"{target.type_name}.{link.invocation.method}", line
