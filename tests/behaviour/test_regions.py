# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Atomic regions: what a crash undoes and what it leaves, who holds meanwhile, and what is refused inside."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, log_of, until
from workbench.model import entries as e

done: list[str] = []
gates: dict[str, threading.Event] = {}


@pytest.fixture(autouse=True)
def forget() -> None:
    done.clear()
    gates.clear()


def act(name: str) -> str:
    """An effect that may be seen twice; its result counts. Stands still where the test has put a gate."""
    done.append(name)
    this = f"{name} {done.count(name)}"
    if this in gates:
        gates[this].wait(PATIENCE)
    return this


def stop_at(this: str) -> None:
    """Have an effect, as `debit 1`, stand still."""
    gates[this] = threading.Event()


def until_at(this: str) -> None:
    """Wait until an effect stands still."""
    name, _, times = this.rpartition(" ")
    until(lambda: done.count(name) == int(times))


def crash_at(session: wb.Session, this: str) -> None:
    """Crash while an effect stands still."""
    until_at(this)
    session.simulate_crash()
    gates[this].set()


def attempts(session: wb.Session, agent: str) -> list[int]:
    """How often each step was tried, of those that count."""
    return [x.attempts for x in bodies(session, agent, e.StepFinished) if isinstance(x, e.StepFinished)]


def undone(session: wb.Session, agent: str) -> list[int]:
    """The index of each region that a crash undid."""
    uid = session.thread.state.by_id[agent]
    return [x.body.region for x in log_of(session) if x.agent == uid and isinstance(x.body, e.AgentReverted)]


@wb.agent
class Bank:
    """Counts what it was asked for, so that a call made twice shows."""

    def __init__(self) -> None:
        self.balance = 100
        self.asked: list[str] = []

    async def move(self, amount: int, why: str = "") -> int:
        self.asked.append(why)
        self.balance += amount
        return self.balance

    async def slow(self, why: str) -> str:
        self.asked.append(why)
        await wb.step(act, why)
        return why

    async def tell(self, promise: wb.PromiseId, why: str) -> None:
        self.asked.append(why)
        wb.complete_promise(promise, why.encode())

    async def seen(self) -> list[Any]:
        return [self.balance, self.asked]


@wb.agent
class Teller:
    """What the tests do in regions."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def transfer(self) -> list[str]:
        await wb.step(act, "before")
        async with wb.atomically():
            self.notes.append("in")
            one = await wb.step(act, "debit")
            balance = await Bank.get().move(-10, "transfer")
            two = await wb.step(act, "credit")
            self.notes.append("out")
        await wb.step(act, "after")
        return [one, str(balance), two, *self.notes]

    def plain(self) -> list[Any]:
        with wb.atomically():
            first = Bank.get().move.blocking(1, "plain")
            second = Bank.get().slow.blocking("slow")
        return [first, second]

    async def first_wins(self, promise: wb.PromiseId, payload: int | None) -> list[bool]:
        async with wb.atomically():
            payload = len(done) if payload is None else payload
            answers = [wb.promise_state(promise) == "completed", wb.complete_promise_json(promise, payload)]
            answers += [wb.promise_state(promise) == "completed", wb.complete_promise_json(promise, payload)]
            await wb.step(act, "won")
        return [*answers, wb.complete_promise_json(promise, payload)]

    async def notes_now(self) -> list[str]:
        return self.notes

    async def nested(self) -> list[str]:
        async with wb.atomically():
            one = await wb.step(act, "outer")
            async with wb.atomically():
                two = await wb.step(act, "inner")
            three = await wb.step(act, "tail")
        return [one, two, three]

    async def twice(self) -> list[str]:
        async with wb.atomically():
            one = await wb.step(act, "first")
        async with wb.atomically():
            two = await wb.step(act, "second")
        return [one, two]


# ---- crashes ---------------------------------------------------------------------------------------------------------


def test_without_a_crash_nothing_is_special(either: wb.Session) -> None:
    """A region leaves its two entries, and all else as it is."""
    assert wb.run(Teller.get().transfer(), PATIENCE) == ["debit 1", "90", "credit 1", "in", "out"]
    assert kinds(either, "Teller()").count("RegionBegun") == kinds(either, "Teller()").count("RegionEnded") == 1
    assert attempts(either, "Teller()") == [1, 1, 1, 1]


def test_a_crash_inside_runs_the_region_again_as_a_whole(either: wb.Session) -> None:
    """Its steps run again, flagged; its call is joined, not repeated; attributes are as they were; the rest stays."""
    stop_at("credit 1")
    Teller.get().transfer.trigger()
    crash_at(either, "credit 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == ["debit 2", "90", "credit 2", "in", "out"]
    assert done == ["before", "debit", "credit", "debit", "credit", "after"]
    assert wb.run(Bank.get().seen()) == [90, ["transfer"]]
    assert attempts(either, "Teller()") == [1, 2, 2, 1]
    (begun,) = undone(either, "Teller()")
    assert kinds(either, "Teller()")[:begun][-2:] == ["StepFinished", "RegionBegun"]


def test_a_promise_that_the_region_completed_is_its_own_when_it_runs_again(either: wb.Session) -> None:
    """The answers are those of the run that a crash undid, on replay too; a cell's later completion is one too many."""
    promise = wb.create_promise()
    stop_at("won 1")
    Teller.get().first_wins.trigger(promise, 1)
    until_at("won 1")
    stop_at("won 2")
    crash_at(either, "won 1")
    crash_at(either, "won 2")
    expected = [False, True, True, False, False]
    assert wb.run(either.result("Teller()"), PATIENCE) == expected
    either.simulate_crash()
    assert wb.run(Teller.get().notes_now(), PATIENCE) == []  # replayed
    assert not wb.complete_promise_json(promise, 1)
    (row,) = either.promises()
    assert (row.state, row.ignored) == ("completed", 5)  # one in each run, one after it, the cell's
    assert wb.run(wb.await_promise_json(promise)) == 1


