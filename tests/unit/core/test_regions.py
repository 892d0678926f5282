"""What the runs of an atomic region did that crashes undid."""

from workbench.core.regions import NOTHING_UNDONE, undone
from workbench.model import entries as e
from workbench.model.entries import Body, Entry


def oplog(*bodies: Body) -> list[Entry]:
    """Entries of one agent, from index 1."""
    return [Entry(n, 2, n, 0, 0, 0, 0, "", body) for n, body in enumerate(bodies, 1)]


def back(region: int) -> Body:
    """A crash undid the region that began at this index."""
    return e.AgentReverted(region - 1, e.Facts(0), region=region)


BEGIN, A, B, PROMISE = e.RegionBegun(), e.StepStarted("a"), e.StepStarted("b"), e.PromiseCreated()


def test_no_run_before() -> None:
    """Before a first run nothing was undone, whatever steps and regions there were."""
    assert undone(oplog(A, BEGIN, A, B, PROMISE, e.RegionEnded(2), A)) == NOTHING_UNDONE


def test_each_run_counts() -> None:
    """A step that two runs had begun was tried twice; one that a crash came before, not at all."""
    assert undone(oplog(BEGIN, A, back(1))).tries == {("", "a", 0): 1}
    assert undone(oplog(BEGIN, A, back(1), BEGIN, A, B, back(4))).tries == {("", "a", 0): 2, ("", "b", 0): 1}


def test_restarts_count() -> None:
    """Tries of one run add up with those of the others."""
    log = oplog(BEGIN, A, e.StepRetried(2, 1, 9, b""), e.StepRestarted(2, 1), e.StepRestarted(2, 2), back(1))
    assert undone(log).tries == {("", "a", 0): 3}


def test_steps_of_one_name_are_told_apart_by_task_and_number() -> None:
    """The second `a` of a task is the second `a` of that task in the next run, whatever other tasks did before it."""
    assert undone(oplog(BEGIN, A, B, A, back(1), BEGIN, A, back(6))).tries == {
        ("", "a", 0): 2, ("", "b", 0): 1, ("", "a", 1): 1,
    }  # fmt: skip
    one, two = e.StepStarted("a", task="1"), e.StepStarted("a", task="2")
    log = oplog(BEGIN, one, two, one, back(1), BEGIN, two, one, e.StepRestarted(7, 1), back(6))
    assert undone(log).tries == {("1", "a", 0): 2, ("2", "a", 0): 3, ("1", "a", 1): 1}


def test_promises_are_known_by_task_and_number() -> None:
    """A promise that was given again is the one that it was; what runs completed first is known."""
    mine = e.PromiseCreated("1")
    completed, late = e.PromiseCompleted(7, 3, b"", first=True), e.PromiseCompleted(7, 4, b"", first=False)
    found = undone(oplog(BEGIN, mine, PROMISE, PROMISE, completed, late, back(1)))
    assert found.promises == {("1", 0): 2, ("", 0): 3, ("", 1): 4}
    assert found.completed == {(7, 3)}
    cancels = e.ScheduleCancelled(8, pending=True), e.ScheduleCancelled(9, pending=False)
    assert undone(oplog(BEGIN, *cancels, back(1))).cancelled == {8}
    again = undone(oplog(BEGIN, PROMISE, back(1), BEGIN, e.PromiseCreated("", again=2), PROMISE, back(4)))
    assert again.promises == {("", 0): 2, ("", 1): 6}


def test_inner_regions_are_parts() -> None:
    """What counts is the outermost region."""
    log = oplog(BEGIN, A, BEGIN, B, e.RegionEnded(3), back(1))
    assert undone(log).tries == {("", "a", 0): 1, ("", "b", 0): 1}


def test_a_region_that_ended_is_another() -> None:
    """Runs of an earlier region, and what a person reverted, count for nothing."""
    assert undone(oplog(BEGIN, A, back(1), BEGIN, A, e.RegionEnded(4))) == NOTHING_UNDONE
    assert undone(oplog(BEGIN, A, e.RegionEnded(1), e.AgentReverted(0, e.Facts(0)))) == NOTHING_UNDONE
