# mypy: disable-error-code="attr-defined, method-assign, assignment, misc, no-untyped-def, no-untyped-call"
# ruff: noqa: ANN001, ANN002, ANN202 - the functions that are put in place of others have their parameters
"""Bugs, each planted in this process by replacing a piece of the runtime; see `test_planted_bugs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workbench.core import decisions, history
from workbench.core.lineage import Cursor
from workbench.model import entries as e
from workbench.runtime import engine, instance, recovery
from workbench.runtime.engine import Engine
from workbench.runtime.journal import Journal
from workbench.runtime.steps import Steps
from workbench.runtime.timers import Timers
from workbench.store import log, reading
from workbench.store.log import SqliteLog
from workbench.views import tables


def acknowledge_early() -> None:
    """An answer leaves the session before what it says is committed."""

    def acknowledge(self: Journal, future: Any, settle: Callable[[], object], *_: object, **__: object) -> None:
        settle()

    Journal.acknowledge = acknowledge


def release_before_commit() -> None:
    """Results, and steps that start, do not wait for the commit."""

    def release(self: Journal, action: Callable[[], object], *_: object) -> None:
        action()

    Journal.release = release


def no_dedup_by_key() -> None:
    """A key joins nothing: each call is a new invocation."""
    call = decisions.call

    def without_key(state, caller, target_id, request, *kind):
        return call(state, caller, target_id, msgspec.structs.replace(request, key=None), *kind)

    decisions.call = without_key


def lost_order() -> None:
    """Of what is queued the newest comes first."""
    serve = Engine._serve

    def newest_first(self: Engine, uid: int, slot: Any) -> None:
        agent = self.state.agents.get(uid)
        if agent is not None and agent.queue:
            agent.queue.sort(key=lambda invocation: -invocation.seq)
        serve(self, uid, slot)

    Engine._serve = newest_first


def synchronous_normal() -> None:
    """A commit is not synced to the disk."""
    prepare = SqliteLog._prepare

    def carelessly(self: SqliteLog, db: Any) -> None:
        prepare(self, db)
        db.execute("PRAGMA synchronous = NORMAL")

    SqliteLog._prepare = carelessly


def no_chain() -> None:
    """The chain covers nothing."""
    log.link = reading.link = lambda *_: bytes(16)


def second_completion_wins() -> None:
    """Each completion of a promise counts as the first."""

    def complete(promise, completer, value):
        return completer, e.PromiseCompleted(promise.owner, promise.index, value, True)  # noqa: FBT003

    decisions.complete_promise = complete


def timer_early() -> None:
    """Timers fire a tenth of a second before they are due."""
    arm = Timers.arm

    def arm_early(self: Timers, uid: int, op: int, due: int) -> None:
        arm(self, uid, op, due - 100_000_000)

    Timers.arm = arm_early


def timer_late() -> None:
    """Timers fire in an order of their own."""
    arm = Timers.arm

    def arm_late(self: Timers, uid: int, op: int, due: int) -> None:
        arm(self, uid, op, due + (due // 1_000_000_000 % 2) * 3_000_000_000)

    Timers.arm = arm_late


def replay_prints_again() -> None:
    """What was said before is said again, and written again."""
    Cursor.said_before = lambda *_: False


def fork_repeats_open_steps() -> None:
    """A fork begins anew what its source has under way."""
    restart = Engine._restart_steps

    def restart_all(self: Engine, agent: Any, made: Any) -> None:
        under_way, Steps.under_way = Steps.under_way, lambda *_: False
        restart(self, agent, made)
        Steps.under_way = under_way

    Engine._restart_steps = restart_all


def drop_a_delivery() -> None:
    """The third thing that is due never is."""
    due, count = Engine.due, [0]

    def forgetful(self: Engine, uid: int, op: int) -> None:
        count[0] += 1
        if count[0] != 3:
            due(self, uid, op)

    Engine.due = forgetful


def markup_unescaped() -> None:
    """Names reach a page as they are."""
    tables.escape = lambda text: text


def wrong_invocation_on_revert() -> None:
    """A revert of one invocation takes two back."""
    before_last = history.before_last
    history.before_last = lambda oplog, number: before_last(oplog, number + 1)


def snapshot_stale() -> None:
    """A snapshot holds what the one before should have held."""
    taken, last = instance.taken, []

    def stale(agent_type, made):
        last.append(taken(agent_type, made))
        return last[max(len(last) - 2, 0)]

    instance.taken = stale


def retry_forgets_attempts() -> None:
    """A step that a crash cut short and that ran again counts as tried once."""

    def restart(self: Engine, agent: Any, made: Any, op: int, step: Any) -> None:
        self._journal.tick()
        self.append_all([(agent.uid, e.StepRestarted(op, 0))])
        self.start_step(agent, op, made.work[op])

    Engine._restart_step = restart


def step_intent_after_step() -> None:
    """A step runs, and its intent is committed after it."""
    begin = Steps.begin

    def hasty(self: Steps, step: Any, agent_id: str, work: Any, *more: Any) -> None:
        value = work.function(*work.args, **work.kwargs)
        work.function = lambda *_, **__: value
        begin(self, step, agent_id, work, *more)

    Steps.begin = hasty


def deadlock_missed() -> None:
    """A cycle of waits is not noticed."""
    engine.find_deadlock = recovery.find_deadlock = lambda *_: []


def deadlock_false() -> None:
    """Whoever waits for an agent that waits is refused."""
    find = engine.find_deadlock

    def jumpy(state, uid, *more):
        from workbench.core.waits import Link

        agent = state.agents[uid]
        for wait in agent.waits.values():
            target = getattr(wait.on, "target", 0)
            if target and state.agents[target].waits:
                return [Link(agent, wait, wait.on)]
        return find(state, uid, *more)

    engine.find_deadlock = jumpy
