"""Why: chains of waits over states folded from random entries, against a judge that works by brute force."""

import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.test_waits import Script
from workbench.core import decisions
from workbench.core.nouns import ROOT_UID, Invocation, Promise
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.codec import encode
from workbench.model.entries import Body, Entry, encode_body
from workbench.model.failure import encode_failure
from workbench.questions.completion import Completions
from workbench.questions.explanation import MAX_SENTENCES, Link, Why, clipped, duration, several
from workbench.questions.mentions import TELLING, Mentions, promise_ids
from workbench.questions.standing import View
from workbench.questions.why import MAX_FOLLOWED, follow, tell

SALT = "5a17ab1e"
Key = tuple[int, int]


def pid(script: Script, key: Key) -> PromiseId:
    """The id of a promise."""
    return PromiseId(script.state.agents[key[0]].text, f"{SALT}-{key[0]}", key[1])


def fork(script: Script, uid: int) -> int:
    """Fork an agent at its newest entry; the fork's uid."""
    source = script.state.agents[uid]
    twin = AgentId.parse(source.text).with_phantom(UUID(int=script.state.seq, version=4))
    (_, made), (forked, body) = decisions.fork(script.state, source, twin)
    cut = script.put(uid, made)
    entry = Entry(forked, forked, cut.index + 1, cut.seq, 0, cut.wall, 0, "", body)
    script.state.apply(entry)
    script.written.append(entry)
    return forked


def mentions_of(entries: Iterable[Entry]) -> Mentions:
    """What a session reads for mentions: of most kinds only the entries that hold an id."""
    mentions = Mentions(SALT)
    everything = list(entries)
    mentions.read_all(x for x in everything if type(x.body) in TELLING or mentions.mark in encode_body(x.body))
    for seq in mentions.unknown_callers():
        mentions.accepted(everything[seq - 1])
    return mentions


def why(script: Script, uid: int, *, undefined: Iterable[str] = (), mentions: Mentions | None = None) -> Why:
    """Ask as a session does."""
    missing = set(undefined)
    found = mentions_of(script.written) if mentions is None else mentions
    view = View(script.state.wall, lambda agent: agent.type_name not in missing, SALT, found)
    trail = follow(script.state, script.state.agents[uid], view)
    return tell(trail, {seq: script.written[seq - 1].wall for seq in trail.wanted()}, {})


def assert_ends(found: Why, asked: str) -> None:
    """Every chain of the answer ends in a root: each agent that a link leads to is explained, down to an end."""
    links: dict[str, list[Link]] = {}
    for link in found.links:
        links.setdefault(link.agent, []).append(link)
    assert asked in links
    ending: set[str] = set()
    todo = [agent for agent, some in links.items() if any(link.root for link in some)]
    while todo:
        agent = todo.pop()
        ending.add(agent)
        todo += [link.agent for link in found.links if agent in link.to and link.agent not in ending]
    assert set(links) == ending
    assert all(f"`{link.kind}`" in str(Link.__doc__) for link in found.links)
    assert all(link.root or link.to or link.kind in ("pinned", "schedule", "leaked") for link in found.links)
    assert all(to in links for link in found.links for to in link.to if link.kind != "leaked")


# ---- a random world, and its judge ---------------------------------------------------------------------------------


