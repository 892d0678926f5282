"""The only place that reads clocks and draws random numbers; `workbench.testing.SimulatedClock` replaces it."""

import secrets
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

LAST_SECOND: Final = 9e9
"""Timers are due by the year 2255 at the latest; nanoseconds from then on would not fit into 64 bits."""


class Clock:
    """Time and chance for one session.

    Wall time is taken once, at the start, and then advanced by the monotonic clock, so a clock that is set back or
    forth while the session runs makes no timer early or stuck; nor does time run backwards from one run to the next
    (`not_before`).
    """

    def __init__(self) -> None:
        self._base = time.time_ns() - time.monotonic_ns()

    def not_before(self, wall: int) -> None:
        """Never tell a time before this one: the last that the log holds."""
        self._base = max(self._base, wall - time.monotonic_ns())

    def mono(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return time.monotonic_ns()

    def wall(self) -> int:
        """Nanoseconds since the epoch."""
        return self._base + time.monotonic_ns()

    def both(self) -> tuple[int, int]:
        """`wall` and `mono` of the same moment."""
        mono = time.monotonic_ns()
        return self._base + mono, mono

    def advance_to(self, wall: int) -> None:
        """Let it be this time; for a simulated clock, as by itself no time passes there."""

    def uuid4(self) -> UUID:
        """A random UUID."""
        return uuid4()

    def token(self) -> str:
        """Eight random hexadecimal digits: what tells a store's promises and keys from another store's."""
        return secrets.token_hex(4)

    simulated = False
    """Whether time stands still while nothing happens, and jumps to the next timer."""


def perf_counter() -> float:
    """Seconds, for measuring how long something took."""
    return time.perf_counter()


def in_words(wall: int) -> str:
    """A wall time for people: UTC, to the second."""
    return datetime.fromtimestamp(wall / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def as_datetime(wall: int) -> datetime:
    """A wall time as an aware `datetime` in UTC, to the microsecond."""
    return datetime.fromtimestamp(wall // 1_000_000_000, UTC).replace(microsecond=wall % 1_000_000_000 // 1000)
