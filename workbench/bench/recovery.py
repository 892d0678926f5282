"""Workloads of recovery: kill -9 in the middle of a fan-out, and opening a store that has much to read."""

import asyncio
import gc
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workbench.bench import durable
from workbench.bench.agents import BenchParent, leave_mark
from workbench.bench.goals import GROSS, Compare, Figures, Goal, Run, Workload
from workbench.bench.processes import python
from workbench.runtime.opening import start
from workbench.runtime.promises import complete_promise, create_promise
from workbench.runtime.running import run

LIMIT = 100
"""Children of the killed fan-out that work at the same time."""
KNOWN_CRASH = 2.0
"""Measured: times the floor's, from opening to the end."""
KNOWN_REOPENING = 0.1
"""Measured: share of the floor's rows a second."""
PATIENCE = 60.0
"""Seconds until a process that does not get on counts as stuck."""


def crash(count: int) -> Workload:
    """Kill a process in the middle of a fan-out, open its store, go on to the end, and count."""

    def measure(folder: Path) -> Figures:
        store, marks = folder / "ours.db", folder / "marks"
        marks.touch()
        process = subprocess.Popen(  # noqa: S603 - a list of arguments
            python(folder, "-m", "workbench.bench.recovery", str(store), str(count), str(marks)), cwd=folder
        )
        try:
            _wait_for_lines(marks, process, count // 3)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        before = len(marks.read_bytes().splitlines())
        began = time.perf_counter()
        with start(store) as session:
            results: list[int] = run(session.result("BenchParent(1)"), timeout=PATIENCE)
            took = time.perf_counter() - began
            ((doubled,),) = session.sql(
                "SELECT count(*) FROM"
                " (SELECT uid FROM oplog WHERE kind = 'InvocationFinished' GROUP BY uid HAVING count(*) > 1)"
            )
        ran = [int(line) for line in marks.read_bytes().splitlines()]
        lost = len(set(range(count)) - set(results) | set(range(count)) - set(ran))
        return {
            "lost": lost,
            "doubled": int(str(doubled)) + len(results) - len(set(results)),
            "rerun": len(ran) - len(set(ran)),
            "done before": before,
            "seconds": took,
        }

    goals = [
        Goal(f"of {count:,} children", "lost", "lost", Compare.AT_MOST, 0, gross=0, worst=True),
        Goal("recorded twice", "doubled", "doubled", Compare.AT_MOST, 0, gross=0, worst=True),
        Goal("steps begun before, outcome unknown", "run again", "rerun", Compare.AT_MOST, LIMIT, worst=True),
        Goal(
            "from opening to the end",
            "s",
            "seconds",
            Compare.AT_MOST,
            1.0,
            "D",
            besides=("done before",),
            gross=KNOWN_CRASH * GROSS,
        ),
    ]
    return Workload(
        "crash",
        f"kill -9 in a fan-out of children of 10 ms, {LIMIT} at a time, then open and finish",
        [measure, _finished_by_hand(count)],
        goals,
    )


def _finished_by_hand(count: int) -> Run:
    """Floor D, killed when a third of the children had ended."""

    def finish(folder: Path) -> Figures:
        marks = str(folder / "marks")

        async def work(number: int) -> int:
            await leave_mark(marks, number)
            return number

        rows = durable.Rows(folder / "floor.db")
        try:
            asyncio.run(durable.finish(rows, count // 3, LIMIT, work))
        finally:
            rows.close()
        began = time.perf_counter()
        rows = durable.Rows(folder / "floor.db")
        try:
            assert asyncio.run(durable.finish(rows, count, LIMIT, work)) == list(range(count))
            return {"D": time.perf_counter() - began}
        finally:
            rows.close()

    return finish


def _wait_for_lines(marks: Path, process: "subprocess.Popen[bytes]", enough: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(marks.read_bytes().splitlines()) < enough:
        assert process.poll() is None, "the process ended before it was killed"
        assert time.monotonic() < until, "the process does not get on"
        time.sleep(0.002)


def reopening(count: int) -> Workload:
    """Open a store with a finished fan-out whose parent still waits: all is read and folded, the parent is replayed."""

    def measure(folder: Path) -> Figures:
        store = folder / "ours.db"
        with start(store) as session:
            promise = create_promise()
            stay: Any = BenchParent.get(1)  # type: ignore[attr-defined]
            stay.fan_out_and_stay.trigger(count, promise)
            run(session.at_rest())
            entries = session.feed.committed
        gc.collect()
        began = time.perf_counter()
        with start(store) as session:
            opened = time.perf_counter()
            complete_promise(promise, b"go on")
            assert run(session.result("BenchParent(1)")) == count
            took = time.perf_counter() - began
        return {
            "ours": entries / took,
            "opened": entries / (opened - began),
            "replayed": 2 * count / (began + took - opened),
        }

    def floor(folder: Path) -> Figures:
        rows = durable.Rows(folder / "floor.db")
        try:
            asyncio.run(durable.fan_out(rows, count))
        finally:
            rows.close()
        gc.collect()
        began = time.perf_counter()
        rows = durable.Rows(folder / "floor.db")
        try:
            assert len(durable.fold(rows)) == count + 1
            return {"D": 4 * count / (time.perf_counter() - began)}
        finally:
            rows.close()

    goals = [
        Goal(
            f"{count:,} children, parent replayed",
            "entries/s",
            "ours",
            Compare.AT_LEAST,
            100_000,
            "D",
            besides=("opened", "replayed"),
            gross=KNOWN_REOPENING / GROSS,
        )
    ]
    return Workload(
        "reopening", "entries read, folded and replayed, against rows read and folded", [measure, floor], goals
    )


def _main(store: str, count: int, marks: str) -> None:
    with start(store):
        run(BenchParent.get(1).works(count, LIMIT, marks))  # type: ignore[attr-defined]


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
