"""The agent graph's protocol without a browser: what is sent, when, by whom, and that nothing is left over."""

from __future__ import annotations

import gc
import inspect
import re
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from ipywidgets.widgets.widget import _instances

import workbench as wb
from tests.views.entry_log import EntryLog, fan_out
from tests.views.test_graph import Mirror
from workbench.model.agent_type import registry
from workbench.model.entries import AgentCreated, Entry
from workbench.testing import SimulatedClock
from workbench.views import graph_looks
from workbench.views.graph import GraphView, Status
from workbench.views.graph_packet import GraphPackets, Packet
from workbench.widgets.agent_graph import AgentGraph, _Channel
from workbench.widgets.pump import PUMP, Pump
from workbench.widgets.show import agent_graph, graph_from_now
from workbench.widgets.subshells import answer_anywhere

SECONDS = 20.0


class Feed:
    """A feed in memory, as the protocol asks for; `commit` is what the runtime's thread does."""

    def __init__(self, log: EntryLog | None = None) -> None:
        self.entries: list[Entry] = list(log.entries) if log else []
        self.subscribers: list[Callable[[], None]] = []
        self.broken: Exception | None = None

    def read(self, after: int) -> list[Entry]:
        if self.broken is not None:
            raise self.broken
        return self.entries[after:]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def commit(self, log: EntryLog, upto: int | None = None) -> None:
        self.entries += log.entries[len(self.entries) : upto]
        for notify in self.subscribers:
            notify()


class FrontEnd:
    """Stands for the browser: keeps what arrives, with the thread that sent it, and can speak."""

    def __init__(self) -> None:
        self.comms: list[BaseComm] = []
        self.arrived: list[tuple[str, str, Any, list[bytes]]] = []
        self.changed = threading.Condition()
        self.open_gate = threading.Event()
        self.open_gate.set()

    def receive(self, source: BaseComm, kind: str, data: Any, buffers: Any) -> None:
        """A message of a comm arrives; a closed gate holds the sender up, as a blocked socket would."""
        if kind == "comm_msg":
            assert self.open_gate.wait(SECONDS)
        with self.changed:
            self.arrived.append((kind, threading.current_thread().name, data, [bytes(b) for b in buffers or ()]))
            self.changed.notify_all()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition that can only change with a message."""
        with self.changed:
            assert self.changed.wait_for(condition, SECONDS), self.arrived[-3:]
            return condition()

    def say(self, widget: AgentGraph, content: dict[str, Any]) -> None:
        """A message from the page."""
        widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def packets(self) -> list[Packet]:
        """Snapshots and deltas, in order of arrival."""
        return [Packet(c, b[0]) for c, b in self.customs() if c["t"] in ("snapshot", "delta")]

    def customs(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        return [
            (data["content"], buffers)
            for kind, _, data, buffers in self.arrived
            if kind == "comm_msg" and data["method"] == "custom"
        ]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Contents of the custom messages of one kind."""
        return [content for content, _ in self.customs() if content["t"] == kind]

    def mirror(self) -> Mirror:
        """What a page knows that listened from its first snapshot on."""
        mirror, begun = Mirror(), False
        for packet in self.packets():
            begun = begun or packet.head["t"] == "snapshot"
            if begun and (packet.head["t"] == "snapshot" or packet.head["seq"] > mirror.seq):
                mirror.take(packet)
        return mirror


@pytest.fixture
def front_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontEnd]:
    """A front end in place of the browser; afterwards nothing may be left: no comm, widget, thread, channel."""
    page = FrontEnd()

    class FakeComm(BaseComm):
        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            page.receive(self, msg_type, data, buffers)

    def create_comm(**options: Any) -> BaseComm:
        page.comms.append(FakeComm(**options))
        return page.comms[-1]

    monkeypatch.setattr(comm, "create_comm", create_comm)
    yield page
    assert PUMP.join(SECONDS), "the pump's thread outlived its widgets"
    assert all(c._closed for c in page.comms), "a comm was left open"
    assert not [w for w in _instances.values() if isinstance(w, AgentGraph)]
    page.comms.clear()
    page.arrived.clear()
    gc.collect()
    assert not _Channel._open, "a channel outlived its widgets"


