"""Rows: what of the log they tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.views.entry_log import EntryLog
from tests.views.moments import tape_of
from workbench.errors import DeadlockError
from workbench.model import entries as e
from workbench.model.entries import CallDelivered, CallRefused
from workbench.model.failure import encode_failure
from workbench.views.graph_nodes import Link, Origin, Status
from workbench.views.ring import MOST, Ring
from workbench.views.tape import Arrow, PromiseEvent, Reason, Row, Tape


@wb.agent
class Ringed:
    """Awaits the next one of a ring."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def visit(self, size: int) -> Any:
        return await Ringed.get((self.n + 1) % size).visit(size)  # type: ignore[attr-defined]


def refusals(tape: Tape) -> list[tuple[str, str, int, Ring]]:
    """Who asked, whom, how many agents are in the cycle, and the cycle."""
    names = [node.agent_id for node in tape.view.nodes] + ["nobody shown"]
    return [
        (names[tape.slot[r]], names[tape.a[r]], tape.b[r], msgspec.json.decode(tape.texts[tape.c[r]], type=Ring))
        for r in tape.rows(Row.REFUSED)
    ]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_refused_cycle_is_one_row(size: int) -> None:
    """At the agent whose call was refused, at the entry that says so; who is passed the error has none."""
    with wb.start(":memory:") as session:
        with pytest.raises(wb.DeadlockError) as refused:
            wb.run(Ringed.get(0).visit(size))  # type: ignore[attr-defined]
        entries = list(session.feed.read(0))
    tape = tape_of(entries)
    [(asker, target, count, ring)] = refusals(tape)
    assert (asker, target, count) == (f"Ringed({size - 1})", "Ringed(0)", size)
    assert (ring.cycle, ring.edge, ring.left) == (refused.value.cycle, refused.value.edge, 0)
    [row] = tape.rows(Row.REFUSED)
    entry = entries[tape.seq[row] - entries[0].seq]
    assert isinstance(entry.body, CallRefused | CallDelivered)
    assert tape.index[row] == entry.index


def test_other_failures_are_no_refusals() -> None:
    """An outcome that is another error, another agent's deadlock, or no failure at all, makes no row."""
    log = EntryLog()
    agent = log.agent("Node(0)")
    deadlock = DeadlockError([("Node(0)", "visit", "")])
    broken = encode_failure(deadlock, "Node(0)", "visit").replace(b"visit", b"\xff" * 5)
    for value in (
        encode_failure(ValueError("no"), "Node(0)", "visit"),
        encode_failure(deadlock, "Node(1)", "visit"),
        b"no failure",
        b"",
        broken,
    ):
        log.put(agent, CallDelivered(1, ok=False, value=value))
        log.put(agent, CallRefused("Node(0)", "visit", value))
    log.put(agent, CallDelivered(1, ok=True, value=encode_failure(deadlock, "Node(0)", "visit")))
    assert refusals(tape_of(log.entries)) == []


def test_a_long_cycle_is_told_by_its_ends() -> None:
    """A row's text stays short, and says how many calls it leaves out; a target that is not shown is -1."""
    log = EntryLog()
    agent = log.agent("Node(499)")
    cycle = [(f"Node({n})", "visit", "lesson.py:1") for n in range(500)]
    log.put(agent, CallDelivered(1, ok=False, value=encode_failure(DeadlockError(cycle), "Node(499)", "visit")))
    tape = tape_of(log.entries)
    [(_, target, count, ring)] = refusals(tape)
    assert (target, count, len(ring.cycle), ring.left) == ("nobody shown", 500, MOST, 500 - MOST)
    assert ring.cycle[ring.edge] == cycle[-1]


# ---- what rows say


def rows(tape: Tape, kind: Row) -> list[tuple[int, int, int, int]]:
    """Slot, `a`, `b` and `c` of the rows of a kind."""
    return [(tape.slot[r], tape.a[r], tape.b[r], tape.c[r]) for r in tape.rows(kind)]


