"""The feed: committed entries, for whoever looks. What is not committed is never seen here.

Readers keep their own place and ask for what came after it. While somebody is subscribed, the newest entries are kept
in memory so that a live view reads nothing from disk; a reader that fell behind is served from the store.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from workbench.model.entries import Entry
from workbench.store.log import Log

KEPT_ENTRIES: Final = 200_000
"""Entries kept in memory while somebody is subscribed (about 50 MB)."""


class Feed:
    """Committed entries of one session."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._recent: deque[Sequence[Entry]] = deque()
        self._kept = 0
        self._subscribers: dict[object, Callable[[], None]] = {}
        self.committed = log.last_seq
        self.lag = 0
        """Nanoseconds from the making of the newest batch's first entry to its commit."""

    def publish(self, entries: Sequence[Entry]) -> None:
        """Tell subscribers that these were committed. Called by the session's thread only."""
        if self._subscribers:
            self._recent.append(entries)
            self._kept += len(entries)
            while self._kept > KEPT_ENTRIES and len(self._recent) > 1:
                self._kept -= len(self._recent.popleft())
        elif self._recent:
            self._recent.clear()
            self._kept = 0
        self.committed = entries[-1].seq
        for notify in tuple(self._subscribers.values()):
            notify()

    def subscribe(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called, without data, after each commit, on the session's thread: it must only set a flag.

        Returns:
            the undo; harmless when repeated.
        """
        token = object()
        self._subscribers[token] = notify
        return lambda: self._subscribers.pop(token, None) and None

    def read(self, after: int, most: int | None = None) -> list[Entry]:
        """Committed entries with `seq > after`, in order, `most` at most; any thread."""
        upto = self.committed if most is None else min(self.committed, after + most)
        if after >= upto:
            return []
        batches = tuple(self._recent)
        if batches and batches[0][0].seq <= after + 1:
            return [entry for batch in batches if batch[-1].seq > after for entry in batch if after < entry.seq <= upto]
        return list(self._log.read(after, upto))
