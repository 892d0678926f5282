# ruff: noqa: D103 - the functions that steps and operations run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Twenty runs, each prepared on a clock that stands still, with what the five questions have to answer about it.

- why is this waiting? `session.why(agent)`
- what ran in parallel? `session.critical_path(invocation).parallel`
- where did this result come from? `session.why(value_of=invocation)`
- what differs between these forks? `session.compare(...)`
- what is the critical path? `session.critical_path(invocation)`

Simulated time stands still while a step runs, so a step that waits at the gate (`hold`) stops it for all to be looked
at, and each number in an answer is exact.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, until
from workbench.model.agent_type import registry
from workbench.questions.critical_path import CriticalPath
from workbench.questions.explanation import Why
from workbench.questions.fork_answer import ForkComparison
from workbench.testing import SimulatedClock

gate = threading.Event()
"""Whether steps that hold may go on."""
tries: list[str] = []
"""What steps did, in order."""


class Answer(NamedTuple):
    """An answer, and what it has to be."""

    question: str
    got: object
    wanted: object


class Run(NamedTuple):
    """A run that was prepared, with all that was asked about it."""

    name: str
    answers: list[Answer]


class Stage:
    """Where a run is prepared: a session in simulated time, and a file for those that come back after a restart."""

    def __init__(self, opened: Opener, folder: Path) -> None:
        self._opened, self._path = opened, folder / "run.db"
        self.session: wb.Session = opened(":memory:", clock=SimulatedClock())
        self.answers: list[Answer] = []

    def close(self) -> None:
        """End the session, as the end of a kernel does."""
        self.session.close()

    def open(self) -> None:
        """A new session on the file."""
        self.session = self._opened(self._path, clock=SimulatedClock(seed=len(self.answers)))

    def rest(self) -> None:
        """Wait until nothing goes on, and no timer is left."""
        wb.run(self.session.at_rest(), PATIENCE)

    def freeze(self) -> None:
        """Stop the time: a step is under way until the gate opens."""
        gate.clear()
        Worker.get(99).hold.trigger()
        self.until("Worker(99)", "step")

    def until(self, agent: str, kind: str, what: str = "") -> None:
        """Wait until an agent waits for something of this kind, and of this name if there is one."""

        def waits() -> bool:
            if agent not in self.session.agent_ids(agent.partition("(")[0]):
                return False
            link = self.session.why(agent).links[0]
            return link.kind == kind and what in ("", link.what)

        until(waits)

    def forks(self) -> list[str]:
        """All forks, once everything rests, in the order in which they were made."""
        self.rest()
        return [agent.agent_id for agent in self.session.agents() if agent.forked_from]

    def answer(self, question: str, got: object, wanted: object) -> None:
        """Note an answer and what it has to be."""
        self.answers.append(Answer(question, got, wanted))


# ---- what is looked at in an answer ----------------------------------------------------------------------------------


def links(found: Why) -> list[tuple[str, str, str]]:
    """Agent, kind and subject of each link."""
    return [(link.agent, link.kind, link.what) for link in found.links]


def causes(found: Why) -> list[tuple[int, str, str]]:
    """Depth, kind and subject of each cause."""
    return [(link.depth, link.kind, link.what) for link in found.links]


def segments(found: CriticalPath) -> list[tuple[str, str, float]]:
    """Agent, kind and seconds of each part that takes time."""
    return [(part.agent, part.kind, round(part.seconds, 6)) for part in found.segments if part.seconds]


def longest(found: CriticalPath) -> tuple[str, str, str]:
    """Agent, kind and subject of the part that dominates."""
    part = max(found.segments, key=lambda one: one.seconds)
    return part.agent, part.kind, part.what


def together(found: CriticalPath) -> list[tuple[float, tuple[str, ...]]]:
    """Seconds of each stretch, and who was at work in it."""
    return [(one.seconds, one.agents) for one in found.parallel]


def ends(found: ForkComparison) -> list[tuple[str, str, str, float]]:
    """Agent, how it ended, with what, and after how many seconds."""
    return [(side.agent, side.state, side.outcome, side.seconds) for side in found.sides]


def first(found: ForkComparison) -> tuple[str, list[list[tuple[str, str, str, str]]]]:
    """The first difference: its kind, and for each agent what it did there: kind, subject, value and outcome."""
    one = found.first
    assert one is not None
    return one.kind, [[(act.kind, act.what, act.value, act.outcome) for act in acts] for acts in one.acts]


# ---- the agents ------------------------------------------------------------------------------------------------------


def fetch(x: int) -> int:
    return x


