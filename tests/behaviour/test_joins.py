# ruff: noqa: D103 - programs have one claim, that of the test that runs them
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Fan-in: join, try_join, race, race_ok, as_completed, bounded; in agents and in cells."""

import asyncio
import gc
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, kinds, until, writes_nothing


@wb.agent
class Racer:
    def __init__(self, n: int) -> None:
        self.n = n

    async def run(self, delay: float, error: str = "", go: wb.PromiseId | None = None) -> int:
        if go is not None:
            await wb.await_promise(go)
        await asyncio.sleep(delay)
        if error:
            raise ValueError(error)
        return self.n

    async def hold(self, promise: wb.PromiseId) -> int:
        await wb.await_promise(promise)
        return self.n

    def ran(self) -> int:
        return self.n


Program = Callable[[], Awaitable[Any]]


@wb.agent
class Runner:
    """Runs one of the programs below inside an agent."""

    async def run(self, name: str, *args: Any) -> Any:
        return await PROGRAMS[name](*args)


PROGRAMS: dict[str, Callable[..., Awaitable[Any]]] = {}


def program(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    PROGRAMS[function.__name__] = function
    return function


_openers: set[asyncio.Future[None]] = set()


async def _open(go: wb.PromiseId, payload: bytes = b"") -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    wb.complete_promise(go, payload)


def opened_soon() -> wb.PromiseId:
    """A promise, completed once the calls made with it are accepted: simulated time moves whenever agents rest."""
    go = wb.create_promise()
    opener = asyncio.ensure_future(_open(go))
    _openers.add(opener)
    opener.add_done_callback(_openers.discard)
    return go


def runs(*specs: tuple[float, str]) -> list[Any]:
    """Calls of `Racer(i).run` whose times begin once all are accepted."""
    go = opened_soon()
    return [Racer.get(i).run(delay, error, go) for i, (delay, error) in enumerate(specs)]


@pytest.fixture(params=["agent", "cell"])
def perform(request: pytest.FixtureRequest, session: wb.Session) -> Callable[..., Any]:
    """Runs a program of this module in an agent, or in a cell: it must mean the same."""

    def run(function: Callable[..., Any], *args: Any) -> Any:
        if request.param == "cell":
            return wb.run(function(*args), PATIENCE)
        return wb.run(Runner.get().run(function.__name__, *args), PATIENCE)

    return run


@program
async def joined(delays: list[float]) -> list[int]:
    return await wb.join([Racer.get(i).run(d) for i, d in enumerate(delays)])


def test_join_gives_results_in_input_order(perform: Callable[..., Any]) -> None:
    """Whatever ends first, results stand in the order of the calls; of nothing it is `[]`."""
    assert perform(joined, [0.03, 0.01, 0.02, 0]) == [0, 1, 2, 3]
    assert perform(joined, []) == []


@program
async def joined_with_errors() -> list[Any]:
    calls = [Racer.get(0).run(0.03, "late"), Racer.get(1).run(0.01), Racer.get(2).run(0, "early")]
    try:
        await wb.join(calls)
    except ExceptionGroup as group:
        return [
            [type(e).__mro__[1].__name__ for e in group.exceptions],
            [e.message for e in group.exceptions if isinstance(e, wb.InvocationError)],
        ]
    return []


def test_join_raises_all_errors_after_all_ended(perform: Callable[..., Any]) -> None:
    """Errors come as one `ExceptionGroup`, members in the order of the calls, once all calls have ended."""
    assert perform(joined_with_errors) == [["ValueError", "ValueError"], ["late", "early"]]
    assert [wb.run(Racer.get(n).ran()) for n in range(3)] == [0, 1, 2]


@program
async def joined_exceptions() -> list[str]:
    unknown = wb.PromiseId("Nobody()", "none-1", 1)
    outcomes = await wb.join(
        [Racer.get(0).run(0, "x"), Racer.get(1).run(0.01), wb.await_promise(unknown)], return_exceptions=True
    )
    return [str(o) if isinstance(o, int) else type(o).__name__ for o in outcomes]


def test_join_may_collect_errors(perform: Callable[..., Any]) -> None:
    """`return_exceptions=True` puts errors in their places, also one of a promise that does not exist."""
    assert perform(joined_exceptions) == ["InvocationError", "1", "PromiseNotFound"]


@program
async def tried(promise: wb.PromiseId) -> str:
    calls = [
        Racer.get(0).hold(promise),
        Racer.get(1).run(0.01, "first", opened_soon()),
        Racer.get(2).hold(promise),
        Racer.get(0).hold(promise),
    ]
    try:
        await wb.try_join(calls)
    except ValueError as error:
        return error.message if isinstance(error, wb.InvocationError) else "another error"
    return "nothing"


def test_try_join_stops_at_the_first_error(session: wb.Session, perform: Callable[..., Any]) -> None:
    """The first error is raised while the others still run; started ones are dropped, queued ones withdrawn."""
    promise = wb.create_promise()
    assert perform(tried, promise) == "first"
    until(lambda: "InvocationCancelled" in kinds(session, "Racer(0)"))
    wb.complete_promise(promise, b"")
    wb.run(session.at_rest())
    assert kinds(session, "Racer(0)").count("InvocationStarted") == 1
    assert kinds(session, "Racer(2)").count("InvocationFinished") == 1


@program
async def tried_well(delays: list[float]) -> list[int]:
    return await wb.try_join([Racer.get(i).run(d) for i, d in enumerate(delays)])


def test_try_join_without_errors(perform: Callable[..., Any]) -> None:
    """Without an error it is `join`; of nothing it is `[]`."""
    assert perform(tried_well, [0.02, 0, 0.01]) == [0, 1, 2]
    assert perform(tried_well, []) == []


@program
async def raced(delays: list[float]) -> int:
    result: int = await wb.race(runs(*[(d, "") for d in delays]))
    return result


@program
async def raced_error() -> str:
    try:
        await wb.race(runs((0.05, ""), (0.01, "fast")))
    except ValueError:
        return "raised"
    return "nothing"


def test_race_gives_the_first_outcome(session: wb.Session, perform: Callable[..., Any]) -> None:
    """The first to end wins, a result or an error; the losers run on and are recorded as dropped."""
    assert perform(raced, [0.05, 0.01, 0.03]) == 1
    assert perform(raced_error) == "raised"
    wb.run(session.at_rest())
    if any(a.agent_id == "Runner()" for a in session.agents()):  # a cell may be too slow to drop what has ended by then
        assert kinds(session, "Runner()").count("WaitDropped") == 3


@program
async def raced_ok(spec: list[tuple[float, str]]) -> Any:
    try:
        return await wb.race_ok(runs(*spec))
    except ExceptionGroup as group:
        return [e.message for e in group.exceptions if isinstance(e, wb.InvocationError)]


def test_race_ok_gives_the_first_success(perform: Callable[..., Any]) -> None:
    """Errors are passed over; if all fail they come as a group in the order of the calls."""
    assert perform(raced_ok, [(0, "no"), (0.03, ""), (0.01, "no"), (0.02, "")]) == 3
    assert perform(raced_ok, [(0.03, "c"), (0.01, "a"), (0.02, "b")]) == ["c", "a", "b"]


@program
async def nothing_raced(name: str) -> str:
    try:
        await getattr(wb, name)([])
    except ValueError as error:
        return type(error).__name__
    return "nothing"


@pytest.mark.parametrize("name", ["race", "race_ok"])
def test_a_race_of_nothing_is_an_error(perform: Callable[..., Any], name: str) -> None:
    """A race without calls can never be won."""
    assert perform(nothing_raced, name) == "RaceError"


@program
async def by_completion(delays: list[float]) -> list[int]:
    return [result async for result in wb.as_completed(runs(*[(d, "") for d in delays]))]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_as_completed_follows_completion(perform: Callable[..., Any], order: tuple[int, ...]) -> None:
    """Results come in the order in which the calls end, for each order there is."""
    assert perform(by_completion, [0.01 * (1 + order.index(i)) for i in range(4)]) == list(order)
    assert perform(by_completion, []) == []


@program
async def by_completion_with_error() -> list[str]:
    seen: list[str] = []
    iterator = wb.as_completed(runs((0.02, ""), (0.01, "bad"), (0.03, "")))
    while True:
        try:
            seen.append(str(await anext(iterator)))
        except ValueError:
            seen.append("error")
        except StopAsyncIteration:
            return seen


def test_as_completed_goes_on_after_an_error(perform: Callable[..., Any]) -> None:
    """A call that failed raises in its turn, and the iteration can go on."""
    assert perform(by_completion_with_error) == ["error", "0", "2"]


@program
async def left_early(promise: wb.PromiseId) -> int:
    iterator = wb.as_completed([Racer.get(0).hold(promise), Racer.get(1).run(0)])
    async for result in iterator:
        await iterator.aclose()
        return int(result)
    return -1


def test_as_completed_may_be_left(perform: Callable[..., Any]) -> None:
    """Closing the iteration drops what has not ended."""
    promise = wb.create_promise()
    assert perform(left_early, promise) == 1
    wb.complete_promise(promise, b"")


@program
async def with_limit(count: int, limit: int) -> list[Any]:
    running, most = 0, 0

    async def one(i: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        value: int = await Racer.get(i).run(0.001 * (i % 3))
        running -= 1
        return value

    return [await wb.bounded(one, range(count), limit=limit), most]


@pytest.mark.parametrize(("count", "limit"), [(0, 3), (1, 8), (10, 1), (20, 4), (5, 100)])
def test_bounded_keeps_its_limit_and_order(perform: Callable[..., Any], count: int, limit: int) -> None:
    """At most `limit` in flight, all places used, results in the order of the items."""
    assert perform(with_limit, count, limit) == [list(range(count)), min(count, limit)]


@program
async def lazily(stop: int) -> list[Any]:
    taken: list[int] = []

    def items() -> Any:
        for i in itertools.count():
            taken.append(i)
            yield i

    def call(i: int) -> Any:
        return Racer.get(i).run(0, "stop" if i == stop else "")

    try:
        await wb.bounded(call, items(), limit=2)
    except ValueError:
        return [len(taken) < stop + 5]
    return []


def test_bounded_takes_items_when_there_is_room(perform: Callable[..., Any]) -> None:
    """Items are drawn one by one, so an endless iterator is fine; the first error ends it."""
    assert perform(lazily, 7) == [True]


@program
async def few_of_many(limit: int) -> list[Any]:
    before = len(asyncio.all_tasks())
    most = 0

    async def one(i: int) -> int:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()) - before)
        return i

    return [await wb.bounded(one, (i for i in range(3)), limit=limit), most]


def test_a_limit_beyond_all_items_costs_nothing(perform: Callable[..., Any]) -> None:
    """What is not in flight has no task, also where the number of items is not known before."""
    assert perform(few_of_many, 10**9) == [[0, 1, 2], 3]


@program
async def bounded_oddly() -> list[Any]:
    refused = []
    for limit in (0, -1, True, 1.5, None):
        try:
            await wb.bounded(str, [1], limit=limit)  # type: ignore[arg-type]
        except TypeError:
            refused.append(limit)
    plain = await wb.bounded(lambda i: i * 2, [1, 2, 3])
    errors = await wb.bounded(lambda i: 1 // i, [1, 0, 2], return_exceptions=True)
    return [len(refused), plain, [str(x) for x in errors]]


def test_bounded_with_plain_functions_and_wrong_limits(perform: Callable[..., Any]) -> None:
    """Plain functions work, errors can be collected, and a limit that is no positive whole number is refused."""
    assert perform(bounded_oddly) == [5, [2, 4, 6], ["1", "integer division or modulo by zero", "0"]]


def test_what_cannot_be_joined_is_refused_before_anything_begins(session: wb.Session) -> None:
    """`join` of something that is no call names its place, and no call begins."""

    async def wrong(verb: Callable[..., Any]) -> None:
        calls = [Racer.get(1).run(0), 5, Racer.get(2).run(0)]
        try:
            await verb(calls)
        finally:
            for call in calls:
                if not isinstance(call, int):
                    call.close()

    for verb in (wb.join, wb.try_join, wb.race, wb.race_ok):
        with writes_nothing(session), pytest.raises(wb.AgentTypeError, match="item 1 is a int"):
            wb.run(wrong(verb))


@program
async def mixed(promise: wb.PromiseId) -> list[Any]:
    async def local() -> str:
        await asyncio.sleep(0.01)
        return "local"

    task = asyncio.ensure_future(local())
    wb.complete_promise(promise, b"payload")
    return await wb.join(
        [local(), task, Racer.get(3).run(0), wb.await_promise(promise), wb.join([Racer.get(4).run(0)])]
    )


def test_all_sorts_of_awaitables_join(perform: Callable[..., Any]) -> None:
    """Coroutines, tasks, calls, promises and joins can be joined with each other."""
    assert perform(mixed, wb.create_promise()) == ["local", "local", 3, b"payload", [4]]


@program
async def nested(depth: int) -> Any:
    if depth == 0:
        return await Racer.get(0).run(0)
    return await wb.join([nested(depth - 1), wb.race([nested(depth - 1)]), wb.try_join([nested(depth - 1)])])


def test_fan_ins_nest(perform: Callable[..., Any]) -> None:
    """Joins of races of joins give what their parts give."""
    assert perform(nested, 2) == [[0, 0, [0]], [0, 0, [0]], [[0, 0, [0]]]]


@program
async def standing_twice(verb: str) -> list[Any]:
    call = asyncio.ensure_future(Racer.get(1).run(0.05))
    given = getattr(wb, verb)([call, Racer.get(2).run(0.1), call])
    return [x async for x in given] if verb == "as_completed" else await given


@pytest.mark.parametrize(
    ("verb", "result"),
    [("join", [1, 2, 1]), ("try_join", [1, 2, 1]), ("race", 1), ("race_ok", 1), ("as_completed", [1, 1, 2])],
)
def test_a_begun_call_may_stand_twice(perform: Callable[..., Any], verb: str, result: Any) -> None:
    """A call that was begun may stand in a fan-in more than once: its result stands in each of its places."""
    assert perform(standing_twice, verb) == result


@program
async def sharing(promise: wb.PromiseId, verb: str, go: wb.PromiseId) -> list[Any]:
    call, kept = asyncio.ensure_future(Racer.get(1).hold(promise)), asyncio.ensure_future(wb.await_promise(promise))
    joins = [asyncio.ensure_future(getattr(wb, verb)([call, kept, Racer.get(n).run(0.01)])) for n in (2, 3)]
    await _open(go, b"go")
    first = await wb.join([call, kept, call])
    return [first, *[await join for join in joins], await wb.join([kept, call])]


SHARED = [[1, b"go", 1], [1, b"go", 2], [1, b"go", 3], [b"go", 1]]


@pytest.mark.parametrize("verb", ["join", "try_join"])
def test_joins_may_share_what_was_begun(perform: Callable[..., Any], verb: str) -> None:
    """A call and a promise wait that several joins hold bring all of them to their ends, those that come later too."""
    promise = wb.create_promise()
    assert perform(sharing, promise, verb, promise) == SHARED


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_joins_that_share_survive_a_crash(session: wb.Session, late: bool) -> None:  # noqa: FBT001
    """A crash while joins wait for the same call, and one when they have ended, change nothing."""
    promise = wb.create_promise()
    waiting = Runner.get().run("sharing", promise, "join", wb.create_promise())
    answer = waiting.submit()
    wb.run(session.at_rest(), PATIENCE)
    if not late:
        session.simulate_crash()
    wb.complete_promise(promise, b"go")
    if late:
        wb.run(session.at_rest(), PATIENCE)
        session.simulate_crash()
    assert answer.result(PATIENCE) == SHARED
    assert wb.run(Racer.get(1).ran()) == 1


@program
async def giving_up_a_share(promise: wb.PromiseId) -> list[str]:
    call = asyncio.ensure_future(Racer.get(1).hold(promise))
    first, second, third = (
        asyncio.ensure_future(wb.join(calls, return_exceptions=True))
        for calls in ([call, call], [Racer.get(2).run(0.1), call], [call])
    )
    await asyncio.sleep(0.01)
    first.cancel()
    ends = await asyncio.gather(first, second, third, return_exceptions=True)
    wb.complete_promise(promise, b"")
    return [
        type(end).__name__ if isinstance(end, BaseException) else ",".join(type(x).__name__ for x in end)
        for end in ends
    ]


def test_cancelling_one_of_two_joins_ends_the_other(perform: Callable[..., Any]) -> None:
    """Cancelling a join cancels its calls; another that holds one of them ends too, with that in its place."""
    ends = perform(giving_up_a_share, wb.create_promise())
    assert ends == ["CancelledError", "int,CancelledError", "CancelledError"]


@program
async def cancelled_with_words(promise: wb.PromiseId) -> list[str]:
    calls = [asyncio.ensure_future(Racer.get(i).hold(promise)) for i in range(4)]
    both = asyncio.ensure_future(wb.join(calls[:2], return_exceptions=True))
    either = asyncio.ensure_future(wb.race_ok(calls[2:]))
    await asyncio.sleep(0)
    for call in calls:
        call.cancel("no time")
    told = [str(error) for error in await both]
    try:
        await either
    except BaseExceptionGroup as group:
        told += [str(error) for error in group.exceptions]
    return told


def test_a_cancelled_call_keeps_its_words(perform: Callable[..., Any]) -> None:
    """What a call was cancelled with stands in the error in its place, of a join and of a race that nothing won."""
    assert perform(cancelled_with_words, wb.create_promise()) == ["no time"] * 4


@program
async def shared_iterator(count: int, consumers: int) -> list[Any]:
    iterator = wb.as_completed(runs(*[(0.01 * n, "") for n in range(count)]))

    async def consume() -> list[int]:
        return [x async for x in iterator]

    return await asyncio.wait_for(asyncio.gather(*(consume() for _ in range(consumers))), PATIENCE)


@pytest.mark.parametrize(("count", "consumers"), [(2, 2), (7, 3), (1, 4), (0, 2), (3, 1)])
def test_several_tasks_iterate_over_one(perform: Callable[..., Any], count: int, consumers: int) -> None:
    """Each result of `as_completed` goes to one of the tasks that iterate, and all of them come to their ends."""
    shares = perform(shared_iterator, count, consumers)
    assert len(shares) == consumers
    assert all(share == sorted(share) for share in shares)
    assert sorted(x for share in shares for x in share) == list(range(count))


@program
async def a_consumer_leaves(promise: wb.PromiseId) -> list[Any]:
    iterator = wb.as_completed([Racer.get(0).hold(promise), Racer.get(1).run(0.05)])
    leaving, staying = (asyncio.ensure_future(anext(iterator)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    first = await staying
    third = asyncio.ensure_future(anext(iterator, "no more"))
    await asyncio.sleep(0.01)
    await iterator.aclose()
    wb.complete_promise(promise, b"")
    return [first, await third, leaving.cancelled(), await anext(iterator, "no more")]


def test_a_consumer_that_leaves_takes_nothing_with_it(perform: Callable[..., Any]) -> None:
    """A task that is cancelled while it waits for the next result leaves it to the others; `aclose` ends who waits."""
    assert perform(a_consumer_leaves, wb.create_promise()) == [1, "no more", True, "no more"]


def test_losers_leave_no_noise(session: wb.Session, caplog: pytest.LogCaptureFixture) -> None:
    """The error of a call that lost a race is no news: nothing is logged about it."""

    @wb.agent
    class Silent:
        async def run(self) -> int:
            winner: int = await wb.race(
                [Racer.get(0).run(0), Racer.get(1).run(0, "lost"), Racer.get(2).run(0.01, "lost")]
            )
            await asyncio.sleep(0.1)
            return winner

    assert wb.run(Silent.get().run()) == 0
    gc.collect()
    assert caplog.records == []


def test_random_races_replay(session: wb.Session) -> None:
    """A few hundred random fan-ins in one agent give the same after a crash (the fixture replays them)."""

    @wb.agent
    class Dicer:
        async def roll(self, seed: int) -> list[Any]:
            chance, out = random.Random(seed), []  # noqa: S311
            for _ in range(10):
                delays = [chance.choice([0, 0, 0.001, 0.002]) for _ in range(5)]
                verb = chance.choice([wb.join, wb.race, wb.try_join, wb.race_ok])
                out.append(await verb([Racer.get(i).run(d) for i, d in enumerate(delays)]))
            return out

    for seed in range(20):
        wb.run(Dicer.get().roll(seed), PATIENCE)
