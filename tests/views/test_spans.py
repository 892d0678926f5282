"""Spans and messages: what the rows say that everybody did when, by logs made by hand and of a real session."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.exports.lessons import every_verb, tape_of
from tests.views.entry_log import EntryLog, fan_out
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.views.graph_nodes import Origin, Status
from workbench.views.spans import UNDER_WAY, Span, idle_stretches, messages, spans
from workbench.views.tape import Arrow, Reason, Row, Tape

DAY = 86_400_000_000_000


def known(log: EntryLog) -> tuple[Tape, list[Span]]:
    """The tape of a log and its spans."""
    tape = tape_of(log.entries)
    return tape, spans(tape, tape.moment())


def of(log: EntryLog, uid: int) -> list[tuple[str, int, int]]:
    """The spans of an agent as status, first and last entry; ghosts and what was taken back say so."""
    tape, found = known(log)
    slot = tape.view.by_uid[uid].slot
    return [
        (f"{'ghost ' * s.ghost}{'reverted ' * s.reverted}{s.status.word}", s.begin.seq, s.end.seq)
        for s in found
        if s.slot == slot
    ]


def target(call: Entry) -> int:
    """Who was called."""
    assert isinstance(call.body, e.CallMade)
    return call.body.target


def at_work(log: EntryLog, agent_id: str = "Worker(1)") -> tuple[Entry, int]:
    """A call of a cell under way, and who runs it; entries 2, 3 and 4 of a new log."""
    call = log.work(log.root, agent_id)
    return call, target(call)


# ---- by hand


def test_a_bar_from_acceptance_to_end() -> None:
    """An invocation is queued, runs, waits and runs again, without a gap, until it ends; then there is no bar."""
    log = EntryLog()
    call, worker = at_work(log)
    timer = log.put(worker, e.TimerSet(0))
    log.put(worker, e.TimerFired(timer.index))
    log.finish(call)
    log.put(log.root, e.Logged("stdout", "later"))
    assert of(log, worker) == [("queued", 3, 4), ("running", 4, 5), ("suspended", 5, 6), ("running", 6, 7)]
    tape, found = known(log)
    assert [s.then for s in found] == [Status.RUNNING, Status.SUSPENDED, Status.RUNNING, Status.DONE]
    assert [Reason(s.reasons) for s in found if s.reasons] == [Reason.TIMER]
    assert {s.method for s in found} == {"process"}
    assert found[-1].end.wall - found[0].begin.wall == pytest.approx(4, abs=0.01)
    assert all(tape.slot[s.row] == s.slot for s in found)


def test_what_goes_on_ends_at_the_moment() -> None:
    """At any earlier moment the last bar reaches to that moment and is open."""
    log = EntryLog()
    call, worker = at_work(log)
    log.put(worker, e.StepStarted("fetch"))
    log.finish(call)
    tape = tape_of(log.entries)
    last = spans(tape, tape.moment(5))[-1]
    assert (last.status, last.reasons, last.what, last.end.seq, last.then) == (
        Status.RUNNING,
        Reason.STEP,
        "fetch",
        5,
        None,
    )
    assert spans(tape, tape.moment(2)) == []
    assert spans(Tape(), Tape().moment()) == []


def test_turns_are_counted() -> None:
    """Each invocation has the next number, its time in the queue included."""
    log = EntryLog()
    first, worker = at_work(log)
    second = log.call(log.root, worker)
    log.finish(first)
    log.start(second)
    _, found = known(log)
    assert [(s.status, s.turn) for s in found] == [
        (Status.QUEUED, 1),
        (Status.RUNNING, 1),
        (Status.QUEUED, 2),
        (Status.RUNNING, 2),
    ]


def test_what_a_crash_cut_short_is_ghost_up_to_there() -> None:
    """Where a process takes the session up, what is under way is cut in two, and its invocation before is replayed."""
    log = EntryLog()
    done, first = at_work(log)
    log.finish(done)
    again = log.call(log.root, first)
    log.start(again)
    _, second = at_work(log, "Worker(2)")
    waiting = log.call(log.root, second)
    mark = log.put(log.root, e.SessionStarted(7, "host"))
    log.finish(again)
    assert of(log, first) == [
        ("queued", 3, 4),
        ("running", 4, 5),
        ("queued", 6, 7),
        ("ghost running", 7, mark.seq),
        ("running", mark.seq, mark.seq + 1),
    ]
    assert waiting.seq < mark.seq
    assert of(log, second)[-1] == ("running", mark.seq, mark.seq + 1)


def test_a_fork_begins_with_its_sources_invocation() -> None:
    """Up to the cut it is the source's, replayed; forks of forks begin with all of it, not with earlier invocations."""
    log = EntryLog()
    done, worker = at_work(log)
    log.finish(done)
    log.start(log.call(log.root, worker))
    timer = log.put(worker, e.TimerSet(0))
    log.put(worker, e.TimerFired(timer.index))
    one = log.fork(worker, "Worker(1)[a]")
    step = log.put(one, e.StepStarted("fetch"))
    two = log.fork(one, "Worker(1)[b]")
    log.put(two, e.Logged("stdout", "later"))
    assert of(log, one) == [
        ("ghost running", 7, 8),
        ("ghost suspended", 8, 9),
        ("running", one, step.seq),
        ("running", step.seq, two + 1),
    ]
    assert of(log, two)[:4] == [
        ("ghost running", 7, 8),
        ("ghost suspended", 8, 9),
        ("ghost running", one, step.seq),
        ("running", two, two + 1),
    ]
    tape, found = known(log)
    slots = {s.slot for s in found if s.ghost}
    assert all(tape.slot[s.row] != s.slot for s in found if s.ghost)
    assert slots == {tape.view.by_uid[uid].slot for uid in (one, two)}


