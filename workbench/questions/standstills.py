"""When agents stood still: from an interrupt to what let them go on.

An interrupted agent goes on when it is resumed or reverted, when something new is asked of it, and when a promise that
it awaits is completed, which is delivered to it at once. So what it does or is given next tells that it goes on.
"""

from collections.abc import Iterable
from typing import NamedTuple

from workbench.model import entries as e
from workbench.model.entries import ROLES, Entry, Role

_OVER = (e.AgentResumed, e.AgentReverted, e.AgentFailed, e.AgentDeleted, e.ScheduleFired)


class Standstill(NamedTuple):
    """One stretch of an agent: the entry that interrupted it, and the one that let it go on, if that has come."""

    begun: Entry
    over: Entry | None


def going_on(entry: Entry) -> tuple[int, ...]:
    """Agents that do not stand still after an entry, whatever they did before."""
    body = entry.body
    own = isinstance(body, _OVER) or ROLES[type(body)] is not Role.HINT
    called = (body.target,) if isinstance(body, e.CallMade) else ()
    return (entry.agent, *called) if own else called


def standstills(entries: Iterable[Entry]) -> dict[int, list[Standstill]]:
    """By uid, when each agent stood still, oldest first."""
    found: dict[int, list[Standstill]] = {}
    begun: dict[int, Entry] = {}
    for entry in entries:
        if isinstance(entry.body, e.AgentInterrupted):
            begun.setdefault(entry.agent, entry)
        elif begun:
            for uid in going_on(entry):
                if uid in begun:
                    found.setdefault(uid, []).append(Standstill(begun.pop(uid), entry))
    for uid, entry in begun.items():
        found.setdefault(uid, []).append(Standstill(entry, None))
    return found