def stand(x: int) -> int:
    gate.wait(PATIENCE)
    return x


def broken(x: int) -> int:
    message = f"no page {x}"
    raise OSError(message)


def flaky(failures: int) -> str:
    tries.append("flaky")
    if len(tries) <= failures:
        message = f"try {len(tries)}"
        raise OSError(message)
    return "at last"


def draw() -> int:
    tries.append("draw")
    return len(tries)


async def never() -> None:
    await asyncio.Event().wait()


def book(what: str) -> str:
    return f"ticket of {what}"


def cancel(ticket: str, what: str) -> None:
    tries.append(f"cancel {ticket}")


def pay(what: str) -> str:
    message = f"no money for {what}"
    raise ValueError(message)


Book: Final = wb.operation(book, cancel)
Pay: Final = wb.operation(pay, cancel)


@wb.agent
class Worker:
    """One of many."""

    def __init__(self, n: int = 0) -> None:
        self.n = n

    def quick(self, x: int = 0) -> int:
        return x

    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def hold(self, x: int = 0) -> int:
        return await wb.step(stand, x)

    async def read(self, x: int) -> int:
        return await wb.step(fetch, x)

    async def fail(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return await wb.step(broken, 7, retry=1)

    async def storm(self, failures: int) -> str:
        policy = wb.Retry(attempts=failures + 1, delay=1, factor=2, cap=100, jitter=0)
        return await wb.step(flaky, failures, retry=policy)

    async def hung(self) -> None:
        await wb.step(never, timeout=0.01, retry=1)

    async def wait(self, promise: wb.PromiseId) -> str:
        return (await wb.await_promise(promise)).decode()

    async def tell(self, promise: wb.PromiseId, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return wb.complete_promise(promise, f"from {self.n}".encode())

    async def pass_on(self, promise: wb.PromiseId, seconds: list[float]) -> None:
        for n, time in enumerate(seconds, self.n + 1):
            Worker.get(n).tell.trigger(promise, time)

    async def nap_and_hold(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return await wb.step(stand, 1)

    async def chance(self) -> int:
        await asyncio.sleep(2)
        return await wb.step(draw)

    async def region(self) -> list[int]:
        await asyncio.sleep(1)
        async with wb.atomically():
            one = await wb.step(draw)
            two = await wb.step(stand, one)
        return [one, two]


@wb.agent
class Boss:
    """Asks others."""

    def __init__(self, name: str = "b") -> None:
        self.name = name

    async def ring(self, other: str) -> int:
        return await Boss.get(other).ring(self.name)

    async def naps(self, times: list[float]) -> float:
        return sum(await wb.join([Worker.get(n).nap(time) for n, time in enumerate(times, 1)]))

    async def keep(self) -> bytes:
        return await wb.await_promise(wb.create_promise())

    async def leave(self) -> str:
        Worker.get(1).hold.trigger()
        return "left"

    async def racing(self) -> float:
        await asyncio.sleep(1)
        return await wb.race([Worker.get(1).hold(), Worker.get(2).quick(5), Worker.get(3).hold()])

    async def one_nap(self, n: int, seconds: float) -> float:
        return await Worker.get(n).nap(seconds)

    async def one_hold(self, n: int, seconds: float) -> int:
        return await Worker.get(n).nap_and_hold(seconds)

    async def crowd(self) -> None:
        first = Worker.get(1).nap_and_hold(4)
        await wb.join([first, Boss.get("x").one_nap(1, 5), Boss.get("y").one_nap(1, 6)])

    async def nested(self, rows: list[list[float]]) -> float:
        return sum(await wb.join([Boss.get(f"{self.name}{at}").row(at, times) for at, times in enumerate(rows)]))

    async def row(self, at: int, times: list[float]) -> float:
        return max(await wb.join([Worker.get(10 * at + n).nap(time) for n, time in enumerate(times)]))

    async def entrust(self, seconds: list[float]) -> str:
        promise = wb.create_promise()
        Worker.get(1).pass_on.trigger(promise, seconds)
        return (await wb.await_promise(promise)).decode()

    async def first_error(self) -> list[Any]:
        return await wb.try_join([Worker.get(1).nap(5), Worker.get(2).fail(2), Worker.get(3).nap(9)])

    async def trip(self, what: str) -> str:
        async def body(tx: wb.Transaction) -> str:
            await tx.execute(Book, what)
            await asyncio.sleep(3)
            return await tx.execute(Pay, what)

        return await wb.fallible_transaction(body)


@wb.agent
class Splitter:
    """Forks."""

    async def half(self) -> str:
        await Worker.get(1).nap(1)
        if isinstance(wb.fork(), wb.Original):
            await asyncio.sleep(2)
            return "fine"
        return str(await Worker.get(2).fail(3))

    async def many(self, n: int) -> str:
        for number in range(1, n + 1):
            if isinstance(wb.fork(), wb.Forked):
                await asyncio.sleep(number)
                return f"side {number}"
        return f"the one of {n}"


# ---- the runs --------------------------------------------------------------------------------------------------------

B, S = 'Boss("b")', "Splitter()"
PATH, PARALLEL = "what is the critical path?", "what ran in parallel?"
WAITING, ORIGIN, FORKS = "why is this waiting?", "where did this result come from?", "what differs between these forks?"


def failing(error: type[Exception], call: Any) -> Any:
    """Run what has to raise; the error."""
    try:
        wb.run(call, PATIENCE)
    except error as found:
        return found
    raise AssertionError(f"no {error.__name__} came")


def deadlock_refused(stage: Stage) -> None:
    """Two agents that call each other: the call that closes the ring is refused, and both ends tell why."""
    session = stage.session
    refused = failing(wb.DeadlockError, Boss.get("a").ring("c"))
    stage.answer("who waits for whom?", [agent for agent, _, _ in refused.cycle], ['Boss("a")', 'Boss("c")'])
    found = session.why(value_of=Boss.get("a"))
    stage.answer(
        ORIGIN,
        causes(found),
        [
            (0, "raised", 'Boss("a").ring'),
            (1, "raised", 'Boss("c").ring'),
            (2, "ended", 'Boss("a").ring'),
            (2, "arguments", 'Boss("a")'),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, 'first raised in Boss("c").ring' in found.sentences[0], wanted=True)
    stage.answer(ORIGIN, 'its call of Boss("a").ring, as it was refused: DeadlockError' in str(found), wanted=True)
    stage.answer(WAITING, links(session.why(Boss.get("a"))), [('Boss("a")', "idle", "ring")])


def slow_child(stage: Stage) -> None:
    """Of three children one takes seven seconds: it is waited for, and it is the path."""
    session = stage.session
    stage.freeze()
    Boss.get().naps.trigger([1.0, 7.0, 2.0])
    for n in (1, 2, 3):
        stage.until(f"Worker({n})", "timer")
    found = session.why(Boss.get())
    due = [link.what for link in found.links if link.kind == "timer"]
    stage.answer(
        WAITING,
        links(found),
        [
            *[(B, "call", f"Worker({n}).nap") for n in (1, 2, 3)],
            *[(f"Worker({n})", "timer", due[n - 1]) for n in (1, 2, 3)],
        ],
    )
    stage.answer(
        WAITING,
        found.roots,
        ["a timer of Worker(1) is due in 1.0 s", "a timer of Worker(2) is due in 7.0 s",
         "a timer of Worker(3) is due in 2.0 s"],
    )  # fmt: skip
    gate.set()
    stage.rest()
    path = session.critical_path(Boss.get())
    stage.answer(PATH, segments(path), [("Worker(2)", "timer", 7.0)])
    stage.answer(PATH, (path.agent, path.method, path.total, path.ended), (B, "naps", 7.0, True))
    workers = ("Worker(1)", "Worker(2)", "Worker(3)")
    stage.answer(PARALLEL, together(path), [(1.0, workers), (1.0, ("Worker(2)", "Worker(3)")), (5.0, ("Worker(2)",))])
    stage.answer(PARALLEL, path.most, 3)


def lost_promise(stage: Stage) -> None:
    """A promise whose id nobody was given can be completed by nobody alive, and the answer says how to rescue it."""
    session = stage.session
    Boss.get().keep.trigger()
    stage.rest()
    wb.run(Worker.get(1).nap(60), PATIENCE)
    found = session.why(Boss.get())
    [promise] = session.promises("pending")
    stage.answer(WAITING, links(found), [(B, "orphan", str(promise.promise_id))])
    stage.answer(WAITING, (found.links[0].can_complete, found.links[0].held_by), ((), (B,)))
    stage.answer(WAITING, [(link.root, link.seconds) for link in found.links], [(True, 60.0)])
    do = f"complete it from a cell: wb.complete_promise(wb.PromiseId.parse('{promise.promise_id}'), b'...')"
    because = "nobody alive can complete it (its id was given to nobody else)"
    stage.answer(WAITING, found.roots, [f"promise {promise.promise_id}: {because}; {do}"])
    path = session.critical_path(Boss.get())
    stage.answer(PATH, (segments(path), path.ended), ([(B, "promise", 60.0)], False))


def leaked_child(stage: Stage) -> None:
    """A child that was triggered works on though its parent is done: both say that nobody waits for it."""
    session = stage.session
    gate.clear()
    wb.run(Boss.get().leave(), PATIENCE)
    stage.until("Worker(1)", "step")
    found = session.why(Boss.get())
    stage.answer(WAITING, links(found), [(B, "idle", "leave"), (B, "leaked", "")])
    stage.answer(WAITING, found.links[1].to, ("Worker(1)",))
    child = session.why("Worker(1)")
    stage.answer(WAITING, links(child), [("Worker(1)", "step", "stand"), ("Worker(1)", "leaked", B)])
    stage.answer(WAITING, child.roots, ["step stand of Worker(1) has run for 0 s"])
    path = session.critical_path(Boss.get())
    stage.answer(PATH, (segments(path), path.total, path.ended), ([], 0.0, True))


def failed_fork(stage: Stage) -> None:
    """The fork calls a worker that fails, its source does not: they are told apart to the step that raised."""
    session = stage.session
    wb.run(Splitter.get().half(), PATIENCE)
    [twin] = stage.forks()
    found = session.compare(S, twin)
    stage.answer(FORKS, [(x.agent, x.source, x.inside) for x in found.forks], [(twin, S, True)])
    stage.answer(FORKS, (found.past.agent, found.past.method, found.past.cut), (S, "half", 5))
    stage.answer(
        FORKS,
        first(found),
        ("did", [[("timer", "a timer of 2.0 s", "", "")], [("call", "Worker(2).fail", "(3)", "OSError: no page 7")]]),
    )
    stage.answer(
        FORKS,
        ends(found),
        [(S, "returned", "'fine'", 2.0), (twin, "raised", "OSError: no page 7", 3.0)],
    )
    told = session.why(value_of=twin)
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "raised", f"{twin}.half"),
            (1, "raised", "Worker(2).fail"),
            (2, "step", "broken"),
            (2, "timer", ""),
            (2, "arguments", twin),
            (1, "result", "Worker(1).nap"),
            (2, "timer", ""),
            (2, "arguments", S),
            (1, "forked", S),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, "first raised by step broken of Worker(2) at " in told.sentences[0], wanted=True)
    path = session.critical_path(twin)
    stage.answer(PATH, segments(path), [("Worker(1)", "timer", 1.0), ("Worker(2)", "timer", 3.0)])
    stage.answer(PATH, longest(path), ("Worker(2)", "timer", "waits for a timer"))


def race_with_losers(stage: Stage) -> None:
    """The winner of a race is the path; the losers that had begun work on, and nobody waits for them."""
    session = stage.session
    gate.clear()
    wb.run(Boss.get().racing(), PATIENCE)
    for loser in ("Worker(1)", "Worker(3)"):
        stage.until(loser, "step")
    path = session.critical_path(Boss.get())
    stage.answer(PATH, (segments(path), path.total), ([(B, "timer", 1.0)], 1.0))
    stage.answer(PATH, [x.agent for x in path.segments], [B])
    stage.answer(
        ORIGIN,
        causes(session.why(value_of=Boss.get())),
        [
            (0, "result", f"{B}.racing"),
            (1, "result", "Worker(2).quick"),
            (2, "arguments", B),
            (1, "timer", ""),
            (1, "arguments", "a cell"),
        ],
    )
    found = session.why(Boss.get())
    stage.answer(WAITING, links(found), [(B, "idle", "racing"), (B, "leaked", "")])
    stage.answer(WAITING, found.links[1].to, ("Worker(1)", "Worker(3)"))


def retry_storm(stage: Stage) -> None:
    """A step that fails four times is tried for fifteen seconds: that is what is waited for, and the whole path."""
    session = stage.session
    stage.freeze()
    Worker.get(1).storm.trigger(4)
    stage.until("Worker(1)", "retrying")
    found = session.why("Worker(1)")
    stage.answer(WAITING, links(found), [("Worker(1)", "retrying", "flaky")])
    stage.answer(WAITING, found.roots, ["step flaky of Worker(1) is tried again in 1.0 s"])
    stage.answer(WAITING, "tried once in vain (OSError: try 1)" in str(found), wanted=True)
    gate.set()
    stage.rest()
    path = session.critical_path("Worker(1)")
    stage.answer(PATH, segments(path), [("Worker(1)", "step", 15.0)])
    told = session.why(value_of="Worker(1)")
    stage.answer(
        ORIGIN, causes(told), [(0, "result", "Worker(1).storm"), (1, "step", "flaky"), (1, "arguments", "a cell")]
    )
    stage.answer(ORIGIN, "which returned after 15.0 s, tried 5 times" in told.sentences[1], wanted=True)


def crash_in_the_middle(stage: Stage) -> None:
    """A crash in the middle loses nothing: the wait goes on, and the path and the causes are as if there was none."""
    session = stage.session
    gate.clear()
    Boss.get().one_hold.trigger(4, 3)
    stage.until("Worker(4)", "step")
    before = links(session.why(Boss.get()))
    session.simulate_crash()
    stage.until("Worker(4)", "step")
    waiting = [(B, "call", "Worker(4).nap_and_hold"), ("Worker(4)", "step", "stand")]
    stage.answer(WAITING, (before, links(session.why(Boss.get()))), (waiting, waiting))
    gate.set()
    stage.rest()
    path = session.critical_path(Boss.get())
    stage.answer(PATH, segments(path), [("Worker(4)", "timer", 3.0)])
    stage.answer(PATH, [(x.agent, x.kind) for x in path.segments], [("Worker(4)", "timer"), ("Worker(4)", "step")])
    told = session.why(value_of=Boss.get())
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "result", f"{B}.one_hold"),
            (1, "result", "Worker(4).nap_and_hold"),
            (2, "step", "stand"),
            (2, "timer", ""),
            (2, "arguments", B),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, "tried 2 times" in told.sentences[2], wanted=True)


