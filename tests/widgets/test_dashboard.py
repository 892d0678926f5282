"""The dashboard's protocol without a browser: what is sent, when, by whom, and that nothing is left over."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.views.entry_log import EntryLog, fan_out
from tests.views.pages import Page, rows_of, unpacked
from tests.widgets.conftest import Show
from tests.widgets.front_end import NOW, SECONDS, Feed, FrontEnd
from workbench.errors import AgentTypeError, RefusedError
from workbench.exports.moments import graph_at
from workbench.model.entries import AgentCreated
from workbench.views.tape import Tape
from workbench.views.tape_packet import MOST_ROWS
from workbench.widgets import channel
from workbench.widgets.dashboard import Dashboard
from workbench.widgets.pump import PUMP

if TYPE_CHECKING:
    from collections.abc import Callable


def whole(log: EntryLog, upto: int | None = None) -> Tape:
    """What a page should know at the end of a log, or of its first entries."""
    tape = Tape()
    tape.apply(log.entries[:upto])
    return tape


def same(page: Page, log: EntryLog) -> bool:
    """Whether a page knows all that the log says."""
    tape = whole(log)
    return page.rows == rows_of(tape) and page.texts == tape.texts and page.seq == tape.last_seq


# ---- hello and rows


def test_a_hello_is_answered_with_all_rows(front_end: FrontEnd, show: Show) -> None:
    """A page that loads, or loads again, gets everything, with what the head of the views tells of the session."""
    log = fan_out(5, done=2)
    widget = show(Feed(log))
    front_end.until(lambda: same(front_end.page(), log))
    before = len(front_end.packets())
    front_end.hello(widget)
    front_end.until(lambda: len(front_end.packets()) > before)
    again = Page.of(*front_end.packets()[before:])
    assert same(again, log)
    head = front_end.packets()[-1].head
    assert head["tape"] == widget._channel.name
    assert head["total"] == len(log.entries)
    assert head["facts"] == {"path": "/lessons/lesson.db", "store": "lesson.db", "entries": len(log.entries), "lag": 0}


def test_the_clock_of_the_entries_goes_along(front_end: FrontEnd, show: Show) -> None:
    """Each packet says what time it is for the session, in milliseconds, so that durations are right after a reload."""
    show(Feed(fan_out(2)))
    front_end.until(front_end.packets)
    assert front_end.packets()[0].head["now"] == NOW / 1e6


def test_a_page_is_sent_what_it_has_not(front_end: FrontEnd, show: Show) -> None:
    """A hello tells which rows and texts are there; what follows begins with the next ones."""
    log = fan_out(20, done=3)
    widget = show(Feed(log))
    front_end.until(lambda: same(front_end.page(), log))
    full = front_end.page()
    part = Page()
    part.rows, part.texts = full.rows[:30], full.texts[:12]
    before = len(front_end.packets())
    front_end.hello(widget, part, widget._channel.name)
    front_end.until(lambda: len(front_end.packets()) > before)
    packet = front_end.packets()[before]
    assert (packet.head["from"], packet.head["text"]) == (30, 12)
    part.take(packet)
    assert same(part, log)


@pytest.mark.parametrize(
    "odd",
    [
        {"rows": "5", "text": 3},
        {"rows": 5, "text": None},
        {"rows": -1, "text": 3},
        {"rows": 10**9, "text": 3},
        {"rows": 5, "text": 0},
        {"rows": 5, "text": 10**9},
        {"rows": 2.5, "text": 3},
        {"rows": [5], "text": {}},
        {},
        {"rows": 5, "text": 3, "tape": "tape of another kernel"},
        {"rows": 5, "text": 3, "tape": None},
    ],
    ids=str,
)
def test_a_hello_that_does_not_fit_is_answered_from_the_beginning(
    odd: dict[str, Any], front_end: FrontEnd, show: Show
) -> None:
    """Rows of another tape, or that there cannot be, are as none."""
    log = fan_out(5, done=2)
    widget = show(Feed(log))
    front_end.until(lambda: same(front_end.page(), log))
    before = len(front_end.packets())
    front_end.say(widget, {"t": "hello", "tape": widget._channel.name, **odd})
    front_end.until(lambda: len(front_end.packets()) > before)
    assert same(Page.of(*front_end.packets()[before:]), log)


def test_commits_arrive_as_rows_once_each(front_end: FrontEnd, show: Show) -> None:
    """Rows come without gaps and without repetition, and the page ends up knowing what the log says."""
    log, feed = fan_out(300, done=200, failed=10), Feed()
    show(feed)
    front_end.until(front_end.packets)
    for upto in range(0, len(log.entries), 100):
        feed.commit(log, upto)
    feed.commit(log)
    front_end.until(lambda: same(front_end.page(), log))
    at = 0
    for packet in front_end.packets():
        assert packet.head["from"] == at
        at += packet.head["rows"]
    assert at == len(whole(log))


def test_a_long_log_comes_in_slices(front_end: FrontEnd, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning is shown before the end is read, and `total` tells how much there is to read."""
    monkeypatch.setattr(channel, "SLICE", 100)
    log = fan_out(200, done=200)
    feed = Feed(log)
    show(feed)
    front_end.until(lambda: same(front_end.page(), log))
    seqs = [packet.head["seq"] for packet in front_end.packets()]
    assert seqs == sorted(seqs)
    assert seqs[0] <= 100
    assert len(seqs) >= len(log.entries) / 100
    assert {packet.head["total"] for packet in front_end.packets()} == {len(log.entries)}
    assert max(feed.reads) == 100


