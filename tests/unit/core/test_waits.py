"""The wait-for graph against a brute-force oracle, over states that were folded from random entries."""

import random

import pytest

from workbench.core.nouns import ROOT_UID, Invocation, Step, Wait
from workbench.core.state import State
from workbench.core.waits import Asked, find_deadlock
from workbench.model import entries as e
from workbench.model.entries import Body, Entry


class Script:
    """Writes entries as a session would, with made-up clocks."""

    def __init__(self) -> None:
        self.state = State()
        self.written: list[Entry] = []
        self.asked: dict[tuple[int, int], list[Invocation]] = {}
        self.put(1, e.AgentCreated("Session()", "Session", 0))

    def put(self, uid: int, body: Body, invocation: int = 0) -> Entry:
        agent = self.state.agents.get(uid)
        index = 1 if agent is None else agent.index + 1
        entry = Entry(self.state.seq + 1, uid, index, 0, invocation, self.state.seq, 0, f"f.py:{self.state.seq}", body)
        self.state.apply(entry)
        self.written.append(entry)
        return entry

    def agent(self, name: str) -> int:
        return self.put(self.state.seq + 1, e.AgentCreated(f"{name}()", name, ROOT_UID)).agent

    def call(self, caller: int, target: int) -> int:
        """A call; the target starts it when it is free."""
        seq = self.put(caller, e.CallMade(target, self.state.agents[target].text, "m", b"\x90", awaited=True)).seq
        if self.state.agents[target].current is None:
            self.put(target, e.InvocationStarted("m", b"\x90"), seq)
        return seq

    def step_that_calls(self, caller: int, *targets: int) -> None:
        """A step whose function calls these."""
        origin = caller, self.put(caller, e.StepStarted("f", idempotent=True)).index
        for target in targets:
            self.call(ROOT_UID, target)
            self.asked.setdefault(origin, []).append(self.state.accepted)  # type: ignore[arg-type] # by that entry


def stuck_by_brute_force(state: State, asked: Asked) -> set[int]:
    """Agents that can never go on: the complement of all that can, found by trying until nothing changes."""
    can = {uid for uid, agent in state.agents.items() if agent.current is None or not agent.waits}

    def ends(wait: Wait) -> bool:
        calls = asked.get(wait.on.origin, ()) if isinstance(wait.on, Step) else [wait.on]
        open_ = [call for call in calls if isinstance(call, Invocation) and not call.settled]
        return not open_ or any(call.target in can for call in open_)

    while True:
        more = {
            uid
            for uid, agent in state.agents.items()
            if uid not in can and any(ends(wait) for wait in agent.waits.values())
        }
        if not more:
            return set(state.agents) - can
        can |= more


@pytest.mark.parametrize("seed", range(300))
def test_random_graphs(seed: int) -> None:
    """A deadlock is found from an agent exactly when it is stuck; the ring that is told is a ring of stuck agents."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each graph
    script = Script()
    agents = [script.agent(f"A{n}") for n in range(chance.randint(2, 8))]
    for uid in agents:
        if chance.random() < 0.9:
            script.call(ROOT_UID, uid)
    promise = script.put(ROOT_UID, e.PromiseCreated())
    for _ in range(chance.randint(1, 14)):
        uid = chance.choice(agents)
        if script.state.agents[uid].current is None:
            continue
        kind = chance.random()
        if kind < 0.7:
            script.call(uid, chance.choice(agents))
        elif kind < 0.88:
            script.step_that_calls(uid, *chance.choices(agents, k=chance.choice([0, 1, 1, 1, 2])))
        elif kind < 0.94:
            script.put(uid, e.TimerSet(1))
        else:
            script.put(uid, e.PromiseAwaited(promise.agent, promise.index))
    stuck = stuck_by_brute_force(script.state, script.asked)
    for uid in agents:
        ring = find_deadlock(script.state, uid, script.asked)
        assert bool(ring) == (uid in stuck)
        for (agent, wait, invocation), (following, *_) in zip(ring, ring[1:] + ring[:1], strict=True):
            assert agent.uid in stuck
            assert invocation is wait.on or invocation in script.asked[wait.on.origin]  # type: ignore[attr-defined]
            assert invocation.target == following.uid
            assert wait in agent.waits.values()
        assert len({link.agent.uid for link in ring}) == len(ring)


def test_an_answered_call_frees_the_ring() -> None:
    """A call that was answered, though the answer is not delivered yet, is no wait that can hang."""
    script = Script()
    one, two = script.agent("One"), script.agent("Two")
    script.call(ROOT_UID, one)
    script.call(one, two)
    script.call(two, one)
    assert {link.agent.uid for link in find_deadlock(script.state, two)} == {one, two}
    script.put(two, e.InvocationFinished(ok=True, value=b"\xc0"))
    assert find_deadlock(script.state, one) == []


def test_a_step_that_asks_nobody_ends() -> None:
    """An agent that waits for a step is stuck only by a call of its function that is open."""
    script = Script()
    one = script.agent("One")
    script.call(ROOT_UID, one)
    script.step_that_calls(one, one)
    assert find_deadlock(script.state, one) == []  # nothing is known of what it asks
    (link,) = find_deadlock(script.state, one, script.asked)
    assert (link.agent.uid, link.invocation.target) == (one, one)
    script.put(one, e.InvocationCancelled(link.invocation.seq))
    assert find_deadlock(script.state, one, script.asked) == []
