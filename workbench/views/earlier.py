"""What a view that begins late has to know of the agents that were there before; and one that shows just these."""

from workbench.core.nouns import Agent, Invocation, Promise, Step
from workbench.core.nouns import Wait as OpenWait
from workbench.core.state import State
from workbench.views.graph import GraphView
from workbench.views.graph_nodes import Earlier, Link, Status, Wait


def earlier_agents(state: State, upto: int) -> dict[int, Earlier]:
    """The agents that were there at a `seq`, by uid.

    The state may be ahead of it. What an agent has done since will be applied to what is told here, so none of it may
    be told: of an agent with newer entries, only what can be known not to be of them.
    """
    return {agent.uid: _earlier(agent, upto) for agent in state.agents.values() if agent.uid <= upto}


def view_of(state: State) -> GraphView:
    """The graph as it is now; of the agents that were deleted, those that others descend from."""
    view = GraphView(since=state.seq, earlier=earlier_agents(state, state.seq))
    for agent in state.agents.values():
        if agent.deleted:
            continue
        node = view.recall(agent.uid, agent.created_wall)
        if node is not None:
            for op, wait in agent.waits.items():
                view.take_over(node, op, _wait(agent, wait))
    return view


def _wait(agent: Agent, wait: OpenWait) -> Wait:
    on = wait.on
    kind, target, what = Link.TIMER, 0, "a timer"
    if isinstance(on, Invocation):
        kind, target, what = Link.CALL, on.target, on.method
    elif isinstance(on, Promise):
        kind, target, what = Link.PROMISE, on.owner, f"promise {on.index}"
    elif isinstance(on, Step):
        kind, what = Link.STEP, on.name
    return Wait(wait.seq, int(kind), agent.uid, target, what, wait.wall, wait.line)


def _earlier(agent: Agent, upto: int) -> Earlier:
    running = _running(agent, upto)
    rested = agent.seq <= upto
    last = agent.last if rested else None
    return Earlier(
        agent.text,
        agent.spawned_by,
        bool(agent.source),
        running.seq if running is not None else 0,
        running.method if running is not None else last.method if last is not None else "",
        sum(invocation.seq <= upto for invocation in agent.queue or ()),
        agent.finished - agent.raised if rested else 0,
        agent.raised if rested else 0,
        last.ok if last is not None else None,
        agent.ephemeral,
        _halted(agent, upto),
        agent.failure if agent.failure and rested else None,
        {key: invocation.seq for key, invocation in (agent.keys or {}).items() if invocation.seq <= upto},
    )


def _halted(agent: Agent, upto: int) -> int:
    if 0 < agent.deleted <= upto:
        return Status.EXITED
    if agent.failure and agent.seq <= upto:
        return Status.FAILED
    return Status.INTERRUPTED if 0 < agent.interrupted <= upto else 0


def _running(agent: Agent, upto: int) -> Invocation | None:
    """The invocation that was under way at a `seq`, as far as the facts still tell."""
    for invocation in (agent.current, agent.last):
        if invocation is not None and 0 < invocation.started <= upto < (invocation.settled or upto + 1):
            return invocation
    return None
