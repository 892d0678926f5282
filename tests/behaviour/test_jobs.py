# mypy: disable-error-code="attr-defined"
"""Fan-out jobs: one child per item, named jobs done once, partial failures, methods and functions."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, until
from workbench.model.agent_type import registry


@dataclass
class Size:
    """A result of a job."""

    item: str
    letters: int


def measure(item: str) -> Size:
    """Measure one item."""
    if not item:
        raise ValueError("nothing to measure")
    return Size(item, len(item))


async def measure_later(item: str) -> Size:
    """Measure one item in a step."""
    size: Size = await wb.step(measure, item)
    return size


@wb.agent
class Counter:
    """Counts what it is given."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.seen = 0

    def count(self, item: str) -> str:
        """Number the item."""
        self.seen += 1
        return f"{item} {self.number} {self.seen}"


@wb.agent
class Region:
    """Its constructor takes the item."""

    def __init__(self, name: str) -> None:
        self.name = name

    def report(self) -> str:
        """Report."""
        return f"{self.name}: ok"


@wb.agent
class Nested:
    """Fans out from inside an agent."""

    async def total(self, items: list[str]) -> int:
        """Letters of all items."""
        sizes = await wb.fan_out(measure, items, limit=2)
        return sum(size.letters for size in sizes)


def children(session: wb.Session, job: str) -> list[Any]:
    """The agents that a job made."""
    return [a for a in session.agents() if a.parent == job]


@pytest.mark.parametrize("function", [measure, measure_later])
def test_results_come_in_the_order_of_the_items(session: wb.Session, function: Any) -> None:
    """Functions and coroutine functions run once per item; results keep their types and the order of the items."""
    results = wb.run(wb.fan_out(function, ["a", "bcd", "ef"], limit=2))
    assert results == [Size("a", 1), Size("bcd", 3), Size("ef", 2)]
    assert isinstance(results, wb.FanOutResults)


def test_errors_are_collected_in_place(session: wb.Session) -> None:
    """With `collect` all items run; `ok` and `failed` tell them apart; the error is the child's own."""
    results = wb.run(wb.fan_out(measure, ["a", "", "b"], on_error="collect"))
    assert results.ok == [Size("a", 1), Size("b", 1)]
    [(item, error)] = results.failed
    assert item == ""
    assert isinstance(error, ValueError)
    assert isinstance(error, wb.InvocationError)
    assert error.method == "item"
    assert "in measure" in error.remote_traceback


def test_the_first_error_is_raised(session: wb.Session) -> None:
    """With `raise` the child's error comes out, and what had not started is never run."""
    with pytest.raises(ValueError, match="nothing to measure"):
        wb.run(wb.fan_out(measure, ["", *"abcdefgh"], limit=1))
    wb.run(session.at_rest())
    assert (
        sum(
            a.finished
            for a in session.agents()
            if a.agent_id.startswith("measure(") and a.parent.startswith("measure(")
        )
        < 9
    )


