"""Checkpoints: what is read equals what was written in every fact, in what it shares, and in what comes of it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.test_waits import Script
from workbench.core import checkpoint, decisions, history
from workbench.core import state as state_module
from workbench.core.checkpoint import read, write
from workbench.core.lineage import segments
from workbench.core.nouns import ROOT_UID, Agent, Invocation, Matter, Promise, Schedule, Step, Timer
from workbench.core.state import State
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.testing import dump


def again(state: State) -> State:
    """The state after a checkpoint of it was read."""
    found = read(write(state))
    assert found is not None
    return found


class Play(Script):
    """A script of anything that a log may hold, chosen by numbers: each action does nothing where it cannot be."""

    def put(self, uid: int, body: Body, invocation: int = 0) -> Entry:
        """As `Script.put`; a fork counts on from its cut."""
        if not isinstance(body, e.AgentForked):
            return super().put(uid, body, invocation)
        entry = Entry(self.state.seq + 1, uid, body.cut + 1, 0, 0, self.state.seq, 0, "", body)
        self.state.apply(entry)
        self.written.append(entry)
        return entry

    def living(self, pick: int, *, running: bool = False) -> Agent | None:
        found = [
            agent
            for agent in self.state.agents.values()
            if agent.uid != ROOT_UID
            and not (agent.deleted or agent.failure or agent.interrupted)
            and (agent.current is not None or not running)
        ]
        return found[pick % len(found)] if found else None

    def oplog(self, agent: Agent) -> list[Entry]:
        parts = segments(self.state, agent.uid)
        return [x for uid, first, last in parts for x in self.written if x.agent == uid and first <= x.index <= last]

    def act(self, action: str, pick: int, other: int) -> None:
        getattr(self, f"do_{action}")(pick, other)

    def do_create(self, pick: int, other: int) -> None:
        name = f"A{pick % 4}"
        if f"{name}()" not in self.state.by_id:
            self.put(self.state.seq + 1, e.AgentCreated(f"{name}()", name, ROOT_UID, 0, other % 5 == 0))

    def do_call(self, pick: int, other: int) -> None:
        caller, target = self.living(pick, running=True), self.living(other)
        if target is not None:
            uid = ROOT_UID if caller is None or pick % 3 == 0 else caller.uid
            key = (None, "a", "b")[other % 3]
            self.put(uid, e.CallMade(target.uid, target.text, "m", b"\x90", awaited=pick % 4 != 0, key=key))

    def do_start(self, pick: int, other: int) -> None:
        agent = self.living(pick)
        if agent is not None and agent.current is None and agent.queue:
            self.put(agent.uid, e.InvocationStarted("m", b"\x90"), agent.queue[0].seq)

    def do_finish(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        if agent is not None and agent.current is not None:
            self.put(agent.uid, e.InvocationFinished(ok=other % 3 > 0, value=b"\x01"), agent.current.seq)

    def do_cancel(self, pick: int, other: int) -> None:
        agent = self.living(pick)
        if agent is not None and agent.queue:
            for draft in decisions.cancel(agent.queue[other % len(agent.queue)], b"f" * (pick % 2)):
                self.put(*draft)

    def do_promise(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        left = decisions.promises_left(self.state, agent) if agent is not None and agent.regions else []
        if agent is not None and left:
            self.put(agent.uid, e.PromiseCreated("", left[0]))
        else:
            self.put(ROOT_UID if agent is None or other % 3 == 0 else agent.uid, e.PromiseCreated())

    def do_await(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        if agent is not None and self.state.promises:
            self.put(agent.uid, e.PromiseAwaited(*list(self.state.promises)[other % len(self.state.promises)]))

    def do_complete(self, pick: int, other: int) -> None:
        if self.state.promises:
            promise = list(self.state.promises.values())[pick % len(self.state.promises)]
            self.put(*decisions.complete_promise(promise, ROOT_UID, b"p"))

    def do_begin(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        kinds: tuple[Body, ...] = (
            e.TimerSet(other),
            e.StepStarted("f"),
            e.StepStarted("g", idempotent=False),
            e.RegionBegun(),
        )
        if agent is not None:
            self.put(agent.uid, kinds[other % 4])

    def do_deliver(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        if agent is None or not agent.waits:
            return
        wait = list(agent.waits.values())[other % len(agent.waits)]
        on = wait.on
        if isinstance(on, Invocation) and on.settled:
            self.put(agent.uid, e.CallDelivered(wait.op, on.ok, on.value))
        elif isinstance(on, Promise) and on.settled:
            self.put(agent.uid, e.PromiseDelivered(wait.op, on.value, on.ok))
        elif isinstance(on, Timer):
            self.put(agent.uid, e.TimerFired(wait.op))
        elif isinstance(on, Step) and other % 3:
            self.put(agent.uid, e.StepFinished(wait.op, ok=True, value=b"\x02"))
        elif isinstance(on, Step) and pick % 2:
            self.put(agent.uid, e.StepRetried(wait.op, pick, other, b"f"))
        elif isinstance(on, Step):
            self.put(agent.uid, e.StepRestarted(wait.op, pick))

    def do_drop(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        if agent is not None and agent.waits:
            op = list(agent.waits)[other % len(agent.waits)]
            for draft in decisions.drop_wait(self.state, agent, op, lambda _: False):
                self.put(*draft)

    def do_end_region(self, pick: int, other: int) -> None:
        agent = self.living(pick)
        if agent is None or not agent.regions:
            return
        if other % 2:
            left = decisions.promises_left(self.state, agent) if len(agent.regions) == 1 else []
            self.put(agent.uid, e.RegionEnded(agent.regions[-1], tuple(left), b"l"))
        else:
            begun = agent.regions[0]
            facts = history.region_facts(self.oplog(agent), begun)
            self.put(agent.uid, e.AgentReverted(begun - 1, facts, b"r", region=begun))

    def do_fork(self, pick: int, other: int) -> None:
        agent = self.living(pick, running=True)
        if agent is not None:
            phantom = UUID(int=self.state.seq, version=4)
            for draft in decisions.fork(self.state, agent, AgentId.parse(agent.text).with_phantom(phantom)):
                self.put(*draft)

    def do_travel(self, pick: int, other: int) -> None:
        """A revert, or a fork at an index."""
        agent = self.living(pick)
        cuts = history.cuts(oplog) if agent is not None and (oplog := self.oplog(agent)) else []
        if agent is None or not cuts:
            return
        cut = cuts[other % len(cuts)]
        facts = history.facts_at(oplog, cut)
        if other % 2:
            self.put(agent.uid, e.AgentReverted(cut, facts, b"r"))
        else:
            fork_id = AgentId.parse(agent.text).with_phantom(UUID(int=self.state.seq, version=4))
            self.put(*decisions.fork_at(self.state, agent, fork_id, cut, facts))

    def do_control(self, pick: int, other: int) -> None:
        agent = self.living(pick)
        kinds = (
            e.AgentInterrupted(b"i"),
            e.AgentFailed(b"f"),
            e.AgentDeleted(b"d"),
            e.AgentUpdated(pick, pick % 2 > 0),
            e.NameAwaited("n"),
        )
        if agent is not None and (other % 5 or decisions.interruptible(agent)):
            self.put(agent.uid, kinds[other % 5])

    def do_resume(self, pick: int, other: int) -> None:
        for agent in tuple(self.state.agents.values()):
            if agent.interrupted:
                self.put(agent.uid, e.AgentResumed())

    def do_snapshot(self, pick: int, other: int) -> None:
        agent = self.living(pick)
        if agent is not None and agent.snapshots and other % 3 == 0:
            self.put(agent.uid, e.SnapshotRefused(agent.snapshots[-1], b"f"))
        elif agent is not None:
            self.put(agent.uid, e.SnapshotTaken(b"\x80"))

    def do_schedule(self, pick: int, other: int) -> None:
        plans = [plan for group in self.state.schedules.values() for plan in group.values()]
        if other % 3 == 0 or not plans:
            self.put(ROOT_UID, e.CallScheduled(f"A{pick % 4}()", "m", b"\x90", other, key="s"))
        elif other % 3 == 1:
            self.put(*decisions.cancel_schedule(self.state, plans[pick % len(plans)].seq, ROOT_UID))
        else:
            plan = plans[pick % len(plans)]
            target = self.state.find(plan.target_id)
            if target is not None:
                self.put(target.uid, e.ScheduleFired(plan.seq))

    def do_open(self, pick: int, other: int) -> None:
        opened: tuple[Body, ...] = (e.SessionStarted(pick, "host"), e.TypeDefined("A", f"code {other % 3}", "source"))
        self.put(ROOT_UID, opened[pick % 2])


ACTIONS = [name.removeprefix("do_") for name in vars(Play) if name.startswith("do_")]
# Invocations under way are what most else needs, so they are chosen more often.
WEIGHTED = [*ACTIONS, "create", "call", "call", "call", "start", "start", "await", "begin", "deliver"]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(WEIGHTED), st.integers(0, 60), st.integers(0, 60)), min_size=30, max_size=80),
    st.integers(1, 5),
)
def test_random_histories(actions: list[tuple[str, int, int]], every: int) -> None:
    """A state that goes through a checkpoint every few entries never differs from one that does not.

    Nor does what the fold tells on the way: whom it wakes, and what it ended.
    """
    play = Play()
    for action in actions:
        play.act(*action)
    plain, kept = State(), State()
    for at, entry in enumerate(play.written):
        if at % every == 0:
            kept = again(kept)
        plain.wakes, kept.wakes, plain.ended, kept.ended = [], [], [], []
        plain.apply(entry)
        kept.apply(entry)
        assert dump(kept) == dump(plain)
        assert kept.wakes == plain.wakes
        assert [type(matter) for matter in kept.ended] == [type(matter) for matter in plain.ended]
    assert list(kept.due_waits()) == list(plain.due_waits())


def test_the_histories_hold_every_kind() -> None:
    """Whatever the fold acts on can come up in the random histories."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    kinds: set[type[Body]] = set()
    for _ in range(60):
        play = Play()
        for _ in range(200):
            play.act(chance.choice(WEIGHTED), chance.randrange(60), chance.randrange(60))
        kinds.update(type(x.body) for x in play.written)
    idle = {kind for kind, apply in state_module._APPLY.items() if apply is state_module._nothing}
    assert set(state_module._APPLY) - idle <= kinds


