"""The fold: queues, keys, promises, statuses, wakes."""

import pytest

from tests.unit.core.test_waits import Script
from workbench.core import decisions
from workbench.core.nouns import ROOT_UID, status_of
from workbench.core.state import State
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.entries import KINDS, ROLES, decode_body, encode_body
from workbench.testing import dump


def test_every_kind_is_applied_and_has_a_role() -> None:
    """No kind of entry is unknown to the fold, to replay or to the disk."""
    from workbench.core.state import _APPLY

    assert set(_APPLY) == set(KINDS.values()) == set(ROLES)
    assert all(number == cls.__struct_config__.tag for number, cls in KINDS.items())


def test_bodies_round_trip() -> None:
    """A body written is a body read, with its kind."""
    for body in (
        e.CallMade(1, "A()", "m", b"\x90", awaited=True, key="k"),
        e.PromiseRefused("A()#x-1/1", b"f"),
        e.PromiseSeen(1, 2, completed=True),
    ):
        assert decode_body(encode_body(body)) == body


def test_invocations_are_served_in_order_and_by_key() -> None:
    """An equal key joins the invocation that has it, whether it is queued, running or done."""
    script = Script()
    uid = script.agent("A")
    seqs = [
        script.put(ROOT_UID, e.CallMade(uid, "A()", "m", b"\x90", awaited=True, key=key)).seq for key in ("a", "b", "a")
    ]
    agent = script.state.agents[uid]
    assert agent.queue is not None
    assert [i.seq for i in agent.queue] == seqs[:2]
    assert script.state.accepted is agent.queue[0]
    script.put(uid, e.InvocationStarted("m", b"\x90"), seqs[0])
    script.put(uid, e.InvocationFinished(ok=True, value=b"\x01"), seqs[0])
    script.put(ROOT_UID, e.CallMade(uid, "A()", "m", b"\x90", awaited=True, key="a"))
    assert script.state.accepted is agent.last
    assert len(agent.queue) == 1


def test_a_withdrawn_key_is_free_again() -> None:
    """A queued invocation that was withdrawn gives its key back: the next call with it is a new one."""
    script = Script()
    uid = script.agent("A")
    script.call(ROOT_UID, uid)
    queued = script.put(ROOT_UID, e.CallMade(uid, "A()", "m", b"\x90", awaited=True, key="k"))
    invocation = script.state.accepted
    assert invocation is not None
    for draft in decisions.withdraw(script.state, invocation, (ROOT_UID, queued.index)):
        script.put(*draft)
    assert invocation.cancelled
    script.put(ROOT_UID, e.CallMade(uid, "A()", "m", b"\x90", awaited=True, key="k"))
    assert script.state.accepted is not invocation


def test_what_has_started_is_not_withdrawn() -> None:
    """`withdraw` gives nothing for an invocation that runs, has ended, or that somebody else waits for."""
    script = Script()
    uid, other = script.agent("A"), script.agent("B")
    script.call(ROOT_UID, uid)
    script.call(ROOT_UID, other)
    running = script.state.agents[uid].current
    assert running is not None
    assert decisions.withdraw(script.state, running, (ROOT_UID, 1)) == []
    script.call(other, uid)
    queue = script.state.agents[uid].queue
    assert queue is not None
    assert decisions.withdraw(script.state, queue[0], (ROOT_UID, 1)) == []
    assert decisions.withdraw(script.state, queue[0], (other, script.state.agents[other].index)) != []


def test_statuses() -> None:
    """The status is read off the facts: idle, running, suspended, undefined, failed."""
    script = Script()
    uid = script.agent("A")
    agent = script.state.agents[uid]
    assert status_of(agent) == "idle"
    assert status_of(agent, defined=False) == "idle"
    script.call(ROOT_UID, uid)
    assert status_of(agent) == "running"
    assert status_of(agent, defined=False) == "undefined"
    timer = script.put(uid, e.TimerSet(10))
    assert status_of(agent) == "suspended"
    step = script.put(uid, e.StepStarted("f"))
    assert status_of(agent) == "running"
    script.put(uid, e.StepFinished(step.index, ok=True, value=b"\xc0"))
    script.put(uid, e.TimerFired(timer.index))
    script.put(uid, e.InvocationFinished(ok=True, value=b"\xc0"))
    assert status_of(agent) == "idle"
    script.put(uid, e.AgentFailed(b"why"))
    assert status_of(agent) == "failed"


def test_a_promise_is_completed_once() -> None:
    """The first completion settles and wakes; a later one is counted and changes nothing."""
    script = Script()
    uid = script.agent("A")
    script.call(ROOT_UID, uid)
    made = script.put(uid, e.PromiseCreated())
    waiting = script.put(uid, e.PromiseAwaited(uid, made.index))
    script.state.wakes.clear()
    promise = script.state.promises[uid, made.index]
    for value in (b"first", b"second"):
        script.put(*decisions.complete_promise(promise, ROOT_UID, value))
    assert (promise.value, promise.ignored) == (b"first", 1)
    assert script.state.wakes == [(uid, waiting.index)]
    assert list(script.state.due_waits()) == [(promise.settled, uid, waiting.index)]


@pytest.mark.parametrize("cut", range(1, 12))
def test_any_prefix_folds_to_the_same(cut: int) -> None:
    """Folding in two halves gives the state that folding at once gives."""
    script = Script()
    script.written.clear()  # the root is there in each of the states below
    entries = script.written
    one, two = script.agent("A"), script.agent("B")
    script.call(ROOT_UID, one)
    script.call(one, two)
    script.put(two, e.TimerSet(5))
    script.put(two, e.InvocationFinished(ok=False, value=b"f"))
    first = Script().state
    whole = Script().state.fold(entries)
    assert dump(first.fold(entries[:cut]).fold(entries[cut:])) == dump(whole) == dump(script.state)


def test_a_call_creates_its_target_once() -> None:
    """The first call of an agent brings it into being, in the same decision."""
    script = Script()
    request = e.CallMade(0, "W(1)", "m", b"\x90", awaited=True)
    for expected in (2, 1):
        drafts = decisions.call(script.state, ROOT_UID, AgentId("W", (1,)), request)
        assert len(drafts) == expected
        for draft in drafts:
            script.put(*draft)
    assert [a.text for a in script.state.agents.values()] == ["Session()", "W(1)"]
    assert isinstance(script.state, State)
