# ruff: noqa: D103, T201 - programs have one claim, that of the test that runs them; and agents print
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Plain asyncio inside agents: the same as outside, in an order that replays, and refused where it cannot be."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from time import process_time
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, kinds

PROGRAMS: dict[str, Callable[[], Awaitable[Any]]] = {}


@wb.agent
class Child:
    def __init__(self, n: int) -> None:
        self.n = n

    async def work(self, delay: float = 0) -> int:
        await asyncio.sleep(delay)
        return self.n

    async def fail(self, delay: float = 0) -> None:
        await asyncio.sleep(delay)
        raise ValueError(self.n)


@wb.agent
class Host:
    async def perform(self, name: str) -> Any:
        return await PROGRAMS[name]()

    def fine(self) -> str:
        return "fine"


Program = Callable[[], Awaitable[Any]]


def program(expected: Any) -> Callable[[Program], Program]:
    def add(function: Program) -> Program:
        PROGRAMS[function.__name__] = function
        EXPECTED[function.__name__] = expected
        return function

    return add


EXPECTED: dict[str, Any] = {}


@program([0, 1, "local", 3])
async def gather() -> Any:
    async def local() -> str:
        return "local"

    return await asyncio.gather(Child.get(0).work(0.02), Child.get(1).work(), local(), Child.get(3).work(0.01))


@program(["ValueError", 1])
async def gather_with_exceptions() -> Any:
    results = await asyncio.gather(Child.get(0).fail(), Child.get(1).work(), return_exceptions=True)
    return ["ValueError" if isinstance(results[0], ValueError) else "other", results[1]]


@program([1, 2, 3])
async def task_group() -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(Child.get(n).work(0.001 * n)) for n in (1, 2, 3)]
    return [t.result() for t in tasks]


@program([["ValueError"], True, True])
async def task_group_with_error() -> Any:
    slow = None
    try:
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(Child.get(1).work(10))
            sleeper = group.create_task(asyncio.sleep(10))
            group.create_task(Child.get(2).fail())
    except* ValueError as errors:
        names = ["ValueError" for _ in errors.exceptions]
    assert slow is not None
    return [names, slow.cancelled(), sleeper.cancelled()]


@program("TimeoutError")
async def timeout() -> Any:
    try:
        async with asyncio.timeout(0.01):
            await Child.get(1).work(100)
    except TimeoutError as error:
        return type(error).__name__


@program([7, "TimeoutError"])
async def wait_for() -> Any:
    first = await asyncio.wait_for(Child.get(7).work(0.01), 5)
    try:
        await asyncio.wait_for(Child.get(8).work(5), 0.01)
    except TimeoutError as error:
        return [first, type(error).__name__]


@program("done in time")
async def timeout_that_is_not_met() -> Any:
    async with asyncio.timeout(100) as limit:
        await Child.get(1).work()
        limit.reschedule(None)
    return "done in time"


