# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103 - a program's name says what it does
"""The third part of the corpus: steps that are tried again, atomic regions, transactions. See `tests.replay.corpus`."""

from __future__ import annotations

import asyncio
from typing import Any

import workbench as wb
from tests.replay.corpus import Child, Tell, double, double_later, fork_results, look, once, program
from workbench.testing import effects, note_effect


def unreliable(name: str, failures: int) -> str:
    """Fail so many times, in whichever process, and then do it."""
    note_effect(f"try {name}")
    path = effects._path
    tried = 0 if path is None else effects.read_effects(path).count(f"try {name}")
    if tried <= failures:
        raise OSError(f"{name} is not there yet")
    return f"did {name}"


async def unreliable_later(name: str, failures: int) -> str:
    await asyncio.sleep(0)
    return unreliable(name, failures)


PATIENT = wb.Retry(attempts=20, when=OSError)


@wb.agent
class Tries:
    def __init__(self) -> None:
        self.done: list[Any] = []

    async def again(self) -> list[Any]:
        self.done.append(await wb.step(unreliable, "thread", 2, retry=PATIENT))
        self.done.append(await wb.step(unreliable_later, "loop", 1, retry=PATIENT))
        try:
            await wb.step(unreliable, "never", 99, retry=2)
        except OSError:
            self.done.append("gave up")
        return self.done

    async def forks(self) -> list[str]:
        work = asyncio.ensure_future(wb.step(unreliable, "fork", 1, retry=PATIENT))
        await asyncio.sleep(0.05)
        side = type(wb.fork()).__name__
        return [side, await work]


@program
def step_retried(tell: Tell) -> object:
    tell("again", once(Tries.get().again))
    return once(Tries.get().again)


@program
def fork_between_tries(tell: Tell) -> object:
    tell("original", once(Tries.get().forks))
    return [once(Tries.get().forks), *fork_results("Tries")]


@wb.agent
class RegionKeeper:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def complete(self, promise: wb.PromiseId, value: int) -> None:
        self.asked = sorted([*self.asked, value])
        wb.complete_promise_json(promise, await wb.step(double, value))

    async def seen(self) -> list[int]:
        return self.asked


@wb.agent
class Regions:
    def __init__(self) -> None:
        self.notes: list[str] = []

    async def transfer(self) -> list[Any]:
        before = await wb.step(double, 1)
        async with wb.atomically():
            self.notes.append("in")
            debit = await wb.step(double, 2)
            called = await Child.get("region").work(3)
            Child.get("region").work.trigger(4)
            async with wb.atomically():
                credit = await wb.step(double_later, 5)
            await asyncio.sleep(1)
            self.notes.append("out")
        after = await wb.step(double, 6)
        return [before, debit, called, credit, after, self.notes, len(str(wb.uuid4()))]

    def plain(self) -> list[Any]:
        with wb.atomically():
            first = Child.get("region2").work.blocking(2)
            second = Child.get("region2").work.blocking(first)
        return [first, second]

    async def tasks(self) -> list[Any]:
        beside = asyncio.ensure_future(Child.get("region3").nap(1, 7))
        await asyncio.sleep(0)
        both = await asyncio.gather(self._one(8), self._one(9))
        return [await beside, *both]

    async def first_wins(self) -> list[Any]:
        promise = wb.create_promise()
        async with wb.atomically():
            seen: list[Any] = [wb.promise_state(promise)]
            if wb.complete_promise_json(promise, 1):
                seen.append(await wb.step(double, 10))
            seen += [wb.complete_promise_json(promise, 2), wb.promise_state(promise)]
        return [*seen, await wb.await_promise_json(promise)]

    async def many(self) -> list[Any]:
        lock = asyncio.Lock()
        holder = asyncio.ensure_future(self._holder(lock))
        await asyncio.sleep(0)
        beside = asyncio.ensure_future(self._lane(11, 3))
        early = Child.get("region4").work.schedule(1000, 98)
        async with wb.atomically():
            late = Child.get("region4").work.schedule(1000, 99)
            gone = [early.cancel()]
            lanes = await asyncio.gather(self._lane(12, 2), self._lane(13, 1))
            gone += [early.cancel(), late.cancel(), late.cancel()]
            async with lock:
                end = await wb.step(double, 14)
        return [await beside, *lanes, end, *gone, await holder]

    async def _lane(self, x: int, seconds: int) -> list[Any]:
        await asyncio.sleep(seconds)
        first = await wb.step(double, x)
        promise = wb.create_promise()
        RegionKeeper.get().complete.trigger(promise, x)
        second = await wb.await_promise_json(promise)
        return [first, second, await Child.new_phantom("region4").work(x), await wb.step(double, first)]

    async def _holder(self, lock: asyncio.Lock) -> int:
        async with lock:
            await asyncio.sleep(4)
            held = await Child.get("region4").work(await wb.step(double, 15))
        return held + await wb.step(double, 16)

    async def _one(self, x: int) -> int:
        async with wb.atomically():
            await asyncio.sleep(2)
            return await Child.get("region3").work(await wb.step(double, x))


@program
def atomic_region(tell: Tell) -> object:
    tell("transfer", once(Regions.get().transfer))
    return [once(Regions.get().transfer), look(Child.get("region").seen())]


@program
def atomic_region_blocking(tell: Tell) -> object:
    tell("plain", once(Regions.get().plain))
    return [once(Regions.get().plain), look(Child.get("region2").seen())]


@program
def atomic_regions_of_tasks(tell: Tell) -> object:
    tell("tasks", once(Regions.get().tasks))
    return [once(Regions.get().tasks), look(Child.get("region3").seen())]


@program
def atomic_region_completes(tell: Tell) -> object:
    tell("completes", once(Regions.get().first_wins))
    return once(Regions.get().first_wins)


@program
def atomic_region_of_many(tell: Tell) -> object:
    tell("many", once(Regions.get().many))
    return [once(Regions.get().many), look(RegionKeeper.get().seen()), look(Child.get("region4").seen())]


def book(what: str, round_: int) -> str:
    note_effect(f"book {what} {round_}")
    if what == "car" and round_ < 3:
        raise LookupError("no car left")
    return f"{what} {round_}"


def unbook(ticket: str, what: str, round_: int) -> None:
    assert ticket == f"{what} {round_}"
    note_effect(f"unbook {ticket}")


booking = wb.operation(book, unbook, retry=1)


@wb.agent
class Journey:
    def __init__(self) -> None:
        self.rounds = 0

    async def once(self) -> list[str]:
        try:
            await wb.fallible_transaction(self._book)
        except LookupError as error:
            return [error.message, str(self.rounds)]
        return []

    async def until_done(self) -> list[str]:
        booked: list[str] = await wb.infallible_transaction(self._book)
        return booked

    async def _book(self, tx: wb.Transaction) -> list[str]:
        self.rounds += 1
        seat = wb.operation(Child.get("seat").work, Child.get("seat").nap)
        return [
            await tx.execute(booking, "flight", self.rounds),
            str(await tx.execute(seat, self.rounds)),
            await tx.execute(booking, "car", self.rounds),
        ]


@program
def fallible_transaction(tell: Tell) -> object:
    tell("once", once(Journey.get().once))
    return [once(Journey.get().once), look(Child.get("seat").seen())]


@program
def infallible_transaction(tell: Tell) -> object:
    tell("done", once(Journey.get().until_done))
    return [once(Journey.get().until_done), look(Child.get("seat").seen())]
