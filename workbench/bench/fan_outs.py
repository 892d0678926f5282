"""Workloads of many agents at once: the durable fan-out, promises, and what a live view takes from them."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.bench import durable, mailboxes
from workbench.bench.agents import BenchParent
from workbench.bench.goals import GROSS, Compare, Figures, Goal, Run, Workload
from workbench.runtime.opening import start
from workbench.runtime.running import run

WARM_UP = 50
"""Children that are called before the clock starts, on each side."""
ENOUGH = 3000
"""Things that a run does at least: of few, as many turns as that takes, of which the median counts."""
SHARE = 0.6
"""Of floor D, that is to be reached."""
MOST_GROWTH = 1.5
"""Times dearer that a child may be among very many."""
KNOWN_FAN_OUT, KNOWN_STEPS, KNOWN_PROMISES = 0.5, 0.32, 0.34
"""Measured: shares of floor D."""


def parent(number: int) -> Any:
    """A client of a fresh parent; equal numbers share children."""
    return BenchParent.get(number)  # type: ignore[attr-defined]


def ours(method: str, count: int, label: str) -> Run:
    """Ours: one parent does it all, and its result is on disk when it arrives here; things a second."""

    def measure(folder: Path) -> Figures:
        with start(folder / "ours.db"):
            run(getattr(parent(0), method)(WARM_UP))
            gc.collect()
            return {label: count / statistics.median(_timed(method, turn + 1, count) for turn in range(_turns(count)))}

    return measure


def _turns(count: int) -> int:
    return max(1, ENOUGH // count)


def _timed(method: str, number: int, count: int) -> float:
    began = time.perf_counter()
    right = run(getattr(parent(number), method)(count))
    took = time.perf_counter() - began
    assert right == count
    return took


def floor(make: Callable[[int], Awaitable[None]], count: int, label: str, turns: int = 0) -> Run:
    """A floor that keeps nothing; things a second."""

    async def timed() -> float:
        await make(WARM_UP)
        gc.collect()
        times = []
        for _ in range(turns or _turns(count)):
            began = time.perf_counter()
            await make(count)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    return lambda _folder: {label: count / asyncio.run(timed())}


def durable_floor(make: Callable[[durable.Rows, int], Awaitable[None]], count: int, label: str, turns: int = 0) -> Run:
    """A floor with its rows on disk; things a second."""

    def measure(folder: Path) -> Figures:
        rows = durable.Rows(folder / "floor.db")
        try:
            return floor(lambda n: make(rows, n), count, label, turns)(folder)
        finally:
            rows.close()

    return measure


def fan_out(sizes: Sequence[int], judged: Sequence[int]) -> Workload:
    """The durable fan-out at several sizes, and how the cost of a child grows.

    Args:
        sizes: numbers of children, in order; what a figure of the growth shows.
        judged: those of them that have a goal of their own; the largest is held against the first of these, too.
    """
    runs: list[Run] = []
    for size in sizes:
        runs += [
            ours("fan_out", size, f"ours {size}"),
            durable_floor(durable.fan_out, size, f"D {size}"),
            floor(mailboxes.fan_out, size, f"A {size}"),
        ]
    goals = [_share(f"{size:,} children", "children/s", KNOWN_FAN_OUT, f" {size}") for size in judged]
    first, last = judged[0], sizes[-1]
    goals.append(
        Goal(
            f"{last:,} against {first:,}",
            "children/s",
            f"ours {last}",
            Compare.SHARE,
            1 / MOST_GROWTH,
            f"ours {first}",
            gross=1 / MOST_GROWTH / GROSS,
        )
    )
    return Workload("fan-out", "durable fan-out and fan-in of trivial children, one identity each", runs, goals)


def _share(what: str, unit: str, known: float, size: str = "") -> Goal:
    """A goal against floor D."""
    return Goal(what, unit, f"ours{size}", Compare.SHARE, SHARE, f"D{size}", (f"A{size}",), min(SHARE, known) / GROSS)


def steps(count: int) -> Workload:
    """The fan-out to children that do a step each: its intent is on disk before it begins, its outcome after."""
    runs = [
        ours("steps", count, "ours"),
        durable_floor(durable.steps, count, "D"),
        floor(mailboxes.steps, count, "A"),
    ]
    goals = [_share(f"{count:,} children with a step", "children/s", KNOWN_STEPS)]
    return Workload("steps", "durable fan-out to children that do a trivial step each", runs, goals)


def promises(count: int) -> Workload:
    """Promises, each completed by a child that was triggered."""
    runs = [
        ours("promises", count, "ours"),
        durable_floor(durable.promises, count, "D"),
        floor(mailboxes.promises, count, "A"),
    ]
    goals = [_share(f"{count:,} promises", "promises/s", KNOWN_PROMISES)]
    return Workload("promises", "promises completed by fire-and-forget children", runs, goals)


VIEWED_TURNS = 5
"""Fan-outs that follow each other while a view looks: in a single one, most is folded after the clock has stopped."""


def view_tax(count: int) -> Workload:
    """Fan-outs with a live view, against fan-outs without."""

    def seen(folder: Path) -> Figures:
        with start(folder / "seen.db") as session:
            dashboard = session.dashboard()
            took = _timed_turns(count)
            assert len(dashboard.at().nodes) > count
            dashboard.close()
        return {"seen": count / took}

    def unseen(folder: Path) -> Figures:
        with start(folder / "unseen.db"):
            return {"unseen": count / _timed_turns(count)}

    goals = [Goal(f"{count:,} children", "children/s", "seen", Compare.SHARE, 0.95, "unseen", gross=0.95 / GROSS)]
    return Workload("view", "what a live view takes from fan-outs", [seen, unseen], goals)


def _timed_turns(count: int) -> float:
    run(parent(0).fan_out(WARM_UP))
    gc.collect()
    began = time.perf_counter()
    for turn in range(VIEWED_TURNS):
        assert run(parent(turn + 1).fan_out(count // VIEWED_TURNS)) == count // VIEWED_TURNS
    return time.perf_counter() - began