def test_a_fork_at_a_past_index_ends_its_ghost_there() -> None:
    """A fork made from outside has of its source what lies before the cut, however much came after it."""
    log = EntryLog()
    _, worker = at_work(log)
    timer = log.put(worker, e.TimerSet(0))
    cut = log.index(worker)
    log.put(worker, e.TimerFired(timer.index))
    log.put(worker, e.StepStarted("fetch"))
    fork = log.fork_at(worker, "Worker(1)[a]", cut)
    log.put(fork, e.Logged("stdout", "later"))
    assert of(log, fork) == [("ghost running", 4, 5), ("suspended", fork, fork + 1)]


def test_what_was_taken_back_says_so() -> None:
    """A revert cuts the bars at the entry that it goes back to; what lies between counts no longer."""
    log = EntryLog()
    _, worker = at_work(log)
    timer = log.put(worker, e.TimerSet(0))
    back = log.index(worker)
    log.put(worker, e.TimerFired(timer.index))
    log.put(worker, e.StepStarted("fetch"))
    log.put(worker, e.Logged("stdout", "later"))
    log.revert(worker, back)
    mark = log.put(log.root, e.SessionStarted(7, "host"))
    log.put(log.root, e.Logged("stdout", "later"))
    assert of(log, worker) == [
        ("queued", 3, 4),
        ("ghost running", 4, 5),
        ("reverted suspended", 5, 6),
        ("reverted running", 6, 7),
        ("reverted running", 7, 9),
        ("ghost suspended", 9, mark.seq),
        ("suspended", mark.seq, mark.seq + 1),
    ]


def test_calls_and_replies_are_messages() -> None:
    """A call arrives where the work begins, a reply where the caller is given it; cells are given theirs at once."""
    log = fan_out(3, done=2, failed=1)
    ends = {entry.invocation: entry.seq for entry in log.entries if isinstance(entry.body, e.InvocationFinished)}
    calls = {(entry.agent, entry.index): entry.seq for entry in log.entries if isinstance(entry.body, e.CallMade)}
    for at, entry in enumerate(log.entries):
        if isinstance(entry.body, e.CallDelivered):
            log.entries[at] = replace(entry, cause=ends[calls[entry.agent, entry.body.op]])
    tape = tape_of(log.entries)
    found = messages(tape, tape.moment())
    assert [(m.kind, m.sender, m.receiver) for m in found[:2]] == [(Arrow.CALL, 0, 1), (Arrow.CALL, 1, 2)]
    replies = [m for m in found if m.kind is Arrow.REPLY]
    assert [(m.sender, m.receiver) for m in replies] == [(2, 1), (3, 1), (4, 1)]
    assert all(m.received.wall - m.sent.wall == pytest.approx(1, abs=0.01) for m in replies)
    assert messages(tape, tape.moment(4)) == found[:1]


def test_the_end_of_a_fork_is_no_reply_to_the_cell() -> None:
    """Only who was called replies; a fork that runs the same invocation gives its result to nobody."""
    log = EntryLog()
    call, worker = at_work(log)
    fork = log.fork(worker, "Worker(1)[a]")
    log.put(fork, e.InvocationFinished(ok=True, value=b""), call.seq)
    log.finish(call)
    tape = tape_of(log.entries)
    replies = [m for m in messages(tape, tape.moment()) if m.kind is Arrow.REPLY]
    assert [tape.view.nodes[m.sender].uid for m in replies] == [worker]


# ---- idle time


def slept(*days: float) -> EntryLog:
    """An agent sleeps so many days, one after the other; each sleep takes a millisecond more for its entries."""
    log = EntryLog()
    _, worker = at_work(log)
    shift = 0
    for length in days:
        timer = log.put(worker, e.TimerSet(0))
        shift += int(length * DAY)
        log.put(worker, e.TimerFired(timer.index))
        log.entries[-1] = replace(log.entries[-1], wall=log.entries[-1].wall + shift)
        log.entries[-2] = replace(log.entries[-2], wall=log.entries[-2].wall + shift - int(length * DAY))
    return log