class World:
    """Writes a random history, and keeps beside it who has which id, in the plainest way."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a seed for each world
        self.knots = seed % 2 == 1  # without timers and steps more agents wait for each other
        self.script = Script()
        self.state = self.script.state
        self.has: dict[Key, set[int]] = {}
        self.carried: dict[Key, set[Key]] = {}
        self.coming: set[Key] = set()
        self.outside: set[Key] = set()
        self.args: dict[int, list[Key]] = {}
        self.agents = [self.script.agent(f"A{n}") for n in range(self.chance.randint(2, 7))]
        for uid in self.agents:
            if self.chance.random() < 0.85:
                self.invoke(ROOT_UID, uid, [], awaited=True)

    def alive(self, uid: int) -> bool:
        agent = self.state.agents[uid]
        return not (agent.deleted or agent.failure)

    def busy(self, uid: int) -> bool:
        return self.alive(uid) and self.state.agents[uid].current is not None and not self.state.agents[uid].stands

    def known_to(self, uid: int) -> list[Key]:
        return [key for key, who in self.has.items() if uid in who and key in self.state.promises]

    def put(self, uid: int, body: Body) -> Entry:
        current = self.state.agents[uid].current
        return self.script.put(uid, body, current.seq if current is not None else 0)

    def invoke(self, caller: int, target: int, keys: list[Key], *, awaited: bool) -> None:
        value = encode([pid(self.script, key) for key in keys] or [])
        made = self.put(caller, e.CallMade(target, self.state.agents[target].text, "m", value, awaited))
        self.args[made.seq] = keys
        self.begin(target)

    def begin(self, uid: int) -> None:
        agent = self.state.agents[uid]
        if agent.current is None and agent.queue and self.alive(uid) and not agent.stands:
            head = agent.queue[0]
            self.script.put(uid, e.InvocationStarted(head.method, head.args), head.seq)
            for key in self.args[head.seq]:
                self.has[key].add(uid)

    def deliver(self) -> None:
        """Give out what is settled, as a session does at once."""
        while due := sorted(self.state.due_waits()):
            _, uid, op = due[0]
            agent = self.state.agents[uid]
            if not self.busy(uid):
                del agent.waits[op]
                continue
            on = agent.waits[op].on
            if isinstance(on, Invocation):
                self.put(uid, e.CallDelivered(op, on.ok, on.value))
            else:
                self.put(uid, e.PromiseDelivered(op, on.value, on.ok))
            for key in promise_ids(on.value, SALT):
                self.has[key].add(uid)

    def act(self) -> None:  # noqa: C901, PLR0912 - a die with a face for each act
        chance, script = self.chance, self.script
        uid = chance.choice([ROOT_UID, *self.agents])
        if uid != ROOT_UID and not self.busy(uid):
            return
        known = self.known_to(uid)
        some = chance.sample(known, min(len(known), chance.randint(0, 2)))
        face = chance.random()
        if face < 0.2:
            made = self.put(uid, e.PromiseCreated())
            self.has[made.agent, made.index] = {uid}
        elif face < 0.5:
            target = chance.choice(self.agents)
            if self.alive(target) and target != uid:
                self.invoke(uid, target, some, awaited=chance.random() < 0.6)
        elif face < 0.72 and known and uid != ROOT_UID:
            key = chance.choice(known)
            if not self.state.promises[key].settled:
                self.put(uid, e.PromiseAwaited(*key))
        elif face < 0.76 and uid != ROOT_UID:
            if self.knots or chance.random() < 0.5:
                self.step(uid, ends=self.knots or chance.random() < 0.5)
            else:
                self.put(uid, e.TimerSet(10**6))
        elif face < 0.84 and uid != ROOT_UID and not self.state.agents[uid].waits:
            head = self.state.agents[uid].current
            assert head is not None
            self.put(uid, e.InvocationFinished(ok=True, value=encode([pid(script, key) for key in some])))
            if head.caller == ROOT_UID:
                for key in some:
                    self.has[key].add(ROOT_UID)
            self.deliver()
            self.begin(uid)
        elif face < 0.88 and known:
            key, *payload = chance.sample(known, min(len(known), 2))
            if not self.state.promises[key].settled:
                self.put(uid, e.PromiseCompleted(*key, encode([pid(script, k) for k in payload]), first=True))
                for other in payload:
                    self.carried.setdefault(other, set()).add(key)
                self.deliver()
        elif face < 0.9 and known:
            self.put(uid, e.Logged("stdout", f"look at {pid(script, known[0])}"))
            self.has[known[0]].add(ROOT_UID)
        elif face < 0.92 and known:
            self.put(uid, e.CallScheduled("Later()", "m", encode([pid(script, known[0])]), 10**6))
            self.coming.add(known[0])
        elif uid == ROOT_UID:
            self.end(chance.choice(self.agents))
        elif face > 0.97 and uid != ROOT_UID:
            forked = fork(script, uid)
            for key in known:
                self.has[key].add(forked)
            self.agents.append(forked)

    def step(self, uid: int, *, ends: bool) -> None:
        """A step, which may tell anybody outside what its agent knows."""
        begun = self.put(uid, e.StepStarted("f"))
        self.outside |= {key for key, who in self.has.items() if uid in who}
        if ends:
            self.put(uid, e.StepFinished(begun.index, ok=True, value=b"\xc0"))

    def end(self, uid: int) -> None:
        agent = self.state.agents[uid]
        failure = encode_failure(ValueError("why"), agent.text, "m")
        kind = self.chance.random()
        if not self.alive(uid):
            return
        if kind < 0.3:
            self.script.put(uid, e.AgentFailed(failure))
        elif kind < 0.6:
            self.script.put(uid, e.AgentDeleted(failure))
        elif agent.current is not None and not agent.stands:
            self.script.put(uid, e.AgentInterrupted(failure))
        self.deliver()

    # ---- the judge -----------------------------------------------------------------------------------------------

    def leading(self, key: Key) -> set[Key]:
        seen = {key}
        while more := set().union(*(self.carried.get(k, set()) for k in seen)) - seen:
            seen |= more
        return seen

    def holders(self, key: Key) -> set[int]:
        seen = self.leading(key)
        queued = {a.uid for a in self.state.agents.values() for i in a.queue or () if seen & set(self.args[i.seq])}
        return queued.union(*(self.has[k] for k in seen))

    def comes(self, key: Key) -> bool:
        return key in self.coming or any(self.comes(carrier) for carrier in self.carried.get(key, ()))

    def able(self, never: Key | None = None) -> set[int]:
        """All who can go on, if one promise is never completed: tried again and again until nothing changes."""
        can = {ROOT_UID}
        while True:
            more = {uid for uid in self.agents if uid not in can and self.alive(uid) and self.goes_on(uid, can, never)}
            if not more:
                return can
            can |= more

    def goes_on(self, uid: int, can: set[int], never: Key | None) -> bool:
        agent = self.state.agents[uid]
        if agent.current is None or agent.stands or not agent.waits:
            return True
        for wait in agent.waits.values():
            on = wait.on
            if on.settled or not isinstance(on, Promise | Invocation):
                return True
            if isinstance(on, Invocation) and on.target in can:
                return True
            if isinstance(on, Promise) and (key := (on.owner, on.index)) != never and self.reachable(key, can):
                return True
        return False

    def reachable(self, key: Key, can: set[int]) -> bool:
        outside = not self.outside.isdisjoint(self.leading(key))
        return self.comes(key) or outside or not can.isdisjoint(self.holders(key))


@pytest.mark.parametrize("seed", range(400))
def test_random_worlds(seed: int) -> None:
    """Every chain ends in a root; a promise is out of reach exactly when the judge finds nobody alive who could."""
    world = World(seed)
    for _ in range(world.chance.randint(3, 45)):
        world.act()
    can, script = world.able(), world.script
    mentions = mentions_of(script.written)
    for uid in world.agents:
        agent = world.state.agents[uid]
        if agent.deleted:
            continue
        found = why(script, uid, mentions=mentions)
        assert_ends(found, agent.text)
        assert len(found.sentences) <= MAX_SENTENCES + 1
        assert all(0 < seq <= world.state.seq for link in found.links for seq in link.entries)
        for link in found.links:
            if link.kind in ("promise", "orphan"):
                name = PromiseId.parse(link.what)
                key = int(name.incarnation.partition("-")[2]), name.index
                assert (link.kind == "orphan") == (not world.reachable(key, can)), (str(found), key)
                expected = {world.state.agents[u].text for u in world.holders(key) & world.able(key)}
                assert set(link.can_complete) == expected
                assert ("nobody alive can complete it" in link.text) == (link.kind == "orphan")
                told = "may have passed its id on outside" in link.text
                assert told == (not world.outside.isdisjoint(world.leading(key)))


@pytest.mark.parametrize("seed", range(100))
def test_who_can_go_on(seed: int) -> None:
    """The search for who can go on agrees with the judge, whomever it begins with."""
    world = World(1000 + seed)
    for _ in range(world.chance.randint(3, 45)):
        world.act()
    can = world.able()
    completions = Completions(world.state, mentions_of(world.script.written), lambda _: True)
    for uid in world.chance.sample(world.agents, len(world.agents)):
        assert completions.can_go_on(uid) == (uid in can)


# ---- single cases --------------------------------------------------------------------------------------------------


def chain(script: Script, length: int) -> list[int]:
    """Agents of which each calls the next one; all are busy."""
    agents = [script.agent(f"A{n}") for n in range(length)]
    script.call(ROOT_UID, agents[0])
    for caller, target in pairwise(agents):
        script.call(caller, target)
    return agents


def test_a_long_chain_tells_its_ends() -> None:
    """Of a chain of a thousand calls the first ones and the end are told, and the rest is counted."""
    script = Script()
    agents = chain(script, 1000)
    script.put(agents[-1], e.StepStarted("fetch"))
    found = why(script, agents[0])
    assert_ends(found, "A0()")
    assert len(found.links) == 1000
    assert found.sentences[0].startswith("A0() has run m for ")
    assert "A1().m, called" in found.sentences[0]
    assert any("A999()" in sentence and "step fetch" in sentence for sentence in found.sentences)
    assert found.sentences[-1] == f"{1000 - MAX_SENTENCES} more are left out here."
    assert [root.partition(" has run")[0] for root in found.roots] == ["step fetch of A999()"]


def test_a_chain_of_promises_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain of promises no agent and no promise is looked at twice, however long it is."""
    script = Script()
    agents = chain(script, 1)
    for n in range(1, 200):
        agents.append(script.agent(f"P{n}"))
        key = agents[-2], script.put(agents[-2], e.PromiseCreated()).index
        value = encode([pid(script, key)])
        made = script.put(agents[-2], e.CallMade(agents[-1], f"P{n}()", "m", value, awaited=False))
        script.put(agents[-1], e.InvocationStarted("m", value), made.seq)
        script.put(agents[-2], e.PromiseAwaited(*key))
    script.put(agents[-1], e.TimerSet(1))
    looked: list[object] = []
    needs = Completions._needs

    def needed(asked: Completions, node: object, *more: object) -> object:
        looked.append(node)
        return needs(asked, node, *more)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(Completions, "_needs", needed)
    found = why(script, agents[0])
    assert [link.to for link in found.links[:-1]] == [(f"P{n}()",) for n in range(1, 200)]
    assert len(looked) == len(set(looked)) == len(agents) + len(agents) - 1


