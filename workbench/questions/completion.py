"""Who could complete a promise: everybody alive who has its id and can go on without it.

An agent **can go on** when it is idle (it may be called again), interrupted or undefined (somebody may see to that),
has nothing open, or when any one of its open waits can end: a timer or a step always can; a call, when its target can
go on; a promise, when somebody who has its id can go on. Failed and deleted agents cannot. This is the least set that
is closed under these rules, so agents that wait for each other in a ring, by calls and promises in any mixture, are not
in it: the same idea as `workbench.core.waits`, with promises taken in.

So a promise is out of reach exactly when no cell has its id, no schedule will pass it on, no step can have passed it on
outside (somebody who had it began none since), and no agent that has it can go on. An ephemeral agent that is done
keeps nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from workbench.core.lineage import segments
from workbench.core.nouns import ROOT_UID, Agent, Invocation, Promise, Schedule
from workbench.core.state import State
from workbench.ids import ROOT_ID
from workbench.questions.explanation import moment, several
from workbench.questions.mentions import Mentions, PromiseKey
from workbench.questions.ways import Ways

_NAMED: Final = 100


class Reach(NamedTuple):
    """Who has the id of a promise.

    Attributes:
        busy: agents that could complete it and are at something now, in the order in which they came into being.
        idle: agents that could when they are called again.
        stuck: agents that have it and cannot go on.
        lost: agents that had it, and have failed or were deleted.
        cells: whether cells have it.
        coming: schedules that will pass it on.
        step: the step that may have passed it on outside, in words; empty for none.
    """

    busy: tuple[Agent, ...]
    idle: tuple[Agent, ...]
    stuck: tuple[Agent, ...]
    lost: tuple[Agent, ...]
    cells: bool
    coming: tuple[Schedule, ...]
    step: str

    @property
    def nobody(self) -> bool:
        """Whether nobody alive can complete the promise."""
        return not (self.cells or self.coming or self.step or self.busy or self.idle)

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Who has the id and lives, and who of them could use it, up to a hundred each; cells as `Session()`."""
        able = (*((ROOT_ID,) if self.cells else ()), *(agent.text for agent in (*self.busy, *self.idle)))
        return (*able, *(agent.text for agent in self.stuck))[:_NAMED], able[:_NAMED]

    def told(self, waiting: Agent, name: str, behind: Sequence[str], *, known: bool) -> str:
        """In words: who holds the id, and who could complete the promise.

        Args:
            waiting: the agent that waits for it.
            name: the id's text.
            behind: methods that are to be given the id, and are queued behind this very wait.
            known: whether all entries were read for it.
        """
        stuck = [a.text for a in self.stuck if a.uid != waiting.uid]
        deleted = [a.text for a in self.lost if a.deleted]
        failed = [a.text for a in self.lost if not a.deleted]
        own = _about(list(behind), "is given its id, and waits", "are given its id, and wait")
        held = _about(stuck, "holds its id and waits itself", "hold its id and wait themselves")
        held += _about(deleted, "held it and was deleted", "held it and were deleted")
        held += _about(failed, "held it and has failed", "held it and have failed")
        held += [f"{methods} in the queue of {waiting.text} itself" for methods in own]
        able = ["a cell can complete it"] if self.cells else []
        others = [a.text for a in self.busy if a.uid != waiting.uid]
        able += _about(others, "holds its id and can complete it", "hold its id and can complete it")
        if len(others) < len(self.busy):
            able.append("the agent can complete it itself, in what else it does")
        idle = [a.text for a in self.idle]
        able += _about(idle, "is idle, holds its id and can when called", "are idle, hold its id and can when called")
        if self.coming:
            soonest = min(self.coming, key=lambda plan: plan.due)
            able.append(f"{soonest.target_id} gets its id at {moment(soonest.due)}")
        if self.step:
            able.append(f"{self.step} may have passed its id on outside")
        if not known:
            able.append("who else holds its id is not known: not all entries were read")
        if able:
            return "; ".join((*able, *held))
        reasons = held or ["its id was given to nobody else"]
        do = f"complete it from a cell: wb.complete_promise(wb.PromiseId.parse({name!r}), b'...')"
        return f"nobody alive can complete it ({several(reasons)}); {do}"


def _about(names: list[str], one: str, many: str) -> list[str]:
    return [f"{several(names)} {one if len(names) == 1 else many}"] if names else []


_Node = int | PromiseKey
"""Uid of an agent, or a promise."""


