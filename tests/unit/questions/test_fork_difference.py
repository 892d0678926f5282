"""What differs between forks: histories written by hand, and random families against the plainest way to compare."""

import random
from collections.abc import Iterable, Sequence
from uuid import UUID

import pytest

from tests.unit.core.test_waits import Script
from workbench.core import decisions
from workbench.core.history import cuts, facts_at
from workbench.core.lineage import Segment, segments
from workbench.core.nouns import ROOT_UID, Agent
from workbench.core.state import State
from workbench.errors import AgentTypeError, UnknownAgentError
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.codec import encode
from workbench.model.entries import Body, Entry
from workbench.model.failure import encode_failure
from workbench.questions.explanation import MAX_SENTENCES
from workbench.questions.fork_acts import Act, Noted, Value
from workbench.questions.fork_answer import ForkComparison
from workbench.questions.fork_difference import compare_forks
from workbench.questions.fork_family import family
from workbench.questions.fork_rows import aligned, same

SALT = "5a17ab1e"
SECOND = 1_000_000_000
NOTHING = encode([])


class Tale(Script):
    """Writes entries with the lines and times that it is given, and reads them back as a session's log does."""

    def __init__(self) -> None:
        self.time = 0.0
        self.line = ""
        super().__init__()

    def put(self, uid: int, body: Body, invocation: int = 0, index: int = 0) -> Entry:
        agent = self.state.agents.get(uid)
        index = index or (1 if agent is None else agent.index + 1)
        running = 0 if agent is None or agent.current is None else agent.current.seq
        seq, wall = self.state.seq + 1, round(self.time * SECOND)
        entry = Entry(seq, uid, index, 0, invocation or running, wall, 0, self.line, body)
        self.state.apply(entry)
        self.written.append(entry)
        return entry

    def fork(self, uid: int) -> int:
        """`fork()` in an agent; the fork's uid."""
        drafts = decisions.fork(self.state, self.state.agents[uid], self.twin(uid))
        made = self.put(uid, drafts[0][1])
        return self.put(drafts[1][0], drafts[1][1], index=made.index + 1).agent

    def fork_at(self, uid: int, cut: int) -> int:
        """A fork from outside; its uid."""
        facts = facts_at(self.part(segments(self.state, uid)), cut)
        new, body = decisions.fork_at(self.state, self.state.agents[uid], self.twin(uid), cut, facts)
        return self.put(new, body, index=cut + 1).agent

    def revert(self, uid: int, last: int) -> Entry:
        """Take back all after an index."""
        return self.put(uid, e.AgentReverted(last, facts_at(self.part(segments(self.state, uid)), last)))

    def twin(self, uid: int) -> AgentId:
        return AgentId.parse(self.state.agents[uid].text).with_phantom(UUID(int=self.state.seq, version=4))

    def step(self, uid: int, name: str, value: object, line: str = "") -> None:
        """A step and its outcome."""
        self.line = line
        begun = self.put(uid, e.StepStarted(name))
        self.line = ""
        self.put(uid, e.StepFinished(begun.index, ok=True, value=encode(value)))

    def end(self, uid: int, value: object) -> Entry:
        """What an agent runs returns."""
        return self.put(uid, e.InvocationFinished(ok=True, value=encode(value)))

    # ---- as a session's log ----------------------------------------------------------------------------------------

    def entry(self, seq: int) -> Entry | None:
        return self.written[seq - 1] if 0 < seq <= len(self.written) else None

    def entries(self, seqs: Iterable[int]) -> list[Entry]:
        return [self.written[seq - 1] for seq in sorted(seqs)]

    def part(self, parts: Sequence[Segment]) -> list[Entry]:
        return [x for uid, first, last in parts for x in self.written if x.agent == uid and first <= x.index <= last]

    def name(self, uid: int) -> str:
        return self.state.agents[uid].text

    def compare(self, *asked: object) -> ForkComparison:
        """Ask as a session does; agents are named by uid or text."""
        names = [self.name(one) if isinstance(one, int) else one for one in asked]
        found = family(self.state, names, find, lambda _: True, round(self.time * SECOND))
        return compare_forks(self, found, SALT)


