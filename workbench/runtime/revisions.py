"""Which code an agent runs: the newest of its type when its oplog replays on it, else the code it has run so far.

An edited cell defines an agent type anew. New agents take the new code. An agent that exists is *rehearsed* on it when
it is next served: its oplog is replayed without any effect. If the code asks for all that the oplog holds, the agent is
updated; else it stays with its old class, as long as this process has it. In a process that never had it the agent runs
on the new class, and stops where the two part. The source text in the store is for people: it is never run, because a
store may come from somebody else.
"""

import logging
from typing import Protocol

from workbench.core.decisions import PLAIN, Kind
from workbench.core.nouns import ROOT_UID, Agent
from workbench.errors import DivergenceError
from workbench.model import entries as e
from workbench.model.agent_type import AgentType, Registry
from workbench.model.failure import encode_failure
from workbench.runtime.definitions import MissingNameError
from workbench.runtime.journal import Journal

logger = logging.getLogger("workbench")


class Rehearsal(Protocol):
    """Who can replay an agent on other code: the engine."""

    def rehearse(self, agent: Agent, agent_type: AgentType) -> BaseException | None:
        """None when the code asks for all that the oplog holds."""


class Revisions:
    """The code of agents. On the session's thread only."""

    def __init__(self, journal: Journal, registry: Registry) -> None:
        self._journal, self._registry = journal, registry
        self._known: dict[str, Kind] = {}

    def forget(self, name: str) -> None:
        """A class of this name was defined anew."""
        self._known.pop(name, None)

    def forget_all(self) -> None:
        """The store's entries may be fewer than they were, after a crash."""
        self._known.clear()

    def of_new(self, type_name: str) -> Kind:
        """What an agent of this type is that comes into being; plain while its class is not defined."""
        found = self._known.get(type_name)
        if found is None:
            agent_type = self._registry.find(type_name)
            if agent_type is None:
                return PLAIN
            kind = Kind(self._number(agent_type), agent_type.ephemeral, agent_type.job)
            found = self._known[type_name] = kind
        return found

    def _number(self, agent_type: AgentType) -> int:
        """The `seq` of the entry that tells of this code; made when there is none, 0 for code that has no hash."""
        if not agent_type.code:
            return 0
        state = self._journal.state
        number = state.codes.get((agent_type.name, agent_type.code))
        if number is None:
            body = e.TypeDefined(agent_type.name, agent_type.code, agent_type.source)
            number = self._journal.append(ROOT_UID, body).seq
        return number

    def of_existing(self, agent: Agent, newest: AgentType, rehearsal: Rehearsal | None) -> AgentType:
        """The class an agent is to run on; notes in the log when that changes.

        Args:
            agent: whose class is defined.
            newest: how it is defined now.
            rehearsal: who can try the newest code; None for an agent that has done nothing yet.
        """
        number = 0 if newest.job else self.of_new(agent.type_name).revision
        if not number or number == agent.revision:
            return newest
        _, code = self._journal.state.revisions.get(agent.revision, ("", ""))
        kept = self._registry.earlier(agent.type_name, code)
        if agent.misfit != number:
            error = rehearsal.rehearse(agent, newest) if rehearsal is not None else None
            if isinstance(error, MissingNameError):
                return newest  # it stops there again, and waits
            failure = b"" if error is None else encode_failure(error, agent.text, "")
            self._journal.append_to(agent, e.AgentUpdated(number, error is None, failure), "", 0)
            if error is None:
                return newest
            if kept is not None:
                logger.warning(
                    "%s keeps the code it has, because its past does not fit the class as it is defined now: %s. To "
                    "have the new code, revert it to before that (client.revert), fork it there (client.fork), or "
                    "delete it.",
                    agent.text,
                    _in_words(error),
                )
        return kept or newest


def _in_words(error: BaseException) -> str:
    """Where the two part."""
    if isinstance(error, DivergenceError):
        return f"at index {error.index} its oplog holds {error.expected}, the new code asks for {error.got}"
    return f"{type(error).__name__}: {error!s:.200}"
