# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103 - a program's name says what it does
"""Programs of the corpus about the lives of agents: deleted, interrupted, reverted, forked at an index, scheduled.

An agent, the director, does it all: what a cell does by such a verb is done again when the cell is run again.
"""

from __future__ import annotations

import asyncio
from typing import Any

import workbench as wb
from tests.replay.corpus import Tell, forks_of, look, once, program


@wb.agent
class Actor:
    """Counts, waits, and says what became of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.heard: list[str] = []

    def add(self, n: int) -> int:
        self.total += n
        return self.total

    def state(self) -> list[Any]:
        return [self.total, self.heard]

    async def hold(self, promise: wb.PromiseId) -> int:
        self.heard.append((await wb.await_promise(promise)).decode())
        self.total += 100
        return self.total

    async def nap(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        self.total += 1
        return self.total

    async def spawn(self, count: int, promise: wb.PromiseId) -> int:
        for i in range(count):
            Actor.get(f"{self.name}/{i}").hold.trigger(promise)
        return count


@wb.agent(ephemeral=True)
class Extra:
    """New for each call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    def speak(self, line: str) -> str:
        self.calls += 1
        return f"{self.name} {self.calls}: {line}"


@wb.agent(snapshot_every=2)
class Diarist:
    """Keeps a diary, of which snapshots are made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pages: list[str] = []

    async def write(self, page: str) -> int:
        await asyncio.sleep(0.5)
        self.pages.append(f"{page} {wb.random():.3f}"[: len(page)])
        return len(self.pages)

    def read(self) -> list[str]:
        return self.pages


async def outcome(call: Any) -> str:
    """What a call comes to, as text."""
    try:
        return str(await call)
    except wb.WorkbenchError as error:
        return type(error).__name__


@wb.agent
class Director:
    """Plays the scenes."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def deletes(self) -> list[Any]:
        actor, promise = Actor.get("d"), wb.create_promise()
        await actor.add(5)
        held = asyncio.create_task(outcome(actor.hold(promise)))
        queued = asyncio.create_task(outcome(actor.add.with_options(key="q")(1)))
        await asyncio.sleep(1)
        gone = await actor.delete()
        again = await actor.add(1)
        twice = await outcome(Actor.get("nobody").delete())
        return [await held, await queued, gone, again, twice]

    async def deletes_a_family(self) -> list[Any]:
        promise = wb.create_promise()
        await Actor.get("f").spawn(3, promise)
        fork = await Actor.get("f").fork(at=2)
        gone = await Actor.get("f").delete(children=True)
        wb.complete_promise(promise, b"late")
        return [gone, await fork.add(1), await Actor.get("f/0").state()]

    async def interrupts(self) -> list[Any]:
        actor, promise = Actor.get("i"), wb.create_promise()
        held = asyncio.create_task(outcome(actor.hold(promise)))
        await asyncio.sleep(1)
        first = await actor.interrupt()
        second = await actor.interrupt()
        wb.complete_promise(promise, b"woken")
        napping = asyncio.create_task(outcome(actor.nap(30)))
        await asyncio.sleep(1)
        await actor.interrupt()
        await asyncio.sleep(60)
        resumed = await actor.resume()
        return [first, second, await held, await napping, resumed, await actor.state()]

    async def reverts(self) -> list[Any]:
        actor = Actor.get("r")
        for n in (1, 2, 3, 4):
            await actor.add.with_options(key=f"k{n}")(n)
        kept = await actor.revert(invocations=2)
        refused = await outcome(actor.revert(to=1))
        joined = await actor.add.with_options(key="k2")(2)
        anew = await actor.add.with_options(key="k3")(30)
        to = await actor.revert(to=4)
        return [kept, refused, joined, anew, to, await actor.state()]

    async def reverts_into(self) -> list[Any]:
        actor, promise = Actor.get("m"), wb.create_promise()
        await actor.add(1)
        held = asyncio.create_task(outcome(actor.hold(promise)))
        await asyncio.sleep(1)
        wb.complete_promise(promise, b"x")
        before = await held
        await actor.revert(to=5)
        await asyncio.sleep(1)
        return [before, await actor.state()]

    async def forks(self) -> list[Any]:
        actor, promise = Actor.get("k"), wb.create_promise()
        await actor.add(1)
        held = asyncio.create_task(outcome(actor.hold(promise)))
        await asyncio.sleep(1)
        early = await actor.fork(at=3)
        inside = await actor.fork(at=5)
        wb.complete_promise(promise, b"x")
        await asyncio.sleep(1)
        await actor.delete()
        return [await held, await early.state(), await inside.state(), await inside.add(1)]

    async def schedules(self) -> list[Any]:
        actor = Actor.get("s")
        actor.add.schedule(10, 1)
        dropped = actor.add.schedule(20, 10)
        actor.add.with_options(key="later").schedule(30, 100)
        Actor.get("gone").add.schedule(40, 1)
        await asyncio.sleep(15)
        cancelled = [dropped.cancel(), dropped.cancel()]
        await Actor.get("gone").add(7)
        await Actor.get("gone").delete()
        await asyncio.sleep(60)
        return [cancelled, await actor.state(), await Actor.get("gone").state()]

    async def extras(self) -> list[Any]:
        speak = Extra.get("x").speak
        keyed = speak.with_options(key="same")
        return list(await wb.join([speak("a"), speak("b"), keyed("c"), keyed("d")]))

    async def diary(self) -> list[Any]:
        diarist = Diarist.get("d")
        for page in ("one", "two", "three", "four", "five"):
            await diarist.write(page)
        fork = await diarist.fork(at=8)
        await fork.write("other")
        return [await diarist.read(), await fork.read()]


@program
def deleted(tell: Tell) -> object:
    tell("deleted", result := once(Director.get("d").deletes))
    return [result, look(Actor.get("d").state())]


@program
def deleted_with_children(tell: Tell) -> object:
    tell("family", result := once(Director.get("f").deletes_a_family))
    return result


@program
def interrupted(tell: Tell) -> object:
    tell("interrupted", result := once(Director.get("i").interrupts))
    return [result, look(Actor.get("i").state())]


@program
def reverted(tell: Tell) -> object:
    tell("reverted", result := once(Director.get("r").reverts))
    return [result, look(Actor.get("r").state())]


@program
def reverted_into_an_invocation(tell: Tell) -> object:
    tell("into", result := once(Director.get("m").reverts_into))
    return [result, look(Actor.get("m").state())]


@program
def index_forked(tell: Tell) -> object:
    tell("forks", result := once(Director.get("k").forks))
    return [result, len(forks_of("Actor"))]


@program
def scheduled(tell: Tell) -> object:
    tell("schedules", result := once(Director.get("s").schedules))
    return [result, look(Actor.get("s").state())]


@program
def ephemeral(tell: Tell) -> object:
    tell("extras", result := once(Director.get("x").extras))
    return result


@program
def snapshots(tell: Tell) -> object:
    tell("diary", result := once(Director.get("y").diary))
    return [result, look(Diarist.get("d").read())]