def find(state: State, asked: object) -> Agent:
    """The living agent of an id."""
    agent = state.find(str(asked))
    if agent is None:
        raise UnknownAgentError(f"no agent {asked}")
    return agent


def begun(name: str = "A") -> tuple[Tale, int]:
    """An agent that has begun an invocation."""
    tale = Tale()
    uid = tale.agent(name)
    tale.call(ROOT_UID, uid)
    return tale, uid


def told(found: ForkComparison) -> list[tuple[str, list[list[str]]]]:
    """Each difference: its kind, and of each agent the kinds and outcomes of its acts."""
    return [
        (one.kind, [[f"{act.kind} {act.what} {act.value} {act.outcome}".strip() for act in acts] for acts in one.acts])
        for one in found.differences
    ]


# ---- by hand ---------------------------------------------------------------------------------------------------------


def test_times_are_counted_from_the_cut() -> None:
    """A source's time runs from the cut, a fork's from when it was made, and of what is not over it runs up to now."""
    tale, uid = begun()
    tale.time = 5
    tale.step(uid, "s", 1)
    tale.time = 30
    late = tale.fork_at(uid, 4)
    tale.time = 31
    tale.end(uid, "done")
    tale.time = 37
    found = tale.compare(uid, late)
    assert [(side.state, side.seconds) for side in found.sides] == [("returned", 26.0), ("running", 7.0)]
    assert found.past.wall == 5 * SECOND


def test_a_difference_shows_where_it_was_given() -> None:
    """Of two differences the one that showed first is the first, also when its act was begun after the other's."""
    tale, uid = begun()
    twin = tale.fork(uid)
    for side, values in ((uid, ("a", "b")), (twin, ("x", "y"))):
        one, two = tale.put(side, e.StepStarted("one")), tale.put(side, e.StepStarted("two"))
        tale.put(side, e.StepFinished(two.index, ok=True, value=encode(values[1])))
        tale.put(side, e.StepFinished(one.index, ok=True, value=encode(values[0])))
        tale.end(side, None)
    assert told(tale.compare(uid, twin)) == [
        ("given", [["step two  'b'"], ["step two  'y'"]]),
        ("given", [["step one  'a'"], ["step one  'x'"]]),
    ]


def test_another_line_is_another_way() -> None:
    """The same step from another line is a difference, unless the agents run other code, whose lines have moved."""
    tale, uid = begun()
    twin = tale.fork(uid)
    tale.step(uid, "s", 1, "f.py:1")
    tale.step(twin, "s", 1, "f.py:2")
    assert [one.kind for one in tale.compare(uid, twin).differences] == ["did"]
    code = tale.put(ROOT_UID, e.TypeDefined("A", "abc", "class A: ..."))
    tale.put(twin, e.AgentUpdated(code.seq))
    found = tale.compare(uid, twin)
    assert found.same
    assert f"Their code is not the same: {found.agents[1]} runs that of entry {code.seq}." in found.sentences


def test_what_is_in_flight_at_the_cut() -> None:
    """A call that was open at the cut is told when only one side has its answer, and no difference when both have."""
    tale, uid = begun()
    other = tale.agent("B")
    call = tale.put(uid, e.CallMade(other, "B()", "m", NOTHING, awaited=True))
    tale.put(other, e.InvocationStarted("m", NOTHING), call.seq)
    twin = tale.fork(uid)
    assert tale.compare(uid, twin).same
    tale.end(other, 7)
    tale.put(uid, e.CallDelivered(call.index, ok=True, value=encode(7)))
    found = tale.compare(uid, twin)
    assert told(found) == [("given", [["call B().m () 7"], []])]
    assert "waits for that still" in str(found)
    tale.put(twin, e.CallDelivered(call.index, ok=True, value=encode(7)))
    assert tale.compare(uid, twin).same


