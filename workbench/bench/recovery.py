"""Workloads of recovery: kill -9 in the middle of a fan-out, and opening a store that has much to read."""

import gc
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workbench.bench.agents import BenchParent
from workbench.bench.goals import Compare, Figures, Goal, Workload
from workbench.bench.processes import python
from workbench.runtime.opening import start
from workbench.runtime.promises import complete_promise, create_promise
from workbench.runtime.running import run

LIMIT = 100
"""Children of the killed fan-out that work at the same time."""
PATIENCE = 60.0
"""Seconds until a process that does not get on counts as stuck."""


def crash(count: int) -> Workload:
    """Kill a process in the middle of a fan-out, open its store, go on to the end, and count."""

    def measure(folder: Path) -> Figures:
        store, marks = folder / "ours.db", folder / "marks"
        marks.touch()
        process = subprocess.Popen(  # noqa: S603 - a list of arguments
            python("-m", "workbench.bench.recovery", str(store), str(count), str(marks)), cwd=folder
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
        Goal(f"of {count:,} children", "lost", "lost", Compare.AT_MOST, 0, gross=0),
        Goal("recorded twice", "doubled", "doubled", Compare.AT_MOST, 0, gross=0),
        Goal("steps begun before, outcome unknown", "run again", "rerun", Compare.AT_MOST, LIMIT),
        Goal("from opening to the end", "s", "seconds", Compare.AT_MOST, 1.0, besides=("done before",)),
    ]
    return Workload(
        "crash", f"kill -9 in a fan-out of children of 10 ms, {LIMIT} at a time, then open and finish", [measure], goals
    )


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

    goals = [
        Goal(
            f"{count:,} children, parent replayed",
            "entries/s",
            "ours",
            Compare.AT_LEAST,
            100_000,
            besides=("opened", "replayed"),
            gross=10_000,
        )
    ]
    return Workload("reopening", "entries read, folded and replayed", [measure], goals)


def _main(store: str, count: int, marks: str) -> None:
    with start(store):
        run(BenchParent.get(1).works(count, LIMIT, marks))  # type: ignore[attr-defined]


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
