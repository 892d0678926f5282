"""Steps: side effects. Plain functions run on threads or other processes, coroutine functions on the session's loop.

`Steps` knows which are under way, from the commit of their intent to their outcome; `StepRunner` runs them. Neither
sees an agent's instance.

A step is tried until it returns, or its policy (`workbench.model.retry`) has had enough. A *try* is one run of the
function. What comes of it is an `Outcome`: the end of the step, or the delay until the next try, which the engine
records. Never tried again are: a cancelled step; one whose result cannot be recorded, as it took effect; `sys.exit()`;
and, where the step may not run twice, a try that was cut short by its time limit, as nobody knows what it did.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from workbench.core.nouns import Invocation, Step
from workbench.errors import OutcomeUnknown, ProcessDiedError
from workbench.model.codec import KnownTypes, encode
from workbench.model.failure import encode_failure
from workbench.model.retry import Retry
from workbench.runtime.journal import Journal
from workbench.runtime.processes import CpuJob, End, How, ProcessPool, give_back, pool_for
from workbench.runtime.threads import Job, Threads
from workbench.store.faults import reach

THREADS: Final = 32
"""Plain functions that run at the same time; more wait their turn."""

step_key: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("workbench_step_key")
"""In the function of a step: the step's key, 32 hexadecimal digits."""
step_session: Final[contextvars.ContextVar[Any]] = contextvars.ContextVar("workbench_step_session")
"""In the function of a step: the `Session` of the agent that asked for it. (Its class lives a floor above.)"""
step_origin: Final[contextvars.ContextVar["tuple[Steps, tuple[int, int]]"]] = contextvars.ContextVar(
    "workbench_step_origin"
)
"""In the function of a step: among which steps, and the agent and index that asked for it first."""


class Outcome(NamedTuple):
    """What came of a try.

    Attributes:
        ok: whether it returned.
        value: the encoded result or failure.
        delay: seconds until the next try; None when this is the step's end.
    """

    ok: bool
    value: bytes
    delay: float | None = None


class StepWork:
    """What a step runs: a function with its arguments; kept in memory only, made again by replay.

    `key` is the same at each try of the step, after a crash too. `tries_undone` counts the tries in runs of an atomic
    region that crashes undid.
    """

    __slots__ = ("args", "cpu", "function", "idempotent", "key", "kwargs", "name", "retry", "timeout", "tries_undone")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        retry: Retry,
        timeout: float | None,
        idempotent: bool,
        cpu: bool,
    ) -> None:
        self.name, self.function, self.args, self.kwargs = name, function, args, kwargs
        self.retry, self.timeout, self.idempotent, self.cpu = retry, timeout, idempotent, cpu
        self.key = ""
        self.tries_undone = 0


