"""The deterministic event loop of one agent: plain asyncio on top, a FIFO queue below, the log as its clock.

It never polls and never waits. The session runs it until it is quiet, once per delivery, inside a plain callback of its
own loop (not inside a task, so that the inner tasks may call themselves current). Everything that would reach outside
is refused with advice: sockets, threads, subprocesses cannot be replayed, `step` can.
"""

import asyncio
import contextvars
import functools
import sys
import weakref
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, Final, NoReturn, Protocol, TypeVarTuple

from workbench.errors import UnsupportedError
from workbench.runtime.current import line_of_task
from workbench.runtime.pending import Pending

CLOSE_ATTEMPTS: Final = 10
"""How often a coroutine that is abandoned may await again in its `finally` blocks."""
CALLBACK_LIMIT: Final = 1_000_000
"""Callbacks in one run after which an agent counts as spinning: it polls something that only a delivery can change."""


_Args = TypeVarTuple("_Args")
Place = tuple["Place | None", int]

TASKS_KEPT: Final = 64
"""Tasks after which those that are done are let go of."""
_NOTHING: Final[deque[asyncio.Handle]] = deque()
"""What most agents hold back. An empty queue takes 760 bytes, a sixth of what an agent takes that waits."""


class Timers(Protocol):
    """What the loop needs of its agent's instance."""

    def loop_time(self) -> float:
        """Seconds since the epoch, by the log."""

    def set_timer(self, handle: "TimerHandle") -> None:
        """Begin a durable timer that will run the handle."""

    def cancel_timer(self, handle: "TimerHandle") -> None:
        """The handle was cancelled before it ran."""

    def report(self, context: dict[str, Any]) -> None:
        """An error that no code awaits."""


class Startable(Protocol):
    """A call that can be begun without a task of its own."""

    def begin(self) -> "asyncio.Future[Any]":
        """Make the call; the future gets its outcome."""


class Region(Protocol):
    """What the loop needs to know of an atomic region that is open."""

    def inside(self, context: contextvars.Context) -> bool:
        """Whether code that runs with this context stands in the region."""

    @property
    def goes_on(self) -> bool:
        """Whether something that the region began is under way, so that it will go on by itself."""


class TimerHandle(asyncio.TimerHandle):
    """A callback with a durable timer behind it; `op` is the timer's index in the oplog."""

    __slots__ = ("op", "timers")

    op: int
    timers: Timers | None

    def cancel(self) -> None:
        """Do not run, and drop the timer."""
        timers = self.timers
        if timers is not None and not self.cancelled():
            self.timers = None
            timers.cancel_timer(self)
        super().cancel()


class AgentTask(asyncio.Task[Any]):
    """A task of an agent. Its hash is its number, so that a set of tasks (from `asyncio.wait`) replays in order.

    `line` is where it was made, if its code is a library's; empty if it is the user's. `place` is the place of the task
    that made it, and which of that task's children it is; None for the invocation's own. Unlike the number it does not
    depend on the order in which tasks get their turns.
    """

    number = 0
    line = ""
    place: "Place | None" = None
    children = 0

    def __hash__(self) -> int:
        # asyncio's set of all tasks hashes it before it has a number. With one hash for all of them that set took
        # quadratic time: 16,000 tasks in one agent 4.2 s, and 0.13 s so.
        return self.number or id(self) >> 4


