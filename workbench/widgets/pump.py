"""The one thread of a kernel that sends to the front end.

Traits and comms are not thread-safe, entries are committed on the runtime's thread, and a browser needs no more than
20 pictures a second. So everything that leaves for the front end leaves from here: a *source* (the state behind one
or several widgets) is asked to `advance` when somebody called `wake`, at most `RATE` times a second, and more seldom
when advancing takes long while the runtime is hard at work; once nothing came for `REST` seconds it is asked to `rest`,
once. With nothing to do the thread sleeps without a timeout; with nobody to serve it ends.

An exception in a source is shown: in its widgets (`fail`) and through `threading.excepthook`; the source is dropped,
the others go on.
"""

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from workbench.runtime.clock import perf_counter

RATE: Final = 20
"""Most pictures a second."""
REST: Final = 0.4
"""Seconds without news after which a picture counts as at rest."""
SHARE: Final = 19
"""While the runtime is hard at work the pump pauses this many times as long as a turn took: it takes a twentieth."""


class Source(Protocol):
    """What the pump drives; all methods are called on its thread only."""

    def advance(self) -> bool:
        """Take in what is new and send it; whether anything was new."""
        ...

    def pressed(self) -> bool:
        """Whether the runtime is so hard at work that it should be left the time."""
        ...

    def rest(self) -> None:
        """Nothing came for a while: store what a saved notebook shall show."""
        ...

    def fail(self, error: BaseException) -> None:
        """`advance` or `rest` raised this; the source is not called again."""
        ...


class Pump:
    """Runs sources; `follow`, `unfollow`, `wake` and `post` may be called from any thread."""

    def __init__(self, rate: float = RATE, rest: float = REST) -> None:
        self._period, self._rest = 1 / rate, rest
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._pace = threading.Event()  # set to cut a pause between two turns short
        self._sources: list[Source] = []
        self._jobs: deque[Callable[[], object]] = deque()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether there is a thread; there is none while nobody is served."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def here(self) -> bool:
        """Whether the caller runs on the pump's thread."""
        return threading.current_thread() is self._thread

    def wake(self) -> None:
        """Something may be new. Cheap: it sets an event, and most often finds it set."""
        if not self._wake.is_set():
            self._wake.set()

    def follow(self, source: Source) -> Callable[[], None]:
        """Drive a source from now on; returns the undo."""
        with self._lock:
            self._sources.append(source)
        self._start()
        return lambda: self.unfollow(source)

    def unfollow(self, source: Source) -> None:
        """Drive it no longer; harmless when repeated."""
        with self._lock, contextlib.suppress(ValueError):
            self._sources.remove(source)
        self._wake.set()
        self._pace.set()

    def post(self, job: Callable[[], object]) -> None:
        """Run something on the pump's thread, in the order of posting."""
        self._jobs.append(job)
        self._start()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until what was posted has run and every source has advanced once more; False when that took too long."""
        if self.here:
            self._turn()
            return True
        done = threading.Event()
        self.post(self._advance_all)
        self.post(done.set)
        self._pace.set()
        return done.wait(timeout)

    def join(self, timeout: float = 5.0) -> bool:
        """Wait for the thread to end, which it does when nobody is served; whether it has."""
        thread = self._thread
        if thread is not None and not self.here:
            thread.join(timeout)
        return not self.running

    def _start(self) -> None:
        with self._lock:
            if not self.running:
                self._thread = threading.Thread(target=self._run, name="workbench-pump", daemon=True)
                self._thread.start()
            self._wake.set()

    def _run(self) -> None:
        restless = False
        while True:
            if not self._wake.wait(self._rest if restless else None):
                restless = False
                for source in list(self._sources):
                    self._guard(source, source.rest)
                continue
            self._wake.clear()
            began = perf_counter()
            restless = self._turn() or restless
            with self._lock:
                if not self._sources and not self._jobs:
                    self._thread = None
                    return
            took = perf_counter() - began
            over = began + (1 + SHARE) * took
            self._pace.wait(max(self._period - took, 0))
            while self._pressed() and perf_counter() < over and not self._pace.is_set():
                self._pace.wait(self._period)
            self._pace.clear()

    def _pressed(self) -> bool:
        """Whether the runtime should be left the time, as it is now."""
        return any([self._guard(source, source.pressed) for source in list(self._sources)])  # noqa: C419 - all measure

    def _turn(self) -> bool:
        while self._jobs:
            job = self._jobs.popleft()
            try:
                job()
            except Exception as error:  # noqa: BLE001 - shown, and the next job runs
                report(error)
        return self._advance_all()

    def _advance_all(self) -> bool:
        news = False
        for source in list(self._sources):
            news = self._guard(source, source.advance) or news
        return news

    def _guard(self, source: Source, act: Callable[[], bool | None]) -> bool:
        try:
            return bool(act())
        except Exception as error:  # noqa: BLE001 - shown in the widget and by the hook; the other sources go on
            with self._lock, contextlib.suppress(ValueError):
                self._sources.remove(source)
            with contextlib.suppress(Exception):
                source.fail(error)
            report(error)
            return False


def report(error: BaseException) -> None:
    """Show an error of this thread as Python shows an uncaught one."""
    try:
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
        )
    except Exception:  # noqa: BLE001 - a broken hook must not end the pump
        sys.excepthook(type(error), error, error.__traceback__)


PUMP: Final = Pump()
"""The kernel's pump."""
