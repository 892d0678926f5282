"""Plain `def` methods, and how they wait: by greenlets.

A `def` method runs in a greenlet of its own. A blocking form (`client.m.blocking(...)`, `wb.blocking_await_promise`)
switches back to the agent's loop with the future it waits for, and the loop switches in again when it is done. So the
agent is suspended and the session is not, and replay sees the same order as for `async def`.
"""

import asyncio
import contextvars
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from greenlet import getcurrent, greenlet

from workbench.errors import UnsupportedError
from workbench.runtime.agent_loop import AgentLoop
from workbench.runtime.current import current


class _MethodGreenlet(greenlet):  # type: ignore[misc] # untyped
    """A greenlet that runs a `def` method; blocking forms look for it."""


def run_blocking(
    loop: AgentLoop, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> "asyncio.Future[Any]":
    """Run a plain function; a done future when it never blocked, else the task that drives it."""
    method = _MethodGreenlet(function)
    context = method.gr_context = contextvars.copy_context()
    done: asyncio.Future[Any] = loop.create_future()
    try:
        value = method.switch(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - it is the outcome, also of sys.exit()
        fail(done, error)
        return done
    if method.dead:
        if isinstance(value, CoroutineType):  # a wrapper around an async method
            return loop.create_task(value)
        done.set_result(value)
        return done
    return loop.create_task(_drive(method, value), context=context)  # what the method sets holds for its turns, too


def fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    """End a future with an error; `StopIteration` becomes what a coroutine makes of it, as no future may hold one."""
    if isinstance(error, StopIteration):
        cause, error = error, RuntimeError(f"the method raised StopIteration({error})")
        error.__cause__ = cause
    future.set_exception(error)


async def _drive(method: greenlet, waiting_for: Any) -> Any:
    while not method.dead:
        try:
            value = await waiting_for
        except BaseException as error:  # noqa: BLE001 - goes into the method, cancellation too
            waiting_for = method.throw(error)
        else:
            waiting_for = method.switch(value)
    return waiting_for


def wait_blocking(future: "asyncio.Future[Any]", name: str) -> Any:
    """Wait in a plain `def` method for a future of the agent's loop; its result.

    Raises:
        UnsupportedError: called in an `async def` method, where waiting is written `await`, or in a constructor, which
            cannot wait.
    """
    if future.done():
        return future.result()
    method = getcurrent()
    if not isinstance(method, _MethodGreenlet) or method.parent is None:
        future.cancel()
        if current.instance.root is None:  # set once the invocation has begun: before, its object is made
            raise UnsupportedError(
                f"{name} in a constructor",
                "an agent's object is made at once, without waiting",
                "keep what __init__ is given, and wait in the method that needs the answer",
            )
        raise UnsupportedError(
            f"{name} in an async method", "it would stop the agent's event loop", "use the awaitable form with await"
        )
    return method.parent.switch(future)
