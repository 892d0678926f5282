"""The dashboard as a widget: entries in, moving pictures out; and the same with one view only.

Behind it a `Channel` folds entries into a tape. The pump drives channels and is the only one to send: whatever this
widget wants to say, a trait's change included, is posted to it. What the front end says is only noted; the pump
answers.

Front end's messages: `hello` (which rows it has), `ask` (a numbered question). Kernel's: `rows`, `answer`, `error`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from workbench import front
from workbench.errors import AgentTypeError, RefusedError, WorkbenchError
from workbench.exports import moments, pictures
from workbench.exports.answers import Answers, described
from workbench.exports.page import PANES
from workbench.ids import ROOT_ID
from workbench.runtime.client import Client
from workbench.runtime.reading import id_text
from workbench.runtime.session import Session
from workbench.signs import printable
from workbench.views.graph_nodes import Earlier
from workbench.views.tape_packet import TapePacket, packet
from workbench.widgets.acts import Acts, client_of
from workbench.widgets.channel import Channel
from workbench.widgets.code import Code, code, reference
from workbench.widgets.pump import PUMP
from workbench.widgets.subshells import answer_anywhere

if TYPE_CHECKING:
    import networkx as nx

_LIVE: Final = -1
_LONG: Final = 20_000
"""Entries that are folded at once for a picture: a fifth of a second."""


class Dashboard(anywidget.AnyWidget):
    """Live views of a session: agents as a graph, on a timeline, their promises, forks, oplogs and reasons to wait.

    All views show the same moment and the same selection. They follow the log from the moment they are made: updates
    come while a cell runs, blocks or awaits. The saved notebook shows the last picture with no kernel.

    Args:
        session: whose log it shows; one that only reads will do.
        panes: which views, in the order of their tabs; all by default.
        tab: the view that is open first.
        root: uid of an agent, to show only it and what descends from it.
        since: show only what happens after this `seq`: the agents that do something, and those they descend from.
        earlier: the agents that were there at `since`, by uid.

    Attributes:
        selection: ids of the selected agents, both ways; `selected` gives them as clients.
        clock: the entry that all views show, -1 for the live edge; both ways.
        bookmarks: `[entry, text]` each.
        state: what a saved notebook shows; written when the agents come to rest.
    """

    _esm = front.assemble("loader")

    code = traitlets.Instance(Code).tag(sync=True, to_json=reference)
    panes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tab = traitlets.Unicode().tag(sync=True)
    selection = traitlets.List(traitlets.Unicode()).tag(sync=True)
    clock = traitlets.Int(_LIVE).tag(sync=True)
    bookmarks: Any = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        session: Session,
        panes: Sequence[str] = PANES,
        *,
        tab: str = "",
        root: int | None = None,
        since: int = 0,
        earlier: Mapping[int, Earlier] | None = None,
        **kwargs: Any,
    ) -> None:
        self._session = session
        self._leaving = False  # `leave` was called
        self.heard = False  # its front end has spoken
        self._place: tuple[Any, Any] = 0, 1  # the row and the text that its front end is sent next
        self._facts: dict[str, Any] = {}
        self._unasked = self._unasked_gap = 4  # turns before it is sent everything unasked
        self._kept = -1, -1  # rows and last entry that `state` holds
        self.kept: list[Callable[[], None]] = []  # whom to tell, on the pump's thread, that `state` was written
        self._channel = Channel.of(session.feed, root, described, since, earlier)
        self._answers, self._acts = Answers(session, self._channel.tape), Acts(session, self._channel.tape)
        super().__init__(code=code(), panes=list(panes), tab=tab or panes[0], **kwargs)
        answer_anywhere(self.comm)
        self.on_msg(self._heard)
        self._channel.add(self)

    # ---- what it says ----------------------------------------------------------------------------------------------

    def _send(self, msg: Any, buffers: Any = None) -> None:
        """Every message of a widget passes here; only the pump's thread sends."""
        if PUMP.here:
            super()._send(msg, buffers)
        else:
            PUMP.post(lambda: super(Dashboard, self)._send(msg, buffers))

    @property
    def owed(self) -> bool:
        """Whether there are rows that its front end was not sent."""
        return self._place[0] < len(self._channel.tape)

    @property
    def _follows(self) -> bool:
        """Whether it is sent what comes."""
        return self in self._channel.widgets

    @property
    def _newest(self) -> int:
        """The entry up to which its page will know all."""
        return self._channel.feed.committed if self._follows else self._channel.tape.last_seq

    def due_packet(self) -> TapePacket | None:
        """The rows to send next; None for none. Hold the channel's lock."""
        if not self.heard:
            self._unasked -= 1
            if self._unasked < 0:  # a page that still loads, or cannot speak while a cell blocks, may have missed them
                self._unasked = self._unasked_gap = 2 * self._unasked_gap
                self._place = 0, 1
        tape = self._channel.tape
        told = self._told()
        if not self.owed and told == self._facts:
            return None
        self._facts = told
        part = packet(tape, *self._place)
        self._place = self._place[0] + part.head["rows"], len(tape.texts)
        return part

    def _told(self) -> dict[str, Any]:
        trouble = self._session.trouble
        halted = {} if trouble is None else {"trouble": printable(str(trouble))}
        return {
            "path": printable(self._session.path),
            "store": printable(Path(self._session.path).name),
            "entries": self._newest,
            "lag": round(getattr(self._channel.feed, "lag", 0) / 1e6, 1),
            **halted,
        }

    def send_packet(self, part: TapePacket) -> None:
        """Send a packet to all views of this widget. On the pump's thread."""
        head = {
            **part.head,
            "tape": self._channel.name,
            "facts": self._facts,
            "total": self._newest,
            "now": self._session.wall() / 1e6,
        }
        self.send(head, [part.data])

    def keep(self) -> None:
        """Store the picture in `state` unless it is there already. On the pump's thread."""
        with self._channel.lock:
            tape = self._channel.tape
            now = len(tape), tape.last_seq
            told = self._told() if now != self._kept else {}
            told.pop("trouble", None)  # it is of this moment, and may name a folder
            data = self._channel.saved({**told, "path": told["store"]}) if told else b""  # nobody is told of folders
        if data:
            self._kept = now
            self.state = {"data": data}
            for tell in self.kept:
                tell()
        if self._leaving and not self.busy:
            self._stop()

    def _stop(self) -> None:
        """Follow no longer; a page that waits for more rows is told that these are all."""
        if self._follows:
            self._channel.remove(self)
            PUMP.post(self._send_due)

    def _send_due(self) -> None:
        """Send all that is due, on the pump's thread; while it follows, one packet, and the rest with later turns."""
        while True:
            with self._channel.lock:
                part = self.due_packet()
            if part is None:
                break
            self.send_packet(part)
            if self._follows:
                PUMP.wake()
                break

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """The front end spoke, on any thread: note it; the pump answers."""
        if not isinstance(message, dict):
            return
        self.heard = True
        if message.get("t") == "hello":
            PUMP.post(lambda: self._answer_hello(message))
        elif message.get("t") == "ask":
            PUMP.post(lambda: self._answer(message))

    def _answer_hello(self, message: dict[str, Any]) -> None:
        """Begin where the page's rows end; with nothing if they are of another tape."""
        row, text, tape = message.get("rows"), message.get("text"), self._channel.tape
        known = message.get("tape") == self._channel.name
        rows_fit = known and isinstance(row, int) and 0 <= row <= len(tape)
        texts_fit = known and isinstance(text, int) and 0 < text <= len(tape.texts)
        self._place = (row, text) if rows_fit and texts_fit else (0, 1)
        self._facts = {}
        self._send_due()

    def _answer(self, message: dict[str, Any]) -> None:
        number, kind = message.get("n"), str(message.get("kind"))
        args = {name: value for name, value in message.items() if name not in ("t", "n", "kind")}
        try:
            with self._channel.lock:
                value = self._acts.act(kind, args) if kind in self._acts else self._answers.answer(kind, args)
            self.send({"t": "answer", "n": number, "value": value})
        except WorkbenchError as error:
            self.send({"t": "answer", "n": number, "error": str(error)})
        except Exception as error:  # a page waits for an answer; the pump reports the error
            self.send({"t": "answer", "n": number, "error": f"{type(error).__name__}: {error}"})
            raise

    # ---- what code may call ----------------------------------------------------------------------------------------

    @property
    def selected(self) -> list[Client]:
        """The selected agents, as clients; the notebook itself is none.

        Raises:
            UnknownAgentError: the class of one is not defined here; run its cell. `selection` has the ids.
        """
        return [client_of(text) for text in self.selection if text != ROOT_ID]

    def select(self, *agents: object) -> None:
        """Select agents in all views: clients, ids or texts; nobody clears the selection.

        Raises:
            RefusedError: an agent is not shown here.
        """
        wanted = [id_text(agent) for agent in agents]
        self._channel.catch_up()
        with self._channel.lock:
            missing = [text for text in wanted if self._channel.tape.view.find(text) is None]
        if missing:
            raise RefusedError(
                f"select {missing[0]}", "this dashboard does not show it", "name one of session.agents()"
            )
        self.selection = wanted

    def at(self, seq: int | None = None) -> "nx.DiGraph[str]":
        """Have all views show the state as of an entry, and give that state.

        Args:
            seq: number of the entry; the newest one holds the views there while the agents go on. None for the live
                edge.

        Returns:
            the agents that there were: nodes are their ids, with `status`, `method`, `label`, `since` (wall
            milliseconds) and `entry` (the one that brought it about); edges have a `kind`: `spawn`, `fork`, `wait`.

        Raises:
            AgentTypeError: it is no number of an entry.
        """
        if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
            raise AgentTypeError(f"at({seq!r:.40})", "an entry is named by its number", "pass an int, or None for now")
        self._channel.catch_up()
        with self._channel.lock:
            graph = moments.graph_at(self._channel.tape, seq)
            newest = self._channel.tape.last_seq
        self.clock = _LIVE if seq is None else max(0, min(seq, newest))
        return graph

    def settle(self) -> None:
        """Bring the picture up to date now and store it for the saved notebook; from any thread, at most 2 s."""
        self._channel.catch_up()
        PUMP.flush()
        if PUMP.here:
            self.keep()
        else:
            PUMP.post(self.keep)
            PUMP.flush()

    def finish(self) -> None:
        """`settle`, then stop following; the picture stays on screen and in the notebook. Harmless when repeated."""
        if self._follows:
            self.settle()
            self._stop()

    @property
    def busy(self) -> bool:
        """Whether any agent shown is at work or waits, or stands still and may go on."""
        return self._channel.busy()

    def leave(self) -> None:
        """`settle`, take nobody new in, and stop following once all agents shown have come to an end."""
        self._leaving = True
        self.settle()
        with self._channel.lock:
            self._channel.tape.view.close()

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
            self._channel.tape.mark_undefined(type_names)
        PUMP.wake()

    def still(self, **_: Any) -> dict[str, Any]:
        """The picture as it is now, without a widget: `image/svg+xml` and `text/plain`."""
        if self._follows:
            if self._channel.behind > _LONG:  # the page gets it in slices; a person should not wait for all of them
                return pictures.still_of_state(self._session)
            self._channel.catch_up()
        with self._channel.lock:
            kind = self.tab if self.tab in pictures.KINDS else pictures.KINDS[0]
            return pictures.still(self._channel.tape, kind, self._session)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.comm is None:
            return self.still()
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle
        return {**data, **self.still()}, metadata
