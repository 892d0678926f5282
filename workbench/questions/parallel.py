"""What ran in parallel under an invocation: who was at work in which stretch of time."""

from itertools import islice
from typing import Final

import msgspec

from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.questions.explanation import elapsed
from workbench.questions.window import Window

_SHOWN: Final = 20
"""Agents named in one stretch."""


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
    """Who was at work when, under an invocation: whoever it called or triggered, and whoever those did."""
    tree = {accepted.seq}
    working: dict[int, None] = {}
    running: dict[int, set[int]] = {}  # uid -> indices of its open calls, while it runs something of the tree
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
        if isinstance(body, e.CallMade) and entry.invocation in tree and entry.seq != accepted.seq:
            tree.add(entry.seq)
        if not _matters(body) or (uid not in running and not isinstance(body, e.InvocationStarted)):
            continue
        if isinstance(body, e.InvocationStarted) and entry.invocation not in tree:
            continue
        change(min(entry.wall, end))
        if uid not in names:
            names[uid] = window.name(uid)
        if isinstance(body, e.InvocationStarted):
            running[uid] = set()
        elif isinstance(body, e.InvocationFinished | e.AgentFailed | e.AgentDeleted):
            del running[uid]
        elif isinstance(body, e.CallMade):
            running[uid] |= {entry.index} if body.awaited else set()
        elif isinstance(body, e.CallDelivered | e.WaitDropped):
            running[uid].discard(body.op)
        if uid in running and not running[uid]:
            working[uid] = None
        else:
            working.pop(uid, None)
    change(end)
    return found


def _matters(body: object) -> bool:
    kinds = e.InvocationStarted | e.InvocationFinished | e.AgentFailed | e.AgentDeleted | e.CallMade | e.CallDelivered
    return isinstance(body, kinds | e.WaitDropped)