def test_two_widgets_share_one_fold(front_end: FrontEnd, show: Show) -> None:
    """Widgets on one feed fold its entries once; each page gets all rows; the feed has one subscriber."""
    log = fan_out(3)
    feed = Feed(log)
    first, second = show(feed), show(feed)
    assert first._channel is second._channel
    assert len(feed.subscribers) == 1
    front_end.until(lambda: all(same(front_end.page(widget), log) for widget in (first, second)))
    assert sum(feed.reads) == len(log.entries)
    others = [show(feed, root=2), show(feed, since=3)]
    assert len({id(widget._channel) for widget in (first, *others)}) == 3


def test_ten_widgets_and_many_entries_end_equal(front_end: FrontEnd, show: Show) -> None:
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
    expected = whole(log)
    front_end.until(lambda: all(len(front_end.page(widget).rows) == len(expected) for widget in widgets))
    assert all(front_end.page(widget).rows == rows_of(expected) for widget in widgets)
    assert len({id(w._channel) for w in widgets}) == 1


def test_a_page_that_comes_late_gets_a_long_tape_in_parts(front_end: FrontEnd, show: Show) -> None:
    """No packet has more rows than fit; also when nobody follows any more."""
    log = fan_out(5000, done=5000)
    widget = show(Feed(log), hello=False)
    widget.finish()
    PUMP.flush()  # it sends what its page may not have
    before = len(front_end.packets())
    front_end.hello(widget)
    front_end.until(lambda: sum(packet.head["rows"] for packet in front_end.packets()[before:]) == len(whole(log)))
    parts = front_end.packets()[before:]
    assert len(parts) > 1
    assert max(packet.head["rows"] for packet in parts) <= MOST_ROWS
    assert Page.of(*parts).rows == rows_of(whole(log))


def test_only_the_pump_sends(front_end: FrontEnd, show: Show) -> None:
    """Whatever a user's thread or a handler has to tell, the pump's thread sends it; only opening is the cell's."""
    widget = show(Feed(fan_out(3)))
    front_end.until(front_end.packets)
    widget.select("Worker(1)")
    widget.at(4)
    widget.bookmarks = [[4, "here"]]
    front_end.ask(widget, "details", slot=1)
    widget.settle()
    senders = {thread for _, kind, thread, _, _ in front_end.arrived if kind == "comm_msg"}
    assert senders == {"workbench-pump"}
    assert front_end.states("selection") == [["Worker(1)"]]
    assert front_end.states("clock") == [4]
    assert front_end.states("bookmarks") == [[[4, "here"]]]


