"""All invocations that there ever were, read off the log: what the state keeps only while it is of use.

A fold like the state's, of the few kinds that tell of invocations and by the same rules: who joins a key, what a delete
or a failure ends, what a revert takes back. An invocation is known by its agent and the `seq` of its acceptance; a fork
goes on with its source's under the same `seq`, so it has a row of its own.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from workbench.core import decisions
from workbench.core.ephemeral import keyed_phantom
from workbench.core.nouns import Invocation
from workbench.core.state import State
from workbench.errors import AgentIdError, StoreCorruptError
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.description import failure_line
from workbench.model.entries import Body, Entry
from workbench.questions.rows import moment

INVOCATION_STATES: Final = ("pending", "running", "finished", "failed", "cancelled")

TELLING: Final[tuple[type[Body], ...]] = (
    e.AgentCreated,
    e.AgentForked,
    e.AgentFailed,
    e.AgentDeleted,
    e.AgentReverted,
    e.CallMade,
    e.CallScheduled,
    e.ScheduleFired,
    e.InvocationStarted,
    e.InvocationFinished,
    e.InvocationCancelled,
)
"""The kinds to read."""


class InvocationInfo(NamedTuple):
    """What `session.invocations()` tells of an invocation.

    Attributes:
        seq: of the entry that accepted it.
        agent_id: text of the id of the agent that it was asked of.
        method: the method's name.
        state: `pending`, `running`, `finished`, `failed` (it raised, or ended with its agent) or `cancelled`.
        key: its idempotency key, or None.
        label: the name that the caller gave it, or None.
        caller: text of the caller's id; `Session()` for cells.
        line: where the call was made, `file:line`.
        accepted: when; `started` and `ended` likewise, None for not yet.
        how: `call`, `trigger`, `schedule`, or `fork`: the fork goes on with its source's invocation.
        error: of a failed one, as `ValueError: text`.
        reverted: its agent was reverted to before its start.
        deleted: its agent was deleted; an agent of that id is another one now.
    """

    seq: int
    agent_id: str
    method: str
    state: str
    key: str | None
    label: str | None
    caller: str
    line: str
    accepted: datetime
    started: datetime | None
    ended: datetime | None
    how: str
    error: str
    reverted: bool
    deleted: bool

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it has not ended, or when it never began."""
        return (self.ended - self.started).total_seconds() if self.ended and self.started else None


class Fate(NamedTuple):
    """How an invocation ended: the `seq` of the entry that ended it, and of a revert that took it back; 0 for none."""

    ended: int
    reverted: int


class _Row(msgspec.Struct, gc=False, eq=False):
    seq: int
    uid: int
    method: str
    key: str | None
    label: str | None
    caller: int
    line: str
    how: str
    accepted: int
    state: str = "pending"
    began: int = 0
    """`seq` of its start."""
    started: int = 0
    ended: int = 0
    error: bytes = b""
    by: int = 0
    """`seq` of its end."""
    reverted: int = 0
    """`seq` of the revert that took it back."""


