# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Steps with `cpu=True`: other processes, what travels to them and back, how they die, and that none is left over."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, until
from workbench.model import entries as e
from workbench.runtime import processes
from workbench.runtime.processes import cores

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass
class Point:
    x: int
    y: int


def pids() -> list[int]:
    """The processes of the pool, if there is one."""
    return [pid for pool in processes._pools for pid in pool.pids]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def mirror(point: Point) -> Point:
    return Point(point.y, point.x)


def whoami() -> int:
    return os.getpid()


def die_once(mark: str) -> str:
    """End the process at the first run, as the kernel's out-of-memory killer does."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def spin_once(mark: str) -> str:
    """Compute for ever at the first run, and say who does."""
    if Path(mark).exists():
        return "survived"
    Path(f"{mark}.new").write_text(str(os.getpid()), encoding="ascii")
    Path(f"{mark}.new").rename(mark)
    while True:
        pass


def pid_of(mark: Path) -> int:
    """Which process computes for ever, when it does."""
    until(mark.exists)
    return int(mark.read_text(encoding="ascii"))


def burn(seconds: float) -> int:
    """Compute for so long by the clock of this process's own work."""
    import time

    end, n = time.process_time() + seconds, 0
    while time.process_time() < end:
        n += 1
    return n


@wb.agent
class Cruncher:
    """Runs one step on another core, with what the test says."""

    async def run(self) -> Any:
        return await wb.step(job["fn"], *job["args"], cpu=True, **job["options"])

    async def caught(self) -> list[str]:
        try:
            return ["returned", str(await self.run())]
        except wb.WorkbenchError as error:
            return [error.error_type if isinstance(error, wb.InvocationError) else type(error).__name__, str(error)]


job: dict[str, Any] = {}


def use(fn: Callable[..., Any], *args: Any, **options: Any) -> None:
    job.update(fn=fn, args=args, options=options)


def tries(session: wb.Session) -> list[int]:
    return [x.attempts for x in bodies(session, "Cruncher()", e.StepFinished) if isinstance(x, e.StepFinished)]


# ---- what travels ----------------------------------------------------------------------------------------------------


def test_it_runs_in_another_process(session: wb.Session) -> None:
    """The function runs elsewhere, and its outcome is recorded like any step's."""
    use(whoami)
    assert wb.run(Cruncher.get().run(), PATIENCE) not in (0, os.getpid())
    assert kinds(session, "Cruncher()")[2:4] == ["StepStarted", "StepFinished"]


def test_functions_of_cells(session: wb.Session) -> None:
    """A function, a lambda, a closure and a class that no module holds travel both ways, as those of a cell do."""

    @dataclass
    class Sum:
        total: int

    factor = 3

    def add(numbers: list[int]) -> Sum:
        return Sum(factor * sum(numbers))

    @wb.agent
    class Local:
        async def run(self) -> list[Any]:
            return [
                (await wb.step(add, [1, 2], cpu=True)).total,
                await wb.step(lambda x: x**2, 5, cpu=True),
                await wb.step(mirror, Point(1, 2), cpu=True) == Point(2, 1),
                await wb.step(dict, a=1, cpu=True),
            ]

    assert wb.run(Local.get().run(), PATIENCE) == [9, 25, True, {"a": 1}]


def test_large_values(session: wb.Session) -> None:
    """Arguments and results far larger than a pipe's buffer pass."""
    use(lambda data: data[::-1], b"ab" * 2_000_000)
    assert wb.run(Cruncher.get().run(), PATIENCE) == b"ba" * 2_000_000


