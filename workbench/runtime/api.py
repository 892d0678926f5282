"""What agent code calls beside methods of other agents; promises also from cells.

Each function that writes to the oplog says so, and what replay makes of it.
"""

import asyncio
import inspect
import typing
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from workbench.core import decisions
from workbench.core.state import ROOT_UID
from workbench.errors import AgentTypeError, DecodingError, EncodingError
from workbench.ids import AgentId, PromiseId
from workbench.model.codec import MAX_BYTES, NOTHING_KNOWN, known_types
from workbench.model.entries import PromiseCreated
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.blocking import wait_blocking
from workbench.runtime.clock import as_datetime
from workbench.runtime.current import calling_line, current, require_instance
from workbench.runtime.instance import StepWork
from workbench.runtime.session import default_session, run

# ---- promises --------------------------------------------------------------------------------------------------------------


def create_promise() -> PromiseId:
    """Make a promise that any agent or cell may complete once.

    In a cell the promise belongs to the root agent `Session()`.

    Oplog: one `PromiseCreated` entry; its index is part of the id.
    Replay: returns the recorded id; nothing is written.
    """
    if current.instance is not None:
        made: PromiseId = current.instance.create_promise()
        return made
    thread = default_session()._check()  # noqa: SLF001 - same floor
    line = calling_line()

    def create() -> PromiseId:
        entry = thread.append(ROOT_UID, PromiseCreated(), line)
        return PromiseId(thread.state.agents[ROOT_UID].text, thread.incarnation(ROOT_UID), entry.index)

    created: PromiseId = thread.ask(create).result()
    return created


class _PromiseWait(Awaiting):
    __slots__ = ("_promise_id",)

    def __init__(self, promise_id: PromiseId) -> None:
        self._begun = True  # nothing to warn of when the id is refused
        self._promise_id = _checked(promise_id)
        super().__init__()

    def _make(self) -> "asyncio.Future[bytes]":
        future: asyncio.Future[bytes] = current.instance.await_promise(self._promise_id)
        return future

    def _submit(self) -> "Future[bytes]":
        return default_session()._check().watch_promise(self._promise_id)  # noqa: SLF001

    def __repr__(self) -> str:
        return f"<wait for promise {self._promise_id}>"


def await_promise(promise_id: PromiseId) -> Awaiting:
    """Wait for a promise: `payload = await wb.await_promise(pid)`. Any agent or cell, any number of times.

    Oplog: `PromiseAwaited`, and `PromiseDelivered` with the payload; nothing from a cell.
    Replay: returns the recorded payload.

    Raises:
        PromiseNotFound: no promise has this id (when awaited).
    """
    return _PromiseWait(promise_id)


def blocking_await_promise(promise_id: PromiseId) -> bytes:
    """As `await_promise`, for plain `def` methods, where it suspends the agent and not the session, and for sync cells."""
    waiting = await_promise(promise_id)
    payload: bytes
    if current.instance is not None:
        payload = wait_blocking(waiting.begin(), "blocking_await_promise")
    else:
        payload = run(waiting)
    return payload


async def await_promise_json(promise_id: PromiseId, type: Any = Any) -> Any:  # noqa: A002 - SPEC's name
    """As `await_promise`, with the payload read as JSON.

    Args:
        promise_id: which promise.
        type: what the JSON must be (a dataclass, `list[int]`, ...); anything by default.

    Raises:
        DecodingError: the payload is no JSON of this type; says where.
    """
    return _from_json(await await_promise(promise_id), type)


def blocking_await_promise_json(promise_id: PromiseId, type: Any = Any) -> Any:  # noqa: A002
    """As `await_promise_json`, for plain `def` methods and sync cells."""
    return _from_json(blocking_await_promise(promise_id), type)


