# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Fork: both sides at the same line with the same locals, what is in flight, keys and chance after the cut."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, kinds, log_of, until, written
from workbench.model import entries as e


@wb.agent
class Helper:
    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.calls = 0

    async def work(self, x: int) -> int:
        self.calls += 1
        await asyncio.sleep(0.01)
        return x * 10

    async def hold(self, promise: wb.PromiseId) -> str:
        self.calls += 1
        return (await wb.await_promise(promise)).decode()  # type: ignore[no-any-return]

    def count(self) -> int:
        return self.calls


def forks_of(session: wb.Session) -> list[str]:
    """All forks, once nobody can make another one."""
    wb.run(session.at_rest(), PATIENCE)
    return [a.agent_id for a in session.agents() if a.forked_from]


def results(session: wb.Session) -> list[Any]:
    """What the forks returned, in the order of their making."""
    return [wb.run(session.result(agent), PATIENCE) for agent in forks_of(session)]


def test_both_sides_go_on_with_the_same_locals(either: wb.Session) -> None:
    """Both sides stand at the same line with equal locals and state, and go on alone; the details are the same."""

    @wb.agent
    class Basic:
        def __init__(self, name: str) -> None:
            self.seen = [name]

        async def split(self, data: dict[str, int]) -> tuple[str, str, list[str], dict[str, int]]:
            local = {**data, "local": await Helper.get().work(4)}
            self.seen.append("before")
            match wb.fork():
                case wb.Original(details):
                    self.seen.append("original")
                    local["side"] = 1
                    return "original", str(details.forked_phantom_id), self.seen, local
                case wb.Forked(details):
                    self.seen.append("forked")
                    local["side"] = 2
                    return "forked", str(details.forked_phantom_id), self.seen, local
            raise AssertionError

        def look(self) -> list[str]:
            return self.seen

    original = wb.run(Basic.get("b").split({"a": 1}), PATIENCE)
    [fork] = forks_of(either)
    forked = wb.run(either.result(fork), PATIENCE)
    assert original == ("original", original[1], ["b", "before", "original"], {"a": 1, "local": 40, "side": 1})
    assert forked == ("forked", original[1], ["b", "before", "forked"], {"a": 1, "local": 40, "side": 2})
    assert fork == f'Basic("b")[{original[1]}]'
    assert UUID(original[1]).version == 4
    assert wb.run(Helper.get().count()) == 1
    assert wb.run(Basic.get("b").look()) == ["b", "before", "original"]
    assert wb.run(Basic.get_phantom(original[1], "b").look()) == ["b", "before", "forked"]
    either.simulate_crash()
    assert wb.run(Basic.get_phantom(original[1], "b").look()) == ["b", "before", "forked"]
    assert wb.run(either.result(fork)) == ["b", "before", "forked"]


def test_forks_in_a_loop(either: wb.Session) -> None:
    """N forks in a loop are N agents; fork k sees the k forks before it as its own originals."""

    @wb.agent
    class Looper:
        async def spread(self, n: int) -> list[str]:
            promises = [wb.create_promise() for _ in range(n)]
            made: list[str] = []
            for i in range(n):
                match wb.fork():
                    case wb.Original(details):
                        made.append(str(details.forked_phantom_id))
                    case wb.Forked():
                        wb.complete_promise(promises[i], f"{i} after {len(made)}".encode())
                        return made
            return [p.decode() for p in await wb.join([wb.await_promise(p) for p in promises])]

    assert wb.run(Looper.get().spread(12), PATIENCE) == [f"{i} after {i}" for i in range(12)]
    assert len(forks_of(either)) == 12
    made = results(either)
    assert [len(m) for m in made] == list(range(12))
    assert all(made[i] == made[11][:i] for i in range(12))


