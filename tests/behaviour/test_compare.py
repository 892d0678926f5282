# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""`session.compare`: what forks share, the first difference, what each was given, and how each ended."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import PATIENCE, kinds, writes_nothing
from workbench.questions.fork_answer import Difference, ForkComparison
from workbench.testing import SimulatedClock

drawn: list[int] = []


@pytest.fixture(autouse=True)
def nothing_drawn() -> None:
    """Each test draws from 1."""
    drawn.clear()


def draw() -> int:
    drawn.append(len(drawn) + 1)
    return drawn[-1]


def plain(x: int) -> int:
    return x


@wb.agent
class Helper:
    def __init__(self, n: int = 0) -> None:
        self.n = n

    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds


@wb.agent
class Twin:
    """Forks in many ways."""

    def __init__(self, name: str = "t") -> None:
        self.name = name
        self.seen: list[Any] = []

    async def part(self) -> str:
        await Helper.get(1).nap(1)
        match wb.fork():
            case wb.Original():
                wb.log("here")
                await wb.step(plain, 3)
                await asyncio.sleep(2)
                return "original"
            case wb.Forked():
                await Helper.get(2).nap(4)
                return "forked"
        raise AssertionError

    async def chance(self) -> int:
        await wb.step(plain, 0)
        return await wb.step(draw) * 10

    async def hear(self, left: wb.PromiseId, right: wb.PromiseId) -> str:
        mine = right if isinstance(wb.fork(), wb.Forked) else left
        return (await wb.await_promise(mine)).decode()

    async def same_words(self) -> str:
        wb.fork()
        mine = wb.create_promise()
        wb.log(f"I am {wb.self_id()} with {mine}")
        wb.complete_promise(mine, b"done")
        child = Helper.new_phantom(5)
        await child.nap(1)
        return (await wb.await_promise(mine)).decode()

    async def in_flight(self) -> Any:
        call = asyncio.ensure_future(Helper.get(1).nap(5))
        await asyncio.sleep(1)
        if isinstance(wb.fork(), wb.Forked):
            call.cancel()
            return "gave up"
        return await call

    async def first_of(self) -> list[float]:
        forked = isinstance(wb.fork(), wb.Forked)
        one = Helper.new_phantom(1).nap(3 if forked else 1)
        return [call async for call in wb.as_completed([one, Helper.new_phantom(2).nap(2)])]

    async def deep(self, n: int) -> int:
        for level in range(n):
            if isinstance(wb.fork(), wb.Original):
                return level
        return n

    async def spread(self, n: int) -> int:
        for number in range(n):
            if isinstance(wb.fork(), wb.Forked):
                await asyncio.sleep(number)
                return number % 2
        return -1

    async def trouble(self) -> str:
        forked = isinstance(wb.fork(), wb.Forked)
        if forked:
            raise ValueError("no luck")
        return "luck"

    def keep(self, x: int) -> int:
        self.seen.append(x)
        return sum(self.seen)


def forks_of(session: wb.Session) -> list[str]:
    """All forks, in the order in which they were made, once everything rests."""
    wb.run(session.at_rest(), PATIENCE)
    return [a.agent_id for a in session.agents() if a.forked_from]


def told(difference: Difference | None) -> list[list[tuple[str, str, str, str]]]:
    """Of each agent, in a difference: kind, what, value and outcome of its acts."""
    assert difference is not None
    return [[(act.kind, act.what, act.value, act.outcome) for act in acts] for acts in difference.acts]


def ends(found: ForkComparison) -> list[tuple[str, str, float]]:
    """How each ended, and after how many seconds."""
    return [(side.state, side.outcome, round(side.seconds, 3)) for side in found.sides]


def index_of(session: wb.Session, agent: object, kind: str, number: int = -1) -> int:
    """Index of one entry of a kind in an agent's oplog; the last by default."""
    return [x.index for x in session.oplog(agent) if x.kind == kind][number]


T = 'Twin("t")'


# ---- a fork and its source -------------------------------------------------------------------------------------------


