# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103, T201 - a program's name says what it does; agents may print
"""The corpus: small agent programs, one for each thing that agent code may do. `PROGRAMS` holds them by name.

Each program drives its agents as a cell would, by calls with a key, and returns a JSON value that is the same in every
undisturbed run. It may be run again on the store it left, or on one that a crash left: it then joins what was accepted.
`tell` reports what the session acknowledged. See `workbench.testing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import workbench as wb
from workbench.runtime.client import Method
from workbench.testing import note_effect

Tell = Callable[[str, object], None]
Program = Callable[[Tell], object]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    """Put a program into the corpus."""
    PROGRAMS[function.__name__] = function
    return function


def once(method: Any, *args: Any) -> Any:
    """Call from a cell under a key, and wait: done once however often the cell is run."""
    assert isinstance(method, Method)
    return look(method.with_options(key=f"once {method.method_type.name} {args!r}")(*args))


def look(call: Any) -> Any:
    """Call from a cell when all agents rest, so that simulated time is the same in every run."""
    wb.run(wb.session().at_rest(), timeout=20)
    return wb.run(call, timeout=20)


def forks_of(name: str) -> list[str]:
    """Ids of the forks of a type's agents, in order of creation."""
    return [a.agent_id for a in wb.session().agents() if a.forked_from and a.agent_id.startswith(f"{name}(")]


def fork_results(name: str) -> list[Any]:
    """What each fork of a type's agents returned, in order of creation."""
    session = wb.session()
    wb.run(session.at_rest())
    return [wb.run(session.result(fork)) for fork in forks_of(name)]


# ---- children ---------------------------------------------------------------------------------------------------


@wb.agent
class Child:
    """Works, naps, fails; counts what it did."""

    def __init__(self, name: str, number: int = 0) -> None:
        self.name, self.number = name, number
        self.notes: list[str] = []

    async def work(self, x: int) -> int:
        self.notes.append(f"work {x}")
        return x * x

    async def nap(self, seconds: float, x: int) -> int:
        self.notes.append(f"nap {x}")
        await asyncio.sleep(seconds)
        self.notes.append(f"woke {x}")
        return x

    async def fail(self, text: str, after: float = 0) -> None:
        self.notes.append(f"fail {text}")
        if after:
            await asyncio.sleep(after)
        raise ValueError(text)

    async def seen(self) -> list[str]:
        return self.notes


async def notes_of(name: str, count: int) -> list[list[str]]:
    """What each of the children of a program did, in order."""
    return [await Child.get(name, n).seen() for n in range(count)]


# ---- fan-in -----------------------------------------------------------------------------------------------------


@wb.agent
class Joins:
    def __init__(self) -> None:
        self.rounds = 0

    async def join(self) -> list[int]:
        self.rounds += 1
        return await wb.join([Child.get("join", n).work(n) for n in range(4)])

    async def join_errors(self) -> list[Any]:
        self.rounds += 1
        calls = [
            Child.get("joinerr", 0).work(2),
            Child.get("joinerr", 1).fail("a"),
            Child.get("joinerr", 2).fail("b", 1),
        ]
        try:
            await wb.join(calls)
        except ExceptionGroup as group:
            return [str(e.message) for e in group.exceptions]
        return []

    async def join_shared(self) -> list[Any]:
        self.rounds += 1
        call = asyncio.ensure_future(Child.get("joinshared", 0).nap(2, 0))
        both = [wb.join([call, Child.get("joinshared", n).nap(n, n)]) for n in (1, 3)]
        twice = await wb.join([call, *both, call])
        iterator = wb.as_completed([Child.get("joinshared", n).nap(1 + n, n) for n in range(4)])

        async def consume() -> list[int]:
            return [n async for n in iterator]

        return [twice, await asyncio.gather(consume(), consume())]

    async def try_join(self) -> list[Any]:
        self.rounds += 1
        calls = [
            Child.get("tryjoin", 0).nap(5, 0),
            Child.get("tryjoin", 1).fail("early", 1),
            Child.get("tryjoin", 2).nap(9, 2),
        ]
        try:
            await wb.try_join(calls)
        except ValueError as error:
            return [self.rounds, type(error).__name__, error.message]
        return []

    async def race(self) -> list[int]:
        self.rounds += 1
        first = await wb.race([Child.get("race", n).nap(9 - 2 * n, n) for n in range(4)])
        second = await wb.race([Child.get("race2", n).nap(1 + n, n) for n in range(3)])
        return [first, second]

    async def race_ok(self) -> list[Any]:
        self.rounds += 1
        won = await wb.race_ok(
            [Child.get("raceok", 0).fail("no", 1), Child.get("raceok", 1).nap(2, 7), Child.get("raceok", 2).nap(3, 8)]
        )
        try:
            await wb.race_ok([Child.get("raceko", 0).fail("x", 2), Child.get("raceko", 1).fail("y", 1)])
        except ExceptionGroup as group:
            return [won, [e.message for e in group.exceptions]]
        return [won]

    async def as_completed(self) -> list[Any]:
        self.rounds += 1
        got: list[Any] = [x async for x in wb.as_completed([Child.get("asc", n).nap(5 - n, n) for n in range(4)])]
        mixed = wb.as_completed([Child.get("asc2", 0).fail("f", 1), Child.get("asc2", 1).nap(2, 1)])
        try:
            async for x in mixed:
                got.append(x)  # noqa: PERF401 - what came before the error counts
        except ValueError as error:
            got.append(error.message)
        got.append(await anext(mixed))
        return got

    async def bounded(self) -> list[int]:
        self.rounds += 1
        return await wb.bounded(lambda n: Child.get("bounded", n).nap(1 + n % 2, n), range(5), limit=2)


