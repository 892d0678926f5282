# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103 - a check's name says what it demands
"""Small checks, each of one thing that a row of faults claims: what it complains of, or nothing. See `plants`."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import workbench as wb
from tests.behaviour.test_deadlock import Node
from tests.replay.corpus import Child, Tell, once
from tests.replay.lives import Actor, Diarist
from workbench.model import entries as e
from workbench.store.log import SqliteLog
from workbench.testing import SimulatedClock, note_effect, read_log, rebuild_all, violations
from workbench.testing.channel import Channel, resolve
from workbench.testing.effects import effects_go_to, read_effects
from workbench.testing.inspecting import objects_of
from workbench.views.tables import agents_table

PATIENCE = 5.0


@wb.agent
class Busy:
    """Does a bit of all that a planted bug may spoil."""

    def __init__(self, n: int = 0) -> None:
        self.n = n
        self.seen: list[Any] = []

    async def note(self, x: int) -> list[Any]:
        self.seen.append(x)
        return self.seen

    async def wait_then_note(self, pid: wb.PromiseId) -> None:
        self.seen.append((await wb.await_promise(pid)).decode())

    async def nap(self, seconds: float) -> float:
        begun = wb.now()
        await asyncio.sleep(seconds)
        return (wb.now() - begun).total_seconds()

    async def say(self) -> str:
        print("said once")  # noqa: T201
        await asyncio.sleep(1)
        return "said"

    async def act(self, name: str) -> str:
        return str(await wb.step(act, name))

    async def fork_in_step(self) -> str:
        work = asyncio.ensure_future(wb.step(act_later, "forked"))
        await asyncio.sleep(0)
        wb.fork()
        return str(await work)

    async def fan(self, n: int) -> int:
        return sum(await wb.join([Child.get("fan", k).work(k) for k in range(n)]))


async def act_later(name: str) -> str:
    await asyncio.sleep(0.05)
    return act(name)


def act(name: str) -> str:
    note_effect(name)
    return f"did {name}"


# ---- programs for a crash sweep ----------------------------------------------------------------------------------


def first_payload(tell: Tell) -> object:
    """Complete a promise with something new in each process, and tell what stands."""
    pid = once(Offer.get().make)
    mine = os.urandom(8).hex()
    won = wb.complete_promise(pid, mine)
    tell("payload", mine if won else wb.run(wb.await_promise(pid), timeout=PATIENCE).decode())
    return 1


@wb.agent
class Offer:
    async def make(self) -> wb.PromiseId:
        return wb.create_promise()


def draws(tell: Tell) -> object:
    """Tell what an agent drew."""
    for n in range(2):
        tell(f"drawn {n}", wb.run(Drawn.get().draw.with_options(key=f"{n}")(), timeout=PATIENCE))
    return 1


@wb.agent
class Drawn:
    async def draw(self) -> str:
        return str(wb.uuid4())


def one_step(tell: Tell) -> object:
    tell("step", once(Busy.get(1).act, "one"))
    return 1


def keyed(tell: Tell) -> object:
    return once(Busy.get(2).note, 1)


# ---- checks in one process ----------------------------------------------------------------------------------------


def check(channel: Channel, *, name: str, store: str, plant: str) -> list[str]:
    """Plant a bug, if one is named, and make a check."""
    if plant:
        resolve(plant)()
    effects_go_to(Path(f"{store}.effects"))
    session = wb.start(store, clock=SimulatedClock(1))
    try:
        found = globals()[name](session)
        if not session.closed:
            wb.run(session.at_rest(), PATIENCE)
    except TimeoutError:
        found = ["it hangs"]
    session.close()
    return [*found, *violations(read_log(store))] if name != "changes_are_noticed" else found


def order_of_the_queue(session: wb.Session) -> list[str]:
    pid = wb.create_promise()
    Busy.get().wait_then_note.trigger(pid)
    for n in range(4):
        Busy.get().note.trigger(n)
    wb.run(session.at_rest(), PATIENCE)
    wb.complete_promise(pid, b"go")
    wb.run(session.at_rest(), PATIENCE)
    return []  # the judge says


def commits_are_synced(session: wb.Session) -> list[str]:
    log = session._log
    assert isinstance(log, SqliteLog)
    level = log._db.execute("PRAGMA synchronous").fetchone()[0]
    return [] if level == 2 else [f"PRAGMA synchronous is {level}: a power cut loses what was acknowledged"]


def changes_are_noticed(session: wb.Session) -> list[str]:
    wb.run(Busy.get().note(1), PATIENCE)
    session.close()
    db = sqlite3.connect(session.path)
    db.execute("UPDATE log SET wall = wall + 1 WHERE seq = 4")
    db.commit()
    db.close()
    try:
        read_log(session.path)
    except wb.StoreCorruptError:
        return []
    return ["an entry was changed, and nobody noticed"]


def promises_complete_once(session: wb.Session) -> list[str]:
    pid = wb.create_promise()
    answers = [wb.complete_promise(pid, str(n)) for n in range(3)]
    return [] if answers == [True, False, False] else [f"completions answered {answers}"]


def timers_are_due(session: wb.Session) -> list[str]:
    """No timer fires before it is due, and they fire in the order of their times."""

    async def cell() -> list[float]:
        return list(await asyncio.gather(*(Busy.get(n).nap(n) for n in range(1, 6))))

    wb.run(cell(), PATIENCE)
    due: dict[tuple[int, int], int] = {}
    wrong, last = [], 0
    for x in session.feed.read(0):
        if isinstance(x.body, e.TimerSet):
            due[x.agent, x.index] = x.body.due
        elif isinstance(x.body, e.TimerFired):
            wanted = due[x.agent, x.body.op]
            wrong += [f"entry {x.seq}: a timer fired early"] if x.wall < wanted else []
            wrong += [f"entry {x.seq}: timers fired out of order"] if wanted < last else []
            last = wanted
    return wrong


def replay_is_silent(session: wb.Session) -> list[str]:
    wb.run(Busy.get().say(), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    before = session.feed.committed
    session.simulate_crash()
    rebuild_all(session)
    wb.run(session.at_rest(), PATIENCE)
    added = [x.kind for x in session.feed.read(before)]
    return [f"replay added {kind}" for kind in added if kind != "SessionStarted"]


def forks_join_what_is_open(session: wb.Session) -> list[str]:
    wb.run(Busy.get().fork_in_step(), PATIENCE)
    wb.run(session.at_rest(), PATIENCE)
    done = read_effects(Path(f"{session.path}.effects"))
    return [] if done == ["forked"] else [f"one step, done so often: {done}"]


def nothing_is_lost(session: wb.Session) -> list[str]:
    total = wb.run(Busy.get().fan(4), PATIENCE)
    return [] if total == 14 else [f"came to {total}"]


def names_are_text(session: wb.Session) -> list[str]:
    wb.run(Child.get("<script>alert(1)</script>").work(1), PATIENCE)
    page = agents_table(session.agents())._repr_html_()
    return ["a name is markup on the page"] if "<script" in page else []


def reverts_go_where_they_should(session: wb.Session) -> list[str]:
    for n in (1, 2, 4):
        wb.run(Actor.get("r").add(n), PATIENCE)
    wb.run(Actor.get("r").revert(invocations=1), PATIENCE)
    total = wb.run(Actor.get("r").state(), PATIENCE)[0]
    return [] if total == 3 else [f"after a revert of one invocation the total is {total}"]


def snapshots_are_true(session: wb.Session) -> list[str]:
    for page in ("one", "two", "three", "four"):
        wb.run(Diarist.get("d").write(page), PATIENCE)
    before = objects_of(session)
    session.simulate_crash()
    rebuild_all(session)
    after = objects_of(session)
    return [] if before == after else [f"was {before}, is {after}"]


def cycles_are_refused(session: wb.Session) -> list[str]:
    plan = {0: [[1, "await"]], 1: [[2, "await"]], 2: [[0, "await"]]}
    try:
        wb.run(Node.get(0).visit(plan), 1.0)
    except wb.DeadlockError:
        return []
    except TimeoutError:
        return ["a cycle was not reported"]
    return ["a cycle came to an end"]


def only_cycles_are_refused(session: wb.Session) -> list[str]:
    plan = {0: [[1, "await"]], 1: [[2, "await"]], 2: [[3, "await"]]}
    gate = wb.create_promise()
    chain = Node.get(1).visit
    chain.trigger({}, gate)
    wb.run(session.at_rest(), PATIENCE)
    Node.get(0).visit.with_options(key="k").trigger(plan)
    wb.run(session.at_rest(), PATIENCE)
    wb.complete_promise(gate, b"")
    try:
        wb.run(Node.get(0).visit.with_options(key="k")(plan), PATIENCE)
    except wb.DeadlockError:
        return ["a deadlock was reported where there was none"]
    return []