class OddError(ValueError):
    """An exception that cannot be made again from its arguments, nor pickled."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.handle = threading.Lock()


def raise_odd() -> None:
    raise OddError(7, "odd")


def raise_plain() -> None:
    raise LookupError("no such thing")


@pytest.mark.parametrize(
    ("fn", "kind", "name", "text"),
    [(raise_plain, LookupError, "LookupError", "no such thing"), (raise_odd, ValueError, "OddError", "odd (7)")],
)
def test_errors(session: wb.Session, fn: Any, kind: type[Exception], name: str, text: str) -> None:
    """What the function raises arrives as its built-in type, with its name, text and the traceback of that process."""
    use(fn, retry=1)
    with pytest.raises(kind) as caught:
        wb.run(Cruncher.get().run(), PATIENCE)
    assert isinstance(caught.value, wb.InvocationError)
    assert (caught.value.error_type, caught.value.message) == (name, text)
    assert f"in {fn.__name__}" in caught.value.remote_traceback


def test_when_sees_the_error(session: wb.Session) -> None:
    """`when=` is asked with the error that the other process raised."""
    use(raise_plain, retry=wb.Retry(attempts=4, when=lambda error: error.args == ("no such thing",)))
    assert wb.run(Cruncher.get().caught(), PATIENCE)[0] == "LookupError"
    assert tries(session) == [4]


def test_exit_is_no_error_to_try_again(session: wb.Session) -> None:
    """`sys.exit()` ends the step as it does on a thread, and leaves the process as it is."""
    use(sys.exit, "enough")
    assert wb.run(Cruncher.get().caught(), PATIENCE)[0] == "SystemExit"
    assert tries(session) == [1]


def holding(lock: Any) -> Callable[[], bool]:
    """A function that holds what cannot travel."""

    def hold() -> bool:
        return bool(lock)

    return hold


@pytest.mark.parametrize(
    ("fn", "args", "path"),
    [
        (str, (1, threading.Lock()), "args[1] of step str"),
        (holding(threading.Lock()), (), "the function of step holding.hold"),
        (threading.Lock, (), "result of step"),
        (lambda: [object()], (), "result of step <lambda>[0]"),
    ],
)
def test_what_cannot_travel(session: wb.Session, fn: Any, args: tuple[Any, ...], path: str) -> None:
    """What cannot be pickled, or recorded, is refused with the path to it, what to do, and no second try."""
    use(fn, *args)
    name, text = wb.run(Cruncher.get().caught(), PATIENCE)
    assert name == "EncodingError"
    assert path in text
    assert tries(session) == [1]


def test_coroutines_are_refused(session: wb.Session) -> None:
    """A coroutine function has no event loop there: refused where it is written."""

    async def later() -> None: ...

    with pytest.raises(wb.AgentTypeError, match="coroutine function"):
        wb.step(later, cpu=True)


def call_an_agent(promise: wb.PromiseId) -> object:
    @wb.agent
    class Other:
        def work(self) -> None: ...

    return wb.run(Other.get().work())


def with_a_caught_error(promise: wb.PromiseId) -> object:
    """A default session that was refused once is refused again."""
    with contextlib.suppress(wb.SessionError):
        wb.session()
    return wb.promise_state(promise)


def count_agents(path: str) -> int:
    with wb.start(path, read_only=True) as reader:
        return len(reader.agents())


@pytest.mark.parametrize(
    "fn",
    [
        call_an_agent,
        with_a_caught_error,
        lambda promise: wb.complete_promise(promise, b"x"),
        lambda _: wb.create_promise(),
        lambda _: wb.session().agents(),
        lambda _: wb.start("other.db"),
        lambda _: wb.start(":memory:"),
    ],
)
def test_a_session_is_refused(
    session: wb.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fn: Callable[[wb.PromiseId], object]
) -> None:
    """The function has no session: asking for one says so and what to do, and no store is begun by the way."""
    monkeypatch.chdir(tmp_path)
    promise = wb.create_promise()

    use(fn, promise, retry=1)
    name, text = wb.run(Cruncher.get().caught(), PATIENCE)
    assert name == "SessionError"
    assert "it runs in a process of its own" in text
    assert "Compute there and return" in text
    assert list(tmp_path.iterdir()) == []
    assert wb.promise_state(promise) == "pending"


def test_a_store_may_be_read(opened: Callable[..., wb.Session], tmp_path: Path) -> None:
    """To read a store is computing too: the function may open one to read only."""
    opened(tmp_path / "a.db")
    use(count_agents, str(tmp_path / "a.db"))
    assert wb.run(Cruncher.get().run(), PATIENCE) == 1


def chat() -> str:
    print("from there")  # noqa: T201 - that is the point
    return sys.stdin.read()


def test_prints_do_no_harm(session: wb.Session, capfd: pytest.CaptureFixture[str]) -> None:
    """What the function prints goes to the kernel's log, and does not mix with the answer; it has no input."""
    use(chat)
    assert wb.run(Cruncher.get().run(), PATIENCE) == ""
    session.close()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "from there\n")


# ---- processes that die ----------------------------------------------------------------------------------------------


def test_a_process_that_is_killed(session: wb.Session, tmp_path: Path) -> None:
    """A process that dies is a failed try; the next one succeeds on a fresh process."""
    use(die_once, str(tmp_path / "mark"))
    assert wb.run(Cruncher.get().run(), PATIENCE) == "survived"
    (failure,) = bodies(session, "Cruncher()", e.StepRetried)
    assert isinstance(failure, e.StepRetried)
    assert b"ProcessDiedError" in failure.failure
    assert b"signal 9" in failure.failure
    assert tries(session) == [2]


