"""Fan-in: `join`, `try_join`, `race`, `race_ok`, `as_completed`, `bounded`. The same in agents and in cells.

What each means is what Rust's futures-concurrency means by it, which Golem's guides use; order of results is the order
of the calls. A call that is given up is cancelled: withdrawn while it is queued, else its result is dropped and
recorded so.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import chain
from typing import Any

from workbench.errors import AgentTypeError, RaceError
from workbench.runtime.awaiting import Awaiting
from workbench.runtime.client import Method
from workbench.runtime.current import current
from workbench.runtime.pending import Pending, Together


async def join(calls: Iterable[Awaitable[Any]], *, return_exceptions: bool = False) -> list[Any]:
    """Wait for all calls, also when some fail.

    Args:
        calls: what to wait for; `[]` gives `[]` at once.
        return_exceptions: put the errors into the result instead of raising.

    Returns:
        the results in the order of the calls.

    Raises:
        ExceptionGroup: some failed; its members stand in the order of the calls. Raised after all have ended.
    """
    futures = _begin(calls)
    if current.instance is not None and all(type(future) is Pending for future in futures):
        await Together(futures, asyncio.get_running_loop())  # type: ignore[arg-type]
    else:
        await asyncio.gather(*futures, return_exceptions=True)
    outcomes = [_outcome(future) for future in futures]
    if return_exceptions:
        return outcomes
    failed = [o for o in outcomes if isinstance(o, BaseException)]
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(outcomes)} calls failed", failed)
    return outcomes


async def try_join(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Wait for all calls, or for the first error: that is raised at once, and the other calls are dropped.

    Returns:
        the results in the order of the calls; `[]` for none.
    """
    futures = _begin(calls)
    if not futures:
        return []
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
        for future in futures:
            if future.done():
                future.result()
        return [future.result() for future in futures]
    finally:
        _cancel(futures)


async def race(calls: Iterable[Awaitable[Any]]) -> Any:
    """The outcome of the call that ends first, result or error; the others are dropped.

    Raises:
        RaceError: there are no calls.
    """
    futures = _begin(calls)
    if not futures:
        raise RaceError("a race of no calls", "none can come first", "pass at least one call")
    ended = _ends_of(futures)
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        return ended[0].result()
    finally:
        _cancel(futures)


async def race_ok(calls: Iterable[Awaitable[Any]]) -> Any:
    """The result of the first call that succeeds; the others are dropped.

    Raises:
        RaceError: there are no calls.
        ExceptionGroup: all failed; members in the order of the calls.
    """
    futures = _begin(calls)
    if not futures:
        raise RaceError("a race of no calls", "none can succeed", "pass at least one call")
    ended = _ends_of(futures)
    looked_at = 0
    try:
        while looked_at < len(futures):
            if looked_at == len(ended):
                waiting = [f for f in futures if not f.done()]
                await (asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED) if waiting else asyncio.sleep(0))
            for future in ended[looked_at:]:
                looked_at += 1
                if not future.cancelled() and future.exception() is None:
                    return future.result()
        errors = [_error_of(f) for f in futures]
        raise BaseExceptionGroup(f"all {len(futures)} calls failed", [e for e in errors if e is not None])
    finally:
        _cancel(futures)