def test_a_fork_and_its_source(either: wb.Session) -> None:
    """It tells whose fork it is and from which cut, what both share, the first difference, both ends and the times."""
    assert wb.run(Twin.get().part(), PATIENCE) == "original"
    [twin] = forks_of(either)
    with writes_nothing(either):
        found = either.compare(Twin.get(), twin)
    oplog = either.oplog(T)
    by_kind = {entry.kind: entry for entry in oplog}
    cut = by_kind["ForkMade"]
    assert found.agents == (T, twin)
    [fork] = found.forks
    own = either.oplog(twin)[cut.index]
    assert (fork.agent, fork.source, fork.cut, fork.inside) == (twin, T, cut.index, True)
    assert fork.line == cut.line
    assert "test_compare.py:" in fork.line
    assert fork.entries == (cut.seq, own.seq)
    assert (found.past.cut, found.past.count, found.past.method) == (cut.index, cut.index, "part")
    assert found.past.entries == (oplog[0].seq, cut.seq)
    assert found.past.invocation == by_kind["InvocationStarted"].invocation
    assert told(found.first) == [
        [("log", "info", "'here'", ""), ("step", "plain", "", "3"), ("timer", "a timer of 2.0 s", "", "")],
        [("call", "Helper(2).nap", "(4)", "4")],
    ]
    printed, called = found.first.acts[0][0], found.first.acts[1][0]  # type: ignore[union-attr] # it is there
    assert printed.entry == by_kind["Logged"].seq
    assert {entry.seq: entry.kind for entry in either.oplog(twin)}[called.entry] == "CallMade"
    assert "test_compare.py:" in called.line
    assert [one.kind for one in found.differences] == ["did", "ended"]
    assert ends(found) == [("returned", "'original'", 2.0), ("returned", "'forked'", 4.0)]
    finished = [index_of(either, agent, "InvocationFinished") for agent in (T, twin)]
    assert [side.acts[-1].index for side in found.sides] == finished
    assert not found.same
    assert found.given == []
    assert [sentence.partition(":")[0] for sentence in found.sentences[2:4]] == [
        "The first difference",
        "Counted since then",
    ]
    assert f"{twin} is a fork of {T}, made by its fork() at {cut.line}, at index {cut.index}" in found.sentences[0]
    assert f"(entries {cut.seq}, {own.seq})." in found.sentences[0]
    assert f"Both {T} and {twin} share {cut.index} entries, the oplog of {T} up to index {cut.index}" in str(found)
    assert f"{T} returned 'original' from part, 2.0 s after the cut (entry {oplog[-1].seq})." in found.sentences
    assert repr(found) == str(found)


def test_the_order_of_asking_is_that_of_the_answer(session: wb.Session) -> None:
    """Agents are told in the order in which they were named, in whatever form; one that was named twice counts once."""
    wb.run(Twin.get().part(), PATIENCE)
    [twin] = forks_of(session)
    wanted = (twin, T)
    assert session.compare(twin, Twin.get()).agents == wanted
    assert session.compare(wb.AgentId.parse(twin), 'Twin( "t" )').agents == wanted
    assert session.compare(twin, Twin.get(), twin, T).agents == wanted
    assert session.compare(*reversed(session.agents(type="Twin"))).agents == wanted


# ---- what came from outside ------------------------------------------------------------------------------------------


def test_another_outcome_of_a_step(either: wb.Session) -> None:
    """A fork from outside that runs a step again and gets another outcome differs in what it was given."""
    assert wb.run(Twin.get().chance(), PATIENCE) == 10
    at = index_of(either, T, "StepFinished", 0)
    twin = wb.run(Twin.get().fork(at=at), PATIENCE)
    wb.run(either.at_rest(), PATIENCE)
    found = either.compare(Twin.get(), twin)
    assert told(found.first) == [[("step", "draw", "", "1")], [("step", "draw", "", "2")]]
    assert [one.kind for one in found.differences] == ["given", "ended"]
    assert found.given == [found.first]
    assert ends(found) == [("returned", "10", 0.0), ("returned", "20", 0.0)]
    [fork] = found.forks
    assert (fork.inside, fork.cut) == (False, at)
    assert f"{twin.agent_id} is a fork of {T}, made from outside, at index {at}" in found.sentences[0]
    assert "ran step draw at " in found.sentences[2]
    assert ", which returned 1; " in found.sentences[2]
    assert len(found.first.entries) == 4  # type: ignore[union-attr] # of each the intent and the outcome


