"""What agent code asks of the world: side effects as steps; and time, chance and notes that are the same on replay.

Each function that writes to the oplog says so, and what replay makes of it.
"""

import asyncio
import inspect
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from types import FunctionType
from typing import Any, Final
from uuid import UUID

from workbench.errors import AgentTypeError
from workbench.ids import AgentId
from workbench.model.agent_type import takes_and_gives
from workbench.model.codec import KnownTypes
from workbench.model.retry import Retry, policy_of
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.clock import as_datetime
from workbench.runtime.current import current, require_instance
from workbench.runtime.opening import default_session
from workbench.runtime.steps import StepWork, step_key
from workbench.signs import printable


class _Step(Awaiting):
    __slots__ = ("_work",)

    def __init__(self, work: StepWork) -> None:
        super().__init__()
        self._work = work

    def _make(self) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = require_instance("step").step(self._work, _result_of(self._work.function))
        return future

    def _submit(self) -> "Future[Any]":
        require_instance("step")
        raise AssertionError

    def __repr__(self) -> str:
        return printable(f"<step {self._work.name}>")


_results: Final[weakref.WeakKeyDictionary[FunctionType, KnownTypes]] = weakref.WeakKeyDictionary()
"""Functions that were steps; to read an annotation takes 6 µs, a twentieth of a small step."""


def _result_of(function: Callable[..., Any]) -> KnownTypes:
    """The classes that a step's result may be of, by the annotation."""
    if not isinstance(function, FunctionType):
        return takes_and_gives(function)[1]
    known = _results.get(function)
    if known is None:
        known = takes_and_gives(function)[1]
        if not known.unresolved:  # else it may be resolved later
            _results[function] = known
    return known


def step(
    fn: Callable[..., Any],
    *args: Any,
    retry: Retry | int | None = None,
    timeout: float | None = None,
    idempotent: bool = True,
    cpu: bool = False,
    **kwargs: Any,
) -> Awaiting:
    """Do a side effect outside the agent, and record its outcome once: `page = await wb.step(fetch, url)`.

    A plain function runs on a thread, a coroutine function on the session's event loop, and with `cpu=True` a plain
    function runs on a pool of processes, one for each core. The intent is on disk before it starts, and before each
    further try. When the process dies before the outcome is on disk, the step runs again after recovery, with the same
    `wb.idempotency_key()`; what was tried before counts.

    Args:
        fn: what to run. With `cpu=True` it and its arguments are copied to another process: it may be defined in a
            cell, and should compute and nothing else; it has no session there.
        *args: its arguments.
        retry: what to do when it raises: a number of tries, or a `wb.Retry`. By default it is tried 3 times, 100 ms and
            300 ms apart; once when it is not idempotent, because it may have raised after it took effect. Cancellation,
            `sys.exit()` and a result that cannot be recorded are not tried again.
        timeout: seconds for each try, from when it really runs; then the try ends with `TimeoutError`. A coroutine is
            cancelled and a process killed; a thread goes on by itself, and nobody hears what comes of it.
        idempotent: whether running it twice is harmless. If not, one that a crash cut short ends with `OutcomeUnknown`,
            and one that ran out of time is not tried again, whatever `retry` says.
        cpu: run it on another core. What it prints goes to the kernel's log.
        **kwargs: its keyword arguments.

    Oplog: `StepStarted` before it runs; for each failed try that is not the last `StepRetried`, with the time of the
    next, then `StepRestarted`; `StepFinished` with the outcome and the number of tries.
    Replay: returns or raises the recorded outcome; nothing runs.

    Raises:
        AgentTypeError: `fn` cannot be called, or an option makes no sense.
        NotInAgentError: awaited outside an agent.
        EncodingError: what it returned cannot be copied, or cannot go to another process (raised by the await).
        OutcomeUnknown: it may not run twice, and a crash cut it short (raised by the await).
        ProcessDiedError: the process that it ran on was killed, or ended by itself (raised by the await).
        RefusedError: it may not run twice, and stands in an atomic region, which may (raised by the await).
    """
    if not callable(fn):
        raise AgentTypeError(
            f"{fn!r:.80} is no function", "a step runs a function", "write await wb.step(function, argument)"
        )
    if inspect.iscoroutine(fn):
        raise AgentTypeError(
            "a coroutine was given as step", "it has begun already", "write await wb.step(function, argument)"
        )
    name = getattr(fn, "__qualname__", type(fn).__qualname__).replace("<locals>.", "")
    if not name.isascii():
        name = name.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair: nothing could record it
    if cpu and inspect.iscoroutinefunction(fn):
        raise AgentTypeError(
            f"step {name} with cpu=True is a coroutine function",
            "the processes of the pool have no event loop",
            "make it a plain function, or leave cpu=True out",
        )
    if timeout is not None and not timeout > 0:
        raise AgentTypeError(f"timeout={timeout!r}", "no try can end within it", "pass a number of seconds above 0")
    policy = policy_of(retry, idempotent=idempotent)
    return _Step(StepWork(name, fn, args, kwargs, retry=policy, timeout=timeout, idempotent=idempotent, cpu=cpu))


def now() -> datetime:
    """The time of the delivery that the agent works on, in UTC; the same on replay. Outside agents the present time.

    Where an agent goes on after a revert, or as a fork from outside, it is the time of that until the next delivery.
    """
    if current.instance is not None:
        return as_datetime(current.instance.now)
    return as_datetime(default_session().thread.clock.wall())


def uuid4() -> UUID:
    """A UUID that is new at each call, differs between forks, and is the same on replay. Nothing is written."""
    return UUID(hex=require_instance("uuid4").draw("uuid4"), version=4)


def random() -> float:
    """A number in [0, 1): new at each call, other in a fork, the same on replay. Nothing is written."""
    drawn: str = require_instance("random").draw("random")
    return int(drawn[:14], 16) / 16**14


def idempotency_key() -> str:
    """A key for an outside service, which then does what it is asked once.

    In an agent it is new at each call, and the same on replay and when an atomic region runs again. In the function of
    a step it is the step's: the same at each try, after a crash too. (Not with `cpu=True`: that is for computing.)
    Nothing is written.

    Raises:
        NotInAgentError: called outside agents and steps.
    """
    if current.instance is None and (key := step_key.get("")):
        return str(UUID(hex=key, version=4))
    return str(UUID(hex=require_instance("idempotency_key").draw("key"), version=4))


def self_id() -> AgentId:
    """The id of the agent whose code this is; in the replayed past of a fork, its source's."""
    agent_id: AgentId = require_instance("self_id").identity.agent_id
    return agent_id


def log(*values: object, level: str = "info") -> None:
    """Record a line in the agent's oplog; nothing is printed. Silent on replay.

    Args:
        *values: joined by spaces, as `print` does.
        level: any word: `debug`, `info`, `warn`, `error`.

    Oplog: one `Logged` entry, a hint that replay steps over.
    """
    require_instance("log").say(str(level), " ".join(map(str, values)))
