"""Forks as a still picture: who left whom where, how far each got, and what came of it."""

from __future__ import annotations

from tests.exports.lessons import every_verb, tape_of
from tests.views.entry_log import EntryLog
from tests.views.tidy import assert_tidy, shapes, texts, titles
from workbench.model import entries as e
from workbench.model.entries import CallMade
from workbench.views.forks_picture import MOST_BRANCHES, branches, forks_drawing
from workbench.views.graph_nodes import Status


def nested() -> tuple[EntryLog, list[int]]:
    """A worker with two forks, one of them forked again; their uids, source first."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, CallMade)
    worker = call.body.target
    log.put(worker, e.ForkMade("Worker(1)[a]", "a"))
    one = log.fork(worker, "Worker(1)[a]")
    log.put(one, e.ForkMade("Worker(1)[b]", "b"))
    two = log.fork(one, "Worker(1)[b]")
    log.put(worker, e.StepStarted("fetch"))
    log.put(worker, e.StepFinished(log.index(worker), ok=True, value=b""))
    log.put(worker, e.ForkMade("Worker(1)[c]", "c"))
    three = log.fork(worker, "Worker(1)[c]")
    log.finish(call)
    log.put(two, e.InvocationFinished(ok=False, value=b""), call.seq)
    return log, [worker, one, two, three]


def test_each_branch_stands_under_its_source() -> None:
    """In the order of the cuts, with where it left, how deep, and how far it got."""
    log, uids = nested()
    tape = tape_of(log.entries)
    found = branches(tape, tape.moment())
    worker, one, two, three = (tape.view.by_uid[uid].slot for uid in uids)
    assert [(b.slot, b.source, b.cut, b.depth) for b in found] == [
        (worker, -1, 0, 0),
        (one, worker, 3, 1),
        (two, one, 5, 2),
        (three, worker, 6, 1),
    ]
    assert found[0].length == log.index(uids[0])
    assert found[2].length == log.index(uids[2])


def test_cuts_lengths_and_results_are_seen() -> None:
    """Cuts and lengths are numbers on the lines, statuses marks at their ends, results text at the right."""
    log, uids = nested()
    tape = tape_of(log.entries)
    slots = [tape.view.by_uid[uid].slot for uid in uids]
    drawing = forks_drawing(tape, tape.moment(), {slots[0]: "</text>the <b>whole</b>", slots[3]: "x" * 900})
    assert_tidy(drawing)
    shown = texts(drawing)
    assert {"3", "5", "6", str(log.index(uids[0])), "</text>the <b>whole</b>", "result"} <= set(shown)
    ends = [shape.status for shape in shapes(drawing)]
    assert {Status.DONE, Status.FAILED, Status.RUNNING} <= set(ends)
    assert drawing.title == "3 forks of 1 agent"
    assert "result" not in texts(forks_drawing(tape, tape.moment()))


def test_an_earlier_moment_has_fewer_branches() -> None:
    """A fork is not there before it was made."""
    log, uids = nested()
    tape = tape_of(log.entries)
    assert len(branches(tape, tape.moment(uids[2] - 1))) == 2
    assert branches(tape, tape.moment(uids[1] - 1)) == []
    assert texts(forks_drawing(tape, tape.moment(2))) == ["no agent was forked"]


def test_real_forks_are_tidy_at_every_moment() -> None:
    """In a session with every verb no text lies on another, and what a revert took back is pale."""
    tape = tape_of(every_verb())
    for seq in range(1, tape.last_seq + 1, 11):
        assert_tidy(forks_drawing(tape, tape.moment(seq), dict.fromkeys(range(99), "a result")))
    assert any(title.startswith("taken back: ") for title in titles(forks_drawing(tape, tape.moment())))


def test_hundreds_of_forks_are_bounded() -> None:
    """So many branches are drawn, the rest is counted; many cuts close together share the room for their numbers."""
    log = EntryLog()
    call = log.work(log.root, 'Worker("' + "long " * 90 + '")')
    assert isinstance(call.body, CallMade)
    for i in range(300):
        log.put(call.body.target, e.ForkMade(f"W[{i}]", ""))
        log.fork(call.body.target, f"\u202eW</text>[{i}]")
    tape = tape_of(log.entries)
    drawing = forks_drawing(tape, tape.moment())
    assert_tidy(drawing)
    assert f"and {301 - MOST_BRANCHES} more branches" in texts(drawing)