def test_other_payloads(session: wb.Session) -> None:
    """Forks that await other promises differ in that; what each was given is told."""
    left, right = wb.create_promise(), wb.create_promise()
    Twin.get().hear.trigger(left, right)
    [twin] = forks_of(session)
    waiting = session.compare(T, twin)
    assert [side.state for side in waiting.sides] == ["suspended", "suspended"]
    assert f"waits for promise {left.index} of Session()" in str(waiting)
    wb.complete_promise(left, b"west")
    wb.complete_promise(right, b"east")
    wb.run(session.at_rest(), PATIENCE)
    found = session.compare(T, twin)
    assert told(found.first) == [
        [("await", f"promise {left.index} of a cell", "", "west")],
        [("await", f"promise {right.index} of a cell", "", "east")],
    ]
    assert ends(found) == [("returned", "'west'", 0.0), ("returned", "'east'", 0.0)]


def test_a_call_in_flight_that_one_gives_up(session: wb.Session) -> None:
    """A call that was open at the cut is told where one gave it up and the other got its result."""
    assert wb.run(Twin.get().in_flight(), PATIENCE) == 5
    [twin] = forks_of(session)
    found = session.compare(T, twin)
    [given] = found.given
    assert told(given) == [[("call", "Helper(1).nap", "(5)", "5")], [("call", "Helper(1).nap", "(5)", "")]]
    assert [acts[0].how for acts in given.acts] == ["ok", "dropped"]
    assert all(acts[0].earlier and acts[0].index < found.past.cut for acts in given.acts)
    assert found.first == given
    assert ", and gave up waiting for it" in str(found)
    assert ends(found) == [("returned", "5", 4.0), ("returned", "'gave up'", 0.0)]


def test_another_order(session: wb.Session) -> None:
    """Where the same calls answer in another order that is told: whose answer each got first."""
    assert wb.run(Twin.get().first_of(), PATIENCE) == [1, 2]
    [twin] = forks_of(session)
    found = session.compare(T, twin)
    assert [one.kind for one in found.differences] == ["did", "order", "ended"]
    order = found.differences[1]
    assert [acts[0].outcome for acts in order.acts] == ["1", "2"]
    assert "was first given the outcome of this: it called Helper(1)[" in str(found)
    assert ends(found) == [("returned", "[1, 2]", 2.0), ("returned", "[2, 3]", 3.0)]


def test_names_of_its_own_are_no_difference(either: wb.Session) -> None:
    """That each has an id, promises and phantoms of its own is no difference between sides that did the same."""
    wb.run(Twin.get().same_words(), PATIENCE)
    [twin] = forks_of(either)
    found = either.compare(T, twin)
    assert found.differences == []
    assert found.first is None
    assert found.same
    assert "Since then all is the same." in found.sentences
    assert [len(side.acts) for side in found.sides] == [6, 6]


# ---- families --------------------------------------------------------------------------------------------------------


