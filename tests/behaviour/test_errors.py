# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Errors in agents: what the caller catches, over one hop and two, and that the agent stays usable."""

import asyncio
import builtins
import copy
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, writes_nothing
from workbench.errors import InvocationGroupError
from workbench.model.places import PACKAGE
from workbench.testing import SimulatedClock

BUILT_IN = sorted(
    (
        c
        for c in vars(builtins).values()
        if isinstance(c, type) and issubclass(c, Exception) and not issubclass(c, BaseExceptionGroup)
    ),
    key=lambda c: c.__name__,
)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "UnicodeDecodeError": ("utf-8", b"\xff", 0, 1, "bad"),
    "UnicodeEncodeError": ("utf-8", "\ud800", 0, 1, "bad"),
    "UnicodeTranslateError": ("\ud800", 0, 1, "bad"),
}


class OwnError(Exception):
    """Built on `Exception` alone."""


class OwnValueError(ValueError):
    """Built on a built-in class, with a constructor of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")


class Silent(Exception):  # noqa: N818
    def __str__(self) -> str:
        message = "no text"
        raise RuntimeError(message)


@wb.agent
class Raiser:
    def __init__(self) -> None:
        self.calls = 0

    async def raise_built_in(self, name: str) -> None:
        self.calls += 1
        raise getattr(builtins, name)(*ARGUMENTS.get(name, ("boom",)))

    def raise_plainly(self, name: str) -> None:
        self.calls += 1
        raise getattr(builtins, name)(*ARGUMENTS.get(name, ("boom",)))

    async def raise_own(self, code: int) -> None:
        if code < 0:
            raise OwnError("own", code)
        raise OwnValueError(code)

    def silent(self) -> None:
        raise Silent

    async def group(self) -> None:
        raise ExceptionGroup("two", [ValueError("v"), ExceptionGroup("inner", [KeyError("k"), OSError("o")])])

    def count(self) -> int:
        return self.calls


@wb.agent
class Middle:
    async def pass_on(self, method: str, *args: Any) -> Any:
        return await getattr(Raiser.get(), method)(*args)

    async def catch(self, name: str) -> str:
        try:
            await Raiser.get().raise_built_in(name)
        except getattr(builtins, name) as error:
            return type(error).__name__
        return "nothing"

    async def catch_group(self) -> list[str]:
        caught: list[str] = []
        try:
            await wb.join([Raiser.get().group(), Raiser.get().raise_built_in("TypeError")])
        except* ValueError:
            caught.append("ValueError")
        except* KeyError:
            caught.append("KeyError")
        except* (OSError, TypeError) as rest:
            caught.append(str(len(rest.exceptions)))
        return caught


def expected_class(cls: type[Exception]) -> type[Exception]:
    """Python itself turns a `StopIteration` that leaves a coroutine into a `RuntimeError`."""
    return RuntimeError if cls is StopIteration else cls


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda c: c.__name__)
def test_every_built_in_exception_is_caught_by_its_class(session: wb.Session, cls: type[Exception]) -> None:
    """What a method raises is an `InvocationError` and an instance of the original's class, over one hop and two."""
    name = cls.__name__
    calls = [
        Raiser.get().raise_built_in(name),
        Raiser.get().raise_plainly(name),
        Middle.get().pass_on("raise_built_in", name),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(expected_class(cls)) as raised:
            wb.run(call, PATIENCE)
        error = raised.value
        assert isinstance(error, wb.InvocationError)
        assert error.error_type == expected_class(cls).__name__
        assert error.agent_id == ("Raiser()" if number < 2 else "Middle()")
        assert error.method == ["raise_built_in", "raise_plainly", "pass_on"][number]
        assert "raise_" in error.remote_traceback
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert isinstance(again, expected_class(cls))
        assert isinstance(again, wb.InvocationError)
        assert str(again) == str(error)
    if cls is not StopIteration:
        assert wb.run(Middle.get().catch(name)) == "InvocationError"
    assert wb.run(Raiser.get().count()) >= 3


def test_the_message_says_agent_method_type_and_text(session: wb.Session) -> None:
    """The error's text names agent, method, type and message, and carries the traceback inside the agent."""
    with pytest.raises(wb.InvocationError) as raised:
        wb.run(Raiser.get().raise_plainly("ValueError"))
    error = raised.value
    assert (error.agent_id, error.method, error.error_type, error.message) == (
        "Raiser()",
        "raise_plainly",
        "ValueError",
        "boom",
    )
    assert str(error).startswith("Raiser().raise_plainly raised ValueError: boom")
    assert "test_errors.py" in error.remote_traceback
    assert "workbench/runtime" not in error.remote_traceback


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        KeyError(("k", 3), None),
        FileNotFoundError(2, "no such file", "a.txt"),
        OSError("one"),
        ValueError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SyntaxError("bad", ("a.py", 3, 1, "a b", 3, 2)),
        LookupError({1, 2}, "\ud800"),
        OwnValueError(7),
    ],
    ids=repr,
)
def test_a_built_in_error_keeps_its_args(session: wb.Session, error: Exception) -> None:
    """What an error was made of arrives at its caller, with a file's name and the like, over hops, jobs and pickle."""

    @wb.agent
    class Throws:
        def now(self) -> None:
            raise error

        async def passed(self) -> None:
            await Throws.new_phantom().now()

        async def job(self) -> None:
            await wb.fan_out(throw, [1])

    async def throw(item: int) -> None:
        await Throws.new_phantom().now()

    calls = (Throws.get().now(), Throws.get().passed(), Throws.get().job(), wb.fan_out(throw, [1]))
    for call in calls:
        with pytest.raises(wb.InvocationError) as raised:
            wb.run(call, PATIENCE)
        for caught in (raised.value, pickle.loads(pickle.dumps(raised.value))):  # noqa: S301
            assert caught.args == error.args
            for name in ("errno", "strerror", "filename", "filename2", "start", "end", "object", "lineno", "text"):
                assert getattr(caught, name, None) == getattr(error, name, None), name