def test_values_that_name_their_agent() -> None:
    """An own id or promise in a value is no difference; which of its promises it was is one."""
    for swapped in (False, True):
        tale, uid = begun()
        twin = tale.fork(uid)
        for side in (uid, twin):
            made = [tale.put(side, e.PromiseCreated()).index for _ in range(2)]
            which = made[1] if swapped and side == twin else made[0]
            text = f"{tale.name(side)}#{SALT}-{side}/{which}"
            tale.put(side, e.Logged("info", f"I am {tale.name(side)}, complete {text}"))
            tale.put(side, e.PromiseCompleted(side, which, text.encode(), first=True))
        found = tale.compare(uid, twin)
        assert found.same != swapped
        assert [one.kind for one in found.differences] == (["did", "did"] if swapped else [])


def test_each_kind_of_act_is_told() -> None:
    """Whatever code asks for is told in words, with its line and what came of it."""
    tale, uid = begun()
    other = tale.agent("B")
    promise = tale.put(ROOT_UID, e.PromiseCreated())
    twin = tale.fork(uid)
    tale.line = "f.py:9"
    failure = encode_failure(ValueError("odd"), "A()", "m")
    plan = tale.put(uid, e.CallScheduled("B()", "later", encode([1]), 60 * SECOND))
    bodies: list[Body] = [
        e.CallMade(other, "B()", "go", encode([1, "x"]), awaited=False),
        e.CallRefused("B()", "go", failure),
        e.ScheduleCancelled(plan.seq, pending=True),
        e.PromiseCreated(),
        e.PromiseCompleted(ROOT_UID, promise.index, b"data", first=True),
        e.PromiseCompleted(ROOT_UID, promise.index, b"", first=False),
        e.PromiseSeen(ROOT_UID, promise.index, completed=True),
        e.PromiseRefused("B()#5a17ab1e-9/9", failure),
        e.RegionBegun(),
        e.ControlMade("delete", "B()", 0, ok=True, value=encode(None)),
        e.ControlMade("delete", "B()", 0, ok=False, value=failure),
        e.Logged("stdout", "hello\n"),
        e.Logged("warning", "careful"),
    ]
    for body in bodies:
        tale.put(uid, body)
    timer = tale.put(uid, e.TimerSet(3 * SECOND))
    tale.put(uid, e.TimerFired(timer.index))
    dropped = tale.put(uid, e.TimerSet(3 * SECOND))
    tale.put(uid, e.WaitDropped(dropped.index))
    failed = tale.put(uid, e.StepStarted("s"))
    tale.put(uid, e.StepFinished(failed.index, ok=False, value=failure))
    waited = tale.put(uid, e.PromiseAwaited(ROOT_UID, promise.index))
    tale.put(uid, e.PromiseDelivered(waited.index, b"data"))
    tale.put(uid, e.StepStarted("open"))
    tale.put(uid, e.InvocationFinished(ok=False, value=failure))
    found = tale.compare(uid, twin)
    assert [act.text for act in found.sides[0].acts] == [
        "scheduled B().later(1) at 1970-01-01 00:01:00 UTC at f.py:9",
        "triggered B().go(1, 'x') at f.py:9",
        "was refused B().go (ValueError: odd) at f.py:9",
        f"cancelled schedule {plan.seq} at f.py:9",
        "made promise 8 of A() at f.py:9",
        f"completed promise {promise.index} of a cell with data at f.py:9",
        f"completed promise {promise.index} of a cell, too late, at f.py:9",
        f"looked whether promise {promise.index} of a cell is completed (True) at f.py:9",
        "was refused promise B()#5a17ab1e-9/9 (ValueError: odd) at f.py:9",
        "came to an atomic region at f.py:9",
        "did delete B() at f.py:9",
        "did delete B() at f.py:9",
        "printed 'hello' at f.py:9",
        "logged 'careful' as warning at f.py:9",
        "set a timer of 3.0 s at f.py:9, which fired",
        "set a timer of 3.0 s at f.py:9, and gave up waiting for it",
        "ran step s at f.py:9, which raised ValueError: odd",
        f"awaited promise {promise.index} of a cell at f.py:9, which brought data",
        "ran step open at f.py:9, and waits for it",
        "raised ValueError: odd from m",
    ]
    assert all(f"`{act.kind}`" in str(Act.__doc__) for act in found.sides[0].acts)
    assert found.sides[1].acts == []
    assert "did nothing more" in str(found.first)