def test_forks_of_forks(session: wb.Session) -> None:
    """Of a chain of forks each link is told; two of them share what lies before the first cut that parts them."""
    wb.run(Twin.get().deep(3), PATIENCE)
    forks = forks_of(session)
    cuts = [index_of(session, agent, "ForkMade") for agent in (T, *forks[:2])]
    found = session.compare(T, *forks)
    assert [(fork.agent, fork.source, fork.cut) for fork in found.forks] == [
        (forks[0], T, cuts[0]),
        (forks[1], forks[0], cuts[1]),
        (forks[2], forks[1], cuts[2]),
    ]
    assert found.past.cut == cuts[0]
    assert [side.outcome for side in found.sides] == ["0", "1", "2", "3"]
    late = session.compare(forks[2], forks[1])
    assert late.past.cut == cuts[2]
    assert late.past.agent == forks[1]
    assert [fork.agent for fork in late.forks] == [forks[2]]
    across = session.compare(T, forks[2])
    assert across.past.cut == cuts[0]
    assert [fork.agent for fork in across.forks] == forks
    assert [act.kind for act in across.sides[1].acts] == ["fork", "fork", "end"]


def test_siblings(session: wb.Session) -> None:
    """Forks of one source share its past up to the first of their cuts; the later one has done what its source did."""
    wb.run(Twin.get().spread(2), PATIENCE)
    first, second = forks_of(session)
    found = session.compare(first, second)
    assert found.past.cut == found.forks[0].cut < found.forks[1].cut
    assert [fork.source for fork in found.forks] == [T, T]
    assert [[act.kind for act in side.acts] for side in found.sides] == [["end"], ["fork", "timer", "end"]]
    assert found.first is not None
    assert [acts[0].kind for acts in found.first.acts if acts] == ["fork"]
    assert ends(found) == [("returned", "0", 0.0), ("returned", "1", 1.0)]


def test_many_forks_are_summed_up(session: wb.Session) -> None:
    """Forty agents are compared in twelve sentences at most; those that ended with the same are told together."""
    wb.run(Twin.get().spread(39), PATIENCE)
    forks = forks_of(session)
    found = session.compare(T, *forks)
    assert len(found.sides) == 40
    assert len(found.forks) == 39
    assert len(found.sentences) <= 12
    assert "All 40 share 3 entries" in str(found)
    assert f"{T} returned -1 from spread, 0 s after the cut" in str(found)
    assert "and 17 others: each returned 0 from spread, 0 s to 38.0 s after the cut" in str(found)


def test_between_invocations(either: wb.Session) -> None:
    """A fork from outside between two invocations shares what ended; what each was asked for since is told."""
    wb.run(Twin.get().keep(1), PATIENCE)
    at = index_of(either, T, "InvocationFinished")
    twin = wb.run(Twin.get().fork(at=at), PATIENCE)
    found = either.compare(T, twin)
    assert (found.past.invocation, found.past.method) == (0, "")
    assert "where nothing was under way" in found.sentences[1]
    assert found.same
    assert [side.state for side in found.sides] == ["idle", "idle"]
    wb.run(twin.keep(5), PATIENCE)
    wb.run(Twin.get().keep(10), PATIENCE)
    found = either.compare(T, twin)
    assert told(found.first) == [[("start", "keep", "(10)", "")], [("start", "keep", "(5)", "")]]
    assert ends(found) == [("returned", "11", 0.0), ("returned", "6", 0.0)]
    wb.run(twin.keep(5), PATIENCE)
    found = either.compare(T, twin)
    assert [side.invocations for side in found.sides] == [1, 2]
    assert "returned 11 from keep, 0 s after the cut, and ended 1 other invocation" in str(found)


# ---- ends ------------------------------------------------------------------------------------------------------------


def test_one_that_raised(session: wb.Session) -> None:
    """Where one side raises and the other returns, both are told."""
    wb.run(Twin.get().trouble(), PATIENCE)
    [twin] = forks_of(session)
    found = session.compare(T, twin)
    assert found.first is not None
    assert found.first.kind == "ended"
    assert ends(found) == [("returned", "'luck'", 0.0), ("raised", "ValueError: no luck", 0.0)]
    assert f"{twin} raised ValueError: no luck from trouble" in str(found)