def test_args_that_cannot_be_copied_are_the_text(session: wb.Session) -> None:
    """An error made of what agents cannot exchange, or of too much, has its text alone."""

    @wb.agent
    class Throws:
        def now(self, big: bool) -> None:  # noqa: FBT001
            raise ValueError(*(["x" * 1_000_000, 1] if big else [object(), 1]))

    for big in (False, True):
        with pytest.raises(ValueError, match="1") as raised:
            wb.run(Throws.get().now(big))
        assert isinstance(raised.value, wb.InvocationError)
        assert raised.value.args == (raised.value.message,)


def test_an_own_class_is_told_by_name(session: wb.Session) -> None:
    """An own class is named in `error_type`; one that is built on a built-in class is caught by that one."""
    with pytest.raises(wb.InvocationError) as raised:
        wb.run(Raiser.get().raise_own(-1))
    assert raised.value.error_type == "OwnError"
    assert not isinstance(raised.value, OwnError)
    for call in (Raiser.get().raise_own(7), Middle.get().pass_on("raise_own", 7)):
        with pytest.raises(ValueError, match="code 7") as caught:
            wb.run(call)
        assert isinstance(caught.value, wb.InvocationError)
        assert caught.value.error_type == "OwnValueError"
        assert isinstance(pickle.loads(pickle.dumps(caught.value)), ValueError)  # noqa: S301


def test_an_exception_whose_text_raises(session: wb.Session) -> None:
    """An exception without a text is reported all the same."""
    with pytest.raises(wb.InvocationError, match="Silent"):
        wb.run(Raiser.get().silent())


def test_exception_groups_keep_their_members(session: wb.Session) -> None:
    """An `ExceptionGroup` arrives as a group, nested ones too: `except*` finds each member, over two hops."""
    for call in (Raiser.get().group(), Middle.get().pass_on("group")):
        found: list[str] = []
        try:
            wb.run(call)
        except* ValueError as values:
            found.append(f"value {values.exceptions[0]}")
        except* KeyError:
            found.append("key")
        except* OSError:
            found.append("os")
        assert [f.split()[0] for f in found] == ["value", "key", "os"]
    with pytest.raises(ExceptionGroup) as raised:
        wb.run(Raiser.get().group())
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert isinstance(again, InvocationGroupError)
    assert [type(e).__mro__[1] for e in again.exceptions] == [ValueError, wb.InvocationError]
    assert wb.run(Middle.get().catch_group()) == ["ValueError", "KeyError", "2"]


