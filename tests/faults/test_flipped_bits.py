# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: S311 - chance that can be repeated
"""Files that were damaged while nobody had them open: it is found, nothing wrong is told, the sound part is saved."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

import workbench as wb
from tests.replay.corpus import PROGRAMS
from workbench import cli
from workbench.model.entries import KINDS, Entry
from workbench.runtime.journal import Pace
from workbench.store.commit_mark import END
from workbench.store.log import SqliteLog
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.channel import Channel

PAGE = 4096


class Whole(NamedTuple):
    """A store before it was damaged, in two shapes: at rest, and as its owner left it who was killed."""

    rest: Path
    dead: Path
    entries: list[Entry]
    ends: frozenset[int]
    """Entries with which a batch ended."""
    salt: str
    rows: list[tuple[Any, ...]]
    """What `session.sql` tells."""


SQL = "SELECT seq, uid, idx, kind, cause, invocation, wall, line FROM oplog ORDER BY seq"


@wb.agent
class Keeper:
    async def keep(self, data: bytes) -> int:
        return len(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Entries of many kinds, of which some are large; checkpoints; a write-ahead log that was folded in part."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "rest").mkdir()
    (folder / "dead").mkdir()
    store, dead = folder / "rest" / "s.db", folder / "dead" / "s.db"
    ends = {0}
    with wb.start(store, clock=SimulatedClock(1)) as session:
        session.thread.journal.pace = Pace(entries=40, per_agent=0, closing=1)
        ends.add(session.feed.committed)
        session.feed.subscribe(lambda: ends.add(session.feed.committed))
        for name in ("join", "promises", "steps", "fork_in_flight"):
            PROGRAMS[name](lambda *_: None)
        wb.run(Keeper.get().keep(b"k" * 100_000))
        with closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA wal_checkpoint").fetchall()
        for n in range(6):
            wb.run(Keeper.get().keep(bytes([n]) * 3_000))
        wb.run(session.at_rest())
        for end in ("", "-wal", END):
            shutil.copy(f"{store}{end}", f"{dead}{end}")
    entries = read_log(store)
    log = SqliteLog(store, "", read_only=True)
    return Whole(store, dead, entries, frozenset(ends), log.salt, log.query(SQL)[1])


def flip(data: bytearray, chance: Random) -> None:
    """Turn a few bits."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def blank(data: bytearray, chance: Random) -> None:
    """Empty a sector."""
    at = chance.randrange(len(data)) // 512 * 512
    data[at : at + 512] = bytes(len(data[at : at + 512]))


def cut_off(data: bytearray, chance: Random) -> None:
    """Lose the end."""
    del data[chance.randrange(len(data)) :]


