"""The agents that the workloads run: as small as they can be, so that what is measured is the workbench."""

import asyncio

from workbench.ids import PromiseId
from workbench.runtime.agent import agent
from workbench.runtime.effects import step
from workbench.runtime.forking import Forked, fork
from workbench.runtime.joins import bounded, join
from workbench.runtime.promises import await_promise, complete_promise, create_promise

CHILD_SECONDS = 0.01
"""How long a child of the crash workload works, on average: spread from half to one and a half of it."""


@agent
class BenchChild:
    """A child of a fan-out."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def process(self, item: str) -> str:
        """Answer at once."""
        return f"done {item}"

    async def report(self, promise: PromiseId) -> None:
        """Complete a promise."""
        complete_promise(promise, b"done")

    async def wait(self, promise: PromiseId) -> None:
        """Stand still until a promise is completed."""
        await await_promise(promise)

    async def do(self, item: str) -> str:
        """Answer with what a step gave."""
        result: str = await step(answer, item)
        return result

    async def work(self, file: str) -> int:
        """Leave a line in a file after a while; the line tells who ran, and how often."""
        await step(leave_mark, file, self.number)
        return self.number


async def answer(item: str) -> str:
    """A side effect without any effect."""
    return f"done {item}"


async def leave_mark(file: str, number: int) -> None:
    """The side effect of a child: one line, appended in one write."""
    await asyncio.sleep(CHILD_SECONDS * (0.5 + number * 37 % 100 / 100))
    with open(file, "ab", buffering=0) as marks:  # noqa: ASYNC230, PTH123 - one small write
        marks.write(b"%d\n" % number)


@agent
class BenchParent:
    """Who fans out, calls, and waits."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def fan_out(self, count: int) -> int:
        """Call `count` fresh children at once; how many answered rightly."""
        first = self.number * 10_000_000
        results = await join([BenchChild.get(first + i).process(f"item{i}") for i in range(count)])  # type: ignore[attr-defined]
        return sum(result == f"done item{i}" for i, result in enumerate(results))

    async def steps(self, count: int) -> int:
        """As `fan_out`, to children that do a step each."""
        first = self.number * 10_000_000
        results = await join([BenchChild.get(first + i).do(f"item{i}") for i in range(count)])  # type: ignore[attr-defined]
        return sum(result == f"done item{i}" for i, result in enumerate(results))

    async def fan_out_and_stay(self, count: int, promise: PromiseId) -> int:
        """As `fan_out`, then wait for a promise: an agent that a recovery has to rebuild."""
        right = await self.fan_out(count)
        await await_promise(promise)
        return right

    async def calls(self, count: int) -> int:
        """Call one agent again and again, each call after the answer to the one before."""
        child = BenchChild.get(self.number * 10_000_000)  # type: ignore[attr-defined]
        right = 0
        for _ in range(count):
            right += await child.process("x") == "done x"
        return right

    async def promises(self, count: int) -> int:
        """Make promises, trigger a child for each to complete it, and wait for all."""
        first = self.number * 10_000_000
        made = [create_promise() for _ in range(count)]
        for i, promise in enumerate(made):
            BenchChild.get(first + i).report.trigger(promise)  # type: ignore[attr-defined]
        payloads = await join([await_promise(promise) for promise in made])
        return payloads.count(b"done")

    async def waits(self, count: int, promise: PromiseId) -> None:
        """Have many children wait for one promise."""
        for i in range(count):
            BenchChild.get(i).wait.trigger(promise)  # type: ignore[attr-defined]

    async def works(self, count: int, limit: int, file: str) -> list[int]:
        """Fan out to children that leave marks, `limit` at a time."""
        return await bounded(lambda i: BenchChild.get(i).work(file), range(count), limit)  # type: ignore[attr-defined]


@agent
class BenchForker:
    """An agent with a history, to be forked from."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.total = 0

    async def history(self, steps: int) -> int:
        """Make a history of `steps` calls."""
        child = BenchChild.get(-1)  # type: ignore[attr-defined]
        for _ in range(steps):
            self.total += len(await child.process("x"))
        return self.total

    async def fork_off(self, count: int) -> int:
        """Fork `count` times here; each fork ends at once, with the total that it rebuilt."""
        for _ in range(count):
            if isinstance(fork(), Forked):
                return self.total
        return -self.total


@agent(snapshot_every=100)
class BenchTally:
    """An agent with a long life, which is not replayed from its beginning."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.total = 0

    async def add(self, amount: int) -> int:
        """Add to the total, and give it."""
        self.total += amount
        return self.total


@agent
class BenchWriter:
    """Makes a piece of a long log: some of it new agents, most of it more of old ones."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def write(self, children: int, calls: int, tallies: int) -> None:
        """Call so many fresh children, and make so many calls of so many tallies."""
        first = (self.number + 1) * 10_000_000
        await join(
            [
                *(BenchChild.get(first + i).process("item") for i in range(children)),  # type: ignore[attr-defined]
                *(BenchTally.get(i % tallies).add(1) for i in range(calls)),  # type: ignore[attr-defined]
            ]
        )
