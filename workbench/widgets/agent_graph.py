"""The live agent graph as a widget: entries in, a moving picture out.

`AgentGraph` is the end that a notebook sees. Behind it a `_Channel`, shared by all widgets that show the same feed
and root, folds entries into a `GraphView` and numbers its packets. The pump drives channels and is the only one to
send: whatever this widget wants to say, a trait's change included, is posted to it. What the front end says is only
noted; the pump answers.

Front end's messages: `hello` (send a snapshot), `details` (of a slot), `ping`. Kernel's: `snapshot`, `delta`,
`details`, `pong`, `error`.
"""

import re
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from weakref import WeakValueDictionary

import anywidget
import traitlets

from workbench.model.entries import Entry
from workbench.views.graph import Earlier, GraphView, Status
from workbench.views.graph_nodes import BUSY
from workbench.views.graph_packet import GraphPackets, Packet
from workbench.views.picture import graph_summary, graph_svg
from workbench.widgets.pump import PUMP
from workbench.widgets.subshells import answer_anywhere

_HERE: Final = Path(__file__).parent


class EntryFeed(Protocol):
    """Committed entries, in the order of the log. Both methods may be called from any thread."""

    def read(self, after: int) -> list[Entry]:
        """All committed entries whose `seq` is greater than `after`."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, without data, after each commit, on the runtime's thread; returns the undo."""
        ...


def assemble(*parts: Path) -> str:
    """One ES module from several, in order: imports from each other go, only the last one's default export stays.

    Lines that hold nothing but a comment go too: a saved notebook keeps the module's text once per widget.
    """
    texts = []
    for part in parts:
        text = part.read_text("utf-8")
        text = re.sub(r"^import [^;]*;\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^export \{[^}]*\};\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)
        text = re.sub(r"^[ \t]*/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^[ \t]*//.*\n", "", text, flags=re.MULTILINE)
        texts.append(re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE))
    return "".join(texts)


class _Channel:
    """The state behind all widgets that show the same feed and root; a source of the pump."""

    _open: ClassVar[WeakValueDictionary[tuple[int, int | None, int], "_Channel"]] = WeakValueDictionary()

    def __init__(self, feed: EntryFeed, view: GraphView) -> None:
        self.feed = feed
        self.view = view
        self.packets = GraphPackets(self.view)
        self.lock = threading.Lock()  # over view and packets: the pump folds, any thread may draw a still picture
        self.widgets: list[AgentGraph] = []
        self._undo: list[Callable[[], None]] = []

    @classmethod
    def of(
        cls,
        feed: EntryFeed,
        root: int | None,
        describe: Callable[[bytes], str] | None,
        since: int,
        earlier: Mapping[int, Earlier] | None,
    ) -> "_Channel":
        key = (id(feed), root, since)
        channel = cls._open.get(key)
        if channel is None or channel.feed is not feed:
            channel = cls._open[key] = cls(feed, GraphView(root, describe, since=since, earlier=earlier))
        if describe is not None:
            channel.view.describe_value = describe
        return channel

    @property
    def follows(self) -> bool:
        """Whether the pump drives this channel."""
        return bool(self._undo)

    def add(self, widget: "AgentGraph") -> None:
        self.widgets.append(widget)
        if not self._undo:
            self._undo = [self.feed.subscribe(PUMP.wake), PUMP.follow(self)]
        PUMP.wake()

    def remove(self, widget: "AgentGraph") -> None:
        if widget in self.widgets:
            self.widgets.remove(widget)
            if not self.widgets:
                self._stop()

    def _stop(self) -> None:
        for undo in self._undo:
            undo()
        self._undo = []

    def catch_up(self) -> None:
        """Fold what was committed meanwhile. Hold the lock."""
        if entries := self.feed.read(self.view.seq):
            self.view.apply(entries)

    # ---- as a source of the pump -----------------------------------------------------------------------------------

    def advance(self) -> bool:
        with self.lock:
            self.catch_up()
            delta = self.packets.delta_since(self.packets.version)
            asked = any(widget.lost for widget in self.widgets)
            unasked = delta is not None and any(widget.unheard() for widget in self.widgets)
            snapshot = self.packets.snapshot() if asked or unasked else None
        for widget in list(self.widgets):
            packet = snapshot if widget.lost or (snapshot and not widget.heard) else delta
            if packet is not None:
                widget.lost = False
                widget.send_packet(packet)
        return delta is not None

    def rest(self) -> None:
        for widget in list(self.widgets):
            widget.keep()

    def fail(self, error: BaseException) -> None:
        self._stop()
        for key in [key for key, channel in self._open.items() if channel is self]:
            del self._open[key]  # a new widget begins anew
        text = "".join(traceback.format_exception_only(error)).strip()
        for widget in list(self.widgets):
            widget.send({"t": "error", "text": text})