def complete_promise(promise_id: PromiseId, data: bytes | str) -> bool:
    """Complete a promise. The first completion stands.

    Args:
        promise_id: which promise.
        data: the payload; text is sent as UTF-8.

    Returns:
        True for the first completion, False for every later one, whose payload is dropped.

    Oplog: one `PromiseCompleted` entry with the answer.
    Replay: returns the recorded answer.

    Raises:
        PromiseNotFound: no promise has this id.
    """
    _checked(promise_id)
    if isinstance(data, str):
        data = data.encode()
    elif isinstance(data, (bytearray, memoryview)):
        data = bytes(data)
    if not isinstance(data, bytes):
        raise EncodingError(
            "data",
            f"a promise's payload is bytes, not {type(data).__name__}",
            "use complete_promise_json for other values",
        )
    if len(data) > MAX_BYTES:
        raise EncodingError("data", f"it takes more than {MAX_BYTES} bytes", "store it in a file and pass its path")
    if current.instance is not None:
        first: bool = current.instance.complete_promise(promise_id, data)
        return first
    thread = default_session()._check()  # noqa: SLF001
    line, payload = calling_line(), data

    def complete() -> bool:
        draft = decisions.complete_promise(thread.promise_of(promise_id), ROOT_UID, payload)
        thread.append(*draft, line)
        return draft[1].first  # type: ignore[attr-defined,no-any-return]

    first = thread.ask(complete).result()
    return first


def complete_promise_json(promise_id: PromiseId, value: object) -> bool:
    """As `complete_promise`, with the value sent as JSON.

    Raises:
        EncodingError: the value has no JSON form.
    """
    try:
        data = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EncodingError(
            "value", f"it has no JSON form ({error})", "send text, numbers, lists, dicts, dataclasses"
        ) from error
    return complete_promise(promise_id, data)


def promise_state(promise_id: PromiseId) -> str:
    """`pending` or `completed`, as of now.

    Oplog: one `PromiseSeen` entry with the answer; nothing from a cell.
    Replay: returns the recorded answer.

    Raises:
        PromiseNotFound: no promise has this id.
    """
    _checked(promise_id)
    if current.instance is not None:
        return "completed" if current.instance.promise_state(promise_id) else "pending"
    thread = default_session()._check()  # noqa: SLF001
    state: str = thread.ask(lambda: "completed" if thread.promise_of(promise_id).settled else "pending").result()
    return state


def _checked(promise_id: object) -> PromiseId:
    if not isinstance(promise_id, PromiseId):
        raise AgentTypeError(
            f"{promise_id!r:.80} is no promise id",
            f"it is a {type(promise_id).__name__}",
            "pass what create_promise returned",
        )
    return promise_id


def _from_json(data: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        wanted = getattr(kind, "__name__", str(kind))
        raise DecodingError(
            f"the promise's payload is no {wanted} in JSON ({error})", "complete it with complete_promise_json"
        ) from error


# ---- fork -------------------------------------------------------------------------------------------------------------------


class ForkDetails(NamedTuple):
    """What both sides of a fork are told."""

    forked_phantom_id: UUID
    """Phantom id of the fork; the same value on both sides."""
    forked_agent_id: AgentId
    """The fork's whole id."""


class _Side:
    __slots__ = ("details",)
    __match_args__ = ("details",)

    def __init__(self, details: ForkDetails) -> None:
        self.details = details

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.details.forked_agent_id})"


class Original(_Side):
    """`fork()` returned in the agent that called it."""

    __slots__ = ()


class Forked(_Side):
    """`fork()` returned in the fork."""

    __slots__ = ()


def fork() -> "Original | Forked":
    """Clone this agent at this line: same type and parameters, a new phantom id, the same invocation, locals included.

    Both sides go on from here on their own. The fork's return value goes to its own oplog: `await session.result(id)`.

    Oplog: `ForkMade` here and `AgentForked` in the fork, in one commit, so there is exactly one fork per call.
    Replay: returns the recorded side.

    Raises:
        NotInAgentError: called outside an agent.
    """
    instance = require_instance("fork")
    forked, phantom = instance.fork()
    details = ForkDetails(phantom, instance.agent.agent_id.with_phantom(phantom))
    return Forked(details) if forked else Original(details)


# ---- effects ----------------------------------------------------------------------------------------------------------------


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


# ---- the same on replay -----------------------------------------------------------------------------------------------------


def now() -> datetime:
    """The time of the delivery that the agent works on, in UTC; the same on replay. Outside agents the present time."""
    if current.instance is not None:
        return as_datetime(current.instance.wall)
    return as_datetime(default_session()._check().clock.wall())  # noqa: SLF001


def uuid4() -> UUID:
    """A UUID that is new at each call, differs between forks, and is the same on replay. Nothing is written."""
    return UUID(hex=require_instance("uuid4").draw("uuid4"), version=4)


def random() -> float:
    """A number in [0, 1) that is new at each call, differs between forks, and is the same on replay. Nothing is written."""
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
