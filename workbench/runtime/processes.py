"""The pool of processes for steps with `cpu=True`: one for each core, shared by all sessions of this process.

Each process is kept by a thread of the pool, which hands it one job at a time and waits for the answer. So it is known
which job a process died of, and a job that takes too long is killed alone. A process starts with the first job for it,
and ends after a minute without work, with the last session, and with this process, however that ends (see
`cpu_worker.py`).

Functions and arguments travel by cloudpickle, so a function that a cell defines will do. Nothing of that is stored.

Rejected: `concurrent.futures.ProcessPoolExecutor` and loky, which fail all jobs under way when one process dies or is
killed for its time limit, and whose processes outlive a kernel that is killed.
"""

import atexit
import builtins
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple

import cloudpickle

from workbench.errors import EncodingError, ProcessDiedError
from workbench.runtime.clock import perf_counter
from workbench.runtime.cpu_worker import LENGTH, read_frame

IDLE_SECONDS: Final = 60.0
"""A process without work ends after so long."""
_SCRIPT: Final = Path(__file__).with_name("cpu_worker.py")
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""There is a process for each core already; a variable that is set stays as it is."""


class How(Enum):
    """How a job ended."""

    RETURNED = "returned"
    RAISED = "raised"
    REFUSED = "refused"
    """It, or its result, cannot be pickled."""
    CUT_SHORT = "cut short"
    """Its time limit passed, or its process died."""


class End(NamedTuple):
    """What became of a job."""

    how: How
    value: Any = None
    error: BaseException | None = None


class RemoteError(Exception):
    """The traceback in the other process, as text; stands as the cause of the error itself."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class CpuJob:
    """A function to run in another process.

    Args:
        name: the step's, for messages.
        function: what to run, with `args` and `kwargs`.
        timeout: seconds after which its process is killed.
        ended: called once with its end, on a thread of the pool; not when it was cancelled.
    """

    __slots__ = ("args", "cancelled", "ended", "function", "kwargs", "name", "timeout", "worker")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        ended: Callable[[End], object],
    ) -> None:
        self.name, self.function, self.args, self.kwargs = name, function, args, kwargs
        self.timeout, self.ended = timeout, ended
        self.cancelled = False
        self.worker: _Worker | None = None

    def pickled(self) -> bytes:
        """What the process gets.

        Raises:
            EncodingError: something of it cannot be pickled; says what.
        """
        try:
            data: bytes = cloudpickle.dumps((self.function, tuple(self.args), dict(self.kwargs)))
        except Exception as error:  # noqa: BLE001 - whatever the methods of a value raise
            parts = [(f"the function of step {self.name}", self.function)]
            parts += [(f"args[{n}] of step {self.name}", arg) for n, arg in enumerate(self.args)]
            parts += [(f"argument {key} of step {self.name}", arg) for key, arg in self.kwargs.items()]
            path = next((path for path, part in parts if not _can_be_pickled(part)), f"step {self.name}")
            raise EncodingError(
                path,
                f"it goes to another process, and cannot be pickled ({type(error).__name__}: {error})",
                "pass plain values to a function that stands by itself, or leave cpu=True out",
            ) from None
        return data


def _can_be_pickled(value: object) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


class _DiedError(Exception):
    """The process ended before it answered; `idle` when it did so before it got the job."""

    def __init__(self, status: int = 0, *, idle: bool = False) -> None:
        self.status, self.idle = status, idle


