# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""The store's file opened and closed in the session's own process, which drops SQLite's locks; then others come."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest

import workbench as wb
from tests.crash.programs import Counted
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.channel import Channel


def open_and_close(store: Path) -> None:
    """Open and close the file."""
    with store.open("rb") as file:
        file.read(1)


def read_all(store: Path) -> None:
    """Read it whole."""
    store.read_bytes()


def copy(store: Path) -> None:
    """Copy it as people do."""
    shutil.copy(store, store.with_suffix(".copy"))


def another_library(store: Path) -> None:
    """Look into it with another SQLite."""
    db = apsw.Connection(str(store))
    list(db.execute("SELECT count(*) FROM log"))
    db.close()


def nothing(store: Path) -> None:
    """Leave it alone."""


MEDDLERS: list[Callable[[Path], None]] = [open_and_close, read_all, copy, another_library, nothing]


def outsider(channel: Channel, *, store: str, how: str) -> int:
    """Another process, which knows nothing of the workbench, looks into the file."""
    with closing(sqlite3.connect(store)) as db:
        if how == "folds":
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        count: int = db.execute("SELECT count(*) FROM log").fetchone()[0]
        return count


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def meddle(launcher: Launcher, store: Path, chance: Random, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Work, have somebody meddle now and then, look what is left: what came of it, and what is wrong."""
    caplog.clear()
    told: list[int] = []
    said: list[str] = []
    session = wb.start(store, clock=SimulatedClock(1))
    try:
        for n in range(chance.randrange(2, 7)):
            told.append(wb.run(Counted.get(n).once.with_options(key="k")(n), timeout=20))
            if chance.random() < 0.5:
                chance.choice(MEDDLERS)(store)
            if chance.random() < 0.5:
                launcher.run(outsider, store=str(store), how=chance.choice(["looks", "folds"]))
    except wb.StoreError as error:
        said.append(str(error))
    session.close()
    said += [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    try:
        with wb.start(store, clock=SimulatedClock(2)) as again:
            kept = {agent.agent_id for agent in again.agents()}
            wb.run(again.at_rest(), timeout=20)
        wrong = violations(read_log(store))
    except wb.StoreError as error:
        kept, wrong = set(), []
        said.append(str(error))
    lost = [n for n in range(len(told)) if f"Counted({n})" not in kept]
    if lost and not said:
        wrong.append(f"{lost} of {len(told)} were told and are lost, and nobody said so")
    outcome = "lost, and said" if lost else "said" if said else "kept"
    return outcome, "; ".join(wrong)


def try_meddling(launcher: Launcher, folder: Path, seeds: range, caplog: pytest.LogCaptureFixture) -> dict[str, int]:
    """Meddle in many ways; how often which came of it."""
    seen = {"kept": 0, "said": 0, "lost, and said": 0}
    wrong = []
    for seed in seeds:
        store = folder / f"{seed}.db"
        outcome, bad = meddle(launcher, store, Random(seed), caplog)
        seen[outcome] += 1
        if bad:
            wrong.append(f"seed {seed}: {bad}")
        for path in folder.iterdir():
            path.unlink()
    assert wrong == []
    return seen


def test_nothing_is_lost_in_silence(launcher: Launcher, memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of 60 sessions behind whose back the file was opened each keeps what it told, or says what happened."""
    seen = try_meddling(launcher, memory, range(60), caplog)
    assert seen["kept"] >= 1
    assert seen["said"] + seen["lost, and said"] >= 5


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_nothing_is_lost_in_silence_in_two_thousand(
    launcher: Launcher, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same with 2,000."""
    try_meddling(launcher, memory, range(60, 2060), caplog)


@pytest.mark.parametrize("meddler", MEDDLERS[:4], ids=lambda meddler: meddler.__name__)
def test_a_write_ahead_log_that_was_taken_away_is_noticed(
    meddler: Callable[[Path], None], launcher: Launcher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Locks dropped, then another process looks and folds the log away: the next call is told, or the end is."""
    for ending in ("call", "close"):
        store = tmp_path / f"{ending}.db"
        session = wb.start(store, clock=SimulatedClock(1))
        wb.run(Counted.get(1).once(1))
        meddler(store)
        launcher.run(outsider, store=str(store), how="looks")
        assert not Path(f"{store}-wal").exists()
        if ending == "call":
            with pytest.raises(wb.StoreError, match="behind the session's back"):
                wb.run(Counted.get(1).once(2), timeout=20)
            assert session.trouble is not None
        session.close()
        assert "behind the session's back" in caplog.text
        with wb.start(store, clock=SimulatedClock(2)):
            assert wb.run(Counted.get(1).seen()) == 1
        assert violations(read_log(store)) == []
