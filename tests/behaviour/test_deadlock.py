# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Deadlocks: self-calls and cycles are refused when the wait would start; whatever can still go on is left alone."""

import asyncio
import random
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, kinds, until


@wb.agent
class Node:
    """Calls the nodes that a plan names, in the way it names: `{node: [[target, how], ...]}`."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def visit(self, plan: dict[int, list[list[Any]]], gate: wb.PromiseId | None = None) -> str:
        if gate is not None:
            await wb.await_promise(gate)
        calls = [Node.get(target).visit(plan) for target, how in plan.get(self.n, []) if how == "all"]
        await asyncio.gather(*calls)
        for target, how in plan.get(self.n, []):
            if how == "await":
                await Node.get(target).visit(plan)
            elif how == "trigger":
                Node.get(target).visit.trigger({})
            elif how == "blocking":
                raise AssertionError
        return f"done {self.n}"

    def visit_plainly(self, ring: int) -> str:
        return str(Node.get((self.n + 1) % ring).visit_plainly.blocking(ring))

    def ping(self) -> str:
        return "pong"


def cycle_of(error: wb.DeadlockError) -> list[str]:
    """The agents of a deadlock."""
    return [agent for agent, _, _ in error.cycle]


def test_a_self_call_is_refused(either: wb.Session) -> None:
    """An agent that awaits itself is told so at once, with the line and the cure; it may catch that and go on."""

    @wb.agent
    class Selfish:
        async def call(self) -> str:
            result: str = await Selfish.get().other()
            return result

        async def catch(self) -> str:
            try:
                await Selfish.get().other()
            except wb.DeadlockError as error:
                return f"{error.cycle[0][0]} {error.cycle[0][2].rpartition('/')[2].partition(':')[0]}"
            return "nothing"

        def block(self) -> str:
            return str(Selfish.get().other.blocking())

        async def gathered(self) -> list[Any]:
            outcomes = await wb.join([Node.get(1).ping(), Selfish.get().other()], return_exceptions=True)
            return [o if isinstance(o, str) else type(o).__name__ for o in outcomes]

        async def other(self) -> str:
            return "other"

    client = Selfish.get()
    for call in (client.call(), client.block()):
        with pytest.raises(wb.DeadlockError, match=r"Selfish\(\).*trigger") as refused:
            wb.run(call, PATIENCE)
        assert cycle_of(refused.value) == ["Selfish()"]
        assert "test_deadlock.py:" in refused.value.cycle[0][2]
    assert wb.run(client.catch(), PATIENCE) == "Selfish() test_deadlock.py"
    assert wb.run(client.gathered(), PATIENCE) == ["pong", "DeadlockError"]
    assert wb.run(client.other()) == "other"
    assert "CallRefused" in kinds(either, "Selfish()")


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("how", ["await", "all"])
def test_a_cycle_is_refused(either: wb.Session, size: int, how: str) -> None:
    """A ring of agents that await each other is refused; the error names each, with its line, and the edge to cut."""
    plan = {n: [[(n + 1) % size, how]] for n in range(size)}
    with pytest.raises(wb.DeadlockError) as refused:
        wb.run(Node.get(0).visit(plan), PATIENCE)
    error = refused.value
    assert set(cycle_of(error)) == {f"Node({n})" for n in range(size)}
    assert len(error.cycle) == size
    assert all("test_deadlock.py:" in line for _, _, line in error.cycle)
    assert all(method.endswith("visit") for _, method, _ in error.cycle)
    assert cycle_of(error)[error.edge] == f"Node({size - 1})"
    assert ".visit.trigger(...)" in error.do
    assert wb.run(Node.get(0).ping(), PATIENCE) == "pong"
    assert all(a.status == "idle" for a in either.agents())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_cycle_of_plain_methods(session: wb.Session, size: int) -> None:
    """The same for `def` methods that wait by `.blocking`."""
    with pytest.raises(wb.DeadlockError) as refused:
        wb.run(Node.get(0).visit_plainly(size), PATIENCE)
    assert len(refused.value.cycle) == size


def test_a_cycle_closed_later(session: wb.Session) -> None:
    """A cycle that is no cycle until the last call starts is met there, also when the others wait since long."""
    gates = [wb.create_promise() for _ in range(3)]
    plan = {0: [[1, "await"]], 1: [[2, "await"]], 2: [[0, "await"]]}
    for n in range(3):
        Node.get(n).visit.trigger(plan, gates[n])
    wb.run(session.at_rest())
    for gate in gates:
        wb.complete_promise(gate, b"")
        wb.run(session.at_rest())
    assert all(a.status == "idle" for a in session.agents())
    assert sum(a.failed for a in session.agents()) >= 1


@wb.agent
class Stepping:
    """Calls itself and others by what its steps run."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def by_step(self, *route: int) -> str:
        """Go along these agents by steps, and back to the first."""
        return str(await wb.step(visit, *route, retry=1))

    async def by_call(self, *route: int) -> str:
        return str(await visit(*route))

    async def raced(self, gate: wb.PromiseId) -> str:
        return str(await wb.race_ok([wb.step(visit, self.n, retry=1), wb.await_promise_json(gate)]))

    async def outlasts(self, gates: list[wb.PromiseId]) -> str:
        return str(await wb.step(give_up_and_go_on, gates, self.n))

    async def back(self, gates: list[wb.PromiseId], n: int) -> str:
        wb.complete_promise_json(gates[0], 1)
        await wb.await_promise(gates[1])
        return str(await Stepping.get(n).by_call())

    async def hears(self) -> str:
        return str(await wb.step(told))