def test_a_process_that_ends_itself(session: wb.Session) -> None:
    """`os._exit` each time: `ProcessDiedError` names the step and the status, and the pool goes on."""
    use(os._exit, 3)
    name, text = wb.run(Cruncher.get().caught(), PATIENCE)
    assert name == "ProcessDiedError"
    assert "_exit" in text
    assert "status 3" in text
    assert tries(session) == [3]
    assert wb.run(Cruncher.new_phantom().caught(), PATIENCE)[0] == "ProcessDiedError"


def test_the_neighbours_of_a_dying_process(session: wb.Session) -> None:
    """A process takes only its own job along: not one of the others is tried twice."""

    @wb.agent
    class Mixed:
        async def run(self) -> list[Any]:
            steps = [wb.step(abs, n, cpu=True) for n in range(20)]
            for n in range(2, 20, 5):
                steps[n].close()
                steps[n] = wb.step(os._exit, 1, cpu=True, retry=2)
            return [o if isinstance(o, int) else type(o).__name__ for o in await wb.join(steps, return_exceptions=True)]

    outcomes = wb.run(Mixed.get().run(), PATIENCE)
    assert outcomes == ["ProcessDiedError" if n % 5 == 2 else n for n in range(20)]
    ends = [x for x in bodies(session, "Mixed()", e.StepFinished) if isinstance(x, e.StepFinished)]
    assert sorted(x.attempts for x in ends) == [1] * 16 + [2] * 4


def test_killed_while_it_has_nothing_to_do(session: wb.Session) -> None:
    """A process that is killed between two jobs costs no try."""
    use(whoami)
    first = wb.run(Cruncher.get().run(), PATIENCE)
    os.kill(first, signal.SIGKILL)
    until(lambda: gone(first))
    for _ in range(2 * cores()):
        assert wb.run(Cruncher.get().run(), PATIENCE) != first
    assert set(tries(session)) == {1}


def test_a_process_that_dies_with_a_step_that_may_not_run_twice(session: wb.Session) -> None:
    """With `idempotent=False` nobody knows what it did: `OutcomeUnknown`, once."""
    use(os._exit, 1, idempotent=False, retry=5)
    assert wb.run(Cruncher.get().caught(), PATIENCE)[0] == "OutcomeUnknown"
    assert tries(session) == [1]


def test_a_time_limit_kills(session: wb.Session, tmp_path: Path) -> None:
    """At its limit the process is killed, so nothing goes on computing, and the core is free."""
    mark = tmp_path / "mark"
    mark.write_text("0", encoding="ascii")
    use(spin_once, str(mark))
    assert wb.run(Cruncher.get().run(), PATIENCE) == "survived"  # its process has all imported now
    mark.unlink()
    use(spin_once, str(mark), timeout=1, retry=1)
    assert wb.run(Cruncher.get().caught(), PATIENCE)[0] == "TimeoutError"
    until(lambda: gone(pid_of(mark)))
    assert pid_of(mark) not in pids()
    use(spin_once, str(mark), timeout=PATIENCE, retry=2)
    assert wb.run(Cruncher.get().run(), PATIENCE) == "survived"


@pytest.mark.parametrize("verb", ["interrupt", "delete", "crash"])
def test_what_ends_an_agent_ends_its_process(session: wb.Session, tmp_path: Path, verb: str) -> None:
    """Interrupt, delete and a crash kill the process that runs for the agent; resumed or recovered it runs again."""
    mark = tmp_path / "mark"
    use(spin_once, str(mark))
    Cruncher.get().run.trigger()
    pid = pid_of(mark)
    if verb == "delete":
        wb.run(Cruncher.get().delete())
    elif verb == "interrupt":
        wb.run(Cruncher.get().interrupt())
    else:
        session.simulate_crash()
    until(lambda: gone(pid))
    if verb == "interrupt":
        wb.run(Cruncher.get().resume())
    if verb != "delete":
        assert wb.run(session.result("Cruncher()"), PATIENCE) == "survived"
        assert tries(session) == [2]


# ---- the pool --------------------------------------------------------------------------------------------------------


def test_the_pool_starts_when_it_is_needed(opened: Callable[..., wb.Session], monkeypatch: pytest.MonkeyPatch) -> None:
    """No process before the first job, and none is started on the session's thread; the last session ends them all."""
    starters: list[str] = []
    start = processes._Worker.__init__

    def noting(self: Any) -> None:
        starters.append(threading.current_thread().name)
        start(self)

    monkeypatch.setattr(processes._Worker, "__init__", noting)
    one, two = opened(":memory:"), opened(":memory:")
    assert not processes._pools
    use(whoami)
    pid = wb.run(Cruncher.get().run(), PATIENCE)
    assert pid in pids()
    assert set(starters) == {"workbench-cpu"}
    one.close()
    assert pid in pids()
    two.close()
    assert not processes._pools
    until(lambda: gone(pid))