def two_behind_one(stage: Stage) -> None:
    """Two agents queue behind one slow one: each tells behind what, and the second's time went into the queue."""
    session = stage.session
    gate.clear()
    Boss.get().crowd.trigger()
    stage.until("Worker(1)", "step")
    found = session.why(Boss.get("y"))
    stage.answer(WAITING, links(found), [('Boss("y")', "queued", "Worker(1).nap"), ("Worker(1)", "step", "stand")])
    stage.answer(WAITING, (found.links[0].count, found.links[0].seconds), (2, 4.0))
    stage.answer(WAITING, "queued there behind 2 others: nap_and_hold and nap" in found.sentences[0], wanted=True)
    stage.answer(WAITING, found.roots, ["step stand of Worker(1) has run for 0 s"])
    gate.set()
    stage.rest()
    path = session.critical_path(Boss.get("y"))
    stage.answer(PATH, segments(path), [("Worker(1)", "queued", 9.0), ("Worker(1)", "timer", 6.0)])
    stage.answer(PATH, longest(path), ("Worker(1)", "queued", "queued behind nap and nap_and_hold"))
    stage.answer(PARALLEL, together(path), [(6.0, ("Worker(1)",))])


def nested_joins(stage: Stage) -> None:
    """Joins in joins: the path goes down through the slower of each, and four are at work at the same time."""
    session = stage.session
    wb.run(Boss.get().nested([[1, 4], [2, 3]]), PATIENCE)
    path = session.critical_path(Boss.get())
    stage.answer(PATH, segments(path), [("Worker(1)", "timer", 4.0)])
    stage.answer(PATH, longest(path), ("Worker(1)", "timer", "waits for a timer"))
    stage.answer(PARALLEL, path.most, 4)
    stage.answer(
        PARALLEL,
        together(path),
        [
            (1.0, ("Worker(0)", "Worker(1)", "Worker(10)", "Worker(11)")),
            (1.0, ("Worker(1)", "Worker(10)", "Worker(11)")),
            (1.0, ("Worker(1)", "Worker(11)")),
            (1.0, ("Worker(1)",)),
        ],
    )
    found = session.why(value_of=Boss.get())
    stage.answer(
        ORIGIN,
        [(depth, kind, what) for depth, kind, what in causes(found) if kind == "result"],
        [
            (0, "result", f"{B}.nested"),
            (1, "result", 'Boss("b0").row'),
            (2, "result", "Worker(1).nap"),
            (2, "result", "Worker(0).nap"),
            (1, "result", 'Boss("b1").row'),
            (2, "result", "Worker(11).nap"),
            (2, "result", "Worker(10).nap"),
        ],
    )