class _Worker:
    """One process of the pool, and the pipes to it. Used by one thread; only `kill` may be called by others."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is read ahead would be hidden from `poll`
            env={**_ONE_THREAD, **os.environ},
            process_group=0,
        )
        self._first = pickle.dumps(list(sys.path))

    @property
    def pid(self) -> int:
        return self._process.pid

    def _send(self, data: bytes) -> None:
        stdin: Any = self._process.stdin
        left = memoryview(LENGTH.pack(len(data)) + data)
        while left:
            left = left[stdin.write(left) :]

    def ask(self, request: bytes, timeout: float | None) -> bytes:
        """Have a job done; the answer.

        Raises:
            _DiedError: the process ended before it answered.
            TimeoutError: there was no answer in that many seconds; the process is killed.
        """
        try:
            if self._first:
                self._send(self._first)
                self._first = b""
            self._send(request)
            begun = self._receive(None)
        except OSError:
            begun = None
        if begun is None:
            raise _DiedError(self.end(), idle=True)
        reply = self._receive(timeout)
        if reply is None:
            raise _DiedError(self.end())
        return reply

    def _receive(self, timeout: float | None) -> bytes | None:
        """The next frame, None when there is none to come."""
        stdout: Any = self._process.stdout
        if not _readable(stdout.fileno(), timeout):
            self.kill()
            raise TimeoutError
        return read_frame(stdout)

    def kill(self) -> None:
        """End the process, and what it has started."""
        if self._process.returncode is not None:
            return  # its number may be another's by now
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()

    def end(self) -> int:
        """Kill the process if need be, and let go of it; its exit status."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what it was still to be told
        return self._process.wait()


