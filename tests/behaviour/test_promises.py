# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Promises: by agents and cells, before and after, many waiters, JSON, unknown ids, blocking forms."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, writes_nothing
from workbench.model import entries as e


@dataclass
class Report:
    name: str
    scores: list[int]
    when: datetime | None = None


@dataclass
class Reading:
    celsius: Any


@dataclass(eq=False)
class Proud:
    """Compares itself with its own kind only."""

    n: int | None

    def __eq__(self, other: object) -> bool:
        return self.n == other.n

    __hash__ = None  # type: ignore[assignment]


class Colour(Enum):
    RED = "red"


@wb.agent
class Holder:
    def __init__(self, n: int = 0) -> None:
        self.n = n

    def create(self) -> wb.PromiseId:
        return wb.create_promise()

    async def wait(self, promise: wb.PromiseId) -> bytes:
        return await wb.await_promise(promise)

    def wait_plainly(self, promise: wb.PromiseId) -> bytes:
        return wb.blocking_await_promise(promise)

    async def wait_wrongly(self, promise: wb.PromiseId) -> bytes:
        return wb.blocking_await_promise(promise)

    async def wait_twice(self, promise: wb.PromiseId) -> list[bytes]:
        both = await wb.join([wb.await_promise(promise), wb.await_promise(promise)])
        return [*both, await wb.await_promise(promise)]

    def complete(self, promise: wb.PromiseId, data: bytes) -> bool:
        return wb.complete_promise(promise, data)

    async def wait_json(self, promise: wb.PromiseId) -> Report:
        report = await wb.await_promise_json(promise, type=Report)
        assert isinstance(report, Report)
        return report

    def wait_json_plainly(self, promise: wb.PromiseId) -> Report:
        report: Report = wb.blocking_await_promise_json(promise, Report)
        return report

    def state(self, promise: wb.PromiseId) -> str:
        return wb.promise_state(promise)


def test_a_cell_and_an_agent_wait_and_complete(either: wb.Session) -> None:
    """Made in a cell or an agent, completed by a cell or an agent, awaited by both: all see the payload."""
    for owner in (wb.create_promise, lambda: wb.run(Holder.get(1).create())):
        for completer in (wb.complete_promise, lambda p, d: wb.run(Holder.get(2).complete(p, d))):
            promise = owner()
            assert wb.promise_state(promise) == "pending"
            waiting = [asyncio.run_coroutine_threadsafe(_wait(promise), _loop(either))]
            Holder.get(3).wait.trigger(promise)
            assert completer(promise, b"payload") is True
            assert completer(promise, b"other") is False
            assert wb.promise_state(promise) == "completed"
            assert waiting[0].result(PATIENCE) == b"payload"
            assert wb.run(wb.await_promise(promise)) == b"payload"
            assert wb.run(Holder.get(4).wait(promise)) == b"payload"
            assert wb.run(Holder.get(5).wait_plainly(promise)) == b"payload"
            assert wb.blocking_await_promise(promise) == b"payload"


def _loop(session: wb.Session) -> asyncio.AbstractEventLoop:
    return session.thread.loop


async def _wait(promise: wb.PromiseId) -> bytes:
    payload: bytes = await wb.await_promise(promise)
    return payload


def test_any_number_of_awaits(either: wb.Session) -> None:
    """One agent may await a promise many times, at once and later; a hundred agents may await the same."""
    promise = wb.create_promise()
    waiters = [Holder.get(n) for n in range(100)]
    for waiter in waiters:
        waiter.wait_twice.trigger(promise)
    wb.run(either.at_rest())
    assert {a.status for a in either.agents()} == {"suspended"}
    wb.complete_promise(promise, b"x")

    async def all_of_them() -> list[list[bytes]]:
        return await wb.join([waiter.wait_twice(promise) for waiter in waiters])

    assert wb.run(all_of_them(), PATIENCE) == [[b"x"] * 3] * 100


