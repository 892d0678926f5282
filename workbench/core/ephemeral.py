"""Which agent an invocation of an ephemeral one with a key goes to: the same for an equal key, so that it runs once."""

from typing import Final
from uuid import UUID, uuid5

from workbench.ids import AgentId

_KEYED: Final = UUID("0d5f9a34-6a0c-5b7e-9c43-3a1f5f7f2b11")
"""Name space of the phantom ids that keys give to ephemeral agents."""


def keyed_phantom(agent_id: AgentId, key: str) -> AgentId:
    """The agent that a call with this key goes to."""
    return agent_id.with_phantom(uuid5(_KEYED, f"{agent_id.text}/{key}"))
