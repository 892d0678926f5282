# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Idempotency keys: an equal key joins one invocation, whenever and from wherever; queued ones are cancelled by key."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import until, writes_nothing
from tests.behaviour.test_lifecycle import begun

ran: list[str] = []


@wb.agent
class Till:
    """Takes money; counts how often it really did."""

    def __init__(self, name: str = "t") -> None:
        self.name = name
        self.taken = 0

    def pay(self, amount: int) -> int:
        ran.append(self.name)
        self.taken += amount
        return self.taken

    def refuse(self) -> None:
        ran.append(self.name)
        raise ValueError("no money")

    async def hold(self, promise: wb.PromiseId) -> bytes:
        payload: bytes = await wb.await_promise(promise)
        return payload

    async def give_up(self, other: str) -> None:
        asyncio.ensure_future(Till.get(other).pay.with_options(key="k")(5)).cancel()

    async def ask_for(self, other: str) -> None:
        Till.get(other).pay.with_options(key="k").trigger(5)

    async def hold_and_join(self, promise: wb.PromiseId, other: str) -> str:
        await wb.await_promise(promise)
        try:
            await Till.get(other).pay.with_options(key="k")(5)
        except wb.DeadlockError:
            return "refused"
        return "paid"

    async def hold_for(self, other: str, promise: wb.PromiseId) -> str:
        answer: str = await Till.get(other).hold_and_join(promise, self.name)
        return answer

    async def pay_twice(self, other: str) -> list[int]:
        method = Till.get(other).pay.with_options(key="once")
        return list(await wb.join([method(5), method(5)]))


@wb.agent(ephemeral=True)
class Brief:
    """Has an instance for each invocation."""

    def __init__(self, name: str = "b") -> None:
        self.name = name
        self.calls = 0

    def count(self) -> int:
        ran.append(self.name)
        self.calls += 1
        return self.calls

    async def hold(self, promise: wb.PromiseId) -> bytes:
        payload: bytes = await wb.await_promise(promise)
        return payload

    async def again(self, depth: int) -> int:
        return 1 + await Brief.get(self.name).again(depth - 1) if depth else 0

    def fail(self) -> None:
        ran.append(self.name)
        raise KeyError("gone")


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    """Each test counts for itself."""
    ran.clear()


T = 'Till("t")'


def test_an_equal_key_joins_a_finished_invocation(either: wb.Session) -> None:
    """Its result comes back, and the method runs once."""
    pay = Till.get("t").pay.with_options(key="k")
    assert [wb.run(pay(5)), wb.run(pay(5)), wb.run(Till.get("t").pay(1)), wb.run(pay(5))] == [5, 5, 6, 5]
    assert ran == ["t", "t"]


def test_an_equal_key_gets_the_recorded_error(either: wb.Session) -> None:
    """An invocation that raised raises again for its key, without running again."""
    refuse = Till.get("t").refuse.with_options(key="k")
    for _ in range(2):
        with pytest.raises(ValueError, match="no money"):
            wb.run(refuse())
    assert ran == ["t"]


def test_an_equal_key_joins_a_running_and_a_pending_invocation(either: wb.Session) -> None:
    """Both callers get the one outcome."""
    promise = wb.create_promise()
    hold = Till.get("t").hold.with_options(key="h")
    first = begun(either, T, hold(promise))
    second = hold(promise).submit()
    queued = [Till.get("t").pay.with_options(key="q")(3).submit() for _ in range(2)]
    wb.complete_promise(promise, b"x")
    assert first.result(10) == second.result(10) == b"x"
    assert [future.result(10) for future in queued] == [3, 3]
    assert ran == ["t"]


OWNERS: dict[str, Callable[[wb.Session], object]] = {
    "a cell that waits": lambda _: Till.get("t").pay.with_options(key="k")(5).submit(),
    "a cell's trigger": lambda _: Till.get("t").pay.with_options(key="k").trigger(5),
    "an agent's trigger": lambda _: wb.run(Till.get("other").ask_for("t")),
    "a schedule": lambda _: Till.get("t").pay.with_options(key="k").schedule(-1, 5),
}


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("by", ["an agent", "a cell"])
def test_who_joins_and_gives_up_takes_nothing_from_others(session: wb.Session, owner: str, by: str) -> None:
    """A queued invocation that somebody else wants done is done, whoever joined it by its key and gave up."""
    promise = wb.create_promise()
    busy = begun(session, T, Till.get("t").hold(promise))
    OWNERS[owner](session)
    until(lambda: session.agents(name=T)[0].queued == 1)
    if by == "an agent":
        wb.run(Till.get("quitter").give_up("t"))
    else:
        joined = Till.get("t").pay.with_options(key="k")(5).submit()
        session.agents()
        joined.cancel()
    session.agents()
    wb.complete_promise(promise, b"x")
    assert busy.result(10) == b"x"
    wb.run(session.at_rest())
    assert ran == ["t"]