def promise_by_a_third(stage: Stage) -> None:
    """A promise is completed by agents of which its maker knows nothing: the first counts, the second is ignored."""
    session = stage.session
    stage.freeze()
    Boss.get().entrust.trigger([2.0, 3.0])
    for n in (2, 3):
        stage.until(f"Worker({n})", "timer")
    found = session.why(Boss.get())
    [promise] = session.promises("pending")
    stage.answer(WAITING, links(found)[0], (B, "promise", str(promise.promise_id)))
    stage.answer(WAITING, found.links[0].can_complete, ("Worker(2)", "Worker(3)", "Worker(1)"))
    stage.answer(WAITING, found.roots, ["a timer of Worker(2) is due in 2.0 s", "a timer of Worker(3) is due in 3.0 s"])
    gate.set()
    stage.rest()
    told = session.why(value_of=Boss.get())
    which = f"promise {promise.promise_id.index} of {B}"
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "result", f"{B}.entrust"),
            (1, "completed", which),
            (2, "result", "Worker(2).tell"),
            (3, "timer", ""),
            (3, "arguments", "Worker(1)"),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, told.links[1].to, ("Worker(2)",))
    stage.answer(ORIGIN, wb.run(session.result(Boss.get().agent_id)), "from 2")
    path = session.critical_path(Boss.get())
    stage.answer(PATH, (segments(path), path.total), ([("Worker(2)", "timer", 2.0)], 2.0))
    late = session.critical_path("Worker(3)")
    stage.answer(PATH, (segments(late), late.total), ([("Worker(3)", "timer", 3.0)], 3.0))
    stage.answer(
        "what of the second?", (session.promises()[0].ignored, wb.run(session.result("Worker(3)"))), (1, False)
    )