@program
def join(tell: Tell) -> object:
    tell("join", once(Joins.get().join))
    return [
        once(Joins.get().join),
        once(Joins.get().join_errors),
        look(notes_of("join", 4)),
        look(notes_of("joinerr", 3)),
    ]


@program
def join_shared(tell: Tell) -> object:
    tell("shared", once(Joins.get().join_shared))
    return [once(Joins.get().join_shared), look(notes_of("joinshared", 4))]


@program
def try_join_with_failure(tell: Tell) -> object:
    tell("outcome", once(Joins.get().try_join))
    wb.run(wb.session().at_rest())
    return [once(Joins.get().try_join), look(notes_of("tryjoin", 3))]


@program
def race(tell: Tell) -> object:
    tell("outcome", once(Joins.get().race))
    wb.run(wb.session().at_rest())
    return [once(Joins.get().race), look(notes_of("race", 4)), look(notes_of("race2", 3))]


@program
def race_ok(tell: Tell) -> object:
    tell("outcome", once(Joins.get().race_ok))
    return [once(Joins.get().race_ok), look(notes_of("raceko", 2))]


@program
def as_completed(tell: Tell) -> object:
    tell("outcome", once(Joins.get().as_completed))
    return once(Joins.get().as_completed)


@program
def bounded(tell: Tell) -> object:
    tell("outcome", once(Joins.get().bounded))
    return [once(Joins.get().bounded), look(notes_of("bounded", 5))]


# ---- plain asyncio ----------------------------------------------------------------------------------------------


