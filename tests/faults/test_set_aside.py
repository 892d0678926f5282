# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""An agent whose replay ends the process is set aside after three tries; all others go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.store.rebuilds import END, TRIES, Rebuilds
from workbench.testing import Launcher, SimulatedClock, read_log, rebuild_all, violations
from workbench.testing.channel import Channel

deadly = False
"""Whether replay is made to end this process."""


@wb.agent
class Deadly:
    """Ends its process when it goes on after a promise, as a library that crashes would."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.total = 0

    async def add(self, x: int, pid: wb.PromiseId) -> int:
        if deadly and self.n < 0:
            os._exit(66)
        self.total += len(await wb.await_promise(pid)) + x
        return self.total


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def begin(channel: Channel, *, store: str, bad: int, good: int) -> None:
    """Have bad and good agents wait for a promise, and end without a word."""
    session = wb.start(store, clock=SimulatedClock(1))
    pid = wb.create_promise()
    for n in [*range(-bad, 0), *range(good)]:
        Deadly.get(n).add.with_options(key="k").trigger(10, pid)
    wb.run(session.at_rest())
    channel.tell("pid", str(pid))
    os._exit(0)


def go_on(channel: Channel, *, store: str, pid: str, seed: int, harmless: bool = False) -> dict[str, Any]:
    """Open the store, complete the promise, let all come to rest; with harmless code, try the failed ones again."""
    global deadly  # noqa: PLW0603 - one child, one kind of code
    deadly = not harmless
    session = wb.start(store, clock=SimulatedClock(seed))
    wb.complete_promise(wb.PromiseId.parse(pid), b"12345")
    wb.run(session.at_rest())
    if harmless:
        for agent in session.agents():
            if agent.status == "failed":
                client = Deadly.get(int(agent.agent_id[7:-1]))
                wb.run(client.revert(to=len(session.oplog(agent.agent_id)) - 1))
        wb.run(session.at_rest())
    found = statuses(session)
    session.close()
    return found


def statuses(session: wb.Session) -> dict[str, Any]:
    """Status of each agent, and the error of those that failed."""
    found = {}
    for agent in session.agents():
        error = ""
        if agent.status == "failed":
            try:
                wb.run(Deadly.get(int(agent.agent_id[7:-1])).add.with_options(key="k")(0, wb.create_promise()))
            except wb.WorkbenchError as failed:
                error = f"{type(failed).__name__} {failed}"
        found[agent.agent_id] = [agent.status, error]
    return found


@pytest.mark.parametrize(("bad", "good"), [(1, 3), (2, 2)])
def test_set_aside_after_three_tries(bad: int, good: int, launcher: Launcher, tmp_path: Path) -> None:
    """Each agent that ends processes gets three of them; then it fails with what to do, and the others finish."""
    store = tmp_path / "s.db"
    pid = launcher.run(begin, store=str(store), bad=bad, good=good).told["pid"]
    for n in range(TRIES * bad):
        assert launcher.run(go_on, store=str(store), pid=pid, seed=2 + n).status == 66, n
    report = launcher.run(go_on, store=str(store), pid=pid, seed=50)
    assert not report.error, report.error
    for n in range(good):
        assert report.result[f"Deadly({n})"] == ["idle", ""]
    for n in range(-bad, 0):
        status, error = report.result[f"Deadly({n})"]
        assert status == "failed"
        for fact in ("AgentSetAsideError", f"Deadly({n})", "3 processes", "client.revert(to=", "client.delete()"):
            assert fact in error
    assert violations(read_log(store)) == []
    assert not Path(f"{store}{END}").exists()
    mended = launcher.run(go_on, store=str(store), pid=pid, seed=51, harmless=True)
    assert not mended.error, mended.error
    assert {status for status, _ in mended.result.values()} == {"idle"}


def test_a_rebuild_that_works_starts_the_count_anew(tmp_path: Path) -> None:
    """Two processes that ended count no more once a third has rebuilt the agent; one killed elsewhere never counts."""
    store = tmp_path / "s.db"
    for _ in range(TRIES - 1):
        Rebuilds(store, "salt").begin(7)
    third = Rebuilds(store, "salt")
    assert (third.ended(7), third.ended(8)) == (TRIES - 1, 0)
    third.begin(7)
    third.end(7)
    third.begin(8)
    third.end(8)
    again = Rebuilds(store, "salt")
    assert (again.ended(7), again.ended(8)) == (0, 0)
    again.close()
    assert not Path(f"{store}{END}").exists()


@pytest.mark.parametrize("left", [b"", b"x" * 10, b"\xff" * 4096, b"\x00" * 4096])
def test_a_note_that_is_no_note_counts_nothing(left: bytes, tmp_path: Path) -> None:
    """What lies there from another store, or is damaged, is not believed and harms nothing."""
    store = tmp_path / "s.db"
    Path(f"{store}{END}").write_bytes(left)
    rebuilds = Rebuilds(store, "salt")
    assert rebuilds.ended(7) == 0
    rebuilds.begin(7)
    assert Rebuilds(store, "other").ended(7) == 0
    assert Rebuilds(store, "salt").ended(7) == 1


def test_a_session_leaves_no_note(tmp_path: Path) -> None:
    """A session that ends in order takes its note away, whoever it rebuilt."""
    store = tmp_path / "s.db"
    with wb.start(store, clock=SimulatedClock(1)) as session:
        pid = wb.create_promise()
        wb.complete_promise(pid, b"1")
        wb.run(Deadly.get(1).add(1, pid))
        session.simulate_crash()
        assert rebuild_all(session) == {}
    assert not Path(f"{store}{END}").exists()
