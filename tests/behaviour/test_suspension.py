# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Agents that wait for long leave memory, and come back by replay."""

import asyncio
import gc

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import kinds


@wb.agent
class Patient:
    """Waits."""

    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.notes = ["made"]

    async def wait(self, promise: wb.PromiseId) -> list[str]:
        self.notes.append("waiting")
        print("patience")  # noqa: T201 - is silent when it comes back
        self.notes.append((await wb.await_promise(promise)).decode())
        return self.notes

    async def nap(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "rested"


def in_memory(session: wb.Session) -> int:
    """How many agents have an instance."""
    slots = session.thread.engine.slots
    return sum(slot.instance is not None for slot in slots.values())


def leave(session: wb.Session) -> None:
    """Have every suspended agent leave memory now."""
    session.thread.ask(lambda: session.thread.engine.put_away_suspended(1 << 62)).result()


def test_a_waiting_agent_leaves_and_comes_back(either: wb.Session) -> None:
    """Its result, its locals and its attributes are as if it had stayed; nothing is done twice."""
    promise = wb.create_promise()
    waiting = Patient.get().wait(promise).submit()
    wb.run(either.at_rest())
    assert in_memory(either) == 1
    said = kinds(either, "Patient(0)").count("Logged")
    leave(either)
    assert in_memory(either) == 0
    assert wb.run(Patient.get().status()) == "suspended"
    wb.complete_promise(promise, b"came")
    assert waiting.result(10) == ["made", "waiting", "came"]
    assert kinds(either, "Patient(0)").count("Logged") == said > 0


def test_a_sleeper_leaves_and_wakes(opened: Opener) -> None:
    """A durable timer wakes an agent that left memory."""
    session = opened(":memory:")
    napping = Patient.get(1).nap(0.3).submit()
    leave(session)
    assert napping.result(10) == "rested"


def test_idle_and_running_agents_stay(opened: Opener) -> None:
    """Only those that wait for promises or timers leave."""
    session = opened(":memory:")
    promise = wb.create_promise()
    wb.complete_promise(promise, b"")
    wb.run(Patient.get(2).wait(promise))
    leave(session)
    assert in_memory(session) == 1


def test_ten_thousand_waiting_agents(opened: Opener) -> None:
    """None of 10,000 agents that wait keeps an instance, and all get what they wait for."""

    @wb.agent
    class Crowd:
        """Has many wait."""

        async def gather(self, promise: wb.PromiseId) -> None:
            for n in range(10_000):
                Patient.get(n).wait.trigger(promise)

    session = opened(":memory:")
    promise = wb.create_promise()
    wb.run(Crowd.get().gather(promise))
    wb.run(session.at_rest(), 60)
    leave(session)
    gc.collect()
    assert in_memory(session) == 1
    wb.complete_promise(promise, b"all")
    wb.run(session.at_rest(), 60)
    assert wb.run(session.result("Patient(9999)")) == ["made", "waiting", "all"]
    assert all(a.finished == 1 for a in session.agents())
