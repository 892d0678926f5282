"""Floor D: the mailboxes of floor A, and four rows a call on disk, each awaited until its group is committed.

The rows are *sent*, *invoked*, *done*, *result*: agent, index, kind, payload. All rows written in one pass of the event
loop go to disk in one transaction of a WAL with `synchronous=FULL`, as one `executemany`; everybody who wrote in that
pass waits for one future. Arguments and results are encoded once and decoded where they arrive, as between real agents.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from workbench.bench.mailboxes import Handler, Mailbox, decode, encode, trivial

SENT, INVOKED, DONE, RESULT, FORKED, BEGUN, OUTCOME = range(1, 8)

Row = tuple[int, int, int, bytes]
"""Agent, index, kind, payload."""

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY, agent INTEGER, idx INTEGER, kind INTEGER, payload BLOB)"
)
_INDEX: Final = "CREATE INDEX rows_agent ON rows (agent, idx)"


class Rows:
    """The table of rows, with one commit per pass of the loop.

    Args:
        path: the file; made when absent.
        indexed: rows can be found by agent and index; costs a write, so only what reads them back asks for it.
    """

    def __init__(self, path: Path, *, indexed: bool = False) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(_TABLE)
        if indexed:
            self._db.execute(_INDEX)
        self._rows: list[Row] = []
        self._group: asyncio.Future[None] | None = None
        self.count = 0

    def write(self, agent: int, index: int, kind: int, payload: bytes) -> "asyncio.Future[None]":
        """Add a row to the present group; the future is done when the group is on disk."""
        self._rows.append((agent, index, kind, payload))
        group = self._group
        if group is None:
            loop = asyncio.get_running_loop()
            group = self._group = loop.create_future()
            loop.call_soon(self._commit)
        return group

    def _commit(self) -> None:
        rows, group = self._rows, self._group
        self._rows, self._group = [], None
        self.commit(rows)
        assert group is not None
        group.set_result(None)

    def commit(self, rows: list[Row]) -> None:
        """Put rows on disk now."""
        db = self._db
        db.execute("BEGIN")
        db.executemany("INSERT INTO rows (agent, idx, kind, payload) VALUES (?,?,?,?)", rows)
        db.execute("COMMIT")
        self.count += len(rows)

    def payloads(self, agent: int, upto: int) -> list[bytes]:
        """What an agent wrote up to an index."""
        found = self._db.execute(
            "SELECT payload FROM rows WHERE agent = ? AND idx <= ? ORDER BY idx", (agent, upto)
        ).fetchall()
        return [payload for (payload,) in found]

    def read(self) -> list[Row]:
        """All rows, in order."""
        return self._db.execute("SELECT agent, idx, kind, payload FROM rows ORDER BY seq").fetchall()

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


class DurableMailbox(Mailbox):
    """An agent whose calls are rows; `number` is its agent in the table, the caller is agent 0."""

    __slots__ = ("index", "number", "rows")

    def __init__(self, rows: Rows, number: int, handler: Handler) -> None:
        self.rows, self.number, self.index = rows, number, 0

        async def handle(data: bytes) -> bytes:
            await self.write(INVOKED, data)
            result = encode(await handler(decode(data)))
            await self.write(DONE, result)
            return result

        super().__init__(handle)

    def write(self, kind: int, payload: bytes) -> "asyncio.Future[None]":
        """Add the agent's next row."""
        self.index += 1
        return self.rows.write(self.number, self.index, kind, payload)

    async def step(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Do a side effect: its intent is on disk before, its outcome after; two rows."""
        await self.write(BEGUN, b"")
        result = await function(*args)
        await self.write(OUTCOME, encode(result))
        return result

    async def ask(self, index: int, message: object) -> object:
        """Call durably: *sent* before, *result* after."""
        data = encode(message)
        await self.rows.write(0, index, SENT, data)
        result: bytes = await self.call(data)
        await self.rows.write(0, index + 1, RESULT, result)
        answer: object = decode(result)
        return answer


async def fan_out(rows: Rows, count: int) -> None:
    """Call `count` fresh agents, all at once, and wait for the answers."""

    async def process(item: str) -> str:
        return f"done {item}"

    children = [DurableMailbox(rows, i + 1, process) for i in range(count)]
    results = await asyncio.gather(*[child.ask(2 * i + 1, f"item{i}") for i, child in enumerate(children)])
    assert results == [f"done item{i}" for i in range(count)]


async def steps(rows: Rows, count: int) -> None:
    """As `fan_out`, to agents that do a step each."""

    def child(number: int) -> DurableMailbox:
        async def do(item: str) -> str:
            result: str = await mailbox.step(trivial, item)
            return result

        mailbox = DurableMailbox(rows, number, do)
        return mailbox

    children = [child(i + 1) for i in range(count)]
    results = await asyncio.gather(*[child.ask(2 * i + 1, f"item{i}") for i, child in enumerate(children)])
    assert results == [f"done item{i}" for i in range(count)]


async def promises(rows: Rows, count: int) -> None:
    """Wait for `count` promises, each completed by an agent that was told to, and not waited for.

    Four rows each: the promise is made by *sent*, completed by *done*, and *result* is its delivery.
    """
    loop = asyncio.get_running_loop()
    waiting: dict[int, asyncio.Future[bytes]] = {}

    async def report(data: bytes) -> None:
        number = decode(data)
        await rows.write(number, 1, INVOKED, data)
        await rows.write(number, 2, DONE, b"done")
        waiting[number].set_result(b"done")

    async def one(number: int) -> bytes:
        future: asyncio.Future[bytes] = loop.create_future()
        waiting[number] = future
        child = Mailbox(report)
        data = encode(number)
        await rows.write(0, 2 * number, SENT, data)
        child.send(data)
        payload = await future
        await rows.write(0, 2 * number + 1, RESULT, payload)
        return payload

    assert await asyncio.gather(*[one(i + 1) for i in range(count)]) == [b"done"] * count


async def forks(rows: Rows, count: int, steps: int) -> None:
    """Fork an agent with a history of `steps` rows by reference: one row; then rebuild it from the rows, and finish."""
    rows.commit([(0, i + 1, RESULT, encode(i)) for i in range(steps)])

    async def one(number: int) -> int:
        await rows.write(number, steps + 1, FORKED, b"")
        total: int = sum(decode(payload) for payload in rows.payloads(0, steps))
        await rows.write(number, steps + 2, DONE, encode(total))
        return total

    assert await asyncio.gather(*[one(i + 1) for i in range(count)]) == [sum(range(steps))] * count


def fold(rows: Rows) -> dict[int, object]:
    """Read everything back: by agent its last value."""
    return {agent: decode(payload) if payload else None for agent, _, _, payload in rows.read()}


async def finish(rows: Rows, count: int, limit: int, work: Callable[[int], Awaitable[int]]) -> list[int]:
    """Take a fan-out up that was cut short: children whose result is there do not run again, the others do.

    Args:
        rows: what the process before has left.
        count: how many children there are in all.
        limit: how many of them work at the same time.
        work: what a child does, as a step.
    """
    found = {
        index // 2 - 1: decode(payload) for agent, index, kind, payload in rows.read() if not agent and kind == RESULT
    }
    free = asyncio.Semaphore(limit)

    async def one(number: int) -> int:
        async def do(_item: object) -> int:
            result: int = await mailbox.step(work, number)
            return result

        mailbox = DurableMailbox(rows, number + 1, do)
        async with free:
            found[number] = await mailbox.ask(2 * number + 1, number)
        return number

    await asyncio.gather(*[one(number) for number in range(count) if number not in found])
    return [found[number] for number in range(count)]


async def calls(rows: Rows, count: int) -> None:
    """Call one agent `count` times, each call after the answer to the one before: four commits a call."""

    async def echo(item: str) -> str:
        return item

    child = DurableMailbox(rows, 1, echo)
    for i in range(count):
        item = f"item{i}"
        assert await child.ask(2 * i + 1, item) == item
