"""Sagas: operations that can be undone, and transactions made of them.

A transaction is plain agent code over steps and calls, so its oplog is theirs: a crash anywhere lets it go on exactly
where it stood, in the middle of undoing too.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from workbench.errors import AgentTypeError, CompensationError
from workbench.model.retry import DEFAULT, Retry
from workbench.runtime.client import Method
from workbench.runtime.current import require_instance
from workbench.runtime.effects import random, step

Doing = Callable[..., Any] | Method


class Operation:
    """Something that can be done and undone; see `operation`."""

    __slots__ = ("_options", "compensate", "execute", "name")

    def __init__(self, execute: Doing, compensate: Doing, options: dict[str, Any]) -> None:
        self.execute, self.compensate = execute, compensate
        self.name = _name_of(execute)
        self._options = options

    def begin(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Do it."""
        return _begin(self.execute, self._options, args, kwargs)

    def undo(self, result: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Undo what came to `result`."""
        return _begin(self.compensate, self._options, (result, *args), kwargs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


def _begin(doing: Doing, options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
    if isinstance(doing, Method):
        return doing(*args, **kwargs)
    if kwargs:  # so that none of them is taken for an option of the step
        named = functools.partial(doing, **kwargs)
        functools.update_wrapper(named, doing)
        doing = named
    return step(doing, *args, **options)


def _name_of(doing: Doing) -> str:
    if isinstance(doing, Method):
        return f"{doing.agent_id}.{doing.method_type.name}"
    return str(getattr(doing, "__qualname__", type(doing).__qualname__)).replace("<locals>.", "")


def operation(
    execute: Doing, compensate: Doing, *, retry: Retry | int | None = None, timeout: float | None = None
) -> Operation:
    """An operation with its compensation: `book = wb.operation(book_flight, cancel_flight)`.

    Args:
        execute: what does it: a plain or coroutine function, run as a step; or a method of an agent's client, called.
        compensate: what undoes it, likewise: `compensate(result, *args, **kwargs)` gets what `execute` returned and
            what it was given. It may run twice, as any step, so let it be harmless then.
        retry: as of `wb.step`, for both when they are steps.
        timeout: as of `wb.step`, likewise.

    Raises:
        AgentTypeError: one of them cannot be called.
    """
    for doing in (execute, compensate):
        if not callable(doing):
            raise AgentTypeError(
                f"{doing!r:.80} is no function",
                "an operation is a function and one that undoes it",
                "write wb.operation(do, undo)",
            )
    return Operation(execute, compensate, {"retry": retry, "timeout": timeout})


class Transaction:
    """What a transaction has done so far. Given to its function, which calls `execute`."""

    def __init__(self) -> None:
        self._done: list[tuple[Operation, Any, tuple[Any, ...], dict[str, Any]]] = []
        self._open: list[asyncio.Task[Any]] = []
        self._over = False

    async def execute(self, operation: Operation, *args: Any, **kwargs: Any) -> Any:
        """Do an operation; its result. If the transaction fails later, it is undone.

        Several may be under way at the same time. One that still is when the transaction fails is waited for.

        Oplog: that of the step or the call.
        Replay: as of the step or the call.

        Raises:
            AgentTypeError: no operation, or the transaction is over.
            Exception: what the operation raised; it then counts as not done.
        """
        if not isinstance(operation, Operation):
            raise AgentTypeError(
                f"{operation!r:.80} is no operation", "it could not be undone", "make one: wb.operation(do, undo)"
            )
        if self._over:
            raise AgentTypeError(
                f"operation {operation.name} in a transaction that is over",
                "nothing would undo it",
                "await all that is done in a transaction inside its function",
            )
        task = asyncio.ensure_future(self._execute(operation, args, kwargs))
        self._open.append(task)
        try:
            return await asyncio.shield(task)
        finally:
            if task.done():
                self._open.remove(task)

    async def _execute(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await operation.begin(*args, **kwargs)
        self._done.append((operation, result, args, kwargs))
        return result

    def end(self) -> None:
        """All is done, and stays."""
        self._over = True

    async def undo(self, cause: BaseException) -> None:
        """Undo all, the last first.

        Raises:
            CompensationError: one of them cannot be undone; those before it are left as they are.
        """
        self._over = True
        if self._open:
            await asyncio.wait(self._open)
        while self._done:
            done, result, args, kwargs = self._done[-1]
            try:
                await done.undo(result, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it raises, it did not undo
                left = ", ".join(other.name for other, *_ in reversed(self._done))
                raise CompensationError(
                    f"{done.name} could not be undone",
                    f"its compensation {_name_of(done.compensate)} raised {type(error).__name__}: {error!s:.500}; "
                    f"the transaction had failed with {type(cause).__name__}: {cause!s:.500}",
                    f"undo by hand, in this order: {left}",
                ) from cause
            self._done.pop()


async def fallible_transaction(function: Callable[[Transaction], Awaitable[Any]]) -> Any:
    """Do all of several operations, or none: `await wb.fallible_transaction(self.book_trip)`.

    `function(tx)` does its operations with `await tx.execute(operation, *args)`. When it raises, or is cancelled, those
    that succeeded are undone, the last first, and the error is raised again. After a crash it goes on where it stood.

    Args:
        function: a coroutine function, or method, of the agent.

    Returns:
        what the function returned.

    Oplog: that of the steps and calls in it.
    Replay: as of those.

    Raises:
        CompensationError: an operation could not be undone; its cause is the original error.
        NotInAgentError: called outside an agent.
        Exception: what the function raised, when all was undone.
    """
    require_instance("fallible_transaction")
    tx = Transaction()
    try:
        result = await function(tx)
    except (Exception, asyncio.CancelledError) as error:
        await _to_its_end(tx.undo(error))
        raise
    tx.end()
    return result


async def _to_its_end(undoing: Coroutine[Any, Any, None]) -> None:
    """Await all of it, also when this is cancelled meanwhile, which is met at the end."""
    task, cancelled = asyncio.ensure_future(undoing), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


async def infallible_transaction(
    function: Callable[[Transaction], Awaitable[Any]], *, attempts: int | None = None
) -> Any:
    """As `fallible_transaction`, and when it fails it is undone and tried again until it succeeds.

    The waits in between are durable, and those of a step's retries: 100 ms at first, three times as long each time, up
    to 1 s. Cancelling ends it: then it is undone, and not tried again.

    Args:
        function: a coroutine function, or method, of the agent.
        attempts: tries in all; after the last one its error is raised. No limit by default.

    Returns:
        what the function returned when it did.

    Oplog: that of the steps and calls in it, and a `TimerSet` for each wait.
    Replay: as of those.

    Raises:
        CompensationError: an operation could not be undone; its cause is the original error.
        NotInAgentError: called outside an agent.
        Exception: what the function raised the last time.
    """
    require_instance("infallible_transaction")
    policy = Retry(attempts, DEFAULT.delay, DEFAULT.factor, DEFAULT.cap, DEFAULT.jitter)
    failures = 0
    while True:
        try:
            return await fallible_transaction(function)
        except CompensationError:
            raise
        except Exception:
            failures += 1
            delay = policy.delay_after(failures, random())
            if delay is None:
                raise
        await asyncio.sleep(delay)
