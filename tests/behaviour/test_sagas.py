# ruff: noqa: D103 - the functions that operations run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Sagas: what is undone when, in which order, what the caller hears, and that a crash anywhere changes none of it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, until
from workbench.model import entries as e

done: list[str] = []
faults: dict[str, int] = {}
gates: dict[str, threading.Event] = {}


@pytest.fixture(autouse=True)
def forget() -> None:
    done.clear()
    faults.clear()
    gates.clear()


def act(name: str) -> str:
    """An effect that fails as often as the test says, and stands still where it has put a gate."""
    done.append(name)
    if name in gates:
        gates[name].wait(PATIENCE)
    return settle(name)


def settle(name: str) -> str:
    if faults.get(name, 0):
        faults[name] -= 1
        raise ValueError(f"{name} failed")
    return f"ticket of {name}"


async def act_async(name: str) -> str:
    """The same on the session's loop; one that stands still does so until it is cancelled."""
    done.append(name)
    if name in gates:
        await asyncio.Event().wait()
    return settle(name)


def book(what: str) -> str:
    return act(f"book {what}")


def cancel(ticket: str, what: str) -> None:
    assert ticket == f"ticket of book {what}"
    act(f"cancel {what}")


async def book_async(what: str) -> str:
    return await act_async(f"book {what}")


async def cancel_async(ticket: str, what: str) -> None:
    assert ticket == f"ticket of book {what}"
    await act_async(f"cancel {what}")


booking = wb.operation(book, cancel, retry=1)
booking_async = wb.operation(book_async, cancel_async, retry=1)


@wb.agent
class Desk:
    """An agent that books for others."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def book(self, what: str) -> str:
        self.log.append(f"book {what}")
        if what == "moon":
            raise ValueError("no such place")
        return f"ticket of {what}"

    async def cancel(self, ticket: str, what: str) -> None:
        self.log.append(f"cancel {what} ({ticket})")

    async def seen(self) -> list[str]:
        return self.log


@wb.agent
class Trip:
    """Transactions of the tests."""

    async def fallible(self) -> Any:
        return await wb.fallible_transaction(self._both)

    async def infallible(self, attempts: int | None = None) -> Any:
        return await wb.infallible_transaction(self._both, attempts=attempts)

    async def _both(self, tx: wb.Transaction) -> list[str]:
        return [
            await tx.execute(booking, "flight"),
            await tx.execute(booking_async, "hotel"),
            await tx.execute(booking, "car"),
        ]

    async def any(self, function: int) -> Any:
        return await wb.fallible_transaction(functions[function])


functions: list[Callable[[wb.Transaction], Awaitable[Any]]] = []


def transaction(function: Callable[[wb.Transaction], Awaitable[Any]]) -> Any:
    """Run a transaction of the test's own in an agent."""
    functions[:] = [function]
    return wb.run(Trip.get().any(0), PATIENCE)


TICKETS = ["ticket of book flight", "ticket of book hotel", "ticket of book car"]


# ---- fallible --------------------------------------------------------------------------------------------------------


def test_all_that_succeeds_stays(either: wb.Session) -> None:
    """A transaction that succeeds undoes nothing, and gives its function's result."""
    assert wb.run(Trip.get().fallible(), PATIENCE) == TICKETS
    assert done == ["book flight", "book hotel", "book car"]