def test_a_chain_without_end_is_cut() -> None:
    """Beyond five thousand agents a chain is not followed; that is its root then."""
    script = Script()
    agents = chain(script, MAX_FOLLOWED + 10)
    found = why(script, agents[0])
    assert len(found.links) == MAX_FOLLOWED + 1
    assert [link.root for link in found.links] == [False] * MAX_FOLLOWED + [True]
    assert found.links[-1].kind == "more"
    assert found.roots == [f"and so on from {found.links[-1].agent}"]


def test_a_ring_of_calls_has_a_root() -> None:
    """A ring of calls, which a session refuses at once, is told as one."""
    script = Script()
    agents = chain(script, 3)
    script.call(agents[2], agents[0])
    found = why(script, agents[1])
    assert_ends(found, "A1()")
    assert [link.kind for link in found.links] == ["cycle", "queued", "call"]
    assert found.roots == ["A1(), A2() and A0() wait for each other"]
    outside = script.agent("Outside")
    script.call(ROOT_UID, outside)
    script.call(outside, agents[2])
    assert why(script, outside).roots == ["A2(), A0() and A1() wait for each other"]  # it is not in the ring itself


def test_a_ring_of_promises_is_told() -> None:
    """Agents that could complete each other's promises, and wait themselves, are named, and who else could."""
    script = Script()
    agents = [script.agent(name) for name in ("One", "Two", "Three")]
    keys = [(ROOT_UID, script.put(ROOT_UID, e.PromiseCreated()).index) for _ in agents]
    for uid, mine in zip(agents, [*keys[1:], keys[0]], strict=True):
        value = encode([pid(script, mine)])
        made = script.put(ROOT_UID, e.CallMade(uid, script.state.agents[uid].text, "m", value, awaited=True))
        script.put(uid, e.InvocationStarted("m", value), made.seq)
    for uid, key in zip(agents, keys, strict=True):
        script.put(uid, e.PromiseAwaited(*key))
    found = why(script, agents[0])
    assert [(link.agent, link.kind) for link in found.links] == [
        ("One()", "cycle"),
        ("Three()", "promise"),
        ("Two()", "promise"),
    ]
    (root,) = found.roots
    assert root.startswith("One(), Three() and Two() wait for each other; promise Session()#")
    assert "a cell can complete it" in root


