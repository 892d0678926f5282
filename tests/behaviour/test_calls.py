# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Calls: values on every hop, refusals, triggers, cancelled waits, many and large."""

import asyncio
import contextvars
import enum
import gc
import math
import threading
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, log_of, until, writes_nothing, written
from workbench.model import entries as e


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass
class Leaf:
    name: str
    weights: list[float] = field(default_factory=list)


@dataclass
class Tree:
    leaf: Leaf
    colour: Colour
    children: "list[Tree]"
    index: dict[int, Leaf]


VALUES: list[Any] = [
    None, True, 0, -(2**70), 1.5, -0.0, math.inf, "text", "\ud800", b"bytes", bytearray(b"b"),
    [], [[]], (), (1, (2,)), {}, {"a": 1}, {1: "x", (2, 3): None},
    set(), {1, 2}, frozenset("ab"), 1 + 2j, datetime(2024, 1, 2, tzinfo=UTC),
    datetime(2024, 1, 2),  # noqa: DTZ001
    timedelta(days=1, microseconds=3), uuid.UUID(int=5),
    Decimal("1.10"), Path("a/b"), Colour.RED, Pair(1, "x"), Leaf("l", [1.0]), deque([1, 2]), OrderedDict(b=1, a=2),
    Tree(Leaf("root"), Colour.RED, [Tree(Leaf("x"), Colour.RED, [], {})], {3: Leaf("y", [0.5])}),
    [{"k": ({1}, [Leaf("z")])}], range(3),
]  # fmt: skip

Known = Tree | Leaf | Colour | Pair | None


@wb.agent
class Echo:
    def __init__(self, id: int = 0) -> None:  # noqa: A002 - as in the specification
        self.id = id
        self.kept: Any = None

    async def echo(self, value: Any, known: Known = None) -> Known | Any:
        return value

    def echo_plainly(self, *, value: Any, known: Known = None) -> Known | Any:
        return value

    async def relay(self, value: Any, known: Known = None) -> Known | Any:
        return await Echo.get(self.id + 1).echo_plainly(value=value)

    def keep(self, value: Any) -> Any:
        self.kept = value
        return value

    def kept_now(self) -> Any:
        return self.kept

    def give(self, what: str) -> Any:
        return {"code": len, "lambda": lambda: 1, "lock": threading.Lock(), "self": self, "set": {1, 2}}[what]

    async def work(self, _: int) -> int:
        await asyncio.sleep(0)
        return self.id


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_arrive_equal_with_equal_types(session: wb.Session, value: object) -> None:
    """Every kind of value arrives equal and of the same type: positional and by keyword, over one hop and two."""
    client = Echo.get()
    for call in (client.echo(value), client.echo_plainly(value=value), client.relay(value)):
        got = wb.run(call)
        assert got == value
        assert type(got) is type(value)
        assert repr(got) == repr(value)


@pytest.mark.parametrize("value", [math.nan, [math.nan]], ids=repr)
def test_nan_arrives(session: wb.Session, value: object) -> None:
    """NaN passes as an argument and a result, though it equals nothing."""
    assert repr(wb.run(Echo.get().relay(value))) == repr(value)


def test_nothing_is_shared(either: wb.Session) -> None:
    """An argument is copied when the call is made and a result when it is returned; changing one changes no other."""
    client, sent = Echo.get(), {"items": [1]}
    call = client.keep(sent)
    sent["items"].append(2)
    got = wb.run(call)
    assert got == {"items": [1]}
    got["items"].append(3)
    sent["items"].append(4)
    first = wb.run(client.kept_now())
    first["items"].append(5)
    assert wb.run(client.kept_now()) == {"items": [1]}


def test_nothing_is_shared_between_agents(session: wb.Session) -> None:
    """The same between two agents, on the path that never leaves the session's thread."""

    @wb.agent
    class Sharer:
        async def share(self) -> list[object]:
            mine = [1]
            kept = await Echo.get(9).keep(mine)
            mine.append(2)
            kept.append(3)
            other = await Echo.get(9).kept_now()
            other.append(4)
            return [mine, kept, await Echo.get(9).kept_now()]

    assert wb.run(Sharer.get().share()) == [[1, 2], [1, 3], [1]]


class Unknown:
    """A class without a form."""


REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((1, {"model": Unknown()}), {}, "args[1]['model']"),
    ((len,), {}, "args[0]"),
    (([0, [Unknown()]],), {}, "args[0][1][0]"),
    ((), {"x": Unknown()}, "kwargs['x']"),
    ((1, Unknown()), {"x": 1}, "args[1]"),
    ((1,), {"x": {"deep": (1, threading.Lock())}}, "kwargs['x']['deep'][1]"),
    ((iter([1]),), {}, "args[0]"),
    (({1: open},), {}, "args[0][1]"),
]


@pytest.mark.parametrize(("args", "kwargs", "path"), REFUSED, ids=[path for _, _, path in REFUSED])
def test_what_cannot_be_encoded_is_refused_with_its_path(
    session: wb.Session, args: Any, kwargs: Any, path: str
) -> None:
    """A refused argument raises at the call, names the exact part, and leaves nothing, in all four verbs."""

    @wb.agent
    class Taker:
        def take(self, *args: Any, **kwargs: Any) -> None: ...

    method = Taker.get().take
    verbs = [method, method.trigger, method.blocking, method.with_options(label="x")]
    for verb in verbs:
        with writes_nothing(session), pytest.raises(wb.EncodingError) as refused:
            verb(*args, **kwargs)
        assert refused.value.path == path
        assert isinstance(refused.value, TypeError)
        assert refused.value.do
    assert session.agents() == []


def test_a_value_that_contains_itself_is_refused(session: wb.Session) -> None:
    """A cycle in an argument is refused, not followed."""
    loop: list[Any] = []
    loop.append(loop)
    with writes_nothing(session), pytest.raises(wb.EncodingError):
        Echo.get().echo(loop)


def test_refusal_inside_an_agent_writes_nothing(session: wb.Session) -> None:
    """An agent that passes something impossible gets the error at the call, goes on, and the target is never made."""

    @wb.agent
    class Careless:
        async def pass_it(self) -> str:
            try:
                await Echo.get(77).echo([1, Unknown()])
            except wb.EncodingError as error:
                return error.path
            return "nothing"

    assert wb.run(Careless.get().pass_it()) == "args[0][1]"
    assert [a.agent_id for a in session.agents()] == ["Careless()"]
    assert kinds(session, "Careless()") == ["AgentCreated", "InvocationStarted", "InvocationFinished"]


@pytest.mark.parametrize("what", ["code", "lambda", "lock", "self"])
def test_a_result_that_cannot_be_encoded(session: wb.Session, what: str) -> None:
    """A result without a form is the invocation's error, with the path; the agent stays usable."""
    with pytest.raises(wb.EncodingError) as refused:
        wb.run(Echo.get().give(what))
    assert refused.value.path.startswith("result")
    assert wb.run(Echo.get().give("set")) == {1, 2}


def test_values_over_the_cap_are_refused(session: wb.Session) -> None:
    """64 MiB is the cap of an argument, a result and a promise's payload; above it nothing is written."""
    big = b"x" * (64 * 1024 * 1024 + 1)

    @wb.agent
    class Bulky:
        def give(self) -> bytes:
            return bytes(64 * 1024 * 1024 + 1)

    promise = wb.create_promise()
    with writes_nothing(session):
        with pytest.raises(wb.EncodingError, match="67108864"):
            Echo.get().echo.trigger(big)
        with pytest.raises(wb.EncodingError, match="67108864"):
            wb.complete_promise(promise, big)
    with pytest.raises(wb.EncodingError, match="67108864"):
        wb.run(Bulky.get().give())
    assert wb.promise_state(promise) == "pending"


def test_large_values(either: wb.Session) -> None:
    """A megabyte of text, of bytes and of numbers arrives whole, and can be replayed."""
    for value in ("ä" * 500_000, bytes(1_000_000), list(range(200_000))):
        assert wb.run(Echo.get(1).relay(value)) == value


def test_a_fan_out_of_two_thousand(either: wb.Session) -> None:
    """Two thousand children answer in the order of the calls."""

    @wb.agent
    class Wide:
        async def spread(self, count: int) -> list[int]:
            return await wb.join([Echo.get(i).work(i) for i in range(count)])

    assert wb.run(Wide.get().spread(2000), 60) == list(range(2000))
    assert len(either.agents()) == 2001


