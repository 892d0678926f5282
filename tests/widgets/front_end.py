"""Stand-ins for what a dashboard lives between: a feed of entries on one side, a page on the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from comm.base_comm import BaseComm

from tests.views.entry_log import EntryLog
from tests.views.pages import Page
from workbench.model.entries import Entry
from workbench.runtime.session import Session
from workbench.views.tape_packet import TapePacket
from workbench.widgets.dashboard import Dashboard

SECONDS = 20.0
NOW = 7_000_000_000


class Feed:
    """A feed in memory; `commit` is what the runtime's thread does."""

    def __init__(self, log: EntryLog | None = None) -> None:
        self.entries: list[Entry] = list(log.entries) if log else []
        self.subscribers: list[Callable[[], None]] = []
        self.broken: Exception | None = None
        self.reads: list[int] = []

    @property
    def committed(self) -> int:
        """`seq` of the newest entry."""
        return len(self.entries)

    def read(self, after: int, most: int | None = None) -> list[Entry]:
        if self.broken is not None:
            raise self.broken
        found = self.entries[after:] if most is None else self.entries[after : after + most]
        self.reads.append(len(found))
        return found

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def commit(self, log: EntryLog, upto: int | None = None) -> None:
        self.entries += log.entries[len(self.entries) : upto]
        for notify in tuple(self.subscribers):
            notify()


class Fed:
    """As much of a session as a dashboard needs that only shows a feed."""

    path = "/lessons/lesson.db"
    trouble: Exception | None = None

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def wall(self) -> int:
        return NOW

    def promises(self, *_: object) -> list[Any]:
        return []


def fed(feed: Feed) -> Session:
    """A session that has nothing but a feed."""
    return cast(Session, Fed(feed))


class FrontEnd:
    """Stands for the browser: keeps what arrives, with the thread that sent it, and can speak."""

    def __init__(self) -> None:
        self.comms: list[BaseComm] = []
        self.arrived: list[tuple[BaseComm, str, str, Any, list[bytes]]] = []
        self.changed = threading.Condition()
        self.open_gate = threading.Event()
        self.open_gate.set()
        self._asked = 0

    def receive(self, source: BaseComm, kind: str, data: Any, buffers: Any) -> None:
        """A message of a comm arrives; a closed gate holds the sender up, as a blocked socket would."""
        if kind == "comm_msg":
            assert self.open_gate.wait(SECONDS)
        with self.changed:
            thread = threading.current_thread().name
            self.arrived.append((source, kind, thread, data, [bytes(b) for b in buffers or ()]))
            self.changed.notify_all()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition that can only change with a message; what it came to."""
        with self.changed:
            assert self.changed.wait_for(condition, SECONDS), [row[3] for row in self.arrived[-3:]]
            return condition()

    # ---- what the page says ----------------------------------------------------------------------------------------

    def say(self, widget: Dashboard, content: Any) -> None:
        """A message from the page."""
        widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def hello(self, widget: Dashboard, page: Page | None = None, tape: str = "") -> None:
        """The page says which rows it has."""
        rows, text = (len(page.rows), len(page.texts)) if page is not None else (0, 1)
        self.say(widget, {"t": "hello", "rows": rows, "text": text, "tape": tape})

    def change(self, widget: Dashboard, **state: Any) -> None:
        """The page changes traits."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        widget._handle_msg({"content": {"data": data}, "buffers": []})

    def ask(self, widget: Dashboard, kind: Any, **args: Any) -> dict[str, Any]:
        """A question, and its answer: with a `value` or with an `error`."""
        self._asked += 1
        number = self._asked
        self.say(widget, {"t": "ask", "n": number, "kind": kind, **args})
        answers = self.until(lambda: [m for m in self.told("answer", widget) if m["n"] == number])
        assert len(answers) == 1
        answer: dict[str, Any] = answers[0]
        assert ("value" in answer) != ("error" in answer)
        return answer

    # ---- what it was told ------------------------------------------------------------------------------------------

    def customs(self, widget: Dashboard | None = None) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Messages that are no changes of traits, with their buffers."""
        return [
            (data["content"], buffers)
            for source, kind, _, data, buffers in self.arrived
            if kind == "comm_msg" and data["method"] == "custom" and (widget is None or source is widget.comm)
        ]

    def told(self, kind: str, widget: Dashboard | None = None) -> list[dict[str, Any]]:
        """Contents of the custom messages of one kind."""
        return [content for content, _ in self.customs(widget) if content["t"] == kind]

    def packets(self, widget: Dashboard | None = None) -> list[TapePacket]:
        """Rows, in order of arrival."""
        return [TapePacket(content, buffers[0]) for content, buffers in self.customs(widget) if content["t"] == "rows"]

    def page(self, widget: Dashboard | None = None) -> Page:
        """What a page knows that took all of them in."""
        return Page.of(*self.packets(widget))

    def states(self, name: str) -> list[Any]:
        """The values of a trait that were sent, in order."""
        updates = [data["state"] for _, kind, _, data, _ in self.arrived if kind == "comm_msg" and "state" in data]
        return [state[name] for state in updates if name in state]