def test_many_promises_tell_who_can_complete_the_others() -> None:
    """Of many promises the first is told, with who can complete the others; of those one of each shape is followed."""
    script = Script()
    boss = chain(script, 1)[0]
    keys = [(boss, script.put(boss, e.PromiseCreated()).index) for _ in range(5)]
    for n, key in enumerate(keys):
        uid = script.agent(f"W{n}")
        value = encode([pid(script, key)])
        made = script.put(boss, e.CallMade(uid, f"W{n}()", "m", value, awaited=False))
        script.put(uid, e.InvocationStarted("m", value), made.seq)
        script.put(uid, e.AgentInterrupted(b"") if n == 3 else e.TimerSet(9))
    for key in keys:
        script.put(boss, e.PromiseAwaited(*key))
    found = why(script, boss)
    assert_ends(found, "A0()")
    assert [(link.agent, link.kind, link.count, link.alike) for link in found.links] == [
        ("A0()", "promise", 5, 0),
        ("W3()", "interrupted", 0, 0),
        ("W0()", "timer", 1, 3),
    ]
    assert "W0() holds its id and can complete it" in found.sentences[0]
    assert "of the others W1(), W2(), W3() and W4() can complete some" in found.sentences[0]


def test_without_mentions_a_promise_is_asked_for() -> None:
    """The first time round nothing is said of who could complete a promise, and the promise is named for reading."""
    script = Script()
    uid = chain(script, 1)[0]
    made = script.put(uid, e.PromiseCreated())
    script.put(uid, e.PromiseAwaited(uid, made.index))
    trail = follow(script.state, script.state.agents[uid], View(0, lambda _: True, SALT))
    assert trail.promises == {(uid, made.index)}
    assert [(link.kind, link.root, link.can_complete) for link in trail.links] == [("promise", True, ())]


