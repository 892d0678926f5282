"""What may be asked of a session: one face for a store that runs here and for one that is only looked at.

Each question is answered from the state at one moment, once all that led to it is committed, and from the log up to
there. What is read is told to people: agent code may not ask, because no entry would hold the answer.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workbench.core.decisions import find_promise, newest_run
from workbench.core.history import why_no_cut
from workbench.core.lineage import Segment, segments
from workbench.core.nouns import Agent
from workbench.core.state import State
from workbench.errors import AgentIdError, NotInAgentError, UnknownAgentError
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.questions import arguments, graph_rows, invocations, rows
from workbench.questions.completion import Completions
from workbench.questions.invocations import INVOCATION_STATES, InvocationInfo, Invocations, Kept
from workbench.questions.mentions import TELLING, Mentions, PromiseKey
from workbench.questions.rows import PROMISE_STATES, STATUSES, AgentFilter, AgentInfo, Made, PromiseInfo
from workbench.questions.search import matching, parse
from workbench.runtime import graphs
from workbench.runtime.current import current, refuse_blocking
from workbench.runtime.folding import fold_log
from workbench.runtime.schedules import ScheduleHandle
from workbench.store.connection import place_of
from workbench.store.log import Log
from workbench.store.query import Parameters

if TYPE_CHECKING:
    import networkx as nx

_T = TypeVar("_T")

_AT_ONCE: Final = 2_000
"""Promises that the session's thread tells of at a time; agents have their turn in between."""
_SEARCHED: Final = 1_000
"""Ids among which a similar one is looked for when there is none of a name."""


def id_text(agent: object) -> str:
    """The id's text of an agent that was given as a client, an `AgentId` or text, written as ids are."""
    text = str(getattr(agent, "agent_id", agent))
    try:
        return AgentId.parse(text).text
    except AgentIdError:
        return text  # no agent has it, which is told where it is looked for