def test_members_of_a_group_name_the_agent_that_raised(session: wb.Session) -> None:
    """A fan-out that failed tells for each member which child it was, also to the coordinator's caller."""

    @wb.agent
    class Fan:
        async def out(self) -> None:
            await wb.join([Numbered.get(i).fail() for i in range(4)])

    @wb.agent
    class Numbered:
        def __init__(self, n: int) -> None:
            self.n = n

        def fail(self) -> None:
            if self.n % 2:
                raise ValueError(self.n)

    with pytest.raises(ExceptionGroup) as raised:
        wb.run(Fan.get().out())
    assert [e.agent_id for e in raised.value.exceptions if isinstance(e, wb.InvocationError)] == [
        "Numbered(1)",
        "Numbered(3)",
    ]
    assert [e.message for e in raised.value.exceptions if isinstance(e, wb.InvocationError)] == ["1", "3"]


def test_the_agent_stays_usable(either: wb.Session) -> None:
    """State that a method changed before it raised stays, and the next invocation runs."""
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            wb.run(Raiser.get().raise_built_in("ZeroDivisionError"))
    assert wb.run(Raiser.get().count()) == 3
    [info] = either.agents()
    assert (info.status, info.finished, info.failed) == ("idle", 4, 3)


def test_a_constructor_that_raises(either: wb.Session) -> None:
    """Each call of an agent whose constructor raises gets that error; another agent of the class is not touched."""

    @wb.agent
    class Picky:
        def __init__(self, n: int) -> None:
            if n < 0:
                raise ValueError(f"not {n}")
            self.n = n

        def value(self) -> int:
            return self.n

    for _ in range(2):
        with pytest.raises(ValueError, match="not -1"):
            wb.run(Picky.get(-1).value())
    assert wb.run(Picky.get(1).value()) == 1


@pytest.mark.parametrize("plain", [True, False], ids=["def", "async"])
@pytest.mark.parametrize(
    "cls", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError], ids=lambda c: c.__name__
)
def test_what_is_no_exception_ends_the_invocation_only(
    session: wb.Session, cls: type[BaseException], *, plain: bool
) -> None:
    """`sys.exit()` and its like in a method or a constructor are that invocation's error; session and agent go on."""

    @wb.agent
    class Rude:
        def __init__(self, n: int = 0) -> None:
            if n:
                raise cls

        def now(self) -> None:
            raise cls

        async def later(self) -> None:
            await asyncio.sleep(0)
            raise cls

        async def in_task(self) -> str:
            async def rude() -> None:
                raise cls

            try:
                await asyncio.ensure_future(rude())
            except BaseException as error:  # noqa: BLE001
                return type(error).__name__
            return "nothing"

        def fine(self) -> int:
            return 1

    with pytest.raises(wb.InvocationError) as raised:
        wb.run(Rude.get().now() if plain else Rude.get().later(), PATIENCE)
    assert raised.value.error_type == cls.__name__
    with pytest.raises(wb.InvocationError):
        wb.run(Rude.get(1).fine(), PATIENCE)
    assert wb.run(Rude.get().in_task(), PATIENCE) == cls.__name__
    assert wb.run(Rude.get().fine()) == 1


def test_sys_exit_does_not_end_the_process(session: wb.Session) -> None:
    """`sys.exit` in an agent is an error of its invocation, with its text."""

    @wb.agent
    class Exiting:
        def leave(self) -> None:
            sys.exit("goodbye")

    with pytest.raises(wb.InvocationError, match="goodbye"):
        wb.run(Exiting.get().leave(), PATIENCE)


def test_deep_recursion_is_an_error_like_another(session: wb.Session) -> None:
    """A method that recurses without end raises `RecursionError` at its caller, and the agent stays usable."""

    @wb.agent
    class Deep:
        def dig(self) -> int:
            return self.dig() + 1

        async def dig_async(self) -> int:
            return await self.dig_async() + 1

        def fine(self) -> int:
            return 1

    for call in (Deep.get().dig(), Deep.get().dig_async()):
        with pytest.raises(RecursionError):
            wb.run(call, PATIENCE)
    assert wb.run(Deep.get().fine()) == 1


