"""Running an awaitable while the thread's event loop is already running: the one place that uses nest-asyncio.

A coroutine gets a loop of its own on a helper thread; nothing is patched. Only a future that belongs to the running
loop needs that loop to go on inside itself, and for that the loop is patched by nest-asyncio2, which follows today's
ipykernel; nest-asyncio 1.6.0 drops queued cells there and is refused.
"""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from typing import Any

from workbench.errors import UnsupportedError


def needs_running_loop(awaitable: Awaitable[Any]) -> bool:
    """Whether this is a future of the loop that runs in this thread."""
    if not asyncio.isfuture(awaitable):
        return False
    try:
        return awaitable.get_loop() is asyncio.get_running_loop()
    except RuntimeError:
        return False


def run_on_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop on a helper thread and block for its result; an interrupt cancels it."""
    future: Future[Any] = Future()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def main() -> Any:
        task: Any = asyncio.current_task()
        started.set_result((asyncio.get_running_loop(), task))
        return await coroutine

    def target() -> None:
        try:
            future.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - goes to the caller
            future.set_exception(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), name="workbench-run", daemon=True)
    thread.start()
    try:
        return future.result()
    except BaseException:
        if not future.done():
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
        raise


def enable() -> str:
    """Patch asyncio so that loops nest; the name of the package that does it.

    Raises:
        UnsupportedError: only nest-asyncio 1.6.0 is there, beside an ipykernel that it breaks.
    """
    import importlib.metadata  # noqa: PLC0415 - 40 ms that only those who nest pay
    import importlib.util  # noqa: PLC0415

    if importlib.util.find_spec("nest_asyncio2") is not None:
        import nest_asyncio2  # noqa: PLC0415 - patches asyncio only for those who ask

        nest_asyncio2.apply()
        return "nest-asyncio2"
    if importlib.util.find_spec("ipykernel") and int(importlib.metadata.version("ipykernel").split(".")[0]) >= 7:  # noqa: PLR2004
        raise UnsupportedError(
            "nest-asyncio on ipykernel 7",
            "it silently drops queued cells there",
            "install its successor: pip install nest-asyncio2",
        )
    import nest_asyncio  # noqa: PLC0415

    nest_asyncio.apply()
    return "nest-asyncio"


def run_nested(future: Awaitable[Any], timeout: float | None) -> Any:
    """Go on with the running loop until one of its futures is done."""
    enable()
    loop = asyncio.get_running_loop()
    return loop.run_until_complete(asyncio.wait_for(future, timeout))
