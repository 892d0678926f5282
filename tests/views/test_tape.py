"""Rows: what of the log they tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.views.entry_log import EntryLog
from workbench.errors import DeadlockError
from workbench.model.entries import CallDelivered, CallRefused, Entry
from workbench.model.failure import encode_failure
from workbench.views.ring import MOST, Ring
from workbench.views.tape import Row, Tape


@wb.agent
class Ringed:
    """Awaits the next one of a ring."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def visit(self, size: int) -> Any:
        return await Ringed.get((self.n + 1) % size).visit(size)  # type: ignore[attr-defined]


def tape_of(entries: list[Entry]) -> Tape:
    """The tape of these entries."""
    tape = Tape()
    tape.apply(entries)
    return tape


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