def test_a_blocked_page_does_not_hold_the_runtime(front_end: FrontEnd, show: Show) -> None:
    """While nothing can be sent commits go on at full speed, and afterwards the page knows all in a few messages."""
    log, feed = fan_out(2000, done=2000), Feed()
    show(feed)
    front_end.until(front_end.packets)
    front_end.open_gate.clear()
    for upto in range(0, len(log.entries), 10):
        feed.commit(log, upto)
    feed.commit(log)
    sent = len(front_end.packets())
    front_end.open_gate.set()
    front_end.until(lambda: same(front_end.page(), log))
    assert len(front_end.packets()) - sent <= 2 + len(log.entries) / channel.SLICE


def test_an_unheard_page_is_sent_everything_again_more_and_more_seldom(front_end: FrontEnd, show: Show) -> None:
    """A page that still loads may have missed all: until it speaks all is sent again, after twice as long each time."""
    widget = show(Feed(fan_out(1)), hello=False)
    widget.finish()
    PUMP.flush()  # from now on nobody else has it send
    again = [turn for turn in range(2000) if (packet := widget.due_packet()) and packet.head["from"] == 0]
    gaps = [later - sooner for sooner, later in pairwise(again)]
    assert len(gaps) >= 3
    assert all(later >= 2 * sooner - 1 for sooner, later in pairwise(gaps))
    widget.heard = True
    assert not any(widget.due_packet() for _ in range(5000))


def test_what_the_page_says_is_never_trusted(front_end: FrontEnd, show: Show) -> None:
    """Odd messages are stepped over, and nothing of them is reported."""
    widget = show(Feed(fan_out(1)), hello=False)
    odds: list[Any] = [{}, {"t": "rows"}, {"t": ["x"]}, {"t": None}, {"t": {}}, "hello", None, 7, [], [{"t": "hello"}]]
    for odd in odds:
        front_end.say(widget, odd)
    widget.settle()
    assert front_end.ask(widget, "details", slot=1)["value"]["id"] == "Coordinator()"


# ---- selection, clock, bookmarks


def test_selection_reaches_python(front_end: FrontEnd, show: Show) -> None:
    """What is selected in the page is `selection` in Python, and observers hear of it."""
    widget = show(Feed(fan_out(3)))
    heard: list[list[str]] = []
    widget.observe(lambda change: heard.append(change["new"]), "selection")
    front_end.change(widget, selection=["Worker(2)"])
    assert widget.selection == ["Worker(2)"]
    assert heard == [["Worker(2)"]]


def test_select_refuses_who_is_not_shown(front_end: FrontEnd, show: Show) -> None:
    """Texts are taken as people write them; an unknown agent is refused and nothing changes; nobody clears."""
    widget = show(Feed(fan_out(3)))
    widget.select("Worker( 1 )", "Coordinator()")
    assert widget.selection == ["Worker(1)", "Coordinator()"]
    for unknown in ("Worker(9)", "", "no id", 7):
        with pytest.raises(RefusedError, match="does not show"):
            widget.select("Worker(0)", unknown)
    assert widget.selection == ["Worker(1)", "Coordinator()"]
    widget.select()
    assert widget.selection == []


def test_at_gives_the_state_of_an_entry_and_moves_the_clock(front_end: FrontEnd, show: Show) -> None:
    """At every entry the graph is that of a log that ends there: nodes, statuses, edges, labels."""
    log = fan_out(4, done=2, failed=1)
    log.call(log.root, 2, label="second round")
    widget = show(Feed(log))
    for seq in range(1, len(log.entries) + 1):
        found, expected = widget.at(seq), graph_at(whole(log, seq))
        assert dict(found.nodes(data=True)) == dict(expected.nodes(data=True)), seq
        assert sorted(found.edges(data=True), key=str) == sorted(expected.edges(data=True), key=str), seq
        assert widget.clock == seq
    assert found.nodes["Coordinator()"]["label"] == "second round"
    assert found.edges["Coordinator()", "Worker(3)"] | {"since": 0, "entry": 0} == {
        "kind": "spawn",
        "waits_for": "call",
        "since": 0,
        "entry": 0,
    }