def interrupted_agent(stage: Stage) -> None:
    """An interrupted agent stands still with what is queued; its caller was told, and its result leads there."""
    session = stage.session
    promise = wb.create_promise()
    Worker.get(1).wait.trigger(promise)
    Worker.get(1).quick.trigger()
    stage.rest()
    wb.run(Worker.get(1).interrupt(), PATIENCE)
    wb.run(Worker.get(2).nap(30), PATIENCE)
    found = session.why("Worker(1)")
    stage.answer(WAITING, links(found), [("Worker(1)", "interrupted", "")])
    stage.answer(WAITING, (found.roots, found.links[0].count), (["Worker(1) is interrupted"], 1))
    stage.answer(WAITING, found.links[0].seconds, 30.0)
    wb.run(Worker.get(1).resume(), PATIENCE)
    wb.complete_promise(promise, b"go on")
    stage.rest()
    which = f"promise {promise.index} of Session()"
    accepted = session.invocations("Worker(1)", method="wait")[0]
    told = session.why(value_of=accepted)
    stage.answer(
        ORIGIN,
        causes(told),
        [(0, "result", "Worker(1).wait"), (1, "completed", which), (1, "arguments", "a cell")],
    )
    path = session.critical_path(accepted)
    stage.answer(PATH, segments(path), [("Worker(1)", "interrupted", 30.0)])


