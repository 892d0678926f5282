"""Workloads of many agents at once: the durable fan-out, promises, and what a live view takes from them."""

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.bench import durable, mailboxes
from workbench.bench.agents import BenchParent
from workbench.bench.goals import Compare, Figures, Goal, Run, Workload
from workbench.bench.processes import python_json
from workbench.runtime.opening import start
from workbench.runtime.running import run

WARM_UP = 50
"""Children that are called before the clock starts, on each side."""
GROSS = 0.1
"""Share of floor D below which something is broken."""


def parent(number: int) -> Any:
    """A client of a fresh parent; equal numbers share children."""
    return BenchParent.get(number)  # type: ignore[attr-defined]


def ours(method: str, count: int, label: str) -> Run:
    """Ours: one parent does it all, and its result is on disk when it arrives here; things a second."""

    def measure(folder: Path) -> Figures:
        with start(folder / "ours.db"):
            return {label: count / _timed(method, count)}

    return measure


def _timed(method: str, count: int) -> float:
    run(getattr(parent(0), method)(WARM_UP))
    gc.collect()
    began = time.perf_counter()
    right = run(getattr(parent(1), method)(count))
    took = time.perf_counter() - began
    assert right == count
    return took


def floor(make: Callable[[int], Awaitable[None]], count: int, label: str) -> Run:
    """A floor that keeps nothing; things a second."""

    async def timed() -> float:
        await make(WARM_UP)
        gc.collect()
        began = time.perf_counter()
        await make(count)
        return time.perf_counter() - began

    return lambda _folder: {label: count / asyncio.run(timed())}


def durable_floor(make: Callable[[durable.Rows, int], Awaitable[None]], count: int, label: str) -> Run:
    """A floor with its rows on disk; things a second."""

    def measure(folder: Path) -> Figures:
        rows = durable.Rows(folder / "floor.db")
        try:
            return floor(lambda n: make(rows, n), count, label)(folder)
        finally:
            rows.close()

    return measure


def fan_out(sizes: Sequence[int]) -> Workload:
    """The durable fan-out at several sizes, and how the cost of a child grows."""
    runs: list[Run] = []
    goals = []
    for size in sizes:
        runs += [
            ours("fan_out", size, f"ours {size}"),
            durable_floor(durable.fan_out, size, f"D {size}"),
            floor(mailboxes.fan_out, size, f"A {size}"),
        ]
        goals.append(
            Goal(
                f"{size:,} children",
                "children/s",
                f"ours {size}",
                Compare.SHARE,
                0.6,
                f"D {size}",
                (f"A {size}",),
                GROSS,
            )
        )
    first, last = f"ours {sizes[0]}", f"ours {sizes[-1]}"
    goals.append(Goal(f"{sizes[-1]:,} against {sizes[0]:,}", "children/s", last, Compare.SHARE, 1 / 1.5, first))
    return Workload("fan-out", "durable fan-out and fan-in of trivial children, one identity each", runs, goals)


def large(count: int) -> Workload:
    """Very many agents, in a fresh process for the memory's sake; the floors in this one."""
    from_process = _in_process(count)
    goals = [
        Goal(f"{count:,} children", "children/s", "ours", Compare.SHARE, 0.6, "D", ("A",), GROSS),
        Goal(f"{count:,} against 1,000", "children/s", "ours", Compare.SHARE, 1 / 1.5, "ours 1000"),
        Goal("memory of it all", "MB", "megabytes", Compare.AT_MOST, 1500),
    ]
    runs = [
        from_process,
        ours("fan_out", 1000, "ours 1000"),
        durable_floor(durable.fan_out, count, "D"),
        floor(mailboxes.fan_out, count, "A"),
    ]
    return Workload("large", "the fan-out at its largest", runs, goals)


def _in_process(count: int) -> Run:
    return lambda folder: python_json(folder, "-m", "workbench.bench.fan_outs", str(folder / "ours.db"), str(count))


def promises(count: int) -> Workload:
    """Promises, each completed by a child that was triggered."""
    runs = [
        ours("promises", count, "ours"),
        durable_floor(durable.promises, count, "D"),
        floor(mailboxes.promises, count, "A"),
    ]
    goals = [Goal(f"{count:,} promises", "promises/s", "ours", Compare.SHARE, 0.6, "D", ("A",), GROSS)]
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

    goals = [Goal(f"{count:,} children", "children/s", "seen", Compare.SHARE, 0.95, "unseen")]
    return Workload("view", "what a live view takes from fan-outs", [seen, unseen], goals)


def _timed_turns(count: int) -> float:
    run(parent(0).fan_out(WARM_UP))
    gc.collect()
    began = time.perf_counter()
    for turn in range(VIEWED_TURNS):
        assert run(parent(turn + 1).fan_out(count // VIEWED_TURNS)) == count // VIEWED_TURNS
    return time.perf_counter() - began


def _main(path: str, count: int) -> None:
    with start(path):
        took = _timed("fan_out", count)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f'{{"ours": {count / took}, "megabytes": {kilobytes / 1000}}}')


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