def test_exactly_one_of_many_threads_completes(either: wb.Session) -> None:
    """Of many threads that complete one promise at once exactly one hears True, and its payload stands."""
    for _ in range(10):
        promise = wb.create_promise()
        answers: list[tuple[bool, bytes]] = []
        barrier = threading.Barrier(8)

        def complete(
            n: int, promise: wb.PromiseId = promise, answers: list[Any] = answers, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait(PATIENCE)
            answers.append((wb.complete_promise(promise, str(n).encode()), str(n).encode()))

        threads = [threading.Thread(target=complete, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert [first for first, _ in answers].count(True) == 1
        assert wb.run(wb.await_promise(promise)) == next(data for first, data in answers if first)


def test_a_completion_that_is_ignored_keeps_no_payload(session: wb.Session) -> None:
    """The second completion is recorded as ignored, without its payload."""
    promise = wb.create_promise()
    assert wb.run(Holder.get().complete(promise, b"one")) is True
    assert wb.run(Holder.get().complete(promise, b"two")) is False
    assert [(b.first, b.value) for b in bodies(session, "Holder(0)", e.PromiseCompleted)] == [
        (True, b"one"),
        (False, b""),
    ]  # type: ignore[attr-defined]


def test_json_with_a_type(either: wb.Session) -> None:
    """A dataclass goes out as JSON and comes back as what `type` says, in agents, plain methods and cells."""
    report = Report("r", [1, 2], datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))
    promise = wb.create_promise()
    assert wb.complete_promise_json(promise, report) is True
    assert wb.complete_promise_json(promise, report) is False
    assert wb.run(wb.await_promise_json(promise, type=Report)) == report
    assert wb.run(wb.await_promise_json(promise, Report)) == report
    assert wb.run(Holder.get().wait_json(promise)) == report
    assert wb.run(Holder.get().wait_json_plainly(promise)) == report
    assert wb.blocking_await_promise_json(promise, Report) == report
    assert wb.run(wb.await_promise_json(promise))["scores"] == [1, 2]


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"name":1,"scores":[]}', b'{"name":"x"}', b"\xff"], ids=repr)
def test_wrong_json_is_an_error_of_the_waiter(session: wb.Session, data: bytes) -> None:
    """A payload that is no JSON of the type raises `DecodingError` at who reads it; the bytes can still be had."""
    promise = wb.create_promise()
    wb.complete_promise(promise, data)
    for wait in (
        lambda: wb.run(wb.await_promise_json(promise, type=Report)),
        lambda: wb.blocking_await_promise_json(promise, Report),
        lambda: wb.run(Holder.get().wait_json(promise)),
        lambda: wb.run(Holder.get().wait_json_plainly(promise)),
    ):
        with pytest.raises(wb.DecodingError) as refused:
            wait()
        assert isinstance(refused.value, ValueError)
    assert wb.run(wb.await_promise(promise)) == data


def test_a_payload_that_is_no_json_says_what_to_do(session: wb.Session) -> None:
    """The error says whether it is no JSON or of another type, and that `await_promise` gives the bytes."""
    for data, told in ((b"ready!", r"is no JSON \("), (b'"ready"', r"is no list\[int\] in JSON \(")):
        promise = wb.create_promise()
        wb.complete_promise(promise, data)
        with pytest.raises(wb.DecodingError, match=rf"the promise's payload {told}.* get its bytes with await_promise"):
            wb.run(wb.await_promise_json(promise, list[int]))


@pytest.mark.parametrize("value", [object(), {1j: 2}, lambda: 1], ids=lambda v: type(v).__name__)
def test_json_that_cannot_be_made_writes_nothing(session: wb.Session, value: object) -> None:
    """A value without a JSON form is refused, and the promise stays pending."""
    promise = wb.create_promise()
    with writes_nothing(session), pytest.raises(wb.EncodingError):
        wb.complete_promise_json(promise, value)
    assert wb.promise_state(promise) == "pending"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "value: NaN and infinity"),
        ([1, {"a b": (2, float("inf"))}], r"value\[1\]\['a b'\]\[1\]: NaN"),
        (Reading(-float("inf")), r"value\['celsius'\]: NaN"),
        ({"x": None, "y": [frozenset([float("nan")])]}, r"value\['y'\]\[0\]\[0\]: NaN"),
        ({1: "a", "1": "b"}, 'two keys of one dict are "1"'),
        ([{date(2024, 1, 2): 1, "2024-01-02": {}}], 'two keys of one dict are "2024-01-02"'),
        (Reading({Colour.RED: 1, "red": 2}), 'two keys of one dict are "red"'),
    ],
)
def test_json_that_would_be_read_as_another_value(either: wb.Session, value: object, told: str) -> None:
    """NaN, infinity and keys that are the same in JSON are refused with their place, and the promise stays pending."""
    promise = wb.create_promise()
    with writes_nothing(either), pytest.raises(wb.EncodingError, match=told) as refused:
        wb.complete_promise_json(promise, value)
    assert refused.value.do
    assert wb.promise_state(promise) == "pending"
    assert wb.complete_promise_json(promise, "ok")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, None),
        ({"a": None, "b": "null", "c": [None, 1.5, -0.0, 1e300, 2**70]}, Any),
        ({1: None, 2: "1"}, dict[int, str | None]),
        ({"1": {"1": {}}, "2": [{"1": 1}, {"1": 2}]}, Any),
        ((None, {1.5: ("x",)}), tuple[None, dict[float, tuple[str]]]),
        ([Report("null", [], None)], list[Report]),
        ([Proud(None), Proud(1)], list[Proud]),
        ({Colour.RED: {"red": None}}, dict[Colour, dict[str, None]]),
    ],
)
def test_json_that_comes_back_equal(either: wb.Session, value: object, kind: Any) -> None:
    """What looks like it, and loses nothing, is sent and comes back equal."""
    promise = wb.create_promise()
    assert wb.complete_promise_json(promise, value)
    assert wb.blocking_await_promise_json(promise, kind) == value