def reverted_agent(stage: Stage) -> None:
    """After a revert the agent draws again: the time of what was reverted is told, and a fork kept the first draw."""
    session = stage.session
    tries.clear()
    wb.run(Worker.get(1).chance(), PATIENCE)
    fork = wb.run(Worker.get(1).fork(at=6), PATIENCE)
    wb.run(Worker.get(2).nap(10), PATIENCE)
    wb.run(Worker.get(1).revert(to=4), PATIENCE)
    stage.rest()
    twin = fork.agent_id.text
    found = session.compare("Worker(1)", twin)
    stage.answer(FORKS, first(found), ("given", [[("step", "draw", "", "2")], [("step", "draw", "", "1")]]))
    stage.answer(FORKS, found.past.cut, 4)
    stage.answer(FORKS, ends(found), [("Worker(1)", "returned", "2", 0.0), (twin, "returned", "1", 0.0)])
    stage.answer(FORKS, [len(side.reverts) for side in found.sides], [1, 0])
    path = session.critical_path("Worker(1)")
    stage.answer(PATH, segments(path), [("Worker(1)", "timer", 2.0), ("Worker(1)", "reverted", 10.0)])
    stage.answer(PATH, longest(path), ("Worker(1)", "reverted", "did what was reverted later"))
    stage.answer(
        ORIGIN,
        causes(session.why(value_of="Worker(1)")),
        [(0, "result", "Worker(1).chance"), (1, "step", "draw"), (1, "timer", ""), (1, "arguments", "a cell")],
    )


