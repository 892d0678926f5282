"""A clock that moves only when it is told to, and chance that can be repeated."""

from hashlib import blake2b
from typing import Final
from uuid import UUID

from workbench.runtime.clock import Clock

EPOCH: Final = 1_700_000_000_000_000_000
"""Nanoseconds since 1970 at which simulated time begins: 14 November 2023, 22:13:20 UTC."""


class SimulatedClock(Clock):
    """Time stands still while anything is going on; the session moves it to the next timer when all agents rest.

    Args:
        seed: decides all that is random. Give each process that opens one store another seed, else two of them draw the
            same phantom ids.
        start: wall time at the start, in nanoseconds since the epoch.
    """

    simulated = True

    def __init__(self, seed: int | str = 0, start: int = EPOCH) -> None:
        super().__init__()
        self.seed = seed
        self._start = start
        self._wall = start
        self._drawn = 0

    def not_before(self, wall: int) -> None:
        """Begin no earlier than the last entry of the log."""
        self._wall = max(self._wall, wall)

    def mono(self) -> int:
        """Nanoseconds since simulated time began."""
        return self._wall - self._start

    def wall(self) -> int:
        """Nanoseconds since the epoch."""
        return self._wall

    def both(self) -> tuple[int, int]:
        """`wall` and `mono` of the same moment."""
        return self._wall, self._wall - self._start

    def advance_to(self, wall: int) -> None:
        """Let it be this time; time never runs backwards."""
        self._wall = max(self._wall, wall)

    def _draw(self) -> bytes:
        self._drawn += 1
        return blake2b(f"{self.seed}/{self._drawn}".encode(), digest_size=16).digest()

    def uuid4(self) -> UUID:
        """The next UUID of this seed."""
        return UUID(bytes=self._draw(), version=4)

    def token(self) -> str:
        """The next eight hexadecimal digits of this seed."""
        return self._draw().hex()[:8]
