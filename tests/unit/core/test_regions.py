"""How often the steps of an atomic region were tried by runs of it that crashes undid."""

from collections.abc import Sequence

from workbench.core.regions import tries_undone
from workbench.model import entries as e
from workbench.model.entries import Body, Entry


def oplog(*bodies: Body) -> list[Entry]:
    """Entries of one agent, from index 1."""
    return [Entry(n, 2, n, 0, 0, 0, 0, "", body) for n, body in enumerate(bodies, 1)]


def undone(region: int) -> Body:
    """A crash undid the region that began at this index."""
    return e.AgentReverted(region - 1, e.Facts(0), region=region)


def tries(entries: Sequence[Entry]) -> list[int]:
    """What is found for each step of the log, as if it were the newest."""
    found = []
    for at, entry in enumerate(entries, 1):
        if isinstance(entry.body, e.StepStarted):
            found.append(tries_undone(entries[:at], entry.index))
    return found


BEGIN, A, B = e.RegionBegun(), e.StepStarted("a"), e.StepStarted("b")


def test_no_run_before() -> None:
    """Steps of a first run, and steps outside regions, were not tried before."""
    assert tries(oplog(A, BEGIN, A, B, e.RegionEnded(2), A)) == [0, 0, 0, 0]


def test_each_run_counts() -> None:
    """A step that two runs had begun was tried twice; one that the crash came before, not at all."""
    assert tries(oplog(BEGIN, A, undone(1), BEGIN, A, B, undone(4), BEGIN, A, B)) == [0, 1, 0, 2, 1]


def test_restarts_count() -> None:
    """Tries of one run add up with those of the others."""
    log = oplog(
        BEGIN, A, e.StepRetried(2, 1, 9, b""), e.StepRestarted(2, 1), e.StepRestarted(2, 2), undone(1), BEGIN, A
    )
    assert tries(log) == [0, 3]


def test_steps_of_one_name_are_told_apart_by_their_order() -> None:
    """The second `a` of a run is the second `a` of the next."""
    assert tries(oplog(BEGIN, A, B, A, undone(1), BEGIN, A, A)) == [0, 0, 0, 1, 1]
    assert tries(oplog(BEGIN, A, undone(1), BEGIN, A, A)) == [0, 1, 0]


def test_inner_regions_are_parts() -> None:
    """What counts is the outermost region."""
    log = oplog(BEGIN, A, BEGIN, B, e.RegionEnded(3), undone(1), BEGIN, A, BEGIN, B)
    assert tries(log) == [0, 0, 1, 1]


def test_a_region_that_ended_is_another() -> None:
    """Runs of an earlier region, and what a person reverted, count for nothing."""
    assert tries(oplog(BEGIN, A, undone(1), BEGIN, A, e.RegionEnded(4), BEGIN, A)) == [0, 1, 0]
    assert tries(oplog(BEGIN, A, e.RegionEnded(1), e.AgentReverted(0, e.Facts(0)), BEGIN, A)) == [0, 0]