def test_no_more_processes_than_cores(session: wb.Session) -> None:
    """A hundred jobs share one process a core."""

    @wb.agent
    class Many:
        async def run(self) -> list[int]:
            return await wb.join([wb.step(whoami, cpu=True) for _ in range(100)])

    assert len(set(wb.run(Many.get().run(), PATIENCE))) <= cores()


def meet(folder: str, number: int, count: int) -> int:
    """Come to the meeting, and wait until all are there."""
    Path(folder, f"{number}").touch()
    while len(list(Path(folder).iterdir())) < count:
        pass
    return os.getpid()


def test_all_cores_work_at_the_same_time(session: wb.Session, tmp_path: Path) -> None:
    """As many jobs as there are cores meet: each computes until the last has begun."""

    @wb.agent
    class Meeting:
        async def run(self) -> list[int]:
            steps = [wb.step(meet, str(tmp_path), n, cores(), cpu=True, timeout=PATIENCE) for n in range(cores())]
            return await wb.join(steps)

    assert len(set(wb.run(Meeting.get().run(), PATIENCE))) == cores()


SCRIPT = """
import os, signal, sys, threading
import workbench as wb

def work(seconds):
    import time
    print("at work", os.getpid(), file=sys.stderr, flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return os.getpid()

@wb.agent
class Script:
    async def run(self, seconds: float) -> int:
        return await wb.step(work, seconds, cpu=True, retry=1)

wb.start(":memory:")
print(wb.run(Script.get().run(0.0)), flush=True)
{end}
"""


def script(end: str, **options: Any) -> subprocess.Popen[str]:
    program = SCRIPT.replace("{end}", end)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.Popen([sys.executable, "-c", program], text=True, env=environment, **pipes, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "end",
    ["wb.session().close()", "", "Script.get().run.trigger(60.0); sys.exit()", "Script.get().run.trigger(60.0)"],
)
def test_a_script_ends_without_noise(end: str) -> None:
    """A script that ends leaves no process and says nothing, closed or not, busy or not; it waits for no job."""
    done = script(end)
    out, err = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0
    assert {line.split(" ")[0] for line in err.splitlines()} == {"at"}
    until(lambda: gone(int(out)))


def test_a_killed_kernel_leaves_no_process() -> None:
    """`kill -9` of the process that began a job ends the job at once, in the middle of computing."""
    kernel = script("Script.get().run.trigger(60.0); signal.pause()")
    assert kernel.stderr is not None
    lines = [kernel.stderr.readline(), kernel.stderr.readline()]
    pid = int(lines[-1].split()[-1])
    kernel.kill()
    kernel.communicate()
    until(lambda: gone(pid))


def test_an_interrupt_does_not_reach_the_processes() -> None:
    """An interrupt of the kernel's process group, as Jupyter and Ctrl-C send it, harms no job and prints nothing."""
    kernel = script(
        "try:\n    wb.run(Script.get().run(0.4))\nexcept KeyboardInterrupt:\n    pass\n"
        "print(wb.run(wb.session().result('Script()')))\nwb.session().close()",
        process_group=0,
    )
    assert kernel.stderr is not None
    lines = [kernel.stderr.readline(), kernel.stderr.readline()]
    os.killpg(kernel.pid, signal.SIGINT)
    out, err = kernel.communicate(timeout=PATIENCE)
    assert (kernel.returncode, err) == (0, "")
    assert out.split()[1] == lines[1].split()[-1]


# ---- speed -----------------------------------------------------------------------------------------------------------


@wb.agent
class Child:
    def __init__(self, n: int) -> None: ...

    async def burn(self, seconds: float) -> int:
        return await wb.step(burn, seconds, cpu=True)


@wb.agent
class Serial:
    async def burn(self, count: int, seconds: float) -> None:
        for _ in range(count):
            await wb.step(burn, seconds, cpu=True)


def speed_up(rounds: int) -> float:
    """How much faster 64 children of 50 ms each are side by side than one after the other; medians."""
    serial, parallel = [], []
    for _ in range(rounds):
        begun = perf_counter()
        wb.run(Serial.new_phantom().burn(16, 0.05))
        serial.append(4 * (perf_counter() - begun))
        begun = perf_counter()
        wb.run(wb.fan_out(Child.burn, [0.05] * 64, limit=64))
        parallel.append(perf_counter() - begun)
    return median(serial) / median(parallel)


@pytest.mark.soak
def test_two_cores_do_nearly_twice_as_much(opened: Callable[..., wb.Session]) -> None:
    """On two cores and more the same is at least 1.7 times as fast; a machine that is busy gets ten tries."""
    opened(":memory:")
    wb.run(Child.get(0).burn(0.01))
    assert any(speed_up(3) >= (1.7 if cores() > 1 else 0.5) for _ in range(10))
