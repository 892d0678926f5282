# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""No room to write: work is held back and said to be, reading goes on, and all goes on by itself when there is room."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.runtime import session_thread
from workbench.testing import Launcher, SimulatedClock, note_effect, read_log, violations
from workbench.testing.channel import Channel
from workbench.testing.effects import effects_go_to, read_effects

SIZE = 30_000
"""Bytes of a value: more than the room that is left."""
ROUNDS = 6


@wb.agent
class Clerk:
    """Counts what it was given, so that work done twice shows."""

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0

    async def file(self, data: str) -> int:
        self.count += 1
        return self.count

    async def note(self, name: str) -> int:
        await wb.step(note_effect, name)
        return await self.file(name)


@wb.agent
class Office:
    async def spread(self, clerks: int, data: str) -> list[int]:
        return await wb.join([Clerk.get(n).file(data) for n in range(clerks)])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held back is tried again soon."""
    monkeypatch.setattr(session_thread, "RETRY_SECONDS", 0.01)


def leave_room(session: wb.Session, pages: int) -> None:
    """Let the store grow by so many pages at most, from its next transaction on."""
    db: Any = session._log._db  # type: ignore[attr-defined]
    used = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {used + pages}")


def make_room(session: wb.Session) -> None:
    """Let the store grow again."""
    leave_room(session, 1 << 30)


class Waiter(threading.Thread):
    """A cell that waits for a call."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = call
        self.result: object = None
        self.start()

    def run(self) -> None:
        self.result = self.call()


def until_full(session: wb.Session) -> wb.StoreFullError:
    """Ask, turn after turn of the session's thread, until it says that there is no room."""
    while True:
        session.agents()  # comes back when all so far is committed, or cannot be
        trouble = session.trouble
        if trouble is not None:
            assert isinstance(trouble, wb.StoreFullError), trouble
            return trouble