@wb.agent
class Asyncio:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def groups(self) -> list[Any]:
        gathered = await asyncio.gather(*(Child.get("gather", n).work(n) for n in range(3)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._pair(n)) for n in range(2)]
        done, pending = await asyncio.wait(
            [asyncio.ensure_future(Child.get("wait", n).nap(3 - n, n)) for n in range(3)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        self.seen += gathered
        return [gathered, [t.result() for t in tasks], [d.result() for d in done], len(pending)]

    async def _pair(self, n: int) -> int:
        return await Child.get("group", n).work(n + 1) + await Child.get("group", n).work(n + 2)

    async def failing_group(self) -> list[str]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fails())
                group.create_task(self._sleeps())
        except* ValueError as caught:
            self.seen += [str(error) for error in caught.exceptions]
        return self.seen

    async def _fails(self) -> None:
        await asyncio.sleep(1)
        raise ValueError("boom")

    async def _sleeps(self) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            self.seen.append("cancelled")

    async def times(self) -> list[Any]:
        begun = wb.now()
        await asyncio.sleep(2.5)
        took = (wb.now() - begun).total_seconds()
        try:
            async with asyncio.timeout(1):
                await Child.get("timeout").nap(60, 1)
        except TimeoutError:
            self.seen.append("timeout")
        within = await asyncio.wait_for(Child.get("timeout2").nap(1, 2), 60)
        return [took, self.seen, within]

    async def parts(self) -> list[Any]:
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        gate, limit = asyncio.Event(), asyncio.Semaphore(2)
        order: list[str] = []

        async def produce() -> None:
            for n in range(4):
                await queue.put(await Child.get("produce", n).work(n))
            gate.set()

        async def consume(name: str) -> int:
            total = 0
            await asyncio.sleep(0.1)
            while not (gate.is_set() and queue.empty()):
                try:
                    async with asyncio.timeout(1):
                        total += await queue.get()
                except TimeoutError:
                    break
            async with limit:
                order.append(name)
                await asyncio.sleep(1)
            return total

        _, *totals = await asyncio.gather(produce(), consume("a"), consume("b"), consume("c"))
        await gate.wait()
        return [sum(totals), order]


@program
def asyncio_groups(tell: Tell) -> object:
    tell("groups", once(Asyncio.get().groups))
    return [once(Asyncio.get().groups), once(Asyncio.get().failing_group)]


@program
def asyncio_times(tell: Tell) -> object:
    tell("times", once(Asyncio.get().times))
    return once(Asyncio.get().times)


@program
def asyncio_parts(tell: Tell) -> object:
    tell("parts", once(Asyncio.get().parts))
    return once(Asyncio.get().parts)


# ---- promises ---------------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """A payload with a type."""

    word: str
    score: int


@wb.agent
class Promiser:
    def __init__(self) -> None:
        self.made: list[wb.PromiseId] = []
        self.got: list[Any] = []

    async def offer(self) -> wb.PromiseId:
        self.made.append(wb.create_promise())
        return self.made[-1]

    async def wait_for(self, pid: wb.PromiseId) -> bytes:
        data = await wb.await_promise(pid)
        self.got.append(data)
        return data

    async def all_forms(self) -> list[Any]:
        pid, typed = wb.create_promise(), wb.create_promise()
        Completer.get(1).complete.trigger(pid, "first")
        Completer.get(2).judge.trigger(typed)
        before = await wb.await_promise(pid)
        again = await wb.await_promise(pid)
        mine = wb.complete_promise(pid, b"late")
        verdict = await wb.await_promise_json(typed, Verdict)
        self.got += [before, verdict]
        both = await wb.join([wb.await_promise(pid), wb.await_promise(typed)])
        return [before.decode(), again.decode(), mine, verdict.word, verdict.score, [b.decode() for b in both]]

    async def race_with_time(self) -> list[Any]:
        pid = wb.create_promise()
        try:
            async with asyncio.timeout(2):
                await wb.await_promise(pid)
        except TimeoutError:
            self.got.append("timeout")
        first = wb.complete_promise(pid, "now")
        return [first, (await wb.await_promise(pid)).decode(), len(self.got)]

    def blocking(self) -> list[Any]:
        pid, other = wb.create_promise(), wb.create_promise()
        Completer.get(3).complete.trigger(pid, "blocked")
        data = wb.blocking_await_promise(pid).decode()
        Completer.get(4).judge.trigger(other)
        verdict = wb.blocking_await_promise_json(other, Verdict)
        self.got += [data, verdict.word]
        return [data, verdict.score, Child.get("blocking").work.blocking(6)]

    def blocking_errors(self) -> list[str]:
        try:
            Child.get("blocking").fail.blocking("thrown", 1)
        except ValueError as error:
            self.got.append("caught")
            return [error.message, *map(str, self.got[-1:])]
        return []


@wb.agent
class Completer:
    def __init__(self, n: int) -> None:
        self.answers: list[bool] = []

    async def complete(self, pid: wb.PromiseId, text: str) -> None:
        self.answers.append(wb.complete_promise(pid, text))
        self.answers.append(wb.complete_promise(pid, "second"))

    async def judge(self, pid: wb.PromiseId) -> None:
        await asyncio.sleep(1)
        self.answers.append(wb.complete_promise_json(pid, Verdict("fair", 3)))

    async def seen(self) -> list[bool]:
        return self.answers


@program
def promises(tell: Tell) -> object:
    tell("forms", once(Promiser.get().all_forms))
    wb.run(wb.session().at_rest())
    return [once(Promiser.get().all_forms), look(Completer.get(1).seen()), look(Completer.get(2).seen())]


@program
def promise_with_timeout(tell: Tell) -> object:
    tell("outcome", once(Promiser.get().race_with_time))
    return once(Promiser.get().race_with_time)


@program
def promise_from_a_cell(tell: Tell) -> object:
    pid = once(Promiser.get().offer)
    waiter = Promiser.get_phantom("11111111-1111-4111-8111-111111111111")
    waiter.wait_for.with_options(key="w").trigger(pid)
    wb.complete_promise(pid, b"from the cell")
    tell("completed", wb.promise_state(pid))
    return [
        wb.complete_promise(pid, b"too late"),
        look(wb.await_promise(pid)).decode(),
        look(waiter.wait_for.with_options(key="w")(pid)).decode(),
    ]


@program
def promises_blocking(tell: Tell) -> object:
    tell("blocking", once(Promiser.get().blocking))
    return [once(Promiser.get().blocking), once(Promiser.get().blocking_errors)]


# ---- triggers, errors, effects ----------------------------------------------------------------------------------


@wb.agent
class Mixed:
    def __init__(self) -> None:
        self.log: list[Any] = []

    async def fire(self) -> list[str]:
        replies = [wb.create_promise() for _ in range(3)]
        for n, reply in enumerate(replies):
            Replier.get(n % 2).reply.trigger(reply, n)
        return [(await wb.await_promise(r)).decode() for r in replies]

    async def errors(self) -> list[Any]:
        found: list[Any] = []
        for call in (
            Child.get("errors").fail("plain"),
            Thrower.get().nested(),
            Thrower.get().group(),
            Thrower.get().own(),
        ):
            try:
                await call
            except wb.InvocationError as error:
                found.append([error.agent_id, error.method, error.error_type, isinstance(error, ValueError)])
        self.log += found
        try:
            await Broken.get().anything()
        except ZeroDivisionError as error:
            found.append(type(error).__bases__[0].__name__)
        return found

    async def steps(self) -> list[Any]:
        a = await wb.step(double, 4)
        b = await wb.step(double_later, 5)
        try:
            await wb.step(burst, 6)
        except RuntimeError as error:
            self.log.append(str(error.message))
        both = await wb.join([wb.step(double, 7), wb.step(double_later, 8)])
        return [a, b, self.log, both]

    async def chance(self) -> list[Any]:
        drawn = [str(wb.uuid4()), str(wb.uuid4()), wb.idempotency_key(), str(wb.random())]
        self.log += drawn
        echoed = await Mixed.get_phantom("22222222-2222-4222-8222-222222222222").echo(drawn)
        begun = wb.now()
        await asyncio.sleep(1)
        drawn.append(str(wb.uuid4()))
        fresh = await Child.new_phantom("phantom").work(3)
        return [echoed == drawn[:4], len(set(drawn)), str(wb.self_id()), str(begun < wb.now()), fresh]

    async def echo(self, drawn: list[str]) -> list[str]:
        self.log += drawn
        return drawn

    async def speak(self) -> int:
        print("one", "two", sep="-")
        wb.log("three", 4, level="debug")
        await asyncio.sleep(1)
        print("five")
        self.log.append("spoke")
        return len(self.log)

    async def unencodable(self) -> list[str]:
        found = []
        try:
            await Mixed.get_phantom("33333333-3333-4333-8333-333333333333").echo([{"model": lambda: 1}])  # type: ignore[list-item]
        except wb.EncodingError as error:
            found.append(error.path)
        try:
            await Thrower.get().returns_code()
        except wb.EncodingError as error:
            found.append(error.path)
        return found


@wb.agent
class Replier:
    def __init__(self, n: int) -> None:
        self.n, self.order = n, [0]

    async def reply(self, pid: wb.PromiseId, x: int) -> None:
        self.order.append(x)
        wb.complete_promise(pid, f"{self.n}:{self.order}")

    def order_seen(self) -> list[int]:
        return self.order

    def note(self, x: int) -> None:
        self.order.append(x)


@wb.agent
class Thrower:
    async def nested(self) -> None:
        await Child.get("thrower").fail("deep")

    async def group(self) -> None:
        await wb.join([Child.get("thrower").fail("g1"), Child.get("thrower").fail("g2")])

    async def own(self) -> None:
        raise LookupError("own")

    async def returns_code(self) -> object:
        return {"f": [len]}


@wb.agent
class Broken:
    def __init__(self) -> None:
        raise ZeroDivisionError("in the constructor")

    async def anything(self) -> None: ...


def double(x: int) -> int:
    note_effect(f"double {x}")
    return 2 * x


async def double_later(x: int) -> int:
    await asyncio.sleep(0)
    note_effect(f"double_later {x}")
    return 2 * x


def burst(x: int) -> None:
    note_effect(f"burst {x}")
    raise RuntimeError(f"burst {x}")


@program
def trigger_and_reply(tell: Tell) -> object:
    tell("replies", once(Mixed.get().fire))
    return [once(Mixed.get().fire), look(Replier.get(0).order_seen()), look(Replier.get(1).order_seen())]


@program
def order_of_acceptance(tell: Tell) -> object:
    replier = Replier.get(9)
    for n in range(5):
        replier.note.with_options(key=f"note {n}").trigger(n)
        tell(f"note {n}", "owned")
    return wb.run(replier.order_seen())


@program
def errors(tell: Tell) -> object:
    tell("errors", once(Mixed.get().errors))
    return [once(Mixed.get().errors), look(Child.get("errors").seen())]


@program
def steps(tell: Tell) -> object:
    tell("steps", once(Mixed.get().steps))
    return once(Mixed.get().steps)


@program
def chance(tell: Tell) -> object:
    tell("chance", once(Mixed.get().chance))
    return once(Mixed.get().chance)


@program
def speech(tell: Tell) -> object:
    tell("speech", once(Mixed.get().speak))
    return once(Mixed.get().speak)


@program
def unencodable(tell: Tell) -> object:
    tell("paths", once(Mixed.get().unencodable))
    return once(Mixed.get().unencodable)


# ---- forks ------------------------------------------------------------------------------------------------------


@wb.agent
class Forker:
    def __init__(self, n: int) -> None:
        self.n = n
        self.path: list[str] = []

    async def one(self) -> list[Any]:
        local = await Child.get("fork1").work(3)
        self.path.append("before")
        match wb.fork():
            case wb.Original():
                side = "original"
            case wb.Forked():
                side = "forked"
        self.path.append(side)
        after = await Child.get(f"fork1 {side}").work(local)
        return [side, local, after, self.path, wb.self_id().phantom_id is None]

    async def many(self) -> list[Any]:
        for n in range(3):
            if isinstance(wb.fork(), wb.Forked):
                return ["fork", n, await Child.get("forkloop", n).work(n)]
            self.path.append(f"made {n}")
        return ["original", self.path]

    async def nested(self) -> list[Any]:
        sides = []
        for depth in range(2):
            sides.append(type(wb.fork()).__name__)
            self.path.append(f"{depth} {sides[-1]}")
        drawn = str(wb.uuid4())
        got = await Child.get(f"nested {' '.join(sides)}").work(len(sides))
        return [sides, self.path, got, len(drawn)]

    async def in_flight(self) -> list[Any]:
        pid = wb.create_promise()
        calls = [asyncio.ensure_future(Child.get("flight", n).nap(2 + n, n)) for n in range(2)]
        waiting = asyncio.ensure_future(wb.await_promise(pid))
        timer = asyncio.ensure_future(asyncio.sleep(1, "timer"))
        await asyncio.sleep(0.5)
        side = type(wb.fork()).__name__
        self.path.append(side)
        if side == "Original":
            Completer.get(5).complete.trigger(pid, "shared")
        results = await asyncio.gather(*calls)
        return [side, results, (await waiting).decode(), await timer, wb.complete_promise(pid, "again")]

    async def step_in_flight(self) -> list[Any]:
        work = asyncio.ensure_future(wb.step(double, 21))
        await asyncio.sleep(0)
        side = type(wb.fork()).__name__
        return [side, await work]

    async def step_given_up(self) -> list[Any]:
        work = asyncio.ensure_future(wb.step(double, 33))
        await asyncio.sleep(0)
        if isinstance(wb.fork(), wb.Original):
            work.cancel()
            return ["Original"]
        return ["Forked", await work]

    def blocking(self) -> list[Any]:
        squared = Child.get("forkblock").work.blocking(self.n)
        side = type(wb.fork()).__name__
        self.path.append(side)
        return [side, Child.get(f"forkblock {side}").work.blocking(squared), self.path]

    async def seen(self) -> list[str]:
        return self.path


def forked(tell: Tell, method: Any) -> list[Any]:
    """Run one of the fork programs: the original's result, then the forks'."""
    tell("original", once(method))
    return [once(method), *sorted(fork_results("Forker"), key=str), look(Forker.get(1).seen())]


@program
def fork(tell: Tell) -> object:
    return [forked(tell, Forker.get(1).one), look(Child.get("fork1").seen())]


@program
def fork_in_a_loop(tell: Tell) -> object:
    return [forked(tell, Forker.get(1).many), [look(Child.get("forkloop", n).seen()) for n in range(3)]]


@program
def fork_nested(tell: Tell) -> object:
    return forked(tell, Forker.get(1).nested)


@program
def fork_in_flight(tell: Tell) -> object:
    return [forked(tell, Forker.get(1).in_flight), look(notes_of("flight", 2))]


@program
def fork_with_a_step(tell: Tell) -> object:
    return forked(tell, Forker.get(1).step_in_flight)


@program
def fork_with_a_step_given_up(tell: Tell) -> object:
    return forked(tell, Forker.get(1).step_given_up)


@program
def fork_in_a_blocking_method(tell: Tell) -> object:
    return forked(tell, Forker.get(1).blocking)


# ---- deadlocks, cancelling, chains ------------------------------------------------------------------------------


@wb.agent
class Ring:
    def __init__(self, n: int) -> None:
        self.n = n
        self.said: list[str] = []

    async def itself(self) -> str:
        try:
            await Ring.get(self.n).around(1)
        except wb.DeadlockError as error:
            self.said.append(f"cycle of {len(error.cycle)}")
        return self.said[-1]

    async def around(self, size: int) -> list[Any]:
        try:
            return [self.n, await Ring.get((self.n + 1) % size).around(size)]
        except wb.DeadlockError as error:
            self.said.append(f"cycle of {len(error.cycle)}")
            return [self.n, self.said[-1]]


@program
def deadlock(tell: Tell) -> object:
    tell("itself", once(Ring.get(7).itself))
    tell("two", once(Ring.get(0).around, 2))
    return [once(Ring.get(7).itself), once(Ring.get(0).around, 2), once(Ring.get(0).around, 3)]


@wb.agent
class Canceller:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def drop(self) -> list[Any]:
        busy = asyncio.ensure_future(Child.get("cancel").nap(5, 1))
        queued = asyncio.ensure_future(Child.get("cancel").nap(5, 2))
        await asyncio.sleep(1)
        queued.cancel()
        busy.cancel()
        outcomes = await asyncio.gather(busy, queued, return_exceptions=True)
        self.seen += [type(o).__name__ for o in outcomes]
        left = asyncio.ensure_future(Child.get("cancel2").nap(1, 3))
        await asyncio.sleep(0)
        return [self.seen, left.done()]

    async def limited(self) -> list[Any]:
        try:
            await Child.get("cancel3").nap.with_options(timeout=1)(30, 4)
        except TimeoutError:
            self.seen.append("limit")
        return [self.seen[-1:]]


@program
def cancelled_calls(tell: Tell) -> object:
    tell("drop", once(Canceller.get().drop))
    wb.run(wb.session().at_rest())
    tell("limited", once(Canceller.get().limited))
    wb.run(wb.session().at_rest())
    return [
        once(Canceller.get().drop),
        once(Canceller.get().limited),
        *(look(Child.get(n).seen()) for n in ("cancel", "cancel2", "cancel3")),
    ]


@wb.agent
class Link:
    def __init__(self, depth: int) -> None:
        self.depth, self.calls = depth, 0

    async def down(self, to: int) -> list[int]:
        self.calls += 1
        if self.depth == to:
            return [self.depth]
        below = await Link.get(self.depth + 1).down(to)
        return [self.depth, *below]

    async def keyed(self, key: str) -> list[int]:
        return await Link.get(100).down.with_options(key=key)(100)

    async def count(self) -> int:
        return self.calls


@program
def chain(tell: Tell) -> object:
    tell("down", once(Link.get(0).down, 5))
    return [once(Link.get(0).down, 5), [look(Link.get(n).count()) for n in range(6)]]


@program
def equal_keys_join(tell: Tell) -> object:
    tell("keyed", once(Link.get(1).keyed, "k"))
    return [once(Link.get(1).keyed, "k"), once(Link.get(2).keyed, "k"), look(Link.get(100).count())]


import tests.replay.lives  # noqa: E402 - the second part of the corpus, which builds on what stands above
import tests.replay.tries  # noqa: E402, F401 - the third part