def test_a_failure_undoes_what_succeeded(either: wb.Session) -> None:
    """When an operation fails those before it are undone, the last first; the error is the original."""
    faults["book car"] = 1
    with pytest.raises(ValueError, match="book car failed"):
        wb.run(Trip.get().fallible(), PATIENCE)
    assert done == ["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]


def test_any_error_undoes(session: wb.Session) -> None:
    """Not only operations fail: an error of the function's own does the same."""

    async def own(tx: wb.Transaction) -> None:
        await tx.execute(booking, "flight")
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        transaction(own)
    assert done == ["book flight", "cancel flight"]


def test_nothing_done_nothing_undone(session: wb.Session) -> None:
    """A transaction whose first operation fails undoes nothing."""
    faults["book flight"] = 1
    with pytest.raises(ValueError, match="book flight failed"):
        wb.run(Trip.get().fallible(), PATIENCE)
    assert done == ["book flight"]


def test_a_caught_error_is_none(session: wb.Session) -> None:
    """A function that catches an operation's error goes on, and keeps what it did."""
    faults["book flight"] = 1

    async def otherwise(tx: wb.Transaction) -> str:
        try:
            return await tx.execute(booking, "flight")
        except ValueError:
            return await tx.execute(booking, "train")

    assert transaction(otherwise) == "ticket of book train"
    assert done == ["book flight", "book train"]


def test_agents_do_operations_too(session: wb.Session) -> None:
    """A method of an agent's client does or undoes like a function, by a call."""
    desk = wb.operation(Desk.get().book, Desk.get().cancel)

    async def moon(tx: wb.Transaction) -> None:
        await tx.execute(desk, "paris")
        await tx.execute(desk, what="rome")
        await tx.execute(desk, "moon")

    with pytest.raises(ValueError, match="no such place"):
        transaction(moon)
    log = ["book paris", "book rome", "book moon", "cancel rome (ticket of rome)", "cancel paris (ticket of paris)"]
    assert wb.run(Desk.get().seen()) == log


def test_several_at_once(session: wb.Session) -> None:
    """Operations may be under way together; one that succeeds after the failure is undone as well."""
    gates["book hotel"] = threading.Event()
    faults["book car"] = 1

    async def together(tx: wb.Transaction) -> None:
        await wb.try_join([tx.execute(booking, "hotel"), tx.execute(booking, "car")])

    functions[:] = [together]
    Trip.get().any.trigger(0)
    until(lambda: {"book hotel", "book car"} <= set(done))
    gates["book hotel"].set()
    with pytest.raises(ValueError, match="book car failed"):
        wb.run(session.result("Trip()"), PATIENCE)
    assert sorted(done) == ["book car", "book hotel", "cancel hotel"]


def test_a_cancelled_transaction_is_undone(session: wb.Session) -> None:
    """A time limit around a transaction undoes what it did, what was under way included."""
    waiting = wb.operation(wait_long, cancel)

    async def slow(tx: wb.Transaction) -> None:
        await tx.execute(booking, "flight")
        await tx.execute(waiting, "hotel")

    @wb.agent
    class Hasty:
        async def run(self) -> str:
            try:
                async with asyncio.timeout(5):
                    await wb.fallible_transaction(slow)
            except TimeoutError:
                return "too slow"
            return "nothing"

    gates["book hotel"] = threading.Event()
    Hasty.get().run.trigger()
    until(lambda: "book hotel" in done)
    thread = session.thread
    thread.ask(lambda: thread.timers.fire_due(thread.clock.wall() + 10**10)).result()  # ten seconds pass
    gates["book hotel"].set()
    assert wb.run(session.result("Hasty()"), PATIENCE) == "too slow"
    assert done == ["book flight", "book hotel", "cancel hotel", "cancel flight"]


def test_an_undoing_that_is_cancelled_undoes_all(session: wb.Session) -> None:
    """Whoever gives up a transaction while it undoes waits until all is undone."""
    promises: list[wb.PromiseId] = []

    async def undo(_: str, what: str) -> None:
        if what == "car":
            wb.complete_promise(promises[0], b"it undoes")
            await wb.await_promise(promises[1])
        done.append(f"cancel {what}")

    patient = wb.operation(book, undo, retry=1)

    async def fails(tx: wb.Transaction) -> None:
        await tx.execute(patient, "flight")
        await tx.execute(patient, "car")
        raise ValueError("full")

    @wb.agent
    class Impatient:
        async def run(self) -> str:
            promises[:] = [wb.create_promise(), wb.create_promise()]
            task = asyncio.create_task(wb.fallible_transaction(fails))
            await wb.await_promise(promises[0])
            task.cancel()
            await asyncio.sleep(0)
            wb.complete_promise(promises[1], b"go on")
            try:
                await task
            except asyncio.CancelledError:
                return "given up"
            return "nothing"

    assert wb.run(Impatient.get().run(), PATIENCE) == "given up"
    assert done == ["book flight", "book car", "cancel car", "cancel flight"]
    session.simulate_crash()
    assert wb.run(Impatient.get().status()) == "idle"


def wait_long(what: str) -> str:
    return book(what)


def test_a_compensation_that_fails(session: wb.Session) -> None:
    """`CompensationError` names what could not be undone, why, and what is left; the original error is its cause."""
    faults.update({"book car": 1, "cancel hotel": 1})
    caught: list[Any] = []

    async def failing(tx: wb.Transaction) -> None:
        await Trip._both(None, tx)  # type: ignore[arg-type] # it asks nothing of itself

    @wb.agent
    class Watching:
        async def run(self) -> str:
            try:
                await wb.fallible_transaction(failing)
            except wb.CompensationError as error:
                caught.append(error.__cause__)
                raise
            return "nothing"

    with pytest.raises(wb.CompensationError) as raised:
        wb.run(Watching.get().run(), PATIENCE)
    assert raised.value.what == "book_async could not be undone"
    assert "cancel_async raised InvocationError" in raised.value.why
    assert "cancel hotel failed" in raised.value.why
    assert "book car failed" in raised.value.why
    assert raised.value.do == "undo by hand, in this order: book_async, book"
    assert isinstance(caught[0], ValueError)
    assert done[-1] == "cancel hotel"


def test_compensations_are_tried_again(session: wb.Session) -> None:
    """A compensation is a step: it is tried three times by default before it counts as failed."""
    tough = wb.operation(book, cancel)
    faults.update({"cancel flight": 2})

    async def own(tx: wb.Transaction) -> None:
        await tx.execute(tough, "flight")
        raise LookupError

    with pytest.raises(LookupError):
        transaction(own)
    assert done == ["book flight", *["cancel flight"] * 3]


def test_wrong_use(session: wb.Session) -> None:
    """What is no operation, a transaction that is over, and a cell are refused with words."""
    with pytest.raises(wb.AgentTypeError, match="no function"):
        wb.operation(book, "cancel")  # type: ignore[arg-type]
    kept: list[wb.Transaction] = []

    async def keep(tx: wb.Transaction) -> None:
        kept.append(tx)
        with pytest.raises(wb.AgentTypeError, match="no operation"):
            await tx.execute(book, "flight")  # type: ignore[arg-type]

    transaction(keep)

    async def late(tx: wb.Transaction) -> None:
        with pytest.raises(wb.AgentTypeError, match="transaction that is over"):
            await kept[0].execute(booking, "flight")

    functions[:] = [late]
    wb.run(Trip.new_phantom().any(0), PATIENCE)
    with pytest.raises(wb.NotInAgentError):
        wb.run(wb.fallible_transaction(keep))
    with pytest.raises(wb.NotInAgentError):
        wb.run(wb.infallible_transaction(keep))
    functions[:] = [keep]


# ---- infallible ------------------------------------------------------------------------------------------------------


def test_tried_until_it_succeeds(either: wb.Session) -> None:
    """An infallible transaction undoes and tries again, after waits like those of a step, until it succeeds."""
    faults["book car"] = 6
    assert wb.run(Trip.get().infallible(), PATIENCE) == TICKETS
    assert done.count("book flight") == done.count("cancel flight") + 1 == 7
    timers = [(x.body.due - x.wall) / 1e9 for x in either._log.read() if isinstance(x.body, e.TimerSet)]
    for wait, least in zip(timers, [0.1, 0.3, 0.9, 1, 1, 1], strict=True):
        assert least <= wait <= least * 1.15 + 1e-6


def test_tried_so_often(session: wb.Session) -> None:
    """With `attempts=` the last error is raised, when all is undone."""
    faults["book car"] = 9
    with pytest.raises(ValueError, match="book car failed"):
        wb.run(Trip.get().infallible(3), PATIENCE)
    assert done.count("book car") == 3
    assert done[-2:] == ["cancel hotel", "cancel flight"]


def test_what_cannot_be_undone_ends_it(session: wb.Session) -> None:
    """A compensation that fails ends an infallible transaction too: trying again would do things twice."""
    faults.update({"book car": 1, "cancel hotel": 1})
    with pytest.raises(wb.CompensationError):
        wb.run(Trip.get().infallible(), PATIENCE)
    assert done.count("book flight") == 1


# ---- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    ["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"],
)
def test_a_crash_anywhere_goes_on_where_it_stood(either: wb.Session, at: str) -> None:
    """Only what was under way at the crash happens twice, flagged; all else once, in the same order."""
    faults["book car"] = 9
    gates[at] = threading.Event()
    Trip.get().fallible.trigger()
    until(lambda: at in done)
    gate = gates.pop(at)
    either.simulate_crash()
    gate.set()
    with pytest.raises(ValueError, match="book car failed"):
        wb.run(either.result("Trip()"), PATIENCE)
    whole = ["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]
    whole.insert(whole.index(at), at)
    assert done == whole
    flagged = [x.attempts for x in bodies(either, "Trip()", e.StepFinished) if isinstance(x, e.StepFinished)]
    assert sorted(flagged) == [1, 1, 1, 1, 2]


def test_a_crash_while_it_waits_to_try_again(either: wb.Session) -> None:
    """The wait between two tries of an infallible transaction is a durable timer."""
    faults["book car"] = 1
    Trip.get().infallible.trigger()
    until(lambda: "cancel flight" in done)
    either.simulate_crash()
    assert wb.run(either.result("Trip()"), PATIENCE) == TICKETS
    assert kinds(either, "Trip()").count("TimerSet") == 1
