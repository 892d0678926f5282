"""Workloads of long logs: how soon one is open, and how soon a view is anywhere in it.

To make a million entries takes half a minute, so a log is made once and serves all rounds of both workloads.
"""

import contextlib
import json
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from workbench import front
from workbench.bench.agents import BenchTally, BenchWriter
from workbench.bench.goals import Compare, Figures, Goal, Run, Tell, Workload
from workbench.exports.moments import graph_at
from workbench.model.entries import Entry
from workbench.runtime.opening import start
from workbench.runtime.running import run
from workbench.views.tape import Tape
from workbench.views.tape_packet import packet

CHILDREN: Final = 250
"""Fresh children in a piece of a log, of which each leaves 7 entries."""
CALLS: Final = 800
"""Calls of tallies in a piece of a log, of which each leaves 4 entries."""
TALLIES: Final = 100
TOLD_SECONDS: Final = 2.0
"""From one line of progress to the next."""
SEEKS: Final = 200
"""Points that are sought, three times each: the best counts, so that the worst is the point's and not the machine's."""
GRAPHS: Final = 10
"""Moments that are asked for as a `networkx` graph, too."""
_GOLDEN: Final = 0.6180339887
"""Multiples of it, without their whole part, lie everywhere between 0 and 1, in no order."""


def history(folder: Path, entries: int, tell: Tell) -> Path:
    """A store with at least so many entries, made unless it is in the folder.

    There is an agent for each twenty entries; two thirds of all entries are of a hundred agents that take snapshots,
    and of who called them.
    """
    path = folder / f"history-{entries}.db"
    if path.exists():
        return path
    told = time.perf_counter()
    with start(path) as session:
        piece = 0
        while session.feed.committed < entries:
            run(BenchWriter.get(piece).write(CHILDREN, CALLS, TALLIES))  # type: ignore[attr-defined]
            piece += 1
            if time.perf_counter() - told > TOLD_SECONDS:
                told = time.perf_counter()
                tell(f"making a log: {session.feed.committed:,} of {entries:,} entries")
    return path


# ---- opening ---------------------------------------------------------------------------------------------------------


def opening(sizes: Sequence[int]) -> Workload:
    """Opening stores that were closed in order, up to the first answer of an agent in them."""
    stores: dict[int, Path] = {}

    @contextlib.contextmanager
    def ready(folder: Path, tell: Tell) -> Iterator[None]:
        stores.update((size, history(folder, size, tell)) for size in sizes)
        yield

    runs = [side(stores, size) for size in sizes for side in (_opened, _looked_into)]
    goals = [
        Goal(f"{size:,} entries", "ms", f"ours {size}", Compare.AT_MOST, 2000, f"last row {size}", (f"count {size}",))
        for size in sizes
    ]
    return Workload("open", "a long log is opened from its checkpoint, up to the first answer", runs, goals, ready)


def _opened(stores: Mapping[int, Path], size: int) -> Run:
    def measure(_folder: Path) -> Figures:
        began = time.perf_counter()
        with start(stores[size]) as session:
            total = run(BenchTally.get(0).add(0))  # type: ignore[attr-defined]
            took = time.perf_counter() - began
            assert session.feed.committed > size
        assert total * TALLIES * 4 > size / 2
        return {f"ours {size}": took * 1e3}

    return measure


def _looked_into(stores: Mapping[int, Path], size: int) -> Run:
    """The floor: SQLite opens the file and reads the last row; and how long it takes to count the rows."""

    def measure(_folder: Path) -> Figures:
        began = time.perf_counter()
        with contextlib.closing(sqlite3.connect(stores[size])) as db:
            (last,) = db.execute("SELECT seq FROM log ORDER BY seq DESC LIMIT 1").fetchone()
            read = time.perf_counter()
            (count,) = db.execute("SELECT count(*) FROM log").fetchone()
            counted = time.perf_counter()
        assert last == count > size
        return {f"last row {size}": (read - began) * 1e3, f"count {size}": (counted - read) * 1e3}

    return measure


# ---- seeking ---------------------------------------------------------------------------------------------------------


def seeking(sizes: Sequence[int]) -> Workload:
    """The state of a view at points all over a log: in Python, and where there is Node.js, as the page computes it."""
    tapes: dict[int, Tape] = {}
    node = shutil.which("node")

    @contextlib.contextmanager
    def ready(folder: Path, tell: Tell) -> Iterator[None]:
        for size in sizes:
            tapes[size] = _tape(history(folder, size, tell), tell)
        yield
        tapes.clear()

    runs, goals = [], []
    for size in sizes:
        runs.append(_sought(tapes, size))
        name = f"{size:,} entries"
        besides = f"mean {size}", f"graph {size}"
        goals.append(
            Goal(f"{name}, worst of {SEEKS} points", "ms", f"worst {size}", Compare.AT_MOST, 10, besides=besides)
        )
        if node:
            runs.append(_sought_in_page(tapes, size, node))
            page = Goal(
                "the same in the page", "ms", f"page {size}", Compare.AT_MOST, 10, besides=(f"page mean {size}",)
            )
            goals.append(page)
    return Workload("seek", "a view goes to any point of a log", runs, goals, ready)


def _tape(store: Path, tell: Tell) -> Tape:
    tape = Tape()
    with start(store, read_only=True) as session:
        tape.apply(_told(session.entries(), session.feed.committed, tell))
    return tape


def _told(entries: Iterable[Entry], count: int, tell: Tell) -> Iterator[Entry]:
    told = time.perf_counter()
    for entry in entries:
        if entry.seq % 1000 == 0 and time.perf_counter() - told > TOLD_SECONDS:
            told = time.perf_counter()
            tell(f"folding a log for views: {entry.seq:,} of {count:,} entries")
        yield entry


def _points(last: int, count: int = SEEKS) -> list[int]:
    return [1 + int(i * _GOLDEN % 1 * last) for i in range(count)]


def _sought(tapes: Mapping[int, Tape], size: int) -> Run:
    def measure(_folder: Path) -> Figures:
        tape = tapes[size]
        last = tape.last_seq
        assert last >= size
        seeks = [min(_millis(tape.moment, seq) for _ in range(3)) for seq in _points(last)]
        graphs = [_millis(lambda seq: graph_at(tape, seq), seq) for seq in _points(last, GRAPHS)]
        return {
            f"worst {size}": max(seeks),
            f"mean {size}": statistics.mean(seeks),
            f"graph {size}": statistics.mean(graphs),
        }

    return measure


def _millis(seek: Callable[[int], object], seq: int) -> float:
    began = time.perf_counter()
    seek(seq)
    return (time.perf_counter() - began) * 1e3


def _sought_in_page(tapes: Mapping[int, Tape], size: int, node: str) -> Run:
    """The page's own seek, on the rows as the kernel sends them."""
    script = Path(__file__).with_name("seek.mjs")
    module = Path(front.__file__).with_name("tape.js")

    def measure(folder: Path) -> Figures:
        tape = tapes[size]
        part = packet(tape, 0, 1, len(tape))
        (folder / "rows").write_bytes(part.data)
        (folder / "head.json").write_text(json.dumps(part.head | {"points": _points(tape.last_seq)}), "utf-8")
        told = subprocess.run([node, script, module], cwd=folder, check=True, stdout=subprocess.PIPE)  # noqa: S603 - a list of arguments
        times = json.loads(told.stdout)
        return {f"page {size}": max(times), f"page mean {size}": statistics.mean(times)}

    return measure
