# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Sessions: opening, closing, `wb.run` everywhere, interrupts, undefined classes, many threads, odd hosts."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, kinds, log_of, until
from workbench.model.agent_type import registry
from workbench.runtime import session_thread

Opener = Callable[..., wb.Session]


@wb.agent
class Keeper:
    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.count = 0

    def bump(self) -> int:
        self.count += 1
        return self.count

    async def wait(self, promise: wb.PromiseId) -> str:
        return (await wb.await_promise(promise)).decode()  # type: ignore[no-any-return]

    async def sleep(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "slept"


def test_a_store_keeps_its_agents(opened: Opener, tmp_path: Path) -> None:
    """What agents hold is there when the store is opened again, as often as one likes."""
    for n in range(1, 4):
        with opened(tmp_path / "a.db"):
            assert wb.run(Keeper.get().bump()) == n


def test_a_path_may_begin_with_the_home_folder(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the user's home folder; where nobody is called so, the store is refused in words."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with opened("~/x.db") as session:
        assert session.path == str(tmp_path / "x.db")
    with pytest.raises(wb.StoreError, match="cannot be opened"):
        wb.start("~nobody-at-all/x.db")


def test_memory_keeps_nothing(opened: Opener) -> None:
    """`:memory:` begins anew each time."""
    for _ in range(2):
        with opened(":memory:"):
            assert wb.run(Keeper.get().bump()) == 1


def test_start_twice_gives_the_open_session(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path, however it is written, gives the session that is open on it; another path another one."""
    monkeypatch.chdir(tmp_path)
    first = opened("a.db")
    assert opened(tmp_path / "a.db") is first
    assert opened(str(tmp_path / "." / "a.db")) is first
    other = opened("b.db")
    assert other is not first
    assert wb.session() is other
    assert opened("a.db") is first
    assert wb.session() is first


def test_fresh_moves_the_old_store_aside(opened: Opener, tmp_path: Path) -> None:
    """`fresh=True` begins anew and keeps the old store beside it, whole; also an open one, and thrice in a second."""
    path = tmp_path / "a.db"
    opened(path)
    for _ in range(3):
        assert wb.run(Keeper.get().bump()) == 1
        session = opened(path, fresh=True)
        assert session.agents() == []
    old = sorted(p for p in tmp_path.iterdir() if p.name.endswith(".old"))
    assert len(old) == 3
    session.close()
    for one in old:
        with opened(one):
            assert wb.run(Keeper.get().bump()) == 2


def test_fresh_without_a_store(opened: Opener, tmp_path: Path) -> None:
    """`fresh=True` where there is nothing makes a store and moves nothing."""
    opened(tmp_path / "deep" / "a.db", fresh=True).close()
    assert not list(tmp_path.glob("**/*.old"))
    assert (tmp_path / "deep" / "a.db").exists()


@pytest.mark.parametrize(
    ("notebook", "expected"),
    [
        ("", "workbench.db"),
        ("my lesson.ipynb", "my lesson.workbench.db"),
        ("Übung.ipynb", "Übung.workbench.db"),
        ("console-1", "workbench.db"),
    ],
)
def test_the_default_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notebook: str, expected: str) -> None:
    """Without a path the store is named after the notebook, where the kernel knows its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", notebook)
    with wb.start() as session:
        assert Path(session.path) == tmp_path / expected
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "sub" / "nb.ipynb"))
    with wb.session() as session:
        assert session.path.endswith("nb.workbench.db")


def test_the_default_session_starts_on_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `wb.start`, the first call starts a session on the default path, once, also from many threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    found: list[wb.Session] = []
    threads = [threading.Thread(target=lambda: found.append(wb.session())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 8
    assert len({id(s) for s in found}) == 1
    assert wb.run(Keeper.get().bump()) == 1
    wb.session().close()
    assert (tmp_path / "workbench.db").exists()


def test_async_context_manager(tmp_path: Path) -> None:
    """A session is an async context manager as well, and calls inside it are awaited."""

    async def main() -> int:
        async with wb.start(tmp_path / "a.db") as session:
            result: int = await Keeper.get().bump()
            await session.at_rest()
        assert session.closed
        return result

    assert asyncio.run(main()) == 1


def test_a_closed_session_refuses(opened: Opener, tmp_path: Path) -> None:
    """After `close` everything says so at once; closing twice is harmless; who waited hears it."""
    session = opened(tmp_path / "a.db")
    promise = wb.create_promise()
    errors: list[BaseException] = []

    def waiter() -> None:
        try:
            wb.run(Keeper.get().wait(promise))
        except wb.SessionClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=waiter)
    thread.start()
    until(lambda: bool(session.agents()))
    session.close()
    session.close()
    thread.join(PATIENCE)
    assert len(errors) == 1
    for act in (
        session.agents,
        lambda: session.oplog("Keeper(0)"),
        lambda: wb.run(session.result("Keeper(0)")),
        session.simulate_crash,
    ):
        with pytest.raises(wb.SessionClosedError):
            act()


def test_closing_while_agents_work_and_opening_again(opened: Opener, tmp_path: Path) -> None:
    """What was under way when the session closed goes on when it is opened: waits, timers, queues."""
    session = opened(tmp_path / "a.db")
    promise = wb.create_promise()
    for n in range(20):
        Keeper.get(n).wait.trigger(promise)
        Keeper.get(n).bump.trigger()
    Keeper.get(50).sleep.trigger(0.02)
    session.close()
    with opened(tmp_path / "a.db") as again:
        assert wb.complete_promise(promise, b"yes") is True
        assert wb.run(again.result("Keeper(50)"), PATIENCE) == "slept"
        wb.run(again.at_rest(), PATIENCE)
        assert [a.finished for a in again.agents()] == [2] * 20 + [1]
        assert wb.run(Keeper.get(3).bump()) == 2


def test_agents_of_undefined_classes_wait(opened: Opener, tmp_path: Path) -> None:
    """While a restarted kernel has not defined a class, its agents wait, visibly; then they go on by themselves."""

    @wb.agent
    class Later:
        async def run(self, promise: wb.PromiseId) -> str:
            return (await wb.await_promise(promise)).decode()  # type: ignore[no-any-return]

        def queued(self) -> str:
            return "queued"

    with opened(tmp_path / "a.db"):
        promise = wb.create_promise()
        Later.get().run.trigger(promise)
        Later.get().queued.trigger()
    known = registry._types.pop("Later")
    with opened(tmp_path / "a.db") as session:
        wb.run(session.at_rest(), PATIENCE)
        assert [a.status for a in session.agents()] == ["undefined"]
        assert wb.complete_promise(promise, b"now") is True
        assert wb.run(Keeper.get().bump()) == 1
        wb.run(session.at_rest(), PATIENCE)
        assert [a.status for a in session.agents()] == ["undefined", "idle"]
        registry.add(known)
        wb.run(session.at_rest(), PATIENCE)
        assert wb.run(session.result("Later()"), PATIENCE) == "queued"
        assert [(a.status, a.finished) for a in session.agents()] == [("idle", 2), ("idle", 1)]


BELOW = """
import workbench as wb
@wb.agent
class Above:
    async def run(self, promise: wb.PromiseId) -> int:
        await wb.await_promise(promise)
        return await wb.step(below)
meanwhile()
def below():
    return 1
"""


@pytest.mark.parametrize("how", ["at once", "in a cell"])
def test_agents_wait_for_what_stands_below_their_class(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """In a restarted kernel they go on when the cell has run, not when its first class is there."""
    space: dict[str, Any] = {"meanwhile": lambda: None}
    exec(BELOW, space)  # noqa: S102 - as a cell is
    with opened(tmp_path / "a.db"):
        promise = wb.create_promise()
        space["Above"].get().run.trigger(promise)
        wb.complete_promise(promise, b"")
    registry._types.pop("Above")
    session = opened(tmp_path / "a.db")
    wb.run(session.at_rest(), PATIENCE)
    if how == "in a cell":
        monkeypatch.setattr(session_thread, "SETTLED_AFTER", 0)
        monkeypatch.setattr(registry, "in_cell", True)

    def meanwhile() -> None:
        """Give the session's thread its time."""
        for _ in range(20):
            served = threading.Event()
            session.thread.loop.call_soon_threadsafe(served.set)
            assert served.wait(PATIENCE)

    cell: dict[str, Any] = {"meanwhile": meanwhile}
    exec(BELOW, cell)  # noqa: S102
    monkeypatch.setattr(registry, "in_cell", False)
    session.thread.loop.call_soon_threadsafe(lambda: None)
    until(lambda: session.thread.state.agents[session.thread.state.by_id["Above()"]].finished == 1)
    assert wb.run(session.result("Above()"), PATIENCE) == 1


def test_run_everywhere(session: wb.Session) -> None:
    """`wb.run` takes calls, coroutines and futures: in a script, inside a running loop, in threads."""

    async def plain(x: int) -> int:
        await asyncio.sleep(0)
        return x

    async def with_calls() -> list[Any]:
        return [*await asyncio.gather(Keeper.get(1).bump(), plain(5))]

    assert wb.run(plain(3)) == 3
    assert wb.run(with_calls()) == [1, 5]

    async def in_a_loop() -> list[Any]:
        return [wb.run(Keeper.get(2).bump()), wb.run(plain(4)), wb.run(with_calls()), wb.run(wb.await_promise(done))]

    done = wb.create_promise()
    wb.complete_promise(done, b"x")
    assert asyncio.run(in_a_loop()) == [1, 4, [2, 5], b"x"]
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append([wb.run(Keeper.get(3).bump()), wb.run(plain(1))]))
    thread.start()
    thread.join(PATIENCE)
    assert results == [[1, 1]]
    with pytest.raises(ZeroDivisionError):
        wb.run(_divide())
    with pytest.raises(TypeError):
        wb.run(5)  # type: ignore[arg-type]


async def _divide() -> float:
    await asyncio.sleep(0)
    return 1 / 0


def test_run_with_a_timeout(session: wb.Session) -> None:
    """A timeout ends the wait for calls, coroutines and promises with `TimeoutError`, also inside a running loop."""
    promise = wb.create_promise()

    async def slow() -> None:
        await asyncio.Event().wait()

    async def in_a_loop() -> None:
        wb.run(slow(), timeout=0.01)

    for act in (
        lambda: wb.run(Keeper.get(1).wait(promise), timeout=0.01),
        lambda: wb.run(slow(), timeout=0.01),
        lambda: wb.run(wb.await_promise(promise), 0.01),
        lambda: asyncio.run(in_a_loop()),
    ):
        with pytest.raises(TimeoutError):
            act()
    wb.complete_promise(promise, b"")


def test_an_interrupt_detaches_the_cell(either: wb.Session) -> None:
    """`KeyboardInterrupt` ends the cell's wait at once; the agent goes on, and its result can be had."""
    release = threading.Event()

    def interrupt() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        release.wait(PATIENCE)
        return "finished"

    @wb.agent
    class Interrupting:
        async def run(self) -> Any:
            return await wb.step(interrupt)

    async def cell(client: Any) -> Any:
        return await client.run()

    for wait in (lambda c: wb.run(c.run()), lambda c: wb.run(cell(c)), lambda c: c.run.blocking()):
        release.clear()
        client = Interrupting.new_phantom()
        with pytest.raises(KeyboardInterrupt):
            wait(client)
        assert wb.run(client.status()) == "running"
        release.set()
        assert wb.run(either.result(str(client.agent_id)), PATIENCE) == "finished"
    assert wb.run(Keeper.get().bump()) == 1


def test_another_process_is_refused_while_the_store_is_open(opened: Opener, tmp_path: Path) -> None:
    """One owner at a time: another process hears at once who holds the store; after close it may have it."""
    session = opened(tmp_path / "a.db")
    script = """
        import sys, workbench as wb
        try:
            wb.start(sys.argv[1]).close()
        except wb.StoreInUseError as error:
            print(error)
    """
    refused = _python(script, str(tmp_path / "a.db"))
    assert f"process {os.getpid()}" in refused
    assert "since" in refused
    session.close()
    assert _python(script, str(tmp_path / "a.db")) == ""


def _python(script: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SCRIPT = """
    import asyncio, sys
    {before}
    import workbench as wb

    @wb.agent
    class Worker:
        def __init__(self, n: int) -> None:
            self.n = n
        async def work(self) -> int:
            async with asyncio.timeout(5):
                await asyncio.sleep(0.001)
            return self.n
        async def fan(self) -> list:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.one(i)) for i in range(3)]
            assert asyncio.current_task() is not None
            queue = asyncio.Queue()
            await queue.put(1)
            done, _ = await asyncio.wait(tasks)
            return [t.result() for t in tasks] + [await queue.get()]
        async def one(self, i):
            return await Worker.get(i).work()
        def plain(self) -> int:
            return Worker.get(1).work.blocking()

    async def cell():
        task = asyncio.ensure_future(Worker.get(2).work())
        own = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(own.set_result, "own")
        return [wb.run(task), wb.run(own), wb.run(Worker.get(9).fan()), await Worker.get(9).fan()]

    with wb.start(":memory:") as session:
        print(asyncio.run(cell()), wb.run(Worker.get(9).fan()), wb.run(Worker.get(8).plain()))
        session.simulate_crash()
        print(wb.run(Worker.get(9).fan()), wb.run(Worker.get(8).plain()))
"""
SEEN = "[2, 'own', [0, 1, 2, 1], [0, 1, 2, 1]] [0, 1, 2, 1] 1\n[0, 1, 2, 1] 1"


@pytest.mark.parametrize(
    "before",
    ["", "import nest_asyncio2; nest_asyncio2.apply()", "import nest_asyncio; nest_asyncio.apply()"],
    ids=["plain", "nest_asyncio2", "nest_asyncio"],
)
def test_nested_loops(before: str) -> None:
    """Futures of the running loop can be run from inside it; agents work before and after asyncio is patched for it."""
    assert _python(SCRIPT.format(before=before)) == SEEN


def test_a_forked_child_has_no_part_in_the_session(opened: Opener, tmp_path: Path) -> None:
    """After `os.fork` the child's use of the session is refused in words, and the parent is unharmed."""
    script = """
        import os, sys, workbench as wb
        @wb.agent
        class Worker:
            def work(self) -> int:
                return 1
        session = wb.start(sys.argv[1])
        call = Worker.get().work
        print(wb.run(call()), flush=True)
        pid = os.fork()
        if pid == 0:
            try:
                session.agents()
            except wb.SessionClosedError as error:
                print("refused", "process" in str(error), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(wb.run(call()), len(session.agents()), flush=True)
        session.close()
    """
    assert _python(script, str(tmp_path / "a.db")).split("\n") == ["1", "refused True", "1 1"]


def test_a_script_may_just_end(tmp_path: Path) -> None:
    """A script that never closes its session ends by itself, and loses nothing that it was told."""
    script = """
        import sys, workbench as wb
        @wb.agent
        class Worker:
            def __init__(self) -> None:
                self.n = 0
            def work(self) -> int:
                self.n += 1
                return self.n
        wb.start(sys.argv[1])
        print(wb.run(Worker.get().work()))
    """
    assert [_python(script, str(tmp_path / "a.db")) for _ in range(3)] == ["1", "2", "3"]


def test_results_by_agent(session: wb.Session) -> None:
    """`session.result` gives the last result, waits for the present one, and says when there is none."""
    wb.run(Keeper.get().bump())
    assert wb.run(session.result("Keeper(0)")) == 1
    assert wb.run(session.result(Keeper.get().agent_id)) == 1
    with pytest.raises(LookupError):
        wb.run(session.result("Keeper(7)"))


def test_unknown_agents_in_readers(session: wb.Session) -> None:
    """Reading an agent that is not there is an error that says so."""
    with pytest.raises(wb.UnknownAgentError, match="Keeper"):
        session.oplog("Keeper(404)")


def test_sql_reads_only(either: wb.Session, tmp_path: Path) -> None:
    """`session.sql` selects from the log, and refuses to change it."""
    wb.run(Keeper.get().bump())
    assert either.sql("SELECT count(*) FROM log")[0][0] == len(log_of(either))
    assert ("InvocationFinished",) in either.sql("SELECT kind FROM oplog WHERE kind LIKE ?", ("Inv%",))
    assert either.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n"
    ) == [(6,)]
    outside = str(tmp_path / "written")
    for query in (
        "DELETE FROM log", "DROP TABLE log", "INSERT INTO place VALUES (99, 'x')", "nonsense",
        "SELECT 1; SELECT 2", "CREATE TEMP TABLE t (x)",
        f"ATTACH '{outside}' AS other", f"VACUUM INTO '{outside}'", "PRAGMA journal_mode = DELETE", "BEGIN IMMEDIATE",
    ):  # fmt: skip
        with pytest.raises(wb.StoreError):
            either.sql(query)
    assert not Path(outside).exists()
    assert kinds(either, "Keeper(0)")[-1] == "InvocationFinished"


def test_an_interrupt_ends_a_query(either: wb.Session) -> None:
    """Ctrl-C ends an endless query; the session answers the next one."""
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
    ringing = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    ringing.start()
    with pytest.raises(KeyboardInterrupt):
        either.sql(endless)
    ringing.join()
    assert either.sql("select 1") == [(1,)]


def test_a_session_of_its_own_for_each_thread_of_work(opened: Opener, tmp_path: Path) -> None:
    """Two stores may be open at once: agents work in the store that they were called in."""
    first, second = opened(tmp_path / "a.db"), opened(tmp_path / "b.db")

    @wb.agent
    class Chain:
        async def run(self) -> int:
            await asyncio.sleep(0.01)
            return int(await Keeper.get(1).bump())

    Chain.get().run.trigger()
    opened(tmp_path / "a.db")
    assert wb.run(Keeper.get(2).bump()) == 1
    assert wb.run(second.result("Chain()"), PATIENCE) == 1
    assert [a.agent_id for a in first.agents()] == ["Keeper(2)"]
    assert [a.agent_id for a in second.agents()] == ["Chain()", "Keeper(1)"]


def test_steps_act_in_their_agents_session(opened: Opener, tmp_path: Path) -> None:
    """What a step calls and completes is in the store of its agent, also when another became the default meanwhile."""
    opened(tmp_path / "a.db")
    go = threading.Event()

    def approve(promise: wb.PromiseId) -> bool:
        go.wait(PATIENCE)
        wb.run(Keeper.get(1).bump())
        return wb.complete_promise(promise, b"yes")

    async def approve_too(promise: wb.PromiseId) -> bool:
        await Keeper.get(1).bump()
        return wb.complete_promise(promise, b"yes")

    @wb.agent
    class Approver:
        async def run(self) -> list[Any]:
            promises = [wb.create_promise(), wb.create_promise()]
            done = [await wb.step(approve, promises[0]), await wb.step(approve_too, promises[1])]
            return [*done, *await wb.join(map(wb.await_promise, promises))]

    Approver.get().run.trigger()
    first, second = wb.session(), opened(tmp_path / "b.db")
    go.set()
    assert wb.run(first.result("Approver()"), PATIENCE) == [True, True, b"yes", b"yes"]
    assert [a.agent_id for a in first.agents()] == ["Approver()", "Keeper(1)"]
    assert second.agents() == []
