"""Decisions: what an operation becomes, given the state. Pure: state and request in, drafts out.

A draft is `(uid, body)`: which agent's oplog the body goes to. The session stamps drafts into entries and applies them
at once, in the order given, so a decision may count on `state.seq`: the n-th draft gets `state.seq + n`. All drafts of
one decision reach the disk in one commit, which is why one decision may touch two agents and still happen exactly once.
"""

from workbench.core.state import ROOT_UID, Agent, Invocation, Promise, State
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.entries import Body

Draft = tuple[int, Body]
"""The uid of the oplog an entry goes to, and its body."""


def create(state: State, agent_id: AgentId, parameters: str, creator: int) -> list[Draft]:
    """Bring an agent into being; its uid is the `seq` of this entry."""
    uid = state.seq + 1
    return [(uid, e.AgentCreated(agent_id.text, agent_id.type_name, parameters, creator))]


def call(state: State, caller: int, target_id: AgentId, parameters: str, request: e.CallMade) -> list[Draft]:
    """Accept an invocation; creates the target when it is the first.

    `request.target` is filled in here. An equal key joins the invocation that has it (see `State.apply`).
    """
    uid = state.by_id.get(request.target_id)
    drafts: list[Draft] = []
    if uid is None:
        drafts = create(state, target_id, parameters, caller)
        uid = drafts[0][0]
    made = e.CallMade(
        uid, request.target_id, request.method, request.value, request.awaited, request.key, request.label
    )
    drafts.append((caller, made))
    return drafts


def drop_wait(state: State, agent: Agent, op: int) -> list[Draft]:
    """Stop waiting. A call that is still queued, and that nobody else waits for, is withdrawn."""
    drafts: list[Draft] = [(agent.uid, e.WaitDropped(op))]
    wait = agent.waits.get(op)
    if wait is not None and isinstance(wait.on, Invocation):
        drafts += withdraw(state, wait.on, (agent.uid, op))
    return drafts


def withdraw(state: State, invocation: Invocation, waiter: tuple[int, int]) -> list[Draft]:
    """Cancel a queued invocation whose only interested party was `waiter`; nothing when it has started."""
    target = state.agents.get(invocation.target)
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


def fork(state: State, source: Agent, fork_id: AgentId) -> list[Draft]:
    """`fork()` inside an agent: the cut and the fork in one commit, so there is exactly one fork a call."""
    made = e.ForkMade(fork_id.text, str(fork_id.phantom_id))
    uid = state.seq + 2
    return [(source.uid, made), (uid, e.AgentForked(fork_id.text, source.uid, source.index + 1, inside=True))]


__all__ = ["ROOT_UID", "Draft", "call", "complete_promise", "create", "drop_wait", "fork", "withdraw"]