def test_trigger_returns_once_it_is_accepted(either: wb.Session) -> None:
    """After `trigger` the invocation stands in the log, whatever happens next; its error reaches nobody."""

    @wb.agent
    class Late:
        async def fail(self, promise: wb.PromiseId) -> None:
            await wb.await_promise(promise)
            raise ValueError("nobody hears")

    promise = wb.create_promise()
    assert Late.get().fail.trigger(promise) is None
    assert any(isinstance(x.body, e.CallMade) and not x.body.awaited for x in log_of(either))
    either.simulate_crash()
    wb.complete_promise(promise, b"")
    wb.run(either.at_rest())
    assert [(a.finished, a.failed) for a in either.agents()] == [(1, 1)]


def test_an_agent_may_trigger_itself(session: wb.Session) -> None:
    """A trigger of one's own method is no self-call: it runs after the present invocation."""

    @wb.agent
    class Again:
        def __init__(self) -> None:
            self.runs: list[int] = []

        def run(self, left: int) -> list[int]:
            self.runs.append(left)
            if left:
                Again.get().run.trigger(left - 1)
            return self.runs

    assert wb.run(Again.get().run(3)) == [3]
    wb.run(session.at_rest())
    assert wb.run(Again.get().run(0)) == [3, 2, 1, 0, 0]


def test_blocking_calls(session: wb.Session) -> None:
    """`.blocking` waits in a plain method and suspends its agent only; in an async method it is refused in words."""

    @wb.agent
    class Blocker:
        def __init__(self, n: int) -> None:
            self.n = n

        def add_up(self, count: int) -> int:
            return sum(Echo.get(i).work.blocking(i) for i in range(count))

        def nested(self, depth: int) -> int:
            return 0 if depth == 0 else 1 + Blocker.get(depth - 1).nested.blocking(depth - 1)

        async def wrong(self) -> int:
            value: int = Echo.get(1).work.blocking(1)
            return value

    assert wb.run(Blocker.get(100).add_up(10)) == 45
    assert wb.run(Blocker.get(20).nested(20)) == 20
    assert Blocker.get(100).add_up.blocking(3) == 3
    with pytest.raises(wb.UnsupportedError, match=r"work\.blocking in an async method"):
        wb.run(Blocker.get(1).wrong())


def test_blocking_in_a_constructor(session: wb.Session) -> None:
    """A constructor cannot wait: blocking forms are refused there, in words that fit, and the agent stays usable."""

    @wb.agent
    class Hasty:
        def __init__(self, promise: str) -> None:
            if promise:
                wb.blocking_await_promise(wb.PromiseId.parse(promise))
            else:
                Echo.get(1).work.blocking(1)

        def run(self) -> None: ...

    for promise, name in (("", r"work\.blocking"), (str(wb.create_promise()), "blocking_await_promise")):
        for _ in range(2):
            with pytest.raises(wb.UnsupportedError, match=f"{name} in a constructor") as refused:
                wb.run(Hasty.get(promise).run(), PATIENCE)
            assert "__init__" in str(refused.value)


@wb.agent
class Slow:
    """Runs one call at a time, each until its promise is completed."""

    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.ran: list[str] = []

    async def hold(self, name: str, promise: wb.PromiseId) -> str:
        self.ran.append(name)
        await wb.await_promise(promise)
        return name

    def names(self) -> list[str]:
        return self.ran


def test_cancelling_a_queued_call_withdraws_it(either: wb.Session) -> None:
    """A call given up by an agent while it is queued never runs; that is recorded on both sides."""

    @wb.agent
    class Impatient:
        async def ask(self, promise: wb.PromiseId) -> str:
            first = asyncio.ensure_future(Slow.get().hold("first", promise))
            second = asyncio.ensure_future(Slow.get().hold("second", promise))
            await asyncio.sleep(0.01)
            second.cancel()
            try:
                await second
            except asyncio.CancelledError:
                wb.complete_promise(promise, b"")
            return await first

    promise = wb.create_promise()
    assert wb.run(Impatient.get().ask(promise), PATIENCE) == "first"
    assert wb.run(Slow.get().names()) == ["first"]
    assert "WaitDropped" in kinds(either, "Impatient()")
    assert "InvocationCancelled" in kinds(either, "Slow(0)")