def test_one_that_is_interrupted(session: wb.Session) -> None:
    """An interrupted side tells where it stands, and for how long it has been at it."""
    left, right = wb.create_promise(), wb.create_promise()
    Twin.get().hear.trigger(left, right)
    [twin] = forks_of(session)
    wb.run(Twin.get().interrupt(), PATIENCE)
    wb.run(Helper.get(1).nap(60), PATIENCE)
    found = session.compare(T, twin)
    assert [(side.state, side.seconds) for side in found.sides] == [("interrupted", 60.0), ("suspended", 60.0)]
    assert f"{T} is interrupted in hear, 1 min after the cut" in str(found)


def test_a_source_that_was_deleted(either: wb.Session) -> None:
    """A deleted source is compared by its id; when that id is another's again, the error tells its name."""
    wb.run(Twin.get().part(), PATIENCE)
    [twin] = forks_of(either)
    before = either.compare(T, twin)
    wb.run(Twin.get().delete(), PATIENCE)
    found = either.compare(T, twin)
    assert found.differences == before.differences
    assert f"{twin} is a fork of {T}, which was deleted, made by its fork()" in found.sentences[0]
    assert ends(found) == ends(before)
    wb.run(Twin.get().keep(1), PATIENCE)
    with pytest.raises(wb.AgentTypeError, match="is another one since") as refused:
        either.compare(T, twin)
    old = refused.value.do.removeprefix("name the deleted one as ")
    assert old == f"{T}#{either.oplog(twin)[0].seq}"
    again = either.compare(twin, old)
    assert again.agents == (twin, old)
    assert ends(again) == ends(found)[::-1]


