"""Floor A: an asyncio mailbox per agent, and nothing kept."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder().decode

Handler = Callable[[Any], Awaitable[Any]]
"""What an agent does with a message."""


class Mailbox:
    """An agent: a queue of messages, handled one at a time by a task that lives while there are some."""

    __slots__ = ("_busy", "_messages", "handler")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._messages: deque[tuple[Any, asyncio.Future[Any] | None]] = deque()
        self._busy: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        messages, handler = self._messages, self.handler
        while messages:
            message, reply = messages.popleft()
            result = await handler(message)
            if reply is not None:
                reply.set_result(result)
        self._busy = None

    def call(self, message: Any) -> "asyncio.Future[Any]":
        """Send, and get the future of the answer."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._messages.append((message, reply))
        if self._busy is None:
            self._busy = loop.create_task(self._run())
        return reply

    def send(self, message: Any) -> None:
        """Fire and forget."""
        self._messages.append((message, None))
        if self._busy is None:
            self._busy = asyncio.get_running_loop().create_task(self._run())


async def fan_out(count: int) -> None:
    """Call `count` fresh agents, all at once, and wait for the answers."""

    async def process(item: str) -> str:
        return f"done {item}"

    children = [Mailbox(process) for _ in range(count)]
    results = await asyncio.gather(*[child.call(f"item{i}") for i, child in enumerate(children)])
    assert results == [f"done item{i}" for i in range(count)]


async def trivial(item: str) -> str:
    """What a step does that has no effect."""
    return f"done {item}"


async def steps(count: int) -> None:
    """As `fan_out`, to agents that await a function each."""

    async def do(item: str) -> str:
        return await trivial(item)

    children = [Mailbox(do) for _ in range(count)]
    results = await asyncio.gather(*[child.call(f"item{i}") for i, child in enumerate(children)])
    assert results == [f"done item{i}" for i in range(count)]


async def calls(count: int) -> None:
    """Call one agent `count` times, each call after the answer to the one before."""

    async def echo(item: str) -> str:
        return item

    child = Mailbox(echo)
    for i in range(count):
        item = f"item{i}"
        assert await child.call(item) == item


async def promises(count: int) -> None:
    """Wait for `count` promises, each completed by an agent that was told to, and not waited for."""

    async def report(promise: "asyncio.Future[bytes]") -> None:
        promise.set_result(b"done")

    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[bytes]] = []
    for _ in range(count):
        future: asyncio.Future[bytes] = loop.create_future()
        Mailbox(report).send(future)
        futures.append(future)
    assert await asyncio.gather(*futures) == [b"done"] * count