def test_at_takes_any_number_and_nothing_else(front_end: FrontEnd, show: Show) -> None:
    """Before the first entry there is nobody, beyond the last it is now and stays so, without a number it is live."""
    log = fan_out(2)
    widget = show(Feed(log))
    last = len(log.entries)
    for seq, clock, agents in ((0, 0, 0), (-5, 0, 0), (None, -1, 4), (3, 3, 2), (10**9, last, 4), (last, last, 4)):
        assert (len(widget.at(seq)), widget.clock) == (agents, clock), seq
    for odd in (True, 1.5, "3", [3]):
        with pytest.raises(AgentTypeError, match="named by its number"):
            widget.at(odd)  # type: ignore[arg-type]
    assert widget.clock == last


def test_the_clock_of_the_page_is_the_one_of_python(front_end: FrontEnd, show: Show) -> None:
    """What is dragged in the page is `clock` in Python, and observers hear of it; so with bookmarks."""
    widget = show(Feed(fan_out(3)))
    heard: list[int] = []
    widget.observe(lambda change: heard.append(change["new"]), "clock")
    front_end.change(widget, clock=5)
    front_end.change(widget, clock=-1, bookmarks=[[3, "entry 3"]])
    assert (heard, widget.clock, widget.bookmarks) == ([5, -1], -1, [[3, "entry 3"]])


# ---- what is saved, and how it ends


def test_the_picture_is_stored_when_things_come_to_rest(front_end: FrontEnd, show: Show) -> None:
    """After the last commit `state` is written by itself, and holds what the page shows; whoever asked is told."""
    log, feed = fan_out(4, done=4), Feed()
    widget = show(feed)
    told: list[int] = []
    widget.kept.append(lambda: told.append(len(widget.state)))
    feed.commit(log)
    tape = whole(log)

    def stored() -> bool:
        return bool(front_end.states("state")) and len(unpacked(widget.state["data"]).rows) == len(tape)

    front_end.until(stored)
    saved = unpacked(widget.state["data"])
    assert [row[1:] for row in saved.rows] == [row[1:] for row in rows_of(tape)]
    assert saved.head["texts"] == tape.texts
    assert saved.head["facts"]["store"] == "lesson.db"
    PUMP.flush()
    assert told


def test_finish_keeps_the_picture_and_stops_following(front_end: FrontEnd, show: Show) -> None:
    """After `finish` nothing new is shown, the last state is stored, and a page that reloads is still answered."""
    log, feed = fan_out(4), Feed()
    widget = show(feed)
    feed.commit(log)
    widget.finish()
    widget.finish()
    assert feed.subscribers == []
    assert PUMP.join(SECONDS)
    assert len(unpacked(widget.state["data"]).rows) == len(whole(log))
    before = len(front_end.packets())
    front_end.hello(widget)
    front_end.until(lambda: len(front_end.packets()) > before)
    assert same(Page.of(*front_end.packets()[before:]), log)