def test_long_values_are_told_apart_by_their_bytes() -> None:
    """Values that are longer than what is compared as text are the same only if their bytes are."""
    for tail, equal in (("a", True), ("b", False)):
        tale, uid = begun()
        twin = tale.fork(uid)
        tale.step(uid, "s", "x" * 200_000 + "a")
        tale.step(twin, "s", "x" * 200_000 + tail)
        assert tale.compare(uid, twin).same == equal


def test_who_is_no_kin() -> None:
    """Agents of two families are refused, whichever is named first; the error names one of each."""
    tale, uid = begun()
    twin, other = tale.fork(uid), tale.agent("B")
    for asked in ((uid, twin, other), (other, twin, uid), (ROOT_UID, uid)):
        with pytest.raises(AgentTypeError, match="they share no history"):
            tale.compare(*asked)
    with pytest.raises(UnknownAgentError):
        tale.compare(uid, "C()")


def test_an_agent_that_stopped_by_itself() -> None:
    """A side that failed tells why."""
    tale, uid = begun()
    twin = tale.fork(uid)
    tale.time = 3
    tale.put(twin, e.AgentFailed(encode_failure(ValueError("odd"), "A()", "m")))
    side = tale.compare(uid, twin).sides[1]
    assert (side.state, side.outcome, side.seconds) == ("failed", "ValueError: odd", 3.0)
    assert "has failed, 3.0 s after the cut: ValueError: odd" in str(side)


# ---- side by side ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(200))
def test_rows_lose_nothing_and_keep_the_order(seed: int) -> None:
    """Laid side by side each agent's acts are all there, in their order, and a row holds only what is alike."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each example
    alphabet = "abcdef"[: chance.randint(1, 6)]
    words = [[chance.choice(alphabet) for _ in range(chance.randint(0, 12))] for _ in range(chance.randint(2, 4))]
    sides = [
        [Noted(Act(agent=str(n), kind=letter, what="", index=at), (letter,)) for at, letter in enumerate(word)]
        for n, word in enumerate(words)
    ]
    rows = aligned(sides)
    for at, side in enumerate(sides):
        assert [row[at] for row in rows if row[at] is not None] == side
    assert all(len({noted.about for noted in row if noted is not None}) == 1 for row in rows)
    assert all(any(row) for row in rows)
    if all([n.about for n in side] == [n.about for n in sides[0]] for side in sides):
        assert len(rows) == len(sides[0])


def test_an_act_more_or_less_is_one_row() -> None:
    """One act more in the middle leaves all that follows side by side."""
    some = [Noted(Act(agent="", kind=letter, what=""), (letter,)) for letter in "abcdefgh"]
    rows = aligned([some, [*some[:3], some[7], *some[3:]]])
    assert sum(None in row for row in rows) == 1


def test_values_are_equal_by_bytes_or_by_text() -> None:
    """A value's text is made only where the bytes differ."""

    def never() -> str:
        raise AssertionError

    act = Act(agent="", kind="step", what="")
    one = Noted(act, ("s",), (Value(b"1", never),))
    assert same(one, one._replace(passed=(Value(b"1", never),)), lines=True)
    texts = [one._replace(passed=(Value(data, lambda: "text"),)) for data in (b"1", b"2")]
    assert same(*texts, lines=True)
    unknown = [one._replace(passed=(Value(data, lambda: None),)) for data in (b"1", b"2")]
    assert not same(*unknown, lines=True)


