"""Looking into a state and into live agents, as plain values that can be compared."""

from typing import Any

from workbench.core.nouns import ROOT_UID, Agent, Matter, Wait
from workbench.core.state import State
from workbench.errors import WorkbenchError
from workbench.model.failure import decode_failure, exception_of
from workbench.runtime.session import Session


def dump(state: State) -> dict[str, Any]:
    """All facts of a folded state; two states are equal exactly when this is."""
    return {
        "seq": state.seq,
        "wall": state.wall,
        "sessions": state.sessions,
        "agents": {uid: _agent(agent) for uid, agent in state.agents.items()},
        "by_id": dict(state.by_id),
        "promises": {key: _matter(promise) for key, promise in state.promises.items()},
    }


def _agent(agent: Agent) -> dict[str, Any]:
    facts = {name: getattr(agent, name) for name in Agent.__struct_fields__ if name != "id"}
    facts["current"] = None if agent.current is None else _matter(agent.current)
    facts["last"] = None if agent.last is None else _matter(agent.last)
    facts["queue"] = [_matter(invocation) for invocation in agent.queue or ()]
    facts["keys"] = {key: _matter(invocation) for key, invocation in (agent.keys or {}).items()}
    facts["waits"] = {op: _wait(wait) for op, wait in agent.waits.items()}
    return facts


def _wait(wait: Wait) -> dict[str, Any]:
    return {"op": wait.op, "seq": wait.seq, "wall": wait.wall, "line": wait.line, "on": _matter(wait.on)}


def _matter(matter: Matter) -> dict[str, Any]:
    return {"kind": type(matter).__name__, **{name: getattr(matter, name) for name in type(matter).__struct_fields__}}


def plain(value: Any) -> Any:
    """An agent's attributes as text; sets sorted, so that two processes agree on it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(repr(item) for item in value)
    return repr(value)


def objects_of(session: Session) -> dict[str, Any]:
    """The attributes of the object behind each agent that is loaded, by agent id."""
    thread = session.thread

    def look() -> dict[str, Any]:
        found = {}
        for uid, slot in thread.engine.slots.items():
            if slot.instance is not None:
                found[thread.state.agents[uid].text] = plain(getattr(slot.instance.object, "__dict__", {}))
        return found

    seen: dict[str, Any] = thread.ask(look).result()
    return seen


def rebuild_all(session: Session) -> dict[str, str]:
    """Rebuild every agent from its oplog that is not loaded, as a restart would one by one.

    Returns:
        agent id and error message of each that could not be rebuilt; those are stopped, as they would be in earnest.
    """
    thread = session.thread

    def rebuild() -> dict[str, str]:
        failed: dict[str, str] = {}
        for agent in tuple(thread.state.agents.values()):
            slot = thread.engine.slot(agent.uid)
            if agent.uid == ROOT_UID or agent.failure or slot.instance is not None or agent.index == 1:
                continue
            thread.engine.load(agent, slot)
            error = stopped_by(agent)
            if error is not None:
                failed[agent.text] = str(error)
        thread._schedule_turn()  # noqa: SLF001
        return failed

    outcome: dict[str, str] = thread.ask(rebuild).result()
    return outcome


def stopped_by(agent: Agent) -> BaseException | None:
    """The error that stopped an agent, rebuilt; None for one that runs."""
    if not agent.failure:
        return None
    try:
        return exception_of(decode_failure(agent.failure))
    except WorkbenchError as error:
        return error