def test_forks_without_return_double(session: wb.Session) -> None:
    """A loop in which the forks go on too makes 2^n agents, each with its own history."""

    @wb.agent
    class Doubler:
        async def double(self, n: int) -> str:
            path = ""
            for _ in range(n):
                path += "O" if isinstance(wb.fork(), wb.Original) else "F"
            return path

    assert wb.run(Doubler.get().double(4)) == "OOOO"
    wb.run(session.at_rest())
    assert len(forks_of(session)) == 15
    assert len({*results(session), "OOOO"}) == 16


def test_a_fork_of_a_fork(either: wb.Session) -> None:
    """A fork may fork: its child shares both prefixes and replaces the phantom id."""

    @wb.agent
    class Chain:
        async def run(self, depth: int) -> list[int]:
            seen: list[int] = []
            for level in range(depth):
                seen.append(await Helper.get(level).work(level))
                if isinstance(wb.fork(), wb.Original):
                    return seen
            return [*seen, -1]

    assert wb.run(Chain.get().run(5), PATIENCE) == [0]
    wb.run(either.at_rest())
    assert results(either)[:-1] == [[0, 10], [0, 10, 20], [0, 10, 20, 30], [0, 10, 20, 30, 40]]
    assert results(either)[-1] == [0, 10, 20, 30, 40, -1]
    assert [wb.run(Helper.get(level).count()) for level in range(5)] == [1] * 5
    sources = [a.forked_from for a in either.agents() if a.forked_from]
    assert sources[0] == "Chain()"
    assert sources[1:] == forks_of(either)[:-1]
    either.simulate_crash()
    assert results(either)[-1] == [0, 10, 20, 30, 40, -1]


def _fork_deep_down(log: list[str]) -> str:
    log.append("helper")
    return type(wb.fork()).__name__


def test_fork_in_functions_methods_and_comprehensions(session: wb.Session) -> None:
    """`fork` works wherever it is called: in plain methods, helpers, comprehensions, generators and tasks."""

    @wb.agent
    class Everywhere:
        def plainly(self) -> list[str]:
            log: list[str] = []
            log.append(_fork_deep_down(log))
            return log

        def after_blocking(self) -> list[Any]:
            before = Helper.get(1).work.blocking(1)
            side = type(wb.fork()).__name__
            return [before, side, Helper.get(2).work.blocking(2)]

        async def in_comprehension(self) -> list[str]:
            return [type(wb.fork()).__name__ for _ in range(2)]

        async def in_generator(self) -> list[str]:
            def sides() -> Iterator[str]:
                yield "start"
                yield type(wb.fork()).__name__

            return list(sides())

        async def in_tasks(self) -> list[Any]:
            async def one(n: int) -> Any:
                await asyncio.sleep(0)
                if n == 1:
                    return type(wb.fork()).__name__
                return await Helper.get(5).work(n)

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(n)) for n in range(3)]
            return [t.result() for t in tasks]

        async def in_except(self) -> list[str]:
            try:
                raise ValueError("x")  # noqa: TRY301 - to fork in the handler
            except ValueError as error:
                return [str(error), type(wb.fork()).__name__]

    expected: dict[str, list[list[Any]]] = {
        "plainly": [["helper", "Original"], ["helper", "Forked"]],
        "after_blocking": [[10, "Original", 20], [10, "Forked", 20]],
        "in_comprehension": [
            ["Original", "Original"],
            ["Forked", "Original"],
            ["Original", "Forked"],
            ["Forked", "Forked"],
        ],
        "in_generator": [["start", "Original"], ["start", "Forked"]],
        "in_tasks": [[0, "Original", 20], [0, "Forked", 20]],
        "in_except": [["x", "Original"], ["x", "Forked"]],
    }
    for name, wanted in expected.items():
        before = len(forks_of(session))
        got = [wb.run(getattr(Everywhere.get(), name)(), PATIENCE), *results(session)[before:]]
        assert sorted(map(str, got)) == sorted(map(str, wanted)), name


