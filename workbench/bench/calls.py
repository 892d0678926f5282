"""Workloads of one call at a time, and of forks from a history."""

import asyncio
import gc
import statistics
import time
from pathlib import Path
from typing import Any

from workbench.bench import durable, mailboxes
from workbench.bench.agents import BenchChild, BenchForker
from workbench.bench.fan_outs import durable_floor, floor, ours
from workbench.bench.goals import GROSS, Compare, Figures, Goal, Workload
from workbench.runtime.opening import start
from workbench.runtime.running import run

KNOWN_CALLS = 6.0
"""Measured: times the mailbox call."""
KNOWN_FORKS = 0.05
"""Measured: share of the floor's forks a second."""

BY_HAND = 30
"""Calls of floor D, with four commits each: it is as slow as the disk."""


def calls(count: int) -> Workload:
    """Durable calls from agent to agent, one after the other; the commits go on beside them."""

    def micros(figures: Figures) -> Figures:
        return {name: 1e6 / rate for name, rate in figures.items()}

    runs = [
        lambda folder: micros(ours("calls", count, "ours")(folder)),
        lambda folder: micros(durable_floor(durable.calls, BY_HAND, "D", 1)(folder)),
        lambda folder: micros(floor(mailboxes.calls, count, "A")(folder)),
    ]
    goals = [Goal("many, in a row", "µs/call", "ours", Compare.TIMES, 4, "A", ("D",), KNOWN_CALLS * GROSS)]
    return Workload("calls", "durable calls from agent to agent, each after the answer to the one before", runs, goals)


def alone(count: int) -> Workload:
    """A durable call from outside, with nothing else going on, against one transaction with its four rows."""

    def call(folder: Path) -> Figures:
        with start(folder / "ours.db"):
            child: Any = BenchChild.get(0)  # type: ignore[attr-defined]
            run(child.process("x"))
            return {"ours": _median_micros(lambda: run(child.process("x")), count)}

    def commit(folder: Path) -> Figures:
        rows = durable.Rows(folder / "floor.db")
        try:
            group = [
                (1, 1, durable.SENT, b"item"),
                (1, 2, durable.INVOKED, b""),
                (1, 3, durable.DONE, b""),
                (1, 4, durable.RESULT, b""),
            ]
            rows.commit(group)
            return {"commit": _median_micros(lambda: rows.commit(group), count)}
        finally:
            rows.close()

    goals = [Goal("alone", "µs/call", "ours", Compare.BEYOND, 100, "commit")]
    return Workload("alone", "one durable call at a time from outside", [call, commit], goals)


def _median_micros(action: Any, count: int) -> float:
    gc.collect()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


FORKS_EACH = 10
"""Forks made from one agent: each fork's history holds those before it, which shall not count much."""


def forks(count: int, steps: int) -> Workload:
    """Forks inside agents with a history; each fork rebuilds that history, and ends."""

    def fork(folder: Path) -> Figures:
        with start(folder / "ours.db") as session:
            sources: list[Any] = [BenchForker.get(i) for i in range(count // FORKS_EACH)]  # type: ignore[attr-defined]
            totals = [run(source.history(steps)) for source in sources]
            entries = session.feed.committed
            gc.collect()
            began = time.perf_counter()
            for source in sources:
                source.fork_off.trigger(FORKS_EACH)
            run(session.at_rest())
            took = time.perf_counter() - began
            written = session.feed.committed - entries - 3 * len(sources)
            ended = [a for a in session.agents() if a.forked_from and a.status == "idle" and a.finished]
            assert len(ended) == count
            assert run(session.result(ended[-1].agent_id)) == totals[-1]
        return {"ours": count / took, "entries": written / count}

    def reference(folder: Path) -> Figures:
        rows = durable.Rows(folder / "floor.db", indexed=True)
        try:
            began = time.perf_counter()
            asyncio.run(durable.forks(rows, count, steps))
            return {"D": count / (time.perf_counter() - began)}
        finally:
            rows.close()

    goals = [
        Goal(f"of a {steps}-step history", "forks/s", "ours", Compare.AT_LEAST, 1000, "D", gross=KNOWN_FORKS / GROSS),
        Goal("written for a fork, to its end", "entries", "entries", Compare.AT_MOST, 4, gross=4 * GROSS),
    ]
    return Workload(
        "forks", "forks by reference, each rebuilt from its history and run to its end", [fork, reference], goals
    )
