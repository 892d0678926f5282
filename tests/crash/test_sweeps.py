# ruff: noqa: S311 - chance that can be repeated
"""Killed at every write, killed again while recovering: nothing lost, nothing doubled, the same results."""

from __future__ import annotations

import random

import pytest

from tests.crash import checkpointing, programs
from tests.replay.corpus import PROGRAMS
from workbench.store.faults import POINTS
from workbench.testing import WRITES, Launcher, crash_sweep, kill_sweep, reference
from workbench.testing.children import run_program

RECOVERED_TWICE = [
    "join",
    "try_join_with_failure",
    "promises",
    "fork",
    "fork_in_flight",
    "steps",
    "cancelled_calls",
    "deadlock",
    "step_retried",
    "atomic_region",
    "infallible_transaction",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_killed_at_every_write(name: str) -> None:
    """A program killed right before and right after each of its commits comes to what it comes to undisturbed."""
    sweep = crash_sweep(PROGRAMS[name], only=WRITES)
    assert sweep.problems == []
    assert sweep.crashes >= 6


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_killed_at_every_point(name: str) -> None:
    """The same at each fault point, between statements, before results leave, after steps have run."""
    sweep = crash_sweep(PROGRAMS[name])
    assert sweep.problems == []
    assert sweep.crashes >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", RECOVERED_TWICE)
def test_killed_again_while_recovering(name: str) -> None:
    """A recovery that is killed is recovered from in turn."""
    chance = random.Random(name)
    for _ in range(2):
        sweep = crash_sweep(
            PROGRAMS[name],
            points=range(chance.randrange(1, 15), 400, 15),
            only=(),
            recovery_crash=chance.randrange(1, 25),
        )
        assert sweep.problems == []
        assert 0 < sweep.again <= sweep.crashes // 2


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_killed_again_anywhere_while_recovering(name: str) -> None:
    """A hundred pairs and more, of a crash and a crash while recovering from it."""
    chance = random.Random(name)
    pairs = 0
    for recovery_crash in range(1, 40, 3):
        points = range(chance.randrange(1, 11), 400, 11)
        sweep = crash_sweep(PROGRAMS[name], points=points, recovery_crash=recovery_crash)
        assert sweep.problems == []
        pairs += sweep.again
    assert pairs >= 20


def test_a_step_that_may_not_run_twice() -> None:
    """A step with `idempotent=False` runs at most once; when nobody knows, the agent hears `OutcomeUnknown`."""
    sweep = crash_sweep(programs.risky_step)
    # Its effect may be missing: the process died between the intent and the start. It is never doubled.
    assert [p for p in sweep.problems if "happened 0 times" not in p] == []
    assert sweep.points["step.done"] == 1


def test_a_step_that_may_not_run_twice_and_is_tried_again() -> None:
    """With `idempotent=False` and a `retry=`, what failed is tried again, and what was cut short never is."""
    sweep = crash_sweep(programs.risky_retry)
    assert [p for p in sweep.problems if "happened 0 times" not in p and "happened 1 times" not in p] == []
    assert sweep.points["step.done"] == 2


@pytest.mark.parametrize("program", [programs.raced_steps, programs.withdrawn_key])
def test_what_is_given_up_is_no_loss(program: programs.Program) -> None:
    """A step that a race dropped and a key that was withdrawn are judged by what the log owns to."""
    assert crash_sweep(program).problems == []


def test_every_point_is_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No fault point is dead: one program with a step, which writes checkpoints, passes them all."""
    folder = tmp_path_factory.mktemp("points")
    program = checkpointing.PROGRAMS["steps"]
    with Launcher([program.__module__], folder / "output") as launcher:
        report = launcher.run(run_program, program=reference(program), store=str(folder / "s.db"), seed="1")
    assert set(report.result["points"]) == set(POINTS)


@pytest.mark.parametrize(
    ("faulty", "complaint"),
    [(programs.doubling, "undisturbed"), (programs.hasty, "acknowledged"), (programs.careless, "too many")],
)
def test_the_judge_notices(faulty: programs.Program, complaint: str) -> None:
    """Programs that lose, double or promise too early are found out: the sweep is no rubber stamp."""
    sweep = crash_sweep(faulty, only=WRITES)
    assert any(complaint in problem for problem in sweep.problems)


def moments(count: int, seed: int) -> list[float]:
    """Seconds, spread over what a run of the fan-out takes."""
    chance = random.Random(seed)
    return [chance.uniform(0.004, 0.16) for _ in range(count)]


@pytest.mark.slow
def test_real_kills_of_a_fan_out() -> None:
    """A fan-out of 200 children killed with SIGKILL at random moments: nothing lost, nothing doubled."""
    sweep = kill_sweep(programs.fan_out_200, moments(16, 1))
    assert sweep.problems == []
    assert sweep.crashes >= 8


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_200_real_kills_of_a_fan_out() -> None:
    """The same 200 times, half of them with a commit for each turn."""
    crashes = 0
    for fine in (False, True):
        sweep = kill_sweep(programs.fan_out_200, moments(150, 2 + fine), fine=fine)
        assert sweep.problems == []
        crashes += sweep.crashes
    assert crashes >= 200