class Try:
    """One run of a step's function.

    Args:
        agent_id: who asked for the step, for messages.
        work: what to run.
        known: what its result may be.
        failures: how often it failed before.
        context: the context variables to run it with; its own copy.
        wanted: whether somebody still waits for the outcome; may be asked on any thread.
        done: to be called with the outcome on the session's thread; heard once.
    """

    __slots__ = ("agent_id", "context", "done", "failures", "known", "wanted", "work")

    def __init__(
        self,
        agent_id: str,
        work: StepWork,
        known: KnownTypes,
        failures: int,
        context: contextvars.Context,
        wanted: Callable[[], bool],
        done: Callable[[Outcome], None],
    ) -> None:
        self.agent_id, self.work, self.known, self.failures = agent_id, work, known, failures
        self.context, self.wanted, self.done = context, wanted, done

    def call(self) -> Any:
        """Call the function, here and now."""
        step_key.set(self.work.key)
        return self.work.function(*self.work.args, **self.work.kwargs)

    def returned(self, value: object) -> Outcome:
        """The function returned."""
        try:
            return Outcome(True, encode(value, self.known, f"result of step {self.work.name}"))  # noqa: FBT003
        except Exception as error:  # noqa: BLE001 - a value's own methods are user code
            return self.ended(error)

    def raised(self, error: BaseException) -> Outcome:
        """The function raised: the policy says whether that is the end."""
        if isinstance(error, CancelledError):
            return self.ended(error)
        policy, failures = self.work.retry, self.failures + 1
        try:
            delay = policy.delay_after(failures, self._chance(failures)) if policy.allows(error) else None
        except BaseException as broken:  # noqa: BLE001 - `when` is user code; the error it was asked about is its context
            return self.ended(broken)
        return self.ended(error)._replace(delay=delay)

    def cut_short(self, error: BaseException) -> Outcome:
        """The try was ended from outside: whether it took effect is not known."""
        if self.work.idempotent:
            return self.raised(error)
        if isinstance(error, ProcessDiedError):
            return self.ended(outcome_unknown(self.work.name, self.agent_id, error.why))
        return self.ended(error)

    def ended(self, error: BaseException) -> Outcome:
        """The step ends with this error."""
        return Outcome(False, encode_failure(error, self.agent_id, self.work.name))  # noqa: FBT003

    def _chance(self, failures: int) -> float:
        """From 0 to 1, the same on replay."""
        drawn = blake2b(f"{self.work.key}/{failures}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) / 2**64


def outcome_unknown(name: str, agent_id: str, why: str) -> OutcomeUnknown:
    """The error of a step that may not run twice, and was cut short."""
    return OutcomeUnknown(
        f"step {name} of {agent_id}",
        f"{why}, and it may not run twice",
        "find out whether it took effect, then call the agent again",
    )


class Steps:
    """The steps under way. On the session's thread only.

    Args:
        loop: the session's.
        session: whose steps these are; the `Session`, or what stands for it.
        journal: says when an intent is committed.
        ended: called with each outcome, unless a crash came in between.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        session: object,
        journal: Journal,
        ended: Callable[[Step, Outcome], None],
    ) -> None:
        self._session, self._journal, self._ended = session, journal, ended
        self._runner = StepRunner(loop)
        self._under_way: dict[tuple[int, int], object] = {}
        self.asked: dict[tuple[int, int], list[Invocation]] = {}
        """By the origin of a step under way: the calls that its function has made and may wait for."""

    @property
    def any_under_way(self) -> bool:
        """Whether one has begun and not ended; one that waits for its next try has not."""
        return bool(self._under_way)

    def under_way(self, step: Step) -> bool:
        """Whether a try of this one has begun and not ended."""
        return step.origin in self._under_way

    def asks(self, origin: tuple[int, int], call: Invocation) -> None:
        """The function of a step under way makes a call; one that has ended, and left a task behind, asks nothing."""
        if origin in self._under_way:
            calls = self.asked.setdefault(origin, [])
            calls[:] = [other for other in calls if not other.settled]
            calls.append(call)

    def asks_no_more(self, call: Invocation) -> None:
        """Whoever made this call from outside, maybe the function of a step, waits for it no more."""
        for calls in self.asked.values():
            if call in calls:
                calls.remove(call)

    def begin(
        self, step: Step, agent_id: str, work: StepWork, known: KnownTypes, context: contextvars.Context | None
    ) -> None:
        """Try a step once its intent is committed.

        Args:
            step: which one.
            agent_id: who asked for it, for messages.
            work: what to run.
            known: what its result may be.
            context: the context variables to run it with; none of them by default.
        """
        origin = step.origin
        token = self._under_way[origin] = object()

        def wanted() -> bool:
            return self._under_way.get(origin) is token

        def done(outcome: Outcome) -> None:
            if not wanted():
                return
            del self._under_way[origin]
            self.asked.pop(origin, None)
            reach("step.done")
            self._ended(step, outcome)

        own = context.copy() if context is not None else contextvars.Context()
        own.run(step_session.set, self._session)
        own.run(step_origin.set, (self, origin))
        attempt = Try(agent_id, work, known, step.retries, own, wanted, done)

        def run() -> None:
            if wanted():
                self._runner.run(origin, attempt)

        self._journal.release(run)

    def cancel(self, step: Step) -> None:
        """Listen to this one no more, and stop it if that can be done."""
        if self._under_way.pop(step.origin, None) is not None:
            self.asked.pop(step.origin, None)
            self._runner.cancel(step.origin)

    def forget(self) -> None:
        """Listen to none of those under way any more, as after a crash."""
        self._under_way.clear()
        self.asked.clear()
        self._runner.cancel_all()

    def abandon(self) -> None:
        """Forget, and let go of threads and processes."""
        self.forget()
        self._runner.close()


class StepRunner:
    """Runs tries for one session. On its thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads: Threads | None = None
        self._pool: ProcessPool | None = None
        self._running: dict[tuple[int, int], asyncio.Task[None] | Job | CpuJob] = {}

    def run(self, origin: tuple[int, int], attempt: Try) -> None:
        """Begin a try.

        Args:
            origin: names the step, for `cancel`.
            attempt: the try.
        """
        if attempt.work.cpu:
            self._run_in_process(origin, attempt)
        elif inspect.iscoroutinefunction(attempt.work.function):
            self._run_on_loop(origin, attempt, attempt.call)
        else:
            self._run_on_thread(origin, attempt)

    def _post(self, action: Callable[..., object], *args: object) -> None:
        """From another thread: have something done on the session's."""
        try:
            self._loop.call_soon_threadsafe(action, *args)
        except RuntimeError:
            if not self._loop.is_closed():  # the session ended while this ran
                raise

    # ---- on the session's loop -------------------------------------------------------------------------------------

    def _run_on_loop(self, origin: tuple[int, int], attempt: Try, begin: Callable[[], Awaitable[Any]]) -> None:
        task = self._loop.create_task(self._await(origin, attempt, begin), context=attempt.context)
        self._running[origin] = task

    async def _await(self, origin: tuple[int, int], attempt: Try, begin: Callable[[], Awaitable[Any]]) -> None:
        work = attempt.work
        try:
            async with asyncio.timeout(work.timeout) as limit:
                value = await begin()
            outcome = attempt.returned(value)
        except asyncio.CancelledError as error:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr] # by `cancel` or `abandon`
                raise
            outcome = attempt.ended(error)
        except TimeoutError as error:
            late = limit.expired()
            outcome = attempt.cut_short(_too_late(work, "it was cancelled")) if late else attempt.raised(error)
        except BaseException as error:  # noqa: BLE001 - it is the outcome, SystemExit too: it would end the session's loop
            outcome = attempt.raised(error)
        self._end(origin, attempt, outcome)

    def _end(self, origin: tuple[int, int], attempt: Try, outcome: Outcome) -> None:
        if attempt.wanted():
            self._running.pop(origin, None)
        attempt.done(outcome)

    # ---- on a thread -------------------------------------------------------------------------------------------------

    def _run_on_thread(self, origin: tuple[int, int], attempt: Try) -> None:
        if self._threads is None:
            self._threads = Threads(THREADS, "workbench-step")
        threads, work = self._threads, attempt.work
        limit: asyncio.TimerHandle | None = None

        def begun() -> None:
            nonlocal limit
            if work.timeout is not None and attempt.wanted():
                limit = self._loop.call_later(work.timeout, too_late)

        def too_late() -> None:
            threads.lose(job)
            error = _too_late(work, "its thread goes on, and what comes of it is not heard")
            self._end(origin, attempt, attempt.cut_short(error))

        def ended(outcome: Outcome) -> None:
            if limit is not None:
                limit.cancel()
            self._end(origin, attempt, outcome)

        def goes_on(value: Awaitable[Any]) -> None:
            if limit is not None:
                limit.cancel()
            if attempt.wanted():
                self._run_on_loop(origin, attempt, lambda: value)

        def in_thread() -> None:
            if not attempt.wanted():
                return
            if work.timeout is not None:
                self._post(begun)
            try:
                value = attempt.context.run(attempt.call)
            except BaseException as error:  # noqa: BLE001 - it is the outcome, SystemExit too: a thread would lose it
                self._post(ended, attempt.raised(error))
                return
            if inspect.isawaitable(value):  # `lambda: fetch(url)`, a client's method
                self._post(goes_on, value)
            else:
                self._post(ended, attempt.context.run(attempt.returned, value))

        job = threads.submit(in_thread)
        self._running[origin] = job

    # ---- in another process ------------------------------------------------------------------------------------------

    def _run_in_process(self, origin: tuple[int, int], attempt: Try) -> None:
        def on_pool_thread(end: End) -> None:
            error = end.error or RuntimeError("no error")
            if end.how is How.RETURNED:
                outcome = attempt.returned(end.value)
            elif end.how is How.RAISED:
                outcome = attempt.raised(error)
            elif end.how is How.CUT_SHORT:
                outcome = attempt.cut_short(error)
            else:
                outcome = attempt.ended(error)
            self._post(self._end, origin, attempt, outcome)

        work = attempt.work
        job = CpuJob(work.name, work.function, work.args, work.kwargs, work.timeout, on_pool_thread)
        self._running[origin] = job
        if self._pool is None:
            self._pool = pool_for(self)
        self._pool.submit(job)

    # ---- endings -----------------------------------------------------------------------------------------------------

    def cancel(self, origin: tuple[int, int]) -> None:
        """Cancel a coroutine, kill a process; a thread ends by itself."""
        running = self._running.pop(origin, None)
        if isinstance(running, CpuJob):
            if self._pool is not None:
                self._pool.cancel(running)
        elif isinstance(running, Job):
            if self._threads is not None:
                self._threads.lose(running)
        elif running is not None:
            running.cancel()

    def cancel_all(self) -> None:
        """Cancel whatever runs, as a crash would end it."""
        for origin in tuple(self._running):
            self.cancel(origin)

    def close(self) -> None:
        """Begin nothing more; threads end with what they do, and nobody listens."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None
        if self._pool is not None:
            self._pool = None
            give_back(self)


def _too_late(work: StepWork, note: str) -> TimeoutError:
    return TimeoutError(f"step {work.name} did not end within {work.timeout:g} s; {note}")