@pytest.fixture
def show(front_end: FrontEnd) -> Iterator[Callable[..., AgentGraph]]:
    """Makes widgets that are closed at the end."""
    widgets: list[AgentGraph] = []

    def make(feed: Feed, *, hello: bool = True, **options: Any) -> AgentGraph:
        widgets.append(AgentGraph(feed, **options))
        if hello:
            front_end.say(widgets[-1], {"t": "hello"})
        return widgets[-1]

    yield make
    front_end.open_gate.set()
    feeds = [widget._channel.feed for widget in widgets]
    for widget in widgets:
        widget.close()
        widget.layout.close()  # ipywidgets gives each widget one, and leaves it to us
    assert not any(feed.subscribers for feed in feeds if isinstance(feed, Feed)), "somebody still follows a feed"
    widgets.clear()


def whole(log: EntryLog) -> Mirror:
    """What a page should know at the end of a log."""
    view = GraphView()
    view.apply(log.entries)
    return Mirror.of(GraphPackets(view).snapshot())


def test_a_hello_is_answered_with_a_snapshot(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """A page that loads, or loads again, gets everything."""
    log = fan_out(5, done=2)
    widget = show(Feed(log))
    front_end.until(lambda: front_end.told("snapshot"))
    front_end.say(widget, {"t": "hello"})
    front_end.until(lambda: len(front_end.told("snapshot")) == 2)
    assert Mirror.of(front_end.packets()[-1]).nodes == whole(log).nodes


def test_commits_arrive_as_numbered_deltas(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """After the snapshot come deltas without gaps, and the page ends up knowing what the log says."""
    log, feed = fan_out(300, done=200, failed=10), Feed()
    show(feed)
    front_end.until(lambda: front_end.told("snapshot"))
    for upto in range(0, len(log.entries), 100):
        feed.commit(log, upto)
    feed.commit(log)
    front_end.until(lambda: front_end.mirror().nodes == whole(log).nodes)
    assert front_end.mirror().links == whole(log).links


def test_the_state_at_birth_continues_with_deltas(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """A page whose hello is not heard still follows: the state it was born with and the deltas fit together."""
    log = fan_out(10, done=3)
    feed = Feed()
    feed.entries = log.entries[:10]
    widget = show(feed, hello=False)
    saved = widget.state
    feed.commit(log)
    front_end.until(front_end.packets)
    page = Mirror.of(Packet(saved["head"], saved["data"]))
    for packet in front_end.packets():
        if packet.head["t"] == "snapshot" or packet.head["seq"] > page.seq:
            page.take(packet)
    assert page.nodes == whole(log).nodes


def test_two_widgets_share_one_fold(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """Widgets on one feed fold its entries once and get the same packets; the feed has one subscriber."""
    feed = Feed(fan_out(3))
    first, second = show(feed), show(feed)
    assert first._channel is second._channel
    assert len(feed.subscribers) == 1
    assert show(feed, root=2)._channel is not first._channel


def test_only_the_pump_sends(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """Whatever a user's thread or a handler has to tell, the pump's thread sends it; only opening is the cell's."""
    feed = Feed(fan_out(3))
    widget = show(feed)
    front_end.until(lambda: front_end.told("snapshot"))
    widget.selected = ["Worker(1)"]
    front_end.say(widget, {"t": "details", "slot": 1})
    front_end.until(lambda: front_end.told("details"))
    widget.settle()
    senders = {thread for kind, thread, _, _ in front_end.arrived if kind == "comm_msg"}
    assert senders == {"workbench-pump"}
    assert any(
        kind == "comm_msg" and data.get("state", {}).get("selected") == ["Worker(1)"]
        for kind, _, data, _ in front_end.arrived
    )


def test_selection_reaches_python(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """What is selected in the page is `selected` in Python, and observers hear of it."""
    widget = show(Feed(fan_out(3)))
    heard: list[list[str]] = []
    widget.observe(lambda change: heard.append(change["new"]), "selected")
    data = {"method": "update", "state": {"selected": ["Worker(2)"]}, "buffer_paths": []}
    widget._handle_msg({"content": {"data": data}, "buffers": []})
    assert widget.selected == ["Worker(2)"]
    assert heard == [["Worker(2)"]]


def test_details_say_what_an_agent_waits_for(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """The page asks by slot and gets the view's details, errors described; nonsense gets an empty answer."""
    log = fan_out(2, failed=1)
    widget = show(Feed(log), describe=lambda value: value.decode().upper())
    for slot in (1, 2, 99, "x", None):
        front_end.say(widget, {"t": "details", "slot": slot})
    front_end.until(lambda: len(front_end.told("details")) == 5)
    known = [answer["details"] for answer in front_end.told("details")]
    assert known[0]["waits"][0]["on"] == "Worker(1)"
    assert known[1]["error"] == "BOOM"
    assert known[2:] == [{}, {}, {}]


def test_a_ping_is_answered(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """The page can tell a busy kernel from a listening one."""
    front_end.say(show(Feed()), {"t": "ping"})
    front_end.until(lambda: front_end.told("pong"))


def test_what_the_page_says_is_never_trusted(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """Odd messages are stepped over."""
    widget = show(Feed(), hello=False)
    for odd in ({}, {"t": "snapshot"}, {"t": ["x"]}, "hello", None, 7):
        front_end.say(widget, odd)  # type: ignore[arg-type]
    front_end.say(widget, {"t": "ping"})
    front_end.until(lambda: front_end.told("pong"))


def test_the_picture_is_stored_when_things_come_to_rest(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """After the last commit `state` is written by itself, and holds what the page shows."""
    log, feed = fan_out(4, done=4), Feed()
    widget = show(feed)
    feed.commit(log)
    front_end.until(
        lambda: any(kind == "comm_msg" and "state" in data.get("state", {}) for kind, _, data, _ in front_end.arrived)
    )
    assert Mirror.of(Packet(widget.state["head"], widget.state["data"])).nodes == whole(log).nodes


def test_finish_keeps_the_picture_and_stops_following(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """After `finish` nothing new is shown, the last state is stored, and a page that reloads is still answered."""
    log, feed = fan_out(4), Feed()
    widget = show(feed)
    feed.commit(log)
    widget.finish()
    widget.finish()
    assert feed.subscribers == []
    assert PUMP.join(SECONDS)
    assert Mirror.of(Packet(widget.state["head"], widget.state["data"])).nodes == whole(log).nodes
    before = len(front_end.told("snapshot"))
    front_end.say(widget, {"t": "hello"})
    front_end.until(lambda: len(front_end.told("snapshot")) > before)


def test_the_bundle_carries_a_picture_and_words(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """Displayed, the widget brings its view, an SVG and a line of text; closed, the last two."""
    widget = show(Feed(fan_out(11, done=9)), hello=False)
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain"}
    assert data["text/plain"] == "12 agents: 9 done, 2 running, 1 waiting"
    widget.close()
    assert set(widget._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def test_an_error_is_shown_and_the_others_go_on(
    front_end: FrontEnd, show: Callable[..., AgentGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a feed fails its widgets say so, Python's hook for threads hears of it, and other widgets keep moving."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    bad, good = Feed(), Feed()
    show(bad)
    show(good)
    front_end.until(lambda: len(front_end.told("snapshot")) == 2)
    bad.broken = ValueError("no such table")
    bad.commit(EntryLog())
    front_end.until(lambda: front_end.told("error"))
    assert front_end.told("error")[0]["text"] == "ValueError: no such table"
    good.commit(fan_out(2))
    front_end.until(lambda: front_end.told("delta"))
    assert reported == [ValueError]
    bad.broken = None
    front_end.say(show(bad), {"t": "hello"})  # a new widget on the mended feed works
    front_end.until(lambda: len(front_end.told("snapshot")) == 3)


def test_a_blocked_page_does_not_hold_the_runtime(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """While nothing can be sent commits go on at full speed, and afterwards the page knows all in a few messages."""
    log, feed = fan_out(2000, done=2000), Feed()
    show(feed)
    front_end.until(lambda: front_end.told("snapshot"))
    front_end.open_gate.clear()
    for upto in range(0, len(log.entries), 10):
        feed.commit(log, upto)
    feed.commit(log)
    sent = len(front_end.packets())
    front_end.open_gate.set()
    front_end.until(lambda: front_end.mirror().nodes == whole(log).nodes)
    assert len(front_end.packets()) - sent <= 4


def test_ten_widgets_and_many_entries_end_equal(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """Ten widgets over one feed with tens of thousands of entries each end with the store's truth."""
    log, feed = fan_out(5000, done=4900, failed=100), Feed()
    widgets = [show(feed) for _ in range(10)]

    def write() -> None:
        for upto in range(0, len(log.entries) + 500, 500):
            feed.commit(log, upto)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    for widget in widgets:
        widget.settle()
    assert len({id(w._channel) for w in widgets}) == 1
    assert Mirror.of(widgets[0]._channel.packets.snapshot()).nodes == whole(log).nodes


def test_an_unheard_page_is_sent_snapshots_more_and_more_seldom(
    front_end: FrontEnd, show: Callable[..., AgentGraph]
) -> None:
    """Until the page has spoken, snapshots come unasked, each after twice as many turns."""
    widget = show(Feed(), hello=False)
    asked = [i for i in range(100) if widget.unheard()]
    assert asked[:4] == [0, 9, 26, 59]
    widget.heard = True
    assert not widget.unheard()


# ---- of a session
# ----------------------------------------------------------------------------------------------------------


def _waiter() -> Any:
    @wb.agent
    class Waiter:
        async def wait(self, promise: wb.PromiseId) -> bytes:
            data: bytes = await wb.await_promise(promise)
            return data

    return Waiter.get()  # type: ignore[attr-defined]


@pytest.fixture
def no_classes() -> Iterator[None]:
    """No agent classes are left behind."""
    before = dict(registry._types)
    yield
    registry._types.clear()
    registry._types.update(before)


def test_agents_without_a_class_are_undefined_until_it_is_there(
    front_end: FrontEnd, no_classes: None, tmp_path: Path
) -> None:
    """After a restart the graph says which agents wait for their class, and what they do once its cell has run."""
    with wb.start(tmp_path / "lesson.db") as session:
        _waiter().wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
    registry._types.pop("Waiter")
    with wb.start(tmp_path / "lesson.db") as session:
        graph = agent_graph(session)
        assert graph.still()["text/plain"] == "1 agent: 1 undefined"
        client = _waiter()
        assert graph.still()["text/plain"] == "1 agent: 1 suspended"
        assert wb.run(client.status()) == "suspended"
        graph.close()
        graph.layout.close()


def test_a_trace_knows_what_is_so_when_it_begins(front_end: FrontEnd, no_classes: None) -> None:
    """An agent that was interrupted before a trace, and goes on in it, is shown as it is from then on."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        client, promise = _waiter(), wb.create_promise()
        client.wait.trigger(promise)
        wb.run(session.at_rest())
        wb.run(client.interrupt())
        graph = graph_from_now(session)
        assert graph.still()["text/plain"] == "0 agents"
        client.wait.trigger(promise)
        wb.complete_promise(promise, b"")
        wb.run(session.at_rest())
        assert graph.still()["text/plain"] == "1 agent: 1 done"
        graph.close()
        graph.layout.close()


# ---- the pump
# ----------------------------------------------------------------------------------------------------------


class Waits(threading.Event):
    """An event that tells how long its waiters were ready to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float | None] = []
        self.news = threading.Condition()

    def wait(self, timeout: float | None = None) -> bool:
        with self.news:
            self.begun.append(timeout)
            self.news.notify_all()
        return super().wait(timeout)


def test_an_idle_pump_sleeps_without_a_timeout() -> None:
    """When things have come to rest the thread waits for news only: no wake-ups."""
    pump = Pump(rate=1000, rest=0.001)
    waits = pump._wake = Waits()
    calls: list[str] = []

    def advance() -> bool:
        calls.append("advance")
        return len(calls) == 1

    source = SimpleNamespace(advance=advance, rest=lambda: calls.append("rest"), fail=print)
    undo = pump.follow(source)
    with waits.news:
        assert waits.news.wait_for(lambda: "rest" in calls and waits.begun[-1] is None, SECONDS)
    assert calls == ["advance", "rest"]
    pump.wake()
    with waits.news:
        assert waits.news.wait_for(lambda: len(calls) == 3 and waits.begun[-1] is None, SECONDS)
    undo()
    assert pump.join(SECONDS)


def test_the_pump_ends_with_its_last_source_and_starts_again() -> None:
    """Nobody to serve, no thread; the next one to serve gets a new one."""
    pump = Pump(rate=1000)
    source = SimpleNamespace(advance=lambda: False, rest=lambda: None, fail=print)
    for _ in range(3):
        undo = pump.follow(source)
        assert pump.running
        assert pump.flush()
        undo()
        undo()
        assert pump.join(SECONDS)


# ---- the front end's text and ipykernel
# ----------------------------------------------------------------------------------


def test_the_module_is_one_and_small() -> None:
    """The assembled module imports nothing, exports its default only, builds no markup, and is small."""
    module = AgentGraph._esm
    assert not re.search(r"^\s*import\b", module, re.MULTILINE)
    assert re.findall(r"^export \w+", module, re.MULTILINE) == ["export default"]
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http:", "https:"):
        assert forbidden not in module
    assert len(module) + len(AgentGraph._css) < 80_000


def test_both_sides_know_the_same_statuses() -> None:
    """Numbers, words, order of reading and colours of the statuses are the same in Python and in the page."""
    module = AgentGraph._esm

    def listed(name: str) -> list[str]:
        found = re.search(rf"const {name} = \[([^\]]*)\]", module)
        assert found, name
        return [part.strip(' "') for part in found[1].split(",")]

    assert listed("STATUS") == [status.word for status in Status]
    assert listed("READING_ORDER") == [status.name for status in graph_looks.ORDER]
    assert listed("BAR") == [status.name for status in graph_looks.BAR]
    assert listed("LIGHT") == [graph_looks.COLOURS[status] for status in Status]
    assert len(listed("DARK")) == len(Status)
    for status in Status:
        assert re.search(rf"\b{status.name} = {status.value}\b", module), status


def test_the_clock_of_the_entries_goes_along(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """With a clock given, each packet says what time it is there, so that durations are right after a reload."""
    show(Feed(fan_out(2)), now=lambda: 7_000_000)
    front_end.until(lambda: front_end.told("snapshot"))
    assert front_end.told("snapshot")[0]["now"] == 7.0


def test_who_leaves_stays_while_anybody_stands_still(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """An interrupted agent may go on in a later cell: a graph that was left follows until it has ended."""
    log, feed = fan_out(2, done=1), Feed()
    *_, worker = (entry.agent for entry in log.entries if isinstance(entry.body, AgentCreated))
    log.delete(2)
    log.interrupt(worker)
    widget = show(feed)
    feed.commit(log)
    widget.leave()
    assert widget.busy
    assert widget._channel.follows
    log.delete(worker)
    feed.commit(log)
    assert PUMP.join(SECONDS), "it follows although all have ended"
    assert not widget.busy


def test_who_left_takes_nobody_new_in(front_end: FrontEnd, show: Callable[..., AgentGraph]) -> None:
    """What later cells set to work is not in the picture of this one; what its own agents spawn is."""
    log, feed = fan_out(2, done=1), Feed()
    *_, worker = (entry.agent for entry in log.entries if isinstance(entry.body, AgentCreated))
    widget = show(feed)
    feed.commit(log)
    widget.leave()
    shown = len(widget._channel.view.nodes)
    later = log.agent("Later(1)")
    log.agent("Later(1, 'child')", by=later)
    log.agent("Own(1)", by=worker)
    feed.commit(log)
    widget.settle()
    assert [node.agent_id for node in widget._channel.view.nodes[shown:]] == ["Own(1)"]


def test_ipykernel_still_has_the_pin_that_we_loosen() -> None:
    """From ipykernel 7.4 on comms pin replies to a shell by `_reply_subshell_for(data, default)`; we replace just that.

    When this fails ipykernel has changed: look for what decides which subshell handles a `comm_msg`, and adapt
    `workbench/widgets/subshells.py`, or clicks will not arrive while a cell blocks.
    """
    if tuple(int(part) for part in version("ipykernel").split(".")[:2]) < (7, 4):
        pytest.skip("this ipykernel has no pin")
    from ipykernel.comm.comm import BaseComm as KernelComm

    assert list(inspect.signature(KernelComm._reply_subshell_for).parameters) == ["self", "data", "default"]
    stand_in = SimpleNamespace(_reply_subshell_for=lambda *_: "pinned")
    assert answer_anywhere(stand_in)
    assert stand_in._reply_subshell_for({}, "any") == "any"
    assert not answer_anywhere(SimpleNamespace())