async def visit(*route: int) -> str:
    """Call the first of these agents, by way of which to the next."""
    if not route:
        return "end"
    client = Stepping.get(route[0])
    return str(await (client.by_step(*route[1:]) if len(route) % 2 else client.by_call(*route[1:])))


async def told() -> str:
    """Call back, and take the advice of the error."""
    try:
        return str(await Stepping.get(0).by_call())
    except wb.DeadlockError as error:
        Stepping.get(0).by_call.trigger()
        return f"refused {error.cycle[0][0]}"


async def give_up_and_go_on(gates: list[wb.PromiseId], n: int) -> str:
    """Calls an agent that will call back, stops to wait once it has begun, and ends when it has called back."""
    asked = asyncio.ensure_future(Stepping.get(9).back(gates, n))
    await wb.await_promise(gates[0])
    asked.cancel()
    await asyncio.wait([asked])
    wb.complete_promise_json(gates[1], 1)
    await wb.await_promise(gates[2])
    return "went on"


@pytest.mark.parametrize("route", [[0], [1, 0], [1, 2, 0], [1, 2, 3, 0]], ids=len)
def test_a_cycle_through_steps_is_refused(either: wb.Session, route: list[int]) -> None:
    """What the function of a step waits for is a wait of its agent: refused at the moment it starts, with its line."""
    for method in ("by_step", "by_call") if len(route) > 1 else ("by_step",):
        with pytest.raises(wb.DeadlockError, match="trigger") as refused:
            wb.run(getattr(Stepping.get(0), method)(*route), PATIENCE)
        assert sorted(cycle_of(refused.value)) == sorted(f"Stepping({n})" for n in route)
        assert "test_deadlock.py:" in refused.value.cycle[-1][2]
        either.simulate_crash()
    assert wb.run(Stepping.get(0).hears(), PATIENCE) == "refused Stepping(0)"
    assert wb.run(Stepping.get(0).by_call(), PATIENCE) == "end"


def test_a_thread_of_a_step_is_refused_too(either: wb.Session) -> None:
    """A plain function that calls its own agent from its thread gets the same error."""

    @wb.agent
    class Threaded:
        async def call(self) -> str:
            return str(await wb.step(from_a_thread, retry=1))

        async def other(self) -> str:
            return "other"

    def from_a_thread() -> str:
        return str(wb.run(Threaded.get().other()))

    with pytest.raises(wb.DeadlockError, match=r"Threaded\(\).*trigger"):
        wb.run(Threaded.get().call(), PATIENCE)
    assert wb.run(Threaded.get().other(), PATIENCE) == "other"
    assert kinds(either, "Threaded()").count("InvocationCancelled") == 1


def test_a_step_that_is_not_all_an_agent_waits_for(either: wb.Session) -> None:
    """While something else may let the agent go on, its step's call to it waits, and is answered in the end."""
    gate = wb.create_promise()
    raced = Stepping.get(0).raced(gate).submit()
    until(lambda: bool(either.invocations(method="by_step", state="pending")))
    assert wb.complete_promise_json(gate, "gate")
    assert raced.result(PATIENCE) == "gate"
    wb.run(either.at_rest(), PATIENCE)
    assert wb.run(Stepping.get(0).by_call(), PATIENCE) == "end"


def test_a_step_that_gave_its_call_up_ends(either: wb.Session) -> None:
    """A call that the function of a step no longer waits for is no part of a cycle: nobody is refused."""
    gates = [wb.create_promise() for _ in range(3)]
    Stepping.get(0).outlasts.trigger(gates)
    until(lambda: bool(either.invocations("Stepping(0)", state="pending")))
    wb.complete_promise_json(gates[2], 1)
    assert wb.run(either.result("Stepping(9)"), PATIENCE) == "end"
    assert wb.run(either.result("Stepping(0)"), PATIENCE) == "end"  # the call that waited behind it


