"""What a tape has to be true to: laws for any log."""

from __future__ import annotations

from typing import Any, NamedTuple

from workbench.model.entries import Entry
from workbench.questions.rows import PromiseInfo
from workbench.views.graph_nodes import status_of
from workbench.views.tape import Moment, PromiseEvent, Row, Tape


def tape_of(entries: list[Entry], **options: Any) -> Tape:
    """The tape of these entries."""
    tape = Tape(**options)
    tape.apply(entries)
    return tape


def told(moment: Moment) -> tuple[int, int, int, list[int], list[int]]:
    """A moment as something that compares; the order of links means nothing."""
    return moment.seq, moment.row, moment.agents, list(moment.last), sorted(moment.links)


def assert_moments(entries: list[Entry]) -> None:
    """At each entry a tape of the whole log shows what a fresh one shows that ends there, and what the graph does."""
    whole, fresh = tape_of(entries), Tape()
    for entry in entries:
        fresh.apply([entry])
        expected, found = fresh.moment(), whole.moment(entry.seq)
        assert told(found) == told(expected), entry
        shown = [whole.status(found, node.slot) for node in fresh.view.nodes]
        assert shown == [status_of(node) for node in fresh.view.nodes], entry
        assert whole.counts(found) == fresh.view.counts(), entry
        waits = [
            (wait.kind, fresh.view.by_uid[wait.agent].slot, fresh.view.by_uid[wait.on].slot)
            for wait in fresh.view.links()
        ]
        assert sorted((whole.b[row], whole.slot[row], whole.a[row]) for row in found.links) == sorted(waits), entry
    assert [column.tolist() for column in whole.columns()] == [column.tolist() for column in fresh.columns()]
    assert whole.texts == fresh.texts


class Story(NamedTuple):
    """What the rows of a tape tell of a promise."""

    state: str
    waiters: list[str]
    completer: str
    ignored: int
    line: str


def promise_stories(tape: Tape) -> dict[tuple[int, int], Story]:
    """By owner and index; those that can never be completed are left out."""
    found: dict[int, dict[str, Any]] = {}
    for row in tape.rows(Row.PROMISE):
        story = found.setdefault(
            tape.a[row], {"state": "pending", "waiters": [], "completer": "", "ignored": 0, "line": ""}
        )
        name = tape.view.nodes[tape.slot[row]].agent_id
        match PromiseEvent(tape.b[row]):
            case PromiseEvent.CREATED:
                story["line"] = tape.texts[tape.c[row]]
            case PromiseEvent.AWAITED:
                story["waiters"].append(name)
            case PromiseEvent.DELIVERED | PromiseEvent.DROPPED:
                story["waiters"].remove(name)
            case PromiseEvent.COMPLETED:
                story["state"], story["completer"] = "completed", name
            case PromiseEvent.IGNORED:
                story["ignored"] += 1
            case PromiseEvent.ENDED:
                story["state"] = "ended"
            case _:
                pass
    return {
        (tape.promises[number].owner, tape.promises[number].at): Story(**story)
        for number, story in found.items()
        if story["state"] != "ended"
    }


def assert_promises(tape: Tape, infos: list[PromiseInfo]) -> None:
    """The rows of a tape tell of each promise what the session tells; of no promise that it knows are there none."""
    stories = promise_stories(tape)
    for info in infos:
        key = int(info.promise_id.incarnation.rpartition("-")[2]), info.promise_id.index
        story = stories[key]
        assert story.state == info.state, info
        assert set(story.waiters) == set(info.waiters), info
        assert story.completer == (info.completer or ""), info
        assert story.ignored == info.ignored, info
        assert story.line == info.line, info