class Completions:
    """Answers about one state. Each question is worked out once.

    Args:
        state: as it is; not changed while this is used.
        mentions: who was given which ids.
        defined: whether an agent's class is there to run.
    """

    def __init__(self, state: State, mentions: Mentions, defined: Callable[[Agent], bool]) -> None:
        self._state, self._mentions, self._defined = state, mentions, defined
        self._holders: dict[PromiseKey, tuple[Agent, ...]] = {}
        self._open: dict[PromiseKey, bool] = {}
        self._ways: Ways[_Node] = Ways(self._needs)
        self._forks: dict[int, list[int]] | None = None

    @property
    def consulted(self) -> set[PromiseKey]:
        """All promises whose mentions were looked at."""
        return {k for key in (*self._holders, *self._open) for k in self._carriers(key)}

    def reach(self, key: PromiseKey, *, apart: bool = False) -> Reach:
        """Who has the id of this promise, and who of them could complete it.

        Args:
            key: the promise.
            apart: count agents that go on only when this very promise is completed as stuck. That does not change
                whether there is somebody.
        """
        busy, idle, stuck, lost = [], [], [], []
        holders = self.holders(key)
        for agent in holders:
            if agent.deleted or agent.failure:
                lost.append(agent)
            elif agent.current is None and agent.queue is None:
                idle.append(agent)
            elif self.can_go_on(agent.uid) and not (apart and self._ways.must_pass(agent.uid, key)):
                busy.append(agent)
            else:
                stuck.append(agent)
        carried = self._carriers(key)
        cells = any(self._mentions.from_cells(k) for k in carried)
        coming = [plan for k in carried for plan in self._coming(k)]
        step = next((self._step(k) for k in sorted(carried) if k in self._mentions.steps), "")
        return Reach(tuple(busy), tuple(idle), tuple(stuck), tuple(lost), cells, tuple(coming), step)

    def queued(self, agent: Agent, key: PromiseKey) -> list[str]:
        """Methods in an agent's queue that are to be given the id."""
        seqs = {seq for k in self._carriers(key) for seq in self._mentions.calls.get(k, ())}
        return list(dict.fromkeys(one.method for one in agent.queue or () if one.seq in seqs))

    def _step(self, key: PromiseKey) -> str:
        uid, name = self._mentions.steps[key]
        return f"step {name} of {self._state.agents[uid].text}"

    # ---- who has an id -------------------------------------------------------------------------------------------

    def holders(self, key: PromiseKey) -> tuple[Agent, ...]:
        """All agents that have the id, or had it until they ended; without cells."""
        known = self._holders.get(key)
        if known is None:
            found = {uid for k in self._carriers(key) for uid in self._holding(k)}
            agents = [self._state.agents[uid] for uid in sorted(found) if uid in self._state.agents]
            known = self._holders[key] = tuple(a for a in agents if not _keeps_nothing(a))
        return known

    def _carriers(self, key: PromiseKey) -> set[PromiseKey]:
        """The promise, and those whose payload leads to its id: who has one of those can read it."""
        found, todo = {key}, [key]
        while todo:
            more = self._mentions.carriers.get(todo.pop(), set()) - found
            found |= more
            todo += more
        return found

    def _holding(self, key: PromiseKey) -> Iterator[int]:
        state, mentions = self._state, self._mentions
        places = mentions.places.get(key, {})
        todo, seen = list(places), set(places)
        while todo:
            uid = todo.pop()
            if uid in state.agents and uid != ROOT_UID:
                if self._has_place(uid, places):
                    yield uid
                more = [fork for fork in self._forks_of(uid) if fork not in seen]
                seen.update(more)
                todo += more
        for seq, target in mentions.calls.get(key, {}).items():
            agent = state.agents.get(target)
            if agent is not None and any(invocation.seq == seq for invocation in agent.queue or ()):
                yield target
        for seq in mentions.answers.get(key, ()):
            caller, op, awaited = mentions.callers.get(seq, (0, 0, False))
            agent = state.agents.get(caller)
            if awaited and agent is not None and op in agent.waits:
                yield caller

    def _has_place(self, uid: int, places: dict[int, list[int]]) -> bool:
        """Whether one of the places lies in this agent's oplog, forks' shared parts included, reverted ones not."""
        return any(
            part.first <= index <= part.last
            for part in segments(self._state, uid)
            for index in places.get(part.uid, ())
        )

    def _forks_of(self, uid: int) -> list[int]:
        if self._forks is None:
            self._forks = {}
            for agent in self._state.agents.values():
                if agent.source:
                    self._forks.setdefault(agent.source, []).append(agent.uid)
        return self._forks.get(uid, [])

    def _coming(self, key: PromiseKey) -> list[Schedule]:
        plans = [self._state.schedule_of(seq) for seq in sorted(self._mentions.schedules.get(key, ()))]
        return [plan for plan in plans if plan is not None]

    # ---- who can go on -------------------------------------------------------------------------------------------

    def can_go_on(self, uid: int) -> bool:
        """Whether an agent can go on, by itself or by what others can do."""
        return self._ways.can_go_on(uid)

    def nobody(self, key: PromiseKey) -> bool:
        """Whether nobody alive can complete a promise."""
        return not self._ways.can_go_on(key)

    def _needs(self, node: _Node) -> set[_Node] | None:
        """Those of which any one has to be able; None for what is able by itself."""
        if isinstance(node, tuple):
            return None if self._is_open(node) else {holder.uid for holder in self.holders(node)}
        agent = self._state.agents[node]
        if agent.deleted or agent.failure:
            return set()
        if agent.current is None or not agent.waits or agent.stands or not self._defined(agent):
            return None
        needs: set[_Node] = set()
        for wait in agent.waits.values():
            on = wait.on
            if on.settled or not isinstance(on, Invocation | Promise):
                return None
            if isinstance(on, Promise):
                needs.add((on.owner, on.index))
            elif on.target in self._state.agents:
                needs.add(on.target)
        return needs

    def _is_open(self, key: PromiseKey) -> bool:
        """Whether somebody who is no agent may be able to complete this promise, or will hand its id to an agent."""
        known = self._open.get(key)
        if known is None:
            carried = self._carriers(key)
            mentions = self._mentions
            known = any(k in mentions.steps or mentions.from_cells(k) or self._coming(k) for k in carried)
            self._open[key] = known
        return known


def _keeps_nothing(agent: Agent) -> bool:
    """Whether an agent has forgotten all: an ephemeral one that is done."""
    return agent.ephemeral and agent.current is None and agent.queue is None
