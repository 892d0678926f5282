"""Atomic regions that run again: what the runs of one that crashes undid have done, and cannot take back.

Things done in a region are told apart by their *place*: the task that did them, and how many of the kind that task had
done in the region before. It is the same in each run, in whatever order the tasks of the region get their turns.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from workbench.model import entries as e
from workbench.model.entries import Entry

StepPlace = tuple[str, str, int]
"""Task, name of the step, number."""
PromisePlace = tuple[str, int]
"""Task, number."""
ControlPlace = tuple[str, str, int, int]
"""Verb, the agent that it was done to, its argument, number; of equal ones it matters not which task did which."""


class Undone(NamedTuple):
    """What the runs of an atomic region did that crashes undid.

    Attributes:
        tries: how often each step was tried.
        promises: the index of each promise that was made.
        completed: the promises, by owner and index, that were completed there first.
        cancelled: the schedules, by `seq`, that were cancelled there.
        controls: what was done to other agents, or asked about them, with the answer.
    """

    tries: Mapping[StepPlace, int]
    promises: Mapping[PromisePlace, int]
    completed: frozenset[tuple[int, int]]
    cancelled: frozenset[int]
    controls: Mapping[ControlPlace, tuple[bool, bytes]]


NOTHING_UNDONE: Final = Undone({}, {}, frozenset(), frozenset(), {})


def undone(own: Iterable[Entry]) -> Undone:
    """What was undone of the region that begins right after these entries.

    Args:
        own: the agent's own entries, in order, those that count no longer included; from before the first run of the
            region.
    """
    tries: Counter[StepPlace] = Counter()
    promises: dict[PromisePlace, int] = {}
    completed: set[tuple[int, int]] = set()
    cancelled: set[int] = set()
    controls: dict[ControlPlace, tuple[bool, bytes]] = {}
    for run in _runs(own):
        tries += _tries(run)
        promises |= _promises(run)
        bodies = [entry.body for entry in run]
        completed |= {(b.owner, b.promise) for b in bodies if isinstance(b, e.PromiseCompleted) and b.first}
        cancelled |= {b.schedule for b in bodies if isinstance(b, e.ScheduleCancelled) and b.pending}
        controls |= _controls(bodies)
    return Undone(tries, promises, frozenset(completed), frozenset(cancelled), controls)


def _runs(own: Iterable[Entry]) -> list[list[Entry]]:
    """What the undone runs of the region did that begins at the end."""
    runs: list[list[Entry]] = []
    open_regions: set[int] = set()
    for entry in own:
        match entry.body:
            case e.RegionBegun():
                if not open_regions:
                    runs.append([])
                open_regions.add(entry.index)
            case e.RegionEnded(op=region):
                open_regions.discard(region)
                if not open_regions:
                    runs.clear()
            case e.AgentReverted(region=region):
                open_regions.clear()
                if not region:
                    runs.clear()
            case _ if open_regions:
                runs[-1].append(entry)
            case _:
                pass
    return runs


def _tries(run: Iterable[Entry]) -> Counter[StepPlace]:
    """How often each step of a run was tried."""
    tries: Counter[StepPlace] = Counter()
    begun: Counter[tuple[str, str]] = Counter()
    places: dict[int, StepPlace] = {}
    for entry in run:
        match entry.body:
            case e.StepStarted(name=name, task=task):
                place = places[entry.index] = task, name, begun[task, name]
                begun[task, name] += 1
                tries[place] = 1
            case e.StepRestarted(op=step, attempts=attempts) if step in places:
                tries[places[step]] = attempts + 1
            case _:
                pass
    return tries


def _promises(run: Iterable[Entry]) -> dict[PromisePlace, int]:
    """The promises that a run made, or was given again."""
    made: Counter[str] = Counter()
    places: dict[PromisePlace, int] = {}
    for entry in run:
        if isinstance(entry.body, e.PromiseCreated):
            task = entry.body.task
            places[task, made[task]] = entry.body.again or entry.index
            made[task] += 1
    return places


def _controls(bodies: Iterable[e.Body]) -> dict[ControlPlace, tuple[bool, bytes]]:
    """What a run did to other agents: whether it was done, and the answer."""
    done: Counter[tuple[str, str, int]] = Counter()
    places: dict[ControlPlace, tuple[bool, bytes]] = {}
    for body in bodies:
        if isinstance(body, e.ControlMade):
            told = body.verb, body.target_id, body.argument
            places[*told, done[told]] = body.ok, body.value
            done[told] += 1
    return places