def test_a_capped_reading_accuses_nobody() -> None:
    """When not all entries were read, nobody is said to be out of reach."""
    script = Script()
    uid = chain(script, 1)[0]
    made = script.put(uid, e.PromiseCreated())
    script.put(uid, e.PromiseAwaited(uid, made.index))
    assert why(script, uid).links[0].kind == "orphan"
    mentions = mentions_of(script.written)
    mentions.capped = True
    found = why(script, uid, mentions=mentions)
    assert found.capped
    assert found.links[0].kind == "promise"
    assert "not all entries were read" in str(found)


def test_a_promise_of_a_reverted_past() -> None:
    """What an agent was given after the index it went back to, it no longer has."""
    script = Script()
    one, two = script.agent("One"), script.agent("Two")
    script.call(ROOT_UID, one)
    made = script.put(one, e.PromiseCreated())
    script.put(one, e.CallMade(two, "Two()", "m", encode([pid(script, (one, made.index))]), awaited=False))
    script.put(one, e.PromiseAwaited(one, made.index))
    seq = script.state.seq - 1
    script.put(two, e.InvocationStarted("m", encode([pid(script, (one, made.index))])), seq)
    assert why(script, one).links[0].kind == "promise"
    script.put(two, e.AgentReverted(1, e.Facts(two), b""))
    assert why(script, one).links[0].kind == "orphan"


