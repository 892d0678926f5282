"""Opening a store: its log is folded, and what the facts leave open is taken up. Harmless when repeated."""

from workbench.core import checkpoint, decisions
from workbench.core.nouns import ROOT_UID
from workbench.core.state import State
from workbench.core.waits import find_deadlock
from workbench.ids import ROOT_ID, AgentId
from workbench.model import entries as e
from workbench.runtime.engine import Engine
from workbench.runtime.folding import fold_log
from workbench.runtime.journal import Journal
from workbench.runtime.timers import Timers
from workbench.store.faults import reach
from workbench.store.log import Log


def newest_checkpoint(log: Log) -> State:
    """The state that the log's newest checkpoint holds, of those that this version understands; else the empty one.

    Fold the log after its `seq`, and it is as if all had been folded.
    """
    for data in log.checkpoints():
        state = checkpoint.read(data)
        if state is not None and state.seq <= log.last_seq:
            return state
    return State()


def fold(journal: Journal, identity: tuple[int, str]) -> None:
    """Make the state from the log; a new store gets its root agent. The opening is an entry itself.

    Args:
        journal: of the store.
        identity: process id and host name of who opens it.
    """
    log = journal.log
    journal.begin_at(newest_checkpoint(log))
    journal.clock.not_before(fold_log(journal.state, log.read(journal.state.seq), log).wall)
    reach("recovery.folded")
    journal.tick()
    if ROOT_UID not in journal.state.agents:
        journal.append_all(decisions.create(journal.state, AgentId.parse(ROOT_ID), 0))
    journal.append(ROOT_UID, e.SessionStarted(*identity))


def take_up(state: State, engine: Engine, timers: Timers) -> None:
    """Schedule the agents that have something due, and arm their timers and the schedules."""
    for _, uid, op in sorted(state.due_waits()):
        engine.due(uid, op)
    for agent in tuple(state.agents.values()):
        engine.take_up(agent)
    for group in state.schedules.values():
        for seq, plan in group.items():
            timers.arm(0, seq, plan.due)
    for agent in state.agents.values():  # a cycle that was closed, and whose refusal was lost
        if agent.waits and agent.current is not None and (cycle := find_deadlock(state, agent.uid)):
            engine.refuse(cycle)
