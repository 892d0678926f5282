"""Opening a store: its log is folded, and what the facts leave open is taken up. Harmless when repeated."""

from workbench.core import decisions
from workbench.core.state import ROOT_UID, State, Step
from workbench.core.waits import find_deadlock
from workbench.ids import ROOT_ID, AgentId
from workbench.model import entries as e
from workbench.model.agent_type import Registry
from workbench.runtime.engine import Engine
from workbench.runtime.journal import Journal
from workbench.runtime.timers import Timers
from workbench.store.faults import reach


def fold(journal: Journal, identity: tuple[int, str]) -> None:
    """Make the state from the log; a new store gets its root agent. The opening is an entry itself.

    Args:
        journal: of the store.
        identity: process id and host name of who opens it.
    """
    journal.state = State()
    journal.clock.not_before(journal.state.fold(journal.log.read()).wall)
    reach("recovery.folded")
    journal.state.wakes.clear()
    journal.tick()
    if ROOT_UID not in journal.state.agents:
        journal.append_all(decisions.create(journal.state, AgentId.parse(ROOT_ID), "[]", 0))
    journal.append(ROOT_UID, e.SessionStarted(*identity))


def take_up(state: State, engine: Engine, timers: Timers, registry: Registry) -> None:
    """Schedule the agents that have something due, and arm their timers."""
    for _, uid, op in sorted(state.due_waits()):
        engine.due(uid, op)
    for agent in state.agents.values():
        if agent.fresh_fork or (agent.queue and agent.current is None):
            engine.schedule(agent.uid)
        if agent.current is not None and registry.find(agent.type_name) is None:
            engine.await_definition(agent)
        for op, wait in agent.waits.items():
            due = getattr(wait.on, "due", None)
            if due is not None:
                timers.arm(agent.uid, op, due)
            elif isinstance(wait.on, Step) and not wait.on.settled:
                engine.schedule(agent.uid)
    for agent in state.agents.values():  # a cycle that was closed, and whose refusal was lost
        if agent.waits and agent.current is not None and (cycle := find_deadlock(state, agent.uid)):
            engine.refuse(cycle)