def test_wrong_calls_are_refused_where_they_are_written(session: wb.Session) -> None:
    """Arguments that do not fit the signature raise at the call itself, in cells and agents, and write nothing."""

    @wb.agent
    class Signed:
        async def both(self, a: int, /, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
            return a, b, c

        async def many(self, *args: int, **kwargs: int) -> list[object]:
            return [args, kwargs]

        async def wrong(self) -> str:
            try:
                Signed.get().both()
            except TypeError as error:
                return type(error).__name__
            return "nothing"

    client = Signed.get()
    assert wb.run(client.both(1)) == (1, 2, 3)
    assert wb.run(client.both(1, b=5, c=6)) == (1, 5, 6)
    assert wb.run(client.both(1, 5, c=6)) == (1, 5, 6)
    assert wb.run(client.many(1, 2, x=3)) == [(1, 2), {"x": 3}]
    assert wb.run(client.many()) == [(), {}]
    for refused in (
        client.both,
        lambda: client.both(1, 2, 3),
        lambda: client.both(a=1),
        lambda: client.both(1, d=1),
        client.both.trigger,
        lambda: client.both.blocking(1, 2, 3),
    ):
        with writes_nothing(session), pytest.raises(wb.AgentTypeError, match="both"):
            refused()
    assert wb.run(client.wrong()) == "AgentTypeError"


def test_a_method_that_is_awaited_uncalled(session: wb.Session) -> None:
    """The parentheses forgotten: in cells, in agents and in joins it is a `TypeError` that says to call the method."""

    @wb.agent
    class Forgets:
        async def once(self) -> None:
            await Raiser.get().count

        async def joined(self) -> None:
            await wb.join([Raiser.get().count])

    async def cell() -> None:
        await Raiser.get().count

    with writes_nothing(session), pytest.raises(TypeError, match=r"Write await client\.count\(\.\.\.\)"):
        wb.run(cell())
    with pytest.raises(TypeError, match=r"Write await client\.count\(\.\.\.\)"):
        wb.run(Forgets.get().once())
    with pytest.raises(TypeError, match="is a Method, not a call"):
        wb.run(Forgets.get().joined())


def test_errors_of_ours_travel_as_themselves(session: wb.Session) -> None:
    """An error of the workbench that leaves a method keeps its class and its fields, also one made with odd fields."""

    @wb.agent
    class Odd:
        def unknown(self) -> None:
            wb.complete_promise(wb.PromiseId("Odd()", "x-1", 1), b"")

        def fields(self) -> None:
            raise wb.PromiseNotFound(object(), "\ud800")  # type: ignore[arg-type]

        def subclass(self) -> None:
            raise type("EncodingError", (wb.EncodingError,), {"__init__": object.__init__})

    with pytest.raises(wb.PromiseNotFound) as raised:
        wb.run(Odd.get().unknown())
    assert isinstance(raised.value, LookupError)
    for call in (Odd.get().fields(), Odd.get().subclass()):
        with pytest.raises((wb.PromiseNotFound, wb.InvocationError)):
            wb.run(call, PATIENCE)


def test_all_errors_copy() -> None:
    """Errors copy as well as they pickle."""
    error = wb.InvocationError("A()", "m", "ValueError", "text")
    assert str(copy.copy(error)) == str(error)
    deadlock = wb.DeadlockError([("A()", "A.m", "f.py:1"), ("B()", "B.m", "f.py:2")])
    assert pickle.loads(pickle.dumps(deadlock)).cycle == deadlock.cycle  # noqa: S301
    assert str(pickle.loads(pickle.dumps(deadlock))) == str(deadlock)  # noqa: S301


def test_a_huge_message_is_cut(session: wb.Session) -> None:
    """An error text of megabytes is kept by its two ends, and half a surrogate pair does no harm."""

    @wb.agent
    class Loud:
        def shout(self) -> None:
            raise ValueError("a" * 3_000_000 + "\ud800" + "z")

    with pytest.raises(ValueError, match="left out") as raised:
        wb.run(Loud.get().shout())
    assert isinstance(raised.value, wb.InvocationError)
    assert len(raised.value.message) < 30_000
    assert raised.value.message.endswith("z")


def test_code_that_asks_for_less_diverges(opened: Any) -> None:
    """Changed code does less than its oplog holds, and goes on waiting: the agent is stopped, and nothing hangs."""

    def define(*, makes_promise: bool) -> Any:
        @wb.agent
        class Changes:
            async def m(self, first: wb.PromiseId, second: wb.PromiseId) -> None:
                async def wait() -> None:
                    await wb.await_promise(first)
                    if makes_promise:
                        wb.create_promise()

                await asyncio.gather(wait(), wb.await_promise(second))

        return Changes

    session = opened(":memory:", clock=SimulatedClock())
    first, second = wb.create_promise(), wb.create_promise()
    define(makes_promise=True).get().m.trigger(first, second)
    wb.complete_promise(first, b"")
    wb.run(session.at_rest(), PATIENCE)
    define(makes_promise=False)
    session.simulate_crash()
    wb.complete_promise(second, b"")
    with pytest.raises(wb.DivergenceError, match=r"create_promise.* the code asked for nothing more"):
        wb.run(session.result("Changes()"), PATIENCE)
    assert [a.status for a in session.agents()] == ["failed"]


def files_of(error: BaseException) -> list[str]:
    """The files of a traceback's frames, below the `wb.run` that a test calls."""
    stack = traceback.extract_tb(error.__traceback__)
    names = [Path(frame.filename).name for frame in stack]
    return names[names.index("running.py") + 1 :]


def test_a_traceback_shows_the_users_frames(session: wb.Session) -> None:
    """Whatever `wb.run` waits for, the traceback has the user's frames, and none of the loops and rooms below it."""

    def broken(item: int) -> None:
        raise ValueError(item)

    async def main() -> None:
        await wb.fan_out(broken, [1])

    for job in (wb.fan_out(broken, [1]), Raiser.get().silent(), Raiser.get().revert(to=99)):
        with pytest.raises(wb.WorkbenchError) as raised:
            wb.run(job)
        assert files_of(raised.value) == []
        assert raised.value.__cause__ is raised.value.__context__ is None
    with pytest.raises(wb.InvocationError) as raised:
        wb.run(main())
    assert files_of(raised.value) == ["test_errors.py"]

    async def inside() -> None:  # as a cell that awaits, while its loop runs
        with pytest.raises(wb.InvocationError) as raised:
            wb.run(main())
        assert files_of(raised.value) == ["test_errors.py"]

    asyncio.run(inside())


def test_a_remote_traceback_shows_the_users_frames(session: wb.Session) -> None:
    """Nor do the workbench's frames stand in what an agent tells of an error: above, between and below the user's."""

    async def broken(item: int) -> None:
        if item < 0:
            raise ValueError(item)

    @wb.agent
    class Tracing:
        def __init__(self, n: int) -> None:
            if n < 0:
                raise ValueError(n)

        async def bounded(self) -> None:
            await wb.bounded(broken, [-1])

        async def limit(self) -> None:
            await wb.bounded(broken, [1], limit=0)

        async def job(self) -> None:
            await wb.fan_out(broken, [-1])

        async def chained(self) -> None:
            try:
                await self.bounded()
            except ValueError as error:
                raise KeyError from error

        def odd(self) -> object:
            return object()

    client = Tracing.get(1)
    with pytest.raises(wb.EncodingError) as refused:
        wb.run(client.odd())
    assert not hasattr(refused.value, "__notes__")
    calls = {"bounded": client.bounded(), "chained": client.chained(), "job": client.job()}
    calls |= {"__init__": Tracing.get(-1).job(), "limit": client.limit()}
    for name, call in calls.items():
        with pytest.raises(wb.WorkbenchError) as raised:
            wb.run(call)
        told = "\n".join([str(raised.value), *getattr(raised.value, "__notes__", ())])
        assert f", in {name}\n" in told
        assert PACKAGE not in told, name


@wb.agent
class Cancelling:
    """Ends by a cancellation of its own."""

    async def run(self, words: list[str]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel(*words)
        await asyncio.sleep(1)


def test_a_method_that_cancels_itself_keeps_its_words(either: wb.Session) -> None:
    """Who awaits it hears the words, or what happened where there are none, after a crash too."""
    for words, told in ((["enough of it"], "enough of it"), ([], "the method was cancelled from inside")):
        with pytest.raises(wb.InvocationError, match=told):
            wb.run(Cancelling.get().run(words), PATIENCE)
        either.simulate_crash()
