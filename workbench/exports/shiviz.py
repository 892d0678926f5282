"""A log for ShiViz, which draws each agent as a line and each message as an arrow between two of them.

Theory. Each entry is an event of the agent in whose oplog it stands, and carries a vector clock: by agent, how many of
its events came before this one, itself included. Of two events one *happened before* the other if it stands earlier in
the same oplog, or is the entry of which the other is the consequence, or through a chain of these. `origins` names the
entries of which an entry is the consequence:

- the entry that the log gives as its cause (a call's end for its delivery, a completion for the payload, ...);
- of the start of an invocation, the entry that is its acceptance: the call, or the schedule that came due;
- of an agent's creation and of a fork by `fork()`, what who made it did before in the same turn, as the `ForkMade`;
- of a fork made from outside, the last entry that it shares with its source.

One event happened before another if and only if its clock is less or equal in each component and less in one: that is
all that ShiViz has to find the arrows by.

The format, as ShiViz reads it from a file: the first line is the regular expression that finds events, the second one
is what parts several runs (none here), then each event takes two lines: what happened, and the agent with its clock, as
JSON. An agent's first event has the number 1 in its own component. Names of agents have no blanks.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from workbench.exports.telling import place_of
from workbench.model import entries as e
from workbench.model.description import content, describe
from workbench.model.entries import Entry
from workbench.signs import printable

PATTERN: Final = r"(?<entry>\d+) (?<event>.*)\n(?<host>\S*) (?<clock>{.*})"
"""Finds the events; also the first line of a log. What ShiViz assumes without it finds the same events."""
_SHOWN: Final = 120
"""Signs of what an entry holds that its event shows."""


class Event(NamedTuple):
    """An entry with its clock: `own` events of its agent so far, this one included, and `others` by uid."""

    entry: Entry
    own: int
    others: Mapping[int, int]

    def clock(self) -> dict[int, int]:
        """The whole vector clock, by uid."""
        return {**self.others, self.entry.agent: self.own}


def origins(entry: Entry, newest: Mapping[int, Entry]) -> Iterator[int]:
    """The `seq` of each entry, outside of the order of its oplog, of which an entry is the consequence.

    Args:
        entry: the later one.
        newest: the newest entry before it of each agent, by uid.
    """
    if entry.cause:
        yield entry.cause
    match entry.body:
        case e.InvocationStarted():
            yield entry.invocation
        case e.AgentCreated(spawned_by=maker):
            yield from _same_turn(entry, newest.get(maker))
        case e.AgentForked(source=maker, inside=inside, facts=facts):
            if facts is not None:
                yield facts.seq
            if inside:
                yield from _same_turn(entry, newest.get(maker))
        case _:
            pass


def _same_turn(entry: Entry, before: Entry | None) -> Iterator[int]:
    if before is not None and (not entry.cause or entry.cause in (before.cause, before.seq)):
        yield before.seq


def events(entries: Iterable[Entry]) -> Iterator[Event]:
    """The entries with their vector clocks, in the order of the log."""
    known: dict[int, Event] = {}
    newest: dict[int, Entry] = {}
    last: dict[int, Event] = {}
    for entry in entries:
        before = last.get(entry.agent)
        own, others = (before.own + 1, before.others) if before is not None else (1, {})
        causes = (known[seq] for seq in origins(entry, newest) if seq in known)
        event = Event(entry, own, _joined(entry.agent, others, causes))
        known[entry.seq] = last[entry.agent] = event
        newest[entry.agent] = entry
        yield event


def _joined(agent: int, others: Mapping[int, int], causes: Iterable[Event]) -> Mapping[int, int]:
    """The components that follow from the causes too; the same mapping when they bring nothing new."""
    joined: dict[int, int] | None = None
    for cause in causes:
        at = cause.entry.agent
        if at == agent:
            continue  # it stands before in the same oplog
        if (joined or others).get(at, 0) >= cause.own:
            continue  # then all that it knew is known too
        joined = dict(others) if joined is None else joined
        for uid, count in cause.clock().items():
            if uid != agent and joined.get(uid, 0) < count:
                joined[uid] = count
    return others if joined is None else joined


class Hosts:
    """What agents are called in a log: without blanks, and each name for one agent only.

    Args:
        names: what they are called outside, by uid; who is not in it is called by its id.
    """

    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        self._names = names or {}
        self._found: dict[int, str] = {}
        self._taken: set[str] = set()

    def name(self, entry: Entry) -> str:
        """Of the agent that an entry belongs to. An id that was used before is followed by the agent's uid."""
        uid, body = entry.agent, entry.body
        found = self._found.get(uid)
        if found is None:
            own = body.agent_id if isinstance(body, e.AgentCreated | e.AgentForked) else ""
            found = "_".join(printable(self._names.get(uid) or own).split()) or f"agent-{uid}"
            if found in self._taken:
                found = f"{found}#{uid}"
            while found in self._taken:
                found += "#"
            self._found[uid] = found
            self._taken.add(found)
        return found


def lines(entries: Iterable[Entry], names: Mapping[int, str] | None = None) -> Iterator[str]:
    """The lines of a log one after the other, without their ends: `PATTERN`, an empty one, then two for each event."""
    yield PATTERN
    yield ""
    hosts, quoted = Hosts(names), dict[int, str]()
    for event in events(entries):
        entry = event.entry
        uid, host = entry.agent, hosts.name(entry)
        if uid not in quoted:
            quoted[uid] = json.dumps(host, ensure_ascii=False)
        yield f"{entry.seq} {_told(entry)}"
        clock = (f"{quoted[at]}:{count}" for at, count in event.others.items())
        yield f"{host} {{{','.join((f'{quoted[uid]}:{event.own}', *clock))}}}"


def log(entries: Iterable[Entry], names: Mapping[int, str] | None = None) -> str:
    """The text of a log for ShiViz.

    Its size grows with the number of entries times the number of agents.

    Args:
        entries: in the order of the log; where they are only some, what the others led to is not told.
        names: what agents are called, by uid; by default each is called by its id.
    """
    return "".join(f"{line}\n" for line in lines(entries, names))


def _told(entry: Entry) -> str:
    """What happened, in one line."""
    held, line = content(entry.body, _SHOWN), entry.line and f" at {place_of(entry.line)}"
    return printable(f"{describe(entry.body)}{': ' if held else ''}{held}{line}")