def _readable(fd: int, timeout: float | None) -> bool:
    """Wait until a pipe has something to read, or has ended; False when the time is over before."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = None if timeout is None else perf_counter() + timeout
    while True:
        left = None if deadline is None else max(deadline - perf_counter(), 0)
        if poll.poll(None if left is None else min(left, 3600) * 1000):
            return True
        if left == 0:
            return False


class ProcessPool:
    """See the module's text. Public methods may be called from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._wake = threading.Condition(threading.Lock())
        self._jobs: deque[CpuJob] = deque()
        self._threads: set[threading.Thread] = set()
        self._workers: set[_Worker] = set()
        self._idle = 0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes there are."""
        with self._wake:
            return sorted(worker.pid for worker in self._workers)

    def submit(self, job: CpuJob) -> None:
        """Run a job when a process is free."""
        with self._wake:
            self._jobs.append(job)
            if len(self._jobs) > self._idle and len(self._threads) < self._limit and not self._closed:
                thread = threading.Thread(target=self._keep, name="workbench-cpu", daemon=True)
                self._threads.add(thread)
                thread.start()
            self._wake.notify()

    def cancel(self, job: CpuJob) -> None:
        """Nobody waits for a job any more: it does not begin, or its process is killed."""
        with self._wake:
            job.cancelled = True
            if job.worker is not None:
                job.worker.kill()

    def close(self) -> None:
        """Kill all processes, and wait until they are gone."""
        with self._wake:
            self._closed = True
            self._jobs.clear()
            for worker in self._workers:
                worker.kill()
            self._wake.notify_all()
            threads = tuple(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _next(self) -> CpuJob | None:
        """The next job; None when there was none for long, or the pool is closed."""
        with self._wake:
            waited = True
            while not self._closed:
                if self._jobs:
                    job = self._jobs.popleft()
                    if not job.cancelled:
                        return job
                elif waited:
                    self._idle += 1
                    waited = self._wake.wait(IDLE_SECONDS)
                    self._idle -= 1
                else:
                    break
            self._threads.discard(threading.current_thread())
            return None

    def _keep(self) -> None:
        """What a thread of the pool does: keep one process at work."""
        worker: _Worker | None = None
        while (job := self._next()) is not None:
            end, worker = self._do(job, worker)
            if not job.cancelled:
                job.ended(end)
            del job, end
        if worker is not None:
            self._let_go(worker)

    def _do(self, job: CpuJob, worker: _Worker | None) -> tuple[End, _Worker | None]:
        """Run a job on a process, on a new one if need be; its end, and the process if it may be used again."""
        try:
            request = job.pickled()
            reply = b""
            if worker is not None:
                try:
                    reply = self._ask(job, worker, request)
                except _DiedError as died:
                    self._let_go(worker)
                    worker = None
                    if not died.idle:
                        raise
            if worker is None:  # there was none, or it had died before it got the job
                worker = self._hire()
                reply = self._ask(job, worker, request)
            return _read(job, reply), worker
        except EncodingError as error:
            return End(How.REFUSED, error=error), worker
        except (_DiedError, TimeoutError, OSError) as error:
            if worker is not None:
                self._let_go(worker)
            if isinstance(error, _DiedError):
                return End(How.CUT_SHORT, error=_death(job, error.status)), None
            if isinstance(error, TimeoutError):
                text = f"step {job.name} did not end within {job.timeout:g} s, and its process was killed"
                return End(How.CUT_SHORT, error=TimeoutError(text)), None
            return End(How.RAISED, error=error), None  # no process can be started

    def _ask(self, job: CpuJob, worker: _Worker, request: bytes) -> bytes:
        """Have a process do a job, which may be cancelled meanwhile."""
        with self._wake:
            if job.cancelled:
                raise _DiedError
            job.worker = worker
        try:
            return worker.ask(request, job.timeout)
        finally:
            with self._wake:
                job.worker = None

    def _hire(self) -> _Worker:
        worker = _Worker()
        with self._wake:
            self._workers.add(worker)
            if self._closed:
                worker.kill()
        return worker

    def _let_go(self, worker: _Worker) -> None:
        with self._wake:
            self._workers.discard(worker)
        worker.end()


def _death(job: CpuJob, status: int) -> ProcessDiedError:
    why = f"it ended by itself with status {status}"
    if status < 0:
        why = f"it was killed by signal {-status}, {signal.strsignal(-status)}"
    return ProcessDiedError(
        f"the process that ran step {job.name} is gone",
        why,
        "see that the function neither ends its process nor takes more memory than there is",
    )


def _read(job: CpuJob, reply: bytes) -> End:
    """The end that a process told."""
    returned, data, told = pickle.loads(reply)  # noqa: S301 - from the process that this one started
    if returned and data is None:
        why = f"it comes from another process, and cannot be pickled ({told[0]}: {told[2]})"
        return End(How.REFUSED, error=EncodingError(f"result of step {job.name}", why, "return plain values"))
    try:
        value = None if data is None else pickle.loads(data)  # noqa: S301
    except Exception as error:  # noqa: BLE001 - whatever constructors raise
        if returned:
            why = f"it comes from another process, and cannot be read ({type(error).__name__}: {error})"
            return End(How.REFUSED, error=EncodingError(f"result of step {job.name}", why, "return plain values"))
        value = None
    if returned:
        return End(How.RETURNED, value)
    name, base, text, trace = told
    raised = value if isinstance(value, BaseException) else _like(name, base, text)
    raised.__cause__ = RemoteError(trace)
    return End(How.RAISED, error=raised)


def _like(name: str, base: str, text: str) -> BaseException:
    """An exception of this name and text, for one that could not be pickled."""
    parent = getattr(builtins, base)
    try:
        error: BaseException = type(name, (parent,), {})(text)
    except TypeError:  # its constructor wants more, as that of UnicodeDecodeError
        error = type(name, (Exception,), {})(text)
    return error


# ---- the one of this process -----------------------------------------------------------------------------------------

_lock: Final = threading.Lock()
_users: Final[set[object]] = set()
_pools: Final[list[ProcessPool]] = []


def pool_for(user: object) -> ProcessPool:
    """The pool; it lives until each `user` that asked for it has given it back."""
    with _lock:
        _users.add(user)
        if not _pools:
            _pools.append(ProcessPool(cores()))
        return _pools[0]


def give_back(user: object) -> None:
    """This user is done; the last one ends the pool. Harmless for one that never asked."""
    with _lock:
        _users.discard(user)
        ended = [] if _users else _pools.copy()
        for pool in ended:
            _pools.remove(pool)
    for pool in ended:
        pool.close()


@atexit.register
def _end_all() -> None:
    for pool in _pools:
        pool.close()


def cores() -> int:
    """Cores that this process may use: by its affinity, and by the quota of its container."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        available = min(available, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no quota
        pass
    return max(available, 1)
