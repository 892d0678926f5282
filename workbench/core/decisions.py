"""Decisions: what an operation becomes, given the state. Pure: state and request in, drafts out.

A draft is `(uid, body)`: which agent's oplog the body goes to. The session stamps drafts into entries and applies them
at once, in the order given, so a decision may count on `state.seq`: the n-th draft gets `state.seq + n`. All drafts of
one decision reach the disk in one commit, which is why one decision may touch two agents and still happen exactly once.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Promise, Schedule
from workbench.core.state import State
from workbench.errors import PromiseNotFound
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.entries import Body

Draft = tuple[int, Body]
"""The uid of the oplog an entry goes to, and its body."""


class Kind(NamedTuple):
    """What an agent is from the beginning; see `AgentCreated`."""

    revision: int = 0
    ephemeral: bool = False
    job: bool = False


PLAIN: Final = Kind()

Watched = Callable[[Invocation], bool]
"""Whether somebody outside waits for an invocation; no entry tells that."""


def create(state: State, agent_id: AgentId, creator: int, kind: Kind = PLAIN) -> list[Draft]:
    """Bring an agent into being; its uid is the `seq` of this entry."""
    uid = state.seq + 1
    return [(uid, e.AgentCreated(agent_id.text, agent_id.type_name, creator, *kind))]


def call(state: State, caller: int, target_id: AgentId, request: e.CallMade, kind: Kind = PLAIN) -> list[Draft]:
    """Accept an invocation; creates the target when it is the first.

    `request.target` is filled in here. An equal key joins the invocation that has it (see `State.apply`).
    """
    uid = state.by_id.get(request.target_id)
    drafts: list[Draft] = []
    if uid is None:
        drafts = create(state, target_id, caller, kind)
        uid = drafts[0][0]
    made = e.CallMade(
        uid, request.target_id, request.method, request.value, request.awaited, request.key, request.label
    )
    drafts.append((caller, made))
    return drafts


def drop_wait(state: State, agent: Agent, op: int, watched: Watched) -> list[Draft]:
    """Stop waiting. A call that is still queued, and that nobody else wants done, is withdrawn."""
    drafts: list[Draft] = [(agent.uid, e.WaitDropped(op))]
    wait = agent.waits.get(op)
    if wait is not None and isinstance(wait.on, Invocation) and not watched(wait.on):
        drafts += withdraw(state, wait.on, (agent.uid, op))
    return drafts


def withdraw(state: State, invocation: Invocation, waiter: tuple[int, int]) -> list[Draft]:
    """Cancel a queued invocation that only `waiter` wanted done; nothing when it has started.

    Who triggered or scheduled it wants it done, and so does a cell that called it in an earlier session.
    """
    target = state.agents.get(invocation.target)
    if invocation.kept or (invocation.caller == ROOT_UID and invocation.seq < state.opened):
        return []
    others = [
        w for w in invocation.waiters or () if w != waiter and w[1] in getattr(state.agents.get(w[0]), "waits", ())
    ]
    if target is None or others or invocation.started or invocation.settled or invocation.cancelled:
        return []
    return [(target.uid, e.InvocationCancelled(invocation.seq))]


def complete_promise(promise: Promise, completer: int, value: bytes) -> tuple[int, e.PromiseCompleted]:
    """The first completion stands; each later one is recorded as ignored, without its payload."""
    first = not promise.settled
    return completer, e.PromiseCompleted(promise.owner, promise.index, value if first else b"", first)


def promises_left(state: State, agent: Agent) -> list[int]:
    """The promises of undone runs of atomic regions, by index, that no later run has made again."""
    return [
        index
        for index in (agent.promised or () if agent.reverts else ())
        if any(last < max(index, state.promises[agent.uid, index].again) < at for last, at in agent.reverts)
    ]


def fork(state: State, source: Agent, fork_id: AgentId) -> list[Draft]:
    """`fork()` inside an agent: the cut and the fork in one commit, so there is exactly one fork a call."""
    made = e.ForkMade(fork_id.text, str(fork_id.phantom_id))
    uid = state.seq + 2
    return [(source.uid, made), (uid, e.AgentForked(fork_id.text, source.uid, source.index + 1, inside=True))]


def fork_at(state: State, source: Agent, fork_id: AgentId, cut: int, facts: e.Facts) -> Draft:
    """A fork from outside, at an index."""
    return state.seq + 1, e.AgentForked(fork_id.text, source.uid, cut, inside=False, facts=facts)


def subtree(state: State, *roots: Agent) -> list[Agent]:
    """Agents and all that they and their descendants spawned and that live; children after their parents.

    Forks are not of the subtree: they stand for themselves.
    """
    children: dict[int, list[Agent]] = {}
    for other in state.agents.values():
        if not other.deleted and not other.source:
            children.setdefault(other.spawned_by, []).append(other)
    found: dict[int, Agent] = {}  # a root may be another's descendant
    todo = [*reversed(roots)]
    while todo:
        agent = todo.pop()
        found[agent.uid] = agent
        todo += reversed(children.get(agent.uid, ()))
    return list(found.values())


def newest_run(job: Agent) -> Invocation | None:
    """The newest keyed invocation of a job; None when it has none."""
    return max(job.keys.values(), key=lambda run: run.seq, default=None) if job.keys else None


def finished_jobs(state: State) -> list[Agent]:
    """Fan-out jobs that have ended, without the children that have their type."""
    found = []
    for agent in state.agents.values():
        spawner = state.agents.get(agent.spawned_by)
        is_child = spawner is not None and spawner.type_name == agent.type_name
        if agent.job and not is_child and not agent.deleted and agent.finished and not interruptible(agent):
            found.append(agent)
    return found


def left_behind(state: State) -> list[Agent]:
    """Agents at work whose spawner, an agent, has nothing under way any more: nobody waits for what they do."""
    found = []
    for agent in state.agents.values():
        spawner = state.agents.get(agent.spawned_by)
        if agent.deleted or agent.source or spawner is None or spawner.uid == ROOT_UID or not interruptible(agent):
            continue
        if spawner.deleted or not interruptible(spawner):
            found.append(agent)
    return found


def interruptible(agent: Agent) -> bool:
    """Whether an agent has anything to be interrupted in."""
    return agent.current is not None or agent.queue is not None


def find_key(state: State, agent_id: str, key: str) -> Invocation | None:
    """The invocation of an agent that has this key, or None."""
    agent = state.find(agent_id)
    return None if agent is None or agent.keys is None else agent.keys.get(key)


def find_promise(state: State, salt: str, promise_id: PromiseId) -> Promise:
    """The promise that has this id in the store with this salt.

    Raises:
        PromiseNotFound: it never was, or is another store's, or its agent's life has ended.
    """
    own, _, uid = promise_id.incarnation.partition("-")
    promise = None
    if own == salt and uid.isascii() and uid.isdigit():
        agent = state.agents.get(int(uid))
        if agent is not None and agent.text == promise_id.agent:
            promise = state.promises.get((agent.uid, promise_id.index))
    if promise is None:
        raise PromiseNotFound(
            f"no promise {promise_id}",
            "it was never made in this store, or its agent was deleted, or reverted to before it",
            "pass an id that create_promise gave",
        )
    return promise


def cancel(invocation: Invocation, failure: bytes) -> list[Draft]:
    """Withdraw a queued invocation, whoever waits for it; nothing when it has started."""
    if invocation.started or invocation.settled or invocation.cancelled:
        return []
    return [(invocation.target, e.InvocationCancelled(invocation.seq, failure))]


def fire(state: State, plan: Schedule, agent_id: AgentId, kind: Kind) -> list[Draft]:
    """A schedule is due: its target accepts the invocation, and comes into being when it is the first."""
    target = state.find(plan.target_id)
    if target is not None:
        return [(target.uid, e.ScheduleFired(plan.seq))]
    drafts = create(state, agent_id, plan.by, kind)
    return [*drafts, (drafts[0][0], e.ScheduleFired(plan.seq))]


def cancel_schedule(state: State, seq: int, canceller: int) -> tuple[int, e.ScheduleCancelled]:
    """Take a schedule back; whether there was still something to take back."""
    return canceller, e.ScheduleCancelled(seq, state.schedule_of(seq) is not None)


__all__ = [
    "ROOT_UID",
    "Draft",
    "Kind",
    "call",
    "cancel",
    "cancel_schedule",
    "complete_promise",
    "create",
    "drop_wait",
    "find_key",
    "finished_jobs",
    "fire",
    "fork",
    "fork_at",
    "interruptible",
    "left_behind",
    "subtree",
    "withdraw",
]