def test_cancelling_a_started_call_drops_its_result(either: wb.Session) -> None:
    """A call given up after it started runs to its end; its result goes nowhere, and that is recorded."""

    @wb.agent
    class Leaver:
        async def ask(self, promise: wb.PromiseId) -> str:
            try:
                async with asyncio.timeout(0.01):
                    return await Slow.get().hold("started", promise)
            except TimeoutError:
                return "gave up"

    promise = wb.create_promise()
    assert wb.run(Leaver.get().ask(promise), PATIENCE) == "gave up"
    wb.complete_promise(promise, b"")
    wb.run(either.at_rest())
    assert wb.run(Slow.get().names()) == ["started"]
    assert kinds(either, "Leaver()").count("WaitDropped") == 1
    assert "CallDelivered" not in kinds(either, "Leaver()")
    assert "InvocationCancelled" not in kinds(either, "Slow(0)")
    assert len(bodies(either, "Slow(0)", e.InvocationFinished)) == 2


def test_a_cell_that_stops_waiting(either: wb.Session) -> None:
    """A cell's `asyncio.timeout` withdraws what is queued, and lets run what has started."""
    promise = wb.create_promise()

    async def give_up(name: str) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await Slow.get().hold(name, promise)

    asyncio.run(give_up("started"))
    asyncio.run(give_up("queued"))
    with pytest.raises(TimeoutError):
        wb.run(Slow.get().hold("queued too", promise), timeout=0.02)
    wb.complete_promise(promise, b"")
    assert wb.run(Slow.get().names(), PATIENCE) == ["started"]
    until(lambda: kinds(either, "Slow(0)").count("InvocationCancelled") == 2)


def test_leftover_tasks_end_with_their_invocation(session: wb.Session) -> None:
    """Tasks, calls and timers that a method leaves behind are cancelled, their `finally` runs, the agent is idle."""

    @wb.agent
    class Messy:
        def __init__(self) -> None:
            self.cleaned: list[str] = []

        async def _background(self, promise: wb.PromiseId) -> None:
            try:
                await wb.await_promise(promise)
            finally:
                self.cleaned.append("task")
                await asyncio.sleep(0)
                self.cleaned.append("task slept")

        async def leave(self, promise: wb.PromiseId) -> str:
            asyncio.ensure_future(self._background(promise))  # noqa: RUF006
            asyncio.ensure_future(Slow.get().hold("left", promise))  # noqa: RUF006
            asyncio.get_running_loop().call_later(3600, self.cleaned.append, "timer")
            await asyncio.sleep(0)
            return "left"

        def look(self) -> list[str]:
            return self.cleaned

    promise = wb.create_promise()
    assert wb.run(Messy.get().leave(promise)) == "left"
    assert wb.run(Messy.get().look()) == ["task", "task slept"]
    assert wb.run(Messy.get().status()) == "idle"
    assert next(a.waits for a in session.agents() if a.agent_id == "Messy()") == 0
    wb.complete_promise(promise, b"")


def test_timeouts_by_option(session: wb.Session) -> None:
    """`with_options(timeout=...)` raises `TimeoutError` in agents, in async cells and under `wb.run`."""

    @wb.agent
    class Limited:
        async def ask(self, promise: wb.PromiseId) -> str:
            try:
                return await Slow.get(1).hold.with_options(timeout=0.01)("x", promise)
            except TimeoutError:
                return "too late"

    promise = wb.create_promise()
    assert wb.run(Limited.get().ask(promise), PATIENCE) == "too late"
    limited = Slow.get(2).hold.with_options(timeout=0.01)
    with pytest.raises(TimeoutError):
        wb.run(limited("x", promise), PATIENCE)

    async def cell() -> None:
        await limited("y", promise)

    with pytest.raises(TimeoutError):
        asyncio.run(cell())
    wb.complete_promise(promise, b"")


@pytest.mark.parametrize(
    "options", [{"key": 7}, {"key": ""}, {"label": b"x"}, {"label": "\ud800"}, {"key": "\udfff"}], ids=repr
)
def test_options_that_are_no_text_are_refused(session: wb.Session, options: dict[str, Any]) -> None:
    """A key or a label that the store could not hold is refused before anything is written."""
    with writes_nothing(session), pytest.raises(wb.AgentTypeError):
        Echo.get().echo.with_options(**options)


@pytest.mark.parametrize(
    "wrong", ["x", True, [1], float("nan"), float("inf"), 10**400, 1e10], ids=lambda w: repr(w)[:9]
)
def test_a_timeout_that_is_none_is_refused(session: wb.Session, wrong: Any) -> None:
    """A timeout is a number of seconds that a clock can count: else `with_options` says what it got and what to do."""
    with pytest.raises(wb.AgentTypeError, match="timeout=") as refused:
        Echo.get().echo.with_options(timeout=wrong)
    assert refused.value.why
    assert refused.value.do


