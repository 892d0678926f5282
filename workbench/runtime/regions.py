"""Atomic regions: `async with wb.atomically():`, code that a crash undoes as a whole, and that then runs again.

What the region did stays in the log and counts no longer; the agent goes back to where it began. Calls and steps that
it makes again carry the keys that they had, so another agent does once what the region asks of it twice, and so may an
outside service.

There is one region at a time: what else the agent does holds until it ends (see `Engine`), and a task that wants one of
its own waits for it. A region inside a region is a part of it.
"""

import asyncio
from collections import Counter, deque
from contextvars import ContextVar, Token
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final

from workbench.runtime.blocking import wait_blocking
from workbench.runtime.current import current, require_instance

_within: Final[ContextVar["tuple[Regions, int] | None"]] = ContextVar("workbench_region", default=None)
"""The innermost region that this code, or what started it as a task, stands in."""


class Regions:
    """The atomic regions of one instance, while it is replayed too.

    Attributes:
        open: indices at which those began that have not ended, in order.
        name: of the outermost one; the same when it runs again.
    """

    __slots__ = ("_seen", "_waiting", "name", "open")

    def __init__(self) -> None:
        self.open: list[int] = []
        self.name = ""
        self._seen: Counter[str] = Counter()
        self._waiting: deque[asyncio.Future[None]] = deque()

    def begun(self, index: int, name: str) -> None:
        """One has begun; `name` is for the outermost."""
        if not self.open:
            self.name, self._seen = name, Counter()
        self.open.append(index)

    def ended(self, index: int) -> None:
        """One has ended."""
        self.open.remove(index)
        if not self.open:
            self.wake()

    def purpose(self, what: str, content: bytes = b"") -> str:
        """A name for something that is done in a region: the same when the region runs again and does the same."""
        digest = blake2b(content, digest_size=12).hexdigest() if content else ""
        told = f"{what}/{digest}"
        self._seen[told] += 1
        return f"{self.name}/{told}/{self._seen[told]}"

    def turn(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None] | None":
        """A future to wait for before the calling code may begin one, then to be asked for again; None to begin."""
        if not self.open:
            return None
        within = _within.get()
        if within is not None and within[0] is self and within[1] in self.open:
            return None
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        return future

    def wake(self) -> None:
        """Let the first go on of those who wait for their turn."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


class Atomically:
    """What `atomically` returns: a context manager, for `async with` and for `with`. May be used again."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        self._entered: list[tuple[Any, int, Token[Any]]] = []

    def _enter(self) -> None:
        instance = require_instance("atomically")
        index: int = instance.begin_region()
        self._entered.append((instance, index, _within.set((instance.regions, index))))

    def _exit(self) -> None:
        instance, index, token = self._entered.pop()
        try:
            _within.reset(token)
        except ValueError:  # left in another task than it was entered in, as generators may
            _within.set(None)
        if current.instance is instance:
            instance.end_region(index)

    async def __aenter__(self) -> None:
        """Begin; waits while another task of the agent is in a region."""
        instance = require_instance("atomically")
        while (turn := instance.region_turn()) is not None:
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    instance.regions.wake()
                raise
        self._enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, however the block ended."""
        self._exit()

    def __enter__(self) -> None:
        """As `__aenter__`, for a plain `def` method."""
        instance = require_instance("atomically")
        while (turn := instance.region_turn()) is not None:
            wait_blocking(turn, "with wb.atomically(), while another task is in a region,")
        self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As `__aexit__`."""
        self._exit()


def atomically() -> Atomically:
    """A region that a crash never leaves half done: `async with wb.atomically():`, in a `def` method `with`.

    When the process ends inside the region, recovery goes back to its beginning and runs it again as a whole. What it
    asks of other agents is still done once, because each call has the key that it had; a step runs again, with the same
    `wb.idempotency_key()`, and its `StepFinished` counts the tries of all runs. A promise that it completed stays
    completed, and `wb.complete_promise` with the same payload is answered as it was. Once the region has ended it never
    runs again. An exception ends it like any block, and nothing is undone: for that see `wb.fallible_transaction`.

    Inside, `wb.fork()` is refused, and so is a step with `idempotent=False`; from outside, reverting the agent to, or
    forking it at, an index inside. What the agent began before holds until the region ends: its other tasks, and a time
    limit around the region. Write a limit inside: `async with wb.atomically(), asyncio.timeout(5):`.

    Keep a region to one task, and begin no other one beside it: tasks inside may take each other's keys when the region
    runs again, and what a task beside it begins while it is open is undone with it. Make promises that others are
    given before the region: made inside, they are other ones in the second run.

    Oplog: `RegionBegun` and `RegionEnded`; after a crash in between, `AgentReverted` with the region's index.
    Replay: the entries are stepped over; nothing is written.

    Raises:
        NotInAgentError: called outside an agent.
        UnsupportedError: `with` in an async method, while another task is in a region: write `async with`.
    """
    require_instance("atomically")
    return Atomically()