def scheduled_call(stage: Stage) -> None:
    """A scheduled call is told before it comes, and its result leads to the schedule."""
    session = stage.session
    stage.freeze()
    wb.run(Worker.get(1).quick(), PATIENCE)
    Worker.get(1).nap.schedule(10, 3)
    found = session.why("Worker(1)")
    stage.answer(WAITING, links(found), [("Worker(1)", "idle", "quick"), ("Worker(1)", "schedule", "nap")])
    stage.answer(WAITING, found.sentences[1].split(" (entry")[0].endswith(", in 10.0 s"), wanted=True)
    gate.set()
    stage.rest()
    told = session.why(value_of="Worker(1)")
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "result", "Worker(1).nap"),
            (1, "timer", ""),
            (1, "arguments", "a schedule"),
            (1, "remembered", ""),
        ],
    )
    path = session.critical_path("Worker(1)")
    stage.answer(PATH, (path.method, segments(path), path.total), ("nap", [("Worker(1)", "timer", 3.0)], 3.0))
    stage.answer(PATH, [part.method for part in path.segments], ["nap"])


def try_join_with_first_error(stage: Stage) -> None:
    """The first error ends a `try_join`: the path ends with it, and the others are no cause."""
    session = stage.session
    failing(OSError, Boss.get().first_error())
    stage.rest()
    path = session.critical_path(Boss.get())
    stage.answer(PATH, (segments(path), path.total), ([("Worker(2)", "timer", 2.0)], 2.0))
    stage.answer(PARALLEL, together(path), [(2.0, ("Worker(1)", "Worker(2)", "Worker(3)"))])
    told = session.why(value_of=Boss.get())
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "raised", f"{B}.first_error"),
            (1, "raised", "Worker(2).fail"),
            (2, "step", "broken"),
            (2, "timer", ""),
            (2, "arguments", B),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, "first raised by step broken of Worker(2)" in told.sentences[0], wanted=True)


async def shard(x: int) -> int:
    """What a child of the job does."""
    await asyncio.sleep(x)
    if x == 2:
        raise ValueError("no shard 2")
    return x * 10


def fan_out_with_a_failure(stage: Stage) -> None:
    """A job of four children, two at a time, collects one failure: its path is the chain of those that had to queue."""
    session = stage.session
    results = wb.run(wb.fan_out(shard, [1, 2, 3, 4], limit=2, on_error="collect", name="shards"), PATIENCE)
    stage.answer(ORIGIN, [error.message for _, error in results.failed], ["no shard 2"])
    job = 'shard("shards")'
    one, two, three, four = (agent.agent_id for agent in session.agents(parent=job))
    path = session.critical_path(job)
    stage.answer(PATH, (segments(path), path.total), ([(two, "timer", 2.0), (four, "timer", 4.0)], 6.0))
    stage.answer(PATH, longest(path), (four, "timer", "waits for a timer"))
    stage.answer(
        PARALLEL,
        together(path),
        [(1.0, (one, two)), (1.0, (two, three)), (2.0, (three, four)), (2.0, (four,))],
    )
    told = session.why(value_of=job)
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "result", f"{job}.run"),
            (1, "call", "shard.item"),
            (2, "result", f"{four}.item"),
            (3, "timer", ""),
            (3, "arguments", job),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, "was given 4 results of shard.item, 1 of them errors" in told.sentences[1], wanted=True)
    stage.answer(ORIGIN, "first raised there" in session.why(value_of=two).sentences[0], wanted=True)


def step_timeout(stage: Stage) -> None:
    """A step that does not end in time raises: the result leads to that step."""
    session = stage.session
    failing(TimeoutError, Worker.get(1).hung())
    told = session.why(value_of="Worker(1)")
    stage.answer(
        ORIGIN, causes(told), [(0, "raised", "Worker(1).hung"), (1, "step", "never"), (1, "arguments", "a cell")]
    )
    stage.answer(ORIGIN, "first raised by step never of Worker(1)" in told.sentences[0], wanted=True)
    path = session.critical_path("Worker(1)")
    stage.answer(
        PATH, [(x.agent, x.kind, x.what) for x in path.segments], [("Worker(1)", "step", "waits for step never")]
    )
    stage.answer(WAITING, links(session.why("Worker(1)")), [("Worker(1)", "idle", "hung")])