def statuses(tape: Tape, slot: int) -> list[tuple[Status, int, str, str]]:
    """Of an agent: status, bits of what it waits for, its method, and what else is told of it."""
    found = [row for row in rows(tape, Row.STATUS) if row[0] == slot]
    return [(Status(a & 15), a >> 4, tape.texts[b], tape.texts[c]) for _, a, b, c in found]


def test_a_call_and_its_reply_are_arrows() -> None:
    """Each is a row where it arrives, with who sent it and when; a cell is told its result at the end."""
    log = EntryLog()
    top = log.work(log.root, "Top()")
    assert isinstance(top.body, e.CallMade)
    inner = log.work(top.body.target, "Worker(1)")
    log.finish(inner)
    end = log.entries[-1].seq
    log.deliver(inner)
    log.finish(top)
    tape = tape_of(log.entries)
    assert rows(tape, Row.ARROW) == [
        (1, 0, Arrow.CALL, top.seq),
        (2, 1, Arrow.CALL, inner.seq),
        (1, 2, Arrow.REPLY, end),
        (0, 1, Arrow.REPLY, log.entries[-1].seq),
    ]
    assert [tape.seq[row] for row in tape.rows(Row.ARROW)][2] == log.entries[-2].seq


def test_triggers_and_schedules_are_arrows_without_a_reply() -> None:
    """They arrive when the invocation starts."""
    log = EntryLog()
    worker = log.agent("Worker(1)")
    call = log.call(log.root, worker, awaited=False)
    log.start(call)
    log.finish(call)
    plan = log.put(log.root, e.CallScheduled("Worker(1)", "report", b"", 0))
    fired = log.put(worker, e.ScheduleFired(plan.seq))
    log.put(worker, e.InvocationStarted("report", b""), fired.seq)
    arrows = rows(tape_of(log.entries), Row.ARROW)
    assert arrows == [(1, 0, Arrow.TRIGGER, call.seq), (1, 0, Arrow.SCHEDULE, fired.seq)]


def test_a_promise_is_told_from_its_making_to_its_end() -> None:
    """Made, awaited, looked at, completed, delivered, completed in vain, given up, ended: a row each, with the line."""
    log = EntryLog()
    owner, waiter, other = (log.agent(f"Worker({i})") for i in range(3))
    first, second = log.promise(owner), log.promise(owner)
    wait = log.await_promise(waiter, owner, first)
    lost = log.await_promise(waiter, owner, second)
    log.put(other, e.PromiseSeen(owner, first, completed=False))
    log.complete(other, owner, first)
    done = log.entries[-1].seq
    log.give(wait)
    log.complete(other, owner, first, first=False)
    log.put(waiter, e.WaitDropped(lost.index))
    log.delete(owner)
    tape = tape_of(log.entries)
    assert [(slot - 1, a, PromiseEvent(b).name) for slot, a, b, _ in rows(tape, Row.PROMISE)] == [
        (0, 0, "CREATED"),
        (0, 1, "CREATED"),
        (1, 0, "AWAITED"),
        (1, 1, "AWAITED"),
        (2, 0, "SEEN"),
        (2, 0, "COMPLETED"),
        (1, 0, "DELIVERED"),
        (2, 0, "IGNORED"),
        (1, 1, "DROPPED"),
        (0, 1, "ENDED"),
    ]
    assert {tape.texts[c] for *_, c in rows(tape, Row.PROMISE)} == {"lesson.py:7"}
    assert rows(tape, Row.ARROW) == [(2, 3, Arrow.COMPLETION, done)]
    assert tape.promises == [(owner, first), (owner, second)]