class AgentLoop(asyncio.AbstractEventLoop):
    """An agent's event loop. Code inside an agent gets it from `asyncio.get_running_loop()`."""

    def __init__(self, timers: Timers) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._held = _NOTHING
        self._region: Region | None = None
        self._timers = timers
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_limit = TASKS_KEPT
        self._task_count = 0
        self.closed = False

    # ---- running -------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there are callbacks to run."""
        return bool(self._ready) or self._may_go_on()

    def run_until_quiet(self, first: Callable[..., None] | None = None, *args: object) -> None:
        """Run callbacks until none is left; `first` with `args` before all, in a context of its own.

        Raises:
            RecursionError: after `CALLBACK_LIMIT` callbacks; the agent spins.
        """
        ready = self._ready
        outer = events._get_running_loop()
        events._set_running_loop(self)
        left = CALLBACK_LIMIT
        try:
            if first is not None:
                contextvars.copy_context().run(first, *args)
            while ready or self._admit():
                handle = ready.popleft()
                if not handle._cancelled:
                    try:  # noqa: SIM105 - this is the loop's innermost line, and `suppress` costs more
                        handle._run()
                    except (SystemExit, KeyboardInterrupt):
                        pass  # the task that raised it holds it, and its awaiter gets it
                left -= 1
                if not left:
                    ready.clear()
                    self._held.clear()
                    message = f"no rest after {CALLBACK_LIMIT:,} callbacks: the agent polls instead of awaiting"
                    raise RecursionError(message)
        finally:
            events._set_running_loop(outer)

    def abandon(self) -> None:
        """Close what is suspended here and now, where its `finally` blocks meet a stopped instance.

        Python would run them too when it frees the coroutines: at any time, on any thread, as no agent's code.
        """
        self.closed = True
        self.let_go()
        self._ready.clear()
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            for task in self.leftover_tasks():
                task._log_destroy_pending = False  # type: ignore[attr-defined] # abandoning is the point
                _close(task.get_coro())
        finally:
            events._set_running_loop(outer)
            self._ready.clear()

    def leftover_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that are not done, in the order in which they were made."""
        return [task for task in self._tasks if not task.done()]

    def call_soon(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback."""
        handle = asyncio.Handle(callback, args, self, context)
        if self._region is None:
            self._ready.append(handle)
        else:
            self._queue(handle)
        return handle

    def _queue(self, handle: asyncio.Handle) -> None:
        region = self._region
        held = region is not None and not region.inside(handle._context)  # type: ignore[attr-defined]
        (self._held if held else self._ready).append(handle)

    def hold(self, region: Region) -> None:
        """Run only what stands in this region, until `let_go`; other code when the region cannot go on without it."""
        self._region, self._held = region, deque()
        waiting = list(self._ready)
        self._ready.clear()
        for handle in waiting:
            self._queue(handle)

    def let_go(self) -> None:
        """The region has ended."""
        self._ready.extend(self._held)
        self._region, self._held = None, _NOTHING

    def _may_go_on(self) -> bool:
        """Whether code outside the region has its turn, for the region waits for nothing of its own."""
        return bool(self._held) and self._region is not None and not self._region.goes_on

    def _admit(self) -> bool:
        """Queue the next of what is held, if it may go on; one at a time, as the region goes first."""
        admitted = self._may_go_on()
        if admitted:
            self._ready.append(self._held.popleft())
        return admitted

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], *, name: str | None = None, **options: Any
    ) -> "asyncio.Future[Any]":
        """A task; for a call of an agent the call itself, which needs no task to be awaited, cancelled or gathered."""
        begin = getattr(coro, "begin", None)
        if begin is not None:
            future: asyncio.Future[Any] = begin()
            if name is not None and isinstance(future, (Pending, AgentTask)):
                future.set_name(name)
            return future
        task = AgentTask(coro, loop=self, name=name or "agent task", **options)
        task.number = self.next_number()
        parent = asyncio.current_task(self)
        if isinstance(parent, AgentTask):
            parent.children += 1
            task.place = parent.place, parent.children
        elif task.number > 1:
            task.place = None, -task.number
        task.line = line_of_task(coro)
        self._tasks.append(task)
        if len(self._tasks) > self._tasks_limit:
            self._tasks = self.leftover_tasks()
            self._tasks_limit = max(TASKS_KEPT, 2 * len(self._tasks))
        return task

    def next_number(self) -> int:
        """A number for something that may be put into a set, so that the set's order replays."""
        self._task_count += 1
        return self._task_count

    def forget_tasks(self) -> None:
        """Let go of all tasks: they are done, and the next invocation counts its own.

        So that numbers are the same when the agent is rebuilt from a snapshot.
        """
        self._tasks.clear()
        self._task_count = 0

    # ---- time ----------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds since the epoch, by the log: the time of the delivery that the agent works on."""
        return self._timers.loop_time()

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after a delay in seconds, by a durable timer."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a time of this loop's `time`, by a durable timer."""
        handle = TimerHandle(when, callback, args, self, context)
        handle.op, handle.timers = 0, self._timers
        self._timers.set_timer(handle)
        return handle

    def fire(self, handle: TimerHandle) -> None:
        """Queue the callback of a timer that is due."""
        handle.timers = None
        if not handle.cancelled():
            self._queue(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asyncio tells its loop of cancelled handles; ours told the instance already."""

    # ---- what asyncio asks of every loop -----------------------------------------------------------------------------

    def get_debug(self) -> bool:
        """Debug mode is off."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's signature
        """Debug mode reads clocks; it stays off."""

    def is_running(self) -> bool:
        """It runs whenever somebody can ask."""
        return True

    def is_closed(self) -> bool:
        """Whether the instance was thrown away."""
        return self.closed

    def get_task_factory(self) -> None:
        """There is none: tasks must be this loop's own."""

    def get_exception_handler(self) -> None:
        """There is none: errors that no code awaits are reported."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that no code awaits."""
        self._timers.report(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that no code awaits, unless the instance was thrown away."""
        if not self.closed:
            self._timers.report(context)

    async def shutdown_asyncgens(self) -> None:
        """Nothing is kept of them."""


def _close(coroutine: Any) -> None:
    for _ in range(CLOSE_ATTEMPTS):
        try:
            coroutine.close()
        except RuntimeError:  # it awaits again in a `finally`
            continue
        except BaseException:  # noqa: BLE001, S110 - what an abandoned method raises has no reader
            pass
        return


def adopt_async_generators() -> None:
    """On the session's thread, in its loop: async generators of agents end on their agent's loop, or nowhere."""
    first_before, end_before = sys.get_asyncgen_hooks()
    owners: dict[int, _Owned] = {}
    dying: dict[int, weakref.ref[AgentLoop]] = {}

    def freed(owned: Any) -> None:  # an `_Owned`; Python clears weak references right before it calls `end`
        owners.pop(owned.number, None)
        dying[owned.number] = owned.loop

    def first(generator: Any) -> None:
        number, loop = id(generator), events._get_running_loop()
        dying.pop(number, None)  # of another one that lay there before, and had ended by itself
        if isinstance(loop, AgentLoop):
            owners[number] = owned = _Owned(generator, freed)
            owned.number, owned.loop = number, weakref.ref(loop)
        elif first_before is not None:
            first_before(generator)

    def end(generator: Any) -> None:
        reference = dying.pop(id(generator), None)
        if reference is None:
            if end_before is not None:
                end_before(generator)
            return
        loop = reference()
        if loop is not None and not loop.closed and events._get_running_loop() is loop:
            loop.create_task(generator.aclose())

    sys.set_asyncgen_hooks(first, end)


class _Owned(weakref.ref[Any]):
    """A generator of an agent, and the loop of that agent."""

    __slots__ = ("loop", "number")

    number: int
    loop: "weakref.ref[AgentLoop]"


_as_completed = asyncio.as_completed


@functools.wraps(_as_completed)
def _in_given_order(fs: Iterable[Any], **options: Any) -> Any:
    """Asyncio makes tasks of a *set* of coroutines, in the order of their addresses; in agents: in the order given."""
    if isinstance(events._get_running_loop(), AgentLoop):
        fs = [asyncio.ensure_future(f) for f in dict.fromkeys(fs)]
    return _as_completed(fs, **options)


asyncio.as_completed = asyncio.tasks.as_completed = _in_given_order


def _refused(name: str, do: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise UnsupportedError(f"loop.{name} inside an agent", "what it does could not be replayed", do)

    refuse.__name__ = name
    return refuse


_STEP: Final = "do it in a step: await wb.step(function, ...)"
_REFUSED: Final = {
    "run_in_executor": _STEP,
    "run_forever": "await the coroutine instead",
    "run_until_complete": "await the coroutine instead",
    "stop": "return from the method",
    "close": "return from the method",
    "call_soon_threadsafe": "complete a promise from the other thread, and await the promise here",
    "set_default_executor": _STEP,
    "add_signal_handler": "handle signals outside agents",
    "remove_signal_handler": "handle signals outside agents",
    "set_task_factory": "create tasks with asyncio.create_task",
    "set_exception_handler": "catch the error in the method",
    **dict.fromkeys(
        (
            "getaddrinfo", "getnameinfo", "create_connection", "create_server", "start_tls", "sendfile",
            "create_unix_connection", "connect_accepted_socket", "create_unix_server", "create_datagram_endpoint",
            "connect_read_pipe", "connect_write_pipe", "subprocess_shell", "subprocess_exec", "add_reader",
            "remove_reader", "add_writer", "remove_writer", "sock_recv", "sock_recv_into", "sock_recvfrom",
            "sock_recvfrom_into", "sock_sendall", "sock_sendto", "sock_connect", "sock_accept", "sock_sendfile",
            "shutdown_default_executor",
        ),
        _STEP,
    ),
}  # fmt: skip
for _name, _do in _REFUSED.items():
    setattr(AgentLoop, _name, _refused(_name, _do))
AgentLoop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
