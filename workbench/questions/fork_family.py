"""Forks of one family as the state has them: what they share, where they parted, how each stands.

An agent's oplog is a row of parts (`workbench.core.lineage`), each of one agent. What some agents share is the part of
those rows that is the same in all of them, from the first entry on: forks of one source share its oplog up to the
lowest of their cuts, a fork and its source up to that fork's cut, and less than that where one of them was reverted to
before it. Agents whose rows have nothing in common are not related.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from workbench.core.lineage import Segment, segments
from workbench.core.nouns import Agent, status_of
from workbench.core.state import State
from workbench.errors import AgentIdError, AgentTypeError, UnknownAgentError
from workbench.ids import AgentId
from workbench.questions.explanation import several
from workbench.questions.rows import Defined, waits_for

Find = Callable[[State, object], Agent]
"""The living agent that somebody named; raises `UnknownAgentError`."""


class Member(NamedTuple):
    """An agent that is compared.

    Attributes:
        uid: which.
        name: what it is called in the answer: its id, or `<id>#<uid>` of a deleted one when another agent has that id.
        parts: its oplog from where the shared past ends.
        status: as `session.agents()` tells it; `waits`: what it waits for, in words.
        running: the `seq` of the invocation that it runs, 0 for none.
        last: the one that ended last, likewise, with whether it returned, its value, and the entry that ended it.
        failure: why it stopped, encoded.
        stopped: the entry that deleted, stopped or interrupted it, 0 for none.
        reverts: `(last, at)` of its reverts since the shared past.
        revision: of its code.
    """

    uid: int
    name: str
    parts: list[Segment]
    status: str
    waits: str
    running: int
    last: tuple[int, bool, bytes, int]
    failure: bytes
    stopped: int
    reverts: tuple[tuple[int, int], ...]
    revision: int


class Bond(NamedTuple):
    """A fork and its source, by uid; `inside` tells one made by `fork()`."""

    uid: int
    source: int
    cut: int
    inside: bool


class Family(NamedTuple):
    """What `family` found: who is compared, the past that all share, and the forks that lead from it to each.

    `names` are of all agents on the way, by uid, and `ids` the texts of their ids; `deleted` ones are no more.
    """

    members: list[Member]
    past: list[Segment]
    bonds: list[Bond]
    names: dict[int, str]
    ids: dict[int, str]
    deleted: frozenset[int]
    now: tuple[int, int]


def family(state: State, asked: Sequence[object], find: Find, defined: Defined, wall: int) -> Family:
    """The agents that were asked about, each once, with what they share.

    Raises:
        UnknownAgentError: one of them is none.
        AgentTypeError: they are fewer than two, or share no history.
    """
    agents = list({agent.uid: agent for agent in (_found(state, one, find) for one in asked)}.values())
    if len(agents) < 2:  # noqa: PLR2004 - a comparison is of two
        raise _too_few(state, agents)
    parts = [segments(state, agent.uid) for agent in agents]
    past = _common(parts)
    if not past:
        raise _unrelated(state, agents)
    lines = [_line(state, agent, past[-1].uid) for agent in agents]
    names = {agent.uid: name_of(state, agent) for line in lines for agent in line}
    bonds = {one.uid: Bond(one.uid, one.source, one.cut, one.inside) for line in lines for one in line[:-1]}
    members = [
        _member(state, agent, names[agent.uid], _after(some, past), past, defined)
        for agent, some in zip(agents, parts, strict=True)
    ]
    ids = {agent.uid: agent.text for line in lines for agent in line}
    deleted = frozenset(agent.uid for line in lines for agent in line if agent.deleted)
    return Family(members, past, [bonds[uid] for uid in sorted(bonds)], names, ids, deleted, (wall, state.seq))


def name_of(state: State, agent: Agent) -> str:
    """What an agent is called: its id, or `<id>#<uid>` of a deleted one when that id would name another."""
    if not agent.deleted or not _found_by_id(state, agent.text, agent):
        return agent.text
    return f"{agent.text}#{agent.uid}"


def _found_by_id(state: State, text: str, agent: Agent) -> bool:
    """Whether an id names another agent than this deleted one."""
    return text in state.by_id or any(other.uid > agent.uid for other in _deleted(state, text))


def _deleted(state: State, text: str) -> Iterator[Agent]:
    return (agent for agent in state.agents.values() if agent.deleted and agent.text == text)


def _found(state: State, asked: object, find: Find) -> Agent:
    """The agent of this name, also one that was deleted: the last that had it, or `<id>#<uid>`."""
    text = str(getattr(asked, "agent_id", asked))
    base, _, number = text.rpartition("#")
    if number.isdecimal():
        gone = state.agents.get(int(number))
        if gone is not None and gone.deleted and gone.text == base:
            return gone
    try:
        return find(state, asked)
    except UnknownAgentError:
        last = max(_deleted(state, _as_written(text)), key=lambda agent: agent.uid, default=None)
        if last is None:
            raise
        return last


def _as_written(text: str) -> str:
    """An id's text, written as ids are."""
    try:
        return AgentId.parse(text).text
    except AgentIdError:
        return text


