"""Atomic regions: `async with wb.atomically():`, code that a crash undoes as a whole, and that then runs again.

What the region did stays in the log and counts no longer; the agent goes back to where it began. Calls and steps that
it makes again carry the keys that they had, and promises are the ones that they were, so another agent does once what
the region asks of it twice, and so may an outside service. They are told apart by their place, see `core.regions`.

There is one region at a time: what else the agent does holds until it ends, and a task that wants one of its own waits
for it. Only when nothing that the region began is under way does other code get its turns, because the region must
be waiting for that. A region inside a region is a part of it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Context, ContextVar, Token
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final

from workbench.core.regions import NOTHING_UNDONE, Undone
from workbench.runtime.agent_loop import AgentLoop, AgentTask, Place
from workbench.runtime.blocking import wait_blocking
from workbench.runtime.current import current, require_instance

_LONGEST: Final = 40
"""Characters of a task's place, above which it is a digest: tasks that begin their successors may go on for long."""

_within: Final[ContextVar["tuple[Regions, int] | None"]] = ContextVar("workbench_region", default=None)
"""The outermost region that this code, or what started it as a task, stands in."""


class Regions:
    """The atomic regions of one instance, while it is replayed too.

    Args:
        loop: the agent's.
        under_way: whether what the agent began at an index is.

    Attributes:
        open: indices at which those began that have not ended, in order.
        name: of the outermost one; the same when it runs again.
        completed: the promises, by owner and index, that it has tried to complete so far.
        cancelled: the schedules, by `seq`, that it has tried to cancel so far.
    """

    __slots__ = (
        "_began", "_earlier", "_inside", "_loop", "_owner", "_seen", "_under_way", "_undone", "_waiting", "cancelled",
        "completed", "name", "open",
    )  # fmt: skip

    def __init__(self, loop: AgentLoop, under_way: Callable[[int], bool]) -> None:
        self.open: list[int] = []
        self.name = ""
        self.completed: set[tuple[int, int]] = set()
        self.cancelled: set[int] = set()
        self._loop, self._under_way = loop, under_way
        self._owner: Place | None = None
        self._seen: Counter[str] = Counter()
        self._earlier: Callable[[], Undone] = lambda: NOTHING_UNDONE
        self._undone: Undone | None = None
        self._inside: set[int] = set()
        self._began: deque[int] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    # ---- beginning and end ---------------------------------------------------------------------------------------

    def begun(self, index: int, name: str, earlier: Callable[[], Undone]) -> None:
        """One has begun; `name` is for the outermost, and so is `earlier`: what its runs did that were undone."""
        if not self.open:
            self.name, self._earlier, self._undone, self._owner = name, earlier, None, self._place()
            self.completed.clear()
            self.cancelled.clear()
            self._seen.clear()
            self._inside.clear()
            self._began.clear()
        self.open.append(index)

    def entered(self) -> "Token[tuple[Regions, int] | None]":
        """The code that calls stands in the region from now on, with all that it starts; others hold."""
        token = _within.set((self, self.open[0]))
        if len(self.open) == 1:
            self._loop.hold(self)
        return token

    def ended(self, index: int) -> None:
        """One has ended."""
        self.open.remove(index)
        if not self.open:
            self.wake()
            self._loop.let_go()

    def turn(self) -> "asyncio.Future[None] | None":
        """A future to wait for before the calling code may begin one, then to be asked for again; None to begin."""
        if not self.open or self._is_within(_within.get()):
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        return future

    def wake(self) -> None:
        """Let the first go on of those who wait for their turn."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    # ---- who stands in it ----------------------------------------------------------------------------------------

    def inside(self, context: Context) -> bool:
        """Whether code that runs with this context stands in the open region."""
        return self._is_within(context.get(_within))

    def _is_within(self, within: "tuple[Regions, int] | None") -> bool:
        return within is not None and within[0] is self and within[1] in self.open

    def began(self, op: int) -> None:
        """The code that calls has begun something, at this index, that has an outcome."""
        if self.open and self._is_within(_within.get()):
            self._inside.add(op)
            self._began.append(op)

    @property
    def goes_on(self) -> bool:
        """Whether something that the region began is under way: else it must be that it waits for other code."""
        began = self._began
        while began and not self._under_way(began[0]):
            began.popleft()
        return bool(began)

    def holds(self, op: int) -> bool:
        """Whether the outcome of what the agent began at this index waits for the end of a region."""
        return bool(self.open) and op not in self._inside and self.goes_on

    # ---- what is the same when it runs again ---------------------------------------------------------------------

    @property
    def undone(self) -> Undone:
        """What the runs of the open region did that crashes undid."""
        if self._undone is None:
            self._undone = self._earlier()
        return self._undone

    def task(self) -> str:
        """The place of the task that runs: how it descends from the region's own, for which it is empty.

        Else from the invocation's own, after a `^`.
        """
        place, owner = self._place(), self._owner
        steps: list[str] = []
        while place is not None and place != owner:
            place, number = place
            steps.append(str(number))
        text = ".".join(reversed(steps))
        if place != owner:
            text = f"^{text}"
        return text if len(text) <= _LONGEST else blake2b(text.encode(), digest_size=12).hexdigest()

    def _place(self) -> Place | None:
        task = asyncio.current_task(self._loop)
        return task.place if isinstance(task, AgentTask) else None

    def purpose(self, what: str, content: bytes = b"") -> str:
        """A name for something that is done in a region: the same when the region runs again and does the same."""
        digest = blake2b(content, digest_size=12).hexdigest() if content else ""
        told = _told(self.task(), f"{what}/{digest}")
        return f"{self.name}/{told}/{self._number(told) + 1}"

    def step(self, name: str) -> tuple[str, str, int]:
        """A step is begun: the place of its task, its purpose, and how often runs that were undone have tried it."""
        task = self.task()
        told = _told(task, f"step {name}/")
        number = self._number(told)
        return task, f"{self.name}/{told}/{number + 1}", self.undone.tries.get((task, name, number), 0)

    def promise(self) -> tuple[str, int]:
        """A promise is made: the place of its task, and the index of the one that it is again, 0 for none."""
        task = self.task()
        return task, self.undone.promises.get((task, self._number(_told(task, "promise"))), 0)

    def control(self, verb: str, target_id: str, argument: int) -> tuple[bool, bytes] | None:
        """Something is done to another agent: the answer that a run which was undone got, if one has done it."""
        number = self._number(f"control {verb} {target_id} {argument}")
        return self.undone.controls.get((verb, target_id, argument, number))

    def _number(self, told: str) -> int:
        """How often this has been done in the region before."""
        self._seen[told] += 1
        return self._seen[told] - 1


def _told(task: str, what: str) -> str:
    """What is done, with the place of the task that does it."""
    return f"{task}:{what}" if task else what


class Atomically:
    """What `atomically` returns: a context manager, for `async with` and for `with`. May be used again."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        self._entered: list[tuple[Any, int, Token[Any]]] = []

    def _enter(self) -> None:
        instance = require_instance("atomically")
        index: int = instance.begin_region()
        self._entered.append((instance, index, instance.regions.entered()))

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
    `wb.idempotency_key()`, and its `StepFinished` counts the tries of all runs. Promises that it made are the ones that
    they were; one that it completed stays completed, and `wb.complete_promise` with the same payload is answered as it
    was. Schedules that it made and that have not come are made anew, and what it cancelled stays cancelled. What it did
    to other agents (delete, interrupt, resume, revert, fork) is done, and answered as it was. Once the region has ended
    it never runs again. An exception ends it like any block, and nothing is undone: for that see
    `wb.fallible_transaction`.

    Inside, `wb.fork()` is refused, and so is a step with `idempotent=False`; from outside, reverting the agent to, or
    forking it at, an index inside. The tasks that it starts are parts of it. What else the agent does holds until the
    region ends: its other tasks, and a time limit around the region. Write a limit inside: `async with wb.atomically(),
    asyncio.timeout(5):`. Other tasks go on only where the region waits for them, as for a lock that one of them holds;
    what they do meanwhile is a part of it.

    Oplog: `RegionBegun` and `RegionEnded`; after a crash in between, `AgentReverted` with the region's index.
    Replay: the entries are stepped over; nothing is written.

    Raises:
        NotInAgentError: called outside an agent.
        UnsupportedError: `with` in an async method, while another task is in a region: write `async with`.
    """
    require_instance("atomically")
    return Atomically()
