# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Exports while agents work: each is a store of its own, whole, and equal to the log at some entry."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import workbench as wb
from tests.crash.programs import Counted, Spreader
from workbench.runtime.journal import Pace
from workbench.testing import read_log, violations


def export_while_writing(folder: Path, count: int, started_each: int) -> None:
    """Export many times from one thread while cells and agents write in others; then compare with the whole log."""
    store = folder / "s.db"
    stop, gate = threading.Event(), threading.Semaphore(0)
    with wb.start(store) as session:
        session.thread.journal.pace = Pace(entries=200, per_agent=0, closing=1)

        def work() -> None:
            n = 0
            while gate.acquire() and not stop.is_set():
                wb.run(Spreader.get().spread(5))
                wb.run(Counted.get(n % 50).once(n))
                n += 1

        worker = threading.Thread(target=work)
        worker.start()
        copies: list[tuple[int, bytes, int]] = []
        try:
            for n in range(count):
                copy = folder / f"copy-{n}.db"
                before = session.feed.committed
                gate.release(4)  # rounds of work, so that the log stays short
                session.export(copy)
                entries = read_log(copy)  # checks the chain
                assert before <= len(entries) <= session.read(lambda now: now.seq)  # the feed may not know of it yet
                assert violations(entries, at_rest=False) == []
                assert [path.name for path in folder.glob("copy-*")] == [copy.name]
                copies.append((len(entries), chain_at(copy, len(entries)), n))
                if n % started_each:
                    copy.unlink()
                else:
                    copy.rename(folder / f"kept-{n}.db")
        finally:
            stop.set()
            gate.release()
            worker.join()
    assert len({length for length, _, _ in copies}) > count // 4
    for length, chain, n in copies:
        assert chain_at(store, length) == chain, n
    for kept in folder.glob("kept-*.db"):
        with wb.start(kept) as again:
            wb.run(again.at_rest(), timeout=30)
        assert violations(read_log(kept)) == []


def chain_at(store: Path, seq: int) -> bytes:
    """The hash chain of a store at an entry, which stands for all before it."""
    with wb.start(store, read_only=True) as session:
        rows = session._log.query("SELECT chain FROM log WHERE seq = ?", (seq,))[1]
    return rows[0][0]  # type: ignore[return-value]


@pytest.mark.slow
def test_exports_while_agents_work(memory: Path) -> None:
    """Forty exports in the middle of work: each opens, is whole, and is the log as it was at some entry."""
    export_while_writing(memory, 40, 10)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_thousand_exports_while_agents_work(memory: Path) -> None:
    """The same with 1,000, from sessions of 50 each, so that the logs stay short."""
    for n in range(20):
        folder = memory / f"{n}"
        folder.mkdir()
        export_while_writing(folder, 50, 25)
