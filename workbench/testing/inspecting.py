"""Looking into a state and into live agents, as plain values that can be compared."""

from typing import Any, Final

import msgspec

from workbench.core.nouns import ROOT_UID, Agent
from workbench.core.state import State
from workbench.errors import WorkbenchError
from workbench.model.failure import decode_failure, exception_of
from workbench.runtime.session import Session

_PASSING: Final = frozenset({"wakes", "ended", "accepted"})
"""What a state tells its user on the way and is no part of it."""
_MADE_AGAIN: Final = frozenset({"id"})
"""Fields of nouns that are made from others when they are asked for."""


def dump(state: State) -> dict[str, Any]:
    """All facts of a folded state; two states are equal exactly when this is.

    Nouns are numbered in the order in which they are met, so that one which is shared (an invocation that three agents
    wait for) differs from three that are alike.
    """
    met: dict[int, int] = {}
    return {name: _facts(value, met) for name, value in vars(state).items() if name not in _PASSING}


def _facts(value: Any, met: dict[int, int]) -> Any:
    if isinstance(value, msgspec.Struct):
        number = met.setdefault(id(value), len(met))
        names = [name for name in value.__struct_fields__ if name not in _MADE_AGAIN]
        facts = {name: _facts(getattr(value, name), met) for name in names}
        return {"noun": f"{type(value).__name__} {number}", **facts}
    if isinstance(value, dict):
        return {key: _facts(item, met) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_facts(item, met) for item in value)
    return value


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
            if agent.deleted or agent.stands:
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