def test_calls_in_flight_are_joined_not_repeated(either: wb.Session) -> None:
    """A call that is open at the cut is made once; both sides get its one result."""

    @wb.agent
    class Flying:
        async def run(self) -> list[Any]:
            call = asyncio.ensure_future(Helper.get(1).work(7))
            await asyncio.sleep(0)
            side = type(wb.fork()).__name__
            return [side, await call, await Helper.get(2).work(8)]

    assert wb.run(Flying.get().run(), PATIENCE) == ["Original", 70, 80]
    assert results(either) == [["Forked", 70, 80]]
    assert wb.run(Helper.get(1).count()) == 1
    assert wb.run(Helper.get(2).count()) == 2


@pytest.mark.parametrize("who_stays", ["both", "original", "fork"])
def test_each_kind_of_wait_in_flight(session: wb.Session, who_stays: str) -> None:
    """What is open at the cut (calls, promises, timers, steps) goes on for each side, though the other gives it up."""
    release, ran = threading.Event(), []

    def effect() -> str:
        ran.append(1)
        release.wait(PATIENCE)
        return "step"

    @wb.agent
    class Busy:
        async def run(self, promise: wb.PromiseId, hold: wb.PromiseId, go: wb.PromiseId, stays: str) -> list[Any]:
            async def timer() -> str:
                await asyncio.sleep(0.02)
                return "timer"

            tasks = [
                asyncio.ensure_future(wb.await_promise(promise)),
                asyncio.ensure_future(timer()),
                asyncio.ensure_future(wb.step(effect)),
                asyncio.ensure_future(Helper.get(1).hold(hold)),
                asyncio.ensure_future(Helper.get(1).work(2)),
            ]
            await wb.await_promise(go)
            side = "original" if isinstance(wb.fork(), wb.Original) else "fork"
            if stays not in (side, "both"):
                return [side]
            return [side, *[(await t) for t in tasks]]

    promise, hold, go = wb.create_promise(), wb.create_promise(), wb.create_promise()
    Busy.get().run.trigger(promise, hold, go, who_stays)
    until(lambda: ran == [1])
    wb.complete_promise(go, b"")
    until(
        lambda: (
            sum(bool(a.forked_from) for a in session.agents()) == 1
            and (who_stays == "both" or "idle" in {a.status for a in session.agents() if "Busy" in a.agent_id})
        )
    )
    release.set()
    wb.complete_promise(hold, b"held")
    wb.complete_promise(promise, b"promised")
    wb.run(session.at_rest(), PATIENCE)
    outcomes = {r[0]: r[1:] for r in [wb.run(session.result("Busy()"), PATIENCE), *results(session)]}
    full = [b"promised", "timer", "step", "held", 20]
    assert outcomes == {side: full if who_stays in (side, "both") else [] for side in ("original", "fork")}
    assert wb.run(Helper.get(1).count()) == 2
    assert ran == [1]


def test_chance_differs_after_the_cut_and_agrees_before(session: wb.Session) -> None:
    """UUIDs, random numbers, keys and phantom ids are the same on both sides before the cut, and differ after it."""

    @wb.agent
    class Chancy:
        async def draw(self) -> list[list[str]]:
            def some() -> list[str]:
                return [str(wb.uuid4()), str(wb.random()), wb.idempotency_key(), str(Helper.new_phantom(1).phantom_id)]

            before = some()
            wb.fork()
            return [before, some(), some()]

    original = wb.run(Chancy.get().draw())
    [forked] = results(session)
    assert original[0] == forked[0]
    everything = original[0] + original[1] + original[2] + forked[1] + forked[2]
    assert len(set(everything)) == 20
    assert all(0 <= float(draws[1]) < 1 for draws in (*original, *forked))


def test_equal_calls_after_the_cut_are_two_calls(either: wb.Session) -> None:
    """After the cut both sides call the same method with the same arguments at the same position: it runs twice."""

    @wb.agent
    class Both:
        async def run(self) -> int:
            await Helper.get(3).work(1)
            wb.fork()
            result: int = await Helper.get(3).work(1)
            return result

    assert wb.run(Both.get().run(), PATIENCE) == 10
    assert results(either) == [10]
    assert wb.run(Helper.get(3).count()) == 3