def test_siblings_whose_source_was_deleted(session: wb.Session) -> None:
    """Forks are compared also when their source is no more; one deleted at work says so."""
    left, right = wb.create_promise(), wb.create_promise()
    Twin.get().hear.trigger(left, right)
    [first] = forks_of(session)
    second = wb.run(Twin.get().fork(at=index_of(session, T, "ForkMade")), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    wb.run(Twin.get().delete(), PATIENCE)
    wb.complete_promise(right, b"east")
    wb.run(session.at_rest(), PATIENCE)
    found = session.compare(first, second)
    assert found.past.agent == T
    assert [side.state for side in found.sides] == ["returned", "suspended"]
    wb.run(second.delete(), PATIENCE)
    gone = session.compare(first, second)
    assert [side.state for side in gone.sides] == ["returned", "deleted"]
    assert "was deleted, 0 s after the cut" in str(gone)


def test_a_reverted_source(either: wb.Session) -> None:
    """What a revert dropped is no act of the agent: reverted to before the cut, it shares less, and that is told."""
    assert wb.run(Twin.get().chance(), PATIENCE) == 10
    first, second = (index_of(either, T, "StepFinished", n) for n in (0, 1))
    twin = wb.run(Twin.get().fork(at=second), PATIENCE)
    wb.run(either.at_rest(), PATIENCE)
    assert either.compare(T, twin).same
    wb.run(Twin.get().revert(to=first), PATIENCE)
    wb.run(either.at_rest(), PATIENCE)
    found = either.compare(T, twin)
    assert found.past.cut == first
    assert found.forks[0].cut == second
    assert told(found.first) == [[("step", "draw", "", "2")], [("step", "draw", "", "1")]]
    assert ends(found) == [("returned", "20", 0.0), ("returned", "10", 0.0)]
    [revert] = found.sides[0].reverts
    assert f"{T} was reverted to index {first}: what it had done after that counts no longer (entry {revert})." in str(
        found
    )
    assert found.sides[1].reverts == ()


def test_a_fork_reverted_to_before_its_cut(session: wb.Session) -> None:
    """A fork that was reverted to before its own cut shares with its source what is left of it."""
    wb.run(Twin.get().keep(1), PATIENCE)
    early = index_of(session, T, "InvocationFinished")
    wb.run(Twin.get().keep(2), PATIENCE)
    twin = wb.run(Twin.get().fork(at=index_of(session, T, "InvocationFinished")), PATIENCE)
    wb.run(twin.revert(to=early), PATIENCE)
    assert wb.run(twin.keep(5), PATIENCE) == 6
    found = session.compare(T, twin)
    assert found.past.cut == early
    assert told(found.first) == [[("start", "keep", "(2)", "")], [("start", "keep", "(5)", "")]]
    assert ends(found) == [("returned", "3", 0.0), ("returned", "6", 0.0)]


# ---- how it is asked -------------------------------------------------------------------------------------------------


def test_what_cannot_be_compared(session: wb.Session) -> None:
    """Nothing, one agent, two families, cells and agents that are not there are refused, with what to do instead."""
    wb.run(Twin.get().part(), PATIENCE)
    [twin] = forks_of(session)
    with pytest.raises(wb.AgentTypeError, match="compare of nothing: it takes two or more"):
        session.compare()
    for same in ((T,), (T, Twin.get())):
        with pytest.raises(wb.AgentTypeError, match="alone: it takes two or more different") as refused:
            session.compare(*same)
        assert refused.value.do == f"name another one of its family, as {twin}"
    with pytest.raises(wb.AgentTypeError, match=r"See session\.fork_tree"):
        session.compare(Helper.get(1))
    for other in ("Helper(1)", "Session()"):
        with pytest.raises(wb.AgentTypeError, match="they share no history") as refused:
            session.compare(T, twin, other)
        assert refused.value.what == f"compare of {T} and {other}"
        assert "session.fork_tree()" in refused.value.do
    for nobody in ("Twin(9)", Twin.get("nobody"), "no id", "Twin(9)#3", f"{T}#1"):
        with pytest.raises(wb.UnknownAgentError):
            session.compare(T, nobody)


def test_agents_may_not_compare(session: wb.Session) -> None:
    """In an agent the answer would not be recorded; a step may ask."""

    @wb.agent
    class Curious:
        async def ask(self, how: str, one: str, other: str) -> str:
            if how == "step":
                return await wb.step(lambda: str(session.compare(one, other)))
            return str(session.compare(one, other))

    wb.run(Twin.get().part(), PATIENCE)
    [twin] = forks_of(session)
    with pytest.raises(wb.NotInAgentError):
        wb.run(Curious.get().ask("at once", T, twin), PATIENCE)
    assert wb.run(Curious.get().ask("step", T, twin), PATIENCE) == str(session.compare(T, twin))


def test_names_and_values_are_text(session: wb.Session) -> None:
    """Whatever agents are called or say is escaped in a notebook."""
    wb.run(Twin.get("<script>alert(1)</script>").part(), PATIENCE)
    [twin] = forks_of(session)
    shown = session.compare(Twin.get("<script>alert(1)</script>"), twin)._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown


def test_in_a_session_that_only_reads(opened: Opener, tmp_path: Path) -> None:
    """A store that is only read gives the same answer, without any class; so does a crash and a restart."""
    path = tmp_path / "a.db"
    with opened(path, clock=SimulatedClock()) as session:
        wb.run(Twin.get().part(), PATIENCE)
        [twin] = forks_of(session)
        wanted = session.compare(T, twin)
        session.simulate_crash()
        assert session.compare(T, twin).sentences == wanted.sentences
    with opened(path, read_only=True, clock=SimulatedClock()) as reader:
        assert reader.compare(T, twin).sentences == wanted.sentences
        assert reader.compare(T, twin).differences == wanted.differences
        assert "ForkMade" in kinds(reader, T)


def test_a_long_fan_out(session: wb.Session) -> None:
    """Sides with thousands of acts are compared; differences that are too many are counted."""

    @wb.agent
    class Wide:
        async def fan(self, n: int) -> int:
            side = isinstance(wb.fork(), wb.Forked)
            for number in range(n):
                wb.log(f"{number} {side if number % 10 == 3 else ''}")
            return n

    wb.run(Wide.get().fan(3_000), PATIENCE)
    [twin] = forks_of(session)
    found = session.compare("Wide()", twin)
    assert len(found.differences) == 200
    assert found.left == 100
    assert len(found.sides[0].acts) == 3_001
    assert "299 more differences are left out here." in found.sentences
