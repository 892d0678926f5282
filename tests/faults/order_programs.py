# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103 - what the steps do
"""Programs whose children may end in any order; see `workbench.testing` for what a program is."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import workbench as wb
from tests.replay.corpus import Program, Tell, once
from workbench.testing import note_effect

SIZES = range(2, 7)
PROGRAMS: dict[tuple[str, int], Program] = {}


@wb.agent
class Part:
    """One of several that end in some order, and remembers what it was asked."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.asked: list[int] = []

    async def work(self, x: int) -> int:
        self.asked.append(x)
        return 10 * self.n + x

    async def nap(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return self.n

    async def fail(self) -> int:
        raise ValueError(str(self.n))

    async def act(self) -> str:
        return str(await wb.step(act, self.n))

    async def complete(self, pid: wb.PromiseId) -> bool:
        return wb.complete_promise(pid, str(self.n))


def act(n: int) -> str:
    note_effect(f"act {n}")
    return f"did {n}"


@wb.agent
class Whole:
    """Waits for parts in each of the ways there are, and remembers in which order they came."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    async def _noted(self, call: Any) -> Any:
        outcome = await call
        self.came.append(outcome)
        return outcome

    async def join(self, n: int) -> list[int]:
        return await wb.join([self._noted(Part.get(k).work(1)) for k in range(n)])

    async def gather(self, n: int) -> list[int]:
        return list(await asyncio.gather(*(Part.get(k).work(2) for k in range(n))))

    async def as_completed(self, n: int) -> list[int]:
        async for value in wb.as_completed([Part.get(k).work(3) for k in range(n)]):
            self.came.append(value)
        return sorted(self.came)

    async def race(self, n: int) -> int:
        return await wb.race([Part.get(k).work(4) for k in range(n)])

    async def race_ok(self, n: int) -> int:
        return await wb.race_ok([Part.get(0).fail(), *(Part.get(k).work(5) for k in range(1, n))])

    async def try_join(self, n: int) -> str:
        try:
            await wb.try_join([Part.get(k).fail() if k % 2 else Part.get(k).work(6) for k in range(n)])
        except ValueError as error:
            return str(error.message)
        return "none"

    async def bounded(self, n: int) -> list[int]:
        return await wb.bounded(lambda k: self._noted(Part.get(k).work(7)), range(n), limit=2)

    async def steps(self, n: int) -> list[str]:
        return await wb.join([self._noted(wb.step(act, k)) for k in range(n)])

    async def timers(self, n: int) -> list[int]:
        return await wb.join([self._noted(asyncio.sleep(1 + k % 2, k)) for k in range(n)])

    async def one_queue(self, n: int) -> list[int]:
        """All ask the same part, which takes one after the other."""
        return await wb.join([Part.get(0).work(k) for k in range(n)])

    async def timeout(self, n: int) -> int:
        """Some come before a timeout, which may be at any time."""
        try:
            async with asyncio.timeout(5):
                await wb.join([self._noted(Part.get(k).work(8)) for k in range(n)])
        except TimeoutError:
            return len(self.came)
        return -1

    async def promises(self, n: int) -> list[Any]:
        """Several complete one promise; the first stands, and each hears whether it was."""
        pid = wb.create_promise()
        *answers, payload = await wb.join(
            [*(Part.get(k).complete(pid) for k in range(n)), self._noted(wb.await_promise(pid))]
        )
        return [answers.count(True), answers.index(True) == int(payload)]

    async def forks(self, n: int) -> list[Any]:
        """A fork with calls, a step and a timer in flight."""
        waits = [asyncio.ensure_future(Part.get(k).work(9)) for k in range(n - 1)]
        waits.append(asyncio.ensure_future(wb.step(act, n)))
        side = type(wb.fork()).__name__
        for wait in waits:
            await self._noted(wait)
        return [side, *self.came]

    async def mixed(self, n: int) -> list[Any]:
        """A call, a step, a timer, a call that naps, and so on."""
        kinds = itertools.cycle(
            [
                lambda k: Part.get(k).work(10),
                lambda k: wb.step(act, k),
                lambda k: asyncio.sleep(1, k),
                lambda k: Part.get(k).nap(1),
            ]
        )
        return await wb.join([self._noted(kind(k)) for k, kind in zip(range(n), kinds, strict=False)])


def _program(name: str, size: int) -> Program:
    def run(tell: Tell) -> object:
        result = once(getattr(Whole.get(), name), size)
        if name == "forks":
            session = wb.session()
            wb.run(session.at_rest())
            forked = [a.agent_id for a in session.agents() if a.forked_from]
            result = [result, *(wb.run(session.result(agent)) for agent in forked)]
        return result

    run.__name__ = run.__qualname__ = f"{name}_{size}"
    return run


NAMES = [
    "join",
    "gather",
    "as_completed",
    "race",
    "race_ok",
    "try_join",
    "bounded",
    "steps",
    "timers",
    "one_queue",
    "timeout",
    "promises",
    "forks",
    "mixed",
]
for _name, _size in itertools.product(NAMES, SIZES):
    PROGRAMS[_name, _size] = _program(_name, _size)
globals().update({each.__name__: each for each in PROGRAMS.values()})