def test_the_session_says_that_the_store_is_full_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While there is no room a cell waits, reading tells what is committed, the state is visible; then all goes on."""
    with wb.start(tmp_path / "s.db") as session:
        wb.run(Clerk.get(1).file("first"))
        committed = session.feed.committed
        leave_room(session, 2)
        cell = Waiter(lambda: wb.run(Office.get().spread.with_options(key="k")(4, "x" * SIZE), timeout=30))
        trouble = until_full(session)
        for words in ("no room to write to", "s.db", "full", "Free disk space"):
            assert words in str(trouble)
        assert "store full" in repr(session)
        assert str(trouble) in caplog.text
        assert [a.agent_id for a in session.agents()] == ["Clerk(1)"]
        assert [entry.kind for entry in session.oplog("Clerk(1)")][-1] == "InvocationFinished"
        assert session.sql("SELECT count(*) AS n FROM log")[0][0] == committed  # type: ignore[index]
        with wb.start(tmp_path / "s.db", read_only=True) as other:
            assert len(other.agents()) == 1
        with pytest.raises(TimeoutError):
            wb.run(Clerk.get(2).file("queued"), timeout=0.05)
        assert cell.is_alive()
        assert session.feed.committed == committed
        make_room(session)
        cell.join(30)
        assert cell.result == [1, 2, 1, 1]
        wb.run(session.at_rest(), timeout=20)
        assert session.trouble is None
        assert "goes on" in caplog.text
        assert wb.run(Clerk.get(2).file("after")) == 3
    assert violations(read_log(tmp_path / "s.db")) == []


def test_whatever_only_reads_is_answered_while_the_store_is_full(tmp_path: Path) -> None:
    """While there is no room each question is answered at once by what is committed, results and promises included."""
    with wb.start(tmp_path / "s.db") as session:
        pending, completed = wb.create_promise(), wb.create_promise()
        wb.complete_promise(completed, b"before")
        wb.run(Clerk.get(1).file("first"))
        schedule = Clerk.get(1).file.schedule(3600, "later")
        leave_room(session, 2)
        filing = Waiter(lambda: wb.run(Clerk.get(1).file("x" * SIZE * 4), timeout=30))
        until_full(session)
        completing = Waiter(lambda: wb.complete_promise(pending, b"held back"))
        waiting = Waiter(lambda: wb.run(wb.await_promise(pending), timeout=30))
        answers = {
            "promise_state": lambda: (wb.promise_state(pending), wb.promise_state(completed)),
            "await_promise": lambda: wb.run(wb.await_promise(completed), timeout=10),
            "promises": lambda: [info.state for info in session.promises()],
            "status": lambda: wb.run(Clerk.get(1).status(), timeout=10),
            "schedules": lambda: [found.method for found in session.schedules()],
            "invocations": lambda: [info.state for info in session.invocations("Clerk(1)")],
            "why": lambda: session.why("Clerk(1)").about,
            "graph": lambda: session.graph().number_of_nodes(),
            "export": lambda: session.export(tmp_path / "copy.db").name,
        }
        assert {name: ask() for name, ask in answers.items()} == {
            "promise_state": ("pending", "completed"),
            "await_promise": b"before",
            "promises": ["pending", "completed"],
            "status": "idle",
            "schedules": ["file"],
            "invocations": ["finished"],
            "why": "Clerk(1)",
            "graph": 2,
            "export": "copy.db",
        }
        with pytest.raises(wb.PromiseNotFound):
            wb.promise_state(wb.PromiseId(pending.agent, pending.incarnation, 99))
        assert session.trouble is not None
        assert filing.is_alive()
        assert waiting.is_alive()
        make_room(session)
        for cell in (filing, completing, waiting):
            cell.join(30)
        assert (filing.result, completing.result, waiting.result) == (2, True, b"held back")
        assert wb.promise_state(pending) == "completed"
        schedule.cancel()


def test_a_result_is_told_while_the_store_is_full(tmp_path: Path) -> None:
    """What an agent returned before there was no room is told; what it does since is waited for."""
    with wb.start(tmp_path / "s.db") as session:
        wb.run(Clerk.get(1).file("first"))
        wb.run(Clerk.get(2).file("first"))
        leave_room(session, 2)
        cell = Waiter(lambda: wb.run(Clerk.get(1).file("x" * SIZE * 4), timeout=30))
        until_full(session)
        assert wb.run(session.result("Clerk(2)"), timeout=10) == 1
        with pytest.raises(TimeoutError):
            wb.run(session.result("Clerk(1)"), timeout=0.05)
        make_room(session)
        cell.join(30)
        assert wb.run(session.result("Clerk(1)"), timeout=10) == 2


@pytest.mark.parametrize("how", ["close", "crash"])
def test_what_was_held_back_was_never_told(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Closed or crashed while there is no room, a session ends at once: what nobody was told is not there, and said."""
    store = tmp_path / "s.db"
    session = wb.start(store)
    wb.run(Clerk.get(1).file("first"))
    leave_room(session, 2)
    told: list[BaseException] = []

    def call() -> None:
        try:
            wb.run(Clerk.get(1).file.with_options(key="k")("x" * SIZE), timeout=30)
        except wb.SessionError as error:
            told.append(error)

    cell = Waiter(call)
    until_full(session)
    if how == "crash":
        session.simulate_crash()
        make_room(session)
    session.close()
    cell.join(30)
    assert [type(error) for error in told] == [wb.CrashedError if how == "crash" else wb.SessionClosedError]
    assert ("nobody was told of is lost" in caplog.text) == (how == "close")
    with wb.start(store) as session:
        assert wb.run(Clerk.get(1).file.with_options(key="k")("x" * SIZE)) == 2
    assert violations(read_log(store)) == []


def test_a_step_does_not_start_before_its_intent_is_written(tmp_path: Path) -> None:
    """A side effect waits for room too: nothing is done of which the store would not know."""
    effects = tmp_path / "effects"
    effects_go_to(effects)
    try:
        with wb.start(tmp_path / "s.db") as session:
            leave_room(session, 0)
            cell = Waiter(lambda: wb.run(Clerk.get(1).note("x" * SIZE), timeout=30))
            until_full(session)
            assert read_effects(effects) == []
            make_room(session)
            cell.join(30)
            assert cell.result == 1
        assert read_effects(effects) == ["x" * SIZE]
    finally:
        effects_go_to(None)