class as_completed(AsyncIterator[Any]):  # noqa: N801 - used as a function, like asyncio's
    """Iterate over results in the order of completion: `async for result in wb.as_completed(calls)`.

    Several tasks may iterate over one: each result goes to one of them, and all come to an end with the last. A call
    that failed raises when its turn comes; iterating further is possible. Calls that are left when the iteration is
    given up with `aclose()`, or when the agent's invocation ends, are dropped.
    """

    def __init__(self, calls: Iterable[Awaitable[Any]]) -> None:
        self._calls: Iterable[Awaitable[Any]] | None = calls
        self._futures: list[asyncio.Future[Any]] = []
        self._ended: asyncio.Queue[asyncio.Future[Any] | None] = asyncio.Queue()
        """Calls in the order of their ends, then `None`, which each who waits for more passes on to the next."""
        self._left = 0

    def __aiter__(self) -> "as_completed":
        return self

    async def __anext__(self) -> Any:
        if self._calls is not None:
            self._futures = _begin(self._calls)
            self._calls, self._left = None, len(self._futures)
            for future in self._futures:
                future.add_done_callback(self._ended.put_nowait)
        ended = await self._ended.get() if self._left else None
        if not self._left or ended is None:
            self._ended.put_nowait(None)
            raise StopAsyncIteration
        self._left -= 1
        if not self._left:
            self._ended.put_nowait(None)
        return ended.result()

    async def aclose(self) -> None:
        """Drop the calls that have not ended."""
        self._left = 0
        self._ended.put_nowait(None)
        _cancel(self._futures)


async def bounded(
    fn: Callable[[Any], Any], items: Iterable[Any], limit: int = 8, *, return_exceptions: bool = False
) -> list[Any]:
    """Call `fn` for each item with at most `limit` calls in flight.

    Args:
        fn: gives something to await for an item (a call, a coroutine), or a plain value.
        items: taken in order, each when a place is free.
        limit: calls in flight at the same time, at least 1.
        return_exceptions: put errors into the result instead of raising the first and dropping the rest.

    Returns:
        the results in the order of the items.
    """
    check_limit(limit, "at least one call must be in flight")
    results: list[Any] = []
    waiting = iter(items)
    first = [item for _, item in zip(range(limit), waiting, strict=False)]
    numbered = enumerate(chain(first, waiting))

    async def lane() -> None:
        for index, item in numbered:
            results.append(None)
            try:
                value = fn(item)
                results[index] = await value if inspect.isawaitable(value) else value
            except Exception as error:
                if not return_exceptions:
                    raise
                results[index] = error

    await try_join([asyncio.ensure_future(lane()) for _ in first])
    return results


def check_limit(limit: object, why: str) -> None:
    """Refuse what is no limit.

    Raises:
        AgentTypeError: it is no number, or less than 1.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise AgentTypeError(f"a limit of {limit!r}", why, "pass limit=1 or more")


def _begin(calls: Iterable[Awaitable[Any]]) -> "list[asyncio.Future[Any]]":
    """Begin all, in order; what cannot be awaited is refused before the first begins."""
    listed = list(calls)
    for number, call in enumerate(listed):
        if isinstance(call, Method) or (not isinstance(call, Awaiting) and not inspect.isawaitable(call)):
            raise AgentTypeError(
                f"item {number} is a {type(call).__name__}, not a call",
                "only what can be awaited can be joined",
                "pass client.method(...) itself",
            )
    if current.instance is None:
        return [asyncio.ensure_future(call) for call in listed]
    return [call.begin() if isinstance(call, Awaiting) else asyncio.ensure_future(call) for call in listed]


def _ends_of(futures: "list[asyncio.Future[Any]]") -> "list[asyncio.Future[Any]]":
    """A list that gets each future when it ends. In a cell several may have ended before it is its turn again."""
    ended: list[asyncio.Future[Any]] = []
    for future in futures:
        future.add_done_callback(ended.append)
    return ended


def _outcome(future: "asyncio.Future[Any]") -> Any:
    """The result, or the error as a value."""
    error = _error_of(future)
    return future.result() if error is None else error


def _error_of(future: "asyncio.Future[Any]") -> BaseException | None:
    """What a future that is done ended with; where it was cancelled, an error with the text that it was given."""
    try:
        return future.exception()
    except asyncio.CancelledError as error:
        return error


def _cancel(futures: "list[asyncio.Future[Any]]") -> None:
    for future in futures:
        if not future.done():
            future.cancel()
        elif not future.cancelled():
            future.exception()  # looked at: a loser's error is no news