def test_long_stretches_with_nothing_are_idle() -> None:
    """Nothing is written and nobody runs, for much longer than all the rest takes: that is idle time."""
    tape = tape_of(slept(2, 0.01, 3).entries)
    found = idle_stretches(tape, tape.moment())
    assert [round(stretch.length / 86_400_000) for stretch in found] == [2, 3]
    assert idle_stretches(tape, tape.moment(4)) == []


def test_somebody_who_runs_is_not_idle() -> None:
    """A long step is work, however little is written; time in which no process lived is not."""
    log = EntryLog()
    _, worker = at_work(log)
    step = log.put(worker, e.StepStarted("fetch"))
    log.put(worker, e.StepFinished(step.index, ok=True, value=b""))
    log.entries[-1] = replace(log.entries[-1], wall=log.entries[-1].wall + DAY)
    tape = tape_of(log.entries)
    assert idle_stretches(tape, tape.moment()) == []
    dead = EntryLog()
    at_work(dead)
    dead.put(dead.root, e.SessionStarted(7, "host"))
    dead.entries[-1] = replace(dead.entries[-1], wall=dead.entries[-1].wall + DAY)
    tape = tape_of(dead.entries)
    assert [round(s.length / 86_400_000) for s in idle_stretches(tape, tape.moment())] == [1]


# ---- of a real session


def test_bars_of_an_agent_never_overlap() -> None:
    """At every moment of a session with every verb, an agent's bars follow each other, and the last ones reach it."""
    tape = tape_of(every_verb())
    for seq in range(1, tape.last_seq + 1):
        moment = tape.moment(seq)
        found = spans(tape, moment)
        for one, two in pairwise(found):
            if one.slot == two.slot:
                assert one.begin.seq < one.end.seq <= two.begin.seq
        open_ones = {s.slot for s in found if s.end.seq == seq and s.then is None and not s.reverted}
        busy = {s for s in range(moment.agents) if tape.status(moment, s) in {*UNDER_WAY, Status.QUEUED}}
        began = {s for s in busy if tape.seq[moment.last[s]] < seq}
        assert began <= open_ones <= busy


def test_bars_cover_an_invocation_from_acceptance_to_end() -> None:
    """Whoever was called has bars, without a gap, from the call to the end, unless it failed and went back between."""
    entries = every_verb()
    tape = tape_of(entries)
    found = spans(tape, tape.moment())
    ends = {
        entry.invocation: entry
        for entry in entries
        if isinstance(entry.body, e.InvocationFinished) and tape.view.by_uid[entry.agent].origin != Origin.FORKED
    }
    checked = 0
    for entry in entries:
        end = ends.get(entry.seq)
        if isinstance(entry.body, e.CallMade) and end is not None and end.agent == entry.body.target:
            slot = tape.view.by_uid[end.agent].slot
            covered = [s for s in found if s.slot == slot and s.begin.seq < end.seq and s.end.seq > entry.seq]
            assert covered[0].begin.seq <= entry.seq
            assert covered[-1].end.seq == end.seq
            gaps = [one.end.seq for one, two in pairwise(covered) if one.end.seq < two.begin.seq]
            assert all(isinstance(entries[seq - 1].body, e.AgentFailed | e.AgentReverted) for seq in gaps)
            checked += 1
    assert checked > 20


def test_each_reply_has_its_call() -> None:
    """Who replies was called before by whom it replies to, and no message is received before it is sent."""
    tape = tape_of(every_verb())
    found = messages(tape, tape.moment())
    assert {m.kind for m in found} == set(Arrow)
    called: set[tuple[int, int]] = set()
    for message in found:
        assert message.sent.seq <= message.received.seq
        assert message.sent.wall <= message.received.wall
        if message.kind is Arrow.CALL:
            called.add((message.sender, message.receiver))
        if message.kind is Arrow.REPLY:
            assert (message.receiver, message.sender) in called


def test_the_cut_of_a_fork_is_the_entry_it_names() -> None:
    """The row of a fork names the entry of its source that has the index of the cut; its ghosts end there or before."""
    entries = every_verb()
    tape = tape_of(entries)
    found = spans(tape, tape.moment())
    forks = [entry for entry in entries if isinstance(entry.body, e.AgentForked)]
    assert len(forks) == 3
    for fork in forks:
        assert isinstance(fork.body, e.AgentForked)
        [cut] = [x for x in entries if (x.agent, x.index) == (fork.body.source, fork.body.cut)]
        slot = tape.view.by_uid[fork.agent].slot
        [row] = [row for row in tape.rows(Row.FORK) if tape.slot[row] == slot]
        assert (tape.b[row], tape.c[row]) == (cut.index, cut.seq)
        inherited = [s for s in found if s.slot == slot and tape.slot[s.row] != slot]
        assert all(s.ghost and s.end.seq <= cut.seq for s in inherited)