@pytest.mark.parametrize("data", [5, None, ["x"], object()], ids=lambda data: type(data).__name__)
def test_payloads_are_bytes(session: wb.Session, data: Any) -> None:
    """A payload that is neither bytes nor text is refused and writes nothing; text is UTF-8."""
    promise = wb.create_promise()
    with writes_nothing(session), pytest.raises(wb.EncodingError):
        wb.complete_promise(promise, data)
    assert wb.complete_promise(promise, "ä") is True
    assert wb.run(wb.await_promise(promise)) == "ä".encode()


def unknown_ids(session: wb.Session) -> list[wb.PromiseId]:
    """Ids that look like one of this store's, and are none."""
    known = wb.create_promise()
    return [
        wb.PromiseId("Nobody()", known.incarnation, 1),
        wb.PromiseId(known.agent, known.incarnation, known.index + 100),
        wb.PromiseId(known.agent, "00000000-1", known.index),
        wb.PromiseId(known.agent, known.incarnation.replace("-1", "-2"), known.index),
        wb.PromiseId(known.agent, "", 0),
        wb.PromiseId("", "x-y-z", -1),
    ]


def test_an_unknown_id_is_refused_everywhere(session: wb.Session) -> None:
    """Whoever waits for, completes or asks for a promise that is not there gets `PromiseNotFound`."""
    for promise in unknown_ids(session):
        for act in (
            lambda p=promise: wb.run(wb.await_promise(p), PATIENCE),
            lambda p=promise: wb.blocking_await_promise(p),
            lambda p=promise: wb.complete_promise(p, b""),
            lambda p=promise: wb.promise_state(p),
            lambda p=promise: wb.run(wb.await_promise_json(p)),
        ):
            with writes_nothing(session), pytest.raises(wb.PromiseNotFound):
                act()
        for call in (
            Holder.get().wait(promise),
            Holder.get().wait_plainly(promise),
            Holder.get().complete(promise, b""),
            Holder.get().state(promise),
        ):
            with pytest.raises(wb.PromiseNotFound):
                wb.run(call, PATIENCE)


def test_an_agent_that_met_an_unknown_id_can_be_rebuilt(either: wb.Session) -> None:
    """The refusal is part of the oplog: the agent that caught it replays, though the promise may be there by then."""

    @wb.agent
    class Guesser:
        async def guess(self, future_index: int) -> list[str]:
            guess = wb.PromiseId(str(wb.self_id()), wb.create_promise().incarnation, future_index)
            out = []
            try:
                await wb.await_promise(guess)
            except wb.PromiseNotFound:
                out.append("await")
            try:
                wb.complete_promise(guess, b"")
            except wb.PromiseNotFound:
                out.append("complete")
            [outcome] = await asyncio.gather(wb.await_promise(guess), return_exceptions=True)
            out.append(type(outcome).__name__)
            while wb.create_promise().index < future_index:
                pass
            out.append(str(wb.complete_promise(guess, b"")))
            return out

    expected = ["await", "complete", "PromiseNotFound", "True"]
    assert wb.run(Guesser.get().guess(10)) == expected
    either.simulate_crash()
    assert wb.run(either.result("Guesser()")) == expected
    assert wb.run(Guesser.get().guess(40), PATIENCE)[:3] == expected[:3]