class Reader(ABC):
    """The reading half of a session. Everything here may be called from any thread, and in a step, not in an agent."""

    path: str
    _log: Log

    # ---- how the answers come ------------------------------------------------------------------------------------

    @abstractmethod
    def _answer(self, question: Callable[[State], _T]) -> _T:
        """What a question comes to, asked of the state at one moment, with all that led to it committed."""

    @abstractmethod
    def wall(self) -> int:
        """The present time, in nanoseconds since the epoch."""

    @abstractmethod
    def _defined(self, agent: Agent) -> bool:
        """Whether an agent's class is there to run."""

    def _missing(self, agent: Agent) -> str:  # noqa: ARG002 - a reader runs nothing
        """The name that an agent's code asks for and that no cell has defined yet, or empty."""
        return ""

    @abstractmethod
    def _kept(self, type_name: str, code: str) -> bool:
        """Whether an earlier class of this name, by the hash of its code, is there to run, as far as is known."""

    def read(self, question: Callable[[State], _T]) -> _T:
        """Ask the folded state something, at one moment; for views and tools.

        Args:
            question: is given the state; must not change it, nor keep any of it.

        Raises:
            NotInAgentError: agent code is running; ask in a step.
        """
        if current.instance is not None:
            raise NotInAgentError(
                "a session was read in an agent",
                "the answer would not be recorded, so replay would get another one",
                "ask in a step: await wb.step(session.agents)",
            )
        return self._answer(question)

    # ---- agents ----------------------------------------------------------------------------------------------------

    def agents(
        self,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 - the word for it
        name: str | None = None,
        parent: object = None,
    ) -> list[AgentInfo]:
        """All agents, in the order in which they came into being, without the root and the deleted ones.

        Args:
            status: only those with this status.
            type: only those of the class of this name.
            name: only those whose id holds this text or, with a `*` or `?` in it, is like it; whatever the case.
            parent: only those that this agent spawned, or that are its forks.

        Raises:
            SearchError: there is no such status.
            AgentTypeError: a type or a name is no text.
        """
        rows.one_of("status", status, STATUSES)
        arguments.words(type=type, name=name)
        which = AgentFilter(status, type, name, None if parent is None else id_text(parent))
        return self.read(lambda state: rows.agents(state, self._defined, self._kept, which))

    def agent_ids(self, start: str = "", limit: int = 100) -> list[str]:
        """Ids of living agents that begin with a text, sorted; for completion."""
        return self.read(lambda state: sorted(id_ for id_ in state.by_id if id_.startswith(start))[:limit])

    def _require(self, state: State, text: str) -> Agent:
        agent = state.find(text)
        if agent is None:
            wanted = text.partition("(")[0].lower()
            known = [id_ for id_ in list(state.by_id)[:_SEARCHED] if id_.lower().startswith(wanted)][:3]
            raise UnknownAgentError(
                f"no agent {text}",
                "it was never invoked in this store, or was deleted",
                f"name one that there is, as {' or '.join(known)}" if wanted and known else "see session.agents()",
            )
        return agent

    # ---- invocations -----------------------------------------------------------------------------------------------

    def invocations(
        self,
        agent: object = None,
        key: str | None = None,
        state: str | None = None,
        method: str | None = None,
    ) -> list[InvocationInfo]:
        """All invocations that were ever accepted, in that order; read off the log. Schedules are none yet.

        Those that a revert took back, and those of deleted agents, are there too, and say so. A fork that goes on with
        its source's invocation has a row of its own, with the same `seq`.

        Args:
            agent: only those of the agents with this id, deleted ones included.
            key: only those with this idempotency key.
            state: only `pending`, `running`, `finished`, `failed` or `cancelled` ones.
            method: only those of this method.

        Raises:
            SearchError: there is no such state.
            AgentTypeError: a key or a method is no text.
        """
        rows.one_of("state", state, INVOCATION_STATES)
        arguments.words(key=key, method=method)
        upto = self.read(lambda now: now.seq)
        known = Invocations().fold(self._log.select(invocations.TELLING, upto=upto))
        return [
            info
            for info in known.rows(None if agent is None else id_text(agent))
            if (key is None or info.key == key)
            and (state is None or info.state == state)
            and (method is None or info.method == method)
        ]

    def invocation(self, agent: object, key: str) -> InvocationInfo | None:
        """The invocation of an agent that has this idempotency key, or None; looking creates nothing.

        With an ephemeral class each key has an agent of its own; it is found by the id that the call was made to.
        """
        found = self.kept(agent, key)
        if found is None:
            return None
        return invocations.told(found, {entry.seq: entry for entry in self._log.read_seqs(found.seqs())})

    def kept(self, agent: object, key: str) -> Kept | None:
        """The invocation that has a key, as the state holds it."""
        arguments.words(key=key)
        text = id_text(agent)
        return self.read(lambda state: invocations.kept_by(state, text, key))

    def schedules(self, agent: object = None) -> list[ScheduleHandle]:
        """What is scheduled and has not come, the next first; each handle can cancel.

        Args:
            agent: only what is scheduled for this agent, which may not exist yet.
        """
        target = None if agent is None else id_text(agent)

        def ask(state: State) -> list[tuple[int, int, str, str]]:
            groups = state.schedules.values() if target is None else [state.schedules.get(target, {})]
            return [(x.due, x.seq, x.target_id, x.method) for group in groups for x in group.values()]

        return [ScheduleHandle(seq, to, method, due, self) for due, seq, to, method in sorted(self.read(ask))]

    # ---- promises --------------------------------------------------------------------------------------------------

    def promises(self, state: str | None = None, agent: object = None) -> list[PromiseInfo]:
        """All promises of living agents and of cells, in the order in which they were made.

        Args:
            state: only `pending` or `completed` ones.
            agent: only those that this agent made, was given or waits for.

        Raises:
            SearchError: there is no such state.
            UnknownAgentError: no such agent.
        """
        rows.one_of("state", state, PROMISE_STATES)
        wanted = None if agent is None else id_text(agent)

        def ask(now: State) -> tuple[int, list[PromiseKey]]:
            if wanted is not None:
                self._require(now, wanted)
            return now.seq, _keys(now, state)

        upto, keys = self.read(ask)
        mentions, made = self._made(upto)
        world = self._log.salt, self.wall()
        found: list[PromiseInfo] = []
        for at in range(0, len(keys), _AT_ONCE):
            found += self.read(self._promises_question(keys[at : at + _AT_ONCE], mentions, made, world))
        if wanted is None:
            return found
        return [x for x in found if wanted == x.creator or wanted in x.holders or wanted in x.waiters]

    def promise(self, owner: int, index: int) -> PromiseInfo:
        """One promise, by the uid of who made it and the index in its oplog; for views.

        Raises:
            UnknownAgentError: it is none of a living agent.
        """
        upto = self.read(lambda now: now.seq)
        mentions, made = self._made(upto)
        world = self._log.salt, self.wall()
        found = self.read(self._promises_question([(owner, index)], mentions, made, world))
        if not found:
            raise UnknownAgentError(
                f"no promise {index} of agent {owner}",
                "who made it was deleted, or taken back to before it",
                "see session.promises()",
            )
        return found[0]

    def promise_state(self, promise_id: PromiseId) -> str:
        """`pending` or `completed`, as of now; as `wb.promise_state`.

        Raises:
            PromiseNotFound: no promise has this id.
            AgentTypeError: it is no promise id.
        """
        salt = self._log.salt
        arguments.promise_id(promise_id)
        settled = self.read(lambda state: find_promise(state, salt, promise_id).settled)
        return "completed" if settled else "pending"

    def outcome(self, uid: int) -> tuple[bool, bytes] | None:
        """How an agent's last invocation ended: whether well, and the encoded result or failure; None for never."""

        def ask(state: State) -> tuple[bool, bytes] | None:
            agent = state.agents.get(uid)
            return None if agent is None or agent.last is None else (agent.last.ok, agent.last.value)

        return self.read(ask)

    def _promises_question(
        self, keys: list[PromiseKey], mentions: Mentions, made: dict[PromiseKey, Made], world: tuple[str, int]
    ) -> Callable[[State], list[PromiseInfo]]:
        return lambda now: rows.promises(now, keys, made, Completions(now, mentions, self._defined), world)

    def _made(self, upto: int) -> tuple[Mentions, dict[PromiseKey, Made]]:
        """Who was given the ids of promises, and when those were made."""
        mentions, made = Mentions(self._log.salt), {}
        for entry in self._log.select(TELLING, mentions.mark, upto=upto):
            mentions.read(entry)
            match entry.body:
                case e.PromiseCreated(again=0):
                    made[entry.agent, entry.index] = Made(entry.wall, entry.line)
                case e.PromiseCompleted(owner=owner, promise=promise, first=True) if (owner, promise) in made:
                    made[owner, promise] = made[owner, promise]._replace(completed=entry.wall)
                case _:
                    pass
        for entry in self._log.read_seqs(mentions.unknown_callers()):
            mentions.accepted(entry)
        return mentions, made

    # ---- the log ---------------------------------------------------------------------------------------------------

    def oplog(self, agent: object, search: str | None = None) -> list[Entry]:
        """The committed entries of an agent, oldest first; a fork's begin with what it shares with its source.

        What a revert took back is left out.

        Args:
            agent: whose.
            search: only entries that this finds, as `kind:CallMade method:process not "eu west"`; see
                `workbench.questions.search`.

        Raises:
            UnknownAgentError: no such agent.
            SearchError: the search cannot be read; says where and why.
        """
        text = id_text(agent)
        if search is not None:
            parse(search)
        parts = self.read(lambda state: segments(state, self._require(state, text).uid))
        entries = self._log.read_parts(parts)
        return entries if search is None else matching(entries, search)

    def entry(self, seq: int) -> Entry | None:
        """The committed entry of this `seq`, or None."""
        arguments.entry_number(seq)
        return next(iter(self._log.read_seqs([seq])), None) if 0 < seq <= self._log.last_seq else None

    def page(self, uid: int, start: int, count: int) -> tuple[int, list[Entry]]:
        """Some of an agent's entries, by their places among those that count; for views of long oplogs.

        Args:
            uid: the agent's; deleted agents have theirs still.
            start: place of the first, from 0.
            count: how many at most.

        Returns:
            how many there are in all, and those.
        """
        parts: list[Segment] = self.read(lambda state: segments(state, uid) if uid in state.agents else [])
        wanted, at = [], 0
        for part in parts:
            length = part.last - part.first + 1
            begin, end = max(start - at, 0), min(start + count - at, length)
            if begin < end:
                wanted.append(Segment(part.uid, part.first + begin, part.first + end - 1))
            at += length
        return at, self._log.read_parts(wanted)

    def entries(self, after: int = 0, upto: int | None = None) -> Iterator[Entry]:
        """The committed entries of the whole store, in order; what reverts took back is among them.

        Args:
            after: the last `seq` that does not count.
            upto: the last `seq` that counts; None for all that is committed by now.

        Raises:
            AgentTypeError: one of them is no number of an entry.
        """
        for seq in (after, *([] if upto is None else [upto])):
            arguments.entry_number(seq)
        last = self.read(lambda now: now.seq)
        return self._log.read(after, last if upto is None else min(upto, last))

    def cut(self, agent: object, index: int) -> tuple[str, int, int]:
        """What stands against going back to an index of an agent's oplog, or forking it there.

        Returns:
            why it is refused, empty when it is not; how many entries come after it; and the newest index.

        Raises:
            UnknownAgentError: no such agent.
        """
        entries = self.oplog(agent)
        later = sum(entry.index > index for entry in entries)
        return why_no_cut(entries, index), later, entries[-1].index if entries else 0

    def sql(self, query: str, parameters: Parameters = ()) -> list[tuple[object, ...]]:
        """Run a SELECT on the store (tables `log`, `kind`, `place`; view `oplog`); read only.

        Args:
            query: one statement.
            parameters: a tuple with a value for each `?` in it, or a dict with one for each `:name`.

        Raises:
            StoreError: SQLite refuses the query; says why.
            AgentTypeError: the query is no text, or the parameters are none.
        """
        arguments.sql(query, parameters)
        self.read(lambda _: None)
        return self._log.query(query, parameters)[1]

    def export(self, path: "str | os.PathLike[str]") -> Path:
        """Copy the store into a new file, which needs no other file, while the session goes on.

        The copy holds all that was acknowledged by now. Opened with `wb.start`, its agents go on from there by
        themselves, beside those here. A session that keeps nothing (`:memory:`) becomes a store in the file.

        Returns:
            where the copy lies.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        refuse_blocking("session.export", "export in a cell, or in a plain function as a step")
        target = place_of(path)
        self.read(lambda _: None)
        self._log.export(target)
        return target

    # ---- graphs ----------------------------------------------------------------------------------------------------

    def graph(self, at: int | None = None) -> "nx.DiGraph[str]":
        """The agents as a directed graph, as of now or of an entry; deleted ones are not in it.

        Nodes are agent ids, with the root as `Session()`. Their attributes:

        - `type`: name of the class; `status`: as `session.agents()` tells it; `ephemeral`: whether for one invocation;
        - `method`: what it runs, or empty; `queued`: invocations that have not started; `finished`: those that have
          ended; `raised`: those of them that raised; `entries`: length of its oplog.

        Edges have a `kind`: `spawn` (parent to child), `fork` (source to fork, with the `cut` as oplog index), `wait`.
        Any edge along which an agent waits has also `waits_for` (what, in words), `since` (wall nanoseconds), `line`
        and `waits` (how many such waits; the other three are of the oldest).

        Args:
            at: the last entry (`seq`) that counts; None for now. The past is folded anew for it, a second for each
                100,000 entries.

        Raises:
            AgentTypeError: it is no number of an entry.
        """
        graphs.load()
        return graphs.agent_graph(self._as_of(at, lambda state: graph_rows.agent_rows(state, self._defined)))

    def _as_of(self, at: int | None, question: Callable[[State], _T]) -> _T:
        """The answer to a question asked of the state as of an entry."""
        if at is not None:
            arguments.entry_number(at)
        newest = self.read(lambda state: state.seq)
        if at is None or at >= newest:
            return self.read(question)
        return question(fold_log(State(), self._log.read(0, at), self._log))

    def fork_tree(self, at: int | None = None) -> "nx.DiGraph[str]":
        """The forks as a graph from source to fork; nodes as in `graph`, edges have the `cut` (oplog index).

        Args:
            at: the last entry (`seq`) that counts; None for now.

        A deleted agent that living forks descend from is in it, with status `exited`. Its node is named by its id, or
        `<id>#<number>` if an agent has that id again.
        """
        graphs.load()
        return graphs.fork_tree(self._as_of(at, lambda state: graph_rows.fork_rows(state, self._defined)))

    # ---- for jobs --------------------------------------------------------------------------------------------------

    def newest_run(self, agent_id: str) -> tuple[str, bytes] | None:
        """Key and encoded arguments of the newest keyed invocation of an agent; None when there is none."""

        def ask(state: State) -> tuple[str, bytes] | None:
            agent = state.find(agent_id)
            newest = None if agent is None else newest_run(agent)
            return None if newest is None else (str(newest.key), newest.args)

        return self.read(ask)


def _keys(state: State, wanted: str | None) -> list[PromiseKey]:
    keep: dict[str | None, Callable[[Any], bool]] = {
        "pending": lambda promise: not promise.settled,
        "completed": lambda promise: bool(promise.settled),
    }
    keeps = keep.get(wanted, lambda _: True)
    return [key for key, promise in state.promises.items() if keeps(promise)]