def awaited(script: Script, uid: int, key: Key) -> str:
    """What is told of a promise once an agent waits for it."""
    script.put(uid, e.PromiseAwaited(*key))
    return why(script, uid).links[0].text


def test_a_step_may_pass_an_id_on() -> None:
    """Whoever had an id when it began a step may have passed it on outside: the first such step is told."""
    script = Script()
    one, two, three = script.agent("One"), script.agent("Two"), script.agent("Three")
    for uid in (one, two, three):
        script.call(ROOT_UID, uid)
    made = script.put(one, e.PromiseCreated())
    key = made.agent, made.index
    script.put(two, e.StepStarted("too early"))
    script.put(one, e.CallMade(two, "Two()", "m", encode([pid(script, key)]), awaited=False))
    script.put(two, e.StepStarted("queued still"))
    assert mentions_of(script.written).steps == {}
    script.put(two, e.InvocationStarted("m", encode([pid(script, key)])), script.state.seq - 1)
    script.put(three, e.StepStarted("knows nothing"))
    script.put(two, e.StepStarted("mail"))
    script.put(one, e.StepStarted("later"))
    script.put(one, e.AgentDeleted(b""))
    script.put(two, e.AgentFailed(b""))
    assert mentions_of(script.written).steps == {key: (two, "mail")}


def test_a_step_of_a_fork_may_pass_an_id_on() -> None:
    """A fork knows what its source knew at the cut, and the source of that one: no more, and each id is told once."""
    script = Script()
    boss = script.agent("Boss")
    script.call(ROOT_UID, boss)
    early = script.put(boss, e.PromiseCreated())
    middle = script.put(boss, e.PromiseCreated())
    one = fork(script, boss)
    late = script.put(boss, e.PromiseCreated())
    own = script.put(one, e.PromiseCreated())
    two = fork(script, one)
    mentions = mentions_of(script.written)
    keys = [(x.agent, x.index) for x in (early, middle, own)]
    begun = script.put(two, e.StepStarted("mail"))
    again = script.put(one, e.StepStarted("mail"))
    assert mentions.read(begun) == set(keys)
    assert mentions.read(again) == set()
    assert mentions.steps == dict.fromkeys(keys, (two, "mail"))
    assert "nobody alive can complete it" in awaited(script, boss, (late.agent, late.index))
    script.put(one, e.StepFinished(again.index, ok=True, value=b"\xc0"))
    script.put(two, e.AgentFailed(b""))
    text = awaited(script, one, keys[0])
    assert f"step mail of {script.state.agents[two].text} may have passed its id on outside" in text


def test_who_can_read_an_id_may_pass_it_on() -> None:
    """A promise whose payload holds an id leads to it: a step that has the one may give the other away."""
    script = Script()
    one, two = script.agent("One"), script.agent("Two")
    script.call(ROOT_UID, one)
    script.call(ROOT_UID, two)
    inner, outer = script.put(one, e.PromiseCreated()), script.put(two, e.PromiseCreated())
    key = inner.agent, inner.index
    script.put(two, e.StepStarted("mail"))
    script.put(one, e.PromiseCompleted(outer.agent, outer.index, encode(pid(script, key)), first=True))
    assert "step mail of Two() may have passed its id on outside" in awaited(script, one, key)


def test_many_alike_are_one_link() -> None:
    """A fan-out over agents of two shapes is one link and two examples; what needs a hand is told first."""
    script = Script()
    boss = script.agent("Boss")
    script.call(ROOT_UID, boss)
    for n in range(40):
        worker = script.put(script.state.seq + 1, e.AgentCreated(f"W({n})", "W", boss)).agent
        script.call(boss, worker)
        if n == 30:
            script.put(worker, e.AgentInterrupted(b""))
            script.put(boss, e.CallMade(worker, f"W({n})", "m", b"\x90", awaited=True))
            script.put(worker, e.AgentInterrupted(b""))
        else:
            script.put(worker, e.StepStarted("fetch"))
    script.state.agents[boss].waits = {op: w for op, w in script.state.agents[boss].waits.items() if not w.on.settled}
    found = why(script, boss)
    assert_ends(found, "Boss()")
    assert [(link.agent, link.kind, link.count, link.alike) for link in found.links] == [
        ("Boss()", "call", 40, 0),
        ("W(30)", "interrupted", 1, 0),
        ("W(0)", "step", 1, 38),
    ]
    assert "40 calls of W.m: 39 running, 1 queued" in found.sentences[0]
    assert "38 more are in the same position" in found.sentences[2]