def test_a_trigger_that_joins_keeps_what_the_first_gives_up(session: wb.Session) -> None:
    """The trigger came second, by the same key: it is done."""
    promise = wb.create_promise()
    busy = begun(session, T, Till.get("t").hold(promise))
    first = Till.get("t").pay.with_options(key="k")(5).submit()
    Till.get("t").pay.with_options(key="k").trigger(5)
    first.cancel()
    session.agents()
    wb.complete_promise(promise, b"x")
    assert busy.result(10) == b"x"
    wb.run(session.at_rest())
    assert ran == ["t"]


def test_a_refused_call_takes_nothing_from_who_triggered(session: wb.Session) -> None:
    """A call that would close a cycle is refused; the invocation that it would have joined by its key is done."""
    promise = wb.create_promise()
    waiting = begun(session, T, Till.get("t").hold_for("other", promise))
    Till.get("t").pay.with_options(key="k").trigger(5)
    wb.complete_promise(promise, b"x")
    assert waiting.result(10) == "refused"
    wb.run(session.at_rest())
    assert ran == ["t"]


def test_a_cells_call_goes_on_in_the_next_session(opened: Opener, tmp_path: Path) -> None:
    """A call that a cell of an earlier process made is done, also when an agent joined it and gave up."""
    first = opened(tmp_path / "s.db")
    promise = wb.create_promise()
    begun(first, T, Till.get("t").hold(promise))
    Till.get("t").pay.with_options(key="k")(5).submit()
    first.close()
    second = opened(tmp_path / "s.db")
    wb.run(Till.get("quitter").give_up("t"))
    wb.complete_promise(promise, b"x")
    wb.run(second.at_rest())
    assert ran == ["t"]


def test_keys_last_over_restarts(opened: Opener, tmp_path: Path) -> None:
    """A key that was used in an earlier process gets the recorded result."""
    first = opened(tmp_path / "s.db")
    assert wb.run(Till.get("t").pay.with_options(key="k")(5)) == 5
    first.close()
    ran.clear()
    opened(tmp_path / "s.db")
    assert wb.run(Till.get("t").pay.with_options(key="k")(5)) == 5
    assert ran == []


def test_keys_are_each_agents_own(session: wb.Session) -> None:
    """The same key at another agent is another invocation."""
    assert wb.run(Till.get("a").pay.with_options(key="k")(1)) == 1
    assert wb.run(Till.get("b").pay.with_options(key="k")(2)) == 2


def test_an_agents_equal_keys_join(session: wb.Session) -> None:
    """Two calls of one agent with one key are one invocation."""
    assert wb.run(Till.get("t").pay_twice("u")) == [5, 5]
    assert ran == ["u"]


