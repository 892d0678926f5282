# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Delete, interrupt and resume: from cells and from agents, while an agent runs, waits, sleeps or has work queued."""

import asyncio
import threading
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import bodies, kinds, until
from workbench.model import entries as e
from workbench.testing import SimulatedClock


@wb.agent
class Worker:
    """Does what the tests ask for."""

    def __init__(self, name: str = "w") -> None:
        self.name = name
        self.count = 0

    def add(self, n: int = 1) -> int:
        self.count += n
        return self.count

    async def wait(self, promise: wb.PromiseId) -> str:
        payload: bytes = await wb.await_promise(promise)
        self.count += 1
        return payload.decode()

    async def nap(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "rested"

    async def ask(self, other: str, promise: wb.PromiseId) -> str:
        answer: str = await Worker.get(other).wait(promise)
        return f"{self.name} heard {answer}"

    async def spawn(self, children: int, promise: wb.PromiseId) -> int:
        for i in range(children):
            Worker.get(f"{self.name}/{i}").wait.trigger(promise)
        return children

    async def promise(self) -> wb.PromiseId:
        return wb.create_promise()

    async def mutiny(self) -> str:
        return await Worker.get(f"{self.name}/0").control("delete", self.name, children=True)

    async def control(self, verb: str, other: str, **options: Any) -> Any:
        client = Worker.get(other)
        answer = await getattr(client, verb)(**options)
        return str(answer.agent_id) if verb == "fork" else answer


def begun(session: wb.Session, agent: str, call: Any) -> Any:
    """A call under way, once its agent has started on it."""
    task = call.submit()
    until(lambda: any(a.agent_id == agent and a.waits for a in session.agents()))
    return task


# ---- delete ---------------------------------------------------------------------------------------------------------


def test_a_deleted_agent_begins_anew(either: wb.Session) -> None:
    """After delete the same id is a fresh agent with a fresh state and a fresh oplog."""
    worker = Worker.get("a")
    assert wb.run(worker.add(5)) == 5
    assert wb.run(worker.delete()) == 1
    assert either.agents() == []
    assert wb.run(worker.status()) == "idle"
    assert wb.run(worker.add()) == 1
    assert kinds(either, worker.agent_id)[0] == "AgentCreated"
    assert len(kinds(either, worker.agent_id)) == 3


def test_an_agent_does_not_delete_the_family_it_runs_in(session: wb.Session) -> None:
    """A child may not delete its ancestor with all children, for that is itself; nothing is deleted then."""
    with pytest.raises(wb.RefusedError, match="itself"):
        wb.run(Worker.get("a").mutiny())
    assert {a.agent_id for a in session.agents()} == {'Worker("a")', 'Worker("a/0")'}
    assert wb.run(Worker.get("a").delete(children=True)) == 2


def test_deleting_what_is_not_there_is_an_error(session: wb.Session) -> None:
    """Deleting an agent that was never invoked, or twice, says so."""
    with pytest.raises(wb.UnknownAgentError):
        wb.run(Worker.get("none").delete())
    wb.run(Worker.get("a").add())
    wb.run(Worker.get("a").delete())
    with pytest.raises(wb.UnknownAgentError):
        wb.run(Worker.get("a").delete())


def test_delete_fails_what_runs_and_what_is_queued_by_name(either: wb.Session) -> None:
    """The running call and the queued ones get `AgentDeletedError`; nothing hangs."""
    worker, promise = Worker.get("a"), wb.create_promise()
    running = begun(either, 'Worker("a")', worker.wait(promise))
    queued = [worker.add().submit() for _ in range(3)]
    wb.run(worker.delete())
    for future in (running, *queued):
        with pytest.raises(wb.AgentDeletedError, match=r"Worker.*was deleted"):
            future.result(10)
    assert wb.run(worker.add()) == 1


def test_delete_reaches_callers_inside_agents(session: wb.Session) -> None:
    """An agent that awaits a deleted one gets the error as the outcome of its call."""
    promise = wb.create_promise()
    asking = begun(session, 'Worker("b")', Worker.get("a").ask("b", promise))
    wb.run(Worker.get("b").delete())
    with pytest.raises(wb.AgentDeletedError):
        asking.result(10)
    assert wb.run(Worker.get("a").status()) == "idle"


def test_promises_of_a_deleted_agent_are_dead(either: wb.Session) -> None:
    """Who waits for a promise of a deleted agent gets the deletion by name; later it is unknown."""
    promise = wb.run(Worker.get("owner").promise())
    waiting = begun(either, 'Worker("a")', Worker.get("a").wait(promise))
    cell = wb.await_promise(promise).submit()
    wb.run(Worker.get("owner").delete())
    for future in (waiting, cell):
        with pytest.raises((wb.PromiseNotFound, wb.AgentDeletedError)):
            future.result(10)
    with pytest.raises(wb.PromiseNotFound):
        wb.complete_promise(promise, b"x")
    assert wb.run(Worker.get("owner").promise()) != promise
    with pytest.raises(wb.PromiseNotFound):
        wb.promise_state(promise)


def test_keys_of_a_deleted_agent_are_dead(either: wb.Session) -> None:
    """The same key runs again in the new incarnation."""
    worker = Worker.get("a")
    assert wb.run(worker.add.with_options(key="k")(3)) == 3
    assert wb.run(worker.add.with_options(key="k")(3)) == 3
    wb.run(worker.add(1))
    wb.run(worker.delete())
    assert wb.run(worker.add.with_options(key="k")(3)) == 3
    assert wb.run(worker.add(1)) == 4


def test_delete_with_children_takes_the_subtree(either: wb.Session) -> None:
    """`children=True` deletes what it spawned, and nothing else; without it the children live on."""
    promise = wb.create_promise()
    wb.run(Worker.get("p").spawn(3, promise))
    wb.run(Worker.get("q").spawn(2, promise))
    assert wb.run(Worker.get("p").delete(children=True)) == 4
    assert wb.run(Worker.get("q").delete()) == 1
    assert sorted(a.agent_id for a in either.agents()) == ['Worker("q/0")', 'Worker("q/1")']
    wb.complete_promise(promise, b"x")


def test_delete_during_a_sleep_and_its_timer_is_gone(session: wb.Session) -> None:
    """An agent that sleeps for a year is deleted at once, and no timer of it moves the clock."""
    napping = begun(session, 'Worker("a")', Worker.get("a").wait(wb.create_promise()))
    wb.run(Worker.get("a").delete())
    with pytest.raises(wb.AgentDeletedError):
        napping.result(10)
    before = session.thread.clock.wall()
    wb.run(session.at_rest())
    assert session.thread.clock.wall() == before


def test_an_agent_deletes_another_and_replays(session: wb.Session) -> None:
    """An agent's delete is recorded, answered in the same commit, and not done again on replay."""
    wb.run(Worker.get("b").add())
    assert wb.run(Worker.get("a").control("delete", "b")) == 1
    assert [body.verb for body in bodies(session, 'Worker("a")', e.ControlMade)] == ["delete"]  # type: ignore[attr-defined]
    wb.run(Worker.get("b").add())
    session.simulate_crash()
    wb.run(Worker.get("a").add())
    assert wb.run(Worker.get("b").add()) == 2


@pytest.mark.parametrize("verb", ["delete", "interrupt", "resume"])
def test_an_agent_cannot_do_it_to_itself(session: wb.Session, verb: str) -> None:
    """An agent whose code runs cannot be stopped by that code: refused with the way out."""
    with pytest.raises(wb.RefusedError, match="by itself"):
        wb.run(Worker.get("a").control(verb, "a"))


def test_a_deletion_survives_a_restart(opened: Opener, tmp_path: Any) -> None:
    """A deleted agent stays deleted when the store is opened again, and so does its incarnation."""
    path = tmp_path / "s.db"
    first = opened(path)
    promise = wb.run(Worker.get("a").promise())
    wb.run(Worker.get("a").delete())
    first.close()
    second = opened(path)
    assert second.agents() == []
    with pytest.raises(wb.PromiseNotFound):
        wb.promise_state(promise)
    assert wb.run(Worker.get("a").add()) == 1


def test_deleting_while_others_call_never_hangs(opened: Opener) -> None:
    """Calls that race with deletes get a fresh agent's answer or a clean error."""
    opened(":memory:")
    outcomes: list[object] = []

    def call() -> None:
        for _ in range(40):
            try:
                outcomes.append(wb.run(Worker.get("a").add(), 10))
            except wb.AgentDeletedError as error:
                outcomes.append(type(error))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        try:
            wb.run(Worker.get("a").delete(), 10)
        except wb.UnknownAgentError:
            continue
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 120
    assert all(isinstance(o, int) or o is wb.AgentDeletedError for o in outcomes)


# ---- interrupt and resume -------------------------------------------------------------------------------------------


def test_interrupt_answers_the_caller_and_the_agent_stands(either: wb.Session) -> None:
    """The caller gets `AgentInterruptedError` at once; the status says interrupted, after a crash too."""
    worker, promise = Worker.get("a"), wb.create_promise()
    running = begun(either, 'Worker("a")', worker.wait(promise))
    assert wb.run(worker.interrupt()) is True
    with pytest.raises(wb.AgentInterruptedError, match="resume"):
        running.result(10)
    assert wb.run(worker.status()) == "interrupted"
    either.simulate_crash()
    assert wb.run(worker.status()) == "interrupted"
    assert wb.run(worker.interrupt()) is False


def test_resume_goes_on_where_it_stood(either: wb.Session) -> None:
    """After resume the same invocation goes on; its state is as it was."""
    worker, promise = Worker.get("a"), wb.create_promise()
    wb.run(worker.add(4))
    begun(either, 'Worker("a")', worker.wait(promise))
    wb.run(worker.interrupt())
    assert wb.run(worker.resume()) is True
    assert wb.run(worker.resume()) is False
    wb.complete_promise(promise, b"late")
    assert wb.run(either.result(worker.agent_id)) == "late"
    assert wb.run(worker.add()) == 6


def test_a_completed_promise_resumes(either: wb.Session) -> None:
    """An interrupted agent that awaits a promise goes on when it is completed."""
    worker, promise = Worker.get("a"), wb.create_promise()
    begun(either, 'Worker("a")', worker.wait(promise))
    wb.run(worker.interrupt())
    wb.complete_promise(promise, b"now")
    wb.run(either.at_rest())
    assert wb.run(either.result(worker.agent_id)) == "now"
    assert "AgentResumed" in kinds(either, worker.agent_id)


def test_a_new_call_resumes(either: wb.Session) -> None:
    """A new call lets an interrupted agent go on with what it did, and is then served."""
    worker = Worker.get("a")
    promise = wb.create_promise()
    begun(either, 'Worker("a")', worker.wait(promise))
    wb.run(worker.interrupt())
    later = worker.add().submit()
    wb.complete_promise(promise, b"x")
    assert later.result(10) == 2


def test_queued_calls_stay_queued(session: wb.Session) -> None:
    """What is queued behind an interrupted invocation waits, and is served after it."""
    worker, promise = Worker.get("a"), wb.create_promise()
    begun(session, 'Worker("a")', worker.wait(promise))
    queued = worker.add().submit()
    until(lambda: any(a.queued for a in session.agents()))
    wb.run(worker.interrupt())
    wb.run(session.at_rest())
    assert not queued.done()
    wb.run(worker.resume())
    wb.complete_promise(promise, b"")
    assert queued.result(10) == 2


def test_interrupting_an_idle_agent_does_nothing(session: wb.Session) -> None:
    """There is nothing to interrupt: False, and nothing is written."""
    wb.run(Worker.get("a").add())
    before = kinds(session, 'Worker("a")')
    assert wb.run(Worker.get("a").interrupt()) is False
    assert kinds(session, 'Worker("a")') == before


def test_an_interrupted_child_fails_its_callers_call(session: wb.Session) -> None:
    """The parent gets the named error as the outcome of its call, and the child's later result goes nowhere."""
    promise = wb.create_promise()
    asking = begun(session, 'Worker("b")', Worker.get("a").ask("b", promise))
    wb.run(Worker.get("b").interrupt())
    with pytest.raises(wb.AgentInterruptedError):
        asking.result(10)
    wb.complete_promise(promise, b"x")
    assert wb.run(session.result('Worker("b")')) == "x"


def test_interrupt_stops_a_step_and_resume_runs_it_again(opened: Opener) -> None:
    """A step under way is not listened to any more; on resume it runs again and its outcome counts once."""
    session = opened(":memory:")
    worker = Stepper.get()
    gate.clear()
    tries.clear()
    running = worker.work().submit()
    until(lambda: len(tries) == 1)
    wb.run(worker.interrupt(), 10)
    with pytest.raises(wb.AgentInterruptedError):
        running.result(10)
    gate.set()
    wb.run(session.at_rest(), 10)
    assert wb.run(worker.status()) == "interrupted"
    wb.run(worker.resume())
    assert wb.run(session.result(worker.agent_id), 10) == "worked"
    assert len(tries) == 2


gate = threading.Event()
tries: list[int] = []


def slow() -> str:
    """Wait for the test."""
    tries.append(1)
    gate.wait(20)
    return "worked"


@wb.agent
class Stepper:
    """Runs a step that waits for the test."""

    async def work(self) -> str:
        done: str = await wb.step(slow)
        return done


def test_simulated_time_stands_while_an_agent_is_interrupted(opened: Opener) -> None:
    """An interrupted sleeper's timer is not armed; after resume it fires when due."""
    clock = SimulatedClock()
    session = opened(":memory:", clock=clock)
    before = clock.wall()
    asking = Sleeper.get().begin().submit()
    asking.result(10)
    assert wb.run(Sleeper.get().control_and_look()) == "interrupted"
    wb.run(session.at_rest())
    assert clock.wall() == before
    wb.run(Worker.get("s").resume())
    assert wb.run(session.result('Worker("s")')) == "rested"
    assert clock.wall() >= before + 60_000_000_000


@wb.agent
class Sleeper:
    """Has a worker sleep, and interrupts it in the same breath, before simulated time can pass."""

    async def begin(self) -> None:
        Worker.get("s").nap.trigger(60)
        await Worker.get("other").add()
        await Worker.get("s").interrupt()

    async def control_and_look(self) -> str:
        status: str = await wb.step(Worker.get("s").status)
        return status
