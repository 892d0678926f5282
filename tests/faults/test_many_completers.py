# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""Promises completed by many threads and agents at once, in one process after the other, each killed meanwhile."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.crash.test_promise_races import Rival
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.channel import Channel

THREADS = 4
AGENTS = 3


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def make(channel: Channel, *, store: str, count: int) -> list[str]:
    """Make the promises."""
    with wb.start(store, clock=SimulatedClock("make")):
        return [str(pid) for pid in wb.run(Rival.get(0).make(count))]


def complete(channel: Channel, *, store: str, pids: str, life: int) -> list[str]:
    """Threads and agents complete all promises; a thread tells which it was the first to complete."""
    promises = [wb.PromiseId.parse(text) for text in json.loads(Path(pids).read_text())]
    session = wb.start(store, clock=SimulatedClock(life))
    for n in range(1, AGENTS + 1):
        Rival.get(n).complete_all.with_options(key="c").trigger(promises)

    def work(n: int) -> None:
        order = list(enumerate(promises))
        random.Random(f"{life}/{n}").shuffle(order)
        for number, pid in order:
            mine = f"thread {n} of life {life}"
            if wb.complete_promise(pid, mine):
                channel.tell(f"{number}", mine)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    payloads: list[str] = wb.run(Rival.get(9).payloads(promises))
    wb.run(session.at_rest())
    session.close()
    return payloads


@pytest.mark.parametrize(
    ("count", "lives"),
    [(300, 6), pytest.param(10_000, 25, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_one_first_over_many_lives(count: int, lives: int, launcher: Launcher, tmp_path: Path) -> None:
    """Over all processes, killed or not, each promise has one first completion, and its payload stands."""
    chance = random.Random(count)
    store, file = tmp_path / "s.db", tmp_path / "pids.json"
    pids = launcher.run(make, store=str(store), count=count)
    assert not pids.error, pids.error
    file.write_text(json.dumps(pids.result))
    told: dict[str, str] = {}
    kills = 0
    for life in range(lives):
        launcher.start(complete, store=str(store), pids=str(file), life=life)
        last = life == lives - 1
        report = launcher.finish(300, kill_after=None if last else chance.uniform(0.02, 0.4))
        assert not report.error, report.error
        kills += report.status == -9
        for number, payload in report.told.items():
            assert told.setdefault(number, payload) == payload, f"promise {number} was completed first twice"
    assert kills >= lives // 3
    payloads: list[Any] = report.result
    assert len(payloads) == count
    for number, payload in told.items():
        assert payloads[int(number)] == payload
    assert violations(read_log(store)) == []
