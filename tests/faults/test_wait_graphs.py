# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""Random graphs of who waits for whom: each cycle is reported in time, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.core.nouns import Invocation
from workbench.core.state import State
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.model.failure import decode_failure, exception_of
from workbench.testing import read_log, violations

PATIENCE = 30.0
IN_TIME = 100_000_000
"""Nanoseconds in which a cycle must be reported."""


@wb.agent
class Knot:
    """Does what a plan says, one after the other; what a deadlock refuses it leaves out."""

    def __init__(self, n: int) -> None:
        self.n = n

    async def act(self, gate: wb.PromiseId, plan: list[list[Any]], pids: list[wb.PromiseId]) -> int:
        await wb.await_promise(gate)
        refused = 0
        for what, *rest in plan:
            try:
                await self._do(what, rest, pids)
            except wb.DeadlockError:
                refused += 1
            except ExceptionGroup as group:
                refused += len(group.exceptions)
        return refused

    async def _do(self, what: str, rest: list[Any], pids: list[wb.PromiseId]) -> None:
        if what == "call":
            await Knot.get(rest[0]).touch()
        elif what == "all":
            await wb.join([Knot.get(n).touch() for n in rest])
        elif what == "race":
            await wb.race([Knot.get(rest[0]).touch(), wb.await_promise(pids[rest[1]])])
        elif what == "await":
            await wb.await_promise(pids[rest[0]])
        elif what == "complete":
            wb.complete_promise(pids[rest[0]], b"")
        elif what == "trigger":
            Knot.get(rest[0]).touch.trigger()
        else:
            wb.fork()

    async def touch(self) -> int:
        return self.n


def random_plan(chance: random.Random, size: int) -> list[list[Any]]:
    """A few things to do, mostly calls."""

    def one() -> list[Any]:
        what = chance.choice(["call", "call", "call", "all", "race", "await", "complete", "trigger", "fork"])
        several = chance.sample(range(size), min(2, size)) if what == "all" else [chance.randrange(size)]
        return [what, *several, *([chance.randrange(3)] if what == "race" else [])][: 1 if what == "fork" else 3]

    plan = [one() for _ in range(chance.randint(1, 4))]
    return [[what, *(n % 3 for n in rest)] if what in {"await", "complete"} else [what, *rest] for what, *rest in plan]


def stuck(state: State) -> set[int]:
    """By brute force: all agents that can never go on, whatever the others do."""
    left = {uid for uid, agent in state.agents.items() if agent.current is not None and agent.waits}
    while True:
        free = {
            uid
            for uid in left
            if any(
                not isinstance(wait.on, Invocation) or wait.on.settled or wait.on.target not in left
                for wait in state.agents[uid].waits.values()
            )
        }
        if not free:
            return left
        left -= free


def is_deadlock(failure: bytes) -> bool:
    """Whether an encoded failure is a report of a deadlock."""
    return isinstance(exception_of(decode_failure(failure)), wb.DeadlockError)


def complaints(entries: Sequence[Entry]) -> tuple[list[str], int, int]:
    """What is wrong with the reports of deadlocks in a log; how many there were; the longest that one took."""
    state, since = State(), dict[int, int]()
    wrong, reports, longest = [], 0, 0
    opened = [x.seq for x in entries if isinstance(x.body, e.SessionStarted)]
    for x in entries:
        state.apply(x)
        body = x.body
        if isinstance(body, e.CallDelivered) and not body.ok and is_deadlock(body.value):
            reports += 1
            if x.agent not in since:
                wrong.append(f"entry {x.seq}: agent {x.agent} was refused, and was not stuck")
            else:
                longest = max(longest, x.mono - since[x.agent])
        if isinstance(body, e.CallDelivered | e.InvocationStarted):
            since.pop(x.agent, None)
        for uid in stuck(state):
            since.setdefault(uid, x.mono)
    left = stuck(state)
    wrong += [f"agents {sorted(left)} wait for each other, and nobody was told"] if left else []
    assert len(opened) == 1
    return wrong, reports, longest


@pytest.mark.parametrize(
    "seeds",
    [
        range(80),
        *(
            pytest.param(range(n, n + 500), marks=[pytest.mark.soak, pytest.mark.timeout(900)])
            for n in range(1000, 3000, 500)
        ),
    ],
)
def test_random_wait_graphs(seeds: range, tmp_path: Path) -> None:
    """In random graphs of calls, races, promises and forks every cycle is reported within 100 ms, none falsely."""
    reports = 0
    late: list[str] = []
    for seed in seeds:
        chance = random.Random(seed)
        size = chance.randint(2, 8)
        store = tmp_path / f"{seed}.db"
        with wb.start(store) as session:
            gate, pids = wb.create_promise(), [wb.create_promise() for _ in range(3)]
            for n in range(size):
                Knot.get(n).act.trigger(gate, random_plan(chance, size), pids)
            wb.complete_promise(gate, b"")
            wb.run(session.at_rest(), PATIENCE)
            for pid in pids:
                wb.complete_promise(pid, b"")
            wb.run(session.at_rest(), PATIENCE)
            assert {a.status for a in session.agents()} == {"idle"}, f"seed {seed}"
        entries = read_log(store)
        wrong, found, longest = complaints(entries)
        assert wrong + violations(entries) == [], f"seed {seed}"
        late += [f"seed {seed}: {longest / 1e6} ms"] if longest >= IN_TIME else []
        reports += found
        store.unlink()
    assert reports > len(seeds) / 4
    assert len(late) <= len(seeds) // 500, late  # one in 500, when the machine itself stands still for so long
