"""Durable timers: a heap of due times and one call-back of the session's loop for the earliest."""

import asyncio
import heapq
from collections.abc import Callable

from workbench.runtime.clock import Clock


class Timers:
    """Calls `fire(uid, op)` on the session's loop when a timer is due, in wall nanoseconds of the session's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, fire: Callable[[int, int], None]) -> None:
        self._loop, self._clock, self._fire = loop, clock, fire
        self._heap: list[tuple[int, int, int]] = []
        self._armed: set[tuple[int, int]] = set()
        self._handle: asyncio.TimerHandle | None = None
        self._handle_due = 0

    def arm(self, uid: int, op: int, due: int) -> None:
        """Fire once, not before `due`; at the next turn when that is past."""
        self._armed.add((uid, op))
        heapq.heappush(self._heap, (due, uid, op))
        if not self._clock.simulated:
            self._aim()

    def disarm(self, uid: int, op: int) -> None:
        """Do not fire; harmless for one that is not armed."""
        self._armed.discard((uid, op))

    def clear(self) -> None:
        """Disarm all."""
        self._heap.clear()
        self._armed.clear()

    def next_due(self) -> int | None:
        """When the earliest armed timer is due."""
        while self._heap and self._heap[0][1:] not in self._armed:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire_due(self, now: int) -> None:
        """Fire all that are due at `now`, in order of due time."""
        while (due := self.next_due()) is not None and due <= now:
            _, uid, op = heapq.heappop(self._heap)
            self._armed.discard((uid, op))
            self._fire(uid, op)

    def _aim(self) -> None:
        due = self.next_due()
        if due is None or (self._handle is not None and self._handle_due <= due and not self._handle.cancelled()):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle_due = due
        self._handle = self._loop.call_later(max(due - self._clock.wall(), 0) / 1e9, self._wake)

    def _wake(self) -> None:
        self._handle = None
        self.fire_due(self._clock.wall())
        self._aim()
