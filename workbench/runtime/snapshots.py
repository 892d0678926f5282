"""Snapshots: an idle agent's object as a value, so that replay may begin there instead of at the beginning.

By default the object's attributes are copied through the codec. That is only done when the copy would be the same: no
two attributes may share a mutable value, and every value must come back as it was. A class may say itself what is kept,
with `save_snapshot(self)` and `load_snapshot(self, saved)`.
"""

import logging
from typing import Any

from workbench.errors import EncodingError
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.agent_type import LOAD_SNAPSHOT, SAVE_SNAPSHOT, AgentType
from workbench.model.codec import NOTHING_KNOWN, decode, encode

logger = logging.getLogger("workbench")
_complained: set[tuple[str, str]] = set()
"""Types that were found to have no copy, by name and reason: each is told once."""


def taken(agent_type: AgentType, instance: Any) -> e.SnapshotTaken | None:
    """A snapshot of an agent's object; None when it has no faithful copy, and the log `workbench` says why."""
    custom = hasattr(agent_type.cls, SAVE_SNAPSHOT)
    try:
        if custom:
            return e.SnapshotTaken(encode(getattr(instance, SAVE_SNAPSHOT)(), NOTHING_KNOWN, "snapshot"), custom=True)
        if not hasattr(instance, "__dict__"):
            raise EncodingError("self", "it has no __dict__", f"write {SAVE_SNAPSHOT} and {LOAD_SNAPSHOT}")  # noqa: TRY301
        state = vars(instance)
        _refuse_sharing(state)
        return e.SnapshotTaken(encode(state, agent_type.known_state, "self"))
    except Exception as error:  # noqa: BLE001 - a saver is user code; the agent goes on without a snapshot
        if (agent_type.name, str(error)) not in _complained:
            _complained.add((agent_type.name, str(error)))
            logger.warning("no snapshot of agent type %s: %s", agent_type.name, error)
        return None


def restored(agent_type: AgentType, agent_id: AgentId, body: e.SnapshotTaken) -> object:
    """The object as a snapshot holds it.

    Raises:
        Exception: whatever the class's loader or the codec raises.
    """
    if body.custom:
        made: Any = agent_type.construct(agent_id)
        getattr(made, LOAD_SNAPSHOT)(decode(body.value, NOTHING_KNOWN))
        return made
    made = object.__new__(agent_type.cls)
    attributes: Any = decode(body.value, agent_type.known_state)
    vars(made).update(attributes)
    return made


def _refuse_sharing(value: object) -> None:
    """Two ways to one mutable container would be two containers in the copy."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, (dict, list, set, bytearray)) or hasattr(item, "__dict__"):
            if id(item) in seen:
                raise EncodingError(
                    "self",
                    f"a {type(item).__name__} is reached in two ways, and a copy would make it two",
                    f"write {SAVE_SNAPSHOT} and {LOAD_SNAPSHOT}",
                )
            seen.add(id(item))
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, (list, tuple, set, frozenset)):
            todo += item
        elif hasattr(item, "__dict__") and not isinstance(item, type):
            todo += vars(item).values()
