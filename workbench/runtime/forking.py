"""`fork()`: an agent clones itself at a line."""

from typing import NamedTuple
from uuid import UUID

from workbench.ids import AgentId
from workbench.runtime.current import require_instance
from workbench.signs import printable


class ForkDetails(NamedTuple):
    """What both sides of a fork are told."""

    forked_phantom_id: UUID
    """Phantom id of the fork; the same value on both sides."""
    forked_agent_id: AgentId
    """The fork's whole id."""


class _Side:
    __slots__ = ("details",)
    __match_args__ = ("details",)

    def __init__(self, details: ForkDetails) -> None:
        self.details = details

    def __repr__(self) -> str:
        return printable(f"{type(self).__name__}({self.details.forked_agent_id})")


class Original(_Side):
    """`fork()` returned in the agent that called it."""

    __slots__ = ()


class Forked(_Side):
    """`fork()` returned in the fork."""

    __slots__ = ()


def fork() -> "Original | Forked":
    """Clone this agent at this line: same type and parameters, a new phantom id, the same invocation, locals included.

    Both sides go on from here on their own. The fork's return value goes to its own oplog: `await session.result(id)`.

    Oplog: `ForkMade` here and `AgentForked` in the fork, in one commit, so there is exactly one fork per call.
    Replay: returns the recorded side.

    Raises:
        NotInAgentError: called outside an agent.
    """
    instance = require_instance("fork")
    forked, phantom = instance.fork()
    details = ForkDetails(phantom, instance.agent.agent_id.with_phantom(phantom))
    return Forked(details) if forked else Original(details)