def test_one_settling_wakes_all_who_share_it() -> None:
    """An invocation that two callers and a fork of one wait for is one thing after reading: its end wakes all three."""
    play = Play()
    target, one, two = play.agent("T"), play.agent("A"), play.agent("B")
    play.call(ROOT_UID, one)
    play.call(ROOT_UID, two)
    made = play.put(one, e.CallMade(target, "T()", "m", b"\x90", awaited=True, key="k"))
    play.put(two, e.CallMade(target, "T()", "m", b"\x90", awaited=True, key="k"))
    play.do_fork(play.state.seq, 0)
    play.put(target, e.InvocationStarted("m", b"\x90"), made.seq)
    state = again(play.state)
    current = state.agents[target].current
    waits = [wait for agent in state.agents.values() for wait in agent.waits.values()]
    assert len(waits) == 3
    assert current is not None
    assert all(wait.on is current for wait in waits)
    assert state.agents[target].keys == {"k": current}
    index = state.agents[target].index + 1
    end = Entry(state.seq + 1, target, index, 0, made.seq, 0, 0, "", e.InvocationFinished(ok=True, value=b"\x07"))
    state.apply(end)
    assert sorted(uid for uid, _ in state.wakes) == sorted(
        agent.uid for agent in state.agents.values() for wait in agent.waits.values()
    )
    assert {wait.on.value for wait in waits} == {b"\x07"}


