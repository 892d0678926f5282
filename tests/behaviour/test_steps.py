# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Steps: where they run, what they may take and give, errors, and what an async step may do with the session."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, until
from workbench.model import entries as e

ran: list[Any] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    ran.clear()


@dataclass
class Page:
    title: str
    size: int


def effect(x: Any) -> Any:
    ran.append(x)
    return x


async def effect_async(x: Any) -> Any:
    await asyncio.sleep(0)
    ran.append(x)
    return x


def fetch(n: int) -> Page:
    return Page(f"page {n}", n)


def fail(name: str) -> None:
    raise {"value": ValueError, "os": OSError, "exit": SystemExit, "stop": StopIteration}[name]("from the step")


def thread_name() -> str:
    return threading.current_thread().name


async def thread_name_async() -> str:
    return threading.current_thread().name


@wb.agent
class Doer:
    async def plain(self, x: Any) -> list[Any]:
        return [await wb.step(effect, x), await wb.step(effect_async, x)]

    async def typed(self, n: int) -> Page:
        return await wb.step(fetch, n)  # type: ignore[no-any-return]

    async def failing(self, name: str) -> None:
        await wb.step(fail, name)

    async def caught(self, name: str) -> str:
        try:
            await wb.step(fail, name)
        except ValueError as error:
            return f"{error.error_type}: {error.message}" if isinstance(error, wb.InvocationError) else "another error"
        return "nothing"

    async def threads(self) -> list[str]:
        return [await wb.step(thread_name), await wb.step(thread_name_async)]

    async def many(self, count: int) -> list[int]:
        return await wb.join([wb.step(effect, i) for i in range(count)])


def test_a_step_runs_once(either: wb.Session) -> None:
    """A plain and an async step run once; after a crash the recorded outcome counts and nothing runs again."""
    assert wb.run(Doer.get().plain("x"), PATIENCE) == ["x", "x"]
    either.simulate_crash()
    assert wb.run(either.result("Doer()")) == ["x", "x"]
    assert wb.run(Doer.get().plain("y"), PATIENCE) == ["y", "y"]
    assert ran == ["x", "x", "y", "y"]
    assert kinds(either, "Doer()").count("StepStarted") == 4


def test_where_steps_run(session: wb.Session) -> None:
    """A plain function runs on a thread of its own, an async one on the session's."""
    on_thread, on_loop = wb.run(Doer.get().threads(), PATIENCE)
    assert on_thread.startswith("workbench-step")
    assert on_loop == "workbench-session"


def test_the_intent_is_on_disk_before_the_step_runs(either: wb.Session) -> None:
    """When the function begins, its `StepStarted` is committed."""
    seen: list[int] = []

    def look() -> None:
        seen.extend(x.seq for x in either._log.read() if isinstance(x.body, e.StepStarted))

    async def look_async() -> None:
        look()

    @wb.agent
    class Intent:
        async def run(self) -> None:
            await wb.step(look)
            await wb.step(look_async)

    wb.run(Intent.get().run(), PATIENCE)
    assert len(seen) == 3


def test_typed_results(session: wb.Session) -> None:
    """A step's return annotation lets it give a dataclass."""
    assert wb.run(Doer.get().typed(3), PATIENCE) == Page("page 3", 3)


def test_arguments_need_no_form(session: wb.Session) -> None:
    """What a step is given stays in the process, so locks and functions are fine; only its outcome is recorded."""

    @wb.agent
    class Opaque:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        async def run(self) -> list[Any]:
            return [
                await wb.step(self._locked, self.lock, by=lambda n: n + 1),
                await wb.step(functools.partial(max, 3), 4),
                await wb.step(lambda: "lambda"),
                await wb.step(dict, a=1),
            ]

        def _locked(self, lock: threading.Lock, by: Callable[[int], int]) -> int:
            with lock:
                return by(1)

    assert wb.run(Opaque.get().run(), PATIENCE) == [2, 4, "lambda", {"a": 1}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("value", ValueError), ("os", OSError), ("exit", wb.InvocationError), ("stop", wb.InvocationError)],
)
def test_errors_of_a_step(session: wb.Session, name: str, expected: type[Exception]) -> None:
    """What a step raises comes out of its await, as `InvocationError` and the built-in type; `sys.exit` too."""
    with pytest.raises(expected, match="from the step") as raised:
        wb.run(Doer.get().failing(name), PATIENCE)
    assert isinstance(raised.value, wb.InvocationError)
    assert wb.run(Doer.get().caught("value"), PATIENCE) == "ValueError: from the step"


def test_a_result_that_cannot_be_encoded(session: wb.Session) -> None:
    """A step whose result has no form raises `EncodingError` with the path, recorded like any outcome."""

    @wb.agent
    class Giver:
        async def run(self) -> str:
            try:
                await wb.step(lambda: {"lock": [threading.Lock()]})
            except wb.EncodingError as error:
                return error.path
            return "nothing"

    assert wb.run(Giver.get().run(), PATIENCE).endswith("['lock'][0]")


def test_many_steps_at_once(session: wb.Session) -> None:
    """Hundreds of steps may be in flight; each outcome finds its own await."""
    assert wb.run(Doer.get().many(300), PATIENCE) == list(range(300))
    assert sorted(ran) == list(range(300))


def test_a_slow_step_does_not_hold_the_session(session: wb.Session) -> None:
    """While a step blocks its thread, other agents work."""
    release = threading.Event()

    @wb.agent
    class Blocking:
        async def run(self) -> bool:
            return bool(await wb.step(release.wait, PATIENCE))

    Blocking.get().run.trigger()
    assert wb.run(Doer.get().plain(1), PATIENCE) == [1, 1]
    assert wb.run(Blocking.get().status()) == "running"
    release.set()
    assert wb.run(session.result("Blocking()"), PATIENCE) is True


