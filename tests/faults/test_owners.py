# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""Two processes after one store, again and again, and owners that are killed; see `tests/crash/test_owners.py` too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import workbench as wb
from tests.crash.programs import Counted
from workbench.testing import Launcher, crash_at, read_log, violations
from workbench.testing.channel import Channel


def contend(channel: Channel, *, store: str, times: int, die_at: int = 0) -> dict[str, list[str]]:
    """Try to become the owner many times; who succeeds works alone, which a mark shows."""
    mark = f"{store}.mark"
    found: dict[str, list[str]] = {"owned": [], "refused": []}
    if die_at:
        crash_at(die_at)
    for n in range(times):
        try:
            session = wb.start(store)
        except wb.StoreInUseError as error:
            found["refused"].append(str(error))
            continue
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL)) if not die_at else None
        wb.run(Counted.get(os.getpid()).once.with_options(key=f"{n}")(n))
        channel.tell(f"{n}", os.getpid())
        found["owned"].append(str(os.getpid()))
        if not die_at:
            os.unlink(mark)  # noqa: PTH108
        session.close()
    return found


@pytest.fixture(scope="module")
def launchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Launcher]]:
    """Two processes that fork contenders."""
    folder = tmp_path_factory.mktemp("owners")
    with Launcher([__name__], folder / "one") as one, Launcher([__name__], folder / "two") as two:
        yield one, two


def race(launchers: tuple[Launcher, Launcher], folder: Path, rounds: int, times: int) -> None:
    """Let two processes contend; nobody is told anything but who owns the store."""
    one, two = launchers
    owned = 0
    for n in range(rounds):
        store = folder / f"{n}.db"
        one.start(contend, store=str(store), times=times)
        two.start(contend, store=str(store), times=times)
        reports = [one.finish(), two.finish()]
        assert [report.error for report in reports] == ["", ""]
        pids = [report.pid for report in reports]
        for report, other in zip(reports, reversed(pids), strict=True):
            assert len(report.result["owned"]) + len(report.result["refused"]) == times
            for text in report.result["refused"]:
                assert f"in use by process {other} " in text or "in use by another process" in text
            owned += len(report.result["owned"])
        assert violations(read_log(store)) == []
    assert owned >= rounds * times // 4


def kill(launchers: tuple[Launcher, Launcher], folder: Path, kills: int) -> None:
    """Kill an owner at any fault point, while it opens, works or closes; the next opens at once, nothing is lost."""
    one, two = launchers
    chance = Random(kills)
    store = folder / "killed.db"
    told: set[tuple[int, int]] = set()
    died = 0
    for _ in range(kills):
        one.start(contend, store=str(store), times=2, die_at=chance.randrange(1, 60))
        dead = one.finish()
        died += dead.status == -9
        told |= {(pid, int(n)) for n, pid in dead.told.items()}
        heir = two.run(contend, store=str(store), times=1)
        assert not heir.error, heir.error
        assert len(heir.result["owned"]) == 1
    entries = read_log(store)
    assert violations(entries) == []
    assert died >= kills // 3
    with wb.start(store, read_only=True) as session:
        ids = {agent.agent_id for agent in session.agents()}
    assert {f"Counted({pid})" for pid, _ in told} <= ids


def test_races_have_one_winner_at_a_time(launchers: tuple[Launcher, Launcher], memory: Path) -> None:
    """Two processes open and close one store 25 times each: never two owners, and the loser hears who it is."""
    race(launchers, memory, 2, 25)


def test_an_owner_that_is_killed_leaves_the_store_free(launchers: tuple[Launcher, Launcher], memory: Path) -> None:
    """Fifteen owners killed anywhere, the opening included: each time the next one opens at the first try."""
    kill(launchers, memory, 15)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_many_races_and_many_kills(launchers: tuple[Launcher, Launcher], memory: Path) -> None:
    """2,000 openings by each of two, and 500 owners killed."""
    race(launchers, memory, 20, 100)
    kill(launchers, memory, 500)


def test_who_left_is_no_longer_named(tmp_path: Path) -> None:
    """A closed session takes its name out of the lock file, so nobody is refused in the name of one that has gone."""
    store = tmp_path / "left.db"
    with wb.start(store):
        assert str(os.getpid()) in Path(f"{store}.lock").read_text()
    assert Path(f"{store}.lock").read_text() == ""
