"""Waiting without `await`: in scripts, in sync cells, also while an event loop is running."""

import asyncio
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from typing import Any

from workbench.errors import WorkbenchError
from workbench.runtime import nesting
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.current import refuse_blocking, users_part


def run(awaitable: Awaitable[Any], timeout: float | None = None) -> Any:
    """Wait for something awaitable without `await`: in scripts, in sync cells, also while an event loop is running.

    Args:
        awaitable: a call, a coroutine, a future.
        timeout: seconds; `TimeoutError` when they pass. What was accepted goes on.

    Raises:
        NotInAgentError: in an agent, where waiting is written `await`.
    """
    __tracebackhide__ = True
    refuse_blocking("wb.run", "write await, or .blocking(...) in a plain def method")
    try:
        return _run(awaitable, timeout)
    except WorkbenchError as error:  # its text says what happened, and the loops that it came through say nothing
        raise error.with_traceback(users_part(error.__traceback__))  # noqa: B904 - the same error


def _run(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    __tracebackhide__ = True
    if isinstance(awaitable, Awaiting):
        limits = [limit for limit in (timeout, awaitable.timeout) if limit is not None]
        return wait(awaitable.submit(), min(limits, default=None))
    if nesting.needs_running_loop(awaitable):
        return nesting.run_nested(awaitable, timeout)
    return _run_coroutine(awaitable, timeout)


def wait(future: "Future[Any]", timeout: float | None = None) -> Any:
    """Block until a future is done; an interrupt or a timeout gives it up, and harms nothing."""
    __tracebackhide__ = True  # IPython leaves these frames out of what it shows
    try:
        error = future.exception(timeout)
    except BaseException:
        if not future.done():
            future.cancel()
        raise
    if error is not None:
        raise error.with_traceback(None)
    return future.result()


async def _as_coroutine(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    async with asyncio.timeout(timeout):
        return await awaitable


def _run_coroutine(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    __tracebackhide__ = True
    coroutine: Coroutine[Any, Any, Any] = _as_coroutine(awaitable, timeout)
    return nesting.run_on_thread(coroutine) if _in_a_loop() else asyncio.run(coroutine)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