def test_an_empty_state_and_an_empty_log() -> None:
    """A state without entries is a state too."""
    assert dump(again(State())) == dump(State())


def test_all_of_a_state_is_carried() -> None:
    """A field of the state is written, or is a hint that the fold gives on the way; each matter has its list."""
    carried = {*checkpoint._PLAIN, "agents", "promises"}
    assert set(vars(State())) == carried | {"wakes", "ended", "accepted"}
    assert {kind for kind in checkpoint._SHARED if issubclass(kind, Matter)} == set(Matter.__subclasses__())


def test_new_fields_are_carried() -> None:
    """A noun is written by the fields that it declares: also one of which nobody here has heard, and what it shares."""

    class Later(Agent, gc=False, eq=False):
        predecessor: Invocation | None = None
        heirs: dict[str, Invocation] = msgspec.field(default_factory=dict)
        mood: tuple[int, ...] = ()

    globals()["Later"] = Later  # where its annotations are looked up
    form = checkpoint._Form(Later)
    work = Invocation(9, 1, "m", b"", 1, 1, None, None, "", 0)
    agent = Later(1, "L()", "L", 1, 5, last=work, predecessor=work, heirs={"x": work}, mood=(1, 2))
    found = form.read(form.write(agent, lambda _: 40), {40: work}.__getitem__)
    assert (found.text, found.mood) == ("L()", (1, 2))
    assert found.last is found.predecessor is found.heirs["x"] is work


