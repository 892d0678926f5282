"""Bugs planted in the runtime: each is found by the check that claims it, and the check is silent without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import bug_checks, plants
from workbench.testing import WRITES, Launcher, crash_sweep, reference

CHECKED = {
    "lost_order": ("order_of_the_queue", "began before"),
    "synchronous_normal": ("commits_are_synced", "a power cut loses"),
    "no_chain": ("changes_are_noticed", "nobody noticed"),
    "second_completion_wins": ("promises_complete_once", "completed first 3 times"),
    "timer_early": ("timers_are_due", "fired early"),
    "timer_late": ("timers_are_due", "out of order"),
    "replay_prints_again": ("replay_is_silent", "replay added Logged"),
    "fork_repeats_open_steps": ("forks_join_what_is_open", "done so often"),
    "drop_a_delivery": ("nothing_is_lost", "it hangs"),
    "markup_unescaped": ("names_are_text", "is markup"),
    "wrong_invocation_on_revert": ("reverts_go_where_they_should", "the total is 1"),
    "snapshot_stale": ("snapshots_are_true", "was"),
    "deadlock_missed": ("cycles_are_refused", "not reported"),
    "deadlock_false": ("only_cycles_are_refused", "where there was none"),
}
"""Bug -> the check that finds it, and a part of what it says."""

SWEPT = {
    "acknowledge_early": ("first_payload", "acknowledged"),
    "release_before_commit": ("draws", "acknowledged"),
    "no_dedup_by_key": ("keyed", "came to"),
    "retry_forgets_attempts": ("one_step", "too many"),
    "step_intent_after_step": ("one_step", "too many"),
}
"""Bug -> the program whose crash sweep finds it, and a part of what it says."""


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    modules = ["tests.faults.bug_checks", "tests.faults.plants"]
    with Launcher(modules, tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def complaints(launcher: Launcher, name: str, store: Path, plant: str = "") -> list[str]:
    """What a check says."""
    report = launcher.run(bug_checks.check, name=name, store=str(store), plant=plant)
    if report.error:
        return [report.error]
    found: list[str] = report.result
    return found


@pytest.mark.parametrize("bug", list(CHECKED))
def test_a_planted_bug_is_found(bug: str, launcher: Launcher, tmp_path: Path) -> None:
    """The check that claims a bug complains of it, in its own words."""
    name, said = CHECKED[bug]
    found = complaints(launcher, name, tmp_path / "s.db", reference(getattr(plants, bug)))
    assert any(said in line for line in found), found


@pytest.mark.parametrize("name", sorted({name for name, _ in CHECKED.values()}))
def test_the_check_is_silent_without_it(name: str, launcher: Launcher, tmp_path: Path) -> None:
    """Without a bug the same check has nothing to say."""
    assert complaints(launcher, name, tmp_path / "s.db") == []


@pytest.mark.slow
@pytest.mark.parametrize("bug", list(SWEPT))
def test_a_planted_bug_is_found_by_crashes(bug: str) -> None:
    """What is only wrong when the process dies is found by a crash sweep of a few lines."""
    name, said = SWEPT[bug]
    sweep = crash_sweep(getattr(bug_checks, name), before=getattr(plants, bug))
    assert any(said in line for line in sweep.problems), sweep.problems


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({name for name, _ in SWEPT.values()}))
def test_crashes_find_nothing_without_it(name: str) -> None:
    """Without a bug the same sweep has nothing to say."""
    assert crash_sweep(getattr(bug_checks, name), only=WRITES).problems == []