def test_many_threads_with_one_key(opened: Opener) -> None:
    """However many ask at once, it runs once and all get its result."""
    opened(":memory:")
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(wb.run(Till.get("t").pay.with_options(key="k")(7), 10)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [7] * 16
    assert ran == ["t"]


@pytest.mark.parametrize("wrong", ["", 5, b"k", "\ud800"])
def test_a_key_is_text(session: wb.Session, wrong: Any) -> None:
    """A key that is no text, or empty, is refused before anything is written."""
    with writes_nothing(session), pytest.raises(wb.AgentTypeError):
        Till.get("t").pay.with_options(key=wrong)


# ---- look-up and cancel by key --------------------------------------------------------------------------------------


def test_looking_a_key_up_creates_nothing(session: wb.Session) -> None:
    """An unknown key or agent gives None, and nothing is written; a known one tells its state."""
    with writes_nothing(session):
        assert session.invocation(Till.get("t"), "k") is None
    wb.run(Till.get("t").pay.with_options(key="k")(5))
    with writes_nothing(session):
        found = session.invocation(Till.get("t"), "k")
        assert found is not None
        assert (found.state, found.method, found.key) == ("finished", "pay", "k")
        assert session.invocation(T, "other") is None


def test_cancelling_by_key(either: wb.Session) -> None:
    """True while it is pending, and who waits hears of it; False when running or finished; unknown is an error."""
    promise = wb.create_promise()
    running = begun(either, T, Till.get("t").hold.with_options(key="running")(promise))
    queued = Till.get("t").pay.with_options(key="queued")(5).submit()
    until(lambda: either.agents()[0].queued == 1)
    assert either.cancel(Till.get("t"), "queued") is True
    with pytest.raises(wb.InvocationCancelledError, match="queued"):
        queued.result(10)
    assert either.cancel(T, "running") is False
    wb.complete_promise(promise, b"x")
    assert running.result(10) == b"x"
    assert either.cancel(T, "running") is False
    with pytest.raises(wb.UnknownAgentError):
        either.cancel(T, "never")
    assert ran == []
    assert wb.run(Till.get("t").pay.with_options(key="queued")(5)) == 5


# ---- ephemeral agents -----------------------------------------------------------------------------------------------


def test_an_ephemeral_agent_is_new_for_each_invocation(either: wb.Session) -> None:
    """Nothing is kept between two invocations."""
    assert [wb.run(Brief.get("b").count()) for _ in range(3)] == [1, 1, 1]
    assert all(a.status == "exited" for a in either.agents())


def test_an_ephemeral_invocation_with_an_old_key_does_not_run_again(either: wb.Session) -> None:
    """The recorded outcome comes back, an error too, also after a crash."""
    count = Brief.get("b").count.with_options(key="k")
    assert wb.run(count()) == 1
    with pytest.raises(KeyError):
        wb.run(Brief.get("b").fail.with_options(key="f")())
    either.simulate_crash()
    assert wb.run(count()) == 1
    with pytest.raises(KeyError):
        wb.run(Brief.get("b").fail.with_options(key="f")())
    assert ran == ["b", "b"]


def test_a_schedule_of_an_ephemeral_agent_comes(either: wb.Session) -> None:
    """At its time there is an instance for it, as for a call."""
    Brief.get("b").count.schedule(-1)
    wb.run(either.at_rest())
    assert ran == ["b"]
    assert [agent.status for agent in either.agents(name="Brief*")] == ["exited"]


def test_an_ephemeral_invocation_that_was_withdrawn_may_come_again(session: wb.Session) -> None:
    """A key whose queued invocation was given up is free: the next call with it runs."""
    count = Brief.get("b").count.with_options(key="k")

    @wb.agent
    class Quick:
        """Calls and gives up in one breath, before anybody else is served."""

        async def quit(self) -> None:
            asyncio.ensure_future(count()).cancel()

    wb.run(Quick.get().quit())
    assert ran == []
    assert wb.run(count(), 10) == wb.run(count(), 10) == 1
    assert ran == ["b"]


def test_ephemeral_invocations_do_not_wait_for_each_other(either: wb.Session) -> None:
    """Two calls of one ephemeral id overlap; it may wait for promises, and call itself."""
    promise = wb.create_promise()
    held = Brief.get("b").hold(promise).submit()
    assert wb.run(Brief.get("b").count(), 10) == 1
    wb.complete_promise(promise, b"x")
    assert held.result(10) == b"x"
    assert wb.run(Brief.get("b").again(3), 10) == 3


def test_an_ephemeral_agent_goes_on_after_a_crash(either: wb.Session) -> None:
    """An invocation under way is finished after a crash, as any other."""
    promise = wb.create_promise()
    held = Brief.get("b").hold.with_options(key="k")(promise).submit()
    until(lambda: any(a.waits for a in either.agents()))
    either.simulate_crash()
    wb.complete_promise(promise, b"late")
    assert held.result(10) == b"late"


def test_a_phantom_of_an_ephemeral_type_keeps_nothing_either(session: wb.Session) -> None:
    """Clients from `new_phantom` behave the same."""
    client = Brief.new_phantom("b")
    assert [wb.run(client.count()), wb.run(client.count())] == [1, 1]
