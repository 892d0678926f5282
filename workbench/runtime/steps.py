"""Where steps run: plain functions on threads, coroutine functions on the session's loop. Neither sees an agent."""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from workbench.model.codec import KnownTypes, encode
from workbench.model.failure import encode_failure
from workbench.runtime.instance import StepWork

THREADS: Final = 32
"""Plain functions that run at the same time; more wait their turn."""

Outcome = tuple[bool, bytes]
"""Whether it returned, and the encoded result or failure."""


class StepRunner:
    """Runs steps for one session; `done` is called on the session's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def run(
        self,
        agent_id: str,
        work: StepWork,
        known: KnownTypes,
        context: contextvars.Context | None,
        done: Callable[[Outcome], None],
    ) -> None:
        """Run one step; on the session's thread."""
        context = context.copy() if context is not None else contextvars.Context()
        if inspect.iscoroutinefunction(work.function):
            task = self._loop.create_task(self._run_async(agent_id, work, known, done), context=context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="workbench-step")
        loop = self._loop

        def in_thread() -> None:
            outcome = context.run(_run_plain, agent_id, work, known)
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, outcome)

        self._pool.submit(in_thread)

    async def _run_async(
        self, agent_id: str, work: StepWork, known: KnownTypes, done: Callable[[Outcome], None]
    ) -> None:
        try:
            async with asyncio.timeout(work.timeout):
                value = await work.function(*work.args, **work.kwargs)
            outcome = True, encode(value, known, f"result of step {work.name}")
        except asyncio.CancelledError as error:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr] # the session is closing
                raise
            outcome = False, encode_failure(error, agent_id, work.name)
        except Exception as error:  # noqa: BLE001 - it is the step's outcome
            outcome = False, encode_failure(error, agent_id, work.name)
        done(outcome)

    def abandon(self) -> None:
        """Stop waiting for what runs; as a crash would. Threads end by themselves and are not listened to."""
        for task in self._tasks:
            task.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _run_plain(agent_id: str, work: StepWork, known: KnownTypes) -> Outcome:
    try:
        return True, encode(work.function(*work.args, **work.kwargs), known, f"result of step {work.name}")
    except Exception as error:  # noqa: BLE001 - it is the step's outcome
        return False, encode_failure(error, agent_id, work.name)
    except BaseException as error:  # noqa: BLE001 - SystemExit in a thread would be lost
        return False, encode_failure(error, agent_id, work.name)
