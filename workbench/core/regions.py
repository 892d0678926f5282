"""Atomic regions that ran more than once: what runs that a crash undid have done, and cannot take back."""

from collections import Counter
from collections.abc import Iterable

from workbench.model import entries as e
from workbench.model.entries import Entry

_Place = tuple[str, int]
"""The name of a step, and how many of that name the region had begun before it."""


def tries_undone(own: Iterable[Entry], op: int) -> int:
    """How often a step was tried by earlier runs of its atomic region, which crashes undid.

    Args:
        own: the agent's own entries, in order, those that count no longer included; from before the first run of the
            region.
        op: the index at which the step began in the run that counts.
    """
    before: Counter[_Place] = Counter()
    tries: Counter[_Place] = Counter()
    begun: Counter[str] = Counter()
    places: dict[int, _Place] = {}
    open_regions: set[int] = set()
    for entry in own:
        match entry.body:
            case e.RegionBegun():
                if not open_regions:
                    before, tries, begun, places = before + tries, Counter(), Counter(), {}
                open_regions.add(entry.index)
            case e.StepStarted(name=name) if open_regions:
                place = places[entry.index] = name, begun[name]
                begun[name] += 1
                tries[place] = 1
                if entry.index == op:
                    return before[place]
            case e.StepRestarted(op=step, attempts=attempts) if step in places:
                tries[places[step]] = attempts + 1
            case e.RegionEnded(op=region):
                open_regions.discard(region)
                if not open_regions:
                    before, tries = Counter(), Counter()
            case e.AgentReverted(region=region):
                open_regions.clear()
                if not region:
                    before, tries = Counter(), Counter()
            case _:
                pass
    return 0


def completed_undone(own: Iterable[Entry]) -> set[tuple[int, int]]:
    """The promises, by owner and index, that earlier runs of the open atomic region completed, which crashes undid.

    Without those that the present run has tried to complete: it knows of them.

    Args:
        own: as for `tries_undone`.
    """
    before: set[tuple[int, int]] = set()
    completed: set[tuple[int, int]] = set()
    tried: set[tuple[int, int]] = set()
    depth = 0
    for entry in own:
        match entry.body:
            case e.RegionBegun():
                depth += 1
            case e.PromiseCompleted(owner=owner, promise=promise, first=first) if depth:
                tried.add((owner, promise))
                if first:
                    completed.add((owner, promise))
            case e.RegionEnded():
                depth -= 1
                if not depth:
                    before, completed, tried = set(), set(), set()
            case e.AgentReverted(region=region):
                before = before | completed if region else set()
                completed, tried, depth = set(), set(), 0
            case _:
                pass
    return before - tried
