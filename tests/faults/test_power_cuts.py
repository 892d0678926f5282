# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""The power goes at any moment, and the disk tears and reorders what was not synced: nothing that was told is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

import workbench as wb
from tests.faults.disks import CHECKPOINT_PAGES, Disk, Operation
from tests.faults.power import Cut, Surface, cuts
from tests.replay.corpus import PROGRAMS
from workbench.runtime.journal import Pace
from workbench.store.log import SqliteLog
from workbench.testing import SimulatedClock, read_log, violations

Tell = Callable[[str, object], None]


@wb.agent
class Hoarder:
    """Keeps what it is given, however large."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def take(self, data: bytes) -> list[int]:
        self.sizes.append(len(data))
        return self.sizes


def large_values(tell: Tell) -> object:
    """Values of all sizes, of which some fill hundreds of pages."""
    chance = Random(7)
    for n in range(20):
        size = chance.choice((100, 5_000, 70_000, 300_000))
        tell(f"taken {n}", wb.run(Hoarder.get().take.with_options(key=f"{n}")(bytes([n]) * size)))
    return wb.run(Hoarder.get().take.with_options(key="last")(b""))


RUNS: dict[str, tuple[Callable[[Tell], object], int]] = {
    **{name: (PROGRAMS[name], 12) for name in ("join", "promises", "fork_in_flight", "steps", "try_join_with_failure")},
    "large_values": (large_values, CHECKPOINT_PAGES),
    "large_values, folded often": (large_values, 60),
}
"""Programs, and the pages after which SQLite folds the write-ahead log into the file."""


class Run(NamedTuple):
    """What was seen of a program that ran twice on one store, with an end of the session in between."""

    operations: list[Operation]
    chains: list[bytes]
    """By `seq`, from 0."""
    ends: frozenset[int]
    """Entries with which a batch ended."""
    result: object


def record(name: str, folder: Path, sync: str = "FULL") -> Run:
    """Run a program on a disk that notes everything."""
    program, pages = RUNS[name]
    store = folder / "recorded.db"
    disk = Disk("recorded", str(store))
    disk.pages = pages
    ends = {0}

    def told(session: wb.Session) -> None:
        ends.add(session.feed.committed)
        disk.tell(session.feed.committed)

    with disk.mounted():
        for seed in range(2):
            with wb.start(store, clock=SimulatedClock(seed)) as session:
                session.thread.journal.pace = Pace(entries=25, per_agent=0, closing=1)
                session._log._db.execute(f"PRAGMA synchronous = {sync}")
                told(session)
                session.feed.subscribe(partial(told, session))
                result = json.loads(json.dumps(program(lambda *_: None)))
                wb.run(session.at_rest())
    return Run(disk.operations, [b"", *chains(store)], frozenset(ends), result)


def chains(store: Path) -> list[bytes]:
    """The hash chain of a store, link by link."""
    with_chain = SqliteLog(store, "", read_only=True)
    _, rows = with_chain.query("SELECT chain FROM log ORDER BY seq")
    return [chain for (chain,) in rows]  # type: ignore[misc]


def judge(run: Run, cut: Cut, store: Path) -> str:
    """What is wrong with what its next owner finds after a cut; empty when nothing is."""
    cut.put(store)
    try:
        log = SqliteLog(store, "another")
    except wb.StoreError as error:
        return f"cut at {cut.at}: {error}"
    try:
        entries = list(log.read())  # checks the chain
        last, chain = log.last_seq, log._chain
    except wb.StoreError as error:
        return f"cut at {cut.at}: {error}"
    finally:
        log.close()
    if last < cut.told:
        return f"cut at {cut.at}: entry {cut.told} was told, and the log ends at {last}"
    if last not in run.ends or len(entries) != last:
        return f"cut at {cut.at}: the log ends at {last}, in the middle of a batch"
    if last and chain != run.chains[last]:
        return f"cut at {cut.at}: entry {last} is not what was written"
    return ""


def goes_on(run: Run, name: str, cut: Cut, store: Path) -> str:
    """What is wrong when a session takes up what a cut left, and the program is run again; empty when nothing is."""
    cut.put(store)
    with wb.start(store, clock=SimulatedClock(f"after {cut.at}")) as session:
        wb.run(session.at_rest(), timeout=20)
        result: Any = json.loads(json.dumps(RUNS[name][0](lambda *_: None)))
        wb.run(session.at_rest(), timeout=20)
    wrong = violations(read_log(store))
    if result != run.result:
        wrong.append(f"the result is {result}")
    return f"cut at {cut.at}: {wrong}" if wrong else ""


def try_cuts(name: str, folder: Path, count: int, again_each: int) -> None:
    """Cut a recorded run so many times; take up and run again one of each so many."""
    run = record(name, folder)
    store = folder / "cut.db"
    wrong = []
    for n, cut in enumerate(cuts(run.operations, count, Random(f"{name} {count}"))):
        wrong.append(judge(run, cut, store) or (goes_on(run, name, cut, store) if n % again_each == 0 else ""))
    assert len(wrong) == count
    assert [text for text in wrong if text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RUNS))
def test_nothing_told_is_lost_when_the_power_goes(name: str, memory: Path) -> None:
    """After 215 cuts of each of seven runs the log is whole, ends with a batch, and holds all that was told."""
    try_cuts(name, memory, 215, 25)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(RUNS))
def test_nothing_told_is_lost_in_ten_thousand_power_cuts(name: str, memory: Path) -> None:
    """The same with 1,430 cuts of each, 10,010 in all."""
    try_cuts(name, memory, 1_430, 25)


@pytest.mark.parametrize("sync", ["NORMAL", "OFF"])
def test_a_store_that_syncs_too_little_is_found_out(sync: str, memory: Path) -> None:
    """The cuts are no rubber stamp: without `synchronous = FULL` they lose what was told."""
    run = record("join", memory, sync)
    found = cuts(run.operations, 200, Random(1))
    assert any("was told" in judge(run, cut, memory / "cut.db") for cut in found)


def test_what_is_synced_is_left() -> None:
    """Of what was synced all is there, of what was not sector by sector the new or the old, and nothing else."""
    surface = Surface()
    for done in (
        Operation("make", "-wal"),
        Operation("write", "-wal", 0, b"a" * 2048),
        Operation("sync", "-wal"),
        Operation("write", "-wal", 100, b"b" * 1500),
        Operation("make", ""),
    ):
        surface.do(done)
    chance = Random(1)
    seen = set()
    for _ in range(400):
        files = surface.cut(chance).files
        assert files["-wal"][:100] == b"a" * 100
        assert files["-wal"][1600:] == b"a" * 448
        seen |= {files["-wal"][at : at + 1] for at in (100, 600, 1100)} | {bytes("" in files)}
    assert {b"a", b"b"} < seen