def test_a_fork_never_runs_its_sources_queue(either: wb.Session) -> None:
    """Invocations that wait behind the one that forks run once, in the source; the fork takes its own."""

    @wb.agent
    class Queued:
        def __init__(self) -> None:
            self.ran: list[str] = []

        async def split(self, promise: wb.PromiseId) -> str:
            await wb.await_promise(promise)
            return type(wb.fork()).__name__

        def note(self, word: str) -> list[str]:
            self.ran.append(word)
            return self.ran

    promise = wb.create_promise()
    Queued.get().split.trigger(promise)
    for i in range(5):
        Queued.get().note.trigger(str(i))
    wb.complete_promise(promise, b"")
    wb.run(either.at_rest())
    [fork] = forks_of(either)
    assert wb.run(either.result(fork)) == "Forked"
    assert wb.run(Queued.get().note("end")) == ["0", "1", "2", "3", "4", "end"]
    phantom = wb.AgentId.parse(fork).phantom_id
    assert wb.run(Queued.get_phantom(phantom).note("mine")) == ["mine"]


def test_a_fork_writes_as_much_after_a_long_history(session: wb.Session) -> None:
    """What a fork writes does not grow with the history before it."""

    @wb.agent
    class Historic:
        async def run(self, length: int) -> str:
            for i in range(length):
                await Helper.get(i % 3).work(i)
            return type(wb.fork()).__name__

    costs = []
    for length in (1, 300):
        client = Historic.new_phantom()
        wb.run(client.run(length), PATIENCE)
        wb.run(session.at_rest())
        forked = [x for x in log_of(session) if isinstance(x.body, e.AgentForked)][-1]
        costs.append(sum(x.agent == forked.agent for x in log_of(session)))
    assert costs[0] == costs[1] <= 3
    before = written(session)
    assert written(session) == before


def test_a_forks_oplog_begins_with_its_sources(session: wb.Session) -> None:
    """`session.oplog` of a fork shows the shared prefix and then its own entries, with indices without a gap."""

    @wb.agent
    class Shared:
        async def run(self) -> str:
            await Helper.get().work(1)
            return type(wb.fork()).__name__

    wb.run(Shared.get().run())
    [fork] = forks_of(session)
    wb.run(session.result(fork))
    source, own = session.oplog("Shared()"), session.oplog(fork)
    cut = next(i for i, x in enumerate(source) if x.kind == "ForkMade") + 1
    assert own[:cut] == source[:cut]
    assert [x.index for x in own] == list(range(1, len(own) + 1))
    assert kinds(session, fork)[cut:] == ["AgentForked", "InvocationFinished"]


def test_promises_across_a_fork(either: wb.Session) -> None:
    """A promise made before the cut is awaited and completed by both sides; one made after it is that side's own."""

    @wb.agent
    class Crossing:
        async def run(self) -> list[Any]:
            shared, reply = wb.create_promise(), wb.create_promise()
            if isinstance(wb.fork(), wb.Original):
                own = wb.create_promise()
                wb.complete_promise(shared, str(own).encode())
                return ["original", await wb.await_promise(reply), str(own)]
            own = wb.create_promise()
            theirs = wb.PromiseId.parse((await wb.await_promise(shared)).decode())
            first = wb.complete_promise(reply, b"from the fork")
            return ["forked", first, str(own), str(theirs), wb.complete_promise(reply, b"again")]

    original = wb.run(Crossing.get().run(), PATIENCE)
    [forked] = results(either)
    assert original[:2] == ["original", b"from the fork"]
    assert forked[1] is True
    assert forked[4] is False
    assert forked[3] == original[2]
    assert forked[2] != original[2]


def test_self_id_of_both_sides(session: wb.Session) -> None:
    """Before the cut both sides saw the source's id; after it each sees its own."""

    @wb.agent
    class Named:
        async def run(self) -> list[str]:
            before = str(wb.self_id())
            side = wb.fork()
            return [before, str(wb.self_id()), str(side.details.forked_agent_id)]

    original = wb.run(Named.get().run())
    [forked] = results(session)
    [fork] = forks_of(session)
    assert original == ["Named()", "Named()", fork]
    assert forked == ["Named()", fork, fork]