# ---- any family ------------------------------------------------------------------------------------------------------


def grow(tale: Tale, chance: random.Random) -> list[int]:
    """A random family: acts, forks from inside and outside, reverts, deletes; the uids of its members."""
    uid = tale.agent("A")
    tale.call(ROOT_UID, uid)
    members = [uid]
    for _ in range(chance.randint(3, 30)):
        uid = chance.choice(members)
        agent = tale.state.agents[uid]
        tale.time += chance.choice([0, 1])
        if agent.deleted:
            continue
        kind = chance.choice(["step", "log", "fork", "at", "revert", "end", "promise", "delete"])
        if kind == "at" or (kind == "revert" and chance.random() < 0.5):
            places = cuts(tale.part(segments(tale.state, uid)))
            if places and kind == "at":
                members.append(tale.fork_at(uid, chance.choice(places)))
            elif places:
                tale.revert(uid, chance.choice(places))
        elif kind == "delete" and chance.random() < 0.2:
            tale.put(uid, e.AgentDeleted(b""))
        elif agent.current is None:
            tale.call(ROOT_UID, uid)
        elif kind == "step":
            tale.step(uid, chance.choice("xy"), chance.choice([1, 2]))
        elif kind == "log":
            tale.put(uid, e.Logged("info", chance.choice("xy")))
        elif kind == "promise":
            tale.put(uid, e.PromiseCreated())
        elif kind == "fork":
            members.append(tale.fork(uid))
        elif kind == "end":
            tale.end(uid, chance.choice([1, 2]))
    return members


@pytest.mark.parametrize("seed", range(300))
def test_any_family(seed: int) -> None:
    """In any family the shared past is the longest that all have, and no difference is told where there is none."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each family
    tale = Tale()
    members = grow(tale, chance)
    if len(members) < 2:
        members.append(tale.fork_at(members[0], 2))
    uids = chance.sample(members, chance.randint(2, min(len(members), 5)))
    found = tale.compare(*uids)
    oplogs = [tale.part(segments(tale.state, uid)) for uid in uids]
    shared = 0
    while all(len(oplog) > shared and oplog[shared] is oplogs[0][shared] for oplog in oplogs):
        shared += 1
    assert found.past.count == shared
    assert found.past.entries == (oplogs[0][0].seq, oplogs[0][shared - 1].seq)
    assert found.agents == tuple(tale.name(uid) for uid in uids)
    assert 0 < len(found.sentences) <= MAX_SENTENCES
    for side, oplog in zip(found.sides, oplogs, strict=True):
        after = {entry.seq for entry in oplog[shared:]}
        assert {act.entry for act in side.acts} <= after
        assert side.seconds >= 0
        assert side.state
        acting = (e.StepStarted, e.Logged, e.PromiseCreated, e.ForkMade, e.InvocationStarted, e.InvocationFinished)
        assert [act.entry for act in side.acts] == [x.seq for x in oplog[shared:] if isinstance(x.body, acting)]
    everything = [
        [
            (act.kind, "" if act.kind in ("promise", "fork") else act.what, act.value, act.how, act.outcome)
            for act in side.acts
        ]
        for side in found.sides
    ]
    assert bool(found.differences) == any(some != everything[0] for some in everything)
    for one in found.differences:
        assert any(one.acts)
        assert one.text
        assert one.kind in ("did", "given", "order", "ended")
    assert all(fork.cut >= found.past.cut or any(side.reverts for side in found.sides) for fork in found.forks)
    assert tale.compare(*reversed(uids)).past == found.past
