"""Atomic regions that ran more than once: how often each of their steps was tried in all."""

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
