"""What the children of the replay tests do; see `workbench.testing.Launcher`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import workbench as wb
from tests.replay.corpus import PROGRAMS
from workbench.core.lineage import Cursor
from workbench.model.entries import ROLES, AgentCreated, AgentForked, Entry, Role
from workbench.runtime.client import client_of
from workbench.testing import SimulatedClock, dump, finest_turns, rebuild_all
from workbench.testing.channel import Channel
from workbench.testing.effects import effects_go_to
from workbench.testing.inspecting import objects_of


def finish(channel: Channel, *, program: str, store: str, seed: str) -> dict[str, Any]:
    """Run a program in the finest turns, and note after which entries a batch could have ended."""
    finest_turns()
    effects_go_to(Path(f"{store}.effects"))
    session = wb.start(store, clock=SimulatedClock(seed))
    thread, ends = session.thread, set()
    flush = thread.journal.flush

    def flush_and_note() -> None:
        ends.add(thread.state.seq)
        flush()

    thread.journal.flush = flush_and_note  # type: ignore[method-assign]
    result = PROGRAMS[program](channel.tell)
    wb.run(session.at_rest())
    objects = objects_of(session)
    session.close()
    return {"result": result, "objects": objects, "ends": sorted(ends)}


def rebuild(channel: Channel, *, store: str, seed: str, hints: bool = True) -> dict[str, Any]:
    """Rebuild every agent of a finished store by replay, then ask each that can tell what it has seen."""
    effects_go_to(Path(f"{store}.effects"))
    if not hints:
        hide_hints()
    session = wb.start(store, clock=SimulatedClock(seed))
    wb.run(session.at_rest())
    before = session.feed.committed
    failed = rebuild_all(session)
    wb.run(session.at_rest())
    objects = objects_of(session)
    added = [entry.kind for entry in session.feed.read(before)]
    seen = {}
    for agent_id in objects:
        if "seen" in client_of(agent_id)._type.methods:
            seen[agent_id] = wb.run(client_of(agent_id).seen())
    session.close()
    return {"failed": failed, "objects": objects, "added": added, "seen": seen}


def hide_hints() -> None:
    """For this process: replay sees no hint, but for the first entry of an oplog or a fork, which is its frame."""
    begin = Cursor.__init__

    def without_hints(self: Cursor, entries: Sequence[Entry], forked: Collection[tuple[int, int]] = ()) -> None:
        kept = [
            x for x in entries if ROLES[type(x.body)] is not Role.HINT or isinstance(x.body, AgentCreated | AgentForked)
        ]
        begin(self, kept, forked)

    Cursor.__init__ = without_hints  # type: ignore[method-assign]


def resume(channel: Channel, *, program: str, store: str, seed: str) -> dict[str, Any]:
    """Open a store that was cut, let it come to rest, run the program again."""
    effects_go_to(Path(f"{store}.effects"))
    session = wb.start(store, clock=SimulatedClock(seed))
    wb.run(session.at_rest())
    result = PROGRAMS[program](channel.tell)
    wb.run(session.at_rest())
    failures = [a.agent_id for a in session.agents() if a.status == "failed"]
    objects = objects_of(session)
    session.close()
    return {"result": result, "failures": failures, "objects": objects}


def state_of(channel: Channel, *, store: str, seed: str) -> str:
    """Open a store and leave it; the folded state as text."""
    session = wb.start(store, clock=SimulatedClock(seed))
    wb.run(session.at_rest())
    text = session.thread.ask(lambda: repr(dump(session.thread.state))).result()
    session.close()
    return str(text)