def test_shapes_beyond_the_fourth_are_counted() -> None:
    """Of a fan-out over agents that all do something else, four are followed and the others counted."""
    script = Script()
    boss = script.agent("Boss")
    script.call(ROOT_UID, boss)
    for n in range(30):
        worker = script.put(script.state.seq + 1, e.AgentCreated(f"W({n})", "W", boss)).agent
        script.call(boss, worker)
        script.put(worker, e.StepStarted(f"step {n}"))
    found = why(script, boss)
    assert_ends(found, "Boss()")
    assert [link.agent for link in found.links] == ["Boss()", "W(0)", "W(1)", "W(2)", "W(3)"]
    assert found.sentences[-1] == "26 more are left out here."


def test_an_outcome_held_back_by_a_region() -> None:
    """Inside an atomic region, what was begun before it and has ended is told as held back."""
    script = Script()
    one, two = script.agent("One"), script.agent("Two")
    script.call(ROOT_UID, one)
    script.call(one, two)
    region = script.put(one, e.RegionBegun())
    script.put(one, e.StepStarted("inside"))
    script.put(two, e.InvocationFinished(ok=True, value=b"\xc0"))
    found = why(script, one)
    assert [link.kind for link in found.links] == ["step"]
    assert f"held back until the atomic region begun at index {region.index} ends" in found.sentences[0]


def test_a_step_that_failed_before() -> None:
    """A step between two tries tells how often it failed, why, and when it is tried again."""
    script = Script()
    uid = chain(script, 1)[0]
    step = script.put(uid, e.StepStarted("fetch"))
    failure = encode_failure(TimeoutError("too slow"), "A0()", "fetch")
    script.put(uid, e.StepRetried(step.index, 1, script.state.wall + 3_000_000_000, failure))
    found = why(script, uid)
    assert found.links[0].kind == "retrying"
    assert "tried once in vain (TimeoutError: too slow), and is tried again in 3.0 s" in found.sentences[0]


def test_states_without_waits() -> None:
    """Idle, undefined, ready, failed, diverged, interrupted and the root: each is an end, and says what to do."""
    script = Script()
    uid = script.agent("A")
    assert "was never invoked" in str(why(script, uid))
    script.put(ROOT_UID, e.CallMade(uid, "A()", "m", b"\x90", awaited=True))
    assert why(script, uid).links[0].kind == "ready"
    undefined = why(script, uid, undefined=["A"])
    assert undefined.roots == ["the class A is not defined"]
    assert "run the cell that defines A" in str(undefined)
    script.put(uid, e.InvocationStarted("m", b"\x90"), script.state.seq)
    assert why(script, uid).links[0].kind == "running"
    script.put(uid, e.AgentInterrupted(b""))
    assert "await client.resume()" in str(why(script, uid))
    script.put(uid, e.AgentFailed(encode_failure(ValueError("<b>"), "A()", "m")))
    failed = why(script, uid)
    assert failed.links[0].kind == "failed"
    assert "ValueError: <b>" in str(failed)
    assert "&lt;b&gt;" in failed._repr_html_()
    assert "<b>" not in failed._repr_html_()
    assert why(script, ROOT_UID).links[0].kind == "cells"
    assert "cannot be read" in str(why(broken_failure(), 2))


def broken_failure() -> Script:
    """An agent whose failure is no record."""
    script = Script()
    uid = script.agent("A")
    script.put(uid, e.AgentFailed(b"\xff"))
    return script


# ---- ids in bytes --------------------------------------------------------------------------------------------------