@pytest.mark.parametrize("end", [Dashboard.finish, Dashboard.leave])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with another"])
def test_who_follows_no_longer_waits_for_nothing(
    front_end: FrontEnd, show: Show, end: Callable[[Dashboard], None], *, others: bool
) -> None:
    """A page that reloads is told that what it has is all: entries that came since are none of this picture's."""
    log, feed = fan_out(2), Feed()
    for entry in list(log.entries):
        if isinstance(entry.body, AgentCreated):
            log.delete(entry.agent)
    widget = show(feed)
    other = show(feed) if others else None
    feed.commit(log)
    end(widget)
    front_end.until(lambda: widget not in widget._channel.widgets)
    shown = widget._channel.tape.last_seq
    log.agent("Later(1)")
    feed.commit(log)
    if other is not None:
        other.settle()
        shown = widget._channel.tape.last_seq
    before = len(front_end.packets(widget))
    front_end.hello(widget)
    front_end.until(lambda: len(front_end.packets(widget)) > before)
    head = front_end.packets(widget)[-1].head
    assert (head["seq"], head["total"], head["facts"]["entries"]) == (shown, shown, shown)


def test_a_closed_dashboard_is_gone_from_the_screen(front_end: FrontEnd, show: Show) -> None:
    """Its comm is closed, its picture stays, closing again is harmless, and another one shows the feed as before."""
    log = fan_out(2)
    feed = Feed(log)
    widget = show(feed)
    widget.close()
    widget.close()
    assert feed.subscribers == []
    assert set(widget._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}
    other = show(feed)
    front_end.until(lambda: same(front_end.page(other), log))


def test_the_bundle_carries_a_picture_and_words(front_end: FrontEnd, show: Show) -> None:
    """Displayed, the widget brings its view, an SVG and a line of text."""
    widget = show(Feed(fan_out(11, done=9)), hello=False)
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain"}
    assert data["text/plain"] == "12 agents: 9 done, 2 running, 1 waiting"
    assert data["image/svg+xml"].startswith("<svg")


@pytest.mark.parametrize("tab", ["graph", "timeline", "promises", "forks", "oplog", "why"])
def test_the_picture_is_of_the_view_that_is_open(tab: str, front_end: FrontEnd, show: Show) -> None:
    """Views that have a picture show it; the others are stood for by the graph."""
    pictures = {t: show(Feed(fan_out(3, done=1)), tab=t, hello=False).still()["image/svg+xml"] for t in (tab, "graph")}
    assert (pictures[tab] == pictures["graph"]) == (tab in ("graph", "oplog", "why"))


def test_who_leaves_stays_while_anybody_stands_still(front_end: FrontEnd, show: Show) -> None:
    """An interrupted agent may go on in a later cell: a dashboard that was left follows until it has ended."""
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


def test_who_left_takes_nobody_new_in(front_end: FrontEnd, show: Show) -> None:
    """What later cells set to work is in a new dashboard, not in this one; what its own agents spawn is."""
    log, feed = fan_out(2, done=1), Feed()
    *_, worker = (entry.agent for entry in log.entries if isinstance(entry.body, AgentCreated))
    widget = show(feed)
    feed.commit(log)
    widget.leave()
    shown = len(widget._channel.tape.view.nodes)
    later = log.agent("Later(1)")
    log.agent("Later(1, 'child')", by=later)
    log.agent("Own(1)", by=worker)
    feed.commit(log)
    widget.settle()
    assert [node.agent_id for node in widget._channel.tape.view.nodes[shown:]] == ["Own(1)"]
    fresh = show(feed)
    front_end.until(lambda: same(front_end.page(fresh), log))


def test_an_error_is_shown_and_the_others_go_on(
    front_end: FrontEnd, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a feed fails its pages are told, Python's hook for threads hears of it, and other dashboards keep moving."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    bad, good = Feed(), Feed()
    first, second = show(bad), show(good)
    front_end.until(lambda: front_end.packets(first) and front_end.packets(second))
    bad.broken = ValueError("no such table")
    bad.commit(EntryLog())
    front_end.until(lambda: front_end.told("error"))
    assert [row["text"] for row in front_end.told("error", first)] == ["ValueError: no such table"]
    assert front_end.told("error", second) == []
    log = fan_out(2)
    good.commit(log)
    front_end.until(lambda: same(front_end.page(second), log))
    assert reported == [ValueError]
    bad.broken = None
    mended = show(bad)  # a new one on the mended feed works
    front_end.until(lambda: front_end.packets(mended))
