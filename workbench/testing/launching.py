"""Running functions in child processes that may be killed; this end of `launcher`."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from workbench.runtime.clock import perf_counter

TIMEOUT_SECONDS: Final = 60.0
"""Silence after which a child counts as hung."""


class Report:
    """What became of a child.

    Attributes:
        told: what it told, by name; of equal names the last.
        result: what its function returned.
        error: the traceback, when it raised.
        crash: name and number of the fault point that ended it.
        status: exit status, negative for a signal.
        hung: whether it fell silent and was killed for that.
    """

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.result: Any = None
        self.error = ""
        self.crash: tuple[str, int] | None = None
        self.status = 0
        self.hung = False
        self.pid = 0

    def __repr__(self) -> str:
        return (
            f"<report: status {self.status}, crash {self.crash}, result {self.result!r}, told {self.told} {self.error}>"
        )


def reference(function: Callable[..., Any]) -> str:
    """`module:name`, by which another process finds a function."""
    if "<" in function.__qualname__:
        raise ValueError(
            f"{function.__qualname__} cannot be found by another process: define it at the top of a module"
        )
    return f"{function.__module__}:{function.__qualname__}"


class Launcher:
    """A process without threads that forks a child for each request; one at a time.

    Args:
        modules: imported once, before the first fork.
        hash_seed: the children's `PYTHONHASHSEED`: sets of text are ordered by it.
        output: file that collects what the children print.
    """

    def __init__(self, modules: Sequence[str], output: Path, hash_seed: int = 0) -> None:
        self.output = output
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.testing.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self._buffer = b""
        self._report = Report()
        self._write({"path": sys.path, "modules": list(modules)})

    def _write(self, message: dict[str, Any]) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the launcher has no input")
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()

    def start(self, function: Callable[..., Any] | str, **arguments: Any) -> None:
        """Fork a child that calls `function(channel, **arguments)`; see `finish`."""
        name = function if isinstance(function, str) else reference(function)
        self._report = Report()
        self._write({"function": name, "arguments": arguments, "output": str(self.output)})

    def _lines(self, timeout: float, deadline: float | None) -> Iterator[bytes]:
        stdout = self._process.stdout
        if stdout is None:
            raise RuntimeError("the launcher has no output")
        fd = stdout.fileno()
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                yield line
                continue
            patience = timeout if deadline is None else max(deadline - perf_counter(), 0)
            if not select.select([fd], [], [], patience)[0]:
                raise TimeoutError("the child fell silent")
            data = os.read(fd, 65536)
            if not data:
                raise RuntimeError("the launcher is gone")
            self._buffer += data

    def messages(self, timeout: float = TIMEOUT_SECONDS, deadline: float | None = None) -> Iterator[list[Any]]:
        """The child's messages as they come, until its end.

        Raises:
            TimeoutError: none came for `timeout` seconds, or the deadline passed; the child is still there.
        """
        report = self._report
        for line in self._lines(timeout, deadline):
            try:
                message: list[Any] = json.loads(line) if line else [""]
            except ValueError:
                continue  # cut short by the child's death
            match message:
                case ["pid", pid]:
                    report.pid = pid
                case ["tell", name, value]:
                    report.told[name] = value
                case ["crash", point, n]:
                    report.crash = point, n
                case ["result", value]:
                    report.result = value
                case ["error", text]:
                    report.error = text
                case ["end", status]:
                    report.status = status
                    return
            if message[0]:
                yield message

    def await_told(self, name: str, timeout: float = TIMEOUT_SECONDS) -> Any:
        """Wait until the child tells something; its value."""
        for message in self.messages(timeout):
            if message[:2] == ["tell", name]:
                return message[2]
        raise RuntimeError(f"the child ended and never told {name!r}: {self._report!r}")

    @property
    def report(self) -> Report:
        """What became of the last child, as far as it has told."""
        return self._report

    @property
    def child_pid(self) -> int:
        """The process id of the last child."""
        if not self._report.pid:
            next(self.messages())
        return self._report.pid

    def kill(self) -> None:
        """`kill -9` the child."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child_pid, signal.SIGKILL)

    def finish(self, timeout: float = TIMEOUT_SECONDS, kill_after: float | None = None) -> Report:
        """Wait for the child's end.

        Args:
            timeout: seconds of silence after which it is killed, and reported as hung.
            kill_after: seconds from now at which it is killed, as a fault; one that has ended by then is left alone.
        """
        deadline = None if kill_after is None else perf_counter() + kill_after
        try:
            for _ in self.messages(timeout, deadline):
                pass
        except TimeoutError:
            self._report.hung = kill_after is None
            self.kill()
            for _ in self.messages(timeout):
                pass
        return self._report

    def run(self, function: Callable[..., Any] | str, **arguments: Any) -> Report:
        """`start` and `finish`."""
        self.start(function, **arguments)
        return self.finish()

    def close(self) -> None:
        """End the launcher."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._report.pid and error is not None:
            self.kill()
        self.close()
