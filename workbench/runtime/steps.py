"""Steps: side effects. Plain functions run on threads, coroutine functions on the session's loop.

`Steps` knows which are under way, from the commit of their intent to their outcome; `StepRunner` runs them. Neither
sees an agent's instance.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from workbench.core.nouns import Step
from workbench.model.codec import KnownTypes, encode
from workbench.model.failure import encode_failure
from workbench.runtime.journal import Journal
from workbench.store.faults import reach

THREADS: Final = 32
"""Plain functions that run at the same time; more wait their turn."""

Outcome = tuple[bool, bytes]
"""Whether it returned, and the encoded result or failure."""


class StepWork:
    """What a step runs: a function with its arguments; kept in memory only, made again by replay."""

    __slots__ = ("args", "function", "idempotent", "key", "kwargs", "name", "timeout")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        idempotent: bool,
        timeout: float | None,
    ) -> None:
        self.name, self.function, self.args, self.kwargs = name, function, args, kwargs
        self.idempotent, self.timeout = idempotent, timeout
        self.key = ""


class Steps:
    """The steps under way. On the session's thread only.

    Args:
        loop: the session's.
        journal: says when an intent is committed.
        ended: called with each outcome, unless a crash came in between.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, journal: Journal, ended: Callable[[Step, Outcome], None]
    ) -> None:
        self._journal, self._ended = journal, ended
        self._runner = StepRunner(loop)
        self._under_way: dict[tuple[int, int], object] = {}
        self._when_none: list[Callable[[], None]] = []

    @property
    def any_under_way(self) -> bool:
        """Whether one has begun and not ended."""
        return bool(self._under_way)

    def under_way(self, step: Step) -> bool:
        """Whether this one has begun and not ended."""
        return step.origin in self._under_way

    def when_none(self, action: Callable[[], None]) -> None:
        """Do something once, when the last step that is under way has ended."""
        self._when_none.append(action)

    def begin(
        self, step: Step, agent_id: str, work: StepWork, known: KnownTypes, context: contextvars.Context | None
    ) -> None:
        """Run a step once its intent is committed.

        Args:
            step: which one.
            agent_id: who asked for it, for messages.
            work: what to run.
            known: what its result may be.
            context: the context variables to run it with; none of them by default.
        """
        origin = step.origin
        token = self._under_way[origin] = object()

        def done(outcome: Outcome) -> None:
            if self._under_way.get(origin) is not token:
                return
            del self._under_way[origin]
            reach("step.done")
            self._ended(step, outcome)
            self._tell_none()

        def run() -> None:
            if self._under_way.get(origin) is token:
                self._runner.run(origin, agent_id, work, known, context, done)

        self._journal.release(run)

    def cancel(self, step: Step) -> None:
        """Listen to this one no more, and stop it if that can be done."""
        if self._under_way.pop(step.origin, None) is not None:
            self._runner.cancel(step.origin)
            self._tell_none()

    def _tell_none(self) -> None:
        if not self._under_way:
            waiting, self._when_none = self._when_none, []
            for action in waiting:
                action()

    def forget(self) -> None:
        """Listen to none of those under way any more, as after a crash."""
        self._under_way.clear()

    def abandon(self) -> None:
        """Forget, and stop what can be stopped."""
        self.forget()
        self._runner.abandon()


class StepRunner:
    """Runs steps for one session; `done` is called on the session's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}

    def run(
        self,
        origin: tuple[int, int],
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
            self._tasks[origin] = task
            task.add_done_callback(lambda _: self._tasks.pop(origin, None))
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

    def cancel(self, origin: tuple[int, int]) -> None:
        """Cancel a coroutine that runs; a thread ends by itself."""
        task = self._tasks.pop(origin, None)
        if task is not None:
            task.cancel()

    def abandon(self) -> None:
        """Stop waiting for what runs; as a crash would. Threads end by themselves and are not listened to."""
        for task in tuple(self._tasks.values()):
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
