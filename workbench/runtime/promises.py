"""Promises: made by an agent or a cell, completed once by anybody, awaited by any number.

Each function that writes to the oplog says so, and what replay makes of it.
"""

import asyncio
from concurrent.futures import Future
from typing import Any

import msgspec

from workbench.errors import DecodingError, EncodingError
from workbench.ids import PromiseId
from workbench.model.codec import MAX_BYTES
from workbench.model.json_form import json_form
from workbench.questions import arguments
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.blocking import wait_blocking
from workbench.runtime.current import calling_line, current
from workbench.runtime.opening import default_session
from workbench.runtime.running import run
from workbench.signs import printable


def create_promise() -> PromiseId:
    """Make a promise that any agent or cell may complete once.

    In a cell the promise belongs to the root agent `Session()`.

    Oplog: one `PromiseCreated` entry; its index is part of the id.
    Replay: returns the recorded id; nothing is written.
    """
    if current.instance is not None:
        made: PromiseId = current.instance.create_promise()
        return made
    return default_session().thread.requests.create_promise(calling_line())


class _PromiseWait(Awaiting):
    __slots__ = ("_promise_id",)

    def __init__(self, promise_id: PromiseId) -> None:
        self._begun = True  # nothing to warn of when the id is refused
        self._promise_id = arguments.promise_id(promise_id)
        super().__init__()

    def _make(self) -> "asyncio.Future[bytes]":
        future: asyncio.Future[bytes] = current.instance.await_promise(self._promise_id)
        return future

    def _submit(self) -> "Future[bytes]":
        return default_session().await_promise(self._promise_id)

    def __repr__(self) -> str:
        return printable(f"<wait for promise {self._promise_id}>")


def await_promise(promise_id: PromiseId) -> Awaiting:
    """Wait for a promise: `payload = await wb.await_promise(pid)`. Any agent or cell, any number of times.

    Oplog: `PromiseAwaited`, and `PromiseDelivered` with the payload; nothing from a cell.
    Replay: returns the recorded payload.

    Raises:
        PromiseNotFound: no promise has this id (when awaited).
    """
    return _PromiseWait(promise_id)


def blocking_await_promise(promise_id: PromiseId) -> bytes:
    """As `await_promise`, for sync cells, and for plain `def` methods, where it suspends the agent only."""
    waiting = await_promise(promise_id)
    inside = current.instance is not None
    payload: bytes = wait_blocking(waiting.begin(), "blocking_await_promise") if inside else run(waiting)
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


def complete_promise(promise_id: PromiseId, data: bytes | bytearray | memoryview | str) -> bool:
    """Complete a promise. The first completion stands.

    Args:
        promise_id: which promise.
        data: the payload; text is sent as UTF-8.

    Returns:
        True for the first completion, False for every later one, whose payload is dropped. In an atomic region that
        runs again after a crash, its own first completion counts as the first if the payload is the same.

    Oplog: one `PromiseCompleted` entry with the answer.
    Replay: returns the recorded answer.

    Raises:
        PromiseNotFound: no promise has this id.
    """
    arguments.promise_id(promise_id)
    payload = _payload(data)
    if current.instance is not None:
        first: bool = current.instance.complete_promise(promise_id, payload)
        return first
    return default_session().thread.requests.complete_promise(promise_id, payload, calling_line())


def _payload(data: object) -> bytes:
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError as error:
            raise EncodingError(
                "data", f"it holds half of a surrogate pair ({error})", "pass bytes, or text that is whole"
            ) from error
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
    return data


def complete_promise_json(promise_id: PromiseId, value: object) -> bool:
    """As `complete_promise`, with the value sent as JSON.

    Raises:
        EncodingError: the value has no JSON form, or would be read as another: NaN and infinity, and dicts of which two
            keys are the same text.
    """
    return complete_promise(promise_id, json_form(value))


def promise_state(promise_id: PromiseId) -> str:
    """`pending` or `completed`, as of now.

    Oplog: one `PromiseSeen` entry with the answer; nothing from a cell.
    Replay: returns the recorded answer.

    Raises:
        PromiseNotFound: no promise has this id.
    """
    arguments.promise_id(promise_id)
    if current.instance is not None:
        return "completed" if current.instance.promise_state(promise_id) else "pending"
    return default_session().promise_state(promise_id)


def _from_json(data: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        wanted = f"{kind.__name__ if isinstance(kind, type) else kind} in " * isinstance(error, msgspec.ValidationError)
        raise DecodingError(
            f"the promise's payload is no {wanted}JSON ({error})",
            "complete it with complete_promise_json, or get its bytes with await_promise",
        ) from None