def test_nothing_refers_from_a_matter() -> None:
    """Matters and schedules are written as they stand: none of their fields holds a noun that could be shared."""
    for noun in (*Matter.__subclasses__(), Schedule):
        assert not any(map(checkpoint._nouns, get_type_hints(noun).values()))


def change_applier(monkeypatch: pytest.MonkeyPatch) -> None:
    """An applier does something else."""

    def _nothing(_state: State, _entry: Entry, _body: Body) -> None:
        _state.wall += 1

    _nothing.__module__ = state_module.__name__
    monkeypatch.setattr(state_module, "_nothing", _nothing)


def change_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind has another applier."""
    rules: dict[Any, Any] = state_module._APPLY
    monkeypatch.setitem(rules, e.Logged, state_module._agent_failed)


def change_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant has another value."""
    monkeypatch.setattr(state_module, "_CALL", 11)


def change_noun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A noun's method does something else."""

    def enqueue(self: Agent, invocation: Invocation) -> None:
        self.queue = [invocation]

    monkeypatch.setattr(Agent, "enqueue", enqueue)


@pytest.mark.parametrize("change", [change_applier, change_rule, change_constant, change_noun])
def test_another_fold_reads_nothing(
    change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that another version of the fold or the nouns wrote is not understood, and reads as None."""
    kept = write(State())
    assert read(kept) is not None
    change(monkeypatch)
    checkpoint.shape.cache_clear()
    try:
        assert read(kept) is None
        assert read(write(State())) is not None
    finally:
        monkeypatch.undo()
        checkpoint.shape.cache_clear()
    assert read(kept) is not None
    assert read(b"") is None


def test_the_shape_is_the_same_in_every_process() -> None:
    """Processes with other hash seeds, in another folder, understand each other's checkpoints."""
    code = "from workbench.core.checkpoint import shape; print(shape().hex())"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            cwd="/",
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert said == {checkpoint.shape().hex()}


def test_large_states_are_compact() -> None:
    """A thousand finished agents take under 500 bytes each."""
    play = Play()
    for n in range(1000):
        uid = play.agent(f"Worker{n}")
        key = f"call-{n}-{'0' * 16}"
        seq = play.put(ROOT_UID, e.CallMade(uid, f"Worker{n}()", "m", b"\x90", awaited=True, key=key)).seq
        play.put(uid, e.InvocationStarted("m", b"\x90"), seq)
        play.put(uid, e.InvocationFinished(ok=True, value=b"\x01"), seq)
    assert len(write(play.state)) < 500_000


def test_reading_gives_plain_nouns() -> None:
    """What is read has the types that the fold makes: tuples stay tuples, keys stay numbers."""
    play = Play()
    uid = play.agent("A")
    play.call(ROOT_UID, uid)
    play.put(uid, e.RegionBegun())
    play.put(uid, e.StepStarted("f"))
    play.put(uid, e.TimerSet(3))
    found: Any = again(play.state).agents[uid]
    waits: dict[int, Any] = found.waits
    assert type(found) is Agent
    assert [type(value) for value in (found.regions, found.reverts)] == [tuple, tuple]
    assert [type(wait.on) for wait in waits.values()] == [Step, Timer]
    assert list(waits) == [4, 5]
    assert waits[4].on.origin == (uid, 4)
    assert found.agent_id == AgentId.parse("A()")


@given(st.integers(0, 10**6), st.binary(max_size=8), st.integers(0, 8))
def test_bytes_of_a_stranger(at: int, data: bytes, gone: int) -> None:
    """Bytes that were made by somebody read as a state or as None, and raise nothing."""
    play = Play()
    chance = random.Random(3)  # noqa: S311 - the same each time
    for _ in range(80):
        play.act(chance.choice(WEIGHTED), chance.randrange(60), chance.randrange(60))
    body = bytearray(write(play.state))
    at = 16 + at % (len(body) - 16)
    body[at : at + gone] = data
    assert isinstance(read(bytes(body)), State | None)