def test_a_step_that_is_given_up(session: wb.Session) -> None:
    """A step under a timeout is dropped in the agent; its outcome, when it comes, reaches nobody."""
    release = threading.Event()

    @wb.agent
    class Hasty:
        async def run(self) -> str:
            return str(await wb.race([wb.step(release.wait, PATIENCE), wb.step(str, "fast")]))

    assert wb.run(Hasty.get().run(), PATIENCE) == "fast"
    release.set()
    wb.run(session.at_rest())
    assert len(bodies(session, "Hasty()", e.StepFinished)) == 1
    assert kinds(session, "Hasty()").count("WaitDropped") == 1


def test_a_steps_timeout(session: wb.Session) -> None:
    """`timeout=` ends an async step with `TimeoutError`."""

    async def forever() -> None:
        await asyncio.Event().wait()

    @wb.agent
    class Limited:
        async def run(self) -> str:
            try:
                await wb.step(forever, timeout=0.01)
            except TimeoutError:
                return "too slow"
            return "nothing"

    assert wb.run(Limited.get().run(), PATIENCE) == "too slow"


def test_steps_see_the_cells_context_variables(session: wb.Session) -> None:
    """A step runs in the context of the cell that began the work: what is set there, a tracer say, holds in it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def read_async() -> str:
        return variable.get()

    @wb.agent
    class Reading:
        async def run(self) -> list[str]:
            return [await wb.step(variable.get), await wb.step(read_async)]

    variable.set("cell")
    assert wb.run(Reading.get().run(), PATIENCE) == ["cell", "cell"]


def test_steps_are_no_agents(session: wb.Session) -> None:
    """A step is outside: agent functions refuse there, and a step begun in a cell is refused."""

    def inside() -> list[str]:
        refused = []
        for call in (wb.self_id, wb.uuid4, wb.random, wb.atomically, lambda: wb.log("x")):
            try:
                call()
            except wb.NotInAgentError:
                refused.append("refused")
        return refused

    @wb.agent
    class Outside:
        async def run(self) -> Any:
            return await wb.step(inside)

    assert wb.run(Outside.get().run(), PATIENCE) == ["refused"] * 5
    with pytest.raises(wb.NotInAgentError):
        wb.run(wb.step(effect, 1))
    assert ran == []


def test_an_async_step_may_use_the_session(either: wb.Session) -> None:
    """A step on the session's own thread may call agents, use promises and read; only blocking is refused."""

    async def busy(promise: wb.PromiseId) -> list[Any]:
        made = wb.create_promise()
        first, second = wb.complete_promise(made, b"1"), wb.complete_promise(made, b"2")
        Doer.get().plain.trigger(0)
        try:
            wb.run(asyncio.sleep(0))
        except wb.NotInAgentError as error:
            refused = error.what
        return [
            first,
            second,
            wb.promise_state(made),
            await wb.await_promise(made),
            await Doer.new_phantom().typed(1) == Page("page 1", 1),
            len(either.agents()) > 0,
            wb.complete_promise(promise, b"from the step"),
            refused,
        ]

    @wb.agent
    class Stepper:
        async def run(self, promise: wb.PromiseId) -> Any:
            return await wb.step(busy, promise)

    promise = wb.create_promise()
    coroutine_warning = pytest.warns(RuntimeWarning, match="never awaited")
    with coroutine_warning:
        outcome = wb.run(Stepper.get().run(promise), PATIENCE)
    assert outcome == [True, False, "completed", b"1", True, True, True, "wb.run in an async step"]
    assert wb.run(wb.await_promise(promise)) == b"from the step"


def test_a_threaded_step_may_use_the_session(either: wb.Session) -> None:
    """A step on a thread is like a cell: it may run calls, and even block for them."""

    def nested(promise: wb.PromiseId) -> Any:
        wb.complete_promise(promise, b"x")
        return wb.run(Doer.new_phantom().typed(2), PATIENCE).title

    @wb.agent
    class Threaded:
        async def run(self, promise: wb.PromiseId) -> Any:
            return await wb.step(nested, promise)

    assert wb.run(Threaded.get().run(wb.create_promise()), PATIENCE) == "page 2"


def test_what_is_no_step(session: wb.Session) -> None:
    """Something that cannot be called, or a coroutine, is refused where it is written."""
    with pytest.raises(wb.AgentTypeError, match="no function"):
        wb.step(5)  # type: ignore[arg-type]
    coroutine = effect_async(1)
    with pytest.raises(wb.AgentTypeError):
        wb.step(coroutine)  # type: ignore[arg-type]
    coroutine.close()


def test_a_step_runs_again_when_its_outcome_was_lost(either: wb.Session) -> None:
    """A crash while a step is under way runs it again: the outcome that the dead run brings later is not heard."""
    release, begun = threading.Event(), []

    def slow() -> int:
        begun.append(1)
        release.wait(PATIENCE)
        return len(begun)

    @wb.agent
    class Retrier:
        async def run(self) -> Any:
            return await wb.step(slow)

    Retrier.get().run.trigger()
    until(lambda: len(begun) == 1)
    either.simulate_crash()
    until(lambda: len(begun) == 2)
    release.set()
    assert wb.run(either.result("Retrier()"), PATIENCE) == 2
    assert len(bodies(either, "Retrier()", e.StepStarted)) == 1
