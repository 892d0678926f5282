"""Why an agent stands where it stands: its waits, followed to their roots.

`follow` reads the state at one moment and gives a `Trail`: the links of the chain, and what is still to be looked up in
the log (when an invocation began, how many calls of a fan-out are done). `tell` puts that in and makes the sentences.
The two are apart because the state lives on the session's thread, and the log is read on the caller's.

- Each agent on the way is explained once. What is the same many times is one link: more than three calls of one method
  are summed up, and of the agents they lead to one of each *shape* (what it does and waits for) is followed.
- Every chain ends in a root: something that is at work, that time or a person will bring, or that has ended. A ring of
  calls has none, so one of its links is made the root (`cycle`); the session refuses such a ring at once.
- Who could complete a promise is not in the state: it takes `Mentions`, read off the log. Without them a promise is the
  end of its chain, and `Trail.promises` says which ones the answer depends on.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from workbench.core.nouns import Agent, Invocation, Promise, Step, Timer, Wait
from workbench.core.state import State
from workbench.questions.completion import Completions, Reach
from workbench.questions.explanation import Link, Why, answer, at_line, chosen, duration, elapsed, moment, several
from workbench.questions.mentions import PromiseKey
from workbench.questions.standing import View, decoded, in_short, notes, planned, promise_name, standing

FEW: Final = 3
"""So many waits of one kind are told one by one; more are summed up."""
SHAPES: Final = 4
"""Agents of different shapes that are followed from one fan-out."""
MAX_FOLLOWED: Final = 5_000
"""Agents after which a chain is not followed any further."""
_HELPERS: Final = 2
"""Agents that could complete a promise and are followed."""

_Shape = tuple[object, ...]
_ORPHAN: Final = ("promise", True)


class Fan(NamedTuple):
    """Calls of one method that an agent waits for: enough to count in its oplog those that are done.

    Attributes:
        uid: of the agent.
        started: `seq` of the entry that began its invocation.
        method: `Worker.process`.
        running: how many of those that it waits for have begun.
        queued: how many have not.
    """

    uid: int
    started: int
    method: str
    running: int
    queued: int

    def told(self, done: int) -> str:
        """The calls, counted."""
        numbers = ((done, "done"), (self.running, "running"), (self.queued, "queued"))
        counted = ", ".join(f"{number:,} {word}" for number, word in numbers if number)
        return f"waits for {done + self.running + self.queued:,} calls of {self.method}: {counted}"


class Trail(NamedTuple):
    """What `follow` found.

    Attributes:
        about: text of the agent's id.
        now: wall time and `seq` of the state.
        links: the chain; their texts lack the beginning and the end.
        promises: those that the answer depends on.
        fans: what is summed up, by the number of its link.
        left: agents of more shapes than are followed.
        capped: whether not all entries were read for mentions.
    """

    about: str
    now: tuple[int, int]
    links: list[Link]
    promises: set[PromiseKey]
    fans: dict[int, Fan]
    left: int
    capped: bool

    def wanted(self) -> set[int]:
        """Entries whose wall time is needed: those of the links that will be told."""
        seqs: set[int] = set()
        for link in (self.links[number] for number in chosen(self.links)):
            seqs.add(link.started)
            if not link.since and link.entries:
                seqs.add(link.entries[0])
        return seqs - {0}


def follow(state: State, agent: Agent, view: View) -> Trail:
    """Follow what an agent waits for to the ends."""
    follower = _Follower(state, view)
    follower.run(agent)
    _root_rings(follower.links)
    promises = follower.promises
    capped = view.mentions is not None and view.mentions.capped and bool(promises)
    now = view.now, state.seq
    return Trail(agent.text, now, follower.links, promises, follower.fans, follower.left, capped)


def follow_plans(state: State, text: str, view: View) -> Trail:
    """What is scheduled for an agent that there is not yet."""
    links = planned(state, text, view, "does not exist yet, and ")
    return Trail(text, (view.now, state.seq), links, set(), {}, 0, capped=False)


def tell(trail: Trail, walls: Mapping[int, int], done: Mapping[int, int]) -> Why:
    """Make the answer.

    Args:
        trail: what `follow` found.
        walls: the wall times of the entries that `Trail.wanted` names, as far as they are known.
        done: how many calls of a fan-out are done, by the number of its link.
    """
    links: list[Link] = []
    seen: set[str] = set()
    numbers = set(chosen(trail.links))
    now = trail.now[0]
    for number, link in enumerate(trail.links):
        text, since, began = link.text, link.since, walls.get(link.started, 0)
        if number in trail.fans:
            text = trail.fans[number].told(done.get(number, 0)) + text
        if not since and link.entries and (since := walls.get(link.entries[0], 0)):
            text += f"; so for {duration(elapsed(since, now))}, since {moment(since)}"
        if link.alike:
            text += f"; {link.alike:,} more {'are' if link.alike > 1 else 'is'} in the same position"
        running = elapsed(began, now) if began else 0.0
        links.append(
            msgspec.structs.replace(
                link,
                since=since,
                seconds=elapsed(since, now) if since else 0.0,
                running=running,
                text=_beginning(link, running if began else None, again=link.agent in seen) + text,
            )
        )
        if number in numbers:
            seen.add(link.agent)
    return answer(trail.about, trail.now, links, trail.left, capped=trail.capped)


def _beginning(link: Link, running: float | None, *, again: bool) -> str:
    if again:
        return f"{link.agent} also "
    if not link.method:
        return f"{link.agent} "
    runs = f"runs {link.method}" if running is None else f"has run {link.method} for {duration(running)}"
    return f"{link.agent} {runs} and "


class _Follower:
    """One walk along the waits, depth first."""

    def __init__(self, state: State, view: View) -> None:
        self._state, self._view = state, view
        mentions = view.mentions
        self._completions = None if mentions is None else Completions(state, mentions, view.defined)
        self._seen: set[int] = set()
        self._next: list[tuple[Agent, int]] = []
        self._depth = 0
        self._promises: set[PromiseKey] = set()
        self.links: list[Link] = []
        self.fans: dict[int, Fan] = {}
        self.left = 0

    @property
    def promises(self) -> set[PromiseKey]:
        """All promises that were looked at, on the chain and for what is said of those."""
        return self._promises if self._completions is None else self._promises | self._completions.consulted

    def run(self, agent: Agent) -> None:
        """Explain an agent and all that its waits lead to."""
        self._seen.add(agent.uid)
        todo = [(agent, 0, 0)]
        while todo:
            one, self._depth, alike = todo.pop()
            first = len(self.links)
            if len(self._seen) > MAX_FOLLOWED:
                self.links.append(_not_followed(one, self._depth))
                continue
            end = standing(self._state, one, self._view)
            if end is not None:
                self.links.append(msgspec.structs.replace(end, depth=self._depth))
            else:
                self._busy(one)
            if alike:
                self.links[first] = msgspec.structs.replace(self.links[first], alike=alike)
            if not self._depth:
                self.links += notes(self._state, one, self._view)
            todo += [(other, self._depth + 1, same) for other, same in reversed(self._next)]
            self._next = []

    def _go_to(self, agent: Agent, alike: int = 0) -> str:
        """Have an agent explained next, if it was not; its id."""
        if agent.uid not in self._seen:
            self._seen.add(agent.uid)
            self._next.append((agent, alike))
        return agent.text

    def _add(self, agent: Agent, kind: str, wait: Wait, **fields: Any) -> None:
        """Note a wait of an agent that runs something."""
        current = agent.current
        assert current is not None
        more = fields.pop("entries", ())
        link = Link(
            agent=agent.text, kind=kind, method=current.method, started=current.started, since=wait.wall,
            line=wait.line, entries=(wait.seq, *(seq for seq in more if seq != wait.seq)), depth=self._depth, **fields,
        )  # fmt: skip
        self.links.append(link)

    # ---- what it waits for ---------------------------------------------------------------------------------------

    def _busy(self, agent: Agent) -> None:
        current, waits = agent.current, list(agent.waits.values())
        assert current is not None
        first, held = len(self.links), 0
        if agent.regions and any(wait.op > agent.regions[0] for wait in waits):
            inside = [w for w in waits if w.op > agent.regions[0] or not w.on.settled]
            held, waits = len(waits) - len(inside), inside
        if not waits:
            self.links.append(_at_work(agent, current, self._depth))
        groups: dict[_Shape, list[Wait]] = {}
        for wait in waits:
            groups.setdefault(self._shape_of(wait), []).append(wait)
        for shape, group in groups.items():
            if len(group) <= FEW:
                for wait in group:
                    self._wait(agent, wait)
            elif shape[0] == "call":
                self._fan(agent, group)
            elif shape[0] == "promise":
                self._promise(agent, group[0], [wait.on for wait in group if isinstance(wait.on, Promise)])
            else:
                self._wait(agent, group[0], len(group))
        if held:
            link = self.links[first]
            what = "an outcome is" if held == 1 else f"{held:,} outcomes are"
            text = f"{link.text}; {what} held back until the atomic region begun at index {agent.regions[0]} ends"
            self.links[first] = msgspec.structs.replace(link, text=text)

    def _wait(self, agent: Agent, wait: Wait, count: int = 1) -> None:
        on = wait.on
        ago = duration(elapsed(wait.wall, self._view.now))
        place = at_line(wait.line)
        if isinstance(on, Timer):
            left = (on.due - self._view.now) / 1e9
            due = f"due in {duration(left)}" if left > 0 else "due now"
            timers = "a timer" if count == 1 else f"{count:,} timers, the first one set"
            text = f"waits for {timers}{place}, {due}, at {moment(on.due)}"
            end = f"a timer of {agent.text} is {due}"
            self._add(agent, "timer", wait, what=str(on.due), root=True, count=count, text=text, end=end)
        elif on.settled:
            which = _named(on)
            text = f"is about to be given the outcome of {which}" + (f" and of {count - 1:,} more" if count > 1 else "")
            self._add(
                agent, "due", wait, what=which, entries=(on.settled,), root=True, count=count, text=text,
                end=f"{which} of {agent.text} has ended",
            )  # fmt: skip
        elif isinstance(on, Invocation):
            self._call(agent, wait, on, f"{ago} ago{place}")
        elif isinstance(on, Promise):
            self._promise(agent, wait, [on])
        elif isinstance(on, Step):
            self._step(agent, wait, on, f"{ago} ago{place}", count)

    def _step(self, agent: Agent, wait: Wait, step: Step, since: str, count: int) -> None:
        which = f"step {step.name}, begun {since}"
        if count > 1:
            which = f"{count:,} steps {step.name}, the first one begun {since}"
        tried = "" if not step.retries else "once in vain" if step.retries == 1 else f"{step.retries} times in vain"
        if tried:
            tried = f", tried {tried} ({in_short(decoded(step.failure))})"
        if not step.retry_due:
            ago = duration(elapsed(wait.wall, self._view.now))
            self._add(
                agent, "step", wait, what=step.name, root=True, count=count, text=f"waits for {which}{tried}",
                end=f"step {step.name} of {agent.text} has run for {ago}",
            )  # fmt: skip
            return
        left = (step.retry_due - self._view.now) / 1e9
        again = f"again in {duration(left)}" if left > 0 else "again now"
        text = f"waits for {which}{tried}, and is tried {again}"
        end = f"step {step.name} of {agent.text} is tried {again}"
        self._add(agent, "retrying", wait, what=step.name, root=True, count=count, text=text, end=end)

    def _call(self, agent: Agent, wait: Wait, call: Invocation, since: str) -> None:
        target = self._state.agents[call.target]
        what, to = f"{target.text}.{call.method}", (self._go_to(target),)
        text = f"waits for {what}, called {since}"
        if call.started:
            self._add(agent, "call", wait, what=what, to=to, entries=(call.seq, call.started), text=text)
            return
        before = _before(target, call)
        methods: dict[str, int] = {}
        for other in before:
            methods[other.method] = methods.get(other.method, 0) + 1
        which = several([method if n == 1 else f"{n:,} times {method}" for method, n in methods.items()])
        if before:
            others = "another invocation" if len(before) == 1 else f"{len(before):,} others"
            text += f", and queued there behind {others}: {which}"
        entries = (call.seq, *(other.seq for other in before))
        self._add(agent, "queued", wait, what=what, to=to, entries=entries, count=max(len(before), 1), text=text)

    def _fan(self, agent: Agent, group: list[Wait]) -> None:
        """Many calls of one method: summed up."""
        agents = self._state.agents
        calls = [wait.on for wait in group if isinstance(wait.on, Invocation)]
        running = [call for call in calls if call.started]
        to = self._go_to_each_shape(agents[call.target] for call in calls)
        method = f"{agents[calls[0].target].type_name}.{calls[0].method}"
        assert agent.current is not None
        begun = agent.current.started
        self.fans[len(self.links)] = Fan(agent.uid, begun, method, len(running), len(calls) - len(running))
        since = f"{duration(elapsed(group[0].wall, self._view.now))} ago{at_line(group[0].line)}"
        text = f"; the oldest that is not done was made {since}"
        oldest = tuple(call.started for call in running[:1])
        self._add(agent, "call", group[0], what=method, entries=oldest, to=to, count=len(calls), text=text)

    # ---- promises ------------------------------------------------------------------------------------------------

    def _promise(self, agent: Agent, wait: Wait, promises: list[Promise]) -> None:
        """A promise, or many that are summed up."""
        promise, count = promises[0], len(promises)
        name = promise_name(self._state, promise, self._view.salt)
        which = f"promise {name}" if count == 1 else f"{count:,} promises, the first one {name}"
        since = f"{duration(elapsed(wait.wall, self._view.now))}{at_line(wait.line)}"
        text = f"has waited for {which} for {since}"
        kind, end = "promise", f"promise {name} is not completed"
        reach: Reach | None = None
        to: tuple[str, ...] = ()
        if self._completions is not None:
            reach, *others = [self._completions.reach((one.owner, one.index), apart=True) for one in promises]
            helpers = [other for other in reach.busy if other.uid != agent.uid]
            known = {agent.uid, *(other.uid for other in helpers)}
            more = {other.uid: other for rest in others for other in rest.busy if other.uid not in known}
            if others:
                to = self._go_to_each_shape((*helpers, *more.values()))
            else:
                to = tuple(self._go_to(other) for other in helpers[:_HELPERS])
            capped = self._view.mentions is not None and self._view.mentions.capped
            kind = "orphan" if reach.nobody and not capped else "promise"
            behind = self._completions.queued(agent, (promise.owner, promise.index))
            who = reach.told(agent, name, behind, known=not capped)
            if more:
                who += f"; of the others {several([other.text for other in more.values()])} can complete some"
            text, end = f"{text}: {who}", f"promise {name}: {who}"
        held, able = ((), ()) if reach is None else reach.names()
        self._add(
            agent, kind, wait, what=name, entries=(promise.created,), root=not to, to=to, count=count, text=text,
            end=end, held_by=held, can_complete=able,
        )  # fmt: skip

    def _is_orphan(self, promise: Promise) -> bool:
        key = promise.owner, promise.index
        self._promises.add(key)
        return self._completions is not None and self._completions.nobody(key)

    # ---- shapes --------------------------------------------------------------------------------------------------

    def _go_to_each_shape(self, agents: Iterable[Agent]) -> tuple[str, ...]:
        """Have one agent of each shape explained next; their ids."""
        shapes: dict[_Shape, list[Agent]] = {}
        for agent in {agent.uid: agent for agent in agents}.values():
            shapes.setdefault(self._shape(agent), []).append(agent)
        ordered = sorted(shapes.items(), key=lambda item: _rank(item[0]))  # stable: of equals the oldest first
        self.left += sum(len(members) for _, members in ordered[SHAPES:])
        return tuple(self._go_to(members[0], len(members) - 1) for _, members in ordered[:SHAPES])

    def _shape(self, agent: Agent) -> _Shape:
        """What an agent does and waits for, coarsely: agents of one shape are explained by one of them."""
        end = agent.failure or agent.stands or agent.current is None or not self._view.defined(agent)
        if end or agent.current is None:
            found = standing(self._state, agent, self._view)
            return ("?",) if found is None else (found.kind, found.what)
        kinds: dict[_Shape, None] = {}
        for wait in agent.waits.values():
            kinds[self._shape_of(wait)] = None
            if len(kinds) > FEW:
                break
        return "running", agent.current.method, *kinds

    def _shape_of(self, wait: Wait) -> _Shape:
        on = wait.on
        if isinstance(on, Timer):
            return ("timer",)
        if on.settled:
            return ("due",)
        if isinstance(on, Invocation):
            return "call", self._state.agents[on.target].type_name, on.method
        if isinstance(on, Promise):
            return "promise", self._is_orphan(on)
        return "step", getattr(on, "name", ""), bool(getattr(on, "retry_due", 0))


def _before(target: Agent, call: Invocation) -> list[Invocation]:
    """What an agent does before a queued call; what it runs comes first."""
    before = [target.current] if target.current is not None else []
    for other in target.queue or ():
        if other.seq == call.seq:
            break
        before.append(other)
    return before


def _at_work(agent: Agent, current: Invocation, depth: int) -> Link:
    return Link(
        agent=agent.text, kind="running", what=current.method, method=current.method, started=current.started,
        since=current.accepted_wall, entries=(current.started, current.seq), depth=depth, root=True,
        text="is at work", end=f"{agent.text} is at work on {current.method}",
    )  # fmt: skip


def _not_followed(agent: Agent, depth: int) -> Link:
    text = "is not explained any further: the chain is too long"
    return Link(
        agent=agent.text, kind="more", since=agent.created_wall, entries=(agent.seq,), depth=depth, root=True,
        text=text, end=f"and so on from {agent.text}",
    )  # fmt: skip


def _rank(shape: _Shape) -> int:
    """What is followed first: that to which somebody has to see."""
    return 0 if shape[0] in ("failed", "interrupted", "undefined") or _ORPHAN in shape else 1


def _named(on: object) -> str:
    if isinstance(on, Step):
        return f"step {on.name}"
    return f"its call of {on.method}" if isinstance(on, Invocation) and on.method else "what it waited for"


def _root_rings(links: list[Link]) -> None:
    """See that every chain ends in a root: what leads only into a ring of waits gets one there."""
    leading: dict[str, list[str]] = {}
    on: dict[str, int] = {}
    """By agent, the number of the link by which its chain goes on."""
    for number, link in enumerate(links):
        for other in link.to if link.kind != "leaked" else ():
            leading.setdefault(other, []).append(link.agent)
            on.setdefault(link.agent, number)
    reaching: set[str] = set()
    todo = [link.agent for link in links if link.root]
    for agent in dict.fromkeys(link.agent for link in links):
        while todo:
            one = todo.pop()
            if one not in reaching:
                reaching.add(one)
                todo += leading.get(one, ())
        if agent not in reaching:
            ring = _ring(agent, lambda one: links[on[one]].to[0])
            link = links[on[ring[0]]]
            end = f"{several(ring)} wait for each other" if len(ring) > 1 else f"{ring[0]} waits for itself"
            able = f"; {link.end}" if link.end else ""
            links[on[ring[0]]] = msgspec.structs.replace(
                link, kind="cycle", root=True, text=f"{link.text}; {end}", end=end + able
            )
            todo.append(ring[0])


def _ring(agent: str, following: Callable[[str], str]) -> list[str]:
    """The ring that a chain without an end leads into, from where it is first met."""
    path: dict[str, None] = {}
    while agent not in path:
        path[agent] = None
        agent = following(agent)
    return list(path)[list(path).index(agent) :]
