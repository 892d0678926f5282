# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""One owner per store: refused at once, told who; free again when the owner is gone; a forked child is no owner."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.crash.programs import Counted
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.channel import Channel


def own(channel: Channel, *, store: str) -> None:
    """Own a store until killed."""
    session = wb.start(store)
    channel.tell("value", wb.run(Counted.get(1).once.with_options(key="k")(1)))
    wb.run(wb.await_promise(wb.create_promise()))
    session.close()


def contend(channel: Channel, *, store: str) -> str:
    """Try to become the owner: `owner`, or what was said instead."""
    try:
        wb.start(store).close()
    except wb.StoreInUseError as error:
        return str(error)
    return "owner"


def fork_inside(channel: Channel, *, store: str) -> dict[str, object]:
    """Fork a process that owns a store, use the API in its child, then go on in the parent."""
    session = wb.start(store, clock=SimulatedClock(1))
    wb.run(Counted.get(1).once(1))
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        said = []
        for attempt in (
            session.agents,
            lambda: wb.run(session.at_rest()),
            lambda: session.oplog("Counted(1)"),
            session.simulate_crash,
        ):
            try:
                attempt()
            except wb.SessionClosedError as error:
                said.append(str(error))
        session.close()
        said.append(contend(channel, store=store))
        os.write(write_end, "\n".join(said).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = pipe.read().splitlines()
    _, status = os.waitpid(pid, 0)
    after = wb.run(Counted.get(1).once(2))
    wb.run(session.at_rest())
    session.close()
    return {"said": said, "status": status, "after": after, "pid": os.getpid()}


@pytest.fixture(scope="module")
def launchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Launcher]]:
    """Two processes that fork: an owner's and a contender's."""
    folder = tmp_path_factory.mktemp("owners")
    with Launcher([__name__], folder / "one") as one, Launcher([__name__], folder / "two") as two:
        yield one, two


def test_a_second_process_is_refused_and_told_who_owns_the_store(
    launchers: tuple[Launcher, Launcher], tmp_path: Path
) -> None:
    """The second opener gets `StoreInUseError` at once, with pid, host and since when; the owner is not disturbed."""
    owner, other = launchers
    store = str(tmp_path / "s.db")
    owner.start(own, store=store)
    assert owner.await_told("value") == 1001
    said = other.run(contend, store=store).result
    for fact in (f"process {owner.child_pid}", socket.gethostname(), " UTC", "read_only=True"):
        assert fact in said
    owner.kill()
    assert owner.finish().status == -9


def test_free_again_when_the_owner_was_killed(launchers: tuple[Launcher, Launcher], tmp_path: Path) -> None:
    """Within 50 ms of a `kill -9` the store opens, ten times of ten, and holds what was acknowledged."""
    owner, _ = launchers
    for n in range(10):
        store = tmp_path / f"{n}.db"
        owner.start(own, store=str(store))
        owner.await_told("value")
        owner.kill()
        begun = time.perf_counter()
        while True:  # each try is refused at once or succeeds
            try:
                session = wb.start(store)
                break
            except wb.StoreInUseError:
                assert time.perf_counter() - begun < 0.05
        with session:
            assert wb.run(Counted.get(1).seen()) == 1
        owner.finish()
        assert violations(read_log(store)) == []


def test_of_two_that_race_one_wins(launchers: tuple[Launcher, Launcher], tmp_path: Path) -> None:
    """Two processes that open one store at once: one owner, the loser hears who, and never an error of another kind."""
    one, two = launchers
    for n in range(10):
        store = str(tmp_path / f"{n}.db")
        one.start(contend, store=store)
        two.start(contend, store=store)
        said = [one.finish(), two.finish()]
        assert all(not report.error for report in said), said
        assert any(report.result == "owner" for report in said)
        assert all(report.result == "owner" or "is in use by" in report.result for report in said)
        assert violations(read_log(store)) == []


def test_a_forked_child_is_told_and_the_parent_goes_on(launchers: tuple[Launcher, Launcher], tmp_path: Path) -> None:
    """In a child made with `os.fork` each call says whose session it is; the store stays the parent's, and unharmed."""
    report = launchers[0].run(fork_inside, store=str(tmp_path / "s.db"))
    assert not report.error, report.error
    *refused, contended = report.result["said"]
    assert len(refused) == 4
    assert all(f"belongs to process {report.result['pid']}" in text for text in refused)
    assert f"in use by process {report.result['pid']}" in contended
    assert report.result["status"] == 0
    assert report.result["after"] == 2002
    assert violations(read_log(tmp_path / "s.db")) == []
