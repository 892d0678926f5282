"""Logs for ShiViz: clocks that tell exactly what happened before what, in lines that its parser reads."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.exports.lessons import HOSTILE, every_verb, hostile
from workbench.exports import shiviz
from workbench.model import entries as e
from workbench.model.entries import Body, Entry

BY_DEFAULT = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"
"""What ShiViz looks for when a file names no expression."""


class Run:
    """A run made step by step, and the edges between its entries that the making gives rise to."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.edges: set[tuple[int, int]] = set()
        self.last: dict[int, int] = {}
        self.accepted: list[Entry] = []
        self.started: list[Entry] = []
        self.finished: list[tuple[Entry, int]] = []
        self.completed: list[int] = []
        self.schedules: list[int] = []
        self.put(0, e.AgentCreated("Session()", "Session", 0))

    def put(self, agent: int, body: Body, cause: int = 0, invocation: int = 0, after: Sequence[int] = ()) -> Entry:
        """An entry that follows those it names, and the one before it in its oplog; `agent` 0 is a new one."""
        seq = len(self.entries) + 1
        agent = agent or seq
        index = sum(entry.agent == agent for entry in self.entries) + 1
        entry = Entry(seq, agent, index, cause, invocation, seq, seq, "", body)
        self.edges |= {(before, seq) for before in (self.last.get(agent, 0), cause, *after) if before}
        self.last[agent] = seq
        self.entries.append(entry)
        return entry

    def step(self, kind: int, one: int, other: int) -> None:
        """One more thing happens, chosen by numbers."""
        agents = list(self.last)
        agent = agents[one % len(agents)]
        match kind:
            case 0:
                body = e.AgentCreated(f"Worker({one})", "Worker", agent)
                self.put(0, body, self.turn(agent), after=[self.last[agent]])
            case 1:
                target = agents[other % len(agents)]
                call = self.put(agent, e.CallMade(target, "", "work", b"", awaited=True), self.turn(agent))
                self.accepted.append(call)
            case 2 if self.accepted:
                call = self.accepted.pop(one % len(self.accepted))
                target = call.body.target if isinstance(call.body, e.CallMade) else call.agent
                self.started.append(self.put(target, e.InvocationStarted("work", b""), call.seq, call.seq))
            case 3 if self.started:
                start = self.started.pop(one % len(self.started))
                call = self.entries[start.invocation - 1]
                end = self.put(start.agent, e.InvocationFinished(ok=True, value=b""), start.seq, start.invocation)
                self.finished.append((end, call.agent))
            case 4 if self.finished:
                end, caller = self.finished[one % len(self.finished)]
                self.put(caller, e.CallDelivered(1, ok=True, value=b""), end.seq)
            case 5:
                self.completed.append(self.put(agent, e.PromiseCompleted(1, 1, b"", first=True)).seq)
            case 6 if self.completed:
                self.put(agent, e.PromiseDelivered(1, b""), self.completed[other % len(self.completed)])
            case 7:
                made = self.put(agent, e.ForkMade(f"Worker({one})[x]", "x"), self.turn(agent))
                self.put(0, e.AgentForked("Worker(7)[x]", agent, 1, inside=True), made.cause, after=[made.seq])
            case 8:
                back = self.entries[other % len(self.entries)]
                facts = e.Facts(back.seq)
                body_ = e.AgentForked("Worker(7)[y]", back.agent, back.index, inside=False, facts=facts)
                self.put(0, body_, after=[back.seq])
            case 9:
                self.schedules.append(self.put(agent, e.CallScheduled("", "work", b"", 1)).seq)
            case 10 if self.schedules:
                fired = self.put(agent, e.ScheduleFired(self.schedules[0]), self.schedules[0])
                self.accepted.append(fired)
            case _:
                self.put(agent, e.Logged("info", "said"), self.turn(agent))

    def turn(self, agent: int) -> int:
        """The cause of what the agent does now: as of its entry before."""
        before = self.entries[self.last[agent] - 1]
        return before.cause or before.seq

    def reached(self) -> list[int]:
        """By place in the log, the entries that happened before each one, as bits."""
        found: list[int] = []
        for entry in self.entries:
            bits = 0
            for before, after in self.edges:
                if after == entry.seq:
                    bits |= found[before - 1] | 1 << (before - 1)
            found.append(bits)
        return found


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Small runs of a few agents."""
    run = Run()
    number = st.integers(0, 30)
    for _ in range(draw(st.integers(0, 25))):
        run.step(draw(st.integers(0, 11)), draw(number), draw(number))
    return run


def less(one: dict[int, int], other: dict[int, int]) -> bool:
    """Whether a clock is before another: nowhere greater, and not the same."""
    return one != other and all(other.get(uid, 0) >= count for uid, count in one.items())


@given(runs())
def test_clocks_tell_exactly_what_happened_before_what(run: Run) -> None:
    """One event's clock is less than another's if and only if oplogs and messages lead from the one to the other."""
    clocks = [event.clock() for event in shiviz.events(run.entries)]
    told = [sum(less(before, clock) << i for i, before in enumerate(clocks)) for clock in clocks]
    assert told == run.reached()


@given(runs())
def test_own_component_counts_the_events_of_the_agent(run: Run) -> None:
    """An agent's first event has 1 in its own component, and each later one has one more."""
    counts: dict[int, int] = {}
    for event in shiviz.events(run.entries):
        counts[event.entry.agent] = counts.get(event.entry.agent, 0) + 1
        assert event.clock()[event.entry.agent] == counts[event.entry.agent]