class AgentGraph(anywidget.AnyWidget):
    """Agents as a growing tree, live; calls, promises and forks as lines over it.

    It follows the feed from the moment it is made: updates come while a cell runs, blocks or awaits. The saved notebook
    shows the last picture with no kernel.

    Args:
        feed: where committed entries come from.
        describe: turns an encoded failure into text for the details card.
        root: uid of an agent, to show only it and what descends from it.
        since: show only what happens after this `seq`: the agents that do something, and those they descend from.
        earlier: the agents that were there at `since`, by uid.
        now: the time on the clock that the entries are stamped with, wall nanoseconds; from any thread. Without it the
            page guesses it from the entries.

    Attributes:
        selected: ids of the selected agents, both ways. Observers run on the thread that hears the front end: they
            should note the change and return.
        state: what a saved notebook shows; written when the agents come to rest.
    """

    _esm = assemble(*(_HERE / f"agent_graph{part}.js" for part in ("_store", "_layout", "_paint", "")))
    _css = (_HERE / "agent_graph.css").read_text("utf-8")

    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        feed: EntryFeed,
        *,
        describe: Callable[[bytes], str] | None = None,
        root: int | None = None,
        since: int = 0,
        earlier: Mapping[int, Earlier] | None = None,
        now: Callable[[], int] | None = None,
        **kwargs: Any,
    ) -> None:
        self._now = now
        self._leaving = False  # `leave` was called
        self.lost = False  # its front end asked for a snapshot
        self.heard = False  # its front end has spoken
        self._unasked = 0  # turns before the next snapshot that nobody asked for
        self._unasked_gap = 4
        self._kept = -1  # version of the view in `state`
        self.kept: list[Callable[[], None]] = []  # whom to tell, on the pump's thread, that `state` was written
        self._channel = _Channel.of(feed, root, describe, since, earlier)
        with self._channel.lock:
            self._channel.catch_up()
        super().__init__(state=self._saved(), **kwargs)
        answer_anywhere(self.comm)
        self.on_msg(self._heard)
        self._channel.add(self)

    # ---- what it says ----------------------------------------------------------------------------------------------

    def _send(self, msg: Any, buffers: Any = None) -> None:
        """Every message of a widget passes here; only the pump's thread sends."""
        if PUMP.here:
            super()._send(msg, buffers)
        else:
            PUMP.post(lambda: super(AgentGraph, self)._send(msg, buffers))

    def send_packet(self, packet: Packet) -> None:
        """Send a packet to all views of this widget. On the pump's thread."""
        head = packet.head if self._now is None else {**packet.head, "now": self._now() / 1e6}
        self.send(head, [packet.data])

    def unheard(self) -> bool:
        """Whether to send a snapshot unasked, each time after twice as many turns.

        In an older ipykernel a front end's first word arrives only when the running cell ends, and a front end that
        is still loading misses what was sent before: without this a graph made by a blocking cell would stay empty
        until its end.
        """
        if self.heard:
            return False
        self._unasked -= 1
        if self._unasked < 0:
            self._unasked = self._unasked_gap = 2 * self._unasked_gap
            return True
        return False

    def keep(self) -> None:
        """Store the picture in `state` unless it is there already. On the pump's thread."""
        if self._kept != self._channel.packets.version:
            self.state = self._saved()
            for tell in self.kept:
                tell()
        if self._leaving and not self.busy:
            self._channel.remove(self)

    def _saved(self) -> dict[str, Any]:
        with self._channel.lock:
            packet = self._channel.packets.saved()
            self._kept = self._channel.packets.version
        return {"head": packet.head, "data": packet.data}

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """The front end spoke, on any thread: note it; the pump answers."""
        kind = message.get("t") if isinstance(message, dict) else None
        self.heard = True
        if kind == "hello":
            self.lost = True
            if self._channel.follows and self in self._channel.widgets:
                PUMP.wake()
            else:
                PUMP.post(self._answer_hello)
        elif kind == "details":
            slot = message.get("slot")
            PUMP.post(lambda: self._answer_details(slot))
        elif kind == "ping":
            PUMP.post(lambda: self.send({"t": "pong"}))

    def _answer_hello(self) -> None:
        """A front end found us after we stopped following, after a reload say."""
        self.lost = False
        with self._channel.lock:
            packet = self._channel.packets.snapshot()
        self.send_packet(packet)

    def _answer_details(self, slot: Any) -> None:
        with self._channel.lock:
            nodes = self._channel.view.nodes
            known = (
                self._channel.view.details(nodes[slot].uid) if isinstance(slot, int) and 0 <= slot < len(nodes) else {}
            )
        self.send({"t": "details", "slot": slot, "details": known})

    # ---- what code may call ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring the picture up to date now and store it for the saved notebook; from any thread, at most 2 s."""
        PUMP.flush()
        if PUMP.here:
            self.keep()
        else:
            PUMP.post(self.keep)
            PUMP.flush()

    def finish(self) -> None:
        """`settle`, then stop following; the picture stays on screen and in the notebook. Harmless when repeated."""
        if self in self._channel.widgets:
            self.settle()
            self._channel.remove(self)

    @property
    def busy(self) -> bool:
        """Whether any agent shown is at work or waits, or stands still and may go on."""
        with self._channel.lock:
            counts = self._channel.view.counts()
        return any(counts[s] for s in (*BUSY, Status.QUEUED, Status.INTERRUPTED))

    def leave(self) -> None:
        """`settle`, take nobody new in, and stop following once all agents shown have come to an end."""
        self._leaving = True
        self.settle()
        with self._channel.lock:
            self._channel.view.close()

    def close(self) -> None:
        """`finish`, and take the widget off the screen; displayed again, it is a still picture."""
        if self.comm is None:
            return
        self.finish()
        PUMP.flush()
        super().close()
        del self._repr_mimebundle_  # ipywidgets hides closed widgets by this

    def mark_undefined(self, type_names: Collection[str]) -> None:
        """Show agents of these types, whose class is not defined yet, as `undefined`."""
        with self._channel.lock:
            self._channel.view.mark_undefined(type_names)
        PUMP.wake()

    def still(self, **_: Any) -> dict[str, Any]:
        """The picture as it is now, without a widget: `image/svg+xml` and `text/plain`."""
        with self._channel.lock:
            if self in self._channel.widgets:
                self._channel.catch_up()
            return {"image/svg+xml": graph_svg(self._channel.view), "text/plain": graph_summary(self._channel.view)}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.comm is None:
            return self.still()
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle
        return {**data, **self.still()}, metadata
