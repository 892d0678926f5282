"""What people are told of a state: rows, one for each agent or promise. Pure functions of the state.

Rows are plain values that outlive the state: ids as text, times in UTC. Where a function may be asked on the session's
thread it is given what it needs of the world (`now`, which classes are there) as arguments.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Matter, Promise, Step, Timer, status_of
from workbench.core.state import State
from workbench.errors import SearchError
from workbench.ids import ROOT_ID, PromiseId
from workbench.model.description import failure_line
from workbench.questions.completion import Completions
from workbench.questions.mentions import PromiseKey
from workbench.questions.standing import Kept, is_pinned, open_waits

STATUSES: Final = ("running", "idle", "suspended", "interrupted", "retrying", "failed", "exited", "undefined")
"""The words of `status_of`."""
PROMISE_STATES: Final = ("pending", "completed")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Defined = Callable[[Agent], bool]
"""Whether an agent's class is there to run."""


def moment(wall: int) -> datetime:
    """A wall time as an aware `datetime` in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=wall // 1000)


def one_of(what: str, word: str | None, known: Iterable[str]) -> None:
    """Refuse a word to filter by that is none of those there are.

    Raises:
        SearchError: it is none; names them.
    """
    if word is not None and word not in known:
        raise SearchError(f"{what}={word!r:.80}", f"there is no such {what}", f"name one of {', '.join(known)}")


def matches(pattern: str, text: str) -> bool:
    """Whether a text holds a pattern or, if there is a `*` or `?` in it, is like it as a whole; whatever the case.

    In time proportional to the product of the lengths at most: a star is tried again from one place only.
    """
    pattern, text = pattern.lower(), text.lower()
    if "*" not in pattern and "?" not in pattern:
        return pattern in text
    at = place = retry = 0
    star = -1
    while at < len(text):
        sign = pattern[place] if place < len(pattern) else ""
        if sign == "*":
            star, retry = place, at
            place += 1
        elif sign and sign in (text[at], "?"):
            at, place = at + 1, place + 1
        elif star >= 0:
            retry += 1
            at, place = retry, star + 1
        else:
            return False
    return pattern[place:].strip("*") == ""


# ---- agents ----------------------------------------------------------------------------------------------------------


class AgentInfo(NamedTuple):
    """What `session.agents()` tells of an agent.

    Attributes:
        agent_id: text of its id.
        status: `running, idle, suspended, interrupted, retrying, failed, exited`, or `undefined`.
        queued: accepted invocations that have not started.
        finished: invocations that have ended; `failed`: those of them that raised.
        entries: index of its newest entry.
        waits: how many waits it has open.
        parent: who spawned it; `Session()` for cells. Of a fork, its source.
        forked_from: the source of a fork, else empty.
        type: name of its class.
        created: when it came into being.
        method: what it runs, else empty.
        waits_for: what it waits for, in words: the oldest wait, and how many more.
        since: since when it has waited for that; None when it waits for nothing.
        ephemeral: whether it is made for one invocation.
        error: why it stopped, else empty.
        note: what else there is to know: that it keeps its old code, or waits for its class.
    """

    agent_id: str
    status: str
    queued: int
    finished: int
    failed: int
    entries: int
    waits: int
    parent: str
    forked_from: str
    type: str
    created: datetime
    method: str
    waits_for: str
    since: datetime | None
    ephemeral: bool
    error: str
    note: str


class AgentFilter(NamedTuple):
    """Which agents are asked for; None for any.

    Attributes:
        status: that they have.
        type: name of their class.
        name: part of their id, or a pattern for it, as `Worker(*)`.
        parent: who spawned them, or whose forks they are.
    """

    status: str | None = None
    type: str | None = None
    name: str | None = None
    parent: str | None = None


def agents(state: State, defined: Defined, kept: Kept, which: AgentFilter) -> list[AgentInfo]:
    """Rows of the living agents, in the order in which they came into being; without the root."""
    status, kind, name, parent = which
    found = []
    for agent in state.agents.values():
        if agent.uid == ROOT_UID or agent.deleted or (kind is not None and agent.type_name != kind):
            continue
        if name is not None and not matches(name, agent.text):
            continue
        if parent is not None and _text_of(state, agent.spawned_by) != parent:
            continue
        now = status_of(agent, defined=defined(agent))
        if status is None or now == status:
            found.append(_agent(state, agent, now, kept))
    return found


def _agent(state: State, agent: Agent, status: str, kept: Kept) -> AgentInfo:
    waits = open_waits(agent)
    oldest = next(iter(waits.values()), None)
    return AgentInfo(
        agent.text,
        status,
        len(agent.queue or ()),
        agent.finished,
        agent.raised,
        agent.index,
        len(waits),
        _text_of(state, agent.spawned_by),
        _text_of(state, agent.source),
        agent.type_name,
        moment(agent.created_wall),
        agent.current.method if agent.current is not None else "",
        waits_for(state, agent),
        moment(oldest.wall) if oldest is not None else None,
        agent.ephemeral,
        failure_line(agent.failure) if agent.failure else "",
        _note(state, agent, status, kept),
    )


def _text_of(state: State, uid: int) -> str:
    agent = state.agents.get(uid)
    return agent.text if agent is not None else ""


def _note(state: State, agent: Agent, status: str, kept: Kept) -> str:
    if status == "undefined":
        return f"waits for its class: run the cell that defines {agent.type_name}"
    return "keeps its old code" if is_pinned(state, agent, kept) else ""


def waits_for(state: State, agent: Agent) -> str:
    """What an agent waits for, in words; empty for nothing."""
    waits = open_waits(agent)
    oldest = next(iter(waits.values()), None)
    if oldest is None:
        return ""
    more = f" and {len(waits) - 1:,} more" if len(waits) > 1 else ""
    return in_words(state, oldest.on) + more


def in_words(state: State, matter: Matter) -> str:
    """What a wait is for."""
    match matter:
        case Invocation(target=target, method=method):
            return f"call {_text_of(state, target)}.{method}"
        case Promise(owner=owner, index=index):
            return f"promise {index} of {_text_of(state, owner)}"
        case Step(name=name, retries=retries):
            return f"step {name}" + (f", tried {retries} times" if retries else "")
        case Timer(due=due):
            return f"timer until {moment(due):%Y-%m-%d %H:%M:%S} UTC"
    return ""


# ---- promises --------------------------------------------------------------------------------------------------------


class PromiseInfo(NamedTuple):
    """What `session.promises()` tells of a promise.

    Attributes:
        promise_id: its id, to be completed with.
        state: `pending` or `completed`.
        creator: text of the id of the agent that made it; `Session()` for cells.
        holders: who else was given its id and lives, cells as `Session()`. Read off the bytes of arguments, results and
            payloads: an id that was compressed, encrypted or kept elsewhere is not seen.
        waiters: agents that wait for it. Cells that do are not known here.
        completer: who completed it, `Session()` for a cell; empty while it is pending.
        ignored: completions that came after the first.
        age: seconds since it was made.
        created: when.
        completed: when it was completed; None while it is pending.
        line: where the code made it, `file:line`.
        orphan: it is pending, and nobody alive could complete it: no cell has its id, no schedule will pass it on, no
            step can have (none was begun by an agent that had it), and each agent that has it has failed, or waits in
            vain.
    """

    promise_id: PromiseId
    state: str
    creator: str
    holders: tuple[str, ...]
    waiters: tuple[str, ...]
    completer: str
    ignored: int
    age: float
    created: datetime
    completed: datetime | None
    line: str
    orphan: bool


class Made(NamedTuple):
    """What the log tells of a promise: wall times of creation and completion (0 for never), and the line."""

    created: int
    line: str
    completed: int = 0


def promises(
    state: State,
    keys: Iterable[PromiseKey],
    made: dict[PromiseKey, Made],
    completions: Completions,
    world: tuple[str, int],
) -> list[PromiseInfo]:
    """Rows of promises, those of them that there are.

    Args:
        state: as it is.
        keys: which.
        made: what the log tells of them.
        completions: who could complete them.
        world: the store's salt, and the present wall time.
    """
    found = []
    for key in keys:
        promise = state.promises.get(key)
        if promise is not None and key in made:
            found.append(_promise(state, promise, made[key], completions, world))
    return found


def _promise(
    state: State, promise: Promise, made: Made, completions: Completions, world: tuple[str, int]
) -> PromiseInfo:
    salt, now = world
    key = promise.owner, promise.index
    creator = state.agents[promise.owner].text
    reach = completions.reach(key)
    holders = [agent.text for agent in completions.holders(key) if agent.uid != promise.owner and not agent.deleted]
    if reach.cells and promise.owner != ROOT_UID:
        holders.insert(0, ROOT_ID)
    waiting = [state.agents[uid] for uid, op in promise.waiters or () if op in open_waits(state.agents[uid])]
    return PromiseInfo(
        PromiseId(creator, f"{salt}-{promise.owner}", promise.index),
        PROMISE_STATES[bool(promise.settled)],
        creator,
        tuple(holders),
        tuple(dict.fromkeys(agent.text for agent in waiting)),
        _text_of(state, promise.completed_by),
        promise.ignored,
        max(now - made.created, 0) / 1e9,
        moment(made.created),
        moment(made.completed) if made.completed else None,
        made.line,
        not promise.settled and reach.nobody,
    )
