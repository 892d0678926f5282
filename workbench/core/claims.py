"""What an entry may claim, given those before it; for logs that somebody else may have written.

The hash chain proves that a log is as it was written, not who wrote it: whoever can write a file can compute hashes.
The fold trusts headers and bodies, because a session made them. So a log that comes from a file is folded by
`fold_checked`, which looks at what later questions build on: that oplogs are dense, and that agents descend from
agents that were there before, so that whoever follows them comes to an end. Of the rest, the fold itself notices what
refers to nothing.
"""

from collections.abc import Iterable
from typing import Final

from workbench.core.state import State
from workbench.model import entries as e
from workbench.model.entries import Entry

_WRONG: Final = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the fold meets in a log that no session wrote."""
_LIFE: Final = frozenset({e.AgentCreated, e.AgentForked, e.AgentReverted})


class WrongClaimError(Exception):
    """An entry that no session writes after those before it: its `seq`, and what is wrong with it."""

    def __init__(self, entry: Entry, why: str) -> None:
        super().__init__(entry.seq, why)
        self.seq, self.why = entry.seq, why


def fold_checked(state: State, entries: Iterable[Entry]) -> None:
    """Fold entries into a state.

    Raises:
        WrongClaimError: one does not follow from those before it; the state is of no use from then on.
    """
    agents, apply = state.agents, state.apply
    for entry in entries:
        agent = agents.get(entry.agent)
        before = agent.index if agent is not None else getattr(entry.body, "cut", 0)
        if entry.index != before + 1:
            raise WrongClaimError(entry, f"index {entry.index} of agent {entry.agent} follows index {before}")
        if type(entry.body) in _LIFE:
            _check_life(state, entry)
        try:
            apply(entry)
        except _WRONG as error:
            raise WrongClaimError(entry, f"{type(error).__name__}: {error!s:.200}") from error


def _check_life(state: State, entry: Entry) -> None:
    """What brings an agent into being or takes it back: numbers of agents, entries and indices that there are."""
    agents, uid = state.agents, entry.agent
    match entry.body:
        case e.AgentReverted(last=last, facts=facts):
            if not 0 <= last < entry.index or not 0 <= facts.seq < entry.seq:
                raise WrongClaimError(entry, f"agent {uid} is taken back to index {last}, entry {facts.seq}")
        case _ if uid != entry.seq:
            raise WrongClaimError(entry, f"agent {uid} comes into being there, and was to be agent {entry.seq}")
        case e.AgentCreated(spawned_by=parent) if parent and parent not in agents:
            raise WrongClaimError(entry, f"agent {parent}, which spawned agent {uid}, was not there")
        case e.AgentForked(source=source, cut=cut, facts=facts):
            if source not in agents or not 0 < cut <= agents[source].index:
                raise WrongClaimError(entry, f"agent {source}, of which agent {uid} is a fork, had no index {cut}")
            if facts is not None and not 0 <= facts.seq < entry.seq:
                raise WrongClaimError(entry, f"agent {uid} is a fork at entry {facts.seq}")