def test_a_call_is_made_when_awaited_and_once(session: wb.Session) -> None:
    """A call that is made and thrown away does nothing and warns; one awaited twice is refused."""
    warned = pytest.warns(RuntimeWarning, match=r"Echo\(0\)\.echo.* was never awaited")
    with writes_nothing(session), warned:
        Echo.get().echo(1)
        gc.collect()
    call = Echo.get().echo(1)
    assert wb.run(call) == 1
    with pytest.raises(RuntimeError, match="already awaited"):
        wb.run(call)

    async def twice() -> None:
        again = Echo.get().echo(2)
        await again
        await again

    with pytest.raises(RuntimeError, match="already awaited"):
        asyncio.run(twice())


def test_calls_from_many_threads(either: wb.Session) -> None:
    """Threads may call at once: each gets its own answer, and none is lost."""
    answers: dict[int, list[int]] = {}

    def caller(n: int) -> None:
        answers[n] = [wb.run(Echo.get(n % 3).echo(n * 100 + i)) for i in range(20)]

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {n: [n * 100 + i for i in range(20)] for n in range(8)}


def test_agents_do_not_see_the_callers_context_variables(session: wb.Session) -> None:
    """A context variable of the cell is no input of an agent: replay could not give it again."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @wb.agent
    class Reader:
        def read(self) -> str:
            return variable.get()

        async def keep(self) -> list[str]:
            variable.set("mine")
            await asyncio.sleep(0)
            return [variable.get(), await asyncio.ensure_future(self._inner())]

        async def _inner(self) -> str:
            return variable.get()

    variable.set("cell")
    assert wb.run(Reader.get().read()) == "unset"
    assert wb.run(Reader.get().keep()) == ["mine", "mine"]
    assert wb.run(Reader.get().read()) == "unset"


def test_reading_the_session_inside_an_agent_does_not_hang(session: wb.Session) -> None:
    """Reading the session in an agent, waiting for it and ending it are refused there; the error names the cure."""

    @wb.agent
    class Nosy:
        def plain(self) -> str:
            try:
                session.agents()
            except wb.NotInAgentError as error:
                return error.do
            return "nothing"

        async def waiting(self, what: str) -> str:
            client = Echo.get()
            tries = {
                "status": client.status,
                "result": lambda: session.result("Echo(0)"),
                "at_rest": session.at_rest,
            }
            try:
                await tries[what]()
            except wb.NotInAgentError as error:
                return error.do
            return "nothing"

        def refused(self, what: str) -> str:
            call = Echo.get().echo(1)
            coroutine = asyncio.sleep(0)
            tries = {
                "run": lambda: wb.run(call),
                "run coroutine": lambda: wb.run(coroutine),
                "close": session.close,
                "crash": session.simulate_crash,
            }
            try:
                tries[what]()
            except wb.NotInAgentError as error:
                return error.what
            finally:
                call.close()
                coroutine.close()
            return "nothing"

        async def status_by_step(self) -> Any:
            return await wb.step(Echo.get().status)

    client = Nosy.get()
    assert "wb.step" in wb.run(client.plain(), PATIENCE)
    for what in ("status", "result", "at_rest"):
        assert "wb.step" in wb.run(client.waiting(what), PATIENCE)
    for what in ("run", "run coroutine", "close", "crash"):
        assert "an agent" in wb.run(client.refused(what), PATIENCE)
    assert wb.run(client.status_by_step(), PATIENCE) == "idle"


def test_entries_name_cause_and_line(session: wb.Session) -> None:
    """A call's entry names the user's line; a delivery names the entry that led to it."""
    wb.run(Echo.get().relay(1))
    entries = {x.seq: x for x in log_of(session)}
    calls = [x for x in entries.values() if isinstance(x.body, e.CallMade)]
    assert all("test_calls.py:" in x.line for x in calls)
    started = [x for x in entries.values() if isinstance(x.body, e.InvocationStarted)]
    assert [x.cause for x in started] == [x.seq for x in calls]
    delivered = next(x for x in entries.values() if isinstance(x.body, e.CallDelivered))
    assert isinstance(entries[delivered.cause].body, e.InvocationFinished)
    assert written(session) == len(entries)
