"""Logs made by hand: what a runtime would have written, entry by entry."""

from __future__ import annotations

from workbench.core.history import facts_at
from workbench.model.entries import (
    AgentCreated,
    AgentDeleted,
    AgentForked,
    AgentInterrupted,
    AgentReverted,
    Body,
    CallDelivered,
    CallMade,
    Entry,
    InvocationFinished,
    InvocationStarted,
    PromiseAwaited,
    PromiseCompleted,
    PromiseCreated,
    PromiseDelivered,
)

BEGAN = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


class EntryLog:
    """Writes entries with consistent numbers; every entry is a millisecond after the one before it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._indices: dict[int, int] = {}
        self._ends: dict[object, int] = {}  # the entry that ended a call, or completed a promise
        self.root = self.agent("Session()", by=0)

    def put(self, agent: int, body: Body, invocation: int = 0, cause: int = 0) -> Entry:
        """Write an entry; `agent` 0 makes it the first of a new agent."""
        seq = len(self.entries) + 1
        agent = agent or seq
        self._indices[agent] = self._indices.get(agent, 0) + 1
        entry = Entry(
            seq,
            agent,
            self._indices[agent],
            cause,
            invocation,
            BEGAN + seq * MILLISECOND,
            seq * MILLISECOND,
            "lesson.py:7",
            body,
        )
        self.entries.append(entry)
        return entry

    def agent(self, agent_id: str, by: int | None = None, *, ephemeral: bool = False) -> int:
        """A new agent; returns its uid."""
        creator = self.root if by is None else by
        return self.put(0, AgentCreated(agent_id, agent_id.partition("(")[0], creator, ephemeral=ephemeral)).agent

    def call(
        self, caller: int, target: int, *, awaited: bool = True, label: str | None = None, key: str | None = None
    ) -> Entry:
        """A call or, not `awaited`, a trigger."""
        return self.put(caller, CallMade(target, "", "process", b"[]", awaited, key, label))

    def start(self, call: Entry) -> None:
        """The target begins the invocation."""
        assert isinstance(call.body, CallMade)
        self.put(call.body.target, InvocationStarted(call.body.method, b"[]", call.body.label), call.seq)

    def finish(self, call: Entry, *, ok: bool = True) -> None:
        """The invocation ends; nobody has been told yet."""
        assert isinstance(call.body, CallMade)
        body = InvocationFinished(ok, b"result" if ok else b"boom")
        self._ends[call.seq] = self.put(call.body.target, body, call.seq).seq

    def deliver(self, call: Entry, *, ok: bool = True) -> None:
        """The caller is told."""
        self.put(call.agent, CallDelivered(call.index, ok, b"result"), cause=self._ends.get(call.seq, 0))

    def work(self, caller: int, agent_id: str) -> Entry:
        """A new child with an invocation under way; returns the call."""
        call = self.call(caller, self.agent(agent_id, by=caller))
        self.start(call)
        return call

    def promise(self, owner: int) -> int:
        """A new promise; returns its index."""
        return self.put(owner, PromiseCreated()).index

    def await_promise(self, waiter: int, owner: int, promise: int) -> Entry:
        """Somebody waits for it."""
        return self.put(waiter, PromiseAwaited(owner, promise))

    def complete(self, completer: int, owner: int, promise: int, *, first: bool = True) -> None:
        """Somebody completes it."""
        self._ends[owner, promise] = self.put(completer, PromiseCompleted(owner, promise, b"", first)).seq

    def give(self, wait: Entry) -> None:
        """The payload reaches who waited."""
        body = wait.body
        assert isinstance(body, PromiseAwaited)
        cause = self._ends.get((body.owner, body.promise), 0)
        self.put(wait.agent, PromiseDelivered(wait.index, b""), cause=cause)

    def index(self, agent: int) -> int:
        """Of the agent's newest entry."""
        return self._indices[agent]

    def interrupt(self, agent: int) -> None:
        """It stands still."""
        self.put(agent, AgentInterrupted(b"interrupted"))

    def delete(self, agent: int) -> None:
        """Its life ends."""
        self.put(agent, AgentDeleted(b"deleted"))

    def revert(self, agent: int, last: int, *, region: int = 0) -> None:
        """It goes back to an index of its oplog, as `history.facts_at` tells of it."""
        facts = facts_at([entry for entry in self.entries if entry.agent == agent], last)
        self.put(agent, AgentReverted(last, facts, b"reverted", region))

    def fork_at(self, source: int, agent_id: str, cut: int) -> int:
        """A fork from outside, at an index of the source's oplog; returns its uid."""
        facts = facts_at([entry for entry in self.entries if entry.agent == source], cut)
        uid = self.put(0, AgentForked(agent_id, source, cut, inside=False, facts=facts)).agent
        self._indices[uid] = cut + 1
        return uid

    def fork(self, source: int, agent_id: str, *, inside: bool = True) -> int:
        """A fork at the source's newest entry; returns its uid."""
        cut = self._indices[source]
        uid = self.put(0, AgentForked(agent_id, source, cut, inside)).agent
        self._indices[uid] = cut + 1
        return uid


def fan_out(
    children: int, *, done: int = 0, failed: int = 0, coordinator: str = "Coordinator()", name: str = "Worker({})"
) -> EntryLog:
    """One coordinator with children at work: the first `done` ended well, the next `failed` raised."""
    log = EntryLog()
    top = log.work(log.root, coordinator)
    assert isinstance(top.body, CallMade)
    calls = [log.work(top.body.target, name.format(i)) for i in range(children)]
    for i, call in enumerate(calls[: done + failed]):
        log.finish(call, ok=i < done)
        log.deliver(call, ok=i < done)
    return log