def test_real_session_agrees_with_the_causes_in_its_log() -> None:
    """In a session that used every verb, what caused an entry happened before it, and what came later did not."""
    entries = every_verb()
    clocks = {event.entry.seq: event.clock() for event in shiviz.events(entries)}
    agents = {entry.seq: entry.agent for entry in entries}
    for entry in entries:
        if entry.cause and agents[entry.cause] != entry.agent:
            assert less(clocks[entry.cause], clocks[entry.seq])
        if isinstance(entry.body, e.InvocationStarted):
            assert less(clocks[entry.invocation], clocks[entry.seq])
        assert not any(less(clocks[later], clocks[entry.seq]) for later in range(entry.seq + 1, len(entries) + 1))


def test_fork_and_child_come_after_what_made_them() -> None:
    """A fork from inside comes after its `ForkMade`, and a child after what its maker did before in the same turn."""
    run = Run()
    run.step(0, 0, 0)
    run.step(7, 1, 0)
    made, forked = run.entries[-2], run.entries[-1]
    assert isinstance(made.body, e.ForkMade)
    clocks = [event.clock() for event in shiviz.events(run.entries)]
    assert less(clocks[made.seq - 1], clocks[forked.seq - 1])
    assert less(clocks[0], clocks[1])


def test_agent_that_a_schedule_brings_into_being_comes_after_the_scheduling_only() -> None:
    """What the maker did since it scheduled the call did not happen before the agent that the call was for."""
    entries = every_verb()
    clocks = [event.clock() for event in shiviz.events(entries)]
    made = [
        (entry, entries[entry.cause - 1])
        for entry in entries
        if isinstance(entry.body, e.AgentCreated) and isinstance(entries[entry.cause - 1].body, e.CallScheduled)
    ]
    assert made
    for entry, scheduled in made:
        assert clocks[entry.seq - 1][scheduled.agent] == clocks[scheduled.seq - 1][scheduled.agent]


def parsed(text: str, pattern: str | None = None) -> list[dict[str, Any]]:
    """The events that ShiViz finds in a file: the first line is the expression, the second parts runs."""
    first, second, rest = text.split("\n", 2)
    assert (first, second) == (shiviz.PATTERN, "")
    python = (pattern or f"^{first}$").replace("(?<", "(?P<")
    return [match.groupdict() for match in re.finditer(python, rest, re.MULTILINE)]


def assert_reads(text: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Assert that ShiViz finds one event for each entry, and takes its clock; return them."""
    found = parsed(text)
    assert [event["host"] for event in found] == [event["host"] for event in parsed(text, BY_DEFAULT)]
    assert [int(event["entry"]) for event in found] == [entry.seq for entry in entries]
    lasts: dict[str, int] = {}
    for event in found:
        clock = json.loads(event["clock"])
        lasts[event["host"]] = lasts.get(event["host"], 0) + 1
        assert clock[event["host"]] == lasts[event["host"]]
        assert all(0 < count <= lasts[host] for host, count in clock.items())
    assert len(lasts) == len({entry.agent for entry in entries})
    return found


def test_shiviz_reads_a_real_session() -> None:
    """Each entry of a session that used every verb is one event, of an agent that no other has the name of."""
    entries = every_verb()
    found = assert_reads(shiviz.log(entries), entries)
    assert found[0]["host"] == "Session()"
    assert {"Worker(1)", "Chief()"} < {event["host"] for event in found}


def test_names_and_values_are_one_line_and_one_host() -> None:
    """Whatever agents are called and hold, an event takes two lines, and the host's name has no blank."""
    log = hostile()
    for name in HOSTILE:
        log.put(log.root, e.Logged("info", f"{name}\n{name}"))
    assert_reads(shiviz.log(log.entries), log.entries)


def test_same_name_is_given_once() -> None:
    """An id that was used again, or names that are the same without blanks, still are different hosts."""
    run = Run()
    for _ in range(3):
        run.step(0, 0, 0)
    names = dict(zip(run.last, ("a b", "a_b", "a\tb", "a b"), strict=True))
    found = assert_reads(shiviz.log(run.entries, names), run.entries)
    assert [event["host"] for event in found] == ["a_b", "a_b#2", "a\\tb", "a_b#4"]


def test_part_of_a_log_reads_too() -> None:
    """Entries whose causes are left out are events without these causes; agents without a name get one."""
    entries = every_verb()[40:90]
    assert_reads(shiviz.log(entries), entries)
    assert shiviz.log([]) == f"{shiviz.PATTERN}\n\n"
