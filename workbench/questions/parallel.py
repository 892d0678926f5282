"""What ran in parallel under an invocation: who was at work in which stretch of time.

Under an invocation is what it called, triggered or scheduled, and what those did; and forks that go on with one of
these, made by `fork()` or from outside. Who runs any of it is at work while it waits for no call, and is not
interrupted.
"""

from itertools import islice
from typing import Final

import msgspec

from workbench.model import entries as e
from workbench.model.entries import KIND_NUMBERS, Entry, Facts
from workbench.questions.explanation import elapsed
from workbench.questions.standstills import going_on
from workbench.questions.window import Window

_SHOWN: Final = 20
"""Agents named in one stretch."""
_CALL: Final = KIND_NUMBERS[e.CallMade]

_Running = dict[int, set[int]]
"""Uid -> indices of its open calls, of the agents that run something of the tree."""


class Overlap(msgspec.Struct, frozen=True):
    """A stretch of time, and who was at work in it: the first twenty `agents`, `count` in all."""

    begin: int
    end: int
    count: int
    agents: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return elapsed(self.begin, self.end)


def overlaps(window: Window, accepted: Entry, end: int) -> list[Overlap]:
    """Who was at work when, under an invocation."""
    tree, plans = {accepted.seq}, set[int]()
    working: dict[int, None] = {}
    running: _Running = {}
    standing: set[int] = set()
    found: list[Overlap] = []
    names: dict[int, str] = {}
    since = accepted.wall

    def change(wall: int) -> None:
        nonlocal since
        if wall > since and working:
            some = tuple(names[uid] for uid in islice(working, _SHOWN))
            if found and found[-1].end == since and found[-1].agents == some and found[-1].count == len(working):
                found[-1] = msgspec.structs.replace(found[-1], end=wall)
            else:
                found.append(Overlap(since, wall, len(working), some))
        since = max(since, wall)

    for entry in window.entries:
        body, uid = entry.body, entry.agent
        if isinstance(body, e.CallMade) and entry.invocation in tree:
            tree.add(entry.seq)
        elif isinstance(body, e.CallScheduled) and entry.invocation in tree:
            plans.add(entry.seq)
        elif isinstance(body, e.ScheduleFired) and body.schedule in plans:
            tree.add(entry.seq)
        changed = [uid] if _matters(entry, tree, running) else []
        changed += _stand(entry, standing)
        if changed:
            change(min(entry.wall, end))
        for one in changed:
            if one in running and not running[one] and one not in standing:
                names.setdefault(one, window.name(one))
                working[one] = None
            else:
                working.pop(one, None)
    change(end)
    return found


def _stand(entry: Entry, standing: set[int]) -> list[int]:
    """Note who is interrupted after an entry; for whom that is new."""
    if isinstance(entry.body, e.AgentInterrupted):
        standing.add(entry.agent)
        return [entry.agent]
    over = [uid for uid in going_on(entry) if uid in standing] if standing else []
    standing.difference_update(over)
    return over


def _matters(entry: Entry, tree: set[int], running: _Running) -> bool:
    """Note who runs what after an entry; whether it tells anything of that."""
    body, uid = entry.body, entry.agent
    begun = _begun(entry, tree, running)
    if begun is not None:
        running[uid] = begun
        return True
    if uid not in running:
        return False
    match body:
        case e.InvocationFinished() | e.AgentFailed() | e.AgentDeleted() | e.AgentReverted():
            del running[uid]
        case e.CallMade(awaited=True):
            running[uid].add(entry.index)
        case e.CallDelivered(op=op) | e.WaitDropped(op=op):
            running[uid].discard(op)
        case _:
            return False
    return True


def _begun(entry: Entry, tree: set[int], running: _Running) -> set[int] | None:
    """The open calls of an agent that takes up something of the tree with this entry; None if it does not."""
    match entry.body:
        case e.InvocationStarted() if entry.invocation in tree:
            return set()
        case e.AgentForked(source=source, facts=None) if source in running:  # it is where its source is now
            return set(running[source])
        case e.AgentForked(facts=Facts() as facts) | e.AgentReverted(facts=facts) if facts.invocation in tree:
            return {wait.op for wait in facts.waits if wait.kind == _CALL}
    return None