def test_at_most_limit_children_are_at_work(session: wb.Session) -> None:
    """Never more steps at once than the limit."""
    lock, now, most = threading.Lock(), 0, 0

    def work(item: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return item

    async def one(item: int) -> int:
        done: int = await wb.step(work, item)
        return done

    assert wb.run(wb.fan_out(one, range(30), limit=3)) == list(range(30))
    assert most <= 3


def test_a_named_job_is_done_once(session: wb.Session) -> None:
    """The same call joins the job and gets its recorded result; `again` runs it anew; other items are refused."""
    calls: list[int] = []

    def work(item: int) -> int:
        calls.append(item)
        return item * item

    assert wb.run(wb.fan_out(work, [1, 2], name="squares")) == [1, 4]
    assert wb.run(wb.fan_out(work, [1, 2], name="squares")) == [1, 4]
    assert calls == [1, 2]
    assert len(children(session, 'work("squares")')) == 2
    with pytest.raises(wb.JobConflictError, match="again=True"):
        wb.run(wb.fan_out(work, [1, 2, 3], name="squares"))
    assert wb.run(wb.fan_out(work, [1, 2, 3], name="squares", again=True)) == [1, 4, 9]
    assert wb.run(wb.fan_out(work, [1, 2, 3], name="squares")) == [1, 4, 9]
    assert calls == [1, 2, 1, 2, 3]


def test_the_recorded_error_of_a_named_job_says_so(session: wb.Session) -> None:
    """A job that failed fails with the same error when it is joined, with a note how to run it anew; in agents too."""
    calls: list[int] = []

    def work(item: int) -> int:
        calls.append(item)
        raise ValueError(item)

    @wb.agent
    class Boss:
        async def go(self) -> None:
            await wb.fan_out(work, [1], name="failing")

    def fail(*, again: bool = False) -> wb.InvocationError:
        with pytest.raises(wb.InvocationError) as raised:
            wb.run(wb.fan_out(work, [1], name="failing", again=again))
        return raised.value

    assert not hasattr(fail(), "__notes__")
    joined = fail()
    assert isinstance(joined, ValueError)
    [note] = joined.__notes__
    assert note.startswith('The job work("failing") was run before')
    assert "again=True" in note
    assert calls == [1]
    with pytest.raises(wb.InvocationError, match=re.escape(note)):
        wb.run(Boss.get().go())
    assert not hasattr(fail(again=True), "__notes__")
    assert calls == [1, 1]


def test_two_callers_join_one_job(session: wb.Session) -> None:
    """A named job that runs is joined by a second call, not begun twice."""
    promise = wb.create_promise()

    async def wait(item: int) -> str:
        return f"{item} {(await wb.await_promise(promise)).decode()}"

    async def both() -> list[Any]:
        calls = [asyncio.ensure_future(wb.fan_out(wait, [1, 2], name="once")) for _ in range(2)]
        while len(children(session, 'wait("once")')) < 2:  # noqa: ASYNC110 - no event tells that a job has its children
            await asyncio.sleep(0)
        wb.complete_promise(promise, "go")
        return await asyncio.gather(*calls)

    assert wb.run(both()) == [["1 go", "2 go"], ["1 go", "2 go"]]
    assert len(children(session, 'wait("once")')) == 2


def test_a_crash_in_a_job_is_survived(session: wb.Session) -> None:
    """A job goes on after a crash; who awaits it gets its result; what was done is not done again."""
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        if item == 5 and done.count(5) == 1:
            session.simulate_crash()
        return item

    async def one(item: int) -> int:
        value: int = await wb.step(work, item)
        return value

    assert wb.run(wb.fan_out(one, range(10), limit=1, name="crashing")) == list(range(10))
    assert sorted(done) == sorted([*range(10), 5])


def test_a_method_runs_in_phantoms_of_its_class(session: wb.Session) -> None:
    """A method of an agent class: the constructor gets the item's number, or the item when the method takes nothing."""
    assert wb.run(wb.fan_out(Counter.count, ["a", "b"])) == ["a 0 1", "b 0 1"]
    assert wb.run(wb.fan_out(Region.report, ["eu", "us"])) == ["eu: ok", "us: ok"]
    assert all("[" in a.agent_id for a in session.agents() if a.agent_id.startswith(("Counter(", "Region(")))


def test_a_method_of_a_client_queues_on_its_agent(session: wb.Session) -> None:
    """A method of one client: all items go to that agent, one after the other."""
    assert wb.run(wb.fan_out(Counter.get(7).count, ["a", "b", "c"])) == ["a 7 1", "b 7 2", "c 7 3"]


def test_a_job_that_waited_for_its_function_goes_on(session: wb.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished job may be taken up the moment its type is there; the call that brought it gets its results."""
    promise = wb.create_promise()

    async def item(n: int) -> int:
        await wb.await_promise(promise)
        return n

    waiting = threading.Thread(target=lambda: wb.run(wb.fan_out(item, [1, 2], name="later")))
    waiting.start()
    until(lambda: len(children(session, 'item("later")')) == 2)
    registry._types.pop("item")
    session.simulate_crash()
    wb.complete_promise(promise, b"")
    add = registry.add

    def add_and_serve(agent_type: Any) -> None:
        add(agent_type)
        wb.run(session.at_rest())

    monkeypatch.setattr(registry, "add", add_and_serve)
    assert wb.run(wb.fan_out(item, [1, 2], name="later")) == [1, 2]
    waiting.join()


def test_a_childs_group_of_errors_is_told_as_the_childs(session: wb.Session) -> None:
    """The error of a child that raises an `ExceptionGroup` names the child and its method, and has the members."""

    async def bad(item: int) -> None:
        raise ExceptionGroup("both", [ValueError(item), KeyError(item)])

    with pytest.raises(wb.InvocationError) as caught:
        wb.run(wb.fan_out(bad, [3], name="group"))
    assert caught.value.agent_id == children(session, 'bad("group")')[0].agent_id
    assert caught.value.method == "item"
    assert len(caught.value.exceptions) == 2


def test_a_job_inside_an_agent(session: wb.Session) -> None:
    """`fan_out` works in agent code, and replays."""
    assert wb.run(Nested.get().total(["ab", "c"])) == 3
    session.simulate_crash()
    assert wb.run(Nested.get().total(["abc"])) == 3


def test_a_named_job_inside_an_agent_is_done_once(session: wb.Session) -> None:
    """As from a cell: joined by the same items, refused over others, run anew by `again`; and all of it replays."""
    calls: list[int] = []

    def work(item: int) -> int:
        calls.append(item)
        return item * item

    @wb.agent
    class Boss:
        async def go(self, items: list[int], *, again: bool = False) -> list[int]:
            return list(await wb.fan_out(work, items, name="nightly", again=again))

    for times in (1, 2):
        assert wb.run(Boss.get().go([1, 2])) == [1, 4]
        assert calls == [1, 2], times
    with pytest.raises(wb.JobConflictError, match="again=True"):
        wb.run(Boss.get().go([5, 6, 7]))
    assert wb.run(Boss.get().go([3], again=True)) == [9]
    session.simulate_crash()
    assert wb.run(Boss.get().go([3])) == [9]
    assert wb.run(wb.fan_out(work, [3], name="nightly")) == [9]
    assert calls == [1, 2, 3]


@pytest.mark.usefixtures("session")
def test_results_of_a_job_are_a_value() -> None:
    """An agent returns what a fan-out gave it, and another takes it: as it is, with its items."""

    def double(item: int) -> int:
        return 2 * item

    @wb.agent
    class Boss:
        async def go(self) -> list[int]:
            results: list[int] = await wb.fan_out(double, [1, 2])
            return results

        async def take(self, results: wb.FanOutResults) -> list[Any]:
            return [results.ok, results.failed, results.items]

    results = wb.run(Boss.get().go())
    assert results == [2, 4]
    assert wb.run(Boss.get().take(results)) == [[2, 4], [], [1, 2]]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (measure, {"limit": 0}, "limit"),
        (measure, {"limit": True}, "limit"),
        (measure, {"on_error": "ignore"}, "on_error"),
        (measure, {"name": ""}, "name=''"),
        (measure, {"name": 3}, "name=3"),
        (3, {}, "no function"),
        (lambda: 1, {}, "one item"),
        (int, {}, "function"),
    ],
)
def test_what_does_not_fit_is_refused(session: wb.Session, target: Any, options: dict[str, Any], message: str) -> None:
    """A wrong option or target is a clear error, and no job begins."""
    before = len(session.agents())
    with pytest.raises(wb.AgentTypeError, match=message):
        wb.run(wb.fan_out(target, ["a"], **options))
    assert len(session.agents()) == before


def test_an_item_that_cannot_be_copied_is_refused_with_its_path(session: wb.Session) -> None:
    """The path leads to the item; no job begins."""
    with pytest.raises(wb.EncodingError, match=r"items\[1\]"):
        wb.run(wb.fan_out(measure, ["a", threading.Lock()]))
    assert session.agents() == []


def test_no_items_are_a_job_with_no_results(session: wb.Session) -> None:
    """An empty fan-out gives an empty list."""
    assert wb.run(wb.fan_out(measure, [])) == []


# ---- cleaning up ----------------------------------------------------------------------------------------------------


def test_clean_deletes_finished_jobs_whole(session: wb.Session) -> None:
    """Named and unnamed jobs that ended go with their children; what is no job stays; a job run again begins anew."""
    runs: list[int] = []

    def note(item: int) -> int:
        runs.append(item)
        return item

    assert wb.run(wb.fan_out(note, [1, 2], name="kept")) == [1, 2]
    wb.run(wb.fan_out(note, [3]))
    wb.run(wb.fan_out(Echo.say, ["a", "b"], name="of a class"))
    wb.run(Echo.get(99).say("mine"))
    cleaned = session.clean()
    assert len(cleaned.jobs) == 3
    assert (cleaned.agents, cleaned.left_behind) == (3 + 2 + 1 + 2, [])
    assert [a.agent_id for a in session.agents()] == ["Echo(99)"]
    assert session.clean().jobs == []
    assert wb.run(wb.fan_out(note, [1, 2], name="kept")) == [1, 2]
    assert runs == [1, 2, 3, 1, 2]


def test_clean_leaves_what_is_at_work_and_names_the_left_behind(session: wb.Session) -> None:
    """A job under way stays; a child that works on though its spawner is done is named, not deleted."""
    promise = wb.create_promise()

    async def hold(item: int) -> int:
        await wb.await_promise(promise)
        return item

    task = threading.Thread(target=lambda: wb.run(wb.fan_out(hold, [1], name="long"), 20))
    task.start()
    until(lambda: any(a.waits and a.parent for a in session.agents()))
    wb.run(Leaver.get().leave(promise))
    wb.run(session.at_rest())
    cleaned = session.clean()
    assert cleaned.jobs == []
    assert cleaned.left_behind == ['Holder("left")']
    wb.complete_promise(promise, b"")
    task.join(20)


@wb.agent
class Echo:
    """Says it again."""

    def __init__(self, number: int) -> None:
        self.number = number

    def say(self, word: str) -> str:
        return word


@wb.agent
class Holder:
    """Waits."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def hold(self, promise: wb.PromiseId) -> bytes:
        payload: bytes = await wb.await_promise(promise)
        return payload


@wb.agent
class Leaver:
    """Leaves a child behind."""

    async def leave(self, promise: wb.PromiseId) -> None:
        Holder.get("left").hold.trigger(promise)


@wb.agent
class Delegating:
    """Hands its work to jobs."""

    async def nested(self, gate: wb.PromiseId) -> list[Any]:
        async def inner(item: int) -> int:
            await wb.await_promise(gate)
            return item * 2

        async def outer(item: int) -> list[Any]:
            return list(await wb.fan_out(inner, [item, item + 1]))

        return list(await wb.fan_out(outer, [1, 10]))


def test_jobs_of_agents_go_on_after_a_restart(opened: Opener, tmp_path: Path) -> None:
    """The agent that made a job is rebuilt where the job's function is unknown, also if its class was there before."""
    session = opened(tmp_path / "a.db")
    gate = wb.create_promise()
    Delegating.get().nested.trigger(gate)
    until(lambda: sum(x.waits_for.startswith("promise") for x in session.agents()) == 4)
    session.close()
    for name in ("inner", "outer"):  # as in a new process
        del registry._types[name]
    session = opened(tmp_path / "a.db")
    assert wb.complete_promise(gate, b"")
    assert wb.run(session.result("Delegating()"), PATIENCE) == [[2, 4], [20, 22]]


# ---- functions that share a name -------------------------------------------------------------------------------------


@wb.agent
class Multiplier:
    """Multiplies by its number, in jobs of its own."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    async def by_job(self, items: list[int]) -> list[int]:
        async def product(item: int) -> int:
            await asyncio.sleep(0.01 * item)
            return item * self.factor

        return list(await wb.fan_out(product, items))

    async def times(self, item: int) -> int:
        return item * self.factor


def product_with(factor: int, gate: wb.PromiseId | None = None) -> Any:
    """A function that has the name of all others made here."""

    async def product(item: int) -> int:
        if gate is not None:
            await wb.await_promise(gate)
        await asyncio.sleep(0.01 * item)
        return item * factor

    return product


ITEMS = [1, 2, 3]
PRODUCTS = [[item * factor for item in ITEMS] for factor in (1, 10, 100)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("limit", [1, 8])
def test_jobs_run_their_own_function(either: wb.Session, limit: int, *, named: bool) -> None:
    """Closures, lambdas and local functions of one name, under way at once and through crashes: to each its own."""

    async def all_at_once() -> list[list[int]]:
        jobs = [
            asyncio.ensure_future(wb.fan_out(product_with(f), ITEMS, limit, name=f"job {f}" if named else None))
            for f in (1, 10, 100)
        ]
        either.simulate_crash()
        return [list(await job) for job in jobs]

    assert wb.run(all_at_once(), PATIENCE) == PRODUCTS
    assert (
        wb.run(asyncio_gather(*(wb.fan_out(lambda x, f=f: x * f, ITEMS) for f in (1, 10, 100))), PATIENCE) == PRODUCTS
    )
    in_agents = asyncio_gather(*(Multiplier.get(f).by_job(ITEMS) for f in (1, 10, 100)))
    assert wb.run(in_agents, PATIENCE) == PRODUCTS


async def asyncio_gather(*calls: Any) -> list[list[int]]:
    """What all come to, as lists."""
    return [list(found) for found in await asyncio.gather(*calls)]


def test_methods_of_two_clients_are_two_jobs(either: wb.Session) -> None:
    """A named job over the method of one agent is not that over the method of another."""
    jobs = [wb.fan_out(Multiplier.get(f).times, ITEMS, name="same") for f in (1, 10, 100)]
    assert wb.run(asyncio_gather(*jobs), PATIENCE) == PRODUCTS
    again = wb.fan_out(Multiplier.get(10).times, ITEMS, name="same")
    assert list(wb.run(again, PATIENCE)) == PRODUCTS[1]
    assert len([a for a in either.agents() if a.type == "FanOut_Multiplier_times"]) == 3


def test_an_unfinished_job_waits_for_its_own_function(opened: Opener, tmp_path: Path) -> None:
    """After a restart a job goes on with the function that its cell gives it, never with another one of that name."""
    session = opened(tmp_path / "a.db")
    gate = wb.create_promise()
    for number, name in enumerate(("mine", None), 1):
        with pytest.raises(TimeoutError):
            wb.run(wb.fan_out(product_with(2, gate), ITEMS, name=name), 0.2)
        until(lambda: sum(a.waits_for.startswith("promise") for a in session.agents()) == 3 * number)  # noqa: B023
    session.close()
    session = opened(tmp_path / "a.db")
    assert wb.complete_promise(gate, b"")
    assert list(wb.run(wb.fan_out(product_with(1000), ITEMS), PATIENCE)) == [1000, 2000, 3000]
    wb.run(session.at_rest())
    assert [a.status for a in session.agents() if a.type == "product"].count("undefined") == 8
    assert list(wb.run(wb.fan_out(product_with(2, gate), ITEMS, name="mine"), PATIENCE)) == [2, 4, 6]
    wb.run(session.at_rest())
    assert [a.status for a in session.agents() if a.type == "product"].count("undefined") == 4