def test_a_fork_may_call_its_source_and_back(session: wb.Session) -> None:
    """A fork is another agent: it may call its source, and gets its answer when that is free."""

    @wb.agent
    class Mutual:
        def __init__(self) -> None:
            self.n = 0

        async def run(self) -> str:
            self.n += 1
            if isinstance(wb.fork(), wb.Original):
                return "original"
            return f"forked, source has {await Mutual.get().count()}"

        def count(self) -> int:
            return self.n

    assert wb.run(Mutual.get().run(), PATIENCE) == "original"
    assert results(session) == ["forked, source has 1"]


def test_an_error_in_a_fork_is_its_own(either: wb.Session) -> None:
    """A fork that raises ends its own invocation only: the source and its caller hear nothing of it."""

    @wb.agent
    class Unlucky:
        async def run(self) -> str:
            if isinstance(wb.fork(), wb.Forked):
                raise ValueError("in the fork")  # noqa: TRY004 - no type is at fault
            return "fine"

    assert wb.run(Unlucky.get().run()) == "fine"
    [fork] = forks_of(either)
    with pytest.raises(ValueError, match="in the fork"):
        wb.run(either.result(fork))


def test_a_fork_without_room_in_its_id_is_refused_on_replay_too(session: wb.Session) -> None:
    """An id that leaves no room for a phantom id cannot be forked; the agent goes on, after a crash as well."""

    @wb.agent
    class Long:
        def __init__(self, title: str) -> None:
            self.n = 0

        async def split(self) -> None:
            wb.fork()

        async def count(self) -> int:
            self.n += 1
            return self.n

    long = Long.get("t" * 490)
    with pytest.raises(wb.AgentIdError):
        wb.run(long.split())
    assert wb.run(long.count()) == 1
    session.simulate_crash()
    assert wb.run(long.count()) == 2


def test_fork_outside_an_agent(session: wb.Session) -> None:
    """In a cell there is nothing to fork: a clear error, and no entry."""
    with pytest.raises(wb.NotInAgentError, match="fork"):
        wb.fork()
    assert wb.run(_in_step(session)) == "NotInAgentError"


async def _in_step(session: wb.Session) -> str:
    @wb.agent
    class Stepping:
        async def run(self) -> str:
            try:
                await wb.step(wb.fork)
            except wb.NotInAgentError as error:
                return type(error).__name__
            return "nothing"

    result: str = await Stepping.get().run()
    return result


def test_crash_right_after_a_fork(either: wb.Session) -> None:
    """A crash while source and fork are both under way leaves exactly one fork, and both end."""

    @wb.agent
    class Crashing:
        async def run(self, promise: wb.PromiseId) -> str:
            side = type(wb.fork()).__name__
            return side + (await wb.await_promise(promise)).decode()

    promise = wb.create_promise()
    Crashing.get().run.trigger(promise)
    for _ in range(3):
        either.simulate_crash()
        wb.run(either.at_rest())
    assert len(forks_of(either)) == 1
    wb.complete_promise(promise, b"!")
    assert wb.run(either.result("Crashing()")) == "Original!"
    assert results(either) == ["Forked!"]


def test_many_forks_of_a_big_state(session: wb.Session) -> None:
    """A hundred forks of an agent whose state is a megabyte store that megabyte once."""

    @wb.agent
    class Big:
        async def run(self, data: bytes) -> int:
            for i in range(100):
                if isinstance(wb.fork(), wb.Forked):
                    return len(data) + i
            return -1

    assert wb.run(Big.get().run(bytes(1_000_000)), PATIENCE) == -1
    assert sorted(results(session)) == [1_000_000 + i for i in range(100)]
    stored = sum(len(x.body.value) for x in log_of(session) if isinstance(x.body, e.CallMade | e.InvocationStarted))
    assert stored < 3_000_000