def test_a_promise_that_a_cell_completed_first_is_not(either: wb.Session) -> None:
    """What someone else, or an earlier region of the agent, completed is completed in every run."""
    promise = wb.create_promise()
    assert wb.complete_promise_json(promise, 1)
    stop_at("won 1")
    Teller.get().first_wins.trigger(promise, 1)
    crash_at(either, "won 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == [True, False, True, False, False]
    mine = wb.create_promise()
    assert wb.run(Teller.get().first_wins(mine, 1), PATIENCE) == [False, True, True, False, False]
    stop_at("won 4")
    Teller.get().first_wins.trigger(mine, 1)
    crash_at(either, "won 4")
    assert wb.run(either.result("Teller()"), PATIENCE) == [True, False, True, False, False]


def test_another_payload_is_not_what_the_region_completed_it_with(either: wb.Session) -> None:
    """The first payload stands: who comes with another one is told so, also when the first was its own."""
    promise = wb.create_promise()
    stop_at("won 1")
    Teller.get().first_wins.trigger(promise, None)
    crash_at(either, "won 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == [False, False, True, False, False]
    assert wb.run(wb.await_promise_json(promise)) == 0


def test_a_crash_after_it_does_not(either: wb.Session) -> None:
    """Once the region has ended it never runs again."""
    stop_at("after 1")
    Teller.get().transfer.trigger()
    crash_at(either, "after 1")
    wb.run(either.result("Teller()"), PATIENCE)
    assert done == ["before", "debit", "credit", "after", "after"]
    assert undone(either, "Teller()") == []


def test_each_crash_counts(either: wb.Session) -> None:
    """After three crashes each step tells of the runs that it was in."""
    crashes = ["debit 1", "credit 1", "debit 3"]
    for this in crashes:
        stop_at(this)
    Teller.get().transfer.trigger()
    for this in crashes:
        crash_at(either, this)
    assert wb.run(either.result("Teller()"), PATIENCE)[:3:2] == ["debit 4", "credit 2"]
    assert attempts(either, "Teller()") == [1, 4, 2, 1]
    assert len(undone(either, "Teller()")) == 3
    assert wb.run(Bank.get().seen()) == [90, ["transfer"]]


def test_a_crash_in_an_inner_region(either: wb.Session) -> None:
    """A region inside a region is a part of it: the outer one runs again, also when the inner one had ended."""
    for this in ("inner 1", "tail 1"):
        stop_at(this)
    Teller.get().nested.trigger()
    crash_at(either, "inner 1")
    crash_at(either, "tail 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == ["outer 3", "inner 3", "tail 2"]
    assert attempts(either, "Teller()") == [3, 3, 2]


def test_only_the_open_one_runs_again(either: wb.Session) -> None:
    """A crash in the second of two regions leaves the first alone."""
    stop_at("second 1")
    Teller.get().twice.trigger()
    crash_at(either, "second 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == ["first 1", "second 2"]
    assert attempts(either, "Teller()") == [1, 2]


def test_in_a_plain_method(either: wb.Session) -> None:
    """`with` in a `def` method, with blocking calls: what it asked of others is done once."""
    stop_at("slow 1")
    Teller.get().plain.trigger()
    crash_at(either, "slow 1")
    assert wb.run(either.result("Teller()"), PATIENCE) == [101, "slow"]
    assert wb.run(Bank.get().seen()) == [101, ["plain", "slow"]]


def test_recovery_begins_it_again_by_itself(either: wb.Session) -> None:
    """A region that waits for a promise of a cell runs again at once, not when the promise comes."""

    @wb.agent
    class Asking:
        async def run(self) -> str:
            async with wb.atomically():
                await wb.step(act, "ask")
                answer = await wb.await_promise(wb.create_promise())
            return answer.decode()

    Asking.get().run.trigger()
    wb.run(either.at_rest(), PATIENCE)
    either.simulate_crash()
    wb.run(either.at_rest(), PATIENCE)
    assert done == ["ask", "ask"]
    (promise,) = either.promises()
    assert wb.complete_promise(promise.promise_id, b"yes")
    assert wb.run(either.result("Asking()"), PATIENCE) == "yes"


def test_what_it_draws_and_asks_is_the_same_again(either: wb.Session) -> None:
    """UUIDs, keys, the keys of steps: all as in the run that was undone. Triggers and schedules happen once."""
    drawn: list[list[str]] = []

    def note(values: list[str]) -> None:
        drawn.append([*values, wb.idempotency_key()])

    @wb.agent
    class Drawing:
        async def run(self) -> None:
            wb.uuid4()
            async with wb.atomically():
                Bank.get().move.trigger(1, "trigger")
                Bank.get().move.trigger(1, "trigger")
                Bank.get().move.schedule(5, 1, "schedule")
                await wb.step(note, [str(wb.uuid4()), wb.idempotency_key(), str(wb.random())])
                await wb.step(act, "last")

    stop_at("last 1")
    Drawing.get().run.trigger()
    crash_at(either, "last 1")
    wb.run(either.result("Drawing()"), PATIENCE)
    wb.run(either.at_rest(), PATIENCE)
    assert len(drawn) == 2
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4
    assert wb.run(Bank.get().seen()) == [103, ["trigger", "trigger", "schedule"]]


def test_two_agents_with_regions(either: wb.Session) -> None:
    """A region of one agent calls another that is in one of its own: both run again, and the call is one."""

    @wb.agent
    class Inner:
        def __init__(self) -> None:
            self.runs = 0

        async def work(self) -> list[Any]:
            self.runs += 1
            async with wb.atomically():
                await wb.step(act, "inner a")
                return [self.runs, await wb.step(act, "inner b")]

    @wb.agent
    class Outer:
        async def run(self) -> list[Any]:
            async with wb.atomically():
                await wb.step(act, "outer")
                return await Inner.get().work()

    stop_at("inner b 1")
    Outer.get().run.trigger()
    crash_at(either, "inner b 1")
    assert wb.run(either.result("Outer()"), PATIENCE) == [1, "inner b 2"]
    assert sorted(done) == ["inner a", "inner a", "inner b", "inner b", "outer", "outer"]
    assert kinds(either, "Inner()").count("InvocationStarted") == 1


def test_an_interrupt_is_no_crash(either: wb.Session) -> None:
    """An agent that is interrupted in a region and resumed goes on in the middle of it."""
    stop_at("credit 1")
    Teller.get().transfer.trigger()
    until_at("credit 1")
    wb.run(Teller.get().interrupt())
    gates["credit 1"].set()
    wb.run(Teller.get().resume())
    assert wb.run(either.result("Teller()"), PATIENCE)[0] == "debit 1"
    assert done.count("debit") == 1
    assert undone(either, "Teller()") == []


def test_an_interrupted_region_after_a_crash(either: wb.Session) -> None:
    """An agent that stands still in a region through a crash runs the region again when it is resumed."""
    stop_at("credit 1")
    Teller.get().transfer.trigger()
    until_at("credit 1")
    wb.run(Teller.get().interrupt())
    gates["credit 1"].set()
    either.simulate_crash()
    wb.run(either.at_rest(), PATIENCE)
    assert done.count("debit") == 1
    wb.run(Teller.get().resume())
    assert wb.run(either.result("Teller()"), PATIENCE)[0] == "debit 2"


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_an_exception_ends_it(either: wb.Session) -> None:
    """An error that leaves the region ends it, undoes nothing, and a crash later does not run it again."""

    @wb.agent
    class Failing:
        async def run(self) -> str:
            try:
                async with wb.atomically():
                    await wb.step(act, "inside")
                    int("left")
            except ValueError:
                await wb.step(act, "outside")
            return "caught"

    stop_at("outside 1")
    Failing.get().run.trigger()
    crash_at(either, "outside 1")
    assert wb.run(either.result("Failing()"), PATIENCE) == "caught"
    assert done == ["inside", "outside", "outside"]


def test_a_failed_step_inside_is_tried_again_inside(session: wb.Session) -> None:
    """A step's retries are the step's: the region goes on."""

    def flaky() -> int:
        done.append("try")
        if len(done) < 3:
            raise OSError
        return len(done)

    @wb.agent
    class Retrying:
        async def run(self) -> int:
            async with wb.atomically():
                return await wb.step(flaky)

    assert wb.run(Retrying.get().run(), PATIENCE) == 3
    assert kinds(session, "Retrying()").count("RegionBegun") == 1


def test_a_generator_that_is_left_in_a_region(either: wb.Session) -> None:
    """A region never outlives its invocation."""

    @wb.agent
    class Generating:
        async def _numbers(self) -> AsyncIterator[int]:
            async with wb.atomically():
                yield await wb.step(int, 1)
                yield 2

        async def run(self) -> int:
            self.left = self._numbers()
            async for n in self.left:
                return n
            return 0

        async def again(self) -> str:
            return await wb.step(act, "again")

    assert wb.run(Generating.get().run(), PATIENCE) == 1
    assert kinds(either, "Generating()")[-2:] == ["RegionEnded", "InvocationFinished"]
    stop_at("again 1")
    Generating.get().again.trigger()
    crash_at(either, "again 1")
    assert wb.run(either.result("Generating()"), PATIENCE) == "again 2"


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_fork_inside_is_refused(either: wb.Session) -> None:
    """`fork()` in a region is refused with the reason, and the refusal replays."""

    @wb.agent
    class Forking:
        async def run(self) -> str:
            text = ""
            async with wb.atomically():
                try:
                    wb.fork()
                except wb.RefusedError as error:
                    text = str(error)
                await wb.step(act, "inside")
            await wb.step(act, "outside")
            return text

    stop_at("outside 1")
    Forking.get().run.trigger()
    crash_at(either, "outside 1")
    text = wb.run(either.result("Forking()"), PATIENCE)
    assert "the atomic region that began at index 3 is open" in text
    assert "fork before or after" in text.lower()


def test_steps_that_may_not_run_twice_are_refused(either: wb.Session) -> None:
    """A step with `idempotent=False` is refused in a region, which may run twice; outside it is fine."""

    @wb.agent
    class Once:
        async def run(self) -> str:
            await wb.step(act, "outside", idempotent=False)
            async with wb.atomically():
                try:
                    await wb.step(act, "inside", idempotent=False)
                except wb.RefusedError as error:
                    return str(error)
            return "ran"

    assert "may not run twice" in wb.run(Once.get().run(), PATIENCE)
    assert done == ["outside"]


def test_revert_and_fork_to_the_middle_are_refused(session: wb.Session) -> None:
    """An index inside a region is no place to go back to, or to fork at; the error names the region and a way out."""
    wb.run(Teller.get().transfer(), PATIENCE)
    begun, ended = (
        next(x.index for x in session.oplog("Teller()") if x.kind == kind) for kind in ("RegionBegun", "RegionEnded")
    )
    for index in range(begun, ended):
        for verb in (Teller.get().revert(to=index), Teller.get().fork(at=index)):
            with pytest.raises(wb.RefusedError, match=f"inside the atomic region that began at index {begun}") as error:
                wb.run(verb)
            assert f"take index {begun - 1} or {ended}" in str(error.value).lower()
    assert wb.run(Teller.get().revert(to=begun - 1)) == begun - 1
    assert wb.run(session.result("Teller()"), PATIENCE)[0] == "debit 2"


def test_reverted_to_before_an_open_region(session: wb.Session) -> None:
    """Going back to before a region that is open drops it; it begins anew."""
    stop_at("credit 1")
    Teller.get().transfer.trigger()
    until_at("credit 1")
    wb.run(Teller.get().revert(to=2))
    gates["credit 1"].set()
    assert wb.run(session.result("Teller()"), PATIENCE)[0] == "debit 2"


def test_outside_agents(session: wb.Session) -> None:
    """A cell and a step have no oplog: refused at once."""
    with pytest.raises(wb.NotInAgentError):
        wb.atomically()


# ---- other tasks -----------------------------------------------------------------------------------------------------


def test_other_tasks_hold(either: wb.Session) -> None:
    """What a task outside waits for is not delivered until the region ends, and a crash inside does not lose it."""

    @wb.agent
    class Both:
        def __init__(self) -> None:
            self.order: list[str] = []

        async def beside(self) -> None:
            await Bank.get().move(1, "beside")
            self.order.append("beside goes on")
            await wb.step(act, "beside")

        async def run(self) -> list[str]:
            other = asyncio.ensure_future(self.beside())
            await asyncio.sleep(0)
            async with wb.atomically():
                self.order.append("in")
                await wb.step(act, "one")
                await wb.step(act, "two")
                self.order.append("out")
            await other
            return self.order

    stop_at("two 1")
    Both.get().run.trigger()
    crash_at(either, "two 1")
    assert wb.run(either.result("Both()"), PATIENCE) == ["in", "out", "beside goes on"]
    assert done == ["one", "two", "one", "two", "beside"]
    assert wb.run(Bank.get().seen()) == [101, ["beside"]]


def test_a_region_that_waits_for_another_task(either: wb.Session) -> None:
    """When nothing that the region began is open, what it waits for lies outside, and comes."""

    @wb.agent
    class Waiting:
        async def run(self) -> list[Any]:
            other = asyncio.ensure_future(self.beside())
            await asyncio.sleep(0)
            async with wb.atomically():
                first = await wb.step(act, "inside")
                second = await other
                third = await wb.step(act, "last")
            return [first, second, third]

        async def beside(self) -> str:
            return await Bank.get().slow("slow")

    stop_at("last 1")
    Waiting.get().run.trigger()
    crash_at(either, "last 1")
    assert wb.run(either.result("Waiting()"), PATIENCE) == ["inside 2", "slow", "last 2"]
    assert wb.run(Bank.get().seen()) == [100, ["slow"]]


def test_tasks_take_turns(either: wb.Session) -> None:
    """Regions of several tasks run one after the other, and a crash in one leaves those that ended alone."""

    @wb.agent
    class Turns:
        async def one(self, name: str) -> str:
            async with wb.atomically():
                await wb.step(act, f"{name} a")
                return await wb.step(act, f"{name} b")

        async def run(self) -> list[str]:
            return await asyncio.gather(*(self.one(name) for name in "xyz"))

    stop_at("y b 1")
    Turns.get().run.trigger()
    crash_at(either, "y b 1")
    assert wb.run(either.result("Turns()"), PATIENCE) == ["x b 1", "y b 2", "z b 1"]
    assert done == ["x a", "x b", "y a", "y b", "y a", "y b", "z a", "z b"]


def test_tasks_of_a_region_are_inside(session: wb.Session) -> None:
    """Tasks that a region starts are parts of it: regions of theirs do not wait for it to end."""

    @wb.agent
    class Family:
        async def one(self, n: int) -> str:
            async with wb.atomically():
                return await wb.step(act, f"{n}")

        async def run(self) -> list[str]:
            async with wb.atomically():
                return await asyncio.gather(*(self.one(n) for n in range(3)))

    assert wb.run(Family.get().run(), PATIENCE) == ["0 1", "1 1", "2 1"]


def test_a_turn_that_is_given_up(session: wb.Session) -> None:
    """A task that is cancelled while it waits for its turn takes nobody else's."""

    @wb.agent
    class Impatient:
        async def one(self, name: str) -> str:
            async with wb.atomically():
                return await wb.step(act, name)

        async def first(self, go_on: asyncio.Event) -> str:
            async with wb.atomically():
                await go_on.wait()
                return await wb.step(act, "first")

        async def run(self) -> list[Any]:
            go_on = asyncio.Event()
            tasks = [asyncio.ensure_future(x) for x in (self.first(go_on), self.one("b"), self.one("c"))]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.sleep(0)
            go_on.set()
            return [type(o).__name__ for o in await asyncio.gather(*tasks, return_exceptions=True)]

    assert wb.run(Impatient.get().run(), PATIENCE) == ["str", "CancelledError", "str"]
    assert done == ["first", "c"]


def test_a_plain_with_that_would_have_to_wait(session: wb.Session) -> None:
    """`with` in an async method cannot wait for another task's region: refused, with the form that can."""

    @wb.agent
    class Sync:
        async def holder(self, go_on: asyncio.Event) -> str:
            async with wb.atomically():
                await go_on.wait()
                return await wb.step(act, "held")

        async def run(self) -> list[str]:
            go_on = asyncio.Event()
            holder = asyncio.ensure_future(self.holder(go_on))
            await asyncio.sleep(0)
            try:
                with wb.atomically():
                    text = "began"
            except wb.UnsupportedError as error:
                text = str(error)
            go_on.set()
            await holder
            with wb.atomically():
                pass
            return [text]

    (text,) = wb.run(Sync.get().run(), PATIENCE)
    assert "in an async method" in text


def keyed(name: str) -> str:
    """An effect in a service that does once what has one key; the key."""
    done.append(f"{name} {wb.idempotency_key()}")
    return wb.idempotency_key()


@wb.agent(ephemeral=True)
class OnceInRegion:
    """A new agent for each call."""

    async def work(self, name: str) -> str:
        return await wb.step(act, name)


@wb.agent
class LanesInRegion:
    """Two tasks in a region."""

    async def lane(self, name: str) -> list[str]:
        await wb.step(act, f"first {name}")
        drawn = [await wb.step(keyed, name), str(wb.uuid4()), str(wb.random()), wb.idempotency_key()]
        promise = wb.create_promise()
        Bank.get().tell.trigger(promise, f"told {name}")
        told = await wb.await_promise(promise)
        phantom, once = await Bank.new_phantom().slow(f"phantom {name}"), await OnceInRegion.get().work(f"once {name}")
        return [*drawn, told.decode(), phantom, once]

    async def run(self) -> list[list[str]]:
        async with wb.atomically():
            found = await asyncio.gather(self.lane("a"), self.lane("b"))
            await wb.step(act, "last")
        return list(found)


def test_each_task_of_a_region_has_its_own_again(either: wb.Session) -> None:
    """The tasks get their turns in another order in the second run: keys, chance, promises, agents are as they were."""
    for this in ("first b 1", "first a 2"):
        stop_at(this)
    LanesInRegion.get().run.trigger()
    until_at("once a 1")
    until(lambda: kinds(either, "LanesInRegion()").count("CallDelivered") == 2)
    crash_at(either, "first b 1")
    until_at("once b 1")
    gates["first a 2"].set()
    a, b = wb.run(either.result("LanesInRegion()"), PATIENCE)
    assert done.count(f"a {a[0]}") == 2
    assert done.count(f"b {b[0]}") == 1
    assert len({*a[:4], *b[:4]}) == 8
    assert [a[4:], b[4:]] == [[f"told {x}", f"phantom {x}", f"once {x} 1"] for x in "ab"]
    assert wb.run(Bank.get().seen()) == [100, ["told a", "told b"]]
    assert sorted(done).count("phantom a") == done.count("phantom b") == 1
    assert [p.state for p in either.promises()] == ["completed", "completed"]
    either.simulate_crash()
    assert wb.run(LanesInRegion.get().lane("c"), PATIENCE)[4] == "told c"  # replayed


def test_tasks_beside_hold_from_their_beginning(either: wb.Session) -> None:
    """What another task begins while a region is open it begins when that has ended: a crash does not double it."""

    @wb.agent
    class Beside:
        async def region(self) -> None:
            async with wb.atomically():
                await wb.step(act, "inside")

        async def other(self) -> str:
            await Bank.get().move(1, "beside")
            return await wb.step(act, "beside", idempotent=False)

        async def run(self) -> list[Any]:
            return [*await asyncio.gather(self.region(), self.other(), OnceInRegion.get().work("once"))]

    stop_at("inside 1")
    Beside.get().run.trigger()
    crash_at(either, "inside 1")
    assert wb.run(either.result("Beside()"), PATIENCE) == [None, "beside 1", "once 1"]
    assert sorted(done) == ["beside", "inside", "inside", "once"]
    assert wb.run(Bank.get().seen()) == [101, ["beside"]]


def test_what_a_region_waits_for_is_a_part_of_it(either: wb.Session) -> None:
    """A task beside it that holds a lock goes on; it is undone with the region, and has its keys in the second run."""

    @wb.agent
    class Locked:
        async def holder(self, lock: asyncio.Lock) -> str:
            async with lock:
                await Bank.get().slow("slow")
                await wb.step(keyed, "held")
                promise = wb.create_promise()
                Bank.get().tell.trigger(promise, "told")
                await wb.await_promise(promise)
            return await wb.step(act, "late")

        async def run(self) -> str:
            lock = asyncio.Lock()
            holder = asyncio.ensure_future(self.holder(lock))
            await asyncio.sleep(0)
            async with wb.atomically(), lock:
                await wb.step(act, "end")
            return await holder

    for this in ("slow 1", "end 1"):
        stop_at(this)
    Locked.get().run.trigger()
    until_at("slow 1")
    gates["slow 1"].set()
    crash_at(either, "end 1")
    assert wb.run(either.result("Locked()"), PATIENCE) == "late 2"
    (key,) = {x for x in done if x.startswith("held")}
    assert done.count(key) == 2
    assert attempts(either, "Locked()") == [2, 2, 2]
    assert kinds(either, "Locked()").index("RegionEnded") < len(kinds(either, "Locked()")) - 2
    assert wb.run(Bank.get().seen()) == [100, ["slow", "told"]]


def test_a_promise_that_is_not_made_again_ends(either: wb.Session) -> None:
    """A region that does something else when it runs again leaves a promise behind: who waits for it hears why."""

    @wb.agent
    class Fickle:
        async def run(self) -> str:
            async with wb.atomically():
                if await wb.step(act, "try") == "try 1":
                    Waiting.get().run.trigger(wb.create_promise())
                return await wb.step(act, "rest")

    @wb.agent
    class Waiting:
        async def run(self, promise: wb.PromiseId) -> str:
            try:
                await wb.await_promise(promise)
            except wb.AgentRevertedError as error:
                return str(error)
            return "kept"

    stop_at("rest 1")
    Fickle.get().run.trigger()
    crash_at(either, "rest 1")
    wb.run(either.result("Fickle()"), PATIENCE)
    assert "made no such promise when it ran again" in wb.run(either.result("Waiting()"), PATIENCE)
    assert either.promises() == []
    either.simulate_crash()
    assert either.promises() == []


def test_tasks_of_a_plain_method_are_inside(session: wb.Session) -> None:
    """A `def` method goes on with what it waited for while a task that it started in the region is under way."""

    @wb.agent
    class Plain:
        async def background(self) -> str:
            return await wb.step(act, "background")

        def run(self) -> None:
            with wb.atomically():
                self.task = asyncio.ensure_future(self.background())
                for n in range(3):
                    Bank.get().move.blocking(1, f"{n}")

    stop_at("background 1")
    Plain.get().run.trigger()
    until(lambda: kinds(session, "Plain()").count("CallDelivered") == 3)
    gates["background 1"].set()
    wb.run(session.result("Plain()"), PATIENCE)


def test_a_task_of_an_inner_region_is_a_part_of_the_outer_one(session: wb.Session) -> None:
    """It goes on when the inner one has ended, while the outer one waits for something else."""

    @wb.agent
    class Deep:
        async def both(self) -> str:
            await wb.step(act, "one")
            return await wb.step(act, "two")

        async def run(self) -> list[str]:
            async with wb.atomically():
                async with wb.atomically():
                    task = asyncio.ensure_future(self.both())
                return [*await asyncio.gather(wb.step(act, "slow"), task)]

    stop_at("slow 1")
    Deep.get().run.trigger()
    until_at("two 1")
    gates["slow 1"].set()
    assert wb.run(session.result("Deep()"), PATIENCE) == ["slow 1", "two 1"]


@wb.agent
class PlannerInRegion:
    """Schedules, and cancels what is scheduled, in a region."""

    async def cancels(self) -> list[bool]:
        plan = Bank.get().move.schedule(1e6, 1, "never")
        async with wb.atomically():
            answers = [plan.cancel(), plan.cancel()]
            await wb.step(act, "cancelled")
        return [*answers, plan.cancel()]

    async def plans_and_cancels(self) -> bool:
        async with wb.atomically():
            plan = Bank.get().move.schedule(1e6, 1, "never")
            await wb.step(act, "planned")
            gone = plan.cancel()
        Bank.get().move.schedule(0, 1, "at once")
        return gone


def test_what_a_region_cancelled_is_cancelled_in_each_run(either: wb.Session) -> None:
    """The answers are those of the run that a crash undid, on replay too."""
    for this in ("cancelled 1", "cancelled 2"):
        stop_at(this)
    PlannerInRegion.get().cancels.trigger()
    crash_at(either, "cancelled 1")
    crash_at(either, "cancelled 2")
    assert wb.run(either.result("PlannerInRegion()"), PATIENCE) == [True, False, False]
    either.simulate_crash()
    assert wb.run(PlannerInRegion.get().cancels(), PATIENCE) == [True, False, False]


def test_what_a_region_scheduled_is_scheduled_once(either: wb.Session) -> None:
    """A schedule of a run that a crash undid is none: what the region then cancels never comes."""
    stop_at("planned 1")
    PlannerInRegion.get().plans_and_cancels.trigger()
    until_at("planned 1")
    assert len(either.schedules()) == 1
    crash_at(either, "planned 1")
    assert wb.run(either.result("PlannerInRegion()"), PATIENCE) is True
    until(lambda: wb.run(Bank.get().seen()) == [101, ["at once"]])
    assert either.schedules() == []


@wb.agent
class OverseerInRegion:
    """Does things to other agents in a region."""

    async def forks(self) -> list[str]:
        async with wb.atomically():
            made = [await Bank.get().fork(at=2), await Bank.get().fork(at=2)]
            await wb.step(act, "forked")
            await made[0].delete()
            await wb.step(act, "deleted")
        return [str(fork.agent_id) for fork in made]

    async def jobs(self) -> list[str]:
        async with wb.atomically():
            done = await wb.fan_out(job_item, [1], name="in a region", again=True)
            await wb.step(act, "ran")
        return list(done)


async def job_item(n: int) -> str:
    return await wb.step(act, f"item {n}")


def test_what_a_region_did_to_others_is_done_once(either: wb.Session) -> None:
    """Forks and the like: the second run gets the answers of the one that a crash undid, on replay too."""
    wb.run(Bank.get().move(1))
    for this in ("forked 1", "deleted 1"):
        stop_at(this)
    OverseerInRegion.get().forks.trigger()
    crash_at(either, "forked 1")
    crash_at(either, "deleted 1")
    made = wb.run(either.result("OverseerInRegion()"), PATIENCE)
    assert len(set(made)) == 2
    alive = [a.agent_id for a in either.agents(type="Bank") if a.agent_id != "Bank()" and a.status != "exited"]
    assert alive == made[1:]
    either.simulate_crash()
    assert wb.run(OverseerInRegion.get().jobs(), PATIENCE) == ["item 1 1"]  # replayed before


def test_a_job_that_a_region_runs_anew_is_run_once(either: wb.Session) -> None:
    """`again=True` in a region that runs again: the run that it began is joined."""
    stop_at("ran 1")
    OverseerInRegion.get().jobs.trigger()
    crash_at(either, "ran 1")
    assert wb.run(either.result("OverseerInRegion()"), PATIENCE) == ["item 1 1"]
    assert done.count("item 1") == 1