def swap_pages(data: bytearray, chance: Random) -> None:
    """Exchange two pages."""
    a, b = (chance.randrange(len(data) // PAGE) * PAGE for _ in range(2))
    data[a : a + PAGE], data[b : b + PAGE] = data[b : b + PAGE], data[a : a + PAGE]


DAMAGE: list[Callable[[bytearray, Random], None]] = [flip, flip, flip, flip, blank, cut_off, swap_pages]


def lay(source: Path, store: Path, ends: Iterable[str]) -> None:
    """Lay a store somewhere, with some of what lies beside it."""
    for end in ("", "-wal", "-shm", END):
        Path(f"{store}{end}").unlink(missing_ok=True)
    for end in ("", *ends):
        shutil.copy(f"{source}{end}", f"{store}{end}")


def damage(whole: Whole, store: Path, chance: Random, *, marked: bool = True) -> tuple[str, bool]:
    """Lay a damaged store somewhere; what was done, and whether it was done to the write-ahead log."""
    dead = chance.random() < 0.4
    source = whole.dead if dead else whole.rest
    lay(source, store, [END] if dead and marked else [])
    wal = False
    if dead:
        wal = chance.random() < 0.5
        if wal and chance.random() < 0.1:
            return "no write-ahead log", True
        shutil.copy(f"{source}-wal", f"{store}-wal")
        if chance.random() < 0.05:
            shutil.copy(whole.rest, store)
            return "another file with the write-ahead log", True
    path = Path(f"{store}-wal") if wal else store
    data = bytearray(path.read_bytes())
    how = chance.choice(DAMAGE)
    how(data, chance)
    path.write_bytes(data)
    return f"{how.__name__} in {path.suffix}", wal


def looks(log: SqliteLog, whole: Whole) -> dict[str, Callable[[], tuple[list[Any], list[Any]]]]:
    """Ways to look into a store, each with what it tells and what that is in the whole one, as far as this one goes."""
    upto = log.last_seq
    entries = whole.entries[:upto]
    kinds = list(KINDS.values())
    parts = [(agent, 1, 1 << 40) for agent in sorted({x.agent for x in entries})]
    return {
        "read": lambda: (list(log.read()), entries),
        "by number": lambda: (log.read_seqs([x.seq for x in entries]), entries),
        "by agent": lambda: (sorted(log.read_parts(parts), key=lambda x: x.seq), entries),
        "by kind": lambda: (list(log.select(kinds)), entries),
        "by kind, late": lambda: (list(log.select(kinds, after=upto // 2)), entries[upto // 2 :]),
        "by sql": lambda: (log.query(SQL)[1], whole.rows[:upto]),
    }


class Judged(NamedTuple):
    """What came of a damaged store."""

    verdict: str
    """`found`, `invisible`, `shorter` (where no mark tells up to where it was committed), or what is wrong."""
    upto: int


def judge(whole: Whole, store: Path, *, may_be_shorter: bool = False) -> Judged:
    """Look into a damaged store in all ways: each tells what is so, or says that the store is damaged."""
    found = False
    upto = 0
    try:
        log = SqliteLog(store, "", read_only=True)
    except wb.StoreError as error:
        return Judged("found" if error.why and error.do else f"it says too little: {error}", 0)
    with closing(log):
        upto = log.last_seq
        if log.salt != whole.salt:
            return Judged(f"another salt, {log.salt}", upto)
        for name, look in looks(log, whole).items():
            try:
                told, known = look()
            except wb.StoreError as error:
                found = True
                if not (error.what and error.why and error.do):
                    return Judged(f"{name} says too little: {error}", upto)
                continue
            if told != known:
                return Judged(f"{name} told something wrong", upto)
    if found:
        return Judged("found", upto)
    if upto == len(whole.entries):
        return Judged("invisible", upto)
    if may_be_shorter and upto in whole.ends:
        return Judged("shorter", upto)
    return Judged(f"it ends at {upto}, and nothing was said", upto)


def judge_salvage(whole: Whole, store: Path, judged: Judged) -> str:
    """What is wrong with what is saved of a damaged store; empty when nothing is."""
    new = store.with_name("new.db")
    before = store.read_bytes()
    try:
        saved = wb.salvage(store, new)
    except wb.StoreCorruptError:
        return "" if not new.exists() else "it could not be saved, and something is there"
    if store.read_bytes() != before:
        return "the damaged file was changed"
    with closing(SqliteLog(new, "", read_only=True)) as log:
        entries, salt = list(log.read()), log.salt
    new.unlink()
    if entries != whole.entries[: saved.entries] or len(entries) != saved.entries:
        return "something else was saved"
    if salt != whole.salt and not saved.salt_lost:
        return f"another salt, {salt}"
    if judged.verdict in {"invisible", "shorter"} and saved.entries < judged.upto:
        return f"{judged.upto} entries are whole, and {saved.entries} were saved"
    return ""


def try_damage(whole: Whole, folder: Path, count: int, salvage_each: int, *, marked: bool = True) -> Counter[str]:
    """Damage a store in so many ways; what came of them."""
    store = folder / "s.db"
    seen: Counter[str] = Counter()
    wrong = []
    for seed in range(count):
        what, wal = damage(whole, store, Random(seed), marked=marked)
        judged = judge(whole, store, may_be_shorter=wal and not marked)
        bad = judged.verdict if judged.verdict not in {"found", "invisible", "shorter"} else ""
        if not bad and seed % salvage_each == 0:
            bad = judge_salvage(whole, store, judged)
        if bad:
            wrong.append(f"seed {seed}, {what}: {bad}")
        seen[judged.verdict] += 1
    assert wrong == []
    return seen


@pytest.mark.slow
def test_every_visible_change_is_found(whole: Whole, memory: Path) -> None:
    """Of 300 damaged stores none tells anything that is not so, and of each the sound part is saved."""
    seen = try_damage(whole, memory, 300, 6)
    assert seen["found"] >= 100
    assert not seen["shorter"]


@pytest.mark.slow
def test_without_the_mark_a_valid_prefix_is_a_store(whole: Whole, memory: Path) -> None:
    """Copied without what tells up to where it was committed, a store may end earlier, and with the end of a batch."""
    seen = try_damage(whole, memory, 150, 6, marked=False)
    assert seen["found"] >= 50
    assert seen["shorter"] >= 5


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_visible_change_of_five_thousand_is_found(whole: Whole, memory: Path) -> None:
    """The same with 5,000."""
    seen = try_damage(whole, memory, 5_000, 5)
    assert seen["found"] >= 1_700
    assert not seen["shorter"]


# ---- the end of the log ----------------------------------------------------------------------------------------------


def say_what_is_lost(store: Path, entries: int) -> str:
    """What is wrong with how an owner and a reader open a store; empty when all is there, or the loss is told."""
    before = {path.name: path.read_bytes() for path in store.parent.iterdir() if not path.name.endswith("-shm")}
    for read_only in (True, False):
        try:
            log = SqliteLog(store, "another", read_only=read_only)
        except wb.StoreCorruptError as error:
            told = str(error)
            if not all(text in told for text in (f"to {entries}", f"{store.name}-wal", "Bring", "wb.s")):
                return f"it says too little: {told}"
            if before != {path.name: path.read_bytes() for path in store.parent.iterdir() if path.name in before}:
                return "the files were changed"
            continue
        with closing(log):
            if log.last_seq != entries:
                return f"it ends at {log.last_seq}, and nothing was said"
    return ""


@pytest.mark.slow
def test_a_write_ahead_log_that_lost_its_end_is_noticed(whole: Whole, memory: Path) -> None:
    """Cut off after each of its frames and at 200 other places, and when it is gone: never a shorter log in silence."""
    store = memory / "s.db"
    data = Path(f"{whole.dead}-wal").read_bytes()
    chance = Random(5)
    cuts = [*range(32, len(data), 24 + PAGE), *(chance.randrange(len(data)) for _ in range(200)), len(data)]
    opened: list[int] = []
    refused: list[int] = []
    for size in cuts:
        lay(whole.dead, store, [END])
        Path(f"{store}-wal").write_bytes(data[:size])
        assert say_what_is_lost(store, len(whole.entries)) == "", size
        told = Path(f"{store}{END}").exists()  # else all was there, and who opened it has closed it in order
        (refused if told else opened).append(size)
    assert len(data) in opened
    assert max(refused) < min(opened)  # behind the last commit lies what was written before the log was begun anew
    lay(whole.dead, store, [END])
    assert say_what_is_lost(store, len(whole.entries)) == ""
    assert Path(f"{store}{END}").exists()


def work_and_die(channel: Channel, *, store: str, folded: bool) -> None:
    """Work, and be killed."""
    session = wb.start(store)
    wb.run(Keeper.get().keep(b"k" * 3_000))
    if folded:
        with closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA wal_checkpoint").fetchall()
    channel.tell("kept", wb.run(Keeper.get().keep(b"k" * 4_000)))
    channel.tell("committed", session.feed.committed)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


@pytest.mark.parametrize("folded", [False, True], ids=["all of it", "its end"])
def test_a_killed_session_whose_write_ahead_log_is_lost(
    folded: bool,  # noqa: FBT001
    launcher: Launcher,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is told whoever opens the store; brought back all is there, and without it one goes on with what is left."""
    store, wal, aside = tmp_path / "s.db", tmp_path / "s.db-wal", tmp_path / "aside"
    committed = launcher.run(work_and_die, store=str(store), folded=folded).told["committed"]
    wal.rename(aside)
    for read_only in (False, True):
        with pytest.raises(
            wb.StoreCorruptError, match=f"to {committed}: .*s.db-wal, is gone or empty. Bring s.db-wal back"
        ):
            wb.start(store, read_only=read_only)
    assert cli.main(["agents", str(store)]) == 1
    assert "s.db-wal, is gone or empty" in capsys.readouterr().err
    if folded:
        assert cli.main(["salvage", str(store), str(tmp_path / "new.db")]) == 0
        assert f"to {committed}: they were committed" in capsys.readouterr().out
        with wb.start(tmp_path / "new.db") as session:
            assert wb.run(Keeper.get().keep(b"k")) == 1
        assert violations(read_log(tmp_path / "new.db")) == []
    else:
        with pytest.raises(wb.StoreCorruptError, match="nothing of"):
            wb.salvage(store, tmp_path / "new.db")
    aside.rename(wal)
    with wb.start(store, read_only=True) as looking:
        assert looking.feed.committed == committed
    with wb.start(store) as session:
        assert session.feed.committed >= committed
        wb.run(session.at_rest())
    assert violations(read_log(store)) == []
    assert not Path(f"{store}{END}").exists()


def test_one_begins_anew_where_all_is_lost(launcher: Launcher, tmp_path: Path) -> None:
    """`fresh=True` moves what is left aside, which still tells that its end is missing; a deleted store is no loss."""
    store = tmp_path / "s.db"
    launcher.run(work_and_die, store=str(store), folded=False)
    Path(f"{store}-wal").unlink()
    with pytest.raises(wb.StoreCorruptError, match=r"wb\.start\(path, fresh=True\)"):
        wb.start(store)
    with wb.start(store, fresh=True) as session:
        assert wb.run(Keeper.get().keep(b"k")) == 1
    (old,) = tmp_path.glob("*.old")
    with pytest.raises(wb.StoreCorruptError, match="missing"):
        wb.start(old, read_only=True)
    launcher.run(work_and_die, store=str(store), folded=True)
    for end in ("", "-wal", "-shm"):
        Path(f"{store}{end}").unlink()
    with wb.start(store) as session:
        assert [agent.agent_id for agent in session.agents()] == []


def test_a_copy_from_before_may_be_put_in_place(tmp_path: Path) -> None:
    """Of a session that ended in order nothing is missed: an older copy of the store opens like any other."""
    store, copy = tmp_path / "s.db", tmp_path / "copy.db"
    with wb.start(store):
        wb.run(Keeper.get().keep(b"k"))
    shutil.copy(store, copy)
    with wb.start(store):
        wb.run(Keeper.get().keep(b"kk"))
    shutil.copy(copy, store)
    with wb.start(store) as session:
        assert len([x for x in session.oplog("Keeper()") if x.kind == "InvocationFinished"]) == 1


# ---- what a person does then -----------------------------------------------------------------------------------------


def test_a_damaged_store_is_saved_up_to_the_damage(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says how to save it; the command does, says how much that is, and a session goes on from there."""
    store, new = tmp_path / "s.db", tmp_path / "new.db"
    shutil.copy(whole.rest, store)
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DELETE FROM checkpoint")
        db.execute("UPDATE log SET wall = wall + 1 WHERE seq = 100")
    with pytest.raises(wb.StoreCorruptError, match=r"entry 100 .*wb\.salvage\(path, new_path\)"):
        wb.start(store)
    assert cli.main(["salvage", str(store), str(new)]) == 0
    said = capsys.readouterr().out
    assert "Saved 99 entries" in said
    assert "entry 100 was changed" in said
    assert read_log(new) == whole.entries[:99]
    with wb.start(new, clock=SimulatedClock(2)) as session:
        wb.run(session.at_rest())
        for name in ("join", "promises", "steps", "fork_in_flight"):
            PROGRAMS[name](lambda *_: None)
    assert violations(read_log(new)) == []
    assert cli.main(["salvage", str(store), str(new)]) == 1
    assert "exists" in capsys.readouterr().err


def test_what_cannot_be_saved(tmp_path: Path, whole: Whole) -> None:
    """No store, no entry, a store in use: refused in words, and nothing is left behind."""
    new = tmp_path / "new.db"
    with pytest.raises(wb.StoreError, match="no such file"):
        wb.salvage(tmp_path / "absent.db", new)
    (tmp_path / "text.db").write_text("no store " * 1000)
    with pytest.raises(wb.StoreCorruptError, match="nothing of"):
        wb.salvage(tmp_path / "text.db", new)
    with wb.start(tmp_path / "used.db"), pytest.raises(wb.StoreInUseError):
        wb.salvage(tmp_path / "used.db", new)
    shutil.copy(whole.rest, tmp_path / "salt.db")
    with closing(sqlite3.connect(tmp_path / "salt.db")) as db, db:
        db.execute("UPDATE meta SET value = 'x' || value WHERE key = 'salt'")
    with pytest.raises(wb.StoreError, match=r"the salt of .* was changed"):
        wb.start(tmp_path / "salt.db")
    assert not new.exists()
    saved = wb.salvage(tmp_path / "salt.db", new)
    assert (saved.entries, saved.wrong, saved.salt_lost) == (len(whole.entries), "", True)


def test_a_session_stops_at_damage_and_tells_nothing_wrong(whole: Whole, tmp_path: Path) -> None:
    """A view that somebody changed in the file changes no answer, and a kind by another name is found."""
    store = tmp_path / "s.db"
    shutil.copy(whole.rest, store)
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DROP VIEW oplog")
        db.execute("CREATE VIEW oplog AS SELECT seq, 1 AS uid, idx, 'x' AS kind, 0 AS cause FROM log")
    with closing(SqliteLog(store, "", read_only=True)) as log:
        assert log.query(SQL)[1] == whole.rows
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE kind SET name = 'CallMode' WHERE name = 'CallMade'")
    with pytest.raises(wb.StoreError, match="kinds"):
        SqliteLog(store, "", read_only=True)