def _common(rows: Sequence[Sequence[Segment]]) -> list[Segment]:
    """The beginning that all these oplogs share."""
    past: list[Segment] = []
    for parts in zip(*rows, strict=False):
        uid, first, last = parts[0]
        if any((part.uid, part.first) != (uid, first) for part in parts):
            break
        last = min(part.last for part in parts)
        past.append(Segment(uid, first, last))
        if any(part.last != last for part in parts):
            break
    return past


def _after(parts: Sequence[Segment], past: Sequence[Segment]) -> list[Segment]:
    """What is left of an oplog when its beginning is taken off."""
    end, rest = past[-1].last, list(parts[len(past) :])
    split = parts[len(past) - 1]
    return [Segment(split.uid, end + 1, split.last), *rest] if split.last > end else rest


def _line(state: State, agent: Agent, trunk: int) -> list[Agent]:
    """An agent and all it descends from, down to the one whose oplog the shared past ends in."""
    line = [agent]
    while line[-1].uid != trunk:
        line.append(state.agents[line[-1].source])
    return line


def _member(
    state: State, agent: Agent, name: str, parts: list[Segment], past: Sequence[Segment], defined: Defined
) -> Member:
    last = agent.last
    stopped = agent.deleted or (agent.seq if agent.failure else 0) or (agent.interrupted if agent.stands else 0)
    return Member(
        uid=agent.uid,
        name=name,
        parts=parts,
        status=status_of(agent, defined=defined(agent)),
        waits=waits_for(state, agent),
        running=0 if agent.current is None else agent.current.seq,
        last=(0, True, b"", 0) if last is None else (last.seq, last.ok, last.value, last.settled),
        failure=agent.failure,
        stopped=stopped,
        reverts=tuple(revert for revert in agent.reverts if revert[1] > past[-1].last),
        revision=agent.revision,
    )


# ---- what cannot be compared ---------------------------------------------------------------------------------------


def _too_few(state: State, agents: Sequence[Agent]) -> AgentTypeError:
    what = f"compare of {agents[0].text} alone" if agents else "compare of nothing"
    forks = [one.text for one in _kin(state, agents[0]) if not one.deleted] if agents else []
    do = f"name another one of its family, as {several(forks)}" if forks else "see session.fork_tree() for families"
    return AgentTypeError(what, "it takes two or more different agents of one fork family", do)


def _unrelated(state: State, agents: Sequence[Agent]) -> AgentTypeError:
    """Of whom the first shares nothing with one of the others."""
    first = agents[0]
    other = next(one for one in agents[1:] if _origin(state, one).uid != _origin(state, first).uid)
    why = "they share no history: neither is a fork of the other, and they are no forks of one agent"
    do = "name agents of one family; session.fork_tree() shows them"
    for one, kin in ((first, other), (other, first)):
        gone = next((at for at in _ancestors(state, kin) if at.deleted and at.text == one.text), None)
        if gone is not None:
            why = f"the {one.text} that {kin.text} descends from was deleted, and this is another one since"
            do = f"name the deleted one as {name_of(state, gone)}"
    return AgentTypeError(f"compare of {first.text} and {other.text}", why, do)


def _ancestors(state: State, agent: Agent) -> Iterator[Agent]:
    while agent.source:
        agent = state.agents[agent.source]
        yield agent


def _origin(state: State, agent: Agent) -> Agent:
    *_, origin = agent, *_ancestors(state, agent)
    return origin


def _kin(state: State, agent: Agent) -> Iterable[Agent]:
    """All others of an agent's family."""
    if not agent.source and not any(one.source for one in state.agents.values()):
        return []
    origin = _origin(state, agent).uid
    return (one for one in state.agents.values() if one.uid != agent.uid and _origin(state, one).uid == origin)
