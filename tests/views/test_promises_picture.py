"""Promises as a still picture: made, awaited, completed, too late, ended."""

from __future__ import annotations

from collections import Counter

from tests.exports.lessons import every_verb, tape_of
from tests.views.entry_log import EntryLog
from tests.views.tidy import assert_tidy, shapes, texts, titles
from workbench.model import entries as e
from workbench.model.entries import CallMade
from workbench.views.graph_nodes import Status
from workbench.views.promises_picture import MOST_PROMISES, promises_drawing, records
from workbench.views.tape import PromiseEvent, Row, Tape


def lesson() -> tuple[EntryLog, Tape]:
    """One promise that two wait for and three complete, one that only its owner's end ends, one that is pending."""
    log = EntryLog()
    made: list[int] = []
    for name in ("Owner()", "Waiter()", "Other()", "Completer()"):
        call = log.work(log.root, name)
        assert isinstance(call.body, CallMade)
        made.append(call.body.target)
    owner, waiter, other, completer = made
    promise = log.promise(owner)
    waits = [log.await_promise(waiter, owner, promise), log.await_promise(other, owner, promise)]
    log.put(completer, e.PromiseSeen(owner, promise, completed=False))
    log.complete(completer, owner, promise)
    for wait in waits:
        log.give(wait)
    log.complete(other, owner, promise, first=False)
    log.complete(waiter, owner, promise, first=False)
    doomed = log.promise(other)
    wait = log.await_promise(waiter, other, doomed)
    log.put(waiter, e.WaitDropped(wait.index))
    log.promise(owner)
    log.delete(other)
    return log, tape_of(log.entries)


def test_what_happened_to_each() -> None:
    """Maker, waiters with their stretches, completer, late attempts and the end are read off the rows."""
    _, tape = lesson()
    first, doomed, pending = records(tape, tape.moment())
    names = [node.agent_id for node in tape.view.nodes]
    assert first.made is not None
    assert first.completed is not None
    assert (names[first.maker], names[first.completer]) == ("Owner()", "Completer()")
    assert [(names[w.slot], w.given) for w in first.waits] == [("Waiter()", True), ("Other()", True)]
    assert all(w.end is not None and first.completed.seq < w.end.seq for w in first.waits)
    assert [names[slot] for slot, _ in first.ignored] == ["Other()", "Waiter()"]
    assert len(first.seen) == 1
    assert (doomed.completed, doomed.ended is not None, doomed.waits[0].given) == (None, True, False)
    assert pending.pending


def test_outcomes_are_told() -> None:
    """Who completed it, how many came too late, that it ended or is pending: each in words, with a mark and a key."""
    _, tape = lesson()
    drawing = promises_drawing(tape, tape.moment())
    assert_tidy(drawing)
    shown = texts(drawing)
    assert drawing.title == "3 promises: 1 completed, 1 pending, 1 ended"
    assert {"by Completer()", "+2 late", "ended: never completed", "pending"} <= set(shown)
    assert {"waits", "waits no longer", "came too late", "asked about", "completed", "ended"} <= set(shown)
    assert {Status.DONE, Status.EXITED} <= {shape.status for shape in shapes(drawing)}
    assert "Waiter() came too late" in titles(drawing)


def test_orphans_are_given_from_outside() -> None:
    """Only the session knows that nobody alive can complete a promise: told so, the picture says it."""
    _, tape = lesson()
    assert "orphaned" not in texts(promises_drawing(tape, tape.moment()))
    drawing = promises_drawing(tape, tape.moment(), orphans=[2])
    assert_tidy(drawing)
    assert {"orphaned", "orphaned: nobody alive can complete it"} <= set(texts(drawing))


def test_earlier_moments() -> None:
    """Before it is completed a promise is pending, and its waiters wait; before it is made it is not there."""
    log, tape = lesson()
    at = next(entry.seq for entry in log.entries if isinstance(entry.body, e.PromiseCompleted))
    [record] = records(tape, tape.moment(at - 1))
    assert record.pending
    assert all(wait.end is None for wait in record.waits)
    assert texts(promises_drawing(tape, tape.moment(3))) == ["no promise was made"]
    for seq in range(1, tape.last_seq + 1):
        assert_tidy(promises_drawing(tape, tape.moment(seq)))


def test_a_real_session_is_tidy() -> None:
    """With interrupts, forks, reverts and a crash each wait still has one end, and no text lies on another."""
    tape = tape_of(every_verb())
    for seq in range(1, tape.last_seq + 1, 11):
        assert_tidy(promises_drawing(tape, tape.moment(seq)))
    told = Counter(PromiseEvent(tape.b[row]) for row in tape.rows(Row.PROMISE))
    waits = [wait for record in records(tape, tape.moment()) for wait in record.waits]
    assert len(waits) == told[PromiseEvent.AWAITED]
    assert sum(wait.given for wait in waits) == told[PromiseEvent.DELIVERED]
    assert (
        sum(wait.end is None for wait in waits)
        == len(waits) - told[PromiseEvent.DELIVERED] - told[PromiseEvent.DROPPED]
    )


def test_many_promises_and_waiters_are_bounded() -> None:
    """The ones that nobody has completed stay, the rest and most waiters are counted; hostile names are text."""
    log = EntryLog()
    call = log.work(log.root, "</text>\u202e" + "W" * 300)
    assert isinstance(call.body, CallMade)
    owner = call.body.target
    first = log.promise(owner)
    for i in range(50):
        waiter = log.work(log.root, f"Worker({i})\n" + "日本" * 40).body
        assert isinstance(waiter, CallMade)
        log.await_promise(waiter.target, owner, first)
        log.complete(owner, owner, log.promise(owner))
    for _ in range(300):
        log.complete(log.root, owner, 4, first=False)
    tape = tape_of(log.entries)
    drawing = promises_drawing(tape, tape.moment())
    assert_tidy(drawing)
    shown = texts(drawing)
    assert f"and {51 - MOST_PROMISES} more promises" in shown
    assert "and 46 more" in shown
    assert "pending" in shown
