"""The future that a cell waits for: an interrupt of the cell can leave no lock of it held.

`with condition:` on a `threading.Condition` calls a Python function that takes the lock. A `KeyboardInterrupt` that
arrives when the lock is taken and that function has not returned leaves it taken for good, and the session's thread
would block for ever on settling the future. Here `with` finds the lock's own methods, which are C: between taking the
lock and being inside `with` Python looks for no interrupt.
"""

import _thread
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")

HEARTBEAT_SECONDS: Final = 0.1
"""How often a waiting cell wakes, so that it sees an interrupt which came too early to end the wait."""


class _Condition(threading.Condition):
    __enter__ = property(attrgetter("_lock.__enter__"))
    __exit__ = property(attrgetter("_lock.__exit__"))


class Answer(Future[_T], Generic[_T]):
    """A `concurrent.futures.Future` that the session's thread settles and another thread waits for."""

    _condition: Any

    def __init__(self) -> None:
        super().__init__()
        self._condition = _Condition()

    def give(self, value: _T) -> None:
        """Settle it with a result, unless whoever waited has given it up."""
        if self.set_running_or_notify_cancel():
            self.set_result(value)

    def _wait(self, timeout: float | None) -> None:
        """Wait on a lock of one's own: `Condition.wait` has an instant at which its lock is released.

        It wakes now and then: a signal that comes right before Python blocks on the lock would be seen only after.
        """
        if not self.done():
            gate = threading.Lock()
            gate.acquire()
            self.add_done_callback(lambda _: gate.release())
            left = math.inf if timeout is None else timeout
            while not gate.acquire(timeout=min(max(left, 0), HEARTBEAT_SECONDS)) and left > HEARTBEAT_SECONDS:
                left -= HEARTBEAT_SECONDS

    def result(self, timeout: float | None = None) -> _T:
        """As `Future.result`."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`."""
        self._wait(timeout)
        return super().exception(0)


def uninterrupted(work: Callable[[], _T]) -> _T:
    """Do something to its end whatever interrupts the caller: on a thread of its own, where no interrupt lands.

    An interrupted caller stops waiting, and the work goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    answer: Answer[_T] = Answer()

    def target() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - goes to the caller
            answer.set_exception(error)

    _thread.start_new_thread(
        target, ()
    )  # `Thread.start` waits for its thread, and an interrupt of that leaves a lock wrong
    return answer.result()