def test_ids_of_another_store_are_unknown(opened: Callable[..., wb.Session], tmp_path: Path) -> None:
    """A promise of one store means nothing in another, also when agent and index are the same."""
    with opened(tmp_path / "one.db"):
        promise = wb.run(Holder.get().create())
        assert wb.complete_promise(promise, b"") is True
    with opened(tmp_path / "two.db"):
        twin = wb.run(Holder.get().create())
        assert (twin.agent, twin.index) == (promise.agent, promise.index)
        assert twin != promise
        with pytest.raises(wb.PromiseNotFound):
            wb.complete_promise(promise, b"")
    with opened(tmp_path / "one.db"):
        assert wb.promise_state(promise) == "completed"


@pytest.mark.parametrize("thing", [None, "Holder(0)#x-1/3", 3, b""], ids=repr)
def test_what_is_no_promise_id(session: wb.Session, thing: Any) -> None:
    """Something that is no promise id is refused by type, where it is passed."""
    for verb in (wb.await_promise, wb.promise_state, lambda p: wb.complete_promise(p, b"")):
        with pytest.raises(TypeError, match="no promise id"):
            verb(thing)


def test_blocking_in_an_async_method_is_refused(session: wb.Session) -> None:
    """`blocking_await_promise` in an `async def` is refused, and the wait that it began is dropped."""
    promise = wb.create_promise()
    with pytest.raises(wb.UnsupportedError, match="blocking_await_promise in an async method"):
        wb.run(Holder.get().wait_wrongly(promise), PATIENCE)
    assert "WaitDropped" in kinds(session, "Holder(0)")


def test_blocking_agents_do_not_hold_the_session(either: wb.Session) -> None:
    """Hundreds of plain methods may block at once; the session serves others meanwhile."""
    promise = wb.create_promise()
    for n in range(300):
        Holder.get(n).wait_plainly.trigger(promise)
    assert wb.run(Holder.get(1000).state(promise), PATIENCE) == "pending"
    wb.complete_promise(promise, b"go")
    assert wb.run(Holder.get(299).wait_plainly(promise), PATIENCE) == b"go"
    assert all(a.status == "idle" for a in either.agents())


def test_promises_travel_as_values(session: wb.Session) -> None:
    """A promise id passes through calls, containers, text and JSON, and still names its promise."""

    @wb.agent
    class Carrier:
        def carry(self, load: dict[str, list[wb.PromiseId]]) -> tuple[wb.PromiseId, ...]:
            return tuple(load["ids"])

    promise = wb.create_promise()
    got = wb.run(Carrier.get().carry({"ids": [promise]}))
    assert got == (promise,)
    assert wb.PromiseId.parse(str(got[0])) == promise
    assert len({promise, got[0]}) == 1
    assert wb.complete_promise(got[0], b"") is True


def test_a_promise_of_a_dead_waiter(session: wb.Session) -> None:
    """Giving up a wait leaves the promise as it was: others go on waiting, and it can be completed."""

    @wb.agent
    class Brief:
        async def peek(self, promise: wb.PromiseId) -> str:
            try:
                await asyncio.wait_for(wb.await_promise(promise), 0.01)
            except TimeoutError:
                return "gave up"
            return "got it"

    promise = wb.create_promise()
    assert wb.run(Brief.get().peek(promise), PATIENCE) == "gave up"
    with pytest.raises(TimeoutError):
        wb.run(wb.await_promise(promise), timeout=0.01)
    assert wb.complete_promise(promise, b"late") is True
    assert wb.run(Brief.get().peek(promise), PATIENCE) == "got it"


def test_a_waiting_agent_survives_a_crash(either: wb.Session) -> None:
    """Agents, plain and async, that waited when the process died are woken by a completion after it."""
    promise = wb.create_promise()
    Holder.get(1).wait.trigger(promise)
    Holder.get(2).wait_plainly.trigger(promise)
    wb.run(either.at_rest())
    either.simulate_crash()
    assert wb.complete_promise(promise, b"after") is True
    assert wb.run(either.result("Holder(1)")) == b"after"
    assert wb.run(either.result("Holder(2)")) == b"after"


def test_a_crash_between_completion_and_delivery(either: wb.Session) -> None:
    """A completion that was acknowledged reaches the waiter, though the process dies before it is woken."""
    for n in range(10):
        promise = wb.create_promise()
        Holder.get(n).wait.trigger(promise)
        wb.complete_promise(promise, str(n).encode())
        either.simulate_crash()
        assert wb.run(either.result(f"Holder({n})")) == str(n).encode()
