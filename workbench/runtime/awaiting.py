"""Things that can be awaited in agents and outside: begun at the first `await`, like a coroutine.

Inside an agent, `begin` makes the operation and gives a future of the agent's loop; asyncio's functions take that
future as it is, without a task around it. Outside, `submit` asks the session and gives a `concurrent.futures.Future`.
"""

import asyncio
import warnings
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from workbench.errors import NotInAgentError, WorkbenchError
from workbench.runtime.answer import HEARTBEAT_SECONDS
from workbench.runtime.current import current


class Awaiting(Coroutine[Any, Any, Any]):
    """Base of calls, promise waits and steps. May be awaited once, gathered, or made a task, like a coroutine."""

    __slots__ = ("__weakref__", "_begun", "_number", "_steps")
    timeout: float | None = None
    """Seconds to wait outside an agent."""

    _number: int

    def __init__(self) -> None:
        self._begun = False
        self._steps: Generator[Any, Any, Any] | None = None

    def _make(self) -> "asyncio.Future[Any]":
        """Make the operation in the agent that is running."""
        raise NotImplementedError

    def _submit(self) -> "Future[Any]":
        """Ask the session, from outside."""
        raise NotImplementedError

    def _mark(self) -> None:
        if self._begun:
            message = f"cannot reuse already awaited {self!r}"
            raise RuntimeError(message)
        self._begun = True

    def begin(self) -> "asyncio.Future[Any]":
        """Begin in an agent; the future of its loop."""
        self._mark()
        return self._make()

    def submit(self) -> "Future[Any]":
        """Begin outside; a future for any thread."""
        self._mark()
        return self._submit()

    def __await__(self) -> Generator[Any, Any, Any]:
        if current.instance is not None:
            return self.begin().__await__()
        return outside(self.submit()).__await__()

    def __hash__(self) -> int:
        """In an agent a number, the same on replay: `asyncio.as_completed` keeps what it is given in a set."""
        try:
            return self._number
        except AttributeError:
            instance = current.instance
            self._number = id(self) >> 4 if instance is None else instance.loop.next_number()
            return self._number

    def send(self, value: Any) -> Any:
        """As a coroutine's."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, typ: Any, val: BaseException | None = None, tb: TracebackType | None = None) -> Any:  # type: ignore[override]
        """As a coroutine's."""
        error = val if val is not None else typ() if isinstance(typ, type) else typ
        if self._steps is None:
            self._begun = True
            raise error.with_traceback(tb) if tb is not None else error
        return self._steps.throw(error)

    def close(self) -> None:
        """As a coroutine's; one that is closed before it began is never made, and nothing warns of it."""
        self._begun = True
        if self._steps is not None:
            self._steps.close()

    def __del__(self) -> None:
        if not self._begun:
            warnings.warn(f"{self!r} was never awaited", RuntimeWarning, stacklevel=2, source=self)


async def outside(future: "Future[Any]") -> Any:
    """Wait in a cell's event loop; cancelling detaches. Wakes ten times a second, so that an interrupt is seen."""
    if current.instance is not None:
        raise NotInAgentError(
            "an agent cannot wait for the session",
            "the answer would not be recorded",
            "ask in a step: await wb.step(client.status)",
        )
    __tracebackhide__ = True  # IPython leaves these frames out of what it shows
    loop = asyncio.get_running_loop()
    waiting = asyncio.wrap_future(future)

    handle: asyncio.TimerHandle

    def beat() -> None:
        nonlocal handle
        handle = loop.call_later(HEARTBEAT_SECONDS, beat)

    handle = loop.call_later(HEARTBEAT_SECONDS, beat)
    try:
        return await waiting
    except WorkbenchError as error:
        raise error.with_traceback(None)  # noqa: B904 - the same error, without the session's frames
    finally:
        handle.cancel()


warnings.filterwarnings("default", message="<call .* was never awaited", category=RuntimeWarning)