@program([[1], [0, 2], [0, 1, 2]])
async def wait_first_completed() -> Any:
    tasks = [asyncio.ensure_future(Child.get(n).work(d)) for n, d in enumerate((0.03, 0.01, 0.02))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    order = [t.result() for t in done], [tasks.index(t) for t in tasks if t in pending]
    done, _ = await asyncio.wait(tasks)
    return [*order, [t.result() for t in done]]


@program([2, 0])
async def wait_first_exception() -> Any:
    tasks = [
        asyncio.ensure_future(c)
        for c in (Child.get(0).work(0.01), Child.get(1).fail(0.02), Child.get(2).work(5), Child.get(3).work(6))
    ]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    none, _ = await asyncio.wait(pending, timeout=0.001)
    return [len(done), len(none)]


@program(["CancelledError", 5])
async def shield() -> Any:
    inner = asyncio.ensure_future(Child.get(5).work(0.02))
    outer = asyncio.shield(inner)
    await asyncio.sleep(0)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError as error:
        return [type(error).__name__, await inner]


@program([1, 2, 3, 4])
async def as_completed_of_asyncio() -> Any:
    calls = [Child.get(n).work(0.01 * n) for n in (3, 1, 4, 2)]
    return [await one for one in asyncio.as_completed(calls)]


@program([1, 2, 3, 4])
async def as_completed_of_coroutines() -> Any:
    async def one(n: int) -> int:
        result: int = await Child.get(n).work(0.01 * n)
        return result

    return [await x for x in asyncio.as_completed([one(n) for n in (3, 1, 4, 2)])]


@program([list(range(20)), "TimeoutError"])
async def queue() -> Any:
    line: asyncio.Queue[int] = asyncio.Queue(maxsize=3)

    async def produce() -> None:
        for i in range(20):
            await line.put(await Child.get(i).work())

    producer = asyncio.create_task(produce())
    got = [await line.get() for _ in range(20)]
    await producer
    try:
        async with asyncio.timeout(0.01):
            await line.get()
    except TimeoutError as error:
        return [got, type(error).__name__]


@program(["a1", "b1", "a2", "b2", "set"])
async def event_semaphore_lock_condition() -> Any:
    out: list[str] = []
    event, semaphore, lock, condition = asyncio.Event(), asyncio.Semaphore(1), asyncio.Lock(), asyncio.Condition()

    async def one(name: str) -> None:
        async with semaphore:
            out.append(f"{name}1")
            await asyncio.sleep(0.001)
        async with condition:
            await condition.wait_for(event.is_set)
        async with lock:
            out.append(f"{name}2")

    async def release() -> None:
        await asyncio.sleep(0.01)
        event.set()
        async with condition:
            condition.notify_all()

    await asyncio.gather(one("a"), one("b"), release())
    await event.wait()
    return [*out, "set"]


@program([0, 1, 2, "closed"])
async def barrier_and_async_generators() -> Any:
    out: list[Any] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in range(10):
                yield await Child.get(n).work()
        finally:
            await asyncio.sleep(0)
            out.append("closed")

    async for n in numbers():
        out.append(n)
        if n == 2:
            break
    await asyncio.sleep(0.001)
    return out


@program(["enter", "body", "exit"])
async def async_context_managers() -> Any:
    out: list[str] = []

    @contextlib.asynccontextmanager
    async def managed() -> AsyncIterator[None]:
        await Child.get(1).work()
        out.append("enter")
        yield
        await Child.get(1).work()
        out.append("exit")

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(managed())
        out.append("body")
    return out


@program([True, "named", "a call", "a limited call", 3])
async def current_task_and_names() -> Any:
    async def inner() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    async def name_of(task: asyncio.Task[Any]) -> str:
        await task
        return task.get_name()

    loop = asyncio.get_running_loop()
    return [
        asyncio.current_task() is not None and loop is asyncio.get_event_loop(),
        await asyncio.create_task(inner(), name="named"),
        await name_of(asyncio.create_task(Child.get(1).work(), name="a call")),
        await name_of(asyncio.create_task(Child.get(2).work.with_options(timeout=9)(), name="a limited call")),
        len("abc"),
    ]


@program(["cancelled", "cancelled message", "fine"])
async def cancelling_tasks() -> Any:
    async def inner() -> str:
        try:
            await Child.get(1).work(10)
        except asyncio.CancelledError as error:
            return f"cancelled {error.args[0] if error.args else ''}".strip()
        return "nothing"

    tasks = [asyncio.create_task(inner()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel("message")
    return [*(await asyncio.gather(*tasks)), "fine"]


@program([0.5, 1.5])
async def loop_time_and_call_later() -> Any:
    loop = asyncio.get_running_loop()
    start = loop.time()
    seen: list[float] = []
    done: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        seen.append(round(loop.time() - start, 3))

    loop.call_later(0.5, note)
    loop.call_at(start + 1.5, note)
    loop.call_at(start + 1.5, done.set_result, None)
    loop.call_later(1, note).cancel()
    await done
    return seen


@program("over")
async def sleeping_for_ever() -> Any:
    for length in (1e12, float("inf")):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(length)
    await asyncio.sleep(-5)
    return "over"


@program(["a", "b", "c", "d"])
async def equal_timers_in_order() -> Any:
    out: list[str] = []

    async def one(name: str) -> None:
        await asyncio.sleep(0.01)
        out.append(name)

    await asyncio.gather(*map(one, "abcd"))
    return out


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_asyncio_means_the_same(either: wb.Session, name: str) -> None:
    """The program gives in an agent what it gives in a script, twice, and replays (the fixture rebuilds the agent)."""
    assert wb.run(Host.get().perform(name), PATIENCE) == EXPECTED[name]
    assert wb.run(Host.get().perform(name), PATIENCE) == EXPECTED[name]
    assert wb.run(Host.get().status()) == "idle"


@pytest.mark.parametrize(
    "act",
    [
        lambda: asyncio.to_thread(str, 1),
        lambda: asyncio.get_running_loop().run_in_executor(None, str, 1),
        lambda: asyncio.open_connection("localhost", 1),
        lambda: asyncio.start_server(lambda _r, _w: None, "localhost", 0),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.create_subprocess_shell("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
        lambda: asyncio.get_running_loop().sock_connect(None, None),  # type: ignore[arg-type]
    ],
    ids=["to_thread", "executor", "connection", "server", "exec", "shell", "dns", "sock"],
)
def test_what_cannot_be_replayed_is_refused(session: wb.Session, act: Callable[[], Awaitable[Any]]) -> None:
    """Threads, sockets and subprocesses are refused inside an agent, in words that name `step`."""

    @wb.agent
    class Reaching:
        async def out(self) -> Any:
            return await act()

    with pytest.raises(wb.UnsupportedError, match="step"):
        wb.run(Reaching.get().out(), PATIENCE)


def test_a_loop_inside_a_loop_is_refused(session: wb.Session) -> None:
    """`asyncio.run` and `run_until_complete` in an agent raise; the agent stays usable."""

    @wb.agent
    class Nesting:
        async def run(self) -> str:
            coroutine = asyncio.sleep(0)
            try:
                asyncio.run(coroutine)
            except RuntimeError:
                coroutine.close()
            other = asyncio.sleep(0)
            try:
                asyncio.get_running_loop().run_until_complete(other)
            except wb.UnsupportedError:
                other.close()
                return "refused"
            return "ran"

    assert wb.run(Nesting.get().run(), PATIENCE) == "refused"


def test_a_spinning_agent_is_stopped_and_the_others_go_on(session: wb.Session) -> None:
    """An agent that polls for ever with `sleep(0)` is stopped with its reason; its waiters hear it; others go on."""

    @wb.agent
    class Spinner:
        async def spin(self) -> None:
            while True:  # noqa: ASYNC110 - the fault
                await asyncio.sleep(0)

    Spinner.get().spin.trigger()
    assert wb.run(Child.get(1).work(), PATIENCE) == 1
    with pytest.raises(RecursionError, match="polls"):
        wb.run(Spinner.get().spin(), 60)
    assert wb.run(Spinner.get().status()) == "failed"
    assert wb.run(Child.get(1).work(), PATIENCE) == 1


def test_locks_live_across_invocations(session: wb.Session) -> None:
    """A lock, an event or a queue kept in the agent's state works in every invocation, also after a crash."""

    @wb.agent
    class Keeper:
        def __init__(self) -> None:
            self.lock, self.queue = asyncio.Lock(), asyncio.Queue[int]()

        async def put(self, n: int) -> int:
            async with self.lock:
                await asyncio.sleep(0.001)
                await self.queue.put(n)
                return self.queue.qsize()

        async def get_all(self) -> list[int]:
            return [await self.queue.get() for _ in range(self.queue.qsize())]

    for n in range(3):
        assert wb.run(Keeper.get().put(n)) == n + 1
    session.simulate_crash()
    assert wb.run(Keeper.get().put(3)) == 4
    assert wb.run(Keeper.get().get_all()) == [0, 1, 2, 3]


def test_sleeps_are_durable_and_long(session: wb.Session) -> None:
    """A sleep of a year is an entry, survives a crash, and ends when its time has come."""

    @wb.agent
    class Sleeper:
        async def hibernate(self) -> float:
            before = wb.now()
            await asyncio.sleep(365 * 86400)
            return (wb.now() - before).total_seconds()

    assert wb.run(Sleeper.get().hibernate(), PATIENCE) == pytest.approx(365 * 86400, abs=1)
    assert kinds(session, "Sleeper()").count("TimerSet") == 1


def test_an_abandoned_agent_does_nothing_more(session: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """A crash frees suspended code, and Python runs its `finally` blocks: they can complete, call and print nothing."""

    @wb.agent
    class Finally:
        async def wait(self, promise: wb.PromiseId, effect: wb.PromiseId) -> str:
            task = asyncio.create_task(self._inner(promise, effect))
            try:
                return str(await task)
            finally:
                print("outer")
                wb.complete_promise(effect, b"outer")

        async def _inner(self, promise: wb.PromiseId, effect: wb.PromiseId) -> str:
            try:
                async with asyncio.timeout(1e6), asyncio.TaskGroup() as group:
                    group.create_task(self._idle(effect))
                    await wb.await_promise(promise)
                    return "done"
            finally:
                wb.complete_promise(effect, b"inner")
                Child.get(66).work.trigger()
                await asyncio.sleep(0)

        async def _idle(self, effect: wb.PromiseId) -> None:
            with contextlib.suppress(Exception):
                try:
                    await asyncio.Event().wait()
                finally:
                    wb.complete_promise(effect, b"idle")

        def block(self, promise: wb.PromiseId, effect: wb.PromiseId) -> str:
            try:
                return wb.blocking_await_promise(promise).decode()
            finally:
                print("plain")
                wb.complete_promise(effect, b"plain")

        async def generate(self, promise: wb.PromiseId, effect: wb.PromiseId) -> None:
            async def generator() -> AsyncIterator[bytes]:
                try:
                    yield await wb.await_promise(promise)
                finally:
                    wb.complete_promise(effect, b"generator")

            async for _ in generator():
                pass

    promise, effects = wb.create_promise(), [wb.create_promise() for _ in range(3)]
    for number, name in enumerate(("wait", "block", "generate")):
        getattr(Finally.new_phantom(), name).trigger(promise, effects[number])
    wb.run(session.at_rest())
    # The timer of a million seconds has fired in simulated time: only what still waits counts.
    states = [wb.promise_state(effect) for effect in effects]
    for _ in range(3):
        session.simulate_crash()
        gc.collect()
    wb.run(asyncio.sleep(0))
    assert [wb.promise_state(effect) for effect in effects] == states
    assert states[1:] == ["pending", "pending"]
    assert "plain" not in capsys.readouterr().out
    wb.complete_promise(promise, b"go")
    wb.run(session.at_rest())
    assert {wb.promise_state(effect) for effect in effects} == {"completed"}


def test_agents_run_on_the_sessions_thread_and_apart(session: wb.Session) -> None:
    """Agent code runs on one thread that is not the cell's, each agent on an event loop of its own."""

    @wb.agent
    class Where:
        def __init__(self, n: int) -> None:
            self.n = n

        async def look(self) -> None:
            seen.append((threading.get_ident(), asyncio.get_running_loop()))  # workbench: deterministic

    seen: list[tuple[int, asyncio.AbstractEventLoop]] = []
    wb.run(Where.get(1).look())
    wb.run(Where.get(2).look())
    [first, second] = seen
    assert first[0] == second[0] != threading.get_ident()
    assert first[1] is not second[1]


def test_entries_name_the_users_line_also_in_library_tasks(session: wb.Session) -> None:
    """What a library's coroutine asks for, as a task of its own, stands at the line that made the task."""

    @wb.agent
    class Tasks:
        async def go(self, promise: wb.PromiseId) -> None:
            await asyncio.gather(asyncio.sleep(0.001), asyncio.sleep(0.002))  # line 0
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.wait_for(asyncio.sleep(0.001), 5))  # line 2
            await wb.join([wb.await_promise_json(promise)])  # line 3
            await wb.bounded(lambda _: asyncio.sleep(0.001), [1, 2], limit=1)  # line 4
            await asyncio.wait_for(asyncio.shield(Child.get(1).delete()), 5)  # line 5

    promise = wb.create_promise()
    wb.complete_promise_json(promise, 1)
    wb.run(Child.get(1).work())
    wb.run(Tasks.get().go(promise))
    asked = [x for x in session.oplog("Tasks()") if x.kind in ("TimerSet", "PromiseAwaited", "ControlMade")]
    first = Tasks.go.__code__.co_firstlineno + 1  # type: ignore[attr-defined]
    lines = [line for x in asked for place, _, line in [x.line.rpartition(":")] if place.endswith("_inside.py")]
    assert len(lines) == len(asked) >= 8
    assert {int(line) - first for line in lines} == {0, 2, 3, 4, 5}


@wb.agent
class Crowd:
    """Has many tasks at once."""

    async def gather(self, count: int) -> int:
        async def one() -> int:
            await asyncio.sleep(0)
            return 1

        return sum(await asyncio.gather(*(one() for _ in range(count))))


def test_the_cost_of_a_task_does_not_grow_with_their_number(session: wb.Session) -> None:
    """Sixteen times as many tasks cost at most four times as much each; asyncio keeps them all in one set."""
    spent = []
    for count in (2_000, 32_000, 2_000, 32_000):
        began = process_time()
        assert wb.run(Crowd.new_phantom().gather(count), PATIENCE * 5) == count
        spent.append((process_time() - began) / count)
    assert min(spent[1::2]) < 4 * max(spent[::2])


@wb.agent(snapshot_every=1)
class Sets:
    """Asks in the order of a set of tasks, whose hashes are their numbers."""

    async def tasks(self, count: int, *, then_wait: bool) -> list[int]:
        async def one(n: int) -> int:
            return n

        done, _ = await asyncio.wait([asyncio.ensure_future(one(n)) for n in range(count)])
        order = [await Child.get(task.result()).work() for task in done]
        if then_wait:
            await wb.await_promise(wb.create_promise())
        return order


def test_tasks_have_their_numbers_when_a_snapshot_is_loaded(either: wb.Session) -> None:
    """The order of a set of tasks is the same in an agent that is rebuilt from a snapshot, without the tasks before."""
    for count in (5, 11, 3):
        assert wb.run(Sets.get().tasks(count, then_wait=False), PATIENCE)
    Sets.get().tasks.trigger(9, then_wait=True)
    wb.run(either.at_rest(), PATIENCE)
    either.simulate_crash()
    (promise,) = either.promises()
    assert wb.complete_promise(promise.promise_id, b"")
    assert sorted(wb.run(either.result("Sets()"), PATIENCE)) == list(range(9))
