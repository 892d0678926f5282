"""The tape behind all dashboards that show the same feed from the same point; a source of the pump.

It folds what was committed in slices, so that a long log shows its beginning at once and the pump stays at hand, and
gives each dashboard the rows that its page does not have.
"""

import threading
import traceback
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, ClassVar, Final, Protocol
from weakref import WeakValueDictionary

from workbench.model.entries import Entry
from workbench.runtime.clock import perf_counter
from workbench.views.graph_nodes import BUSY, Earlier, Status, status_of
from workbench.views.tape import Tape
from workbench.views.tape_packet import TapePacket, saved
from workbench.widgets.pump import PUMP

SLICE: Final = 4_000
"""Entries folded in one turn of the pump: 20 to 30 ms."""
_PRESSED: Final = 3_000
"""Entries committed in a second from which on the runtime counts as hard at work."""
_names = count(1)


class EntryFeed(Protocol):
    """Committed entries, in the order of the log. Both methods may be called from any thread."""

    committed: int
    """`seq` of the newest one."""

    def read(self, after: int, most: int | None = None) -> list[Entry]:
        """Committed entries whose `seq` is greater than `after`, `most` at most."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, without data, after each commit, on the runtime's thread; returns the undo."""
        ...


class Viewer(Protocol):
    """A dashboard, as its channel knows it."""

    @property
    def owed(self) -> bool:
        """Whether there are rows that its page was not sent."""
        ...

    def due_packet(self) -> TapePacket | None:
        """The rows to send next."""
        ...

    def send_packet(self, part: TapePacket, /) -> None:
        """Send them."""
        ...

    def send(self, content: dict[str, Any], /) -> None:
        """Send something else."""
        ...

    def keep(self) -> None:
        """Store the picture."""
        ...


class Channel:
    """One tape, and the dashboards that show it."""

    _open: ClassVar[WeakValueDictionary[tuple[int, int | None, int], "Channel"]] = WeakValueDictionary()

    def __init__(self, feed: EntryFeed, tape: Tape) -> None:
        self.feed, self.tape = feed, tape
        self.name = f"tape {next(_names)}"
        """Tells a page whether the rows that it has are of this tape."""
        self.lock = threading.RLock()  # over the tape: the pump folds, any thread may draw a still picture
        self.widgets: list[Viewer] = []
        self._undo: list[Callable[[], None]] = []
        self._looked = 0.0, 0
        self._saved = (-1, -1), b""

    @classmethod
    def of(
        cls,
        feed: EntryFeed,
        root: int | None,
        describe: Callable[[bytes], str] | None,
        since: int,
        earlier: Mapping[int, Earlier] | None,
    ) -> "Channel":
        """The channel of a feed, a root and a beginning; made when there is none."""
        key = id(feed), root, since
        channel = cls._open.get(key)
        if channel is None or channel.feed is not feed or channel.tape.view.closed:
            channel = cls._open[key] = cls(feed, Tape(root, describe, since=since, earlier=earlier))
        return channel

    @property
    def follows(self) -> bool:
        """Whether the pump drives this channel."""
        return bool(self._undo)

    @property
    def behind(self) -> int:
        """Committed entries that are not folded yet."""
        return max(0, self.feed.committed - self.tape.last_seq)

    def add(self, widget: Viewer) -> None:
        """Have it sent what comes."""
        self.widgets.append(widget)
        if not self._undo:
            self._undo = [self.feed.subscribe(PUMP.wake), PUMP.follow(self)]
        PUMP.wake()

    def remove(self, widget: Viewer) -> None:
        """Send it nothing more; harmless when repeated."""
        if widget in self.widgets:
            self.widgets.remove(widget)
            if not self.widgets:
                self._stop()

    def _stop(self) -> None:
        for undo in self._undo:
            undo()
        self._undo = []

    def fold(self, most: int | None = None) -> int:
        """Fold what was committed meanwhile, so many entries at most; how many they were. Hold the lock."""
        entries = self.feed.read(self.tape.last_seq, most)
        self.tape.apply(entries)
        return len(entries)

    def catch_up(self) -> None:
        """Fold all that was committed until now."""
        with self.lock:
            while self.fold(SLICE):
                pass

    def saved(self, facts: Mapping[str, Any]) -> bytes:
        """The tape for a file; made once for all dashboards that show it. Hold the lock."""
        now = len(self.tape), self.tape.last_seq
        if self._saved[0] != now:
            self._saved = now, saved(self.tape, facts)
        return self._saved[1]

    def busy(self) -> bool:
        """Whether any agent shown is at work or waits, or stands still and may go on."""
        with self.lock:
            statuses = {status_of(node) for node in self.tape.view.nodes if node.parent >= 0}
        return bool(statuses & {*BUSY, Status.QUEUED, Status.INTERRUPTED})

    # ---- as a source of the pump -----------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Fold a slice and send it."""
        with self.lock:
            folded = self.fold(SLICE)
            packets = [(widget, widget.due_packet()) for widget in self.widgets]
        for widget, packet in packets:
            if packet is not None:
                widget.send_packet(packet)
        if self.behind or any(widget.owed for widget in self.widgets):
            PUMP.wake()
        return folded > 0

    def pressed(self) -> bool:
        """Whether the runtime is hard at work, so that every moment spent here is taken from it."""
        now, committed = perf_counter(), self.feed.committed
        then, before = self._looked
        self._looked = now, committed
        return committed - before > _PRESSED * max(now - then, 1e-3)

    def rest(self) -> None:
        """Have the picture stored that a saved notebook shows."""
        for widget in list(self.widgets):
            widget.keep()

    def fail(self, error: BaseException) -> None:
        """Tell the pages why nothing more comes; a new dashboard begins anew."""
        self._stop()
        for key in [key for key, channel in self._open.items() if channel is self]:
            del self._open[key]
        text = "".join(traceback.format_exception_only(error)).strip()
        for widget in list(self.widgets):
            widget.send({"t": "error", "text": text})
