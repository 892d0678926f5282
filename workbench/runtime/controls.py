"""What is done to agents from outside them: delete, interrupt, resume, revert, fork at an index, schedules, keys.

Each verb is decided against the state and appended like any operation; then what the agent has in memory is given up,
and taken up again as the facts are now. Cells ask through `Requests`, agents through their instance, both come here.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID

from workbench.core import decisions, history
from workbench.core.lineage import segments
from workbench.core.nouns import ROOT_UID, Agent
from workbench.errors import (
    AgentDeletedError,
    AgentInterruptedError,
    AgentRevertedError,
    InvocationCancelledError,
    RefusedError,
    StoreError,
    UnknownAgentError,
    WorkbenchError,
)
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.codec import NOTHING_KNOWN, encode
from workbench.model.failure import encode_failure
from workbench.runtime.journal import Journal


class Memory(Protocol):
    """What the engine keeps of agents."""

    revisions: Any

    def stop(self, agent: Agent) -> None:
        """Give up all that goes on for an agent in memory."""

    def take_up(self, agent: Agent) -> None:
        """Schedule what is due of an agent."""

    def new_phantom_id(self) -> UUID:
        """A random UUID."""


class Controls:
    """The verbs. On the session's thread only."""

    def __init__(self, memory: Memory, journal: Journal) -> None:
        self._memory, self._journal = memory, journal

    def do(self, verb: str, target_id: str, argument: int, text: str = "", *, by: int = ROOT_UID) -> Any:
        """Do one of the verbs of a client.

        Args:
            verb: `delete`, `interrupt`, `resume`, `revert_to`, `revert_invocations`, `fork`, `newest_run` (of a job).
            target_id: text of the agent's id.
            argument: the index, the number of invocations, or whether children go too.
            text: the phantom id of a fork, when the caller wants a certain one.
            by: uid of the agent that asks.

        Raises:
            UnknownAgentError: no such agent.
            RefusedError: it cannot be done to this agent as it stands; says why.
        """
        agent = self._journal.state.find(target_id)
        if agent is None:
            raise UnknownAgentError(
                f"no agent {target_id}", "it was never invoked, or was deleted", "see session.agents()"
            )
        if agent.uid == ROOT_UID:
            raise RefusedError(f"{verb} of {target_id}", "it stands for cells and scripts", "name an agent of a class")
        with_children = verb == "delete" and bool(argument)
        if agent.uid == by or (with_children and by != ROOT_UID and by in self._family(agent)):
            raise RefusedError(
                f"{verb} of {target_id} by itself", "its code is running", "ask from a cell or from another agent"
            )
        return _VERBS[verb](self, agent, argument, text)

    # ---- lives ---------------------------------------------------------------------------------------------------

    def _delete(self, agent: Agent, children: int, _text: str) -> int:
        """How many agents were deleted."""
        return self._end(decisions.subtree(self._journal.state, agent) if children else [agent])

    def _end(self, agents: list[Agent]) -> int:
        """How many agents ended."""
        for member in agents:
            error = AgentDeletedError(
                f"{member.text} was deleted",
                "what it ran, had queued or had promised ended with it",
                "call it again: that makes a new agent of this name",
            )
            self._memory.stop(member)
            self._append(member, e.AgentDeleted(self._failure(error, member)))
        return len(agents)

    def _interrupt(self, agent: Agent, _argument: int, _text: str) -> bool:
        """Whether there was anything to interrupt."""
        if agent.stands or agent.failure or not decisions.interruptible(agent):
            return False
        error = AgentInterruptedError(
            f"{agent.text} was interrupted", "it stands still where it was", "let it go on: await client.resume()"
        )
        self._memory.stop(agent)
        self._append(agent, e.AgentInterrupted(self._failure(error, agent)))
        return True

    def _resume(self, agent: Agent, _argument: int, _text: str) -> bool:
        """Whether it was interrupted."""
        if agent.failure:
            raise RefusedError(
                f"resume of {agent.text}",
                "it has failed, and would fail again",
                "go back to before the failure: await client.revert(to=index), see session.oplog(agent)",
            )
        if not agent.interrupted:
            return False
        self.resume(agent)
        return True

    def resume(self, agent: Agent) -> None:
        """Let an interrupted agent go on."""
        self._append(agent, e.AgentResumed())
        self._memory.stop(agent)
        self._memory.take_up(agent)

    # ---- time travel ---------------------------------------------------------------------------------------------

    def _oplog(self, agent: Agent) -> list[e.Entry]:
        return self._journal.read_oplog(segments(self._journal.state, agent.uid))

    def _revert_to(self, agent: Agent, index: int, _text: str) -> int:
        oplog = self._oplog(agent)
        self._check(oplog, agent, index, f"revert of {agent.text} to index {index}")
        return self.go_back(agent, index, history.facts_at(oplog, index))

    def _revert_invocations(self, agent: Agent, number: int, _text: str) -> int:
        oplog = self._oplog(agent)
        index = history.before_last(oplog, number) if number > 0 else None
        if index is None:
            begun = sum(isinstance(entry.body, e.InvocationStarted) for entry in oplog)
            raise RefusedError(
                f"revert of {number} invocations of {agent.text}", f"it has begun {begun}", f"name 1 to {begun}"
            )
        return self.go_back(agent, index, history.facts_at(oplog, index))

    def _check(self, oplog: list[e.Entry], agent: Agent, index: int, what: str) -> None:
        why = history.why_no_cut(oplog, index)
        if why:
            cuts = history.cuts(oplog)
            near = [cut for cut in cuts if cut < index][-1:] + [cut for cut in cuts if cut > index][:1]
            do = f"take index {' or '.join(map(str, near))}" if near else f"see session.oplog({agent.text!r})"
            raise RefusedError(what, why, do)

    def go_back(self, agent: Agent, index: int, facts: e.Facts, region: int = 0) -> int:
        """Have an agent be as it was at an index; that index."""
        error = AgentRevertedError(
            f"{agent.text} was reverted to index {index}", "what it did after that counts no longer", "call it again"
        )
        self._memory.stop(agent)
        self._append(agent, e.AgentReverted(index, facts, self._failure(error, agent), region))
        self._memory.take_up(agent)
        return index

    def _fork(self, agent: Agent, index: int, text: str) -> str:
        """Text of the fork's id."""
        oplog = self._oplog(agent)
        self._check(oplog, agent, index, f"fork of {agent.text} at index {index}")
        state = self._journal.state
        fork_id = agent.agent_id.with_phantom(UUID(text) if text else self._memory.new_phantom_id())
        if fork_id.text in state.by_id:
            raise RefusedError(
                f"fork of {agent.text} onto {fork_id.text}",
                "an agent of this id exists",
                "leave phantom_id out, or delete that agent first",
            )
        facts = history.facts_at(oplog, index)
        self._journal.append(*decisions.fork_at(state, agent, fork_id, index, facts))
        return fork_id.text

    # ---- queued and scheduled invocations ------------------------------------------------------------------------

    def cancel(self, agent_id: str, key: str) -> bool:
        """Withdraw a queued invocation by its key: True when it was queued, False when it has started or ended.

        Raises:
            UnknownAgentError: the agent has no invocation of this key.
        """
        state = self._journal.state
        invocation = decisions.find_key(state, agent_id, key)
        if invocation is None:
            raise UnknownAgentError(
                f"{agent_id} has no invocation with key {key!r}",
                "no call with this key was accepted, or its agent was deleted",
                "see session.invocations(agent)",
            )
        agent = state.agents[invocation.target]
        error = InvocationCancelledError(
            f"{agent.text}.{invocation.method} with key {key!r} was cancelled", "it had not started", "call it again"
        )
        drafts = decisions.cancel(invocation, self._failure(error, agent))
        self._journal.append_all(drafts)
        return bool(drafts)

    def fire(self, seq: int) -> None:
        """A schedule is due: its target gets the invocation."""
        state = self._journal.state
        plan = state.schedule_of(seq)
        if plan is None:
            return
        self._journal.cause = seq
        agent_id = AgentId.parse(plan.target_id)
        kind = self._memory.revisions.of_new(agent_id.type_name)
        self._journal.append_all(decisions.fire(state, plan, agent_id, kind), plan.line)

    def clean(self) -> tuple[list[str], int, list[str]]:
        """Delete finished jobs whole: their ids, how many agents that were, and who was left behind at work."""
        state = self._journal.state
        jobs = decisions.finished_jobs(state)
        deleted = self._end(decisions.subtree(state, *jobs))
        return [job.text for job in jobs], deleted, [agent.text for agent in decisions.left_behind(state)]

    def _newest_run(self, agent: Agent, _argument: int, _text: str) -> tuple[str, bytes] | None:
        """Key and encoded arguments."""
        run = decisions.newest_run(agent)
        return None if run is None else (str(run.key), run.args)

    # ---- helpers -------------------------------------------------------------------------------------------------

    def _family(self, agent: Agent) -> set[int]:
        """The uids of an agent and of all it spawned that live."""
        return {member.uid for member in decisions.subtree(self._journal.state, agent)}

    def _append(self, agent: Agent, body: e.Body) -> None:
        self._journal.append_to(agent, body, "", 0)

    def _failure(self, error: WorkbenchError, agent: Agent) -> bytes:
        method = agent.current.method if agent.current is not None else ""
        return encode_failure(error, agent.text, method)

    def answer(self, agent: Agent, verb: str, target_id: str, argument: int, text: str) -> tuple[bool, bytes]:
        """As `do`, for an agent: whether it was done, and the encoded result or failure, to be recorded.

        Raises:
            StoreError: an oplog cannot be read, which is no failure to be recorded.
        """
        try:
            return True, encode(self.do(verb, target_id, argument, text, by=agent.uid), NOTHING_KNOWN, "result")
        except StoreError:
            raise
        except WorkbenchError as error:
            return False, encode_failure(error, agent.text, verb)


_VERBS: Final[dict[str, Callable[[Controls, Agent, int, str], Any]]] = {
    "delete": Controls._delete,  # noqa: SLF001
    "interrupt": Controls._interrupt,  # noqa: SLF001
    "resume": Controls._resume,  # noqa: SLF001
    "revert_to": Controls._revert_to,  # noqa: SLF001
    "revert_invocations": Controls._revert_invocations,  # noqa: SLF001
    "fork": Controls._fork,  # noqa: SLF001
    "newest_run": Controls._newest_run,  # noqa: SLF001
}
