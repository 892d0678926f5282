"""The wait-for graph: which waits can never end.

An agent that is quiet goes on when *any one* of its open waits is delivered (it may hold them in a race, or under a
timeout), so it is stuck only if *all* of them are stuck. A queued invocation needs *all* that stands before it, and
that is stuck when what its agent runs now is stuck. A timer or a promise is never stuck: time passes, and a promise may
be completed by any agent or cell. A step ends, unless its function waits for calls and all of those are stuck. So a
deadlock is a set of agents that wait for each other and for nothing else, and reporting one is never a false alarm
(but for a function of a step that would have given up by itself).

Checked each time an agent comes to rest with open waits, which is the moment a wait starts; the first wait that is not
stuck ends the search, so the check is short unless there is a deadlock.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from workbench.core.nouns import Agent, Invocation, Step, Wait
from workbench.core.state import State

Asked = Mapping[tuple[int, int], Sequence[Invocation]]
"""By the origin of a step under way: the calls that its function has made, and may wait for."""
_NOTHING: Final[Asked] = MappingProxyType({})


class Link(NamedTuple):
    """A stuck agent, with the wait that leads to the next one."""

    agent: Agent
    wait: Wait
    invocation: Invocation
    """What it waits for, or what the function of the step waits for that it waits for."""


def find_deadlock(state: State, uid: int, asked: Asked = _NOTHING) -> list[Link]:
    """The cycle of stuck agents that `uid` closes; empty when there is none."""
    wait = next(iter(state.agents[uid].waits.values()), None)
    first = None if wait is None else wait.on
    if isinstance(first, Step):
        if first.origin not in asked:
            return []
    elif (
        not isinstance(first, Invocation)
        or first.settled
        or getattr(state.agents.get(first.target), "current", None) is None
    ):
        return []  # the common case, told without a search
    stuck = _stuck_from(state, uid, asked)
    if stuck is None:
        return []
    path: list[Link] = []
    seen: dict[int, int] = {}
    agent = state.agents[uid]
    while agent.uid not in seen:
        seen[agent.uid] = len(path)
        wait = next(iter(agent.waits.values()))
        invocation = _needed(wait, asked)[0]
        path.append(Link(agent, wait, invocation))
        agent = state.agents[invocation.target]
    return path[seen[agent.uid] :]


def _needed(wait: Wait, asked: Asked) -> list[Invocation]:
    """The invocations all of which must be stuck for the wait to be; none where it never is."""
    if isinstance(wait.on, Invocation):
        return [] if wait.on.settled else [wait.on]
    if isinstance(wait.on, Step) and not wait.on.settled:
        return [call for call in asked.get(wait.on.origin, ()) if not call.settled and not call.cancelled]
    return []


def _stuck_from(state: State, uid: int, asked: Asked) -> set[int] | None:
    """All agents reachable from `uid` along waits if every one of them is stuck, else None."""
    reached = {uid}
    todo = [uid]
    while todo:
        agent = state.agents[todo.pop()]
        if agent.current is None or not agent.waits:
            return None
        for wait in agent.waits.values():
            needed = _needed(wait, asked)
            if not needed:
                return None
            for invocation in needed:
                target = state.agents.get(invocation.target)
                if target is None or target.current is None:
                    return None
                if target.uid not in reached:
                    reached.add(target.uid)
                    todo.append(target.uid)
    return reached