def test_two_cycles_at_once(session: wb.Session) -> None:
    """A figure of eight is untied: everybody hears of it and comes to rest."""
    plan = {0: [[1, "all"], [2, "all"]], 1: [[0, "await"]], 2: [[0, "await"]]}
    with pytest.raises(wb.DeadlockError):
        wb.run(Node.get(0).visit(plan), PATIENCE)
    wb.run(session.at_rest())
    assert all(a.status == "idle" for a in session.agents())


def test_who_only_queues_behind_a_cycle_goes_on(session: wb.Session) -> None:
    """A caller from outside the cycle is no part of the error and gets its answer when the cycle is gone."""
    plan = {0: [[1, "await"]], 1: [[0, "await"]]}
    gate = wb.create_promise()
    Node.get(0).visit.trigger(plan, gate)
    outside = {9: [[0, "await"]]}
    Node.get(9).visit.trigger(outside)
    wb.complete_promise(gate, b"")
    assert wb.run(session.result("Node(9)"), PATIENCE) == "done 9"


def test_the_cure_works(session: wb.Session) -> None:
    """The same ring with `.trigger` on the edge that the error names ends well."""
    plan = {0: [[1, "await"]], 1: [[2, "await"]], 2: [[0, "trigger"]]}
    assert wb.run(Node.get(0).visit(plan), PATIENCE) == "done 0"


def test_diamonds_are_no_cycles(session: wb.Session) -> None:
    """Two ways to one agent are no deadlock, however deep."""
    plan: dict[int, list[list[Any]]] = {n: [[2 * n + 1, "all"], [2 * n + 2, "all"]] for n in range(15)}
    plan |= {n: [[99, "await"]] for n in range(15, 31)}
    assert wb.run(Node.get(0).visit(plan), PATIENCE) == "done 0"


def test_what_can_end_by_itself_is_no_deadlock(session: wb.Session) -> None:
    """A ring with a timeout, a race, a promise or a step in one of its waits is left alone."""

    @wb.agent
    class Patient:
        def __init__(self, n: int) -> None:
            self.n = n

        async def with_timeout(self, depth: int) -> str:
            if depth == 0:
                return "deep"
            try:
                async with asyncio.timeout(0.02 * depth):
                    return str(await Patient.get(1 - self.n).with_timeout(depth - 1))
            except TimeoutError:
                return f"timeout of {self.n}"

        async def with_race(self, other: int) -> str:
            async def plain() -> str:
                return "plain"

            return str(await wb.race([Patient.get(other).back(self.n), plain()]))

        async def with_sleeping_race(self, other: int) -> str:
            return str(await wb.race([Patient.get(other).back(self.n), asyncio.sleep(0.01, "slept")]))

        async def with_step(self, other: int) -> str:
            return str(await wb.race([Patient.get(other).back(self.n), wb.step(str, 5)]))

        async def back(self, other: int) -> str:
            return str(await Patient.get(other).back(self.n))

    assert wb.run(Patient.get(0).with_timeout(2), PATIENCE) == "timeout of 1"
    assert wb.run(Patient.get(10).with_race(11), PATIENCE) == "plain"
    assert wb.run(Patient.get(20).with_sleeping_race(21), PATIENCE) == "slept"
    assert wb.run(Patient.get(30).with_step(31), PATIENCE) == "5"


def _reaches(plan: dict[int, list[list[Any]]], start: int) -> bool:
    """Brute force: whether visiting `start` alone, in depth, ever comes back to an agent that is being visited."""

    def visit(node: int, above: frozenset[int]) -> bool:
        if node in above:
            return True
        return any(visit(target, above | {node}) for target, how in plan.get(node, []) if how != "trigger")

    return visit(start, frozenset())


@pytest.mark.parametrize("seed", range(60))
def test_random_plans_against_brute_force(session: wb.Session, seed: int) -> None:
    """In random graphs of calls a deadlock is reported exactly when some path comes back to itself; nothing hangs."""
    chance = random.Random(seed)  # noqa: S311
    size = chance.randint(2, 7)
    hows = ["await", "await", "all", "trigger"]
    plan = {
        n: [[chance.randrange(size), chance.choice(hows)] for _ in range(chance.randint(0, 2))] for n in range(size)
    }
    try:
        outcome = wb.run(Node.get(0).visit(plan), PATIENCE)
    except wb.DeadlockError:
        outcome = "deadlock"
    except ExceptionGroup:
        outcome = "deadlock"
    wb.run(session.at_rest(), PATIENCE)
    assert all(a.status == "idle" for a in session.agents())
    assert outcome == ("deadlock" if _reaches(plan, 0) else "done 0")
