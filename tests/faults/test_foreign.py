# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""The public calls in a forked child, on foreign threads, and in loops within loops."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.crash.programs import Counted
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.channel import Channel

PATIENCE = 20.0
CALLS: dict[str, Callable[[wb.Session, wb.PromiseId], object]] = {
    "call": lambda *_: wb.run(Counted.get(1).once(1), PATIENCE),
    "trigger": lambda *_: Counted.get(1).once.trigger(1),
    "schedule": lambda *_: Counted.get(1).once.schedule(5, 1),
    "create_promise": lambda *_: wb.create_promise(),
    "complete_promise": lambda _, pid: wb.complete_promise(pid, b"x"),
    "await_promise": lambda _, pid: wb.run(wb.await_promise(pid), PATIENCE),
    "blocking_await_promise": lambda _, pid: wb.blocking_await_promise(pid),
    "promise_state": lambda _, pid: wb.promise_state(pid),
    "status": lambda *_: wb.run(Counted.get(1).status(), PATIENCE),
    "agents": lambda session, _: session.agents(),
    "oplog": lambda session, _: session.oplog("Counted(1)"),
    "invocations": lambda session, _: session.invocations(),
    "promises": lambda session, _: session.promises(),
    "graph": lambda session, _: session.graph(),
    "sql": lambda session, _: session.sql("select count(*) from log"),
    "result": lambda session, _: wb.run(session.result("Counted(1)"), PATIENCE),
    "at_rest": lambda session, _: wb.run(session.at_rest(), PATIENCE),
    "simulate_crash": lambda session, _: session.simulate_crash(),
    "default_session": lambda *_: wb.session().agents(),
}


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def fork_and_call(channel: Channel, *, store: str, ending: str) -> dict[str, Any]:
    """Fork a process that owns a store while its threads are at work; make each call in the child, and end it."""
    os.chdir(Path(store).parent)
    session = wb.start(store, clock=SimulatedClock(1))
    wb.run(Counted.get(1).once(0))
    pid = wb.create_promise()
    wb.complete_promise(pid, b"x")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            Counted.get(2).once.trigger(1)

    busy = threading.Thread(target=work)
    busy.start()
    child = os.fork()
    if not child:
        for name, call in CALLS.items():
            try:
                call(session, pid)
            except wb.SessionClosedError as error:
                channel.tell(name, str(error))
            else:
                channel.tell(name, "nothing was said")
        session.close()
        with wb.start(f"{store}.own", clock=SimulatedClock(2)):
            channel.tell("own", wb.run(Counted.get(1).once(5), PATIENCE))
        if ending == "exec":
            os.execv(sys.executable, [sys.executable, "-c", ""])  # noqa: S606 - as `subprocess` does
        os._exit(0)
    _, status = os.waitpid(child, 0)
    stop.set()
    busy.join()
    after = wb.run(Counted.get(1).once(2), PATIENCE)
    session.close()
    return {"status": status, "after": after, "pid": os.getpid(), "files": sorted(p.name for p in Path().iterdir())}


@pytest.mark.parametrize("ending", ["exit", "exec"])
def test_every_call_in_a_forked_child(ending: str, launcher: Launcher, tmp_path: Path) -> None:
    """Each public call in a child of `os.fork` says whose session it is; the child may begin a store of its own."""
    store = tmp_path / "s.db"
    report = launcher.run(fork_and_call, store=str(store), ending=ending)
    assert not report.error, report.error
    assert report.result["status"] == 0
    for name in CALLS:
        assert f"belongs to process {report.result['pid']}" in report.told[name], name
    assert report.told["own"] == 1005
    assert report.result["after"] == 2002
    assert {name.partition(".db")[0] for name in report.result["files"]} == {"s"}, "no store was begun by the way"
    assert violations(read_log(store)) == []


def test_every_call_on_foreign_threads(tmp_path: Path) -> None:
    """Eight threads make all public calls at once, some in an event loop of their own; each gets its answer."""
    failures: list[str] = []

    def work(n: int) -> None:
        names = [name for name in CALLS if name != "simulate_crash"]
        for name in names[n:] + names[:n]:
            try:
                if n % 2:
                    asyncio.run(in_loop(name))
                else:
                    CALLS[name](session, pid)
            except Exception as error:  # noqa: BLE001 - collected
                failures.append(f"{name} on thread {n}: {error!r}")

    async def in_loop(name: str) -> None:
        CALLS[name](session, pid)

    with wb.start(tmp_path / "s.db", clock=SimulatedClock(1)) as session:
        pid = wb.create_promise()
        wb.complete_promise(pid, b"x")
        wb.run(Counted.get(1).once(0))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert failures == []
        wb.run(session.at_rest())
        assert wb.run(Counted.get(1).seen()) == 1 + 3 * 8  # called, triggered and scheduled by each
    assert violations(read_log(tmp_path / "s.db")) == []


def test_loops_within_loops(tmp_path: Path) -> None:
    """`wb.run` works in a coroutine that `wb.run` runs, which runs another, as cells and libraries stack up."""

    async def deeper(levels: int) -> int:
        value: int = await Counted.get(levels).once(levels)
        return value + (wb.run(deeper(levels - 1), PATIENCE) if levels else 0)

    with wb.start(tmp_path / "s.db", clock=SimulatedClock(1)):
        expected = sum(1000 + n for n in range(6))
        assert wb.run(deeper(5), PATIENCE) == expected
        assert asyncio.run(deeper(5)) == expected + 6000
    assert violations(read_log(tmp_path / "s.db")) == []
