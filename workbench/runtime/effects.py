"""What agent code asks of the world: side effects as steps; and time, chance and notes that are the same on replay.

Each function that writes to the oplog says so, and what replay makes of it.
"""

import asyncio
import inspect
import typing
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any
from uuid import UUID

from workbench.errors import AgentTypeError
from workbench.ids import AgentId
from workbench.model.codec import NOTHING_KNOWN, known_types
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.clock import as_datetime
from workbench.runtime.current import current, require_instance
from workbench.runtime.opening import default_session
from workbench.runtime.steps import StepWork


class _Step(Awaiting):
    __slots__ = ("_work",)

    def __init__(self, work: StepWork) -> None:
        super().__init__()
        self._work = work

    def _make(self) -> "asyncio.Future[Any]":
        try:
            hint = typing.get_type_hints(self._work.function).get("return")
        except Exception:  # noqa: BLE001 - an annotation that cannot be read counts as none
            hint = None
        known = NOTHING_KNOWN if hint is None else known_types([hint])
        future: asyncio.Future[Any] = require_instance("step").step(self._work, known)
        return future

    def _submit(self) -> "Future[Any]":
        require_instance("step")
        raise AssertionError

    def __repr__(self) -> str:
        return f"<step {self._work.name}>"


def step(
    fn: Callable[..., Any], *args: Any, idempotent: bool = True, timeout: float | None = None, **kwargs: Any
) -> Awaiting:
    """Do a side effect outside the agent, and record its outcome once: `page = await wb.step(fetch, url)`.

    A plain function runs on a thread, a coroutine function on the session's event loop. Its intent is on disk before it
    starts. When the process dies before the outcome is, the step runs again after recovery.

    Args:
        fn: what to run.
        *args: its arguments.
        idempotent: whether running it again after a crash is harmless.
        timeout: seconds for a coroutine function to end, else `TimeoutError`.
        **kwargs: its keyword arguments.

    Oplog: `StepStarted` before it runs, `StepFinished` with the outcome.
    Replay: returns or raises the recorded outcome; nothing runs.

    Raises:
        AgentTypeError: `fn` cannot be called.
        NotInAgentError: awaited outside an agent.
        EncodingError: what it returned cannot be copied (raised by the await).
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
    return _Step(StepWork(name, fn, args, kwargs, idempotent=idempotent, timeout=timeout))


def now() -> datetime:
    """The time of the delivery that the agent works on, in UTC; the same on replay. Outside agents the present time."""
    if current.instance is not None:
        return as_datetime(current.instance.wall)
    return as_datetime(default_session().thread.clock.wall())


def uuid4() -> UUID:
    """A UUID that is new at each call, differs between forks, and is the same on replay. Nothing is written."""
    return UUID(hex=require_instance("uuid4").draw("uuid4"), version=4)


def random() -> float:
    """A number in [0, 1): new at each call, other in a fork, the same on replay. Nothing is written."""
    drawn: str = require_instance("random").draw("random")
    return int(drawn[:14], 16) / 16**14


def idempotency_key() -> str:
    """A key for an outside service: new at each call, the same on replay and when a step is run again."""
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
