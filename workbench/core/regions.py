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
    for run in _runs(entry for entry in own if entry.index <= op):
        tries, places = _steps(run)
        if op in places:
            return before[places[op]]
        before += tries
    return 0


def completed_undone(own: Iterable[Entry]) -> set[tuple[int, int]]:
    """The promises, by owner and index, that earlier runs of the open atomic region completed, which crashes undid.

    Without those that the present run has tried to complete: it knows of them.

    Args:
        own: as for `tries_undone`; empty when there was no earlier run.
    """
    *undone, present = _runs(own) or [[]]
    completed = {name for run in undone for name, first in _completions(run) if first}
    return completed - {name for name, _ in _completions(present)}


def _runs(own: Iterable[Entry]) -> list[list[Entry]]:
    """What the runs of the region that is open at the end did: those that crashes undid, and the present one."""
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


def _steps(run: Iterable[Entry]) -> tuple[Counter[_Place], dict[int, _Place]]:
    """How often each step of a run was tried, and the place of each by the index at which it began."""
    tries: Counter[_Place] = Counter()
    begun: Counter[str] = Counter()
    places: dict[int, _Place] = {}
    for entry in run:
        match entry.body:
            case e.StepStarted(name=name):
                place = places[entry.index] = name, begun[name]
                begun[name] += 1
                tries[place] = 1
            case e.StepRestarted(op=step, attempts=attempts) if step in places:
                tries[places[step]] = attempts + 1
            case _:
                pass
    return tries, places


def _completions(run: Iterable[Entry]) -> list[tuple[tuple[int, int], bool]]:
    """The promises that a run completed or tried to, by owner and index, and whether it was the first to."""
    bodies = (entry.body for entry in run)
    return [((body.owner, body.promise), body.first) for body in bodies if isinstance(body, e.PromiseCompleted)]