def test_a_store_that_is_full_when_it_is_opened(tmp_path: Path) -> None:
    """Where not even the opening can be written, `wb.start` says so at once; reading is possible, and later all is."""
    store = tmp_path / "s.db"
    with wb.start(store, clock=SimulatedClock(1)):
        wb.run(Clerk.get(1).file("first"))
    limited = [sys.executable, "-c", LIMITED, str(store), str(store.stat().st_size)]
    done = subprocess.run(limited, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    said = json.loads(done.stdout)
    assert said["error"] == "StoreFullError"
    assert "Free disk space and start it again" in said["text"]
    assert said["agents"] == ["Clerk(1)"]
    with wb.start(store, clock=SimulatedClock(2)):
        assert wb.run(Clerk.get(1).file("second")) == 2


LIMITED = """
import json, resource, signal, sys
import workbench as wb
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, size = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    wb.start(store)
except wb.StoreError as error:
    said = {"error": type(error).__name__, "text": str(error)}
resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
with wb.start(store, read_only=True) as session:
    said["agents"] = [agent.agent_id for agent in session.agents()]
print(json.dumps(said))
"""


def work_within(channel: Channel, *, store: str, limits: list[int]) -> dict[str, Any]:
    """Work under a limit of file sizes, raised a little after each try that failed."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    session_thread.RETRY_SECONDS = 0.002  # type: ignore[misc]
    session = wb.start(store)
    session._log._db.execute("PRAGMA wal_autocheckpoint = 1000000")  # type: ignore[attr-defined]
    results: list[object] = []

    def cell() -> None:
        for n in range(ROUNDS):
            call = Office.get().spread.with_options(key=f"{n}")
            results.append(wb.run(call(3, f"{n}" * SIZE), timeout=60))
            channel.tell(f"round {n}", results[-1])

    tries = 0
    seen: BaseException | None = None
    size = Path(f"{store}-wal").stat().st_size + limits[0]
    with limit(size):
        worker = Waiter(cell)
        for more in itertools.cycle(limits[1:]):
            while worker.is_alive() and session.trouble in {None, seen}:
                session.agents()
            if not worker.is_alive():
                break
            seen = session.trouble  # each try that fails is an error of its own
            assert seen is None or isinstance(seen, wb.StoreFullError), seen
            tries += seen is not None
            size += more
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    counts = [wb.run(Clerk.get(n).file("")) for n in range(3)]
    session.close()
    return {"tries": tries, "results": results, "counts": counts}


@contextlib.contextmanager
def limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond a size, for a while."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children."""
    with Launcher([__name__], tmp_path_factory.mktemp("launcher") / "output") as launcher:
        yield launcher


def try_limits(launcher: Launcher, folder: Path, starts: range) -> None:
    """Let the write-ahead log hit a limit at many places, each time again and again."""
    for start in starts:
        store = folder / f"{start}.db"
        report = launcher.run(work_within, store=str(store), limits=[start, 40_000, 60_003, 5_001, 90_002])
        assert not report.error, report.error
        found = report.result
        assert found["tries"] >= 5
        assert found["results"] == [[n + 1] * 3 for n in range(ROUNDS)]
        assert found["counts"] == [ROUNDS + 1] * 3
        assert violations(read_log(store)) == []
        for side in folder.glob(f"{store.name}*"):
            side.unlink()


@pytest.mark.slow
def test_a_limit_of_file_sizes(launcher: Launcher, memory: Path) -> None:
    """Ten limits that writes meet half-way, again and again: SQLite's I/O error is no end, and nothing is lost."""
    try_limits(launcher, memory, range(0, 50_000, 5_003))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_many_limits_of_file_sizes(launcher: Launcher, memory: Path) -> None:
    """The same with 400 limits."""
    try_limits(launcher, memory, range(0, 100_000, 251))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = [shutil.which("mount") or "", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a file system; the limit of file sizes is tried by everybody")
    try:
        yield folder
    finally:
        subprocess.run([shutil.which("umount") or "", "-l", str(folder)], check=True)


def test_a_file_system_that_is_full(small: Path) -> None:
    """A real disk without room: the session says so, reading goes on, and work goes on when a file is deleted."""
    with wb.start(small / "s.db") as session:
        wb.run(Clerk.get(1).file("first"))
        ballast = small / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            for size in itertools.chain([65_536] * 40, [4096] * 16):
                file.write(bytes(size))
                file.flush()
        cell = Waiter(lambda: wb.run(Office.get().spread.with_options(key="k")(4, "x" * SIZE), timeout=30))
        until_full(session)
        assert [a.agent_id for a in session.agents()] == ["Clerk(1)"]
        os.unlink(ballast)  # noqa: PTH108 - frees the room
        cell.join(30)
        assert cell.result == [1, 2, 1, 1]
    assert violations(read_log(small / "s.db")) == []