def saga_and_region(stage: Stage) -> None:
    """A trip that cannot be paid is undone; a region that a crash cut short runs again, and only that counts."""
    session = stage.session
    tries.clear()
    failing(ValueError, Boss.get().trip("moon"))
    told = session.why(value_of=Boss.get())
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "raised", f"{B}.trip"),
            (1, "step", "cancel"),
            (1, "step", "pay"),
            (1, "timer", ""),
            (1, "step", "book"),
            (1, "arguments", "a cell"),
        ],
    )
    stage.answer(ORIGIN, "first raised by step pay of" in told.sentences[0], wanted=True)
    path = session.critical_path(Boss.get())
    stage.answer(PATH, longest(path), (B, "timer", "waits for a timer"))
    tries.clear()
    gate.clear()
    Worker.get(1).region.trigger()
    stage.until("Worker(1)", "step", "stand")
    session.simulate_crash()
    stage.until("Worker(1)", "step", "stand")
    stage.answer(WAITING, links(session.why("Worker(1)")), [("Worker(1)", "step", "stand")])
    gate.set()
    stage.rest()
    stage.answer(ORIGIN, wb.run(session.result("Worker(1)")), [2, 2])
    stage.answer(
        ORIGIN,
        causes(session.why(value_of="Worker(1)")),
        [
            (0, "result", "Worker(1).region"),
            (1, "step", "stand"),
            (1, "step", "draw"),
            (1, "timer", ""),
            (1, "arguments", "a cell"),
        ],
    )
    path = session.critical_path("Worker(1)")
    stage.answer(PATH, segments(path), [("Worker(1)", "timer", 1.0)])


def many_forks(stage: Stage) -> None:
    """Three forks and their source end with four results; what each did since the first cut is told side by side."""
    session = stage.session
    wb.run(Splitter.get().many(3), PATIENCE)
    forks = stage.forks()
    found = session.compare(S, *forks)
    stage.answer(FORKS, [(x.agent, x.source, x.cut) for x in found.forks], [(f, S, n) for n, f in enumerate(forks, 3)])
    stage.answer(FORKS, (found.past.cut, found.past.method), (3, "many"))
    stage.answer(
        FORKS,
        ends(found),
        [
            (S, "returned", "'the one of 3'", 0.0),
            (forks[0], "returned", "'side 1'", 1.0),
            (forks[1], "returned", "'side 2'", 2.0),
            (forks[2], "returned", "'side 3'", 3.0),
        ],
    )
    made = [("fork", twin, "", "") for twin in forks[1:]]
    timers = [[("timer", f"a timer of {n}.0 s", "", "")] for n in (1, 2, 3)]
    stage.answer(FORKS, first(found), ("did", [made, timers[0], made[:1] + timers[1], made + timers[2]]))
    two = session.compare(forks[1], forks[2])
    stage.answer(FORKS, two.past.cut, 4)
    path = session.critical_path(forks[2])
    stage.answer(PATH, (segments(path), path.total), ([(forks[2], "timer", 3.0)], 3.0))


def class_not_defined(stage: Stage) -> None:
    """After a restart an agent without its class waits for the cell that defines it; so does who called it."""
    stage.close()
    stage.open()
    gate.clear()
    Boss.get().one_hold.trigger(4, 3)
    stage.until("Worker(4)", "step")
    stage.close()
    known = registry._types.pop("Worker")
    gate.set()
    stage.open()
    session = stage.session
    stage.rest()
    found = session.why(Boss.get())
    stage.answer(WAITING, links(found), [(B, "call", "Worker(4).nap_and_hold"), ("Worker(4)", "undefined", "Worker")])
    stage.answer(WAITING, found.roots, ["the class Worker is not defined"])
    registry.add(known)
    stage.rest()
    told = session.why(value_of=Boss.get())
    stage.answer(
        ORIGIN,
        causes(told),
        [
            (0, "result", f"{B}.one_hold"),
            (1, "result", "Worker(4).nap_and_hold"),
            (2, "step", "stand"),
            (2, "timer", ""),
            (2, "arguments", B),
            (1, "arguments", "a cell"),
        ],
    )
    path = session.critical_path(Boss.get())
    stage.answer(PATH, [(x.agent, x.kind) for x in path.segments], [("Worker(4)", "timer"), ("Worker(4)", "step")])


RUNS: Final[list[Callable[[Stage], None]]] = [
    deadlock_refused,
    slow_child,
    lost_promise,
    leaked_child,
    failed_fork,
    race_with_losers,
    retry_storm,
    crash_in_the_middle,
    two_behind_one,
    nested_joins,
    promise_by_a_third,
    interrupted_agent,
    reverted_agent,
    scheduled_call,
    try_join_with_first_error,
    fan_out_with_a_failure,
    step_timeout,
    saga_and_region,
    many_forks,
    class_not_defined,
]


def prepared(run: Callable[[Stage], None], stage: Stage) -> Run:
    """Prepare a run and ask all about it."""
    tries.clear()
    gate.set()
    run(stage)
    return Run(run.__name__, stage.answers)