class Invocations:
    """The fold. `read` entries of the kinds in `TELLING` in order; others are passed over."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._sources: dict[int, int] = {}
        self._rows: dict[int, dict[int, _Row]] = {}
        """By uid of the agent, then by `seq` of the acceptance."""
        self._open: dict[int, dict[int, _Row]] = {}
        """Those that have not started, likewise."""
        self._current: dict[int, _Row] = {}
        self._keys: dict[int, dict[str, _Row]] = {}
        self._failed: dict[int, bytes] = {}
        self._deleted: set[int] = set()
        self._plans: dict[int, Entry] = {}

    def fold(self, entries: Iterable[Entry]) -> "Invocations":
        """Read many; returns itself.

        Raises:
            StoreCorruptError: one goes on with what none before it began: no session wrote them.
        """
        for entry in entries:
            try:
                self.read(entry)
            except KeyError as error:
                raise StoreCorruptError(
                    f"entry {entry.seq} does not follow from those before it",
                    f"it goes on with {error!s:.40}, which was never begun",
                    "restore a copy of the store",
                ) from error
        return self

    def read(self, entry: Entry) -> None:
        """Read one entry."""
        body, uid = entry.body, entry.agent
        match body:
            case e.CallMade(target=target, method=method, key=key, label=label, awaited=awaited):
                how = "call" if awaited else "trigger"
                row = _Row(entry.seq, target, method, key, label, uid, entry.line, how, entry.wall)
                self._accept(row, entry)
            case e.InvocationStarted():
                row = self._open[uid].pop(entry.invocation)
                row.state, row.began, row.started = "running", entry.seq, entry.wall
                self._current[uid] = row
            case e.InvocationFinished(ok=ok, value=value):
                self._end(self._current.pop(uid), entry, "finished" if ok else "failed", b"" if ok else value)
            case e.CallScheduled():
                self._plans[entry.seq] = entry
            case e.ScheduleFired(schedule=schedule):
                self._fire(self._plans.pop(schedule), entry)
            case e.InvocationCancelled(invocation=invocation, failure=failure):
                self._cancel(self._open.get(uid, {}).pop(invocation, None), entry, failure)
            case e.AgentCreated(agent_id=agent_id):
                self._names[uid] = agent_id
            case e.AgentForked():
                self._fork(entry, body)
            case e.AgentReverted(facts=facts, failure=failure):
                self._revert(entry, facts, failure)
            case e.AgentFailed(failure=failure):
                self._failed[uid] = failure
                self._end_all(entry, failure)
            case e.AgentDeleted(failure=failure):
                self._deleted.add(uid)
                self._end_all(entry, failure)
            case _:
                pass

    def _accept(self, row: _Row, entry: Entry) -> None:
        uid, key = row.uid, row.key
        if key is not None:
            keys = self._keys.setdefault(uid, {})
            if key in keys:
                return  # it joins that one
            keys[key] = row
        self._rows.setdefault(uid, {})[row.seq] = row
        if uid in self._failed:
            self._end(row, entry, "failed", self._failed[uid])
        else:
            self._open.setdefault(uid, {})[row.seq] = row

    def _fire(self, plan: Entry, entry: Entry) -> None:
        body = plan.body
        if isinstance(body, e.CallScheduled):
            row = _Row(
                entry.seq, entry.agent, body.method, body.key, body.label, plan.agent, plan.line, "schedule", entry.wall
            )
            self._accept(row, entry)

    def _cancel(self, row: _Row | None, entry: Entry, failure: bytes) -> None:
        if row is not None:
            self._end(row, entry, "cancelled", failure)
            if row.key is not None:
                self._keys.get(entry.agent, {}).pop(row.key, None)

    def _end(self, row: _Row, entry: Entry, state: str, error: bytes) -> None:
        row.state, row.ended, row.error, row.by = state, entry.wall, error, entry.seq

    def _end_all(self, entry: Entry, failure: bytes) -> None:
        """What an agent ran and had accepted fails with it."""
        current = self._current.pop(entry.agent, None)
        for row in (*([current] if current is not None else ()), *self._open.pop(entry.agent, {}).values()):
            self._end(row, entry, "failed", failure)

    def _fork(self, entry: Entry, body: e.AgentForked) -> None:
        self._names[entry.agent], self._sources[entry.agent] = body.agent_id, body.source
        if body.facts is None:
            current = self._current.get(body.source)
            if current is not None:
                self._go_on(current, entry)
        elif body.facts.invocation:
            row = self._known(body.source, body.facts, entry)
            self._go_on(msgspec.structs.replace(row, key=None), entry)

    def _go_on(self, row: _Row, entry: Entry) -> None:
        """A fork goes on with what its source ran."""
        own = msgspec.structs.replace(row, uid=entry.agent, how="fork")
        self._reopen(own)
        self._rows.setdefault(entry.agent, {})[own.seq] = own
        self._current[entry.agent] = own

    def _known(self, uid: int, facts: e.Facts, entry: Entry) -> _Row:
        """The invocation that was under way at an index, as it or its source has it, or else made of the facts."""
        at: int | None = uid
        while at is not None:
            row = self._rows.get(at, {}).get(facts.invocation)
            if row is not None:
                return row
            at = self._sources.get(at)
        row = _Row(facts.invocation, uid, facts.method, None, facts.label, 0, "", "fork", entry.wall)
        row.began, row.started = facts.started, entry.wall
        return row

    def _revert(self, entry: Entry, facts: e.Facts, failure: bytes) -> None:
        uid = entry.agent
        current = self._current.pop(uid, None)
        if current is not None and current.seq != facts.invocation:
            self._end(current, entry, "failed", failure)
        queued = self._open.get(uid, {})
        keys = self._keys.get(uid, {})
        for key, row in tuple(keys.items()):
            if (row.began > facts.seq or (row.ended and not row.began)) and row.seq not in queued:
                del keys[key]
        for row in self._rows.get(uid, {}).values():
            row.reverted = row.reverted or entry.seq * (row.began > facts.seq)
        if facts.invocation:
            row = self._known(uid, facts, entry)
            if row.uid != uid:
                row = msgspec.structs.replace(row, uid=uid, how="fork")
            self._rows.setdefault(uid, {})[row.seq] = self._current[uid] = row
            self._reopen(row)
            if row is not current and row not in keys.values():
                row.key = None
            elif row.key is not None and uid in self._keys:
                keys[row.key] = row
        self._failed.pop(uid, None)

    def _reopen(self, row: _Row) -> None:
        """It is under way again, or in a fork for the first time."""
        row.state, row.ended, row.error, row.by, row.reverted = "running", 0, b"", 0, 0

    def fate(self, uid: int, seq: int) -> Fate:
        """How the invocation that an agent accepted with this entry ended there."""
        row = self._rows.get(uid, {}).get(seq)
        return Fate(0, 0) if row is None else Fate(row.by, row.reverted)

    def rows(self, agent: str | None = None) -> list[InvocationInfo]:
        """All of them, in the order of acceptance, or those of the agents of one id."""
        found = [
            row
            for uid, rows in self._rows.items()
            if agent is None or self._names.get(uid) == agent
            for row in rows.values()
        ]
        found.sort(key=lambda row: (row.seq, row.uid))
        return [self._info(row) for row in found]

    def _info(self, row: _Row) -> InvocationInfo:
        return InvocationInfo(
            row.seq,
            self._names.get(row.uid, ""),
            row.method,
            row.state,
            row.key,
            row.label,
            self._names.get(row.caller, ""),
            row.line,
            moment(row.accepted),
            moment(row.started) if row.started else None,
            moment(row.ended) if row.ended else None,
            row.how,
            failure_line(row.error) if row.error else "",
            bool(row.reverted),
            row.uid in self._deleted,
        )


# ---- one, by its key -------------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """An invocation that the state has kept for its key, with the names of its agent and caller."""

    agent_id: str
    caller: str
    invocation: Invocation

    def seqs(self) -> list[int]:
        """The entries that tell when it was accepted, started and ended."""
        found = self.invocation
        return sorted({seq for seq in (found.seq, found.started, found.settled) if seq})


def kept_by(state: State, text: str, key: str) -> Kept | None:
    """As `kept`, of the agent whose id this text is; None for one that is no id."""
    try:
        agent_id = AgentId.parse(text)
    except AgentIdError:
        return None
    return kept(state, agent_id, key)


def kept(state: State, agent_id: AgentId, key: str) -> Kept | None:
    """The invocation of an agent, or of an ephemeral one's agent for this key, that has the key; None for none."""
    found = decisions.find_key(state, agent_id.text, key)
    if found is None:
        phantom = state.find(keyed_phantom(agent_id, key).text)
        if phantom is None or not phantom.ephemeral:
            return None
        found = decisions.find_key(state, phantom.text, key)
    if found is None:
        return None
    caller = state.agents.get(found.caller)
    invocation = msgspec.structs.replace(found, waiters=None)  # goes to another thread, so as it is now
    return Kept(state.agents[found.target].text, caller.text if caller is not None else "", invocation)


def told(one: Kept, entries: Mapping[int, Entry]) -> InvocationInfo:
    """The row of such an invocation.

    Args:
        one: the invocation.
        entries: those that `Kept.seqs` names, by `seq`.
    """
    found = one.invocation
    accepted = entries[found.seq].body if found.seq in entries else None
    how = "call" if isinstance(accepted, e.CallMade) and accepted.awaited else "trigger"
    state = "pending"
    if found.settled:
        state = "finished" if found.ok else "failed"
    elif found.started:
        state = "running"
    return InvocationInfo(
        found.seq,
        one.agent_id,
        found.method,
        state,
        found.key,
        found.label,
        one.caller,
        found.line,
        moment(found.accepted_wall),
        moment(entries[found.started].wall) if found.started in entries else None,
        moment(entries[found.settled].wall) if found.settled in entries else None,
        "schedule" if isinstance(accepted, e.ScheduleFired) else how,
        failure_line(found.value) if state == "failed" else "",
        reverted=False,
        deleted=False,
    )