indices = st.one_of(st.integers(0, 300), st.integers(0, 1 << 62))
ids = st.builds(
    lambda uid, index: PromiseId('Worker("é",[1])', f"{SALT}-{uid}", index), st.integers(1, 10**12), indices
)
anything = st.recursive(
    st.one_of(ids, st.none(), st.integers(), st.text(max_size=5), st.binary(max_size=5)),
    lambda part: st.one_of(
        st.lists(part, max_size=4),
        st.tuples(part, part),
        st.dictionaries(st.text(max_size=3), part, max_size=3),
        st.frozensets(ids, max_size=3),
    ),
    max_leaves=8,
)


def ids_in(value: Any) -> set[Key]:
    """The ids in a value, by walking it."""
    if isinstance(value, PromiseId):
        return {(int(value.incarnation.partition("-")[2]), value.index)}
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(ids_in, value)) if isinstance(value, list | tuple | frozenset) else set()


@given(anything)
def test_ids_are_found_in_encoded_values(value: object) -> None:
    """The ids found in the bytes of a value are those in the value, however deep they lie."""
    assert promise_ids(encode(value), SALT) == ids_in(value)


@given(ids)
def test_ids_are_found_in_other_forms(name: PromiseId) -> None:
    """An id is found as text, in JSON once and twice, in Python's `repr`, and in plain MessagePack."""
    expected = ids_in(name)
    packed = msgspec.json.encode({"answer_to": name, "n": 7})
    forms = [str(name).encode(), f"see {name}, please".encode(), packed, msgspec.json.encode(packed.decode())]
    forms += [repr(name).encode(), msgspec.msgpack.encode(name), encode(str(name)), encode({"a": [str(name)]})]
    for form in forms:
        assert promise_ids(form, SALT) == expected
        assert promise_ids(form, "0ther5a1") == set()


@given(st.binary(max_size=60), st.sampled_from([b"", SALT.encode(), f"{SALT}-1".encode(), f"\xaa{SALT}-1".encode()]))
def test_any_bytes_may_be_searched(data: bytes, beginning: bytes) -> None:
    """Garbage, also right behind what begins like an id, is read without an error."""
    assert isinstance(promise_ids(beginning + data, SALT), set)


# ---- words ---------------------------------------------------------------------------------------------------------


def test_durations() -> None:
    """Two units at most, each as small as it is of use."""
    told = {0: "0 s", 0.02: "20 ms", 12.06: "12.1 s", 60: "1 min", 185: "3 min 5 s", 7800: "2 h 10 min", 3600: "1 h"}
    told |= {2 * 86400 + 7200: "2 d 2 h", 59.99: "60.0 s", -5: "0 s"}
    assert {seconds: duration(seconds) for seconds in told} == told


def test_names_in_a_row() -> None:
    """Four names are told in full, of more the first three."""
    assert [several(list("abcde"[:n])) for n in range(6)] == [
        "", "a", "a and b", "a, b and c", "a, b, c and d", "a, b, c and 2 others",
    ]  # fmt: skip
    assert clipped("a\n  b" + "c" * 300, 10) == "a bcccccc…"


def test_a_leak_ends_when_somebody_waits() -> None:
    """A child whose parent's invocation has ended is a leak, unless a fork of the parent waits for the same."""
    script = Script()
    parent = script.agent("Parent")
    script.call(ROOT_UID, parent)
    child = script.put(script.state.seq + 1, e.AgentCreated("Child()", "Child", parent)).agent
    script.call(parent, child)
    script.put(child, e.TimerSet(10**15))
    twin = fork(script, parent)
    script.put(parent, e.WaitDropped(script.state.agents[parent].index - 1))
    script.put(parent, e.InvocationFinished(ok=True, value=b"\xc0"))
    assert not [link for link in why(script, parent).links if link.kind == "leaked"]
    for op in list(script.state.agents[twin].waits):
        script.put(twin, e.WaitDropped(op))
    assert [link.to for link in why(script, parent).links if link.kind == "leaked"] == [("Child()",)]
    assert "nobody waits for what it does" in str(why(script, child))