def test_a_status_row_says_what_an_agent_waits_for() -> None:
    """Only while it runs and waits; the name of a step, a promise or a timer when it waits for no reply."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, e.CallMade)
    uid = call.body.target
    step = log.put(uid, e.StepStarted("fetch"))
    log.put(uid, e.StepFinished(step.index, ok=True, value=b""))
    wait = log.await_promise(uid, log.root, 9)
    inner = log.call(uid, log.agent("Helper()", by=uid))
    log.put(uid, e.TimerSet(0))
    log.give(wait)
    log.deliver(inner)
    log.finish(call)
    assert statuses(tape_of(log.entries), 1) == [
        (Status.QUEUED, 0, "process", ""),
        (Status.RUNNING, 0, "process", ""),
        (Status.RUNNING, Reason.STEP, "process", "fetch"),
        (Status.RUNNING, 0, "process", ""),
        (Status.SUSPENDED, Reason.PROMISE, "process", "promise 9"),
        (Status.WAITING, Reason.CALL | Reason.PROMISE, "process", ""),
        (Status.WAITING, Reason.CALL | Reason.PROMISE | Reason.TIMER, "process", ""),
        (Status.WAITING, Reason.CALL | Reason.TIMER, "process", ""),
        (Status.SUSPENDED, Reason.TIMER, "process", "a timer"),
        (Status.DONE, 0, "process", ""),
    ]


def test_forks_reverts_labels_and_restarts_are_rows() -> None:
    """With the entry of the cut, of the index gone back to, and the process that took over."""
    log = EntryLog()
    call = log.call(log.root, log.agent("Worker(1)"), label="first try")
    log.start(call)
    uid = 2
    cut = log.index(uid)
    log.put(uid, e.TimerSet(0))
    log.revert(uid, cut)
    log.fork_at(uid, "Worker(1)[0b0c5b2e-0000-4000-8000-000000000000]", cut)
    log.put(log.root, e.SessionStarted(4711, "host"))
    tape = tape_of(log.entries)
    at = next(x.seq for x in log.entries if (x.agent, x.index) == (uid, cut))
    assert rows(tape, Row.REVERT) == [(1, cut, 0, at)]
    assert rows(tape, Row.FORK) == [(2, 1, cut, at)]
    assert [(slot, a) for slot, a, *_ in rows(tape, Row.MARK)] == [(0, 4711)]
    assert [(slot, tape.texts[c]) for slot, _, _, c in rows(tape, Row.LABEL)] == [
        (1, "first try"),
        (2, "first try"),
    ]
    assert [(slot, a, Origin(b)) for slot, a, b, _ in rows(tape, Row.AGENT)] == [
        (0, -1, Origin.ROOT),
        (1, 0, Origin.SPAWNED),
        (2, 1, Origin.FORKED),
    ]
    assert rows(tape, Row.ARROW)[-1][:3] == (2, 1, Arrow.FORK)


def test_waits_open_and_close_by_name() -> None:
    """An open one says who waits for whom and how; the one that closes it names it."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    log.finish(call)
    tape = tape_of(log.entries)
    assert rows(tape, Row.OPEN) == [(0, 1, Link.CALL, call.seq)]
    assert [c for *_, c in rows(tape, Row.CLOSE)] == [call.seq]


def test_agents_without_a_class_are_told_as_of_the_last_row() -> None:
    """And no longer once the class is there."""
    log = EntryLog()
    log.call(log.root, log.agent("Worker(1)"))
    tape = tape_of(log.entries)
    tape.mark_undefined({"Worker"})
    assert tape.status(tape.moment(), 1) is Status.UNDEFINED
    assert tape.seq[-1] == log.entries[-1].seq
    tape.mark_undefined(())
    assert tape.status(tape.moment(), 1) is Status.QUEUED


def test_an_agents_rows_know_their_place_in_its_oplog() -> None:
    """What another's entry did to it has none."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    log.finish(call)
    tape = tape_of(log.entries)
    own = {x.seq: x.index for x in log.entries if x.agent == 2}
    places = [(tape.index[row], tape.seq[row]) for row in tape.rows(Row.STATUS) if tape.slot[row] == 1]
    assert places == [(own.get(seq, 0), seq) for _, seq in places]
    assert [index for index, _ in places] == [0, 2, 3]
